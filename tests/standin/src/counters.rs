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
    /// `/library/sections/{id}/refresh`, and `/library/metadata/{id}/refresh` or `analyze`.
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
            ["library", "metadata", _, "refresh" | "analyze", ""] if put => Kind::Refresh,
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
    /// Bytes of all bodies as they go over the wire.
    pub bytes: u64,
    /// Connections that carried at least one counted request.
    pub connections: u64,
    /// Replies by status.
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
    /// Its kind.
    pub kind: Kind,
    /// The method.
    pub method: String,
    /// The target as it was sent: path and query, not decoded.
    pub target: String,
    /// The headers that matter, by lower-case name, and never the token: `user-agent`, `accept`,
    /// `accept-encoding`, `cache-control`, `host`, `connection`, and all `x-plex-*` but the token.
    pub headers: BTreeMap<String, String>,
    /// Whether a header had a token.
    pub token_in_header: bool,
    /// Whether the query had a token.
    pub token_in_query: bool,
}

const LOG_LIMIT: usize = 20_000;

/// Counters and log together.
pub(crate) struct Counters {
    pub stats: Stats,
    pub log: VecDeque<LogEntry>,
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
        }
    }
}

impl Counters {
    /// Counts a request.
    pub fn request(&mut self, ask: &Ask<'_>, kind: Kind) {
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
                        "user-agent" | "accept" | "accept-encoding" | "cache-control" | "host" | "connection"
                    )
            })
            .collect();
        if self.log.len() >= LOG_LIMIT {
            self.log.pop_front();
        }
        self.log.push_back(LogEntry {
            kind,
            method: request.method.clone(),
            target: request.target.clone(),
            headers,
            token_in_header: request.header("x-plex-token").is_some(),
            token_in_query: ask.params.get_loose("X-Plex-Token").is_some(),
        });
    }

    /// Counts an answer before it is sent.
    pub fn answer(&mut self, status: u16, bytes: usize) {
        *self.stats.statuses.entry(status).or_default() += 1;
        self.stats.bytes += bytes as u64;
    }
}
