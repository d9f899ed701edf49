#!/usr/bin/env python3
"""Measures driblet and its peers side by side.

    python3 bench/run.py [SECTION…] [--runs N] [--driblet PATH] [--work DIR]

Sections: deltas, kinds, floor, ondemand, visitors, hostile, unknown, pull, scattered, index, directories, vite, share, browser_sync_stream, server, static_servers, live, browser, browser_directories, dictionaries, stores; all but floor if none is named. Prints each
figure with the limit it is held against, and writes bench/results.json and bench/RESULTS.md. A miss is shown, and fails nothing.
Build first: `make client`, then `cargo build --release -p driblet-cli` and `cargo build --release -p driblet-core --example decode --example encode`; `make bench` does it all.
"""

import argparse
import importlib
import os
import sys
from pathlib import Path

from measure import report
from measure.setting import HERE, Setting

SECTIONS = list(report.TITLES)
# Its peer is a program that must be built by hand, and takes hours.
BY_NAME = {"floor"}


def main():
    target = Path(os.environ.get("CARGO_TARGET_DIR", HERE.parent / "target"))
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sections", nargs="*", metavar="SECTION")
    parser.add_argument("--runs", type=int, default=7, help="interleaved runs of each measurement (default: 7)")
    parser.add_argument("--driblet", type=Path, default=target / "release" / "driblet")
    parser.add_argument("--work", type=Path, default=HERE / "data" / ".runs", help="on the disk that is to be measured")
    arguments = parser.parse_args()
    if unknown := set(arguments.sections) - set(SECTIONS):
        parser.error(f"no section {', '.join(sorted(unknown))}: there are {', '.join(SECTIONS)}")
    if not arguments.driblet.exists():
        parser.error(f"{arguments.driblet} is not there: cargo build --release -p driblet-cli")
    setting = Setting(arguments.driblet.resolve(), arguments.work.resolve(), arguments.runs)
    for name in arguments.sections or [name for name in SECTIONS if name not in BY_NAME]:
        print(report.TITLES[name], flush=True)
        rows = []
        for row in importlib.import_module(f"sections.{name}").measure(setting):
            report.show(row)
            rows.append(row)
        report.keep(name, rows)


if __name__ == "__main__":
    sys.exit(main())
