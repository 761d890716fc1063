use super::*;
use crate::error::Status;

const HOME: [(&str, &str); 2] = [("HOME", "/home/me"), ("USER", "me")];

fn parsed_in(address: &str, environment: &[(&str, &str)]) -> Result<Address> {
    parse(address, |name| {
        let found = environment.iter().find(|(known, _)| *known == name);
        found.map(|(_, value)| (*value).to_owned())
    })
}

fn parsed(address: &str) -> Address {
    parsed_in(address, &HOME).unwrap_or_else(|error| panic!("{address}: {error}"))
}

#[test]
fn addresses_are_parsed() {
    // The address, and its user, host, port and database.
    for (address, parts) in [
        ("postgresql://u@h/d", "u h 5432 d"),
        ("postgres://u@h:6432/d?", "u h 6432 d"),
        ("postgresql://u@h", "u h 5432 u"),
        ("postgresql://h/d", "me h 5432 d"),
        ("postgresql://u@[::1]:5433/d", "u ::1 5433 d"),
        ("postgresql://u%40x@h/d%20e", "u@x h 5432 d e"),
        ("postgresql:///d?host=/run/postgresql", "me /run/postgresql 5432 d"),
        ("postgresql://u@:5433/d?host=%2Ftmp", "u /tmp 5433 d"),
        ("postgresql://u@/d?host=h&port=1", "u h 1 d"),
    ] {
        let found = parsed(address);
        let found_parts = format!("{} {} {} {}", found.user(), found.host, found.port, found.database());
        assert_eq!(found_parts, parts, "{address}");
        assert_eq!(found.to_string(), address);
    }
}

#[test]
fn parameters_are_parsed() {
    let plain = parsed("postgresql://u@h/d");
    assert_eq!(plain.sslmode, SslMode::VerifyFull);
    assert_eq!(plain.sslrootcert, None);
    assert_eq!(plain.connect_timeout(), None);
    assert_eq!(plain.config.get_application_name(), Some("plexindex"));
    assert_eq!(plain.config.get_password(), None);
    assert_eq!(plain.passfile, Some("/home/me/.pgpass".into()));

    let parameters = "sslmode=verify-ca&sslrootcert=%2Fca.pem&passfile=/p&connect_timeout=7&application_name=a%26b";
    let full = parsed(&format!("postgresql://u@h/d?{parameters}"));
    assert_eq!(full.sslmode, SslMode::VerifyCa);
    assert_eq!(full.connect_timeout(), Some(Duration::from_secs(7)));
    assert_eq!(full.config.get_application_name(), Some("a&b"));
    assert_eq!(full.sslrootcert, Some("/ca.pem".into()));
    assert_eq!(full.passfile, Some("/p".into()));

    for (parameters, mode) in [
        ("sslmode=disable", SslMode::Disable),
        ("sslmode=prefer", SslMode::Prefer),
        ("sslmode=require", SslMode::Require),
        ("sslmode=require&sslrootcert=/ca.pem", SslMode::VerifyCa),
        ("sslrootcert=/ca.pem&sslmode=require", SslMode::VerifyCa),
        ("sslmode=verify-full&sslrootcert=system", SslMode::VerifyFull),
        ("host=/run/postgresql&sslmode=verify-full", SslMode::Disable),
    ] {
        assert_eq!(
            parsed(&format!("postgresql://u@h/d?{parameters}")).sslmode,
            mode,
            "{parameters}"
        );
    }
}

#[test]
fn the_environment_has_the_password() {
    let environment = [
        ("PGPASSWORD", "s3cret"),
        ("PGPASSFILE", "/p"),
        ("PGUSER", "pg"),
        ("USER", "me"),
    ];
    let address = parsed_in("postgresql://h", &environment).expect("valid");
    assert_eq!(address.config.get_password(), Some(&b"s3cret"[..]));
    assert_eq!(address.passfile, Some("/p".into()));
    assert_eq!(address.user(), "pg");
    assert_eq!(address.database(), "pg");
    assert!(!format!("{address:?} {address}").contains("s3cret"));
    // Empty variables are as good as none.
    let address = parsed_in("postgresql://u@h", &[("PGPASSWORD", ""), ("HOME", "")]).expect("valid");
    assert_eq!(address.config.get_password(), None);
    assert_eq!(address.passfile, None);
}

#[test]
fn bad_addresses_are_refused_by_name() {
    // The address, and what the error must name.
    for (address, named) in [
        ("", "postgresql://user@host/database"),
        ("mysql://u@h/d", "postgresql://user@host/database"),
        ("postgresql://u:s3cret@h/d", "PGPASSWORD"),
        ("postgresql://u:s3@cret@h/d", "PGPASSWORD"),
        ("postgresql://u:@h/d", "PGPASSWORD"),
        ("postgresql://u:s3?cret@h/d", "PGPASSWORD"),
        ("postgresql://u@h/d?application_name=me@pc", "%40"),
        ("postgresql://me@corp@h/d", "%40"),
        ("postgresql://u@h/d?password=s3cret", "passfile"),
        ("postgresql:///?service=media", "\"service\"; use host, port"),
        (
            "postgresql://u@h/d?target_session_attrs=any",
            "\"target_session_attrs\"",
        ),
        ("postgresql://u@h/d?sslmode=allow", "sslmode"),
        ("postgresql://u@h/d?sslmode", "sslmode"),
        ("postgresql://u@h/d?sslmode=verify-ca", "sslrootcert"),
        ("postgresql://u@h/d?sslmode=require&sslrootcert=system", "verify-full"),
        ("postgresql://u@h/d?sslrootcert=", "sslrootcert"),
        ("postgresql://u@h/d?connect_timeout=soon", "connect_timeout"),
        ("postgresql://u@h:65536/d", "port"),
        ("postgresql://u@::1/d", "port"),
        ("postgresql://u@[::1/d", "host"),
        ("postgresql://u@a,b/d", "one host"),
        ("postgresql://u@h/%FF", "utf-8"),
        ("postgresql://u@/d", "host"),
    ] {
        let error = parsed_in(address, &HOME).expect_err(address);
        assert_eq!(error.status, Status::InvalidArgument, "{address}");
        assert!(error.message.contains(named), "{address}: {error}");
        assert!(!error.message.contains("s3"), "{address}: {error}");
    }
    let error = parsed_in("postgresql://h/d", &[]).expect_err("no user");
    assert!(error.message.contains("has no user"), "{error}");
}
