//! Events: from what the server tells, or the host received, to the next lookup's answer, with the request count.

#![allow(unsafe_code)] // fork, and a queue of no length, have no safe door

#[cfg(unix)]
use std::net::{TcpListener, TcpStream};
#[cfg(unix)]
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::support::index::{
    Deadline, DebounceIntervals, Edit, EditReport, Index, Library, ManualClock, Match, QueryOptions,
};
use crate::support::{clock, movies, open, options, path_of, requests};
use plexindex::error::Status;
use plexindex::options::Options;
use plexindex::source::plex::PlexHttp;
use plexindex::source::{FieldChange, Lock, Source};
use plexindex_standin::{Action, Event, Fault, ItemSpec, ItemType, Kind, Standin};
use serde_json::json;

/// As fast as a test wants it; apart from that as it is.
fn quick() -> DebounceIntervals {
    DebounceIntervals {
        quiet_ms: 20,
        apart_ms: 0,
        settle_ms: 100,
        ..DebounceIntervals::default()
    }
}

fn until(what: &str, mut done: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !done() {
        assert!(begun.elapsed() < Duration::from_secs(30), "waited in vain until {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn library(index: &Index) -> Library {
    index.library("Movies").expect("a handle")
}

fn ask(index: &Index, path: &str) -> Match {
    library(index).match_path(path.as_bytes()).expect("an answer")
}

fn key_of(found: &Match) -> Option<&str> {
    found.item.as_ref().map(|found| found.item.rating_key.as_str())
}

/// Whether the library of movies would be answered without asking the server.
fn is_fresh(index: &Index) -> bool {
    let offline = QueryOptions {
        offline: true,
        ..QueryOptions::default()
    };
    let json = index.libraries_json(&offline).expect("the libraries");
    json.contains("\"fresh\":true")
}

fn until_hinted(index: &Index) {
    until("the event is noted", || !is_fresh(index));
}

/// A server with 30 movies, and an index that has them all and is told of changes.
struct Watched {
    server: Standin,
    index: Index,
    clock: Arc<ManualClock>,
    folder: tempfile::TempDir,
}

fn watched() -> Watched {
    watched_at(quick())
}

fn watched_at(intervals: DebounceIntervals) -> Watched {
    let server = movies(30);
    let folder = tempfile::tempdir().expect("a folder");
    let clock = clock();
    let index = open(options(&server, folder.path()), &clock);
    let (path, _) = path_of(&server, 1, 0);
    assert_eq!(ask(&index, &path).status, Status::Ok);
    assert!(is_fresh(&index));
    index.watch_start_at(intervals).expect("watching");
    until("it listens", || server.listeners() == 1);
    // What happened before was not told: one probe, and all is as before.
    until_hinted(&index);
    server.reset();
    assert_eq!(ask(&index, &path).status, Status::Ok);
    assert_eq!(requests(&server), [0, 1, 0, 0, 0, 1]);
    assert!(is_fresh(&index));
    server.reset();
    Watched {
        server,
        index,
        clock,
        folder,
    }
}

/// What is new costs: a probe, a page newest added, a page newest updated.
const MERGED: [u64; 6] = [0, 1, 2, 0, 0, 3];
/// What a probe costs.
const PROBED: [u64; 6] = [0, 1, 0, 0, 0, 1];
/// What asking for one item costs.
const CONFIRMED: [u64; 6] = [0, 0, 0, 0, 1, 1];
const NOTHING: [u64; 6] = [0; 6];

fn new_movie() -> ItemSpec {
    ItemSpec::file("A New One", "/data/movies/A New One (2026)/A New One.mkv")
}

const NEW: &str = "/data/movies/A New One (2026)/A New One.mkv";

#[test]
fn a_created_item_is_found() {
    let w = watched();
    w.server
        .change(|state| state.add_items(1, vec![new_movie()], true))
        .expect("added");
    until_hinted(&w.index);
    assert_eq!(ask(&w.index, NEW).status, Status::Ok);
    assert_eq!(requests(&w.server), MERGED);
    assert_eq!(ask(&w.index, NEW).status, Status::Ok);
    assert_eq!(requests(&w.server), MERGED, "and nothing more");
}

#[test]
fn a_created_item_is_found_although_no_clock_moved() {
    let w = watched();
    w.server
        .change(|state| {
            state.library_mut(1)?.content_clock = plexindex_standin::ContentClock::Frozen;
            state.add_items(1, vec![new_movie()], false)
        })
        .expect("added");
    until_hinted(&w.index);
    assert_eq!(ask(&w.index, NEW).status, Status::Ok);
    assert_eq!(requests(&w.server), MERGED);
    assert!(is_fresh(&w.index));
}

#[test]
fn a_deleted_item_is_asked_for_once_and_others_are_not() {
    let w = watched();
    let (gone, key) = path_of(&w.server, 1, 7);
    let (other, _) = path_of(&w.server, 1, 8);
    w.server
        .change(|state| state.remove_items(&[key.parse().expect("a number")], false))
        .expect("removed");
    let movies = library(&w.index);
    until("it is unverified", || {
        let _ = ask(&w.index, &other);
        movies.lookup_key(gone.as_bytes(), |_| ()).is_none()
    });
    assert_eq!(requests(&w.server), NOTHING);
    assert_eq!(ask(&w.index, &gone).status, Status::NotFound);
    assert_eq!(requests(&w.server), CONFIRMED);
    // The file may have become another item: one delta of what is new, and one search, by file name and by title.
    assert_eq!(ask(&w.index, &gone).status, Status::NotFound);
    assert_eq!(requests(&w.server), [0, 1, 2, 2, 1, 6]);
    assert_eq!(ask(&w.index, &gone).status, Status::NotFound);
    assert_eq!(ask(&w.index, &other).status, Status::Ok);
    assert_eq!(requests(&w.server)[5], 6, "and nothing more");
}

/// Who follows the feed asks for no path: a refresh asks for what was invalidated, however many items they are.
#[test]
fn who_waits_for_changes_hears_of_deleted_items() {
    let w = watched();
    let all = QueryOptions::default();
    let begun = w.index.changes(&all, "", false, 10).expect("a cursor").cursor;
    let keys: Vec<u64> = (7..10)
        .map(|at| path_of(&w.server, 1, at).1.parse().expect("a number"))
        .collect();
    w.server
        .change(|state| state.remove_items(&keys, false))
        .expect("removed");
    let mut token = begun;
    let mut heard = 0;
    until("they are told", || {
        let soon = QueryOptions {
            deadline: Deadline::In(Duration::from_secs(30)),
            ..QueryOptions::default()
        };
        assert_eq!(w.index.wait_for_changes(&soon, &token).expect("waited"), Status::Ok);
        assert_eq!(w.index.refresh(&all, false).expect("refreshed"), Status::Ok);
        let page = w.index.changes(&all, &token, false, 10).expect("a page");
        token = page.cursor;
        heard += page.changes.len();
        heard >= keys.len()
    });
    let [rest @ .., confirmed, _] = requests(&w.server);
    assert_eq!(rest, NOTHING[..4], "nothing is listed for it");
    assert!((1..=3).contains(&confirmed), "one for all that was told by then");
    assert_eq!(w.index.refresh(&all, false).expect("refreshed"), Status::Ok);
    assert_eq!(requests(&w.server)[4], confirmed, "they were asked for once");
}

/// What is listed is right all the same: a refresh is no failure, and asks for such items again half a minute later.
#[test]
fn a_server_that_does_not_answer_for_invalidated_items_is_left_alone_with_them() {
    let server = movies(100);
    let folder = tempfile::tempdir().expect("a folder");
    let clock = clock();
    let once = Options {
        retry_for: Duration::ZERO,
        ..options(&server, folder.path())
    };
    let index = open(once, &clock);
    let refresh = || {
        assert_eq!(
            index.refresh(&QueryOptions::default(), false).expect("refreshed"),
            Status::Ok
        );
        requests(&server)[4]
    };
    refresh();
    let movies = library(&index);
    for at in 0..70 {
        let (_, key) = path_of(&server, 1, at);
        movies.invalidate_item(&key).expect("invalidated");
    }
    server.reset();
    server.fault(
        Fault::new(Action::Status {
            status: 500,
            retry_after: None,
        })
        .on(Kind::Metadata)
        .times(0),
    );
    let asked = refresh();
    assert!(asked >= 2, "{asked}: both batches were asked for");
    assert_eq!(refresh(), asked, "not soon again");
    server.clear_faults();
    assert_eq!(refresh(), asked, "not soon again");
    clock.advance_ms(31_000);
    assert_eq!(refresh(), asked + 2);
    clock.advance_ms(31_000);
    assert_eq!(refresh(), asked + 2, "none is left");
}

#[test]
fn a_lie_about_a_deleted_item_costs_one_request() {
    let w = watched();
    let (path, key) = path_of(&w.server, 1, 7);
    let movies = library(&w.index);
    movies
        .record_matches(&[(b"/host/a.mkv", key.as_str())])
        .expect("recorded");
    let event = Event::timeline(1, key.parse().expect("a number"), ItemType::Movie, "X", 9, "deleted", 1);
    assert_eq!(w.server.push(&event), 1);
    until("it is unverified", || {
        movies.lookup_key(path.as_bytes(), |_| ()).is_none()
    });
    assert_eq!(ask(&w.index, &path).status, Status::Ok);
    assert_eq!(requests(&w.server), CONFIRMED);
    assert_eq!(key_of(&ask(&w.index, "/host/a.mkv")), Some(key.as_str()));
    assert_eq!(requests(&w.server), CONFIRMED, "what the host recorded stays");
}

#[test]
fn a_replaced_file_is_found_by_its_new_path() {
    let w = watched();
    let (old, key) = path_of(&w.server, 1, 3);
    w.server
        .change(|state| {
            let files = vec![plexindex_standin::MediaSpec::from("/data/movies/better.mkv")];
            state.set_files(key.parse().expect("a number"), files, false, false)
        })
        .expect("upgraded");
    until_hinted(&w.index);
    assert_eq!(ask(&w.index, "/data/movies/better.mkv").status, Status::Ok);
    assert_eq!(requests(&w.server), MERGED);
    assert_eq!(ask(&w.index, &old).status, Status::NotFound);
}

#[test]
fn a_scan_that_changed_nothing_costs_one_probe() {
    let w = watched();
    let activity = json!({"uuid": "u", "type": "library.update.section", "Context": {"librarySectionID": 1}});
    w.server.push(&Event::activity("started", activity.clone()));
    w.server.push(&Event::activity("ended", activity));
    until_hinted(&w.index);
    let (path, _) = path_of(&w.server, 1, 0);
    assert_eq!(ask(&w.index, &path).status, Status::Ok);
    assert_eq!(requests(&w.server), PROBED);
    assert!(is_fresh(&w.index));
}

#[test]
fn a_scan_is_noted_when_it_is_over_and_when_its_items_have_settled() {
    // Long enough to ask before they have.
    let w = watched_at(DebounceIntervals {
        settle_ms: 1_000,
        ..quick()
    });
    w.server.config(|config| config.scan_ms = 100);
    w.server
        .change(|state| state.stage_items(1, vec![new_movie()]))
        .expect("staged");
    w.server.scan(1);
    until_hinted(&w.index);
    assert_eq!(ask(&w.index, NEW).status, Status::Ok);
    assert_eq!(requests(&w.server), MERGED);
    // Whatever the listing saw of it: once it is quiet there is another probe.
    until_hinted(&w.index);
    assert_eq!(ask(&w.index, NEW).status, Status::Ok);
    assert_eq!(requests(&w.server), [0, 2, 4, 0, 0, 6]);
    assert!(is_fresh(&w.index));
}

#[test]
fn a_status_without_a_library_costs_one_probe() {
    let w = watched();
    w.server.push(&Event::status("Library scan complete", "LIBRARY_UPDATE"));
    until_hinted(&w.index);
    let (path, _) = path_of(&w.server, 1, 0);
    assert_eq!(ask(&w.index, &path).status, Status::Ok);
    assert_eq!(requests(&w.server), PROBED);
}

#[test]
fn what_concerns_no_library_costs_nothing() {
    let w = watched();
    let before = w.index.stats().expect("statistics").sequence;
    for event in [
        Event::new(
            "playing",
            json!({"PlaySessionStateNotification": {"key": "/library/metadata/1"}}),
        ),
        Event::new(
            "activity",
            json!({"ActivityNotification": {"event": "ended", "Activity": {"type": "media.generate.bif"}}}),
        ),
        Event::new(
            "timeline",
            json!({"TimelineEntry": {"identifier": "tv.plex.epg", "sectionID": 1, "itemID": 1001, "state": 5}}),
        ),
        Event::new("timeline", json!([1, 2])),
        Event::new("timeline", json!({"TimelineEntry": "?"})),
    ] {
        w.server.push(&event);
    }
    // This one is heard after all of them.
    let (_, key) = path_of(&w.server, 1, 0);
    w.server.push(&Event::timeline(
        1,
        key.parse().expect("a number"),
        ItemType::Movie,
        "X",
        9,
        "",
        1,
    ));
    until("the last is noted", || {
        w.index.stats().expect("statistics").sequence > before
    });
    assert!(is_fresh(&w.index));
    assert_eq!(w.index.stats().expect("statistics").sequence, before + 1);
}

#[test]
fn a_storm_is_a_handful_of_writes() {
    let w = watched();
    let before = w.index.stats().expect("statistics").sequence;
    for key in 0..1_000 {
        w.server
            .push(&Event::timeline(1, 5_000 + key, ItemType::Movie, "X", 0, "created", 1));
        w.server
            .push(&Event::timeline(1, 5_000 + key, ItemType::Movie, "X", 5, "", 1));
    }
    until_hinted(&w.index);
    until("it is quiet", || {
        let one = w.index.stats().expect("statistics").sequence;
        std::thread::sleep(Duration::from_millis(100));
        one == w.index.stats().expect("statistics").sequence
    });
    let stats = w.index.stats().expect("statistics");
    let writes = stats.sequence - before;
    assert!((1..=6).contains(&writes), "{writes} writes");
    // The first was that of the connection.
    assert_eq!((stats.events, stats.hints), (2_000, writes + 1));
    assert_eq!(requests(&w.server), NOTHING);
}

#[test]
fn what_happened_while_the_connection_was_lost_is_seen_after_it() {
    let w = watched();
    w.server.refuse();
    w.server.close_connections();
    until("it is lost", || {
        w.server.listeners() == 0 || {
            // The server notices when it next has something to say.
            w.server.push(&Event::new("status", json!({})));
            w.server.listeners() == 0
        }
    });
    w.server
        .change(|state| state.add_items(1, vec![new_movie()], true))
        .expect("added");
    assert!(is_fresh(&w.index), "no event told");
    w.server.reopen();
    until_hinted(&w.index);
    assert_eq!(ask(&w.index, NEW).status, Status::Ok);
    let [_, sections, pages, ..] = requests(&w.server);
    assert_eq!((sections, pages), (1, 2));
    assert_eq!(w.server.stats().of(Kind::Events), 1);
}

#[test]
fn a_server_that_ends_its_stream_is_listened_to_again_after_a_pause() {
    let w = watched();
    let begun = Instant::now();
    w.server.close_connections();
    until("it listens again", || w.server.stats().of(Kind::Events) == 1);
    assert!(begun.elapsed() > Duration::from_millis(900), "{:?}", begun.elapsed());
}

#[test]
fn a_silent_connection_is_dead() {
    let server = movies(3);
    server.config(|config| config.ping_ms = 60_000);
    let folder = tempfile::tempdir().expect("a folder");
    let choice = options(&server, folder.path());
    let index = Index::open_with(choice, clock(), |options, id, meter| {
        let plex = PlexHttp::new(options, id, meter)?.with_silence(Duration::from_millis(100));
        Ok(Arc::new(plex) as Arc<dyn Source>)
    })
    .expect("the index opens");
    index.watch_start_at(quick()).expect("watching");
    until("it connected again", || server.stats().of(Kind::Events) == 2);
}

#[test]
fn items_that_are_edited_here_are_asked_for_and_their_library_is_not() {
    let w = watched();
    let (path, key) = path_of(&w.server, 1, 3);
    let (other, _) = path_of(&w.server, 1, 4);
    let keys = [key.as_str()];
    let changes = [FieldChange::set("title", "Renamed")];
    let edit = Edit {
        keys: &keys,
        changes: &changes,
        lock: Lock::Lock,
    };
    library(&w.index)
        .edit_items(&edit, &mut EditReport::default())
        .expect("edited");
    // The server tells of the edit. This one is heard after that.
    let movies = library(&w.index);
    let (gone, gone_key) = path_of(&w.server, 1, 9);
    w.server.push(&Event::timeline(
        1,
        gone_key.parse().expect("a number"),
        ItemType::Movie,
        "X",
        9,
        "deleted",
        1,
    ));
    until("the last is noted", || {
        let _ = ask(&w.index, &other);
        movies.lookup_key(gone.as_bytes(), |_| ()).is_none()
    });
    assert!(is_fresh(&w.index));
    w.server.reset();
    assert_eq!(ask(&w.index, &path).item.expect("an item").item.title, "Renamed");
    assert_eq!(requests(&w.server), CONFIRMED);
}

#[test]
fn other_handles_on_the_store_see_what_was_told() {
    let w = watched();
    let other = open(options(&w.server, w.folder.path()), &w.clock);
    w.server
        .change(|state| state.add_items(1, vec![new_movie()], true))
        .expect("added");
    until_hinted(&other);
    assert_eq!(ask(&other, NEW).status, Status::Ok);
    assert_eq!(requests(&w.server), MERGED);
    // And what one of them fetched is the other's.
    assert_eq!(ask(&w.index, NEW).status, Status::Ok);
    assert_eq!(requests(&w.server), MERGED);
}

#[test]
fn a_hint_that_comes_during_a_probe_is_not_disproved_by_it() {
    let w = watched();
    let (path, _) = path_of(&w.server, 1, 0);
    let told = br#"{"TimelineEntry":{"sectionID":1,"state":5}}"#;
    w.index.notify(told).expect("noted");
    w.server
        .fault(Fault::new(Action::Delay { ms: 300 }).on(Kind::Sections).times(1));
    std::thread::scope(|scope| {
        scope.spawn(|| ask(&w.index, &path));
        until("the probe is under way", || w.server.stats().of(Kind::Sections) == 1);
        w.index.notify(told).expect("noted");
    });
    assert_eq!(ask(&w.index, &path).status, Status::Ok);
    assert!(w.server.stats().of(Kind::Sections) > 1, "probed again");
    assert!(is_fresh(&w.index));
}

#[test]
fn what_was_told_last_is_noted_when_it_stops() {
    let w = watched();
    w.index.watch_stop();
    w.index
        .watch_start_at(DebounceIntervals {
            quiet_ms: 60_000,
            ..quick()
        })
        .expect("watching");
    until("it listens", || w.server.stats().of(Kind::Events) == 1);
    until_hinted(&w.index);
    let (path, _) = path_of(&w.server, 1, 0);
    ask(&w.index, &path);
    let events = || w.index.stats().expect("statistics").events;
    let before = events();
    w.server
        .change(|state| state.add_items(1, vec![new_movie()], true))
        .expect("added");
    until("it is heard", || events() > before);
    assert!(is_fresh(&w.index), "not yet");
    w.index.watch_stop();
    assert!(!is_fresh(&w.index), "now it is");
    assert_eq!(ask(&w.index, NEW).status, Status::Ok);
}

/// How long a watch takes to stop; it must be less than a second.
fn stops_quickly(index: Index) {
    let begun = Instant::now();
    index.watch_stop();
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
    index.watch_start_at(quick()).expect("watching once more");
    std::thread::sleep(Duration::from_millis(20)); // wherever it is by then
    let begun = Instant::now();
    index.close().expect("closed");
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
}

#[test]
fn it_stops_within_a_second_while_a_connected_server_is_silent() {
    let w = watched();
    stops_quickly(w.index);
    until("the server hears that the connection has ended", || {
        w.server.push(&Event::new("status", json!({})));
        w.server.listeners() == 0
    });
}

#[test]
fn it_stops_within_a_second_while_a_server_owes_its_answer() {
    let server = movies(3);
    server.fault(Fault::new(Action::Delay { ms: 60_000 }).on(Kind::Events).times(0));
    let folder = tempfile::tempdir().expect("a folder");
    let index = open(options(&server, folder.path()), &clock());
    index.watch_start_at(quick()).expect("watching");
    until("it asked", || server.stats().of(Kind::Events) == 1);
    stops_quickly(index);
}

#[test]
fn it_stops_within_a_second_while_no_server_can_be_reached() {
    // A port without a listener; a network that swallows what is sent to it.
    for url in ["http://127.0.0.1:1", "http://192.0.2.1:32400"] {
        let folder = tempfile::tempdir().expect("a folder");
        let choice = Options {
            cache_dir: folder.path().to_owned(),
            server_url: Some(url.to_owned()),
            ..Options::default()
        };
        let index = open(choice, &clock());
        index.watch_start_at(quick()).expect("watching");
        stops_quickly(index);
    }
}

#[cfg(unix)]
#[test]
fn it_stops_within_a_second_while_a_connection_is_made() {
    // One that accepts no more, so that making a connection lasts until one side gives up; and one that never answers, in
    // the clear and where TLS is to be spoken.
    let full = TcpListener::bind("127.0.0.1:0").expect("a port");
    // SAFETY: a plain call on a socket of our own.
    assert_eq!(unsafe { libc::listen(full.as_raw_fd(), 0) }, 0);
    let full_at = full.local_addr().expect("an address");
    let waiting: Vec<_> = (0..4)
        .map_while(|_| TcpStream::connect_timeout(&full_at, Duration::from_millis(200)).ok())
        .collect();
    assert!(waiting.len() < 4, "the queue is full");
    let silent = TcpListener::bind("127.0.0.1:0").expect("a port");
    let silent_at = silent.local_addr().expect("an address");
    for url in [
        format!("http://{full_at}"),
        format!("http://{silent_at}"),
        format!("https://{silent_at}"),
    ] {
        let folder = tempfile::tempdir().expect("a folder");
        let choice = Options {
            cache_dir: folder.path().to_owned(),
            server_url: Some(url),
            ..Options::default()
        };
        let index = open(choice, &clock());
        index.watch_start_at(quick()).expect("watching");
        std::thread::sleep(Duration::from_millis(50)); // on its way
        stops_quickly(index);
    }
}

#[test]
fn other_answers_than_a_stream_are_tried_again_and_do_no_harm() {
    for action in [
        Action::LoginPage,
        Action::Status {
            status: 404,
            retry_after: None,
        },
        Action::Drop,
        Action::Garbage,
    ] {
        let server = movies(3);
        server.fault(Fault::new(action).on(Kind::Events).times(1));
        let folder = tempfile::tempdir().expect("a folder");
        let index = open(options(&server, folder.path()), &clock());
        index.watch_start_at(quick()).expect("watching");
        until("it listens", || server.listeners() == 1);
        assert_eq!(server.stats().of(Kind::Events), 2);
    }
}

#[test]
fn starting_twice_is_one_watch_and_stopping_twice_is_fine() {
    let w = watched();
    w.index.watch_start().expect("watching already");
    assert_eq!(w.server.listeners(), 1);
    w.index.watch_stop();
    w.index.watch_stop();
    w.index.watch_start_at(quick()).expect("watching again");
    until("it listens", || w.server.stats().of(Kind::Events) == 1);
    // Fetching goes on meanwhile, over connections of its own.
    w.index.refresh(&QueryOptions::default(), true).expect("listed");
    assert_eq!(w.server.stats().of(Kind::Events), 1);
    drop(w.index); // without a word
}

#[test]
fn without_a_server_a_watch_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let index = Index::open(Options {
        cache_dir: folder.path().to_owned(),
        ..Options::default()
    })
    .expect("the index opens");
    let error = index.watch_start().expect_err("no server");
    assert_eq!(error.status, Status::Offline);
    assert!(error.message.contains("server_url"), "{error}");
}

#[test]
fn the_token_goes_into_the_header_and_the_request_counts_once() {
    let w = watched();
    let stats = w.index.stats().expect("statistics");
    assert_eq!(stats.requests[plexindex::source::RequestKind::Events as usize], 1);
    w.index.watch_stop();
    w.index.watch_start_at(quick()).expect("watching");
    until("it listens", || w.server.stats().of(Kind::Events) == 1);
    let log = w.server.log();
    let entry = log.iter().find(|entry| entry.kind == Kind::Events).expect("a request");
    assert!(entry.token_in_header && !entry.token_in_query);
    assert_eq!(
        entry.target,
        "/:/eventsource/notifications?filters=timeline,activity,status"
    );
}

#[cfg(unix)]
#[test]
fn a_child_of_a_fork_does_not_watch_and_may_begin_to() {
    let w = watched();
    let (path, key) = path_of(&w.server, 1, 7);
    // SAFETY: the child ends with `_exit`, whatever happens.
    let child = unsafe { libc::fork() };
    if child == 0 {
        let work = || {
            if key_of(&ask(&w.index, &path)) != Some(key.as_str()) {
                return 1;
            }
            // Neither waits for a thread that is not there.
            w.index.watch_stop();
            if w.index.watch_start_at(quick()).is_err() {
                return 2;
            }
            until("the child listens", || w.server.stats().of(Kind::Events) <= 1);
            w.index.watch_stop();
            0
        };
        let code = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work)).unwrap_or(99);
        // SAFETY: as above.
        unsafe { libc::_exit(code) };
    }
    let mut state = 0;
    until("the child ended", || {
        // SAFETY: plain calls on a child of our own.
        unsafe { libc::waitpid(child, &raw mut state, libc::WNOHANG) == child }
    });
    assert!(libc::WIFEXITED(state) && libc::WEXITSTATUS(state) == 0, "{state}");
    // The parent still watches.
    w.server
        .change(|state| state.add_items(1, vec![new_movie()], true))
        .expect("added");
    until_hinted(&w.index);
    assert_eq!(ask(&w.index, NEW).status, Status::Ok);
}

