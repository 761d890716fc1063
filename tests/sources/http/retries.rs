//! What passes is tried again, after pauses that grow, for as long as the options and the deadline allow.

use std::time::Duration;

use plexindex::error::Status;
use plexindex::source::plex::Rows;
use plexindex::source::{Bounds, Source};
use plexindex_standin::{Action, Fault, Standin};

use super::support::{answer, client, client_with, no_libraries, standin};

#[test]
fn failures_that_pass_and_those_that_do_not() {
    let statuses = [429, 500, 502, 503, 504].map(Action::status);
    for action in statuses.into_iter().chain([Action::Drop]) {
        let (server, client) = standin(20);
        server.fault(Fault::new(action.clone()).times(2));
        let (end, items) = client.page(Rows::All, 0, 20).unwrap();
        assert_eq!((end.rows, items.len()), (20, 20), "{action:?}");
        assert_eq!((client.count(), server.stats().total), (3, 3), "{action:?}");
        // 0.25 and 0.5 s, a quarter more or less.
        assert!(client.clock.slept() >= Duration::from_millis(562), "{action:?}");
        assert!(client.clock.slept() <= Duration::from_millis(938), "{action:?}");
        server.fault(Fault::new(action.clone()).times(0));
        let expected = match action {
            Action::Drop => Status::Connect,
            Action::Status { status: 503 } => Status::Starting,
            _ => Status::ServerError,
        };
        assert_eq!(client.failure().status, expected, "{action:?}");
    }
}

#[test]
fn a_server_that_is_starting_says_so_in_two_ways() {
    let text = "The server is still starting up. Please retry later.";
    let sentence = answer("400 Bad Request", "", text);
    let text = r#"<Response code="503" title="Maintenance" status="Plex Media Server is currently running startup maintenance tasks."/>"#;
    let maintenance = answer("503 Service Unavailable", "", text);
    let raw = Standin::answering([sentence.clone(), maintenance, no_libraries()]);
    let passing = client(&raw.url());
    assert_eq!(passing.plex.libraries(Bounds::NONE), Ok(Vec::new()));
    assert_eq!(passing.count(), 3);

    let raw = Standin::answering([sentence]);
    let lasting = client_with(&raw.url(), |options| options.retry_for = Duration::ZERO);
    let error = lasting.failure();
    assert_eq!(error.status, Status::Starting);
    assert!(error.message.contains("the server is starting"), "{error}");
    assert_eq!(raw.stats().total, 1);
}

#[test]
fn connections_that_were_closed_meanwhile_are_replaced() {
    let (server, client) = standin(20);
    client.page(Rows::All, 0, 20).unwrap();
    server.close_connections();
    client.page(Rows::All, 0, 20).unwrap();
    assert_eq!(server.stats().connections, 2);
    assert_eq!(client.count(), 2);
}

#[test]
fn a_call_may_retry_for_less_but_not_for_longer() {
    let (server, client) = standin(20);
    server.fault(Fault::status(503).times(0));
    let within = |time| Bounds {
        retry_for: Some(time),
        ..Bounds::NONE
    };
    // Room for two pauses of 250 and 500 ms, a quarter more or less.
    client.plex.libraries(within(Duration::from_secs(1))).unwrap_err();
    assert_eq!(client.count(), 3);
    let brief = client.clock.slept();
    assert!(brief < Duration::from_secs(1), "{brief:?}");
    client.plex.libraries(within(Duration::ZERO)).unwrap_err();
    assert_eq!(client.count(), 4);
    client.plex.libraries(within(Duration::from_secs(3_600))).unwrap_err();
    assert!(client.clock.slept() < Duration::from_secs(35), "the options say 30 s");
}
