//! Pairs whose delta is one region in codec 5, and malformed regions.

use driblet_core::EncodeOptions;
use serde_json::{Value, json};

use super::input::{bytes_of, hex, unhex};
use super::varint::put_varint;
use super::write::{bad, code, good_with, header, wide_header, with};

/// A rule of a style sheet.
fn rule(number: usize) -> String {
    let names = ["arrow", "bell", "cloud", "door", "eye", "flag", "gear"];
    let (first, second) = (names[number % 7], names[number / 7 % 7]);
    format!(".icon-{first}-{second}-{number}::before {{\n  content: \"\\e{:03x}\";\n}}\n", number * 5)
}

fn hexed(bytes: &[u8]) -> Value {
    json!({ "hex": hex(bytes) })
}

pub(super) fn predicted() -> Vec<Value> {
    let good = |name, basis: &Value, target: &Value| {
        good_with(name, basis, target, EncodeOptions::new().thorough(true).predicted(true), 0x85)
    };
    let rules = |keep: fn(&usize) -> bool| hexed((0..900).filter(keep).map(rule).collect::<String>().as_bytes());
    let (few, many) = (rules(|number| number % 9 != 4), rules(|number| number % 11 != 7));
    let (plain, renamed) = (code(["f", "e", "t", "n"]), code(["g", "t", "r", "i"]));
    let fresh = b"function fresh(e){return e.length>9?fresh(e.slice(1)):e.map(function(t){return t+1})}";
    let inserted = json!({ "concat": [
        { "slice": [renamed, 0, 900] }, hexed(fresh), { "slice": [renamed, 900, 2100] }, hexed(&fresh.repeat(2)),
        { "slice": [renamed, 2100, 3500] },
    ] });
    let at_the_ends = json!({ "concat": [hexed(b"\xefthe first"), plain, hexed(b"and the last \x00\xff")] });
    let mut all = vec![
        good("predicted: rules of a style sheet", &few, &many),
        good("predicted: rules that go", &many, &few),
        good("predicted: new text among names that change", &plain, &inserted),
        good("predicted: new text at both ends", &plain, &at_the_ends),
        good("predicted: one byte of another kind", &hexed(b"let a=1"), &hexed(b"let a=1;let b=12;let c=123")),
    ];

    let zeros = json!({ "repeat": "00", "len": 64 });
    let numbered = |start: &[u8], number: u64| {
        let mut bytes = start.to_vec();
        put_varint(&mut bytes, number);
        bytes
    };
    let long = json!({ "repeat": "00", "len": 2 << 20 });
    // A region with no op, with another reach.
    let lone = good("predicted: nothing but new text", &zeros, &hexed(&fresh.repeat(3)[..200]));
    let lone_region = unhex(lone["delta"].as_str().unwrap())[header(&zeros, 200).len()..].to_vec();
    let reach_len = lone_region[2..].iter().take_while(|byte| 0x80 <= **byte).count() + 1;
    let wide = with(numbered(&lone_region[..2], 1 << 20), &lone_region[2 + reach_len..]);
    let region = |bytes: &[u8]| with(header(&zeros, 70), bytes);
    let whole = unhex(all[2]["delta"].as_str().unwrap());
    // The reach and the decisions' length follow the header, the codec and the shape.
    let end_of = |at: usize| at + 1 + whole[at..].iter().take_while(|byte| 0x80 <= **byte).count();
    let reach_end = end_of(header(&plain, bytes_of(&inserted).len()).len() + 2);
    let from = end_of(reach_end);
    let repacked = |decisions: &[u8]| with(numbered(&whole[..reach_end], decisions.len() as u64), decisions);
    all.push(lone);
    all.extend([
        bad("predicted: a shape with bits that mean nothing", &zeros, &region(&[0x85, 2, 0, 0]), "bad-renames"),
        bad("predicted: a longer region than allowed", &zeros, &with(wide_header(&zeros), &[0x85, 0, 0]), "limit-span"),
        bad(
            "predicted: a reach beyond the limit",
            &zeros,
            &region(&numbered(&[0x85, 1], (1 << 20) + 1)),
            "limit-reach",
        ),
        bad(
            "predicted: more bytes of the basis than may be learned from",
            &long,
            &with(header(&long, 200), &wide),
            "limit-reference",
        ),
        bad(
            "predicted: more bytes of decisions than allowed",
            &zeros,
            &region(&numbered(&[0x85, 1, 0], (32 << 20) + 1)),
            "limit-packed",
        ),
        bad("predicted: decisions that end early", &plain, &repacked(&whole[from..whole.len() - 40]), "bad-renames"),
        bad("predicted: decisions left over", &plain, &repacked(&with(whole[from..].to_vec(), &[0; 9])), "bad-renames"),
        bad("predicted: cut", &plain, &whole[..whole.len() - 1], "truncated"),
    ]);
    all
}
