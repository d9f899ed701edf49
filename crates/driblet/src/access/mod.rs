//! Rules about who may read which paths, from a file that can be replaced while the server runs.
//!
//! `file` reads the rules, `rules` finds the one that decides on a path, `passwords` and `tokens` check credentials.
//! `crate::http::admission` asks for each request.

mod error;
mod file;
mod hash;
mod passwords;
mod paths;
mod rules;
mod tokens;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use tracing::{info, warn};

pub use error::AccessError;
pub use hash::{HashError, hash_password};
use passwords::Passwords;
pub(crate) use passwords::{NotChecked, UserAndPassword};
pub(crate) use paths::GuardedPaths;
pub(crate) use rules::Rule;
use rules::Rules;
pub use tokens::NewToken;

use crate::causes::with_causes;
use crate::client_address::AddressBlock;

/// The pause between two looks at the file.
const LOOK: Duration = Duration::from_secs(2);

/// Who may read which paths, from a file. Clones share the rules.
///
/// The file is TOML:
///
/// ```toml
/// [[allow]]
/// paths = ["/private/", "/admin/report.json"]
/// users = { alice = "$argon2id$v=19$m=19456,t=2,p=1$…" }
/// tokens = { ci = "sha256:…" }
/// ```
///
/// A rule is for the file or folder at each of its paths and for everything below, with all sync resources. Of several
/// rules the one with the longest path decides. Paths without a rule are public. Paths are written decoded (`/my docs/`),
/// and compared without regard to case, as some disks do. The snapshot of a directory leaves out what rules below it are
/// about, until the server is started again without these rules. A rule is about the path in the URL: a link elsewhere in the
/// root that leads to the same file is another path.
///
/// Users authenticate by HTTP Basic (RFC 7617) with a password whose hash [`hash_password`] makes; programs by a Bearer
/// token (RFC 6750) that [`NewToken`] makes.
///
/// ```no_run
/// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
/// let access = driblet::Access::open("access.toml")?;
/// let server = driblet::Server::builder("dist").access(&access).build().await?;
/// tokio::spawn(access.follow());
/// # drop(server);
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Access(Arc<Shared>);

struct Shared {
    file: PathBuf,
    current: RwLock<Current>,
    /// What the servers that use these rules leave out of snapshots. It cannot change while they run.
    snapshots: Mutex<Vec<Snapshots>>,
    passwords: Passwords,
}

/// The rules, and the text that they were read from.
struct Current {
    text: String,
    rules: Arc<Rules>,
}

struct Snapshots {
    directories: Vec<String>,
    left_out: GuardedPaths,
}

impl Access {
    /// Reads the file.
    ///
    /// # Errors
    /// [`AccessError`] names the file and the line, and says what to do.
    pub fn open(file: impl Into<PathBuf>) -> Result<Access, AccessError> {
        let file = file.into();
        let text = file::read(&file)?;
        let rules = Arc::new(file::parse(&file, &text)?);
        let passwords =
            Passwords::new().map_err(|error| AccessError::Random { source: std::io::Error::other(error) })?;
        let current = RwLock::new(Current { text, rules });
        Ok(Access(Arc::new(Shared { file, current, snapshots: Mutex::default(), passwords })))
    }

    /// Reads the file again. Gives whether it has changed.
    ///
    /// # Errors
    /// [`AccessError`]; the rules from before stay in force.
    pub fn reload(&self) -> Result<bool, AccessError> {
        self.apply(file::read(&self.0.file)?)
    }

    /// Reads the file again whenever it changes. Never completes. A file that changes again at once is not read yet:
    /// half of it may be missing. A file that cannot be used is logged, and the rules from before stay in force.
    pub async fn follow(self) {
        let (mut seen, mut failed) = (None, None);
        loop {
            tokio::time::sleep(LOOK).await;
            let (access, last) = (self.clone(), seen.take());
            let look = move || {
                let read = file::read(&access.0.file).map_err(|error| with_causes(&error));
                let is_same = last.as_ref() == Some(&read);
                let applied = is_same.then(|| {
                    let apply = |text| access.apply(text).map_err(|error| with_causes(&error));
                    read.clone().and_then(apply)
                });
                (read, applied)
            };
            let Ok((read, applied)) = tokio::task::spawn_blocking(look).await else { continue };
            seen = Some(read);
            match applied {
                None => {}
                Some(Ok(is_new)) => {
                    failed = None;
                    if is_new {
                        info!(file = %self.0.file.display(), "new access rules are in force");
                    }
                }
                Some(Err(error)) => {
                    if failed.as_ref() != Some(&error) {
                        warn!(error, "the access rules from before stay in force");
                    }
                    failed = Some(error);
                }
            }
        }
    }

    fn apply(&self, text: String) -> Result<bool, AccessError> {
        if self.0.current.read().unwrap_or_else(PoisonError::into_inner).text == text {
            return Ok(false);
        }
        let rules = file::parse(&self.0.file, &text)?;
        for Snapshots { directories, left_out } in self.snapshots().iter() {
            if let Some(path) = rules.not_left_out(directories, left_out) {
                return Err(AccessError::Restart { file: self.0.file.clone(), path });
            }
        }
        *self.0.current.write().unwrap_or_else(PoisonError::into_inner) = Current { text, rules: Arc::new(rules) };
        Ok(true)
    }

    /// The paths that the snapshots of these directories leave out, because a rule is about them and not about the
    /// directory.
    pub(crate) fn leave_out_of(&self, directories: &[String]) -> GuardedPaths {
        let left_out = self.rules().guarded();
        self.snapshots().push(Snapshots { directories: directories.to_vec(), left_out: left_out.clone() });
        left_out
    }

    /// The rule that decides on a path; `None` if it is public.
    pub(crate) fn rule(&self, path: &str) -> Option<Arc<Rule>> {
        self.rules().of(path).cloned()
    }

    /// Whether a rule names a user, and the password is the user's.
    pub(crate) async fn knows_user(
        &self,
        rule: &Rule,
        given: &UserAndPassword,
        client: AddressBlock,
    ) -> Result<bool, NotChecked> {
        self.0.passwords.check(rule, given, client).await
    }

    fn rules(&self) -> Arc<Rules> {
        self.0.current.read().unwrap_or_else(PoisonError::into_inner).rules.clone()
    }

    fn snapshots(&self) -> std::sync::MutexGuard<'_, Vec<Snapshots>> {
        self.0.snapshots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Access {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Access").field("file", &self.0.file).finish_non_exhaustive()
    }
}
