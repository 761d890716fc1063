//! Each way to fail has a status, a text with its remedy, and an exact number of requests; none holds the token.

use flate2::Compression;
use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};
use plexindex::error::Status;
use plexindex::source::plex::Rows;
use plexindex::source::{Bounds, Deadline, Source};
use plexindex_standin::{Action, Fault, LibrarySpec, Standin, Token};
use std::io::Write;
use std::time::Duration;

use super::support::{Client, Raw, TOKEN, answer, client, client_with, settled};

fn standin() -> (Standin, Client) {
    let server = Standin::builder()
        .token(TOKEN)
        .library(LibrarySpec::movies(200))
        .start()
        .unwrap();
    let client = client(&server.url());
    (server, client)
}

/// Fails once, at once, so.
fn fails(action: Action, status: Status, words: &[&str]) {
    let (server, client) = standin();
    server.fault(Fault::new(action).times(0));
    let error = client.failure();
    assert_eq!(error.status, status, "{error}");
    for word in words
        .iter()
        .chain(&[server.url().as_str(), "cannot list the libraries"])
    {
        assert!(error.message.contains(word), "no {word:?} in: {error}");
    }
    assert_eq!(client.meter.count(), 1, "{error}");
    assert_eq!(server.stats().total, 1);
    assert_eq!(client.meter.bytes(), settled(&server).bytes);
    assert_eq!(client.clock.slept(), Duration::ZERO);
}

fn status(status: u16) -> Action {
    Action::Status {
        status,
        retry_after: None,
    }
}

fn body(content_type: &str, body: &str) -> Action {
    Action::Body {
        status: 200,
        content_type: content_type.into(),
        body: body.into(),
    }
}

#[test]
fn refusals() {
    fails(
        status(401),
        Status::Unauthorized,
        &["the server rejected the token (401)"],
    );
    fails(status(403), Status::Forbidden, &["403", "owner"]);
    fails(status(404), Status::NotOnServer, &["404"]);
    fails(status(400), Status::ServerError, &["400"]);
    fails(status(501), Status::ServerError, &["501"]);
}

#[test]
fn a_wrong_token_and_none_are_told_apart() {
    let (server, _) = standin();
    let wrong = client_with(&server.url(), |options| {
        options.token = plexindex::model::Token::new("another-token");
    });
    assert!(wrong.failure().message.contains("the server rejected the token"));
    let none = client_with(&server.url(), |options| options.token = None);
    let error = none.failure();
    assert_eq!(error.status, Status::Unauthorized);
    assert!(
        error.message.contains("none was given: set the option `token`"),
        "{error}"
    );
    assert_eq!(server.stats().total, 2);
}

#[test]
fn a_library_that_is_not_shared() {
    let server = Standin::builder()
        .tokens([Token::owner("owner"), Token::shared(TOKEN, [2])])
        .library(LibrarySpec::movies(2))
        .library(LibrarySpec::movies(2))
        .start()
        .unwrap();
    let client = client(&server.url());
    let error = client.page(Rows::All, 0, 10).unwrap_err();
    assert_eq!(error.status, Status::Forbidden);
    // A proxy may refuse an argument so: it is asked once more, without those that it may leave out, and never again.
    assert_eq!(client.meter.count(), 2);
    client.page(Rows::All, 0, 10).unwrap_err();
    assert_eq!(client.meter.count(), 3);
}

