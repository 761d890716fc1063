//! Statistics for the host: counters and durations.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde::{Serialize, Serializer};

use crate::model::MatchKind;

/// The kind of a request, for statistics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(usize)]
#[non_exhaustive]
pub enum RequestKind {
    /// The server's identity.
    Identity = 0,
    /// The list of libraries, with their change times.
    Probe = 1,
    /// A page of a full listing.
    Page = 2,
    /// A page of changes.
    Delta = 3,
    /// A search for one path or title.
    FindPath = 4,
    /// A check that items still exist, and have the same files.
    Confirm = 5,
    /// The start of a scan.
    Scan = 6,
    /// An event stream.
    Events = 7,
}

impl RequestKind {
    /// All kinds, in the order of their numbers.
    pub const ALL: &'static [Self] = Self::NAMED;

    /// Number of kinds.
    #[doc(hidden)]
    pub const COUNT: usize = Self::ALL.len();
}

enum_names! { RequestKind:
    Identity "identity", Probe "probe", Page "page", Delta "delta", FindPath "find_path", Confirm "confirm",
    Scan "scan", Events "events"
}

/// Counters of an open index. Any thread can update them without a lock.
#[derive(Debug, Default)]
pub struct Counters {
    answers: [Counter; MatchKind::COUNT],
    answers_from_memory: [Counter; MatchKind::COUNT], // each also counts as a call
    /// Fast lookups that found nothing.
    pub lookup_misses: Counter,
    stale_answers: Counter,
    requests: [Counter; RequestKind::COUNT],
    /// Bytes of replies, and of event streams, whose requests were counted at their start.
    pub bytes_received: Counter,
    /// Full listings.
    pub listings: Counter,
    /// Events from the server or the host.
    pub events: Counter,
    /// Writes that store events; one write can store several events.
    pub hints: Counter,
    /// Failures to reach the server or to store its reply.
    pub failures: Counter,
    spent_us: [Counter; Activity::COUNT], // time spent on each activity, in microseconds
    /// Calls. Of a call at once, its answer from memory counts, but not if the host rejected the answer, for example
    /// because its buffer was too small.
    pub calls: Counter,
    calls_us: Counter,
    pub slow_calls: Counter,
    pub running: AtomicU64, // number of running calls
}

/// A number that any thread can add to. `Relaxed`, since no other memory depends on its value.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds to the number. Returns the number before.
    pub fn add(&self, amount: u64) -> u64 {
        self.0.fetch_add(amount, Ordering::Relaxed)
    }

    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// An activity whose time plexindex measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activity {
    /// Waiting for the server.
    Network,
    /// Decompressing and parsing replies.
    Parse,
    /// Waiting for another fetch to finish, or before a retry.
    Wait,
    /// Reading and writing the store.
    Store,
    /// Building and opening segments.
    ListingSegment,
    /// Matching, and passing answers to the host.
    Match,
    /// Everything that a call's thread does except matching. [`Activity::Match`] is the rest of the call's time.
    NotMatching,
}

impl Activity {
    const COUNT: usize = Self::NotMatching as usize + 1;
}

/// Returns a duration in whole microseconds.
#[must_use]
pub fn micros(took: Duration) -> u64 {
    u64::try_from(took.as_micros()).unwrap_or(u64::MAX)
}

impl Counters {
    /// Counts an answer with this match kind. `stale`: whether its listing had expired. `at_once`: the answer is from
    /// memory, and counts also as a call, whose duration is negligible and so not measured.
    pub fn count_answer(&self, match_kind: MatchKind, stale: bool, at_once: bool) {
        let answers = if at_once {
            &self.answers_from_memory
        } else {
            &self.answers
        };
        answers[match_kind as usize].add(1);
        if stale {
            self.stale_answers.add(1);
        }
    }

    /// Counts `answers` fast lookups that found an item with this match kind.
    pub fn count_lookups(&self, match_kind: MatchKind, answers: u64) {
        self.answers[match_kind as usize].add(answers);
    }

    /// Adds `took` to the time spent on an activity.
    pub fn add_time(&self, activity: Activity, took: Duration) {
        self.spent_us[activity as usize].add(micros(took));
    }

    /// Adds the time since `start`, which a call's thread has spent on an activity, so that it does not count as matching.
    pub fn add_time_of_call(&self, activity: Activity, start: Instant) {
        self.add_time(activity, start.elapsed());
        self.add_time(Activity::NotMatching, start.elapsed());
    }

    /// Returns the time spent on an activity so far.
    fn time_of(&self, activity: Activity) -> Duration {
        Duration::from_micros(self.spent_us[activity as usize].get())
    }

