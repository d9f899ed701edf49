"""Codec 4, containers: containers.md."""

import base64
import binascii
import re
import zlib
from typing import NamedTuple

from .wire import MIB, Reader, Refused, demand, encode_varint
from .zstd_region import take_packed

UNPACKED = 64 * MIB
STREAMS = 1 << 16
LISTS = MIB
DEPTH = 2
BAD = "bad-containers"
TEXTS = (4, 8, 12, 20, 24, 28)


class Stream(NamedTuple):
    gap: int
    len: int
    form: int
    content_len: int
    plain_len: int | None


def decode_containers_region(reader, span, basis, depth, limits, read_regions):
    """Returns the region's bytes. `read_regions(reader, length, basis, depth)` reads the regions inside."""
    demand(depth < DEPTH, BAD)
    demand(max(span, len(basis)) <= UNPACKED, "limit-unpacked")
    lists_len = reader.varint()
    demand(lists_len <= LISTS, "limit-stream-lists")
    packed_len = reader.varint()
    demand(packed_len == 0 or packed_len < lists_len, BAD)
    lists = Reader(take_packed(reader, packed_len, lists_len, limits), short=BAD)
    of_basis, basis_len = read_streams(lists, len(basis), is_target=False)
    of_target, target_len = read_streams(lists, span, is_target=True)
    lists.end(BAD)
    unpacked = unpack_file(basis, of_basis)
    demand(len(unpacked) == basis_len, BAD)
    return pack_file(read_regions(reader, target_len, unpacked, depth + 1), of_target)


def read_streams(reader, length, is_target):
    """The streams of a file, and its unpacked length."""
    count = reader.varint()
    demand(count <= STREAMS, "limit-streams")
    streams, left, unpacked = [], length, 0
    for _ in range(count):
        gap, packed, form, content_len = (reader.varint() for _ in range(4))
        plain_len = None
        if form == 3:
            plain_len = reader.varint()
            demand(plain_len <= UNPACKED, "limit-unpacked")
        level, bits = form >> 2 & 15, 15 - (form >> 6)
        is_deflate = form & 3 == 2
        demand(form in (0, 1, 2, 3) or form in TEXTS or (is_deflate and 1 <= level <= 9 and 9 <= bits <= 15), BAD)
        demand(not is_deflate or (form != 2) == is_target, BAD)
        demand(packed != 0 and gap + packed <= left, BAD)
        left -= gap + packed
        unpacked += gap + content_len
        demand(max(content_len, unpacked) <= UNPACKED, "limit-unpacked")
        streams.append(Stream(gap, packed, form, content_len, plain_len))
    demand(unpacked + left <= UNPACKED, "limit-unpacked")
    return streams, unpacked + left


def unpack_file(data, streams):
    return replaced(data, [(stream, stream.len, stream.content_len) for stream in streams], unpack)


def pack_file(data, streams):
    return replaced(data, [(stream, stream.content_len, stream.len) for stream in streams], pack)


def replaced(data, parts, convert):
    """The data with each stream converted. A part is a stream, its length in the data, and the length that it gets."""
    out, at = bytearray(), 0
    for stream, length, made_len in parts:
        start = at + stream.gap
        out += data[at:start]
        at = start + length
        made = convert(data[start:at], stream)
        demand(len(made) == made_len, BAD)
        out += made
    return bytes(out + data[at:])


def unpack(packed, stream):
    if stream.form <= 1:
        return decode_base64(packed, stream)
    if stream.form == 3:
        return read_symbols(packed, stream.plain_len)
    if stream.form in TEXTS:
        return decode_text(packed, stream)
    inflater = zlib.decompressobj(-15)
    try:
        plain = inflater.decompress(packed, stream.content_len + 1)
    except zlib.error:
        raise Refused(BAD) from None
    demand(inflater.eof and not inflater.unused_data, BAD)
    return plain


def pack(content, stream):
    if stream.form <= 1:
        return encode_base64(content, stream)
    if stream.form == 3:
        return write_symbols(content, stream.plain_len)
    if stream.form in TEXTS:
        return encode_text(content, stream)
    deflater = zlib.compressobj(stream.form >> 2 & 15, zlib.DEFLATED, -(15 - (stream.form >> 6)), 8)
    return deflater.compress(content) + deflater.flush()


def encode_base64(content, stream):
    text = base64.urlsafe_b64encode(content) if stream.form == 1 else base64.b64encode(content)
    return text if stream.len == len(text) else text.rstrip(b"=")


def decode_base64(packed, stream):
    padded = packed + b"=" * (-len(packed) % 4)
    try:
        content = base64.b64decode(padded, altchars=b"-_" if stream.form == 1 else None, validate=True)
    except binascii.Error:
        raise Refused(BAD) from None
    # The one way to write it, with or without padding.
    demand(encode_base64(content, stream) == packed, BAD)
    return content


