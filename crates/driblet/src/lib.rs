//! rsync between a server and the browser: the server, its history, and the native client.
//!
//! A [`Server`] publishes a file or a folder as an axum router. Nest the router behind the middleware of the
//! application: what guards a file then guards its deltas too.
//!
#![cfg_attr(feature = "server", doc = "```no_run")]
#![cfg_attr(not(feature = "server"), doc = "```ignore")]
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! let server = driblet::Server::builder("dist").build().await?;
//! let app = axum::Router::new().fallback_service(server.router());
//! let listener = tokio::net::TcpListener::bind("127.0.0.1:8080").await?;
//! driblet::serve(listener, app, driblet::ServeOptions::default()).await?;
//! # Ok(()) }
//! ```
//!
//! A [`Client`] brings files up to date with what a server publishes. [`diff_file`], [`patch_file`],
//! [`diff_directory`] and [`patch_directory`] make and apply deltas without a server. [`output`] replaces files in one durable step. [`browser_sync_stream`] speaks the protocol
//! of browser-sync-stream.
//!
//! Cargo features, all on by default: `server`, `client`, `browser-sync-stream`.
//!
//! A request passes `http` (reads the request), `publisher` (keeps the history up to date with the disk), `history`
//! (stores versions) and `artifacts` (makes deltas and keeps them).

#![deny(unsafe_code)]
#![warn(missing_debug_implementations)]

#[cfg(feature = "server")]
mod access;
#[cfg(feature = "server")]
mod artifacts;
#[cfg(feature = "browser-sync-stream")]
pub mod browser_sync_stream;
#[cfg(feature = "server")]
mod causes;
#[cfg(feature = "server")]
mod churn;
#[cfg(feature = "client")]
pub mod client;
#[cfg(feature = "server")]
mod client_address;
#[cfg(feature = "server")]
pub mod control;
#[cfg(any(feature = "server", feature = "client", feature = "browser-sync-stream"))]
mod disk;
mod files;
#[cfg(any(feature = "server", feature = "client"))]
mod fingerprint;
#[cfg(feature = "server")]
mod history;
#[cfg(feature = "server")]
mod http;
#[cfg(feature = "server")]
mod lease;
#[cfg(feature = "server")]
mod live;
mod map;
#[cfg(feature = "server")]
mod metrics;
pub mod output;
#[cfg(feature = "server")]
mod publisher;
#[cfg(feature = "server")]
mod recent;
#[cfg(feature = "server")]
mod serve;
#[cfg(feature = "server")]
mod server;
#[cfg(feature = "server")]
mod sidecars;
#[cfg(feature = "server")]
mod site;
#[cfg(feature = "server")]
mod source;
#[cfg(any(feature = "server", feature = "client", feature = "browser-sync-stream"))]
mod task;
#[cfg(any(feature = "client", feature = "browser-sync-stream"))]
mod transfer;
#[cfg(feature = "client")]
mod tree;
#[cfg(any(feature = "client", feature = "acme"))]
mod trust;
#[cfg(feature = "server")]
mod trusted_proxies;
#[cfg(any(feature = "server", feature = "client"))]
mod walk;

#[cfg(feature = "server")]
pub use access::{Access, AccessError, HashError, NewToken, hash_password};
/// The type of [`Server::router`].
#[cfg(feature = "server")]
pub use axum::Router;
#[cfg(feature = "client")]
pub use client::{
    BasisFile, BasisKind, Client, ClientBuilder, ClientError, PullDirectoryError, PullDirectoryOptions, Pulled,
    PulledDirectory, SetupError,
};
#[cfg(feature = "client")]
pub use driblet_core::directory::{DirectoryDeltaError, ManifestError, PartError};
pub use driblet_core::{Codec, DecodeError, EncodeError, Version};
pub use files::{DiffOptions, Diffed, FileError, Input, Patched, diff_file, patch_file};
#[cfg(feature = "client")]
pub use files::{
    DiffedDirectory, DirectoryError, DirectoryOptions, LeftOut, PatchedDirectory, diff_directory, patch_directory,
};
#[cfg(feature = "server")]
pub use history::{HistoryError, HistoryLimits, IndexError};
#[cfg(feature = "server")]
pub use http::redirect_to_https;
#[cfg(feature = "server")]
pub use metrics::HISTOGRAMS;
#[cfg(feature = "acme")]
pub use serve::AcmeOptions;
#[cfg(feature = "server")]
pub use serve::{ACCESS_LOG, Listener, Listeners, ServeOptions, Tls, TlsError, serve, serve_until};
#[cfg(feature = "server")]
pub use server::{BadPattern, BuildError, Server, ServerBuilder};
#[cfg(feature = "server")]
pub use site::Stats;
#[cfg(any(feature = "server", feature = "client", feature = "browser-sync-stream"))]
pub use task::TaskFailed;
#[cfg(any(feature = "client", feature = "browser-sync-stream"))]
pub use transfer::{NetworkError, Phase, Progress, ProtocolError, PullError, PullOptions, PullState};
#[cfg(feature = "server")]
pub use trusted_proxies::{BadProxy, TrustedProxies};
/// The type of addresses in [`Client::pull`].
#[cfg(feature = "client")]
pub use url::Url;

/// Compiles what README shows.
#[cfg(all(doctest, feature = "server"))]
#[doc = include_str!("../../../README.md")]
struct Readme;