    /// Starts measuring a call. Returns the state at its start, for [`Counters::finish_call`].
    pub fn start_call(&self) -> CallStart {
        CallStart {
            is_alone: self.running.fetch_add(1, Ordering::Relaxed) == 0,
            started_at: Instant::now(),
            calls: self.calls.get(),
            not_matching: self.time_of(Activity::NotMatching),
        }
    }

    /// Stops measuring a call: counts the call, and adds its duration. The part that was not spent on other activities
    /// counts as matching. Returns the duration, and whether no other call on this index overlapped the call.
    pub fn finish_call(&self, begun: &CallStart) -> (Duration, bool) {
        let took = begun.started_at.elapsed();
        let running = self.running.fetch_sub(1, Ordering::Relaxed);
        let calls = self.calls.add(1);
        self.calls_us.add(micros(took));
        // This difference also includes other threads' requests, so the time for matching may be too small.
        let not_matching = self.time_of(Activity::NotMatching).saturating_sub(begun.not_matching);
        self.add_time(Activity::Match, took.saturating_sub(not_matching));
        // No other call ran at the start or runs now, and no other call has finished since the start.
        (took, begun.is_alone && running == 1 && calls == begun.calls)
    }

    /// Returns this handle's number of requests and of answers. The store adds them up over its lifetime.
    pub fn totals(&self) -> (u64, u64) {
        let sum = |counters: &[Counter]| counters.iter().map(Counter::get).sum();
        (sum(&self.requests), sum(&self.answers) + sum(&self.answers_from_memory))
    }

    /// Returns a copy of the counters. Fields that describe the store remain 0.
    #[must_use]
    pub fn read(&self) -> Stats {
        Stats {
            answers: std::array::from_fn(|match_kind| {
                self.answers[match_kind].get() + self.answers_from_memory[match_kind].get()
            }),
            lookup_misses: self.lookup_misses.get(),
            stale_answers: self.stale_answers.get(),
            requests: std::array::from_fn(|kind| self.requests[kind].get()),
            bytes_received: self.bytes_received.get(),
            listings: self.listings.get(),
            network: self.time_of(Activity::Network),
            parsing: self.time_of(Activity::Parse),
            waiting: self.time_of(Activity::Wait),
            storing: self.time_of(Activity::Store),
            indexing: self.time_of(Activity::ListingSegment),
            matching: self.time_of(Activity::Match),
            events: self.events.get(),
            hints: self.hints.get(),
            failures: self.failures.get(),
            calls: self.calls.get() + self.answers_from_memory.iter().map(Counter::get).sum::<u64>(),
            calling: Duration::from_micros(self.calls_us.get()),
            slow_calls: self.slow_calls.get(),
            ..Stats::default()
        }
    }

    /// Counts a request, or a retry of one, once it is complete. `bytes` is the number of body bytes received, and `took`
    /// is the time spent waiting for the response's headers and body.
    pub fn record_request(&self, kind: RequestKind, bytes: u64, took: Duration) {
        self.requests[kind as usize].add(1);
        self.bytes_received.add(bytes);
        self.add_time(Activity::Network, took);
    }
}

/// The start time of a call, and counters at that time.
#[derive(Debug)]
pub struct CallStart {
    started_at: Instant,
    is_alone: bool,         // whether no other call on this index was running
    calls: u64,             // number of calls that had finished
    not_matching: Duration, // time spent on everything except matching
}

