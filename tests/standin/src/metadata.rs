//! `/library/metadata/{ids}` and the paths below it (Plex API notes §5).

use crate::ask::{Ask, window_headers};
use crate::config::Token;
use crate::containers::{self, Window};
use crate::http::Reply;
use crate::library::Library;
use crate::model::{Item, ItemType};
use crate::render::{self, Shape};
use crate::state::State;
use crate::writer::Writer;

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
    let mut reply = ask.document(&state.config, |w| {
        if state.config.exclusions {
            w.exclude(ask.params.list("excludeElements"), ask.params.list("excludeFields"));
        }
        w.container();
        let size = range.len() as u64;
        containers::detail_head(w, one_library.then_some(first.0), size, window);
        rows(w, &found[range.clone()], shape);
        w.end_container();
    });
    if let Some(window) = window {
        window_headers(&mut reply, window);
    }
    reply
}

fn rows(w: &mut Writer, rows: &[(&Library, ItemType, u32)], shape: Shape) {
    if !rows.is_empty() && w.list("Metadata") {
        for (library, kind, at) in rows {
            render::item(w, library, &library.item_at(*kind, *at), shape);
        }
        w.end_list();
    }
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
    let mut reply = ask.document(&state.config, |w| {
        w.container();
        // The extra directory is counted among the rows (§3).
        let size = range.len() as u64 + u64::from(extra);
        containers::detail_head(w, Some(library), size, window);
        parent_fields(w, library, &parent);
        if extra && w.list("Directory") {
            w.open("Directory");
            w.int("leafCount", library.leaves_below(parent.key).len() as u64);
            w.str("thumb", &format!("/library/metadata/{}/thumb/1", parent.key));
            w.int("viewedLeafCount", 0);
            w.str("key", &format!("/library/metadata/{}/allLeaves", parent.key));
            w.str("title", "All episodes");
            w.close("Directory");
            w.end_list();
        }
        rows(w, &children[range.clone()], shape);
        w.end_container();
    });
    if let Some(window) = window {
        window_headers(&mut reply, window);
    }
    reply
}

fn parent_fields(w: &mut Writer, library: &Library, parent: &Item) {
    w.str("key", &parent.key.to_string());
    w.bool("nocache", true);
    if let Some(index) = parent.index {
        w.int("parentIndex", index);
    }
    w.str("parentTitle", &parent.title);
    if let Some(year) = parent.year {
        w.int("parentYear", year);
    }
    if let Some(top) = &parent.parent {
        w.int("grandparentRatingKey", top.key);
        w.str("grandparentTitle", &top.title);
    }
    w.str("title1", &library.title);
    w.str("title2", &parent.title);
    let child = match parent.kind {
        ItemType::Show => "season",
        ItemType::Season => "episode",
        ItemType::Artist => "album",
        ItemType::Album => "track",
        _ => "photo",
    };
    w.str("viewGroup", child);
    w.int("viewMode", 65_593);
}