/// What the host received, and what the next lookup costs then.
fn notified(body: &[u8]) -> [u64; 6] {
    let server = movies(30);
    let folder = tempfile::tempdir().expect("a folder");
    let index = open(options(&server, folder.path()), &clock());
    let (path, _) = path_of(&server, 1, 0);
    ask(&index, &path);
    server.reset();
    index.notify(body).expect("understood");
    assert_eq!(requests(&server), NOTHING, "the server is not asked yet");
    assert_eq!(ask(&index, &path).status, Status::Ok);
    let seen = requests(&server);
    ask(&index, &path);
    assert_eq!(requests(&server), seen, "once");
    seen
}

const HOOK: &str = r#"{"event":"library.new","user":false,"owner":true,"Server":{"title":"Home","uuid":"5a4d1e8f0c6b4792a3d8e1f5b7c09d2468ace013"},"Metadata":{"librarySectionType":"movie","ratingKey":"108","librarySectionID":1,"type":"movie","title":"X","addedAt":1579478991}}"#;

#[test]
fn webhooks_and_notifications_that_the_host_received_are_understood() {
    let part = |name: &str, body: &str| {
        format!("--b0undary\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{body}\r\n")
    };
    let form = format!(
        "{}{}--b0undary--\r\n",
        part("thumb", "\u{1}jpeg"),
        part("payload", HOOK)
    );
    assert_eq!(notified(HOOK.as_bytes()), MERGED);
    assert_eq!(notified(form.as_bytes()), MERGED);
    // The first movie of the stand-in has this key: what it is now has to be asked for.
    let deleted = r#"{"NotificationContainer":{"type":"timeline","size":1,"TimelineEntry":[{"identifier":"com.plexapp.plugins.library","sectionID":"1","itemID":"1001","type":1,"state":9,"metadataState":"deleted"}]}}"#;
    assert_eq!(notified(deleted.as_bytes()), CONFIRMED);
    let unknown = deleted.replace("1001", "999999");
    assert_eq!(notified(unknown.as_bytes()), PROBED);
    let changed = deleted.replace("\"state\":9,\"metadataState\":\"deleted\"", "\"state\":5");
    assert_eq!(notified(changed.as_bytes()), MERGED);
    let elsewhere = changed.replace("\"sectionID\":\"1\"", "\"sectionID\":\"77\"");
    assert_eq!(notified(elsewhere.as_bytes()), PROBED, "a library that is new");
    let scan = r#"{"ActivityNotification":{"event":"ended","uuid":"2f","Activity":{"type":"library.update.section","progress":100,"Context":{"librarySectionID":"1"}}}}"#;
    assert_eq!(notified(scan.as_bytes()), PROBED);
    let status = r#"{"NotificationContainer":{"type":"status","size":1,"StatusNotification":[{"notificationName":"LIBRARY_UPDATE"}]}}"#;
    assert_eq!(notified(status.as_bytes()), PROBED);
    for nothing in [
        r#"{"event":"media.play","Metadata":{"librarySectionID":1,"ratingKey":"1001"}}"#,
        r#"{"PlaySessionStateNotification":{"state":"playing"}}"#,
    ] {
        assert_eq!(notified(nothing.as_bytes()), NOTHING, "{nothing}");
    }
}

