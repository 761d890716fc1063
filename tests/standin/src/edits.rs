//! Edits by `PUT /library/sections/{id}/all` (Plex API notes §5). One request gives all its items the same values.

use serde_json::Value;

use crate::events::Event;
use crate::http::Reply;
use crate::model::ItemType;
use crate::query::Params;
use crate::state::State;

/// Sets the fields of items; locks and tags are taken and forgotten. An error: the status.
pub(crate) fn section(state: &mut State, library: u32, params: &Params) -> Result<Reply, u16> {
    let keys = keys(state, library, params)?;
    edit(state, &keys, params);
    Ok(Reply::empty())
}

/// The items that a request names.
fn keys(state: &State, library: u32, params: &Params) -> Result<Vec<u64>, u16> {
    let number = params.get("type").and_then(|t| t.parse().ok());
    let kind = number.and_then(ItemType::from_number).ok_or(400_u16)?;
    let library = state.library(library).ok_or(404_u16)?;
    let ids = params.get("id").ok_or(400_u16)?;
    let one = |id: &str| {
        let key = id.parse().map_err(|_| 400_u16)?;
        match library.find(key) {
            Some((found, _)) if found == kind => Ok(key),
            Some(_) => Err(400),
            None => Err(404),
        }
    };
    ids.split(',').map(one).collect()
}

fn edit(state: &mut State, keys: &[u64], params: &Params) {
    let values = params
        .0
        .iter()
        .filter_map(|(name, value)| Some((name.strip_suffix(".value")?, value)));
    let values: Vec<(&str, &String)> = values.collect();
    let now = state.tick();
    for key in keys {
        // The keys were just found.
        let _ = state.change_item(*key, |item| {
            for (field, value) in &values {
                if *field == "title" {
                    item.title.clone_from(value);
                } else {
                    item.fields.insert((*field).to_owned(), Value::String((*value).clone()));
                }
            }
            item.updated_at = item.updated_at.map(|_| now);
        });
        let edited = state.library_of(*key).and_then(|library| {
            let (kind, at) = library.find(*key)?;
            let title = library.title_at(kind, at).into_owned();
            Some(Event::timeline(library.key, *key, kind, &title, 5, "", now))
        });
        state.events.extend(edited);
    }
}
