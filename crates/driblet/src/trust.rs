//! Which servers requests trust.

use std::sync::Arc;

use rustls::ClientConfig;
use rustls_platform_verifier::BuilderVerifierExt;

/// TLS for requests to servers whose certificates the system trusts.
pub(crate) fn trusting_the_system() -> Result<ClientConfig, rustls::Error> {
    // A provider of its own: another part of the program may use another one.
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    Ok(tls.and_then(BuilderVerifierExt::with_platform_verifier)?.with_no_client_auth())
}
