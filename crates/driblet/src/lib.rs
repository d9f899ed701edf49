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
//! From a URL to bytes, a request passes `http` (what is asked, by whom), `publisher` (the head, as the disk has it now), `history`
//! (the versions kept) and `artifacts` (deltas, made once; from the last heads, ahead of any request). [`client`] is the other side, and [`output`] is how it replaces files. [`browser_sync_stream`] speaks the wire of browser-sync-stream.

#![deny(unsafe_code)]

mod artifacts;
pub mod browser_sync_stream;
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
mod transfer;

pub use driblet_core::{Codec, Version};
pub use history::{HistoryError, Limits as HistoryLimits};
pub use serve::{ServeOptions, serve, serve_until};
pub use server::{BuildError, Builder, Server};
pub use site::Stats;

/// Compiles what README shows.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;
