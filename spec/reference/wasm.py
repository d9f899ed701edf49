"""What the dense codec knows of WebAssembly: modules.md, with the same names. Parts, the reader and numbers."""

from copy import deepcopy

from .decisions import M32

(
    OUTSIDE, WITHIN, OPAQUE, SECTION_ID, LEN, COUNT, LOCAL_TYPE, OPCODE, SUB_OPCODE, BLOCK_TYPE, LABEL, LABEL_COUNT,
    INDEX, ALIGN, RAW, DATA_END, LOCAL, TYPE, FUNCTION, GLOBAL, OFFSET, DATA, CONSTANT, LONG_CONSTANT,
) = range(24)  # fmt: skip
PARTS = 24
MAGIC = b"\0asm\1\0\0\0"
ELEMENTS, CODE, DATA_SECTION, LAST_SECTION = 9, 10, 11, 13
END, BRANCH_TABLE = 0x0B, 0x0E
MAX_NUMBER = 10
M64 = (1 << 64) - 1
LONG_TYPES = b"\x63\x64"  # another byte of the type follows these

# Opcodes, from the first to the last of each range, and their operands.
OPERANDS = [
    (0x02, 0x04, (BLOCK_TYPE,)),
    (0x06, 0x06, (BLOCK_TYPE,)),
    (0x07, 0x08, (INDEX,)),
    (0x09, 0x09, (LABEL,)),
    (0x0C, 0x0D, (LABEL,)),
    (0x0E, 0x0E, (LABEL_COUNT,)),
    (0x10, 0x10, (FUNCTION,)),
    (0x11, 0x11, (TYPE, INDEX)),
    (0x12, 0x12, (FUNCTION,)),
    (0x13, 0x13, (TYPE, INDEX)),
    (0x14, 0x15, (TYPE,)),
    (0x18, 0x18, (LABEL,)),
    (0x1C, 0x1C, (INDEX, INDEX)),
    (0x20, 0x22, (LOCAL,)),
    (0x23, 0x24, (GLOBAL,)),
    (0x25, 0x26, (INDEX,)),
    (0x28, 0x3E, (ALIGN, OFFSET)),
    (0x3F, 0x40, (INDEX,)),
    (0x41, 0x41, (CONSTANT,)),
    (0x42, 0x42, (LONG_CONSTANT,)),
    (0xD0, 0xD0, (INDEX,)),
    (0xD2, 0xD2, (FUNCTION,)),
    (0xD5, 0xD6, (LABEL,)),
    (0xFB, 0xFE, (SUB_OPCODE,)),
]
# The same for the second number of an opcode.
SUB_OPERANDS = {
    0xFB: [
        (0, 1, (TYPE,)),
        (2, 5, (TYPE, INDEX)),
        (6, 7, (TYPE,)),
        (8, 10, (TYPE, INDEX)),
        (11, 14, (TYPE,)),
        (16, 16, (TYPE,)),
        (17, 19, (TYPE, INDEX)),
        (20, 23, (TYPE,)),
        (24, 25, (INDEX, LABEL, TYPE, TYPE)),
    ],
    0xFC: [
        (8, 8, (INDEX, INDEX)),
        (9, 9, (INDEX,)),
        (10, 10, (INDEX, INDEX)),
        (11, 11, (INDEX,)),
        (12, 12, (INDEX, INDEX)),
        (13, 13, (INDEX,)),
        (14, 14, (INDEX, INDEX)),
        (15, 17, (INDEX,)),
    ],
    0xFD: [
        (0, 11, (ALIGN, OFFSET)),
        (21, 34, (INDEX,)),
        (84, 91, (ALIGN, OFFSET, INDEX)),
        (92, 93, (ALIGN, OFFSET)),
    ],
    0xFE: [
        (0, 2, (ALIGN, OFFSET)),
        (3, 3, (INDEX,)),
        (4, M64, (ALIGN, OFFSET)),
    ],
}


def find_operands(ranges, number):
    for first, last, operands in ranges:
        if first <= number <= last:
            return operands
    return ()


def operands_of(opcode):
    return find_operands(OPERANDS, opcode)


def sub_operands_of(opcode, number):
    return find_operands(SUB_OPERANDS.get(opcode, ()), number)


def raw_of(opcode, number):
    if opcode == 0xFD:
        return 16 if number in (12, 13) else 0
    return {0x43: 4, 0x44: 8}.get(opcode, 0)


def moves(part):
    return LOCAL <= part


def is_signed(part):
    return part in (CONSTANT, LONG_CONSTANT)


# The reader


