//! Extracts the JSON from a notification or webhook, and debounces a server's events, so that hundreds of events cause
//! only a few writes. This module is pure: the caller passes the time and writes the change hints.
//!
//! The debouncer keeps a library's events until the server sends no further events for the library. A scan lasts
//! minutes, and a listing fetched during a scan may lack items. So the debouncer returns change hints at intervals
//! during a scan, and at its end; that items can still change afterwards is a doubt of `knowledge`. All times are
//! milliseconds on the same clock, and `now` is always the current time.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::engine::LibraryHint;
use crate::knowledge::PROVISIONAL_MS;
use crate::model::Hint;
use crate::source::Event;

/// The time limits of the debouncer, in milliseconds.
#[derive(Clone, Copy, Debug)]
pub struct DebounceIntervals {
    /// Time without further events after which the watch writes the events.
    pub quiet_ms: i64,
    /// Maximum delay of an event. During a scan, every event is delayed by this time.
    pub max_delay_ms: i64,
    /// Minimum interval between two hints for a library, because each hint may cause a full listing.
    pub min_interval_ms: i64,
    /// Time without scan events after which plexindex considers a scan finished, because its last event was probably
    /// lost.
    pub scan_timeout_ms: i64,
}

impl Default for DebounceIntervals {
    /// Returns the intervals for use with real servers.
    fn default() -> Self {
        Self {
            quiet_ms: 1_000,
            // Equals the lifetime of a listing that was fetched during a scan, so the hint causes no extra listing.
            max_delay_ms: PROVISIONAL_MS,
            min_interval_ms: 10_000,
            scan_timeout_ms: 600_000,
        }
    }
}

/// Minimum interval between two announcements of changes, which end the pauses of unlisted paths. Unlike a hint, an
/// announcement causes no request by itself.
const NEWS_INTERVAL_MS: i64 = 500;
/// Maximum number of deleted items to invalidate individually. Above this number, one hint covers the whole library.
pub const MAX_DELETED: usize = 256;
/// Maximum number of libraries, which limits the memory if a server sends invalid ids. The debouncer treats events for
/// further libraries as events for all libraries.
const MAX_SECTIONS: usize = 1_000;
/// Maximum number of items whose stamps are stored.
const MAX_SEEN: usize = 4_096;

/// One library's unwritten events, and the state of its scan.
#[derive(Debug, Default)]
struct LibraryEvents {
    /// The strongest hint of the unwritten events.
    hint: Hint,
    /// Rating keys of deleted items.
    deleted: BTreeSet<String>,
    /// Time of the first unwritten event.
    first_event_ms: i64,
    /// Time of the last unwritten event.
    last_event_ms: i64,
    /// Time of the last hint.
    last_hint_ms: Option<i64>,
    /// Time of the latest event from a scan that has not reported its end.
    last_scan_event_ms: Option<i64>,
}

/// Collects events, and returns each change hint at its scheduled time.
#[derive(Debug, Default)]
pub struct Debouncer {
    intervals: DebounceIntervals,
    /// Events by section id; the empty id means all libraries.
    sections: BTreeMap<String, LibraryEvents>,
    /// Latest stamp of each item, to detect repeated events.
    last_stamps: HashMap<String, i64>,
    /// Section ids of libraries with changes that [`Debouncer::take_news`] has not returned; the empty id means all.
    news: BTreeSet<String>,
    /// Time when [`Debouncer::take_news`] last returned a library.
    last_news_ms: Option<i64>,
}

impl LibraryEvents {
    /// Adds the hint and the time of an event that arrived at `now`. Keeps only the strongest of several hints.
    fn add_hint(&mut self, hint: Hint, now: i64) {
        if !self.is_pending() {
            self.first_event_ms = now;
        }
        self.last_event_ms = now;
        self.hint = self.hint.max(hint);
    }

    /// Returns whether this library has unwritten events.
    fn is_pending(&self) -> bool {
        self.hint != Hint::None || !self.deleted.is_empty()
    }

    /// Returns whether a scan of this library is running.
    fn is_scanning(&self, intervals: &DebounceIntervals, now: i64) -> bool {
        self.last_scan_event_ms
            .is_some_and(|last_event| now - last_event < intervals.scan_timeout_ms)
    }

    /// Returns the time when the unwritten events should be written; `None` if there are none.
    fn due_at(&self, intervals: &DebounceIntervals, now: i64) -> Option<i64> {
        if !self.is_pending() {
            return None;
        }
        let latest_ms = self.first_event_ms + intervals.max_delay_ms;
        let wanted_ms = if self.is_scanning(intervals, now) {
            latest_ms
        } else {
            latest_ms.min(self.last_event_ms + intervals.quiet_ms)
        };
        // Deletions wait for no hint.
        Some(if self.deleted.is_empty() {
            wanted_ms.max(self.next_hint_ms(intervals))
        } else {
            wanted_ms
        })
    }

