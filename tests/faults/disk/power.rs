//! The power fails: at each point where something was forced to the disk, the folder is made anew with any of what was not
//! forced missing. It opens without a word of damage, and what was recorded is there up to some moment, in its order.

pub mod steps;

use std::collections::HashMap;
use std::ffi::c_int;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use self::steps::{STEPS, Step, check, forced, path};
use crate::support::index::{Index, Library, failpoint, freeze_coarse_clock};
use crate::support::{copy_files, files_in};
use plexindex::model::MatchKind;
use plexindex::options::{Mapping, Options};
use plexindex_standin::Standin;
use rusqlite::ffi::SQLITE_OK;

use super::broken::spoil;
use crate::disk::warnings;
use crate::support::vfs::{self, Call};
use crate::support::worker::{Dice, Worker, assert_sound, choice, rounds, say, told};
use crate::support::{add, clock, movies, offline, open, options, path_of};

/// What a disk is given.
#[derive(Debug)]
enum Event {
    Make(String, usize),
    Rename(String, String),
    Remove(String),
    Write(usize, u64, Vec<u8>),
    Truncate(usize, u64),
    Sync(usize),
    SyncNames,
    /// What processes have mapped, by name, as it is now.
    Mapped(&'static str, Vec<u8>),
    Begun,
    Done,
}

#[derive(Default)]
struct Tape {
    root: PathBuf,
    events: Vec<Event>,
    /// Which file has which name, as the disk would have it with all that it was given.
    files: HashMap<String, usize>,
    made: usize,
    /// Which file is open under which number of SQLite's.
    open: HashMap<usize, usize>,
    /// Logs whose name SQLite forces to the disk with their first bytes.
    new_logs: Vec<usize>,
}

static TAPE: Mutex<Option<Tape>> = Mutex::new(None);

const MAPPED: [&str; 2] = ["plexindex-1.page", "plexindex-1.db-shm"];

impl Tape {
    fn name(&self, path: &Path) -> Option<String> {
        let inside = path.parent()? == self.root;
        inside.then(|| path.file_name().expect("a name").to_string_lossy().into_owned())
    }

    fn make(&mut self, name: String) -> usize {
        self.made += 1;
        self.files.insert(name.clone(), self.made);
        self.events.push(Event::Make(name, self.made));
        self.made
    }

    /// The files of the folder are on the disk.
    fn take_folder(&mut self) {
        for path in files_in(&self.root) {
            let number = self.make(self.name(&path).expect("a file"));
            self.events
                .push(Event::Write(number, 0, fs::read(&path).expect("read")));
            self.events.push(Event::Sync(number));
        }
        self.events.push(Event::SyncNames);
    }

    fn look_at_maps(&mut self) {
        for name in MAPPED {
            if let Ok(bytes) = fs::read(self.root.join(name)) {
                self.events.push(Event::Mapped(name, bytes));
            }
        }
    }

