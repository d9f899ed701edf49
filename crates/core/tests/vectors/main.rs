//! Checks spec/vectors.json, on whose results every implementation must agree.
//!
//! `cargo test -p driblet-core --test vectors -- --ignored` writes the file again; the diff then shows what changed.

#[path = "../support/apply.rs"]
mod apply;
#[cfg(feature = "encode")]
mod containers;
mod directories;
#[path = "../support/directories.rs"]
mod directories_in_memory;
mod input;
#[cfg(feature = "encode")]
#[path = "../support/module.rs"]
mod module;
#[cfg(feature = "encode")]
mod predicted;
#[path = "../support/random.rs"]
mod random;
#[cfg(feature = "encode")]
#[path = "../support/varint.rs"]
mod varint;
#[cfg(feature = "encode")]
mod write;

use std::fs;

use apply::apply;
use driblet_core::directory::{Have, Manifest, ManifestLimits, cut_parts};
use driblet_core::*;
use input::{bytes_of, hex, limits_of, unhex};
use serde_json::{Value, json};

const PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../spec/vectors.json");

fn vectors(kind: &str) -> Vec<Value> {
    let file: Value = serde_json::from_slice(&fs::read(PATH).expect("spec/vectors.json is there")).expect("it is JSON");
    let vectors = file[kind].as_array().expect(kind).clone();
    assert!(!vectors.is_empty(), "no vectors of {kind}");
    vectors
}

fn text<'a>(vector: &'a Value, field: &str) -> &'a str {
    vector[field].as_str().unwrap_or_default()
}

/// Applies a delta to a basis with this identity. Returns the target, or the reason for the refusal.
fn decode(basis: &[u8], named: Basis, limits: Limits, delta: &[u8]) -> Result<Vec<u8>, &'static str> {
    apply(basis, named, limits, [delta].into_iter()).map_err(|error| error.reason())
}

fn expect(vector: &Value, result: Result<Vec<u8>, &str>) {
    let name = text(vector, "name");
    match vector["refused"].as_str() {
        Some(reason) => assert_eq!(result, Err(reason), "{name}"),
        None => assert!(result.as_ref() == Ok(&bytes_of(&vector["target"])), "{name}: {:?}", result.err()),
    }
}

#[test]
fn deltas() {
    for vector in vectors("deltas") {
        let basis = bytes_of(&vector["basis"]);
        let named = Basis::of(&Version::of(&basis), basis.len() as u64);
        let delta = unhex(text(&vector, "delta"));
        expect(&vector, decode(&basis, named, limits_of(&vector["limits"]), &delta));
    }
}

fn chunk_sizes_of(vector: &Value) -> ChunkSizes {
    let size = |at: usize| ChunkSize::new(vector["rungs"][at].as_u64().unwrap() as u8).unwrap();
    ChunkSizes { sections: size(0), chunks: size(1) }
}

fn described(vector: &Value) -> Vec<Chunk> {
    Cuts::of(&bytes_of(&vector["held"]), chunk_sizes_of(vector)).describe(&unhex(text(vector, "list")))
}

#[test]
fn signatures() {
    for vector in vectors("signatures") {
        let head = Cuts::of(&bytes_of(&vector["head"]), chunk_sizes_of(&vector));
        assert_eq!(hex(&head.list()), text(&vector, "list"), "{}", text(&vector, "name"));
        let nonce = unhex(text(&vector, "nonce")).try_into().unwrap();
        let signature = Signature::sign(nonce, &described(&vector));
        assert_eq!(hex(&signature.encode()), text(&vector, "signature"), "{}", text(&vector, "name"));
    }
}

#[test]
fn refused_signatures() {
    for vector in vectors("refused_signatures") {
        let refused = Signature::decode(&unhex(text(&vector, "signature")), MAX_TAGS).unwrap_err();
        assert_eq!(refused.reason(), text(&vector, "refused"), "{}", text(&vector, "name"));
    }
}

#[test]
fn matched_answers() {
    for vector in vectors("matched") {
        let held = bytes_of(&vector["held"]);
        let signature = Signature::decode(&unhex(text(&vector, "signature")), MAX_TAGS).unwrap();
        let answer = unhex(text(&vector, "answer"));
        let result = match Runs::decode(&answer, signature.count()) {
            Err(error) => Err(error.reason()),
            Ok(None) => Err("truncated"),
            Ok(Some((runs, consumed))) => {
                let matched = MatchedBasis::new(&runs, &described(&vector));
                let pieces = matched.locate(0..matched.len());
                let basis: Vec<u8> = pieces.flat_map(|p| &held[p.start as usize..p.end as usize]).copied().collect();
                decode(&basis, Basis::matched(&matched), Limits::default(), &answer[consumed..])
            }
        };
        expect(&vector, result);
    }
}

