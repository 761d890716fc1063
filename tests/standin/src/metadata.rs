//! `/library/metadata/{ids}` (Plex API notes §5).

use crate::ask::Ask;
use crate::config::Token;
use crate::containers::{self, Window};
use crate::http::Reply;
use crate::library::Library;
use crate::model::ItemType;
use crate::render::{self, Shape};
use crate::state::State;
use crate::tree::Row;

/// The library that has an item, if the token's user sees it.
fn place<'s>(state: &'s State, token: &Token, key: u64) -> Option<(&'s Library, ItemType, u32)> {
    let mut seen = state.libraries.iter().filter(|l| token.sees(l.key));
    seen.find_map(|l| l.find(key).map(|(kind, at)| (l, kind, at)))
}

/// Details of items in the requested order, without missing ones; 404 if all are missing.
pub(crate) fn items(state: &State, ask: &Ask<'_>, token: &Token, ids: &str) -> Result<Reply, u16> {
    let found: Vec<(&Library, ItemType, u32)> = ids
        .split(',')
        .filter_map(|id| place(state, token, id.parse().ok()?))
        .take(state.config.max_ids.map_or(usize::MAX, |most| most as usize))
        .collect();
    let first = found.first().ok_or(404_u16)?;
    let one_library = found.iter().all(|f| f.0.key == first.0.key);
    let shape = Shape {
        detail: true,
        guids: true,
    };
    let (start, size) = ask.window().unwrap_or((0, u64::MAX));
    let window = Window {
        offset: start,
        total: Some(found.len() as u64),
    };
    let chosen = found.iter().skip(start as usize).take(size as usize);
    let mut document = containers::detail_head(one_library.then_some(first.0), chosen.len(), Some(window));
    let rows: Vec<Row> = chosen
        .map(|(library, kind, at)| render::item(library, &library.item_at(*kind, *at), shape))
        .collect();
    document.set("Metadata", ask.excluded(rows));
    Ok(ask.reply(document))
}
