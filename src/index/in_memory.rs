//! Images that can be neither opened nor written. What they would hold is made from the store once, and kept in the
//! memory of this process; the file is tried again after a while, then after twice as long each time.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use super::Shared;
use super::upkeep::Lost;
use crate::error::{Error, Result};
use crate::image::{Image, ImageKind};
use crate::matching::Mappings;
use crate::stats::Spent;
use crate::store::LibraryRow;

/// When a file that could not be written is tried again.
const FIRST_MS: i64 = 60_000;
/// At the latest.
const LAST_MS: i64 = 3_600_000;

/// What stands in for images.
pub(super) struct InMemory {
    /// Held by whoever makes images anew: one thread at a time, and the others find them made.
    pub making: Mutex<()>,
    pub images: Mutex<Vec<InPlace>>,
    /// When the files are tried again, Unix ms.
    due_ms: AtomicI64,
    wait_ms: AtomicI64,
}

/// An image in the place of a file.
pub(super) struct InPlace {
    library: i64,
    kind: ImageKind,
    /// As the database has it; empty when it names no file yet.
    name: String,
    generation: u64,
    /// Matches of another one are dead.
    epoch: i64,
    /// The change sequence up to which it knows everything.
    upto: u64,
    image: Arc<Image>,
}

impl Default for InMemory {
    fn default() -> Self {
        Self {
            making: Mutex::new(()),
            images: Mutex::new(Vec::new()),
            due_ms: AtomicI64::new(i64::MAX),
            wait_ms: AtomicI64::new(FIRST_MS),
        }
    }
}

fn name_of(kind: ImageKind, row: &LibraryRow) -> &str {
    match kind {
        ImageKind::Listing => &row.image,
        ImageKind::Matches => &row.matches_image,
    }
}

impl InPlace {
    /// Whether it stands in for a file of this library as it is now.
    fn is_of(&self, row: &LibraryRow) -> bool {
        (self.library, self.generation, self.epoch) == (row.id, row.generation, row.epoch)
            && self.name == name_of(self.kind, row)
    }
}

impl InMemory {
    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<InPlace>> {
        self.images.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What stands in for this library's file.
    pub fn of(&self, kind: ImageKind, row: &LibraryRow) -> Option<Arc<Image>> {
        let images = self.lock();
        let own = images.iter().find(|one| one.kind == kind && one.is_of(row));
        own.map(|one| Arc::clone(&one.image))
    }

    /// Forgets what no library of these has a use for.
    pub fn prune(&self, rows: &[LibraryRow]) {
        self.lock().retain(|one| rows.iter().any(|row| one.is_of(row)));
    }

    /// Says of a library what these images know of it beyond its files.
    pub fn raise(&self, row: &mut LibraryRow) {
        for one in self.lock().iter() {
            match one.kind {
                _ if !one.is_of(row) => {}
                ImageKind::Listing => row.image_sequence = row.image_sequence.max(one.upto),
                ImageKind::Matches => row.matches_compacted = row.matches_compacted.max(one.upto),
            }
        }
    }

    /// Whether files are to be tried again.
    pub fn is_due(&self, now_ms: i64) -> bool {
        now_ms >= self.due_ms.load(Ordering::Relaxed)
    }

    /// Whether this image stands in for a file that is still to be tried.
    pub fn holds(&self, image: &Arc<Image>) -> bool {
        self.lock().iter().any(|one| Arc::ptr_eq(&one.image, image))
    }

    /// Forgets what stands in for this library's file, of whatever generation.
    fn forget(&self, kind: ImageKind, library: i64) {
        self.lock().retain(|one| (one.library, one.kind) != (library, kind));
    }

    /// The files are tried again in a while, if that is not so already.
    fn begin(&self, now_ms: i64) {
        let due = now_ms.saturating_add(self.wait_ms.load(Ordering::Relaxed));
        self.due_ms.fetch_min(due, Ordering::Relaxed);
    }

    /// After files were tried: when they are tried the next time.
    pub fn tried(&self, now_ms: i64) {
        let due = if self.lock().is_empty() {
            self.wait_ms.store(FIRST_MS, Ordering::Relaxed);
            i64::MAX
        } else {
            let wait = self.wait_ms.load(Ordering::Relaxed);
            self.wait_ms.store((wait * 2).min(LAST_MS), Ordering::Relaxed);
            now_ms.saturating_add(wait)
        };
        self.due_ms.store(due, Ordering::Relaxed);
    }
}

impl Shared {
    /// Makes an image anew, or what stands in for it.
    pub(super) fn remake(&self, identity: i64, kind: ImageKind, row: &LibraryRow) -> Result<()> {
        // Another process may have made it meanwhile.
        let stood_in = self.in_memory.of(kind, row).is_some();
        let tried = if stood_in && self.open_index_file(kind, row).is_some() {
            Ok(())
        } else {
            self.make_file(identity, kind, row)
        };
        match tried {
            Ok(()) => self.in_memory.forget(kind, row.id),
            Err(_) if stood_in => {}
            Err(error) => return self.keep_in_memory(kind, row, &error),
        }
        Ok(())
    }

    /// Makes what an image would hold, which cannot be written for this reason.
    pub(super) fn keep_in_memory(&self, kind: ImageKind, row: &LibraryRow, why: &Error) -> Result<()> {
        log::warn!(
            "{why}; what it would hold of '{}' is kept in memory, and the file is tried again later",
            row.library.title
        );
        let begun = Instant::now();
        let (builder, upto) = match kind {
            ImageKind::Listing => {
                let upto = self.store.totals()?.sequence;
                (self.listing_builder(row, row.generation, upto)?, upto)
            }
            ImageKind::Matches => self.matches_builder(row, row.matches_compacted)?,
        };
        let image = Arc::new(builder.finish_in_memory().and_then(Image::in_memory)?);
        self.counters.spent(Spent::Image, begun.elapsed());
        self.in_memory.forget(kind, row.id);
        self.in_memory.lock().push(InPlace {
            library: row.id,
            kind,
            name: name_of(kind, row).to_owned(),
            generation: row.generation,
            epoch: row.epoch,
            upto,
            image,
        });
        self.in_memory.begin(self.now_ms());
        Ok(())
    }

    /// The image that the database names, if it can be opened.
    pub(super) fn open_index_file(&self, kind: ImageKind, row: &LibraryRow) -> Option<Arc<Image>> {
        match kind {
            ImageKind::Listing => self.open_image(&row.image, &self.mappings),
            ImageKind::Matches => self.open_image(&row.matches_image, &Mappings::default()),
        }
    }

    /// What is missing or damaged in the snapshot, or may be tried again.
    pub(super) fn lost(&self) -> Lost {
        let snapshot = self.snapshot.read();
        let again = self.in_memory.is_due(self.now_ms());
        let bad = |image: Option<&Arc<Image>>, wanted: bool| {
            image.map_or(wanted, |image| {
                image.is_broken() || again && self.in_memory.holds(image)
            })
        };
        let mut files = Vec::new();
        for (row, view) in snapshot.rows.iter().zip(&snapshot.views) {
            if bad(view.image.as_ref(), row.generation > 0) {
                files.push((ImageKind::Listing, row.clone()));
            }
            if bad(view.matches.as_ref(), !row.matches_image.is_empty()) {
                files.push((ImageKind::Matches, row.clone()));
            }
        }
        Lost {
            identity: snapshot.identity,
            files,
        }
    }
}
