//! Substitution (codec 3): copies from the basis in which words or numbers are replaced, as in `spec/substitution.md`.

mod bytes;
pub(crate) mod coder;
pub(crate) mod decode;
mod scan;
#[cfg(feature = "encode")]
pub(crate) mod script;
pub(crate) mod token;
