//! Debounces the events of a server: hundreds of events become a few writes. Pure: the time is passed in, and writing
//! is up to the caller.
//!
//! Events of a library are held back until no more arrive. During a scan, which lasts minutes, they are written from
//! time to time, once when it ends, and once more when its items have settled: an earlier listing may have only half of
//! them.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::engine::LibraryHint;
use crate::freshness::{PROVISIONAL_MS, SETTLING_MS};
use crate::model::Hint;
use crate::source::Event;

/// Intervals in milliseconds.
#[derive(Clone, Copy, Debug)]
pub struct DebounceIntervals {
    /// Events are written when none arrived for this long.
    pub quiet_ms: i64,
    /// Longest delay of an event; during a scan events are written only after this.
    pub patience_ms: i64,
    /// Minimum interval between two change hints for a library: each may cause a listing.
    pub apart_ms: i64,
    /// Time without changes after which a scan's items have settled.
    pub settle_ms: i64,
    /// A scan without events for this long counts as ended: its last event was lost.
    pub scan_silence_ms: i64,
}

impl Default for DebounceIntervals {
    fn default() -> Self {
        Self {
            quiet_ms: 1_000,
            // The lifetime of a provisional listing: a hint written then causes no extra listing.
            patience_ms: PROVISIONAL_MS,
            apart_ms: 10_000,
            settle_ms: SETTLING_MS,
            scan_silence_ms: 600_000,
        }
    }
}

/// Maximum number of deleted items to invalidate one by one; if there are more, the library is probed instead.
const MAX_DELETED: usize = 256;
/// Limits for the number of libraries, and of items with known stamps: more than exist.
const MAX_SECTIONS: usize = 1_000;
const MAX_SEEN: usize = 4_096;
/// Limit for settling, as a multiple of `settle_ms`.
const SETTLE_LIMIT: i64 = 10;

/// Unwritten events of one library.
#[derive(Debug, Default)]
struct LibraryEvents {
    hint: Hint,
    deleted: BTreeSet<String>,
    /// Times of the first and the last unwritten event.
    first: i64,
    last: i64,
    /// Time of the last hint written.
    noted_ms: Option<i64>,
    /// Time of the last event of a running scan.
    scanning: Option<i64>,
    /// Items changed since the scan began.
    scan_changed: bool,
    /// Time when a scan ended.
    scan_ended: Option<i64>,
    /// Time at which to write another hint, after settling.
    recheck_at: Option<i64>,
}

/// Collected events by library; the empty name means all libraries.
#[derive(Debug, Default)]
pub struct Debouncer {
    intervals: DebounceIntervals,
    sections: BTreeMap<String, LibraryEvents>,
    /// Stamps of events that servers repeat, by item.
    seen: HashMap<String, i64>,
    /// Items that this index edits, with the time until which change events are expected.
    edited: HashMap<String, i64>,
}

impl LibraryEvents {
    fn add_hint(&mut self, hint: Hint, now: i64) {
        if !self.is_pending() {
            self.first = now;
        }
        self.last = now;
        self.hint = self.hint.max(hint);
    }

    fn is_pending(&self) -> bool {
        self.hint != Hint::None || !self.deleted.is_empty()
    }

    fn is_scanning(&self, intervals: &DebounceIntervals, now: i64) -> bool {
        self.scanning
            .is_some_and(|heard| now - heard < intervals.scan_silence_ms)
    }

    fn is_settling(&self, intervals: &DebounceIntervals, now: i64) -> bool {
        self.scan_ended
            .is_some_and(|scan_ended| now - scan_ended < intervals.settle_ms)
            || self.recheck_at.is_some()
    }

    /// Postpones the hint after settling, since items are still changing.
    fn extend_settling(&mut self, intervals: &DebounceIntervals, now: i64) {
        if self.is_scanning(intervals, now) {
            self.scan_changed = true;
        } else if let Some(scan_ended) = self.scan_ended.filter(|_| self.is_settling(intervals, now)) {
            self.recheck_at = Some((now + intervals.settle_ms).min(scan_ended + SETTLE_LIMIT * intervals.settle_ms));
        }
    }

