//! The disk of a simulation: what SQLite writes there is heard. The disk may be full, and a process may be killed between
//! what a transaction wrote and its commit.
//!
//! There is one for all simulations of a process, so they run one after the other.

use std::collections::BTreeMap;
use std::ffi::c_int;
use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, Once, PoisonError};

use crate::support::index::failpoint::{self, FileStep as Step};
use rusqlite::ffi::{SQLITE_FULL, SQLITE_OK};

use crate::net::Net;
use plexindex_tests::vfs::{self, Call};
use plexindex_tests::warnings;

#[derive(Default)]
struct Disk {
    /// Where the simulation's folder is, and what is told of commits in it.
    folder: Option<(PathBuf, Arc<Net>)>,
    full: bool,
    /// Calls left until the folder goes that is named.
    goes: Option<(u64, PathBuf)>,
}

static DISK: LazyLock<Mutex<Disk>> = LazyLock::new(Mutex::default);

fn disk() -> MutexGuard<'static, Disk> {
    DISK.lock().unwrap_or_else(PoisonError::into_inner)
}

/// From now on what is written below this folder is heard.
pub fn watch(folder: &Path, net: &Arc<Net>) {
    static HEARD: Once = Once::new();
    HEARD.call_once(|| {
        failpoint::install(ours);
        vfs::register(of_sqlite, true);
        warnings::keep();
    });
    let mut disk = disk();
    disk.folder = Some((folder.to_owned(), Arc::clone(net)));
    (disk.full, disk.goes) = (false, None);
    drop(disk);
    take_log();
}

/// Nothing more can be written, or it can again.
pub fn fill(full: bool) {
    disk().full = full;
}

/// After so many calls a folder goes, with all that is in it.
pub fn remove_after(calls: u64, folder: &Path) {
    disk().goes = Some((calls, folder.to_owned()));
}

/// It goes now at the latest. Gives whether it had gone before.
pub fn remove_now() -> bool {
    let folder = disk().goes.take();
    if let Some((_, folder)) = &folder {
        let _ = std::fs::remove_dir_all(folder);
    }
    folder.is_none()
}

impl Disk {
    /// A call is about to be made.
    fn call(&mut self) {
        match &mut self.goes {
            Some((0, folder)) => {
                let _ = std::fs::remove_dir_all(folder);
                self.goes = None;
            }
            Some((calls, _)) => *calls -= 1,
            None => {}
        }
    }

    fn has(&self, path: &Path) -> bool {
        self.folder.as_ref().is_some_and(|(folder, _)| path.starts_with(folder))
    }
}

/// The head of the frame in the write-ahead log that commits, by the format of SQLite's log.
fn is_commit(path: &Path, at: u64, bytes: &[u8]) -> bool {
    path.as_os_str().as_encoded_bytes().ends_with(b"-wal") && at > 0 && bytes.len() == 24 && bytes[4..8] != [0; 4]
}

fn of_sqlite(call: &Call<'_>) -> c_int {
    let mut disk = disk();
    disk.call();
    if let Call::Write { file, at, bytes } = call
        && let path = vfs::path_of(*file)
        && disk.has(&path)
    {
        if disk.full {
            return SQLITE_FULL;
        }
        if is_commit(&path, *at, bytes)
            && let Some((_, net)) = disk.folder.clone()
        {
            drop(disk);
            net.point();
        }
    }
    SQLITE_OK
}

fn ours(step: Step<'_>) -> io::Result<()> {
    let mut disk = disk();
    disk.call();
    match step {
        Step::Make(path) | Step::Rename(_, path) => {
            if disk.full && disk.has(path) {
                return Err(io::Error::from_raw_os_error(vfs::SYSTEM_ERRORS[0]));
            }
            Ok(())
        }
        _ => Ok(()),
    }
}

/// The warnings since this was called last.
pub fn take_log() -> Vec<String> {
    std::mem::take(&mut *warnings::so_far())
}

/// Warnings of what no step of a simulation explains, unless the disk is full.
pub const NEVER: [&str; 4] = [
    "cannot remove dead rows",
    "; the next refresh will try again",
    "cannot reduce the folder to",
    "bug in plexindex",
];

/// What happened in all simulations of this process, by kind.
static COUNTS: Mutex<BTreeMap<String, u64>> = Mutex::new(BTreeMap::new());

pub fn count(counts: &mut BTreeMap<String, u64>) {
    let mut all = COUNTS.lock().unwrap_or_else(PoisonError::into_inner);
    for (what, times) in std::mem::take(counts) {
        *all.entry(what).or_default() += times;
    }
}

/// All of it, a kind in a line.
pub fn counted() -> String {
    let all = COUNTS.lock().unwrap_or_else(PoisonError::into_inner);
    let mut text = String::new();
    for (what, times) in all.iter() {
        let _ = writeln!(text, "  {times:>9} {what}");
    }
    text
}
