use std::path::Path;
use std::process::{Command, Stdio};

use super::Limited;

/// Makes a certificate for localhost, and its key, as files with these names.
pub(crate) fn certify(folder: &Path, certificate: &str, key: &str) {
    let status = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"])
        .args(["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"])
        .args(["-addext", "basicConstraints=critical,CA:FALSE", "-out", certificate, "-keyout", key])
        .current_dir(folder)
        .stderr(Stdio::null())
        .status_within();
    assert!(status.success());
}
