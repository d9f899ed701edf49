mod coder;
pub(crate) mod decode;
mod made;
#[cfg(feature = "encode")]
pub(crate) mod plan;
mod scan;
pub(crate) mod token;
