//! Sends clients that come without TLS to the URL with https.

use axum::Router;
use axum::extract::Request;
use axum::response::Response;
use hyper::header::{self, HeaderValue};
use hyper::http::uri::Authority;
use hyper::{StatusCode, Uri};

use super::problem::Problem;

/// An application that answers each request with a permanent redirection (308) to the same URL with https, at this port.
///
/// ```no_run
/// # async fn run() -> std::io::Result<()> {
/// let listener = tokio::net::TcpListener::bind("0.0.0.0:80").await?;
/// driblet::serve(listener, driblet::redirect_to_https(443), driblet::ServeOptions::default()).await
/// # }
/// ```
pub fn redirect_to_https(port: u16) -> Router {
    Router::new().fallback(move |request: Request| async move { redirect(&request, port) })
}

fn redirect(request: &Request, port: u16) -> Response {
    let named = request.headers().get(header::HOST).and_then(|host| host.to_str().ok());
    let host = named.and_then(|host| host.parse::<Authority>().ok()).or_else(|| request.uri().authority().cloned());
    let target = host.and_then(|host| target(host.host(), port, request.uri()));
    let Some(target) = target else {
        let detail = "The request names no host; ask for the URL with https.";
        return Problem::new(StatusCode::BAD_REQUEST, "bad-host", detail).response(false, request.method());
    };
    let mut response = Response::default();
    *response.status_mut() = StatusCode::PERMANENT_REDIRECT;
    response.headers_mut().insert(header::LOCATION, target);
    response
}

fn target(host: &str, port: u16, uri: &Uri) -> Option<HeaderValue> {
    let port = if port == 443 { String::new() } else { format!(":{port}") };
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let path = if path.starts_with('/') { path } else { "/" };
    HeaderValue::try_from(format!("https://{host}{port}{path}")).ok().filter(|_| !host.is_empty())
}
