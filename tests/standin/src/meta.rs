//! `includeMeta=1`, filter choices and collections, for search helpers of clients (Plex API notes §10).

use std::collections::BTreeMap;

use crate::containers;
use crate::library::Library;
use crate::model::ItemType;
use crate::render::{tag_element, tag_id};
use crate::writer::Writer;

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

/// Writes the object `Meta`.
pub(crate) fn meta(w: &mut Writer, library: &Library) {
    if !w.object("Meta") {
        return;
    }
    if w.list("Type") {
        for kind in library.kind.types() {
            one_type(w, library, *kind);
        }
        w.end_list();
    }
    field_types(w);
    w.close("Meta");
}

fn one_type(w: &mut Writer, library: &Library, kind: ItemType) {
    let number = kind.number();
    // Movies' fields have no prefix, all others have that of their type.
    let prefix = if kind == ItemType::Movie {
        String::new()
    } else {
        format!("{}.", kind.search_name())
    };
    w.open("Type");
    w.str("key", &format!("/library/sections/{}/all?type={number}", library.key));
    w.str("type", kind.search_name());
    w.str("title", containers::plural(kind));
    w.bool("active", kind == library.kind.default_type());
    if w.list("Filter") {
        for (name, field_type, title) in FIELDS {
            if field_type != "tag" && name != "year" {
                continue;
            }
            w.open("Filter");
            w.str("filter", name);
            w.str("filterType", if name == "year" { "integer" } else { "string" });
            w.str(
                "key",
                &format!("/library/sections/{}/{name}?type={number}", library.key),
            );
            w.str("title", title);
            w.str("type", "filter");
            w.close("Filter");
        }
        w.end_list();
    }
    if w.list("Sort") {
        for (name, direction, title) in SORTS {
            w.open("Sort");
            w.str("defaultDirection", direction);
            w.str("descKey", &format!("{name}:desc"));
            w.str("key", name);
            w.str("title", title);
            w.close("Sort");
        }
        w.end_list();
    }
    if w.list("Field") {
        for (name, field_type, title) in FIELDS {
            w.open("Field");
            w.str("key", &format!("{prefix}{name}"));
            w.str("title", title);
            w.str("type", field_type);
            w.close("Field");
        }
        w.end_list();
    }
    w.close("Type");
}

fn field_types(w: &mut Writer) {
    if !w.list("FieldType") {
        return;
    }
    for (name, operators) in FIELD_TYPES {
        w.open("FieldType");
        w.str("type", name);
        if w.list("Operator") {
            for (key, title) in operators {
                w.open("Operator");
                w.str("key", key);
                w.str("title", title);
                w.close("Operator");
            }
            w.end_list();
        }
        w.close("FieldType");
    }
    w.end_list();
}

/// `/library/sections/{id}/collections`: the stand-in has no collection items.
pub(crate) fn collections(w: &mut Writer, library: &Library, window: Option<(u64, u64)>) {
    let window = window.map(|(offset, _)| containers::Window { offset, total: Some(0) });
    w.container();
    containers::detail_head(w, Some(library), 0, window);
    if w.object("Meta") {
        if w.list("Type") {
            w.open("Type");
            w.str("key", &format!("/library/sections/{}/all?type=18", library.key));
            w.str("type", "collection");
            w.str("title", "Collections");
            w.bool("active", false);
            w.close("Type");
            w.end_list();
        }
        w.close("Meta");
    }
    w.end_container();
}

/// Whether `/library/sections/{id}/{name}` lists the values of a filter.
pub(crate) fn is_filter(name: &str) -> bool {
    FIELDS
        .iter()
        .any(|(field, kind, _)| *field == name && (*kind == "tag" || *field == "year"))
}

/// The values of a filter, from the items of a type: as many as there are, by title.
pub(crate) fn choices(w: &mut Writer, library: &Library, name: &str, kind: ItemType) {
    let element = tag_element(name);
    let mut found: BTreeMap<String, String> = BTreeMap::new();
    for at in 0..library.count(kind) as u32 {
        let item = library.item_at(kind, at);
        match name {
            "year" => {
                if let Some(year) = item.year {
                    found.insert(year.to_string(), year.to_string());
                }
            }
            "contentRating" => {
                if !item.content_rating.is_empty() {
                    let rating = item.content_rating.to_string();
                    found.insert(rating.clone(), rating);
                }
            }
            _ => {
                for tag in item.tags_of(&element) {
                    found.insert(tag.to_string(), tag_id(&element, tag).to_string());
                }
            }
        }
    }
    w.container();
    containers::detail_head(w, Some(library), found.len() as u64, None);
    if !found.is_empty() && w.list("Directory") {
        for (title, key) in &found {
            w.open("Directory");
            w.str(
                "fastKey",
                &format!("/library/sections/{}/all?{name}={key}", library.key),
            );
            w.str("key", key);
            w.str("title", title);
            w.str("type", name);
            w.close("Directory");
        }
        w.end_list();
    }
    w.end_container();
}
