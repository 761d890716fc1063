//! A segment belongs under its own name in its own store. A whole one from anywhere else answers nothing: matches are made
//! anew, and a listing is fetched again.

use std::fs;
use std::path::{Path, PathBuf};

use crate::support::index::Index;
use plexindex_standin::Standin;

use super::broken::answer;
use crate::support::{clock, movies, open, options, path_of, requests};

/// The segment of a kind (`l`: the listing, `r`: what was recorded) that is the newest of its library.
fn newest(folder: &Path, kind: &str) -> PathBuf {
    let begin = format!("plexindex-1-{kind}");
    let mut files: Vec<PathBuf> = fs::read_dir(folder)
        .expect("the folder")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.file_name().expect("a name").to_string_lossy().starts_with(&begin))
        .collect();
    files.sort_by_key(|path| fs::metadata(path).and_then(|facts| facts.modified()).expect("facts"));
    files.pop().expect("there is one")
}

/// Two items exchange their files.
fn exchange(server: &Standin, one: usize, other: usize) {
    let ((first, a), (second, b)) = (path_of(server, 1, one), path_of(server, 1, other));
    let (a, b) = (a.parse().expect("a number"), b.parse().expect("a number"));
    server
        .change(|state| {
            state.rename_file(a, &first, "/data/movies/between.mkv")?;
            state.rename_file(b, &second, &first)?;
            state.rename_file(a, "/data/movies/between.mkv", &second)
        })
        .expect("renamed");
}

fn swap(one: &Path, other: &Path) {
    let (first, second) = (fs::read(one).expect("read"), fs::read(other).expect("read"));
    replace(one, &second);
    replace(other, &first);
}

/// Another file gets the name, as `mv` and `rsync` do it.
fn replace(path: &Path, bytes: &[u8]) {
    let beside = path.with_extension("beside");
    fs::write(&beside, bytes).expect("written");
    fs::rename(beside, path).expect("renamed");
}

/// A store with a listing and a segment of matches: 1,100 paths, all of the item that `nth` is.
fn used(server: &Standin, folder: &Path, nth: usize) -> Index {
    let index = open(options(server, folder), &clock());
    let library = index.library("Movies").expect("a handle");
    let (path, key) = path_of(server, 1, nth);
    assert_eq!(answer(&library, &path).expect("fetched"), key);
    let paths: Vec<String> = (0..1_100).map(|number| format!("/host/{number}.mkv")).collect();
    let pairs: Vec<(&[u8], &str)> = paths.iter().map(|path| (path.as_bytes(), key.as_str())).collect();
    library.record_matches(&pairs).expect("recorded");
    index
}

/// Every answer is right, in the process that has the store open and in those that open it. The listing is fetched again at
/// most once, and then answers fast lookups at once.
fn assert_right(server: &Standin, folder: &Path, open_already: &Index, recorded: usize, what: &str) {
    let (_, own) = path_of(server, 1, recorded);
    server.reset();
    for round in 0..3 {
        let opened = open(options(server, folder), &clock());
        for index in [open_already, &opened] {
            let library = index.library("Movies").expect("a handle");
            for nth in 0..60 {
                let (path, key) = path_of(server, 1, nth);
                for (path, key) in [(path, &key), (format!("/host/{nth}.mkv"), &own)] {
                    let fast = library.lookup_key(path.as_bytes(), |found| found == key);
                    assert_ne!(fast, Some(false), "{what}, round {round}: a wrong key for {path}");
                    assert_eq!(
                        answer(&library, &path).expect("an answer"),
                        *key,
                        "{what}, round {round}"
                    );
                    let fast = library.lookup_key(path.as_bytes(), |found| found == key);
                    assert_eq!(
                        fast,
                        Some(true),
                        "{what}, round {round}: a fast lookup right after opening"
                    );
                }
            }
        }
    }
    let listings = requests(server)[2];
    assert!(listings <= 1, "{what}: the listing was fetched {listings} times");
}

#[test]
fn index_files_of_another_store_are_not_taken_for_ours() {
    // The same libraries, so also the same uuids; two items have each other's files.
    let (ours, theirs) = (movies(60), movies(60));
    exchange(&theirs, 3, 7);
    let [here, there] = [(); 2].map(|()| tempfile::tempdir().expect("a folder"));
    let (here, there) = (here.path(), there.path());
    let (own, other) = (used(&ours, here, 3), used(&theirs, there, 9));
    for kind in ["l", "r"] {
        swap(&newest(here, kind), &newest(there, kind));
    }
    assert_right(&ours, here, &own, 3, "another store's");
    assert_right(&theirs, there, &other, 9, "another store's");
}
