//! TLS: a certificate and its key, which can be replaced while connections run.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use rustls::crypto::ring;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tracing::{info, warn};

use crate::causes::with_causes;

/// The pause between two looks at the files.
const LOOK: Duration = Duration::from_secs(2);

/// A certificate and its key, from two PEM files. Clones share them.
///
/// ```no_run
/// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
/// let tls = driblet::Tls::open("cert.pem", "key.pem")?;
/// tokio::spawn(tls.clone().follow());
/// let listener = driblet::Listener::from(tokio::net::TcpListener::bind("0.0.0.0:443").await?).tls(&tls);
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Tls {
    acceptor: TlsAcceptor,
    files: Arc<Files>,
}

#[derive(Debug)]
struct Files {
    certificate: PathBuf,
    key: PathBuf,
    current: RwLock<Arc<CertifiedKey>>,
}

impl Tls {
    /// Reads a certificate, with those of its issuers below it, and its private key. Clients may speak TLS 1.2 and 1.3,
    /// HTTP/1.1 and HTTP/2.
    ///
    /// # Errors
    /// [`TlsError`] names the file, and says what to do.
    pub fn open(certificate: impl Into<PathBuf>, key: impl Into<PathBuf>) -> Result<Tls, TlsError> {
        let (certificate, key) = (certificate.into(), key.into());
        let current = RwLock::new(Arc::new(read(&certificate, &key)?));
        let files = Arc::new(Files { certificate, key, current });
        let provider = Arc::new(ring::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let config = config.map_err(|source| TlsError::Setup { source })?;
        let mut config = config.with_no_client_auth().with_cert_resolver(files.clone());
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        // A client that comes back resumes its session; the server keeps nothing for that.
        config.ticketer = ring::Ticketer::new().map_err(|source| TlsError::Setup { source })?;
        Ok(Tls { acceptor: TlsAcceptor::from(Arc::new(config)), files })
    }

    /// Reads the files again. New connections get what they have now, those that run keep what they have. Gives whether
    /// the certificate is another one.
    ///
    /// # Errors
    /// [`TlsError`]; the certificate from before stays in use.
    pub fn reload(&self) -> Result<bool, TlsError> {
        let new = read(&self.files.certificate, &self.files.key)?;
        let mut current = self.files.current.write().unwrap_or_else(PoisonError::into_inner);
        if current.cert == new.cert {
            return Ok(false);
        }
        *current = Arc::new(new);
        Ok(true)
    }

    /// Reads the files again whenever they change. Never completes. A pair that does not fit together is logged, unless
    /// the files change again at once: they are replaced one after the other.
    pub async fn follow(self) {
        let (mut failed, mut times) = (None, 0);
        loop {
            tokio::time::sleep(LOOK).await;
            let tls = self.clone();
            let Ok(reloaded) = tokio::task::spawn_blocking(move || tls.reload()).await else { continue };
            match reloaded {
                Ok(is_new) => {
                    failed = None;
                    if is_new {
                        info!(certificate = %self.files.certificate.display(), "a new certificate is in use");
                    }
                }
                Err(error) => {
                    let error = with_causes(&error);
                    times = if failed.as_ref() == Some(&error) { times + 1 } else { 1 };
                    if times == 2 {
                        warn!(error, "the certificate from before stays in use");
                    }
                    failed = Some(error);
                }
            }
        }
    }

    pub(super) async fn accept<S: AsyncRead + AsyncWrite + Unpin>(&self, stream: S) -> io::Result<TlsStream<S>> {
        self.acceptor.accept(stream).await
    }
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tls").field("certificate", &self.files.certificate).finish_non_exhaustive()
    }
}

impl ResolvesServerCert for Files {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.current.read().unwrap_or_else(PoisonError::into_inner).clone())
    }
}

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
    /// TLS cannot be set up on this machine.
    #[error("TLS cannot be set up")]
    Setup {
        /// What failed.
        source: rustls::Error,
    },
}

fn read(certificate: &Path, key: &Path) -> Result<CertifiedKey, TlsError> {
    let failed = |path: &Path, what| {
        let path = path.to_path_buf();
        move |source| TlsError::File { path, what, source }
    };
    let all: Result<Vec<_>, _> = CertificateDer::pem_file_iter(certificate).and_then(Iterator::collect);
    let all = all.and_then(|all| if all.is_empty() { Err(pem::Error::NoItemsFound) } else { Ok(all) });
    let all = all.map_err(failed(certificate, "certificate"))?;
    let private = PrivateKeyDer::from_pem_file(key).map_err(failed(key, "private key"))?;
    CertifiedKey::from_der(all, private, &ring::default_provider()).map_err(|source| TlsError::Pair {
        certificate: certificate.to_path_buf(),
        key: key.to_path_buf(),
        source,
    })
}
