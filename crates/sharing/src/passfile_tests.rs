#![cfg_attr(windows, allow(dead_code, unused_imports))]

use std::fs;
#[cfg(unix)]
use std::os::unix::fs::PermissionsExt;

use super::*;
use crate::address::parse;

fn address(text: &str) -> Address {
    parse(text, |_| None).expect("valid")
}

#[test]
fn lines_are_matched_as_libpq_does() {
    let tcp = "postgresql://u@h:5433/d";
    for (address_text, lines, password) in [
        (tcp, "h:5433:d:u:right", Some("right")),
        (tcp, "*:*:*:*:any", Some("any")),
        (
            tcp,
            "# h:5433:d:u:comment\n\nh:5433:d:other:wrong\nh:*:d:u:right\nh:5433:d:u:later",
            Some("right"),
        ),
        (tcp, "h:5432:d:u:wrong\nx:5433:d:u:wrong\nh:5433:x:u:wrong", None),
        (tcp, "h:5433:d:u", None),
        (tcp, "h:5433:d:u:", None),
        (tcp, "", None),
        (tcp, r"h:5433:d:u:a\:b\\c:ignored", Some(r"a:b\c")),
        (tcp, "h:5433:d:u:windows\r\n", Some("windows")),
        ("postgresql://u%3A@h/d", r"h:5432:d:u\::right", Some("right")),
        ("postgresql://u@/d?host=/tmp", "localhost:5432:d:u:right", Some("right")),
        (
            "postgresql://u@/d?host=/srv/pg",
            "localhost:5432:d:u:wrong\n/srv/pg:*:*:*:right",
            Some("right"),
        ),
    ] {
        let found = find(lines, &address(address_text));
        assert_eq!(found.as_deref(), password, "{lines:?}");
    }
}

#[cfg(unix)]
#[test]
fn a_file_that_others_read_is_ignored() {
    let folder = tempfile::tempdir().expect("made");
    let path = folder.path().join("pgpass");
    fs::write(&path, "*:*:*:*:s3cret").expect("written");
    let address = address(&format!("postgresql://u@h/d?passfile={}", path.display()));
    for (mode, is_read) in [
        (0o600, true),
        (0o400, true),
        (0o640, false),
        (0o604, false),
        (0o620, false),
    ] {
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("set");
        assert_eq!(read_passfile(&address).is_some(), is_read, "{mode:o}");
    }
}

#[test]
fn a_missing_file_has_no_password() {
    for path in ["/nowhere/pgpass", "/dev/null", "/tmp"] {
        assert_eq!(
            read_passfile(&address(&format!("postgresql://u@h/d?passfile={path}"))),
            None,
            "{path}"
        );
    }
}
