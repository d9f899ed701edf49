//! Codec 4 looks through streams: parts of a file that encode other bytes, in base64, as text, or by deflate. Both sides
//! are unpacked, the delta is made between what is inside, and the receiver packs the result again, bit for bit. The
//! format is that of `spec/containers.md`.
//!
//! `stream` is the format of the lists of streams. `packing` decodes and encodes one stream, with `text` for modules in
//! strings and `symbols` for those of deflate that zlib does not make, and `region` is the receiver's side. `find` and
//! `encode` are the server's side.

#[cfg(feature = "encode")]
pub(crate) mod encode;
#[cfg(feature = "encode")]
mod find;
#[cfg(feature = "containers")]
mod packing;
#[cfg_attr(not(feature = "containers"), path = "refused.rs")]
pub(crate) mod region;
#[cfg(feature = "containers")]
mod stream;
#[cfg(feature = "containers")]
mod symbols;
#[cfg(feature = "containers")]
mod text;
