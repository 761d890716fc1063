//! What was put into a host's table, or removed, since its image was made: appended by one thread, read by all without a
//! lock.

use std::sync::atomic::{AtomicU32, Ordering};

use once_cell::race::OnceBox;

use super::chains::{Chains, Full};
use super::file::Kept;
use super::log::Log;

/// Records that an overlay takes.
const CAPACITY: usize = 8192;

/// The changes since an image.
#[derive(Default)]
pub struct EntryOverlay {
    /// Made with the first change, so that an overlay without any costs a load.
    inner: OnceBox<Inner>,
}

struct Inner {
    records: Log<Record>,
    length: AtomicU32,
    names: Chains,
}

struct Record {
    name: Box<[u8]>,
    /// `None`: removed.
    state: Option<Stored>,
}

struct Stored {
    value: Option<Box<[u8]>>,
    expires_ms: Option<i64>,
}

/// What became of a name.
pub enum Overlaid<'o> {
    /// A value was put under it.
    Put(Kept<'o>),
    /// It was removed.
    Removed,
}

impl EntryOverlay {
    /// Appends what became of a name; `None`: it was removed. One thread at a time: the caller holds a lock.
    ///
    /// # Errors
    /// [`Full`]: it is not in the overlay.
    pub fn push(&self, name: Vec<u8>, hash: u64, state: Option<(Option<Vec<u8>>, Option<i64>)>) -> Result<(), Full> {
        let inner = self.inner.get_or_init(|| {
            Box::new(Inner {
                records: Log::new(),
                length: AtomicU32::new(0),
                names: Chains::new(CAPACITY),
            })
        });
        let index = inner.length.load(Ordering::Relaxed);
        let record = Record {
            name: name.into(),
            state: state.map(|(value, expires_ms)| Stored {
                value: value.map(Vec::into_boxed_slice),
                expires_ms,
            }),
        };
        if index as usize >= CAPACITY || !inner.records.set(index as usize, record) {
            return Err(Full);
        }
        inner.length.store(index + 1, Ordering::Relaxed);
        inner.names.link(hash, index, 0)
    }

    /// What became of a name; `None`: nothing, since the image was made.
    #[inline]
    pub fn find(&self, name: &[u8], hash: u64) -> Option<Overlaid<'_>> {
        let inner = self.inner.get()?;
        let mut records = inner
            .names
            .walk(hash)
            .filter_map(|node| inner.records.get(node.record as usize));
        let record = records.find(|record| *record.name == *name)?;
        Some(match &record.state {
            Some(stored) => Overlaid::Put(Kept {
                value: stored.value.as_deref(),
                expires_ms: stored.expires_ms,
            }),
            None => Overlaid::Removed,
        })
    }
}