    /// Returns when the unwritten events are due.
    fn due_at(&self, intervals: &DebounceIntervals, now: i64) -> Option<i64> {
        if !self.is_pending() {
            return None;
        }
        let latest = self.first + intervals.patience_ms;
        let at = if self.is_scanning(intervals, now) {
            latest
        } else {
            latest.min(self.last + intervals.quiet_ms)
        };
        let earliest = self
            .noted_ms
            .filter(|_| self.hint != Hint::None)
            .map(|noted_ms| noted_ms + intervals.apart_ms);
        Some(earliest.map_or(at, |earliest| at.max(earliest)))
    }

    /// Returns whether the state is still needed.
    fn is_relevant(&self, intervals: &DebounceIntervals, now: i64) -> bool {
        self.is_pending()
            || self.is_scanning(intervals, now)
            || self.is_settling(intervals, now)
            || self
                .noted_ms
                .is_some_and(|noted_ms| now - noted_ms < intervals.apart_ms)
    }
}

impl Debouncer {
    pub fn new(intervals: DebounceIntervals) -> Self {
        Self {
            intervals,
            ..Self::default()
        }
    }

    /// Adds an event.
    pub fn add(&mut self, event: Event, now: i64) {
        let intervals = self.intervals;
        match event {
            Event::Connected => {
                // Earlier events were missed, such as the ends of scans.
                for library in self.sections.values_mut().filter(|library| library.scanning.is_some()) {
                    library.scanning = None;
                    library.scan_ended = Some(now);
                    library.recheck_at = std::mem::take(&mut library.scan_changed).then_some(now + intervals.settle_ms);
                }
                self.seen.clear();
                let quiet_ms = intervals.quiet_ms;
                self.section(None).add_hint(Hint::Probe, now - quiet_ms);
            }
            Event::Changed {
                section,
                rating_key,
                stamp,
            } => {
                if self.is_repeated(section.as_deref(), &rating_key, stamp, now) {
                    return;
                }
                // Without a library: one probe, but no listing of each library.
                let hint = if section.is_some() { Hint::Changed } else { Hint::Probe };
                let library = self.section(section);
                library.add_hint(hint, now);
                library.extend_settling(&intervals, now);
            }
            Event::Deleted { section, rating_key } => {
                let known = section.is_some();
                let library = self.section(section);
                library.add_hint(Hint::None, now);
                if library.deleted.len() < MAX_DELETED {
                    library.deleted.insert(rating_key);
                } else if !library.deleted.contains(&rating_key) {
                    library.deleted.clear();
                    library.add_hint(if known { Hint::Changed } else { Hint::Probe }, now);
                }
            }
            Event::Working { section: Some(section) } => {
                if let Some(library) = self.sections.get_mut(&section) {
                    if library.is_pending() {
                        library.last = now;
                    }
                    library.extend_settling(&intervals, now);
                }
            }
            Event::Scanning { section: Some(section) } => {
                let library = self.section(Some(section));
                if !library.is_scanning(&intervals, now) {
                    library.scan_changed = library.is_pending();
                }
                library.scanning = Some(now);
            }
            Event::Scanned { section } => {
                let library = self.section(section);
                library.add_hint(Hint::Probe, now);
                library.scan_ended = Some(now);
                if std::mem::take(&mut library.scan_changed) || library.hint == Hint::Changed {
                    library.recheck_at = Some(now + intervals.settle_ms);
                }
                library.scanning = None;
            }
            Event::Unspecific { section } => {
                let settling = |library: &LibraryEvents| {
                    library.is_scanning(&intervals, now) || library.is_settling(&intervals, now)
                };
                // Sent at the beginning and end of a scan, which have events of their own.
                if section.is_none() && self.sections.values().any(settling) {
                    return;
                }
                self.section(section).add_hint(Hint::Probe, now);
            }
            Event::Working { section: None } | Event::Scanning { section: None } => {}
        }
    }

