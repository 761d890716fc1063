//! Events: from what the server tells, or the host received, to the next lookup's answer, with the request count.

#![allow(unsafe_code)] // fork, and a queue of no length, have no safe door

mod watch;

#[cfg(unix)]
use std::net::{TcpListener, TcpStream};
#[cfg(unix)]
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::support::Scene;
use crate::support::hooked;
use crate::support::index::{Ask as _, DebounceIntervals, Index, Match};
use crate::support::quick;
use crate::support::worker::{PATIENCE, until};
use crate::support::{clock, open, path_of, requests};
use plexindex::error::Status;
use plexindex::model::{Confidence, MatchKind};
use plexindex::options::Options;
use plexindex::source::Source;
use plexindex::source::plex::PlexHttp;
use plexindex::{Notified, WaitOutcome};
use plexindex_standin::{Action, Event, Fault, ItemSpec, ItemType, Kind, LibrarySpec, Standin};
use serde_json::json;

fn ask(index: &Index, path: &str) -> Match {
    index.movies().ask(path)
}

/// Whether the library of movies would be answered without asking the server.
fn is_fresh(index: &Index) -> bool {
    let offline = index.query().offline();
    offline.libraries().expect("the libraries")[0].fresh
}

fn until_hinted(index: &Index) {
    until("the event is noted", || !is_fresh(index));
}

/// A server with 30 movies, and an index that has them all and is told of changes.
struct Watched {
    at: Scene,
    index: Index,
}

fn watched() -> Watched {
    watched_at(quick())
}

