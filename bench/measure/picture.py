"""The picture of the deltas' table: for each pair a scale on which the best peer is 1."""

from html import escape

LEFT, RIGHT, LINE, TOP = 178, 470, 26, 58
RADIUS = {"dense": 4.5, "fast": 7}
STYLE = """
text { font: 13px system-ui, sans-serif; fill: #1f2328 } .dim { fill: #59636e; font-size: 12px }
.kind { font-weight: 600 } .dense { fill: #0969da } .fast { fill: none; stroke: #9a6700; stroke-width: 2 } .one { stroke: #59636e; stroke-dasharray: 3 3 } .rail { stroke: #d1d9e0 }
@media (prefers-color-scheme: dark) {
  text { fill: #f0f6fc } .dim { fill: #9198a1 } .dense { fill: #4493f8 } .fast { stroke: #d29922 } .one { stroke: #9198a1 } .rail { stroke: #3d444d }
}
"""


def draw(path, kinds, measured, best):
    """Dots for dense and fast as parts of the best peer's bytes; what is beyond 1.5 stands at the edge."""

    def place(ratio):
        return LEFT + (RIGHT - LEFT) * min(ratio, 1.5) / 1.5

    out, at = [], TOP
    for kind, names in kinds.items():
        at += 14
        out.append(f'<text class="kind" x="8" y="{at}">{escape(kind)}</text>')
        for name in names:
            at += LINE
            size, peer = best[name]
            out.append(f'<line class="rail" x1="{LEFT}" x2="{RIGHT}" y1="{at - 4}" y2="{at - 4}"/>')
            out.append(f'<text x="8" y="{at}">{escape(name.removeprefix("held-"))}</text>')
            for codec in ["fast", "dense"]:
                ratio = measured[name][codec]["bytes"] / size
                out.append(
                    f'<circle class="{codec}" cx="{place(ratio):.1f}" cy="{at - 4}" r="{RADIUS[codec]}"><title>{codec}: {ratio:.2f}</title></circle>'
                )
            out.append(
                f'<text class="dim" x="{RIGHT + 14}" y="{at}">{measured[name]["dense"]["bytes"]:,} of {size:,}, {escape(peer)}</text>'
            )
        at += 12
    one = place(1)
    head = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 720 {at + 8}" role="img" aria-label="Bytes of driblet\'s deltas as parts of the smallest peer\'s">',
        f"<style>{STYLE}</style>",
        '<circle class="dense" cx="14" cy="14" r="4.5"/><text x="26" y="18">dense</text>',
        '<circle class="fast" cx="86" cy="14" r="7"/><text x="99" y="18">fast</text>',
        '<text class="dim" x="140" y="18">bytes of the delta; the smallest of dcz, dcb, bsdiff, xdelta3, HDiffPatch is 1. Left is better.</text>',
        f'<line class="one" x1="{one}" x2="{one}" y1="{TOP - 4}" y2="{at}"/>',
        *(
            f'<text class="dim" text-anchor="middle" x="{place(tick)}" y="{TOP - 12}">{tick}</text>'
            for tick in [0, 0.25, 0.5, 0.75, 1]
        ),
        f'<text class="dim" text-anchor="end" x="{RIGHT}" y="{TOP - 12}">≥ 1.5</text>',
        f'<text class="dim" x="{RIGHT + 14}" y="{TOP - 12}">bytes: dense, of the best peer\'s</text>',
    ]
    path.write_text("\n".join([*head, *out, "</svg>"]) + "\n")
