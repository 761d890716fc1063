//! A host's tables against a map: two handles on one folder, batches, expiry, folding, limits, clocks that go either way.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::index::{Index, ManualClock};
use plexindex::options::Ttl;
use plexindex::tables::{Op, Table, TableLimits};

use super::input::{Input, folder};
use super::server::{self, NOW_MS};

struct FolderConnections {
    handles: [Index; 2],
    clock: Arc<ManualClock>,
    /// For each handle: two tables, one of which folds.
    tables: [[Table; 2]; 2],
    /// Whether anything was, since the tables were cleared.
    written: Cell<bool>,
    _folder: tempfile::TempDir,
}

thread_local! {
    static HERE: FolderConnections = FolderConnections::new();
}

impl FolderConnections {
    fn new() -> Self {
        let folder = folder();
        let clock = Arc::new(ManualClock::new(NOW_MS));
        let handles = [(); 2].map(|()| server::open(folder.path(), false, &clock).expect("a store"));
        let tables = [&handles[0], &handles[1]].map(|index| {
            [(&b"plain"[..], false), (b"folds\0\xff", true)]
                .map(|(name, folds)| index.tables().table(name, folds).expect("a table"))
        });
        Self {
            handles,
            clock,
            tables,
            written: Cell::new(true),
            _folder: folder,
        }
    }
}

/// Value and expiry by table and name.
type Model = BTreeMap<(usize, Vec<u8>), (Vec<u8>, Option<i64>)>;

fn name(input: &mut Input<'_>) -> Vec<u8> {
    match input.byte() {
        long @ 0xF0.. => vec![b'n'; usize::from(long) * 5],
        own @ 0x80.. => input.take(usize::from(own & 7)).to_vec(),
        one => vec![b"aAbB\0\xff\xc3/"[usize::from(one) % 8]; usize::from(one >> 3) % 3],
    }
}

fn value(input: &mut Input<'_>) -> Vec<u8> {
    match input.byte() {
        // Around the length from which a value stays in the database.
        long @ 0xE0.. => vec![long; 980 + usize::from(long - 0xE0)],
        own @ 0x80.. => input.take(usize::from(own & 15)).to_vec(),
        one => vec![one; usize::from(one % 5)],
    }
}

fn check(here: &FolderConnections, model: &Model, now_ms: i64, asked: &[(usize, Vec<u8>)]) {
    for (handle, tables) in here.tables.iter().enumerate() {
        for (table, name) in asked {
            let wanted = model
                .get(&(*table, name.clone()))
                .filter(|(_, until)| until.is_none_or(|until| until > now_ms));
            let wanted = wanted.map(|(value, _)| value.as_slice());
            let mut got = None;
            let length = tables[*table]
                .get(name, usize::MAX, &mut |value| got = Some(value.to_vec()))
                .expect("asked");
            assert_eq!(
                (got.as_deref(), length),
                (wanted, wanted.map(<[u8]>::len)),
                "handle {handle}, {table} {name:?}"
            );
            let fast = tables[*table].lookup(name, <[u8]>::to_vec);
            assert!(
                fast.is_none() || fast.as_deref() == wanted,
                "fast: handle {handle}, {table} {name:?}"
            );
        }
    }
}

fn listed(here: &FolderConnections, model: &Model, now_ms: i64) {
    for (number, table) in here.tables[0].iter().enumerate() {
        let mut names = Vec::new();
        let mut after: Option<Vec<u8>> = None;
        while let Some(next) = table.next(after.as_deref()).expect("asked") {
            after = Some(next.clone());
            names.push(next);
        }
        let live = model
            .iter()
            .filter(|((of, _), (_, until))| *of == number && until.is_none_or(|until| until > now_ms));
        let live: Vec<Vec<u8>> = live.map(|((_, name), _)| name.clone()).collect();
        assert_eq!(names, live, "table {number}");
        assert!(table.count().expect("counted") >= live.len() as u64);
    }
}

pub fn run(data: &[u8]) {
    HERE.with(|here| operations(here, data));
}

