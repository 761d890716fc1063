//! Applies each invalidation only once, even if a host reads its entry several times.
//!
//! A host reads the whole log again after the host's mappings change, after the log was restored or emptied, and after
//! a long absence. An invalidation also removes matches for paths that only this host has, and the log cannot restore
//! these matches. Therefore each host numbers its invalidations in ascending order, and the store contains the last
//! number applied from each host.

use std::collections::HashMap;

use super::core::{Exchange, LogView};
use crate::contract::{Entry, EntryKind, NewEntry};
use crate::engine::{LibraryRow, LibraryRows, LocalWrite, Outbox, RecordRows, WAITS};
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
/// replaces the body, so that hosts recognize the entry when they read it again.
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
    /// Compares an invalidation's number with the last number that this folder applied from the same host, and returns
    /// whether the folder has already applied the invalidation.
    pub fn applied_before(&self, entry: &Entry) -> Result<Applied> {
        let Some(number) = parse_number(entry) else {
            return Ok(Applied::Never);
        };
        let (own, others) = Outbox(&self.store).applied_upto(entry.host)?;
        Ok(if number <= own {
            Applied::Own
        } else if number <= others {
            Applied::Before
        } else {
            Applied::Never
        })
    }

    /// Records that this folder has applied an invalidation, so that it is not applied again.
    pub fn note_applied(&self, entry: &Entry) -> Result<()> {
        parse_number(entry).map_or(Ok(()), |number| {
            Outbox(&self.store).note_applied(entry.host, number, Deadline::NONE)
        })
    }

    /// Removes confirmed matches that an already applied invalidation voids. Older entries may have restored these
    /// matches when the host read the log again. Keeps matches that this host delivered after its own invalidation, and
    /// matches with paths that cannot be shared, because the log cannot restore them. All invalidations in `entries`
    /// are of the same kind: path, item or library.
    pub fn remove_voided_matches(&self, view: &LogView, row: &LibraryRow, entries: &[(&Entry, Applied)]) -> Result<()> {
        let Some((first, _)) = entries.first() else {
            return Ok(());
        };
        // For each path or item (an empty key for the library), the last delivery number that is void. Another host's
        // invalidation voids every match that this host has delivered, but not a match that awaits delivery and
        // therefore has the number [`WAITS`].
        let mut last_voided: HashMap<&[u8], u64> = HashMap::new();
        for (entry, applied) in entries {
            let own_number = parse_number(entry).filter(|_| *applied == Applied::Own);
            let last = last_voided.entry(&entry.name.key).or_default();
            *last = own_number.unwrap_or(WAITS - 1).max(*last);
        }
        let delivered_as = Outbox(&self.store).outbox_matches(view.identity, &row.library.uuid)?;
        let mut removed = Vec::new();
        for (path, rating_key) in RecordRows(&self.store).confirmed_matches(row.id)? {
            let matches = SharedEntries(&self.reading).match_entries(&row.library, &[(&path, &rating_key)]);
            let voided = matches.iter().filter_map(|entry| match first.name.kind {
                EntryKind::InvalidPath => last_voided.get(&*entry.name.key),
                EntryKind::InvalidItem => last_voided.get(rating_key.as_bytes()),
                _ => last_voided.get(&b""[..]),
            });
            let delivered = matches.iter().filter_map(|entry| delivered_as.get(&entry.name.key));
            let last_delivered = delivered.max();
            if voided
                .max()
                .is_some_and(|voided| last_delivered.is_none_or(|last| last <= voided))
            {
                removed.push((row.id, path));
            }
        }
        if removed.is_empty() {
            return Ok(());
        }
        LibraryRows(&self.store)
            .invalidate(view.identity, &LocalWrite::NONE, &[], &removed, Deadline::NONE)
            .map(drop)
    }
}
