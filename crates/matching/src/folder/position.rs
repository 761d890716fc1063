//! Positions of a folder relative to the locations of libraries.

use std::ops::Deref;

use super::view::{FolderPosition, Folders};
use crate::form::lies_under;
use crate::mappings::Mappings;
use crate::normal::Normal;

/// Returns the normal form of a folder: that of its path, without trailing separators.
#[must_use]
pub fn folder_form<'p>(path: &Normal<'p>) -> &'p [u8] {
    let form = path.form();
    let end = form.iter().rposition(|byte| *byte != b'/').map_or(0, |at| at + 1);
    &form[..end]
}

/// Returns the folder's position relative to the locations of each view, also of views out of scope. If mappings apply
/// to the folder, the nearest position counts.
#[must_use]
pub fn folder_positions<L, V>(views: &[V], mappings: &Mappings, path: &Normal<'_>) -> Vec<FolderPosition>
where
    L: Folders,
    V: Deref<Target = L>,
{
    let folder = folder_form(path);
    let mut positions: Vec<FolderPosition> = views.iter().map(|view| view.position(folder)).collect();
    rewrite_folder(mappings, folder, |folder| {
        for (position, view) in positions.iter_mut().zip(views) {
            *position = (*position).max(view.position(folder));
        }
        None::<()>
    });
    positions
}

/// Rewrites a folder by each host-to-server rule that matches, in order, until `each` returns `Some`.
pub fn rewrite_folder<R>(mappings: &Mappings, folder: &[u8], mut each: impl FnMut(&[u8]) -> Option<R>) -> Option<R> {
    if !mappings.has_host_rules() {
        return None;
    }
    // Rules are written for what lies below a folder: `^/mnt/tv/(.*)`.
    Normal::with(&[folder, b"/"].concat(), |below| {
        mappings.to_server(below, |path| Normal::with(path, |path| each(folder_form(path))))
    })
}

/// Returns the folder's position relative to these locations. All are in normal form; the folder has no trailing
/// separator.
#[must_use]
pub fn position_among<'f>(folder: &[u8], locations: impl Iterator<Item = &'f [u8]>) -> FolderPosition {
    // Without its trailing separator, the root is empty.
    let above: &[u8] = if folder.is_empty() { b"/" } else { folder };
    let name_count = |form: &'_ [u8]| form.split(|byte| *byte == b'/').filter(|name| !name.is_empty()).count();
    let position = |location: &[u8]| {
        // A path in the folder. If it lies under the location, and both have as many names, they are the same folder,
        // however many separators the location has.
        let below = [folder, b"/-"].concat();
        if lies_under(folder, location) {
            FolderPosition::Within
        } else if lies_under(&below, location) && name_count(folder) == name_count(location) {
            FolderPosition::Own
        } else if lies_under(location, above) {
            FolderPosition::Above
        } else {
            FolderPosition::Elsewhere
        }
    };
    locations.map(position).max().unwrap_or(FolderPosition::Elsewhere)
}
