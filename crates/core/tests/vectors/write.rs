//! Writes spec/vectors.json. The encoder makes the valid deltas; the invalid ones are written by hand.

use std::fs;

use driblet_core::*;
use serde_json::{Value, json};

use super::PATH;
use super::input::{bytes_of, hex};
use super::module::{Moved, module};
use super::varint::put_varint;

#[test]
#[ignore = "writes spec/vectors.json"]
fn write_vectors() {
    let vectors = json!({
        "deltas": deltas(),
        "signatures": signatures(),
        "refused_signatures": refused_signatures(),
        "matched": matched(),
        "runs": runs(),
        "cuts": cuts(),
        "versions": versions(),
    });
    let vectors = with_directories(vectors);
    fs::write(PATH, serde_json::to_string_pretty(&vectors).unwrap() + "\n").unwrap();
}

/// Writes the vectors of directories only.
#[test]
#[ignore = "writes spec/vectors.json"]
fn write_directory_vectors() {
    let vectors = serde_json::from_slice(&fs::read(PATH).unwrap()).unwrap();
    fs::write(PATH, serde_json::to_string_pretty(&with_directories(vectors)).unwrap() + "\n").unwrap();
}

fn with_directories(mut vectors: Value) -> Value {
    vectors["manifests"] = super::directories::manifests();
    vectors["parts"] = super::directories::parts();
    vectors["directory_deltas"] = super::directories::directory_deltas();
    vectors["directory_files"] = super::directories::directory_files();
    vectors["haves"] = super::directories::haves();
    vectors
}

fn collect(mut encoder: Encoder<'_>) -> Vec<u8> {
    let mut delta = Vec::new();
    while let Some(piece) = encoder.poll_output().unwrap() {
        delta.extend_from_slice(&piece);
    }
    delta
}

pub(super) fn nothing() -> Value {
    json!({ "hex": "" })
}

/// A repeated line of code, which compresses well and has many equal parts.
fn lines(len: usize) -> Value {
    json!({ "repeat": hex(b"export function add(a, b) { return a + b }\n"), "len": len })
}

fn edited(base: &Value, at: usize, to: usize, len: usize) -> Value {
    json!({ "concat": [{ "slice": [base, 0, at] }, { "hex": hex(b"edited here") }, { "slice": [base, to, len] }] })
}

fn encode(basis: &Value, target: &Value) -> Vec<u8> {
    collect(Encoder::new(&bytes_of(basis), &bytes_of(target), EncodeOptions::default()))
}

fn good(name: &str, basis: &Value, target: &Value) -> Value {
    json!({ "name": name, "basis": basis, "target": target, "delta": hex(&encode(basis, target)), "refused": null })
}

fn good_dense(name: &str, basis: &Value, target: &Value) -> Value {
    good_with(name, basis, target, EncodeOptions::new().codec(Codec::Dense), 0x82)
}

fn good_substitution(name: &str, basis: &Value, target: &Value) -> Value {
    good_with(name, basis, target, EncodeOptions::new().thorough(true), 0x83)
}

/// A delta whose only region has this codec.
pub(super) fn good_with(name: &str, basis: &Value, target: &Value, options: EncodeOptions, region: u8) -> Value {
    let delta = collect(Encoder::new(&bytes_of(basis), &bytes_of(target), options));
    let header = header(basis, bytes_of(target).len()).len();
    assert_eq!(delta[header], region, "{name}");
    json!({ "name": name, "basis": basis, "target": target, "delta": hex(&delta), "refused": null })
}

pub(super) fn bad(name: &str, basis: &Value, delta: &[u8], reason: &str) -> Value {
    json!({ "name": name, "basis": basis, "target": null, "delta": hex(delta), "refused": reason })
}

