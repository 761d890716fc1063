//! The answer for a folder.

use crate::matching::resolution::FoundItem;
use crate::model::{Confidence, ItemType, Reason, Rung};

/// A folder of a library that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundFolder {
    /// Which view.
    pub library: usize,
    /// Its normal form.
    pub form: Vec<u8>,
    /// Whether server-to-host rules lead to it.
    pub mapped: bool,
}

/// The answer for a folder.
#[derive(Debug, Default)]
pub struct FolderResolution<'v> {
    /// How it matched.
    pub rung: Rung,
    /// High, or low, or none when nothing was found.
    pub confidence: Confidence,
    /// Why there is no single item.
    pub reason: Reason,
    /// Whose what is below it is: so many as an answer holds.
    pub found: Vec<FoundItem<'v>>,
    /// How many there are. By its end, several folders are counted instead.
    pub total: usize,
    /// Items of which a file lies below it. Of several folders with the same end 0.
    pub items: u64,
    /// Files below it; 0 as above.
    pub files: u64,
    /// What the folder is: the type of the one that was found.
    pub kind: ItemType,
    /// Where it is listed.
    pub folders: Vec<FoundFolder>,
    /// A segment is damaged: rebuild it and ask again.
    pub broken: bool,
    /// Of a library that was never fetched, by one file below it: what else is there is not known.
    pub by_one_file: bool,
}
