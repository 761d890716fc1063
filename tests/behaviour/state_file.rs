//! What a new process opens: the state file where that tells enough, and the database where it does not.
// On Windows the state file is not used: nothing there names a boot, and times of another boot prove nothing.
#![cfg(unix)]

use std::fs;
use std::time::{Duration, Instant};

use crate::support::index::Index;
use crate::support::{Scene, path_of};
use plexindex::model::Token;

const NAME: &str = "plexindex-1";

struct Started {
    at: Scene,
    /// A path that is listed, and its key.
    path: String,
    key: String,
}

impl Started {
    /// A store that was fetched and closed, with a state file.
    fn new() -> Self {
        let at = Scene::movies(20);
        let (path, key) = path_of(&at.server, 1, 3);
        let started = Self { at, path, key };
        started.ask(&started.open(), &started.key);
        started.keep();
        started
    }

    fn open(&self) -> Index {
        self.at.open()
    }

    fn file(&self, end: &str) -> std::path::PathBuf {
        self.at.folder().join(format!("{NAME}{end}"))
    }

    fn ask(&self, index: &Index, expected: &str) {
        let library = index.movies();
        let found = library.ask(&self.path);
        assert_eq!(found.item.expect("an item").rating_key, expected);
    }

    fn record(&self, path: &str, key: &str) {
        let library = self.open().movies();
        library.record(path, key);
    }

    /// Opens and closes until the next process needs no database: what was just written may be written again unnoticed.
    fn keep(&self) {
        self.keep_by(|| self.open());
    }

