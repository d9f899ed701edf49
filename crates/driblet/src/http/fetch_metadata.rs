//! The headers by which a browser says where a request comes from (W3C Fetch Metadata). No page can set them.

use hyper::header::HeaderName;

pub(super) const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
pub(super) const SEC_FETCH_MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");
