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
    /// Hint for users, shown while no library of the source is known.
    pub empty_hint: &'static str,
    /// Prefix of public keys, before the item's rating key.
    pub key_prefix: &'static str,
    /// Returns whether a text can be a rating key. The text has 1 to 255 bytes and no control characters. A URL may
    /// contain several rating keys, separated by commas.
    pub is_rating_key: fn(&str) -> bool,
    /// Parses the JSON of a notification or webhook; [`Status::InvalidArgument`] if it is invalid.
    pub read_events: fn(&[u8]) -> Result<Notification>,
    /// The option that adds edits and events to a kind that has neither, for error texts.
    pub companion: Option<&'static str>,
}

/// A server as seen by one user. plexindex must never show the content of one view to the user of a different view.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct View {
    /// The server's location, such as its URL. A server always has the same location.
    pub place: String,
    /// The user.
    pub viewer: Viewer,
}

/// The user whose rights apply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Viewer {
    /// A user named by the host; tokens may change.
    Named(String),
    /// The user of the current token. Without tokens, all users have the same view.
    Holder,
    /// A reader of the server's own files, who sees everything with any token.
    Reader,
}

impl Kind {
    /// Creates the error for an operation that this kind of source does not support, which `problem` says after the
    /// kind's name. The message ends with the option that adds the operation, or with `remedy` if no option does.
    #[must_use]
    pub fn unsupported(&self, problem: &str, remedy: &str) -> Error {
        Error::new(
            Status::Unsupported,
            format!("{} {problem}: {}", self.name, self.companion.unwrap_or(remedy)),
        )
    }

    /// Returns the public key of a rating key.
    #[must_use]
    pub fn key(&self, rating_key: &str) -> String {
        format!("{}{rating_key}", self.key_prefix)
    }

    /// Extracts the rating key from a public key. Returns a bare rating key unchanged.
    ///
    /// # Errors
    /// [`Status::InvalidArgument`] for other texts, and for more than [`LONGEST_KEY`] bytes.
    pub fn rating_key<'k>(&self, key: &'k str) -> Result<&'k str> {
        let rating_key = key.strip_prefix(self.key_prefix).unwrap_or(key);
        let is_allowed = (1..=LONGEST_KEY).contains(&rating_key.len()) && !rating_key.contains(char::is_control);
        if is_allowed && (self.is_rating_key)(rating_key) {
            return Ok(rating_key);
        }
        let mut shown: String = key.chars().take(32).collect();
        if shown.len() < key.len() {
            shown.push('\u{2026}');
        }
        Err(Error::new(
            Status::InvalidArgument,
            format!(
                "'{}' is not the key of an item: give one rating key of at most {LONGEST_KEY} bytes, alone or after \
                 '{}'",
                shown.escape_debug(),
                self.key_prefix
            ),
        ))
    }
}

#[cfg(test)]
#[path = "kind_tests.rs"]
mod tests;
