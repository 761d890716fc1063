//! `/library/sections/{id}/all`: type, filters, order, window (Plex API notes §3).

use std::sync::{Arc, Mutex};

use crate::ask::Ask;
use crate::cache::{Cache, Page};
use crate::config::Sorting;
use crate::containers::{self, Window};
use crate::filters::Filters;
use crate::http::Reply;
use crate::library::Library;
use crate::lock;
use crate::meta;
use crate::model::ItemType;
use crate::render::{self, Shape};
use crate::state::State;
use crate::tree::Node;

/// Answers a listing, a count or a search. `forced`: the type, whatever the request says.
pub(crate) fn answer(
    state: &State,
    cache: &Mutex<Cache>,
    ask: &Ask<'_>,
    library: &Library,
    forced: Option<ItemType>,
) -> Reply {
    let config = &state.config;
    let asked = ask.window(config);
    let kind = match forced {
        Some(kind) => Some(kind),
        None => match item_type(ask, library) {
            Ok(kind) => kind,
            Err(()) => return Reply::html(400),
        },
    };
    let cacheable = ask.distortion.is_none();
    let key = format!(
        "{:?} {} {asked:?} {kind:?} {}.{}.{} {}",
        ask.format,
        ask.gzip,
        library.key,
        library.version,
        state.version,
        ask.request.query()
    );
    let cached = if cacheable { lock(cache).get(&key) } else { None };
    let page = match cached {
        Some(page) => page,
        None => {
            let page = match page(state, ask, library, kind, asked) {
                Ok(page) => page,
                Err(status) => return Reply::html(status),
            };
            if cacheable {
                lock(cache).put(key, page.clone(), config.cache_bytes);
            }
            page
        }
    };
    ask.reply_of(page.body, page.gzip, page.window)
}

/// The requested type; `None`: no library of this kind has it. An error: a list, or not a number.
fn item_type(ask: &Ask<'_>, library: &Library) -> Result<Option<ItemType>, ()> {
    let Some(text) = ask.params.get("type") else {
        return Ok(Some(library.kind.default_type()));
    };
    let number: u32 = text.parse().map_err(|_| ())?;
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
    let mut rows = match kind {
        // 200 with nothing, sorted or not, paged or not (§12).
        Some(_) if clustered && ask.params.get("clusterZoomLevel") != Some("1") => Rows::Some(Vec::new()),
        Some(kind) => rows(state, ask, library, kind)?,
        None => Rows::Some(Vec::new()),
    };
    let limit = ask.params.get("limit").and_then(|l| l.parse().ok());
    // `limit` cuts, and spoils the total (§3).
    let total = rows.len().min(limit.unwrap_or(usize::MAX)) as u64;
    let mut window = None;
    let (from, to) = match asked {
        None => (0, total),
        Some((start, size)) => {
            let size = size.min(config.max_page.map_or(u64::MAX, u64::from));
            let from = start.min(total);
            let to = total.min(start.saturating_add(size));
            let covered = start == 0 && size >= total;
            let omit = config.omit_total_size || (config.omit_total_size_when_covered && covered);
            window = Some(Window {
                offset: start,
                total: (!omit).then_some(total),
            });
            (from, to)
        }
    };
    let chosen = rows.slice(from as usize, to as usize);
    let shape = Shape {
        guids: ask.params.flag("includeGuids"),
        ..Shape::default()
    };
    let mut document = containers::listing_head(library, kind, chosen.len(), window);
    if let Some(kind) = kind {
        let items = chosen
            .iter()
            .map(|at| render::item(library, &library.item_at(kind, *at), shape));
        document.set("Metadata", ask.excluded(config, items.collect()));
    }
    if ask.params.flag("includeMeta") {
        document.set("Meta", meta::meta(library));
    }
    let reply = ask.reply(config, document);
    Ok(Page {
        body: reply.body,
        gzip: reply.gzip,
        window,
    })
}

/// Positions of rows: the shared order of all, or some.
enum Rows {
    All(Arc<Vec<u32>>),
    Some(Vec<u32>),
}

impl Rows {
    fn len(&self) -> usize {
        match self {
            Rows::All(rows) => rows.len(),
            Rows::Some(rows) => rows.len(),
        }
    }

    fn slice(&mut self, from: usize, to: usize) -> &[u32] {
        let rows = match self {
            Rows::All(rows) => rows.as_slice(),
            Rows::Some(rows) => rows.as_slice(),
        };
        rows.get(from..to.max(from)).unwrap_or(&[])
    }
}

