//! Servers that do not take every argument: they are asked without it, once that is known, and only then.

use std::time::Duration;

use plexindex::error::Status;
use plexindex::model::ItemType;
use plexindex::source::plex::{Refused, Rows};
use plexindex::source::{Bounds, RequestKind, Source};
use plexindex_standin::{Action, Fault, LibrarySpec, Standin};

use super::support::{Client, TOKEN, client, client_with};

/// A server with 60 movies and as many photos that answers these arguments with this status.
fn refusing(arguments: &[&str], status: u16) -> (Standin, Client) {
    let server = Standin::builder()
        .token(TOKEN)
        .library(LibrarySpec::movies(60))
        .library(LibrarySpec::photos(120))
        .config(|config| {
            config.refuse_arguments = arguments.iter().map(|one| (*one).to_owned()).collect();
            config.refuse_status = status;
            config.cluster_zoom = !arguments.contains(&"clusterZoomLevel");
        })
        .start()
        .unwrap();
    let client = client(&server.url());
    (server, client)
}

#[test]
fn what_is_refused_is_left_out_once_and_for_all() {
    for status in [400, 500] {
        for argument in [
            "sort=id",
            "excludeFields",
            "excludeElements",
            "includeCollections",
            "includeGuids",
            "clusterZoomLevel",
        ] {
            let (server, client) = refusing(&[argument], status);
            let page = |start| client.page_of("2", ItemType::Photo, Rows::All, start, 50);
            let (end, items) = page(0).unwrap_or_else(|error| panic!("{argument} {status}: {error}"));
            assert_eq!((end.total, items.len()), (Some(118), 50), "{argument}");
            assert!(items.iter().all(|item| item.parts.len() == 1), "{argument}");
            assert_eq!(client.plex.take_new_quirks(), argument);
            // Told once, and known from then on.
            assert_eq!(client.plex.take_new_quirks(), "");
            assert_eq!(client.plex.refused(), Refused::from_words(argument));
            server.reset();
            let before = client.meter.count();
            assert_eq!(page(50).unwrap().1.len(), 50);
            assert_eq!(client.meter.count(), before + 1, "{argument}");
            assert!(!server.log()[0].target.contains(argument), "{argument}");
        }
    }
}

#[test]
fn what_another_process_found_is_not_tried_again() {
    let (server, client) = refusing(&["sort=id", "includeGuids"], 400);
    let known = "sort=id includeGuids";
    client.plex.restore_quirks(known);
    assert_eq!(client.page(Rows::All, 0, 100).unwrap().1.len(), 60);
    assert_eq!(client.meter.kinds(), [RequestKind::Page]);
    assert_eq!(client.plex.take_new_quirks(), "");
    // A newer version takes them.
    server.config(|config| config.refuse_arguments.clear());
    client.plex.restore_quirks("");
    client.page(Rows::All, 0, 100).unwrap();
    assert!(server.log().last().unwrap().target.contains("sort=id"));
}

#[test]
fn several_that_are_refused_are_all_found() {
    let (_server, client) = refusing(&["sort=id", "excludeFields", "includeCollections"], 400);
    assert_eq!(client.page(Rows::All, 0, 100).unwrap().1.len(), 60);
    assert_eq!(
        client.plex.take_new_quirks(),
        "includeCollections sort=id excludeFields"
    );
}

#[test]
fn a_file_name_that_cannot_be_asked_for_has_no_rows() {
    for status in [400, 500] {
        let (server, client) = refusing(&["file"], status);
        let ask = || client.page(Rows::FileName("x.mkv"), 0, 100).unwrap();
        let (end, items) = ask();
        assert_eq!((end.rows, end.total, items.len()), (0, Some(0), 0));
        assert_eq!(client.plex.take_new_quirks(), Refused::FILE.words());
        let asked = server.stats().total;
        assert!(asked <= 3, "{status}: {asked} requests");
        ask();
        assert_eq!(server.stats().total, asked);
        assert_eq!(client.pause.slept(), Duration::ZERO);
    }
}

