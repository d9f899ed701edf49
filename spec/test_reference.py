"""Tests of the oracle. Run them with `python3 spec/test_reference.py`."""

import json
import os
import subprocess
import sys
import tempfile
import unittest
import zlib
from pathlib import Path

import reference as ref
import zstandard
from blake3 import blake3 as native
from check_vectors import check, random_bytes
from reference import MIB, Limits, containers, live
from reference import encode_varint as varint
from reference.blake3_tree import pure_blake3, subtree, to_bytes

TEXT = b"".join(b"line %d says %d\n" % (i, i * i % 977) for i in range(40_000))  # 788,890 bytes


# --- An encoder that makes any input that a test asks for, valid or not -----------------------------------------------


def zigzag(n):
    return varint(n << 1 if 0 <= n else (-n << 1) - 1)


def header(target, basis_id, exponent=0, same=False, length=None, fmt=1):
    length = len(target) if length is None else length
    head = bytes([0xDB, fmt << 4 | same << 3 | exponent]) + ref.version(target) + varint(length)
    return head if same else head + basis_id + b"".join(values_of(target, exponent))


def values_of(data, exponent):
    size = ref.group_len(exponent)
    return [
        ref.group_value(data[i * size : (i + 1) * size], i, exponent)
        for i in range(ref.group_count(len(data), exponent))
    ]


def first_of(codec, span):
    """A region's first fields; the last region has no span."""
    return bytes([0x80 | codec]) if span is None else bytes([codec]) + varint(span)


def stored(data, span=None):
    return first_of(0, span) + data


def frame(data, prefix=b"", **options):
    parameters = zstandard.ZstdCompressionParameters.from_level(3, **options)
    dictionary = zstandard.ZstdCompressionDict(prefix, dict_type=zstandard.DICT_TYPE_RAWCONTENT) if prefix else None
    return zstandard.ZstdCompressor(compression_params=parameters, dict_data=dictionary).compress(data)


def ops_of(ops):
    """Ops of (gap, copy_len, shift)."""
    return b"".join(
        [
            varint(len(ops)),
            *(varint(op[0]) for op in ops),
            *(varint(op[1]) for op in ops),
            *(zigzag(op[2]) for op in ops),
        ]
    )


def zstd(gaps, ops=b"", span=None, reach=0, prefix=b"", packed=False):
    body = varint(reach) + varint(len(ops))
    if ops:
        small = frame(ops) if packed else b""
        body += varint(len(small)) + (small or ops)
    return first_of(1, span) + body + (frame(gaps, prefix) if gaps else b"")


def delta(target, *regions, basis=b"", exponent=0):
    return header(target, ref.version(basis)[:8], exponent) + b"".join(regions)


class Case(unittest.TestCase):
    def refused(self, reason, data, basis=b"", **more):
        with self.assertRaises(ref.Refused) as caught:
            ref.decode_delta(data, ref.basis_of(basis), **more)
        self.assertEqual(caught.exception.reason, reason)

    def makes(self, target, data, basis=b"", **more):
        self.assertEqual(ref.decode_delta(data, ref.basis_of(basis), **more), target)


class Hashing(Case):
    def test_pure_blake3_is_blake3(self):
        lengths = [*range(130), 1023, 1024, 1025, 2047, 2048, 2049, 3071, 3073, 4096, 5121, 31_744, 65_537, 102_400]
        key = bytes(range(32))
        for length in lengths:
            data = TEXT[:length]
            self.assertEqual(pure_blake3(data), native(data).digest(), length)
            self.assertEqual(pure_blake3(data, key), native(data, key=key).digest(), length)

    def test_chaining_values_merge_to_the_version(self):
        for length in [262_145, 524_288, 524_289, 788_890]:
            data = TEXT[:length]
            self.assertEqual(ref.merge(values_of(data, 0)), native(data).digest(), length)

    def test_the_counter_is_part_of_a_chaining_value(self):
        self.assertNotEqual(to_bytes(subtree(TEXT[:1024], 0)), to_bytes(subtree(TEXT[:1024], 1)))

    def test_empty(self):
        self.assertTrue(ref.version(b"").hex().startswith("af1349b9"))


