//! The filters of a listing (Plex API notes §3). Unknown ones are ignored, as Plex does.

use std::collections::HashSet;

use crate::ask::Ask;
use crate::config::FileFilter;
use crate::library::Library;
use crate::model::{Item, ItemType};
use crate::query::operator;
use crate::render::{self, Shape, tag_element, tag_id};
use crate::state::State;
use crate::tree::Node;

enum Filter {
    Title {
        operator: &'static str,
        value: String,
    },
    /// The title of the show, season, artist or album above.
    Above {
        kind: ItemType,
        value: String,
    },
    File(String),
    Guid(String),
    Id(HashSet<u64>),
    AddedAt {
        operator: &'static str,
        value: i64,
    },
    /// A field of the row, as it is written.
    Field {
        name: String,
        operator: &'static str,
        values: Vec<String>,
    },
    Tag {
        element: String,
        not: bool,
        values: Vec<String>,
    },
    Duplicate,
    Trash(bool),
    Unmatched(bool),
    Nothing,
}

/// All filters of a request; a row must satisfy each.
pub(crate) struct Filters(Vec<Filter>);

fn known_operator(operator: &str) -> Option<&'static str> {
    ["=", "==", "!=", "!==", ">=", ">>=", "<=", "<<="]
        .into_iter()
        .find(|o| *o == operator)
}

/// `-30d` is so long before now; anything else is epoch seconds.
fn moment(text: &str, now: i64) -> Option<i64> {
    let Some(rest) = text.strip_prefix('-') else {
        return text.parse().ok();
    };
    let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, unit) = rest.split_at(digits);
    let seconds = match unit {
        "" | "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        "w" => 7 * 86_400,
        "mon" => 30 * 86_400,
        "y" => 365 * 86_400,
        _ => return None,
    };
    Some(now - number.parse::<i64>().ok()?.checked_mul(seconds)?)
}

