"""Directories: directory.md. Manifests, parts, directory deltas, their files, and what receivers hold."""

from typing import NamedTuple

from .delta import Basis, basis_of, decode_delta, read_delta
from .groups import version
from .wire import DEFAULT_LIMITS, MIB, Reader, Refused, demand, encode_varint

FORMAT = 1
MAX_FILES = 1 << 20
MAX_PATH = 4096
MAX_PATHS = 64 * MIB
MAX_MANIFEST = MAX_MANIFEST_DELTA = 128 * MIB
MAX_LISTED = 1 << 22
MAX_OTHERS = 1 << 16
MIN_PART, MAX_PART = 4 * MIB, 16 * MIB
EMPTY_VERSION = version(b"")


class File(NamedTuple):
    path: str
    executable: bool
    length: int
    version: bytes


class Part(NamedTuple):
    """A part that was checked against both manifests."""

    files: list[int]
    bases: list[int]
    name: bytes
    basis: bytes


def path_key(path):
    """Sorts paths as a manifest does: by bytes, where / counts as smaller than every other byte."""
    return bytes(0 if byte == ord("/") else byte for byte in path.encode())


def check_path(path):
    good = path != "" and len(path.encode()) <= MAX_PATH and "\0" not in path and "\\" not in path
    demand(good and all(part not in ("", ".", "..") for part in path.split("/")), "bad-path")


def parse_manifest(data):
    """The files of a manifest."""
    reader = Reader(data)
    start(reader, 0xDA)
    count = reader.varint()
    demand(count <= MAX_FILES, "limit-files")
    demand(36 * count <= reader.left(), "truncated")
    paths, before, total = [], b"", 0
    for _ in range(count):
        shared, rest_len = reader.varint(), reader.varint()
        demand(shared <= len(before), "bad-path")
        demand(shared + rest_len <= MAX_PATH, "bad-path")
        rest = reader.take(rest_len)
        demand(len(before) == shared or before[shared : shared + 1] != rest[:1], "bad-path")
        before = before[:shared] + rest
        try:
            path = before.decode()
        except UnicodeDecodeError:
            raise Refused("bad-path") from None
        check_path(path)
        if paths:
            demand(path_key(paths[-1]) < path_key(path), "bad-order")
            demand(not path.startswith(paths[-1] + "/"), "below-file")
        total += len(before)
        demand(total <= MAX_PATHS, "limit-paths")
        paths.append(path)
    flags = reader.take(count)
    demand(all(flag <= 1 for flag in flags), "bad-flags")
    lengths = [reader.varint() for _ in range(count)]
    versions = [reader.take(32) for _ in range(count)]
    reader.end()
    demand(sum(lengths) <= 1 << 63, "limit-files")
    files = [File(*each) for each in zip(paths, map(bool, flags), lengths, versions, strict=True)]
    demand(all((file.length == 0) == (file.version == EMPTY_VERSION) for file in files), "bad-length")
    return files


def encode_manifest(files):
    """The canonical bytes of a list of files."""
    files = sorted(files, key=lambda file: path_key(file.path))
    out = bytearray([0xDA, FORMAT]) + encode_varint(len(files))
    before = b""
    for file in files:
        path = file.path.encode()
        shared = 0
        while shared < min(len(before), len(path)) and before[shared] == path[shared]:
            shared += 1
        out += encode_varint(shared) + encode_varint(len(path) - shared) + path[shared:]
        before = path
    out += bytes(file.executable for file in files)
    out += b"".join(encode_varint(file.length) for file in files)
    out += b"".join(file.version for file in files)
    return bytes(out)


def new_files(old, new):
    """The indices of the files of `new` whose versions `old` does not have, each version once."""
    seen = {file.version for file in old} | {EMPTY_VERSION}
    found = []
    for index, file in enumerate(new):
        if file.version not in seen:
            seen.add(file.version)
            found.append(index)
    return found


def cut_parts(files):
    """How many files each part has. `files` are versions and lengths."""
    parts, count, length = [], 0, 0
    for file_version, file_length in files:
        if count and MAX_PART < length + file_length:
            parts.append(count)
            count = length = 0
        count, length = count + 1, length + file_length
        may_end = file_version[0] < 0x20
        if MAX_PART < length or (MIN_PART <= length and may_end):
            parts.append(count)
            count = length = 0
    return [*parts, count] if count else parts


