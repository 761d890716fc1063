//! Confirmed matches and hosts' tables, written in random order and read by processes that follow each write, whatever
//! they know, and by a new process.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Op, Table, TableLimits, Tables};
use crate::engine::snapshot::LiveSnapshot;
use crate::engine::sql::for_tests::{Films, Random, film, live};
use crate::engine::sql::{Invalidated, LibraryRows, RecordRows, Store, Sweeper};
use crate::matching::{LibraryIndex as _, NormalPath, Scope};
use crate::options::Ttl;
use crate::platform::clock::{Deadline, SystemClock};

const LIMIT: u64 = 60_000;
const ROOM: TableLimits = TableLimits {
    ttl: Ttl::Forever,
    limit: None,
};

type Recorded = BTreeMap<Vec<u8>, String>;

struct World {
    random: Random,
    films: Films,
    tables: Arc<Tables>,
    /// The writer's matches.
    shares: LiveSnapshot,
    /// A process that has followed all writes, with its tables.
    keeps_up: (LiveSnapshot, Arc<Tables>),
    expected: Recorded,
    /// The step that recorded each path last.
    ages: BTreeMap<Vec<u8>, usize>,
    entries: BTreeMap<Vec<u8>, Vec<u8>>,
    limit: u64,
}

impl World {
    fn new(seed: u64) -> Self {
        let films = Films::with(&[film(1)]);
        let tables = |store: &Arc<Store>| Tables::new(Arc::clone(store), Arc::new(SystemClock));
        let elsewhere = Arc::new(Store::open_elsewhere(films.folder.path()));
        Self {
            random: Random(seed),
            tables: tables(&films.store),
            shares: live(&films.store),
            keeps_up: (live(&elsewhere), tables(&elsewhere)),
            films,
            expected: Recorded::new(),
            ages: BTreeMap::new(),
            entries: BTreeMap::new(),
            limit: if seed.is_multiple_of(2) { LIMIT } else { u64::MAX },
        }
    }

    fn step(&mut self, number: usize) -> String {
        let row = self.films.row();
        let rows = RecordRows(&self.films.store);
        let what = self.random.place(40);
        match what {
            0..20 => {
                let count = [1, 1, 1, 3, 70, 700][self.random.place(6)];
                let spread = 1 + self.random.place(1_500);
                let pairs: Vec<(Vec<u8>, String)> = (0..count)
                    .map(|_| (self.random.place(spread), self.random.place(40)))
                    // Another spelling of the same path is another match.
                    .map(|(path, key)| (format!("/H/{}/{}.mkv", ["x", "X"][path % 2], path / 2), key.to_string()))
                    .map(|(path, key)| (path.into_bytes(), key))
                    .collect();
                let given: Vec<(&[u8], &str)> = pairs.iter().map(|(path, key)| (&path[..], &key[..])).collect();
                let recorded = rows.record_matches(&row, (&given, false), &[], self.limit, Deadline::NONE);
                recorded.expect("recorded").expect("a library");
                self.ages.extend(pairs.iter().map(|(path, _)| (path.clone(), number)));
                self.expected.extend(pairs);
            }
            20..25 => {
                let some: Vec<Vec<u8>> = self.expected.keys().step_by(7).take(3).cloned().collect();
                let gone = some.iter().map(|path| Invalidated {
                    library: row.id,
                    path,
                    rating_key: "",
                });
                let gone: Vec<_> = gone.collect();
                LibraryRows(&self.films.store)
                    .invalidate(&gone, Deadline::NONE)
                    .expect("invalidated");
                let is_gone = |own: &Vec<u8>| some.iter().any(|path| path.eq_ignore_ascii_case(own));
                self.expected.retain(|own, _| !is_gone(own));
            }
            25..28 => {
                let key = self.random.place(40).to_string();
                rows.invalidate_item(row.id, &key);
                self.expected.retain(|_, own| *own != key);
            }
            28 => {
                LibraryRows(&self.films.store)
                    .invalidate_libraries(self.films.view_id, Some(row.id), Deadline::NONE)
                    .expect("invalidated");
                self.expected.clear();
            }
            29 => while Sweeper(&self.films.store).sweep(Deadline::NONE).expect("swept") {},
            30 => {
                self.tables
                    .table(b"t", false)
                    .expect("a table")
                    .clear()
                    .expect("cleared");
                self.entries.clear();
            }
            _ => {
                let table = self.tables.table(b"t", false).expect("a table");
                for _ in 0..[1, 30, 200][self.random.place(3)] {
                    let name = format!("name {}", self.random.place(600)).into_bytes();
                    if self.random.place(4) == 0 {
                        table.remove(&name).expect("removed");
                        self.entries.remove(&name);
                    } else {
                        let value = vec![b'v'; [3, 20, 1_500][self.random.place(3)]];
                        table.put(&name, &value, &ROOM).expect("put");
                        self.entries.insert(name, value);
                    }
                }
            }
        }
        format!("step {what}")
    }