class Notation(Case):
    def test_varints(self):
        for value in [0, 1, 127, 128, 16_383, 16_384, 2**32, 2**53, 2**64 - 1]:
            reader = ref.Reader(varint(value))
            self.assertEqual(reader.varint(), value)
            reader.end()
        for wrong in ["8000", "ff00", "80808080808080808002", "ffffffffffffffffffff01", "8080808080808080808000"]:
            with self.assertRaises(ref.Refused) as caught:
                ref.Reader(bytes.fromhex(wrong)).varint()
            self.assertEqual(caught.exception.reason, "bad-varint", wrong)

    def test_zigzags(self):
        for value in [0, -1, 1, -2, 2**40, -(2**40), 2**63 - 1, -(2**63)]:
            self.assertEqual(ref.Reader(zigzag(value)).zigzag(), value)


class Deltas(Case):
    def test_empty_target(self):
        self.makes(b"", delta(b""))
        self.makes(b"", delta(b"", basis=TEXT), TEXT)
        self.refused("bad-group-hash", delta(b"").replace(ref.version(b""), bytes(32)), b"")

    def test_cold(self):
        target = TEXT[:5_000]
        self.makes(target, delta(target, stored(target)))
        self.makes(target, delta(target, zstd(target)))
        self.makes(target, delta(target, stored(target[:9], span=9), zstd(target[9:70], span=61), zstd(target[70:])))

    def test_same(self):
        same = header(TEXT, b"", same=True)
        self.makes(TEXT, same, TEXT)
        self.refused("trailing-bytes", same + b"\0", TEXT)
        self.refused("unexpected-same", same, TEXT[1:])
        with self.assertRaises(ref.Refused) as caught:
            ref.decode_delta(header(b"", b"", same=True), ref.EMPTY)
        self.assertEqual(caught.exception.reason, "unexpected-same")

    def test_copies_and_gaps(self):
        basis = TEXT[:20_000]
        target = b"new head" + basis[:6_000] + basis[9_000:12_000] + b"middle" + basis[500:1_500] + b"tail"
        ops = ops_of([(8, 6_000, -8), (0, 3_000, 3_000), (6, 1_000, -11_506)])
        self.makes(target, delta(target, zstd(b"new headmiddletail", ops), basis=basis), basis)

    def test_packed_ops(self):
        basis = TEXT[:20_000]
        target = b"".join(b"-" + basis[at : at + 100] for at in range(0, 20_000, 100))
        ops = ops_of([(1, 100, -1)] * 200)
        region = zstd(b"-" * 200, ops, packed=True)
        self.assertLess(len(region), 100)
        self.makes(target, delta(target, region, basis=basis), basis)

    def test_copies_alone_carry_no_frame(self):
        basis = TEXT[:4_000]
        target = basis[2_000:] + basis[:2_000]
        ops = ops_of([(0, 2_000, 2_000), (0, 2_000, -4_000)])
        self.makes(target, delta(target, zstd(b"", ops), basis=basis), basis)

    def test_the_basis_position_goes_on_through_regions(self):
        basis = TEXT[:9_000]
        target = basis[:3_000] + b"12345" + basis[3_000:6_000] + basis[6_005:]
        regions = [
            zstd(b"", ops_of([(0, 3_000, 0)]), span=3_000),
            stored(b"12345", span=5),
            zstd(b"", ops_of([(0, 3_000, 0)]), span=3_000),
            zstd(b"", ops_of([(0, 2_995, 5)])),
        ]
        self.makes(target, delta(target, *regions, basis=basis), basis)

    def test_reference(self):
        basis = random_bytes(7, 30_000)
        gap = basis[10_000:10_900] + b"!" + basis[10_950:12_000]
        target = basis[:10_000] + gap + basis[12_000:29_000] + basis[29_100:29_600]
        ops = ops_of([(len(gap), 17_000, 12_000 - 10_000 - len(gap))])
        # w = 100 + 1,951; around 10,000 and around 12,000, then around 29,000 for the last gap of 500 (w = 600).
        prefix = b"\0" + basis[7_949:14_051] + basis[28_400:29_600]
        regions = [
            zstd(b"", ops_of([(0, 10_000, 0)]), span=10_000),
            zstd(gap + basis[29_100:29_600], ops, reach=100, prefix=prefix),
        ]
        data = delta(target, *regions, basis=basis)
        self.assertLess(len(data), 400)
        self.makes(target, data, basis)

    def test_a_reference_that_is_empty(self):
        target = TEXT[:900]
        self.makes(target, delta(target, zstd(target, reach=5_000)))

    def test_groups(self):
        basis = TEXT
        for exponent, length in [(0, 262_144), (0, 262_145), (0, 524_288), (0, 700_001), (1, 700_001), (6, 700_001)]:
            target = basis[:length]
            region = zstd(b"", ops_of([(0, length, 0)]))
            data = delta(target, region, basis=basis, exponent=exponent)
            self.makes(target, data, basis)
            self.assertEqual(len(data) - len(region) - 45, 32 * ref.group_count(length, exponent))


