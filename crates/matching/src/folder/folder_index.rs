//! The trait through which folder resolution reads a library.

use crate::library_index::LibraryIndex;
use crate::mappings::Mappings;
use crate::member::FolderMember;
use crate::resolution::ItemRef;

/// The listed content of a folder.
#[derive(Debug, Default)]
pub struct FolderContents<'v> {
    /// Number of items with a file below the folder.
    pub items: u64,
    /// Number of files below the folder.
    pub files: u64,
    /// Shows, artists or items below the folder: at most [`MAX_CANDIDATES`](crate::MAX_CANDIDATES).
    pub members: Vec<FolderMember<'v>>,
    /// Number of members, including those beyond [`MAX_CANDIDATES`](crate::MAX_CANDIDATES).
    pub total: usize,
}

/// Position of a folder relative to the nearest of a library's locations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FolderPosition {
    /// Outside all locations.
    Elsewhere,
    /// Above a location.
    Above,
    /// Inside a location.
    Within,
    /// Equal to a location.
    Own,
}

/// A file below a folder, in one library.
pub struct ListedFile<'v> {
    /// Normal form of the path, after server-to-host mappings where these apply.
    pub form: Vec<u8>,
    /// The item.
    pub item: ItemRef<'v>,
    /// The listed path.
    pub path: &'v [u8],
    /// Whether the item has other files too.
    pub is_of_several: bool,
}

/// An invalidated item: its rating key and its invalidated paths. An empty path stands for the whole item.
pub type Invalidated = (String, Vec<Vec<u8>>);

/// The methods of a library that [`FolderResolver`](crate::FolderResolver) calls. Folders are in normal form, without a
/// separator at the end.
pub trait Folders: LibraryIndex {
    /// Returns the listed content of a folder. `mapped`: the folder is a host path, and server-to-host rules apply to
    /// the listed paths.
    fn contents<'v>(&'v self, folder: &[u8], mapped: bool) -> FolderContents<'v>;

    /// Returns at most `limit` items that were invalidated and not verified since. `below` (a folder, and whether
    /// server-to-host rules apply) restricts them to items with a file below that folder. With `None`, items without
    /// files count too.
    fn invalidated(&self, below: Option<(&[u8], bool)>, mappings: &Mappings, limit: usize) -> Vec<Invalidated>;

    /// Finds the folders of listed files that share the longest suffix with `folder`, if the suffix has at least
    /// `min_components` components (and at least one). Calls `each` with the number of common components, the same in
    /// all calls, and the folder, for at most [`MAX_CANDIDATES`](crate::MAX_CANDIDATES) folders. Returns the total
    /// number of such folders.
    fn folder_suffix_matches(
        &self,
        folder: &[u8],
        min_components: usize,
        each: &mut dyn FnMut(usize, Vec<u8>),
    ) -> usize;

    /// Calls `each` for the files below a folder whose normal form is greater than `after`, in order: for `limit`
    /// files, and for all further files that share the last form. `mapped`: as in [`Folders::contents`].
    fn files_below<'v>(
        &'v self,
        folder: &[u8],
        mapped: bool,
        after: Option<&[u8]>,
        limit: usize,
        each: &mut dyn FnMut(ListedFile<'v>),
    );

    /// Returns the folder's position relative to the library's locations. Each location counts both in the server's
    /// spelling and after server-to-host rules.
    fn position(&self, folder: &[u8]) -> FolderPosition;
}
