//! What the server lists of an item and its files that hardly ever changes, and that tools would otherwise ask for.

use serde::{Deserialize, Serialize};

/// What the server lists of an item, beyond what matching always needs. Zero and empty mean unknown.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ItemFacts {
    /// Sizes of the item's files in bytes, one for each path in [`super::Item::parts`]. They come first, so that a
    /// reader finds the size of one file without decoding the rest.
    pub sizes: Vec<u64>,
    /// The other facts of the files, one for each path.
    pub files: Vec<FileFacts>,
    /// When the server added the item, in Unix seconds.
    pub added_at: u64,
    /// Duration of the item in milliseconds.
    pub duration_ms: u64,
    /// Title of the edition, such as `Director's Cut`.
    pub edition: String,
}

/// What the server lists of a file, except its size. Zero and empty mean unknown.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct FileFacts {
    /// Plex's id of the part.
    pub part_id: u64,
    /// Plex's id of the version that the part belongs to: the parts of a stacked version share it.
    pub media_id: u64,
    /// Duration of the version in milliseconds.
    pub duration_ms: u64,
    /// Resolution as Plex names it: `4k`, `1080`, `sd`.
    pub resolution: String,
    /// The container, such as `mkv`.
    pub container: String,
    /// Whether the server made the version itself ('Optimized Versions').
    pub is_optimized: bool,
}

/// The facts of an item; `None` if the server was never asked for them, as in a listing of an earlier version. What only
/// one of two replies was asked for is no difference between them.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct KnownFacts(pub Option<Box<ItemFacts>>);

impl PartialEq for KnownFacts {
    fn eq(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (Some(facts), Some(other)) => facts == other,
            _ => true,
        }
    }
}

impl ItemFacts {
    /// Returns the size of all strings in bytes.
    #[must_use]
    pub fn text_bytes(&self) -> usize {
        let files = self.files.iter();
        self.edition.len()
            + files
                .map(|file| file.resolution.len() + file.container.len())
                .sum::<usize>()
    }

    /// Adds the facts of the next path.
    pub fn push(&mut self, size: u64, file: FileFacts) {
        self.sizes.push(size);
        self.files.push(file);
    }
}
