//! The metrics of a server as a page, for a listener of its own.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use hyper::StatusCode;
use hyper::header;

use super::Server;
use crate::history::HistorySize;
use crate::metrics::StateMetrics;
use crate::site::Site;
use crate::task::{TaskFailed, blocking};

/// The media type of the text format of Prometheus.
const EXPOSITION: &str = "text/plain; version=0.0.4; charset=utf-8";

struct Page<R> {
    site: Arc<Site>,
    state: StateMetrics,
    render: R,
}

impl Server {
    /// A router that answers `/metrics` with what `render` gives, which is the text of an exporter, and `/health`. Serve it
    /// at an address of its own: it has no guard.
    ///
    /// The metrics go to the recorder of the crate `metrics` that is installed when the server is built.
    ///
    /// ```no_run
    /// # async fn run(render: fn() -> String) -> Result<(), Box<dyn std::error::Error>> {
    /// let server = driblet::Server::builder("dist").build().await?;
    /// let listener = tokio::net::TcpListener::bind("127.0.0.1:9090").await?;
    /// let options = driblet::ServeOptions::default().observed(false);
    /// driblet::serve(listener, server.metrics_router(render), options).await?;
    /// # Ok(()) }
    /// ```
    pub fn metrics_router(&self, render: impl Fn() -> String + Send + Sync + 'static) -> Router {
        let page = Arc::new(Page { site: self.site.clone(), state: StateMetrics::new(), render });
        let missing = async || (StatusCode::NOT_FOUND, "Only /metrics and /health are here.\n");
        Router::new()
            .route("/metrics", get(metrics))
            .route("/health", get(async || ([(header::CACHE_CONTROL, "no-store")], "ok\n")))
            .fallback(missing)
            .with_state(page)
    }
}

async fn metrics<R: Fn() -> String + Send + Sync + 'static>(State(page): State<Arc<Page<R>>>) -> Response {
    // The history may be busy with a disk.
    let rendered = blocking(move || {
        let HistorySize { versions, bytes } = page.site.history.size();
        page.state.queue.set(page.site.artifacts.waiting() as f64);
        page.state.history_bytes.set(bytes as f64);
        page.state.history_versions.set(versions as f64);
        Ok::<_, TaskFailed>((page.render)())
    });
    match rendered.await {
        Ok(text) => ([(header::CONTENT_TYPE, EXPOSITION), (header::CACHE_CONTROL, "no-store")], text).into_response(),
        Err(_) => (StatusCode::INTERNAL_SERVER_ERROR, "The server's log says what failed.\n").into_response(),
    }
}
