//! The state of a database source between calls.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use crate::model::Item;
use crate::platform::clock::{Clock, SystemClock};
use crate::platform::mutex::lock;

use super::ahead::ReadAhead;
use super::place::DatabaseFile;

/// A prefetched path search: opening the file costs more than the query, so it is combined with the next probe.
#[derive(Debug, Default)]
pub struct PrefetchedPath {
    pub spellings: Vec<Vec<u8>>,
    /// Library version at the time of the search, and the items found with their section ids.
    pub found: Option<(String, Vec<(i64, Item)>)>,
}

/// The library database of a Plex Media Server.
#[derive(Debug)]
pub struct PlexDatabase {
    pub(super) place: DatabaseFile,
    pub(super) ahead: Mutex<ReadAhead>,
    /// The path search to run together with the next probe.
    pub(super) prefetched: Mutex<PrefetchedPath>,
    /// Whether each probe counts the rows: useful for deltas, a waste for a single first answer.
    counts: AtomicBool,
}

impl PlexDatabase {
    /// Creates a source for the file, its folder, or the folder 'Plex Media Server'. Touches nothing yet.
    #[must_use]
    pub fn new(named: &Path) -> Self {
        Self::with_clock(named, Arc::new(SystemClock))
    }

    /// As [`PlexDatabase::new`], with another clock for the pause after failures.
    #[must_use]
    pub fn with_clock(named: &Path, clock: Arc<dyn Clock>) -> Self {
        Self {
            place: DatabaseFile::new(named, clock),
            ahead: Mutex::default(),
            prefetched: Mutex::default(),
            counts: AtomicBool::new(false),
        }
    }

    pub(super) fn lock_read_ahead(&self) -> MutexGuard<'_, ReadAhead> {
        lock(&self.ahead)
    }

    pub(super) fn lock_prefetched(&self) -> MutexGuard<'_, PrefetchedPath> {
        lock(&self.prefetched)
    }

    /// Makes each later probe count the rows.
    pub(super) fn enable_row_counts(&self) {
        self.counts.store(true, Ordering::Relaxed);
    }

    pub(super) fn counts_rows(&self) -> bool {
        self.counts.load(Ordering::Relaxed)
    }
}