/// The header of a delta that makes `len` zeros from a basis.
pub(super) fn header(basis: &Value, len: usize) -> Vec<u8> {
    let basis_id = *Version::of(&bytes_of(basis)).basis_id().as_bytes();
    let mut out = vec![0xdb, 0x16];
    out.extend_from_slice(Version::of(&vec![0; len]).as_bytes());
    put_varint(&mut out, len as u64);
    out.extend_from_slice(&basis_id);
    out
}

pub(super) fn with(mut start: Vec<u8>, rest: &[u8]) -> Vec<u8> {
    start.extend_from_slice(rest);
    start
}

/// A zstd frame of one raw block, without content size. The descriptor byte gives the window.
fn raw_frame(descriptor: u8, bytes: &[u8]) -> Vec<u8> {
    let mut out = vec![0x28, 0xb5, 0x2f, 0xfd, 0x00, descriptor];
    let block = 1 | (bytes.len() as u32) << 3;
    out.extend_from_slice(&block.to_le_bytes()[..3]);
    out.extend_from_slice(bytes);
    out
}

fn deltas() -> Vec<Value> {
    let old = json!({ "concat": [{ "random": 1, "len": 3001 }, lines(4001), { "random": 2, "len": 2999 }] });
    let new = edited(&old, 3500, 4200, 10001);
    let zeros = json!({ "repeat": "00", "len": 64 });
    let mut all = vec![
        good("nothing from nothing", &nothing(), &nothing()),
        good("one byte from nothing", &nothing(), &json!({ "hex": "2a" })),
        good("nothing from something", &zeros, &nothing()),
        good("random bytes from nothing: stored", &nothing(), &json!({ "random": 3, "len": 777 })),
        good("text from nothing: zstd", &nothing(), &lines(5000)),
        good("an edit", &old, &new),
        good("back again", &new, &old),
        good("two groups and one byte", &nothing(), &lines((2 << 18) + 1)),
        good("exactly one group", &nothing(), &lines(1 << 18)),
        good("moved parts", &old, &json!({ "concat": [{ "slice": [old, 5000, 10001] }, { "slice": [old, 0, 5000] }] })),
    ];
    let same = encode_same(Version::of(&bytes_of(&old)), 10001);
    all.push(json!({ "name": "same", "basis": old, "target": old, "delta": hex(&same), "refused": null }));
    let two = with(header(&zeros, 70), &[0x00, 6, 0, 0, 0, 0, 0, 0, 0x81, 0, 4, 0, 1, 0, 64, 0]);
    let seventy = json!({ "repeat": "00", "len": 70 });
    all.push(json!({ "name": "two regions: stored, then a copy", "basis": zeros, "target": seventy, "delta": hex(&two), "refused": null }));
    all.extend(dense(&old, &new));
    all.extend(substitutions());
    all.extend(super::containers::containers());
    all.extend(super::predicted::predicted());
    all.extend(refused_headers(&old, &new, &same));
    all.extend(refused_regions(&zeros));
    all
}

/// Looks like minified code: short names and no spaces.
pub(super) fn code(names: [&str; 4]) -> Value {
    let [a, b, c, d] = names;
    let body = |i: usize| {
        format!(
            "function {a}{i}({b},{c}){{var {d}={b}+{c}*{i};if({d}>{b}.length){{return {a}{}({d},{b}.x{i})}}return {d}}};",
            i % 7
        )
    };
    json!({ "hex": hex((0..60).map(body).collect::<String>().as_bytes()) })
}

/// The header of a delta that makes one byte more than 32 MiB of zeros.
pub(super) fn wide_header(basis: &Value) -> Vec<u8> {
    let target = vec![0; (32 << 20) + 1];
    let mut wide = header(basis, target.len());
    chaining_values(&target, GroupSize::LARGEST).iter().for_each(|value| wide.extend_from_slice(value));
    wide
}

