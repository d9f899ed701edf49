//! The files themselves, for clients that do not speak driblet.

use std::fs::File;
use std::sync::Arc;

use axum::response::{IntoResponse, Response};
use hyper::header::{self, HeaderMap, HeaderValue};
use hyper::http::request::Parts;
use hyper::{Method, StatusCode, Uri};

use super::admission::Admission;
use super::conditions::Modified;
use super::content::{IMMUTABLE, NO_STORE, REVALIDATE, Representation, is_held};
use super::media_type::{is_compressible, media_type};
use super::path::RequestPath;
use super::problem::{Problem, is_safe};
use super::site_rules::{has_content_hash, is_navigation};
use crate::artifacts::{Coding, Content, EncodedRequest};
use crate::history::Head;
use crate::publisher::PublishError;
use crate::site::{OpenPlain, Site};

/// The shortest file that is encoded, in bytes. For shorter ones the headers would outweigh the gain.
const LEAST_ENCODED: u64 = 1 << 10;
/// The page of a site for missing files.
const MISSING: &str = "404.html";

/// Answers a plain request.
pub(super) async fn answer(
    site: &Site,
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
        OpenPlain::Direct(file, fingerprint) => return Ok(direct(site, &path, file, fingerprint.len, method)),
        OpenPlain::Folder | OpenPlain::Nothing => return Err(missing()),
    };
    let media_type = media_type(&path);
    let is_first = |head: Head| head.counter == 1 && head.version == stored.version;
    let never_changed = has_content_hash(&path) && site.history.head(&path).is_some_and(is_first);
    let mut answer = Representation {
        content: Content::File(stored.file().map_err(PublishError::from)?, stored.len),
        etag: stored.version.to_string(),
        caching: if never_changed { IMMUTABLE } else { REVALIDATE },
        coding: None,
        media_type: media_type.clone(),
        modified: Modified::new(observation.fingerprint.modified, observation.read),
    };
    let may_encode =
        LEAST_ENCODED <= stored.len && is_compressible(&path, &media_type) && !headers.contains_key(header::RANGE);
    if let Some(coding) = accepted_coding(headers).filter(|_| may_encode) {
        let is_held = |etag: &str| is_held(headers, etag);
        let is_head = method == Method::HEAD;
        let request = EncodedRequest { path: &path, stored, coding, is_head, is_held: &is_held };
        if let Some((content, etag)) = site.artifacts.choose_encoding(request).await? {
            (answer.content, answer.etag, answer.coding) = (content, etag, Some(coding.name()));
        }
    }
    let mut response = answer.response(method, headers)?;
    response.headers_mut().append(header::VARY, HeaderValue::from_static("accept-encoding"));
    site.rules.apply(&path, response.headers_mut());
    Ok(response)
}

/// The site's own page for missing files, if it has one: `404.html`.
async fn missing_page(site: &Site, method: &Method, admission: &Admission) -> Result<Option<Response>, Problem> {
    let OpenPlain::File(_, stored) = site.open_plain(admission.admit(MISSING).await?).await? else { return Ok(None) };
    let file = stored.file().map_err(PublishError::from)?;
    let mut response = direct(site, MISSING, file, stored.len, method);
    *response.status_mut() = StatusCode::NOT_FOUND;
    Ok(Some(response))
}

/// Answers with a whole file that has no version: without an ETag, and not to be cached.
fn direct(site: &Site, path: &str, file: Arc<File>, len: u64, method: &Method) -> Response {
    let mut response = super::content::whole(file, len, method);
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

/// The best content coding that a request accepts (RFC 9110, section 12.5.3).
pub(super) fn accepted_coding(headers: &HeaderMap) -> Option<Coding> {
    let values = headers.get_all(header::ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    let weigh = |item: &str| -> (String, f32) {
        let mut parts = item.split(';').map(str::trim);
        let name = parts.next().unwrap_or_default().to_ascii_lowercase();
        let weight = parts.find_map(|part| part.strip_prefix("q=")).map_or(1.0, |q| q.parse().unwrap_or(0.0));
        (name, weight)
    };
    let offers: Vec<(String, f32)> = values.flat_map(|value| value.split(',')).map(|item| weigh(item.trim())).collect();
    let weight_of = |coding: Coding| {
        let named = |wanted: &str| offers.iter().find(|(name, _)| name == wanted).map(|(_, weight)| *weight);
        named(coding.name()).or_else(|| named("*")).unwrap_or(0.0)
    };
    let (brotli, zstd) = (weight_of(Coding::Brotli), weight_of(Coding::Zstd));
    match () {
        () if 0.0 < brotli && zstd <= brotli => Some(Coding::Brotli),
        () if 0.0 < zstd => Some(Coding::Zstd),
        () => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accept(value: &'static str) -> Option<Coding> {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static(value));
        accepted_coding(&headers)
    }

    #[test]
    fn weights_decide() {
        assert_eq!(accept("gzip, deflate, br, zstd"), Some(Coding::Brotli));
        assert_eq!(accept("br;q=0.5, zstd"), Some(Coding::Zstd));
        assert_eq!(accept("br;q=0, zstd;q=0"), None);
        assert_eq!(accept("*"), Some(Coding::Brotli));
        assert_eq!(accept("*;q=0.1, br;q=0"), Some(Coding::Zstd));
        assert_eq!(accept("gzip"), None);
        assert_eq!(accept("br;q=x"), None);
        assert_eq!(accepted_coding(&HeaderMap::new()), None);
    }
}
