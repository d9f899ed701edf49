//! What the clients of both protocols share.

mod destination;
mod error;
mod options;
mod progress;
mod watchdog;

pub(crate) use destination::{Destination, output};
pub(crate) use error::{NetworkCause, ProtocolCause};
pub use error::{NetworkError, Phase, ProtocolError, PullError};
pub use options::PullOptions;
pub(crate) use progress::Report;
pub use progress::{Progress, PullState};
pub(crate) use watchdog::Watchdog;
