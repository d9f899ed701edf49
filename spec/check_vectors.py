"""Compares each vector of vectors.json with the oracle, for `reference.py check`.

An input is `{"hex"}`, `{"random", "len"}`, `{"repeat", "len"}`, `{"concat": [input…]}` or
`{"slice": [input, start, end]}`. `refused` is null, a reason, or a list of reasons. A list is for inputs that break
several duties: a receiver may check any of them first.
"""

import json
from functools import lru_cache

from reference import (
    File,
    Limits,
    Reader,
    Refused,
    apply_directory_delta,
    basis_of,
    chunks_of,
    cut_parts,
    decode_delta,
    decode_matched,
    decode_runs,
    decode_signature,
    describe,
    encode_manifest,
    encode_signature,
    group_count,
    group_len,
    group_value,
    merge,
    parse_directory_delta,
    parse_have,
    parse_manifest,
    section_list,
    sign,
    version,
)


def check(vectors):
    """Checks all vectors. Returns their number and a list of faults."""
    faults, count = [f"{kind}: unknown vectors" for kind in vectors.keys() - CHECKS.keys()], 0
    for kind, run in CHECKS.items():
        for vector in vectors.get(kind, []):
            count += 1
            try:
                run(vector)
            except (AssertionError, Refused) as fault:
                faults.append(f"{kind} / {vector.get('name', '?')}: {fault}")
    return count, faults


def check_delta(vector):
    data = input_of(vector["basis"])
    basis = basis_of(data)
    if "named" in vector:
        basis = basis._replace(version=hexes(vector["named"]))
    target = vector.get("target")

    def act():
        return decode_delta(hexes(vector["delta"]), basis, limits_of(vector), hexes(vector.get("pin")))

    expect_outcome(vector, act, None if target is None else input_of(target))


def check_signature(vector):
    data = hexes(vector["signature"])
    expect(section_list(input_of(vector["head"]), vector["rungs"][0]), hexes(vector["list"]), "lists of sections")
    signature = sign(described_of(vector), hexes(vector["nonce"]))
    expect(encode_signature(signature), data, "signatures")
    expect(decode_signature(data), signature, "decoded signatures")


def check_refused_signature(vector):
    expect_outcome(vector, lambda: decode_signature(hexes(vector["signature"]), limits_of(vector)), None)


def check_matched(vector):
    described, signature = described_of(vector), decode_signature(hexes(vector["signature"]))
    expect(signature, sign(described, signature.nonce), "signatures")
    target = vector.get("target")

    def act():
        return decode_matched(hexes(vector["answer"]), described, limits_of(vector))

    expect_outcome(vector, act, None if target is None else input_of(target))


def described_of(vector):
    return describe(input_of(vector["held"]), *vector["rungs"], vector["whole"])


def check_runs(vector):
    def act():
        reader = Reader(hexes(vector["runs"]))
        bits = decode_runs(reader, vector["count"], limits_of(vector))
        reader.end()
        return "".join("01"[bit] for bit in bits)

    expect_outcome(vector, act, vector.get("bits"))


def check_cuts(vector):
    chunks = chunks_of(input_of(vector["input"]), vector["size"])
    expect([len(chunk.data) for chunk in chunks], vector["lengths"], "lengths")
    expect([chunk.id.hex()[:8] for chunk in chunks], vector["ids"], "ids")


def check_version(vector):
    data, exponent = input_of(vector["input"]), vector["group"]
    expect(version(data).hex(), vector["version"], "versions")
    size = group_len(exponent)
    values = [
        group_value(data[index * size : (index + 1) * size], index, exponent)
        for index in range(group_count(len(data), exponent))
    ]
    expect([value.hex() for value in values], vector["chaining_values"], "chaining values")
    if values:
        expect(merge(values).hex(), vector["version"], "merged versions")


def check_manifest(vector):
    data, files = hexes(vector["bytes"]), vector.get("files")
    expected = files and [File(*each[:3], hexes(each[3])) for each in files]
    expect_outcome(vector, lambda: parse_manifest(data), expected)
    if expected:
        expect(encode_manifest(expected), data, "bytes")


