//! Confirmed matches and hosts' tables, written in random order and read in three ways: from the log, by a process that
//! follows each write, and by a new process.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::merge::FLUSH_RECORDS;
use super::rebuild::Rebuild;
use super::{Op, Records, TableLimits, Tables};
use crate::engine::current::OpenSegments;
use crate::engine::memtable::MemtableChange;
use crate::engine::segment::Matches;
use crate::engine::sql::{
    Endpoint, LibraryRow, LibraryRows, LocalWrite, RecordLog, RecordRows, Store, StoreStates, Sweeper,
};
use crate::matching::NormalPath;
use crate::model::{Library, LibraryId, LibraryKind, Sequence, Server, SourceState, TokenReliability, ViewId};
use crate::options::Ttl;
use crate::platform::clock::SystemClock;
use crate::platform::deadline::Deadline;
use crate::platform::lock::FileLock;

const LIBRARIES: [&str; 2] = ["films", "shows"];
pub(super) const LIMIT: u64 = 150_000;
const ROOM: TableLimits = TableLimits {
    ttl: Ttl::Forever,
    limit: None,
};

/// Pseudo-random numbers, the same in each run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let word = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let word = (word ^ (word >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        usize::try_from((word ^ (word >> 31)) % limit as u64).unwrap_or(0)
    }
}

pub(super) type Recorded = BTreeMap<Vec<u8>, String>;

/// One process's view of the matches: segments, and the changes since.
#[derive(Default)]
pub(super) struct Reader {
    open: Arc<OpenSegments>,
    since: Sequence,
    rows: Vec<LibraryRow>,
    told: Vec<(LibraryId, Vec<u8>, Option<String>)>,
}

pub(super) struct World {
    dice: Dice,
    _folder: tempfile::TempDir,
    pub(super) store: Arc<Store>,
    pub(super) records: Arc<Records>,
    pub(super) tables: Arc<Tables>,
    endpoint: Endpoint,
    pub(super) view_id: ViewId,
    expected: [Recorded; 2],
    /// The step that recorded each path last.
    ages: [BTreeMap<Vec<u8>, usize>; 2],
    entries: BTreeMap<Vec<u8>, Vec<u8>>,
    evicts: bool,
    keeps_up: Reader,
}

