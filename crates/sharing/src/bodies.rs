//! Encodes and decodes entry bodies as JSON, so that hosts with different versions of plexindex can exchange entries.
//! Decoding ignores unknown fields, and fills missing fields with defaults.

use std::io::{Read, Write};

use flate2::Compression;
use flate2::read::ZlibDecoder;
use flate2::write::ZlibEncoder;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::contract::{EntryKind, EntryName, LARGEST_CHUNK, NewEntry, Position};
use crate::model::{Item, Library, SourceState};

/// Maximum number of items in a chunk.
pub const CHUNK_ITEMS: usize = 1_000;
/// A chunk with at least this many bytes of JSON is full.
const FULL: usize = 8 << 20;
/// Maximum size of a chunk's uncompressed JSON, in bytes. Hosts neither write nor read a larger chunk.
const LARGEST_TEXT: usize = 64 << 20;

/// The body of a probe entry: the result of the probe.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ProbeBody {
    /// The libraries that the user may see, in the server's order.
    pub libraries: Vec<Library>,
    /// Age of the list when it was written to the log, in ms.
    pub age_ms: u64,
}

/// The body of a listing entry, called the head of the listing. The head describes the chunks, and the library's state
/// after all item entries.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ListingBody {
    /// The listing's number: the fence of the lease under which the listing was published.
    pub listing: i64,
    /// Number of chunks.
    pub chunks: u32,
    /// Number of items in the chunks.
    pub listed: u64,
    /// The chunks include all item entries up to this position.
    pub included: Position,
    /// The library's change token after all item entries.
    pub change: SourceState,
    /// Number of items in the library after all item entries.
    pub items: u64,
    /// Number of item entries written since the listing was published.
    pub since: u64,
    /// Whether the listing may be inconsistent, since the library may have changed, or the server's counts disagreed.
    pub provisional: bool,
    /// Whether the library's content has changed in a way that no delta has shown.
    pub unexplained: bool,
    /// Time between the last check against the server and the writing of this entry, in ms.
    pub age_ms: u64,
}

/// The body of an item entry.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ItemBody {
    /// The item; `None` if the library no longer has it.
    pub item: Option<Item>,
}

/// Creates an entry about a library. `library`: the library's UUID; empty for a probe, which lists all libraries.
/// `key`: a path or a rating key, depending on `kind`; empty if a library has only one entry of this kind.
#[must_use]
pub fn new_entry(kind: EntryKind, library: &str, key: &[u8], body: Vec<u8>) -> NewEntry {
    NewEntry {
        name: entry_name(kind, library, key),
        body,
    }
}

/// Creates an entry name. An entry replaces an earlier entry with the same name. `library`: the library's UUID, or
/// empty for a probe. `key`: a path or a rating key, depending on `kind`, or empty.
#[must_use]
pub fn entry_name(kind: EntryKind, library: &str, key: &[u8]) -> EntryName {
    EntryName {
        kind,
        library: library.to_owned(),
        key: key.to_vec(),
    }
}

/// Encodes a body as JSON.
#[must_use]
pub fn encode(body: &impl Serialize) -> Vec<u8> {
    // Encoding fails only for maps with non-string keys, which no body contains.
    serde_json::to_vec(body).unwrap_or_default()
}

/// Decodes a body from JSON; `None` if the body has a different structure, since another version wrote it.
#[must_use]
pub fn decode<T: DeserializeOwned>(body: &[u8]) -> Option<T> {
    serde_json::from_slice(body).ok()
}

/// Collects items for one chunk. A chunk is a part of a listing in the shared log: a compressed JSON array of items.
#[derive(Default)]
pub struct Chunk {
    /// The JSON so far, without the closing bracket.
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

    /// Returns the number of items.
    #[must_use]
    pub fn len(&self) -> usize {
        self.items
    }

    /// Returns whether the chunk has no items.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.items == 0
    }

    /// Returns whether the chunk is full, so that the next item must go into another chunk.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.items >= CHUNK_ITEMS || self.text.len() >= FULL
    }

    /// Compresses the chunk for the shared log; returns `None` if a huge item makes the chunk larger than hosts accept.
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

/// Decompresses a chunk and decodes its items; `None` if the chunk is damaged or larger than hosts accept.
#[must_use]
pub fn unpack(chunk: &[u8]) -> Option<Vec<Item>> {
    let mut text = Vec::new();
    ZlibDecoder::new(chunk)
        .take(LARGEST_TEXT as u64)
        .read_to_end(&mut text)
        .ok()?;
    decode(&text)
}