/// Counts and times since the program opened the index, and counts of the stored content.
///
/// The JSON object has the same field names, except for the times, which are in microseconds: `network_us`, `parse_us`,
/// `wait_us`, `store_us`, `segment_us`, `match_us` and `calls_us`. `size_limit` is 0 without a limit. `answers` is an
/// object with a field for each [`MatchKind::name`] (`none`: answers without an item), and `requests` is an
/// object with a field for each [`RequestKind::name`].
#[derive(Clone, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Stats {
    /// Answers by match kind. The first number counts answers without an item.
    #[doc(hidden)]
    #[serde(serialize_with = "by_match_kind")]
    pub answers: [u64; MatchKind::COUNT],
    /// Requests sent, including retries, in the order of [`RequestKind::ALL`].
    #[doc(hidden)]
    #[serde(serialize_with = "by_kind")]
    pub requests: [u64; RequestKind::COUNT],
    /// Fast lookups that found nothing.
    pub lookup_misses: u64,
    /// Answers from a listing that had expired.
    pub stale_answers: u64,
    /// Bytes received in server replies, before decompression.
    pub bytes_received: u64,
    /// Full listings completed.
    pub listings: u64,
    /// Time spent waiting for the server.
    #[serde(rename = "network_us", serialize_with = "as_micros")]
    pub network: Duration,
    /// Time spent decompressing and parsing replies.
    #[serde(rename = "parse_us", serialize_with = "as_micros")]
    pub parsing: Duration,
    /// Time spent waiting for other fetches to finish, and before retries.
    #[serde(rename = "wait_us", serialize_with = "as_micros")]
    pub waiting: Duration,
    /// Time spent reading and writing the store.
    #[serde(rename = "store_us", serialize_with = "as_micros")]
    pub storing: Duration,
    /// Time spent building and opening segments.
    #[serde(rename = "segment_us", serialize_with = "as_micros")]
    pub indexing: Duration,
    /// Time spent matching, excluding fast lookups.
    #[serde(rename = "match_us", serialize_with = "as_micros")]
    pub matching: Duration,
    /// Number of calls that query, refresh or record, excluding fast lookups.
    pub calls: u64,
    /// Total duration of the calls that [`Stats::calls`] counts.
    #[serde(rename = "calls_us", serialize_with = "as_micros")]
    pub calling: Duration,
    /// Number of slow calls: see [`Options::slow`](crate::Options::slow).
    pub slow_calls: u64,
    /// Requests sent by all processes over the store's lifetime, excluding the last few minutes.
    pub store_requests: u64,
    /// Answers returned by all processes over the store's lifetime, excluding the last few minutes.
    pub store_answers: u64,
    /// Number of listed items.
    pub items: u64,
    /// Number of confirmed matches.
    pub matches: u64,
    /// Number of known libraries.
    pub libraries: u64,
    /// Size of the store on disk in bytes, including segments.
    pub disk_bytes: u64,
    /// Maximum size of the folder in bytes; `None` without a limit.
    #[serde(serialize_with = "or_zero")]
    pub size_limit: Option<u64>,
    /// Number of bytes over the limit that plexindex cannot evict.
    pub over_limit: u64,
    /// Number of libraries evicted because of the limit, over the store's lifetime.
    pub evictions: u64,
    /// The store's change sequence, which every write increases.
    pub sequence: u64,
    /// Events about libraries, received from the server or passed on by the host.
    pub events: u64,
    /// Number of writes that stored events; one write can store several events.
    pub hints: u64,
    /// Number of failures to reach the server or to store its reply.
    pub failures: u64,
    /// Reason for the last failure; `None` if a request has succeeded since then.
    pub last_failure: Option<String>,
}

impl Stats {
    /// Returns the number of answers with this match kind, or without an item if `match_kind` is `None`.
    #[must_use]
    pub fn answers(&self, match_kind: Option<MatchKind>) -> u64 {
        self.answers[match_kind.unwrap_or(MatchKind::None) as usize]
    }

    /// Returns the number of requests of this kind, including retries.
    #[must_use]
    pub fn requests(&self, kind: RequestKind) -> u64 {
        self.requests[kind as usize]
    }

    /// Returns the number of all requests, including retries.
    #[must_use]
    pub fn all_requests(&self) -> u64 {
        self.requests.iter().sum()
    }
}

impl std::fmt::Debug for Stats {
    /// Formats the statistics as JSON.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&serde_json::to_string(self).unwrap_or_default())
    }
}

/// Serializes a duration as a number of microseconds.
pub fn as_micros<S: Serializer>(time: &Duration, out: S) -> Result<S::Ok, S::Error> {
    out.serialize_u64(micros(*time))
}

/// Serializes a limit; 0 means no limit (`None`).
#[allow(clippy::trivially_copy_pass_by_ref, clippy::ref_option)] // serde requires this signature
fn or_zero<S: Serializer>(number: &Option<u64>, out: S) -> Result<S::Ok, S::Error> {
    out.serialize_u64(number.unwrap_or(0))
}

/// Serializes counts as an object with one field for each match kind, starting with `none`.
fn by_match_kind<S: Serializer>(counts: &[u64], out: S) -> Result<S::Ok, S::Error> {
    let kinds = [&[MatchKind::None], MatchKind::ALL].concat();
    out.collect_map(kinds.into_iter().map(|kind| (kind, counts[kind as usize])))
}

/// Serializes counts as an object with one field for each kind of request.
fn by_kind<S: Serializer>(counts: &[u64], out: S) -> Result<S::Ok, S::Error> {
    out.collect_map(RequestKind::ALL.iter().zip(counts))
}
