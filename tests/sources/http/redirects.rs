//! Redirects are followed where the token may go, and nowhere else.

use plexindex::error::Status;
use plexindex::source::{Bounds, Source};
use plexindex_standin::{Action, Fault, LibrarySpec, Standin};

use super::support::{Client, Raw, TOKEN, answer, client, no_libraries, settled};

fn standin() -> (Standin, Client) {
    let server = Standin::builder()
        .token(TOKEN)
        .library(LibrarySpec::movies(2))
        .start()
        .unwrap();
    let client = client(&server.url());
    (server, client)
}

fn redirect(location: &str) -> Action {
    Action::Redirect {
        status: 302,
        location: location.into(),
    }
}

#[test]
fn to_the_same_place_with_the_token() {
    for status in [301, 302, 303, 307, 308] {
        let (server, client) = standin();
        server.fault(Fault::new(Action::Redirect {
            status,
            location: "{target}?again=1".into(),
        }));
        assert_eq!(client.plex.libraries(Bounds::NONE).unwrap().len(), 1);
        let log = server.log();
        assert_eq!(log[1].target, "/library/sections?again=1");
        assert!(log[1].token_in_header && !log[1].token_in_query);
        assert_eq!(client.meter.count(), 2);
        assert_eq!(client.meter.bytes(), settled(&server).bytes);
    }
}

#[test]
fn three_times_and_no_more() {
    let (server, client) = standin();
    server.fault(Fault::new(redirect("{target}")).times(3));
    client.plex.libraries(Bounds::NONE).unwrap();
    assert_eq!(client.meter.count(), 4);

    server.fault(Fault::new(redirect("{target}")).times(0));
    let error = client.failure();
    assert_eq!(error.status, Status::Redirected);
    assert!(error.message.contains("too many redirects"), "{error}");
    assert_eq!(client.meter.count(), 8);
}

#[test]
fn elsewhere_never() {
    let other = Raw::answering([no_libraries()]);
    let port = other.address.port();
    for location in [
        format!("http://127.0.0.1:{port}/library/sections"),
        format!("http://localhost:{port}/library/sections?X-Plex-Token={TOKEN}"),
        format!("//127.0.0.1:{port}"),
    ] {
        let (server, client) = standin();
        server.fault(Fault::new(redirect(&location)));
        let error = client.failure();
        assert_eq!(error.status, Status::Redirected);
        assert!(
            error
                .message
                .contains(&format!(":{port}, and plexindex sends no token")),
            "{error}"
        );
        assert_eq!(client.meter.count(), 1);
    }
    assert_eq!(other.heads(), Vec::<String>::new());
}

#[test]
fn to_a_login_page_of_the_same_place() {
    let raw = Raw::answering([
        answer("302 Found", "Location: /login\r\n", "moved"),
        answer(
            "200 OK",
            "Content-Type: text/html\r\n",
            "<!DOCTYPE html><html><title>Who are you?</title>password",
        ),
    ]);
    let error = client(&raw.url()).failure();
    assert_eq!(error.status, Status::NotPlex);
    assert!(
        error
            .message
            .contains("/login): the reply is a login page, not from Plex, \"Who are you?\""),
        "{error}"
    );
}
