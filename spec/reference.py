"""A second implementation of the driblet protocol, written from protocol.md, dense.md and substitution.md alone.

It decodes and checks; it does not encode deltas. Read it beside the pages: it uses their names. Where the Rust
implementation departs from the pages, the two disagree. Each part of the protocol has a module of its own; this one is
the command line and gathers the names.

    python3 spec/reference.py patch OLD DELTA NEW
    python3 spec/reference.py check spec/vectors.json
"""

import json
import sys

from check_vectors import check
from chunks import CHUNK_SIZES, GEAR, Chunk, chunks_of, cut, describe, section_list
from delta import EMPTY, Basis, basis_of, decode_delta
from groups import group_count, group_len, group_value, merge, version
from signature import (
    Signature,
    bits_for,
    decode_matched,
    decode_runs,
    decode_signature,
    encode_signature,
    matched_basis,
    sign,
)
from wire import KIB, MIB, REASONS, Limits, Reader, Refused, encode_varint

__all__ = [
    "CHUNK_SIZES",
    "EMPTY",
    "GEAR",
    "KIB",
    "MIB",
    "REASONS",
    "Basis",
    "Chunk",
    "Limits",
    "Reader",
    "Refused",
    "Signature",
    "basis_of",
    "bits_for",
    "chunks_of",
    "cut",
    "decode_delta",
    "decode_matched",
    "decode_runs",
    "decode_signature",
    "describe",
    "encode_signature",
    "encode_varint",
    "group_count",
    "group_len",
    "group_value",
    "matched_basis",
    "merge",
    "section_list",
    "sign",
    "version",
]


def main(arguments):
    match arguments:
        case ["patch", old, delta, new]:
            with open(old, "rb") as file:
                basis = basis_of(file.read())
            with open(delta, "rb") as file:
                target = decode_delta(file.read(), basis)
            with open(new, "wb") as file:
                file.write(target)
        case ["check", path]:
            with open(path) as file:
                count, faults = check(json.load(file))
            print(*faults, f"{max(count - len(faults), 0)} passed, {len(faults)} failed", sep="\n")
            return 1 if faults else 0
        case _:
            print(__doc__, file=sys.stderr)
            return 2
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except (Refused, OSError) as error:
        sys.exit(f"reference.py: {error}")