/// Pairs whose delta is one dense region: text, other bytes, moved parts, and malformed regions.
fn dense(old: &Value, new: &Value) -> Vec<Value> {
    let (plain, renamed) = (code(["f", "e", "t", "n"]), code(["g", "t", "r", "i"]));
    let inserted = json!({ "concat": [{ "slice": [renamed, 0, 900] }, { "hex": hex(b"let fresh=[1,2,3];console.log(fresh.length);") }, { "slice": [renamed, 1100, 3500] }] });
    let moved = json!({ "concat": [{ "slice": [old, 5000, 10001] }, { "slice": [old, 0, 5000] }] });
    let numbers = |add: u32| json!({ "hex": hex(&(0..900u32).flat_map(|i| (i * 77 % 1013 + add * (i % 3)).to_le_bytes()).collect::<Vec<u8>>()) });
    let mut all = vec![
        good_dense("dense: an edit", old, new),
        good_dense("dense: names that change throughout", &plain, &renamed),
        good_dense("dense: names and an insertion", &plain, &inserted),
        good_dense("dense: moved parts", old, &moved),
        good_dense("dense: numbers that grow", &numbers(0), &numbers(5)),
        good_dense("dense: one byte", &json!({ "hex": "2a" }), &json!({ "hex": "2b" })),
        good_dense(
            "dense: nothing in common",
            &json!({ "random": 8, "len": 500 }),
            &json!({ "random": 9, "len": 400 }),
        ),
    ];
    all.extend(modules());
    let zeros = json!({ "repeat": "00", "len": 64 });
    let region = |bytes: &[u8]| with(header(&zeros, 70), bytes);
    let long = |mut numbers: Vec<u8>, value: u64| {
        put_varint(&mut numbers, value);
        region(&numbers)
    };
    let over = (32 << 20) + 1;
    let wide = wide_header(&zeros);
    let whole = super::input::unhex(all[1]["delta"].as_str().unwrap());
    // The packed length follows the header's 44 bytes, the codec and the shape. It takes one byte or two.
    let from = if whole[46] < 0x80 { 47 } else { 48 };
    let repacked = |packed: &[u8]| {
        let mut delta = whole[..46].to_vec();
        put_varint(&mut delta, packed.len() as u64);
        with(delta, packed)
    };
    let early = repacked(&whole[from..from + (whole.len() - from) / 2]);
    let spare = repacked(&with(whole[from..].to_vec(), &[0; 9]));
    let seventy = json!({ "repeat": "00", "len": 70 });
    all.push(json!({ "name": "dense: decisions that are all left out", "basis": zeros, "target": seventy, "delta": hex(&region(&[0x82, 0, 0])), "refused": null }));
    all.extend([
        bad("dense: a shape with bits that mean nothing", &zeros, &region(&[0x82, 0x38, 0]), "bad-dense"),
        bad("dense: a window beyond the basis", &zeros, &region(&[0x82, 2, 60, 5, 0]), "copy-outside-basis"),
        bad("dense: more packed bytes than allowed", &zeros, &long(vec![0x82, 0], over), "limit-packed"),
        bad("dense: a span beyond the limit", &zeros, &with(wide, &[0x82, 0, 0]), "limit-span"),
        bad("dense: decisions that end early", &plain, &early, "bad-dense"),
        bad("dense: decisions left over", &plain, &spare, "bad-dense"),
        bad("dense: cut", &plain, &whole[..whole.len() - 1], "truncated"),
    ]);
    all
}

