//! A database that is damaged while it is closed: it is set aside with a warning when that shows, and all goes on.

use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::support::copy_files;
use crate::support::index::{Ask as _, Library, freeze_coarse_clock};
use plexindex::error::{Error, Status};
use plexindex_standin::Standin;

use crate::disk::warnings;
use crate::support::worker::{Worker, ask_all, assert_sound, hear_all, rounds, writable};
use crate::support::{clock, movies, open, options, path_of, try_open};

/// Longer than any call may take.
pub const HANGS: Duration = Duration::from_secs(10);

/// What may be done to a database.
pub const DAMAGES: [&str; 6] = ["garbage", "empty", "half", "zeroes", "header", "text"];

/// Damages the file in place. A process that has the database open must not: closing the file would free the locks.
pub fn spoil(path: &Path, how: &str) {
    let file = writable(path);
    let length = file.metadata().expect("facts").len();
    let middle = length / 2 / 4096 * 4096;
    match how {
        "garbage" => {
            let bytes: Vec<u8> = (0..length).map(|at| (at * 31 % 251) as u8).collect();
            file.write_all_at(&bytes, 0).expect("written");
        }
        "empty" => file.set_len(0).expect("shortened"),
        "half" => file.set_len(middle + 100).expect("shortened"),
        "zeroes" => file
            .write_all_at(&vec![0; usize::try_from(length - 4096).expect("small")], 4096)
            .expect("written"),
        "header" => file.write_all_at(&[0xFF; 100], 0).expect("written"),
        "text" => file
            .write_all_at(b"This was my shopping list, under another name now.", 0)
            .expect("written"),
        other => panic!("what is '{other}'?"),
    }
}

/// A store as it is after some use: fetched, with matches, GUIDs and titles indexed.
pub fn used(server: &Standin, folder: &Path) {
    let index = open(options(server, folder), &clock());
    let library = index.movies();
    let (path, key) = path_of(server, 1, 3);
    assert_eq!(answer(&library, &path).expect("fetched"), key);
    let paths: Vec<String> = (0..1_500).map(|number| format!("/host/{number}.mkv")).collect();
    library.record_all(&paths, &key);
    library.record_all(&paths[..7], &key);
    library.invalidate_path("/host/1.mkv").expect("invalidated");
    library.query().title("the");
    library.query().guid("imdb://tt0000001");
    index.close().expect("closes");
}

/// The rating key, or the reason that there is none.
pub fn answer(library: &Library, path: &str) -> Result<String, Error> {
    library.query().matched(path).map(|found| found.key_or_reason())
}

/// Uses the store, and panics for an answer that is wrong.
pub fn use_it(server: &Standin, folder: &Path, what: &str) -> Result<usize, Error> {
    let index = try_open(options(server, folder), &clock())?;
    let library = index.movies();
    let (_, own) = path_of(server, 1, 3);
    let mut failed = Vec::new();
    let begun = Instant::now();
    for nth in [0, 3, 21, 40, 59] {
        let (path, key) = path_of(server, 1, nth);
        let fast = library.fast(&path);
        assert!(fast.is_none_or(|found| found == key), "{what}: a lookup of {path}");
        match answer(&library, &path) {
            Ok(found) => assert_eq!(found, key, "{what}: {path}"),
            Err(error) => failed.push(error),
        }
    }
    // Matches may be lost with the database.
    for nth in [5, 700, 1_499] {
        let path = format!("/host/{nth}.mkv");
        let fast = library.fast(&path);
        assert!(fast.is_none_or(|found| found == own), "{what}: a lookup of {path}");
        match answer(&library, &path) {
            Ok(found) => assert!(found == own || found == "NoLocation", "{what}: {path} is {found}"),
            Err(error) => failed.push(error),
        }
    }
    let mut tried = |result: Result<(), Error>| failed.extend(result.err());
    tried(library.record_match("/host/new.mkv", &own));
    tried(library.query().refreshed(true).map(drop));
    tried(library.query().search_title("the").map(drop));
    tried(library.query().match_guid("imdb://tt0000001").map(drop));
    tried(library.invalidate_path("/host/700.mkv"));
    for error in &failed {
        assert_eq!(error.status, Status::Store, "{what}: {error}");
    }
    let failed = failed.len();
    if failed > 0 || folder.join("plexindex-1.db.broken").exists() {
        // What is wrong was found by now; with the database went what was recorded into it.
        library.record_match("/host/new.mkv", &own)?;
    }
    assert_eq!(answer(&library, "/host/new.mkv")?, own, "{what}: what was recorded");
    index.close()?;
    assert!(begun.elapsed() < HANGS, "{what}: {:?}", begun.elapsed());
    Ok(failed)
}

#[test]
fn a_database_that_is_damaged_is_set_aside_and_made_anew() {
    crate::support::warnings::keep();
    freeze_coarse_clock(0); // no other process has to notice that the version page goes
    let server = movies(150);
    let root = tempfile::tempdir().expect("a folder");
    let sample = root.path().join("sample");
    used(&server, &sample);
    for how in DAMAGES {
        let folder = root.path().join(how);
        copy_files(&sample, &folder);
        spoil(&folder.join("plexindex-1.db"), how);
        let failed = use_it(&server, &folder, how).expect("it opens");
        assert_sound(&folder);
        let told = warnings(&folder);
        assert_eq!(told.len(), 1, "{how}: {told:?}");
        assert!(told[0].contains("renamed to plexindex-1.db.broken"), "{told:?}");
        assert!(folder.join("plexindex-1.db.broken").exists(), "{how}: it is kept");
        assert_eq!(failed, 0, "{how}: no call failed for it");
        // And that was it: the next one finds a store as it should be.
        use_it(&server, &folder, how).expect("it opens");
        assert_eq!(warnings(&folder).len(), 1);
    }
}

#[test]
fn the_first_to_find_it_broken_sets_it_aside_for_all() {
    let server = movies(20);
    for round in 0..rounds("PLEXINDEX_SET_ASIDES", 4, 10) {
        let how = ["garbage", "half"][usize::try_from(round % 2).expect("small")];
        let folder = tempfile::tempdir().expect("a folder");
        used(&server, folder.path());
        spoil(&folder.path().join("plexindex-1.db"), how);
        let start = |_| Worker::at("host", folder.path(), &server, &[]);
        let mut workers: Vec<Worker> = (0..6).map(start).collect();
        hear_all(&mut workers, "ready");
        for worker in &mut workers {
            worker.tell("open");
        }
        hear_all(&mut workers, "done");
        let (_, key) = path_of(&server, 1, 3);
        for (number, worker) in workers.iter_mut().enumerate() {
            worker.tell(&format!("record /host/by {number}.mkv|{key}"));
        }
        hear_all(&mut workers, "done");
        for number in 0..workers.len() {
            ask_all(&mut workers, &format!("look /host/by {number}.mkv"), &key, how);
        }
        workers.into_iter().for_each(Worker::end);
        assert_sound(folder.path());
    }
}
