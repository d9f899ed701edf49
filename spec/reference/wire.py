"""The notation, the refusals and the limits: protocol.md, sections 2 and 11."""

from typing import NamedTuple

KIB, MIB = 1 << 10, 1 << 20


# Why an input is refused. Vectors use these names; each stands for one duty or one limit.
REASONS = {
    # any input
    "truncated": "the input ends too early",
    "trailing-bytes": "bytes follow the end of the input",
    "bad-varint": "a varint does not have the shortest form, or is not below 2^64",
    # a delta's header
    "bad-magic": "the first byte is not 0xDB",
    "bad-format": "the format is not 1",
    "bad-group": "the group exponent is not from 0 to 6",
    "limit-target": "the target is longer than the receiver allows",
    "limit-groups": "the header has more chaining values than the receiver allows",
    "unexpected-same": "the delta says `same`, but no version was named, or the target is another one",
    "wrong-target": "the receiver pinned another version",
    "wrong-basis": "the basis id is not that of the receiver's basis",
    "bad-tree": "the chaining values do not merge to the target",
    # a delta's regions
    "bad-codec": "the codec is reserved, or bit 6 of a region's first byte is set",
    "bad-span": "a span is 0, or leaves nothing to the regions after it",
    "bad-ops": "ops do not fill ops_len, exceed the span or have an empty copy, or packed_len is not below ops_len",
    "copy-outside-basis": "a copy does not lie inside the basis",
    "bad-zstd": "a frame is malformed, has a dictionary id, or does not hold exactly the bytes that it must",
    "limit-ops": "ops_len is over its limit",
    "limit-reach": "reach is over its limit",
    "limit-reference": "the prefix of a region is over its limit",
    "limit-window": "a frame's window is over its limit",
    "bad-dense": "dense: a shape that is not valid, a jump out of the window, decisions that are missing or left over",
    "limit-span": "the span of a region in codec 2 or 5 is over its limit",
    "limit-dense-window": "a dense region's window is over its limit",
    "limit-packed": "decisions_len is over its limit",
    "bad-renames": "codecs 3 and 5: a shape that is not valid, an empty word, decisions that are missing or left over",
    "bad-containers": "a region of unpacked containers is malformed",
    "limit-unpacked": "a side of unpacked containers is longer than allowed, packed or unpacked",
    "limit-streams": "a side of unpacked containers has more streams than allowed",
    "limit-stream-lists": "the lists of streams are longer than allowed",
    "limit-followed-ops": "a substitution region has more ops than allowed",
    "limit-followed": "a substituted copy has more basis bytes than allowed",
    "bad-group-hash": "a group's bytes do not have its chaining value, or the target's bytes not its version",
    # a signature
    "bad-chunk-size": "the protocol has no such chunk size",
    "bad-bits": "bits is not from 8 to 64",
    "bad-padding": "a bit that pads the last byte of the tags is not 0",
    "limit-tags": "the signature has more tags than allowed",
    # a matched answer
    "bad-runs": "a run that is not the first is 0, or the sum of the runs is not the signature's count",
    "limit-runs": "runs_len is over its limit",
    # a directory
    "limit-files": "more files, parts, basis files or bytes than a directory may have",
    "limit-paths": "the paths of a manifest are longer than the receiver allows",
    "bad-path": "a path is not allowed, is not UTF-8, or does not share as much as it can",
    "bad-order": "two paths are equal, or not in order",
    "below-file": "a path lies below a file",
    "bad-flags": "a file has unknown flags",
    "bad-length": "a file of no bytes has another version than the empty file, or the other way round",
    "bad-file": "a file of a part does not have its version",
    "bad-parts": "a part has no files or another length, files are in no part, or a basis file does not exist",
    "bad-index": "a list names a file that the manifest does not have",
}


class Refused(Exception):
    """The input breaks a duty or a limit. `reason` is one of REASONS."""

    def __init__(self, reason):
        super().__init__(f"{reason}: {REASONS[reason]}")
        self.reason = reason


def demand(holds, reason):
    if not holds:
        raise Refused(reason)


class Limits(NamedTuple):
    """The limits of section 11, with the defaults of a receiver outside the browser."""

    target: int = 1 << 40
    groups: int = 1 << 16
    ops: int = 1 * MIB
    reach: int = 1 * MIB
    prefix: int = 8 * MIB
    learned: int = 1 * MIB
    window: int = 8 * MIB
    dense: int = 32 * MIB
    decisions: int = 32 * MIB
    substitution_ops: int = 64 * KIB
    substituted_copy: int = 64 * KIB
    tags: int = 1 << 22
    runs: int = 8 * MIB


DEFAULT_LIMITS = Limits()


class Reader:
    """Reads values from the front of bytes. If the bytes end too early, it refuses them for the reason `short`."""

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


def encode_varint(value):
    out = bytearray()
    while 0x80 <= value:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)
