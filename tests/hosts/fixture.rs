//! A log with a view, for tests that run over both kinds of logs.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use plexindex::inside::{Clock, Deadline};
use plexindex_sharing::postgres::{Postgres, Timeouts, parse};
use plexindex_sharing::{
    Entry, EntryKind, EntryName, EntryPage, HostId, Lease, NewEntry, Position, SharedLog, ViewNumber,
};
use plexindex_tests::index::ManualClock;
use plexindex_tests::memory_log::MemoryLog;

use crate::cluster;

/// A log, and a view of it.
pub struct Fixture {
    pub log: Arc<dyn SharedLog>,
    pub view: ViewNumber,
    address: String,
    clock: Option<Arc<ManualClock>>,
}

pub const A: HostId = HostId(1);
pub const B: HostId = HostId(-2);
/// The time of leases that shall expire.
pub const SHORT: Duration = Duration::from_millis(60);
pub const NONE: Deadline = Deadline::NONE;

pub fn memory() -> Fixture {
    let clock = Arc::new(ManualClock::new(1_700_000_000_000));
    let log = MemoryLog::new(Arc::clone(&clock) as Arc<dyn Clock>);
    Fixture::new(Arc::new(log), Some(clock), "")
}

pub fn postgres(lease: Duration) -> Option<Fixture> {
    let database = cluster::database()?;
    Some(Fixture::of_postgres(&database.address("postgres"), lease))
}

impl Fixture {
    fn new(log: Arc<dyn SharedLog>, clock: Option<Arc<ManualClock>>, address: &str) -> Self {
        let view = log.view("server", b"viewer", NONE).expect("a view");
        let address = address.into();
        Self {
            log,
            view,
            address,
            clock,
        }
    }

    /// A log in `PostgreSQL`, on a machine that may be busy.
    pub fn of_postgres(address: &str, lease: Duration) -> Self {
        let patience = Timeouts {
            connect: Duration::from_secs(5),
            silence: Duration::from_secs(30),
        };
        let parsed = parse(address, |_| None).expect("valid");
        Self::new(
            Arc::new(Postgres::with_timeouts(parsed, patience, lease)),
            None,
            address,
        )
    }

    /// Where it is; empty in memory.
    pub fn address(&self) -> String {
        self.address.clone()
    }

    pub fn append(&self, entries: &[NewEntry]) {
        assert_eq!(self.log.append(self.view, A, entries, None, NONE), Ok(true));
    }

    pub fn read(&self, after: Position, limit: usize) -> EntryPage {
        self.log.read(self.view, A, after, limit, NONE).expect("read")
    }

    pub fn all(&self) -> Vec<Entry> {
        self.read(Position::default(), 1000).entries
    }

    pub fn lease(&self, what: &str) -> Option<Lease> {
        self.log.lease(self.view, what, NONE).expect("asked")
    }

    /// Takes a lease as soon as the one before has expired.
    pub fn lease_after_expiry(&self, what: &str) -> Lease {
        let begin = Instant::now();
        loop {
            if let Some(lease) = self.lease(what) {
                return lease;
            }
            assert!(begin.elapsed() < Duration::from_secs(20), "the lease does not expire");
            match &self.clock {
                Some(clock) => clock.advance_ms(10),
                None => thread::sleep(Duration::from_millis(2)),
            }
        }
    }
}

pub fn name(kind: EntryKind, library: &str, key: &str) -> EntryName {
    EntryName {
        kind,
        library: library.into(),
        key: key.into(),
    }
}

pub fn item(key: &str, body: &str) -> NewEntry {
    entry(EntryKind::Item, "movies", key, body)
}

pub fn entry(kind: EntryKind, library: &str, key: &str, body: &str) -> NewEntry {
    NewEntry {
        name: name(kind, library, key),
        body: body.into(),
    }
}

/// Number, key and body of entries.
pub fn facts(entries: &[Entry]) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let facts = |entry: &Entry| format!("{} {} {}", entry.number, text(&entry.name.key), text(&entry.body));
    entries.iter().map(facts).collect::<Vec<_>>().join(", ")
}