/// Pairs of WebAssembly modules.
fn modules() -> Vec<Value> {
    let bytes = |bytes: &[u8]| json!({ "hex": hex(bytes) });
    let old = Moved { padded: false, ..Moved::default() };
    let new = Moved { functions: 3, data: 96, locals: 1, longer: Some(20), without: Some(9), padded: false };
    let pair = |number, functions| (module(number, functions, old), module(number, functions, new));
    let (one, other) = pair(1, 60);
    let (a, b) = pair(2, 20);
    let text = |name: &str| format!("export const {name} = {name}({name}.bytes);\n").repeat(9).into_bytes();
    let within = |module: &[u8], name| [&text(name)[..], module, b"\xff", &text(name)[..], &one[..300]].concat();
    let little = Moved { functions: 1, longer: Some(31), ..old };
    let (long, longer) = (module(6, 160, old), module(6, 160, little));
    let padded = |moved: Moved| module(3, 30, Moved { padded: true, ..moved });
    // A module of damaged bytes, and bytes that only begin as a module does.
    let damaged = |module: &[u8], noise: u64| {
        let noise = super::random::random_bytes(noise, module.len());
        let damage = module.iter().zip(noise.iter().zip(noise.iter().rev()));
        damage.map(|(byte, (at, noise))| if at % 23 == 0 { *noise } else { *byte }).collect::<Vec<u8>>()
    };
    let noise = super::random::random_bytes(5, 3000);
    let fake = |noise: &[u8]| [b"\0asm\x01\0\0\0\x0a\xff\x7f\x03\xff\x7f", noise].concat();
    vec![
        good_dense("dense: a module whose numbers moved", &bytes(&one), &bytes(&other)),
        good_dense("dense: a module from nothing", &bytes(b"\0asm"), &bytes(&one)),
        good_dense("dense: a module in text", &bytes(&within(&a, "draw")), &bytes(&within(&b, "paint"))),
        good_dense("dense: a module with padded numbers", &bytes(&padded(old)), &bytes(&padded(new))),
        good_dense("dense: a module that hardly changed", &bytes(&long), &bytes(&longer)),
        good_dense("dense: a module that ends early", &bytes(&padded(old)), &bytes(&padded(old)[..1111])),
        good_dense("dense: a module that ends earlier", &bytes(&padded(old)), &bytes(&padded(old)[..907])),
        good_dense("dense: a module with damage", &bytes(&damaged(&one, 7)), &bytes(&damaged(&other, 8))),
        good_dense("dense: a module of noise", &bytes(&fake(&noise)), &bytes(&fake(&damaged(&noise, 9)))),
    ]
}

/// Looks like linked code: opcodes, locals, and numbers in LEB128, of which some moved.
fn linked(moved: impl Fn(u32) -> u32) -> Value {
    linked_with(|i| i % 7, moved)
}

fn linked_with(local: impl Fn(u32) -> u32, moved: impl Fn(u32) -> u32) -> Value {
    let mut bytes = Vec::new();
    for i in 0..1500u32 {
        bytes.extend_from_slice(&[0x20, local(i) as u8, 0x41, 0x10]);
        put_varint(&mut bytes, moved(200 + i * 37 % 900).into());
        bytes.push((i % 11) as u8);
    }
    json!({ "hex": hex(&bytes) })
}