impl World {
    pub(super) fn new(seed: u64) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let store = Arc::new(Store::open(folder.path(), true).expect("the store opens"));
        let clock = Arc::new(SystemClock);
        let evicts = seed.is_multiple_of(2);
        let limit = if evicts { LIMIT } else { u64::MAX };
        let records = Records::new(Arc::clone(&store), limit);
        let tables = Tables::new(Arc::clone(&store), Arc::clone(&records), clock);
        let endpoint = Endpoint {
            url: "http://a".to_owned(),
            user_hash: vec![7; 32],
            until_ms: 0,
            first_used_ms: 0,
        };
        let server = Server {
            machine_identifier: "one".to_owned(),
            ..Server::default()
        };
        let view_id = LibraryRows(&store).reached(&endpoint, &server).expect("reached");
        let libraries = LIBRARIES.map(|uuid| Library {
            section: uuid.to_owned(),
            uuid: uuid.to_owned(),
            title: uuid.to_owned(),
            kind: LibraryKind::Movie,
            locations: Vec::new(),
            change: SourceState {
                token: String::new(),
                trust: TokenReliability::default(),
                busy: false,
                scanned_ms: 0,
            },
        });
        let asked = store.ticket(Deadline::NONE).expect("a ticket");
        LibraryRows(&store)
            .store_probe(view_id, &libraries, asked, 1_000, Deadline::NONE)
            .expect("probed");
        Self {
            dice: Dice(seed),
            _folder: folder,
            store,
            records,
            tables,
            endpoint,
            view_id,
            expected: Default::default(),
            ages: Default::default(),
            entries: BTreeMap::new(),
            evicts,
            keeps_up: Reader::default(),
        }
    }

    pub(super) fn row(&self, at: usize) -> LibraryRow {
        let rows = LibraryRows(&self.store).libraries(self.view_id).expect("rows");
        rows.into_iter()
            .find(|row| row.library.uuid == LIBRARIES[at])
            .expect("it is there")
    }

    /// The size of the matches in segments.
    pub(super) fn match_bytes(&self) -> u64 {
        let bytes = |log: &RecordLog<'_>| {
            let paths = log.active_tables()?.into_iter().filter(|one| one.is_paths);
            Ok(paths.map(|one| one.counts[1]).sum::<i64>())
        };
        let bytes = RecordRows(&self.store).read_record_log(bytes).expect("read");
        bytes.cast_unsigned()
    }

    /// Records matches as a host does; returns whether a segment was written.
    pub(super) fn record(&self, pairs: &[(&[u8], &str)]) -> bool {
        let recorded =
            RecordRows(&self.store).record_matches(&self.row(0), &LocalWrite::NONE, pairs, &[], Deadline::NONE, |tx| {
                self.records.flush_if_due(tx)
            });
        let merged = recorded.expect("recorded").expect("a library").then_result;
        self.records.advance_merges(pairs.len(), merged, Deadline::NONE);
        merged
    }

    /// Records that a new process reads; it reads the marks of invalidated paths besides, which the next listing ends.
    fn rows_behind(&self) -> usize {
        let state = StoreStates(&self.store).state_at(Some(&self.endpoint), Some(Deadline::NONE));
        let changes = state.expect("read").1.changes.into_iter();
        changes
            .filter(|logged| !matches!(logged.change, MemtableChange::DoubtedPath { .. }))
            .count()
    }

    fn step(&mut self, number: usize) -> String {
        let at = self.dice.roll(2);
        let row = self.row(at);
        let what = self.dice.roll(40);
        match what {
            0..24 => {
                let count = [1, 1, 1, 3, 70, 700, 1_500][self.dice.roll(7)];
                let spread = 1 + self.dice.roll(3_000);
                let pairs: Vec<(Vec<u8>, String)> = (0..count)
                    .map(|_| (self.dice.roll(spread), self.dice.roll(40)))
                    // Another spelling of the same path is another match.
                    .map(|(path, key)| (format!("/H/{}/{path}.mkv", ["x", "X"][path % 2]), key.to_string()))
                    .map(|(path, key)| (path.into_bytes(), key))
                    .collect();
                let given: Vec<(&[u8], &str)> = pairs.iter().map(|(path, key)| (&path[..], &key[..])).collect();
                let recorded = RecordRows(&self.store).record_matches(
                    &row,
                    &LocalWrite::NONE,
                    &given,
                    &[],
                    Deadline::NONE,
                    |tx| self.records.flush_if_due(tx),
                );
                let merged = recorded.expect("recorded").expect("a library").then_result;
                self.records.advance_merges(given.len(), merged, Deadline::NONE);
                self.ages[at].extend(pairs.iter().map(|(path, _)| (path.clone(), number)));
                self.expected[at].extend(pairs);
            }
            24..28 => {
                let some: Vec<Vec<u8>> = self.expected[at].keys().step_by(7).take(3).cloned().collect();
                let gone: Vec<(LibraryId, Vec<u8>)> = some.iter().map(|path| (row.id, path.clone())).collect();
                LibraryRows(&self.store)
                    .invalidate(self.view_id, &LocalWrite::NONE, &[], &gone, Deadline::NONE)
                    .expect("invalidated");
                for path in some {
                    self.expected[at].remove(&path);
                }
            }
            28..31 => {
                let key = self.dice.roll(40).to_string();
                RecordRows(&self.store).invalidate_item(self.view_id, row.id, &key);
                self.expected[at].retain(|_, own| *own != key);
            }
            31 => {
                LibraryRows(&self.store)
                    .invalidate_libraries(self.view_id, Some(row.id), Deadline::NONE)
                    .expect("invalidated");
                self.expected[at].clear();
            }
            32 => while Sweeper(&self.store).sweep(Deadline::NONE).expect("swept") {},
            33 => {
                for file in self.store.folder().path().read_dir().expect("a folder").flatten() {
                    let name = file.file_name().to_string_lossy().into_owned();
                    if name.contains("-r") && self.dice.roll(2) == 0 {
                        std::fs::remove_file(file.path()).expect("removed");
                    }
                }
                self.keeps_up = Reader::default();
            }
            _ => {
                let table = self.tables.table(b"t", false).expect("a table");
                for _ in 0..[1, 30, 600][self.dice.roll(3)] {
                    let name = format!("/h/x/{}.mkv", self.dice.roll(900)).into_bytes();
                    let value = vec![b'v'; self.dice.roll(20)];
                    table.put(&name, &value, &ROOM).expect("put");
                    self.entries.insert(name, value);
                }
            }
        }
        format!("step {what}")
    }

    /// Brings a reader up to date, as a process does.
    pub(super) fn catch_up(&self, reader: &mut Reader) {
        for _ in 0..4 {
            let changes = StoreStates(&self.store)
                .changes(
                    Some(self.view_id),
                    reader.since,
                    reader.open.database_number,
                    Some(Deadline::NONE),
                )
                .expect("read");
            let (now, changes) = changes;
            let changes = if let (Some(changes), false) = (changes, reader.open.are_lost()) {
                changes
            } else {
                let (_, state) = StoreStates(&self.store)
                    .state_at(Some(&self.endpoint), Some(Deadline::NONE))
                    .expect("read");
                reader.open = self.records.open(state.database_number, state.manifest);
                reader.rows = state.libraries;
                reader.told.clear();
                reader.since = state.sequence;
                if reader.open.are_lost() {
                    self.records.rebuild(&reader.open, Deadline::NONE).expect("made anew");
                    continue;
                }
                state.changes
            };
            reader.since = reader.since.max(now);
            for logged in changes {
                let (path, told) = match logged.change {
                    MemtableChange::Matched { path, rating_key, .. } => (path, Some(rating_key)),
                    MemtableChange::Forgotten { path } => (path, None),
                    _ => continue,
                };
                reader.told.push((logged.library, path, told));
            }
            return;
        }
        panic!("segments are lost again and again");
    }

    pub(super) fn seen(reader: &Reader, at: usize, paths: &[Vec<u8>]) -> Recorded {
        let row = reader.rows.iter().find(|row| row.library.uuid == LIBRARIES[at]);
        let mut seen = Recorded::new();
        let Some(row) = row else { return seen };
        if let Some(table) = row.matches {
            let matches = Matches::new(Arc::clone(&reader.open.segments), table, 0, reader.since);
            for path in paths {
                NormalPath::with(path, |path| {
                    matches.for_each_match(path, |place, raw| {
                        let (key, own, _) = matches.get(place).expect("sound");
                        assert_eq!(own, raw);
                        seen.insert(own.to_vec(), key.to_owned());
                    });
                });
                assert_eq!(matches.has(path), Ok(seen.contains_key(path)));
            }
            for (path, key) in &seen {
                let mut is_found = false;
                matches.for_each_path_of_item(key, |own| is_found |= own == path);
                assert!(is_found, "{key}");
            }
        }
        for (library, path, key) in &reader.told {
            if *library == row.id {
                match key {
                    Some(key) => drop(seen.insert(path.clone(), key.clone())),
                    None => drop(seen.remove(path)),
                }
            }
        }
        seen
    }

    fn check(&mut self, after: &str) {
        let mut reader = std::mem::take(&mut self.keeps_up);
        self.catch_up(&mut reader);
        let mut anew = Reader::default();
        self.catch_up(&mut anew);
        let (mut youngest_gone, mut oldest_kept) = (0, usize::MAX);
        for (at, uuid) in LIBRARIES.iter().enumerate() {
            let stored = RecordRows(&self.store).all_matches(self.row(at).id).expect("read");
            if self.evicts {
                // Only the oldest matches are evicted.
                let expected = &self.expected[at];
                assert!(
                    stored.iter().all(|(path, key)| expected.get(path) == Some(key)),
                    "{after}"
                );
                for path in expected.keys() {
                    let age = self.ages[at][path];
                    if stored.contains_key(path) {
                        oldest_kept = oldest_kept.min(age);
                    } else {
                        youngest_gone = youngest_gone.max(age);
                    }
                }
                self.expected[at].clone_from(&stored);
            }
            assert_eq!(stored, self.expected[at], "the log, after {after}");
            let paths: Vec<Vec<u8>> = (0..3_000)
                .map(|path| format!("/H/{}/{path}.mkv", ["x", "X"][path % 2]).into_bytes())
                .collect();
            for (who, reader) in [("keeps up", &reader), ("opens anew", &anew)] {
                let seen = Self::seen(reader, at, &paths);
                assert_eq!(seen, stored, "who {who}, of {uuid}, after {after}");
            }
        }
        assert!(
            youngest_gone <= oldest_kept,
            "a newer match went than one that stayed, after {after}"
        );
        self.keeps_up = reader;
        let table = self.tables.table(b"t", false).expect("a table");
        assert_eq!(
            table.count().expect("counted"),
            self.entries.len() as u64,
            "after {after}"
        );
        for (name, value) in self.entries.iter().step_by(13) {
            let mut found = Vec::new();
            table
                .get(name, usize::MAX, &mut |value| found = value.to_vec())
                .expect("read");
            assert_eq!(found, *value, "after {after}");
        }
        if self.evicts {
            let bytes = self.match_bytes();
            assert!(bytes <= LIMIT, "{bytes} after {after}");
        }
        let log = RecordRows(&self.store)
            .read_record_log(|log| log.count_since(Sequence(0), usize::MAX))
            .expect("read");
        let live: usize = self.entries.len() + self.expected.iter().map(BTreeMap::len).sum::<usize>();
        if after.starts_with("step 32") {
            assert!(log <= live + 2_500, "{log} rows of {live} after {after}");
        }
    }
}

