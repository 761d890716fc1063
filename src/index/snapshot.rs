//! One moment of the store, ready to answer from: the libraries, their images, and what changed since.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError};
use std::time::Instant;

use super::{Shared, lock};
use crate::error::Result;
use crate::freshness::Age;
use crate::image::{Change as Overlaid, Image, ImageKind, LibraryFacts, LibraryView};
use crate::matching::{Mappings, Normal, Scope, View};
use crate::model::Clocks;
use crate::stats::Spent;
use crate::store::{Change, ChangeKind, LibraryRow, State, USE_NOTED_MS};

/// What lookups read. Changes of single matches and items are added to it in place; anything else replaces it.
#[derive(Default)]
pub(crate) struct Snapshot {
    /// Counts snapshots of this handle, from 1; 0 is the empty one before the first.
    pub number: u64,
    /// Up to here every commit shows.
    sequence: AtomicU64,
    /// Whose view of which server; `None` until the server was first reached.
    pub identity: Option<i64>,
    /// The libraries, in the server's order.
    pub rows: Vec<LibraryRow>,
    /// Their warm data, in the same order.
    pub views: Vec<Arc<LibraryView>>,
    /// What the rows say of freshness is out of date: to be read anew by whoever can wait. Fast lookups do not look at it.
    outdated: AtomicBool,
    /// An image is missing, or was made under other mappings.
    pub incomplete: bool,
}

impl Snapshot {
    /// Up to which change sequence every commit shows.
    pub fn sequence(&self) -> u64 {
        self.sequence.load(Ordering::Acquire)
    }

    /// The libraries of a scope.
    pub fn asked(&self, scope: Scope) -> &[LibraryRow] {
        &self.rows[places(scope, self.rows.len())]
    }

    /// Whether an item of a library, or the path that it was found by, is invalidated.
    pub fn is_suspect(&self, place: usize, query: &[u8], path: &[u8], rating_key: &str) -> bool {
        let view = &self.views[place];
        Normal::with(query, |query| view.is_unverified(query, path, rating_key))
    }

    /// For each library, whether the path, as given or mapped, lies under one of its folders.
    pub fn owners(&self, path: &[u8], mappings: &Mappings) -> Vec<bool> {
        Normal::with(path, |path| {
            self.views
                .iter()
                .map(|view| {
                    view.owns(path)
                        || mappings
                            .to_server(path, |mapped| {
                                Normal::with(mapped, |mapped| view.owns(mapped).then_some(()))
                            })
                            .is_some()
                })
                .collect()
        })
    }
}

/// Whether an image of the last snapshot can be taken over: what stands in for a file is looked for anew.
fn usable(image: Option<&Arc<Image>>) -> bool {
    image.is_some_and(|image| !image.is_broken() && !image.stands_in())
}

/// What the rules of freshness want to know of a library.
pub(super) fn age(row: &LibraryRow) -> Age {
    Age {
        listed: row.generation > 0,
        listed_ms: row.listed_ms,
        checked_ms: row.checked_ms,
        provisional: row.provisional,
        due: row.due,
        held_back: row.held_back,
        partial: row.partial,
        items: row.items,
        hint: row.hint,
    }
}

/// The clocks at which a library's listing was made.
pub(super) fn clocks_of(row: &LibraryRow) -> Clocks {
    row.listed
}

impl Shared {
    /// Brings the snapshot up to date, waiting for another thread that is at it.
    pub(super) fn catch_up(&self) -> Result<()> {
        self.note_use();
        if self.is_current() && !self.snapshot.read().outdated.load(Ordering::Acquire) {
            return Ok(());
        }
        let _catching_up = self.catching_up.lock().unwrap_or_else(PoisonError::into_inner);
        self.catch_up_alone(true)?;
        self.store.find_page();
        Ok(())
    }

    /// Notes that the identity is used: one that is not used for a month is forgotten, and with `library_ttl` 'never' the
    /// server is not asked either. A load and a look at the clock; once a day for a store a write that waits for no other.
    fn note_use(&self) {
        let now = self.now_ms();
        let last = self.use_noted.load(Ordering::Relaxed);
        if (0..USE_NOTED_MS).contains(&now.saturating_sub(last)) {
            return;
        }
        let Some(identity) = self.snapshot.read().identity else {
            return;
        };
        self.use_noted.store(now, Ordering::Relaxed);
        match self.store.note_use(identity, now) {
            Ok(true) => {}
            Ok(false) => self.use_noted.store(last, Ordering::Relaxed),
            // QueryState again tomorrow: an answer does not need it.
            Err(error) => log::debug!("that the store is used could not be noted: {error}"),
        }
    }