/// Looks like the mappings of a source map, in which the third number of some segments depends on `every`.
fn mappings(every: u32) -> Value {
    let digit = |n: u32| char::from(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdef"[n as usize % 32]);
    let segment =
        |n: u32| format!("{}A{}{}", digit(n * 7), digit(if n % 40 == every { n } else { 2 }), digit(n / 3 * n));
    json!({ "hex": hex((0..1200).map(segment).collect::<Vec<_>>().join(",").as_bytes()) })
}

/// Pairs whose delta is one substitution region, and malformed regions.
fn substitutions() -> Vec<Value> {
    let (plain, renamed) = (code(["f", "e", "t", "n"]), code(["g", "t", "r", "i"]));
    let longer = code(["fn1", "e", "there", "n_"]);
    let inserted = json!({ "concat": [{ "slice": [renamed, 0, 900] }, { "hex": hex(b"let fresh=[1,2,3];console.log(fresh.length);") }, { "slice": [renamed, 1100, 3500] }] });
    let moved = json!({ "concat": [{ "slice": [longer, 2500, 5000] }, { "slice": [renamed, 0, 2500] }] });
    let (numbers, shifted) = (linked(|n| n), linked(|n| if n < 500 { n } else { n + 3 }));
    let scattered = linked(|n| if n % 17 == 3 { n ^ 0x15 } else { n + n / 300 });
    let locals = linked_with(|i| i % 7 + u32::from(i % 50 < 9), |n| n + n / 600);
    let mut all = vec![
        good_substitution("renames: names that change throughout", &plain, &renamed),
        good_substitution("renames: names of other lengths", &plain, &longer),
        good_substitution("renames: names and an insertion", &plain, &inserted),
        good_substitution("renames: parts that moved", &plain, &moved),
        good_substitution("renames: numbers that move", &numbers, &shifted),
        good_substitution("renames: numbers that change here and there", &numbers, &scattered),
        good_substitution("renames: numbers and bytes between them", &numbers, &locals),
        good_substitution("renames: the mappings of a source map", &mappings(2), &mappings(3)),
    ];
    let zeros = json!({ "repeat": "00", "len": 64 });
    let region = |bytes: &[u8]| with(header(&zeros, 70), bytes);
    let mut packed = vec![0x83, 1, 0];
    put_varint(&mut packed, (32 << 20) + 1);
    let whole = super::input::unhex(all[0]["delta"].as_str().unwrap());
    // The reach and the decisions' length follow the header, the codec and the shape.
    let end_of = |at: usize| at + 1 + whole[at..].iter().take_while(|byte| 0x80 <= **byte).count();
    let reach_end = end_of(header(&plain, bytes_of(&renamed).len()).len() + 2);
    let (start, from) = (whole[..reach_end].to_vec(), end_of(reach_end));
    let len = whole[reach_end..from].iter().rev().fold(0, |len, byte| len << 7 | usize::from(byte & 127));
    let repacked = |decisions: &[u8]| {
        let mut delta = start.clone();
        put_varint(&mut delta, decisions.len() as u64);
        with(with(delta, decisions), &whole[from + len..])
    };
    all.extend([
        bad("renames: a shape with bits that mean nothing", &zeros, &region(&[0x83, 2, 0, 0]), "bad-renames"),
        bad("renames: more bytes of decisions than allowed", &zeros, &region(&packed), "limit-packed"),
        bad("renames: more ops than allowed", &zeros, &region(&[0x83, 1, 0, 0]), "limit-followed-ops"),
        bad("renames: no op, and nothing made", &zeros, &region(&[0x83, 1, 0, 4, 0xff, 0xff, 0xff, 0xff]), "bad-ops"),
        bad("renames: decisions that end early", &plain, &repacked(&whole[from..from + len / 2]), "bad-renames"),
        bad(
            "renames: decisions left over",
            &plain,
            &repacked(&with(whole[from..from + len].to_vec(), &[0; 9])),
            "bad-renames",
        ),
        bad("renames: cut", &plain, &whole[..whole.len() - 1], "truncated"),
    ]);
    all
}

fn refused_headers(old: &Value, new: &Value, same: &[u8]) -> Vec<Value> {
    let edit = encode(old, new);
    let groups = encode(&nothing(), &lines((2 << 18) + 1));
    let changed = |at: usize, byte: u8, delta: &[u8]| {
        let mut delta = delta.to_vec();
        delta[at] = byte;
        delta
    };
    let long = |len: u64, flags: u8| {
        let mut out = vec![0xdb, flags];
        out.extend_from_slice(&[7; 32]);
        put_varint(&mut out, len);
        with(out, Version::EMPTY.basis_id().as_bytes())
    };
    let mut tree = groups.clone();
    tree[50] ^= 1;
    let mut limited = bad("longer than the receiver allows", old, &edit, "limit-target");
    limited["limits"] = json!({ "target": 9000 });
    vec![
        bad("empty", old, &[], "truncated"),
        bad("cut in the header", old, &edit[..20], "truncated"),
        bad("cut in a region", old, &edit[..edit.len() - 1], "truncated"),
        bad("a byte too many", old, &with(edit.clone(), &[0]), "trailing-bytes"),
        bad("a byte after same", old, &with(same.to_vec(), &[0]), "trailing-bytes"),
        bad("another first byte", old, &changed(0, 0xdc, &edit), "bad-magic"),
        bad("format 2", old, &changed(1, 0x26, &edit), "bad-format"),
        bad("group exponent 7", old, &changed(1, 0x17, &edit), "bad-group"),
        bad("a length not in its shortest form", old, &with(edit[..34].to_vec(), &[0x80, 0x80, 0x00]), "bad-varint"),
        bad(
            "a length of 2^64",
            old,
            &with(edit[..34].to_vec(), &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2]),
            "bad-varint",
        ),
        limited,
        bad("2^60 bytes", &nothing(), &long(1 << 60, 0x16), "limit-target"),
        bad("2^22 groups", &nothing(), &long(1 << 40, 0x10), "limit-groups"),
        bad("same of another version", new, same, "unexpected-same"),
        bad("another basis", new, &edit, "wrong-basis"),
        bad("a changed chaining value", &nothing(), &tree, "bad-tree"),
        bad("a changed target", &nothing(), &changed(9, 1, &encode(&nothing(), &lines(5000))), "bad-group-hash"),
    ]
}

