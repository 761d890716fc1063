//! Which libraries are asked for, and what a limit on the folder needs of that.

use std::time::{Duration, Instant};

use super::catch_up::Reading;
use super::snapshot::Snapshot;
use crate::model::{Generation, LibraryId};
use crate::platform::mutex::lock;
use crate::store::LibraryRow;

/// How long an answer is held up by what the limit needs.
const HELD_UP: Duration = Duration::from_millis(100);
/// How often the folder is looked at by who asks.
const LOOKED_AT: Duration = Duration::from_secs(60);

/// Libraries that a call asks for, until it is over: none of them is evicted by this process meanwhile.
pub struct Wanted<'r> {
    reading: &'r Reading,
    libraries: Vec<LibraryId>,
}

impl Wanted<'_> {
    pub fn add(&mut self, library: LibraryId) {
        if !self.libraries.contains(&library) {
            self.libraries.push(library);
            lock(&self.reading.wanted).push(library);
        }
    }
}

impl Drop for Wanted<'_> {
    fn drop(&mut self) {
        if self.libraries.is_empty() {
            return;
        }
        let mut wanted = lock(&self.reading.wanted);
        for library in &self.libraries {
            if let Some(place) = wanted.iter().position(|one| one == library) {
                wanted.swap_remove(place);
            }
        }
    }
}

impl Reading {
    /// Nothing yet.
    pub fn wanted(&self) -> Wanted<'_> {
        Wanted {
            reading: self,
            libraries: Vec::new(),
        }
    }

    /// The library at this place of the snapshot is asked for now.
    pub fn ask_for(&self, snapshot: &Snapshot, place: usize) {
        if let Some(asked) = snapshot.asked.get(place) {
            asked.at(self.clock.now_ms());
        }
    }

    /// Notes in the store what was asked for: of each library once an hour, unless it has to be exact.
    pub fn note_asked(&self, exactly: bool) {
        let due: Vec<(LibraryId, i64)> = {
            let snapshot = self.snapshot();
            for asked in snapshot.asked.iter().filter(|asked| asked.was_touched()) {
                asked.at(self.clock.now_ms());
            }
            let rows = snapshot.rows.iter().zip(&snapshot.asked);
            rows.filter_map(|(row, asked)| Some((row.id, asked.due(exactly)?)))
                .collect()
        };
        if due.is_empty() {
            return;
        }
        match self.store.note_asked(&due) {
            Ok(false) => {} // others write: the next call does it
            noted => {
                if let Err(error) = noted {
                    log::debug!("what is asked for could not be noted, and is in an hour: {error}");
                }
                let snapshot = self.snapshot();
                for (row, asked) in snapshot.rows.iter().zip(&snapshot.asked) {
                    if let Some((_, ms)) = due.iter().find(|(id, _)| *id == row.id) {
                        asked.noted(*ms);
                    }
                }
            }
        }
    }

    /// Brings the folder within its limit, if it was not looked at within `every`, and as far as that can be done until then.
    pub fn keep_within_limit(&self, every: Duration, until: Option<Instant>) {
        if !self.limit.is_due(every) {
            return;
        }
        if self.limit.is_over() {
            self.note_asked(true);
        }
        self.limit.keep(until, &|library| lock(&self.wanted).contains(&library));
    }

    /// Whether a library went for the limit of this handle.
    pub fn is_evicted(&self, row: &LibraryRow) -> bool {
        self.limit.bytes().is_some() && row.generation < Generation::default()
    }

    /// Libraries that were fetched for a call were read by it: other processes may evict them from now on.
    pub fn have_read(&self, libraries: &[LibraryId]) {
        if let Err(error) = self.store.have_read(libraries) {
            log::debug!("that libraries were read could not be noted, and is soon taken for granted: {error}");
        }
    }

    /// What the limit needs when a question was answered: little at a time.
    pub fn answered(&self, wanted: Wanted<'_>, until: Option<Instant>) {
        self.note_asked(false);
        self.have_read(&wanted.libraries);
        let soon = Instant::now() + HELD_UP;
        self.keep_within_limit(LOOKED_AT, Some(until.map_or(soon, |until| until.min(soon))));
        drop(wanted);
    }
}
