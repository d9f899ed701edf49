"""Chunks and sections: protocol.md, section 5."""

import hashlib
from typing import NamedTuple

from .groups import blake3
from .wire import demand


class ChunkSize(NamedTuple):
    minimum: int
    average: int
    maximum: int
    mask_s: int
    mask_l: int


CHUNK_SIZES = {
    8: ChunkSize(64, 256, 1_024, 0x0000019000353000, 0x0000000018035100),
    9: ChunkSize(128, 512, 2_048, 0x0000590003530000, 0x0000001800035300),
    10: ChunkSize(256, 1_024, 4_096, 0x0000D90003530000, 0x0000019000353000),
    11: ChunkSize(512, 2_048, 8_192, 0x0000D90103530000, 0x0000590003530000),
    12: ChunkSize(1_024, 4_096, 16_384, 0x0000D90303530000, 0x0000D90003530000),
    13: ChunkSize(2_048, 8_192, 32_768, 0x0000D90313530000, 0x0000D90103530000),
    14: ChunkSize(4_096, 16_384, 65_536, 0x0000D90F03530000, 0x0000D90303530000),
    15: ChunkSize(8_192, 32_768, 131_072, 0x0000D90303537000, 0x0000D90313530000),
    16: ChunkSize(16_384, 65_536, 262_144, 0x0000D90703537000, 0x0000D90F03530000),
    17: ChunkSize(32_768, 131_072, 524_288, 0x0000D90707537000, 0x0000D90303537000),
}
GEAR = [int.from_bytes(hashlib.md5(bytes([i]) * 64).digest()[:8], "big") for i in range(256)]


def cut(data, size):
    """The length of the first chunk of `data`."""
    if len(data) <= size.minimum:
        return len(data)
    end = min(len(data), size.maximum)
    centre = min(end, size.average)
    even_end, even_centre = end - end % 2, centre - centre % 2
    value = 0
    for at in range(size.minimum, even_end):
        value = (value << 1) + GEAR[data[at]] & 0xFFFFFFFFFFFFFFFF
        mask = size.mask_s if at < even_centre else size.mask_l
        if value & mask == 0:
            return at
    return end


class Chunk(NamedTuple):
    data: bytes
    id: bytes


def chunks_of(data, size):
    """All chunks of `data`. `size` is log2 of the average length."""
    demand(size in CHUNK_SIZES, "bad-chunk-size")
    chunks, at, view = [], 0, memoryview(data)
    while at < len(data):
        length = cut(view[at : at + CHUNK_SIZES[size].maximum], CHUNK_SIZES[size])
        piece = data[at : at + length]
        chunks.append(Chunk(piece, blake3(piece)))
        at += length
    return chunks


def describe(data, sections, chunks, whole):
    """The pieces that describe `data`: the sections whose index is in `whole`, and the chunks of the others."""
    described = []
    for index, section in enumerate(chunks_of(data, sections)):
        described += [section] if index in whole else chunks_of(section.data, chunks)
    return described


def section_list(head, sections):
    """Two bytes of each section's id."""
    return b"".join(section.id[:2] for section in chunks_of(head, sections))
