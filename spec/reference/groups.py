"""Versions and groups: protocol.md, section 3."""

from .blake3_tree import IV, PARENT, ROOT, compress, left_half, pure_blake3, subtree, to_bytes

try:
    from blake3 import blake3 as native_blake3  # the same function, faster
except ImportError:
    native_blake3 = None


def blake3(data):
    return native_blake3(data).digest() if native_blake3 else pure_blake3(data)


def version(data):
    return blake3(data)


def group_len(exponent):
    return 1 << 18 + exponent


def group_count(length, exponent):
    return 0 if length <= group_len(exponent) else -(-length // group_len(exponent))


def group_value(data, index, exponent):
    """The chaining value of the group with the number `index`."""
    return to_bytes(subtree(data, index * group_len(exponent) // 1024))


def merge(values, root=ROOT):
    """Merges the groups' chaining values up BLAKE3's tree. The result is the version."""
    if len(values) == 1:
        return values[0]
    half = left_half(len(values))
    left, right = merge(values[:half], 0), merge(values[half:], 0)
    return to_bytes(compress(IV, left + right, 0, PARENT | root))
