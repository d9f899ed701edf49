//! The files themselves, for clients that do not speak driblet.

use std::sync::Arc;

use axum::response::{IntoResponse, Response};
use driblet_core::Version;
use hyper::header::{self, HeaderMap, HeaderValue};
use hyper::http::request::Parts;
use hyper::{Method, StatusCode, Uri};

use super::accept_encoding::AcceptedCodings;
use super::admission::Admission;
use super::caching::{IMMUTABLE, NO_STORE, REVALIDATE, STALE_ONCE, is_kept};
use super::conditions::Modified;
use super::content::{Representation, of_version};
use super::dictionaries::{self, HeldDictionary, USE_AS_DICTIONARY};
use super::listing;
use super::media_type::{is_compressible, media_type};
use super::path::RequestPath;
use super::problem::{Problem, is_safe};
use super::sidecars;
use super::site_rules::{hashed_name, is_navigation};
use crate::artifacts::{Content, DictionaryCoding, EncodedRequest, WithDictionary};
use crate::history::StoredVersion;
use crate::site::{OpenPlain, Site};
use crate::source::Entry;

/// The shortest file that is encoded, in bytes. For shorter ones the headers would outweigh the gain.
const LEAST_ENCODED: u64 = 1 << 10;
/// The most files that the page of a folder lists.
const MOST_LISTED: usize = 10_000;
/// The page of a site for missing files.
const MISSING: &str = "404.html";

/// Answers a plain request.
pub(super) async fn answer(
    site: &Arc<Site>,
    request: &Parts,
    name: RequestPath,
    admission: &Admission,
) -> Result<Response, Problem> {
    let (method, headers) = (&request.method, &request.headers);
    let missing = || Problem::no_such_file(&format!("/{}", name.asset));
    if !is_safe(method) {
        return Err(Problem::method("GET, HEAD"));
    }
    let mut path = name.asset.clone();
    if let Some(response) = redirection(site, &name, &request.uri) {
        return Ok(response);
    }
    if name.folder {
        match site.publisher.source().only() {
            Some(only) if path.is_empty() => path = only.to_owned(),
            Some(_) => return Err(missing()),
            None if path.is_empty() => path = "index.html".into(),
            None => path.push_str("/index.html"),
        }
    }
    let mut opened = site.open_plain(admission.admit(&path).await?).await?;
    if matches!(opened, OpenPlain::Folder) && !name.folder {
        return Ok(to_folder(&request.uri));
    }
    if site.rules.listing
        && name.folder
        && matches!(opened, OpenPlain::Nothing)
        && let Some(entries) = entries(site, &name.asset, admission).await?
    {
        return Ok(listing::response(&name.asset, &entries, headers, method == Method::HEAD));
    }
    if matches!(opened, OpenPlain::Folder | OpenPlain::Nothing) && is_navigation(method, headers) {
        if site.rules.single_page {
            path = "index.html".into();
            opened = site.open_plain(admission.admit(&path).await?).await?;
        } else if let Some(response) = missing_page(site, method, admission).await? {
            return Ok(response);
        }
    }
    let (observation, stored) = match opened {
        OpenPlain::File(observation, stored) => (observation, stored),
        OpenPlain::Direct(file, fingerprint) => {
            return Ok(direct(site, &path, Content::File(file, fingerprint.len), method));
        }
        OpenPlain::Folder | OpenPlain::Nothing => return Err(missing()),
    };
    let media_type = media_type(&path);
    let (version, head) = (stored.version, site.history.head(&path).filter(|head| head.version == stored.version));
    let never_changed = hashed_name(&path).is_some() && head.as_ref().is_some_and(|head| head.counter == 1);
    let shrinks = LEAST_ENCODED <= stored.len && is_compressible(&path, &media_type);
    let has_dictionaries = shrinks && head.is_some() && dictionaries::are_for(site, request) && !admission.is_guarded();
    let is_offered = has_dictionaries && !name.folder && dictionaries::may_be_offered(request);
    let mut answer = Representation {
        content: of_version(&stored)?,
        etag: version.to_string(),
        caching: match () {
            () if never_changed => IMMUTABLE,
            () if is_offered && dictionaries::may_be_stale(&media_type) => STALE_ONCE,
            () => REVALIDATE,
        },
        coding: None,
        media_type,
        modified: Modified::new(observation.fingerprint.modified, observation.read),
    };
    let dictionary = has_dictionaries.then(|| HeldDictionary::of(headers)).flatten();
    let forms = AcceptedForms { codings: AcceptedCodings::of(headers), dictionary };
    if let Some(held) = forms.held(headers, version) {
        answer.etag = held;
    } else if shrinks && !headers.contains_key(header::RANGE) {
        encode(site, (request, admission), &forms, (&path, stored), &mut answer).await?;
    }
    let mut response = answer.response(method, headers)?;
    let headers = response.headers_mut();
    let vary = if has_dictionaries { "accept-encoding, available-dictionary" } else { "accept-encoding" };
    headers.append(header::VARY, HeaderValue::from_static(vary));
    site.rules.apply(&path, headers);
    if is_offered
        && is_kept(headers)
        && let Some(offer) = dictionaries::offer(&path, version)
    {
        headers.insert(USE_AS_DICTIONARY, offer);
    }
    Ok(response)
}

