//! Adds TLS to connections, and decides which certificates plexindex trusts. This file is compiled only with the
//! feature `tls`.

use std::fmt;
use std::io::{Read, Write};
use std::path::Path;
use std::sync::{Arc, OnceLock};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_name};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{
    CertificateError, ClientConfig, ClientConnection, DigitallySignedStruct, RootCertStore, SignatureScheme,
    StreamOwned,
};
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, Either, LazyBuffers, NextTimeout, Transport, TransportAdapter, time,
};

use crate::error::{Error, Result, Status};
use crate::options::Options;
use crate::platform::files;

/// A result of `rustls`.
type Verified<T> = std::result::Result<T, rustls::Error>;

/// Adds TLS to the connections to https URLs. All clones share one configuration, so that TLS sessions can be resumed.
#[derive(Clone, Debug, Default)]
pub(super) struct TlsConnector {
    /// Empty before the first connection if plexindex trusts the system's authorities, because loading them takes
    /// milliseconds.
    config: Arc<OnceLock<Arc<ClientConfig>>>,
}

impl TlsConnector {
    /// Creates a connector that trusts the certificates in `ca_file` and those that they have signed, or the system's
    /// authorities if the option is not set. With the option `accept_invalid_certs`, trusts any certificate.
    ///
    /// # Errors
    /// [`Status::InvalidArgument`] if `ca_file` cannot be read or contains no certificate.
    pub fn new(options: &Options) -> Result<Self> {
        let connector = Self::default();
        let listed = options.ca_file.as_deref().map(trusted_by_file).transpose()?;
        let any = options.accept_invalid_certs.then(Verifier::default);
        let config = any.or(listed).map(Verifier::client_config).transpose();
        if let Some(config) = config.map_err(|error| Error::new(Status::Tls, error.to_string()))? {
            connector.config.get_or_init(|| Arc::new(config));
        }
        Ok(connector)
    }

    /// Returns the configuration. Loads the system's authorities if necessary.
    fn config(&self) -> Verified<Arc<ClientConfig>> {
        if let Some(config) = self.config.get() {
            return Ok(Arc::clone(config));
        }
        let config = Verifier::of_system()?.client_config()?;
        Ok(Arc::clone(self.config.get_or_init(|| Arc::new(config))))
    }
}

/// Returns the cryptography provider. Without it, a different crate in the host's process could select another one.
fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

/// The certificates that must be valid for the name of the host.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NamedCertificates {
    /// Those that an authority has signed.
    #[default]
    Signed,
    All,
    None,
}

/// Checks a server's certificate. The default trusts any.
#[derive(Debug, Default)]
pub struct Verifier {
    /// Certificates that are trusted whatever their dates and purposes, if the server has their key.
    pinned: Vec<CertificateDer<'static>>,
    /// Checks all other certificates; `None`: trusts any certificate.
    authorities: Option<Arc<dyn ServerCertVerifier>>,
    named: NamedCertificates,
}

impl Verifier {
    /// Returns a verifier that trusts the system's authorities.
    ///
    /// # Errors
    /// The system's authorities are unusable.
    pub fn of_system() -> Verified<Self> {
        let authorities = rustls_platform_verifier::Verifier::new(provider())?;
        Ok(Self {
            authorities: Some(Arc::new(authorities)),
            ..Self::default()
        })
    }

    /// Returns a verifier that trusts the certificates in a PEM file, as the server's own and as authorities. `invalid`
    /// creates an error from what is wrong with the file.
    ///
    /// # Errors
    /// Those that `invalid` creates.
    pub fn of_file(path: &Path, invalid: &dyn Fn(String) -> Error) -> Result<Self> {
        let pinned = read_certificates(path, invalid)?;
        let mut store = RootCertStore::empty();
        // A list of authorities may contain some that rustls does not support.
        let unusable = pinned
            .iter()
            .filter_map(|certificate| store.add(certificate.clone()).err());
        if let Some(error) = unusable.last().filter(|_| store.is_empty()) {
            return Err(invalid(format!("contains an unusable certificate ({error})")));
        }
        let authorities = WebPkiServerVerifier::builder_with_provider(Arc::new(store), provider())
            .build()
            .map_err(|error| invalid(format!("is unusable ({error})")))?;
        Ok(Self {
            pinned,
            authorities: Some(authorities),
            ..Self::default()
        })
    }

