//! Turns requests into responses.

mod accept_encoding;
mod admission;
#[cfg(feature = "browser-sync-stream")]
mod browser_sync_stream;
mod caching;
mod client_files;
mod conditions;
mod content;
mod cors;
mod dictionaries;
mod directories;
mod fetch_metadata;
mod grant;
mod guard;
mod limits;
mod listing;
mod live;
mod measured;
mod media_type;
mod path;
mod plain;
mod problem;
mod proxy;
mod redirect;
mod redirect_rules;
mod resources;
mod sidecars;
mod site_rules;

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use hyper::header::{self, HeaderValue};
use hyper::http::request::Parts;
use hyper::{Method, StatusCode};

use admission::Admission;
pub(crate) use admission::AdmittedPath;
use caching::{NO_STORE, is_shared, make_private};
pub(crate) use grant::Grants;
pub(crate) use guard::{Guard, NameOption, name_method};
pub(crate) use limits::AddressLimits;
use measured::{Measurement, UntilSent};
use path::{RequestPath, Resource};
use problem::{Problem, is_safe};
pub use redirect::redirect_to_https;
pub(crate) use redirect_rules::RedirectRule;
use resources::ResourceRequest;
pub(crate) use site_rules::{HeaderRule, SiteRules};

use crate::access::Access;
use crate::client_address::ClientAddress;
use crate::metrics::RequestMetrics;
use crate::serve::Stopping;
use crate::site::Site;

/// The state of the router.
#[derive(Clone)]
struct App {
    site: Arc<Site>,
    visitors: Arc<Visitors>,
    metrics: Arc<RequestMetrics>,
}

/// Who may use the server.
pub(crate) struct Visitors {
    pub(crate) guard: Guard,
    pub(crate) access: Option<Access>,
    pub(crate) limits: AddressLimits,
}

/// A router that answers every path below the place where it is nested.
pub(crate) fn router(site: Arc<Site>, visitors: Arc<Visitors>) -> Router {
    Router::new().fallback(respond).with_state(App { site, visitors, metrics: RequestMetrics::new() })
}

/// Responds to a request. A header for every response is set here.
async fn respond(State(app): State<App>, request: Request) -> Response {
    let (mut parts, mut body) = request.into_parts();
    if is_safe(&parts.method) {
        // What a client sends with it is not kept while the request waits.
        body = Body::empty();
    }
    let path = RequestPath::parse(parts.uri.path());
    let measurement = Measurement::begin(&app.metrics, path.as_ref(), &parts.method);
    let is_resource = path.as_ref().is_some_and(|path| path.resource.is_some());
    let client = app.visitors.guard.client(&parts);
    let answered = match &path {
        Some(path) if is_health(path) => health(&parts.method),
        _ => guarded(&app, &mut parts, path, body, client).await,
    };
    let mut response = answered.unwrap_or_else(|problem| problem.response(is_resource, &parts.method));
    response.extensions_mut().insert(client);
    measurement.of(response)
}

/// Responds to a request that the guard lets through. A header for every such response is set here.
async fn guarded(
    app: &App,
    parts: &mut Parts,
    path: Option<RequestPath>,
    body: Body,
    client: ClientAddress,
) -> Result<Response, Problem> {
    let origin = app.visitors.guard.check(parts)?;
    let is_options = parts.method == Method::OPTIONS;
    // A browser sends no credentials with it. It learns nothing of the path.
    let is_preflight =
        is_options && origin.is_some() && parts.headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
    let admission = Admission::new(app.visitors.access.as_ref(), &parts.headers, client);
    let mut response = match path {
        None if is_options => options(None),
        None => Problem::no_such_file("with that name").response(false, &parts.method),
        Some(path) if is_preflight => options(Some(&path)),
        Some(path) => {
            let is_resource = path.resource.is_some();
            let answered = admitted(app, parts, path, body, (&admission, client)).await;
            answered.unwrap_or_else(|problem| problem.response(is_resource, &parts.method))
        }
    };
    let is_personal =
        app.site.private || [header::COOKIE, header::AUTHORIZATION].iter().any(|name| parts.headers.contains_key(name));
    let headers = response.headers_mut();
    if admission.is_guarded() || (is_personal && is_shared(headers)) {
        make_private(headers);
    }
    headers.append(header::VARY, HeaderValue::from_static("origin"));
    match origin {
        Some(origin) if is_options => origin.apply_preflight(&parts.headers, headers),
        Some(origin) => origin.apply(headers),
        None => {}
    }
    Ok(response)
}

