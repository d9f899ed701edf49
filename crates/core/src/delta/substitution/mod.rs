mod coder;
pub(crate) mod decode;
mod scan;
#[cfg(feature = "encode")]
pub(crate) mod script;
mod substituted_bytes;
pub(crate) mod token;
