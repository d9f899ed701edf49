//! What servers say of heads.

use std::fmt;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use driblet_core::Version;
use serde_json::{Map, Value};

/// Counters and lengths are below this number, so that JavaScript can read them.
const END: u64 = 1 << 53;
/// The longest delta in an event, in bytes.
const MAX_DELTA: usize = 32 << 10;
/// The longest time over which receivers spread their requests.
const MAX_SPREAD: u64 = 60_000;

/// The newest version of an asset, as a [`Watch`](super::Watch) tells it.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct LiveHead {
    /// The version of the file, or of the directory's manifest.
    pub version: Version,
    /// The length of the file, or of the directory's manifest, in bytes.
    pub len: u64,
    /// How many versions were published before in this history. Two counters can be compared if their epochs are the
    /// same.
    pub counter: u64,
    /// The history that the counter is of.
    pub epoch: Epoch,
    pub(super) delta: Option<InlineDelta>,
    pub(super) spread: Duration,
}

/// The delta to a head, which came with it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct InlineDelta {
    pub(super) from: Version,
    pub(super) bytes: Bytes,
}

/// A random number that a server draws when its history is made. In text an epoch is 16 lower-case hex digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Epoch(u64);

impl Epoch {
    fn parse(text: &str) -> Option<Epoch> {
        let is_shown = text.len() == 16 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        u64::from_str_radix(text, 16).ok().filter(|_| is_shown).map(Epoch)
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl fmt::Debug for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// An epoch and a counter: the id of an event.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct HeadId {
    pub(super) epoch: Epoch,
    pub(super) counter: u64,
}

impl HeadId {
    pub(super) fn parse(text: &str) -> Option<HeadId> {
        let (epoch, counter) = text.split_once('.')?;
        let is_number = !counter.is_empty() && counter.bytes().all(|byte| byte.is_ascii_digit());
        let counter = counter.parse().ok().filter(|counter| is_number && *counter < END)?;
        Some(HeadId { epoch: Epoch::parse(epoch)?, counter })
    }
}

impl fmt::Display for HeadId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.epoch, self.counter)
    }
}

impl LiveHead {
    /// Reads the data of a `head` event, or the answer to a request for `head`. `None` if a member is missing or invalid.
    pub(super) fn parse(data: &[u8]) -> Option<LiveHead> {
        let members: Map<String, Value> = serde_json::from_slice(data).ok()?;
        let version = |name| members.get(name)?.as_str()?.parse::<Version>().ok();
        let number = |name| members.get(name)?.as_u64().filter(|number| *number < END);
        let delta = match (members.get("from"), members.get("delta")) {
            (None, None) => None,
            (Some(_), Some(delta)) => {
                let bytes = STANDARD.decode(delta.as_str()?).ok().filter(|bytes| bytes.len() <= MAX_DELTA)?;
                Some(InlineDelta { from: version("from")?, bytes: bytes.into() })
            }
            _ => return None,
        };
        let spread = match members.get("spread") {
            Some(_) => number("spread")?.min(MAX_SPREAD),
            None => 0,
        };
        Some(LiveHead {
            version: version("version")?,
            len: number("length")?,
            counter: number("counter")?,
            epoch: Epoch::parse(members.get("epoch")?.as_str()?)?,
            delta,
            spread: Duration::from_millis(spread),
        })
    }

    pub(super) fn id(&self) -> HeadId {
        HeadId { epoch: self.epoch, counter: self.counter }
    }

    /// The head without its delta.
    pub(super) fn bare(&self) -> LiveHead {
        LiveHead { delta: None, spread: Duration::ZERO, ..*self }
    }

    /// The delta from a version, if it came with the head.
    pub(in crate::client) fn delta_from(self, version: Version) -> Option<Bytes> {
        self.delta.filter(|delta| delta.from == version).map(|delta| delta.bytes)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::examples::{examples, text};
    use super::*;

    /// The members as the examples have them.
    fn shown(head: &LiveHead) -> Value {
        let mut shown = json!({
            "version": head.version.to_string(), "length": head.len, "counter": head.counter,
            "epoch": head.epoch.to_string()
        });
        if let Some(delta) = &head.delta {
            shown["from"] = delta.from.to_string().into();
            shown["delta"] = STANDARD.encode(&delta.bytes).into();
        }
        if !head.spread.is_zero() {
            shown["spread"] = (head.spread.as_millis() as u64).into();
        }
        shown
    }

    #[test]
    fn the_examples() {
        for example in examples("heads") {
            let head = LiveHead::parse(text(&example["data"]).as_bytes());
            assert_eq!(head.as_ref().map_or(Value::Null, shown), example["head"], "{}", example["name"]);
        }
    }

    #[test]
    fn an_id_is_an_epoch_and_a_counter() {
        let id = HeadId::parse("00112233445566ff.9007199254740991").unwrap();
        assert_eq!(id.to_string(), "00112233445566ff.9007199254740991");
        let wrong =
            ["", ".", "1.2", "00112233445566ff", "00112233445566ff.", "00112233445566FF.1", "00112233445566ff.+1"];
        for wrong in wrong.into_iter().chain(["00112233445566ff.9007199254740992", "00112233445566ff.1.2"]) {
            assert_eq!(HeadId::parse(wrong), None, "{wrong}");
        }
    }
}
