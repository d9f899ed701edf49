//! From a request to its answer.

mod browser_sync_stream;
mod client_files;
mod conditions;
mod content;
mod cors;
mod guard;
mod media_type;
mod name;
mod plain;
mod problem;
mod proxy;
mod resources;

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use hyper::header::{self, HeaderMap, HeaderValue};
use hyper::{Method, StatusCode};

use cors::Visitor;
pub(crate) use guard::Guard;
use name::{Name, Resource};
use problem::Problem;
pub(crate) use proxy::TrustedProxies;
use resources::Call;

use crate::serve::Stopping;
use crate::site::Shared;

/// Every path below wherever the router is nested.
pub(crate) fn router(shared: Arc<Shared>, guard: Arc<Guard>) -> Router {
    Router::new().fallback(answer).with_state((shared, guard))
}

async fn answer(State((shared, guard)): State<(Arc<Shared>, Arc<Guard>)>, request: Request) -> Response {
    let (mut parts, body) = request.into_parts();
    let name = Name::parse(parts.uri.path());
    if name.as_ref().is_some_and(is_health) {
        return health(&parts.method);
    }
    let below_driblet = name.as_ref().is_some_and(|name| name.resource.is_some());
    let visitor = match guard.check(&parts) {
        Ok(visitor) => visitor,
        Err(problem) => return problem.response(below_driblet, &parts.method),
    };
    if parts.method == Method::OPTIONS {
        return options(&parts.headers, name.as_ref(), visitor);
    }
    let answered = match name {
        None => Err(Problem::no_such_file("with that name")),
        Some(mut name) => match (name.resource.take(), &shared.browser_sync_stream) {
            (None, Some(lists)) if browser_sync_stream::is_meant(&parts) => {
                browser_sync_stream::answer(&shared, lists, &mut parts, name).await
            }
            (None, _) => plain::answer(&shared, &parts, name).await,
            (Some(resource), _) => {
                let stopping = parts.extensions.get::<Stopping>();
                let (method, uri, headers) = (&parts.method, &parts.uri, &parts.headers);
                let call = Call { shared: &shared, method, uri, headers, stopping };
                call.answer(name, resource, body).await
            }
        },
    };
    let mut response = answered.unwrap_or_else(|problem| problem.response(below_driblet, &parts.method));
    let headers = response.headers_mut();
    headers.append(header::VARY, HeaderValue::from_static("origin"));
    if let Some(visitor) = visitor {
        visitor.welcome(headers);
    }
    response
}

/// Answers OPTIONS: a preflight's, or what methods there are.
fn options(request: &HeaderMap, name: Option<&Name>, visitor: Option<Visitor>) -> Response {
    let allow = match name {
        None => "GET, HEAD, POST, OPTIONS",
        Some(Name { resource: Some(Resource::Signature), .. }) => "POST, OPTIONS",
        Some(_) => "GET, HEAD, OPTIONS",
    };
    let mut response = (StatusCode::NO_CONTENT, [(header::ALLOW, allow), (header::VARY, "origin")]).into_response();
    if let Some(visitor) = visitor {
        visitor.preflight(request, response.headers_mut());
    }
    response
}

fn is_health(name: &Name) -> bool {
    let is_root = name.folder && name.asset.is_empty();
    is_root && matches!(&name.resource, Some(Resource::Other(name)) if name == "health")
}

/// Tells anyone that the server answers, whatever it is called: balancers and containers ask by address, by name, or by none.
fn health(method: &Method) -> Response {
    if !guard::is_safe(method) {
        return Problem::method("GET, HEAD").response(true, method);
    }
    let headers = [(header::CONTENT_TYPE, "text/plain; charset=utf-8"), (header::CACHE_CONTROL, "no-store")];
    (headers, "ok\n").into_response()
}
