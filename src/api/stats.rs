//! What happened, counted.

use std::fmt;
use std::time::Duration;

use super::words::Rung;
use crate::model;
use crate::source::RequestKind;
use crate::stats as inside;

/// Counts by what is counted.
#[derive(Clone, PartialEq, Eq)]
struct Counts<const N: usize> {
    names: [&'static str; N],
    counts: [u64; N],
}

impl<const N: usize> fmt::Debug for Counts<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.names.iter().zip(self.counts)).finish()
    }
}

/// What happened since the index was opened, and what is stored now.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    answers: Counts<{ model::Rung::ALL.len() }>,
    requests: Counts<{ RequestKind::COUNT }>,
    /// Fast lookups that found nothing.
    pub lookup_misses: u64,
    /// Answers given although their listing had expired.
    pub stale_answers: u64,
    /// Bytes of the server's answers as they came over the wire.
    pub bytes_received: u64,
    /// Full listings completed.
    pub listings: u64,
    /// Waiting for the server.
    pub network: Duration,
    /// Reading its answers: decompressing and parsing.
    pub parsing: Duration,
    /// Waiting for other fetches to end, and before requests were tried again.
    pub waiting: Duration,
    /// Reading and writing the store.
    pub storing: Duration,
    /// Building and opening index files.
    pub indexing: Duration,
    /// Matching, fast lookups not included.
    pub matching: Duration,
    /// Questions, refreshes and recordings; fast lookups not included.
    pub calls: u64,
    /// What these took in all.
    pub calling: Duration,
    /// How many of them were slow: [`Options::slow`](crate::Options::slow).
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
    /// Bytes on disk, index files included.
    pub disk_bytes: u64,
    /// Bytes that the folder may take, where there is a limit.
    pub size_limit: Option<u64>,
    /// Bytes by which what has to stay is more than that.
    pub over_limit: u64,
    /// Libraries that went for that limit, over the store's life.
    pub evictions: u64,
    /// A number that every write to the store raises.
    pub sequence: u64,
    /// Events about libraries that the server told, or that the host handed over.
    pub events: u64,
    /// Writes that noted what events hint at.
    pub hints: u64,
    /// How often the server could not be asked, or its answer not be stored, and old answers stood in.
    pub failures: u64,
    /// Why not, the last time, in words, until new answers can be had again.
    pub last_failure: Option<String>,
}

impl Stats {
    pub(super) fn of(stats: inside::Stats) -> Self {
        let us = Duration::from_micros;
        Self {
            answers: Counts {
                names: model::Rung::ALL.map(model::Rung::name),
                counts: stats.answers,
            },
            requests: Counts {
                names: RequestKind::ALL.map(RequestKind::name),
                counts: stats.requests,
            },
            lookup_misses: stats.lookup_misses,
            stale_answers: stats.stale_answers,
            bytes_received: stats.bytes_received,
            listings: stats.listings,
            network: us(stats.network_us),
            parsing: us(stats.parse_us),
            waiting: us(stats.wait_us),
            storing: us(stats.store_us),
            indexing: us(stats.image_us),
            matching: us(stats.match_us),
            calls: stats.calls,
            calling: us(stats.calls_us),
            slow_calls: stats.slow_calls,
            store_requests: stats.store_requests,
            store_answers: stats.store_answers,
            items: stats.items,
            matches: stats.matches,
            libraries: stats.libraries,
            disk_bytes: stats.disk_bytes,
            size_limit: (stats.size_limit > 0).then_some(stats.size_limit),
            over_limit: stats.over_limit,
            evictions: stats.evictions,
            sequence: stats.sequence,
            events: stats.events,
            hints: stats.hints,
            failures: stats.failures,
            last_failure: stats.last_failure,
        }
    }

    /// Answers that this rung found; `None`: those without an item.
    #[must_use]
    pub fn answers(&self, rung: Option<Rung>) -> u64 {
        self.answers.counts[rung.map_or(model::Rung::None, Rung::inside) as usize]
    }

    /// Requests of a kind that were sent, retries included.
    #[must_use]
    pub fn requests(&self, kind: RequestKind) -> u64 {
        self.requests.counts[kind as usize]
    }

    /// All requests that were sent, retries included.
    #[must_use]
    pub fn all_requests(&self) -> u64 {
        self.requests.counts.iter().sum()
    }
}
