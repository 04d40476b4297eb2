//! TLS 1.2 and 1.3 by rustls; actix adds the names of HTTP/2 and HTTP/1.1 to the handshake.

use std::{path::Path, sync::Arc};

use kehu_kernel::{Error, Result};
use rustls::{
    ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};

/// Reads a certificate chain and its key.
///
/// # Errors
/// [`Error::Invalid`] naming the file that cannot be used, and why.
pub fn config(certificate: &Path, key: &Path) -> Result<ServerConfig> {
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_file_iter(certificate)
        .and_then(Iterator::collect)
        .map_err(|error| unusable("/tls_certificate", certificate, &error))?;
    let secret = PrivateKeyDer::from_pem_file(key).map_err(|error| unusable("/tls_key", key, &error))?;
    ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(Error::internal)?
        .with_no_client_auth()
        .with_single_cert(chain, secret)
        .map_err(|error| unusable("/tls_certificate", certificate, &error))
}

fn unusable(option: &str, path: &Path, error: &dyn std::fmt::Display) -> Error {
    Error::invalid(option, "unusable_file", format!("{}: {error}", path.display()))
}
