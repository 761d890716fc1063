//! HTTPS: whom to believe, and what is said of those who are not.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use plexindex::error::Status;
use plexindex::options::Options;
use plexindex::source::plex::PlexHttp;
use plexindex::source::{Bounds, Source};
use plexindex_standin::Standin;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use tempfile::NamedTempFile;

use crate::support::authority;

use super::support::{Client, TOKEN, answer, client, client_with, no_libraries};

type Authority = CertifiedIssuer<'static, KeyPair>;

/// A file with a certificate.
fn written(pem: &str) -> NamedTempFile {
    let file = NamedTempFile::new().unwrap();
    std::fs::write(file.path(), pem).unwrap();
    file
}

/// A server that gives one answer, and the heads that it was asked with. It ends with the tests.
struct Secure {
    address: SocketAddr,
    heads: Arc<Mutex<Vec<String>>>,
}

impl Secure {
    /// With a certificate for a name, that knows no libraries.
    fn new(authority: &Authority, name: &str, set: impl FnOnce(&mut CertificateParams)) -> Self {
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        set(&mut params);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, authority).unwrap();
        Self::answering(&certificate, &key, no_libraries())
    }

    /// Signs with this key, whether or not the certificate is for it.
    fn answering(certificate: &rcgen::Certificate, key: &KeyPair, answer: Vec<u8>) -> Self {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let key = provider.key_provider.load_private_key(key).unwrap();
        let pair = CertifiedKey::new(vec![certificate.der().clone()], key);
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(SingleCertAndKey::from(pair)));
        let config = Arc::new(config);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let heads = Arc::new(Mutex::new(Vec::new()));
        let asked = Arc::clone(&heads);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let session = ServerConnection::new(Arc::clone(&config)).unwrap();
                let mut tls = StreamOwned::new(session, stream.unwrap());
                let mut head = Vec::new();
                let mut byte = [0];
                while !head.ends_with(b"\r\n\r\n") && matches!(tls.read(&mut byte), Ok(1)) {
                    head.push(byte[0]);
                }
                if head.is_empty() {
                    continue;
                }
                asked.lock().unwrap().push(String::from_utf8(head).unwrap());
                let _ = tls.write_all(&answer);
                tls.conn.send_close_notify();
                let _ = tls.flush();
            }
        });
        Self { address, heads }
    }

    fn url(&self) -> String {
        format!("https://{}", self.address)
    }
}

/// A client that believes an authority.
fn believing(authority: &Authority, server: &Secure) -> Client {
    let file = written(&authority.pem());
    client_with(&server.url(), |options| options.ca_file = Some(file.path().to_owned()))
}

#[test]
fn an_authority_of_the_hosts_own() {
    let ours = authority("ours");
    let server = Secure::new(&ours, "127.0.0.1", |_| ());
    let client = believing(&ours, &server);
    assert_eq!(client.plex.libraries(Bounds::NONE), Ok(Vec::new()));
    assert!(server.heads.lock().unwrap()[0].contains(&format!("x-plex-token: {TOKEN}\r\n")));
    assert_eq!(client.count(), 1);
}

/// Certificates that are refused stay refused, and no request is sent: what the text names.
#[test]
fn certificates_that_prove_nothing() {
    let ours = authority("ours");
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    let self_signed = Secure::answering(&params.self_signed(&key).unwrap(), &key, no_libraries());
    let unknown = Secure::new(&authority("unknown"), "127.0.0.1", |_| ());
    let other = Secure::new(&ours, "1-2-3-4.abc.plex.direct", |_| ());
    let expired = Secure::new(&ours, "127.0.0.1", |params| {
        params.not_before = rcgen::date_time_ymd(2001, 1, 1);
        params.not_after = rcgen::date_time_ymd(2002, 1, 1);
    });
    let url = unknown.url();
    let refused: [(&Secure, bool, &[&str]); 5] = [
        (&unknown, false, &[&url, "ca_file"]),
        (&unknown, true, &["unknown authority"]),
        (&self_signed, false, &["ca_file"]),
        (&other, true, &["not valid for 127.0.0.1", "plex.direct"]),
        (&expired, true, &["has expired"]),
    ];
    for (server, believes, words) in refused {
        let client = if believes {
            believing(&ours, server)
        } else {
            client(&server.url())
        };
        let error = client.failure();
        assert_eq!(error.status, Status::Tls);
        for word in words {
            assert!(error.message.contains(word), "no {word:?} in: {error}");
        }
        assert_eq!((client.count(), client.clock.slept()), (0, Duration::ZERO));
        assert!(server.heads.lock().unwrap().is_empty());
    }
}

