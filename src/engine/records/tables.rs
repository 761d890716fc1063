//! The tables of a store, and how the snapshot that answers is kept up to date.

use std::sync::{Arc, Mutex};

use super::segments::Records;
use super::snapshot::{LONG, TableSnapshot};
use crate::engine::segment::SegmentsLost;
use crate::engine::sql::{Incarnation, RecordsState, Store, last_row};
use crate::error::{Error, Result, Status, refuse};
use crate::options::Ttl;
use crate::platform::clock::Clock;
use crate::platform::fork::{self, Forks, Release, Side, hold};
use crate::platform::mutex::lock;
use crate::platform::swap::{Guard, Swap};

/// How often tables are read again whose segments were replaced before they could be opened.
const REPLACED: u32 = 32;
/// How often an answer is looked for again whose segment was found to be damaged, or whose value went meanwhile.
pub(super) const MAX_RETRIES: u32 = 8;
/// The longest name of a table or an entry.
pub const LONGEST_NAME: usize = 1 << 20;

/// The tables of a store. Usable from any thread.
pub struct Tables {
    pub(super) store: Arc<Store>,
    pub(super) records: Arc<Records>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) snapshot: Swap<TableSnapshot>,
    /// Held while a thread brings the snapshot up to date.
    pub(super) catching_up: Mutex<()>,
}

/// How long values are kept, and how many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// For how long they are given. For ever by default.
    pub ttl: Ttl,
    /// Bytes that all tables of the store may take: the entries written longest ago go first. An entry counts its name, its
    /// value and 64 bytes. What the write itself puts stays. No limit by default.
    pub limit: Option<u64>,
}

impl Default for Terms {
    fn default() -> Self {
        Self {
            ttl: Ttl::Never,
            limit: None,
        }
    }
}

impl Tables {
    pub(crate) fn new(store: Arc<Store>, records: Arc<Records>, clock: Arc<dyn Clock>) -> Arc<Self> {
        let tables = Arc::new(Self {
            store,
            records,
            clock,
            snapshot: Swap::new(TableSnapshot::default()),
            catching_up: Mutex::new(()),
        });
        fork::watch(&tables);
        tables
    }

    /// How many entries all tables have, expired ones that are still stored included.
    ///
    /// # Errors
    /// The store's.
    pub fn count(&self) -> Result<u64> {
        self.answer(|snapshot| Ok(counted(snapshot.total())))
    }

    /// Gives what `find` finds in a snapshot that shows all that was committed; segments that are lost are made anew.
    pub(super) fn answer<T>(&self, find: impl Fn(&TableSnapshot) -> std::result::Result<T, SegmentsLost>) -> Result<T> {
        for _ in 0..MAX_RETRIES {
            let snapshot = self.caught_up()?;
            if let Ok(found) = find(&snapshot)
                && !snapshot.is_lost()
            {
                return Ok(found);
            }
            self.rebuild(snapshot)?;
        }
        Err(self.damaged_again())
    }

    /// Has segments made anew that this snapshot lacks.
    pub(super) fn rebuild(&self, lost: Guard<'_, TableSnapshot>) -> Result<()> {
        let open = Arc::clone(&lost.open);
        drop(lost);
        self.records.rebuild(&open)?;
        let _catching_up = lock(&self.catching_up);
        self.reload()
    }

    pub(super) fn damaged_again(&self) -> Error {
        Error::new(
            Status::Store,
            format!(
                "store in {}: the index of tables is damaged again and again; look for what writes to its files, or choose \
                 another cache_dir",
                self.store.folder().path().display()
            ),
        )
    }

    /// A snapshot that shows all that was committed, with what `look` gives of it; `None` when it would have to be waited for.
    /// `look` runs before it is known whether the snapshot is current, so that the memory that it asks for comes meanwhile.
    /// What it gives may hold nothing that a commit adds in place.
    #[inline]
    pub(super) fn current<B>(&self, look: impl Fn(&TableSnapshot) -> B) -> Option<(Guard<'_, TableSnapshot>, B)> {
        let snapshot = self.snapshot.read();
        let seen = look(&snapshot);
        if self.store.is_current_in(snapshot.open.incarnation, snapshot.sequence()) {
            return Some((snapshot, seen));
        }
        drop(snapshot);
        let _catching_up = self.store.short.lock(&self.catching_up)?;
        matches!(self.catch_up_locked(false), Ok(true)).then(|| {
            let snapshot = self.snapshot.read();
            let seen = look(&snapshot);
            (snapshot, seen)
        })
    }

