//! Which entries this folder has applied, and which of its own the log has kept.
//!
//! A host reads entries again when its mappings change, when the log was restored or emptied, and when it slept too
//! long. An invalidation removes matches of paths that only this host has, which no log brings back. So each is applied
//! once: it carries the number that its host gave it, and those of a host ascend.

use std::collections::HashMap;

use super::core::{Exchange, SharedView};
use crate::contract::{Entry, EntryKind, NewEntry};
use crate::engine::{LibraryRow, LibraryRows, LocalWrite, Outbox, RecordRows, WAITS};
use crate::entries::SharedEntries;
use crate::error::Result;
use crate::platform::Deadline;

/// Whether this folder has applied an invalidation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Applied {
    /// Not yet.
    Never,
    /// It did, when it was taken before.
    Before,
    /// It is of this folder, of this incarnation or an earlier one, and was applied when it was written.
    Own,
}

/// An entry as it is delivered: an invalidation that is applied once gets the number that its host gave it.
pub fn numbered(number: u64, mut entry: NewEntry) -> (u64, NewEntry) {
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

fn number_of(entry: &Entry) -> Option<u64> {
    std::str::from_utf8(&entry.body).ok()?.parse().ok()
}

impl Exchange {
    /// Returns whether this folder has applied an invalidation.
    pub fn is_applied(&self, entry: &Entry) -> Result<Applied> {
        let Some(number) = number_of(entry) else {
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

    /// Stores that an invalidation was applied.
    pub fn note_applied(&self, entry: &Entry) -> Result<()> {
        number_of(entry).map_or(Ok(()), |number| {
            Outbox(&self.store).note_applied(entry.host, number, Deadline::NONE)
        })
    }

    /// Removes the matches that the log has too, and that these entries of one kind void: those of a path, of an item,
    /// or all. The log brings back what other hosts recorded since; what this host told later stays.
    pub fn forget_shared(&self, view: &SharedView, row: &LibraryRow, entries: &[(&Entry, Applied)]) -> Result<()> {
        let Some((first, _)) = entries.first() else {
            return Ok(());
        };
        // What each key voids: what was told up to this number.
        let mut void: HashMap<&[u8], u64> = HashMap::new();
        for (entry, applied) in entries {
            let own = number_of(entry).filter(|_| *applied == Applied::Own);
            let upto = void.entry(&entry.name.key).or_default();
            *upto = own.unwrap_or(WAITS - 1).max(*upto);
        }
        let told_at = Outbox(&self.store).matches_told(view.identity, &row.library.uuid)?;
        let mut removed = Vec::new();
        for (path, known) in RecordRows(&self.store).confirmed_matches(row.id)? {
            let told = SharedEntries(&self.reading).of_matches(&row.library, &[(&path, &known)]);
            let upto = told.iter().filter_map(|told| match first.name.kind {
                EntryKind::InvalidPath => void.get(&*told.name.key),
                EntryKind::InvalidItem => void.get(known.as_bytes()),
                _ => void.get(&b""[..]),
            });
            let last_told = told.iter().filter_map(|told| told_at.get(&told.name.key)).max();
            if upto.max().is_some_and(|upto| last_told.is_none_or(|last| last <= upto)) {
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
