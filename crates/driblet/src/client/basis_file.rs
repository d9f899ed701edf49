use std::path::{Path, PathBuf};

use url::Url;

/// A file to take as the basis of a pull whose destination holds nothing, such as the last build's `app.3e1b.js` for
/// `app.9f2c.js`.
///
/// ```no_run
/// use driblet::BasisFile;
/// use driblet::output::Output;
///
/// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
/// let client = driblet::Client::new()?;
/// let basis = BasisFile::new("app.3e1b.js").published_at("https://example.com/app.3e1b.js".parse()?);
/// let url = "https://example.com/app.9f2c.js".parse()?;
/// let pulled = client.pull_with_basis(&url, Output::at("app.9f2c.js")?, &basis, |_| {}).await?;
/// println!("{} bytes received for {}", pulled.received, pulled.len);
/// # Ok(()) }
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BasisFile {
    path: PathBuf,
    url: Option<Url>,
}

impl BasisFile {
    /// A file of this machine. The server learns from a signature which parts of it the new file has.
    pub fn new(path: impl Into<PathBuf>) -> BasisFile {
        BasisFile { path: path.into(), url: None }
    }

    /// Sets the URL that the file was pulled from, on the same server. If the server still has that version, and lets
    /// this client read it, the delta is made from it without a signature, which makes it smaller.
    #[must_use]
    pub fn published_at(self, url: Url) -> BasisFile {
        BasisFile { url: Some(url), ..self }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn url(&self) -> Option<&Url> {
        self.url.as_ref()
    }
}