/// A certificate as `openssl req -x509` makes it: signed by itself, of an authority, for another name.
fn own_certificate() -> (rcgen::Certificate, KeyPair, NamedTempFile) {
    let mut params = CertificateParams::new(vec!["plex.example".to_owned()]).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    let certificate = params.self_signed(&key).unwrap();
    let file = written(&certificate.pem());
    (certificate, key, file)
}

#[test]
fn the_servers_own_certificate_in_the_file_is_enough() {
    let (certificate, key, file) = own_certificate();
    let server = Secure::answering(&certificate, &key, no_libraries());
    let client_of = |path: Option<PathBuf>| client_with(&server.url(), |options| options.ca_file = path);
    let pinned = client_of(Some(file.path().to_owned()));
    assert_eq!(pinned.plex.libraries(Bounds::NONE), Ok(Vec::new()));
    // With a deadline, and without an idle connection.
    let in_time = crate::support::within(Duration::from_secs(20));
    assert_eq!(pinned.plex.libraries(in_time), Ok(Vec::new()));

    // Another certificate, or none, is not; the message says what would be.
    let (.., other) = own_certificate();
    for path in [None, Some(other.path().to_owned())] {
        let error = client_of(path).failure();
        assert_eq!(error.status, Status::Tls);
        for option in ["ca_file", "accept_invalid_certs"] {
            assert!(error.message.contains(option), "no {option} in: {error}");
        }
    }
    assert_eq!(server.heads.lock().unwrap().len(), 2);
}

#[test]
fn the_servers_own_certificate_needs_its_key() {
    let (certificate, _, file) = own_certificate();
    let server = Secure::answering(&certificate, &KeyPair::generate().unwrap(), no_libraries());
    let client = client_with(&server.url(), |options| options.ca_file = Some(file.path().to_owned()));
    assert_eq!(client.failure().status, Status::Tls);
    assert!(server.heads.lock().unwrap().is_empty(), "no request was sent");
}

#[test]
fn any_certificate_where_the_host_wants_it() {
    let server = Secure::new(&authority("one"), "elsewhere.example", |_| ());
    let client = client_with(&server.url(), |options| options.accept_invalid_certs = true);
    assert_eq!(client.plex.libraries(Bounds::NONE), Ok(Vec::new()));
}

#[test]
fn http_where_https_was_expected() {
    let raw = Standin::answering([answer("400 Bad Request", "", "")]);
    let error = client(&raw.url().replace("http:", "https:")).failure();
    assert_eq!(error.status, Status::Tls);
    for word in ["does not use TLS", "use http in server_url", "the port"] {
        assert!(error.message.contains(word), "no {word:?} in: {error}");
    }
}

#[test]
fn a_downgrade_is_refused() {
    let ours = authority("ours");
    let plain = Standin::answering([no_libraries()]);
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    let certificate = params.signed_by(&key, &ours).unwrap();
    let location = format!("Location: {}/\r\n", plain.url());
    let secure = Secure::answering(&certificate, &key, answer("302 Found", &location, ""));
    assert_eq!(believing(&ours, &secure).failure().status, Status::Redirected);
    assert_eq!(plain.stats().total, 0);
}

#[test]
fn files_that_hold_no_authority() {
    let folder = tempfile::tempdir().unwrap();
    let refused = |name: &str, content: Option<&str>| {
        let path = folder.path().join(name);
        if let Some(content) = content {
            std::fs::write(&path, content).unwrap();
        }
        let options = Options {
            server_url: Some("https://127.0.0.1:32400".into()),
            ca_file: Some(path),
            ..Options::default()
        };
        let error = PlexHttp::new(&options, "id", Arc::default()).unwrap_err();
        assert_eq!(error.status, Status::InvalidArgument);
        assert!(error.message.contains(name), "{error}");
        error.message
    };
    assert!(refused("missing.pem", None).contains("is unreadable"));
    assert!(refused("empty.pem", Some("")).contains("contains no certificate"));
    let key = KeyPair::generate().unwrap().serialize_pem();
    assert!(refused("key.pem", Some(&key)).contains("contains no certificate"));
    let nonsense = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    assert!(refused("bad.pem", Some(nonsense)).contains("unusable certificate"));
}