    /// Sets which certificates must be valid for the name of the host.
    #[must_use]
    pub fn with_names_of(self, named: NamedCertificates) -> Self {
        Self { named, ..self }
    }

    /// Creates a configuration whose connections check certificates with this verifier.
    ///
    /// # Errors
    /// Those of `rustls`.
    pub fn client_config(self) -> Verified<ClientConfig> {
        let builder = ClientConfig::builder_with_provider(provider()).with_safe_default_protocol_versions()?;
        let builder = builder.dangerous().with_custom_certificate_verifier(Arc::new(self));
        Ok(builder.with_no_client_auth())
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Verified<ServerCertVerified> {
        let authorities = match &self.authorities {
            Some(authorities) if !self.pinned.contains(certificate) => authorities,
            Some(_) if self.named == NamedCertificates::All => {
                verify_server_name(&ParsedCertificate::try_from(certificate)?, name)?;
                return Ok(ServerCertVerified::assertion());
            }
            _ => return Ok(ServerCertVerified::assertion()),
        };
        match authorities.verify_server_cert(certificate, intermediates, name, ocsp, now) {
            // The chain was verified before the name, so only the name is wrong.
            Err(rustls::Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) if self.named == NamedCertificates::None => Ok(ServerCertVerified::assertion()),
            outcome => outcome,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Verified<HandshakeSignatureValid> {
        match &self.authorities {
            Some(authorities) => authorities.verify_tls12_signature(message, certificate, signature),
            None => Ok(HandshakeSignatureValid::assertion()),
        }
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Verified<HandshakeSignatureValid> {
        match &self.authorities {
            Some(authorities) => authorities.verify_tls13_signature(message, certificate, signature),
            None => Ok(HandshakeSignatureValid::assertion()),
        }
    }

    /// Returns the signature schemes that a server may use; all common ones if no signature is checked.
    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        use SignatureScheme::{ECDSA_NISTP521_SHA512, ED448, RSA_PKCS1_SHA1};
        let schemes = provider().signature_verification_algorithms.supported_schemes();
        match self.authorities {
            Some(_) => schemes,
            None => [&schemes[..], &[ECDSA_NISTP521_SHA512, ED448, RSA_PKCS1_SHA1]].concat(),
        }
    }
}

impl<In: Transport> Connector<In> for TlsConnector {
    type Out = Either<In, TlsTransport<In>>;

    /// Adds TLS to a connection if the URL needs it.
    fn connect(
        &self,
        details: &ConnectionDetails,
        chained: Option<In>,
    ) -> std::result::Result<Option<Self::Out>, ureq::Error> {
        let Some(transport) = chained else { return Ok(None) };
        if !details.needs_tls() {
            return Ok(Some(Either::A(transport)));
        }
        let tls_error = |error: rustls::Error| ureq::Error::Other(Box::new(error));
        let host = details
            .uri
            .host()
            .unwrap_or_default()
            .trim_matches(['[', ']'])
            .to_owned();
        let name = ServerName::try_from(host).map_err(|error| ureq::Error::Other(Box::new(error)))?;
        let config = self.config().map_err(tls_error)?;
        let mut connection = ClientConnection::new(config, name).map_err(tls_error)?;
        let mut socket = TransportAdapter::new(transport, Arc::clone(&details.current_time));
        let mut timeout = details.timeout;
        if let (time::Duration::Exact(limit), time::Instant::Exact(start)) = (timeout.after, details.now) {
            timeout.after = time::Duration::Exact(limit.saturating_sub(start.elapsed())); // TCP has used a part
        }
        socket.set_timeout(timeout);
        connection.complete_io(&mut socket)?;
        let config = details.config;
        Ok(Some(Either::B(TlsTransport {
            stream: StreamOwned::new(connection, socket),
            buffers: LazyBuffers::new(config.input_buffer_size(), config.output_buffer_size()),
        })))
    }
}

/// A connection with TLS over another connection.
pub(super) struct TlsTransport<In: Transport> {
    stream: StreamOwned<ClientConnection, TransportAdapter<In>>,
    buffers: LazyBuffers,
}

impl<In: Transport> fmt::Debug for TlsTransport<In> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.stream.sock.get_ref().fmt(f)
    }
}

impl<In: Transport> Transport for TlsTransport<In> {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> std::result::Result<(), ureq::Error> {
        self.stream.sock.set_timeout(timeout);
        let output = self.buffers.output().get(..amount).unwrap_or_default();
        Ok(self.stream.write_all(output)?)
    }