    /// Reads what was committed since the snapshot. `patient` unset: gives up (`false`) where it would have to wait.
    /// The caller holds `catching_up`.
    pub(super) fn catch_up_alone(&self, patient: bool) -> Result<bool> {
        let snapshot = self.snapshot.read();
        let Some(changes) = self.store.changes(snapshot.identity, snapshot.sequence(), patient) else {
            return Ok(false);
        };
        let (sequence, changes) = changes?;
        if let Some(changes) = changes {
            let mut applied = true;
            for change in &changes {
                if change.kind == ChangeKind::Clocks && !patient {
                    snapshot.outdated.store(true, Ordering::Release);
                    continue;
                }
                // Items are read from the store: a fast lookup does not wait for that.
                applied = applied && (patient || change.kind != ChangeKind::Added) && self.apply(&snapshot, change)?;
            }
            applied = applied && !(patient && snapshot.outdated.load(Ordering::Acquire));
            if applied {
                snapshot.sequence.store(sequence, Ordering::Release);
                return Ok(true);
            }
        }
        drop(snapshot);
        if !patient {
            return Ok(false); // reading everything may take milliseconds
        }
        self.reload_alone()?;
        Ok(true)
    }

    /// Reads the whole state anew.
    pub(super) fn reload(&self) -> Result<()> {
        let _catching_up = self.catching_up.lock().unwrap_or_else(PoisonError::into_inner);
        self.reload_alone()
    }

    fn reload_alone(&self) -> Result<()> {
        for attempt in 0.. {
            let begun = Instant::now();
            let (snapshot, full) = self.load()?;
            self.counters.spent(Spent::Image, begun.elapsed());
            self.counters.spent(Spent::Away, begun.elapsed());
            let identity = snapshot.identity;
            self.snapshot.replace(snapshot);
            let (Some(identity), false, true) = (identity, full.is_empty(), attempt < 2) else {
                break;
            };
            // More changed than an overlay holds: put it into images, then read again.
            for row in full {
                self.images.make_both(identity, &row)?;
                if attempt > 0 {
                    self.store.invalidate_all_paths(identity, row.id)?;
                }
            }
        }
        Ok(())
    }

    /// A snapshot of now, and the libraries whose changes did not all fit.
    fn load(&self) -> Result<(Snapshot, Vec<LibraryRow>)> {
        let (identity, state) = self
            .store
            .state_at(self.endpoint().as_ref(), &|row| self.images.raise(row))?;
        let State {
            sequence,
            libraries,
            changes,
            unverified,
        } = state;
        let before = self.snapshot.read();
        let views = libraries
            .iter()
            .map(|row| {
                let known = before
                    .rows
                    .iter()
                    .position(|old| old.id == row.id)
                    .map(|place| (&before.rows[place], &*before.views[place]));
                Arc::new(self.view(row, known))
            })
            .collect::<Vec<Arc<LibraryView>>>();
        let incomplete = libraries.iter().zip(&views).any(|(row, view)| {
            (row.generation > 0 && view.image.is_none()) || (!row.matches_image.is_empty() && view.matches.is_none())
        });
        let snapshot = Snapshot {
            incomplete,
            outdated: AtomicBool::new(false),
            number: before.number + 1,
            sequence: AtomicU64::new(sequence),
            identity,
            rows: libraries,
            views,
        };
        drop(before);
        let unverified = unverified.into_iter().map(|unverified| Change {
            library: unverified.library,
            kind: if unverified.path.is_empty() {
                ChangeKind::UnverifiedItem
            } else {
                ChangeKind::UnverifiedPath
            },
            path: unverified.path,
            rating_key: unverified.rating_key,
            sequence,
        });
        let mut full: Vec<LibraryRow> = Vec::new();
        for change in changes.into_iter().chain(unverified) {
            if !self.apply(&snapshot, &change)?
                && let Some(row) = snapshot.rows.iter().find(|row| row.id == change.library)
                && full.iter().all(|known| known.id != row.id)
            {
                full.push(row.clone());
            }
        }
        Ok((snapshot, full))
    }