/// The redirection of a path, if a rule is for it.
fn redirection(site: &Site, name: &RequestPath, uri: &Uri) -> Option<Response> {
    if site.rules.redirects.is_empty() {
        return None;
    }
    let path = format!("/{}{}", name.asset, if name.folder && !name.asset.is_empty() { "/" } else { "" });
    site.rules.redirects.iter().find_map(|rule| rule.response(&path, uri))
}

/// The forms of a file that a client can decode.
struct AcceptedForms {
    codings: AcceptedCodings,
    dictionary: Option<HeldDictionary>,
}

impl AcceptedForms {
    /// The ETag of such a form of a version that the client has already. A cache that asks for a client may have other
    /// forms too.
    fn held(&self, headers: &HeaderMap, version: Version) -> Option<String> {
        let mut values = headers.get_all(header::IF_NONE_MATCH).iter().peekable();
        values.peek()?;
        let version = version.to_string();
        let tags = values.filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(','));
        let mut tags = tags.map(|tag| tag.trim().trim_start_matches("W/").trim_matches('"'));
        tags.find(|tag| tag.strip_prefix(&version).is_some_and(|form| self.can_decode(form))).map(str::to_owned)
    }

    /// Whether the client can decode a form, by what its ETag has after the version.
    fn can_decode(&self, form: &str) -> bool {
        let mut words = form.split('-').skip(1);
        let Some(coding) = words.next() else { return form.is_empty() };
        let needs_dictionary = DictionaryCoding::ALL.iter().any(|with| with.name() == coding);
        let dictionary = self.dictionary.as_ref().map(|held| held.version.to_string());
        let holds = words.next().zip(dictionary).is_some_and(|(word, held)| held.starts_with(word));
        self.codings.has(coding) && (holds || !needs_dictionary)
    }
}

/// Encodes the file as the client accepts it, if it gets shorter: against a dictionary that the client holds, or without,
/// as a sidecar of the build or by an encoder.
async fn encode(
    site: &Arc<Site>,
    (request, admission): (&Parts, &Admission),
    forms: &AcceptedForms,
    (path, stored): (&str, Arc<StoredVersion>),
    answer: &mut Representation,
) -> Result<(), Problem> {
    if let Some(held) = &forms.dictionary {
        let held = (held, forms.codings.with_dictionary());
        let against = dictionaries::encoded(site, (request, admission), held, (path, &stored)).await?;
        if let Some(WithDictionary { content, etag, coding }) = against {
            (answer.content, answer.etag, answer.coding) = (content, etag, Some(coding.name()));
            return Ok(());
        }
    }
    let Some(coding) = forms.codings.best() else { return Ok(()) };
    let encoded = match sidecars::find(site, admission, (path, &stored), coding).await? {
        Some(sidecar) => Some(sidecar),
        None => {
            let is_head = request.method == Method::HEAD;
            site.artifacts.choose_encoding(EncodedRequest { path, stored, coding, is_head }).await?
        }
    };
    if let Some((content, etag)) = encoded {
        (answer.content, answer.etag, answer.coding) = (content, etag, Some(coding.name()));
    }
    Ok(())
}

/// What a folder has that the client may read; `None` if there is none at the path.
async fn entries(site: &Site, path: &str, admission: &Admission) -> Result<Option<Vec<Entry>>, Problem> {
    let is_root = path.is_empty();
    let is_folder = is_root || matches!(site.open_plain(admission.admit(path).await?).await?, OpenPlain::Folder);
    if !is_folder || site.publisher.source().only().is_some() {
        return Ok(None);
    }
    let mut entries = Vec::new();
    for entry in site.publisher.entries(path, MOST_LISTED).await? {
        let (start, end) = (if is_root { "" } else { "/" }, if entry.len.is_none() { "/" } else { "" });
        if admission.admit(&format!("{path}{start}{}{end}", entry.name)).await.is_ok() {
            entries.push(entry);
        }
    }
    Ok(Some(entries))
}

/// The site's own page for missing files, if it has one: `404.html`.
async fn missing_page(site: &Site, method: &Method, admission: &Admission) -> Result<Option<Response>, Problem> {
    let OpenPlain::File(_, stored) = site.open_plain(admission.admit(MISSING).await?).await? else { return Ok(None) };
    let mut response = direct(site, MISSING, of_version(&stored)?, method);
    *response.status_mut() = StatusCode::NOT_FOUND;
    Ok(Some(response))
}

/// Answers with a whole file that has no version: without an ETag, and not to be cached.
fn direct(site: &Site, path: &str, content: Content, method: &Method) -> Response {
    let mut response = super::content::whole(content, method);
    let headers = response.headers_mut();
    if let Ok(value) = HeaderValue::try_from(media_type(path)) {
        headers.insert(header::CONTENT_TYPE, value);
    }
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(NO_STORE));
    site.rules.apply(path, headers);
    response
}

/// Redirects to the same address with a slash at its end. The location is relative, so it is right wherever the router
/// is nested and a proxy puts the server. It begins with `./`, so that no folder's name is read as a scheme. It is not
/// cached: the folder may become a file.
fn to_folder(uri: &Uri) -> Response {
    let name = uri.path().rsplit('/').next().unwrap_or_default();
    let query = uri.query().map(|query| format!("?{query}")).unwrap_or_default();
    let headers = [(header::LOCATION, format!("./{name}/{query}")), (header::CACHE_CONTROL, REVALIDATE.into())];
    (StatusCode::PERMANENT_REDIRECT, headers).into_response()
}