fn refused_regions(zeros: &Value) -> Vec<Value> {
    let region = |bytes: &[u8]| with(header(zeros, 70), bytes);
    let frame = |bytes: &[u8], descriptor: u8| region(&with(vec![0x81, 0, 0], &raw_frame(descriptor, bytes)));
    let mut limit_ops = vec![0x81, 0];
    put_varint(&mut limit_ops, (1 << 20) + 1);
    let mut limit_reach = vec![0x81];
    put_varint(&mut limit_reach, (1 << 20) + 1);
    let case = |name, bytes: &[u8], reason| bad(name, zeros, &region(bytes), reason);
    vec![
        case("codec 6", &[0x86, 0], "bad-codec"),
        case("bit 6", &[0xc0, 0], "bad-codec"),
        case("a span of 0", &[0x00, 0], "bad-span"),
        case("a span beyond the target", &[0x00, 71], "bad-span"),
        case("a span that leaves nothing", &[0x00, 70], "bad-span"),
        case("wrong bytes", &[&[0x80][..], &[1; 70]].concat(), "bad-group-hash"),
        case("no op in the ops", &[0x81, 0, 1, 0, 0], "bad-ops"),
        case("more ops than bytes", &[0x81, 0, 4, 0, 9, 0, 64, 0], "bad-ops"),
        case("ops beyond the span", &[0x81, 0, 4, 0, 1, 7, 64, 0], "bad-ops"),
        case("a copy of nothing", &[0x81, 0, 4, 0, 1, 6, 0, 0], "bad-ops"),
        case("a byte after the ops", &[0x81, 0, 5, 0, 1, 6, 64, 11, 0], "bad-ops"),
        case("packed ops that are not shorter", &[0x81, 0, 4, 4, 0, 0, 0, 0], "bad-ops"),
        case("a copy before the basis", &[0x81, 0, 4, 0, 1, 6, 64, 13], "copy-outside-basis"),
        case("a copy beyond the basis", &[0x81, 0, 4, 0, 1, 6, 64, 0], "copy-outside-basis"),
        case("more ops than allowed", &limit_ops, "limit-ops"),
        case("a reach beyond the limit", &limit_reach, "limit-reach"),
        case("no zstd frame", &[&[0x81, 0, 0][..], &[9; 40]].concat(), "bad-zstd"),
        bad("a frame that ends early", zeros, &frame(&[0; 69], 0), "bad-zstd"),
        bad("a frame that goes on", zeros, &frame(&[0; 71], 0), "bad-zstd"),
        bad("a window of 16 MiB", zeros, &frame(&[0; 70], 14 << 3), "limit-window"),
    ]
}

fn held() -> Value {
    json!({ "concat": [{ "random": 5, "len": 20001 }, lines(999), { "random": 6, "len": 5000 }] })
}

