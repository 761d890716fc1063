//! Whatever becomes of segments costs no right answer: matches are made anew from the database, listings fetched again.

use std::fs;
use std::path::PathBuf;

use super::broken::{answer, used};
use crate::support::index::Index;
use crate::support::segments;
use crate::support::{clock, movies, open, options, path_of, requests};

#[test]
fn a_listing_that_another_handle_has_fetched_again_is_not_lost_again() {
    let server = movies(100);
    let folder = tempfile::tempdir().expect("a folder");
    let (path, key) = path_of(&server, 1, 5);
    let first = open(options(&server, folder.path()), &clock());
    let library = first.movies();
    assert_eq!(answer(&library, &path).expect("an answer"), key);
    let before = segments(folder.path());
    fs::remove_file(&before[0]).expect("removed");
    server.reset();
    let late = [(); 2].map(|()| open(options(&server, folder.path()), &clock()));
    let both = late.each_ref().map(Index::movies);
    for library in &both {
        assert_eq!(library.lookup_key(path.as_bytes(), |_| ()), None, "it is missing");
    }
    for library in &both {
        assert_eq!(answer(library, &path).expect("an answer"), key);
    }
    assert_eq!(segments(folder.path()).len(), before.len());
    assert_eq!(requests(&server)[2], 1, "the listing is fetched again, once");
}

#[test]
fn changes_of_items_that_fill_a_memtable_leave_the_segments_of_matches_alone() {
    let server = movies(40);
    let folder = tempfile::tempdir().expect("a folder");
    used(&server, folder.path());
    let [reader, writer] = [(); 2].map(|()| open(options(&server, folder.path()), &clock()));
    let [seen, changed] = [&reader, &writer].map(Index::movies);
    let (_, key) = path_of(&server, 1, 3);
    let paths: Vec<String> = (0..600).map(|number| format!("/host/{number}.mkv")).collect();
    seen.record_all(&paths, &key);
    let of_matches = || -> Vec<PathBuf> {
        let names = segments(folder.path()).into_iter();
        names.filter(|path| path.to_string_lossy().contains("-r")).collect()
    };
    let before = of_matches();
    assert!(!before.is_empty(), "{:?}", segments(folder.path()));
    for number in 0..8_300 {
        changed
            .invalidate_path(format!("/new/{number}.mkv").as_bytes())
            .expect("invalidated");
    }
    assert_eq!(answer(&seen, &paths[599]).expect("an answer"), key);
    assert_eq!(of_matches(), before);
}