    /// The matches of some paths, as a process finds them.
    fn seen<'p>(reader: &LiveSnapshot, paths: impl Iterator<Item = &'p Vec<u8>>) -> Recorded {
        let mut seen = Recorded::new();
        for path in paths {
            loop {
                reader.catch_up(Deadline::NONE).expect("read");
                let snapshot = reader.snapshot();
                let known = reader.ask_matches(&snapshot, Scope::One(0), path, Some(Deadline::NONE));
                if !known.expect("asked") {
                    continue;
                }
                NormalPath::with(path, |path| {
                    let view = &snapshot.libraries[0];
                    let is_known = view.each_confirmed(path, |hit| {
                        let (key, own) = view.key_and_path(hit).expect("sound");
                        seen.insert(own.to_vec(), key.to_owned());
                    });
                    assert!(is_known);
                });
                break;
            }
        }
        seen
    }

    fn check(&mut self, number: usize, after: &str) {
        let stored = RecordRows(&self.films.store).all_matches(self.films.id).expect("read");
        if self.limit < u64::MAX {
            // Only the oldest matches are evicted.
            let kept = |path: &Vec<u8>| stored.contains_key(path);
            let youngest_gone = self
                .expected
                .keys()
                .filter(|path| !kept(path))
                .map(|path| self.ages[path])
                .max();
            let oldest_kept = self
                .expected
                .keys()
                .filter(|path| kept(path))
                .map(|path| self.ages[path])
                .min();
            assert!(
                youngest_gone <= oldest_kept || youngest_gone.is_none(),
                "{youngest_gone:?} {oldest_kept:?} {after}"
            );
            self.expected.retain(|path, _| stored.contains_key(path));
        }
        assert_eq!(stored, self.expected, "the rows, after {after}");
        // Each reader asks for what is there and for what is not.
        let absent: Vec<Vec<u8>> = (0..40).map(|n| format!("/H/none/{n}.mkv").into_bytes()).collect();
        let skip = number % 3;
        let some = || stored.keys().skip(skip).step_by(3).chain(&absent);
        let expected: Recorded = {
            let forms = |path: &Vec<u8>| path.to_ascii_lowercase();
            let asked: std::collections::BTreeSet<Vec<u8>> = some().map(forms).collect();
            let of_asked = stored.iter().filter(|(path, _)| asked.contains(&forms(path)));
            of_asked.map(|(path, key)| (path.clone(), key.clone())).collect()
        };
        assert_eq!(
            Self::seen(&self.keeps_up.0, some()),
            expected,
            "who keeps up, after {after}"
        );
        assert_eq!(Self::seen(&self.shares, some()), expected, "the writer, after {after}");
        let elsewhere = Arc::new(Store::open_elsewhere(self.films.folder.path()));
        for (who, store) in [("a new handle", &self.films.store), ("a new process", &elsewhere)] {
            assert_eq!(Self::seen(&live(store), some()), expected, "{who}, after {after}");
        }

        let anew = Tables::new(elsewhere, Arc::new(SystemClock));
        for (who, tables) in [
            ("the writer", &self.tables),
            ("keeps up", &self.keeps_up.1),
            ("a new process", &anew),
        ] {
            let table = tables.table(b"t", false).expect("a table");
            assert_eq!(
                table.count().expect("counted"),
                self.entries.len() as u64,
                "{who}, after {after}"
            );
            for n in (skip..600).step_by(7) {
                let name = format!("name {n}").into_bytes();
                let right = self.entries.get(&name);
                let mut found = Vec::new();
                let length = table
                    .get(&name, usize::MAX, &mut |value| found = value.to_vec())
                    .expect("read");
                assert_eq!(
                    (length, &found),
                    (right.map(Vec::len), right.unwrap_or(&Vec::new())),
                    "{who}, after {after}"
                );
                let at_once = table.find(&name, <[u8]>::to_vec);
                match right {
                    Some(long) if long.len() > 1_000 => assert_eq!(at_once, None, "{who}, after {after}"),
                    right => assert_eq!(at_once, Some(right.cloned()), "{who}, after {after}"),
                }
            }
        }
        let rows = "SELECT (SELECT count(*) FROM matches) + (SELECT count(*) FROM entries)";
        let live_rows = i64::try_from(self.entries.len() + self.expected.len()).expect("few");
        if after.starts_with("step 29") {
            assert_eq!(self.films.count(rows), live_rows, "after {after}");
        }
    }
}

