"""The oracle: a second implementation of the driblet protocol, written from the pages in spec/ alone.

It decodes and checks; it does not encode deltas. Read it beside the pages: it uses their names. Where the Rust
implementation departs from the pages, the two disagree. Each part of the protocol has a module of its own.
"""

from .chunks import CHUNK_SIZES, GEAR, Chunk, chunks_of, cut, describe, section_list
from .delta import EMPTY, Basis, basis_of, decode_delta
from .directory import (
    File,
    Part,
    apply_directory_delta,
    cut_parts,
    encode_manifest,
    new_files,
    parse_directory_delta,
    parse_have,
    parse_manifest,
    part_name,
)
from .groups import group_count, group_len, group_value, merge, version
from .signature import (
    Signature,
    bits_for,
    decode_matched,
    decode_runs,
    decode_signature,
    encode_signature,
    matched_basis,
    sign,
)
from .wire import KIB, MIB, REASONS, Limits, Reader, Refused, encode_varint

__all__ = [
    "CHUNK_SIZES",
    "EMPTY",
    "GEAR",
    "KIB",
    "MIB",
    "REASONS",
    "Basis",
    "Chunk",
    "File",
    "Limits",
    "Part",
    "Reader",
    "Refused",
    "Signature",
    "apply_directory_delta",
    "basis_of",
    "bits_for",
    "chunks_of",
    "cut",
    "cut_parts",
    "decode_delta",
    "decode_matched",
    "decode_runs",
    "decode_signature",
    "describe",
    "encode_manifest",
    "encode_signature",
    "encode_varint",
    "group_count",
    "group_len",
    "group_value",
    "matched_basis",
    "merge",
    "new_files",
    "parse_directory_delta",
    "parse_have",
    "parse_manifest",
    "part_name",
    "section_list",
    "sign",
    "version",
]
