//! Counts of requests and answers by kind, and a bounded log of requests.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};

use crate::ask::Ask;

/// The kinds of requests that are counted apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// `/identity`.
    Identity,
    /// `/`.
    Root,
    /// `/library/sections`.
    Sections,
    /// A page of `/library/sections/{id}/all`.
    Listing,
    /// The same with `title`, `file` or `guid`: a question, whatever the window.
    Search,
    /// `/library/metadata/…`.
    Metadata,
    /// A `PUT` that edits items.
    Edit,
    /// The event stream.
    Events,
    /// `/library/sections/{id}/refresh`.
    Refresh,
    /// All else.
    Other,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Kind; 10] = [
        Kind::Identity,
        Kind::Root,
        Kind::Sections,
        Kind::Listing,
        Kind::Search,
        Kind::Metadata,
        Kind::Edit,
        Kind::Events,
        Kind::Refresh,
        Kind::Other,
    ];

    pub(crate) fn of(ask: &Ask<'_>) -> Kind {
        let path = ask.request.path().trim_end_matches('/');
        let put = ask.request.method == "PUT";
        let mut steps = path.split('/').skip(1);
        let steps: [&str; 5] = std::array::from_fn(|_| steps.next().unwrap_or(""));
        match steps {
            ["identity", "", ..] => Kind::Identity,
            ["", ..] => Kind::Root,
            ["library", "sections", "", ..] => Kind::Sections,
            ["library", "sections", _, "all", ""] if put => Kind::Edit,
            ["library", "sections", _, "all", ""] | ["library", "all", "", ..] => {
                if ["title", "file", "guid"]
                    .iter()
                    .any(|name| ask.params.get(name).is_some())
                {
                    Kind::Search
                } else {
                    Kind::Listing
                }
            }
            ["library", "sections", _, "refresh", ""] => Kind::Refresh,
            ["library", "metadata", _, "", ""] if put => Kind::Edit,
            ["library", "metadata", ..] => Kind::Metadata,
            [":", "eventsource" | "websockets" | "websocket", ..] => Kind::Events,
            _ => Kind::Other,
        }
    }
}

/// Counts since the start or the last reset.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Stats {
    /// Requests by kind; every kind is there. Also those that were refused, dropped or answered wrongly.
    pub requests: BTreeMap<Kind, u64>,
    /// All requests.
    pub total: u64,
    /// Bytes of all bodies as they went over the wire.
    pub bytes: u64,
    /// Connections that carried at least one counted request.
    pub connections: u64,
    /// Replies by status; 0 counts those that were cut off before a head.
    pub statuses: BTreeMap<u16, u64>,
}

impl Stats {
    /// Requests of a kind.
    pub fn of(&self, kind: Kind) -> u64 {
        self.requests.get(&kind).copied().unwrap_or(0)
    }
}

/// One request as received.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LogEntry {
    /// A running number, from 1.
    pub seq: u64,
    /// The number of its connection.
    pub connection: u64,
    /// Its kind.
    pub kind: Kind,
    /// The method.
    pub method: String,
    /// The target as it was sent: path and query, not decoded.
    pub target: String,
    /// The headers that matter, by lower-case name, and never the token: `user-agent`, `accept`,
    /// `accept-encoding`, `host`, `connection`, and all `x-plex-*` but the token.
    pub headers: BTreeMap<String, String>,
    /// Whether a header had a token.
    pub token_in_header: bool,
    /// Whether the query had a token.
    pub token_in_query: bool,
    /// The status answered; 0 when the connection was cut before.
    pub status: u16,
    /// Bytes of the body sent.
    pub bytes: u64,
}

const LOG_LIMIT: usize = 20_000;

/// Counters and log together.
pub(crate) struct Counters {
    pub stats: Stats,
    pub log: VecDeque<LogEntry>,
    next: u64,
}

impl Default for Counters {
    fn default() -> Self {
        let zero: BTreeMap<Kind, u64> = Kind::ALL.into_iter().map(|k| (k, 0)).collect();
        Counters {
            stats: Stats {
                requests: zero,
                ..Stats::default()
            },
            log: VecDeque::new(),
            next: 1,
        }
    }
}

impl Counters {
    /// Counts a request. Returns its number in the log.
    pub fn request(&mut self, ask: &Ask<'_>, kind: Kind, connection: u64) -> u64 {
        self.stats.total += 1;
        *self.stats.requests.entry(kind).or_default() += 1;
        let request = ask.request;
        let headers = request
            .headers
            .iter()
            .map(|(name, value)| (name.to_ascii_lowercase(), value.clone()))
            .filter(|(name, _)| {
                (name.starts_with("x-plex-") && name != "x-plex-token")
                    || matches!(
                        name.as_str(),
                        "user-agent" | "accept" | "accept-encoding" | "host" | "connection"
                    )
            })
            .collect();
        if self.log.len() >= LOG_LIMIT {
            self.log.pop_front();
        }
        let seq = self.next;
        self.next += 1;
        self.log.push_back(LogEntry {
            seq,
            connection,
            kind,
            method: request.method.clone(),
            target: request.target.clone(),
            headers,
            token_in_header: request.header("x-plex-token").is_some(),
            token_in_query: ask.params.get_loose("X-Plex-Token").is_some(),
            status: 0,
            bytes: 0,
        });
        seq
    }

    /// Counts the bytes of its answer.
    pub fn sent(&mut self, seq: u64, status: u16, body: u64) {
        self.stats.bytes += body;
        *self.stats.statuses.entry(status).or_default() += 1;
        let first = self.log.front().map_or(seq, |e| e.seq);
        if let Some(entry) = seq.checked_sub(first).and_then(|at| self.log.get_mut(at as usize)) {
            entry.status = status;
            entry.bytes = body;
        }
    }
}
