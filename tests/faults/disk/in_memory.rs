//! Segments that can be neither opened nor written: the answers are right all the same, made once, and the files come
//! back when they can.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::support::index::{Index, Library, ManualClock};
use plexindex::options::{Options, Ttl};
use plexindex::tables::{Op, Terms};

use super::broken::{answer, used};
use super::full::limit_files;
use crate::support::worker::{Worker, open_at, place, say, told};
use crate::support::{clock, movies, open, options, path_of};

fn index_files(folder: &Path) -> Vec<PathBuf> {
    fs::read_dir(folder)
        .expect("the folder")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|end| end == "image"))
        .collect()
}

/// Removes the images; from now on none can be written in this process, nor anything else.
fn take_away(folder: &Path) -> Vec<PathBuf> {
    let files = index_files(folder);
    for file in &files {
        fs::remove_file(file).expect("removed");
    }
    limit_files(1);
    files
}

/// Does something that writes to the store, which may grow meanwhile.
fn writing<T>(work: impl FnOnce() -> T) -> T {
    limit_files(libc::RLIM_INFINITY);
    let done = work();
    limit_files(1);
    done
}

/// Runs a role to its end: limits are those of a whole process.
fn play_to_the_end(role: &str) {
    let mut worker = Worker::start(role, []);
    assert_eq!(worker.hear(), "done");
    worker.end();
}

fn image_us(index: &Index) -> Duration {
    index.stats().expect("statistics").indexing
}

fn assert_right(library: &Library, all: &[(String, String)], what: &str) {
    for (path, key) in all {
        assert_eq!(answer(library, path).expect("an answer"), *key, "{what}: {path}");
        let fast = library.lookup_key(path.as_bytes(), |found| found == key);
        assert_eq!(fast, Some(true), "{what}: {path} in a fast lookup");
    }
}

#[test]
fn answers_are_right_and_made_once_while_no_index_file_can_be_written() {
    play_to_the_end("made once");
}

/// In a worker: see the test above.
pub fn made_once(_: &[&str]) {
    let server = movies(60);
    let folder = tempfile::tempdir().expect("a folder");
    used(&server, folder.path());
    let (_, own) = path_of(&server, 1, 3);
    let mut all: Vec<(String, String)> = (0..60).map(|nth| path_of(&server, 1, nth)).collect();
    all.extend((10..40).map(|nth| (format!("/host/{nth}.mkv"), own.clone())));
    let clock: Arc<ManualClock> = clock();
    let lost = take_away(folder.path());
    let index = writing(|| open(options(&server, folder.path()), &clock));
    let library = index.library("Movies").expect("a handle");
    server.reset();
    assert_right(&library, &all[..1], "the first");
    let made = image_us(&index);
    assert_right(&library, &all, "all");
    assert_eq!(image_us(&index), made, "it was made once");
    assert_eq!(answer(&library, "/nowhere/else.mkv").expect("an answer"), "NoLocation");
    // What changes, changes there too.
    writing(|| library.record_matches(&[(b"/host/new.mkv", &own)])).expect("recorded");
    assert_eq!(answer(&library, "/host/new.mkv").expect("an answer"), own);
    let (listed, key) = all[7].clone();
    let offline = crate::support::offline(&library);
    writing(|| library.invalidate_path(listed.as_bytes())).expect("invalidated");
    let found = index.match_path(&offline, listed.as_bytes()).expect("an answer");
    assert!(found.item.is_none() || found.status as i32 != 0, "{found:?}");
    writing(|| library.record_matches(&[(listed.as_bytes(), &key)])).expect("recorded");
    assert_right(&library, &all, "after changes");
    assert_eq!(server.stats().total, 0, "made from the database");
    // Files can be written again. It is not tried at once, but after a while, and then the next process answers at once.
    limit_files(libc::RLIM_INFINITY);
    assert_right(&library, &all, "within the back-off");
    let listing = |file: &&PathBuf| file.display().to_string().contains("plexindex-1-l");
    let listing = lost.iter().find(listing).expect("the listing's");
    assert!(!listing.exists(), "not yet");
    clock.advance_ms(61_000);
    assert_right(&library, &all, "after the back-off");
    assert!(listing.is_file(), "written when it could be");
    let late = open(options(&server, folder.path()), &clock);
    let library = late.library("Movies").expect("a handle");
    let (path, key) = &all[5];
    assert_eq!(library.lookup_key(path.as_bytes(), |found| found == key), Some(true));
    say("done");
}

