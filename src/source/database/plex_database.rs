//! The state that a database source keeps between calls.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use crate::model::Item;
use crate::platform::clock::{Clock, SystemClock};

use super::database_file::DatabaseFile;
use super::read_ahead::ReadAhead;

/// A path search that the next probe runs too, because opening the file again would take longer than the query.
#[derive(Debug, Default)]
pub struct PrefetchedPath {
    pub spellings: Vec<Vec<u8>>,
    /// The change token when the search ran, and the items with their section ids; `None` before the search.
    pub result: Option<(String, Vec<(i64, Item)>)>,
}

/// The library database of a Plex Media Server.
#[derive(Debug)]
pub struct PlexDatabase {
    pub(super) file: DatabaseFile,
    pub(super) read_ahead: Mutex<ReadAhead>,
    pub(super) prefetched: Mutex<PrefetchedPath>,
    /// Whether each probe counts the rows. Deltas need the count, but counting would delay the first answer.
    pub(super) counts_rows: AtomicBool,
}

impl PlexDatabase {
    /// Creates a source for the database file, its folder, or the folder 'Plex Media Server'. Reads nothing yet.
    #[must_use]
    pub fn new(path: &Path) -> Self {
        Self::with_clock(path, Arc::new(SystemClock))
    }

    /// Creates a source for the database file, its folder, or the folder 'Plex Media Server'. `clock` measures how long
    /// reads stay suspended after failures. Reads nothing yet.
    #[must_use]
    pub fn with_clock(path: &Path, clock: Arc<dyn Clock>) -> Self {
        Self {
            file: DatabaseFile::new(path, clock),
            read_ahead: Mutex::default(),
            prefetched: Mutex::default(),
            counts_rows: AtomicBool::new(false),
        }
    }

    /// Makes each later probe count the rows, so that deltas can detect removals.
    pub(super) fn enable_row_counts(&self) {
        self.counts_rows.store(true, Ordering::Relaxed);
    }
}