fn rows(state: &State, ask: &Ask<'_>, library: &Library, kind: ItemType) -> Result<Rows, u16> {
    let filters = Filters::parse(state, ask, kind);
    let sort = ask.params.get("sort").unwrap_or_default();
    let excluded = ask.params.list("excludeFields");
    // A field that is not read cannot be sorted by (§12).
    let sort = if state.config.exclusions && fields(sort).any(|field| excluded.iter().any(|one| one == field)) {
        ""
    } else {
        sort
    };
    let sort = Order::parse(state.config.sorting, sort)?;
    if filters.is_empty() {
        let order = library.order(kind, &sort.name(), |l| sort.of(l, kind, None));
        return Ok(Rows::All(order));
    }
    let matching = filters.matching(library, kind);
    Ok(Rows::Some(sort.of(library, kind, Some(matching))))
}

/// The fields that a `sort` names, without the types before them and the directions behind them.
fn fields(sort: &str) -> impl Iterator<Item = &str> {
    sort.split(',').map(|part| {
        let name = part.split_once(':').map_or(part, |(name, _)| name);
        name.rsplit('.').next().unwrap_or(name)
    })
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum By {
    Id,
    Title,
    AddedAt,
    /// A field of the row.
    Field(&'static str),
    Hash(u64),
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Value {
    Number(i64),
    Text(String),
}

/// Fields of rows that can be sorted by.
const SORTS: [&str; 5] = ["updatedAt", "year", "originallyAvailableAt", "duration", "index"];

/// An order: criteria, each with its direction.
#[derive(Clone, Debug)]
struct Order(Vec<(By, bool)>);

impl Order {
    /// An order that is not known is 400 (§12).
    fn parse(sorting: Sorting, text: &str) -> Result<Self, u16> {
        if sorting == Sorting::Arbitrary {
            return Ok(Order(vec![(By::Hash(7), false)]));
        }
        let mut criteria = Vec::new();
        for (part, name) in text.split(',').zip(fields(text)) {
            let direction = part.split_once(':').map_or("", |(_, direction)| direction);
            if !["", "asc", "desc", "nullsLast", "asc:nullsLast", "desc:nullsLast"].contains(&direction) {
                return Err(400);
            }
            let by = match name {
                "id" => By::Id,
                "titleSort" | "title" => By::Title,
                "addedAt" => By::AddedAt,
                "random" => By::Hash(0x5bd1_e995),
                "" => continue,
                _ => By::Field(SORTS.into_iter().find(|one| *one == name).ok_or(400_u16)?),
            };
            criteria.push((by, direction.starts_with("desc")));
        }
        if criteria.is_empty() {
            criteria.push((By::Title, false));
        }
        Ok(Order(criteria))
    }

    fn name(&self) -> String {
        format!("{:?}", self.0)
    }

    /// The rows of a type, or some of them (ascending by id), in this order. Ties: by id.
    fn of(&self, library: &Library, kind: ItemType, some: Option<Vec<u32>>) -> Vec<u32> {
        let mut rows = some.unwrap_or_else(|| (0..library.count(kind) as u32).collect());
        if let [(By::Id, descending)] = self.0[..] {
            if descending {
                rows.reverse();
            }
            return rows;
        }
        let mut keyed: Vec<(Vec<Value>, u32)> = rows
            .iter()
            .map(|at| {
                let values = self.0.iter().map(|(by, _)| value(library, kind, *at, *by)).collect();
                (values, *at)
            })
            .collect();
        keyed.sort_by(|(a, x), (b, y)| {
            for ((a, b), (_, descending)) in a.iter().zip(b).zip(&self.0) {
                let order = if *descending { b.cmp(a) } else { a.cmp(b) };
                if order.is_ne() {
                    return order;
                }
            }
            x.cmp(y)
        });
        rows.clear();
        rows.extend(keyed.into_iter().map(|(_, at)| at));
        rows
    }
}

fn value(library: &Library, kind: ItemType, at: u32, by: By) -> Value {
    match by {
        By::Id => Value::Number(i64::from(at)),
        By::Title => Value::Text(library.sort_title_at(kind, at)),
        By::AddedAt => Value::Number(library.added_at(kind, at)),
        By::Hash(seed) => {
            let mixed = (library.key_at(kind, at) ^ seed).wrapping_mul(0x9E37_79B9_7F4A_7C15);
            Value::Number((mixed ^ (mixed >> 29)).wrapping_mul(0xBF58_476D_1CE4_E5B9) as i64)
        }
        By::Field(name) => {
            let row = render::item(library, &library.item_at(kind, at), Shape::default());
            match row.get(name) {
                Node::Text(text) => Value::Text(text.clone()),
                Node::Number(number) => Value::Number(number.as_i64().unwrap_or(0)),
                // Before all others, whatever they are.
                _ => Value::Number(0),
            }
        }
    }
}
