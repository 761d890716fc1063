//! Edits by `PUT` (Plex API notes §5). One request gives all its items the same values.

use percent_encoding::percent_decode_str;
use serde_json::Value;

use crate::events::Event;
use crate::http::Reply;
use crate::library::Library;
use crate::model::{Item, ItemType, Text};
use crate::query::Params;
use crate::render::tag_element;
use crate::state::State;

/// One change to an item.
#[derive(Clone, Debug, PartialEq)]
enum Change {
    Value(String, String),
    Lock(String, bool),
    AddTag(String, String),
    RemoveTags(String, Vec<String>),
}

/// Arguments that are no change.
fn is_change(name: &str) -> bool {
    name.ends_with(".value") || name.ends_with(".locked") || name.contains("[")
}

fn parse(params: &Params) -> Vec<Change> {
    let mut changes = Vec::new();
    for (name, value) in params.0.iter().filter(|(n, _)| is_change(n)) {
        if let Some(field) = name.strip_suffix(".value") {
            changes.push(Change::Value(field.to_owned(), value.clone()));
        } else if let Some(field) = name.strip_suffix(".locked") {
            changes.push(Change::Lock(field.to_owned(), value == "1"));
        } else if let Some((tag, rest)) = name.split_once('[') {
            let element = tag_element(tag);
            if rest.ends_with("].tag.tag-") {
                // Each tag is encoded, then the list.
                let tags = value
                    .split(',')
                    .map(|tag| percent_decode_str(tag).decode_utf8_lossy().into_owned());
                changes.push(Change::RemoveTags(element, tags.collect()));
            } else if rest.ends_with("].tag.tag") {
                changes.push(Change::AddTag(element, value.clone()));
            }
        }
    }
    changes
}

/// Labels come back with capitals (§5).
fn title_case(text: &str) -> String {
    text.split(' ')
        .map(|word| {
            let mut letters = word.chars();
            letters
                .next()
                .map(|c| c.to_uppercase().chain(letters).collect::<String>())
                .unwrap_or_default()
        })
        .collect::<Vec<_>>()
        .join(" ")
}

fn apply(item: &mut Item, change: &Change) {
    match change {
        Change::Value(field, value) => {
            let text = value.clone();
            match field.as_str() {
                "title" => item.title = text,
                "titleSort" => item.title_sort = (!text.is_empty()).then_some(text),
                "summary" => item.summary = Text::Owned(text),
                "studio" => item.studio = Text::Owned(text),
                "tagline" => item.tagline = Text::Owned(text),
                "contentRating" => item.content_rating = Text::Owned(text),
                "year" => item.year = text.parse().ok(),
                "originallyAvailableAt" => item.available = (!text.is_empty()).then_some(text),
                "index" => item.index = text.parse().ok(),
                "addedAt" => item.added_at = text.parse().unwrap_or(item.added_at),
                _ => {
                    item.fields.insert(field.clone(), Value::String(text));
                }
            }
        }
        Change::Lock(field, on) => {
            item.locked.retain(|f| f != field);
            if *on {
                item.locked.push(field.clone());
            }
        }
        Change::AddTag(element, tag) => {
            let tag = if element == "Label" {
                title_case(tag)
            } else {
                tag.clone()
            };
            let tags = item.tags_mut(element);
            if !tags.iter().any(|t| t.eq_ignore_ascii_case(&tag)) {
                tags.push(Text::Owned(tag));
            }
        }
        Change::RemoveTags(element, gone) => {
            let gone: Vec<String> = gone.iter().map(|t| t.to_lowercase()).collect();
            item.tags_mut(element).retain(|t| !gone.contains(&t.to_lowercase()));
        }
    }
}

/// `PUT /library/sections/{id}/all`.
pub(crate) fn section(state: &mut State, library: u32, params: &Params) -> Reply {
    let Some(kind) = params
        .get("type")
        .and_then(|t| t.parse().ok())
        .and_then(ItemType::from_number)
    else {
        return Reply::html(400);
    };
    let Some(found) = state.library(library) else {
        return Reply::html(404);
    };
    if !found.kind.types().contains(&kind) {
        return Reply::html(400);
    }
    let (keys, missing) = match params.get("id").filter(|ids| !ids.is_empty()) {
        Some(ids) => match chosen(found, kind, ids) {
            Ok(keys) => keys,
            Err(status) => return Reply::html(status),
        },
        // Without ids every item of the type is edited, as Plex does (§5).
        None => (
            (0..found.count(kind) as u32).map(|at| found.key_at(kind, at)).collect(),
            false,
        ),
    };
    if missing {
        return Reply::html(404);
    }
    edit(state, &keys, &parse(params));
    Reply::empty()
}

/// The keys of a list that the library has, and whether any was missing. An error: an item of another type.
fn chosen(library: &Library, kind: ItemType, ids: &str) -> Result<(Vec<u64>, bool), u16> {
    let mut keys = Vec::new();
    let mut missing = false;
    for id in ids.split(',') {
        let key: u64 = id.parse().map_err(|_| 400_u16)?;
        match library.find(key) {
            Some((found, _)) if found == kind => keys.push(key),
            Some(_) => return Err(400),
            None => missing = true,
        }
    }
    Ok((keys, missing))
}

/// `PUT /library/metadata/{id}`.
pub(crate) fn items(state: &mut State, ids: &str, params: &Params) -> Reply {
    let keys: Vec<u64> = ids.split(',').filter_map(|id| id.parse().ok()).collect();
    if keys.is_empty() || keys.iter().any(|key| state.library_of(*key).is_none()) {
        return Reply::html(404);
    }
    edit(state, &keys, &parse(params));
    Reply::empty()
}

fn edit(state: &mut State, keys: &[u64], changes: &[Change]) {
    if changes.is_empty() {
        return;
    }
    let now = state.tick();
    for key in keys {
        // The keys were just found.
        let _ = state.change_item(*key, |item| {
            for change in changes {
                apply(item, change);
            }
            if item.updated_at.is_some() {
                item.updated_at = Some(now);
            }
        });
        let edited = state.library_of(*key).and_then(|library| {
            let (kind, at) = library.find(*key)?;
            let title = library.title_at(kind, at).into_owned();
            Some(Event::timeline(library.key, *key, kind, &title, 5, "", now))
        });
        if let Some(event) = edited {
            state.push_event(event);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments() {
        let params = Params::parse(
            "genre%5B0%5D.tag.tag=A&genre.locked=1&id=55%2C56&type=1&label%5B%5D.tag.tag-=A%252CB%2CC&title.value=x%20y",
        );
        assert_eq!(
            parse(&params),
            [
                Change::AddTag("Genre".into(), "A".into()),
                Change::Lock("genre".into(), true),
                Change::RemoveTags("Label".into(), vec!["A,B".into(), "C".into()]),
                Change::Value("title".into(), "x y".into()),
            ]
        );
    }
}
