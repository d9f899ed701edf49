//! The inputs of the vectors. The file names each input by a recipe.

use driblet_core::Limits;
use serde_json::Value;

use super::random::random_bytes_from;

/// The bytes of a recipe: `{"hex"}`, `{"random", "len"}`, `{"repeat", "len"}`, `{"concat"}` or `{"slice"}`.
pub(crate) fn bytes_of(input: &Value) -> Vec<u8> {
    let number = |value: &Value| value.as_u64().expect("a number") as usize;
    if let Some(text) = input["hex"].as_str() {
        return unhex(text);
    }
    if let Some(start) = input["random"].as_u64() {
        return random_bytes_from(start | 1, number(&input["len"]));
    }
    if let Some(text) = input["repeat"].as_str() {
        return unhex(text).into_iter().cycle().take(number(&input["len"])).collect();
    }
    if let Some(parts) = input["concat"].as_array() {
        return parts.iter().flat_map(bytes_of).collect();
    }
    let slice = input["slice"].as_array().expect("a known recipe");
    bytes_of(&slice[0])[number(&slice[1])..number(&slice[2])].to_vec()
}

pub(crate) fn limits_of(limits: &Value) -> Limits {
    let default = Limits::default();
    default.target(limits["target"].as_u64().unwrap_or(default.target))
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(crate) fn unhex(text: &str) -> Vec<u8> {
    let digits = text.as_bytes().chunks(2);
    digits.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).expect("hex")).collect()
}
