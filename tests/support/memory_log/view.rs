//! What a log in memory has of one view.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use plexindex_sharing::{Entry, EntryKind, EntryName, HostId, LARGEST_ENTRY, NewEntry};

/// A view.
#[derive(Clone, Default)]
pub struct MemoryView {
    pub server: String,
    pub viewer: Vec<u8>,
    pub last: u64,
    pub written_ms: Option<i64>,
    pub entries: BTreeMap<EntryName, Stored>,
    /// By the last number of each write.
    pub marks: BTreeMap<u64, i64>,
    pub delivered: HashMap<HostId, u64>,
}

/// An entry, but for its name.
#[derive(Clone)]
pub struct Stored {
    pub number: u64,
    pub host: HostId,
    pub body: Arc<[u8]>,
}

impl MemoryView {
    /// Voids what an invalidation makes void.
    pub fn void(&mut self, entry: &NewEntry) {
        use EntryKind::{InvalidItem, InvalidLibrary, InvalidPath, Match};
        let told = &entry.name;
        let is_void = |name: &EntryName| {
            name.library == told.library
                && match told.kind {
                    InvalidLibrary => [Match, InvalidItem, InvalidPath].contains(&name.kind),
                    InvalidPath => name.kind == Match && name.key == told.key,
                    _ => false,
                }
        };
        self.entries.retain(|name, _| !is_void(name));
        if told.kind == InvalidItem && !entry.body.is_empty() {
            for (name, stored) in &mut self.entries {
                if name.kind == Match && name.library == told.library && *stored.body == *told.key {
                    stored.body = Arc::default();
                }
            }
        }
    }

    pub fn write<'e>(
        &mut self,
        host: HostId,
        entries: impl Iterator<Item = &'e NewEntry>,
        counter: &mut i64,
        now_ms: i64,
    ) {
        let before = self.last;
        for entry in entries {
            self.last += 1;
            self.void(entry);
            let stored = Stored {
                number: self.last,
                host,
                body: entry.body.as_slice().into(),
            };
            self.entries.insert(entry.name.clone(), stored);
        }
        if self.last > before {
            *counter += 1;
            self.marks.insert(self.last, *counter);
            self.written_ms = Some(now_ms);
        }
    }

    /// The hosts that wrote something.
    pub fn hosts(&self) -> BTreeSet<HostId> {
        let delivered = self.delivered.iter().filter(|(_, number)| **number > 0);
        let delivered = delivered.map(|(host, _)| *host);
        delivered
            .chain(self.entries.values().map(|stored| stored.host))
            .collect()
    }

    /// The mark of the write that has a number.
    pub fn mark(&self, number: u64) -> Option<i64> {
        self.marks.range(number..).next().map(|(_, mark)| *mark)
    }
}

pub fn entry(name: &EntryName, stored: &Stored) -> Entry {
    Entry {
        name: name.clone(),
        body: stored.body.to_vec(),
        number: stored.number,
        host: stored.host,
    }
}

/// The size of an entry; `None` if it is too large.
pub fn size(name: &EntryName, stored: &Stored) -> Option<usize> {
    let size = name.library.len() + name.key.len() + stored.body.len();
    (size <= LARGEST_ENTRY).then_some(size)
}