#[test]
fn what_cannot_be_written_is_tried_less_and_less() {
    play_to_the_end("less and less");
}

/// In a worker: see the test above.
pub fn less_and_less(_: &[&str]) {
    let server = movies(60);
    let folder = tempfile::tempdir().expect("a folder");
    used(&server, folder.path());
    let clock: Arc<ManualClock> = clock();
    for file in index_files(folder.path()) {
        fs::remove_file(file).expect("removed");
    }
    let index = open(options(&server, folder.path()), &clock);
    limit_files(1);
    let library = index.library("Movies").expect("a handle");
    let (path, key) = path_of(&server, 1, 5);
    let mut tries = Vec::new();
    let mut before = Duration::ZERO;
    for minute in 0..70 {
        for _ in 0..3 {
            let found = index
                .match_path(&crate::support::offline(&library), path.as_bytes())
                .expect("an answer");
            assert_eq!(found.item.map(|item| item.item.rating_key), Some(key.clone()));
        }
        let now = image_us(&index);
        if now > before {
            tries.push(minute);
        }
        before = now;
        clock.advance_ms(60_000);
    }
    assert_eq!(tries, [0, 1, 3, 7, 15, 31, 63]);
    limit_files(libc::RLIM_INFINITY);
    say("done");
}

/// In a worker: no file may grow, and the images are missing.
pub fn no_file(words: &[&str]) {
    let index = open_at(words);
    let library = index.library("Movies").expect("a handle");
    limit_files(1);
    say("ready");
    while let Some(path) = told() {
        let found = answer(&library, &path).expect("an answer");
        let fast = library.lookup_key(path.as_bytes(), str::to_owned);
        say(&format!("{found} {}", fast.unwrap_or_default()));
    }
    limit_files(libc::RLIM_INFINITY);
}

#[test]
fn matches_are_answered_too_where_nothing_can_be_written_at_all() {
    let server = movies(60);
    let folder = tempfile::tempdir().expect("a folder");
    used(&server, folder.path());
    for file in index_files(folder.path()) {
        fs::remove_file(file).expect("removed");
    }
    let place = place(folder.path(), &server);
    let mut worker = Worker::start("no file", [&place[0], &place[1], &place[2]]);
    assert_eq!(worker.hear(), "ready");
    let (path, key) = path_of(&server, 1, 5);
    let (_, own) = path_of(&server, 1, 3);
    for _ in 0..2 {
        assert_eq!(worker.ask(&path), format!("{key} {key}"));
        assert_eq!(worker.ask("/host/700.mkv"), format!("{own} {own}"));
        assert_eq!(worker.ask("/nowhere/else.mkv"), "NoLocation ");
    }
    assert_eq!(index_files(folder.path()), Vec::<PathBuf>::new());
    worker.end();
}