/// A held file that is described for a head and signed. `whole` tells which of its sections stand for their chunks.
fn sign(held: &Value, head: &Value) -> (Value, Signature) {
    let sizes = ChunkSizes { sections: ChunkSize::new(11).unwrap(), chunks: ChunkSize::new(8).unwrap() };
    let list = Cuts::of(&bytes_of(head), sizes).list();
    let cuts = Cuts::of(&bytes_of(held), sizes);
    let described = cuts.describe(&list);
    let signature = Signature::sign([0xa5; 16], &described);
    let is_whole = |index: &usize| described.contains(&cuts.sections()[*index]);
    let whole: Vec<usize> = (0..cuts.sections().len()).filter(is_whole).collect();
    let vector = json!({
        "held": held, "head": head, "rungs": [11, 8], "nonce": hex(&[0xa5; 16]),
        "list": hex(&list), "whole": whole, "signature": hex(&signature.encode()),
    });
    (vector, signature)
}

fn named(name: &str, mut vector: Value) -> Value {
    vector["name"] = json!(name);
    vector
}

fn signatures() -> Vec<Value> {
    let case = |name: &str, held: Value, head: Value| named(name, sign(&held, &head).0);
    let zeros = |len: usize| json!({ "repeat": "00", "len": len });
    vec![
        case("of nothing", nothing(), held()),
        case("of what is held too", held(), held()),
        case("of an edit", held(), edited(&held(), 10_000, 13_000, 26_000)),
        case("for an empty head", held(), nothing()),
        case("for another file", held(), json!({ "random": 77, "len": 30_000 })),
        case("with repeats", zeros(100_000), zeros(50_000)),
    ]
}

fn refused_signatures() -> Vec<Value> {
    let bytes = sign(&held(), &nothing()).1.encode();
    let mut announced = [&[0; 16][..], &[33]].concat();
    put_varint(&mut announced, (1 << 22) + 1);
    let changed = |at: usize, byte: u8| {
        let mut bytes = bytes.clone();
        bytes[at] = byte;
        bytes
    };
    let case =
        |name: &str, bytes: &[u8], reason: &str| json!({ "name": name, "signature": hex(bytes), "refused": reason });
    vec![
        case("empty", &[], "truncated"),
        case("cut", &bytes[..bytes.len() - 1], "truncated"),
        case("a byte too many", &[&bytes[..], &[0]].concat(), "trailing-bytes"),
        case("7 bits", &changed(16, 7), "bad-bits"),
        case("65 bits", &changed(16, 65), "bad-bits"),
        case("2^22 + 1 tags", &announced, "limit-tags"),
        case("padding", &[&[0; 16][..], &[21, 1, 0, 0, 0xe0]].concat(), "bad-padding"),
    ]
}

fn matched() -> Vec<Value> {
    let held = held();
    let case = |name: &str, target: &Value, use_matches: bool| {
        let target_bytes = bytes_of(target);
        let (mut vector, signature) = sign(&held, target);
        let sizes = ChunkSizes { sections: ChunkSize::new(11).unwrap(), chunks: ChunkSize::new(8).unwrap() };
        let matches = signature.match_chunks(&Cuts::of(&target_bytes, sizes));
        let answer = if use_matches {
            with(matches.encode_runs(), &collect(Encoder::matched(&matches, &target_bytes, EncodeOptions::default())))
        } else {
            with(matches.encode_no_runs(), &encode(&nothing(), target))
        };
        vector["answer"] = json!(hex(&answer));
        vector["target"] = target.clone();
        vector["refused"] = Value::Null;
        named(name, vector)
    };
    let new = edited(&held, 10_000, 13_000, 26_000);
    let repeated = json!({ "concat": [held, new, held] });
    let mut lied = case("one tag more is said to match", &new, true);
    let mut answer = super::input::unhex(lied["answer"].as_str().unwrap());
    assert!(answer[1] == 0 && 1 < answer[3], "matched at once, then several unmatched");
    answer[2] += 1;
    answer[3] -= 1;
    lied["answer"] = json!(hex(&answer));
    lied["target"] = Value::Null;
    lied["refused"] = json!("wrong-basis");
    vec![
        case("an edit", &new, true),
        case("repeats", &repeated, true),
        case("nothing in common", &json!({ "random": 77, "len": 5000 }), true),
        case("too little in common: from nothing", &new, false),
        lied,
    ]
}