#[test]
fn answers_that_are_not_plex() {
    fails(Action::LoginPage, Status::NotPlex, &["is a login page", "Sign in"]);
    fails(Action::Garbage, Status::NotPlex, &["not from Plex"]);
    fails(Action::EmptyObject, Status::NotPlex, &["JSON, but not from Plex"]);
    fails(Action::OldJson, Status::NotPlex, &["_children", "update the server"]);
    fails(
        body("text/xml", "<?xml version=\"1.0\"?><MediaContainer size=\"0\"/>"),
        Status::NotPlex,
        &[
            "the Plex server replied in XML instead of JSON",
            "Accept",
            "update the server",
        ],
    );
    fails(
        body(
            "text/xml",
            "<Response code=\"500\" title=\"Sorry\" status=\"Not now.\"/>",
        ),
        Status::NotPlex,
        &["the Plex server replied only with a message", "Not now."],
    );
    fails(
        body(
            "text/xml",
            "<?xml version=\"1.0\"?><!-- x --><rss version=\"2.0\"></rss>",
        ),
        Status::NotPlex,
        &["not from Plex", "<rss>"],
    );
    fails(
        body(
            "text/html",
            "<?xml version=\"1.0\"?><!DOCTYPE html><html><title>Router</title>",
        ),
        Status::NotPlex,
        &["a web page", "\"Router\""],
    );
    fails(
        body("text/html", "<html><title>Router</title>"),
        Status::NotPlex,
        &["a web page", "\"Router\""],
    );
    fails(body("text/plain", "hello"), Status::NotPlex, &["not from Plex"]);
    fails(body("application/json", "[1,2]"), Status::NotPlex, &["not from Plex"]);
    fails(
        body("application/json", r#"{"MediaContainer":[[]]}"#),
        Status::NotPlex,
        &["JSON, but not from Plex"],
    );
}

#[test]
fn an_identity_without_an_identifier() {
    let raw = Raw::answering([answer("200 OK", "", r#"{"MediaContainer":{"size":0,"version":"1"}}"#)]);
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
        let raw = Raw::answering([answer("200 OK", "", body)]);
        let listed = client(&raw.url()).plex.libraries(Bounds::NONE);
        let expected = is_believed.then(Vec::new).ok_or(Status::BadAnswer);
        assert_eq!(listed.map_err(|error| error.status), expected, "{body}");
    }
}

#[test]
fn lengths_that_lie() {
    let longer = b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{\"MediaContainer\":{}}".to_vec();
    let raw = Raw::answering([longer]);
    let error = client(&raw.url()).failure();
    assert_eq!(error.status, Status::BadAnswer);
    assert!(error.message.contains("cut off"), "{error}");

    let shorter = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n{\"MediaContainer\":{}}".to_vec();
    let raw = Raw::answering([shorter]);
    let error = client(&raw.url()).failure();
    assert_eq!(error.status, Status::BadAnswer);
    assert!(error.message.contains("malformed"), "{error}");
    assert_eq!(raw.heads().len(), 1);
}

#[test]
fn compression_that_is_damaged_or_unknown() {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(br#"{"MediaContainer":{"size":0}}"#).unwrap();
    let mut body = encoder.finish().unwrap();
    let good = Raw::answering([answer("200 OK", "Content-Encoding: gzip\r\n", &body)]);
    assert_eq!(client(&good.url()).plex.libraries(Bounds::NONE), Ok(Vec::new()));

    let cut = Raw::answering([answer("200 OK", "Content-Encoding: gzip\r\n", &body[..body.len() - 12])]);
    let error = client(&cut.url()).failure();
    assert_eq!(error.status, Status::BadAnswer);
    assert!(error.message.contains("compressed reply is damaged"), "{error}");

    body[15] ^= 0x55;
    let damaged = Raw::answering([answer("200 OK", "Content-Encoding: gzip\r\n", &body)]);
    assert_eq!(client(&damaged.url()).failure().status, Status::BadAnswer);

    let plain = br#"{"MediaContainer":{"size":0}}"#;
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    let mut zlib = ZlibEncoder::new(Vec::new(), Compression::fast());
    let mut deflate = DeflateEncoder::new(Vec::new(), Compression::fast());
    for encoder in [&mut gzip as &mut dyn Write, &mut zlib, &mut deflate] {
        encoder.write_all(plain).unwrap();
    }
    for (header, body) in [
        ("", gzip.finish().unwrap()),
        ("Content-Encoding: deflate\r\n", zlib.finish().unwrap()),
        ("Content-Encoding: Deflate\r\n", deflate.finish().unwrap()),
    ] {
        let raw = Raw::answering([answer("200 OK", header, body)]);
        assert_eq!(
            client(&raw.url()).plex.libraries(Bounds::NONE),
            Ok(Vec::new()),
            "{header}"
        );
    }

    let other = Raw::answering([answer("200 OK", "Content-Encoding: br\r\n", "x")]);
    let error = client(&other.url()).failure();
    assert_eq!(error.status, Status::BadAnswer);
    assert!(error.message.contains("unexpected encoding \"br\""), "{error}");
}

#[test]
fn what_does_not_speak_http() {
    let raw = Raw::answering([b"SSH-2.0-OpenSSH_9.2\r\n\r\n".to_vec()]);
    let error = client(&raw.url()).failure();
    assert_eq!(error.status, Status::NotPlex);
    assert!(error.message.contains("is not HTTP"), "{error}");
    assert_eq!(raw.heads().len(), 1);
}

#[test]
fn the_head_of_an_answer_has_a_bound() {
    let long = format!("X-Long: {}\r\n", "x".repeat(1 << 20));
    let raw = Raw::answering([answer("200 OK", &long, "{}")]);
    let error = client(&raw.url()).failure();
    assert_eq!(error.status, Status::NotPlex, "{error}");
    assert!(error.message.contains("the response headers"), "{error}");
}

#[test]
fn a_page_that_breaks_midway_keeps_its_whole_rows() {
    for action in [Action::Cut { after: None }, Action::Truncate { keep: None }] {
        let (server, client) = standin();
        let (_, all) = client.page(Rows::All, 0, 200).unwrap();
        server.fault(Fault::new(action.clone()).times(0));
        let mut items = Vec::new();
        let request = plexindex::source::plex::RowsRequest {
            section: "1",
            kind: plexindex::model::ItemType::Movie,
            rows: Rows::All,
            start: 0,
            size: 200,
        };
        let error = client.plex.fetch_rows(&request, Bounds::NONE, &mut items).unwrap_err();
        assert_eq!(error.status, Status::BadAnswer, "{error}");
        assert!(error.message.contains("library section 1 from row 0"), "{error}");
        assert!(
            error.message.contains(&format!("after {} rows", items.len())),
            "{error}"
        );
        // Gzip gives its rows in blocks, so where exactly it ends is the server's affair.
        assert!(items.len() < 200, "{action:?}");
        assert_eq!(items, all[..items.len()]);
        // Rows that were handed over must not come twice, so nothing was tried again.
        assert_eq!(client.meter.count(), 2);
    }
}

#[test]
fn a_port_without_a_listener() {
    let (server, client) = standin();
    server.refuse();
    let error = client.failure();
    assert_eq!(error.status, Status::Connect);
    assert!(
        error
            .message
            .contains(&format!("cannot connect to {}: connection refused", server.url())),
        "{error}"
    );
    // It was tried again, for as long as the options allow; but nothing was ever sent.
    assert!(client.clock.slept() > Duration::from_secs(5));
    assert_eq!(client.meter.count(), 0);
}

#[test]
fn names_that_cannot_be_resolved() {
    // A label of more than 63 letters: a resolver sends no request for it.
    let client = client(&format!("http://{}.invalid:32400", "x".repeat(70)));
    let error = client.failure();
    assert_eq!(error.status, Status::Connect);
    assert!(error.message.contains("cannot resolve the host name xxx"), "{error}");
    assert_eq!(client.meter.count(), 0);
    assert_eq!(client.clock.slept(), Duration::ZERO);
}

#[test]
fn a_server_that_echoes_the_token() {
    let raw = Raw::answering([answer("200 OK", "", format!("<html><title>bad token {TOKEN}</title>"))]);
    let error = client(&raw.url()).failure();
    assert!(error.message.contains("bad token ***"), "{error}");
}

#[test]
fn a_server_that_speaks_xml_only_is_told_from_others() {
    let (server, client) = standin();
    server.config(|config| config.always_xml = true);
    let error = client.failure();
    assert_eq!(error.status, Status::NotPlex);
    for words in [
        "the Plex server replied in XML",
        "forward the header",
        "update the server",
    ] {
        assert!(error.message.contains(words), "{error}");
    }
    assert!(client.page(Rows::All, 0, 10).unwrap_err().message.contains("in XML"));
    assert!(client.plex.server(Bounds::NONE).unwrap_err().message.contains("in XML"));
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
        let raw = Raw::answering([bomb]);
        let client = client(&raw.url());
        let request = plexindex::source::plex::RowsRequest {
            section: "1",
            kind: plexindex::model::ItemType::Movie,
            rows: Rows::All,
            start: 0,
            size: 1_000,
        };
        let mut came = Vec::new();
        let error = client.plex.fetch_rows(&request, Bounds::NONE, &mut came).unwrap_err();
        assert_eq!(error.status, Status::BadAnswer, "{error}");
        assert!(error.message.contains("exceeds 16000 rows"), "{error}");
        assert!(error.message.contains("X-Plex-Container-Start"), "{error}");
        assert!((1..=most).contains(&came.len()), "{}", came.len());
        assert_eq!(client.meter.count(), 1);
    }
    // A page has its limit in bytes too.
    let row = "x".repeat(65 << 20);
    let body = format!("{{\"MediaContainer\":{{\"Metadata\":[{{\"title\":\"{row}\"}}]}}}}");
    let raw = Raw::answering([answer("200 OK", "", body)]);
    let error = client(&raw.url()).page(Rows::All, 0, 1_000).unwrap_err();
    assert!(error.message.contains("exceeds the limit"), "{error}");
}

#[test]
fn what_takes_long_to_decompress_ends_with_the_deadline() {
    // A single row: after each row the clock is looked at anyway.
    let title = "x".repeat(15 << 20);
    let bomb = rows(1, |number| format!("{{\"ratingKey\":{number},\"title\":\"{title}\"}}"));
    let raw = Raw::answering([bomb]);
    let client = client(&raw.url());
    let request = plexindex::source::plex::RowsRequest {
        section: "1",
        kind: plexindex::model::ItemType::Movie,
        rows: Rows::All,
        start: 0,
        size: 1_000,
    };
    let bounds = Bounds {
        deadline: Deadline::after(Duration::from_millis(10)),
        ..Bounds::NONE
    };
    let error = client.plex.fetch_rows(&request, bounds, &mut Vec::new()).unwrap_err();
    assert_eq!(error.status, Status::Timeout, "{error}");
}