    /// The same, waiting for what has to be waited for.
    pub(super) fn caught_up(&self) -> Result<Guard<'_, TableSnapshot>> {
        let snapshot = self.snapshot.read();
        if self.store.is_current_in(snapshot.open.incarnation, snapshot.sequence()) && !snapshot.is_lost() {
            return Ok(snapshot);
        }
        drop(snapshot);
        let _catching_up = lock(&self.catching_up);
        self.catch_up_locked(true)?;
        self.store.find_page();
        Ok(self.snapshot.read())
    }

    /// Reads what was written since the snapshot. `patient` unset: gives up (`false`) where it would have to wait. The caller
    /// holds `catching_up`.
    ///
    /// A segment that was merged is removed at once: one that is gone when it is opened may have a successor by then.
    fn catch_up_locked(&self, patient: bool) -> Result<bool> {
        let caught_up = self.catch_up_once(patient)?;
        for _ in 0..REPLACED {
            let snapshot = self.snapshot.read();
            let is_behind = snapshot.is_lost() && self.store.totals()?.sequence != snapshot.sequence();
            drop(snapshot);
            if !patient || !is_behind {
                break;
            }
            self.catch_up_once(patient)?;
        }
        Ok(caught_up)
    }

    /// Reads all of it. The caller holds `catching_up`.
    pub(super) fn reload(&self) -> Result<()> {
        self.snapshot.read().set_outdated();
        self.catch_up_locked(true).map(|_| ())
    }

    fn catch_up_once(&self, patient: bool) -> Result<bool> {
        let incarnation = self.store.incarnation();
        let before = self.snapshot.read();
        let since =
            (before.number > 0 && before.open.incarnation == incarnation && !before.is_lost()).then(|| before.since());
        if since.is_none() && !patient {
            return Ok(false); // reading everything may take milliseconds
        }
        let Some(state) = self.store.records_since(since, LONG, patient) else {
            return Ok(false);
        };
        let state = state?;
        if state.manifest.is_some() {
            if !patient {
                return Ok(false);
            }
            let snapshot = self.load(&before, incarnation, state);
            drop(before);
            self.snapshot.replace(snapshot);
        } else {
            let sequence = state.sequence;
            for row in state.rows {
                before.apply(row);
            }
            before.caught_up_to(sequence);
        }
        Ok(true)
    }

    /// A snapshot of a state that was read whole.
    pub(super) fn load(&self, before: &TableSnapshot, incarnation: Incarnation, state: RecordsState) -> TableSnapshot {
        let RecordsState {
            sequence,
            manifest,
            rows,
        } = state;
        let (manifest, tables) = manifest.unwrap_or_default();
        let open = self.records.open(incarnation, manifest);
        let upto = open.upto();
        let snapshot = TableSnapshot::new(before.number + 1, sequence, open, tables);
        for row in rows {
            if row.id > last_row(upto) {
                snapshot.apply(row);
            }
        }
        snapshot
    }
}

/// Entries of tables. No count is below 0 but for a moment, while another thread adds to it.
pub(super) fn counted([entries, _]: [i64; 2]) -> u64 {
    u64::try_from(entries).unwrap_or(0)
}

pub(super) fn check_name(what: &str, name: &[u8]) -> Result<()> {
    if name.len() > LONGEST_NAME {
        return refuse(format!(
            "the name of the {what} has {} bytes: give at most {LONGEST_NAME}, such as a digest of it",
            name.len()
        ));
    }
    Ok(())
}

impl Forks for Tables {
    fn before(self: Arc<Self>) -> Vec<Box<dyn Release>> {
        vec![Box::new(hold(&self, |all| &all.catching_up))]
    }

    fn after(&self, side: &Side) {
        if let Side::Child(alone) = side {
            self.snapshot.reset_after_fork(alone);
        }
    }
}

impl Drop for Tables {
    fn drop(&mut self) {
        fork::forget_dead();
    }
}
