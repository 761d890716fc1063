//! Where a folder stands to those of the libraries.

use std::ops::Deref;

use super::view::{FolderPosition, Folders};
use crate::matching::form::lies_under;
use crate::matching::mappings::Mappings;
use crate::matching::normal::Normal;

/// A folder's normal form: that of its path, without separators at the end.
#[must_use]
pub fn folder_form<'p>(path: &Normal<'p>) -> &'p [u8] {
    let form = path.form();
    let end = form.iter().rposition(|byte| *byte != b'/').map_or(0, |at| at + 1);
    &form[..end]
}

/// Where a folder stands to those of the libraries, as given or mapped; of all libraries, be they asked or not.
#[must_use]
pub fn places_of<L, V>(views: &[V], mappings: &Mappings, path: &Normal<'_>) -> Vec<FolderPosition>
where
    L: Folders,
    V: Deref<Target = L>,
{
    let folder = folder_form(path);
    let mut places: Vec<FolderPosition> = views.iter().map(|view| view.place(folder)).collect();
    rewritten(mappings, folder, |folder| {
        for (place, view) in places.iter_mut().zip(views) {
            *place = (*place).max(view.place(folder));
        }
        None::<()>
    });
    places
}

/// Gives `each` what host-to-server rules make of a folder, in order, until it gives something.
pub fn rewritten<R>(mappings: &Mappings, folder: &[u8], mut each: impl FnMut(&[u8]) -> Option<R>) -> Option<R> {
    if !mappings.rewrites() {
        return None;
    }
    // Rules are written for what lies below a folder: `^/mnt/tv/(.*)`.
    Normal::with(&[folder, b"/"].concat(), |below| {
        mappings.to_server(below, |path| Normal::with(path, |path| each(folder_form(path))))
    })
}

/// Where a folder stands to these, all in normal form and the folder without separators at its end.
#[must_use]
pub fn place_among<'f>(folder: &[u8], locations: impl Iterator<Item = &'f [u8]>) -> FolderPosition {
    // The root has lost its only separator.
    let above: &[u8] = if folder.is_empty() { b"/" } else { folder };
    let names = |form: &'_ [u8]| form.split(|byte| *byte == b'/').filter(|name| !name.is_empty()).count();
    let place = |location: &[u8]| {
        // The same, whatever separators it has.
        let below = [folder, b"/-"].concat();
        if lies_under(folder, location) {
            FolderPosition::Within
        } else if lies_under(&below, location) && names(folder) == names(location) {
            FolderPosition::Own
        } else if lies_under(location, above) {
            FolderPosition::Above
        } else {
            FolderPosition::Elsewhere
        }
    };
    locations.map(place).max().unwrap_or(FolderPosition::Elsewhere)
}
