//! Which libraries are asked for, and what a limit on the folder needs of that.

use std::time::{Duration, Instant};

use super::data::Snapshot;
use super::reading::Reading;
use crate::engine::sql::LibraryRow;
use crate::model::{Generation, LibraryId};
use crate::platform::mutex::lock;

/// How long an answer is held up by what the limit needs.
const HELD_UP: Duration = Duration::from_millis(100);
/// How often questions look at the folder.
const LOOKED_AT_MS: i64 = 60_000;

/// Libraries that a call asks for, until it is over: none of them is evicted by this process meanwhile.
pub struct EvictionPin<'r> {
    reading: &'r Reading,
    libraries: Vec<LibraryId>,
    /// Those of them that were not read since they were fetched.
    unread: Vec<LibraryId>,
    /// Whether other questions of the same call follow, which may ask for the same libraries.
    many: bool,
}

impl EvictionPin<'_> {
    /// A library that is about to be fetched.
    pub fn fetch(&mut self, library: LibraryId) {
        if !self.unread.contains(&library) {
            self.unread.push(library);
        }
        self.stays(library);
    }

    /// A library that was read, and may be again.
    pub fn read(&mut self, library: LibraryId) {
        if self.many {
            self.stays(library);
        }
    }

    fn stays(&mut self, library: LibraryId) {
        if !self.libraries.contains(&library) {
            self.libraries.push(library);
            lock(&self.reading.wanted).push(library);
        }
    }

    fn release(&mut self) {
        if self.libraries.is_empty() {
            return;
        }
        let mut wanted = lock(&self.reading.wanted);
        for library in self.libraries.drain(..) {
            if let Some(place) = wanted.iter().position(|one| *one == library) {
                wanted.swap_remove(place);
            }
        }
    }
}

impl Drop for EvictionPin<'_> {
    fn drop(&mut self) {
        self.release();
    }
}

impl Reading {
    /// The time, Unix ms.
    pub fn now_ms(&self) -> i64 {
        self.clock.now_ms()
    }

    /// Nothing yet. `many`: for more than one question.
    pub fn wanted(&self, many: bool) -> EvictionPin<'_> {
        EvictionPin {
            reading: self,
            libraries: Vec::new(),
            unread: Vec::new(),
            many,
        }
    }

    /// Notes in the store what was asked for: of each library once an hour, unless it has to be exact.
    pub fn note_asked(&self, exactly: bool, now_ms: i64) {
        let due: Vec<(LibraryId, i64)> = {
            let snapshot = self.snapshot();
            for asked in snapshot.asked.iter().filter(|asked| asked.was_touched()) {
                asked.at(now_ms);
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

    /// Brings the folder within its limit, if it was not looked at within `every_ms`, and as far as that can be done until then.
    pub fn keep_within_limit(&self, every_ms: i64, until: Option<Instant>, now_ms: i64) {
        if !self.limit.is_due(every_ms, now_ms) {
            return;
        }
        if self.limit.is_over() {
            self.note_asked(true, now_ms);
        }
        self.limit
            .keep(until, now_ms, &|library| lock(&self.wanted).contains(&library));
    }

    /// Whether a library went for the limit of this handle.
    pub fn is_evicted(&self, row: &LibraryRow) -> bool {
        self.limit.bytes().is_some() && row.generation < Generation::default()
    }

    /// Whether a question has to look at the limit.
    pub(super) fn limit_is_due(&self, now_ms: i64) -> bool {
        self.limit.is_due(LOOKED_AT_MS, now_ms)
    }

    /// Whether a library was ever fetched, and the store knows that it is asked for: then an answer of it leaves nothing to
    /// be noted.
    pub fn is_noted(snapshot: &Snapshot, place: usize, now_ms: i64) -> bool {
        snapshot.rows[place].generation.is_fetched() && snapshot.asked[place].is_noted(now_ms)
    }

    /// Libraries that were fetched for a call were read by it: other processes may evict them from now on.
    pub fn have_read(&self, libraries: &[LibraryId]) {
        // It is a commit as any other: lookups find the snapshot current when the call returns.
        let noted = self.store.have_read(libraries);
        if let Err(error) = noted.and_then(|is_noted| if is_noted { self.read_on() } else { Ok(()) }) {
            log::debug!("that libraries were read could not be noted, and is soon taken for granted: {error}");
        }
    }

    /// What the limit needs when a question was answered, at this time.
    pub fn answered(&self, wanted: &mut EvictionPin<'_>, until: Option<Instant>, now_ms: i64) {
        self.note_asked(false, now_ms);
        self.have_read(&wanted.unread);
        wanted.unread.clear();
        if !wanted.many {
            self.let_go(wanted, until, now_ms);
        }
    }

    /// What the limit needs when a call is over: little at a time. What stayed for it may be more than the limit allows.
    pub fn let_go(&self, wanted: &mut EvictionPin<'_>, until: Option<Instant>, now_ms: i64) {
        let every_ms = if wanted.libraries.is_empty() { LOOKED_AT_MS } else { 0 };
        wanted.release();
        if self.limit.is_due(every_ms, now_ms) {
            let soon = Instant::now() + HELD_UP;
            let until = until.map_or(soon, |until| until.min(soon));
            self.keep_within_limit(every_ms, Some(until), now_ms);
        }
    }
}