def part_name(versions):
    return version(b"".join(versions))


def parse_directory_delta(data, old, new):
    """The target, the manifest's delta, the parts, and the bytes of part 0. `old` and `new` are lists of files."""
    reader = Reader(data)
    target, manifest_delta, parts = read_start(reader)
    return target, manifest_delta, plan_parts(target, parts, old, new), data[reader.at :]


def apply_directory_delta(data, old):
    """The directory that a directory delta with all parts makes of an old one. Both are lists of File and bytes."""
    held = {file.version: content for file, content in old} | {EMPTY_VERSION: b""}
    old_files = [file for file, _ in old]
    reader = Reader(data)
    target, manifest_delta, parts = read_start(reader)
    manifest = encode_manifest(old_files)
    if manifest_delta:
        limits = DEFAULT_LIMITS._replace(target=MAX_MANIFEST)
        manifest = decode_delta(manifest_delta, basis_of(manifest), limits)
    new = parse_manifest(manifest)
    made = {}
    for part in plan_parts(target, parts, old_files, new):
        basis = Basis(b"".join(held[old_files[index].version] for index in part.bases), part.basis[:8], None)
        files = [new[index] for index in part.files]
        limits = DEFAULT_LIMITS._replace(target=sum(file.length for file in files))
        content = read_delta(reader, basis, limits)
        at = 0
        for file in files:
            made[file.version] = content[at : at + file.length]
            at += file.length
            demand(len(content) < at or version(made[file.version]) == file.version, "bad-file")
        demand(len(content) == at, "bad-parts")
    reader.end()
    return [(file, (held | made)[file.version]) for file in new]


def read_start(reader):
    """The target, the manifest's delta, and for each part the number of its files and its basis files."""
    start(reader, 0xDD)
    target = reader.take(32)
    manifest_len = reader.varint()
    demand(manifest_len <= MAX_MANIFEST_DELTA, "limit-files")
    manifest_delta = reader.take(manifest_len)
    count, listed, parts = reader.varint(), 0, []
    demand(count <= MAX_FILES, "limit-files")
    for _ in range(count):
        files, bases = reader.varint(), reader.varint()
        demand(files <= MAX_FILES, "limit-files")
        demand(files != 0, "bad-parts")
        listed += bases
        demand(listed <= MAX_LISTED, "limit-files")
        indices = read_indices(reader, bases, MAX_FILES + 1, "limit-files")
        parts.append((files, indices))
    return target, manifest_delta, parts


def plan_parts(target, parts, old, new):
    """Checks the parts against both lists of files."""
    demand(target == version(encode_manifest(new)), "wrong-target")
    expected = new_files(old, new)
    demand(sum(files for files, _ in parts) == len(expected), "bad-parts")
    planned, at = [], 0
    for files, bases in parts:
        demand(all(index < len(old) for index in bases), "bad-parts")
        indices = expected[at : at + files]
        at += files
        name = part_name(new[index].version for index in indices)
        basis = part_name(old[index].version for index in bases) if bases else EMPTY_VERSION
        planned.append(Part(indices, bases, name, basis))
    return planned


def parse_have(data, count):
    """The target, the indices of what is held, and the others as index and version."""
    reader = Reader(data)
    start(reader, 0xDE)
    target = reader.take(32)
    bits = reader.take((count + 7) // 8)
    held = [index for index in range(8 * len(bits)) if bits[index // 8] >> index % 8 & 1]
    demand(all(index < count for index in held), "bad-index")
    others, last = [], -1
    announced = reader.varint()
    demand(announced <= MAX_OTHERS, "limit-files")
    for _ in range(announced):
        last += 1 + reader.varint()
        demand(last < count, "bad-index")
        others.append((last, reader.take(32)))
    reader.end()
    return target, held, others


def start(reader, magic):
    demand(reader.u8() == magic, "bad-magic")
    demand(reader.u8() == FORMAT, "bad-format")


def read_indices(reader, count, limit, reason):
    indices, last = [], -1
    for _ in range(count):
        last += 1 + reader.varint()
        demand(last < limit, reason)
        indices.append(last)
    return indices