/// Responds to a request that may read its path, within the limits of its client.
async fn admitted(
    app: &App,
    parts: &mut Parts,
    path: RequestPath,
    body: Body,
    (admission, client): (&Admission, ClientAddress),
) -> Result<Response, Problem> {
    let asset = admission.admit(&path.asset).await?;
    // A single file is published at the root too.
    let is_root = path.folder && asset.as_str().is_empty();
    if let Some(only) = app.site.publisher.source().only().filter(|_| is_root) {
        admission.admit(only).await?;
    }
    if parts.method == Method::OPTIONS {
        return Ok(options(Some(&path)));
    }
    let running = match &path.resource {
        Some(resource) => app.visitors.limits.enter(resource, client)?,
        None => None,
    };
    let mut response = answer(&app.site, parts, path, body, admission).await?;
    if let Some(running) = running {
        response.extensions_mut().insert(UntilSent::new(running));
    }
    Ok(response)
}

async fn answer(
    site: &Arc<Site>,
    parts: &mut Parts,
    mut path: RequestPath,
    body: Body,
    admission: &Admission,
) -> Result<Response, Problem> {
    if let Some(resource) = path.resource.take() {
        let stopping = parts.extensions.get::<Stopping>();
        let (method, uri, headers) = (&parts.method, &parts.uri, &parts.headers);
        return ResourceRequest { site, method, uri, headers, stopping }.answer(path, resource, body).await;
    }
    #[cfg(feature = "browser-sync-stream")]
    if let Some(lists) = site.chunk_lists.as_ref().filter(|_| browser_sync_stream::is_asked_for(parts)) {
        return browser_sync_stream::answer(site, lists, parts, path).await;
    }
    plain::answer(site, parts, path, admission).await
}

/// Answers OPTIONS with the methods of the path.
fn options(path: Option<&RequestPath>) -> Response {
    let allow = match path {
        None => "GET, HEAD, POST, OPTIONS",
        Some(RequestPath { resource: Some(Resource::Signature | Resource::Have), .. }) => "POST, OPTIONS",
        Some(_) => "GET, HEAD, OPTIONS",
    };
    (StatusCode::NO_CONTENT, [(header::ALLOW, allow)]).into_response()
}

fn is_health(path: &RequestPath) -> bool {
    let is_root = path.folder && path.asset.is_empty();
    is_root && matches!(&path.resource, Some(Resource::Other(name)) if name == "health")
}