fn runs() -> Vec<Value> {
    let good = |name: &str, runs: &str, bits: &str| json!({ "name": name, "count": bits.len(), "runs": runs, "bits": bits, "refused": null });
    let bad = |name: &str, runs: &str, count: u64, reason: &str| json!({ "name": name, "count": count, "runs": runs, "bits": null, "refused": reason });
    vec![
        good("none of none", "00", ""),
        good("none", "0105", "00000"),
        good("all", "020003", "111"),
        good("some", "03010201", "0110"),
        bad("too few", "0103", 4, "bad-runs"),
        bad("too many", "0105", 4, "bad-runs"),
        bad("an empty run", "03010003", 4, "bad-runs"),
        bad("cut", "0301", 4, "truncated"),
        bad("a number cut off by runs_len", "0180", 128, "bad-runs"),
        bad("not the shortest form", "028400", 4, "bad-varint"),
        bad("2^40 bytes of runs", "808080808020", 4, "limit-runs"),
    ]
}

fn cuts() -> Vec<Value> {
    let case = |name: &str, input: Value, size: u8| {
        let chunks: Vec<Chunk> = cut(&bytes_of(&input), ChunkSize::new(size).unwrap()).collect();
        let lengths: Vec<u32> = chunks.iter().map(|chunk| chunk.len).collect();
        let ids: Vec<String> = chunks.iter().map(|chunk| hex(&chunk.id.as_bytes()[..4])).collect();
        json!({ "name": name, "input": input, "size": size, "lengths": lengths, "ids": ids })
    };
    let mut all = vec![case("nothing", nothing(), 9), case("one byte", json!({ "hex": "00" }), 9)];
    for (size, len) in [(9, 9_001), (11, 40_003), (13, 150_001), (15, 500_001), (17, 1_000_001)] {
        all.push(case("random bytes of odd length", json!({ "random": size, "len": len }), size));
    }
    for (size, len) in [(8, 5_001), (10, 20_003), (12, 80_001), (14, 250_001), (16, 600_001)] {
        all.push(case("random bytes of odd length", json!({ "random": size, "len": len }), size));
    }
    for len in [127, 128, 129, 511, 512, 513, 2047, 2048, 2049, 4097] {
        all.push(case("zeros: the maximum", json!({ "repeat": "00", "len": len }), 9));
        all.push(case("random bytes", json!({ "random": 40 + len, "len": len }), 9));
    }
    all.push(case("text", lines(20_001), 11));
    all
}

fn versions() -> Vec<Value> {
    let case = |name: &str, input: Value, group: u8| {
        let bytes = bytes_of(&input);
        let values: Vec<String> =
            chaining_values(&bytes, GroupSize::new(group).unwrap()).iter().map(|value| hex(value)).collect();
        json!({ "name": name, "input": input, "group": group, "version": Version::of(&bytes).to_string(), "chaining_values": values })
    };
    let group = 1 << 18;
    vec![
        case("nothing", nothing(), 0),
        case("one byte", json!({ "hex": "00" }), 0),
        case("one group less one", lines(group - 1), 0),
        case("one group", lines(group), 0),
        case("one group and one", lines(group + 1), 0),
        case("three groups and some", json!({ "random": 9, "len": 3 * group + 1025 }), 0),
        case("larger groups", json!({ "random": 9, "len": 3 * group + 1025 }), 1),
    ]
}
