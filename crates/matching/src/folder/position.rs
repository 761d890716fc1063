//! Compares folders with the locations of libraries.

use std::ops::Deref;

use super::folder_index::{FolderIndex, FolderPosition};
use crate::form::lies_under;
use crate::mappings::Mappings;
use crate::normal::NormalPath;

/// Returns the normal form of a folder's path, without trailing separators.
#[must_use]
pub fn folder_form<'p>(path: &NormalPath<'p>) -> &'p [u8] {
    let form = path.form();
    let end = form.iter().rposition(|byte| *byte != b'/').map_or(0, |last| last + 1);
    &form[..end]
}

/// Returns, for each library in `views`, whether the folder equals a location of the library, lies in one, contains
/// one, or is outside all of them. If mappings rewrite the folder, returns the nearest of the resulting positions.
#[must_use]
pub fn folder_positions<L, V>(views: &[V], mappings: &Mappings, path: &NormalPath<'_>) -> Vec<FolderPosition>
where
    L: FolderIndex,
    V: Deref<Target = L>,
{
    let folder = folder_form(path);
    let mut positions: Vec<FolderPosition> = views.iter().map(|view| view.folder_position(folder)).collect();
    rewrite_folder(mappings, folder, |folder| {
        for (position, view) in positions.iter_mut().zip(views) {
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
    let component_count = |form: &'_ [u8]| form.split(|byte| *byte == b'/').filter(|name| !name.is_empty()).count();
    let position = |location: &[u8]| {
        // A location can have redundant separators, so this code compares components: the folder equals the location if
        // a path in the folder lies under the location, and both have the same number of components.
        let path_in_folder = [folder, b"/-"].concat();
        if lies_under(folder, location) {
            FolderPosition::Within
        } else if lies_under(&path_in_folder, location) && component_count(folder) == component_count(location) {
            FolderPosition::Own
        } else if lies_under(location, ancestor) {
            FolderPosition::Above
        } else {
            FolderPosition::Elsewhere
        }
    };
    locations.map(position).max().unwrap_or(FolderPosition::Elsewhere)
}
