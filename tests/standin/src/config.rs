//! The server's settings: its identity, its tokens, and oddities that can be switched on.

use serde::{Deserialize, Serialize};

/// How the undocumented `file=` filter behaves (Plex API notes §3: disputed).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FileFilter {
    /// Rows with a path that contains the value, without regard to case.
    Substring,
    /// Not known to the server: everything is returned.
    Ignored,
    /// 200 with nothing.
    Nothing,
}

/// How a requested order is treated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sorting {
    /// It is kept.
    Honoured,
    /// Rows come in an arbitrary order, the same for each request.
    Arbitrary,
}

/// Switches. Every default is what Plex 1.43 was seen to do.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct Config {
    /// The `file=` filter. Default `substring`.
    pub file_filter: FileFilter,
    /// The order of rows. Default `honoured`.
    pub sorting: Sorting,
    /// `excludeElements` and `excludeFields` are honoured. Default true; they are advisory (§3).
    pub exclusions: bool,
    /// Arguments of a GET that are refused: names, or names with the beginning of a value, such as `sort=id`.
    /// Default none; servers differ by version (§12).
    pub refuse_arguments: Vec<String>,
    /// The status that a refused argument gets. Default 400.
    pub refuse_status: u16,
    /// Always XML: a very old server, or a proxy that drops the header `Accept`. Default false.
    pub always_xml: bool,
    /// The content type of the event stream. Default `text/event-stream`; a newer text says
    /// `application/octet-stream` (§12).
    pub events_type: String,
    /// Container headers are ignored: every listing is whole. Default false.
    pub ignore_paging: bool,
    /// Most rows of a page, whatever the request says. Default: no limit.
    pub max_page: Option<u32>,
    /// `totalSize` and its header are left out. Default false.
    pub omit_total_size: bool,
    /// They are left out only when the window covers the library. Default false.
    pub omit_total_size_when_covered: bool,
    /// Most items in the answer of `/library/metadata/a,b,c`. Default: no limit.
    pub max_ids: Option<u32>,
    /// gzip if the request accepts it. Default true.
    pub gzip: bool,
    /// Milliseconds between two SSE pings. Default 10,000 (§7).
    pub ping_ms: u64,
    /// How many bytes of rendered pages are kept. Default 256 MiB; 0 turns the cache off.
    pub cache_bytes: usize,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            file_filter: FileFilter::Substring,
            sorting: Sorting::Honoured,
            exclusions: true,
            refuse_arguments: Vec::new(),
            refuse_status: 400,
            always_xml: false,
            events_type: "text/event-stream".to_owned(),
            ignore_paging: false,
            max_page: None,
            omit_total_size: false,
            omit_total_size_when_covered: false,
            max_ids: None,
            gzip: true,
            ping_ms: 10_000,
            cache_bytes: 256 << 20,
        }
    }
}

/// A token and its permissions.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct Token {
    /// The token.
    pub token: String,
    /// The section ids its user sees; absent: all.
    pub libraries: Option<Vec<u32>>,
    /// Owners may edit, scan and ask `/library`; others get 403 (Plex API notes §1, §5).
    pub owner: bool,
    /// It was a JSON Web Token, and its time is over: 498.
    pub expired: bool,
}

impl Default for Token {
    fn default() -> Self {
        Token {
            token: String::new(),
            libraries: None,
            owner: true,
            expired: false,
        }
    }
}

impl Token {
    /// The owner's.
    pub fn owner(token: &str) -> Self {
        Token {
            token: token.to_owned(),
            ..Token::default()
        }
    }

    /// Of a user with whom some libraries are shared.
    pub fn shared(token: &str, libraries: impl IntoIterator<Item = u32>) -> Self {
        Token {
            token: token.to_owned(),
            libraries: Some(libraries.into_iter().collect()),
            owner: false,
            ..Token::default()
        }
    }

    pub(crate) fn sees(&self, library: u32) -> bool {
        self.libraries.as_ref().is_none_or(|seen| seen.contains(&library))
    }
}

/// The answer of `/identity` and `/`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct Identity {
    /// 40 hex digits.
    pub machine_identifier: String,
    /// The version of the server.
    pub version: String,
    /// The name of the server.
    pub friendly_name: String,
}

impl Default for Identity {
    fn default() -> Self {
        Identity {
            machine_identifier: "5a4d1e8f0c6b4792a3d8e1f5b7c09d2468ace013".to_owned(),
            version: "1.43.4.10903-e5521bd8c".to_owned(),
            friendly_name: "Stand-in".to_owned(),
        }
    }
}
