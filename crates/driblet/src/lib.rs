//! rsync between a server and the browser: the server, its history, and the native client.
//!
//! A [`Server`] publishes a file or a folder as an axum router. Nest it behind whatever middleware the application has; what guards
//! an asset then guards its deltas too.
//!
//! ```no_run
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! let server = driblet::Server::builder("dist").build().await?;
//! let app = axum::Router::new().fallback_service(server.router());
//! let listener = tokio::net::TcpListener::bind("127.0.0.1:8080").await?;
//! driblet::serve(listener, app, driblet::ServeOptions::default()).await?;
//! # Ok(()) }
//! ```
//!
//! A [`Client`] brings files up to date with what a server publishes. [`diff_file`] and [`patch_file`] make and apply deltas without a server.
//! [`output`] replaces files in one durable step. [`browser_sync_stream`] speaks the protocol of browser-sync-stream.
//!
//! Cargo features, all on by default: `server`, `client`, `browser-sync-stream`.
//!
//! A request passes `http` (reads the request), `publisher` (keeps the history up to date with the disk), `history` (stores versions) and
//! `artifacts` (makes deltas and keeps them).

#![deny(unsafe_code)]

mod artifacts;
pub mod browser_sync_stream;
mod causes;
mod churn;
pub mod client;
mod fingerprint;
mod history;
mod http;
mod lease;
mod map;
pub mod output;
mod publisher;
mod serve;
mod server;
mod site;
mod source;
mod task;
mod transfer;

pub use driblet_core::{Codec, Version};
pub use history::{HistoryError, HistoryLimits, IndexError};
pub use serve::{ServeOptions, serve, serve_until};
pub use server::{BuildError, Server, ServerBuilder};
pub use site::Stats;
pub use transfer::PullOptions;

/// Compiles what README shows.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;
