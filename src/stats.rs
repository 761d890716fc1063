//! Counters and durations for the host.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde::{Serialize, Serializer};

use crate::meter::{Meter, RequestKind};
use crate::model::MatchKind;

/// Counters of a handle. Any thread updates them, without locks.
#[derive(Debug, Default)]
pub struct Counters {
    answers: [AtomicU64; MatchKind::COUNT],
    /// Answers of calls served from memory: each counts as an answer and as a call.
    at_once: [AtomicU64; MatchKind::COUNT],
    lookup_misses: AtomicU64,
    stale_answers: AtomicU64,
    requests: [AtomicU64; RequestKind::COUNT],
    bytes_received: AtomicU64,
    listings: AtomicU64,
    events: AtomicU64,
    hints: AtomicU64,
    failures: AtomicU64,
    /// Microseconds by activity.
    spent_us: [AtomicU64; Spent::Away as usize + 1],
    calls: AtomicU64,
    calls_us: AtomicU64,
    slow_calls: AtomicU64,
    /// Entries of other hosts that were taken.
    taken: AtomicU64,
    /// Number of running calls.
    running: AtomicU64,
}

/// An activity that takes time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spent {
    /// Waiting for the server.
    Network,
    /// Reading its replies: decompressing and parsing.
    Parse,
    /// Waiting for another fetch to end, and before a request is tried again.
    Wait,
    /// Reading and writing the store.
    Store,
    /// Building and opening segments.
    ListingSegment,
    /// Matching, and giving the answers.
    Match,
    /// Exchanging entries with other hosts.
    Exchange,
    /// Time of a call's own thread that is not matching. It is subtracted from the call's time.
    Away,
}

fn add(counter: &AtomicU64, by: u64) {
    counter.fetch_add(by, Ordering::Relaxed);
}

/// Converts to whole microseconds.
#[must_use]
pub fn micros(took: Duration) -> u64 {
    u64::try_from(took.as_micros()).unwrap_or(u64::MAX)
}

impl Counters {
    /// Counts an answer.
    pub fn count_answer(&self, match_kind: MatchKind, stale: bool) {
        add(&self.answers[match_kind as usize], 1);
        if stale {
            add(&self.stale_answers, 1);
        }
    }

    /// Counts a call that was answered from memory, in negligible time.
    pub fn count_answer_at_once(&self, match_kind: MatchKind, stale: bool) {
        add(&self.at_once[match_kind as usize], 1);
        if stale {
            add(&self.stale_answers, 1);
        }
    }

    /// Counts answers of fast lookups by how they were found.
    pub fn count_lookups(&self, match_kind: MatchKind, answers: u64) {
        add(&self.answers[match_kind as usize], answers);
    }

    /// Counts fast lookups that found nothing.
    pub fn count_lookup_misses(&self, misses: u64) {
        add(&self.lookup_misses, misses);
    }

    /// Counts a failure to reach the server or to store its reply.
    pub fn count_failure(&self) {
        add(&self.failures, 1);
    }

    /// Counts a full listing.
    pub fn count_listing(&self) {
        add(&self.listings, 1);
    }

    /// Counts events from the server or the host.
    pub fn count_events(&self, events: u64) {
        add(&self.events, events);
    }

    /// Counts a write of hints to the store.
    pub fn count_hint_write(&self) {
        add(&self.hints, 1);
    }

    /// Adds time to an activity.
    pub fn add_time(&self, on: Spent, took: Duration) {
        add(&self.spent_us[on as usize], micros(took));
    }

    fn spent_on(&self, on: Spent) -> Duration {
        Duration::from_micros(self.spent_us[on as usize].load(Ordering::Relaxed))
    }

    /// Starts a call; returns the state needed at its end.
    pub fn call_begins(&self) -> CallBegun {
        CallBegun {
            alone: self.running.fetch_add(1, Ordering::Relaxed) == 0,
            at: Instant::now(),
            calls: self.calls.load(Ordering::Relaxed),
            away: self.spent_on(Spent::Away),
        }
    }

