//! The trait through which [`FolderResolver`](crate::FolderResolver) reads a library.

use crate::library_index::LibraryIndex;
use crate::mappings::Mappings;
use crate::member::FolderMember;
use crate::resolution::FoundItem;

/// The listed contents of a folder.
#[derive(Debug, Default)]
pub struct FolderContents<'v> {
    /// Number of items with a file below the folder.
    pub items: u64,
    /// Number of files below the folder.
    pub files: u64,
    /// The shows, artists or items below the folder, at most [`MAX_CANDIDATES`](crate::MAX_CANDIDATES).
    pub members: Vec<FolderMember<'v>>,
    /// Number of members, including members beyond [`MAX_CANDIDATES`](crate::MAX_CANDIDATES).
    pub total: usize,
}

/// The relation of a folder to a library's locations. If several apply, the last of these variants is the result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FolderPosition {
    /// Outside all locations.
    Elsewhere,
    /// Contains a location.
    Above,
    /// Inside a location.
    Within,
    /// Equal to a location.
    Own,
}

/// A file below a folder.
#[derive(Clone, Debug)]
pub struct FolderFile<'v> {
    /// Normal form of the path, translated by the server-to-host mappings if any apply; the sort key of pages.
    pub form: Vec<u8>,
    /// The file's item, and the path as listed.
    pub found: FoundItem<'v>,
    /// Whether the item has more than one file.
    pub item_has_other_files: bool,
}

/// A library with the methods for [`FolderResolver`](crate::FolderResolver). Folders are normal forms without a
/// trailing separator.
pub trait FolderIndex: LibraryIndex {
    /// Returns the listed contents of a folder. `is_host_path`: the folder is a host path, so server-to-host rules
    /// translate the listed paths before the comparison.
    fn folder_contents<'v>(&'v self, folder: &[u8], is_host_path: bool) -> FolderContents<'v>;

    /// Returns the rating keys of at most `limit` items that are doubted, or withheld by a doubted path. `below`
    /// restricts the result to items with a file below a folder; its `bool` says whether server-to-host rules translate
    /// the listed paths. If `below` is `None`, the result includes items without files.
    fn invalidated_items(&self, below: Option<(&[u8], bool)>, mappings: &Mappings, limit: usize) -> Vec<String>;

    /// Finds the folders of listed files that share the longest suffix with `folder`, of at least `min_components`
    /// components (at least one). Calls `each` with the number of common components and a folder, for at most
    /// [`MAX_CANDIDATES`](crate::MAX_CANDIDATES) folders. Returns the total number of folders found.
    fn folder_suffix_matches(
        &self,
        folder: &[u8],
        min_components: usize,
        each: &mut dyn FnMut(usize, Vec<u8>),
    ) -> usize;

    /// Calls `each` for the files below a folder. The order is that of their normal forms, starting after the normal
    /// form `after`. Stops after `limit` files, but includes all files with the last normal form. `is_host_path`: the
    /// folder is a host path, so server-to-host rules translate the listed paths first. The caller sets each item's
    /// library.
    fn files_below<'v>(
        &'v self,
        folder: &[u8],
        is_host_path: bool,
        after: Option<&[u8]>,
        limit: usize,
        each: &mut dyn FnMut(FolderFile<'v>),
    );

    /// Returns the folder's position relative to the library's locations, both as the server reports the locations and
    /// as server-to-host rules translate them.
    fn folder_position(&self, folder: &[u8]) -> FolderPosition;
}
