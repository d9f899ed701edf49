//! The files themselves, for clients that do not speak driblet.

use std::sync::Arc;

use axum::response::{IntoResponse, Response};
use driblet_core::Version;
use hyper::header::{self, HeaderValue};
use hyper::http::request::Parts;
use hyper::{Method, StatusCode, Uri};

use super::accept_encoding::AcceptedCodings;
use super::admission::Admission;
use super::conditions::Modified;
use super::content::{IMMUTABLE, NO_STORE, REVALIDATE, Representation, STALE_ONCE, of_version};
use super::dictionaries::{self, HeldDictionary, USE_AS_DICTIONARY};
use super::listing;
use super::media_type::{is_compressible, media_type};
use super::path::RequestPath;
use super::problem::{Problem, is_safe};
use super::sidecars;
use super::site_rules::{hashed_name, is_navigation};
use crate::artifacts::{Content, DictionaryCoding, EncodedRequest};
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
    let asked = format!("/{path}{}", if name.folder && !path.is_empty() { "/" } else { "" });
    if let Some(response) = site.rules.redirects.iter().find_map(|rule| rule.response(&asked, &request.uri)) {
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
    let has_dictionaries =
        shrinks && head.is_some() && dictionaries::are_for(site, request) && admission.is_open(&path);
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
    if let Some(held) = held_form(request, version, dictionary.as_ref()) {
        answer.etag = held;
    } else if shrinks && !headers.contains_key(header::RANGE) {
        encode(site, (request, admission), &path, stored, dictionary.as_ref(), &mut answer).await?;
    }
    let mut response = answer.response(method, headers)?;
    let headers = response.headers_mut();
    let vary = if has_dictionaries { "accept-encoding, available-dictionary" } else { "accept-encoding" };
    headers.append(header::VARY, HeaderValue::from_static(vary));
    site.rules.apply(&path, headers);
    if is_offered
        && dictionaries::is_kept(headers.get(header::CACHE_CONTROL))
        && let Some(offer) = dictionaries::offer(&path, version)
    {
        headers.insert(USE_AS_DICTIONARY, offer);
    }
    Ok(response)
}

/// Encodes the file as the client accepts it, if it gets shorter: against a dictionary that the client holds, or without,
/// as a sidecar of the build or by an encoder.
async fn encode(
    site: &Arc<Site>,
    (request, admission): (&Parts, &Admission),
    path: &str,
    stored: Arc<StoredVersion>,
    dictionary: Option<&HeldDictionary>,
    answer: &mut Representation,
) -> Result<(), Problem> {
    let against = match dictionary {
        Some(held) => dictionaries::encoded(site, (request, admission), held, (path, &stored)).await?,
        None => None,
    };
    if let Some(encoded) = against {
        (answer.content, answer.etag, answer.coding) = (encoded.content, encoded.etag, Some(encoded.coding.name()));
    } else if let Some(coding) = AcceptedCodings::of(&request.headers).best() {
        if let Some((content, etag)) = sidecars::find(site, admission, (path, &stored), coding).await? {
            (answer.content, answer.etag, answer.coding) = (content, etag, Some(coding.name()));
            return Ok(());
        }
        let is_head = request.method == Method::HEAD;
        let encoded = site.artifacts.choose_encoding(EncodedRequest { path, stored, coding, is_head }).await?;
        if let Some((content, etag)) = encoded {
            (answer.content, answer.etag, answer.coding) = (content, etag, Some(coding.name()));
        }
    }
    Ok(())
}

/// The ETag of a form of a version that the client has, in a coding that it accepts. A cache that asks for a client may
/// have forms that this client cannot decode.
fn held_form(request: &Parts, version: Version, dictionary: Option<&HeldDictionary>) -> Option<String> {
    let (accepted, version) = (AcceptedCodings::of(&request.headers), version.to_string());
    let dictionary = dictionary.map(|held| held.version.to_string());
    let can_decode = |form: &str| {
        let mut words = form.split('-').skip(1);
        let Some(coding) = words.next() else { return form.is_empty() };
        let needs_dictionary = DictionaryCoding::ALL.iter().any(|with| with.name() == coding);
        let holds = words.next().zip(dictionary.as_ref()).is_some_and(|(word, held)| held.starts_with(word));
        accepted.has(coding) && (holds || !needs_dictionary)
    };
    let values = request.headers.get_all(header::IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    let mut tags =
        values.flat_map(|value| value.split(',')).map(|tag| tag.trim().trim_start_matches("W/").trim_matches('"'));
    tags.find(|tag| tag.strip_prefix(&version).is_some_and(can_decode)).map(str::to_owned)
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
