//! Turns requests into responses.

#[cfg(feature = "browser-sync-stream")]
mod browser_sync_stream;
mod client_files;
mod conditions;
mod content;
mod cors;
mod directories;
mod guard;
mod media_type;
mod path;
mod plain;
mod problem;
mod proxy;
mod resources;

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use hyper::header::{self, HeaderMap, HeaderValue};
use hyper::http::request::Parts;
use hyper::{Method, StatusCode};

use cors::CorsOrigin;
pub(crate) use guard::Guard;
use path::{RequestPath, Resource};
use problem::{Problem, is_safe};
pub(crate) use proxy::TrustedProxies;
use resources::ResourceRequest;

use crate::serve::Stopping;
use crate::site::Site;

/// The state of the router.
#[derive(Clone)]
struct App {
    site: Arc<Site>,
    guard: Arc<Guard>,
}

/// A router that answers every path below the place where it is nested.
pub(crate) fn router(site: Arc<Site>, guard: Arc<Guard>) -> Router {
    Router::new().fallback(respond).with_state(App { site, guard })
}

async fn respond(State(app): State<App>, request: Request) -> Response {
    let (mut parts, body) = request.into_parts();
    let path = RequestPath::parse(parts.uri.path());
    if path.as_ref().is_some_and(is_health) {
        return health(&parts.method);
    }
    let is_resource = path.as_ref().is_some_and(|path| path.resource.is_some());
    let origin = match app.guard.check(&parts) {
        Ok(origin) => origin,
        Err(problem) => return problem.response(is_resource, &parts.method),
    };
    if parts.method == Method::OPTIONS {
        return options(&parts.headers, path.as_ref(), origin);
    }
    let answered = match path {
        None => Err(Problem::no_such_file("with that name")),
        Some(path) => answer(&app.site, &mut parts, path, body).await,
    };
    let mut response = answered.unwrap_or_else(|problem| problem.response(is_resource, &parts.method));
    let headers = response.headers_mut();
    headers.append(header::VARY, HeaderValue::from_static("origin"));
    if let Some(origin) = origin {
        origin.apply(headers);
    }
    response
}

async fn answer(site: &Arc<Site>, parts: &mut Parts, mut path: RequestPath, body: Body) -> Result<Response, Problem> {
    if let Some(resource) = path.resource.take() {
        let stopping = parts.extensions.get::<Stopping>();
        let (method, uri, headers) = (&parts.method, &parts.uri, &parts.headers);
        return ResourceRequest { site, method, uri, headers, stopping }.answer(path, resource, body).await;
    }
    #[cfg(feature = "browser-sync-stream")]
    if let Some(lists) = site.chunk_lists.as_ref().filter(|_| browser_sync_stream::is_asked_for(parts)) {
        return browser_sync_stream::answer(site, lists, parts, path).await;
    }
    plain::answer(site, parts, path).await
}

/// Answers OPTIONS: with the CORS headers for a preflight, and with the methods of the path.
fn options(request: &HeaderMap, path: Option<&RequestPath>, origin: Option<CorsOrigin>) -> Response {
    let allow = match path {
        None => "GET, HEAD, POST, OPTIONS",
        Some(RequestPath { resource: Some(Resource::Signature | Resource::Have), .. }) => "POST, OPTIONS",
        Some(_) => "GET, HEAD, OPTIONS",
    };
    let mut response = (StatusCode::NO_CONTENT, [(header::ALLOW, allow), (header::VARY, "origin")]).into_response();
    if let Some(origin) = origin {
        origin.apply_preflight(request, response.headers_mut());
    }
    response
}

fn is_health(path: &RequestPath) -> bool {
    let is_root = path.folder && path.asset.is_empty();
    is_root && matches!(&path.resource, Some(Resource::Other(name)) if name == "health")
}

/// Tells every client that the server answers. Load balancers and containers may ask by any host name, or by none.
fn health(method: &Method) -> Response {
    if !is_safe(method) {
        return Problem::method("GET, HEAD").response(true, method);
    }
    let headers = [(header::CONTENT_TYPE, "text/plain; charset=utf-8"), (header::CACHE_CONTROL, "no-store")];
    (headers, "ok\n").into_response()
}
