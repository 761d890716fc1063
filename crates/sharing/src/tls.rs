//! Which certificates of `PostgreSQL` are accepted.

use std::path::Path;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_name};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};

use crate::address::{Address, SslMode};
use crate::error::{Error, Result, Status};
use crate::source::plex::read_certificates;

/// Returns the TLS configuration for an address, which verifies certificates as the address's `sslmode` requires.
///
/// # Errors
/// [`Status::InvalidArgument`] if the certificate file is unusable, [`Status::Tls`] if the system's authorities are
/// unusable.
pub fn config(address: &Address) -> Result<ClientConfig> {
    let failed = |error: &dyn std::error::Error| Error::new(Status::Tls, format!("cannot set up TLS: {error}"));
    // Choose the provider explicitly, since other crates in the host's process could change the default.
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let is_verified = matches!(address.sslmode, SslMode::VerifyCa | SslMode::VerifyFull);
    let mut pinned = Vec::new(); // also accepted as the server's own certificate
    let authorities: Option<Arc<dyn ServerCertVerifier>> = match &address.sslrootcert {
        _ if !is_verified => None,
        Some(path) => {
            pinned = read_authorities(path)?;
            let mut roots = RootCertStore::empty();
            roots.add_parsable_certificates(pinned.iter().cloned());
            let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider));
            Some(verifier.build().map_err(|error| failed(&error))?)
        }
        None => {
            let verifier = rustls_platform_verifier::Verifier::new(Arc::clone(&provider));
            Some(Arc::new(verifier.map_err(|error| failed(&error))?))
        }
    };
    let verifier = Arc::new(PostgresVerifier {
        authorities,
        pinned,
        is_name_verified: address.sslmode == SslMode::VerifyFull,
        provider: Arc::clone(&provider),
    });
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| failed(&error))?
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth();
    Ok(config)
}

/// Reads the certificates in a PEM file.
fn read_authorities(path: &Path) -> Result<Vec<CertificateDer<'static>>> {
    read_certificates(path, &|problem| {
        let path = path.display();
        let remedy = "use a PEM file with the certificate of an authority";
        let text = format!("the shared database's sslrootcert {path} {problem}; {remedy}");
        Error::new(Status::InvalidArgument, text)
    })
}

/// Verifies certificates as required by `sslmode`.
#[derive(Debug)]
struct PostgresVerifier {
    /// Verifies certificates against the trusted authorities; `None` to accept any certificate.
    authorities: Option<Arc<dyn ServerCertVerifier>>,
    /// Certificates from `sslrootcert`, also accepted as the server's own certificate, since many servers have a
    /// self-signed certificate.
    pinned: Vec<CertificateDer<'static>>,
    is_name_verified: bool,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for PostgresVerifier {
    /// Accepts the server's certificate if `sslmode` accepts any certificate, if `sslrootcert` contains the
    /// certificate, or if a trusted authority signed it. Also checks the host name if `sslmode` requires this.
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        response: &[u8],
        now: UnixTime,
    ) -> std::result::Result<ServerCertVerified, rustls::Error> {
        let Some(authorities) = &self.authorities else {
            return Ok(ServerCertVerified::assertion());
        };
        if self.pinned.contains(certificate) {
            if self.is_name_verified {
                verify_server_name(&ParsedCertificate::try_from(certificate)?, name)?;
            }
            return Ok(ServerCertVerified::assertion());
        }
        match authorities.verify_server_cert(certificate, intermediates, name, response, now) {
            // The chain was verified before the name, so only the name is wrong, which `sslmode` allows.
            Err(rustls::Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) if !self.is_name_verified => Ok(ServerCertVerified::assertion()),
            outcome => outcome,
        }
    }

    /// Verifies the server's signature in a TLS 1.2 handshake, as rustls does by default.
    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signature, algorithms)
    }

    /// Verifies the server's signature in a TLS 1.3 handshake, as rustls does by default.
    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signature, algorithms)
    }

    /// Returns the signature schemes that this verifier supports.
    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