#[test]
fn matches_written_in_whatever_order_are_what_each_reader_sees() {
    let seeds = std::env::var("PLEXINDEX_SEEDS").map_or(1, |seeds| seeds.parse().expect("a number"));
    for seed in 0..seeds {
        let mut world = World::new(seed);
        for number in 0..60 {
            let step = world.step(number);
            world.check(&format!("{step}, number {number} of seed {seed}"));
        }
    }
}

#[test]
fn an_item_that_is_forgotten_takes_no_match_of_another_along() {
    let world = World::new(1);
    // A path is matched to one item, then to another, before there is a segment.
    world.record(&[(b"/H/p.mkv", "7")]);
    world.record(&[(b"/H/p.mkv", "8")]);
    let many: Vec<Vec<u8>> = (0..FLUSH_RECORDS + 100)
        .map(|n| format!("/H/q/{n}.mkv").into_bytes())
        .collect();
    let pairs: Vec<(&[u8], &str)> = many.iter().map(|path| (&path[..], "9")).collect();
    assert!(world.record(&pairs), "a segment is made");
    let row = world.row(0);
    RecordRows(&world.store).invalidate_item(world.view_id, row.id, "7");
    let left = RecordRows(&world.store).all_matches(row.id).expect("read");
    assert_eq!(left.get(&b"/H/p.mkv"[..]).map(String::as_str), Some("8"));
}

