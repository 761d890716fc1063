//! Faults of replies and of connections.

use std::net::TcpStream;
use std::time::{Duration, Instant};

use crate::common::{Client, rows};
use plexindex_standin::{Action, Fault, Kind, LibrarySpec, Standin};

const ALL: &str = "/library/sections/1/all?type=1&sort=id";

fn server(movies: u32) -> Standin {
    Standin::builder().library(LibrarySpec::movies(movies)).start().unwrap()
}

#[test]
fn faults_by_kind_and_count() {
    let server = server(50);
    let mut client = Client::new(&server);
    server.fault(
        Fault::new(Action::Status {
            status: 429,
            retry_after: Some("2".into()),
        })
        .on(Kind::Listing)
        .after(1)
        .times(2),
    );
    let statuses: Vec<u16> = (0..4).map(|_| client.get(ALL).status).collect();
    assert_eq!(statuses, [200, 429, 429, 200]);
    server.fault(Fault::new(Action::Status {
        status: 429,
        retry_after: Some("2".into()),
    }));
    assert_eq!(client.get("/").header("retry-after"), Some("2"));
    server.fault(Fault::new(Action::Status {
        status: 503,
        retry_after: None,
    }));
    let reply = client.get("/");
    assert_eq!(reply.status, 503);
    assert!(reply.text().contains("<Response code=\"503\" title=\"Maintenance\""));
    for status in [401, 403, 404, 500] {
        server.fault(Fault::new(Action::Status {
            status,
            retry_after: None,
        }));
        let reply = client.get(ALL);
        assert_eq!(
            (reply.status, reply.header("content-type")),
            (status, Some("text/html"))
        );
    }
    server.fault(Fault::new(Action::LoginPage));
    let reply = client.get("/");
    assert!(reply.status == 200 && reply.text().contains("<form"));
    server.fault(Fault::new(Action::Redirect {
        status: 302,
        location: "http://other{target}".into(),
    }));
    let reply = client.get("/identity");
    assert_eq!(
        (reply.status, reply.header("location")),
        (302, Some("http://other/identity"))
    );
    server.fault(Fault::new(Action::EmptyObject));
    assert_eq!(client.get(ALL).text(), "{}");
    server.fault(Fault::new(Action::OldJson));
    assert!(client.get("/library/sections").text().contains("_children"));
    server.fault(Fault::new(Action::Garbage));
    assert!(std::str::from_utf8(&client.get(ALL).body).is_err());
    server.fault(Fault::new(Action::Truncate { keep: None }));
    let reply = client.get_with(ALL, &[("Accept-Encoding", "gzip")]);
    assert!(reply.whole && serde_json::from_slice::<serde_json::Value>(&reply.plain()).is_err());
    assert_eq!(server.waiting_faults(), 0);
    assert_eq!(server.stats().faults, 14);
}

#[test]
fn connections_break() {
    let server = server(50);
    let mut client = Client::new(&server);
    server.fault(Fault::new(Action::Drop).on(Kind::Listing));
    assert!(
        client
            .raw("GET", ALL, &[("X-Plex-Token", &server.token())], "")
            .is_none()
    );
    let mut client = Client::new(&server);
    server.fault(Fault::new(Action::Cut { after: Some(100) }));
    let reply = client.get(ALL);
    assert!(!reply.whole && reply.body.len() == 100);
    let mut client = Client::new(&server);
    server.fault(Fault::new(Action::Delay { ms: 120 }));
    let start = Instant::now();
    assert_eq!(client.get(ALL).status, 200);
    assert!(start.elapsed() >= Duration::from_millis(120));
    server.fault(Fault::new(Action::Stall { after: None, ms: 120 }));
    let start = Instant::now();
    assert!(client.get(ALL).whole);
    assert!(start.elapsed() >= Duration::from_millis(120));
    server.fault(Fault::new(Action::Trickle { chunk: 20_000, ms: 5 }));
    assert!(client.get(ALL).whole);
    server.refuse();
    assert!(TcpStream::connect(server.address()).is_err());
    assert_eq!(client.get("/identity").status, 200);
    server.reopen();
    assert_eq!(Client::new(&server).get("/identity").status, 200);
    server.close_connections();
    assert!(client.raw("GET", "/identity", &[], "").is_none());
}

#[test]
fn dropping_the_handle_ends_everything() {
    let server = server(10);
    let address = server.address();
    let mut client = Client::new(&server);
    let mut listener = Client::new(&server);
    listener.get("/:/eventsource/notifications");
    server.fault(Fault::new(Action::Delay { ms: 60_000 }));
    let asking = std::thread::spawn(move || client.raw("GET", "/", &[], ""));
    while server.stats().of(Kind::Root) == 0 {
        std::thread::yield_now();
    }
    let start = Instant::now();
    drop(server);
    assert!(start.elapsed() < Duration::from_secs(1), "{:?}", start.elapsed());
    assert!(asking.join().unwrap().is_none());
    assert_eq!(listener.more(), "");
    assert!(TcpStream::connect(address).is_err());
}

#[test]
fn distorted_types() {
    let server = server(5);
    let mut client = Client::new(&server);
    server.fault(Fault::new(Action::Distort {
        numbers_as_strings: true,
        booleans_as_numbers: true,
        extra_fields: true,
        drop_fields: vec!["title".into(), "size".into()],
    }));
    let container = client.get(ALL).container();
    assert!(container.get("size").is_none());
    assert_eq!(container["allowSync"], 1);
    assert_eq!(container["librarySectionID"], "1");
    let row = &rows(&container)[0];
    assert!(row["year"].is_string() && row["xUnknown"]["deep"].is_array() && row.get("title").is_none());
    assert!(row["Media"][0]["id"].is_string());
    assert!(rows(&client.get(ALL).container())[0]["year"].is_i64());
}
