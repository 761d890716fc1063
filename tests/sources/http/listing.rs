//! What is asked of a server that behaves, and what becomes of its answers.

use plexindex::error::Status;
use plexindex::model::{ItemType, LibraryKind};
use plexindex::source::plex::Rows;
use plexindex::source::{Bounds, RequestKind, Source};
use plexindex_standin::{Action, Fault, ItemSpec, Kind, LibrarySpec, Standin};

use crate::support::rows_of;

use LibraryKind::{Artist, Movie, Photo, Show};

use super::support::{PAGE, TOKEN, answer, client, standin};

#[test]
fn the_server_says_who_it_is_without_a_token() {
    let (server, client) = standin(1);
    let found = client.plex.server(Bounds::NONE).unwrap();
    assert_eq!(found.machine_identifier, server.read().identity.machine_identifier);
    assert_eq!(found.version, server.read().identity.version);
    assert!(!server.log()[0].token_in_header);
    assert_eq!((client.count(), client.count_of(RequestKind::Identity)), (1, 1));
}

#[test]
fn the_libraries_come_in_one_request() {
    let server = Standin::builder()
        .token(TOKEN)
        .library(LibrarySpec::movies(3))
        .library(LibrarySpec::shows(3))
        .library(LibrarySpec::music(3))
        .library(LibrarySpec::photos(60))
        .start()
        .unwrap();
    let client = client(&server.url());
    let libraries = client.plex.libraries(Bounds::NONE).unwrap();
    let kinds: Vec<_> = libraries.iter().map(|library| library.kind).collect();
    assert_eq!(kinds, [Movie, Show, Artist, Photo]);
    for library in &libraries {
        assert!(!library.section.is_empty() && !library.uuid.is_empty() && !library.title.is_empty());
        assert!(!library.locations.is_empty());
        assert!(library.change.scanned_ms > 0);
        let kinds: &[ItemType] = match library.kind {
            Movie => &[ItemType::Movie],
            Show => &[ItemType::Episode],
            Artist => &[ItemType::Track],
            _ => &[ItemType::Photo, ItemType::Clip],
        };
        assert_eq!(client.plex.partitions(library), kinds.len());
        for (partition, kind) in kinds.iter().enumerate() {
            let request = rows_of(library, partition, 0, 100);
            let mut items = Vec::new();
            let end = client.plex.page(&request, Bounds::NONE, &mut items).unwrap();
            assert!(end.rows > 0, "{kind:?}");
            assert!(items.iter().all(|item| item.kind == *kind), "{kind:?}");
        }
    }
    assert_eq!(server.stats().of(Kind::Sections), 1);
    assert_eq!(client.count_of(RequestKind::Probe), 1);
}

/// Some servers show no uuid, the same one for all libraries, or a library twice.
#[test]
fn libraries_without_a_uuid_are_as_many_as_there_are() {
    let same = r#"{"MediaContainer":{"Directory":[{"key":"3"},{"key":"4","uuid":"u"},{"key":"5","uuid":"u"},
        {"key":"6","uuid":"v"},{"key":"6","uuid":"v"}]}}"#;
    let raw = Standin::answering([answer("200 OK", "", same)]);
    let libraries = client(&raw.url()).plex.libraries(Bounds::NONE).unwrap();
    let uuids: Vec<_> = libraries.iter().map(|library| library.uuid.as_str()).collect();
    assert_eq!(uuids, ["section:3", "section:4", "section:5", "v"]);
}

#[test]
fn an_event_stream_is_known_by_either_name_in_any_case() {
    let text = "Text/Event-Stream; charset=UTF-8";
    for kind in [text, "application/octet-stream", "APPLICATION/OCTET-STREAM;x=y"] {
        let (server, client) = standin(1);
        server.fault(Fault::new(Action::body(kind, "")));
        let mut told = 0;
        let listened = client.plex.events(Bounds::NONE, &mut |_| {
            told += 1;
            false
        });
        assert_eq!((listened, told), (Ok(()), 1), "{kind}");
    }
    let (server, client) = standin(1);
    server.fault(Fault::new(Action::body("text/event-streams", "")));
    let listened = client.plex.events(Bounds::NONE, &mut |_| true);
    assert_eq!(listened.unwrap_err().status, Status::NotPlex);
}