#[test]
fn a_new_process_reads_the_rows_of_one_flush_however_they_were_written() {
    const MOST: usize = FLUSH_RECORDS + 88;
    let world = World::new(1);
    let paths: Vec<Vec<u8>> = (0..4_000).map(|n| format!("/H/q/{n}.mkv").into_bytes()).collect();
    for some in paths.chunks(63) {
        let pairs: Vec<(&[u8], &str)> = some.iter().map(|path| (&path[..], "9")).collect();
        world.record(&pairs);
        assert!(world.rows_behind() <= MOST, "{}", world.rows_behind());
    }
    let row = world.row(0);
    for path in &paths[..1_500] {
        world.record(&[(path, "8")]);
        LibraryRows(&world.store)
            .invalidate(
                world.view_id,
                &LocalWrite::NONE,
                &[(row.id, b"/x", "")],
                &[],
                Deadline::NONE,
            )
            .expect("invalidated");
    }
    assert!(world.rows_behind() <= MOST, "{}", world.rows_behind());
    RecordRows(&world.store).invalidate_item(world.view_id, row.id, "9");
    world.records.flush_removals(Deadline::NONE).expect("settled");
    assert!(world.rows_behind() <= MOST, "{}", world.rows_behind());
    assert_eq!(RecordRows(&world.store).all_matches(row.id).expect("read").len(), 1_500);
}

#[test]
fn rows_of_tables_and_of_matches_are_counted_together() {
    let world = World::new(1);
    let table = world.tables.table(b"t", false).expect("a table");
    for number in 0..512_u32 {
        world.record(&[(format!("/H/{number}.mkv").as_bytes(), "9")]);
    }
    for number in 0..512_u32 {
        table.put(&number.to_le_bytes(), b"x", &ROOM).expect("put");
    }
    assert!(world.rows_behind() <= 513, "{}", world.rows_behind());
}

