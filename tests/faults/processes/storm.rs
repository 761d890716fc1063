//! Many processes open the same new folder at the same moment, and ask at the same moment: no error, one store, one
//! listing.

use std::io::{Read, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use crate::support::index::Index;
use plexindex_standin::{Action, Fault, Kind, Standin};

use crate::support::worker::{Worker, assert_sound, choice, database, open_at, place, rounds, say, told};
use crate::support::{self, clock, movies, offline, options, path_of, requests};

fn answer(index: &Index, path: &str) -> Option<String> {
    let library = index.library("Movies").expect("a handle");
    let found = index
        .match_path(&offline(&library), path.as_bytes())
        .expect("an answer");
    found.item.map(|item| item.item.rating_key)
}

/// In a worker, which has used nothing of the library: so many children that begin together. Says how each ended.
pub fn storm(words: &[&str]) {
    let children: u32 = words[3].parse().expect("a number");
    let (path, key) = (words[4], words[5]);
    // What the children wait for: that nothing can be written into it any more.
    let (mut gate, hold) = std::io::pipe().expect("a pipe");
    let (mut ends, ended) = std::io::pipe().expect("a pipe");
    for number in 0..children {
        // SAFETY: the child runs on this thread's copy alone, and leaves by `_exit`.
        let child = unsafe { libc::fork() };
        assert!(child >= 0, "a child");
        if child > 0 {
            continue;
        }
        drop(hold);
        let work = AssertUnwindSafe(|| {
            let mut nothing = [0];
            assert_eq!(gate.read(&mut nothing).expect("opened"), 0);
            let index = open_at(words);
            let library = index.library("Movies").expect("a handle");
            let own = format!("/host/{number}.mkv");
            library.record_matches(&[(own.as_bytes(), key)]).expect("recorded");
            let found = library.match_path(path.as_bytes()).expect("an answer");
            assert_eq!(found.item.expect("an item").item.rating_key, key);
            assert_eq!(answer(&index, &own).as_deref(), Some(key));
            index.close().expect("closes");
        });
        let done = catch_unwind(work).is_ok();
        let _ = (&ended).write_all(&[u8::from(done)]);
        // SAFETY: nothing of the parent's is torn down.
        unsafe { libc::_exit(0) };
    }
    drop((hold, ended));
    let mut all = Vec::new();
    ends.read_to_end(&mut all).expect("read");
    for _ in 0..children {
        // SAFETY: a plain call; whose state it is does not matter.
        unsafe { libc::wait(std::ptr::null_mut()) };
    }
    let well: u32 = all.iter().map(|done| u32::from(*done)).sum();
    say(&format!("{well} of {children}"));
    told();
}

fn begin(server: &Standin, folder: &Path, children: u64) {
    let place = place(folder, server);
    let (path, key) = path_of(server, 1, 3);
    let count = children.to_string();
    server.reset();
    let mut worker = Worker::start("storm", [&place[0], &place[1], &place[2], &count, &path, &key]);
    assert_eq!(worker.hear(), format!("{children} of {children}"));
    worker.end();
    let [view_id, sections, listing, _, _, all] = requests(server);
    // Which libraries there are is asked three times: before the first match is recorded; by the question that lists, which
    // came after that; and when the listing has come, whether anything changed meanwhile.
    assert_eq!([view_id, sections, listing, all], [1, 3, 1, 5]);
    let index = support::open(options(server, folder), &clock());
    for number in 0..children {
        assert_eq!(answer(&index, &format!("/host/{number}.mkv")), Some(key.clone()));
    }
    index.close().expect("closes");
    assert_sound(folder);
    let libraries: i64 = database(folder)
        .query_row("SELECT count(*) FROM libraries WHERE view_id > 0", [], |row| row.get(0))
        .expect("a count");
    assert_eq!(libraries, 1);
    let broken = std::fs::read_dir(folder).expect("the folder").filter(|entry| {
        let name = entry.as_ref().expect("an entry").file_name();
        name.to_string_lossy().contains(".broken") || name.to_string_lossy().ends_with(".new")
    });
    assert_eq!(broken.count(), 0);
}

#[test]
pub fn many_processes_begin_on_a_new_folder_at_once() {
    let server = movies(40);
    // So that those who come later find the fetch under way.
    server.fault(Fault::new(Action::Delay { ms: 20 }).on(Kind::Listing).times(0));
    for _ in 0..rounds("PLEXINDEX_STORMS", 2) {
        let folder = tempfile::tempdir().expect("a folder");
        begin(
            &server,
            &folder.path().join("new"),
            choice("PLEXINDEX_STORM_PROCESSES", 64),
        );
    }
}
