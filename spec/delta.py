"""A delta's header and its regions: protocol.md, section 4."""

from typing import NamedTuple

import dense
import substitution
from blake3_tree import pure_blake3
from groups import group_count, group_len, group_value, merge, version
from wire import Limits, Reader, Refused, demand
from zstd_region import Op, decode_frame, decode_zstd_region, reference


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
