use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::percent_decode_str;
use reqwest::header::HeaderValue;
use url::Url;

/// Splits a URL into the URL without user name and password, which may be shown and stored, and the value of an
/// `Authorization` header.
pub(crate) fn split(url: &Url) -> (Url, Option<HeaderValue>) {
    let mut bare = url.clone();
    if url.username().is_empty() && url.password().is_none() {
        return (bare, None);
    }
    let user = percent_decode_str(url.username());
    let password = percent_decode_str(url.password().unwrap_or_default());
    let both: Vec<u8> = user.chain([b':']).chain(password).collect();
    let header = HeaderValue::try_from(format!("Basic {}", STANDARD.encode(both))).ok();
    // Both calls fail only for a URL without a host, which has no user name.
    let _ = bare.set_username("");
    let _ = bare.set_password(None);
    let header = header.map(|mut header| {
        header.set_sensitive(true);
        header
    });
    (bare, header)
}
