//! Sends sidecars: files that a build has compressed, such as `app.js.br` beside `app.js`.
//!
//! A sidecar is sent only if it decodes to the very version of its file. So an old one does no harm.

use std::sync::Arc;

use tracing::warn;

use super::admission::Admission;
use super::content::of_version;
use super::problem::Problem;
use crate::artifacts::{Coding, Content};
use crate::history::StoredVersion;
use crate::publisher::PublishError;
use crate::site::{OpenPlain, Site};
use crate::task::blocking;

/// The sidecar of a file in a coding, and its ETag; `None` if there is none that is this version of the file.
pub(super) async fn find(
    site: &Arc<Site>,
    admission: &Admission,
    (path, stored): (&str, &Arc<StoredVersion>),
    coding: Coding,
) -> Result<Option<(Content, String)>, Problem> {
    let sidecar_path = format!("{path}.{}", coding.extension());
    if site.sidecars.is_absent(&sidecar_path) {
        return Ok(None);
    }
    let Ok(admitted) = admission.admit(&sidecar_path).await else { return Ok(None) };
    let OpenPlain::File(_, sidecar) = site.open_plain(admitted).await? else {
        site.sidecars.note_absence(sidecar_path);
        return Ok(None);
    };
    let is_right = match site.sidecars.known(stored, &sidecar) {
        Some(is_right) => is_right,
        None => {
            let (checking, file, packed) = (site.clone(), stored.clone(), sidecar.clone());
            let check = move || Ok::<_, PublishError>(checking.sidecars.check(&file, &packed, coding));
            let is_right = blocking(check).await?;
            if !is_right {
                warn!(
                    path = sidecar_path,
                    "a compressed file is not sent: it is another version of its file, or damaged; compress the file again"
                );
            }
            is_right
        }
    };
    if !is_right || stored.len <= sidecar.len {
        return Ok(None);
    }
    let etag = format!("{}-{}-{}", stored.version, coding.name(), &sidecar.version.to_string()[..8]);
    Ok(Some((of_version(&sidecar)?, etag)))
}