class Reader:
    """Reads one byte after the other, and knows what the next one is part of."""

    def __init__(self):
        self.last8 = bytes(8)
        self.make_new()

    def make_new(self):
        self.part, self.number, self.bytes = OUTSIDE, 0, 0
        self.section = self.section_left = self.body_left = self.left = 0
        self.operands, self.raw = (), 0
        self.opcode = self.opcodes = self.body = 0
        self.latest, self.before = [0] * PARTS, (0, 0)

    def copy(self):
        return deepcopy(self)

    @property
    def place(self):
        return self.part | min(self.bytes, 7) << 5

    @property
    def context(self):
        return self.place | self.opcode << 8

    @property
    def so_far(self):
        return (self.number | self.bytes << 29) & M32

    def begin(self, part):
        self.part, self.number, self.bytes = part, 0, 0

    def begin_operand(self):
        if self.operands:
            first, *others = self.operands
            self.operands = tuple(others)
            self.begin(first)
        else:
            self.begin(RAW if self.raw else OPCODE)

    def begin_data(self):
        self.begin(INDEX if self.body_left == 0 else DATA_END if self.body_left < 4 else DATA)

    def read(self, byte):
        self.last8 = self.last8[1:] + bytes([byte])
        if self.part == OUTSIDE:
            if self.last8 == MAGIC:
                self.last8 = bytes(8)
                self.make_new()
                self.part = SECTION_ID
            return
        ends = self.section_left == 1
        self.section_left, self.body_left = max(self.section_left - 1, 0), max(self.body_left - 1, 0)
        self.read_part(byte)
        if ends:
            self.begin(SECTION_ID)
        elif self.section == CODE and self.body_left == 0 and LOCAL_TYPE <= self.part:
            self.begin(LEN)

    def read_part(self, byte):
        if self.part == OPAQUE:
            pass
        elif self.part == SECTION_ID:
            self.section = byte
            self.begin(LEN if byte <= LAST_SECTION else OUTSIDE)
        elif self.part == LOCAL_TYPE:
            if byte not in LONG_TYPES:
                self.left = max(self.left - 1, 0)
                self.begin(OPCODE if self.left == 0 else COUNT)
        elif self.part == RAW:
            self.raw -= 1
            self.begin_operand()
        elif self.part in (DATA, DATA_END):
            self.bytes += 1
            if self.bytes == 4 or self.body_left == 0:
                self.begin_data()
        elif self.part == OPCODE:
            if self.section == DATA_SECTION and byte == END:
                self.begin(LEN)
            else:
                self.opcode, self.opcodes = byte, (self.opcodes << 8 | byte) & M32
                self.operands, self.raw = operands_of(byte), raw_of(byte, 0)
                self.begin_operand()
        else:
            self.number = (self.number | (byte & 127) << 7 * self.bytes) & M64
            self.bytes += 1
            if byte < 0x80 or self.bytes == MAX_NUMBER:
                self.complete()

    def complete(self):
        part, number, in_data = self.part, self.number, self.section == DATA_SECTION
        self.latest[part], self.before = number & M32, (number & M32, self.before[0])
        if part == LEN and self.section_left == 0:
            self.section_left, self.body_left = number, 0
            if number == 0:
                self.begin(SECTION_ID)
            elif self.section in (CODE, DATA_SECTION):
                self.begin(COUNT)
            else:
                self.begin(FUNCTION if self.section == ELEMENTS else OPAQUE)
        elif part == LEN and in_data:
            self.body_left = number
            self.begin_data()
        elif part == LEN:
            self.body_left, self.body = number, self.body + 1 & M32
            self.opcode = self.opcodes = 0
            self.begin(LABEL_COUNT)
        elif part == COUNT and in_data:
            self.begin(INDEX)
        elif part == COUNT:
            self.begin(LEN if self.body_left == 0 else LOCAL_TYPE)
        elif part == INDEX and in_data:
            self.begin(LEN if number == 1 else OPCODE)
        elif part == LABEL_COUNT:
            self.left = number
            if self.opcode == BRANCH_TABLE:
                self.begin(LABEL)
            else:
                self.begin(OPCODE if number == 0 else COUNT)
        elif part == LABEL and self.left != 0:
            self.left -= 1
            self.begin(LABEL)
        elif part == SUB_OPCODE:
            self.operands, self.raw = sub_operands_of(self.opcode, number), raw_of(self.opcode, number)
            self.opcode ^= number << 1 & 255
            self.begin_operand()
        elif part == FUNCTION and self.section == ELEMENTS:
            self.begin(FUNCTION)
        else:
            self.begin_operand()


# Numbers


def signed64(value):
    """The number of 64 bits with sign that is the same modulo 2^64."""
    return (value + (1 << 63) & M64) - (1 << 63)


def number_len(part, buffer, at, window_end):
    if part == DATA:
        return min(4, window_end - at)
    most = min(MAX_NUMBER, window_end - at)
    for i in range(most):
        if buffer[at + i] < 0x80:
            return i + 1
    return most


def number_of(part, data):
    if part == DATA:
        return int.from_bytes(data, "little")
    value = sum((byte & 127) << 7 * i for i, byte in enumerate(data))
    if is_signed(part) and data[-1] & 0x40 and 7 * len(data) < 64:
        value -= 1 << 7 * len(data)
    return signed64(value)


def write_number(part, value, least):
    if part == DATA:
        return (value & M32).to_bytes(4, "little")
    if not is_signed(part):
        value &= M64
    data = bytearray()
    for i in range(MAX_NUMBER):
        byte = value & 127
        fits = value >> 6 in (0, -1) if is_signed(part) else value >> 7 == 0
        value >>= 7
        if fits and least <= i + 1:
            data.append(byte)
            break
        data.append(byte | 128)
    return bytes(data)
