//! Debounces the events of a server: hundreds of events become a few writes. Pure: the time is passed in, and nothing
//! is written here.
//!
//! Events of a library are held back until no more arrive. During a scan, which lasts minutes, they are written from
//! time to time, once when it ends, and once more when its items have settled: an earlier listing may have only half
//! of them.

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
    /// A library is not noted to have changed more often than this: each time may cost a listing.
    pub apart_ms: i64,
    /// For how long items go on changing after a scan, since the last one did.
    pub settle_ms: i64,
    /// A scan without events for this long counts as ended: its last event was lost.
    pub scan_silence_ms: i64,
}

impl Default for DebounceIntervals {
    fn default() -> Self {
        Self {
            quiet_ms: 1_000,
            // As long as a listing lives that was made meanwhile: what is noted costs none more.
            patience_ms: PROVISIONAL_MS,
            apart_ms: 10_000,
            settle_ms: SETTLING_MS,
            scan_silence_ms: 600_000,
        }
    }
}

/// Deleted items that are invalidated one by one; when there are more at once the library is probed instead.
const DELETED_MOST: usize = 256;
/// Libraries that are kept apart, and items whose repetitions are known: more than there are.
const SECTIONS_MOST: usize = 1_000;
const SEEN_MOST: usize = 4_096;
/// Settling is waited for so many times its length, whatever goes on.
const SETTLE_LIMIT: i64 = 10;

/// Events of one library that are not written yet.
#[derive(Debug, Default)]
struct LibraryEvents {
    hint: Hint,
    deleted: BTreeSet<String>,
    /// When the first of it came, and the last.
    first: i64,
    last: i64,
    /// When a hint was noted last.
    noted_ms: Option<i64>,
    /// A scan runs, and was last heard of then.
    scanning: Option<i64>,
    /// Items changed since the scan began.
    scan_changed: bool,
    /// A scan ended then.
    ended: Option<i64>,
    /// What is noted once more, and when.
    again: Option<i64>,
}

