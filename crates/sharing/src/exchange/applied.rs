//! Applies each invalidation only once, even if a host reads its entry several times.
//!
//! A host reads the whole log again after the host's mappings change, after the log was restored or emptied, and after
//! a long absence. The log itself has removed the matches that an invalidation in it voids, but an invalidation also
//! removes matches for paths that only this host has, and the log cannot restore later ones. Therefore each host numbers
//! its invalidations in ascending order, and the store contains the last number applied from each host.

use super::core::Exchange;
use crate::contract::{Entry, EntryKind, NewEntry};
use crate::engine::Outbox;
use crate::error::Result;
use crate::platform::Deadline;

/// Pairs an outbox entry with its number. If the entry is an invalidation that hosts must apply only once, the number
/// replaces the body, so that hosts recognize the entry when they read it again. An item's invalidation without a body
/// removes no matches, so hosts can apply it repeatedly.
pub fn with_number(number: u64, mut entry: NewEntry) -> (u64, NewEntry) {
    let is_once = match entry.name.kind {
        EntryKind::InvalidLibrary | EntryKind::InvalidPath => true,
        EntryKind::InvalidItem => !entry.body.is_empty(),
        _ => false,
    };
    if is_once {
        entry.body = number.to_string().into_bytes();
    }
    (number, entry)
}

/// Returns the number that [`with_number`] wrote into the body; `None` if the body contains no number.
fn parse_number(entry: &Entry) -> Option<u64> {
    std::str::from_utf8(&entry.body).ok()?.parse().ok()
}

impl Exchange {
    /// Returns whether this folder has already applied an invalidation: it wrote the entry, under its current or an earlier
    /// host id, or it has read the entry before. Another host's invalidation of a path can be repeated, because the log
    /// still has every later match for the path, and must be after the mappings changed.
    pub fn is_applied(&self, entry: &Entry) -> Result<bool> {
        let Some(number) = parse_number(entry) else {
            return Ok(false);
        };
        let (last_written, last_read) = Outbox(&self.store).applied_upto(entry.host)?;
        Ok(number <= last_written || number <= last_read && entry.name.kind != EntryKind::InvalidPath)
    }

    /// If an invalidation has a number, records that this folder has applied the invalidation, so that it does not
    /// apply it again.
    pub fn note_applied(&self, entry: &Entry) -> Result<()> {
        parse_number(entry).map_or(Ok(()), |number| {
            Outbox(&self.store).note_applied(entry.host, number, Deadline::NONE)
        })
    }
}
