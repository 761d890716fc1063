//! The answer for a folder.

use crate::model::{Confidence, ItemType, MatchKind, Reason};
use crate::resolution::FoundItem;

/// A matched folder of one library.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundFolder {
    /// Index of the library among the resolver's libraries.
    pub library: usize,
    /// Normal form of the folder.
    pub form: Vec<u8>,
    /// Whether `form` is a host path, translated by server-to-host rules.
    pub is_host_path: bool,
}

/// The answer for a folder.
#[derive(Debug)]
pub struct FolderResolution<'v> {
    /// The kind of match.
    pub match_kind: MatchKind,
    /// Confidence; `None` if there is no match.
    pub confidence: Confidence,
    /// The reason for a miss or for several items, or the evidence for a suffix match.
    pub reason: Reason,
    /// The shows, artists, seasons, albums or single items below the folder, at most
    /// [`MAX_CANDIDATES`](crate::MAX_CANDIDATES).
    pub found: Vec<FoundItem<'v>>,
    /// Number of shows, artists or items below the folder. If more than [`MAX_CANDIDATES`](crate::MAX_CANDIDATES)
    /// folders match by suffix, at least the number of folders.
    pub total: usize,
    /// Number of items with a file below the folder; 0 if several folders match by suffix.
    pub items: u64,
    /// Number of files below the folder; 0 if several folders match by suffix.
    pub files: u64,
    /// Type of the single match; otherwise [`ItemType::Other`].
    pub kind: ItemType,
    /// The matched folders.
    pub folders: Vec<FoundFolder>,
    /// Whether a segment is damaged, so that the caller must rebuild the segment and resolve the folder again.
    pub is_broken: bool,
}

impl Default for FolderResolution<'_> {
    fn default() -> Self {
        Self {
            match_kind: MatchKind::None,
            confidence: Confidence::None,
            reason: Reason::None,
            found: Vec::new(),
            total: 0,
            items: 0,
            files: 0,
            kind: ItemType::Other,
            folders: Vec::new(),
            is_broken: false,
        }
    }
}