#[test]
fn runs() {
    for vector in vectors("runs") {
        let count = vector["count"].as_u64().unwrap();
        let result = Runs::decode(&unhex(text(&vector, "runs")), count);
        match vector["refused"].as_str() {
            Some("truncated") => assert_eq!(result, Ok(None)),
            Some(reason) => assert_eq!(result.unwrap_err().reason(), reason, "{}", text(&vector, "name")),
            None => {
                let (runs, _) = result.unwrap().unwrap();
                let mut bits = vec![b'0'; count as usize];
                runs.matched().for_each(|index| bits[index] = b'1');
                assert_eq!(String::from_utf8(bits).unwrap(), text(&vector, "bits"), "{}", text(&vector, "name"));
            }
        }
    }
}

#[test]
fn cuts() {
    for vector in vectors("cuts") {
        let size = ChunkSize::new(vector["size"].as_u64().unwrap() as u8).unwrap();
        let chunks: Vec<Chunk> = cut(&bytes_of(&vector["input"]), size).collect();
        let lengths: Vec<u64> = chunks.iter().map(|chunk| chunk.len.into()).collect();
        let ids: Vec<String> = chunks.iter().map(|chunk| hex(&chunk.id.as_bytes()[..4])).collect();
        assert_eq!(Value::from(lengths), vector["lengths"], "{}", text(&vector, "name"));
        assert_eq!(Value::from(ids), vector["ids"], "{}", text(&vector, "name"));
    }
}

#[test]
fn versions() {
    for vector in vectors("versions") {
        let input = bytes_of(&vector["input"]);
        assert_eq!(Version::of(&input).to_string(), text(&vector, "version"), "{}", text(&vector, "name"));
        let size = GroupSize::new(vector["group"].as_u64().unwrap() as u8).unwrap();
        let values: Vec<String> = chaining_values(&input, size).iter().map(|value| hex(value)).collect();
        assert_eq!(Value::from(values), vector["chaining_values"], "{}", text(&vector, "name"));
    }
}

#[test]
fn manifests() {
    for vector in vectors("manifests") {
        let (bytes, name) = (unhex(text(&vector, "bytes")), text(&vector, "name"));
        let parsed = Manifest::parse(&bytes, ManifestLimits::default()).map_err(|error| error.reason());
        match vector["refused"].as_str() {
            Some(reason) => assert_eq!(parsed, Err(reason), "{name}"),
            None => assert_eq!(directories::files_of(&parsed.unwrap()), vector["files"], "{name}"),
        }
        // A receiver of files refuses the manifest of a directory.
        if bytes.first() == Some(&0xda) {
            assert_eq!(decode(&[], Basis::EMPTY, Limits::default(), &bytes), Err("bad-magic"));
        }
    }
}

#[test]
fn parts() {
    for vector in vectors("parts") {
        let files = vector["files"].as_array().unwrap().iter().map(directories::sized);
        let parts: Vec<usize> = cut_parts(files).into_iter().map(|part| part.files.len()).collect();
        assert_eq!(Value::from(parts), vector["parts"], "{}", text(&vector, "name"));
    }
}

#[test]
fn directory_deltas() {
    for vector in vectors("directory_deltas") {
        let name = text(&vector, "name");
        match (vector["refused"].as_str(), directories::plan(&vector)) {
            (Some(reason), result) => assert_eq!(result, Err(reason), "{name}"),
            (None, result) => assert_eq!(result.unwrap(), (vector["plan"].clone(), vector["rest"].clone()), "{name}"),
        }
    }
}

#[test]
fn directory_files() {
    for vector in vectors("directory_files") {
        let (name, bytes) = (text(&vector, "name"), unhex(text(&vector, "bytes")));
        let made = directories_in_memory::apply_directory(&directories::contents(&vector["old"]), bytes.chunks(17));
        match vector["refused"].as_str() {
            Some(reason) => assert_eq!(made, Err(reason), "{name}"),
            None => assert_eq!(made, Ok(directories::contents(&vector["new"])), "{name}"),
        }
    }
}

#[test]
fn haves() {
    for vector in vectors("haves") {
        let (bytes, count) = (unhex(text(&vector, "bytes")), vector["count"].as_u64().unwrap() as usize);
        match (vector["refused"].as_str(), Have::parse(&bytes, count).map_err(|error| error.reason())) {
            (Some(reason), result) => assert_eq!(result, Err(reason), "{}", text(&vector, "name")),
            (None, result) => {
                let have = result.unwrap();
                assert_eq!(have.encode(count), bytes);
                let others = have.others.iter().map(|(index, version)| json!([index, version.to_string()]));
                let others: Vec<Value> = others.collect();
                assert_eq!(json!([have.target.to_string(), have.held, others]), vector["have"]);
            }
        }
    }
}