    /// Returns the earliest time of the next hint. A hint may cause a full listing, so hints keep a minimum interval.
    fn next_hint_ms(&self, intervals: &DebounceIntervals) -> i64 {
        let last_ms = self.last_hint_ms;
        last_ms.map_or(i64::MIN, |last_ms| last_ms.saturating_add(intervals.min_interval_ms))
    }

    /// Returns whether this state is still needed: it contains unwritten events, or affects later events. The debouncer
    /// drops unneeded states.
    fn is_needed(&self, intervals: &DebounceIntervals, now: i64) -> bool {
        self.is_pending()
            || self.is_scanning(intervals, now)
            || self
                .last_hint_ms
                .is_some_and(|hinted_ms| now - hinted_ms < intervals.min_interval_ms)
    }
}

impl Debouncer {
    /// Creates a debouncer without events.
    pub fn new(intervals: DebounceIntervals) -> Self {
        Self {
            intervals,
            ..Self::default()
        }
    }

    /// Adds an event that arrived at `now` to the events of its library.
    pub fn add(&mut self, event: Event, now: i64) {
        let intervals = self.intervals;
        match event {
            Event::Connected => {
                // Events, such as the end of a scan, may have been lost before this connection.
                for library in self.sections.values_mut() {
                    library.last_scan_event_ms = None;
                }
                self.last_stamps.clear();
                let quiet_ms = intervals.quiet_ms;
                // The hint is backdated, so that the probe is due at once.
                self.library_events(None).add_hint(Hint::Probe, now - quiet_ms);
            }
            Event::Changed {
                section,
                rating_key,
                stamp,
            } => {
                if self.should_ignore(section.as_deref(), &rating_key, stamp) {
                    return;
                }
                self.add_news(section.as_deref());
                // An event that does not name its library causes one probe instead of a listing of every library.
                let hint = if section.is_some() { Hint::Changed } else { Hint::Probe };
                self.library_events(section).add_hint(hint, now);
            }
            Event::Deleted { section, rating_key } => {
                let library = self.library_events(section);
                // Only records the time, which delays the write: the deleted keys need no hint.
                library.add_hint(Hint::None, now);
                // Above the limit, one hint for the library replaces the individual items.
                if library.deleted.len() < MAX_DELETED {
                    library.deleted.insert(rating_key);
                } else if !library.deleted.contains(&rating_key) {
                    library.deleted.clear();
                    library.add_hint(Hint::Deleted, now);
                }
            }
            Event::Working { section: Some(section) } => {
                // The server is still processing items, so the unwritten events wait longer.
                if let Some(library) = self.sections.get_mut(&section).filter(|library| library.is_pending()) {
                    library.last_event_ms = now;
                }
            }
            Event::Scanning { section: Some(section) } => {
                self.library_events(Some(section)).last_scan_event_ms = Some(now);
            }
            Event::Scanned { section } => {
                self.add_news(section.as_deref());
                let library = self.library_events(section);
                library.add_hint(Hint::Probe, now);
                library.last_scan_event_ms = None;
            }
            Event::Unspecific { section } => {
                let is_scanning = |library: &LibraryEvents| library.is_scanning(&intervals, now);
                // Servers send this event at the start and end of a scan, together with more specific events.
                if section.is_some() || !self.sections.values().any(is_scanning) {
                    self.library_events(section).add_hint(Hint::Probe, now);
                }
            }
            Event::Working { section: None } | Event::Scanning { section: None } => {}
        }
    }

    /// Returns the state of the library with this section id. Returns the state for all libraries if `section` is
    /// `None`, or if there are already [`MAX_SECTIONS`] other libraries.
    fn library_events(&mut self, section: Option<String>) -> &mut LibraryEvents {
        let key = section
            .filter(|section| self.sections.len() < MAX_SECTIONS || self.sections.contains_key(section))
            .unwrap_or_default();
        self.sections.entry(key).or_default()
    }

    /// Returns whether to ignore a change event, because the item's last event had the same stamp. Records the stamp.
    /// Never ignores an event without a stamp.
    fn should_ignore(&mut self, section: Option<&str>, rating_key: &str, stamp: Option<i64>) -> bool {
        let Some(stamp) = stamp else { return false };
        if self.last_stamps.len() >= MAX_SEEN {
            self.last_stamps.clear();
        }
        let key = format!("{}/{rating_key}", section.unwrap_or_default());
        self.last_stamps.insert(key, stamp) == Some(stamp)
    }

    /// Records that the server has announced a change in a library.
    fn add_news(&mut self, section: Option<&str>) {
        if self.news.len() < MAX_SECTIONS {
            self.news.insert(section.unwrap_or_default().to_owned());
        }
    }

