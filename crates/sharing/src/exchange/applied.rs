//! Applies each invalidation only once, even if a host reads its entry several times.
//!
//! A host reads the whole log again after the host's mappings change, after the log was restored or emptied, and after
//! a long absence. An invalidation also removes matches for paths that only this host has, and the log cannot restore
//! these matches. Therefore each host numbers its invalidations in ascending order, and the store contains the last
//! number applied from each host.

use std::collections::HashMap;

use super::core::{Exchange, LogView};
use crate::contract::{Entry, EntryKind, NewEntry};
use crate::engine::{LibraryRow, LibraryRows, Outbox, RecordRows, UNDELIVERED};
use crate::entries::SharedEntries;
use crate::error::Result;
use crate::platform::Deadline;

/// Whether this folder has already applied an invalidation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Applied {
    /// This folder has not applied the invalidation.
    Never,
    /// This folder applied the invalidation when it read the entry before.
    Before,
    /// This folder wrote the entry, under its current or an earlier host id, and applied the invalidation then.
    Own,
}

/// Pairs an outbox entry with its number. If the entry is an invalidation that hosts must apply only once, the number
/// replaces the body, so that hosts recognize the entry when they read it again. An item's invalidation without a body
/// removes no matches, so hosts can apply it repeatedly.
pub fn with_number(number: u64, mut entry: NewEntry) -> (u64, NewEntry) {
    let is_once = match entry.name.kind {
        EntryKind::InvalidLibrary | EntryKind::InvalidPath => true,
        EntryKind::InvalidItem => !entry.body.is_empty(),
        EntryKind::Match => false,
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
    /// Returns whether this folder has already applied an invalidation, and how. Compares the invalidation's number
    /// with the last numbers that this folder wrote or read under the same host id.
    pub fn applied_before(&self, entry: &Entry) -> Result<Applied> {
        let Some(number) = parse_number(entry) else {
            return Ok(Applied::Never);
        };
        let (last_written, last_read) = Outbox(&self.store).applied_upto(entry.host)?;
        Ok(if number <= last_written {
            Applied::Own
        } else if number <= last_read {
            Applied::Before
        } else {
            Applied::Never
        })
    }

    /// If an invalidation has a number, records that this folder has applied the invalidation, so that it does not
    /// apply it again.
    pub fn note_applied(&self, entry: &Entry) -> Result<()> {
        parse_number(entry).map_or(Ok(()), |number| {
            Outbox(&self.store).note_applied(entry.host, number, Deadline::NONE)
        })
    }

    /// Removes the confirmed matches that already applied invalidations cover, because older entries can restore these
    /// matches when the host reads the log again. Keeps matches that this host delivered after its own invalidation,
    /// and matches with paths that cannot be shared, because the log cannot restore them. `entries`: invalidations of
    /// the library `row`, all of the same kind: path, item or library.
    pub fn remove_invalidated_matches(
        &self,
        view: &LogView,
        row: &LibraryRow,
        entries: &[(&Entry, Applied)],
    ) -> Result<()> {
        let Some((first, _)) = entries.first() else {
            return Ok(());
        };
        // For each path or item (an empty key for the library), the last invalidated delivery number. Another host's
        // invalidation covers every match that this host has delivered, but not a match that awaits delivery and
        // therefore has the number [`UNDELIVERED`].
        let mut last_invalidated: HashMap<&[u8], u64> = HashMap::new();
        for (entry, applied) in entries {
            let own_number = parse_number(entry).filter(|_| *applied == Applied::Own);
            let last = last_invalidated.entry(&entry.name.key).or_default();
            *last = own_number.unwrap_or(UNDELIVERED - 1).max(*last);
        }
        let last_entry_numbers = Outbox(&self.store).outbox_matches(view.view_id, &row.library.uuid)?;
        let mut removed = Vec::new();
        for (path, rating_key) in RecordRows(&self.store).confirmed_matches(row.id)? {
            let matches = SharedEntries(&self.reading).match_entries(&row.library, &[(&path, &rating_key)]);
            let invalidated = matches.iter().filter_map(|entry| match first.name.kind {
                EntryKind::InvalidPath => last_invalidated.get(&*entry.name.key),
                EntryKind::InvalidItem => last_invalidated.get(rating_key.as_bytes()),
                _ => last_invalidated.get(&b""[..]),
            });
            let delivery_numbers = matches
                .iter()
                .filter_map(|entry| last_entry_numbers.get(&entry.name.key));
            let last_delivered = delivery_numbers.max();
            if invalidated
                .max()
                .is_some_and(|invalidated| last_delivered.is_none_or(|last| last <= invalidated))
            {
                removed.push((row.id, path));
            }
        }
        if removed.is_empty() {
            return Ok(());
        }
        LibraryRows(&self.store).remove_matches(&removed, Deadline::NONE)
    }
}