    /// Ends a call; returns its duration, and whether no other call of the handle ran meanwhile.
    pub fn call_ends(&self, begun: &CallBegun) -> (Duration, bool) {
        let took = begun.at.elapsed();
        let running = self.running.fetch_sub(1, Ordering::Relaxed);
        let calls = self.calls.fetch_add(1, Ordering::Relaxed);
        add(&self.calls_us, micros(took));
        // Time of the call's own thread without waiting. It may be too small: requests of other threads may be
        // subtracted too.
        let away = self.spent_on(Spent::Away).saturating_sub(begun.away);
        self.add_time(Spent::Match, took.saturating_sub(away));
        (took, begun.alone && running == 1 && calls == begun.calls)
    }

    /// Counts a call that had its answer in memory, but whose host refused it.
    pub fn count_call_at_once(&self) {
        add(&self.calls, 1);
    }

    /// Counts entries of other hosts that were taken.
    pub fn count_taken(&self, entries: u64) {
        add(&self.taken, entries);
    }

    /// Entries of other hosts that were taken, and the time of the exchange with them.
    pub fn exchanged(&self) -> (u64, Duration) {
        (self.taken.load(Ordering::Relaxed), self.spent_on(Spent::Exchange))
    }

    /// Counts a slow call.
    pub fn count_slow_call(&self) {
        add(&self.slow_calls, 1);
    }

    /// Returns the totals that the store keeps over its life.
    pub fn totals(&self) -> (u64, u64) {
        let sum = |counters: &[AtomicU64]| counters.iter().map(|one| one.load(Ordering::Relaxed)).sum();
        (sum(&self.requests), sum(&self.answers) + sum(&self.at_once))
    }

    /// Resets the number of running calls in the child of a fork, because the calls of other threads continue in the
    /// parent only. Returns [`Counters::totals`].
    pub fn begin_child(&self) -> (u64, u64) {
        self.running.store(0, Ordering::Relaxed);
        self.totals()
    }

    /// Returns a copy of the counters; fields that only the store knows stay 0. An answer from memory counts as an
    /// answer and as a call.
    #[must_use]
    pub fn read(&self) -> Stats {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Stats {
            answers: std::array::from_fn(|match_kind| get(&self.answers[match_kind]) + get(&self.at_once[match_kind])),
            lookup_misses: get(&self.lookup_misses),
            stale_answers: get(&self.stale_answers),
            requests: std::array::from_fn(|kind| get(&self.requests[kind])),
            bytes_received: get(&self.bytes_received),
            listings: get(&self.listings),
            network: self.spent_on(Spent::Network),
            parsing: self.spent_on(Spent::Parse),
            waiting: self.spent_on(Spent::Wait),
            storing: self.spent_on(Spent::Store),
            indexing: self.spent_on(Spent::ListingSegment),
            matching: self.spent_on(Spent::Match),
            events: get(&self.events),
            hints: get(&self.hints),
            failures: get(&self.failures),
            calls: get(&self.calls) + self.at_once.iter().map(get).sum::<u64>(),
            calling: Duration::from_micros(get(&self.calls_us)),
            slow_calls: get(&self.slow_calls),
            ..Stats::default()
        }
    }
}

impl Meter for Counters {
    fn request(&self, kind: RequestKind, bytes: u64, took: Duration) {
        add(&self.requests[kind as usize], 1);
        add(&self.bytes_received, bytes);
        self.add_time(Spent::Network, took);
    }

    fn received(&self, bytes: u64) {
        add(&self.bytes_received, bytes);
    }

    fn parsed(&self, took: Duration) {
        self.add_time(Spent::Parse, took);
    }

    fn paused(&self, took: Duration) {
        self.add_time(Spent::Wait, took);
    }
}

/// The start of a call, and the counters at that time.
#[derive(Debug)]
pub struct CallBegun {
    at: Instant,
    alone: bool,
    calls: u64,
    away: Duration,
}

