//! One library as folders are resolved in it.

use crate::matching::mappings::Mappings;
use crate::matching::member::FolderMember;
use crate::matching::resolution::ItemRef;
use crate::matching::view::View;

/// The listed content of a folder.
#[derive(Debug, Default)]
pub struct FolderContents<'v> {
    /// Items of which a file lies below it.
    pub items: u64,
    /// Files below it.
    pub files: u64,
    /// Whose it is: at most [`LIMIT`] of them.
    pub members: Vec<FolderMember<'v>>,
    /// How many there are.
    pub total: usize,
}

/// Where a folder stands to those of a library.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FolderPosition {
    /// It has nothing to do with them.
    Elsewhere,
    /// It lies above one.
    Above,
    /// It lies in one.
    Within,
    /// It is one.
    Own,
}

/// A file below a folder, in one library.
pub struct ListedFile<'v> {
    /// Its normal form, or that of what mappings make of it.
    pub form: Vec<u8>,
    /// Its item.
    pub item: ItemRef<'v>,
    /// Its path as it is listed.
    pub path: &'v [u8],
    /// The item has other files, too.
    pub is_of_several: bool,
}

/// An invalidated item: its rating key, and the paths that were invalidated; an empty one where the item itself was.
pub type Invalidated = (String, Vec<Vec<u8>>);

/// The methods of a library that resolving folders needs. Folders are in normal form, without a separator at the end.
pub trait Folders: View {
    /// Returns the listed content of a folder, by listed paths or, with `mapped`, by the host paths that
    /// server-to-host rules make.
    fn held<'v>(&'v self, folder: &[u8], mapped: bool) -> FolderContents<'v>;

    /// The items that were invalidated, and are not verified since: so many at most. Those with a file below a folder, by listed
    /// paths or by those that server-to-host rules make of them; without one all, also those that have no file.
    fn invalidated(&self, below: Option<(&[u8], bool)>, mappings: &Mappings, most: usize) -> Vec<Invalidated>;

    /// The folders of listed files with the longest common end, of at least `least` components (and one): `each` gets how many
    /// components agree, the same in all calls, and the folder; [`LIMIT`] at most. Returns how many there are.
    fn folder_suffix_matches(&self, folder: &[u8], least: usize, each: &mut dyn FnMut(usize, Vec<u8>)) -> usize;

    /// The files below a folder whose form comes behind `after`, in order: `limit` of them, and all that have the last one's
    /// form.
    fn files_below<'v>(
        &'v self,
        folder: &[u8],
        mapped: bool,
        after: Option<&[u8]>,
        limit: usize,
        each: &mut dyn FnMut(ListedFile<'v>),
    );

    /// Where a folder stands to the library's own ones, as the server sees them or mapped.
    fn place(&self, folder: &[u8]) -> FolderPosition;
}
