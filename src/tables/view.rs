//! One moment of the tables, ready to answer from.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use xxhash_rust::xxh3::xxh3_64;

use crate::image::{Entries, EntryOverlay, FirstEntry, Kept, Overlaid};
use crate::model::Sequence;
use crate::store::{TableRow, Timeline, Written};

/// What lookups read. What is written is added to it in place; anything else replaces it.
#[derive(Default)]
pub struct Snapshot {
    /// Counts snapshots, from 1; 0 is the empty one before the first.
    pub number: u64,
    /// Up to here every commit shows.
    sequence: AtomicU64,
    pub timeline: Timeline,
    pub tables: Vec<TableView>,
}

/// A table in a snapshot.
pub struct TableView {
    pub row: TableRow,
    image: Option<Arc<Entries>>,
    overlay: EntryOverlay,
    /// The image is lost, or the overlay had no room: only the database knows.
    lost: AtomicBool,
}

/// What a table has under a name.
pub enum Found<'t> {
    Entry(Kept<'t>),
    Nothing,
    /// Only the database knows.
    Lost,
}

impl Snapshot {
    pub fn new(number: u64, sequence: Sequence, timeline: Timeline) -> Self {
        Self {
            number,
            sequence: AtomicU64::new(sequence.0),
            timeline,
            tables: Vec::new(),
        }
    }

    /// Up to which change sequence every commit shows.
    #[inline]
    pub fn sequence(&self) -> Sequence {
        Sequence(self.sequence.load(Ordering::Acquire))
    }

    pub fn caught_up_to(&self, sequence: Sequence) {
        self.sequence.store(sequence.0, Ordering::Release);
    }

    /// Adds what was written. One thread at a time.
    pub fn apply(&self, written: Written) {
        let Some(view) = self.tables.iter().find(|view| view.row.id == written.table) else {
            return; // of a table that was cleared
        };
        let hash = xxh3_64(&written.name);
        if view.overlay.push(written.name, hash, written.state).is_err() {
            view.lost.store(true, Ordering::Release);
        }
    }
}

impl TableView {
    pub fn new(row: TableRow, image: Option<Arc<Entries>>, whole: bool) -> Self {
        Self {
            row,
            image,
            overlay: EntryOverlay::default(),
            lost: AtomicBool::new(!whole),
        }
    }

    /// Whether an image is named that could not be opened.
    pub fn lacks_image(&self) -> bool {
        self.row.image.is_some() && self.image.is_none()
    }

    /// Its image, unless a check of it failed.
    pub fn whole_image(&self) -> Option<Arc<Entries>> {
        self.image.clone().filter(|image| !image.is_broken())
    }

    /// Where its image has the first entry of this hash. Loads the entry.
    #[inline]
    pub fn first(&self, hash: u64) -> FirstEntry {
        self.image.as_ref().map_or(FirstEntry::NONE, |image| image.first(hash))
    }

    /// What it has under this name. `first`: what [`TableView::first`] gave.
    #[inline]
    pub fn find(&self, name: &[u8], hash: u64, first: FirstEntry) -> Found<'_> {
        if self.lost.load(Ordering::Acquire) {
            return Found::Lost;
        }
        match self.overlay.find(name, hash) {
            Some(Overlaid::Put(kept)) => return Found::Entry(kept),
            Some(Overlaid::Removed) => return Found::Nothing,
            None => {}
        }
        match self.image.as_ref().map(|image| image.find(name, hash, first)) {
            None | Some(Ok(None)) => Found::Nothing,
            Some(Ok(Some(kept))) => Found::Entry(kept),
            Some(Err(_)) => Found::Lost,
        }
    }
}
