//! Asking for items by their rating keys.

use plexindex::error::Status;
use plexindex::source::plex::Rows;
use plexindex::source::{Bounds, RequestKind, Source};
use plexindex_standin::{Kind, Standin};

use super::support::{Client, answer, client, standin};

fn keyed(movies: u32) -> (Standin, Client, Vec<String>) {
    let (server, client) = standin(movies);
    let (_, items) = client.page(Rows::All, 0, 1_000).unwrap();
    let keys = items.into_iter().map(|item| item.rating_key).collect();
    (server, client, keys)
}

fn confirmed(client: &Client, keys: &[&str]) -> Vec<String> {
    let items = client.plex.items(keys, Bounds::NONE).unwrap();
    items.into_iter().map(|placed| placed.item.rating_key).collect()
}

#[test]
fn a_hundred_items_a_request() {
    let (server, client, keys) = keyed(250);
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    assert_eq!(confirmed(&client, &keys), keys);
    assert_eq!(server.stats().of(Kind::Metadata), 3);
    assert_eq!(client.count_of(RequestKind::Confirm), 3);
    for entry in &server.log()[1..] {
        assert!(entry.target.contains("skipRefresh=1"));
    }
}

#[test]
fn what_a_server_cut_off_is_asked_for_again() {
    let (server, client, keys) = keyed(50);
    server.config(|config| config.max_ids = Some(20));
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    assert_eq!(confirmed(&client, &keys), keys);
    assert_eq!(server.stats().of(Kind::Metadata), 3);
}

#[test]
fn what_was_not_asked_for_is_no_answer() {
    let body = r#"{"MediaContainer":{"Metadata":[{"ratingKey":"7"},{"ratingKey":"1"},{"ratingKey":"1"}]}}"#;
    let raw = Standin::answering([answer("200 OK", "", body)]);
    assert_eq!(confirmed(&client(&raw.url()), &["1"]), ["1"]);
}

/// A proxy may answer with what it has of an earlier request, and a server with less than it counts.
#[test]
fn only_a_reply_without_items_says_that_items_are_gone() {
    for (container, is_answer) in [
        (r#""size":0"#, true),
        (r#""size":0,"totalSize":0,"Metadata":[]"#, true),
        (r#""Metadata":[{"ratingKey":"7"}]"#, false),
        (r#""Metadata":[{"ratingKey":null}]"#, false),
        (r#""totalSize":1"#, false),
    ] {
        let body = format!(r#"{{"MediaContainer":{{{container}}}}}"#);
        let raw = Standin::answering([answer("200 OK", "", body)]);
        match client(&raw.url()).plex.items(&["1"], Bounds::NONE) {
            Ok(items) => assert!(is_answer && items.is_empty(), "{container}"),
            Err(error) => {
                assert!(!is_answer && error.status == Status::BadAnswer, "{container}: {error}");
                assert!(error.message.contains("returned other items"), "{error}");
            }
        }
    }
}
