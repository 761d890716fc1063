//! A library's memtable: changes that its segment does not contain yet. One thread appends; any number of threads read
//! without a lock.
//!
//! Each change is a record. Readers find a record by rating key or by the normal form of a path, and an added item also
//! by the file names of its parts. If several records answer a query, the newest one is valid. A record is stored
//! before it is linked, so a reader sees the complete record or nothing.
//!
//! | query | changes, of which the newest is valid |
//! |---|---|
//! | item with this rating key | `Added`, `Removed` |
//! | since when the path is doubted | `DoubtedPath` |
//!
//! An item is doubted if `raised` of a `DoubtedItem` is not before `asked` of its replies (`Added`, `AsListed`, `Removed`).

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

use super::chains::{ChainedRecords, MemtableFull};
use crate::matching::normal::normal_form;
use crate::matching::{Form, Mappings, NormalPath, name_hash};
use crate::model::{Item, LibraryId, Sequence};

/// A change in a library.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum MemtableChange {
    /// The path is doubted: lookups return no item whose request began before `raised`.
    DoubtedPath {
        /// Any path with the doubted normal form.
        path: Vec<u8>,
        /// The change sequence at which the doubt was raised.
        raised: u64,
    },
    /// The item is doubted, until a reply whose request began after `raised`.
    DoubtedItem {
        /// The item's rating key.
        rating_key: String,
        /// The change sequence at which the doubt was raised.
        raised: u64,
    },
    /// The server returned this new or changed item, which replaces any item with the same rating key.
    Added {
        /// The item with all its files.
        item: Arc<Item>,
        /// The ticket of the request for the item.
        asked: u64,
    },
    /// The server returned the item as the segment has it.
    AsListed {
        /// The item's rating key.
        rating_key: String,
        /// The ticket of the request for the item.
        asked: u64,
    },
    /// The item was removed.
    Removed {
        /// The item's rating key.
        rating_key: String,
        /// The ticket of the request for the item.
        asked: u64,
    },
}

/// A change with its library, which processes apply to their earlier snapshots.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LibraryChange {
    pub sequence: Sequence,
    pub library: LibraryId,
    pub change: MemtableChange,
}

/// The changes in a library that the library's segment does not contain yet.
#[derive(Default)]
pub struct Memtable(ChainedRecords<MemtableEntry>);

/// Kinds of hashes: of a path's normal form, of a rating key, and of a file name's likeness.
const PATHS: usize = 0;
const KEYS: usize = 1;
const NAMES: usize = 2;

/// The parts of an item to which a mapping applies: the index of each part, and its path on the host.
type MappedParts = Vec<(usize, Vec<u8>)>;

/// A change in a memtable.
pub struct MemtableEntry {
    pub change: MemtableChange,
    /// The change's number in the memtable, counted from 1.
    pub order: u64,
    /// The normal forms of the change's paths. For `Added`, the forms of the item's parts, followed by the forms of the
    /// paths in [`MemtableEntry::mapped`].
    pub forms: Vec<Box<[u8]>>,
    /// For `Added`, the parts to which a mapping applies, with their paths on the host.
    pub mapped: MappedParts,
}

impl Memtable {
    #[inline]
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    #[must_use]
    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.records().count()
    }

    /// Appends a change. The caller must hold a lock, because only one thread at a time may append. `mappings` are the
    /// segment's mappings, which translate an added item's paths to paths on the host.
    ///
    /// # Errors
    /// Fails with [`MemtableFull`] if there is no room. The change is then missing or incomplete, so the caller must
    /// compact.
    pub fn push(&self, change: MemtableChange, mappings: &Mappings) -> Result<(), MemtableFull> {
        let (forms, mapped) = forms_of(&change, mappings);
        let mut links = Vec::with_capacity(2 * forms.len() + 1); // a file name for each form at most, and the key
        links.extend((forms.iter().enumerate()).map(|(form, bytes)| (PATHS, xxh3_64(bytes), form)));
        if let MemtableChange::Added { item, .. } = &change {
            let names = forms[..item.parts.len()].iter().enumerate();
            links.extend(names.filter_map(|(part, form)| Some((NAMES, name_hash(form)?, part))));
        }
        // Link the key last: it hides the segment's item, so readers must already find the paths of the added item.
        links.extend(change.rating_key().map(|key| (KEYS, xxh3_64(key.as_bytes()), 0))); // a key has no form
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

    /// Iterates over the records with this path's normal form, newest first, each with the index of this form in
    /// [`MemtableEntry::forms`].
    pub fn records_of_path(&self, path: &NormalPath<'_>) -> impl Iterator<Item = (&MemtableEntry, usize)> {
        let form = path.form();
        self.0
            .records_with_hash(PATHS, || Some(path.hash()))
            .filter(move |(record, index)| record.forms.get(*index).is_some_and(|own| **own == *form))
    }

    /// Iterates over the records for the item with this rating key, newest first.
    pub fn records_of_item(&self, rating_key: &str) -> impl Iterator<Item = &MemtableEntry> {
        self.0
            .records_with_hash(KEYS, || Some(xxh3_64(rating_key.as_bytes())))
            .map(|(record, _)| record)
            .filter(move |record| record.change.rating_key() == Some(rating_key))
    }

    /// Iterates over the files of added items whose names have this [`name_hash`]. Yields the item's record, and the
    /// file's index in the item.
    pub fn files_with_name(&self, hash: Option<u64>) -> impl Iterator<Item = (&MemtableEntry, usize)> {
        self.0.records_with_hash(NAMES, move || hash)
    }

    /// Iterates over the files of added items that have the same file name as `path`. Yields the item's record, the
    /// file's index in the item, and the number of last components that the file's path has in common with `path`.
    pub fn suffix_matches(
        &self,
        path: &NormalPath<'_>,
        name_hash: Option<u64>,
    ) -> impl Iterator<Item = (&MemtableEntry, usize, usize)> {
        let form = Form::from_folded(path.form());
        self.files_with_name(name_hash)
            .map(move |(record, part)| {
                let common = record
                    .forms
                    .get(part)
                    .map_or(0, |record_form| Form::from_folded(record_form).common_components(form));
                (record, part, common)
            })
            .filter(|(_, _, common)| *common > 0)
    }
}

/// Returns the normal forms of all paths of a change, and the parts of an added item to which a mapping applies, for
/// [`MemtableEntry`].
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
    /// Returns the doubt about a path, or about an item if the path is empty, from the change sequence `raised` on.
    #[must_use]
    pub fn doubted(path: &[u8], rating_key: &str, raised: u64) -> Self {
        if path.is_empty() {
            Self::DoubtedItem {
                rating_key: rating_key.to_owned(),
                raised,
            }
        } else {
            Self::DoubtedPath {
                path: path.to_vec(),
                raised,
            }
        }
    }

    /// Returns the rating key of the item that the change names; `None` if the change names only a path.
    #[must_use]
    pub fn rating_key(&self) -> Option<&str> {
        match self {
            Self::DoubtedItem { rating_key, .. }
            | Self::AsListed { rating_key, .. }
            | Self::Removed { rating_key, .. } => Some(rating_key),
            Self::Added { item, .. } => Some(&item.rating_key),
            Self::DoubtedPath { .. } => None,
        }
    }

    /// Returns the path that the change names; `None` if the change names only an item.
    #[must_use]
    pub fn path(&self) -> Option<&[u8]> {
        match self {
            Self::DoubtedPath { path, .. } => Some(path),
            _ => None,
        }
    }
}
