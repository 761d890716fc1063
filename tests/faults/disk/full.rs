//! Disks that take nothing: a clear error that names the folder and the remedy, the store as it was, and all well again
//! once there is room.

use std::ffi::CString;
use std::fs;
use std::path::{Path, PathBuf};

use crate::support::Scene;
use crate::support::index::Index;
use plexindex::error::{Error, Status};
use plexindex::options::Ttl;
use plexindex_standin::Standin;

use super::broken::answer;
use crate::support::worker::{Worker, assert_sound, options_at, say, told, writable};
use crate::support::{self, clock, files_in, movies, options, path_of, try_open};

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

/// In a worker: lets nothing be written in a folder, like [`mount`].
pub fn mount_read_only(folder: &Path) -> bool {
    mount(&folder.display().to_string(), folder, libc::MS_BIND, "")
        && mount("none", folder, libc::MS_BIND | libc::MS_REMOUNT | libc::MS_RDONLY, "")
}

/// Starts a worker that needs a mount. `None` where none can be had: then the test says so, and proves nothing.
pub fn with_mount(role: &str, folder: &Path, server: &Standin, words: &[&str]) -> Option<Worker> {
    let mut worker = Worker::at(role, folder, server, words);
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
    let folder = folder.display().to_string();
    assert!(error.message.contains(&folder), "names no folder: {error}");
    assert!(error.message.contains(remedy), "names no remedy: {error}");
}

/// In a worker: a folder that can only be read, empty or with a store.
pub fn read_only(words: &[&str]) {
    let options = options_at(words);
    let folder = options.cache_dir.clone();
    let bytes = |folder: &Path| -> Vec<(PathBuf, Vec<u8>)> {
        let with_bytes = |path: PathBuf| {
            let bytes = fs::read(&path).expect("read");
            (path, bytes)
        };
        files_in(folder).into_iter().map(with_bytes).collect()
    };
    let before = bytes(&folder);
    if !mount_read_only(&folder) {
        return;
    }
    say("ready");
    let remedy = if before.is_empty() {
        "choose a cache_dir that this user can write to"
    } else {
        "can write to"
    };
    assert_refused(
        try_open(options.clone(), &clock()).map(drop),
        Status::Store,
        &folder,
        remedy,
    );
    let mut offline = options;
    offline.offline = true;
    if before.is_empty() {
        assert_refused(Index::open(offline).map(drop), Status::Store, &folder, remedy);
    } else {
        let index = Index::open(offline).expect("opens for reading");
        let library = index.movies();
        let (path, key) = (words[3], words[4]);
        for _ in 0..2 {
            assert_eq!(answer(&library, path).expect("an answer"), key);
            assert_eq!(library.lookup_key(path.as_bytes(), |found| found == key), Some(true));
        }
        let refused = library.record_match("/host/b.mkv", key);
        assert_refused(refused, Status::Store, &folder, "cannot write to the store");
        assert_eq!(index.counts().libraries, 1);
        index.close().expect("closes");
    }
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
        let (path, key) = path_of(&server, 1, 3);
        let Some(worker) = with_mount("read-only", folder.path(), &server, &[&path, &key]) else {
            return;
        };
        worker.done();
        if used {
            let index = support::open(options(&server, folder.path()), &clock());
            assert_eq!(answer(&index.movies(), &path).expect("an answer"), key);
        }
    }
}

/// Takes all room but so much.
pub fn fill(folder: &Path, but: usize) {
    let ballast = folder.join("ballast");
    let mut size = 8 << 20;
    while size >= 4096 {
        let more = vec![1; size];
        let file = fs::OpenOptions::new().append(true).create(true).open(&ballast);
        let mut file = file.expect("opened");
        if std::io::Write::write_all(&mut file, &more).is_err() {
            size /= 2;
        }
    }
    let taken = fs::metadata(&ballast).expect("facts").len();
    writable(&ballast)
        .set_len(taken.saturating_sub(but as u64))
        .expect("shortened");
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
    let index = try_open(options.clone(), &clock()).expect("opens");
    let library = index.movies();
    assert_eq!(answer(&library, path).expect("fetched"), key);
    library.record("/host/a.mkv", key);
    index.close().expect("closes");
    fill(&folder, 0);
    // Closed before the disk was full, and on the full disk.
    for round in 0..2 {
        // Nothing is fresh, and cannot store anything new: the old answers stand in.
        let mut impatient = options.clone();
        impatient.library_ttl = Ttl::Zero;
        let index = try_open(impatient, &clock()).unwrap_or_else(|error| panic!("round {round}: {error}"));
        let library = index.movies();
        for path in [path, "/host/a.mkv"] {
            assert_eq!(answer(&library, path).expect("an answer"), key, "round {round}");
            assert_eq!(library.lookup_key(path.as_bytes(), |found| found == key), Some(true));
        }
        let stats = index.counts();
        assert_eq!(stats.libraries, 1);
        assert!(stats.last_failure.is_some_and(|failure| failure.contains("full")));
        let _ = index.close(); // the counters may find no room
    }
    fs::remove_file(folder.join("ballast")).expect("removed");
    let index = try_open(options, &clock()).expect("opens");
    let library = index.movies();
    library.record("/host/b.mkv", key);
    assert_eq!(answer(&library, "/host/b.mkv").expect("an answer"), key);
    index.close().expect("closes");
    assert_sound(&folder);
    say("done");
    told();
}

#[test]
fn a_store_that_was_closed_is_opened_on_a_full_disk() {
    let at = Scene::movies(2_000);
    let (path, key) = path_of(&at.server, 1, 1_900);
    if let Some(worker) = with_mount("full and closed", at.folder(), &at.server, &[&path, &key]) {
        worker.done();
    }
}
