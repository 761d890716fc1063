//! What is known of a kind of source without asking it, and so also while an index is offline.

use crate::error::{Error, Result, Status};

use super::event::Event;

/// A kind of source: how its items are addressed, and how to read what its servers send to others.
#[derive(Debug)]
pub struct Kind {
    /// Its name, for people.
    pub name: &'static str,
    /// A public key is this and the item's rating key.
    pub key_prefix: &'static str,
    /// Reads the JSON of a notification or webhook that a host received; [`Status::InvalidArgument`] when it is none.
    pub read_events: fn(&[u8]) -> Result<Vec<Event>>,
}

impl Kind {
    /// The public key of the item with this rating key.
    #[must_use]
    pub fn key(&self, rating_key: &str) -> String {
        format!("{}{rating_key}", self.key_prefix)
    }

    /// The rating key in a public key, or the text itself where it is none: hosts may give either.
    ///
    /// # Errors
    /// [`Status::InvalidArgument`] for what is neither.
    pub fn rating_key<'k>(&self, key: &'k str) -> Result<&'k str> {
        let rating_key = key.strip_prefix(self.key_prefix).unwrap_or(key);
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