#[test]
fn an_order_that_is_refused_is_an_error_without_a_request() {
    let (server, client) = refusing(&["sort=updatedAt"], 400);
    let error = client.page(Rows::NewestUpdated, 0, 100).unwrap_err();
    assert_eq!(error.status, Status::ServerError);
    assert!(error.message.contains("refuses the order"), "{error}");
    assert_eq!(client.plex.take_new_quirks(), Refused::SORT_UPDATED.words());
    let asked = server.stats().total;
    client.page(Rows::NewestUpdated, 0, 100).unwrap_err();
    assert_eq!(server.stats().total, asked);
    // The other order is not concerned.
    assert_eq!(client.page(Rows::All, 0, 100).unwrap().1.len(), 60);
    assert!(server.log().last().unwrap().target.contains("sort=id"));
}

#[test]
fn one_of_two_types_that_is_refused_is_empty() {
    let (_server, client) = refusing(&["type=12"], 400);
    let (end, items) = client.page_of("2", ItemType::Clip, Rows::All, 0, 50).unwrap();
    assert_eq!((end.rows, end.total, end.offset, items.len()), (0, Some(0), Some(0), 0));
    assert_eq!(client.plex.take_new_quirks(), Refused::CLIPS.words());
    let (end, _) = client.page_of("2", ItemType::Photo, Rows::All, 0, 50).unwrap();
    assert_eq!(end.total, Some(118));
}

#[test]
fn details_are_asked_for_with_less_too() {
    let (server, client) = refusing(&["excludeFields", "skipRefresh"], 400);
    let key = server.paths(1)[0].0.to_string();
    assert_eq!(client.plex.items(&[&key], Bounds::NONE).unwrap().len(), 1);
    assert_eq!(client.plex.take_new_quirks(), "excludeFields skipRefresh");
    assert_eq!(client.plex.items(&[&key, "1"], Bounds::NONE).unwrap().len(), 1);
    // All gone is an answer too.
    assert_eq!(client.plex.items(&["1"], Bounds::NONE), Ok(Vec::new()));
}

#[test]
fn failures_for_other_reasons_blame_no_argument() {
    // All of it fails.
    let (server, client) = refusing(&[], 400);
    for status in [400, 500] {
        server.clear_faults();
        server.fault(
            Fault::new(Action::Status {
                status,
                retry_after: None,
            })
            .times(0),
        );
        let error = client.page(Rows::All, 0, 100).unwrap_err();
        assert_eq!(error.status, Status::ServerError);
        assert_eq!(client.plex.refused(), Refused::NONE);
    }
    // It fails now and then, whatever it is asked.
    for skip in 0..12 {
        server.clear_faults();
        let failure = || {
            Fault::new(Action::Status {
                status: 500,
                retry_after: None,
            })
        };
        server.fault(failure().times(3));
        server.fault(failure().after(skip));
        assert_eq!(client.page(Rows::All, 0, 100).unwrap().1.len(), 60, "{skip}");
        assert_eq!(client.plex.refused(), Refused::NONE, "{skip}");
    }
}

#[test]
fn a_refusal_that_has_passed_when_arguments_are_tried_fails_nothing() {
    for status in [400, 500] {
        let (server, _) = refusing(&[], 400);
        let client = client_with(&server.url(), |options| options.retry_for = Duration::ZERO);
        server.fault(Fault::new(Action::Status {
            status,
            retry_after: None,
        }));
        assert_eq!(client.page(Rows::All, 0, 100).expect("a page").1.len(), 60, "{status}");
        assert_eq!(client.plex.refused(), Refused::NONE, "{status}");
    }
}

#[test]
fn a_host_that_stops_is_heard_while_arguments_are_tried() {
    let (_server, client) = refusing(&["sort=id"], 400);
    let asked = std::sync::atomic::AtomicU32::new(0);
    let bounds = Bounds {
        aborted: &|| asked.fetch_add(1, std::sync::atomic::Ordering::Relaxed) > 20,
        ..Bounds::NONE
    };
    let request = plexindex::source::plex::RowsRequest {
        section: "1",
        kind: ItemType::Movie,
        rows: Rows::All,
        start: 0,
        size: 100,
    };
    let error = client.plex.rows(&request, bounds, &mut |_| {}).unwrap_err();
    assert_eq!(error.status, Status::Aborted, "{error}");
}
