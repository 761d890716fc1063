//! Changes since the segments were made. One thread appends, any number read without a lock.
//!
//! Every change is a record. It is found by the normal form of a path or by rating key; an added item also by the file
//! names of its parts. The newest record that answers a question counts. A record is complete before a chain leads to
//! it, so a reader sees all of it or nothing.
//!
//! | question | answered by the newest of |
//! |---|---|
//! | the confirmed match of exactly this path | `Matched`, `Forgotten` |
//! | the item with this key | `Added`, `Removed` |
//! | is the path invalidated | `UnverifiedPath`; `VerifiedPath`, `Matched` |
//! | is the item invalidated | `UnverifiedItem`; `VerifiedItem`, `Matched` |

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use once_cell::race::OnceBox;
use xxhash_rust::xxh3::xxh3_64;

use super::chains::{ChainNode, Chains, MemtableFull};
use super::log::AppendLog;
use crate::matching::normal::normal_form;
use crate::matching::{Form, Mappings, Normal};
use crate::model::Item;

/// Records that a memtable holds before it must be compacted: twice the changed items that a refresh compacts.
pub const CAPACITY: usize = 8192;
/// Maximum number of nodes of one index. It exceeds `CAPACITY` because an item may have several parts, and a mapping
/// gives a part a second path.
const NODES: usize = CAPACITY * 8;

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
    /// The server returned this item, new or changed; replaces the item with the same rating key.
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
pub struct Memtable {
    /// Allocated with the first change: an empty memtable costs a load.
    inner: OnceBox<ChangesInMemory>,
}

struct ChangesInMemory {
    records: AppendLog<MemtableEntry>,
    /// Number of records visible to readers.
    length: AtomicU32,
    paths: Chains,
    keys: Chains,
    names: Chains,
}

/// Parts of an item, by index, with their mapped paths on the host.
type MappedParts = Vec<(usize, Vec<u8>)>;

/// A stored change.
pub struct MemtableEntry {
    pub change: MemtableChange,
    /// Numbered from 1, in the order of appending.
    pub order: u64,
    /// Normal forms of the change's paths; for `Added` those of its parts, then of [`MemtableEntry::mapped`].
    pub forms: Vec<Box<[u8]>>,
    /// For `Added`: parts with their mapped paths on the host.
    pub mapped: MappedParts,
}

impl Memtable {
    /// Returns whether nothing was appended yet.
    #[inline]
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.inner.get().is_none()
    }

    /// Number of changes.
    #[must_use]
    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.inner
            .get()
            .map_or(0, |inner| inner.length.load(Ordering::Acquire) as usize)
    }

    /// Appends a change; only one thread at a time, so the caller must hold a lock. `mappings` are those of the
    /// segment.
    ///
    /// # Errors
    /// [`MemtableFull`]: the change is not, or not completely, in the memtable, and the caller must compact.
    pub fn push(&self, change: MemtableChange, mappings: &Mappings) -> Result<(), MemtableFull> {
        let inner = self.inner.get_or_init(|| {
            Box::new(ChangesInMemory {
                records: AppendLog::new(),
                length: AtomicU32::new(0),
                paths: Chains::new(NODES),
                keys: Chains::new(NODES),
                names: Chains::new(NODES),
            })
        });
        inner.push(change, mappings)
    }

    /// The changes, oldest first.
    #[cfg(test)]
    pub fn changes(&self) -> impl Iterator<Item = &MemtableChange> {
        let inner = self.inner.get();
        (0..self.len()).filter_map(move |index| Some(&inner?.records.get(index)?.change))
    }

    /// Iterates over all records, oldest first.
    pub fn records(&self) -> impl Iterator<Item = &MemtableEntry> {
        let inner = self.inner.get();
        let count = inner.map_or(0, |inner| inner.length.load(Ordering::Acquire) as usize);
        (0..count).filter_map(move |index| inner?.records.get(index))
    }

    /// Iterates over the records of this path, newest first, each with the index of the matching form.
    pub fn about_path(&self, path: &Normal<'_>) -> impl Iterator<Item = (&MemtableEntry, usize)> {
        let form = path.form();
        let inner = self.inner.get();
        let hash = path.hash();
        inner
            .into_iter()
            .flat_map(move |inner| inner.paths.walk(hash).map(move |node| inner.record(node)))
            .flatten()
            .filter(move |(record, at)| record.forms.get(*at).is_some_and(|own| **own == *form))
    }

    /// Iterates over the records of the item with this key, newest first.
    pub fn about_item(&self, rating_key: &str) -> impl Iterator<Item = &MemtableEntry> {
        let inner = self.inner.get();
        let hash = if inner.is_some() {
            xxh3_64(rating_key.as_bytes())
        } else {
            0
        };
        inner
            .into_iter()
            .flat_map(move |inner| inner.keys.walk(hash).map(move |node| inner.record(node)))
            .flatten()
            .map(|(record, _)| record)
            .filter(move |record| record.change.rating_key() == Some(rating_key))
    }

    /// Iterates over the added items with a part of this path's file name, each with the part and the number of common
    /// components.
    pub fn suffix_matches(&self, path: &Normal<'_>) -> impl Iterator<Item = (&MemtableEntry, usize, usize)> {
        let form = Form::from_folded(path.form());
        let inner = self.inner.get();
        let hash = if inner.is_some() {
            crate::engine::segment::name_hash(path.form())
        } else {
            None
        };
        inner
            .zip(hash)
            .into_iter()
            .flat_map(move |(inner, hash)| inner.names.walk(hash).map(move |node| inner.record(node)))
            .flatten()
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

impl ChangesInMemory {
    fn record(&self, node: &ChainNode) -> Option<(&MemtableEntry, usize)> {
        let record = self.records.get(node.record as usize)?;
        Some((record, node.form as usize))
    }

    /// Stores a change, and links it into the chains by which it is found.
    fn push(&self, change: MemtableChange, mappings: &Mappings) -> Result<(), MemtableFull> {
        let index = self.length.load(Ordering::Relaxed);
        if index as usize >= CAPACITY {
            return Err(MemtableFull);
        }
        let (forms, mapped) = forms_of(&change, mappings);
        let hashes: Vec<u64> = forms.iter().map(|form| xxh3_64(form)).collect();
        let names: Vec<Option<u64>> = match &change {
            MemtableChange::Added { item, .. } => forms[..item.parts.len()]
                .iter()
                .map(|form| crate::engine::segment::name_hash(form))
                .collect(),
            _ => Vec::new(),
        };
        let key = change.rating_key().map(|key| xxh3_64(key.as_bytes()));
        let record = MemtableEntry {
            change,
            order: u64::from(index) + 1,
            forms,
            mapped,
        };
        if !self.records.set(index as usize, record) {
            return Err(MemtableFull);
        }
        // Link the key last. It hides the segment's item, so the paths of the added item must be found before.
        for (form, hash) in hashes.into_iter().enumerate() {
            self.paths.link(hash, index, form)?;
        }
        for (part, hash) in names.into_iter().enumerate() {
            if let Some(hash) = hash {
                self.names.link(hash, index, part)?;
            }
        }
        if let Some(hash) = key {
            self.keys.link(hash, index, 0)?;
        }
        self.length.store(index + 1, Ordering::Release);
        Ok(())
    }
}

/// Returns [`MemtableEntry::forms`] and [`MemtableEntry::mapped`] of a change.
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
    /// The rating key of its item.
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

    /// Its path; `None` for an added item.
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