#[test]
fn records_written_in_whatever_order_are_what_each_reader_sees() {
    let seeds = std::env::var("PLEXINDEX_SEEDS").map_or(2, |seeds| seeds.parse().expect("a number"));
    for seed in 0..seeds {
        let mut world = World::new(seed);
        for number in 0..60 {
            let step = world.step(number);
            world.check(number, &format!("{step}, number {number} of seed {seed}"));
        }
    }
}

#[test]
fn an_item_that_is_forgotten_takes_no_match_of_another_along() {
    let films = Films::with(&[film(1)]);
    // A path is matched to one item, then to another.
    films.record(&[(b"/H/p.mkv", "7")]);
    films.record(&[(b"/H/p.mkv", "8"), (b"/H/q.mkv", "7")]);
    RecordRows(&films.store).invalidate_item(films.id, "7");
    let left = RecordRows(&films.store).all_matches(films.id).expect("read");
    assert_eq!(left, [(b"/H/p.mkv".to_vec(), "8".to_owned())].into());
}

#[test]
fn a_process_that_keeps_asking_has_all_entries_in_memory() {
    let films = Films::with(&[film(1)]);
    let tables = |store| Tables::new(store, Arc::new(SystemClock));
    let writer = tables(Arc::clone(&films.store));
    let table = writer.table(b"t", false).expect("a table");
    let names: Vec<Vec<u8>> = (0..1_200_u32).map(|n| n.to_be_bytes().to_vec()).collect();
    let ops: Vec<Op<'_>> = names.iter().map(|name| Op::Put(&table, name, name)).collect();
    writer.write(&ops, &ROOM).expect("written");

    let reader = tables(Arc::new(Store::open_elsewhere(films.folder.path())));
    let asked = reader.table(b"t", false).expect("a table");
    let is_loaded = || {
        reader
            .snapshot
            .read()
            .tables
            .first()
            .is_some_and(|table| table.memory.is_complete())
    };
    for n in 0..63_u32 {
        assert_eq!(asked.find(format!("absent {n}").as_bytes(), |_| ()), Some(None));
    }
    assert!(!is_loaded(), "a process that asks a few times loads nothing");
    // Entries that come while it loads, before and after what is loaded.
    for n in 0..300_u32 {
        assert_eq!(asked.find(format!("absent, too {n}").as_bytes(), |_| ()), Some(None));
        table.put(format!("new {n}").as_bytes(), b"new", &ROOM).expect("put");
        table
            .remove(&names[usize::try_from(n).expect("small")])
            .expect("removed");
    }
    assert!(is_loaded());
    for (n, name) in names.iter().enumerate() {
        let right = (n >= 300).then(|| name.clone());
        assert_eq!(asked.find(name, <[u8]>::to_vec), Some(right), "{n}");
    }
    for n in 0..300_u32 {
        assert_eq!(
            asked.find(format!("new {n}").as_bytes(), <[u8]>::to_vec),
            Some(Some(b"new".to_vec())),
            "{n}"
        );
    }
}

