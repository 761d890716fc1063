//! The properties of a kind of source that are known without a request, also while an index is offline.

use crate::error::{Error, Result, Status};
use crate::model::LONGEST_KEY;

use super::event::Notification;

/// A kind of source: how its items are addressed, and how to parse the notifications of its servers.
#[derive(Debug)]
pub struct Kind {
    /// Display name.
    pub name: &'static str,
    /// Noun for the source within a sentence, such as `the server`.
    pub noun: &'static str,
    /// Hint shown if it has no library.
    pub empty_hint: &'static str,
    /// Prefix of public keys, before the item's rating key.
    pub key_prefix: &'static str,
    /// Returns whether a text without control characters, of 1 to 255 bytes, can be a rating key. Rating keys become a
    /// part of URLs, where several are separated by commas.
    pub is_rating_key: fn(&str) -> bool,
    /// Parses the JSON of a notification or webhook; [`Status::InvalidArgument`] if it is invalid.
    pub read_events: fn(&[u8]) -> Result<Notification>,
    /// The option that adds edits and events to a kind that has neither, for error texts.
    pub companion: Option<&'static str>,
}

/// A server as seen by one user. Content of one view must not be shown in another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct View {
    /// The server's location, such as its URL: always the same text for the same server.
    pub place: String,
    /// The user.
    pub viewer: Viewer,
}

/// The user whose rights apply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Viewer {
    /// A user named by the host; tokens may change.
    Named(String),
    /// The owner of the current token; without a token everyone sees the same.
    Holder,
    /// A reader of the server's own files, who sees everything, whatever the token.
    Reader,
}

impl Kind {
    /// Creates the error for an unsupported operation. Ends with the companion option that adds it, or with `alone` if
    /// there is none.
    #[must_use]
    pub fn unsupported(&self, what: &str, alone: &str) -> Error {
        Error::new(
            Status::Unsupported,
            format!("{} {what}: {}", self.name, self.companion.unwrap_or(alone)),
        )
    }

    /// Returns the public key of a rating key.
    #[must_use]
    pub fn key(&self, rating_key: &str) -> String {
        format!("{}{rating_key}", self.key_prefix)
    }

    /// Extracts the rating key from a public key; a bare rating key is returned as it is.
    ///
    /// # Errors
    /// [`Status::InvalidArgument`] for other texts, and for more than [`LONGEST_KEY`] bytes.
    pub fn rating_key<'k>(&self, key: &'k str) -> Result<&'k str> {
        let rating_key = key.strip_prefix(self.key_prefix).unwrap_or(key);
        let is_text = (1..=LONGEST_KEY).contains(&rating_key.len()) && !rating_key.contains(char::is_control);
        if is_text && (self.is_rating_key)(rating_key) {
            return Ok(rating_key);
        }
        let mut begin: String = key.chars().take(32).collect();
        if begin.len() < key.len() {
            begin.push('\u{2026}');
        }
        Err(Error::new(
            Status::InvalidArgument,
            format!(
                "'{}' is not the key of an item: give '{}' and its rating key, or the rating key alone, of \
                 {LONGEST_KEY} bytes at most, one key each",
                begin.escape_debug(),
                self.key_prefix
            ),
        ))
    }
}

#[cfg(test)]
#[path = "kind_tests.rs"]
mod tests;