impl Filters {
    pub fn parse(state: &State, ask: &Ask<'_>, kind: ItemType) -> Self {
        let mut filters = Vec::new();
        for (name, value) in &ask.params.0 {
            let (name, operator, value) = operator(name, value);
            let Some(operator) = known_operator(operator) else {
                continue;
            };
            let (prefix, field) = name.rsplit_once('.').unwrap_or(("", name));
            if !prefix.is_empty() && prefix != kind.search_name() {
                let above = ItemType::ALL.into_iter().find(|t| t.search_name() == prefix);
                if let (Some(above), "title") = (above, field) {
                    filters.push(Filter::Above {
                        kind: above,
                        value: value.to_lowercase(),
                    });
                }
                continue;
            }
            filters.extend(one(state, field, operator, value));
        }
        Filters(filters)
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The positions of the rows that satisfy all, ascending.
    pub fn matching(&self, library: &Library, kind: ItemType) -> Vec<u32> {
        let all: Box<dyn Iterator<Item = u32>> = match self.ids() {
            // One key is looked up, not searched for.
            Some(ids) => {
                let mut found: Vec<u32> = ids
                    .iter()
                    .filter_map(|id| library.find(*id).filter(|f| f.0 == kind).map(|f| f.1))
                    .collect();
                found.sort_unstable();
                Box::new(found.into_iter())
            }
            None => Box::new(0..library.count(kind) as u32),
        };
        let rows: Vec<u32> = all
            .filter(|at| {
                let mut item = None;
                self.0.iter().all(|f| matches(f, library, kind, *at, &mut item))
            })
            .collect();
        rows
    }

    fn ids(&self) -> Option<&HashSet<u64>> {
        self.0.iter().find_map(|f| match f {
            Filter::Id(ids) => Some(ids),
            _ => None,
        })
    }
}

fn one(state: &State, field: &str, operator: &'static str, value: &str) -> Option<Filter> {
    let texts = || value.split(',').map(str::to_lowercase).collect::<Vec<_>>();
    let not = operator.starts_with('!');
    let on = value == "1" && !not;
    let row_field = |values| Filter::Field {
        name: field.to_owned(),
        operator,
        values,
    };
    match field {
        "title" => Some(Filter::Title {
            operator,
            value: value.to_lowercase(),
        }),
        "file" => match state.config.file_filter {
            FileFilter::Ignored => None,
            FileFilter::Nothing => Some(Filter::Nothing),
            FileFilter::Substring => Some(Filter::File(value.to_lowercase())),
        },
        "guid" => Some(Filter::Guid(value.to_owned())),
        "id" => Some(Filter::Id(value.split(',').filter_map(|v| v.parse().ok()).collect())),
        "addedAt" => Some(Filter::AddedAt {
            operator,
            value: moment(value, state.now())?,
        }),
        "updatedAt" => Some(row_field(vec![moment(value, state.now())?.to_string()])),
        "year" | "index" | "studio" | "contentRating" => Some(row_field(texts())),
        "genre" | "label" | "collection" | "country" | "director" | "writer" | "actor" => Some(Filter::Tag {
            element: tag_element(field),
            not,
            values: texts(),
        }),
        "duplicate" => on.then_some(Filter::Duplicate),
        "trash" => Some(Filter::Trash(on)),
        "unmatched" => Some(Filter::Unmatched(on)),
        _ => None,
    }
}

fn compare(left: i64, operator: &str, right: i64) -> bool {
    match operator {
        "=" | "==" => left == right,
        "!=" | "!==" => left != right,
        ">>=" | ">=" => left >= right,
        _ => left <= right,
    }
}

/// Whether a field of a row satisfies an operator: numbers by size, everything else by equality.
fn compare_field(field: &Node, operator: &str, values: &[String]) -> bool {
    let text = match field {
        Node::Text(text) => text.to_lowercase(),
        Node::Number(number) => number.to_string(),
        _ => return false,
    };
    match (text.parse(), values.first().and_then(|value| value.parse().ok())) {
        (Ok(left), Some(right)) if operator.contains(['<', '>']) => compare(left, operator, right),
        _ => values.contains(&text) != operator.starts_with('!'),
    }
}

fn matches<'l>(
    filter: &Filter,
    library: &'l Library,
    kind: ItemType,
    at: u32,
    cached: &mut Option<std::borrow::Cow<'l, Item>>,
) -> bool {
    match filter {
        Filter::Nothing => return false,
        Filter::Title { operator, value } => {
            let title = library.title_at(kind, at).to_lowercase();
            return match *operator {
                "==" => title == *value,
                "!==" => title != *value,
                "!=" => !title.contains(value.as_str()),
                "<=" => title.starts_with(value.as_str()),
                ">=" => title.ends_with(value.as_str()),
                _ => title.contains(value.as_str()),
            };
        }
        Filter::File(value) => {
            return library.any_file(kind, at, |path| path.to_lowercase().contains(value.as_str()));
        }
        Filter::Guid(guid) => return library.guid_at(kind, at) == guid.as_str(),
        Filter::Id(ids) => return ids.contains(&library.key_at(kind, at)),
        Filter::AddedAt { operator, value } => return compare(library.added_at(kind, at), operator, *value),
        _ => {}
    }
    let item = cached.get_or_insert_with(|| library.item_at(kind, at));
    match filter {
        Filter::Field { name, operator, values } => compare_field(
            render::item(library, item, Shape::default()).get(name),
            operator,
            values,
        ),
        Filter::Above { kind, value } => {
            let link = match kind {
                ItemType::Show | ItemType::Artist => item.grandparent.as_ref().or(item.parent.as_ref()),
                _ => item.parent.as_ref(),
            };
            link.is_some_and(|l| l.title.to_lowercase().contains(value.as_str()))
        }
        Filter::Tag { element, not, values } => {
            let has = item.tags_of(element).iter().any(|tag| {
                let id = tag_id(element, tag).to_string();
                let name = tag.to_lowercase();
                values.iter().any(|v| *v == id || *v == name)
            });
            has != *not
        }
        Filter::Duplicate => item.media.len() > 1,
        Filter::Trash(on) => item.in_trash() == *on,
        Filter::Unmatched(on) => item.guid.starts_with("local://") == *on,
        _ => true,
    }
}
