//! Configures HTTPS: which certificates plexindex trusts. This file is compiled only with the feature `tls`.

use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use ureq::tls::{Certificate, RootCerts, TlsConfig};
use ureq::unversioned::transport::{ConnectionDetails, Connector, RustlsConnector, Transport};

use crate::error::{Error, Result, Status};
use crate::options::Options;
use crate::platform::files;

/// Returns a configuration that trusts the authorities in `ca_file`, or the system's authorities if the option is not
/// set. The option `accept_invalid_certs` makes the configuration trust any certificate.
///
/// # Errors
/// [`Status::InvalidArgument`] if `ca_file` cannot be read or contains no certificate.
pub(super) fn config(options: &Options) -> Result<TlsConfig> {
    let authorities = options.ca_file.as_deref().map(read_authorities).transpose()?;
    let roots = authorities.map_or(RootCerts::PlatformVerifier, |authorities| {
        authorities
            .iter()
            .map(|authority| Certificate::from_der(authority).to_owned())
            .into()
    });
    Ok(TlsConfig::builder()
        .root_certs(roots)
        .disable_verification(options.accept_invalid_certs)
        // Without this setting, a different crate in the host's process could select the cryptography provider.
        .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .build())
}

/// `ureq`'s connector with one TLS configuration for all connections of an agent. Alone, `ureq`'s connector creates a
/// configuration for each request with a deadline, and so reads the system's authorities again and resumes no TLS
/// session.
#[derive(Debug, Default)]
pub(super) struct TlsConnector(RustlsConnector);

impl<In: Transport> Connector<In> for TlsConnector {
    type Out = <RustlsConnector as Connector<In>>::Out;

    /// Connects with the agent's configuration, which all requests share, so that TLS sessions can be resumed.
    fn connect(
        &self,
        details: &ConnectionDetails,
        chained: Option<In>,
    ) -> std::result::Result<Option<Self::Out>, ureq::Error> {
        let details = ConnectionDetails {
            request_level: false, // no request has its own TLS configuration
            addrs: details.addrs.clone(),
            current_time: Arc::clone(&details.current_time),
            run_connector: Arc::clone(&details.run_connector),
            register_shutdown: Arc::clone(&details.register_shutdown),
            ..*details
        };
        self.0.connect(&details, chained)
    }
}

/// Describes the cause and the remedy of a failed TLS connection; `None` if TLS is not the cause. `host` is the server's.
pub(super) fn problem(error: &ureq::Error, host: &str) -> Option<String> {
    use rustls::{CertificateError as Bad, Error as Tls};
    let error = match error {
        ureq::Error::Rustls(error) => error,
        ureq::Error::Other(error) => error.downcast_ref::<Tls>()?,
        ureq::Error::Io(error) => error.get_ref()?.downcast_ref::<Tls>()?,
        _ => return None,
    };
    let trust = "specify its authority in ca_file, or, only on a network you control, set accept_invalid_certs";
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
            "the server uses a certificate authority's own certificate: give the server a certificate with CA:FALSE"
                .to_owned()
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
pub fn read_certificates(path: &Path, invalid: &dyn Fn(String) -> Error) -> Result<Vec<CertificateDer<'static>>> {
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

/// Reads the certificates in a PEM file, and checks that they can be used as authorities.
fn read_authorities(path: &Path) -> Result<Vec<CertificateDer<'static>>> {
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
    let authorities = read_certificates(path, &invalid)?;
    let mut store = RootCertStore::empty();
    for authority in &authorities {
        store
            .add(authority.clone())
            .map_err(|error| invalid(format!("contains an unusable certificate ({error})")))?;
    }
    Ok(authorities)
}
