//! The disk is full, fails, or becomes read-only at any write, sync, renaming or making of a file: SQLite's and our own.
//! Calls succeed or say why not, lookups go on, nothing that was acknowledged is lost, and all is well when the cause went.

use std::collections::BTreeMap;
use std::ffi::c_int;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::support::index::{Ask as _, Index, failpoint};
use plexindex::error::{Error, Status};
use plexindex::model::MatchKind;
use plexindex_standin::Standin;
use rusqlite::ffi::{SQLITE_FULL, SQLITE_IOERR_WRITE, SQLITE_OK, SQLITE_READONLY};

use crate::disk::warnings;
use crate::support::vfs::{self, Call};
use crate::support::worker::{Dice, Worker, assert_sound, choice, rounds, say, told};
use crate::support::{clock, movies, offline, options, path_of, try_open};

/// What goes wrong: SQLite's code, the operating system's, and whether it says that there is no room.
const CAUSES: [(c_int, c_int, bool); 4] = [
    (SQLITE_FULL, vfs::SYSTEM_ERRORS[0], true),
    (SQLITE_FULL, vfs::SYSTEM_ERRORS[1], true),
    (SQLITE_IOERR_WRITE, vfs::SYSTEM_ERRORS[2], false),
    (SQLITE_READONLY, vfs::SYSTEM_ERRORS[3], false),
];

/// Writes so far.
static DONE: AtomicU64 = AtomicU64::new(0);
/// The first that fails, and the first that does not any more.
static FROM: AtomicU64 = AtomicU64::new(u64::MAX);
static UNTIL: AtomicU64 = AtomicU64::new(u64::MAX);
static CAUSE: AtomicU64 = AtomicU64::new(0);

fn fails() -> Option<(c_int, c_int, bool)> {
    let now = DONE.fetch_add(1, Ordering::SeqCst);
    let fails = (FROM.load(Ordering::SeqCst)..UNTIL.load(Ordering::SeqCst)).contains(&now);
    fails.then(|| CAUSES[usize::try_from(CAUSE.load(Ordering::SeqCst)).expect("small")])
}

fn of_sqlite(call: &Call<'_>) -> c_int {
    match call {
        Call::Write { .. } | Call::Sync { .. } => fails().map_or(SQLITE_OK, |(code, ..)| code),
        _ => SQLITE_OK,
    }
}

fn of_ours(step: failpoint::FileStep<'_>) -> io::Result<()> {
    use failpoint::FileStep as Step;
    match step {
        Step::Make(_) | Step::Rename(..) | Step::Sync(_) => {
            fails().map_or(Ok(()), |(_, code, _)| Err(io::Error::from_raw_os_error(code)))
        }
        _ => Ok(()),
    }
}

/// What was tried of a life: how it ended, call by call.
struct Life<'l> {
    server: &'l Standin,
    folder: &'l Path,
    what: &'l str,
    /// What is recorded: whether the call returned well.
    recorded: BTreeMap<String, bool>,
    failed: u32,
}

