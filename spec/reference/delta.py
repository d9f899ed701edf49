"""A delta's header and its regions: protocol.md, section 4."""

from typing import NamedTuple

from . import containers, dense, predicted, substitution
from .blake3_tree import pure_blake3
from .groups import group_count, group_len, group_value, merge, version
from .wire import DEFAULT_LIMITS, Reader, demand
from .zstd_region import decode_zstd_region


class Basis(NamedTuple):
    data: bytes
    basis_id: bytes
    version: bytes | None  # the version that the receiver named, if any


def basis_of(data):
    """The basis of a receiver that names the version of `data`."""
    return Basis(data, version(data)[:8], version(data))


EMPTY = Basis(b"", pure_blake3(b"")[:8], None)


class Header(NamedTuple):
    same: bool
    exponent: int
    target: bytes
    length: int
    chaining_values: list


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
    demand(reader.take(8) == basis.basis_id, "wrong-basis")
    groups = group_count(length, exponent)
    demand(groups <= limits.groups, "limit-groups")
    chaining_values = [reader.take(32) for _ in range(groups)]
    demand(not chaining_values or merge(chaining_values) == target, "bad-tree")
    return Header(same, exponent, target, length, chaining_values)


def decode_delta(delta, basis, limits=DEFAULT_LIMITS, pin=None):
    """Makes the target of `delta` from `basis` and verifies every byte of it."""
    reader = Reader(delta)
    target = read_delta(reader, basis, limits, pin)
    reader.end()
    return target


def read_delta(reader, basis, limits=DEFAULT_LIMITS, pin=None):
    """As `decode_delta`, for a delta that other bytes may follow."""
    header = decode_header(reader, basis, limits, pin)
    if header.same:
        return basis.data
    target = Target(header)
    read_regions(reader, header.length, basis.data, 0, limits, target)
    target.finish()
    return bytes(target.data)


def read_regions(reader, length, basis, depth, limits, target):
    """Appends `length` bytes to `target`. `depth` counts the regions of codec 4 around these."""
    p = 0
    while target.len() < length:
        byte = reader.u8()
        last, reserved, codec = byte >> 7, byte >> 6 & 1, byte & 0x3F
        demand(not reserved and codec <= 5, "bad-codec")
        left = length - target.len()
        span = left if last else reader.varint()
        demand(last or 1 <= span < left, "bad-span")
        if codec == 0:
            target.extend(reader.take(span))
        elif codec == 1:
            p = decode_zstd_region(reader, span, basis, p, limits, target)
        elif codec == 2:
            target.extend(dense.decode_dense_region(reader, span, basis, limits))
        elif codec == 3:
            p = substitution.decode_substitution_region(reader, span, basis, p, limits, target)
        elif codec == 5:
            p = predicted.decode_predicted_region(reader, span, basis, p, limits, target)
        else:

            def inside(reader, length, basis, depth):
                unpacked = Unverified()
                read_regions(reader, length, basis, depth, limits, unpacked)
                return bytes(unpacked.data)

            target.extend(containers.decode_containers_region(reader, span, basis, depth, limits, inside))


class Unverified:
    """Collects the bytes of an unpacked target."""

    def __init__(self):
        self.data = bytearray()

    def len(self):
        return len(self.data)

    def extend(self, piece):
        self.data += piece


class Target:
    """Collects the target's bytes. Verifies each group as soon as it is complete."""

    def __init__(self, header):
        self.header, self.data, self.verified = header, bytearray(), 0

    def len(self):
        return len(self.data)

    def extend(self, piece):
        self.data += piece
        size = group_len(self.header.exponent)
        while self.header.chaining_values and size <= len(self.data) - self.verified:
            self.verify(size)

    def finish(self):
        if not self.header.chaining_values:
            demand(version(bytes(self.data)) == self.header.target, "bad-group-hash")
        elif self.verified < len(self.data):
            self.verify(len(self.data) - self.verified)

    def verify(self, size):
        index = self.verified // group_len(self.header.exponent)
        group = bytes(self.data[self.verified : self.verified + size])
        demand(group_value(group, index, self.header.exponent) == self.header.chaining_values[index], "bad-group-hash")
        self.verified += size