#[test]
fn a_page_asks_for_what_is_stored_and_no_more() {
    let (server, client) = standin(3);
    client.page(Rows::All, 2, 5_000).unwrap();
    let entry = server.log().remove(0);
    let begin = "/library/sections/1/all?type=1&includeGuids=1&includeCollections=0&sort=id&";
    assert!(entry.target.starts_with(begin));
    for part in ["excludeElements=Genre,", "excludeFields=summary,"] {
        assert!(entry.target.contains(part), "{}", entry.target);
    }
    let exclusions = entry.target.split("exclude").skip(1).collect::<String>();
    for kept in "Media Guid Part ratingKey guid type title year file".split(' ') {
        assert!(!exclusions.split([',', '=', '&']).any(|name| name == kept), "{kept}");
    }
    let header = |name: &str| entry.headers.get(name).map(String::as_str);
    assert_eq!(header("accept"), Some("application/json"));
    // The server is on this machine.
    assert_eq!(header("accept-encoding"), Some("identity"));
    assert_eq!(header("cache-control"), Some("no-cache"));
    assert_eq!(header("x-plex-container-start"), Some("2"));
    assert_eq!(header("x-plex-container-size"), Some("1000"));
    assert_eq!(header("x-plex-client-identifier"), Some("plexindex-of-the-tests"));
    assert_eq!(header("x-plex-product"), Some("plexindex"));
    assert_eq!(header("x-plex-pms-api-version"), None);
    assert!(entry.token_in_header && !entry.token_in_query);
    assert!(!entry.target.contains(TOKEN));
}

#[test]
fn deltas_and_questions_are_told_apart() {
    let (server, client) = standin(30);
    let film = ItemSpec::file("Ruhm & Ehre? 100 %", "/data/movies/a+b #1; é.mkv");
    server.alter(|state| state.add_items(1, vec![film], true));
    let (_, newest) = client.page(Rows::NewestUpdated, 0, 1).unwrap();
    assert_eq!(newest[0].title, "Ruhm & Ehre? 100 %");
    let (_, by_title) = client.page(Rows::Title("& Ehre? 100 %"), 0, 10).unwrap();
    assert_eq!(by_title, newest);
    let (_, by_name) = client.page(Rows::FileName("a+b #1; é.mkv"), 0, 10).unwrap();
    assert_eq!(by_name, newest);
    let kinds = [RequestKind::Delta, RequestKind::FindPath];
    assert_eq!(kinds.map(|kind| client.count_of(kind)), [1, 2]);
    let sorts = server.log().into_iter().map(|entry| entry.target.contains("At:desc"));
    assert_eq!(sorts.collect::<Vec<_>>(), [true, false, false]);
}

#[test]
fn a_server_that_ignores_paging_is_read_to_its_end() {
    // Some 13 MB.
    let (server, client) = standin(10_000);
    let ignored = ["X-Plex-Container-Start", "excludeElements", "excludeFields"];
    server.fault(Fault::new(Action::ignore(&ignored)).times(0));
    let (end, items) = client.page(Rows::All, 4_000, 1_000).unwrap();
    assert_eq!((end.rows, items.len()), (10_000, 10_000));
    assert_ne!(end.offset, Some(4_000));
    assert_eq!(client.bytes(), server.stats().bytes);
    client.page(Rows::All, 0, 1).unwrap();
    assert_eq!(server.stats().connections, 1);
}

