//! A database that is damaged while it is closed: it is set aside with a warning when that shows, and all goes on.

use std::fs;
use std::os::unix::fs::FileExt;
use std::path::Path;

use crate::support::copy_files;
use crate::support::index::{Index, Library};
use plexindex::error::{Error, Status};
use plexindex_standin::Standin;

use crate::disk::{listen, warnings};
use crate::support::worker::{Worker, assert_sound, place, rounds, say, told};
use crate::support::{clock, movies, open, options, path_of};

/// What may be done to a database.
pub const DAMAGES: [&str; 6] = ["garbage", "empty", "half", "zeroes", "header", "text"];

/// Damages the file in place.
pub fn spoil(path: &Path, how: &str) {
    let file = fs::OpenOptions::new()
        .read(true)
        .write(true)
        .open(path)
        .expect("opened");
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

/// In a worker: damages a file as told. A process that has a database open must not open it a second time: closing it
/// would free the locks.
pub fn damage(words: &[&str]) {
    spoil(Path::new(words[0]), words[1]);
    say("done");
    told();
}

/// A store as it is after some use: fetched, with matches, some of them compacted, GUIDs and titles indexed.
pub fn used(server: &Standin, folder: &Path) {
    let index = open(options(server, folder), &clock());
    let library = index.library("Movies").expect("a handle");
    let (path, key) = path_of(server, 1, 3);
    assert_eq!(answer(&library, &path).expect("fetched"), key);
    let paths: Vec<String> = (0..1_500).map(|number| format!("/host/{number}.mkv")).collect();
    let pairs: Vec<(&[u8], &str)> = paths.iter().map(|path| (path.as_bytes(), key.as_str())).collect();
    library.record_matches(&pairs).expect("recorded");
    library.record_matches(&pairs[..7]).expect("recorded");
    library.invalidate_path(b"/host/1.mkv").expect("invalidated");
    index.search_title(&library.query(), "the").expect("an answer");
    index
        .match_guid(&library.query(), "imdb://tt0000001")
        .expect("an answer");
    index.close().expect("closes");
}

/// The rating key, or the reason that there is none.
pub fn answer(library: &Library, path: &str) -> Result<String, Error> {
    let found = library.match_path(path.as_bytes())?;
    Ok(match found.item {
        Some(item) => item.item.rating_key,
        None => format!("{:?}", found.reason),
    })
}

/// Uses all of it, and asserts that nothing is wrong. Gives how many calls failed: a damage may show once.
pub fn use_all(server: &Standin, index: &Index) -> usize {
    let library = index.library("Movies").expect("a handle");
    let mut failed = Vec::new();
    let mut checked = |what: &str, result: Result<bool, Error>| match result {
        Ok(right) => assert!(right, "{what}: a wrong answer"),
        Err(error) => {
            assert_eq!(error.status, Status::Store, "{what}: {error}");
            failed.push(format!("{what}: {error}"));
        }
    };
    let (_, own) = path_of(server, 1, 3);
    for round in 0..2 {
        for nth in 0..5 {
            let (path, key) = path_of(server, 1, nth + 20 * round);
            let lookup = library.lookup_key(path.as_bytes(), |found| found == key);
            checked("a lookup", Ok(lookup != Some(false)));
            checked("a listed path", answer(&library, &path).map(|found| found == key));
        }
        // Matches may be lost with the database, and then the path leads to no item.
        let old = answer(&library, "/host/1200.mkv");
        checked("an old match", old.map(|found| found == own || found == "NoLocation"));
        let path = format!("/new/{round}.mkv");
        checked(
            "recording",
            library.record_matches(&[(path.as_bytes(), &own)]).map(|()| true),
        );
        checked("searching", index.search_title(&library.query(), "a").map(|_| true));
        let guids = index.match_guid(&library.query(), "imdb://tt0000001");
        checked(
            "a GUID",
            guids.map(|found| found.status != Status::Ambiguous || found.total > 1),
        );
        checked("invalidating", library.invalidate_path(b"/host/3.mkv").map(|()| true));
        checked("statistics", index.stats().map(|_| true));
        checked(
            "a listing",
            index.refresh(&library.query(), true).map(|status| status == Status::Ok),
        );
    }
    let path = "/new/last.mkv";
    library
        .record_matches(&[(path.as_bytes(), &own)])
        .expect("it works again");
    assert_eq!(answer(&library, path).expect("it works again"), own);
    assert!(failed.len() <= 1, "{failed:?}");
    failed.len()
}

#[test]
fn a_database_that_is_damaged_is_set_aside_and_made_anew() {
    listen();
    let server = movies(150);
    let root = tempfile::tempdir().expect("a folder");
    let sample = root.path().join("sample");
    used(&server, &sample);
    for how in DAMAGES {
        let folder = root.path().join(how);
        copy_files(&sample, &folder);
        spoil(&folder.join("plexindex-1.db"), how);
        let index = open(options(&server, &folder), &clock());
        let failed = use_all(&server, &index);
        index.close().expect("closes");
        assert_sound(&folder);
        let told = warnings(&folder);
        assert_eq!(told.len(), 1, "{how}: {told:?}");
        assert!(told[0].contains("renamed to plexindex-1.db.broken"), "{told:?}");
        assert!(folder.join("plexindex-1.db.broken").exists(), "{how}: it is kept");
        assert_eq!(failed, 0, "{how}: no call failed for it");
        // And that was it: the next one finds a store as it should be.
        let index = open(options(&server, &folder), &clock());
        use_all(&server, &index);
        assert_eq!(warnings(&folder).len(), 1);
    }
}

#[test]
pub fn the_first_to_find_it_broken_sets_it_aside_and_the_others_take_the_new_one() {
    let server = movies(20);
    for round in 0..rounds("PLEXINDEX_SET_ASIDES", 4) {
        let how = ["garbage", "half"][usize::try_from(round % 2).expect("small")];
        let folder = tempfile::tempdir().expect("a folder");
        used(&server, folder.path());
        spoil(&folder.path().join("plexindex-1.db"), how);
        let place = place(folder.path(), &server);
        let mut workers: Vec<Worker> = (0..6)
            .map(|_| Worker::start("host", [&place[0], &place[1], &place[2]]))
            .collect();
        for worker in &mut workers {
            assert_eq!(worker.hear(), "ready");
        }
        for worker in &mut workers {
            worker.tell("open");
        }
        for worker in &mut workers {
            assert_eq!(worker.hear(), "done");
        }
        let (_, key) = path_of(&server, 1, 3);
        for (number, worker) in workers.iter_mut().enumerate() {
            worker.tell(&format!("record /host/by {number}.mkv|{key}"));
        }
        for worker in &mut workers {
            assert_eq!(worker.hear(), "done");
        }
        for number in 0..workers.len() {
            for worker in &mut workers {
                assert_eq!(
                    worker.ask(&format!("look /host/by {number}.mkv")),
                    key,
                    "{how}: lost with a good database"
                );
            }
        }
        for one in workers {
            one.end();
        }
        assert_sound(folder.path());
    }
}
