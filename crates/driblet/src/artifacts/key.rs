use driblet_core::{BasisId, Codec, Version};

use super::coding::{Coding, Effort};
use super::dictionary::DictionaryCoding;

/// What an artifact is: equal keys have equal content.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) enum Key {
    /// A delta. Without a codec it is the one that is made while a request waits, in a codec that every receiver
    /// decodes.
    Delta {
        from: Option<Version>,
        to: Version,
        codec: Option<Codec>,
    },
    /// A delta from the chunks that a signature matched. It is the same for all receivers whose matched chunks have this
    /// basis id.
    Matched {
        basis: BasisId,
        to: Version,
        effort: Effort,
    },
    Encoded(Version, Coding, Effort),
    /// A file that is encoded against a dictionary.
    WithDictionary {
        from: Version,
        to: Version,
        coding: DictionaryCoding,
        effort: Effort,
    },
    /// A part of a directory. Both hashes are of the versions of files.
    Part {
        basis: Option<Version>,
        name: Version,
    },
}

impl Key {
    /// The version that a receiver gets by the artifact.
    pub(super) fn version(&self) -> Version {
        match self {
            Key::Delta { to, .. } | Key::Matched { to, .. } | Key::WithDictionary { to, .. } => *to,
            Key::Encoded(version, ..) => *version,
            Key::Part { name, .. } => *name,
        }
    }

    /// What a request gets until this artifact is made.
    pub(super) fn interactive(&self) -> Key {
        match *self {
            Key::Delta { from, to, .. } => Key::Delta { from, to, codec: None },
            Key::Matched { basis, to, .. } => Key::Matched { basis, to, effort: Effort::Interactive },
            Key::Encoded(version, coding, _) => Key::Encoded(version, coding, Effort::Interactive),
            Key::WithDictionary { from, to, coding, .. } => {
                Key::WithDictionary { from, to, coding, effort: Effort::Interactive }
            }
            Key::Part { basis, name } => Key::Part { basis, name },
        }
    }
}
