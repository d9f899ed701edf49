use driblet_core::{Codec, Version};

use super::coding::{Coding, Effort};

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) enum Key {
    /// Without a codec what is made at once, in what every receiver reads.
    Delta {
        from: Option<Version>,
        to: Version,
        codec: Option<Codec>,
    },
    Encoded(Version, Coding, Effort),
}

impl Key {
    pub(super) fn version(&self) -> Version {
        match self {
            Key::Delta { to, .. } => *to,
            Key::Encoded(version, ..) => *version,
        }
    }

    /// What a request gets while this is not made.
    pub(super) fn at_once(&self) -> Key {
        match *self {
            Key::Delta { from, to, .. } => Key::Delta { from, to, codec: None },
            Key::Encoded(version, coding, _) => Key::Encoded(version, coding, Effort::AtOnce),
        }
    }
}