/// Two handles of a folder have one memory, which follows the commits of both and of other processes.
#[test]
fn handles_of_one_folder_have_one_memory() {
    let films = Films::with(&[film(1)]);
    let open = || Arc::new(Store::open(films.folder.path(), true).expect("the store opens"));
    let tables = |store: &Arc<Store>| Tables::new(Arc::clone(store), Arc::new(SystemClock));
    let elsewhere = tables(&Arc::new(Store::open_elsewhere(films.folder.path())));
    let other_process = elsewhere.table(b"t", false).expect("a table");
    other_process.put(b"name", b"first", &ROOM).expect("put");
    films.record(&[(b"/H/p.mkv", "7")]);

    let (first_store, second_store) = (open(), open());
    let handle = |store: &Arc<Store>| {
        let table = tables(store).table(b"t", false).expect("a table");
        (table, live(store))
    };
    let (first, first_live) = handle(&first_store);
    let (second, second_live) = handle(&second_store);
    let memory = |table: &Table| Arc::as_ptr(&table.tables().snapshot.read().tables[0].memory);
    let seen = |table: &Table| table.find(b"name", <[u8]>::to_vec).expect("known").expect("a value");
    assert_eq!(seen(&first), b"first");
    // What one handle was told is known to the other one.
    assert_eq!(second.count().expect("counted"), 1);
    assert_eq!(memory(&first), memory(&second));
    let is_known = |table: &Table| {
        let snapshot = table.tables().snapshot.read();
        snapshot.tables[0]
            .memory
            .knows(b"name", xxhash_rust::xxh3::xxh3_64(b"name"))
    };
    assert!(is_known(&second));
    second.put(b"name", b"second", &ROOM).expect("put");
    assert_eq!(seen(&first), b"second");
    assert!(is_known(&second), "what one has asked for");
    other_process.put(b"name", b"third", &ROOM).expect("put");
    assert_eq!(seen(&second), b"third");
    assert_eq!(seen(&first), b"third");

    let path = b"/H/p.mkv".to_vec();
    let found = |live: &LiveSnapshot| World::seen(live, std::iter::once(&path)).remove(&path);
    assert_eq!(found(&first_live).as_deref(), Some("7"));
    films.record(&[(b"/H/p.mkv", "8")]);
    assert_eq!(found(&second_live).as_deref(), Some("8"));
    assert_eq!(found(&first_live).as_deref(), Some("8"));
    let of_matches = |live: &LiveSnapshot| {
        let snapshot = live.snapshot();
        snapshot.libraries[0]
            .matches
            .as_ref()
            .map(|matches| Arc::as_ptr(&matches.memory))
    };
    assert_eq!(of_matches(&first_live), of_matches(&second_live));

    // Closing a handle leaves the other one's.
    let kept = memory(&second);
    drop((first, first_live, first_store));
    assert!(is_known(&second) && memory(&second) == kept);
    other_process.put(b"name", b"fourth", &ROOM).expect("put");
    assert_eq!(seen(&second), b"fourth");
    assert_eq!(found(&second_live).as_deref(), Some("8"));
}
