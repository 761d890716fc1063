//! Changes since the segments were made. One thread appends, any number read without a lock.
//!
//! Every change is a record. Readers find it by the normal form of a path or by rating key, and an added item also by
//! the file names of its parts. Of the records that answer a question, the newest counts. A record is complete before a
//! chain leads to it, so a reader sees all of it or nothing.
//!
//! | question | answered by the newest of |
//! |---|---|
//! | the confirmed match of exactly this path | `Matched`, `Forgotten` |
//! | the item with this key | `Added`, `Removed` |
//! | is the path invalidated | `UnverifiedPath`; `VerifiedPath`, `Matched` |
//! | is the item invalidated | `UnverifiedItem`; `VerifiedItem`, `Matched` |

use std::sync::Arc;

use xxhash_rust::xxh3::xxh3_64;

use super::chains::{Chained, MemtableFull};
use crate::engine::segment::name_hash;
use crate::matching::normal::normal_form;
use crate::matching::{Form, Mappings, Normal};
use crate::model::Item;

/// One change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MemtableChange {
    /// The host recorded this match.
    Matched {
        /// The path, in the host's bytes.
        path: Vec<u8>,
        /// The item's rating key.
        rating_key: String,
        /// The change sequence of the recording.
        sequence: u64,
    },
    /// The confirmed match of exactly this path was removed.
    Forgotten {
        /// The path it was recorded with.
        path: Vec<u8>,
    },
    /// The path was invalidated. No lookup returns it until a request verifies it.
    UnverifiedPath {
        /// Any spelling of the path.
        path: Vec<u8>,
    },
    /// A request verified the path's answer.
    VerifiedPath {
        /// Any spelling of the path.
        path: Vec<u8>,
    },
    /// The item was invalidated, with all its paths.
    UnverifiedItem {
        /// Its rating key.
        rating_key: String,
    },
    /// A request verified the item.
    VerifiedItem {
        /// Its rating key.
        rating_key: String,
    },
    /// The server returned this item, which is new or has changed. It replaces the item with the same rating key.
    Added {
        /// The item with all its parts.
        item: Arc<Item>,
        /// The change sequence of its addition.
        sequence: u64,
    },
    /// The item was removed.
    Removed {
        /// Its rating key.
        rating_key: String,
    },
}

/// The changes since a segment.
#[derive(Default)]
pub struct Memtable(Chained<MemtableEntry, 3>);

/// The kinds of hashes by which readers find a change: of a path, of a rating key, and of a file name.
const PATHS: usize = 0;
const KEYS: usize = 1;
const NAMES: usize = 2;

/// The indexes of an item's parts that have a mapped path on the host, each with this path.
type MappedParts = Vec<(usize, Vec<u8>)>;

/// A stored change.
pub struct MemtableEntry {
    pub change: MemtableChange,
    /// Numbered from 1, in the order of appending.
    pub order: u64,
    /// Normal forms of the change's paths; for `Added` those of its parts, then of [`MemtableEntry::mapped`].
    pub forms: Vec<Box<[u8]>>,
    /// For `Added`: the parts that have a mapped path on the host, each with this path.
    pub mapped: MappedParts,
}

