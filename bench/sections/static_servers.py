"""What a static server does without settings: each is started on the same folder and asked over HTTP."""

import gzip
import http.client
import random
import re
import subprocess
from contextlib import ExitStack, contextmanager
from urllib.parse import urlsplit

from measure.process import run
from measure.report import table
from measure.server import caddy, driblet, free_port, running
from measure.setting import HERE

TOOLS = HERE / "data" / ".work" / "tools"
CRATES = ["static-web-server", "dufs", "miniserve"]
BROTLI = """
const { brotliCompressSync, constants } = require('zlib')
const params = { [constants.BROTLI_PARAM_QUALITY]: 7 }
process.stdout.write(brotliCompressSync(require('fs').readFileSync(process.argv[1]), { params }))
"""
YES, NO = "yes", "–"
QUIET = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}


def measure(setting):
    folder = site(setting.fresh("site"))
    for crate in CRATES:
        if not (TOOLS / "bin" / crate).exists():
            run(["cargo", "install", crate, "--locked", "--root", TOOLS])
    with ExitStack() as stack:
        started = {name: stack.enter_context(server) for name, server in servers(setting, folder).items()}
        lines = [[what, *(shown(ask(server)) for server in started.values())] for what, ask in QUESTIONS.items()]
    yield table("As each runs without settings", ["", *started], lines)
    commands = {"driblet": [setting.driblet, "--version"], "Caddy": ["caddy", "version"]}
    commands |= {name: [TOOLS / "bin" / name, "--version"] for name in CRATES}
    versions = [
        [name, re.search(r"\d+\.\d+\.\d+", run(command).stdout.decode())[0]] for name, command in commands.items()
    ]
    yield table("Versions", ["server", "version"], versions)


def site(folder):
    """A folder like a build's output."""
    words = random.Random(1).choices(["export", "const", "function", "return", "value", "index"], k=30_000)
    script = " ".join(words).encode()
    (folder / "index.html").write_text("<!doctype html><title>site</title>")
    (folder / "404.html").write_text("<!doctype html><title>nothing here</title>")
    (folder / "app.js").write_bytes(script)
    (folder / "packed.js").write_bytes(script)
    (folder / "packed.js.gz").write_bytes(gzip.compress(script, mtime=0))
    # Another level than servers compress by themselves.
    (folder / "packed.js.br").write_bytes(run(["node", "-e", BROTLI, folder / "packed.js"]).stdout)
    (folder / ".env").write_text("SECRET=1")
    (folder / "sub").mkdir()
    (folder / "sub" / "file.txt").write_text("text")
    outside = folder.parent / "outside.txt"
    outside.write_text("outside")
    (folder / "out.txt").symlink_to(outside)
    return folder


def servers(setting, folder):
    work = setting.fresh("static-servers")
    port = {name: free_port() for name in CRATES}
    commands = {
        "static-web-server": ["--host", "127.0.0.1", "--port", port["static-web-server"], "--root", folder],
        "dufs": ["--bind", "127.0.0.1", "--port", port["dufs"], folder],
        "miniserve": ["--interfaces", "127.0.0.1", "--port", port["miniserve"], folder],
    }
    return {
        "driblet": driblet(setting.driblet, folder, work / "history"),
        "Caddy": caddy(folder, work),
        **{name: tool(TOOLS / "bin" / name, options, port[name]) for name, options in commands.items()},
    }


class Tool:
    def __init__(self, url):
        self.url = url


@contextmanager
def tool(binary, options, port):
    with running([binary, *map(str, options)], port, **QUIET):
        yield Tool(f"http://127.0.0.1:{port}")


def request(server, path, method="GET", **headers):
    address = urlsplit(server.url)
    connection = http.client.HTTPConnection(address.hostname, address.port, timeout=60)
    try:
        connection.request(method, path, headers={name.replace("_", "-"): value for name, value in headers.items()})
        answer = connection.getresponse()
        body = answer.read()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}, body
    finally:
        connection.close()


def coded(path, coding):
    return lambda server: request(server, path, accept_encoding=coding)[1].get("content-encoding") == coding


def unchanged(server):
    _, headers, _ = request(server, "/app.js")
    tag = headers.get("etag")
    return tag is not None and request(server, "/app.js", if_none_match=tag)[0] == 304


def ranged(server):
    status, headers, body = request(server, "/app.js", range="bytes=10-19")
    return status == 206 and len(body) == 10 and headers.get("content-range", "").startswith("bytes 10-19/")


def sidecar(server):
    """Whether the file beside is sent as it is, and not an encoding made now."""
    _, headers, body = request(server, "/packed.js", accept_encoding="br")
    return headers.get("content-encoding") == "br" and body == request(server, "/packed.js.br")[2]


def is_page(path, title):
    return lambda server: title in request(server, path)[2]


def delta(server):
    return request(server, "/app.js.driblet/none")[0] == 200


QUESTIONS = {
    "ETag, and 304 for it": unchanged,
    "Range": ranged,
    "HEAD": lambda server: request(server, "/app.js", "HEAD")[1].get("content-length", "0") != "0",
    "compresses: gzip": coded("/app.js", "gzip"),
    "compresses: br": coded("/app.js", "br"),
    "compresses: zstd": coded("/app.js", "zstd"),
    "sends a `.br` beside the file": sidecar,
    "`index.html` for a folder": is_page("/", b"<title>site"),
    "`404.html`": is_page("/nothing", b"nothing here"),
    "lists folders": lambda server: request(server, "/sub/")[0] == 200,
    "serves `.env`": lambda server: b"SECRET" in request(server, "/.env")[2],
    "follows a link out of the folder": lambda server: b"outside" in request(server, "/out.txt")[2],
    "deltas": delta,
}


def shown(answer):
    return YES if answer else NO
