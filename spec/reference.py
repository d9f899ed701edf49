#!/usr/bin/env python3
"""A second implementation of the driblet protocol, written from protocol.md alone.

It decodes and it checks. Its first aim is to be read beside the document, its second to disagree with the first
implementation wherever that one departs from the text.

    python3 spec/reference.py patch OLD DELTA NEW
    python3 spec/reference.py check spec/vectors.json
"""

import hashlib
import json
import sys
from typing import NamedTuple

import zstandard

import dense
import substitution
from blake3_tree import IV, PARENT, ROOT, compress, left_half, pure_blake3, subtree, to_bytes

try:
    from blake3 import blake3 as native_blake3  # the same function, faster
except ImportError:
    native_blake3 = None

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
    followed_ops: int = 64 * KIB
    followed: int = 64 * KIB
    tags: int = 1 << 22
    runs: int = 8 * MIB


# --- Section 2: notation ----------------------------------------------------------------------------------------------


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


def encode_varint(value):
    out = bytearray()
    while 0x80 <= value:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


# BLAKE3 is in blake3_tree.py.


def blake3(data):
    return native_blake3(data).digest() if native_blake3 else pure_blake3(data)


# --- Section 3: versions and groups -----------------------------------------------------------------------------------


def version(data):
    return blake3(data)


def group_len(exponent):
    return 1 << 18 + exponent


