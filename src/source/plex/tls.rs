//! HTTPS: the verification of certificates.
//!
//! Trusted are the system's authorities and those of `ca_file`; or any certificate, if the host requests that. Only
//! compiled with the feature `tls`.

use std::fmt;
use std::io::{Read, Write};
use std::path::Path;
use std::sync::{Arc, OnceLock};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, ClientConnection, DigitallySignedStruct, RootCertStore, SignatureScheme, StreamOwned};
use ureq::unversioned::transport::time::{Duration, Instant};
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, Either, LazyBuffers, NextTimeout, Transport, TransportAdapter,
};

use crate::error::{Error, Result, Status};
use crate::options::Options;

/// The trusted certificates; the TLS configuration is computed at the first connection.
#[derive(Clone)]
pub(super) struct Tls(Arc<TlsSetup>);

struct TlsSetup {
    authorities: Vec<CertificateDer<'static>>,
    accept_any: bool,
    config: OnceLock<Arc<ClientConfig>>,
}

impl Tls {
    /// Reads `ca_file`.
    ///
    /// # Errors
    /// [`Status::InvalidArgument`] when it cannot be read or holds no certificate.
    pub fn new(options: &Options) -> Result<Self> {
        Ok(Self(Arc::new(TlsSetup {
            authorities: options
                .ca_file
                .as_deref()
                .map(read_authorities)
                .transpose()?
                .unwrap_or_default(),
            accept_any: options.accept_invalid_certs,
            config: OnceLock::new(),
        })))
    }

    /// Returns the connector that adds TLS for HTTPS URLs.
    pub fn connector(&self) -> TlsConnector {
        TlsConnector(self.clone())
    }

    fn config(&self) -> std::result::Result<Arc<ClientConfig>, rustls::Error> {
        let setup = &*self.0;
        if let Some(config) = setup.config.get() {
            return Ok(Arc::clone(config));
        }
        // Set explicitly so that other crates in the host's process do not choose the cryptography.
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let verifier: Arc<dyn ServerCertVerifier> = if setup.accept_any {
            Arc::new(AcceptAny(provider.signature_verification_algorithms))
        } else {
            Arc::new(rustls_platform_verifier::Verifier::new_with_extra_roots(
                setup.authorities.iter().cloned(),
                Arc::clone(&provider),
            )?)
        };
        let config = client_config(provider, verifier)?;
        // The first thread wins; both configurations are equal.
        Ok(Arc::clone(setup.config.get_or_init(|| Arc::new(config))))
    }
}

fn client_config(
    provider: Arc<CryptoProvider>,
    verifier: Arc<dyn ServerCertVerifier>,
) -> std::result::Result<ClientConfig, rustls::Error> {
    Ok(ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth())
}

fn read_authorities(path: &Path) -> Result<Vec<CertificateDer<'static>>> {
    let refuse = |problem: String| {
        Error::new(
            Status::InvalidArgument,
            format!(
                "ca_file \"{}\" {problem}: name a PEM file with the certificate of an authority",
                path.display()
            ),
        )
    };
    let pem = std::fs::read(path).map_err(|error| refuse(format!("cannot be read ({error})")).because_io(&error))?;
    let authorities: Vec<_> = CertificateDer::pem_slice_iter(&pem)
        .collect::<std::result::Result<_, _>>()
        .map_err(|error| refuse(format!("is not a PEM file ({error})")))?;
    if authorities.is_empty() {
        return Err(refuse("holds no certificate".into()));
    }
    let mut store = RootCertStore::empty();
    for authority in &authorities {
        store
            .add(authority.clone())
            .map_err(|error| refuse(format!("holds a certificate that cannot be used ({error})")))?;
    }
    Ok(authorities)
}

/// Wraps connections in TLS.
pub(super) struct TlsConnector(Tls);

impl fmt::Debug for TlsConnector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TlsConnector")
    }
}

impl<In: Transport> Connector<In> for TlsConnector {
    type Out = Either<In, TlsTransport>;

    fn connect(
        &self,
        details: &ConnectionDetails,
        chained: Option<In>,
    ) -> std::result::Result<Option<Self::Out>, ureq::Error> {
        let Some(inner) = chained else { return Ok(None) };
        if !details.needs_tls() {
            return Ok(Some(Either::A(inner)));
        }
        let failed = |error: rustls::Error| ureq::Error::Other(Box::new(error));
        let host = details.uri.host().unwrap_or_default();
        let bare = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let name = ServerName::try_from(bare).map_err(|error| ureq::Error::BadUri(error.to_string()))?;
        let mut conn = ClientConnection::new(self.0.config().map_err(failed)?, name).map_err(failed)?;
        let mut sock = TransportAdapter::new(inner.boxed(), Arc::clone(&details.current_time));
        sock.set_timeout(remaining_timeout(details));
        conn.complete_io(&mut sock)?;
        let config = details.config;
        Ok(Some(Either::B(TlsTransport {
            buffers: LazyBuffers::new(config.input_buffer_size(), config.output_buffer_size()),
            stream: StreamOwned::new(conn, sock),
        })))
    }
}

/// Returns the rest of the time limit for connecting.
fn remaining_timeout(details: &ConnectionDetails) -> NextTimeout {
    let mut timeout = details.timeout;
    if let (Duration::Exact(after), Instant::Exact(now), Instant::Exact(start)) =
        (timeout.after, (details.current_time)(), details.now)
    {
        timeout.after = Duration::Exact(after.saturating_sub(now.duration_since(start)));
    }
    timeout
}

/// A connection inside TLS.
pub(super) struct TlsTransport {
    buffers: LazyBuffers,
    stream: StreamOwned<ClientConnection, TransportAdapter>,
}

impl fmt::Debug for TlsTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TlsTransport")
    }
}

impl Transport for TlsTransport {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> std::result::Result<(), ureq::Error> {
        self.stream.get_mut().set_timeout(timeout);
        let output = self.buffers.output().get(..amount).unwrap_or_default();
        self.stream.write_all(output)?;
        Ok(())
    }

    fn await_input(&mut self, timeout: NextTimeout) -> std::result::Result<bool, ureq::Error> {
        self.stream.get_mut().set_timeout(timeout);
        let amount = self.stream.read(self.buffers.input_append_buf())?;
        self.buffers.input_appended(amount);
        Ok(amount > 0)
    }

    fn is_open(&mut self) -> bool {
        self.stream.get_mut().get_mut().is_open()
    }

    fn is_tls(&self) -> bool {
        true
    }
}

/// Accepts any certificate.
#[derive(Debug)]
struct AcceptAny(WebPkiSupportedAlgorithms);

impl ServerCertVerifier for AcceptAny {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> std::result::Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    // If any certificate is accepted, verifying its key gains nothing, and would exclude servers whose certificates are
    // too old to be parsed.
    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_schemes()
    }
}
