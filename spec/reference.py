#!/usr/bin/env python3
"""A second implementation of the driblet protocol, written from protocol.md alone.

It decodes and it checks. Its first aim is to be read beside the document, its second to disagree with the first
implementation wherever that one departs from the text.

    python3 spec/reference.py patch OLD DELTA NEW
    python3 spec/reference.py check spec/vectors.json
"""

# Why something was refused. Vectors name these words; each stands for one duty or one limit.
REASONS = {
    # any input
    "truncated": "the input ends before it is complete",
    "trailing-bytes": "the input goes on after its end",
    "bad-varint": "a varint is not the shortest form, or not below 2^64",
    # a delta's header
    "bad-magic": "the first byte is not 0xDB",
    "bad-format": "the format is not 1",
    "bad-group": "the group exponent is not 0 to 6",
    "limit-target": "the target is longer than the receiver allows",
    "limit-groups": "the header would carry more chaining values than allowed",
    "unexpected-same": "same, but no version was named or the target is another",
    "wrong-target": "the receiver pinned another version",
    "wrong-basis": "the check is not that of the receiver's basis",
    "bad-tree": "the chaining values do not merge to the target",
    # a delta's regions
    "bad-codec": "a codec that is reserved, or bit 6 of a region's first byte is set",
    "bad-span": "a span of 0, or one that leaves nothing to the regions after it",
    "bad-ops": "ops that do not fill ops_len, exceed the span, have no copy, or a packed_len not below ops_len",
    "copy-outside-basis": "a copy that does not lie inside the basis",
    "bad-zstd": "a malformed frame, one with a dictionary id, or one that does not hold exactly what it must",
    "limit-ops": "ops_len is over its limit",
    "limit-reach": "reach is over its limit",
    "limit-reference": "the reference of a region is over its limit",
    "limit-window": "a frame's window is over its limit",
    "bad-group-hash": "a group's bytes do not have its chaining value, or the target's bytes not its version",
    # a signature
    "bad-rung": "a rung that is not of the ladder",
    "bad-bits": "bits that are not 21 to 64",
    "bad-padding": "bits that pad the last byte of the tags are not 0",
    "limit-tags": "more tags than allowed",
    # a matched answer
    "bad-runs": "a run of 0 that is not the first, or a sum that is not the signature's count",
    "limit-runs": "runs_len is over its limit",
    # what later versions of the protocol may define
    "reserved": "a manifest",
}