/// Tells every client that the server answers. Load balancers and containers may ask by any host name, or by none.
fn health(method: &Method) -> Result<Response, Problem> {
    if !is_safe(method) {
        return Err(Problem::method("GET, HEAD"));
    }
    let headers = [(header::CONTENT_TYPE, "text/plain; charset=utf-8"), (header::CACHE_CONTROL, NO_STORE)];
    Ok((headers, "ok\n").into_response())
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::fs::File;
    use std::io;
    use std::path::PathBuf;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::time::Duration;

    use driblet_core::directory::Manifest;
    use driblet_core::{Codec, Version};
    use tokio::sync::Semaphore;
    use tokio::time::timeout;
    use tower::ServiceExt;

    use super::*;
    use crate::artifacts::{ArtifactOptions, Artifacts};
    use crate::history::{
        Candidate, DirectoryHistory, Epoch, Head, History, HistoryError, HistoryLimits, HistorySize, PathVersions,
        StagedVersion, StoredVersion,
    };
    use crate::live::LiveStreams;
    use crate::publisher::Publisher;
    use crate::sidecars::Sidecars;
    use crate::site::{Manifests, RecentVersions};
    use crate::source::Source;
    use crate::trusted_proxies::TrustedProxies;

    /// The longest wait for a response.
    const LIMIT: Duration = Duration::from_secs(120);

    /// A history with a bug: `open_or_drop` panics.
    struct BuggyHistory {
        history: DirectoryHistory,
        panics: AtomicBool,
    }

    impl History for BuggyHistory {
        fn head(&self, path: &str) -> Option<Head> {
            self.history.head(path)
        }

        fn epoch(&self) -> Epoch {
            self.history.epoch()
        }

        fn versions(&self, path: &str) -> Vec<(Version, u64)> {
            self.history.versions(path)
        }

        fn stage(&self, file: &File, most: u64) -> Result<StagedVersion, HistoryError> {
            self.history.stage(file, most)
        }

        fn publish(&self, candidates: Vec<Candidate>) -> Result<Vec<String>, HistoryError> {
            self.history.publish(candidates)
        }

        fn open_staged(&self, staged: StagedVersion) -> Result<Arc<StoredVersion>, HistoryError> {
            self.history.open_staged(staged)
        }

        fn gone(&self, path: &str) {
            self.history.gone(path);
        }

        fn paths(&self) -> Vec<String> {
            self.history.paths()
        }

        fn open_or_drop(&self, path: &str, version: &Version) -> Result<Option<Arc<StoredVersion>>, HistoryError> {
            assert!(!self.panics.load(Ordering::Relaxed), "a bug");
            self.history.open_or_drop(path, version)
        }

        fn opened(&self, version: &Version) -> Option<Arc<StoredVersion>> {
            self.history.opened(version)
        }

        fn publish_directory(&self, path: &str, manifest: &Manifest) -> Result<(), HistoryError> {
            self.history.publish_directory(path, manifest)
        }

        fn requested(&self, version: &Version) {
            self.history.requested(version);
        }

        fn list(&self, path: Option<&str>) -> Vec<PathVersions> {
            self.history.list(path)
        }

        fn heads_among(&self, versions: &HashSet<Version>) -> Vec<String> {
            self.history.heads_among(versions)
        }

        fn losses(&self) -> u64 {
            self.history.losses()
        }

        fn forget(&self, versions: &HashSet<Version>) -> Result<Vec<String>, HistoryError> {
            self.history.forget(versions)
        }

        fn open_named_or_drop(&self, version: &Version) -> Result<Option<Arc<StoredVersion>>, HistoryError> {
            self.history.open_named_or_drop(version)
        }

        fn read_named_or_drop(&self, version: &Version) -> Result<Option<Vec<u8>>, HistoryError> {
            self.history.read_named_or_drop(version)
        }

        fn size(&self) -> HistorySize {
            self.history.size()
        }

        fn scratch(&self) -> io::Result<File> {
            self.history.scratch()
        }

        fn artifacts(&self) -> Option<PathBuf> {
            self.history.artifacts()
        }
    }

    fn site(history: Arc<dyn History>, source: Source) -> Site {
        let options = ArtifactOptions {
            ahead: 0,
            codec: Codec::Fast,
            disk: 1 << 20,
            memory: 1 << 20,
            encoders: 1,
            queue_timeout: LIMIT,
        };
        Site {
            publisher: Publisher::new(source, history.clone(), LIMIT, Box::new(|_, _| {}), &Default::default())
                .unwrap(),
            grants: Grants::new().unwrap(),
            manifests: Manifests::new(),
            artifacts: Arc::new(Artifacts::new(&history, options)),
            history,
            private: false,
            unregister: false,
            rules: SiteRules::default(),
            sidecars: Sidecars::new(),
            recent: RecentVersions::new(),
            live: LiveStreams::new(1),
            deadline: LIMIT,
            max_tags: 1,
            signature_permits: Semaphore::new(1),
            #[cfg(feature = "browser-sync-stream")]
            chunk_lists: None,
        }
    }

    #[tokio::test]
    async fn a_panic_is_answered_with_500_and_harms_no_later_request() {
        let folder = tempfile::tempdir().unwrap();
        let (root, place) = (folder.path().join("root"), folder.path().join("history"));
        std::fs::create_dir(&root).unwrap();
        std::fs::write(root.join("a.txt"), "text").unwrap();
        let history = DirectoryHistory::open(&place, &root, HistoryLimits::default()).unwrap();
        let history = Arc::new(BuggyHistory { history, panics: AtomicBool::new(true) });
        let source = Source::open(&root, false).unwrap();
        let router = router(
            Arc::new(site(history.clone(), source)),
            Arc::new(Visitors {
                guard: Guard::new(&[], &[], TrustedProxies::default(), name_method),
                access: None,
                limits: AddressLimits::new(std::num::NonZeroU32::MIN, 1),
            }),
        );
        let ask = async |path: &str| {
            let request = Request::get(path).header(header::HOST, "localhost").body(Body::empty()).unwrap();
            timeout(LIMIT, router.clone().oneshot(request)).await.unwrap().unwrap().status()
        };
        // The first request publishes the file, and so the second one opens its version.
        for path in ["/a.txt.driblet/none", "/a.txt"] {
            assert_eq!(ask(path).await, StatusCode::INTERNAL_SERVER_ERROR, "{path}");
        }
        history.panics.store(false, Ordering::Relaxed);
        for path in ["/a.txt", "/a.txt.driblet/none"] {
            assert_eq!(ask(path).await, StatusCode::OK, "{path}");
        }
    }
}
