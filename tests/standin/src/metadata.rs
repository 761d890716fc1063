//! `/library/metadata/{ids}` and the paths below it (Plex API notes §5).

use crate::ask::Ask;
use crate::config::Token;
use crate::containers::{self, Window};
use crate::http::Reply;
use crate::library::Library;
use crate::model::{Item, ItemType};
use crate::render::{self, Shape};
use crate::state::State;
use crate::tree::{Row, row};

/// The library that has an item, if the token's user sees it.
fn place<'s>(state: &'s State, token: &Token, key: u64) -> Option<(&'s Library, ItemType, u32)> {
    state
        .libraries
        .iter()
        .filter(|l| token.sees(l.key))
        .find_map(|l| l.find(key).map(|(kind, at)| (l, kind, at)))
}

fn cut(rows: usize, asked: Option<(u64, u64)>) -> (std::ops::Range<usize>, Option<Window>) {
    match asked {
        None => (0..rows, None),
        Some((start, size)) => {
            let from = (start.min(rows as u64)) as usize;
            let to = (start.saturating_add(size)).min(rows as u64) as usize;
            let window = Window {
                offset: start,
                total: Some(rows as u64),
            };
            (from..to.max(from), Some(window))
        }
    }
}

/// Details of items in the requested order, without missing ones; 404 if all are missing.
pub(crate) fn items(state: &State, ask: &Ask<'_>, token: &Token, ids: &str) -> Reply {
    let most = state.config.max_ids.map_or(usize::MAX, |m| m as usize);
    let mut found: Vec<(&Library, ItemType, u32)> = ids
        .split(',')
        .filter_map(|id| id.parse().ok())
        .filter_map(|key| place(state, token, key))
        .collect();
    found.truncate(most);
    let Some(first) = found.first() else {
        return Reply::html(404);
    };
    let one_library = found.iter().all(|f| f.0.key == first.0.key);
    let (range, window) = cut(found.len(), ask.window(&state.config));
    let shape = Shape {
        detail: true,
        guids: true,
        check_files: ask.params.flag("checkFiles"),
    };
    let mut document = containers::detail_head(one_library.then_some(first.0), range.len(), window);
    document.set("Metadata", ask.excluded(&state.config, rows(&found[range], shape)));
    let reply = ask.reply(&state.config, document);
    ask.reply_of(reply.body, reply.gzip, window)
}

fn rows(rows: &[(&Library, ItemType, u32)], shape: Shape) -> Vec<Row> {
    let rows = rows.iter();
    rows.map(|(library, kind, at)| render::item(library, &library.item_at(*kind, *at), shape))
        .collect()
}

/// `/children` and `/allLeaves`.
pub(crate) fn below(state: &State, ask: &Ask<'_>, token: &Token, id: &str, all_leaves: bool) -> Reply {
    let Some((library, kind, at)) = id.parse().ok().and_then(|key| place(state, token, key)) else {
        return Reply::html(404);
    };
    let parent = library.item_at(kind, at);
    let mut children: Vec<(&Library, ItemType, u32)> = if all_leaves {
        library.leaves_below(parent.key)
    } else {
        library.children().get(&parent.key).cloned().unwrap_or_default()
    }
    .into_iter()
    .map(|(kind, at)| (library, kind, at))
    .collect();
    children.sort_by_key(|(l, kind, at)| {
        let item = l.item_at(*kind, *at);
        let season = item.parent.as_ref().and_then(|p| p.index);
        (season.filter(|_| all_leaves), item.index, item.key)
    });
    let (range, window) = cut(children.len(), ask.window(&state.config));
    let extra = kind == ItemType::Show && !all_leaves && !ask.params.flag("excludeAllLeaves");
    let shape = Shape {
        guids: ask.params.flag("includeGuids"),
        ..Shape::default()
    };
    // The extra directory is counted among the rows (§3).
    let mut document = containers::detail_head(Some(library), range.len() + usize::from(extra), window);
    document.0.extend(parent_fields(library, &parent).0);
    if extra {
        let all = row! {
            "leafCount": library.leaves_below(parent.key).len(), "viewedLeafCount": 0_u32,
            "thumb": format!("/library/metadata/{}/thumb/1", parent.key),
            "key": format!("/library/metadata/{}/allLeaves", parent.key), "title": "All episodes",
        };
        document.set("Directory", vec![all]);
    }
    document.set("Metadata", rows(&children[range], shape));
    let reply = ask.reply(&state.config, document);
    ask.reply_of(reply.body, reply.gzip, window)
}

fn parent_fields(library: &Library, parent: &Item) -> Row {
    let child = match parent.kind {
        ItemType::Show => "season",
        ItemType::Season => "episode",
        ItemType::Artist => "album",
        ItemType::Album => "track",
        _ => "photo",
    };
    let top = parent.parent.as_ref();
    row! {
        "key": parent.key.to_string(), "nocache": true, "parentIndex": parent.index, "parentTitle": &parent.title,
        "parentYear": parent.year, "grandparentRatingKey": top.map(|top| top.key),
        "grandparentTitle": top.map(|top| &top.title), "title1": &library.title, "title2": &parent.title,
        "viewGroup": child, "viewMode": 65_593_u32,
    }
}
