//! What others put into the folder in the place of a file of the store: links, pipes, directories. Nothing outside of the
//! folder is touched, no call hangs, and the store goes on where it can.

use std::ffi::CString;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt, symlink};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::support::index::Index;
use plexindex::error::Error;
use plexindex_standin::Standin;

use super::broken::{answer, used};
use super::{OTHER, is_root};
use crate::support::worker::assert_sound;
use crate::support::{clock, files_in, movies, open, options, path_of, try_open};

/// Whose the folder is: another user's where this is root, for then a link is an attack.
fn give(path: &Path) {
    if is_root() {
        std::os::unix::fs::lchown(path, Some(OTHER), Some(OTHER)).expect("given away");
    } else {
        println!("not root: the folder stays this user's");
    }
}

/// Puts something there.
type Put = fn(&Path);

fn pipe(path: &Path) {
    let name = CString::new(path.as_os_str().as_bytes()).expect("no NUL");
    // SAFETY: a plain call with a NUL-terminated name.
    assert_eq!(unsafe { libc::mkfifo(name.as_ptr(), 0o600) }, 0);
}

/// Uses a store in every way that touches files.
fn use_it(server: &Standin, folder: &Path) -> Result<(), Error> {
    let index: Index = try_open(options(server, folder), &clock())?;
    let library = index.movies();
    let (path, key) = path_of(server, 1, 3);
    assert_eq!(answer(&library, &path)?, key);
    library.record_match("/host/a.mkv", &key)?;
    assert_eq!(answer(&library, "/host/a.mkv")?, key);
    library.query().match_guid("imdb://tt0000001")?;
    index.store()?;
    index.close()
}

/// The same, on a thread of its own: it must not hang.
fn use_in_time(server: &Standin, folder: &Path) -> Result<(), Error> {
    std::thread::scope(|threads| {
        let (say, said) = std::sync::mpsc::channel();
        threads.spawn(move || {
            let done = use_it(server, folder);
            let _ = say.send(done);
        });
        said.recv_timeout(Duration::from_secs(30)).unwrap_or_else(|_| {
            println!("a call hangs");
            std::process::exit(101) // the thread never ends, and so would this process
        })
    })
}

fn make_folders(paths: &[&Path]) {
    for path in paths {
        fs::create_dir(path).expect("made");
    }
}

/// Names, owners and contents of what is in a folder.
fn seen(folder: &Path) -> Vec<(PathBuf, u32, u32, Vec<u8>)> {
    let with_facts = |path: PathBuf| {
        let facts = fs::symlink_metadata(&path).expect("facts");
        let bytes = fs::read(&path).unwrap_or_default();
        (path, facts.uid(), facts.mode(), bytes)
    };
    files_in(folder).into_iter().map(with_facts).collect()
}

/// The names of the files in a folder that contain this.
fn files_with(folder: &Path, part: &str) -> Vec<String> {
    let names = files_in(folder).into_iter();
    let names = names.map(|path| path.file_name().expect("a name").to_string_lossy().into_owned());
    names.filter(|name| name.contains(part)).collect()
}

/// The names in a store's folder that can be guessed. That of the lock on a server follows from its URL: it is read
/// from `used`, a folder that an index has used.
fn names(used: &Path) -> Vec<String> {
    let id = std::process::id();
    let mut names: Vec<String> = [
        "plexindex-client-id",
        "plexindex-1.db",
        "plexindex-1.db-wal",
        "plexindex-1.db-shm",
        "plexindex-1.db-journal",
        "plexindex-1.page",
        "plexindex-1-client.lock",
        "plexindex-1-store.lock",
    ]
    .map(str::to_owned)
    .to_vec();
    let before = names.len();
    names.extend(files_with(used, "-probe-"));
    assert_eq!(names.len(), before + 1, "one server has one lock");
    names.extend((0..64).map(|number| format!("plexindex-1-fetch{number}.lock")));
    names.extend(["db", "trial", "room"].map(|what| format!("plexindex-1.{what}.{id}.new")));
    names.push(format!("plexindex-1.{id}.new"));
    names.push(format!("plexindex-client-id.{id}.new"));
    names
}

