//! Any file of a closed store, damaged in any way: set aside and made anew, or an error that says what to remove. Never a
//! crash, a hang, or an answer that is wrong.

use std::collections::{BTreeMap, VecDeque};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread::JoinHandle;

use plexindex_standin::Standin;

use super::broken::{HANGS, use_it, used};
use crate::support::worker::{Dice, assert_sound, choice, rounds};
use crate::support::{clock, movies, open, options, path_of};
use crate::support::{copy_files, files_in};

/// So many at a time: a round waits for the disk, for its server, and half a second where the version page went.
const AT_ONCE: usize = 4;

/// A round under way: what it is, its folder, what will say how it ended, and its thread.
type UnderWay = (String, PathBuf, Receiver<End>, JoinHandle<()>);

const WAYS: [&str; 11] = [
    "a bit",
    "some bits",
    "a stretch",
    "zeroes",
    "shorter",
    "longer",
    "empty",
    "another file's",
    "another store's",
    "exchanged",
    "removed",
];

fn any_byte(dice: &mut Dice) -> u8 {
    u8::try_from(dice.roll(256)).expect("small")
}

/// Does it to a file.
fn damage(path: &Path, way: &str, other_store: &Path, dice: &mut Dice) {
    let mut bytes = fs::read(path).expect("read");
    let length = bytes.len();
    let folder = path.parent().expect("a folder");
    match way {
        "a bit" | "some bits" if length > 0 => {
            for _ in 0..if way == "a bit" { 1 } else { 2 + dice.roll(30) } {
                bytes[dice.place(length)] ^= 1 << dice.roll(8);
            }
        }
        "a stretch" | "zeroes" if length > 0 => {
            let from = dice.place(length);
            let to = length.min(from + 1 + dice.place(6_000));
            for byte in &mut bytes[from..to] {
                *byte = if way == "zeroes" { 0 } else { any_byte(dice) };
            }
        }
        "shorter" => bytes.truncate(dice.place(length)),
        "longer" => bytes.extend((0..=dice.roll(9_000)).map(|_| any_byte(dice))),
        "empty" => bytes.clear(),
        "another file's" => bytes = fs::read(dice.any(&files_in(folder))).expect("read"),
        "another store's" => {
            let same = other_store.join(path.file_name().expect("a name"));
            let from = if same.exists() {
                same
            } else {
                dice.any(&files_in(other_store)).clone()
            };
            bytes = fs::read(from).expect("read");
        }
        "exchanged" => {
            let other = dice.any(&files_in(folder)).clone();
            let theirs = fs::read(&other).expect("read");
            fs::write(other, &bytes).expect("written");
            bytes = theirs;
        }
        _ => {}
    }
    if way == "removed" {
        fs::remove_file(path).expect("removed");
    } else {
        fs::write(path, bytes).expect("written");
    }
}

/// What came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum End {
    /// Nothing was to be seen of it.
    Nothing,
    /// The database was set aside.
    SetAside,
    /// One call failed.
    Failed,
}

fn mutate(server: &Standin, folder: &Path, path: &Path, what: &str) -> End {
    let failed = use_it(server, folder, what).unwrap_or_else(|error| panic!("{what}: {error}"));
    // A page of the database that no call has read yet may still be damaged.
    if !path.display().to_string().contains(".db") {
        assert_sound(folder);
    }
    match failed {
        _ if folder.join("plexindex-1.db.broken").exists() => End::SetAside,
        0 => End::Nothing,
        _ => End::Failed,
    }
}

#[test]
fn a_closed_store_may_be_damaged_in_any_way() {
    crate::support::warnings::keep();
    let seed = choice("PLEXINDEX_SEED", 1);
    println!("seed {seed}");
    let mut dice = Dice::new(seed);
    let server = Arc::new(movies(60));
    let root = tempfile::tempdir().expect("a folder");
    let [closed, killed, other] = ["closed", "killed", "other"].map(|name| root.path().join(name));
    used(&server, &closed);
    used(&movies(40), &other);
    // As a killed process leaves it: with a log.
    used(&server, &root.path().join("open"));
    let index = open(options(&server, &root.path().join("open")), &clock());
    let library = index.movies();
    library.record("/host/5.mkv", &path_of(&server, 1, 3).1);
    copy_files(&root.path().join("open"), &killed);
    index.close().expect("closes");

    let mut ends: BTreeMap<End, u32> = BTreeMap::new();
    let mut over = |round: Option<UnderWay>| {
        let Some((what, folder, said, user)) = round else {
            return;
        };
        let end = said.recv_timeout(HANGS * 6).unwrap_or_else(|error| {
            assert_eq!(error, RecvTimeoutError::Disconnected, "{what}: a call hangs");
            std::panic::resume_unwind(user.join().expect_err("it said why"))
        });
        *ends.entry(end).or_default() += 1;
        fs::remove_dir_all(&folder).expect("removed");
    };
    let mut under_way = VecDeque::new();
    for round in 0..rounds("PLEXINDEX_MUTATIONS", 40, 51) {
        let folder = root.path().join(round.to_string());
        copy_files(if round % 2 == 0 { &closed } else { &killed }, &folder);
        // Each file and each way in turn, so that all pairs are met.
        let all = files_in(&folder);
        let pair = usize::try_from(round / 2).expect("small");
        let way = WAYS[pair % WAYS.len()];
        let path = all[(pair + pair / WAYS.len()) % all.len()].clone();
        damage(&path, way, &other, &mut dice);
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        let what = format!("seed {seed}, round {round}, {way}: {name}");
        let (say, said) = channel();
        let (server, in_folder, in_what) = (Arc::clone(&server), folder.clone(), what.clone());
        let user = std::thread::spawn(move || {
            let end = mutate(&server, &in_folder, &path, &in_what);
            let _ = say.send(end);
        });
        under_way.push_back((what, folder, said, user));
        if under_way.len() == AT_ONCE {
            over(under_way.pop_front());
        }
    }
    while !under_way.is_empty() {
        over(under_way.pop_front());
    }
    println!("{ends:?}");
}
