"""Codec 1, zstd: protocol.md, section 4."""

from typing import NamedTuple

import zstandard

from .wire import KIB, MIB, Reader, Refused, demand


class Op(NamedTuple):
    gap: int
    start: int  # of the copy, in the basis
    copy_len: int


def decode_zstd_region(reader, span, basis, p, limits, target):
    """Appends the region to `target`; returns the basis position after the last copy."""
    reach = reader.varint()
    demand(reach <= limits.reach, "limit-reach")
    ops = decode_ops(reader, span, len(basis), p, limits)
    new_len = span - sum(op.copy_len for op in ops)
    tail = span - sum(op.gap + op.copy_len for op in ops)
    prefix = prefix_of(ops, reach, p, tail, basis, limits) if reach else b""
    gaps = Reader(decode_frame(reader, new_len, limits, prefix) if new_len else b"")
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
    plain = take_packed(reader, packed_len, ops_len, limits)
    fields = Reader(plain, short="bad-ops")
    count = fields.varint()
    demand(1 <= count and 3 * count <= fields.left(), "bad-ops")
    gaps = [fields.varint() for _ in range(count)]
    copy_lens = [fields.varint() for _ in range(count)]
    distances = [fields.zigzag() for _ in range(count)]
    fields.end("bad-ops")
    demand(min(copy_lens) != 0 and sum(gaps) + sum(copy_lens) <= span, "bad-ops")
    ops = []
    for gap, copy_len, distance in zip(gaps, copy_lens, distances, strict=True):
        start = p + gap + distance
        demand(0 <= start and start + copy_len <= basis_len, "copy-outside-basis")
        ops.append(Op(gap, start, copy_len))
        p = start + copy_len
    return ops


def take_packed(reader, packed_len, length, limits):
    """Reads bytes that are stored (`packed_len` is 0), or one frame."""
    if packed_len == 0:
        return reader.take(length)
    packed = Reader(reader.take(packed_len), short="bad-zstd")
    plain = decode_frame(packed, length, limits)
    packed.end("bad-zstd")
    return plain


def prefix_of(ops, reach, p, tail, basis, limits):
    """The prefix of the frame of gaps. `tail` is the length of the last gap."""
    ranges = []
    for gap, q, copy_len in [*ops, Op(tail, None, 0)]:
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
    demand(sum(end - start for start, end in union) <= limits.prefix, "limit-reference")
    return b"\0" + b"".join(basis[start:end] for start, end in union) if union else b""


def decode_frame(reader, length, limits, prefix=b""):
    """Reads one zstd frame, which must hold exactly `length` bytes."""
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
    """Finds the end of a frame by its block headers (RFC 8878). Returns the frame's bytes and reads no further."""
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
