//! The server's settings: its identity, its tokens, and oddities that can be switched on.

use serde::{Deserialize, Serialize};

/// Switches. Every default is what Plex 1.43 was seen to do.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct Config {
    /// Most rows of a page, whatever the request says. Default: no limit.
    pub max_page: Option<u32>,
    /// Rows that `totalSize` counts although no page has them; negative: those that it does not count. Default 0.
    pub unseen_rows: i64,
    /// Microseconds that a page is late, for each row that it was asked for. Default 0.
    pub row_us: u64,
    /// Most items in the answer of `/library/metadata/a,b,c`. Default: no limit.
    pub max_ids: Option<u32>,
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