def escapes(stream):
    letters = {"\n": "n", "\r": "r", "\\": "\\"}
    if stream.form & 4:
        letters['"'] = '"'
    if stream.form & 8:
        letters["'"] = "'"
    return letters


def encode_text(content, stream):
    letters, shifted = escapes(stream), stream.form >> 4
    characters = [chr(byte + shifted) for byte in content]
    return "".join("\\" + letters[each] if each in letters else each for each in characters).encode()


def decode_text(packed, stream):
    characters = {"\\" + letter: each for each, letter in escapes(stream).items()}
    try:
        pieces = re.findall(r"(?s)\\.|[^\\]", packed.decode())
        numbers = [ord(characters.get(piece, piece)) - (stream.form >> 4) for piece in pieces]
        content = bytes(numbers)
    except (UnicodeDecodeError, TypeError, ValueError):
        raise Refused(BAD) from None
    # The one way to write it.
    demand(encode_text(content, stream) == packed, BAD)
    return content


ORDER = (16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15)
LENGTH_BITS = (0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5)
DISTANCE_BITS = (0, 0, 0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 8, 9, 9, 10, 10, 11, 11, 12, 12, 13, 13)
REPEATS = {16: (2, 3), 17: (3, 3), 18: (7, 11)}
FIXED = ([8] * 144 + [9] * 112 + [7] * 24 + [8] * 8, [5] * 30)
END = 256


def with_extra_bits(bits, first):
    table = []
    for each in bits:
        table.append((first, each))
        first += 1 << each
    return table


LENGTHS = [*with_extra_bits(LENGTH_BITS, 3), (258, 0)]
DISTANCES = with_extra_bits(DISTANCE_BITS, 1)


def words_of(lens):
    """The words of a code, as RFC 1951 (3.2.2) assigns them: symbol -> (word, length)."""
    words, word = {}, 0
    for length in range(1, 16):
        word <<= 1
        for symbol, each in enumerate(lens):
            if each == length:
                demand(word < 1 << length, BAD)
                words[symbol] = (word, length)
                word += 1
    return words


class BitReader:
    def __init__(self, data):
        self.data, self.at = data, 0  # the position in bits

    def bit(self):
        demand(self.at < 8 * len(self.data), BAD)
        bit = self.data[self.at >> 3] >> (self.at & 7) & 1
        self.at += 1
        return bit

    def take(self, count):
        return sum(self.bit() << place for place in range(count))

    def symbol(self, symbols):
        word = 0
        for length in range(1, 16):
            word = word << 1 | self.bit()
            if (word, length) in symbols:
                return symbols[word, length]
        raise Refused(BAD)

    def to_byte(self):
        demand(self.take(-self.at % 8) == 0, BAD)

    def bytes(self, count):
        start = self.at >> 3
        demand(start + count <= len(self.data), BAD)
        self.at += 8 * count
        return self.data[start : start + count]


class BitWriter:
    def __init__(self):
        self.bits = []

    def put(self, value, count):
        self.bits += [value >> place & 1 for place in range(count)]

    def symbol(self, words, symbol):
        demand(symbol in words, BAD)
        word, length = words[symbol]
        self.bits += [word >> place & 1 for place in reversed(range(length))]

    def to_byte(self):
        self.put(0, -len(self.bits) % 8)

    def done(self):
        self.to_byte()
        eights = (self.bits[at : at + 8] for at in range(0, len(self.bits), 8))
        return bytes(sum(bit << place for place, bit in enumerate(eight)) for eight in eights)


def read_symbols(packed, plain_len):
    """The content of a stream in form 3."""
    reader, plain, blocks, matches = BitReader(packed), bytearray(), bytearray(), bytearray()
    literals, last = 0, False
    while not last:
        last, kind = bool(reader.bit()), reader.take(2)
        demand(kind <= 2, BAD)
        blocks.append(kind << 1 | last)
        if kind == 0:
            reader.to_byte()
            length, other = reader.take(16), reader.take(16)
            demand(length ^ other == 0xFFFF, BAD)
            plain += reader.bytes(length)
            blocks += encode_varint(length)
            continue
        lens = FIXED if kind == 1 else read_codes(reader, blocks)
        of_literals, of_distances = ({word: symbol for symbol, word in words_of(each).items()} for each in lens)
        count = 0
        while (symbol := reader.symbol(of_literals)) != END:
            count += 1
            if symbol < END:
                plain.append(symbol)
                literals += 1
                continue
            demand(symbol - END - 1 < len(LENGTHS), BAD)
            least, bits = LENGTHS[symbol - END - 1]
            length = least + reader.take(bits)
            demand(length != 258 or symbol == 285, BAD)
            symbol = reader.symbol(of_distances)
            demand(symbol < len(DISTANCES), BAD)
            least, bits = DISTANCES[symbol]
            distance = least + reader.take(bits)
            demand(distance <= len(plain), BAD)
            for _ in range(length):
                plain.append(plain[-distance])
            demand(len(plain) <= plain_len, BAD)
            matches += encode_varint(literals) + bytes([length - 3]) + (distance - 1).to_bytes(2, "little")
            literals = 0
        blocks += encode_varint(count)
    reader.to_byte()
    demand(reader.at == 8 * len(packed) and len(plain) == plain_len, BAD)
    return bytes(plain + blocks + matches) + encode_varint(literals)


