mod coder;
#[cfg(feature = "encode")]
mod plan;
mod scan;

pub(crate) use coder::{Followed, Renames, Tokens, is_word_byte};
#[cfg(feature = "encode")]
pub(crate) use plan::{Plan, Script, memory};
