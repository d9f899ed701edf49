//! TLS: a certificate and its key, which can be replaced while connections run. They are files, or come from an authority.

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

#[cfg(feature = "acme")]
use super::acme::{Acme, AcmeOptions, CHALLENGE_PROTOCOL};
use super::tls_error::TlsError;
use crate::causes::with_causes;

/// The pause between two looks at the files.
const LOOK: Duration = Duration::from_secs(2);

/// A certificate and its key. Clones share them.
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
    source: Source,
}

/// Where the certificate comes from.
#[derive(Clone, Debug)]
enum Source {
    Files(Arc<Files>),
    #[cfg(feature = "acme")]
    Acme(Arc<Acme>),
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
        Tls::new(files.clone(), Source::Files(files), &[])
    }

    /// Gets a certificate from an authority, and a new one before it ends, as long as [`follow`](Tls::follow) runs. Until
    /// the first one is there, no client can connect. The server must be reachable at port 443 of each domain.
    ///
    /// ```no_run
    /// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
    /// let tls = driblet::Tls::acme(driblet::AcmeOptions::new(["example.com"], "/var/lib/driblet/acme"))?;
    /// tokio::spawn(tls.clone().follow());
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// [`TlsError::Folder`] if the folder cannot be made. That an authority refuses is logged, and it is asked again.
    #[cfg(feature = "acme")]
    #[cfg_attr(docsrs, doc(cfg(feature = "acme")))]
    pub fn acme(options: AcmeOptions) -> Result<Tls, TlsError> {
        let acme = Arc::new(Acme::new(options)?);
        Tls::new(acme.resolver.clone(), Source::Acme(acme), &[CHALLENGE_PROTOCOL])
    }

    fn new(
        certificates: Arc<dyn ResolvesServerCert>,
        source: Source,
        more_protocols: &[&[u8]],
    ) -> Result<Tls, TlsError> {
        let provider = Arc::new(ring::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let config = config.map_err(|source| TlsError::Setup { source })?;
        let mut config = config.with_no_client_auth().with_cert_resolver(certificates);
        let protocols: [&[u8]; 2] = [b"h2", b"http/1.1"];
        config.alpn_protocols = protocols.iter().chain(more_protocols).map(|name| name.to_vec()).collect();
        // A client that comes back resumes its session; the server keeps nothing for that.
        config.ticketer = ring::Ticketer::new().map_err(|source| TlsError::Setup { source })?;
        Ok(Tls { acceptor: TlsAcceptor::from(Arc::new(config)), source })
    }

    /// Reads the files again. New connections get what they have now, those that run keep what they have. Gives whether
    /// the certificate is another one. The certificate of an authority stays as it is.
    ///
    /// # Errors
    /// [`TlsError`]; the certificate from before stays in use.
    pub fn reload(&self) -> Result<bool, TlsError> {
        match &self.source {
            Source::Files(files) => files.reload(),
            #[cfg(feature = "acme")]
            Source::Acme(_) => Ok(false),
        }
    }

    /// Reads the files again whenever they change; gets new certificates from an authority. Never completes. A pair of
    /// files that does not fit together is logged, unless they change again at once: they are replaced one after the
    /// other.
    pub async fn follow(self) {
        match self.source {
            Source::Files(files) => files.follow().await,
            #[cfg(feature = "acme")]
            Source::Acme(acme) => acme.follow().await,
        }
    }

    pub(super) async fn accept<S: AsyncRead + AsyncWrite + Unpin>(&self, stream: S) -> io::Result<TlsStream<S>> {
        let stream = self.acceptor.accept(stream).await?;
        #[cfg(feature = "acme")]
        if stream.get_ref().1.alpn_protocol() == Some(CHALLENGE_PROTOCOL) {
            return Err(io::Error::other("an authority has checked that a domain is this server's"));
        }
        Ok(stream)
    }
}

impl Files {
    fn reload(&self) -> Result<bool, TlsError> {
        let new = read(&self.certificate, &self.key)?;
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        if current.cert == new.cert {
            return Ok(false);
        }
        *current = Arc::new(new);
        Ok(true)
    }

    async fn follow(self: Arc<Self>) {
        let (mut failed, mut times) = (None, 0);
        loop {
            tokio::time::sleep(LOOK).await;
            let files = self.clone();
            let Ok(reloaded) = tokio::task::spawn_blocking(move || files.reload()).await else { continue };
            match reloaded {
                Ok(is_new) => {
                    failed = None;
                    if is_new {
                        info!(certificate = %self.certificate.display(), "a new certificate is in use");
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
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tls").field("source", &self.source).finish_non_exhaustive()
    }
}

impl ResolvesServerCert for Files {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.current.read().unwrap_or_else(PoisonError::into_inner).clone())
    }
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
