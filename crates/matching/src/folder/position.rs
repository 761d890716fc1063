//! Compares folders with the locations of libraries.

use std::ops::Deref;

use super::folder_index::{FolderIndex, FolderPosition};
use crate::form::lies_under;
use crate::mappings::Mappings;
use crate::normal::NormalPath;

/// Returns the normal form of a folder's path; an empty string for the root folder.
#[must_use]
pub fn folder_form<'p>(path: &NormalPath<'p>) -> &'p [u8] {
    path.form().strip_suffix(b"/").unwrap_or(path.form())
}

/// Returns, for each library in `libraries`, whether the folder equals a location of the library, lies in one, contains
/// one, or is outside all of them. If mappings rewrite the folder, returns the nearest of the resulting positions.
#[must_use]
pub fn folder_positions<V: Deref<Target: FolderIndex>>(
    libraries: &[V],
    mappings: &Mappings,
    path: &NormalPath<'_>,
) -> Vec<FolderPosition> {
    let folder = folder_form(path);
    let mut positions: Vec<FolderPosition> = libraries.iter().map(|view| view.folder_position(folder)).collect();
    rewrite_folder(mappings, folder, |folder| {
        for (position, view) in positions.iter_mut().zip(libraries) {
            *position = (*position).max(view.folder_position(folder));
        }
        None::<()>
    });
    positions
}

/// Rewrites a folder by each matching host-to-server rule in order, and calls `each` with each result. Returns the
/// first `Some` that `each` returns; `None` if `each` never returns `Some`. All folders are in normal form.
pub fn rewrite_folder<R>(mappings: &Mappings, folder: &[u8], mut each: impl FnMut(&[u8]) -> Option<R>) -> Option<R> {
    if !mappings.has_host_to_server_rules() {
        return None;
    }
    // Rules match paths below a folder, such as `^/mnt/tv/(.*)`, so this code appends a separator to the folder.
    NormalPath::with(&[folder, b"/"].concat(), |below| {
        mappings.to_server(below, |path| NormalPath::with(path, |path| each(folder_form(path))))
    })
}

/// Returns whether the folder equals a location, lies in one, contains one, or is outside all locations. The first of
/// these that applies to any location is the result. The folder and the locations are in normal form, and the folder
/// has no trailing separator.
#[must_use]
pub fn nearest_position<'f>(folder: &[u8], locations: impl Iterator<Item = &'f [u8]>) -> FolderPosition {
    // Without its trailing separator, the root folder is an empty string.
    let ancestor: &[u8] = if folder.is_empty() { b"/" } else { folder };
    let position = |location: &[u8]| {
        if lies_under(folder, location) {
            FolderPosition::Within
        } else if location == ancestor {
            FolderPosition::Own
        } else if lies_under(location, ancestor) {
            FolderPosition::Above
        } else {
            FolderPosition::Elsewhere
        }
    };
    locations.map(position).max().unwrap_or(FolderPosition::Elsewhere)
}