    /// The view of a library: its images, taken over from the last snapshot where they are the same.
    fn view(&self, row: &LibraryRow, known: Option<(&LibraryRow, &LibraryView)>) -> LibraryView {
        let image = match known {
            Some((old, view)) if old.image == row.image && usable(view.image.as_ref()) => view.image.clone(),
            _ => self.images.open(ImageKind::Listing, row),
        };
        let matches = match known {
            Some((old, view)) if old.matches_image == row.matches_image && usable(view.matches.as_ref()) => {
                view.matches.clone()
            }
            _ => self.images.open(ImageKind::Matches, row),
        };
        let facts = LibraryFacts {
            uuid: row.library.uuid.clone(),
            locations: row.library.locations.clone(),
            listed_at: row.listed_sequence,
            fetched: row.generation > 0,
        };
        LibraryView::new(facts, &self.mappings, image, matches, Arc::default())
    }

    /// Makes the images anew that are missing or damaged.
    pub(super) fn rebuild_broken(&self) -> Result<()> {
        // What another thread has made meanwhile is not lost any more.
        let _making = lock(&self.rebuilding);
        self.images.prune(&self.snapshot.read().rows);
        let Lost { identity, files } = self.lost();
        let Some(identity) = identity.filter(|_| !files.is_empty()) else {
            if self.images.are_due() {
                self.images.tried();
            }
            return Ok(());
        };
        for (kind, row) in &files {
            self.images.remake(identity, *kind, row)?;
        }
        self.images.tried();
        self.reload()
    }

    /// What is missing or damaged in the snapshot, or may be tried again.
    pub(super) fn lost(&self) -> Lost {
        let snapshot = self.snapshot.read();
        let again = self.images.are_due();
        let bad = |image: Option<&Arc<Image>>, wanted: bool| {
            image.map_or(wanted, |image| {
                image.is_broken() || again && self.images.stands_in(image)
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

    /// Adds a change to the snapshot in place; `false` when the snapshot has to be made anew instead.
    fn apply(&self, snapshot: &Snapshot, change: &Change) -> Result<bool> {
        let Some(place) = snapshot.rows.iter().position(|row| row.id == change.library) else {
            return Ok(!matches!(change.kind, ChangeKind::Library | ChangeKind::Clocks)); // of a library that nobody sees
        };
        let (path, rating_key) = (change.path.clone(), change.rating_key.clone());
        let overlaid = match change.kind {
            ChangeKind::Library | ChangeKind::Clocks => return Ok(false),
            ChangeKind::Matched => Overlaid::Matched {
                path,
                rating_key,
                sequence: change.sequence,
            },
            ChangeKind::Forgotten => Overlaid::Forgotten { path },
            ChangeKind::UnverifiedPath => Overlaid::UnverifiedPath { path },
            ChangeKind::UnverifiedItem => Overlaid::UnverifiedItem { rating_key },
            ChangeKind::VerifiedPath => Overlaid::VerifiedPath { path },
            ChangeKind::VerifiedItem => Overlaid::VerifiedItem { rating_key },
            ChangeKind::Removed => Overlaid::Removed { rating_key },
            ChangeKind::Added => {
                let row = &snapshot.rows[place];
                match self.store.item(row.id, row.generation, &rating_key)? {
                    Some(item) => Overlaid::Added {
                        item: Arc::new(item),
                        sequence: change.sequence,
                    },
                    None => Overlaid::Removed { rating_key },
                }
            }
        };
        Ok(snapshot.views[place].overlay.push(overlaid, &self.mappings).is_ok())
    }
}

/// Images of a snapshot that are missing or damaged.
pub(super) struct Lost {
    pub identity: Option<i64>,
    pub files: Vec<(ImageKind, LibraryRow)>,
}

/// The libraries that a scope means.
pub(super) fn places(scope: Scope, count: usize) -> std::ops::Range<usize> {
    match scope {
        Scope::One(place) => place..place + 1,
        Scope::All => 0..count,
    }
}
