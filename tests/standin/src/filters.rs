//! The filters of a listing (Plex API notes §3). Unknown ones are ignored, as Plex does.

use crate::ask::Ask;
use crate::library::Library;
use crate::model::ItemType;

/// The positions of the rows that satisfy all filters of a request, ascending; nothing where it has none.
pub(crate) fn matching(ask: &Ask<'_>, library: &Library, kind: ItemType) -> Option<Vec<u32>> {
    let value = |name| ask.params.get(name).map(str::to_lowercase);
    let (title, guid, trash) = (value("title"), ask.params.get("guid"), ask.params.get("trash"));
    let file = value("file");
    if title.is_none() && guid.is_none() && trash.is_none() && file.is_none() {
        return None;
    }
    let has = |path: &str| file.as_ref().is_none_or(|part| path.to_lowercase().contains(part));
    let rows = 0..library.count(kind) as u32;
    let found = rows.filter(|at| {
        title
            .as_ref()
            .is_none_or(|part| library.title_at(kind, *at).to_lowercase().contains(part))
            && guid.is_none_or(|guid| library.item_at(kind, *at).guid == guid)
            && (file.is_none() || library.any_file(kind, *at, has))
            && trash.is_none_or(|wanted| library.item_at(kind, *at).in_trash() == (wanted == "1"))
    });
    Some(found.collect())
}
