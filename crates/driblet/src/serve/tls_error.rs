use std::io;
use std::path::PathBuf;

use rustls::pki_types::pem;

/// Why a certificate cannot be used.
#[derive(thiserror::Error, Debug)]
#[non_exhaustive]
pub enum TlsError {
    /// A file cannot be read, or has no certificate or key.
    #[error("{} is no {what} in PEM form that can be read", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What was looked for.
        what: &'static str,
        /// What failed.
        source: pem::Error,
    },
    /// A certificate and a key do not belong together, or the key is of an unknown kind.
    #[error("the certificate {} cannot be used with the key {}; use the key that it was made for", certificate.display(), key.display())]
    Pair {
        /// The file with the certificate.
        certificate: PathBuf,
        /// The file with the key.
        key: PathBuf,
        /// What failed.
        source: rustls::Error,
    },
    /// The folder for the certificates of an authority cannot be made.
    #[error("cannot make the folder {}", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What failed.
        source: io::Error,
    },
    /// TLS cannot be set up on this machine.
    #[error("TLS cannot be set up")]
    Setup {
        /// What failed.
        source: rustls::Error,
    },
}
