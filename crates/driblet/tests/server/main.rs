//! The server as anyone meets it: over a real socket, on real files.

mod ahead;
mod changing;
mod delta;
mod guard;
mod history;
mod killed;
mod names;
mod plain;
mod quick;
mod signature;
mod stalled;
mod stored;
mod support;
