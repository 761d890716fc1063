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

    /// Extracts the rating key from a public key; a bare rating key is returned as it is. Rating keys become a part of
    /// URLs, where several are separated by commas.
    ///
    /// # Errors
    /// [`Status::InvalidArgument`] for other texts, and for more than [`LONGEST_KEY`] bytes.
    pub fn rating_key<'k>(&self, key: &'k str) -> Result<&'k str> {
        let rating_key = key.strip_prefix(self.key_prefix).unwrap_or(key);
        if rating_key.len() > LONGEST_KEY {
            let begin: String = rating_key.chars().take(32).collect();
            return Err(Error::new(
                Status::InvalidArgument,
                format!(
                    "the key that begins with '{begin}' has {} bytes: keys have at most {LONGEST_KEY}",
                    rating_key.len()
                ),
            ));
        }
        let separates = |c: char| "/?#%&,".contains(c) || c.is_whitespace() || c.is_control();
        if rating_key.is_empty() || rating_key.starts_with('-') || rating_key.contains(separates) {
            return Err(Error::new(
                Status::InvalidArgument,
                format!(
                    "'{}' is no key of an item: give '{}<rating key>' or the rating key alone, one key each",
                    key.escape_debug(),
                    self.key_prefix
                ),
            ));
        }
        Ok(rating_key)
    }
}

#[cfg(test)]
#[path = "kind_tests.rs"]
mod tests;
