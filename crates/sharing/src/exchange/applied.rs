//! Applies invalidations once, although entries may be read several times.
//!
//! A host reads entries again after its mappings change, after the log was restored or emptied, and after a long
//! absence. An invalidation also removes matches of paths that only this host has, and the log cannot restore these.
//! Therefore each invalidation carries an ascending number of the host that wrote it, and the store has the last number
//! applied per host.

use std::collections::HashMap;

use super::core::{Exchange, LogView};
use crate::contract::{Entry, EntryKind, NewEntry};
use crate::engine::{LibraryRow, LibraryRows, LocalWrite, Outbox, RecordRows, WAITS};
use crate::entries::SharedEntries;
use crate::error::Result;
use crate::platform::Deadline;

/// Whether this folder has applied an invalidation already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Applied {
    /// Not applied yet.
    Never,
    /// Applied when it was read before.
    Before,
    /// Written by this folder, under its current host id or an earlier one, and applied then.
    Own,
}

/// Returns an entry of the outbox with its number. If the entry is an invalidation that must be applied only once, its
/// body becomes the number, by which hosts recognize it when they read it again.
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

/// Returns the number that [`with_number`] wrote; `None` for another kind of entry.
fn parse_number(entry: &Entry) -> Option<u64> {
    std::str::from_utf8(&entry.body).ok()?.parse().ok()
}

impl Exchange {
    /// Returns whether this folder has applied an invalidation, by its number and the last number applied of the same
    /// host.
    pub fn is_applied(&self, entry: &Entry) -> Result<Applied> {
        let Some(number) = parse_number(entry) else {
            return Ok(Applied::Never);
        };
        let (own, others) = Outbox(&self.store).applied(entry.host)?;
        Ok(if number <= own {
            Applied::Own
        } else if number <= others {
            Applied::Before
        } else {
            Applied::Never
        })
    }

    /// Stores the number of an invalidation, so that this folder does not apply it again.
    pub fn note_applied(&self, entry: &Entry) -> Result<()> {
        parse_number(entry).map_or(Ok(()), |number| {
            Outbox(&self.store).note_applied(entry.host, number, Deadline::NONE)
        })
    }

    /// After the host has read the log again, removes the confirmed matches that an already applied invalidation voids.
    /// Keeps matches that this host delivered after its own invalidation, and matches that the log cannot restore,
    /// because their paths cannot be shared. `entries` all void paths, or all void items, or all void the library.
    pub fn remove_voided_matches(&self, view: &LogView, row: &LibraryRow, entries: &[(&Entry, Applied)]) -> Result<()> {
        let Some((first, _)) = entries.first() else {
            return Ok(());
        };
        // For each path or item (empty for the library), the last number of a delivery that is void. An invalidation of
        // another host voids all deliveries of this host, but no match that still waits in the outbox.
        let mut last_voided: HashMap<&[u8], u64> = HashMap::new();
        for (entry, applied) in entries {
            let own_number = parse_number(entry).filter(|_| *applied == Applied::Own);
            let last = last_voided.entry(&entry.name.key).or_default();
            *last = own_number.unwrap_or(WAITS - 1).max(*last);
        }
        let delivered_as = Outbox(&self.store).matches_told(view.identity, &row.library.uuid)?;
        let mut removed = Vec::new();
        for (path, rating_key) in RecordRows(&self.store).confirmed_matches(row.id)? {
            let matches = SharedEntries(&self.reading).of_matches(&row.library, &[(&path, &rating_key)]);
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
