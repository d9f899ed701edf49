"""The notation, the refusals and the limits: protocol.md, sections 2 and 11."""

from typing import NamedTuple

KIB, MIB = 1 << 10, 1 << 20


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
    "bad-dense": "a dense region's shape has bits that mean nothing, or its decisions lead outside the window, end early or are left over",
    "limit-span": "a dense region's span is over its limit",
    "limit-dense-window": "a dense region's window is over its limit",
    "limit-packed": "the bytes of a region's decisions are over their limit",
    "bad-renames": "a followed copy's shape has bits that mean nothing, or its decisions make no word, end early or are left over",
    "limit-followed-ops": "the ops of a region with followed copies are over their limit",
    "limit-followed": "the bytes of basis that one copy follows are over their limit",
    "bad-group-hash": "a group's bytes do not have its chaining value, or the target's bytes not its version",
    # a signature
    "bad-chunk-size": "a chunk size that the protocol does not have",
    "bad-bits": "bits that are not 8 to 64",
    "bad-padding": "bits that pad the last byte of the tags are not 0",
    "limit-tags": "more tags than allowed",
    # a matched answer
    "bad-runs": "a run of 0 that is not the first, or a sum that is not the signature's count",
    "limit-runs": "runs_len is over its limit",
    # what later versions of the protocol may define
    "reserved": "a manifest",
}



class Refused(Exception):
    """The input breaks a duty or a limit; `reason` is one of REASONS."""

    def __init__(self, reason):
        super().__init__(f"{reason}: {REASONS[reason]}")
        self.reason = reason



def demand(holds, reason):
    if not holds:
        raise Refused(reason)



class Limits(NamedTuple):
    """Section 11, as it stands for a receiver outside the browser."""

    target: int = 1 << 40
    groups: int = 1 << 16
    ops: int = 1 * MIB
    reach: int = 1 * MIB
    reference: int = 8 * MIB
    window: int = 8 * MIB
    dense: int = 32 * MIB
    decisions: int = 32 * MIB
    substitution_ops: int = 64 * KIB
    substituted_copy: int = 64 * KIB
    tags: int = 1 << 22
    runs: int = 8 * MIB



DEFAULT_LIMITS = Limits()


class Reader:
    """Takes values off the front of bytes. What runs out is refused as `short`."""

    def __init__(self, data, short="truncated"):
        self.data, self.at, self.short = data, 0, short

    def take(self, length):
        demand(self.at + length <= len(self.data), self.short)
        self.at += length
        return self.data[self.at - length : self.at]

    def u8(self):
        return self.take(1)[0]

    def varint(self):
        value = 0
        for place in range(10):
            byte = self.u8()
            value |= (byte & 0x7F) << 7 * place
            if byte < 0x80:
                demand(value < 1 << 64 and (byte != 0 or place == 0), "bad-varint")
                return value
        raise Refused("bad-varint")

    def zigzag(self):
        n = self.varint()
        return (n >> 1) ^ -(n & 1)

    def left(self):
        return len(self.data) - self.at

    def end(self, reason="trailing-bytes"):
        demand(self.left() == 0, reason)



def refuse_manifest(data):
    demand(data[:1] != b"\xda", "reserved")


def encode_varint(value):
    out = bytearray()
    while 0x80 <= value:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


# BLAKE3 is in blake3_tree.py.