#[test]
fn shows_are_read_to_their_end_with_their_ids() {
    let shows = LibrarySpec::shows(200).plain();
    let server = Standin::builder().token(TOKEN).library(shows).serve();
    server.config(|config| config.max_page = Some(2));
    let client = client(&server.url());
    let library = client.plex.libraries(Bounds::NONE).unwrap().remove(0);
    let shows = client.plex.shows(&library, Bounds::NONE).unwrap().unwrap();
    let keys: Vec<&str> = shows.iter().map(|show| show.rating_key.as_str()).collect();
    assert!(keys.len() > 2 && keys.is_sorted(), "{keys:?}");
    assert!(shows.iter().all(|show| show.guid.starts_with("plex://show/")));
    assert!(shows.iter().all(|show| show.guids.len() == 3));
    assert_eq!(
        client.count() - 1,
        keys.len() as u64 - 1,
        "a page begins with the last row of the page before"
    );
}

#[test]
fn headers_stand_in_for_missing_numbers() {
    let (server, client) = standin(30);
    server.fault(Fault::new(Action::omit(&["offset", "totalSize"])));
    let (end, _) = client.page(Rows::All, 10, 10).unwrap();
    assert_eq!((end.rows, end.total, end.offset), (10, Some(30), Some(10)));
}

/// A proxy may answer with what it has of a request for another library.
#[test]
fn rows_of_another_library_are_no_answer() {
    for (container, rows, is_answer) in [
        ("", r#"{"ratingKey":"1"},{"ratingKey":"2","librarySectionID":1}"#, true),
        (
            r#""librarySectionID":"1","#,
            r#"{"ratingKey":"1"},{"ratingKey":"2"}"#,
            true,
        ),
        (
            r#""librarySectionID":2,"#,
            r#"{"ratingKey":"1"},{"ratingKey":"2"}"#,
            false,
        ),
        ("", r#"{"ratingKey":"1"},{"ratingKey":"2","librarySectionID":2}"#, false),
    ] {
        let body = format!(r#"{{"MediaContainer":{{{container}"Metadata":[{rows}]}}}}"#);
        let raw = Standin::answering([answer("200 OK", "", &body)]);
        let mut items = Vec::new();
        let result = client(&raw.url()).plex.fetch_rows(&PAGE, Bounds::NONE, &mut items);
        assert_eq!(items.len(), if is_answer { 2 } else { 0 }, "{body}");
        let status = result.map_or_else(|error| error.status, |_| Status::Ok);
        let expected = if is_answer { Status::Ok } else { Status::BadAnswer };
        assert_eq!(status, expected, "{body}");
    }
}

#[test]
fn the_trash_is_listed_in_pages() {
    let (server, client) = standin(9);
    let library = &client.plex.libraries(Bounds::NONE).unwrap()[0];
    let keys: Vec<u64> = server.paths(1).iter().map(|(key, _)| *key).collect();
    for key in &keys[3..6] {
        server.change(|state| state.set_missing(*key, true)).unwrap();
    }
    let (mut trash, mut position) = (Vec::new(), Some(0));
    while let Some(next) = position {
        let request = rows_of(library, 0, next, 2);
        position = client.plex.trash(&request, Bounds::NONE, &mut trash).unwrap().next;
    }
    let listed = trash.iter().filter(|item| item.trashed && item.parts.len() == 1);
    let listed: Vec<u64> = listed.map(|item| item.rating_key.parse().unwrap()).collect();
    assert_eq!(listed, keys[3..6]);
    assert_eq!(server.stats().of(Kind::Sections) + 2, server.log().len() as u64);
}

#[test]
fn a_fork_leaves_the_connections_behind() {
    let (server, client) = standin(5);
    client.page(Rows::All, 0, 5).unwrap();
    client.page(Rows::All, 0, 5).unwrap();
    assert_eq!(server.stats().connections, 1);
    client.plex.after_fork();
    client.page(Rows::All, 0, 5).unwrap();
    assert_eq!(server.stats().connections, 2);
}

#[test]
fn a_client_that_is_gone_holds_no_connection() {
    let (server, client) = standin(5);
    client.page(Rows::All, 0, 5).unwrap();
    assert_eq!(server.open_connections(), 1);
    drop(client);
    while server.open_connections() > 0 {
        std::thread::yield_now();
    }
}
