//! The server as anyone meets it: over a real socket, on real files.

mod delta;
mod guard;
mod names;
mod plain;
mod signature;
mod support;