impl Memtable {
    /// Returns whether nothing was appended yet.
    #[inline]
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the number of changes.
    #[must_use]
    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.records().count()
    }

    /// Appends a change. Only one thread at a time may call this, so the caller must hold a lock. `mappings`: those of
    /// the segment, which give the parts of an added item their paths on the host.
    ///
    /// # Errors
    /// [`MemtableFull`]: the change is not, or not completely, in the memtable, and the caller must compact.
    pub fn push(&self, change: MemtableChange, mappings: &Mappings) -> Result<(), MemtableFull> {
        let (forms, mapped) = forms_of(&change, mappings);
        let mut links: Vec<_> = (forms.iter().enumerate())
            .map(|(form, bytes)| (PATHS, xxh3_64(bytes), form))
            .collect();
        if let MemtableChange::Added { item, .. } = &change {
            let names = forms[..item.parts.len()].iter().enumerate();
            links.extend(names.filter_map(|(part, form)| Some((NAMES, name_hash(form)?, part))));
        }
        // Link the key last. It hides the segment's item, so the paths of the added item must be found before.
        links.extend(change.rating_key().map(|key| (KEYS, xxh3_64(key.as_bytes()), 0)));
        let entry = |order| MemtableEntry {
            change,
            order,
            forms,
            mapped,
        };
        self.0.push(entry, &links)
    }

    /// Returns the changes, oldest first.
    #[cfg(test)]
    pub fn changes(&self) -> impl Iterator<Item = &MemtableChange> {
        self.records().map(|record| &record.change)
    }

    /// Iterates over all records, oldest first.
    pub fn records(&self) -> impl Iterator<Item = &MemtableEntry> {
        self.0.records()
    }

    /// Iterates over the records of this path, newest first, each with the index of the matching form.
    pub fn about_path(&self, path: &Normal<'_>) -> impl Iterator<Item = (&MemtableEntry, usize)> {
        let form = path.form();
        self.0
            .walk(PATHS, || Some(path.hash()))
            .filter(move |(record, at)| record.forms.get(*at).is_some_and(|own| **own == *form))
    }

    /// Iterates over the records of the item with this key, newest first.
    pub fn about_item(&self, rating_key: &str) -> impl Iterator<Item = &MemtableEntry> {
        self.0
            .walk(KEYS, || Some(xxh3_64(rating_key.as_bytes())))
            .map(|(record, _)| record)
            .filter(move |record| record.change.rating_key() == Some(rating_key))
    }

    /// Iterates over the added items with a file of the same name as this path, each with the index of the file and the
    /// number of last components that both paths have in common.
    pub fn suffix_matches(&self, path: &Normal<'_>) -> impl Iterator<Item = (&MemtableEntry, usize, usize)> {
        let form = Form::from_folded(path.form());
        self.0
            .walk(NAMES, || name_hash(path.form()))
            .map(move |(record, part)| {
                let common = record
                    .forms
                    .get(part)
                    .map_or(0, |own| Form::from_folded(own).common_components(form));
                (record, part, common)
            })
            .filter(|(_, _, common)| *common > 0)
    }
}

/// Returns the normal forms by which readers find a change, and the mapped paths of an added item; see
/// [`MemtableEntry::forms`] and [`MemtableEntry::mapped`].
fn forms_of(change: &MemtableChange, mappings: &Mappings) -> (Vec<Box<[u8]>>, MappedParts) {
    let MemtableChange::Added { item, .. } = change else {
        let form = change.path().map(|path| normal_form(path).into_boxed_slice());
        return (form.into_iter().collect(), Vec::new());
    };
    let mut mapped = Vec::new();
    for (part, path) in item.parts.iter().enumerate() {
        mapped.extend(mappings.to_host(path.as_bytes()).map(|host| (part, host)));
    }
    let hosts = mapped.iter().map(|(_, host)| normal_form(host));
    let listed = item.parts.iter().map(|path| normal_form(path.as_bytes()));
    (listed.chain(hosts).map(Vec::into_boxed_slice).collect(), mapped)
}

impl MemtableChange {
    /// Returns the rating key of the change's item; `None` for a change that concerns only a path.
    #[must_use]
    pub fn rating_key(&self) -> Option<&str> {
        match self {
            Self::Matched { rating_key, .. }
            | Self::UnverifiedItem { rating_key }
            | Self::VerifiedItem { rating_key }
            | Self::Removed { rating_key } => Some(rating_key),
            Self::Added { item, .. } => Some(&item.rating_key),
            Self::Forgotten { .. } | Self::UnverifiedPath { .. } | Self::VerifiedPath { .. } => None,
        }
    }

    /// Returns the path of the change; `None` for a change that concerns only an item.
    #[must_use]
    pub fn path(&self) -> Option<&[u8]> {
        match self {
            Self::Matched { path, .. }
            | Self::Forgotten { path }
            | Self::UnverifiedPath { path }
            | Self::VerifiedPath { path } => Some(path),
            _ => None,
        }
    }
}
