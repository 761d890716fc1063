//! Redirects are refused, and the error says what to set.

use plexindex::error::Status;
use plexindex_standin::{Action, Fault, Standin};

use super::support::{TOKEN, no_libraries, settled, standin};

#[test]
fn are_refused_wherever_they_lead() {
    let other = Standin::answering([no_libraries()]);
    let port = other.address().port();
    for status in [301, 302, 303, 307, 308] {
        for location in [
            format!("http://127.0.0.1:{port}/library/sections"),
            format!("http://localhost:{port}/library/sections?X-Plex-Token={TOKEN}"),
            format!("//127.0.0.1:{port}"),
            "{target}?again=1".into(),
            "sections/1".into(),
        ] {
            let (server, client) = standin(2);
            server.fault(Fault::new(Action::Redirect { status, location }));
            let error = client.failure();
            assert_eq!(error.status, Status::Redirected);
            assert!(!error.message.contains(TOKEN), "{error}");
            assert_eq!(client.meter.count(), 1);
            assert_eq!(server.stats().total, 1);
            assert_eq!(client.meter.bytes(), settled(&server).bytes);
        }
    }
    assert_eq!(other.stats().total, 0);
}

#[test]
fn name_the_url_to_set() {
    for (location, remedy) in [
        (
            "https://plex.example/library/sections",
            "set server_url to https://plex.example",
        ),
        (
            "http://elsewhere:32400/plex{target}?a=b",
            "set server_url to http://elsewhere:32400/plex",
        ),
        ("/login", "/login, "),
    ] {
        let (server, client) = standin(2);
        server.fault(Fault::new(Action::Redirect {
            status: 302,
            location: location.into(),
        }));
        let error = client.failure();
        assert!(error.message.contains(remedy), "{error}");
    }
}
