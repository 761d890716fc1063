//! TLS to `PostgreSQL`, in libpq's modes.

use plexindex::error::{Error, Status};
use plexindex_sharing::{SharedIndex, SharedTables};
use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair};

use crate::cluster::{Cluster, Database, shared};
use crate::support::authority;
use crate::support::index::Index;

/// Makes the tables in a database, by TCP.
fn prepare(database: &Database<'_>, host: &str, parameters: &str) -> Result<SharedTables, Error> {
    let folder = tempfile::tempdir().expect("a folder");
    let (port, name) = (database.cluster.port, &database.name);
    let options = plexindex::options::Options {
        shared: Some(format!("postgresql://postgres@{host}:{port}/{name}?{parameters}")),
        ..plexindex::options::Options::new(folder.path())
    };
    Index::open(options)?.shared_init()
}

#[test]
fn modes_verify_what_libpq_verifies() {
    let settings = ["ssl=on", "ssl_cert_file=../server.pem", "ssl_key_file=../server.key"];
    let Some(cluster) = Cluster::prepare(&settings) else {
        return;
    };
    let ours = authority("one");
    let key = KeyPair::generate().expect("a key");
    let params = CertificateParams::new(vec!["localhost".into()]).expect("valid");
    let certificate = params.signed_by(&key, &ours).expect("signed");
    cluster.file("server.pem", &certificate.pem());
    cluster.file("server.key", &key.serialize_pem());
    let ca = cluster.file("ca.pem", &ours.pem());
    let other = cluster.file("other.pem", &authority("other").pem());
    let nothing = cluster.file("nothing.pem", "");
    cluster.restart();
    cluster.allow("hostssl all all all trust\nhostnossl all all all reject");
    let database = cluster.database();
    let connect = |host: &str, parameters: &str| prepare(&database, host, parameters);
    let (ca, other, nothing) = (ca.display(), other.display(), nothing.display());
    let with = |mode: &str, ca: &dyn std::fmt::Display| format!("{mode}sslrootcert={ca}");
    // The status of an error, and what its message says.
    for (host, parameters, refused) in [
        ("localhost", with("", &ca), ""),
        ("127.0.0.1", with("", &ca), "Tls: not valid for name"),
        ("127.0.0.1", with("sslmode=verify-ca&", &ca), ""),
        ("localhost", with("sslmode=verify-ca&", &other), "Tls: UnknownIssuer"),
        ("localhost", with("sslmode=require&", &other), "Tls: UnknownIssuer"),
        ("localhost", String::new(), "Tls: TLS failed"),
        ("localhost", with("", &nothing), "InvalidArgument: no certificate"),
        ("localhost", with("", &"/nowhere.pem"), "InvalidArgument: /nowhere.pem"),
        ("127.0.0.1", "sslmode=require".into(), ""),
        ("127.0.0.1", "sslmode=prefer".into(), ""),
        ("127.0.0.1", "sslmode=disable".into(), "Unauthorized: pg_hba.conf"),
    ] {
        let (status, part) = refused.split_once(": ").unwrap_or_default();
        match connect(host, &parameters) {
            Ok(_) if refused.is_empty() => {}
            Err(error) if format!("{:?}", error.status) == status && error.message.contains(part) => {}
            outcome => panic!("{host} {parameters}: {outcome:?}"),
        }
    }
    // A certificate that vouches for itself, as many servers have, is its own authority.
    let own = authority("own");
    let mut params = CertificateParams::new(vec!["localhost".into()]).expect("valid");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let pem = params.self_signed(own.key()).expect("signed").pem();
    cluster.file("server.pem", &pem);
    cluster.file("server.key", &own.key().serialize_pem());
    cluster.stop("fast");
    cluster.restart();
    let own = cluster.file("own.pem", &pem);
    let own = format!("sslrootcert={}", own.display());
    connect("localhost", &own).expect("trusted");
    connect("127.0.0.1", &format!("{own}&sslmode=verify-ca")).expect("trusted");
    assert_eq!(
        connect("127.0.0.1", &own).expect_err("another name").status,
        Status::Tls
    );
}

#[test]
fn a_server_without_tls_is_refused_unless_that_is_allowed() {
    let Some(database) = shared().map(Cluster::database) else {
        return;
    };
    let connect = |mode: &str| prepare(&database, "localhost", mode);
    for mode in ["", "sslmode=require"] {
        let error = connect(mode).expect_err("no TLS");
        assert_eq!(error.status, Status::Tls, "{error}");
        assert!(error.message.contains("offers no TLS"), "{error}");
    }
    connect("sslmode=prefer").expect("connected");
    connect("sslmode=disable").expect("connected");
}
