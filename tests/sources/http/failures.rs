//! Each way to fail has a status, a text with its remedy, and an exact number of requests; none holds the token.

use flate2::Compression;
use flate2::write::GzEncoder;
use plexindex::error::Status;
use plexindex::source::plex::Rows;
use plexindex::source::{Bounds, Source};
use plexindex_standin::{Action, Fault, Standin};
use std::io::Write;
use std::time::Duration;

use crate::support::within;

use super::support::{PAGE, TOKEN, answer, client, client_with, standin};

const LOGIN: &str = "<!DOCTYPE html><title>Sign in</title><form><input type=\"password\"></form>";

/// Each way to fail at once: the status, and what the text names: the reason, the input, the remedy.
#[test]
fn each_failure_costs_one_request() {
    use Status::{Forbidden, NotOnServer, NotPlex, Redirected, ServerError, Unauthorized};
    let to = |status, location: &str| Action::Redirect {
        status,
        location: location.to_owned(),
    };
    let xml = |text: &str| Action::body("text/xml", text);
    let html = |text: &str| Action::body("text/html", text);
    let json = |text: &str| Action::body("application/json", text);
    let proxy_404 = Action::Body {
        status: 404,
        content_type: "text/plain".to_owned(),
        body: "404 page not found".to_owned(),
    };
    let failures: [(Action, Status, &[&str]); 21] = [
        (Action::status(401), Unauthorized, &["401"]),
        (Action::status(403), Forbidden, &["403", "owner"]),
        (Action::status(404), NotOnServer, &["404"]),
        (proxy_404, ServerError, &["404", "not from Plex", "check server_url"]),
        (
            to(302, "https://plex.example/library/sections"),
            Redirected,
            &["set server_url to https://plex.example"],
        ),
        (to(308, "//127.0.0.1:1{target}"), Redirected, &["127.0.0.1:1"]),
        (Action::status(400), ServerError, &["400"]),
        (Action::status(501), ServerError, &["501"]),
        (html(LOGIN), NotPlex, &["login page", "Sign in"]),
        (json("garbage"), NotPlex, &["not from Plex"]),
        (json("{}"), NotPlex, &["JSON, but not from Plex"]),
        (
            json(r#"{"_elementType":"MediaContainer","size":"1","_children":[]}"#),
            NotPlex,
            &["_children", "update the server"],
        ),
        (xml("<MediaContainer/>"), NotPlex, &["XML instead of JSON", "Accept"]),
        (
            xml("<Response code=\"500\" status=\"Not now.\"/>"),
            NotPlex,
            &["only with a message", "Not now."],
        ),
        (
            xml("<?xml version=\"1.0\"?><!-- x --><rss></rss>"),
            NotPlex,
            &["not from Plex", "<rss>"],
        ),
        (
            html("<?xml version=\"1.0\"?><!DOCTYPE html><title>Router</title>"),
            NotPlex,
            &["a web page", "\"Router\""],
        ),
        (
            html("<html><title>Router</title>"),
            NotPlex,
            &["a web page", "\"Router\""],
        ),
        (
            html(&format!("<html><title>bad token {TOKEN}</title>")),
            NotPlex,
            &["bad token ***"],
        ),
        (Action::body("text/plain", "hello"), NotPlex, &["not from Plex"]),
        (json("[1,2]"), NotPlex, &["not from Plex"]),
        (json(r#"{"MediaContainer":[[]]}"#), NotPlex, &["not from Plex"]),
    ];
    let (server, _) = standin(200);
    for (action, status, words) in failures {
        server.reset();
        server.clear_faults();
        server.fault(Fault::new(action).times(0));
        let client = client(&server.url());
        let error = client.failure();
        assert_eq!(error.status, status, "{error}");
        for word in words
            .iter()
            .chain(&[server.url().as_str(), "cannot list the libraries"])
        {
            assert!(error.message.contains(word), "no {word:?} in: {error}");
        }
        assert_eq!(client.count(), 1, "{error}");
        assert_eq!(server.stats().total, 1);
        assert_eq!(client.bytes(), server.stats().bytes);
        assert_eq!(client.clock.slept(), Duration::ZERO);
    }
}

#[test]
fn a_wrong_token_and_none_are_told_apart() {
    let (server, _) = standin(1);
    let wrong = (Some("another-token"), "rejected the token");
    for (token, remedy) in [wrong, (None, "set the option `token`")] {
        let client = client_with(&server.url(), |options| {
            options.token = token.and_then(plexindex::model::Token::new);
        });
        let error = client.failure();
        assert_eq!(error.status, Status::Unauthorized);
        assert!(error.message.contains(remedy), "{error}");
        assert_eq!(server.log().pop().unwrap().token_in_header, token.is_some());
    }
    assert_eq!(server.stats().total, 2);
}

#[test]
fn an_identity_without_an_identifier() {
    let raw = Standin::answering([answer("200 OK", "", r#"{"MediaContainer":{"size":0,"version":"1"}}"#)]);
    let error = client(&raw.url()).plex.server(Bounds::NONE).unwrap_err();
    assert_eq!(error.status, Status::NotPlex);
    assert!(error.message.contains("machineIdentifier"), "{error}");
}

#[test]
fn a_list_without_libraries_must_say_that_there_are_none() {
    for (body, is_believed) in [
        (r#"{"MediaContainer":{"size":0}}"#, true),
        (r#"{"MediaContainer":{"Directory":[]}}"#, true),
        (r#"{"MediaContainer":{"size":2}}"#, false),
        (r#"{"MediaContainer":{}}"#, false),
    ] {
        let raw = Standin::answering([answer("200 OK", "", body)]);
        let listed = client(&raw.url()).plex.libraries(Bounds::NONE);
        let expected = is_believed.then(Vec::new).ok_or(Status::BadAnswer);
        assert_eq!(listed.map_err(|error| error.status), expected, "{body}");
    }
}

/// `{"MediaContainer":{"size":0}}`, packed.
fn packed() -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(br#"{"MediaContainer":{"size":0}}"#).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn bodies_are_unpacked_as_they_are_packed() {
    let gzip = packed();
    for (encoding, body) in [("", &gzip), ("gzip", &gzip), ("identity", &gzip), ("X-GZip", &gzip)] {
        let header = format!("Content-Encoding: {encoding}\r\n");
        let server = Standin::answering([answer("200 OK", if encoding.is_empty() { "" } else { &header }, body)]);
        let listed = client(&server.url()).plex.libraries(Bounds::NONE);
        assert_eq!(listed, Ok(Vec::new()), "{encoding}");
    }
}

/// Answers that are damaged on their way: the status, and what the text names.
#[test]
fn damaged_answers() {
    let gzip = packed();
    let mut flipped = gzip.clone();
    flipped[15] ^= 0x55;
    let of_length =
        |length: u32| format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{{\"MediaContainer\":{{}}}}");
    let encoded = |encoding: &str, body: &[u8]| answer("200 OK", &format!("Content-Encoding: {encoding}\r\n"), body);
    let long = format!("X-Long: {}\r\n", "x".repeat(1 << 20));
    for (reply, status, words) in [
        (of_length(1_000).into_bytes(), Status::BadAnswer, "cut off"),
        (of_length(10).into_bytes(), Status::BadAnswer, "malformed"),
        (
            encoded("gzip", &gzip[..gzip.len() - 12]),
            Status::BadAnswer,
            "compressed reply is damaged",
        ),
        (encoded("gzip", &flipped), Status::BadAnswer, ""),
        (encoded("br", b"x"), Status::BadAnswer, "\"br\""),
        (b"SSH-2.0-OpenSSH_9.2\r\n\r\n".to_vec(), Status::NotPlex, "is not HTTP"),
        (answer("200 OK", &long, "{}"), Status::NotPlex, "the response headers"),
    ] {
        let server = Standin::answering([reply]);
        let error = client(&server.url()).failure();
        assert_eq!(error.status, status, "{error}");
        assert!(error.message.contains(words), "{error}");
        assert_eq!(server.stats().total, 1, "{error}");
    }
}

#[test]
fn a_page_that_breaks_midway_keeps_its_whole_rows() {
    let (server, client) = standin(200);
    let (_, all) = client.page(Rows::All, 0, 200).unwrap();
    server.fault(Fault::new(Action::Cut { after: None }).times(0));
    let mut items = Vec::new();
    let error = client.plex.fetch_rows(&PAGE, Bounds::NONE, &mut items).unwrap_err();
    assert_eq!(error.status, Status::BadAnswer, "{error}");
    assert!(error.message.contains("library section 1 from row 0"), "{error}");
    let came = format!("after {} rows", items.len());
    assert!(error.message.contains(&came), "{error}");
    // Gzip gives its rows in blocks, so where exactly it ends is the server's affair.
    assert!((1..200).contains(&items.len()), "{}", items.len());
    assert_eq!(items, all[..items.len()]);
    // Rows that were handed over must not come twice, so nothing was tried again.
    assert_eq!(client.count(), 2);
}

#[test]
fn a_page_with_a_wrong_checksum_gives_no_rows() {
    let mut reply = rows(9, |number| format!("{{\"ratingKey\":{}}}", number + 1));
    let checksum = reply.len() - 8; // gzip ends with its checksum and its length, of four bytes each
    reply[checksum] ^= 1;
    let server = Standin::answering([reply]);
    let mut items = Vec::new();
    let plex = client(&server.url()).plex;
    let error = plex.fetch_rows(&PAGE, Bounds::NONE, &mut items).unwrap_err();
    assert_eq!((error.status, items), (Status::BadAnswer, Vec::new()), "{error}");
}

#[test]
fn a_port_without_a_listener() {
    let (server, client) = standin(200);
    server.refuse();
    let error = client.failure();
    assert_eq!(error.status, Status::Connect);
    let refused = format!("cannot connect to {}: connection refused", server.url());
    assert!(error.message.contains(&refused), "{error}");
    // It was tried again, for as long as the options allow; but nothing was ever sent.
    assert!(client.clock.slept() > Duration::from_secs(5));
    assert_eq!(client.count(), 0);
}

#[test]
fn names_that_cannot_be_resolved() {
    // A label of more than 63 letters: a resolver sends no request for it.
    let client = client(&format!("http://{}.invalid:32400", "x".repeat(70)));
    let error = client.failure();
    assert_eq!(error.status, Status::Connect);
    assert!(error.message.contains("cannot resolve the host name xxx"), "{error}");
    assert_eq!(client.count(), 0);
    assert_eq!(client.clock.slept(), Duration::ZERO);
}

/// The answer of a server that sends this many rows, compressed.
fn rows(count: u64, row: impl Fn(u64) -> String) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(b"{\"MediaContainer\":{\"Metadata\":[").unwrap();
    for number in 0..count {
        let comma = if number > 0 { "," } else { "" };
        write!(encoder, "{comma}{}", row(number)).unwrap();
    }
    encoder.write_all(b"]}}").unwrap();
    answer("200 OK", "Content-Encoding: gzip\r\n", encoder.finish().unwrap())
}

#[test]
fn a_page_ends_at_a_multiple_of_what_was_asked_for() {
    // Little on the wire, much in memory: 50,000 rows, and rows with hundreds of texts.
    let many = rows(50_000, |number| format!("{{\"ratingKey\":{number}}}"));
    let guids: Vec<String> = (0..200).map(|id| format!("{{\"id\":\"{id}\"}}")).collect();
    let guids = guids.join(",");
    let large = rows(4_000, |number| format!("{{\"ratingKey\":{number},\"Guid\":[{guids}]}}"));
    for (bomb, most) in [(many, 16_000), (large, 3_500)] {
        let raw = Standin::answering([bomb]);
        let client = client(&raw.url());
        let mut came = Vec::new();
        let error = client.plex.fetch_rows(&PAGE, Bounds::NONE, &mut came).unwrap_err();
        assert_eq!(error.status, Status::BadAnswer, "{error}");
        assert!(error.message.contains("exceeds 16000 rows"), "{error}");
        assert!(error.message.contains("X-Plex-Container-Start"), "{error}");
        assert!((1..=most).contains(&came.len()), "{}", came.len());
        assert_eq!(client.count(), 1);
    }
    // A page has its limit in bytes too.
    let row = "x".repeat(65 << 20);
    let body = format!("{{\"MediaContainer\":{{\"Metadata\":[{{\"title\":\"{row}\"}}]}}}}");
    let raw = Standin::answering([answer("200 OK", "", body)]);
    let error = client(&raw.url()).page(Rows::All, 0, 1_000).unwrap_err();
    assert!(error.message.contains("exceeds the limit"), "{error}");
}

#[test]
fn what_takes_long_to_decompress_ends_with_the_deadline() {
    // A single row: after each row the clock is looked at anyway.
    let title = "x".repeat(60 << 20);
    let bomb = rows(1, |number| format!("{{\"ratingKey\":{number},\"title\":\"{title}\"}}"));
    let raw = Standin::answering([bomb]);
    let client = client(&raw.url());
    let soon = within(Duration::from_millis(10));
    let error = client.plex.fetch_rows(&PAGE, soon, &mut Vec::new()).unwrap_err();
    assert_eq!(error.status, Status::Timeout, "{error}");
}
