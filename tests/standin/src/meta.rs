//! `includeMeta=1`, filter choices and collections, for search helpers of clients (Plex API notes §10).

use std::collections::BTreeMap;

use crate::containers;
use crate::library::Library;
use crate::model::ItemType;
use crate::render::{Shape, item, tag_element, tag_id};
use crate::tree::{Node, Row, row};

const FIELD_TYPES: [(&str, &[(&str, &str)]); 5] = [
    ("tag", &[("=", "is"), ("!=", "is not")]),
    (
        "integer",
        &[
            ("=", "is"),
            ("!=", "is not"),
            (">>=", "is greater than"),
            ("<<=", "is less than"),
        ],
    ),
    (
        "string",
        &[
            ("=", "contains"),
            ("!=", "does not contain"),
            ("==", "is"),
            ("!==", "is not"),
            ("<=", "begins with"),
            (">=", "ends with"),
        ],
    ),
    ("boolean", &[("=1", "is true"), ("!=1", "is false"), ("=", "is")]),
    ("date", &[("<<=", "is before"), (">>=", "is after")]),
];

/// Fields of every type, with the kind of their values. `guid`, `id`, `index` and `updatedAt` are not
/// listed: clients add them by themselves.
const FIELDS: [(&str, &str, &str); 14] = [
    ("title", "string", "Title"),
    ("studio", "string", "Studio"),
    ("contentRating", "tag", "Content Rating"),
    ("year", "integer", "Year"),
    ("addedAt", "date", "Date Added"),
    ("genre", "tag", "Genre"),
    ("label", "tag", "Label"),
    ("collection", "tag", "Collection"),
    ("director", "tag", "Director"),
    ("writer", "tag", "Writer"),
    ("actor", "tag", "Actor"),
    ("country", "tag", "Country"),
    ("unmatched", "boolean", "Unmatched"),
    ("duplicate", "boolean", "Duplicate"),
];

const SORTS: [(&str, &str, &str); 6] = [
    ("titleSort", "asc", "Title"),
    ("addedAt", "desc", "Date Added"),
    ("updatedAt", "desc", "Date Updated"),
    ("year", "desc", "Year"),
    ("originallyAvailableAt", "desc", "Release Date"),
    ("duration", "desc", "Duration"),
];

/// The object `Meta`.
pub(crate) fn meta(library: &Library) -> Row {
    let types = library.kind.types().iter().map(|kind| one_type(library, *kind));
    let field_types = FIELD_TYPES.map(|(name, operators)| {
        let operators = operators.iter().map(|(key, title)| row! {"key": *key, "title": *title});
        row! {"type": name, "Operator": operators.collect::<Vec<Row>>()}
    });
    row! {"Type": types.collect::<Vec<Row>>(), "FieldType": field_types.to_vec()}
}

fn one_type(library: &Library, kind: ItemType) -> Row {
    let (number, section) = (kind.number(), library.key);
    // Movies' fields have no prefix, all others have that of their type.
    let prefix = if kind == ItemType::Movie {
        String::new()
    } else {
        format!("{}.", kind.search_name())
    };
    let filters = FIELDS
        .iter()
        .filter(|(name, ..)| is_filter(name))
        .map(|(name, _, title)| {
            row! {
                "filter": *name, "filterType": if *name == "year" { "integer" } else { "string" },
                "key": format!("/library/sections/{section}/{name}?type={number}"), "title": *title, "type": "filter",
            }
        });
    let sorts = SORTS.map(|(name, direction, title)| {
        row! {"defaultDirection": direction, "descKey": format!("{name}:desc"), "key": name, "title": title}
    });
    let fields = FIELDS.map(|(name, field_type, title)| {
        row! {"key": format!("{prefix}{name}"), "title": title, "type": field_type}
    });
    row! {
        "key": format!("/library/sections/{section}/all?type={number}"), "type": kind.search_name(),
        "title": containers::plural(kind), "active": kind == library.kind.default_type(),
        "Filter": filters.collect::<Vec<Row>>(), "Sort": sorts.to_vec(), "Field": fields.to_vec(),
    }
}

/// `/library/sections/{id}/collections`: the stand-in has no collection items.
pub(crate) fn collections(library: &Library, window: Option<(u64, u64)>) -> Row {
    let window = window.map(|(offset, _)| containers::Window { offset, total: Some(0) });
    let collection = row! {
        "key": format!("/library/sections/{}/all?type=18", library.key), "type": "collection",
        "title": "Collections", "active": false,
    };
    let mut row = containers::detail_head(Some(library), 0, window);
    row.set("Meta", row! {"Type": vec![collection]});
    row
}

/// Whether `/library/sections/{id}/{name}` lists the values of a filter.
pub(crate) fn is_filter(name: &str) -> bool {
    FIELDS
        .iter()
        .any(|(field, kind, _)| *field == name && (*kind == "tag" || *field == "year"))
}

/// The values of a filter, from the items of a type: as many as there are, by title.
pub(crate) fn choices(library: &Library, name: &str, kind: ItemType) -> Row {
    let element = tag_element(name);
    let mut found: BTreeMap<String, String> = BTreeMap::new();
    for at in 0..library.count(kind) as u32 {
        let one = library.item_at(kind, at);
        match item(library, &one, Shape::default()).get(name) {
            Node::Text(text) => drop(found.insert(text.clone(), text.clone())),
            Node::Number(number) => drop(found.insert(number.to_string(), number.to_string())),
            _ => {
                let tags = one.tags_of(&element).iter();
                found.extend(tags.map(|tag| (tag.to_string(), tag_id(&element, tag).to_string())));
            }
        }
    }
    let fast = |key: &String| format!("/library/sections/{}/all?{name}={key}", library.key);
    let rows = found
        .iter()
        .map(|(title, key)| row! {"fastKey": fast(key), "key": key, "title": title, "type": name});
    let mut row = containers::detail_head(Some(library), found.len(), None);
    row.set("Directory", rows.collect::<Vec<Row>>());
    row
}