#[test]
fn matches_are_not_passed_over_while_their_index_file_is_lost() {
    let server = movies(60);
    let folder = tempfile::tempdir().expect("a folder");
    used(&server, folder.path());
    // A listed path was recorded with another item.
    let (listed, key) = path_of(&server, 1, 9);
    let (_, own) = path_of(&server, 1, 3);
    let index = open(options(&server, folder.path()), &clock());
    let library = index.library("Movies").expect("a handle");
    library.record_matches(&[(listed.as_bytes(), &own)]).expect("recorded");
    let paths: Vec<String> = (0..1_100).map(|number| format!("/host/{number}.mkv")).collect();
    let pairs: Vec<(&[u8], &str)> = paths.iter().map(|path| (path.as_bytes(), own.as_str())).collect();
    library.record_matches(&pairs).expect("recorded, and compacted");
    index.close().expect("closes");
    for file in index_files(folder.path()) {
        if file.display().to_string().contains("plexindex-1-m") {
            fs::remove_file(file).expect("removed");
        }
    }
    let index = open(options(&server, folder.path()), &clock());
    let library = index.library("Movies").expect("a handle");
    let fast = library.lookup_key(listed.as_bytes(), str::to_owned);
    assert_ne!(fast, Some(key), "what is listed is not what was recorded");
    library.invalidate_path(b"/host/20.mkv").expect("invalidated");
    assert_eq!(answer(&library, "/host/20.mkv").expect("an answer"), "NoLocation");
    assert!(library.lookup_key(b"/host/20.mkv", |_| ()).is_none());
}

#[test]
fn tables_are_answered_where_no_segment_can_be_written() {
    play_to_the_end("tables");
}

/// In a worker: see the test above.
pub fn tables(_: &[&str]) {
    const KEEP: Terms = Terms {
        ttl: Ttl::Forever,
        limit: None,
    };
    let folder = tempfile::tempdir().expect("a folder");
    let clock: Arc<ManualClock> = clock();
    let open = || {
        let options = Options {
            cache_dir: folder.path().into(),
            ..Options::default()
        };
        Index::open_with_clock(options, clock.clone()).expect("it opens")
    };
    let index = open();
    let films = index.tables().table(b"films", false).expect("a table");
    let names: Vec<String> = (0..3_000).map(|number| format!("/films/{number}.mkv")).collect();
    let ops: Vec<Op<'_>> = names
        .iter()
        .map(|name| Op::Put(&films, name.as_bytes(), name.as_bytes()))
        .collect();
    films.tables().write(&ops, &KEEP).expect("stored");
    films.put(b"/films/7.mkv", b"other", &KEEP).expect("stored");
    films.remove(b"/films/8.mkv").expect("removed");
    index.close().expect("closes");
    let lost = take_away(folder.path());
    assert!(!lost.is_empty());
    let index = writing(open);
    let films = index.tables().table(b"films", false).expect("a table");
    let get = |name: &str| {
        let mut found = None;
        let mut take = |value: &[u8]| found = Some(String::from_utf8_lossy(value).into_owned());
        films.get(name.as_bytes(), usize::MAX, &mut take).expect("an answer");
        found
    };
    let right = |what: &str| {
        for (number, name) in names.iter().enumerate() {
            let wanted = match number {
                7 => Some("other".to_owned()),
                8 => None,
                _ => Some(name.clone()),
            };
            assert_eq!(get(name), wanted, "{what}");
        }
        assert_eq!(films.count().expect("counted"), 2_999, "{what}");
    };
    right("in memory");
    writing(|| films.put(b"/films/new.mkv", b"new", &KEEP)).expect("stored");
    assert_eq!(get("/films/new.mkv").as_deref(), Some("new"));
    writing(|| films.remove(b"/films/new.mkv")).expect("removed");
    right("after changes");
    assert_eq!(index_files(folder.path()), Vec::<PathBuf>::new());
    // A minute later the next large write makes a file of all.
    limit_files(libc::RLIM_INFINITY);
    clock.advance_ms(61_000);
    let again: Vec<Op<'_>> = names[100..800]
        .iter()
        .map(|name| Op::Put(&films, name.as_bytes(), name.as_bytes()))
        .collect();
    films.tables().write(&again, &KEEP).expect("stored");
    assert_eq!(index_files(folder.path()).len(), 1);
    right("in a file again");
    let late = open();
    assert_eq!(late.tables().count().expect("counted"), 2_999);
    say("done");
}
