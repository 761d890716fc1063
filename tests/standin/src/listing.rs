//! `/library/sections/{id}/all`: type, filters, order, window (Plex API notes §3).

use std::sync::{Arc, Mutex};

use crate::ask::Ask;
use crate::cache::{Cache, Page};
use crate::containers::{self, Window};
use crate::filters;
use crate::http::Reply;
use crate::library::Library;
use crate::lock;
use crate::model::ItemType;
use crate::render::{self, Shape};
use crate::state::State;

/// Answers a listing, a count or a search. An error, here and below: the status.
pub(crate) fn answer(state: &State, cache: &Mutex<Cache>, ask: &Ask<'_>, library: &Library) -> Result<Reply, u16> {
    let asked = ask.window();
    let kind = item_type(ask, library)?;
    let version = (library.key, library.version, state.version);
    let (form, query) = ((ask.format, ask.gzip), ask.request.query());
    let key = format!("{form:?} {asked:?} {kind:?} {version:?} {query}");
    let cached = lock(cache).get(&key).filter(|_| ask.omitted.is_empty());
    let page = match cached {
        Some(page) => page,
        None => {
            let page = page(state, ask, library, kind, asked)?;
            if ask.omitted.is_empty() {
                lock(cache).put(key, page.clone());
            }
            page
        }
    };
    Ok(ask.reply_of(page.body, page.gzip, page.window))
}

/// The requested type; `None`: no library of this kind has it. An error: a list, or not a number.
fn item_type(ask: &Ask<'_>, library: &Library) -> Result<Option<ItemType>, u16> {
    let Some(text) = ask.params.get("type") else {
        return Ok(Some(library.kind.types()[0]));
    };
    let number: u32 = text.parse().map_err(|_| 400_u16)?;
    Ok(ItemType::from_number(number).filter(|t| library.kind.types().contains(t)))
}

fn page(
    state: &State,
    ask: &Ask<'_>,
    library: &Library,
    kind: Option<ItemType>,
    asked: Option<(u64, u64)>,
) -> Result<Page, u16> {
    let config = &state.config;
    let clustered = matches!(kind, Some(ItemType::Photo | ItemType::Clip));
    let rows = match kind {
        // 200 with nothing, sorted or not, paged or not (§12).
        Some(_) if clustered && ask.params.get("clusterZoomLevel") != Some("1") => Arc::default(),
        Some(kind) => rows(ask, library, kind)?,
        None => Arc::default(),
    };
    let total = rows.len() as u64;
    let mut window = None;
    let (from, to) = match asked {
        None => (0, total),
        Some((start, size)) => {
            let size = size.min(config.max_page.map_or(u64::MAX, u64::from));
            let from = start.min(total);
            let omit = ask.omitted.iter().any(|name| name == "X-Plex-Container-Total-Size");
            window = Some(Window {
                offset: start,
                total: (!omit).then_some(total.saturating_add_signed(config.unseen_rows)),
            });
            (from, total.min(start.saturating_add(size)))
        }
    };
    let chosen = &rows[from as usize..to as usize];
    let shape = Shape {
        guids: ask.params.flag("includeGuids"),
        ..Shape::default()
    };
    let mut document = containers::listing_head(library, kind, chosen.len(), window);
    if let Some(kind) = kind {
        let items = chosen
            .iter()
            .map(|at| render::item(library, &library.item_at(kind, *at), shape));
        document.set("Metadata", ask.excluded(items.collect()));
    }
    let reply = ask.reply(document);
    Ok(Page {
        body: reply.body,
        gzip: reply.gzip,
        window,
    })
}

/// The rows of a type that a request asks for, in its order. An order that is not known is 400 (§12).
fn rows(ask: &Ask<'_>, library: &Library, kind: ItemType) -> Result<Arc<Vec<u32>>, u16> {
    let sort = ask.params.get("sort").unwrap_or_default();
    let (field, direction) = sort.split_once(':').unwrap_or((sort, ""));
    // A field that is not read cannot be sorted by (§12).
    let is_read = !ask.params.list("excludeFields").iter().any(|one| one == field);
    let order = match (field, direction) {
        ("id", "" | "asc") if is_read => Order::Id,
        ("updatedAt", "desc") if is_read => Order::Newest,
        ("" | "title" | "titleSort", "" | "asc") => Order::Title,
        ("id" | "updatedAt", _) if !is_read => Order::Title,
        _ => return Err(400),
    };
    match filters::matching(ask, library, kind) {
        None => Ok(library.order(kind, order, |library| sorted(library, kind, order, None))),
        some => Ok(Arc::new(sorted(library, kind, order, some))),
    }
}

/// The orders in which rows come. Ties: by id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Order {
    Id,
    Title,
    Newest,
}

/// The rows of a type, or some of them (ascending by id), in an order.
fn sorted(library: &Library, kind: ItemType, order: Order, some: Option<Vec<u32>>) -> Vec<u32> {
    let mut rows = some.unwrap_or_else(|| (0..library.count(kind) as u32).collect());
    match order {
        Order::Id => {}
        Order::Title => rows.sort_by_cached_key(|at| library.sort_title_at(kind, *at)),
        Order::Newest => {
            rows.sort_by_cached_key(|at| std::cmp::Reverse(library.item_at(kind, *at).updated_at.unwrap_or(0)));
        }
    }
    rows
}
