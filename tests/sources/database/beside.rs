//! The database beside HTTP: one request a day shows that they are one, and where they are not, questions fail.

use std::fs;
use std::path::Path;

use crate::support::index::{Ask as _, Index, ManualClock};
use plexindex::error::Status;
use plexindex::model::Token;
use plexindex::options::Options;
use plexindex_standin::{ItemSpec, LibrarySpec, Standin};
use std::sync::Arc;

use crate::database::alone::{films, path};
use crate::database::{key_of, options};
use crate::support::plex_database::{self as written, Server};
use crate::support::{HOUR_MS, clock};

/// The server of that database: with so many of its films.
fn serving(count: u32) -> Standin {
    let spec = LibrarySpec::movies(0).plain().title("Films");
    let films = (0..count).map(|film| ItemSpec {
        guid: Some(format!("plex://1/Film {film}")),
        ..ItemSpec::file(&format!("Film {film}"), &path(film)).key(u64::from(film) + 1)
    });
    Standin::builder().library(spec).items(1, films).serve()
}

fn with(store: &Path, server: &Server, http: &Standin) -> Options {
    Options {
        server_url: Some(http.url()),
        token: Token::new(&http.token()),
        database: Some(server.folder.clone()),
        retry_for: std::time::Duration::ZERO,
        ..Options::new(store)
    }
}

/// As `Index::open_file` does, with a clock that stands still.
fn opened(options: Options, clock: &Arc<ManualClock>) -> Index {
    Index::open_with_clock(options, Arc::clone(clock) as _).expect("opened")
}

fn refused(index: &Index, path: &str) -> Status {
    let asked = index.query().matched(path);
    asked.expect_err("it is not known whose they are").status
}

#[test]
fn one_request_a_day_shows_that_they_are_one() {
    let (folder, server, section) = films(30);
    let (http, clock, store) = (serving(30), clock(), folder.path().join("store"));
    let index = opened(with(&store, &server, &http), &clock);
    index.list();
    assert_eq!(key_of(&index, &path(7)).as_deref(), Some("8"));
    assert_eq!(http.stats().total, 1);
    for hour in 0..20_u32 {
        clock.advance_ms(HOUR_MS);
        let new = format!("/data/films/new {hour}.mkv");
        server.write(|database| {
            written::add_film(database, section, &format!("New {hour}"), &new);
            written::rename(database, i64::from(hour) + 1, &format!("/data/films/moved {hour}.mkv"));
        });
        // By other processes on the same store too.
        let other = opened(with(&store, &server, &http), &clock);
        assert_eq!(key_of(&other, &new), Some((31 + hour).to_string()));
        assert_eq!(key_of(&other, &path(hour)), None);
    }
    assert_eq!(http.stats().total, 1);
    clock.advance_ms(5 * HOUR_MS);
    // The next day it is asked once more, and by now the server has another last film than this stand-in.
    assert_eq!(key_of(&index, &path(25)).as_deref(), Some("26"));
    assert!(http.stats().total > 1);
}

#[test]
fn scans_events_and_verification_stay_with_the_server() {
    let (folder, server, _) = films(30);
    let (http, clock) = (serving(30), clock());
    let index = opened(with(&folder.path().join("store"), &server, &http), &clock);
    index.list();
    let library = index.library("Films").expect("a handle");
    let before = http.stats().total;
    library.invalidate_item("5").expect("invalidated");
    assert_eq!(key_of(&index, &path(4)).as_deref(), Some("5"));
    assert_eq!(http.stats().total - before, 1);
    index.query().scan(&[path(5).as_bytes()]).expect("a scan");
    assert_eq!(http.stats().total - before, 2);
    index.query().refresh_items(["5"]).expect("a refresh");
    assert_eq!(http.stats().total - before, 3);
    index.watch_start(<_>::default()).expect("watching");
    index.watch_stop();
}

#[test]
fn a_file_that_is_not_the_servers_answers_nothing() {
    let (folder, server, _) = films(30);
    let (clock, store) = (clock(), folder.path().join("store"));
    // The same server, gone on without the file: it has one film more.
    let http = serving(31);
    let index = opened(with(&store, &server, &http), &clock);
    let error = index.query().refreshed(true).expect_err("two");
    assert_eq!(error.status, Status::NotPlex);
    let remedy = error.message.contains("is not the database of the server at") && error.message.contains("or omit");
    assert!(remedy, "{error}");
    assert_eq!(refused(&index, &path(30)), Status::NotPlex);
    // The file of this server, named in its place.
    server.write(|database| {
        let id = written::add_film(database, 1, "Film 30", &path(30));
        assert_eq!(id, 31);
    });
    let again = opened(with(&store, &server, &http), &clock);
    assert_eq!(key_of(&again, &path(30)).as_deref(), Some("31"));
}