fn operations(here: &FolderConnections, data: &[u8]) {
    let mut input = Input(data);
    let mut model = Model::new();
    if here.written.replace(false) {
        here.handles[0].tables().clear().expect("cleared");
    }
    here.clock.advance_ms(1);
    let mut now_ms = super::index::Clock::now_ms(&*here.clock);
    // What had expired once may be gone for good, whatever the clock says later.
    let mut latest_ms = now_ms;
    for _ in 0..6 {
        if input.is_empty() {
            break;
        }
        let (how, handle) = (input.byte(), input.below(2));
        let tables = &here.tables[handle];
        let ttl = match how >> 5 {
            0 => Ttl::Zero,
            1 => Ttl::For(Duration::from_millis(u64::from(input.byte()) * 50)),
            2 => Ttl::For(Duration::MAX),
            _ => Ttl::Forever,
        };
        let until = match ttl {
            Ttl::Zero => Some(now_ms),
            Ttl::For(time) => Some(now_ms.saturating_add(i64::try_from(time.as_millis()).unwrap_or(i64::MAX))),
            _ => None,
        };
        let mut ops: Vec<(u8, usize, Vec<u8>, Vec<u8>)> = Vec::new();
        let mut limit = u64::MAX;
        match how & 31 {
            0..=9 => ops.push((0, input.below(2), name(&mut input), value(&mut input))),
            10..=12 => ops.push((1, input.below(2), name(&mut input), Vec::new())),
            13 => ops.push((2, input.below(2), Vec::new(), Vec::new())),
            14..=20 => {
                for _ in 0..input.below(5) {
                    let (kind, table) = (input.below(8), input.below(2));
                    let kind = [0, 0, 0, 0, 0, 1, 1, 2][kind];
                    ops.push((
                        kind,
                        table,
                        name(&mut input),
                        if kind == 0 { value(&mut input) } else { Vec::new() },
                    ));
                }
            }
            21 => {
                here.clock.advance_ms(i64::from(input.byte()) * 40);
                now_ms = super::index::Clock::now_ms(&*here.clock);
            }
            22 => {
                here.clock.advance_ms(-i64::from(input.byte()) * 40);
                now_ms = super::index::Clock::now_ms(&*here.clock);
            }
            23 | 24 => {
                limit = u64::from(input.byte()) * 4;
                ops.push((0, input.below(2), name(&mut input), value(&mut input)));
            }
            _ => {}
        }
        latest_ms = latest_ms.max(now_ms);
        let given: Vec<Op<'_>> = ops
            .iter()
            .map(|(kind, table, name, value)| match kind {
                0 => Op::Put(&tables[*table], name, value),
                1 => Op::Remove(&tables[*table], name),
                _ => Op::Clear(&tables[*table]),
            })
            .collect();
        if !given.is_empty() {
            here.written.set(true);
            here.handles[handle]
                .tables()
                .write(
                    &given,
                    &TableLimits {
                        ttl,
                        limit: Some(limit),
                    },
                )
                .expect("written");
        }
        let mut asked = vec![(0, b"a".to_vec()), (1, b"A".to_vec())];
        for (kind, table, name, value) in ops {
            // The second table folds.
            let name = if table == 1 { name.to_ascii_lowercase() } else { name };
            asked.push((table, name.clone()));
            match kind {
                0 => drop(model.insert((table, name), (value, until))),
                1 => drop(model.remove(&(table, name))),
                _ => model.retain(|(of, _), _| *of != table),
            }
        }
        if now_ms < latest_ms {
            let gone = |until: &Option<i64>| until.is_some_and(|until| now_ms < until && until <= latest_ms);
            model.retain(|(table, name), (_, until)| {
                !gone(until)
                    || here.tables[0][*table]
                        .get(name, 0, &mut |_| {})
                        .expect("asked")
                        .is_some()
            });
        }
        if limit < u64::MAX {
            // Others may have gone, oldest first; what was written just now stays.
            let last = asked.last().cloned().expect("something was written");
            model.retain(|(table, name), (value, until)| {
                let there = here.tables[0][*table]
                    .get(name, 0, &mut |_| {})
                    .expect("asked")
                    .is_some();
                there || until.is_some_and(|until| until <= now_ms) || {
                    assert_ne!(
                        (*table, name),
                        (last.0, &last.1),
                        "what was written just now, of {} bytes, is gone",
                        value.len()
                    );
                    false
                }
            });
        }
        asked
            .iter_mut()
            .filter(|(table, _)| *table == 1)
            .for_each(|(_, name)| name.make_ascii_lowercase());
        check(here, &model, now_ms, &asked);
    }
    listed(here, &model, now_ms);
}
