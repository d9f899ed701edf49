//! From a request to its answer.

mod client_files;
mod content;
mod guard;
mod name;
mod plain;
mod problem;
mod resources;
mod seed;

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use hyper::header::{self, HeaderValue};
use hyper::{Method, StatusCode};

pub(crate) use guard::Guard;
use name::Name;
use problem::Problem;
use resources::Call;

use crate::server::Shared;

/// Every path below wherever the router is nested.
pub(crate) fn router(shared: Arc<Shared>) -> Router {
    Router::new().fallback(answer).with_state(shared)
}

async fn answer(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let (mut parts, body) = request.into_parts();
    let name = Name::parse(parts.uri.path());
    let below_driblet = name.as_ref().is_some_and(|name| name.resource.is_some());
    let visitor = match shared.guard.check(&parts.uri, &parts.headers) {
        Ok(visitor) => visitor,
        Err(problem) => return problem.response(below_driblet, &parts.method),
    };
    if parts.method == Method::OPTIONS {
        let mut response = (StatusCode::NO_CONTENT, [(header::ALLOW, "GET, HEAD, POST, OPTIONS")]).into_response();
        if let Some(visitor) = visitor {
            visitor.preflight(response.headers_mut());
        }
        return response;
    }
    let answered = match name {
        None => Err(Problem::no_such_file("with that name")),
        Some(mut name) => match (name.resource.take(), &shared.seed) {
            (None, Some(lists)) if seed::is_meant(&parts) => seed::answer(&shared, lists, &mut parts, name).await,
            (None, _) => plain::answer(&shared, &parts.method, &parts.headers, name).await,
            (Some(resource), _) => {
                let call = Call { shared: &shared, method: &parts.method, uri: &parts.uri, headers: &parts.headers };
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
