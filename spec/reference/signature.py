"""The signature and the matched answer: protocol.md, sections 6 and 7."""

from typing import NamedTuple

from .blake3_tree import pure_blake3
from .delta import Basis, decode_delta
from .groups import blake3
from .wire import DEFAULT_LIMITS, Reader, demand, encode_varint


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
    """Signs the pieces that `describe` returned."""
    bits = bits_for(len(described))
    return Signature(nonce, bits, [tag_of(chunk.id, nonce, bits) for chunk in described])


def encode_signature(signature):
    packed = sum(tag << i * signature.bits for i, tag in enumerate(signature.tags))
    length = -(-len(signature.tags) * signature.bits // 8)
    head = signature.nonce + bytes([signature.bits]) + encode_varint(len(signature.tags))
    return head + packed.to_bytes(length, "little")


def decode_signature(data, limits=DEFAULT_LIMITS):
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


def decode_runs(reader, count, limits=DEFAULT_LIMITS):
    """Reads runs_len and the runs. Returns for each tag whether it matched."""
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
    """The basis that the matched pieces make, in their order."""
    chunks = [chunk for chunk, is_matched in zip(described, matched, strict=True) if is_matched]
    ids = b"".join(chunk.id for chunk in chunks)
    return Basis(b"".join(chunk.data for chunk in chunks), blake3(ids)[:8], None)


def decode_matched(answer, described, limits=DEFAULT_LIMITS, pin=None):
    """Makes the target from a matched answer and the pieces that were signed."""
    reader = Reader(answer)
    matched = decode_runs(reader, len(described), limits)
    return decode_delta(answer[reader.at :], matched_basis(described, matched), limits, pin)