    fn await_input(&mut self, timeout: NextTimeout) -> std::result::Result<bool, ureq::Error> {
        self.stream.sock.set_timeout(timeout);
        let amount = self.stream.read(self.buffers.input_append_buf())?;
        self.buffers.input_appended(amount);
        Ok(amount > 0)
    }

    fn is_open(&mut self) -> bool {
        self.stream.sock.get_mut().is_open()
    }

    fn is_tls(&self) -> bool {
        true
    }
}

/// Describes the cause and the remedy of a failed TLS connection; `None` if TLS is not the cause. `host` is the server's.
pub(super) fn problem(error: &ureq::Error, host: &str) -> Option<String> {
    use rustls::{CertificateError as Bad, Error as Tls};
    let error = match error {
        ureq::Error::Other(error) => error.downcast_ref::<Tls>()?,
        ureq::Error::Io(error) => error.get_ref()?.downcast_ref::<Tls>()?,
        _ => return None,
    };
    let trust = "specify the certificate or its authority in ca_file, or, only on a network you control, set \
                 accept_invalid_certs";
    Some(match error {
        Tls::InvalidCertificate(Bad::UnknownIssuer) => {
            format!("an unknown authority issued the certificate: {trust}")
        }
        Tls::InvalidCertificate(Bad::NotValidForName | Bad::NotValidForNameContext { .. }) => format!(
            "the certificate is not valid for {host}: use a name in the certificate (Plex's own certificates contain \
             the server's long plex.direct name), or {trust}"
        ),
        Tls::InvalidCertificate(Bad::Expired | Bad::ExpiredContext { .. }) => {
            "the certificate has expired: renew it, and check this machine's clock".to_owned()
        }
        Tls::InvalidCertificate(reason) if reason.to_string().contains("CaUsedAsEndEntity") => {
            format!("the server uses a certificate authority's own certificate: {trust}")
        }
        Tls::InvalidCertificate(reason) => format!("the certificate is invalid ({reason}): {trust}"),
        Tls::InvalidMessage(_) => {
            "the service at this address does not use TLS: use http in server_url, or the port that serves https"
                .to_owned()
        }
        other => format!("TLS failed ({other})"),
    })
}

/// Reads the certificates in a PEM file, at least one. `invalid` creates an error from what is wrong with the file.
///
/// # Errors
/// Those that `invalid` creates.
fn read_certificates(path: &Path, invalid: &dyn Fn(String) -> Error) -> Result<Vec<CertificateDer<'static>>> {
    let mut pem = Vec::new();
    files::open_host_file(path)
        .and_then(|mut file| file.read_to_end(&mut pem))
        .map_err(|error| invalid(format!("is unreadable ({error})")).with_io_source(&error))?;
    let certificates: Vec<_> = CertificateDer::pem_slice_iter(&pem)
        .collect::<std::result::Result<_, _>>()
        .map_err(|error| invalid(format!("is not a PEM file ({error})")))?;
    if certificates.is_empty() {
        return Err(invalid("contains no certificate".into()));
    }
    Ok(certificates)
}

/// Returns a verifier that trusts the certificates in a PEM file, as the server's own and as authorities.
fn trusted_by_file(path: &Path) -> Result<Verifier> {
    let invalid = |problem: String| {
        Error::new(
            Status::InvalidArgument,
            format!(
                "ca_file \"{}\" {problem}: specify a PEM file with an authority's certificate",
                path.display()
            ),
        )
        .with_argument("ca_file")
    };
    Verifier::of_file(path, &invalid)
}