#[test]
fn a_webhook_of_another_server_costs_nothing() {
    let ours = "5a4d1e8f0c6b4792a3d8e1f5b7c09d2468ace013";
    let other = HOOK.replace(ours, "0000000000000000000000000000000000000000");
    assert_eq!(notified(other.as_bytes()), NOTHING);
    // No server of Plex is called so, and none of these is ours.
    for odd in ["x".repeat(65), "-1".to_owned(), "a\\u0000b".to_owned()] {
        assert_eq!(notified(HOOK.replace(ours, &odd).as_bytes()), NOTHING, "{odd}");
    }
    let form = format!("--b\r\nContent-Disposition: form-data; name=\"payload\"\r\n\r\n{other}\r\n--b--\r\n");
    assert_eq!(notified(form.as_bytes()), NOTHING);
    for nameless in [
        HOOK.replace(&format!(r#","uuid":"{ours}""#), ""),
        HOOK.replace(ours, ""),
        HOOK.replace(ours, &ours.to_uppercase()),
    ] {
        assert_eq!(notified(nameless.as_bytes()), MERGED, "{nameless}");
    }
}

#[test]
fn a_body_that_is_neither_is_refused_with_what_to_give() {
    let server = movies(3);
    let folder = tempfile::tempdir().expect("a folder");
    let index = open(options(&server, folder.path()), &clock());
    for (body, word) in [
        (&b""[..], "payload"),
        (b"payload=%7B%7D", "payload"),
        (b"{", "not a JSON object"),
        (b"{\"a\":1}", "NotificationContainer"),
        (b"\xff\xfe", "payload"),
        (&vec![b' '; (16 << 20) + 1], "16 MiB"),
    ] {
        let error = index.notify(body).expect_err("refused");
        assert_eq!(error.status, Status::InvalidArgument);
        assert!(error.message.contains(word), "{error}");
    }
    // Nothing is known yet, so nothing can be out of date.
    index.notify(HOOK.as_bytes()).expect("understood");
    assert_eq!(requests(&server), NOTHING);
}
