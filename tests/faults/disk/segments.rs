//! Segments are derived: whatever becomes of them costs the time to make them anew, and no answer.

use std::fs;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::broken::{answer, used};
use crate::support::{clock, movies, open, options, path_of};

/// What is done to a segment.
type Way = fn(&Path);

pub fn segments(folder: &Path) -> Vec<PathBuf> {
    fs::read_dir(folder)
        .expect("the folder")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|end| end == "segment"))
        .collect()
}

#[test]
fn segments_that_are_damaged_before_they_are_opened_are_made_anew() {
    let server = movies(150);
    let folder = tempfile::tempdir().expect("a folder");
    used(&server, folder.path());
    let (_, own) = path_of(&server, 1, 3);
    let ways: [(&str, Way); 8] = [
        ("removed", |path| fs::remove_file(path).expect("removed")),
        ("emptied", |path| fs::write(path, b"").expect("written")),
        ("cut in half", |path| {
            let bytes = fs::read(path).expect("read");
            fs::write(path, &bytes[..bytes.len() / 2]).expect("written");
        }),
        ("garbage", |path| fs::write(path, vec![0x5A; 20_000]).expect("written")),
        ("a head of garbage", |path| overwrite(path, |_| 16, 64)),
        ("a body of garbage", |path| overwrite(path, |length| length / 2, 4096)),
        ("first block of zeroes", |path| overwrite(path, |_| 4096, 4096)),
        ("an end of garbage", |path| overwrite(path, |length| length - 64, 64)),
    ];
    for (what, way) in ways {
        let files = segments(folder.path());
        assert!(files.len() >= 2, "of the listing and of the matches");
        for path in &files {
            way(path);
        }
        let bytes = |path: &PathBuf| fs::read(path).ok();
        let left: Vec<_> = files.iter().filter_map(|path| Some((path, bytes(path)?))).collect();
        let index = open(options(&server, folder.path()), &clock());
        let library = index.library("Movies").expect("a handle");
        server.reset();
        for nth in 0..150 {
            let (path, key) = path_of(&server, 1, nth);
            let lookup = library.lookup_key(path.as_bytes(), |found| found == key);
            assert_ne!(lookup, Some(false), "{what}");
            assert_eq!(answer(&library, &path).expect("an answer"), key, "{what}");
            let path = format!("/host/{}.mkv", nth + 10);
            assert_eq!(answer(&library, &path).expect("an answer"), own, "{what}");
        }
        assert_eq!(
            server.stats().total,
            0,
            "{what}: made from the database, not from the server"
        );
        // Another process may have mapped them: none is renamed over.
        for (path, damaged) in left {
            assert!(
                bytes(path).is_none_or(|now| now == damaged),
                "{what}: {}",
                path.display()
            );
        }
        index.close().expect("closes");
        // They are as good as new: the next process answers fast lookups at once.
        let index = open(options(&server, folder.path()), &clock());
        let library = index.library("Movies").expect("a handle");
        let (path, key) = path_of(&server, 1, 77);
        assert_eq!(
            library.lookup_key(path.as_bytes(), |found| found == key),
            Some(true),
            "{what}"
        );
        assert_eq!(
            library.lookup_key(b"/host/700.mkv", |found| found == own),
            Some(true),
            "{what}"
        );
    }
}

fn overwrite(path: &Path, at: fn(u64) -> u64, length: usize) {
    let file = fs::OpenOptions::new().write(true).open(path).expect("opened");
    let at = at(file.metadata().expect("facts").len());
    file.write_all_at(&vec![0xA7; length], at).expect("written");
}

#[test]
fn segments_may_be_removed_while_they_are_in_use() {
    let server = movies(100);
    let folder = tempfile::tempdir().expect("a folder");
    used(&server, folder.path());
    let index = open(options(&server, folder.path()), &clock());
    let library = index.library("Movies").expect("a handle");
    let (path, key) = path_of(&server, 1, 5);
    assert_eq!(answer(&library, &path).expect("an answer"), key);
    for file in segments(folder.path()) {
        fs::remove_file(file).expect("removed");
    }
    assert_eq!(library.lookup_key(path.as_bytes(), |found| found == key), Some(true));
    library.record_matches(&[(b"/host/new.mkv", &key)]).expect("recorded");
    assert_eq!(answer(&library, "/host/new.mkv").expect("an answer"), key);
    assert_eq!(
        answer(&library, "/host/700.mkv").expect("an answer"),
        path_of(&server, 1, 3).1
    );
    let late = open(options(&server, folder.path()), &clock());
    let library = late.library("Movies").expect("a handle");
    assert_eq!(answer(&library, &path).expect("an answer"), key);
    assert_eq!(answer(&library, "/host/new.mkv").expect("an answer"), key);
}

#[test]
fn a_segment_that_another_handle_has_rebuilt_is_not_rebuilt_again() {
    let server = movies(100);
    let folder = tempfile::tempdir().expect("a folder");
    let (path, key) = path_of(&server, 1, 5);
    let first = open(options(&server, folder.path()), &clock());
    let library = first.library("Movies").expect("a handle");
    assert_eq!(answer(&library, &path).expect("an answer"), key);
    let before = segments(folder.path());
    fs::remove_file(&before[0]).expect("removed");
    let late = [(); 2].map(|()| open(options(&server, folder.path()), &clock()));
    let both = late.each_ref().map(|index| index.library("Movies").expect("a handle"));
    for library in &both {
        assert_eq!(library.lookup_key(path.as_bytes(), |_| ()), None, "it is missing");
    }
    for library in &both {
        assert_eq!(answer(library, &path).expect("an answer"), key);
    }
    assert_eq!(segments(folder.path()), before);
}

#[test]
fn changes_of_items_that_fill_a_memtable_leave_the_segments_of_matches_alone() {
    let server = movies(40);
    let folder = tempfile::tempdir().expect("a folder");
    used(&server, folder.path());
    let [reader, writer] = [(); 2].map(|()| open(options(&server, folder.path()), &clock()));
    let [seen, changed] = [&reader, &writer].map(|index| index.library("Movies").expect("a handle"));
    let (_, key) = path_of(&server, 1, 3);
    let paths: Vec<String> = (0..600).map(|number| format!("/host/{number}.mkv")).collect();
    let pairs: Vec<(&[u8], &str)> = paths.iter().map(|path| (path.as_bytes(), key.as_str())).collect();
    seen.record_matches(&pairs).expect("recorded");
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
    for file in segments(folder.path()) {
        if file.display().to_string().contains("plexindex-3-r") {
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
