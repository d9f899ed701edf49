"""BLAKE3 in plain Python, after sections 2.1 to 2.4 of its paper, with the chaining values that groups need.

The input is cut into chunks of 1 KiB, and chunks into blocks of 64 bytes. The chunks' chaining values are the leaves of
a binary tree whose left subtrees are full.
"""

IV = (0x6A09E667, 0xBB67AE85, 0x3C6EF372, 0xA54FF53A, 0x510E527F, 0x9B05688C, 0x1F83D9AB, 0x5BE0CD19)
CHUNK_START, CHUNK_END, PARENT, ROOT, KEYED_HASH = 1, 2, 4, 8, 16
PERMUTATION = (2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8)
MIXES = (  # four columns, then four diagonals
    (0, 4, 8, 12), (1, 5, 9, 13), (2, 6, 10, 14), (3, 7, 11, 15),
    (0, 5, 10, 15), (1, 6, 11, 12), (2, 7, 8, 13), (3, 4, 9, 14),
)  # fmt: skip


def schedule():
    """Which message words each mix of each round takes."""
    order, rounds = list(range(16)), []
    for _ in range(7):
        rounds += [(*mix, order[2 * i], order[2 * i + 1]) for i, mix in enumerate(MIXES)]
        order = [order[i] for i in PERMUTATION]
    return tuple(rounds)


SCHEDULE = schedule()


def compress(key, block, counter, flags):
    """One block of at most 64 bytes under a chaining value of eight words: the next eight words."""
    m = [int.from_bytes(block[i : i + 4], "little") for i in range(0, 64, 4)]
    v = [*key, *IV[:4], counter & 0xFFFFFFFF, counter >> 32, len(block), flags]
    for a, b, c, d, x, y in SCHEDULE:
        va, vb, vc, vd = v[a], v[b], v[c], v[d]
        va = (va + vb + m[x]) & 0xFFFFFFFF
        vd ^= va
        vd = (vd >> 16 | vd << 16) & 0xFFFFFFFF
        vc = (vc + vd) & 0xFFFFFFFF
        vb ^= vc
        vb = (vb >> 12 | vb << 20) & 0xFFFFFFFF
        va = (va + vb + m[y]) & 0xFFFFFFFF
        vd ^= va
        vd = (vd >> 8 | vd << 24) & 0xFFFFFFFF
        vc = (vc + vd) & 0xFFFFFFFF
        vb ^= vc
        vb = (vb >> 7 | vb << 25) & 0xFFFFFFFF
        v[a], v[b], v[c], v[d] = va, vb, vc, vd
    return tuple(v[i] ^ v[i + 8] for i in range(8))


def to_bytes(words):
    return b"".join(word.to_bytes(4, "little") for word in words)


def parent(left, right, key=IV, flags=0):
    return compress(key, to_bytes(left) + to_bytes(right), 0, PARENT | flags)


def left_half(n):
    """The largest power of two below n."""
    return 1 << (n - 1).bit_length() - 1


def subtree(data, counter, key=IV, flags=0, root=0):
    """The chaining value of the subtree over `data`, whose first chunk has number `counter`."""
    if 1024 < len(data):
        half = left_half(len(data))
        left = subtree(data[:half], counter, key, flags)
        right = subtree(data[half:], counter + half // 1024, key, flags)
        return parent(left, right, key, flags | root)
    value, starts = key, range(0, max(len(data), 1), 64)
    for at in starts:
        first = CHUNK_START if at == 0 else 0
        last = CHUNK_END | root if at == starts[-1] else 0
        value = compress(value, data[at : at + 64], counter, flags | first | last)
    return value


def pure_blake3(data, key=None):
    if key is None:
        return to_bytes(subtree(data, 0, root=ROOT))
    words = tuple(int.from_bytes(key[i : i + 4], "little") for i in range(0, 32, 4))
    return to_bytes(subtree(data, 0, words, KEYED_HASH, ROOT))