/// Counts and times since the index was opened, and counts of the stored content.
///
/// Its JSON has the fields by their names, but `network_us`, `parse_us`, `wait_us`, `store_us`, `segment_us`, `match_us` and
/// `calls_us` for the times, in microseconds, and 0 for no `size_limit`. `answers` is an object by match kind
/// ([`MatchKind::name`]; `none` counts those without an item), `requests` one by [`RequestKind::name`].
#[derive(Clone, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Stats {
    /// Answers by match kind; the first counts those without an item.
    #[doc(hidden)]
    #[serde(serialize_with = "by_match_kind")]
    pub answers: [u64; MatchKind::COUNT],
    /// Requests sent, retries included, in the order of [`RequestKind::ALL`].
    #[doc(hidden)]
    #[serde(serialize_with = "by_kind")]
    pub requests: [u64; RequestKind::COUNT],
    /// Fast lookups that found nothing.
    pub lookup_misses: u64,
    /// Answers given although their listing had expired.
    pub stale_answers: u64,
    /// Bytes of the server's replies as transferred.
    pub bytes_received: u64,
    /// Full listings completed.
    pub listings: u64,
    /// Time waited for the server.
    #[serde(rename = "network_us", serialize_with = "as_micros")]
    pub network: Duration,
    /// Time for reading its replies: decompressing and parsing.
    #[serde(rename = "parse_us", serialize_with = "as_micros")]
    pub parsing: Duration,
    /// Time waited for other fetches to end, and before retries.
    #[serde(rename = "wait_us", serialize_with = "as_micros")]
    pub waiting: Duration,
    /// Time for reading and writing the store.
    #[serde(rename = "store_us", serialize_with = "as_micros")]
    pub storing: Duration,
    /// Time for building and opening segments.
    #[serde(rename = "segment_us", serialize_with = "as_micros")]
    pub indexing: Duration,
    /// Time for matching, without fast lookups.
    #[serde(rename = "match_us", serialize_with = "as_micros")]
    pub matching: Duration,
    /// Queries, refreshes and recorded matches, without fast lookups.
    pub calls: u64,
    /// Total time of these calls.
    #[serde(rename = "calls_us", serialize_with = "as_micros")]
    pub calling: Duration,
    /// Number of slow calls: see [`Options::slow`](crate::Options::slow).
    pub slow_calls: u64,
    /// Requests over the store's life, as last written.
    pub store_requests: u64,
    /// Answers over the store's life, as last written.
    pub store_answers: u64,
    /// Items listed now.
    pub items: u64,
    /// Matches recorded now.
    pub matches: u64,
    /// Libraries known now.
    pub libraries: u64,
    /// Bytes on disk, including segments.
    pub disk_bytes: u64,
    /// Limit for the size of the folder in bytes, if there is one.
    #[serde(serialize_with = "or_zero")]
    pub size_limit: Option<u64>,
    /// Bytes by which content that cannot be evicted exceeds the limit.
    pub over_limit: u64,
    /// Number of libraries evicted for that limit, over the store's life.
    pub evictions: u64,
    /// A number that every write to the store raises.
    pub sequence: u64,
    /// Events about libraries, from the server or passed on by the host.
    pub events: u64,
    /// Writes of hints from events.
    pub hints: u64,
    /// Number of failures to reach the server or to store its reply; old answers were used.
    pub failures: u64,
    /// The reason of the last failure, until new answers are available.
    pub last_failure: Option<String>,
}

impl Stats {
    /// Answers with this match kind; `None`: those without an item.
    #[must_use]
    pub fn answers(&self, match_kind: Option<MatchKind>) -> u64 {
        self.answers[match_kind.unwrap_or(MatchKind::None) as usize]
    }

    /// Requests of a kind that were sent, retries included.
    #[must_use]
    pub fn requests(&self, kind: RequestKind) -> u64 {
        self.requests[kind as usize]
    }

    /// All requests that were sent, retries included.
    #[must_use]
    pub fn all_requests(&self) -> u64 {
        self.requests.iter().sum()
    }
}

/// The counts by name.
impl std::fmt::Debug for Stats {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&serde_json::to_string(self).unwrap_or_default())
    }
}

fn as_micros<S: Serializer>(time: &Duration, out: S) -> Result<S::Ok, S::Error> {
    out.serialize_u64(micros(*time))
}

#[allow(clippy::trivially_copy_pass_by_ref, clippy::ref_option)] // serde's shape
fn or_zero<S: Serializer>(number: &Option<u64>, out: S) -> Result<S::Ok, S::Error> {
    out.serialize_u64(number.unwrap_or(0))
}

fn by_match_kind<S: Serializer>(counts: &[u64], out: S) -> Result<S::Ok, S::Error> {
    let kinds = [&[MatchKind::None], MatchKind::ALL].concat();
    out.collect_map(kinds.into_iter().zip(counts))
}

fn by_kind<S: Serializer>(counts: &[u64], out: S) -> Result<S::Ok, S::Error> {
    out.collect_map(RequestKind::ALL.iter().zip(counts))
}
