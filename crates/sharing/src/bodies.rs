//! The contents of entries: JSON, so that hosts of several versions understand each other. Unknown fields are passed
//! over, missing ones have defaults.

use std::io::{Read, Write};

use flate2::Compression;
use flate2::read::ZlibDecoder;
use flate2::write::ZlibEncoder;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::contract::{EntryKind, EntryName, LARGEST_CHUNK, NewEntry, Position};
use crate::model::{Change, Item, Library};

/// Most items of a chunk.
pub const CHUNK_ITEMS: usize = 1_000;
/// A chunk whose text has so many bytes takes no more items.
const FULL: usize = 8 << 20;
/// The largest chunk that is unpacked, in bytes.
const LARGEST_TEXT: usize = 64 << 20;

/// A probe.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ProbeBody {
    /// The libraries that the user may see, in the server's order.
    pub libraries: Vec<Library>,
    /// The age of this list when it was written to the log, ms.
    pub age_ms: u64,
}

/// The head of a listing, and what the items since then lead to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ListingBody {
    /// The number of the listing: the fence of the lease under which it was published.
    pub listing: i64,
    /// Number of its chunks.
    pub chunks: u32,
    /// Number of items in the chunks.
    pub listed: u64,
    /// Entries of items up to this position are in the chunks.
    pub included: Position,
    /// The state of the library that the chunks and the items since lead to.
    pub change: Change,
    /// Number of items at that state.
    pub items: u64,
    /// Number of items that were told since the listing was published.
    pub since: u64,
    /// The server may have changed while it was listed, or its counts disagreed.
    pub provisional: bool,
    /// How long ago the server was last seen to be in this state when it was written, ms.
    pub age_ms: u64,
}

/// An item.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ItemBody {
    /// The item; `None`: the library has it no more.
    pub item: Option<Item>,
    /// It was asked for by its key, which ends an earlier invalidation.
    pub verified: bool,
}

/// The result of a search.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SearchBody {
    /// The items that were found.
    pub items: Vec<Item>,
    /// Time since the first of the searches in a row that found nothing, ms.
    pub missing_ms: i64,
}

/// An entry of a library.
#[must_use]
pub fn entry(kind: EntryKind, library: &str, key: &[u8], body: Vec<u8>) -> NewEntry {
    NewEntry {
        name: name(kind, library, key),
        body,
    }
}

/// The name of an entry.
#[must_use]
pub fn name(kind: EntryKind, library: &str, key: &[u8]) -> EntryName {
    EntryName {
        kind,
        library: library.to_owned(),
        key: key.to_vec(),
    }
}

/// Encodes a body.
#[must_use]
pub fn encode(body: &impl Serialize) -> Vec<u8> {
    // Only maps with keys that are no texts fail, and there are none.
    serde_json::to_vec(body).unwrap_or_default()
}

/// Decodes a body; `None` if another version wrote something else.
#[must_use]
pub fn decode<T: DeserializeOwned>(body: &[u8]) -> Option<T> {
    serde_json::from_slice(body).ok()
}

/// A chunk that is being filled.
#[derive(Default)]
pub struct Chunk {
    text: Vec<u8>,
    items: usize,
}

impl Chunk {
    /// Adds an item.
    pub fn push(&mut self, item: &Item) {
        self.text.push(if self.items == 0 { b'[' } else { b',' });
        self.text.append(&mut encode(item));
        self.items += 1;
    }

    /// Number of items.
    #[must_use]
    pub fn len(&self) -> usize {
        self.items
    }

    /// Returns whether it has no item.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.items == 0
    }

    /// Returns whether it takes no more items.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.items >= CHUNK_ITEMS || self.text.len() >= FULL
    }

    /// Packs it; `None` if no host would unpack it, as one item is too large.
    #[must_use]
    pub fn pack(self) -> Option<Vec<u8>> {
        let mut text = self.text;
        if text.is_empty() {
            text.push(b'[');
        }
        text.push(b']');
        let mut packed = ZlibEncoder::new(Vec::new(), Compression::fast());
        // Writing to memory does not fail.
        let _ = packed.write_all(&text);
        let packed = packed.finish().unwrap_or_default();
        (text.len() <= LARGEST_TEXT && packed.len() <= LARGEST_CHUNK).then_some(packed)
    }
}

/// Packs items into a chunk.
#[must_use]
pub fn pack(items: &[Item]) -> Vec<u8> {
    let mut chunk = Chunk::default();
    for item in items {
        chunk.push(item);
    }
    chunk.pack().unwrap_or_default()
}

/// Unpacks a chunk; `None` if it is damaged.
#[must_use]
pub fn unpack(chunk: &[u8]) -> Option<Vec<Item>> {
    let mut text = Vec::new();
    ZlibDecoder::new(chunk)
        .take(LARGEST_TEXT as u64)
        .read_to_end(&mut text)
        .ok()?;
    decode(&text)
}
