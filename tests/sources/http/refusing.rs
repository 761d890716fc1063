//! Servers that do not take every argument: they get the minimal request, once that is known, and only then.

use std::time::Duration;

use plexindex::error::Status;
use plexindex::model::ItemType;
use plexindex::source::plex::Rows;
use plexindex::source::{Bounds, Source};
use plexindex_standin::{Fault, LibrarySpec, Standin};

use super::support::{Client, TOKEN, client, client_with};

/// A server with 60 movies and as many photos that answers these arguments with this status.
fn refusing(arguments: &[&str], status: u16) -> (Standin, Client) {
    let server = Standin::builder()
        .token(TOKEN)
        .library(LibrarySpec::movies(60))
        .library(LibrarySpec::photos(120))
        .serve();
    for argument in arguments {
        server.fault(Fault::status(status).with(argument).times(0));
    }
    let client = client(&server.url());
    (server, client)
}

#[test]
fn what_is_refused_is_left_out_once_and_for_all() {
    for status in [400, 403, 404, 414, 500] {
        for argument in ["sort=id", "excludeFields", "excludeElements", "includeCollections"] {
            let (server, client) = refusing(&[argument], status);
            let page = |start| client.page_of("2", ItemType::Photo, Rows::All, start, 50);
            let (end, items) = page(0).unwrap_or_else(|error| panic!("{argument} {status}: {error}"));
            assert_eq!((end.total, items.len()), (Some(118), 50), "{argument}");
            assert!(items.iter().all(|item| item.parts.len() == 1), "{argument}");
            server.reset();
            let before = client.count();
            assert_eq!(page(50).unwrap().1.len(), 50);
            assert_eq!(client.count(), before + 1, "{argument}");
            assert!(!server.log()[0].target.contains(argument), "{argument}");
        }
    }
}

#[test]
fn external_ids_that_are_refused_are_left_out_last() {
    let (server, client) = refusing(&["includeGuids"], 400);
    let page = |start| client.page(Rows::All, start, 30);
    assert_eq!(page(0).expect("listed").1.len(), 30);
    // With fewer arguments, then without external ids; and from then on at once.
    assert_eq!(server.stats().total, 3);
    assert_eq!(page(30).expect("listed").1.len(), 30);
    assert_eq!(server.stats().total, 4);
    // A server that refuses other arguments goes on sending them.
    let (_server, client) = refusing(&["excludeFields"], 400);
    let (_, items) = client.page(Rows::All, 0, 60).expect("listed");
    assert!(items.iter().any(|item| !item.guids.is_empty()));
}

#[test]
fn a_failure_without_time_for_a_retry_is_tried_with_less() {
    let (server, _) = refusing(&["sort=id"], 500);
    let client = client_with(&server.url(), |options| options.retry_for = Duration::ZERO);
    assert_eq!(client.page(Rows::All, 0, 60).expect("listed").1.len(), 60);
    assert_eq!(server.stats().total, 2);
    assert_eq!(client.page(Rows::All, 0, 60).expect("listed").1.len(), 60);
    assert_eq!(server.stats().total, 3);
}

#[test]
fn a_library_that_nobody_may_see_is_tried_with_less_once() {
    for (status, expected) in [(403, Status::Forbidden), (404, Status::NotOnServer)] {
        let (server, client) = refusing(&["type="], status);
        for requests in [2, 3, 4] {
            let error = client.page(Rows::All, 0, 60).expect_err("refused");
            assert_eq!((error.status, server.stats().total), (expected, requests));
        }
        // Such a status is no refusal of a search by file name.
        let error = client.page(Rows::FileName("x.mkv"), 0, 60).expect_err("refused");
        assert_eq!(error.status, expected);
    }
}

#[test]
fn a_file_name_that_cannot_be_asked_for_has_no_rows() {
    for status in [400, 500] {
        let (server, client) = refusing(&["file="], status);
        let ask = || client.page(Rows::FileName("x.mkv"), 0, 100).unwrap();
        let (end, items) = ask();
        assert_eq!((end.rows, end.total, items.len()), (0, Some(0), 0));
        let asked = server.stats().total;
        assert!(asked <= 3, "{status}: {asked} requests");
        ask();
        assert_eq!(server.stats().total, asked);
        assert_eq!(client.clock.slept(), Duration::ZERO);
    }
}

#[test]
fn an_order_that_is_refused_is_an_error() {
    let (server, client) = refusing(&["sort=updatedAt"], 400);
    let error = client.page(Rows::NewestUpdated, 0, 100).unwrap_err();
    assert_eq!(error.status, Status::ServerError);
    // The other order is not concerned.
    assert_eq!(client.page(Rows::All, 0, 100).unwrap().1.len(), 60);
    assert!(server.log().last().unwrap().target.contains("sort=id"));
}

#[test]
fn details_are_asked_for_with_less_too() {
    let (server, client) = refusing(&["excludeFields", "skipRefresh"], 400);
    let key = server.paths(1)[0].0.to_string();
    assert_eq!(client.plex.items(&[&key], Bounds::NONE).unwrap().len(), 1);
    assert_eq!(client.plex.items(&[&key, "1"], Bounds::NONE).unwrap().len(), 1);
    // All gone is an answer too.
    for keys in [&["1"][..], &[]] {
        assert_eq!(client.plex.items(keys, Bounds::NONE), Ok(Vec::new()));
    }
}

#[test]
fn failures_for_other_reasons_blame_no_argument() {
    // All of it fails.
    let (server, client) = refusing(&[], 400);
    for status in [400, 500] {
        server.clear_faults();
        server.fault(Fault::status(status).times(0));
        let error = client.page(Rows::All, 0, 100).unwrap_err();
        assert_eq!(error.status, Status::ServerError);
    }
    server.clear_faults();
    client.page(Rows::All, 0, 100).unwrap();
    assert!(server.log().last().unwrap().target.contains("sort=id"));
    // It fails now and then, whatever it is asked.
    for skip in 0..12 {
        server.clear_faults();
        let failure = || Fault::status(500);
        server.fault(failure().times(3));
        server.fault(failure().after(skip));
        assert_eq!(client.page(Rows::All, 0, 100).unwrap().1.len(), 60, "{skip}");
    }
}
