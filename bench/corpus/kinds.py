"""Pairs of versions of all kinds of files that browsers load, from the registries of npm and PyPI.

A pair belongs to the half that is *held out* if the first byte of the SHA-256 of its name is odd. The rule was fixed before
any figure was looked at: constants and methods are chosen by the other half.
"""

import hashlib
import subprocess
import tarfile
import zipfile
from pathlib import Path
from typing import NamedTuple


class Pair(NamedTuple):
    kind: str
    name: str
    registry: str
    package: str
    old: str
    new: str
    path: str  # in the package; empty: the package's own file

    @property
    def is_held_out(self):
        return hashlib.sha256(self.name.encode()).digest()[0] & 1 == 1

    def files(self, data):
        """The paths of both versions, fetched if they are not there."""
        return [self.fetched(data / "packages", version) for version in (self.old, self.new)]

    def fetched(self, packages, version):
        folder = packages / f"{self.package.replace('/', '+')}@{version}"
        if not (folder / "whole").exists():
            folder.mkdir(parents=True, exist_ok=True)
            FETCH[self.registry](self.package, version, folder)
            (folder / "whole").touch()
        if self.path:
            return folder / "package" / self.path
        [archive] = [path for path in folder.iterdir() if path.suffix in (".tgz", ".whl")]
        return archive


def from_npm(package, version, folder):
    subprocess.run(["npm", "pack", "--silent", f"{package}@{version}"], cwd=folder, check=True, capture_output=True)
    [archive] = folder.glob("*.tgz")
    with tarfile.open(archive) as tar:
        for member in tar:
            # The first folder has another name in some packages.
            member.name = str(Path("package", *Path(member.name).parts[1:]))
            tar.extract(member, folder, filter="data")


def from_pypi(package, version, folder):
    options = ["--quiet", "--no-deps", "--only-binary", ":all:", "--python-version", "3.11"]
    command = ["python3", "-m", "pip", "download", *options, "--dest", folder, f"{package}=={version}"]
    subprocess.run(command, check=True, capture_output=True)
    [archive] = folder.glob("*.whl")
    with zipfile.ZipFile(archive) as wheel:
        wheel.extractall(folder / "package")


FETCH = {"npm": from_npm, "pypi": from_pypi}