    /// Removes and returns the libraries in which the server has announced changes (`None`: all libraries), at most
    /// twice a second. This function returns them earlier than their hints.
    pub fn take_news(&mut self, now: i64) -> Vec<Option<String>> {
        if self.news_due().is_none_or(|due_ms| due_ms > now) {
            return Vec::new();
        }
        self.last_news_ms = Some(now);
        let sections = std::mem::take(&mut self.news).into_iter();
        sections
            .map(|section| Some(section).filter(|section| !section.is_empty()))
            .collect()
    }

    /// Returns the time when [`Debouncer::take_news`] should be called; `None` if there are no news.
    fn news_due(&self) -> Option<i64> {
        let due_ms = self.last_news_ms.map_or(i64::MIN, |last_ms| last_ms + NEWS_INTERVAL_MS);
        (!self.news.is_empty()).then_some(due_ms)
    }

    /// Removes and returns the change hints whose scheduled time has come, and drops unneeded state. With `i64::MAX`, removes
    /// all; the debouncer then takes no further events.
    pub fn take_due(&mut self, now: i64) -> Vec<LibraryHint> {
        let intervals = self.intervals;
        let mut hints = Vec::new();
        for (section, library) in &mut self.sections {
            if library.due_at(&intervals, now).is_none_or(|due_ms| due_ms > now) {
                continue;
            }
            let may_hint = library.next_hint_ms(&intervals) <= now;
            let hint = if may_hint {
                std::mem::take(&mut library.hint)
            } else {
                Hint::None
            };
            if hint != Hint::None {
                library.last_hint_ms = Some(now);
            }
            hints.push(LibraryHint {
                section: (!section.is_empty()).then(|| section.clone()),
                hint,
                deleted: std::mem::take(&mut library.deleted).into_iter().collect(),
            });
        }
        self.sections.retain(|_, library| library.is_needed(&intervals, now));
        hints
    }

    /// Adds change hints back to the unwritten events after a failed write.
    pub fn restore_hints(&mut self, hints: Vec<LibraryHint>, now: i64) {
        for hint in hints {
            let library = self.library_events(hint.section);
            library.add_hint(hint.hint, now);
            library.deleted.extend(hint.deleted);
        }
    }

    /// Returns the time when the next change hint should be written; `None` if no hint is scheduled.
    pub fn next_due(&self, now: i64) -> Option<i64> {
        let due = self
            .sections
            .values()
            .filter_map(|library| library.due_at(&self.intervals, now));
        due.chain(self.news_due()).min()
    }

    /// Converts events that a host received to change hints, without delay, so any time will do (here 0).
    pub fn hints_from_events(events: Vec<Event>) -> Vec<LibraryHint> {
        let mut debouncer = Self::default();
        for event in events {
            debouncer.add(event, 0);
        }
        debouncer.take_due(i64::MAX)
    }
}

/// Returns the JSON in a body: the whole body, or the field `payload` of a multipart form, which is how Plex sends
/// webhooks. Returns `None` for other bodies.
pub fn extract_json(body: &[u8]) -> Option<&[u8]> {
    let body = body.trim_ascii_start();
    if !body.starts_with(b"--") {
        return body.starts_with(b"{").then_some(body);
    }
    // A multipart form starts with its boundary line, `--` and a name, and a blank line ends the headers of each field.
    let boundary = body.split(|byte| *byte == b'\n').next()?.trim_ascii_end();
    let field = &body[find(body, b"name=\"payload\"")?..];
    let blank = find(field, b"\r\n\r\n").or_else(|| find(field, b"\n\n"))?;
    let content = &field[blank..];
    Some(content[..find(content, boundary)?].trim_ascii())
}

/// Returns the offset of the first occurrence of `needle`; `None` if `bytes` does not contain it.
fn find(bytes: &[u8], needle: &[u8]) -> Option<usize> {
    bytes.windows(needle.len()).position(|window| window == needle)
}

#[cfg(test)]
#[path = "debounce_tests.rs"]
mod debounce_tests;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_hold_their_payload_between_two_boundaries() {
        let form = b"--xYz\r\nContent-Disposition: form-data; name=\"thumb\"; filename=\"a.jpg\"\r\n\
                 Content-Type: image/jpeg\r\n\r\n\xff\xd8--\xff\r\n--xYz\r\n\
                 Content-Disposition: form-data; name=\"payload\"\r\nContent-Type: application/json\r\n\r\n\
                 {\"event\":\"library.new\"}\r\n--xYz--\r\n";
        assert_eq!(extract_json(form), Some(&b"{\"event\":\"library.new\"}"[..]));
        assert_eq!(extract_json(b" {\"a\":1}"), Some(&b"{\"a\":1}"[..]));
        for none in [
            &b"payload=%7B"[..],
            b"",
            b"--",
            b"--\n--",
            b"--x",
            b"--x\r\n\r\n{}\r\n--x--",
        ] {
            assert_eq!(extract_json(none), None, "{}", String::from_utf8_lossy(none));
        }
    }
}