    fn keep_by(&self, open: impl Fn() -> Index) {
        let begun = Instant::now();
        let opens_database = |_open: Index| self.has_database();
        while opens_database(open()) {
            assert!(begun.elapsed() < Duration::from_secs(30), "no state file is believed");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Whether this process has the database open.
    fn has_database(&self) -> bool {
        let database = self.file(".db").canonicalize().expect("the database");
        let open = fs::read_dir("/proc/self/fd").expect("descriptors").flatten();
        let mut open = open.filter_map(|entry| fs::read_link(entry.path()).ok());
        open.any(|to| to == database)
    }
}

fn lookup(index: &Index, path: &str) -> Option<String> {
    let library = index.movies();
    library.fast(&path)
}

#[test]
fn a_hit_opens_no_database_and_changes_nothing() {
    let started = Started::new();
    let read = |end| fs::read(started.file(end)).expect("a file");
    let before = [".state", ".db", ".db-wal"].map(read);
    for _ in 0..3 {
        let index = started.open();
        assert_eq!(lookup(&index, &started.path), Some(started.key.clone()));
        started.ask(&index, &started.key);
        assert!(!started.has_database());
        index.close().expect("closes");
    }
    assert!([".state", ".db", ".db-wal"].map(read) == before);
    // They are counted all the same: three, and the one that fetched.
    let stats = started.open().counts();
    assert_eq!(stats.store_answers, 7);
    started.open().counts();
    assert_eq!(started.open().counts().store_answers, 7);
}

#[test]
fn what_others_write_is_seen_at_once() {
    let started = Started::new();
    let index = started.open();
    let (_, other) = path_of(&started.at.server, 1, 4);
    let library = index.movies();
    let look = || library.fast("/elsewhere/a.mkv");
    assert_eq!(look(), None);
    assert!(!started.has_database());
    started.record("/elsewhere/a.mkv", &other);
    // Nothing but fast lookups is asked of this handle.
    assert_eq!(look(), Some(other.clone()));
    // What is recorded is in the next file too, as are invalidations.
    drop((library, index));
    started.keep();
    let index = started.open();
    assert_eq!(lookup(&index, "/elsewhere/a.mkv"), Some(other));
    assert!(!started.has_database());
    let library = index.movies();
    library.invalidate_path(&started.path).expect("invalidated");
    drop((library, index));
    started.keep();
    let index = started.open();
    assert_eq!(lookup(&index, &started.path), None);
    assert!(!started.has_database());
}

#[test]
fn a_database_that_is_put_back_is_read() {
    for in_place in [false, true] {
        let started = Started::new();
        let old = fs::read(started.file(".db")).expect("the database");
        let (_, other) = path_of(&started.at.server, 1, 4);
        started.record("/elsewhere/a.mkv", &other);
        started.keep();
        if in_place {
            fs::write(started.file(".db"), &old).expect("written");
        } else {
            fs::write(started.file(".db.old"), &old).expect("written");
            fs::rename(started.file(".db.old"), started.file(".db")).expect("renamed");
        }
        let index = started.open();
        assert_eq!(lookup(&index, "/elsewhere/a.mkv"), None, "in place: {in_place}");
        assert_eq!(lookup(&index, &started.path), Some(started.key.clone()));
    }
}

#[test]
fn without_its_log_or_its_page_or_with_others_the_database_is_read() {
    for end in [".db-wal", ".db-shm", ".page"] {
        for replaced in [false, true] {
            let started = Started::new();
            let bytes = fs::read(started.file(end)).expect("a file");
            fs::rename(started.file(end), started.file(".kept")).expect("renamed");
            if replaced {
                fs::write(started.file(end), bytes).expect("written");
            }
            let index = started.open();
            // Another page with the same content is the page, as it was before there was a state file.
            assert!(started.has_database() || end == ".page" && replaced, "{end} {replaced}");
            started.ask(&index, &started.key);
        }
    }
}

#[test]
fn a_log_that_is_lost_while_no_connection_is_open_is_noticed() {
    let started = Started::new();
    let index = started.open();
    started.ask(&index, &started.key);
    for end in [".db-wal", ".db-shm"] {
        fs::rename(started.file(end), started.file(".kept")).expect("renamed");
    }
    let (_, other) = path_of(&started.at.server, 1, 4);
    started.record("/elsewhere/a.mkv", &other);
    let library = index.movies();
    let found = library.ask("/elsewhere/a.mkv");
    assert_eq!(found.item.expect("an item").rating_key, other);
}

#[test]
fn a_damaged_file_is_not_believed() {
    let started = Started::new();
    let bytes = fs::read(started.file(".state")).expect("the state file");
    for damaged in [&bytes[..bytes.len() - 1], b"", &[b'x'; 100]] {
        fs::write(started.file(".state"), damaged).expect("written");
        let index = started.open();
        assert!(started.has_database());
        started.ask(&index, &started.key);
        drop(index);
        started.keep();
    }
    // A link or a folder in its place leads nowhere, and is replaced.
    fs::remove_file(started.file(".state")).expect("removed");
    fs::create_dir(started.file(".state")).expect("made");
    started.ask(&started.open(), &started.key);
    started.keep();
}

#[test]
fn users_see_their_own() {
    let started = Started::new();
    let other = || {
        started.at.open_with(|options| {
            options.token = Token::new("another-token");
            options.offline = true;
        })
    };
    assert_eq!(lookup(&other(), &started.path), None);
    assert_eq!(lookup(&other(), &started.path), None);
    let named = || (started.at).open_with(|options| options.user = Some("someone".to_owned()));
    started.ask(&named(), &started.key);
    // Both are kept, when both were opened at the last change.
    started.keep();
    started.keep_by(|| {
        let index = named();
        started.ask(&index, &started.key);
        index
    });
    let index = started.open();
    started.ask(&index, &started.key);
    assert!(!started.has_database());
}

#[test]
fn a_store_that_is_cleared_answers_no_more() {
    let started = Started::new();
    let index = started.open();
    index.clear().expect("cleared");
    assert!(!started.file(".state").exists());
    assert_eq!(lookup(&index, &started.path), None);
    drop(index);
    assert_eq!(lookup(&started.open(), &started.path), None);
}

/// With `no_mmap` each lookup asks the database.
#[test]
fn without_maps_the_database_is_opened() {
    let started = Started::new();
    let index = started.at.open_with(|options| options.no_mmap = true);
    assert!(started.has_database());
    started.ask(&index, &started.key);
}
