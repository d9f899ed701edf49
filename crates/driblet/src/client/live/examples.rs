//! The examples of spec/live.json.

use serde_json::Value;

/// All examples of one kind.
pub(super) fn examples(kind: &str) -> Vec<Value> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../spec/live.json");
    let all: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let examples = all[kind].as_array().unwrap().clone();
    assert!(!examples.is_empty(), "{kind}");
    examples
}

pub(super) fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}
