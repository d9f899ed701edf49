//! A page with the files of a folder that has no page of its own.

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use hyper::header::{self, HeaderMap};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::json;

use super::caching::NO_STORE;
use crate::source::Entry;

/// What a name in a URL's path must not have as it is.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The page of a folder, or its entries as JSON for clients that accept that and no HTML. `path` is the folder's path,
/// and `entries` are in the order in which they are shown.
pub(super) fn response(path: &str, entries: &[Entry], request: &HeaderMap, is_head: bool) -> Response {
    let accepts = |kind: &str| {
        let values = request.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
        values.into_iter().any(|value| value.contains(kind))
    };
    let is_json = accepts("application/json") && !accepts("text/html");
    let (media_type, body) = match is_json {
        true => ("application/json", as_json(entries)),
        false => ("text/html; charset=utf-8", as_page(path, entries)),
    };
    let headers = [
        (header::CONTENT_TYPE, media_type),
        (header::CACHE_CONTROL, NO_STORE),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::VARY, "accept"),
        // The page runs no script, whatever the names are.
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'; style-src 'unsafe-inline'"),
        (header::CONTENT_LENGTH, &body.len().to_string()),
    ];
    let body = if is_head { Body::empty() } else { Body::from(body) };
    (headers.map(|(name, value)| (name, value.to_owned())), body).into_response()
}

fn as_json(entries: &[Entry]) -> String {
    let entry = |Entry { name, len, modified }: &Entry| json!({ "name": name, "folder": len.is_none(), "length": len, "modified": modified.map(httpdate::fmt_http_date) });
    json!(entries.iter().map(entry).collect::<Vec<_>>()).to_string()
}

fn as_page(path: &str, entries: &[Entry]) -> String {
    let title = escaped(&format!("/{path}"));
    let parent = if path.is_empty() { "" } else { "<tr><td><a href=\"../\">../</a><td><td>\n" };
    let rows: String = entries.iter().map(row).collect();
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n\
        <meta name=\"viewport\" content=\"width=device-width\">\n<title>{title}</title>\n\
        <style>\n\
        :root {{ color-scheme: light dark; font: 1rem/1.6 system-ui, sans-serif }}\n\
        body {{ max-width: 60rem; margin: 2rem auto; padding: 0 1rem }}\n\
        h1 {{ font-size: 1.2rem; overflow-wrap: anywhere }}\n\
        table {{ width: 100%; border-collapse: collapse }}\n\
        td {{ padding: .1rem 1rem .1rem 0; overflow-wrap: anywhere }}\n\
        td + td {{ text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums }}\n\
        </style>\n<h1>{title}</h1>\n<table>\n{parent}{rows}</table>\n</html>\n"
    )
}

fn row(Entry { name, len, modified }: &Entry) -> String {
    let slash = if len.is_none() { "/" } else { "" };
    // It begins with `./`, so that no name is read as a scheme.
    let link = format!("./{}{slash}", utf8_percent_encode(name, RESERVED));
    let len = len.map(|len| len.to_string()).unwrap_or_default();
    let modified = modified.map(httpdate::fmt_http_date).unwrap_or_default();
    format!("<tr><td><a href=\"{link}\">{}{slash}</a><td>{len}<td>{modified}\n", escaped(name))
}

/// Text as it stands in HTML.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            other => escaped.push(other),
        }
    }
    escaped
}
