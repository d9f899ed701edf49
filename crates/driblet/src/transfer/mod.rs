//! What the clients of both protocols share.

pub(crate) mod credentials;
mod destination;
mod error;
mod options;
mod progress;
mod watchdog;

pub(crate) use destination::{Dest, blocking, output};
pub use error::{Phase, PullError};
pub use options::PullOptions;
pub(crate) use progress::Report;
pub use progress::{Progress, State};
pub(crate) use watchdog::{Heard, Life, Patience, is_tls, retry_after, silent};
