//! HTTPS: which certificates are trusted. Only compiled with the feature `tls`.

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

/// Trusts the authorities of `ca_file`, or without it the system's; or any certificate, if the host requests that.
///
/// # Errors
/// [`Status::InvalidArgument`] when `ca_file` cannot be read or holds no certificate.
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
        // Set explicitly so that other crates in the host's process do not choose the cryptography.
        .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .build())
}

/// `ureq`'s connector, with one TLS configuration for all connections of an agent. By itself it makes another for each
/// connection whose request has a deadline, which reads the system's authorities again and resumes no session.
#[derive(Debug, Default)]
pub(super) struct TlsConnector(RustlsConnector);

impl<In: Transport> Connector<In> for TlsConnector {
    type Out = <RustlsConnector as Connector<In>>::Out;

    fn connect(
        &self,
        details: &ConnectionDetails,
        chained: Option<In>,
    ) -> std::result::Result<Option<Self::Out>, ureq::Error> {
        let of_agent = ConnectionDetails {
            request_level: false, // no request has a TLS configuration of its own
            addrs: details.addrs.clone(),
            current_time: Arc::clone(&details.current_time),
            run_connector: Arc::clone(&details.run_connector),
            register_shutdown: Arc::clone(&details.register_shutdown),
            ..*details
        };
        self.0.connect(&of_agent, chained)
    }
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
    let mut pem = Vec::new();
    files::given(path)
        .and_then(|mut file| file.read_to_end(&mut pem))
        .map_err(|error| refuse(format!("cannot be read ({error})")).because_io(&error))?;
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
            .map_err(|error| refuse(format!("contains an unusable certificate ({error})")))?;
    }
    Ok(authorities)
}