/// Names with their values, read by a process that has opened the store anew.
fn read_anew(world: &World, names: &[Vec<u8>]) -> BTreeMap<Vec<u8>, Vec<u8>> {
    let records = Records::new(Arc::clone(&world.store), u64::MAX);
    let tables = Tables::new(Arc::clone(&world.store), records, Arc::new(SystemClock));
    let table = tables.table(b"t", false).expect("a table");
    let mut read = BTreeMap::new();
    for name in names {
        let mut keep = |value: &[u8]| drop(read.insert(name.clone(), value.to_vec()));
        table.get(name, usize::MAX, &mut keep).expect("read");
    }
    assert_eq!(table.count().expect("counted"), read.len() as u64);
    read
}

#[test]
fn others_write_while_segments_are_rebuilt_in_steps() {
    let world = World::new(1);
    let table = world.tables.table(b"t", false).expect("a table");
    let names: Vec<Vec<u8>> = (0..10_000_u32).map(|n| n.to_be_bytes().to_vec()).collect();
    let mut expected = BTreeMap::new();
    let put = |expected: &mut BTreeMap<_, _>, names: &[Vec<u8>], value: &[u8]| {
        let ops: Vec<Op<'_>> = names.iter().map(|name| Op::Put(&table, name, value)).collect();
        world.tables.write(&ops, &ROOM).expect("written");
        expected.extend(names.iter().map(|name| (name.clone(), value.to_vec())));
    };
    put(&mut expected, &names[..9_000], b"old");
    put(&mut expected, &names[..700], b"newer");
    for name in &names[600..640] {
        table.remove(name).expect("removed");
        expected.remove(name);
    }
    let log = RecordRows(&world.store);
    let mut rebuild = log
        .read_record_log(|log| Rebuild::new(log, log.manifest()?, world.store.folder().lock_path("t")))
        .expect("begun");
    let mut step = 0;
    while log.read_record_log(|log| rebuild.step(log)).expect("a step") {
        // Before the rows are read, while they are, and while they are written: changed, removed and new ones.
        if step < 6 {
            put(&mut expected, &names[step * 50..step * 50 + 20], b"changed");
            put(&mut expected, &names[9_000 + step..9_001 + step], b"new");
            table.remove(&names[8_000 + step]).expect("removed");
            expected.remove(&names[8_000 + step]);
        }
        step += 1;
    }
    log.write_records(Deadline::NONE, |tx| {
        assert!(rebuild.is_current(&tx.log)?);
        let path = world.store.folder().lock_path("u");
        let rebuild = std::mem::replace(&mut rebuild, Rebuild::new(&tx.log, tx.log.manifest()?, path)?);
        world.records.store_rebuilt(tx, rebuild)
    })
    .expect("stored");
    assert_eq!(read_anew(&world, &names), expected);
    // A rebuild that another process overtakes changes nothing, and the next one is not overtaken.
    assert!(!log.read_record_log(|log| rebuild.is_current(log)).expect("read"));
    let read = |log: &RecordLog<'_>| log.manifest();
    let manifest = log.read_record_log(read).expect("read");
    let open = world.records.open(world.store.database_number(), manifest);
    *crate::platform::mutex::lock(&world.records.rebuilding) = true;
    world.records.rebuild(&open, Deadline::NONE).expect("rebuilt");
    assert!(!*crate::platform::mutex::lock(&world.records.rebuilding));
    assert_eq!(read_anew(&world, &names), expected);
}

#[test]
fn a_rebuild_does_not_wait_for_ever_for_another_process() {
    let world = World::new(1);
    let lock = world.store.folder().lock_path("rebuild");
    let _held = FileLock::acquire(&lock, Deadline::NONE, &|| false).expect("locks work");
    let read = |log: &RecordLog<'_>| log.manifest();
    let manifest = RecordRows(&world.store).read_record_log(read).expect("read");
    let open = world.records.open(world.store.database_number(), manifest);
    world.records.rebuild(&open, Deadline::NONE).expect("rebuilt");
}
