//! The content codings that a client accepts (RFC 9110, section 12.5.3).

use hyper::header::{self, HeaderMap};

use crate::artifacts::{Coding, DictionaryCoding};

/// The names in `Accept-Encoding`, with their weights.
pub(super) struct AcceptedCodings(Vec<(String, f32)>);

impl AcceptedCodings {
    pub(super) fn of(headers: &HeaderMap) -> AcceptedCodings {
        let values = headers.get_all(header::ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
        AcceptedCodings(values.flat_map(|value| value.split(',')).map(weigh).collect())
    }

    /// The best coding: the one of the largest weight, and of equal ones the one that makes files shortest.
    pub(super) fn best(&self) -> Option<Coding> {
        let weight_of = |coding: Coding| self.weight(coding.name()).or_else(|| self.weight("*")).unwrap_or(0.0);
        // Of equal ones, the last is taken.
        let codings =
            [Coding::Gzip, Coding::Zstd, Coding::Brotli].into_iter().filter(|coding| 0.0 < weight_of(*coding));
        codings.max_by(|a, b| weight_of(*a).total_cmp(&weight_of(*b)))
    }

    /// The codings with a dictionary, which no `*` stands for.
    pub(super) fn with_dictionary(&self) -> Vec<DictionaryCoding> {
        DictionaryCoding::ALL.iter().copied().filter(|coding| self.has(coding.name())).collect()
    }

    /// Whether a coding is named, and not refused.
    pub(super) fn has(&self, coding: &str) -> bool {
        self.weight(coding).is_some_and(|weight| 0.0 < weight)
    }

    fn weight(&self, wanted: &str) -> Option<f32> {
        self.0.iter().find(|(name, _)| name == wanted).map(|(_, weight)| *weight)
    }
}

fn weigh(item: &str) -> (String, f32) {
    let mut parts = item.split(';').map(str::trim);
    let name = parts.next().unwrap_or_default().to_ascii_lowercase();
    let weight = parts.find_map(|part| part.strip_prefix("q=")).map_or(1.0, |q| q.parse().unwrap_or(0.0));
    (name, weight)
}

#[cfg(test)]
mod tests {
    use hyper::header::HeaderValue;

    use super::*;

    fn accept(value: &'static str) -> AcceptedCodings {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static(value));
        AcceptedCodings::of(&headers)
    }

    #[test]
    fn weights_decide() {
        for (value, best) in [
            ("gzip, deflate, br, zstd", Some(Coding::Brotli)),
            ("br;q=0.5, zstd", Some(Coding::Zstd)),
            ("br;q=0, zstd;q=0", None),
            ("*", Some(Coding::Brotli)),
            ("*;q=0.1, br;q=0", Some(Coding::Zstd)),
            ("gzip", Some(Coding::Gzip)),
            ("gzip;q=1, br;q=0.9", Some(Coding::Gzip)),
            ("deflate", None),
            ("br;q=x", None),
            ("br;q=NaN", None),
        ] {
            assert_eq!(accept(value).best(), best, "{value}");
        }
        assert_eq!(AcceptedCodings::of(&HeaderMap::new()).best(), None);
    }

    #[test]
    fn codings_with_a_dictionary_are_named() {
        assert_eq!(accept("gzip, br, zstd, dcb, dcz").with_dictionary(), DictionaryCoding::ALL);
        assert_eq!(accept("br, dcz, dcb;q=0").with_dictionary(), [DictionaryCoding::Zstd]);
        assert_eq!(accept("*, br").with_dictionary(), []);
    }
}