PAIRS = [
    Pair(
        ".NET",
        "dotnet-autorest",
        "npm",
        "@autorest/csharp",
        "3.0.0-beta.20251012.1",
        "3.0.0-beta.20251203.1",
        "AutoRest.CSharp.dll",
    ),
    Pair(
        ".NET",
        "dotnet-corelib",
        "npm",
        "docxodus",
        "5.0.1",
        "12.6.2",
        "dist/wasm/_framework/System.Private.CoreLib.wasm",
    ),
    Pair(
        ".NET",
        "dotnet-openxml",
        "npm",
        "docxodus",
        "5.0.1",
        "12.6.2",
        "dist/wasm/_framework/DocumentFormat.OpenXml.wasm",
    ),
    Pair("base64", "es-lexer", "npm", "es-module-lexer", "3.0.4", "3.0.5", "dist/lexer.js"),
    Pair("base64", "hash-wasm", "npm", "hash-wasm", "4.12.0", "4.13.0", "dist/index.umd.min.js"),
    Pair("base64", "libsodium-sumo", "npm", "libsodium-sumo", "0.8.2", "0.8.3", "dist/modules-sumo/libsodium-sumo.js"),
    Pair(
        "base64",
        "quickjs-singlefile",
        "npm",
        "@jitl/quickjs-singlefile-mjs-release-sync",
        "0.31.0",
        "0.32.0",
        "dist/emscripten-module.mjs",
    ),
    Pair("base64", "rapier2d-compat", "npm", "@dimforge/rapier2d-compat", "0.20.0", "0.21.0", "dist/rapier.mjs"),
    Pair("base64", "rapier3d-compat", "npm", "@dimforge/rapier3d-compat", "0.20.0", "0.21.0", "dist/rapier.mjs"),
    Pair("css", "bootstrap-min-css", "npm", "bootstrap", "5.3.8", "5.3.9", "dist/css/bootstrap.min.css"),
    Pair("css", "bulma-css", "npm", "bulma", "1.0.3", "1.0.4", "css/bulma.css"),
    Pair("css", "fontawesome-css", "npm", "@fortawesome/fontawesome-free", "7.3.0", "7.3.1", "css/all.css"),
    Pair("css", "mdi-css", "npm", "@mdi/font", "7.3.67", "7.4.47", "css/materialdesignicons.css"),
    Pair("css", "primeicons", "npm", "primeicons", "8.0.1", "8.0.2", "primeicons.css"),
    Pair("csv", "asn-csv", "npm", "@ip-location-db/asn", "2.3.2025041118", "2.3.2026061719", "asn-ipv4.csv"),
    Pair("font", "codicon-ttf", "npm", "@vscode/codicons", "0.0.44", "0.0.45", "dist/codicon.ttf"),
    Pair("font", "mdi-ttf", "npm", "@mdi/font", "7.3.67", "7.4.47", "fonts/materialdesignicons-webfont.ttf"),
    Pair("font", "remixicon-ttf", "npm", "remixicon", "4.9.0", "4.9.1", "fonts/remixicon.ttf"),
    Pair("html", "reveal-demo", "npm", "reveal.js", "6.0.0", "6.0.1", "demo.html"),
    Pair("json", "countries", "npm", "world-countries", "5.0.0", "5.1.0", "countries.json"),
    Pair("json", "electron-chromium", "npm", "electron-to-chromium", "1.5.494", "1.5.495", "full-versions.json"),
    Pair("json", "emoji-data", "npm", "emoji-datasource", "15.1.2", "16.0.0", "emoji.json"),
    Pair("json", "iconify-mdi", "npm", "@iconify-json/mdi", "1.2.2", "1.2.3", "icons.json"),
    Pair("json", "iconify-tabler", "npm", "@iconify-json/tabler", "1.2.40", "1.2.41", "icons.json"),
    Pair("json", "mime-db", "npm", "mime-db", "1.53.0", "1.54.0", "db.json"),
    Pair("json", "webref-css", "npm", "@webref/css", "8.7.4", "8.7.5", "css.json"),
    Pair("map", "axios-map", "npm", "axios", "1.21.0", "1.21.1", "dist/axios.min.js.map"),
    Pair("map", "chartjs-map", "npm", "chart.js", "4.5.1", "4.6.1", "dist/chart.js.map"),
    Pair("map", "hls-map", "npm", "hls.js", "1.7.3", "1.7.4", "dist/hls.min.js.map"),
    Pair("map", "maplibre-map", "npm", "maplibre-gl", "6.16.0", "6.17.0", "dist/maplibre-gl.mjs.map"),
    Pair("map", "rxjs-map", "npm", "rxjs", "7.8.1", "7.8.2", "dist/bundles/rxjs.umd.min.js.map"),
    Pair("minified", "antd-min", "npm", "antd", "6.6.7", "6.6.8", "dist/antd.min.js"),
    Pair("minified", "babel-standalone-min", "npm", "@babel/standalone", "8.0.5", "8.0.6", "babel.min.js"),
    Pair("minified", "chartjs-umd", "npm", "chart.js", "4.5.1", "4.6.1", "dist/chart.umd.js"),
    Pair("minified", "echarts-min", "npm", "echarts", "6.0.0", "6.1.0", "dist/echarts.min.js"),
    Pair("minified", "hls-min", "npm", "hls.js", "1.7.3", "1.7.4", "dist/hls.min.js"),
    Pair(
        "minified", "lets-plot-kotlin", "pypi", "lets-plot", "4.8.1", "4.8.2", "lets_plot/package_data/lets-plot.min.js"
    ),
    Pair("minified", "maplibre-min", "npm", "maplibre-gl", "6.16.0", "6.17.0", "dist/maplibre-gl.mjs"),
    Pair("minified", "prettier-ts", "npm", "prettier", "3.9.10", "3.10.0", "plugins/typescript.js"),
    Pair("minified", "swiper-min", "npm", "swiper", "14.3.0", "14.4.0", "swiper-bundle.min.js"),
    Pair("minified", "videojs-min", "npm", "video.js", "8.24.0", "8.24.1", "dist/video.min.js"),
    Pair("minified", "vue-prod", "npm", "vue", "3.5.44", "3.5.45", "dist/vue.global.prod.js"),
    Pair("minified", "xlsx-min", "npm", "xlsx", "0.18.4", "0.18.5", "dist/xlsx.full.min.js"),
    Pair(
        "packed",
        "bootstrap-icons-woff2",
        "npm",
        "bootstrap-icons",
        "1.13.1",
        "1.13.2",
        "font/fonts/bootstrap-icons.woff2",
    ),
    Pair("packed", "mdi-woff2", "npm", "@mdi/font", "7.3.67", "7.4.47", "fonts/materialdesignicons-webfont.woff2"),
    Pair("source", "eslint-umd", "npm", "eslint-linter-browserify", "10.10.0", "10.11.0", "linter.js"),
    Pair("source", "html-idl", "npm", "@webref/idl", "3.84.0", "3.85.0", "html.idl"),
    Pair("source", "kotlin-stdlib", "npm", "kotlin", "1.8.20", "1.9.25", "kotlin.js"),
    Pair("source", "rollup-node", "npm", "rollup", "4.68.7", "4.68.8", "dist/shared/rollup.js"),
    Pair("source", "sass-dart", "npm", "sass", "1.108.1", "1.108.2", "sass.dart.js"),
    Pair("source", "svelte-compiler", "npm", "svelte", "5.57.2", "5.57.3", "compiler/index.js"),
    Pair("svg", "bootstrap-icons-svg", "npm", "bootstrap-icons", "1.12.1", "1.13.0", "bootstrap-icons.svg"),
    Pair("svg", "fontawesome-svg", "npm", "@fortawesome/fontawesome-free", "7.3.0", "7.3.1", "sprites/solid.svg"),
    Pair("svg", "remixicon-svg", "npm", "remixicon", "4.9.0", "4.9.1", "fonts/remixicon.symbol.svg"),
    Pair("svg", "tabler-sprite", "npm", "@tabler/icons-sprite", "3.47.0", "3.48.0", "dist/tabler-sprite.svg"),
    Pair("tgz", "axios-tgz", "npm", "axios", "1.21.0", "1.21.1", ""),
    Pair("tgz", "date-fns-tgz", "npm", "date-fns", "4.3.0", "4.4.0", ""),
    Pair("tgz", "preact-tgz", "npm", "preact", "11.1.1", "11.2.0", ""),
    Pair("tgz", "three-tgz", "npm", "three", "0.186.1", "0.187.0", ""),
    Pair("tgz", "undici-tgz", "npm", "undici", "8.13.0", "8.13.1", ""),
    Pair("wasm", "automerge-wasm", "npm", "@automerge/automerge", "3.4.1", "3.5.0", "dist/automerge.wasm"),
    Pair("wasm", "canvaskit-cpp", "npm", "canvaskit-wasm", "0.41.1", "0.42.0", "bin/canvaskit.wasm"),
    Pair("wasm", "esbuild-go", "npm", "esbuild-wasm", "0.28.1", "0.28.2", "esbuild.wasm"),
    Pair("wasm", "flet-dart", "pypi", "flet-web", "1.0.3", "1.0.4", "flet_web/web/main.dart.wasm"),
    Pair("wasm", "lightningcss-wasm", "npm", "lightningcss-wasm", "1.32.0", "1.33.0", "lightningcss_node.wasm"),
    Pair("wasm", "loro-wasm", "npm", "loro-crdt", "1.16.4", "1.17.1", "web/loro_wasm_bg.wasm"),
    Pair("wasm", "manifold-cpp", "npm", "manifold-3d", "3.5.0", "3.5.1", "manifold.wasm"),
    Pair(
        "wasm",
        "quickjs-c",
        "npm",
        "@jitl/quickjs-wasmfile-release-sync",
        "0.31.0",
        "0.32.0",
        "dist/emscripten-module.wasm",
    ),
    Pair("wasm", "rapier3d-wasm", "npm", "@dimforge/rapier3d", "0.20.0", "0.21.0", "rapier_wasm3d_bg.wasm"),
    Pair("wasm", "resvg-wasm", "npm", "@resvg/resvg-wasm", "2.6.1", "2.6.2", "index_bg.wasm"),
    Pair("wasm", "swc-wasm", "npm", "@swc/wasm-web", "1.16.17", "1.16.18", "wasm_bg.wasm"),
    Pair("wasm", "treesitter-c", "npm", "web-tree-sitter", "0.27.1", "0.27.2", "web-tree-sitter.wasm"),
    Pair("wasm", "webifc-cpp", "npm", "web-ifc", "0.0.77", "0.0.78", "web-ifc.wasm"),
    Pair("wheel", "black-wheel", "pypi", "black", "24.1.0", "24.1.1", ""),
    Pair("wheel", "django-wheel", "pypi", "django", "5.0.1", "5.0.2", ""),
    Pair("wheel", "pip-wheel", "pypi", "pip", "23.3.1", "23.3.2", ""),
    Pair("wheel", "requests-wheel", "pypi", "requests", "2.31.0", "2.32.0", ""),
    Pair("wheel", "rich-wheel", "pypi", "rich", "13.7.0", "13.7.1", ""),
    Pair("wheel", "sympy-wheel", "pypi", "sympy", "1.12", "1.12.1", ""),
]
