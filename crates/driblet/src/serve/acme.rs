//! Certificates from an authority that speaks ACME (RFC 8555). It checks that a domain is this server's by a connection
//! to port 443 (TLS-ALPN-01, RFC 8737), so that no other port and no file is needed.

use std::fmt;
use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;
use std::sync::Arc;

use futures_util::StreamExt;
use rustls_acme::caches::DirCache;
use rustls_acme::{AcmeConfig, AcmeState, EventOk, ResolvesServerCertAcme};
use tokio::sync::Mutex;
use tracing::{info, warn};

use super::tls_error::TlsError;
use crate::trust::trusting_the_system;

pub(super) use rustls_acme::acme::ACME_TLS_ALPN_NAME as CHALLENGE_PROTOCOL;

/// Which certificate to get, and from whom.
#[derive(Clone, Debug)]
#[cfg_attr(docsrs, doc(cfg(feature = "acme")))]
pub struct AcmeOptions {
    domains: Vec<String>,
    contacts: Vec<String>,
    directory: String,
    folder: PathBuf,
}

impl AcmeOptions {
    /// A certificate of Let's Encrypt for these domains. The folder keeps the certificate, its key, and the key of the
    /// account between two runs: an authority gives a domain few certificates a week.
    ///
    /// Whoever uses it agrees to the terms of the authority.
    pub fn new(domains: impl IntoIterator<Item = impl Into<String>>, folder: impl Into<PathBuf>) -> AcmeOptions {
        AcmeOptions {
            domains: domains.into_iter().map(Into::into).collect(),
            contacts: Vec::new(),
            directory: rustls_acme::acme::LETS_ENCRYPT_PRODUCTION_DIRECTORY.to_owned(),
            folder: folder.into(),
        }
    }

    /// An e-mail address at which the authority can reach the operator.
    pub fn contact(mut self, address: &str) -> AcmeOptions {
        self.contacts.push(format!("mailto:{address}"));
        self
    }

    /// Another authority, by the URL of its ACME directory.
    pub fn directory(self, url: impl Into<String>) -> AcmeOptions {
        AcmeOptions { directory: url.into(), ..self }
    }
}

/// The certificate that an authority gives, and what gets it.
pub(super) struct Acme {
    state: Mutex<AcmeState<io::Error>>,
    pub(super) resolver: Arc<ResolvesServerCertAcme>,
    domains: String,
    directory: String,
}

impl Acme {
    pub(super) fn new(options: AcmeOptions) -> Result<Acme, TlsError> {
        let AcmeOptions { domains, contacts, directory, folder } = options;
        // It holds private keys.
        let made = DirBuilder::new().recursive(true).mode(0o700).create(&folder);
        made.map_err(|source| TlsError::Folder { path: folder.clone(), source })?;
        let client = trusting_the_system().map_err(|source| TlsError::Setup { source })?;
        let names = domains.join(", ");
        let config = AcmeConfig::new_with_client_config(domains, Arc::new(client));
        let state = config.contact(contacts).directory(&directory).cache(DirCache::new(folder)).state();
        Ok(Acme { resolver: state.resolver(), state: Mutex::new(state), domains: names, directory })
    }

    /// Gets the certificate, and a new one before it ends. Never completes.
    pub(super) async fn follow(&self) {
        let mut state = self.state.lock().await;
        while let Some(event) = state.next().await {
            let (domains, directory) = (&self.domains, &self.directory);
            match event {
                Ok(EventOk::DeployedNewCert) => info!(domains, directory, "a new certificate is in use"),
                Ok(EventOk::DeployedCachedCert) => info!(domains, "the certificate of an earlier run is in use"),
                Ok(EventOk::CertCacheStore | EventOk::AccountCacheStore) => {}
                Err(error) => {
                    warn!(domains, directory, %error, "there is no new certificate yet; it is asked for again")
                }
            }
        }
    }
}

impl fmt::Debug for Acme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Acme").field("domains", &self.domains).field("directory", &self.directory).finish()
    }
}