def read_codes(reader, blocks):
    literals, distances, count = reader.take(5), reader.take(5), reader.take(4)
    blocks += bytes([literals, distances, count])
    lens = [0] * 19
    for place in ORDER[: count + 4]:
        lens[place] = reader.take(3)
        blocks.append(lens[place])
    symbols = {word: symbol for symbol, word in words_of(lens).items()}
    total, lens = literals + 257 + distances + 1, []
    while len(lens) < total:
        symbol = reader.symbol(symbols)
        blocks.append(symbol)
        times = None
        if symbol in REPEATS:
            times = reader.take(REPEATS[symbol][0])
            blocks.append(times)
        repeat(lens, symbol, times)
    demand(len(lens) == total, BAD)
    return lens[: literals + 257], lens[literals + 257 :]


def repeat(lens, symbol, times):
    if symbol not in REPEATS:
        demand(symbol < 16, BAD)
        lens.append(symbol)
        return
    bits, least = REPEATS[symbol]
    demand(times < 1 << bits and (symbol != 16 or lens), BAD)
    lens += [lens[-1] if symbol == 16 else 0] * (times + least)


def write_symbols(content, plain_len):
    """The stream in form 3 that has this content."""
    demand(plain_len <= len(content), BAD)
    plain = Reader(content[:plain_len], short=BAD)
    matches = Reader(content[plain_len:], short=BAD)
    blocks = read_blocks(matches)
    writer, run = BitWriter(), None
    for last, kind, codes, count in blocks:
        writer.put(kind << 1 | last, 3)
        if kind == 0:
            demand(count < 1 << 16, BAD)
            writer.to_byte()
            writer.put(count | (count ^ 0xFFFF) << 16, 32)
            for byte in plain.take(count):
                writer.put(byte, 8)
            continue
        lens = FIXED if kind == 1 else write_codes(writer, codes)
        of_literals, of_distances = (words_of(each) for each in lens)
        for _ in range(count):
            run = matches.varint() if run is None else run
            if run:
                run -= 1
                writer.symbol(of_literals, plain.u8())
                continue
            run = None
            length, distance = matches.u8() + 3, int.from_bytes(matches.take(2), "little") + 1
            plain.take(length)
            for table, number, words, first in (
                (LENGTHS, length, of_literals, END + 1),
                (DISTANCES, distance, of_distances, 0),
            ):
                index = max(at for at, (least, _) in enumerate(table) if least <= number)
                least, bits = table[index]
                demand(number - least < 1 << bits, BAD)
                writer.symbol(words, first + index)
                writer.put(number - least, bits)
        writer.symbol(of_literals, END)
    run = matches.varint() if run is None else run
    demand(run == 0, BAD)
    matches.end(BAD)
    plain.end(BAD)
    return writer.done()


def read_blocks(reader):
    blocks, last = [], False
    while not last:
        byte = reader.u8()
        kind, last = byte >> 1, bool(byte & 1)
        demand(kind <= 2, BAD)
        codes = parse_codes(reader) if kind == 2 else None
        blocks.append((last, kind, codes, reader.varint()))
    return blocks


def parse_codes(reader):
    literals, distances, count = reader.take(3)
    demand(literals < 32 and distances < 32 and count < 16, BAD)
    code_lens = list(reader.take(count + 4))
    demand(max(code_lens) < 8, BAD)
    total, lens, symbols = literals + 257 + distances + 1, [], []
    while len(lens) < total:
        symbol = reader.u8()
        times = reader.u8() if symbol in REPEATS else None
        repeat(lens, symbol, times)
        symbols.append((symbol, times))
    demand(len(lens) == total, BAD)
    return literals, distances, code_lens, symbols, lens


def write_codes(writer, codes):
    literals, distances, code_lens, symbols, lens = codes
    writer.put(literals, 5)
    writer.put(distances, 5)
    writer.put(len(code_lens) - 4, 4)
    all_lens = [0] * 19
    for place, length in zip(ORDER, code_lens, strict=False):
        writer.put(length, 3)
        all_lens[place] = length
    words = words_of(all_lens)
    for symbol, times in symbols:
        writer.symbol(words, symbol)
        if symbol in REPEATS:
            writer.put(times, REPEATS[symbol][0])
    return lens[: literals + 257], lens[literals + 257 :]
