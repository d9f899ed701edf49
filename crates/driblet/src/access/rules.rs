//! Rules by path.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use blake3::Hash;

use super::hash::UserHash;
use super::paths::{GuardedPaths, compared, upwards};
use super::tokens;

/// The rules of a file.
#[derive(Debug)]
pub(super) struct Rules(HashMap<String, Arc<Rule>>);

/// Who may read some paths.
#[derive(Debug)]
pub(crate) struct Rule {
    /// The first of its paths, as it is written.
    pub(crate) name: String,
    pub(super) users: BTreeMap<String, UserHash>,
    pub(super) tokens: Vec<Hash>,
}

impl Rules {
    pub(super) fn new(by_path: HashMap<String, Arc<Rule>>) -> Rules {
        Rules(by_path)
    }

    /// The rule with the longest path that covers this one.
    pub(super) fn of(&self, path: &str) -> Option<&Arc<Rule>> {
        upwards(&compared(path)).find_map(|path| self.0.get(path))
    }

    /// The paths that rules are about.
    pub(super) fn guarded(&self) -> GuardedPaths {
        GuardedPaths::new(self.0.keys().cloned())
    }

    /// A path that a rule is about and that lies below one of the directories, whose snapshot does not leave it out.
    pub(super) fn not_left_out(&self, directories: &[String], left_out: &GuardedPaths) -> Option<String> {
        let guarded = self.guarded();
        let is_held = |path: &&String| {
            directories.iter().any(|directory| {
                let is_below = upwards(path).skip(1).any(|above| above == compared(directory));
                is_below && guarded.covers_below(directory, path) && !left_out.covers_below(directory, path)
            })
        };
        self.0.keys().find(is_held).map(|path| format!("/{path}"))
    }
}

impl Rule {
    /// Whether users with passwords may read the paths.
    pub(crate) fn has_users(&self) -> bool {
        !self.users.is_empty()
    }

    /// Whether programs with tokens may read the paths.
    pub(crate) fn has_tokens(&self) -> bool {
        !self.tokens.is_empty()
    }

    /// Whether a token may read the paths. All are compared, each in the same time.
    pub(crate) fn knows_token(&self, token: &str) -> bool {
        let digest = tokens::digest(token);
        self.tokens.iter().fold(false, |known, token| known | (*token == digest))
    }
}