#[test]
fn a_planted_link_leads_nowhere() {
    let server = movies(20);
    let sample = tempfile::tempdir().expect("a folder");
    use_it(&server, sample.path()).expect("it works");
    // What must not even fail is planted together.
    let healed = |name: &String| {
        let parts = ["-fetch", "-id", ".page", "-probe", ".new"];
        parts.iter().any(|part| name.contains(part))
    };
    let (healed, others): (Vec<_>, Vec<_>) = names(sample.path()).into_iter().partition(healed);
    let mut groups = vec![healed];
    groups.extend(others.into_iter().map(|name| vec![name]));
    for there in [true, false] {
        for names in &groups {
            let root = tempfile::tempdir().expect("a folder");
            let (folder, away) = (root.path().join("cache"), root.path().join("away"));
            make_folders(&[&folder, &away]);
            give(&folder);
            for name in names {
                let target = away.join(name);
                if there {
                    fs::write(&target, "precious, and not a word of it may change").expect("written");
                }
                symlink(&target, folder.join(name)).expect("planted");
                give(&folder.join(name));
            }
            let before = seen(&away);
            let done = use_it(&server, &folder);
            assert_eq!(seen(&away), before, "{names:?}, a file there: {there}");
            if let Err(error) = done {
                assert_eq!(names.len(), 1, "{error}");
                let first = &names[0];
                assert!(error.message.contains(first), "{first}: {error}");
                assert!(error.message.contains("remove it"), "{first}: {error}");
            }
            for name in names {
                let planted = folder.join(name);
                if fs::symlink_metadata(&planted).is_ok_and(|facts| facts.is_symlink()) {
                    fs::remove_file(planted).expect("removed");
                }
            }
            use_it(&server, &folder).expect("all well again");
            assert_eq!(seen(&away), before, "{names:?}");
            assert_sound(&folder);
        }
    }
}

#[test]
fn a_hard_link_to_a_file_elsewhere_is_not_written_through() {
    let server = movies(20);
    for name in ["plexindex-client-id", "plexindex-1-store.lock", "plexindex-1.page"] {
        let root = tempfile::tempdir().expect("a folder");
        let (folder, away) = (root.path().join("cache"), root.path().join("away"));
        make_folders(&[&folder, &away]);
        give(&folder);
        fs::write(away.join("file"), "precious, and not a word of it may change").expect("written");
        fs::hard_link(away.join("file"), folder.join(name)).expect("planted");
        let before = seen(&away);
        use_it(&server, &folder).expect("it works");
        assert_eq!(seen(&away), before, "{name}");
    }
}

#[test]
fn a_folder_that_becomes_a_link_is_not_followed() {
    let server = movies(20);
    let root = tempfile::tempdir().expect("a folder");
    let (folder, away) = (root.path().join("cache"), root.path().join("away"));
    let index = open(options(&server, &folder), &clock());
    let library = index.movies();
    let (path, key) = path_of(&server, 1, 3);
    assert_eq!(answer(&library, &path).expect("fetched"), key);
    fs::create_dir(&away).expect("made");
    fs::rename(&folder, root.path().join("moved")).expect("moved");
    symlink(&away, &folder).expect("planted");
    let recorded = library.record_match("/host/a.mkv", &key);
    let error = recorded.expect_err("a link is in its place");
    assert!(error.message.contains("symbolic link"), "{error}");
    assert!(seen(&away).is_empty(), "{:?}", seen(&away));
    // Put back, it goes on.
    fs::remove_file(&folder).expect("removed");
    fs::rename(root.path().join("moved"), &folder).expect("moved back");
    library.record("/host/a.mkv", &key);
    // Who opens it now says which folder is meant: a link is as good as its name.
    symlink(&folder, root.path().join("link")).expect("made");
    use_it(&server, &root.path().join("link")).expect("it works");
}

#[test]
fn a_pipe_or_a_directory_in_the_place_of_a_file_hangs_nothing() {
    let server = movies(20);
    let kinds: [(&str, Put); 2] = [
        ("pipe", pipe),
        ("directory", |path| {
            fs::create_dir(path).expect("made");
            fs::write(path.join("what a user keeps"), "precious").expect("written");
        }),
    ];
    let sample = tempfile::tempdir().expect("a folder");
    used(&server, sample.path());
    let mut names = names(sample.path());
    names.retain(|name| !name.contains("-fetch"));
    names.extend(files_with(sample.path(), ".segment"));
    for (kind, put) in kinds {
        for name in &names {
            let folder = tempfile::tempdir().expect("a folder");
            crate::support::copy_files(sample.path(), folder.path());
            let place = folder.path().join(name);
            let _ = fs::remove_file(&place);
            put(&place);
            let done = use_in_time(&server, folder.path());
            let healed = name.contains(".segment") || name.ends_with("-id") || name.contains(".page");
            match done {
                Ok(()) => {}
                Err(error) if healed => panic!("a {kind} as {name}: {error}"),
                Err(error) => {
                    assert!(error.message.contains(name.as_str()), "names no file: {error}");
                }
            }
            // A segment gets a file of another name.
            if healed && !name.contains(".segment") {
                let facts = fs::symlink_metadata(&place).expect("it is there");
                assert!(facts.is_file() && !facts.file_type().is_fifo(), "a {kind} as {name}");
            }
            // What a user kept there is kept.
            if kind == "directory" {
                let is_kept = |path: &PathBuf| path.join("what a user keeps").exists();
                let kept = files_in(folder.path()).iter().any(is_kept);
                assert!(kept, "{name}");
            }
        }
    }
}