def check_parts(vector):
    files = [(hexes(first) + bytes(31), length) for first, length in vector["files"]]
    expect(cut_parts(files), vector["parts"], "parts")


def check_directory_delta(vector):
    old = parse_manifest(hexes(vector["old"])) if vector["old"] else []
    new = parse_manifest(hexes(vector["new"]))

    def act():
        _, manifest_delta, parts, rest = parse_directory_delta(hexes(vector["bytes"]), old, new)
        plan = [[part.files, part.bases, part.name.hex(), part.basis.hex()] for part in parts]
        if manifest_delta:
            made = decode_delta(manifest_delta, basis_of(hexes(vector["old"])), limits_of(vector), None)
            expect(made, hexes(vector["new"]), "manifests")
        return [plan, rest.hex()]

    expect_outcome(vector, act, [vector["plan"], vector["rest"]] if "plan" in vector else None)


def check_directory_file(vector):
    def directory(files):
        contents = [(path, executable, input_of(content)) for path, executable, content in files]
        return [(File(path, run, len(content), version(content)), content) for path, run, content in contents]

    new = vector.get("new")
    expected = None if new is None else directory(new)
    expect_outcome(vector, lambda: apply_directory_delta(hexes(vector["bytes"]), directory(vector["old"])), expected)


def check_have(vector):
    def act():
        target, held, others = parse_have(hexes(vector["bytes"]), vector["count"])
        return [target.hex(), held, [[index, version.hex()] for index, version in others]]

    expect_outcome(vector, act, vector.get("have"))


def limits_of(vector):
    return Limits()._replace(**vector.get("limits") or {})


def expect(actual, expected, what):
    if actual != expected:
        raise AssertionError(f"{what} differ" if 80 < len(repr(actual)) else f"{what}: {actual!r}, not {expected!r}")


def expect_outcome(vector, act, expected):
    """Expects that `act` returns `expected`, or that it refuses for a reason that the vector names."""
    reasons = vector.get("refused")
    reasons = [reasons] if isinstance(reasons, str) else reasons or []
    try:
        actual = act()
    except Refused as refused:
        if refused.reason not in reasons:
            raise AssertionError(f"refused as {refused.reason}, not {' or '.join(reasons) or 'at all'}") from refused
        return
    if reasons:
        raise AssertionError(f"accepted, but {' or '.join(reasons)}")
    if expected is not None:
        expect(actual, expected, "results")


def hexes(text):
    return None if text is None else bytes.fromhex(text)


def input_of(recipe):
    """The bytes that a vector describes."""
    return made(json.dumps(recipe, sort_keys=True))


@lru_cache(maxsize=64)
def made(text):
    recipe = json.loads(text)
    if "hex" in recipe:
        return bytes.fromhex(recipe["hex"])
    if "random" in recipe:
        return random_bytes(recipe["random"], recipe["len"])
    if "repeat" in recipe:
        unit = bytes.fromhex(recipe["repeat"])
        return (unit * -(-recipe["len"] // len(unit)))[: recipe["len"]]
    if "concat" in recipe:
        return b"".join(input_of(part) for part in recipe["concat"])
    whole, start, end = recipe["slice"]
    return input_of(whole)[start:end]


def random_bytes(start, length):
    """The bytes of xorshift64*: the upper byte of each number."""
    state, out = start | 1, bytearray()
    for _ in range(length):
        state ^= state >> 12
        state ^= state << 25 & 0xFFFFFFFFFFFFFFFF
        state ^= state >> 27
        out.append((state * 0x2545F4914F6CDD1D & 0xFFFFFFFFFFFFFFFF) >> 56)
    return bytes(out)


CHECKS = {
    "deltas": check_delta,
    "signatures": check_signature,
    "refused_signatures": check_refused_signature,
    "matched": check_matched,
    "runs": check_runs,
    "cuts": check_cuts,
    "versions": check_version,
    "manifests": check_manifest,
    "parts": check_parts,
    "directory_deltas": check_directory_delta,
    "directory_files": check_directory_file,
    "haves": check_have,
}
