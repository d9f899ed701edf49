"""Figures as they are kept: results.json holds every run, RESULTS.md what a person reads."""

import json
import os
import platform
import statistics
from pathlib import Path

HERE = Path(__file__).parent.parent
JSON, MARKDOWN = HERE / "results.json", HERE / "RESULTS.md"

TITLES = {
    "deltas": "Deltas, beside every other way to make one",
    "kinds": "Deltas of many kinds of files, half of them held out",
    "floor": "Small pairs, beside a context mixer",
    "ondemand": "Deltas that a request waits for",
    "visitors": "First visitors, for whom nothing is made yet",
    "hostile": "Inputs that are hard on an encoder",
    "unknown": "The version is unknown, beside rsync",
    "pull": "Bytes of a pull",
    "scattered": "128 MiB and 1 GiB with scattered edits, beside rsync",
    "index": "The first index",
    "directories": "A directory of 100,000 files, beside rsync",
    "vite": "An app that is built thirty times",
    "share": "Many clients, one diff",
    "browser_sync_stream": "Clients of browser-sync-stream",
    "server": "Plain files, beside nginx and Caddy",
    "static_servers": "Static servers, as they run without settings",
    "live": "Live streams",
    "browser": "In Chromium",
    "browser_directories": "Directories in Chromium",
    "dictionaries": "Compression dictionaries",
    "stores": "Stores of the browser package",
}


def row(what, runs, unit, limit=None, command="", note=""):
    """One figure: the median of `runs`. With a limit, `("<=", n)` or `(">=", n)`, it is met or missed."""
    runs = runs if isinstance(runs, list) else [runs]
    figure = statistics.median(runs)
    met = None if limit is None else figure <= limit[1] if limit[0] == "<=" else limit[1] <= figure
    return {
        "what": what,
        "figure": figure,
        "unit": unit,
        "limit": limit,
        "met": met,
        "runs": runs,
        "command": command,
        "note": note,
    }


def table(title, head, lines):
    """Figures that only make sense side by side."""
    return {"title": title, "head": head, "lines": lines}


def show(row):
    if "head" in row:
        print(f"  {row['title']}", flush=True)
        for line in [row["head"], *row["lines"]]:
            print("   ", *(f"{cell:>{22 if at == 0 else 13}}" for at, cell in enumerate(line)), flush=True)
        return
    verdict = {None: "", True: "met", False: "MISSED"}[row["met"]]
    limit = f"{row['limit'][0]} {pretty(row['limit'][1], row['unit'])}" if row["limit"] else ""
    print(f"  {row['what']:<72} {pretty(row['figure'], row['unit']):>14} {limit:>16} {verdict}", flush=True)


def keep(section, rows):
    """Replaces a section's rows in both files and leaves the others."""
    kept = json.loads(JSON.read_text()) if JSON.exists() else {}
    tables = [row for row in rows if "head" in row]
    kept[section] = {"machine": machine(), "rows": [row for row in rows if "head" not in row], "tables": tables}
    JSON.write_text(json.dumps(kept, indent=1, ensure_ascii=False) + "\n")
    MARKDOWN.write_text(markdown(kept))


def markdown(kept):
    out = [
        "# Results",
        "",
        "Written by `python3 bench/run.py`; every single run is in `results.json`. A figure is the median of its runs, and what is",
        "compared was run in turns. Ratios are formed within one turn, then their median is taken. A limit is the promise that the",
        "figure is held against. Times depend on the machine and on what else it does: compare ratios only, and where the load is",
        "high, run again.",
    ]
    for section, title in TITLES.items():
        if section not in kept:
            continue
        out += ["", f"## {title}", "", kept[section]["machine"], ""]
        out += ["| what | median | spread | runs | limit | | command |", "|---|---|---|---|---|---|---|"]
        for row in kept[section]["rows"]:
            low, high, unit = min(row["runs"]), max(row["runs"]), row["unit"]
            spread = "" if low == high else f"{pretty(low, unit)} – {pretty(high, unit)}"
            limit = (
                f"{'at most' if row['limit'][0] == '<=' else 'at least'} {pretty(row['limit'][1], unit)}"
                if row["limit"]
                else ""
            )
            verdict = {None: "", True: "met", False: "**missed**"}[row["met"]]
            what = row["what"] + (f" ({row['note']})" if row["note"] else "")
            command = f"`{row['command']}`" if row["command"] else ""
            out.append(
                f"| {what} | {pretty(row['figure'], unit)} | {spread} | {len(row['runs'])} | {limit} | {verdict} | {command} |"
            )
        for shown in kept[section].get("tables", []):
            out += [
                "",
                f"### {shown['title']}",
                "",
                f"| {' | '.join(shown['head'])} |",
                "|---" + "|---:" * (len(shown["head"]) - 1) + "|",
            ]
            out += [f"| {' | '.join(line)} |" for line in shown["lines"]]
    return "\n".join(out) + "\n"


def pretty(value, unit):
    match unit:
        case "bytes" | "requests" | "count":
            return f"{value:,.0f}"
        case "KiB":
            return f"{value:,.1f} KiB"
        case "MiB":
            return f"{value:,.1f} MiB"
        case "s":
            return f"{value:.3f} s"
        case "µs":
            return f"{value:,.1f} µs"
        case "ms":
            return f"{value:,.1f} ms"
        case "ratio":
            return f"{value:.3f}"
        case "% of a core":
            return f"{value:.2f} % of a core"
        case "MB/s":
            return f"{value:,.1f} MB/s"
    return f"{value} {unit}"


def machine():
    names = [
        line.split(":")[1].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if line.startswith("model name")
    ]
    return f"{len(names)} cores of {names[0] if names else platform.machine()}, {platform.system()} {platform.release().split('-')[0]}; load {os.getloadavg()[0]:.1f} at the end."