    fn section(&mut self, section: Option<String>) -> &mut LibraryEvents {
        let name = section
            .filter(|name| self.sections.len() < MAX_SECTIONS || self.sections.contains_key(name))
            .unwrap_or_default();
        self.sections.entry(name).or_default()
    }

    /// Returns whether the event is a repetition, and remembers it.
    fn is_repeated(&mut self, section: Option<&str>, rating_key: &str, stamp: Option<i64>, now: i64) -> bool {
        let Some(stamp) = stamp else { return false };
        if self.seen.len() >= MAX_SEEN {
            self.seen.clear();
        }
        let name = format!("{}/{rating_key}", section.unwrap_or_default());
        if self.edited.get(&name).is_some_and(|until| now < *until) {
            return true;
        }
        self.seen.insert(name, stamp) == Some(stamp)
    }

    /// Announces edits of items by this index: the server's events about them are ignored, since the items are fetched
    /// again anyway.
    pub fn expect_edited(&mut self, section: &str, rating_keys: &[&str], now: i64) {
        self.edited.retain(|_, until| *until > now);
        for rating_key in rating_keys {
            self.edited
                .insert(format!("{section}/{rating_key}"), now + self.intervals.settle_ms);
        }
    }

    /// Removes and returns the hints that are due.
    pub fn take_due(&mut self, now: i64) -> Vec<LibraryHint> {
        self.take_hints(now, false)
    }

    /// Removes and returns all hints, when the watch ends before they are due.
    pub fn take_all(&mut self, now: i64) -> Vec<LibraryHint> {
        self.take_hints(now, true)
    }

    fn take_hints(&mut self, now: i64, all: bool) -> Vec<LibraryHint> {
        let intervals = self.intervals;
        let mut hints = Vec::new();
        for (name, library) in &mut self.sections {
            let mut hint = Hint::None;
            let mut deleted = BTreeSet::new();
            if library.due_at(&intervals, now).is_some_and(|at| all || at <= now) {
                hint = std::mem::take(&mut library.hint);
                deleted = std::mem::take(&mut library.deleted);
            }
            if library.recheck_at.is_some_and(|at| all || at <= now) {
                library.recheck_at = None;
                library.scan_ended = None;
                hint = hint.max(if name.is_empty() { Hint::Probe } else { Hint::Changed });
            }
            if hint != Hint::None {
                library.noted_ms = Some(now);
            }
            if hint != Hint::None || !deleted.is_empty() {
                hints.push(LibraryHint {
                    section: (!name.is_empty()).then(|| name.clone()),
                    hint,
                    deleted: deleted.into_iter().collect(),
                });
            }
        }
        self.sections.retain(|_, library| library.is_relevant(&intervals, now));
        hints
    }

    /// Takes back hints that could not be written; they are due again later.
    pub fn put_back(&mut self, hints: Vec<LibraryHint>, now: i64) {
        for hint in hints {
            let library = self.section(hint.section);
            library.add_hint(hint.hint, now);
            library.deleted.extend(hint.deleted);
        }
    }

    /// Returns when the next hint is due.
    pub fn next_due(&self, now: i64) -> Option<i64> {
        self.sections
            .values()
            .flat_map(|library| [library.due_at(&self.intervals, now), library.recheck_at])
            .flatten()
            .min()
    }

    /// Converts events to hints without delay, for events that a host received.
    pub fn hints_of(events: Vec<Event>) -> Vec<LibraryHint> {
        let mut debouncer = Self::default();
        for event in events {
            debouncer.add(event, 0);
        }
        debouncer.take_all(0)
    }
}

#[cfg(test)]
#[path = "debounce_tests.rs"]
mod tests;