#[test]
fn what_was_listed_answers_stale_while_the_file_is_away() {
    let (folder, server, _) = films(30);
    let (clock, http) = (clock(), serving(30));
    let index = opened(with(&folder.path().join("store"), &server, &http), &clock);
    index.list();
    fs::rename(server.file(), folder.path().join("away.db")).expect("moved");
    let before = http.stats().total;
    let found = index.query().answer(path(3));
    assert_eq!((found.status, found.stale), (Status::Ok, true));
    index.query().refreshed(true).expect_err("no file");
    assert_eq!(http.stats().total, before, "no other source stands in");
    // The server scans all the same.
    index.query().scan(&[path(3).as_bytes()]).expect("a scan");
}

#[test]
fn what_came_from_the_file_alone_answers_beside_a_server_once_they_are_one() {
    let (folder, server, _) = films(30);
    let (clock, store) = (clock(), folder.path().join("store"));
    let alone = options(&store, &server.folder);
    let index = opened(alone, &clock);
    index.list();
    assert_eq!(key_of(&index, &path(7)).as_deref(), Some("8"));
    // Another server: nothing of the file is its own, by any question.
    let another = serving(31);
    let beside = opened(with(&store, &server, &another), &clock);
    let library = beside.library("Films").expect("a handle");
    let known = library.fast(&path(7));
    assert_eq!(known, None, "nothing was asked yet");
    assert_eq!(refused(&beside, &path(7)), Status::NotPlex);
    // One that cannot be asked, or refuses: it is not known whose the file is.
    let (away, refusing) = (serving(30), serving(30));
    away.refuse();
    let failed = |options: Options| refused(&opened(options, &clock), &path(7));
    assert_eq!(failed(with(&store, &server, &away)), Status::Connect);
    let mut wrong = with(&store, &server, &refusing);
    wrong.token = Token::new("wrong");
    assert_eq!(failed(wrong), Status::Unauthorized);
    let mut offline = with(&store, &server, &away);
    offline.offline = true;
    assert_eq!(failed(offline), Status::NotFetched);
    // Its own server: what was listed is used, after one request.
    let own = serving(30);
    let beside = opened(with(&store, &server, &own), &clock);
    assert_eq!(key_of(&beside, &path(7)).as_deref(), Some("8"));
    assert_eq!(own.stats().total, 1);
    assert_eq!(beside.counts().items, 30);
}

#[test]
fn a_server_with_another_name_is_another_one() {
    let (folder, server, _) = films(30);
    let (http, clock) = (serving(30), clock());
    let named = |name: &str| {
        let preferences = format!("<Preferences ProcessedMachineIdentifier=\"{name}\"/>");
        fs::write(server.folder.join("Preferences.xml"), preferences).expect("written");
    };
    let moved = |store: &str, number: i64| -> plexindex::error::Result<Option<String>> {
        let index = opened(with(&folder.path().join(store), &server, &http), &clock);
        index.query().refreshed(true)?;
        let path = format!("/data/films/moved {number}.mkv");
        server.write(|database| written::rename(database, number, &path));
        Ok(key_of(&index, &path))
    };
    named("0123456789abcdef");
    assert_eq!(moved("another", 9).expect_err("two").status, Status::NotPlex);
    named("5a4d1e8f0c6b4792a3d8e1f5b7c09d2468ace013"); // the stand-in's
    assert_eq!(moved("the same", 10), Ok(Some("10".to_owned())));
}

#[test]
fn a_file_that_was_read_is_read_while_its_server_is_away() {
    let (folder, server, _) = films(30);
    let (http, clock, store) = (serving(30), clock(), folder.path().join("store"));
    let index = opened(with(&store, &server, &http), &clock);
    index.list();
    http.refuse();
    clock.advance_ms(30 * HOUR_MS);
    server.write(|database| written::rename(database, 9, "/data/films/moved.mkv"));
    assert_eq!(key_of(&index, "/data/films/moved.mkv").as_deref(), Some("9"));
    // Where it was never found out that they are one, that is the failure.
    let unknown = opened(with(&folder.path().join("other"), &server, &http), &clock);
    let failed = unknown.query().refreshed(true).expect_err("no server");
    assert_eq!(failed.status, Status::Connect);
}
