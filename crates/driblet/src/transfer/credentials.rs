use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::percent_decode_str;
use reqwest::header::HeaderValue;
use url::Url;

/// Parts a URL from the user name and password in it, which become the value of an `Authorization` header.
///
/// What is left may be shown and stored.
pub(crate) fn part(url: &Url) -> (Url, Option<HeaderValue>) {
    let mut bare = url.clone();
    if url.username().is_empty() && url.password().is_none() {
        return (bare, None);
    }
    let user = percent_decode_str(url.username());
    let password = percent_decode_str(url.password().unwrap_or_default());
    let both: Vec<u8> = user.chain([b':']).chain(password).collect();
    let header = HeaderValue::try_from(format!("Basic {}", STANDARD.encode(both))).ok();
    // They fail only where there is no host, and so nothing to remove.
    let _ = bare.set_username("");
    let _ = bare.set_password(None);
    let header = header.map(|mut header| {
        header.set_sensitive(true);
        header
    });
    (bare, header)
}