def group_count(length, exponent):
    return 0 if length <= group_len(exponent) else -(-length // group_len(exponent))


def group_value(data, index, exponent):
    """The chaining value of the group with this index."""
    return to_bytes(subtree(data, index * group_len(exponent) // 1024))


def merge(values, root=ROOT):
    """The groups' chaining values, merged up BLAKE3's tree: the version."""
    if len(values) == 1:
        return values[0]
    half = left_half(len(values))
    left, right = merge(values[:half], 0), merge(values[half:], 0)
    return to_bytes(compress(IV, left + right, 0, PARENT | root))


# --- Section 4: the delta ---------------------------------------------------------------------------------------------


class Basis(NamedTuple):
    data: bytes
    check: bytes
    version: bytes | None  # the version that was named, if any


def basis_of(data):
    """The basis of a receiver that names the version of `data`."""
    return Basis(data, version(data)[:8], version(data))


EMPTY = Basis(b"", pure_blake3(b"")[:8], None)


class Header(NamedTuple):
    same: bool
    exponent: int
    target: bytes
    length: int
    values: list  # chaining values


def decode_header(reader, basis, limits, pin=None):
    demand(reader.u8() == 0xDB, "bad-magic")
    byte = reader.u8()
    demand(byte >> 4 == 1, "bad-format")
    same, exponent = bool(byte & 8), byte & 7
    demand(exponent <= 6, "bad-group")
    target = reader.take(32)
    demand(pin in (None, target), "wrong-target")
    length = reader.varint()
    demand(length <= min(limits.target, (1 << 53) - 1), "limit-target")
    if same:
        demand(basis.version == target and len(basis.data) == length, "unexpected-same")
        return Header(same, exponent, target, length, [])
    demand(reader.take(8) == basis.check, "wrong-basis")
    groups = group_count(length, exponent)
    demand(groups <= limits.groups, "limit-groups")
    values = [reader.take(32) for _ in range(groups)]
    demand(not values or merge(values) == target, "bad-tree")
    return Header(same, exponent, target, length, values)


def decode_delta(delta, basis, limits=Limits(), pin=None):
    """The target that `delta` makes of `basis`, every byte of it verified."""
    reader = Reader(delta)
    header = decode_header(reader, basis, limits, pin)
    if header.same:
        reader.end()
        return basis.data
    target = Target(header)
    p = 0
    while target.len() < header.length:
        byte = reader.u8()
        last, reserved, codec = byte >> 7, byte >> 6 & 1, byte & 0x3F
        demand(not reserved and codec <= 3, "bad-codec")
        left = header.length - target.len()
        span = left if last else reader.varint()
        demand(last or 1 <= span < left, "bad-span")
        if codec == 0:
            target.extend(reader.take(span))
        elif codec == 1:
            p = decode_zstd_region(reader, span, basis.data, p, limits, target)
        elif codec == 2:
            target.extend(decode_dense_region(reader, span, basis.data, limits))
        else:
            p = decode_renames_region(reader, span, basis.data, p, limits, target)
    target.finish()
    reader.end()
    return bytes(target.data)


class Target:
    """Collects the target's bytes and verifies each group as soon as it is whole."""

    def __init__(self, header):
        self.header, self.data, self.verified = header, bytearray(), 0

    def len(self):
        return len(self.data)

    def extend(self, piece):
        self.data += piece
        size = group_len(self.header.exponent)
        while self.header.values and size <= len(self.data) - self.verified:
            self.verify(size)

    def finish(self):
        if not self.header.values:
            demand(version(bytes(self.data)) == self.header.target, "bad-group-hash")
        elif self.verified < len(self.data):
            self.verify(len(self.data) - self.verified)

    def verify(self, size):
        index = self.verified // group_len(self.header.exponent)
        group = bytes(self.data[self.verified : self.verified + size])
        demand(group_value(group, index, self.header.exponent) == self.header.values[index], "bad-group-hash")
        self.verified += size


# --- Section 4: codec 1, zstd -----------------------------------------------------------------------------------------


class Op(NamedTuple):
    gap: int
    start: int  # of the copy, in the basis
    copy_len: int


def decode_zstd_region(reader, span, basis, p, limits, target):
    """Appends the region to `target`; returns the basis position after the last copy."""
    reach = reader.varint()
    demand(reach <= limits.reach, "limit-reach")
    ops = decode_ops(reader, span, len(basis), p, limits)
    fresh = span - sum(op.copy_len for op in ops)
    prefix = reference(ops, span, reach, p, basis, limits) if reach else b""
    gaps = Reader(decode_frame(reader, fresh, limits, prefix) if fresh else b"")
    for op in ops:
        target.extend(gaps.take(op.gap))
        target.extend(basis[op.start : op.start + op.copy_len])
        p = op.start + op.copy_len
    target.extend(gaps.take(gaps.left()))
    return p


def decode_ops(reader, span, basis_len, p, limits):
    ops_len = reader.varint()
    demand(ops_len <= limits.ops, "limit-ops")
    if ops_len == 0:
        return []
    packed_len = reader.varint()
    demand(packed_len < ops_len, "bad-ops")
    if packed_len == 0:
        plain = reader.take(ops_len)
    else:
        packed = Reader(reader.take(packed_len), short="bad-zstd")
        plain = decode_frame(packed, ops_len, limits)
        packed.end("bad-zstd")
    fields = Reader(plain, short="bad-ops")
    count = fields.varint()
    demand(1 <= count and 3 * count <= fields.left(), "bad-ops")
    gaps = [fields.varint() for _ in range(count)]
    copy_lens = [fields.varint() for _ in range(count)]
    shifts = [fields.zigzag() for _ in range(count)]
    fields.end("bad-ops")
    demand(min(copy_lens) != 0 and sum(gaps) + sum(copy_lens) <= span, "bad-ops")
    ops = []
    for gap, copy_len, shift in zip(gaps, copy_lens, shifts):
        start = p + gap + shift
        demand(0 <= start and start + copy_len <= basis_len, "copy-outside-basis")
        ops.append(Op(gap, start, copy_len))
        p = start + copy_len
    return ops


def reference(ops, span, reach, p, basis, limits, tail=None):
    """The prefix under which a region's gaps were compressed."""
    rest = span - sum(op.gap + op.copy_len for op in ops) if tail is None else tail
    ranges = []
    for gap, q, copy_len in [*ops, Op(rest, None, 0)]:
        if 0 < gap:
            w = reach + min(gap, 64 * KIB)
            ranges += [(max(at - w, 0), min(at + w, len(basis))) for at in (p, q) if at is not None]
        if q is not None:
            p = q + copy_len
    union = []
    for start, end in sorted(r for r in ranges if r[0] < r[1]):
        if union and start <= union[-1][1]:
            union[-1][1] = max(union[-1][1], end)
        else:
            union.append([start, end])
    demand(sum(end - start for start, end in union) <= limits.reference, "limit-reference")
    return b"\0" + b"".join(basis[start:end] for start, end in union) if union else b""


def decode_frame(reader, length, limits, prefix=b""):
    """Takes one zstd frame, which must hold exactly `length` bytes."""
    frame = take_frame(reader, length, limits)
    dictionary = None
    if prefix:
        dictionary = zstandard.ZstdCompressionDict(prefix, dict_type=zstandard.DICT_TYPE_RAWCONTENT)
    plain = bytearray()
    try:
        stream = zstandard.ZstdDecompressor(dict_data=dictionary, max_window_size=8 * MIB).stream_reader(frame)
        while piece := stream.read(MIB):
            plain += piece
            demand(len(plain) <= length, "bad-zstd")
    except zstandard.ZstdError:
        raise Refused("bad-zstd") from None
    demand(len(plain) == length, "bad-zstd")
    return bytes(plain)


def take_frame(reader, length, limits):
    """Walks over a frame as RFC 8878 lays it out: its bytes, up to its end and no further."""
    start = reader.at
    demand(reader.take(4) == b"\x28\xb5\x2f\xfd", "bad-zstd")
    descriptor = reader.u8()
    single_segment, checksum = descriptor >> 5 & 1, descriptor >> 2 & 1
    demand(descriptor & 0b1000 == 0, "bad-zstd")
    demand(descriptor & 0b11 == 0, "bad-zstd")  # a dictionary id
    if not single_segment:
        byte = reader.u8()
        base = 1 << 10 + (byte >> 3)
        window = base + base // 8 * (byte & 7)
    size_len = (single_segment, 2, 4, 8)[descriptor >> 6]
    size = int.from_bytes(reader.take(size_len), "little") + (256 if size_len == 2 else 0)
    demand((size if single_segment else window) <= limits.window, "limit-window")
    demand(size_len == 0 or size == length, "bad-zstd")
    last = False
    while not last:
        header = int.from_bytes(reader.take(3), "little")
        last, kind, block_len = bool(header & 1), header >> 1 & 3, header >> 3
        demand(kind != 3, "bad-zstd")
        reader.take(1 if kind == 1 else block_len)  # kind 1 repeats one byte
    reader.take(4 * checksum)
    return reader.data[start : reader.at]


# --- Section 4: codec 2, dense ----------------------------------------------------------------------------------------


def decode_dense_region(reader, span, basis, limits):
    """The region; its model is in dense.py."""
    demand(span <= limits.dense, "limit-span")
    shape = reader.varint()
    start, length = 0, len(basis)
    if shape & 2:
        start, length = reader.varint(), reader.varint()
        demand(start + length <= len(basis), "copy-outside-basis")
    demand(length <= limits.dense, "limit-dense-window")
    demand(shape >> 2 <= 13, "bad-dense")
    packed_len = reader.varint()
    demand(packed_len <= limits.dense, "limit-packed")
    packed = reader.take(packed_len)
    try:
        region, is_spent = dense.decode_dense(basis[start : start + length], span, shape & 1, shape >> 2, packed)
    except (dense.OutsideWindow, dense.Overdrawn):
        raise Refused("bad-dense") from None
    demand(is_spent, "bad-dense")
    return region


# --- Section 4: codec 3, renames --------------------------------------------------------------------------------------


def decode_renames_region(reader, span, basis, p, limits, target):
    """Appends the region to `target`; returns the basis position after the last copy. Its model is in substitution.py."""
    shape = reader.varint()
    demand(shape <= 1, "bad-renames")
    reach = reader.varint()
    demand(reach <= limits.reach, "limit-reach")
    decisions_len = reader.varint()
    demand(decisions_len <= limits.dense, "limit-packed")
    model = substitution.Renames(bool(shape), reader.take(decisions_len))
    ops, tail = decode_followed_ops(model, span, len(basis), p, limits)
    followed = [basis[op.start : op.start + op.copy_len] for op, is_followed in ops if is_followed]
    fresh = sum(op.gap for op, _ in ops) + tail + sum(substitution.differences_of(data, model.words) for data in followed)
    plain = [op for op, _ in ops]
    prefix = reference(plain, span, reach, p, basis, limits, tail) if reach else b""
    has_frame = fresh or (followed and not model.words)
    gaps = Reader(decode_frame(reader, fresh, limits, prefix) if has_frame else b"")
    region = bytearray()
    for op, is_followed in ops:
        region += gaps.take(op.gap)
        data = basis[op.start : op.start + op.copy_len]
        if is_followed:
            differences = iter(gaps.take(substitution.differences_of(data, model.words)))
            try:
                data = model.follow(data, differences)
            except substitution.NoLetters:
                raise Refused("bad-renames") from None
            demand(not model.is_overdrawn(), "bad-renames")
        region += data
        demand(len(region) <= span, "bad-ops")
        p = op.start + op.copy_len
    region += gaps.take(gaps.left())
    demand(len(region) == span, "bad-ops")
    demand(model.is_spent(), "bad-renames")
    target.extend(region)
    return p


def decode_followed_ops(model, span, basis_len, p, limits):
    count = model.ops.count()
    demand(count <= limits.followed_ops, "limit-followed-ops")
    ops, left = [], span
    for _ in range(count):
        gap, distance, followed, length = model.ops.read()
        left -= gap if followed else gap + length
        demand(0 <= left, "bad-ops")
        start = p + gap + distance
        demand(0 <= start and start + length <= basis_len, "copy-outside-basis")
        demand(not followed or length <= limits.followed, "limit-followed")
        ops.append((Op(gap, start, length), followed))
        p = start + length
    tail = model.ops.tail()
    demand(tail <= left and not model.is_overdrawn(), "bad-ops")
    return ops, tail


# --- Section 5: chunks and the ladder ---------------------------------------------------------------------------------


class Rung(NamedTuple):
    minimum: int
    average: int
    maximum: int
    mask_s: int
    mask_l: int


CHUNK_SIZES = {
    8: Rung(64, 256, 1_024, 0x0000019000353000, 0x0000000018035100),
    9: Rung(128, 512, 2_048, 0x0000590003530000, 0x0000001800035300),
    10: Rung(256, 1_024, 4_096, 0x0000D90003530000, 0x0000019000353000),
    11: Rung(512, 2_048, 8_192, 0x0000D90103530000, 0x0000590003530000),
    12: Rung(1_024, 4_096, 16_384, 0x0000D90303530000, 0x0000D90003530000),
    13: Rung(2_048, 8_192, 32_768, 0x0000D90313530000, 0x0000D90103530000),
    14: Rung(4_096, 16_384, 65_536, 0x0000D90F03530000, 0x0000D90303530000),
    15: Rung(8_192, 32_768, 131_072, 0x0000D90303537000, 0x0000D90313530000),
    16: Rung(16_384, 65_536, 262_144, 0x0000D90703537000, 0x0000D90F03530000),
    17: Rung(32_768, 131_072, 524_288, 0x0000D90707537000, 0x0000D90303537000),
}
GEAR = [int.from_bytes(hashlib.md5(bytes([i]) * 64).digest()[:8], "big") for i in range(256)]


def cut(data, size):
    """The length of the chunk that `data` begins with."""
    if len(data) <= size.minimum:
        return len(data)
    end = min(len(data), size.maximum)
    centre = min(end, size.average)
    value = 0
    for first, stop, mask in (
        (size.minimum, centre - centre % 2, size.mask_s),
        (max(size.minimum, centre - centre % 2), end - end % 2, size.mask_l),
    ):
        for at in range(first, stop):
            value = (value << 1) + GEAR[data[at]] & 0xFFFFFFFFFFFFFFFF
            if value & mask == 0:
                return at
    return end


class Chunk(NamedTuple):
    data: bytes
    id: bytes


def chunks_of(data, size):
    """All chunks of `data` at the size named by log2 of its average."""
    demand(size in CHUNK_SIZES, "bad-chunk-size")
    chunks, at, view = [], 0, memoryview(data)
    while at < len(data):
        length = cut(view[at : at + CHUNK_SIZES[size].maximum], CHUNK_SIZES[size])
        piece = data[at : at + length]
        chunks.append(Chunk(piece, blake3(piece)))
        at += length
    return chunks


def describe(data, sections, chunks, whole):
    """What is signed of `data`: the sections with an index in `whole` as they are, the others cut into chunks."""
    described = []
    for index, section in enumerate(chunks_of(data, sections)):
        described += [section] if index in whole else chunks_of(section.data, chunks)
    return described


def list_of(head, sections):
    """The list of a head's sections."""
    return b"".join(section.id[:2] for section in chunks_of(head, sections))


# --- Section 6: the signature -----------------------------------------------------------------------------------------


class Signature(NamedTuple):
    nonce: bytes
    bits: int
    tags: list


def tag_of(chunk_id, nonce, bits):
    keyed = pure_blake3(chunk_id, key=nonce + bytes(16))
    return int.from_bytes(keyed[:8], "little") & (1 << bits) - 1


def bits_for(count):
    return min(max(max(count - 1, 0).bit_length() + 8, 20), 64)


def sign(described, nonce):
    """Signs what `describe` gave."""
    bits = bits_for(len(described))
    return Signature(nonce, bits, [tag_of(chunk.id, nonce, bits) for chunk in described])


def encode_signature(signature):
    packed = sum(tag << i * signature.bits for i, tag in enumerate(signature.tags))
    length = -(-len(signature.tags) * signature.bits // 8)
    head = signature.nonce + bytes([signature.bits]) + encode_varint(len(signature.tags))
    return head + packed.to_bytes(length, "little")


def decode_signature(data, limits=Limits()):
    reader = Reader(data)
    nonce, bits = reader.take(16), reader.u8()
    demand(8 <= bits <= 64, "bad-bits")
    count = reader.varint()
    demand(count <= limits.tags, "limit-tags")
    packed = reader.take(-(-count * bits // 8))
    reader.end()
    tags = []
    for first in range(0, count * bits, bits):
        around = int.from_bytes(packed[first // 8 : -(-(first + bits) // 8)], "little")
        tags.append(around >> first % 8 & (1 << bits) - 1)
    used = count * bits % 8
    demand(used == 0 or packed[-1] >> used == 0, "bad-padding")
    return Signature(nonce, bits, tags)


# --- Section 7: the matched answer ------------------------------------------------------------------------------------


def decode_runs(reader, count, limits=Limits()):
    """Takes `runs_len ‖ runs`: for each tag, whether it is that of a chunk of the head."""
    runs_len = reader.varint()
    demand(runs_len <= limits.runs, "limit-runs")
    runs = Reader(reader.take(runs_len), short="bad-runs")
    matched, bits = False, []
    while runs.left():
        first = runs.at == 0
        run = runs.varint()
        demand((first or run != 0) and len(bits) + run <= count, "bad-runs")
        bits += [matched] * run
        matched = not matched
    demand(len(bits) == count, "bad-runs")
    return bits


def matched_basis(described, matched):
    """The matched chunks, in their order."""
    chunks = [chunk for chunk, is_matched in zip(described, matched) if is_matched]
    ids = b"".join(chunk.id for chunk in chunks)
    return Basis(b"".join(chunk.data for chunk in chunks), blake3(ids)[:8], None)


def decode_matched(answer, described, limits=Limits(), pin=None):
    """The target that a matched answer makes of what was described and signed."""
    reader = Reader(answer)
    matched = decode_runs(reader, len(described), limits)
    return decode_delta(answer[reader.at :], matched_basis(described, matched), limits, pin)


# --- Section 13: reserved ---------------------------------------------------------------------------------------------


def refuse_manifest(data):
    demand(data[:1] != b"\xda", "reserved")


# --- Command line -----------------------------------------------------------------------------------------------------


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
            from check_vectors import check

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