fn watched_at(intervals: DebounceIntervals) -> Watched {
    let at = Scene::movies(30);
    let (path, _) = path_of(&at.server, 1, 0);
    let index = at.open();
    assert_eq!(ask(&index, &path).status, Status::Ok);
    assert!(is_fresh(&index));
    index.watch_start(intervals).expect("watching");
    until("it listens", || at.server.listeners() == 1);
    // What happened before was not told: one probe, and all is as before.
    until_hinted(&index);
    at.server.reset();
    assert_eq!(ask(&index, &path).status, Status::Ok);
    assert_eq!(requests(&at.server), [0, 1, 0, 0, 0, 1]);
    assert!(is_fresh(&index));
    at.server.reset();
    Watched { at, index }
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
fn a_created_item_is_found_although_no_clock_moved() {
    let w = watched();
    w.at.server.alter(|state| {
        state.library_mut(1)?.is_content_frozen = true;
        state.add_items(1, vec![new_movie()], false)
    });
    until_hinted(&w.index);
    assert_eq!(ask(&w.index, NEW).status, Status::Ok);
    assert_eq!(requests(&w.at.server), MERGED);
    assert!(is_fresh(&w.index));
}

#[test]
fn a_deleted_item_is_asked_for_once_and_others_are_not() {
    let w = watched();
    let (gone, key) = path_of(&w.at.server, 1, 7);
    let (other, _) = path_of(&w.at.server, 1, 8);
    w.at.server
        .alter(|state| state.remove_items(&[key.parse().expect("a number")], false));
    let movies = w.index.movies();
    until("it is unverified", || {
        let _ = ask(&w.index, &other);
        movies.lookup_key(gone.as_bytes(), |_| ()).is_none()
    });
    assert_eq!(requests(&w.at.server), NOTHING);
    assert_eq!(ask(&w.index, &gone).status, Status::NotFound);
    assert_eq!(requests(&w.at.server), CONFIRMED);
    // The file may have become another item: one delta of what is new, and one search, by file name and by title.
    assert_eq!(ask(&w.index, &gone).status, Status::NotFound);
    assert_eq!(requests(&w.at.server), [0, 1, 2, 2, 1, 6]);
    assert_eq!(ask(&w.index, &gone).status, Status::NotFound);
    assert_eq!(ask(&w.index, &other).status, Status::Ok);
    assert_eq!(requests(&w.at.server)[5], 6, "and nothing more");
}

/// A disk was unmounted and comes back: the item returns with its key, and so does its match.
#[test]
fn a_recorded_match_waits_for_its_deleted_item() {
    let w = watched();
    let (path, key) = path_of(&w.at.server, 1, 7);
    let number = key.parse().expect("a number");
    let recorded = "/mnt/recorded.mkv";
    let movies = w.index.movies();
    movies.record(recorded, &key);
    assert_eq!(ask(&w.index, recorded).key().as_ref(), Some(&key));
    w.at.server.alter(|state| state.remove_items(&[number], false));
    until("it is unverified", || {
        movies.lookup_key(path.as_bytes(), |_| ()).is_none()
    });
    assert_eq!(ask(&w.index, &path).status, Status::NotFound);
    assert_ne!(ask(&w.index, recorded).status, Status::Ok);
    let back = ItemSpec {
        rating_key: Some(number),
        ..ItemSpec::file("It comes back", &path)
    };
    w.at.server.alter(|state| state.add_items(1, vec![back], true));
    until("it is back", || ask(&w.index, &path).key().as_ref() == Some(&key));
    let found = ask(&w.index, recorded);
    assert_eq!((found.match_kind, found.key()), (MatchKind::Confirmed, Some(key)));
}

/// Who follows the feed asks for no path: a refresh asks for what was invalidated, however many items they are.
#[test]
fn who_waits_for_changes_hears_of_deleted_items() {
    let w = watched();
    let all = w.index.query();
    let begun = all.changes_page("", false, 10).expect("a cursor").cursor;
    let key = |at| path_of(&w.at.server, 1, at).1.parse().expect("a number");
    let keys: Vec<u64> = (7..10).map(key).collect();
    w.at.server.alter(|state| state.remove_items(&keys, false));
    let mut token = begun;
    let mut heard = 0;
    until("they are told", || {
        let soon = w.index.query().timeout(Duration::from_secs(30));
        assert_eq!(soon.wait_for_changes(&token), Ok(WaitOutcome::Something));
        assert_eq!(all.refreshed(false).expect("refreshed"), Status::Ok);
        let page = all.changes_page(&token, false, 10).expect("a page");
        token = page.cursor;
        heard += page.changes.len();
        heard >= keys.len()
    });
    let [rest @ .., confirmed, _] = requests(&w.at.server);
    assert_eq!(rest, NOTHING[..4], "nothing is listed for it");
    assert!((1..=3).contains(&confirmed), "one for all that was told by then");
    assert_eq!(all.refreshed(false).expect("refreshed"), Status::Ok);
    assert_eq!(requests(&w.at.server)[4], confirmed, "they were asked for once");
}

/// What the host received, and what the next lookup costs then.
fn notified(body: &[u8]) -> [u64; 6] {
    let at = Scene::movies(30);
    let index = at.open();
    let (path, _) = path_of(&at.server, 1, 0);
    ask(&index, &path);
    at.server.reset();
    index.notify(body).expect("understood");
    assert_eq!(requests(&at.server), NOTHING, "the server is not asked yet");
    assert_eq!(ask(&index, &path).status, Status::Ok);
    let seen = requests(&at.server);
    ask(&index, &path);
    assert_eq!(requests(&at.server), seen, "once");
    seen
}

const HOOK: &str = r#"{"event":"library.new","user":false,"owner":true,"Server":{"title":"Home","uuid":"5a4d1e8f0c6b4792a3d8e1f5b7c09d2468ace013"},"Metadata":{"librarySectionType":"movie","ratingKey":"108","librarySectionID":1,"type":"movie","title":"X","addedAt":1579478991}}"#;

#[test]
fn what_the_host_received_leads_to_the_request_that_it_needs() {
    let ours = "5a4d1e8f0c6b4792a3d8e1f5b7c09d2468ace013";
    let part = |name: &str, body: &str| {
        format!("--b0undary\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{body}\r\n")
    };
    let (thumb, payload) = (part("thumb", "\u{1}jpeg"), part("payload", HOOK));
    let form = format!("{thumb}{payload}--b0undary--\r\n");
    // The first movie of the stand-in has this key: what it is now has to be asked for.
    let deleted = r#"{"NotificationContainer":{"type":"timeline","size":1,"TimelineEntry":[{"identifier":"com.plexapp.plugins.library","sectionID":"1","itemID":"1001","type":1,"state":9,"metadataState":"deleted"}]}}"#;
    for (body, requests) in [
        (HOOK.to_owned(), MERGED),
        (form, MERGED),
        (HOOK.replace(ours, ""), MERGED),
        (HOOK.replace(ours, &ours.to_uppercase()), MERGED),
        (HOOK.replace(ours, "0000000000000000000000000000000000000000"), NOTHING),
        (HOOK.replace(ours, "a\\u0000b"), NOTHING),
        (deleted.to_owned(), CONFIRMED),
        (deleted.replace("1001", "999999"), PROBED),
        (deleted.replace("\"sectionID\":\"1\"", "\"sectionID\":\"77\""), PROBED),
        (HOOK.replace("library.new", "media.play"), NOTHING),
    ] {
        assert_eq!(notified(body.as_bytes()), requests, "{body}");
    }
}

/// Radarr renames each file of a large library, and tells so before or after Plex has scanned.
#[test]
fn a_program_that_renames_a_thousand_files_causes_few_requests() {
    for is_scanned_first in [true, false] {
        // However busy the machine is, no query is answered before its request.
        let at = Scene::movies(1_000).with(|options| options.stale_answer_timeout = PATIENCE);
        let index = at.open();
        let paths = at.server.paths(1).into_iter();
        let files: Vec<(String, String, u64)> = paths
            .map(|(key, old)| (old.expect("a file"), key))
            .map(|(old, key)| (old.replace(".mkv", " (1080p).mkv"), old, key))
            .collect();
        assert_eq!(ask(&index, &files[0].1).status, Status::Ok);
        let scan = || {
            for (new, old, key) in &files {
                at.server.alter(|state| state.rename_file(*key, old, new));
            }
            at.server.alter(|state| state.scan(1));
        };
        if is_scanned_first {
            scan();
        }
        at.server.reset();
        let renamed: Vec<_> = files
            .iter()
            .map(|(new, old, _)| json!({"previousPath": old, "path": new}))
            .collect();
        let body =
            json!({"eventType": "Rename", "movie": {"folderPath": "/data/movies"}, "renamedMovieFiles": renamed});
        index.notify(body.to_string()).expect("an event");
        assert_eq!(requests(&at.server), NOTHING, "the call itself asks nothing");
        assert!(!is_fresh(&index));
        for (_, old, _) in &files {
            let _ = ask(&index, old);
        }
        if !is_scanned_first {
            scan();
            at.clock.advance_ms(31_000);
        }
        for (new, old, key) in &files {
            assert_eq!(ask(&index, new).key(), Some(key.to_string()), "{new}");
            let found = ask(&index, old);
            assert!(found.confidence != Confidence::High || found.stale, "{old}");
        }
        let total = requests(&at.server)[5];
        assert!(total <= 30, "{total} requests, scanned first: {is_scanned_first}");
    }
}

/// Sonarr replaces a file, deletes another, and tells of files that no library has.
#[test]
fn a_program_that_replaces_a_file_leads_to_its_new_path() {
    let at = Scene::movies(30);
    let index = at.open();
    let (old, key) = path_of(&at.server, 1, 3);
    let (other, _) = path_of(&at.server, 1, 4);
    assert_eq!(ask(&index, &old).status, Status::Ok);
    let new = old.replace(".mkv", " (2160p).mkv");
    at.server
        .alter(|state| state.rename_file(key.parse().expect("a number"), &old, &new));
    at.server.reset();
    let body = json!({"eventType": "Download", "isUpgrade": true, "movieFile": {"path": new}, "deletedFiles": [{"path": old}]});
    index.notify(body.to_string()).expect("an event");
    assert_eq!(ask(&index, &old).status, Status::NotFound);
    assert_eq!(ask(&index, &new).key(), Some(key));
    assert_eq!(ask(&index, &other).status, Status::Ok);
    assert!(is_fresh(&index));
    at.server.reset();
    let elsewhere = json!({"eventType": "Download", "movieFile": {"path": "/other/film.mkv"}});
    for ignored in [elsewhere, json!({"eventType": "Test"})] {
        let told = index.notify(ignored.to_string()).expect("an event");
        assert_eq!(told, Notified::NothingNew);
    }
    assert!(is_fresh(&index));
}

/// A folder of a library can be below one of another library.
#[test]
fn an_event_about_a_file_is_one_of_each_library_that_has_its_folder() {
    let all = LibrarySpec::movies(10).locations(["/data/all"]).plain();
    let kids = LibrarySpec::movies(10).title("Kids").key(2).seed(2);
    let kids = kids.locations(["/data/all/kids"]).plain();
    let at = Scene::of(Standin::builder().library(all).library(kids).serve());
    let index = at.open();
    at.list(&index);
    let kids = index.library("Kids").expect("a handle");
    let (old, key) = path_of(&at.server, 2, 3);
    let new = old.replace(".mkv", " (2160p).mkv");
    at.server
        .alter(|state| state.rename_file(key.parse().expect("a number"), &old, &new));
    let body = json!({"eventType": "Rename", "renamedMovieFiles": [{"path": new, "previousPath": old}]});
    index.notify(body.to_string()).expect("an event");
    assert_eq!(kids.ask(&old).status, Status::NotFound);
    assert_eq!(kids.ask(&new).key(), Some(key));
}

/// Such as one that a watch gets when it connects.
#[test]
fn a_refresh_asks_once_more_for_an_event_that_came_meanwhile() {
    let at = Scene::movies(30);
    let other = at.listed().0;
    let index = hooked::interrupted(&at, "libraries", move || {
        other.notify(r#"{"event":"library.new"}"#).expect("an event");
    });
    at.clock.advance_ms(7_200_000);
    at.server.reset();
    assert_eq!(index.movies().query().refreshed(false).expect("refreshed"), Status::Ok);
    assert_eq!(requests(&at.server), [0, 2, 0, 0, 0, 2]);
}
