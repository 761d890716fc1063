//! What is known of a kind of source without asking it, and so also while an index is offline.

use crate::error::{Error, Result, Status};
use crate::model::LONGEST_KEY;

use super::event::Notification;

/// A kind of source: how its items are addressed, and how to read what its servers send to others.
#[derive(Debug)]
pub struct Kind {
    /// Its name, for people.
    pub name: &'static str,
    /// What is asked, in the middle of a sentence.
    pub asked: &'static str,
    /// What to look at where it has no library.
    pub empty: &'static str,
    /// A public key is this and the item's rating key.
    pub key_prefix: &'static str,
    /// Reads the JSON of a notification or webhook that a host received; [`Status::InvalidArgument`] if it is invalid.
    pub read_events: fn(&[u8]) -> Result<Notification>,
    /// What else a host gives to have edits and events, where this kind has neither.
    pub beside: Option<&'static str>,
}

/// Where a source is asked, and as whom: what it shows is that user's view of that server, and no other's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct View {
    /// The server's place, such as its URL: the same text for the same place.
    pub place: String,
    /// As whom.
    pub viewer: Viewer,
}

/// As whom a source is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Viewer {
    /// A user whom the host named: tokens may change.
    Named(String),
    /// Who has the token that is used; without one any caller sees the same.
    Holder,
    /// Who can read the server's own files, and so sees all that it has: no token's view.
    Reader,
}

impl Kind {
    /// What it cannot do, and what a host can do about that: give what there is beside it, if anything, else what holds `alone`.
    #[must_use]
    pub fn unsupported(&self, what: &str, alone: &str) -> Error {
        Error::new(
            Status::Unsupported,
            format!("{} {what}: {}", self.name, self.beside.unwrap_or(alone)),
        )
    }

    /// The public key of the item with this rating key.
    #[must_use]
    pub fn key(&self, rating_key: &str) -> String {
        format!("{}{rating_key}", self.key_prefix)
    }

    /// The rating key in a public key, or the text itself: hosts may give either.
    ///
    /// # Errors
    /// [`Status::InvalidArgument`] for what is neither, and for more than [`LONGEST_KEY`] bytes.
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
        if rating_key.is_empty() || rating_key.contains(['/', '\0']) {
            return Err(Error::new(
                Status::InvalidArgument,
                format!(
                    "'{key}' is no key of an item: give '{}<rating key>' or the rating key alone",
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
