//! Disks that take nothing: a clear error that names the folder and the remedy, the store as it was, and all well again
//! once there is room.

use std::ffi::CString;
use std::fs;
use std::path::Path;

use crate::support::Scene;
use crate::support::index::Index;
use plexindex::error::{Error, Status};
use plexindex::options::{Options, Ttl};

use super::broken::answer;
use crate::support::worker::{Worker, assert_sound, options_at, place, say, told};
use crate::support::{self, clock, movies, options, path_of};

/// In a worker: mounts something there, for this process only. `false`, with a word on why, where that is not allowed.
pub fn mount(kind: &str, on: &Path, flags: libc::c_ulong, data: &str) -> bool {
    let words = [kind, &on.display().to_string(), data].map(|word| CString::new(word).expect("no NUL"));
    // SAFETY: plain calls with NUL-terminated words. The mount goes with the namespace, and that with the process.
    let done = unsafe {
        static ALONE: std::sync::Once = std::sync::Once::new();
        ALONE.call_once(|| {
            let root = c"/".as_ptr();
            let _ = libc::unshare(libc::CLONE_NEWNS) == 0
                && libc::mount(
                    c"none".as_ptr(),
                    root,
                    std::ptr::null(),
                    libc::MS_REC | libc::MS_PRIVATE,
                    std::ptr::null(),
                ) == 0;
        });
        libc::mount(
            words[0].as_ptr(),
            words[1].as_ptr(),
            words[0].as_ptr(),
            flags,
            words[2].as_ptr().cast(),
        ) == 0
    };
    if !done {
        say(&format!("skip: {}", std::io::Error::last_os_error()));
    }
    done
}

/// Starts a worker that needs a mount. `None` where none can be had: then the test says so, and proves nothing.
pub fn with_mount(role: &str, words: &[&str]) -> Option<Worker> {
    let mut worker = Worker::start_with(role, words);
    let said = worker.hear();
    if said.starts_with("skip") {
        println!("{said}: no mount for '{role}'");
        return None;
    }
    assert_eq!(said, "ready");
    Some(worker)
}

fn assert_refused(result: Result<(), Error>, status: Status, folder: &Path, remedy: &str) {
    let error = result.expect_err("refused");
    assert_eq!(error.status, status, "{error}");
    assert!(
        error.message.contains(&folder.display().to_string()),
        "names no folder: {error}"
    );
    assert!(error.message.contains(remedy), "names no remedy: {error}");
}

pub fn try_open(options: Options) -> Result<Index, Error> {
    Index::open_with(options, clock(), |options, id, meter| {
        Ok(
            std::sync::Arc::new(plexindex::source::plex::PlexHttp::new(options, id, meter)?)
                as std::sync::Arc<dyn plexindex::source::Source>,
        )
    })
}

/// In a worker: a folder that can only be read, empty or with a store.
pub fn read_only(words: &[&str]) {
    let options = options_at(words);
    let folder = options.cache_dir.clone();
    let bytes = |folder: &Path| -> Vec<(String, Vec<u8>)> {
        let mut files: Vec<_> = fs::read_dir(folder)
            .expect("the folder")
            .map(|entry| entry.expect("an entry"))
            .map(|entry| {
                (
                    entry.file_name().to_string_lossy().into_owned(),
                    fs::read(entry.path()).expect("read"),
                )
            })
            .collect();
        files.sort();
        files
    };
    let before = bytes(&folder);
    if !mount(words[0], &folder, libc::MS_BIND, "")
        || !mount("none", &folder, libc::MS_BIND | libc::MS_REMOUNT | libc::MS_RDONLY, "")
    {
        return;
    }
    say("ready");
    let remedy = if before.is_empty() {
        "choose a cache_dir that this user can write to"
    } else {
        "can write to"
    };
    assert_refused(try_open(options).map(drop), Status::Store, &folder, remedy);
    assert_eq!(bytes(&folder), before, "the store is as it was");
    say("done");
    told();
}