/// Collected events by library; the empty name means all libraries.
#[derive(Debug, Default)]
pub struct Debouncer {
    intervals: DebounceIntervals,
    sections: BTreeMap<String, LibraryEvents>,
    /// Stamps of events that servers repeat, by item.
    seen: HashMap<String, i64>,
    /// Items that this index edits, and until when the server may say that they changed.
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
        self.ended.is_some_and(|ended| now - ended < intervals.settle_ms) || self.again.is_some()
    }

    /// Items are at work: what a scan left behind has not settled yet.
    fn extend_settling(&mut self, intervals: &DebounceIntervals, now: i64) {
        if self.is_scanning(intervals, now) {
            self.scan_changed = true;
        } else if let Some(ended) = self.ended.filter(|_| self.is_settling(intervals, now)) {
            self.again = Some((now + intervals.settle_ms).min(ended + SETTLE_LIMIT * intervals.settle_ms));
        }
    }

    /// When what waits is noted.
    fn due(&self, intervals: &DebounceIntervals, now: i64) -> Option<i64> {
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

    /// Whether it matters what was told of it.
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

    /// Takes one event.
    pub fn take(&mut self, event: Event, now: i64) {
        let intervals = self.intervals;
        match event {
            Event::Connected => {
                // What happened before was not told: ends of scans above all.
                for of in self.sections.values_mut().filter(|of| of.scanning.is_some()) {
                    of.scanning = None;
                    of.ended = Some(now);
                    of.again = std::mem::take(&mut of.scan_changed).then_some(now + intervals.settle_ms);
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
                // Without a library: one probe of all of them, but no listing of each.
                let hint = if section.is_some() { Hint::Changed } else { Hint::Probe };
                let of = self.section(section);
                of.add_hint(hint, now);
                of.extend_settling(&intervals, now);
            }
            Event::Deleted { section, rating_key } => {
                let known = section.is_some();
                let of = self.section(section);
                of.add_hint(Hint::None, now);
                if of.deleted.len() < DELETED_MOST {
                    of.deleted.insert(rating_key);
                } else if !of.deleted.contains(&rating_key) {
                    of.deleted.clear();
                    of.add_hint(if known { Hint::Changed } else { Hint::Probe }, now);
                }
            }
            Event::Working { section: Some(section) } => {
                if let Some(of) = self.sections.get_mut(&section) {
                    if of.is_pending() {
                        of.last = now;
                    }
                    of.extend_settling(&intervals, now);
                }
            }
            Event::Scanning { section: Some(section) } => {
                let of = self.section(Some(section));
                if !of.is_scanning(&intervals, now) {
                    of.scan_changed = of.is_pending();
                }
                of.scanning = Some(now);
            }
            Event::Scanned { section } => {
                let of = self.section(section);
                of.add_hint(Hint::Probe, now);
                of.ended = Some(now);
                if std::mem::take(&mut of.scan_changed) || of.hint == Hint::Changed {
                    of.again = Some(now + intervals.settle_ms);
                }
                of.scanning = None;
            }
            Event::Unspecific { section } => {
                let settling = |of: &LibraryEvents| of.is_scanning(&intervals, now) || of.is_settling(&intervals, now);
                // It comes at the beginning of a scan and at its end, which have events of their own.
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
            .filter(|name| self.sections.len() < SECTIONS_MOST || self.sections.contains_key(name))
            .unwrap_or_default();
        self.sections.entry(name).or_default()
    }

    /// Whether that is no news; remembered from now on.
    fn is_repeated(&mut self, section: Option<&str>, rating_key: &str, stamp: Option<i64>, now: i64) -> bool {
        let Some(stamp) = stamp else { return false };
        if self.seen.len() >= SEEN_MOST {
            self.seen.clear();
        }
        let name = format!("{}/{rating_key}", section.unwrap_or_default());
        if self.edited.get(&name).is_some_and(|until| now < *until) {
            return true;
        }
        self.seen.insert(name, stamp) == Some(stamp)
    }

    /// Items are edited here: the server's events about them are no news, since the items are fetched again anyway.
    pub fn expect_edited(&mut self, section: &str, rating_keys: &[&str], now: i64) {
        self.edited.retain(|_, until| *until > now);
        for rating_key in rating_keys {
            self.edited
                .insert(format!("{section}/{rating_key}"), now + self.intervals.settle_ms);
        }
    }

    /// Removes and returns the hints that are due.
    pub fn due(&mut self, now: i64) -> Vec<LibraryHint> {
        self.take_hints(now, false)
    }

    /// All that is to be noted some time: the watch ends before it is due.
    pub fn take_all(&mut self, now: i64) -> Vec<LibraryHint> {
        self.take_hints(now, true)
    }

    fn take_hints(&mut self, now: i64, all: bool) -> Vec<LibraryHint> {
        let intervals = self.intervals;
        let mut hints = Vec::new();
        for (name, of) in &mut self.sections {
            let mut hint = Hint::None;
            let mut deleted = BTreeSet::new();
            if of.due(&intervals, now).is_some_and(|at| all || at <= now) {
                hint = std::mem::take(&mut of.hint);
                deleted = std::mem::take(&mut of.deleted);
            }
            if of.again.is_some_and(|at| all || at <= now) {
                of.again = None;
                of.ended = None;
                hint = hint.max(if name.is_empty() { Hint::Probe } else { Hint::Changed });
            }
            if hint != Hint::None {
                of.noted_ms = Some(now);
            }
            if hint != Hint::None || !deleted.is_empty() {
                hints.push(LibraryHint {
                    section: (!name.is_empty()).then(|| name.clone()),
                    hint,
                    deleted: deleted.into_iter().collect(),
                });
            }
        }
        self.sections.retain(|_, of| of.is_relevant(&intervals, now));
        hints
    }

    /// Takes back what could not be noted: it is due again in a while.
    pub fn put_back(&mut self, hints: Vec<LibraryHint>, now: i64) {
        for mark in hints {
            let of = self.section(mark.section);
            of.add_hint(mark.hint, now);
            of.deleted.extend(mark.deleted);
        }
    }

    /// When something is due next.
    pub fn wake(&self, now: i64) -> Option<i64> {
        self.sections
            .values()
            .flat_map(|of| [of.due(&self.intervals, now), of.again])
            .flatten()
            .min()
    }

    /// What these events say, noted at once: for those that a host received itself.
    pub fn hints_of(events: Vec<Event>) -> Vec<LibraryHint> {
        let mut debouncer = Self::default();
        for event in events {
            debouncer.take(event, 0);
        }
        debouncer.take_all(0)
    }
}

#[cfg(test)]
#[path = "debounce_tests.rs"]
mod tests;