    fn sync(&mut self, file: usize) {
        self.look_at_maps();
        self.events.push(Event::Sync(file));
    }
}

fn tape(work: impl FnOnce(&mut Tape)) {
    if let Some(tape) = TAPE.lock().expect("no panic").as_mut() {
        work(tape);
    }
}

fn of_sqlite(call: &Call<'_>) -> c_int {
    tape(|tape| match *call {
        Call::Open { file, path, made } => {
            tape.open.remove(&file);
            let Some(name) = tape.name(path) else { return };
            let number = match tape.files.get(&name) {
                Some(known) if !made => *known,
                _ => {
                    let number = tape.make(name.clone());
                    if name.ends_with("-wal") || name.ends_with("-journal") {
                        tape.new_logs.push(number);
                    }
                    number
                }
            };
            tape.open.insert(file, number);
        }
        Call::Write { file, at, bytes } => {
            if let Some(number) = tape.open.get(&file) {
                tape.events.push(Event::Write(*number, at, bytes.to_owned()));
            }
        }
        Call::Truncate { file, length } => {
            if let Some(number) = tape.open.get(&file) {
                tape.events.push(Event::Truncate(*number, length));
            }
        }
        Call::Sync { file } => {
            if let Some(number) = tape.open.get(&file).copied() {
                tape.sync(number);
                if tape.new_logs.contains(&number) {
                    tape.new_logs.retain(|log| *log != number);
                    tape.events.push(Event::SyncNames);
                }
            }
        }
        Call::Delete { path } => {
            if let Some(name) = tape.name(path) {
                tape.files.remove(&name);
                tape.events.push(Event::Remove(name));
            }
        }
        Call::Read | Call::Lock => {}
    });
    SQLITE_OK
}

#[allow(clippy::unnecessary_wraps)] // a failpoint may fail a step
fn of_ours(step: failpoint::FileStep<'_>) -> io::Result<()> {
    use failpoint::FileStep as Step;
    tape(|tape| match step {
        Step::Make(path) => {
            if let Some(name) = tape.name(path) {
                tape.make(name);
            }
        }
        Step::Rename(from, to) => {
            let (Some(old), Some(new)) = (tape.name(from), tape.name(to)) else {
                return;
            };
            let Some(file) = tape.files.remove(&old) else { return };
            // What the library wrote itself: SQLite's files are on the tape already.
            if !old.contains(".db") {
                tape.events
                    .push(Event::Write(file, 0, fs::read(from).expect("what is renamed")));
            }
            tape.files.insert(new.clone(), file);
            tape.events.push(Event::Rename(old, new));
        }
        Step::Remove(path) => {
            if let Some(name) = tape.name(path) {
                tape.files.remove(&name);
                tape.events.push(Event::Remove(name));
            }
        }
        Step::Sync(path) => {
            if let Some(file) = tape.name(path).and_then(|name| tape.files.get(&name).copied()) {
                let bytes = fs::read(path).expect("what is forced to the disk");
                tape.events.push(Event::Write(file, 0, bytes));
                tape.sync(file);
            }
        }
        Step::SyncNames(path) => {
            if path == tape.root {
                tape.events.push(Event::SyncNames);
            }
        }
        Step::Lock => {}
    });
    Ok(())
}

/// How likely it is that something reached the disk by itself: never, sometimes, always.
fn likely(dice: &mut Dice) -> u64 {
    *dice.any(&[0, 50, 90, 100])
}

fn put(bytes: &mut Vec<u8>, at: usize, given: &[u8]) {
    if bytes.len() < at + given.len() {
        bytes.resize(at + given.len(), 0);
    }
    bytes[at..at + given.len()].copy_from_slice(given);
}

/// The bytes of a file after what was done to it, of which what is not forced to the disk may be missing.
fn bytes_of(file: usize, events: &[Event], dice: &mut Dice) -> Vec<u8> {
    let is_sync = |event: &Event| matches!(event, Event::Sync(number) if *number == file);
    let forced = events.iter().rposition(is_sync);
    let likely = likely(dice);
    let mut bytes = Vec::new();
    for (when, event) in events.iter().enumerate() {
        let is_forced = forced.is_some_and(|forced| when <= forced);
        match event {
            Event::Write(number, at, given) if *number == file => {
                let at = usize::try_from(*at).expect("small");
                if is_forced || dice.roll(100) < likely {
                    put(&mut bytes, at, given);
                } else if given.len() > 512 && dice.roll(4) == 0 {
                    // Some of its sectors.
                    for (nth, sector) in given.chunks(512).enumerate() {
                        if dice.roll(2) == 0 {
                            put(&mut bytes, at + nth * 512, sector);
                        }
                    }
                }
            }
            Event::Truncate(number, length) if *number == file && (is_forced || dice.roll(100) < likely) => {
                bytes.resize(usize::try_from(*length).expect("small"), 0);
            }
            _ => {}
        }
    }
    bytes
}

/// Which names there are: those that were forced to the disk, and any, or the first, of what was done to names since.
fn names(events: &[Event], dice: &mut Dice) -> HashMap<String, usize> {
    let forced = events.iter().rposition(|event| matches!(event, Event::SyncNames));
    // Some disks keep the order in which names changed.
    let in_order = dice.roll(2) == 0;
    let likely = likely(dice);
    let mut lost = false;
    let (mut files, mut all) = (HashMap::new(), HashMap::new());
    for (when, event) in events.iter().enumerate() {
        let is_forced = forced.is_some_and(|forced| when <= forced);
        let mut reaches = || {
            let reaches = is_forced || dice.roll(100) < likely && !(in_order && lost);
            lost |= !reaches;
            reaches
        };
        match event {
            Event::Make(name, file) => {
                all.insert(name.clone(), *file);
                if reaches() {
                    files.insert(name.clone(), *file);
                }
            }
            Event::Rename(from, to) => {
                let file: usize = all.remove(from).expect("a file");
                all.insert(to.clone(), file);
                if reaches() {
                    files.remove(from);
                    files.insert(to.clone(), file);
                }
            }
            Event::Remove(name) => {
                all.remove(name);
                if reaches() {
                    files.remove(name);
                }
            }
            _ => {}
        }
    }
    files
}

/// A folder as it may be after the power failed behind these events.
fn fail(events: &[Event], folder: &Path, dice: &mut Dice) {
    fs::create_dir(folder).expect("made");
    for (name, file) in names(events, dice) {
        fs::write(folder.join(name), bytes_of(file, events, dice)).expect("written");
    }
    // Memory that processes share may be of any moment, and its file may be missing.
    for name in MAPPED {
        let moments: Vec<&Vec<u8>> = events
            .iter()
            .filter_map(|event| match event {
                Event::Mapped(of, bytes) if *of == name => Some(bytes),
                _ => None,
            })
            .collect();
        let moment = dice.place(1 + moments.len());
        let there = folder.join(name).exists() || name.ends_with("-shm");
        if there && let Some(bytes) = moments.get(moment) {
            fs::write(folder.join(name), bytes).expect("written");
        }
    }
}

/// An index; if it is `durable`, of a host that tells others, and forces that to the disk.
fn open_as(journal: &str, server: &Standin, folder: &Path) -> Index {
    let clock = clock();
    if journal != "durable" {
        return open(options(server, folder), &clock);
    }
    let options = Options {
        // Nobody listens there, so everything waits in the folder.
        shared: Some("postgresql://nobody@127.0.0.1:1/nowhere".into()),
        shared_durable: true,
        mappings: vec![Mapping::host_to_server("/host", "/media")],
        ..options(server, folder)
    };
    Index::open_with_clock(options, clock).expect("opened")
}

fn take(index: &Index, library: &Library, number: usize, key: &str) {
    tape(|tape| tape.events.push(Event::Begun));
    match STEPS[number] {
        Step::Record(count) => {
            let paths: Vec<String> = (0..count).map(|nth| path(number, nth)).collect();
            library.record_all(&paths, key);
        }
        Step::Forget(of) => library.invalidate_path(path(of, 0)).expect("invalidated"),
        Step::Clear => index.clear().expect("cleared"),
    }
    tape(|tape| tape.events.push(Event::Done));
}

fn count(events: &[Event], is: fn(&Event) -> bool) -> usize {
    events.iter().filter(|event| is(event)).count()
}

/// What a killed process left, with a log; then the disk spoilt the database.
fn leave_spoilt(server: &Standin, root: &Path, cache: &Path) {
    let index = open(options(server, &root.join("before")), &clock());
    let library = index.movies();
    library.ask("/host/none.mkv");
    let (_, key) = path_of(server, 1, 3);
    library.record("/host/lost.mkv", &key);
    copy_files(&root.join("before"), cache);
    index.close().expect("closes");
    spoil(&cache.join("plexindex-1.db"), "header");
}

/// In a worker: a store's life is recorded, and the power fails in it again and again.
pub fn power(words: &[&str]) {
    let (root, journal) = (Path::new(words[0]), words[1]);
    let number = |nth: usize| words[nth].parse::<u64>().expect("a number");
    let (seed, states) = (number(2), number(3));
    let (has_log, aside) = (journal != "journal", journal == "aside");
    crate::support::warnings::keep();
    // Most folders have lost the version page, and no other process has to notice that before there is a new one.
    freeze_coarse_clock(0);
    failpoint::simulate_network(!has_log);
    let server = movies(150);
    let cache = root.join("cache");
    let (_, key) = path_of(&server, 1, 3);
    let mut tape = Tape::default();
    tape.root.clone_from(&cache);
    if aside {
        leave_spoilt(&server, root, &cache);
        tape.take_folder();
    }
    let first = tape.events.len();
    *TAPE.lock().expect("no panic") = Some(tape);
    vfs::register(of_sqlite, has_log);
    failpoint::install(of_ours);
    let mut index = open_as(journal, &server, &cache);
    for number in 0..STEPS.len() {
        if number % 7 == 1 {
            add(&server, &[format!("/data/movies/New {number}/New {number}.mkv")]);
            index.list();
        }
        if number % 11 == 10 {
            index.close().expect("closes");
            index = open_as(journal, &server, &cache);
        }
        let library = index.movies();
        take(&index, &library, number, &key);
    }
    let tape = TAPE.lock().expect("no panic").take().expect("a tape");
    let events = tape.events;
    drop(index);

    assert!(aside || !cache.join("plexindex-1.db.broken").exists());
    let is_cut = |event: &Event| aside || matches!(event, Event::Sync(_) | Event::SyncNames | Event::Rename(..));
    // Where something was set aside, that is what is looked at.
    let end = if aside { first + 400 } else { events.len() };
    let cuts = (first..end).filter(|at| is_cut(&events[*at]));
    let mut cuts: Vec<usize> = cuts.flat_map(|at| [at, at + 1]).collect();
    cuts.push(end);
    let mut dice = Dice::new(seed);
    let mut most_lost = 0;
    for state in 0..states {
        // Every point in turn; where there are fewer states than points, any of them.
        let cut = if states >= cuts.len() as u64 {
            cuts[usize::try_from(state).expect("small") % cuts.len()]
        } else {
            *dice.any(&cuts)
        };
        let folder = root.join(format!("{state}"));
        let given = &events[..cut];
        fail(given, &folder, &mut dice);
        let what = format!("{journal}, seed {seed}, state {state} behind event {cut}");
        let begun = count(given, |event| matches!(event, Event::Begun));
        // What was in the log when it was last forced to the disk is there; without a log each commit is.
        let log = given.iter().rposition(|event| match event {
            Event::Sync(file) => tape.files.get("plexindex-1.db-wal") == Some(file),
            _ => !has_log,
        });
        let mut kept = log.map_or(0, |log| count(&given[..=log], |event| matches!(event, Event::Done)));
        if journal == "durable" {
            kept = kept.max(forced(count(given, |event| matches!(event, Event::Done))));
        }
        let there = check(&folder, &server, &key, kept..=begun, &what);
        let done = count(given, |event| matches!(event, Event::Done));
        most_lost = most_lost.max(done.saturating_sub(there));
        let is_aside = folder.join("plexindex-1.db.broken").exists();
        assert!(aside || !is_aside, "{what}: {:?}", warnings(&folder));
        fs::remove_dir_all(&folder).expect("removed");
        say("alive");
    }
    say(&format!(
        "{journal}: seed {seed}: {states} states at {} points of {} events: at most {most_lost} transactions missing",
        cuts.len(),
        events.len()
    ));
    told();
}

fn cut_the_power(journal: &str, seeds: u64, states: u64) {
    for round in 0..seeds {
        let seed = choice("PLEXINDEX_SEED", 1 + round);
        let root = tempfile::tempdir().expect("a folder");
        let root_name = root.path().canonicalize().expect("a folder").display().to_string();
        let mut worker = Worker::start("power", [&root_name, journal, &seed.to_string(), &states.to_string()]);
        let said = std::iter::from_fn(|| worker.next()).find(|said| said != "alive");
        println!("{}", said.expect("how it went"));
        worker.end();
    }
}

#[test]
fn a_power_cut_takes_the_last_commits_at_most() {
    cut_the_power("wal", 1, rounds("PLEXINDEX_POWER_CUTS", 40, 30));
}

#[test]
fn a_power_cut_while_a_database_is_set_aside_leaves_no_mixture() {
    cut_the_power("aside", 1, rounds("PLEXINDEX_POWER_CUTS", 20, 30));
}

#[test]
fn a_power_cut_where_no_memory_is_shared_takes_nothing() {
    cut_the_power("journal", 1, rounds("PLEXINDEX_POWER_CUTS", 10, 60));
}

#[test]
fn a_power_cut_takes_nothing_that_is_for_other_hosts_and_durable() {
    cut_the_power("durable", 1, rounds("PLEXINDEX_POWER_CUTS", 40, 30));
}