#[test]
fn a_folder_that_can_only_be_read_is_refused() {
    let server = movies(20);
    for used in [false, true] {
        let folder = tempfile::tempdir().expect("a folder");
        if used {
            super::broken::used(&server, folder.path());
        }
        let place = place(folder.path(), &server);
        let Some(mut worker) = with_mount("read-only", &[&place[0], &place[1], &place[2]]) else {
            return;
        };
        assert_eq!(worker.hear(), "done");
        worker.end();
        if used {
            let index = support::open(options(&server, folder.path()), &clock());
            let library = index.library("Movies").expect("a handle");
            let (path, key) = path_of(&server, 1, 3);
            assert_eq!(answer(&library, &path).expect("an answer"), key);
        }
    }
}

/// Takes all room but so much.
pub fn fill(folder: &Path, but: usize) {
    let ballast = folder.join("ballast");
    let mut size = 8 << 20;
    while size >= 4096 {
        let more = vec![1; size];
        let mut file = fs::OpenOptions::new()
            .append(true)
            .create(true)
            .open(&ballast)
            .expect("opened");
        if std::io::Write::write_all(&mut file, &more).is_err() {
            size /= 2;
        }
    }
    let taken = fs::metadata(&ballast).expect("facts").len();
    let file = fs::OpenOptions::new().write(true).open(&ballast).expect("opened");
    file.set_len(taken.saturating_sub(but as u64)).expect("shortened");
}

/// Plays a role on a small disk of its own, with a server of so many films and one of the last.
fn on_a_small_disk(role: &str, films: u32) {
    let at = Scene::movies(films);
    let place = place(at.folder(), &at.server);
    let (path, key) = path_of(&at.server, 1, films as usize - 100);
    if let Some(mut worker) = with_mount(role, &[&place[0], &place[1], &place[2], &path, &key]) {
        assert_eq!(worker.hear(), "done");
        worker.end();
    }
}

/// In a worker: a small disk of its own that gets full while the store is closed.
pub fn full_and_closed(words: &[&str]) {
    let options = options_at(words);
    let folder = options.cache_dir.clone();
    let (path, key) = (words[3], words[4]);
    if !mount("tmpfs", &folder, 0, "size=6m,mode=700") {
        return;
    }
    say("ready");
    let index = try_open(options.clone()).expect("opens");
    let library = index.library("Movies").expect("a handle");
    assert_eq!(answer(&library, path).expect("fetched"), key);
    library.record("/host/a.mkv", key);
    index.close().expect("closes");
    fill(&folder, 0);
    // Closed before the disk was full, and on the full disk.
    for round in 0..2 {
        // Nothing is fresh, and cannot store anything new: the old answers stand in.
        let impatient = Options {
            library_ttl: Ttl::Zero,
            ..options.clone()
        };
        let index = try_open(impatient).unwrap_or_else(|error| panic!("round {round}: {error}"));
        let library = index.library("Movies").expect("a handle");
        for path in [path, "/host/a.mkv"] {
            assert_eq!(answer(&library, path).expect("an answer"), key, "round {round}");
            assert_eq!(library.lookup_key(path.as_bytes(), |found| found == key), Some(true));
        }
        let stats = index.stats().expect("statistics");
        assert_eq!(stats.libraries, 1);
        assert!(stats.last_failure.is_some_and(|failure| failure.contains("full")));
        let _ = index.close(); // the counters may find no room
    }
    fs::remove_file(folder.join("ballast")).expect("removed");
    let index = try_open(options).expect("opens");
    let library = index.library("Movies").expect("a handle");
    library
        .record_matches(&[(b"/host/b.mkv", key)])
        .expect("there is room again");
    assert_eq!(answer(&library, "/host/b.mkv").expect("an answer"), key);
    index.close().expect("closes");
    assert_sound(&folder);
    say("done");
    told();
}

#[test]
fn a_store_that_was_closed_is_opened_on_a_full_disk() {
    on_a_small_disk("full and closed", 2_000);
}
