//! The option `shared` beside the others.

use super::*;
use crate::error::Status;

fn with(shared: &str) -> Options {
    Options {
        server_url: Some("http://127.0.0.1:32400".into()),
        shared: Some(shared.into()),
        ..Options::new("/nowhere")
    }
}

fn refusal(options: &Options) -> String {
    let error = options.check().expect_err("it is refused");
    assert_eq!(error.status, Status::InvalidArgument);
    error.to_string()
}

#[test]
fn shared_needs_no_database() {
    const ADDRESS: &str = "postgresql://ann@db/plexindex";
    with(ADDRESS).check().expect("it is complete");
    let no_server = Options {
        server_url: None,
        ..with(ADDRESS)
    };
    no_server.check().expect("the log can be looked at");
    let offline = Options {
        offline: true,
        ..no_server
    };
    offline.check().expect("an offline index does not use it");
    let database = Options {
        database: Some("/plex".into()),
        ..with(ADDRESS)
    };
    assert!(refusal(&database).contains("shared and database"));
    assert!(refusal(&with("")).contains("shared is empty"));
    assert!(refusal(&with(&"a".repeat(LONGEST_TEXT + 1))).contains("shared"));
}

#[test]
fn no_password_is_shown() {
    for (address, shown) in [
        (
            "postgresql://ann@db:5432/x?sslmode=require",
            "postgresql://ann@db:5432/x?sslmode=require",
        ),
        ("postgresql://db:5432/x", "postgresql://db:5432/x"),
        (
            "postgresql:///x?host=/run/postgresql",
            "postgresql:///x?host=/run/postgresql",
        ),
        ("postgresql://ann:secret@db/x", "postgresql://ann:…@db/x"),
        ("postgresql://ann:se:c/r@et@db/x", "postgresql://ann:…@db/x"),
        ("ann:secret@db", "ann:…@db"),
        (
            "postgresql://ann@db/x?password=secret&sslmode=require",
            "postgresql://ann@db/x?password=…&sslmode=require",
        ),
        ("host=db PASSWORD=secret user=ann", "host=db PASSWORD=… user=ann"),
    ] {
        assert_eq!(without_password(address), shown);
        let debug = format!("{:?}", with(address));
        assert!(debug.contains(shown) && !debug.contains("secret"), "{debug}");
    }
}

#[test]
fn only_a_limit_of_matches_that_is_not_set_depends_on_sharing() {
    let limit = |shared: Option<&str>, matches_limit| {
        let options = Options {
            shared: shared.map(str::to_owned),
            matches_limit,
            ..Options::new("folder")
        };
        options.matches_limit()
    };
    let address = Some("postgresql://user@host/database");
    let limits = [(None, None), (address, None), (address, Some(50 << 20))].map(|(shared, set)| limit(shared, set));
    assert_eq!(limits, [50 << 20, 500 << 20, 50 << 20]);
}
