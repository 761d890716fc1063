//! What there is of a database between questions: where it is, and what was read ahead.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use crate::model::Item;
use crate::platform::clock::{Clock, SystemClock};
use crate::platform::mutex::lock;

use super::ahead::ReadAhead;
use super::place::DatabaseFile;

/// A path that is looked for next: a look into the file costs more than what is read of it.
#[derive(Debug, Default)]
pub struct PrefetchedPath {
    pub spellings: Vec<Vec<u8>>,
    /// The change token of the look that found it, and in which section each item is.
    pub found: Option<(String, Vec<(i64, Item)>)>,
}

/// The library database of a Plex Media Server.
#[derive(Debug)]
pub struct PlexDatabase {
    pub(super) place: DatabaseFile,
    pub(super) ahead: Mutex<ReadAhead>,
    /// What was looked for together with the libraries.
    pub(super) expected: Mutex<PrefetchedPath>,
    /// Whether its rows are counted with each probe: of use where it is listed, and not for one first answer.
    counts: AtomicBool,
}

impl PlexDatabase {
    /// The database that a host named: the file, its folder, or the folder 'Plex Media Server'. Touches nothing yet.
    #[must_use]
    pub fn new(named: &Path) -> Self {
        Self::with_clock(named, Arc::new(SystemClock))
    }

    /// The same with another clock: a file that cannot be read is left alone by it.
    #[must_use]
    pub fn with_clock(named: &Path, clock: Arc<dyn Clock>) -> Self {
        Self {
            place: DatabaseFile::new(named, clock),
            ahead: Mutex::default(),
            expected: Mutex::default(),
            counts: AtomicBool::new(false),
        }
    }

    pub(super) fn ahead(&self) -> MutexGuard<'_, ReadAhead> {
        lock(&self.ahead)
    }

    pub(super) fn expected(&self) -> MutexGuard<'_, PrefetchedPath> {
        lock(&self.expected)
    }

    /// From now on its rows are counted with each probe.
    pub(super) fn counts_rows(&self) {
        self.counts.store(true, Ordering::Relaxed);
    }

    pub(super) fn does_count_rows(&self) -> bool {
        self.counts.load(Ordering::Relaxed)
    }
}