class Refusals(Case):
    basis = TEXT[:30_000]
    target = TEXT[:10_000] + b"a little that is new" + TEXT[10_000:30_000]

    def sound(self, **more):
        ops = ops_of([(0, 10_000, 0), (20, 20_000, -20)])
        return delta(self.target, zstd(b"a little that is new", ops, **more), basis=self.basis)

    def test_every_prefix_is_truncated(self):
        data = self.sound()
        for length in range(len(data)):
            self.refused("truncated", data[:length], self.basis)

    def test_every_flipped_bit_is_refused_or_harmless(self):
        data = self.sound()
        for bit in range(8 * len(data)):
            flipped = bytearray(data)
            flipped[bit // 8] ^= 1 << bit % 8
            try:
                self.assertEqual(ref.decode_delta(bytes(flipped), ref.basis_of(self.basis)), self.target)
            except ref.Refused:
                pass

    def test_header(self):
        data, head = self.sound(), header(self.target, ref.version(self.basis)[:8])
        self.makes(self.target, data, self.basis)
        self.refused("bad-magic", b"\xda" + data[1:], self.basis)
        self.refused("bad-format", b"\xdb\x20" + data[2:], self.basis)
        self.refused("bad-group", b"\xdb\x17" + data[2:], self.basis)
        self.refused("wrong-basis", data, self.basis + b"!")
        self.refused("trailing-bytes", data + b"\0", self.basis)
        self.refused("wrong-target", data, self.basis, pin=bytes(32))
        self.makes(self.target, data, self.basis, pin=ref.version(self.target))
        self.refused("limit-target", data, self.basis, limits=Limits(target=30_019))
        self.refused("limit-target", head[:34] + varint(1 << 53), self.basis, limits=Limits(target=1 << 60))
        self.refused("limit-groups", header(b"", ref.version(b"")[:8], length=(1 << 34) + 1))

    def test_tree(self):
        head = header(TEXT, ref.EMPTY.basis_id)
        self.refused("bad-tree", head[:-1] + bytes([head[-1] ^ 1]) + zstd(TEXT))
        wrong = bytearray(TEXT)
        wrong[300_000] ^= 1
        self.refused("bad-group-hash", head + zstd(bytes(wrong)))
        self.makes(TEXT, head + zstd(TEXT))

    def test_regions(self):
        target = b"0123456789"
        self.refused("bad-codec", delta(target, b"\x86" + target))
        self.refused("bad-codec", delta(target, b"\xc0" + target))
        self.refused("bad-span", delta(target, stored(b"", span=0), stored(target)))
        self.refused("bad-span", delta(target, stored(target, span=10)))
        self.refused("bad-span", delta(target, stored(target, span=11)))
        self.refused("bad-group-hash", delta(target, stored(target[::-1])))
        self.refused("limit-reach", delta(target, zstd(target, reach=MIB + 1)))

    def test_ops(self):
        basis = b"0123456789" * 10
        for ops in [
            ops_of([]),  # no op
            ops_of([(0, 0, 0)]),  # no copy
            ops_of([(3, 98, 0)]),  # longer than the span
            ops_of([(0, 100, 0)]) + b"\0",  # does not fill ops_len
            ops_of([(0, 100, 0)])[:-1],  # exceeds ops_len
            varint(1 << 40) + bytes(12),  # more ops than ops_len can hold
        ]:
            self.refused("bad-ops", delta(basis, zstd(b"", ops), basis=basis), basis)
        for op in [(0, 100, 1), (0, 100, -1), (0, 1, 100), (0, 1, -(2**62))]:
            self.refused("copy-outside-basis", delta(basis, zstd(b"", ops_of([op])), basis=basis), basis)
        limit = first_of(1, None) + varint(0) + varint(MIB + 1)
        self.refused("limit-ops", delta(basis, limit, basis=basis), basis)
        plain = ops_of([(0, 100, 0)])
        packed = first_of(1, None) + varint(0) + varint(4) + varint(4) + plain
        self.refused("bad-ops", delta(basis, packed, basis=basis), basis)

    def test_frames(self):
        target = TEXT[:2_000]

        def region(data):
            return delta(target, first_of(1, None) + varint(0) + varint(0) + data)

        self.makes(target, region(frame(target)))
        self.makes(target, region(frame(target, write_checksum=True)))
        self.makes(target, region(frame(target, write_content_size=False)))
        self.refused("bad-zstd", region(b"\x27" + frame(target)[1:]))
        self.refused("bad-zstd", region(frame(target[1:])))
        self.refused("bad-zstd", region(frame(target[1:], write_content_size=False)))
        self.refused("bad-zstd", region(frame(target + b"!", write_content_size=False)))
        wrong = frame(target, write_checksum=True)
        self.refused("bad-zstd", region(wrong[:-1] + bytes([wrong[-1] ^ 1])))
        skippable = bytes.fromhex("502a4d1800000000")
        self.refused("bad-zstd", region(skippable + frame(target)))
        with_id = bytes.fromhex("28b52ffd 01 58 07 010000".replace(" ", ""))
        self.refused("bad-zstd", region(with_id))

    def test_windows(self):
        def region(exponent, mantissa):
            first = bytes.fromhex("28b52ffd00") + bytes([exponent << 3 | mantissa])
            return delta(b"x", first_of(1, None) + varint(0) + varint(0) + first + bytes.fromhex("090000") + b"x")

        self.makes(b"x", region(13, 0))
        self.refused("limit-window", region(13, 1))
        self.refused("limit-window", region(31, 7))
        self.refused("limit-window", region(11, 0), limits=Limits(window=MIB))

    def test_a_frame_that_grows_without_end(self):
        block = (128 << 10 << 3 | 2).to_bytes(3, "little") + b"x"
        bomb = bytes.fromhex("28b52ffd0068") + block * 10_000
        target = b"x" * 1_000
        self.refused("truncated", delta(target, first_of(1, None) + varint(0) + varint(0) + bomb))
        ended = bomb + bytes.fromhex("010000")
        self.refused("bad-zstd", delta(target, first_of(1, None) + varint(0) + varint(0) + ended))

    def test_reference_over_its_limit(self):
        basis = random_bytes(1, 40_000)
        target = b"new" + basis
        region = zstd(b"new", ops_of([(3, 40_000, -3)]), reach=4_096, prefix=b"\0" + basis[:4_099])
        data = delta(target, region, basis=basis)
        self.makes(target, data, basis, limits=Limits(prefix=4_099))
        self.refused("limit-reference", data, basis, limits=Limits(prefix=4_098))


class Chunks(Case):
    def test_gear(self):
        self.assertEqual(ref.GEAR[0], 0x3B5D3C7D207E37DC)
        self.assertEqual(len(set(ref.GEAR)), 256)

    def test_chunks_cover_the_input_within_bounds(self):
        for size, sizes in ref.CHUNK_SIZES.items():
            data = TEXT[: 40 * sizes.average + 1]
            chunks = ref.chunks_of(data, size)
            self.assertEqual(b"".join(chunk.data for chunk in chunks), data)
            lengths = [len(chunk.data) for chunk in chunks]
            self.assertLessEqual(max(lengths), sizes.maximum)
            self.assertLessEqual(sizes.minimum, min(lengths[:-1]))

    def test_short_and_even_inputs_are_one_chunk(self):
        for length in [1, 127, 128, 129]:
            self.assertEqual([len(c.data) for c in ref.chunks_of(bytes(length), 9)], [length])
        self.assertEqual(ref.chunks_of(b"", 9), [])
        self.assertEqual([len(c.data) for c in ref.chunks_of(b"A" * 5_000, 9)], [2_048, 2_048, 904])

    def test_an_insertion_moves_few_cuts(self):
        data = random_bytes(5, 60_000)
        before = {chunk.id for chunk in ref.chunks_of(data, 9)}
        after = ref.chunks_of(data[:30_000] + b"inserted" + data[30_000:], 9)
        self.assertLessEqual(sum(chunk.id not in before for chunk in after), 5)


class Descriptions(Case):
    def test_sections_stand_whole_or_as_their_chunks(self):
        sections = ref.chunks_of(TEXT[:50_000], 12)
        whole = ref.describe(TEXT[:50_000], 12, 8, range(len(sections)))
        self.assertEqual(whole, sections)
        self.assertEqual(ref.describe(sections[0].data, 12, 8, []), ref.chunks_of(sections[0].data, 8))
        mixed = ref.describe(TEXT[:50_000], 12, 8, [1])
        self.assertIn(sections[1], mixed)
        self.assertNotIn(sections[0], mixed)
        self.assertEqual(b"".join(chunk.data for chunk in mixed), TEXT[:50_000])
        self.assertEqual(len(ref.section_list(TEXT[:50_000], 12)), 2 * len(sections))


class Signatures(Case):
    nonce = bytes(range(16))

    def test_encoded_and_decoded(self):
        for length, size in [(0, 9), (1, 8), (50_000, 8), (50_000, 11), (500_000, 17)]:
            signature = ref.sign(ref.chunks_of(TEXT[:length], size), self.nonce)
            self.assertEqual(ref.decode_signature(ref.encode_signature(signature)), signature)

    def test_bits(self):
        for count, bits in [(0, 20), (1, 20), (4096, 20), (4097, 21), (8192, 21), (1 << 60, 64)]:
            self.assertEqual(ref.bits_for(count), bits)

    def test_tags_depend_on_the_nonce(self):
        one, two = (ref.sign(ref.chunks_of(TEXT[:9_000], 9), nonce).tags for nonce in [self.nonce, bytes(16)])
        self.assertTrue(set(one).isdisjoint(two))

    def test_refusals(self):
        good = self.nonce + b"\x11" + varint(3) + bytes([0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x07])
        self.assertEqual(ref.decode_signature(good).tags, [0x1FFFF] * 3)
        for reason, data in [
            ("truncated", good[:-1]),
            ("truncated", good[:16]),
            ("trailing-bytes", good + b"\0"),
            ("bad-bits", good[:16] + b"\x07" + good[17:]),
            ("bad-bits", good[:16] + b"\x41" + good[17:]),
            ("bad-padding", good[:-1] + bytes([good[-1] | 0x80])),
            ("limit-tags", good[:17] + varint((1 << 22) + 1)),
        ]:
            with self.assertRaises(ref.Refused) as caught:
                ref.decode_signature(data)
            self.assertEqual(caught.exception.reason, reason)


class Containers(Case):
    def test_streams_are_written_as_they_were_read(self):
        for level in range(10):
            for strategy in (zlib.Z_DEFAULT_STRATEGY, zlib.Z_FIXED, zlib.Z_HUFFMAN_ONLY):
                deflater = zlib.compressobj(level, zlib.DEFLATED, -15, 8, strategy)
                plain = TEXT[:3000] + random_bytes(level, 200)
                # A flush ends a block, and a stored block follows.
                packed = deflater.compress(plain[:1000]) + deflater.flush(zlib.Z_FULL_FLUSH)
                packed += deflater.compress(plain[1000:]) + deflater.flush()
                content = containers.read_symbols(packed, len(plain))
                self.assertEqual(content[: len(plain)], plain)
                self.assertEqual(containers.write_symbols(content, len(plain)), packed)

    def test_damaged_symbols_are_refused_or_make_another_stream(self):
        packed = zlib.compress(TEXT[:2000])[2:-4]
        content = containers.read_symbols(packed, 2000)
        for at in range(2000, len(content)):
            damaged = bytearray(content)
            damaged[at] ^= 1
            try:
                self.assertNotEqual(containers.write_symbols(bytes(damaged), 2000), packed)
            except ref.Refused as refused:
                self.assertEqual(refused.reason, "bad-containers")


class Matched(Case):
    def runs(self, data, count, **limits):
        reader = ref.Reader(data)
        bits = ref.decode_runs(reader, count, Limits(**limits))
        reader.end()
        return "".join("01"[bit] for bit in bits)

    def test_runs(self):
        self.assertEqual(self.runs(b"\1\5", 5), "00000")
        self.assertEqual(self.runs(b"\2\0\5", 5), "11111")
        self.assertEqual(self.runs(b"\3\1\2\3", 6), "011000")
        self.assertEqual(self.runs(b"\1\0", 0), "")
        for reason, data in [
            ("bad-runs", b"\1\4"),
            ("bad-runs", b"\1\6"),
            ("bad-runs", b"\3\1\0\4"),
            ("bad-runs", b"\2\5\0"),
            ("bad-runs", b"\1\x85"),
            ("bad-varint", b"\2\x85\0"),
            ("truncated", b"\2\5"),
            ("limit-runs", varint(8 * MIB + 1)),
        ]:
            with self.assertRaises(ref.Refused) as caught:
                self.runs(data, 5)
            self.assertEqual(caught.exception.reason, reason, data)

    def test_a_matched_answer(self):
        piece = random_bytes(3, 8_000)
        held = piece + TEXT[:5_000] + piece
        head = b"new start" + piece + b"new end"
        head_ids = {chunk.id for chunk in ref.chunks_of(head, 9)}
        chunks = ref.chunks_of(held, 9)
        matched = [chunk.id in head_ids for chunk in chunks]
        self.assertLess(9, sum(matched))
        basis = ref.matched_basis(chunks, matched)
        self.assertLess(len(piece), len(basis.data))  # what occurs twice is there twice
        runs, last = [0], False
        for bit in matched:
            if bit != last:
                runs.append(0)
                last = bit
            runs[-1] += 1
        packed = b"".join(varint(run) for run in runs)
        prefix = b"\0" + basis.data
        answer = varint(len(packed)) + packed + header(head, basis.basis_id) + zstd(head, reach=MIB, prefix=prefix)
        self.assertEqual(ref.decode_matched(answer, chunks), head)
        with self.assertRaises(ref.Refused) as caught:
            ref.decode_matched(answer, chunks[:-9])
        self.assertIn(caught.exception.reason, ["bad-runs", "wrong-basis"])

    def test_no_chunks_check_like_the_empty_basis(self):
        self.assertEqual(ref.matched_basis([], []).basis_id, ref.EMPTY.basis_id)
        answer = b"\1\0" + delta(b"fresh", stored(b"fresh"))
        self.assertEqual(ref.decode_matched(answer, []), b"fresh")


class CommandLine(Case):
    def test_patch(self):
        with tempfile.TemporaryDirectory() as folder:
            old, patch, new = (os.path.join(folder, name) for name in ["old", "delta", "new"])
            Path(old).write_bytes(TEXT)
            Path(patch).write_bytes(delta(b"other", stored(b"other"), basis=TEXT))
            command = [sys.executable, str(Path(__file__).with_name("reference.py")), "patch", old, patch, new]
            self.assertEqual(subprocess.run(command, check=False, timeout=60).returncode, 0)
            self.assertEqual(Path(new).read_bytes(), b"other")


class Live(Case):
    examples = json.loads(Path(__file__).with_name("live.json").read_text())

    def test_streams(self):
        for example in self.examples["streams"]:
            with self.subTest(example["name"]):
                stream, events, error = live.EventStream(), [], None
                try:
                    for piece in example["pieces"]:
                        text = piece if isinstance(piece, str) else piece["text"] * piece["times"]
                        events += stream.feed(text)
                except live.TooLong:
                    error = "too-long"
                self.assertEqual(error, example.get("error"))
                if error is None:
                    self.assertEqual(events, example["events"])
                    self.assertEqual(stream.retry, example["retry"])

    def test_heads(self):
        for example in self.examples["heads"]:
            with self.subTest(example["name"]):
                self.assertEqual(live.parse_head(example["data"]), example["head"])

    def test_which_head_is_followed(self):
        for example in self.examples["follow"]:
            with self.subTest(example["name"]):
                followed = live.Followed()
                for answer in example["answers"]:
                    at, epoch, counter = answer["at"], answer["epoch"], answer["counter"]
                    self.assertEqual(followed.answer(at, epoch, counter, answer["version"]), answer["does"], answer)


class Vectors(Case):
    path = Path(__file__).with_name("vectors.json")

    @unittest.skipUnless(path.exists(), "vectors.json is not there")
    def test_all(self):
        count, faults = check(json.loads(self.path.read_text()))
        self.assertEqual(faults, [])
        self.assertLess(0, count)

    def test_a_wrong_vector_is_a_fault(self):
        base = {"name": "n", "basis": {"hex": ""}, "delta": delta(b"abc", stored(b"abc")).hex()}
        right = {**base, "target": {"hex": "616263"}, "refused": None}
        other = {**base, "target": {"hex": "616264"}, "refused": None}
        sound = {**base, "target": None, "refused": "truncated"}
        self.assertEqual(check({"deltas": [right]}), (1, []))
        self.assertEqual(len(check({"deltas": [right, other, sound]})[1]), 2)


if __name__ == "__main__":
    result = unittest.main(exit=False).result
    failed, skipped = len(result.failures) + len(result.errors), len(result.skipped)
    print(f"{result.testsRun - failed - skipped} passed, {failed} failed, {skipped} skipped")
    sys.exit(0 if result.wasSuccessful() else 1)
