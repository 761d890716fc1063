//! A log with a view, for tests that run over both kinds of logs.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use plexindex::error::Error;
use plexindex::inside::{Clock, Deadline};
use plexindex_sharing::postgres::{Postgres, Timeouts, parse};
use plexindex_sharing::{Entry, EntryKind, EntryName, EntryPage, HostId, NewEntry, Position, SharedLog, ViewNumber};
use plexindex_tests::index::ManualClock;
use plexindex_tests::memory_log::MemoryLog;

use crate::cluster;

/// A log, and a view of it.
pub struct Fixture {
    pub log: Arc<dyn SharedLog>,
    pub view: ViewNumber,
    address: String,
}

pub const A: HostId = HostId(1);
pub const B: HostId = HostId(-2);
pub const NONE: Deadline = Deadline::NONE;

pub fn memory() -> Fixture {
    let clock = Arc::new(ManualClock::new(1_700_000_000_000));
    let log = MemoryLog::new(clock as Arc<dyn Clock>);
    Fixture::new(Arc::new(log), "")
}

pub fn postgres() -> Option<Fixture> {
    let database = cluster::database()?;
    Some(Fixture::of_postgres(&database.address("postgres")))
}

/// Writes entries as a host that writes nothing else.
pub fn append(log: &dyn SharedLog, view: ViewNumber, entries: &[NewEntry]) -> Result<(), Error> {
    static LAST_HOST: AtomicI64 = AtomicI64::new(1_000);
    let host = HostId(LAST_HOST.fetch_add(1, Ordering::Relaxed));
    let numbered: Vec<_> = (1..).zip(entries.iter().cloned()).collect();
    log.deliver(view, host, 0, &numbered, NONE).map(drop)
}

impl Fixture {
    fn new(log: Arc<dyn SharedLog>, address: &str) -> Self {
        let view = log.view("server", b"viewer", NONE).expect("a view");
        let address = address.into();
        Self { log, view, address }
    }

    /// A log in `PostgreSQL`, on a machine that may be busy.
    pub fn of_postgres(address: &str) -> Self {
        let patience = Timeouts {
            connect: Duration::from_secs(5),
            silence: Duration::from_secs(30),
        };
        let parsed = parse(address, |_| None).expect("valid");
        Self::new(Arc::new(Postgres::with_timeouts(parsed, patience)), address)
    }

    /// Where it is; empty in memory.
    pub fn address(&self) -> String {
        self.address.clone()
    }

    pub fn append(&self, entries: &[NewEntry]) {
        append(&*self.log, self.view, entries).expect("written");
    }

    pub fn read(&self, after: Position, limit: usize) -> EntryPage {
        self.log.read(self.view, A, after, limit, NONE).expect("read")
    }

    pub fn all(&self) -> Vec<Entry> {
        self.read(Position::default(), 1000).entries
    }
}

pub fn name(kind: EntryKind, library: &str, key: &str) -> EntryName {
    entry(kind, library, key, "").name
}

pub fn matched(key: &str, body: &str) -> NewEntry {
    entry(EntryKind::Match, "movies", key, body)
}

pub fn entry(kind: EntryKind, library: &str, key: &str, body: &str) -> NewEntry {
    NewEntry::new(kind, library, key.as_bytes(), body.into())
}

/// Number, key and body of entries.
pub fn facts(entries: &[Entry]) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let facts = |entry: &Entry| format!("{} {} {}", entry.number, text(&entry.name.key), text(&entry.body));
    entries.iter().map(facts).collect::<Vec<_>>().join(", ")
}