impl Life<'_> {
    /// A call ended: well, or with the right status and a text that names folder and remedy.
    fn ended(&mut self, done: Result<(), Error>) -> bool {
        let Err(error) = done else { return true };
        let (.., is_full) = CAUSES[usize::try_from(CAUSE.load(Ordering::SeqCst)).expect("small")];
        let what = self.what;
        let wanted = if is_full { Status::StoreFull } else { Status::Store };
        assert_eq!(error.status, wanted, "{what}: {error}");
        let folder = self.folder.display().to_string();
        assert!(error.message.contains(&folder), "{what}: names no folder: {error}");
        self.failed += 1;
        false
    }

    /// Uses an index in all ways that write.
    fn live(&mut self, round: u32) {
        let index = match try_open(options(self.server, self.folder), &clock()) {
            Ok(index) => index,
            Err(error) => {
                self.ended(Err(error));
                return;
            }
        };
        let library = index.movies();
        let listed = index.query().refreshed(true).map(drop);
        self.ended(listed);
        self.look(&index);
        for count in [1, 1_100, 1, 1] {
            let name = |nth: u32| format!("/host/{round}/{count}/{}/{nth}.mkv", self.recorded.len());
            let paths: Vec<String> = (0..count).map(name).collect();
            let (_, key) = path_of(self.server, 1, 3);
            let done = library.record_matches(paths.iter().map(|path| (path, key.as_str())));
            let well = self.ended(done);
            self.recorded.insert(paths[0].clone(), well);
            self.look(&index);
        }
        let listed = index.query().refreshed(true).map(drop);
        self.ended(listed);
        let searched = library.query().search_title("the").map(drop);
        self.ended(searched);
        self.look(&index);
        let closed = index.close();
        self.ended(closed);
    }

    /// What was recorded is there, what was refused is not, and nothing else is answered.
    fn look(&mut self, index: &Index) {
        let what = self.what;
        let library = index.movies();
        for nth in [0, 3, 39] {
            let (path, key) = path_of(self.server, 1, nth);
            let fast = library.fast(&path);
            assert!(fast.is_none_or(|found| found == key), "{what}");
            match library.query().matched(&path) {
                Ok(found) => assert_eq!(found.key(), Some(key), "{what}"),
                Err(error) => {
                    self.ended(Err(error));
                }
            }
        }
        for (path, well) in self.recorded.clone() {
            match offline(&library).matched(&path) {
                Ok(found) => assert_eq!(found.match_kind == MatchKind::Confirmed, well, "{what}: {path}"),
                // Nothing is known of the library yet.
                Err(error) if matches!(error.status, Status::InvalidArgument | Status::NotFetched) => {
                    assert!(!well, "{what}: {path}: {error}");
                }
                Err(error) => {
                    self.ended(Err(error));
                }
            }
        }
    }
}

/// In a worker: lives in which every so-manieth write fails.
pub fn every_write(words: &[&str]) {
    let root = Path::new(words[0]);
    let number = |nth: usize| words[nth].parse::<u64>().expect("a number");
    let (seed, lives) = (number(1), number(2));
    crate::support::warnings::keep();
    vfs::register(of_sqlite, true);
    failpoint::install(of_ours);
    let server = movies(40);
    let mut dice = Dice::new(seed);
    let mut in_all = 0;
    let mut failed = 0;
    for life in 0..=lives {
        // The first is a good one, which counts the writes.
        let from = if life == 0 {
            u64::MAX
        } else {
            (life - 1) * in_all / lives
        };
        let length = *dice.any(&[1, 5, u64::MAX / 2]);
        CAUSE.store(dice.roll(CAUSES.len() as u64), Ordering::SeqCst);
        let cause = CAUSES[usize::try_from(CAUSE.load(Ordering::SeqCst)).expect("small")];
        // One alone can be lived again, after the first.
        if life > 0 && choice("PLEXINDEX_LIFE", life) != life {
            continue;
        }
        let what = format!("seed {seed}, life {life}: {length} writes fail from {from} on with {cause:?}");
        let folder = root.join(life.to_string());
        let mut alive = Life {
            server: &server,
            folder: &folder,
            what: &what,
            recorded: BTreeMap::new(),
            failed: 0,
        };
        DONE.store(0, Ordering::SeqCst);
        UNTIL.store(from.saturating_add(length), Ordering::SeqCst);
        FROM.store(from, Ordering::SeqCst);
        alive.live(0);
        if life == 0 {
            in_all = DONE.load(Ordering::SeqCst);
        }
        failed += alive.failed;
        // The cause went.
        FROM.store(u64::MAX, Ordering::SeqCst);
        alive.failed = 0;
        alive.live(1);
        assert_eq!(alive.failed, 0, "{what}: it goes on failing");
        assert_sound(&folder);
        let is_aside = folder.join("plexindex-1.db.broken").exists();
        assert!(!is_aside, "{what}: {:?}", warnings(&folder));
        std::fs::remove_dir_all(&folder).expect("removed");
        say("alive");
    }
    say(&format!(
        "seed {seed}: {lives} lives of {in_all} writes, {failed} calls failed"
    ));
    told();
}

#[test]
fn any_write_may_fail() {
    let lives = rounds("PLEXINDEX_FAILING_WRITES", 15, 36);
    let root = tempfile::tempdir().expect("a folder");
    let root_name = root.path().canonicalize().expect("a folder").display().to_string();
    let seed = choice("PLEXINDEX_SEED", 1).to_string();
    let mut worker = Worker::start("every write", [&root_name, &seed, &lives.to_string()]);
    let said = std::iter::from_fn(|| worker.next()).find(|said| said != "alive");
    println!("{}", said.expect("how it went"));
    worker.end();
}
