//! `/_standin/…`: the tests' side door. Needs no token, counts nothing. The README lists the names.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::config::Token;
use crate::counters::Counters;
use crate::faults::Fault;
use crate::http::{Reply, Request};
use crate::lock;
use crate::query::Params;
use crate::server::Shared;
use crate::spec::{ItemSpec, LibrarySpec, MediaSpec};
use crate::state::{Outcome, State};

/// Where the control endpoints are.
pub(crate) const PREFIX: &str = "/_standin/";

/// The endpoints that change the state and nothing else, with their bodies.
#[derive(Deserialize)]
#[serde(tag = "name", content = "body", rename_all_fields = "camelCase")]
enum Change {
    #[serde(rename = "items/add")]
    Add { library: u32, items: Vec<ItemSpec> },
    #[serde(rename = "items/remove")]
    Remove { rating_keys: Vec<Value> },
    #[serde(rename = "items/missing")]
    Missing { rating_keys: Vec<Value> },
    #[serde(rename = "items/files")]
    Files {
        rating_key: Value,
        files: Vec<MediaSpec>,
        #[serde(default)]
        touch: bool,
    },
    #[serde(rename = "items/rename")]
    Rename {
        rating_key: Value,
        from: String,
        to: String,
    },
    #[serde(rename = "library/add")]
    AddLibrary(LibrarySpec),
    #[serde(rename = "library/rekey")]
    Rekey { library: u32 },
    #[serde(rename = "tokens")]
    Tokens { tokens: Vec<Token> },
}

/// Answers a control request.
pub(crate) fn answer(shared: &Arc<Shared>, request: &Request) -> Reply {
    let name = request.path().trim_start_matches(PREFIX);
    let outcome = match request.method.as_str() {
        "GET" => get(shared, name, &Params::parse(request.query())),
        _ => post(shared, name, &request.body).map(|value| value.to_string()),
    };
    let (status, body) = match outcome {
        Ok(body) => (200, body),
        Err(error) => (400, json!({"ok": false, "error": error}).to_string()),
    };
    Reply::new(status, "application/json", body)
}

/// A row of `paths`; no [`Value`], for a million of them.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct PathRow {
    rating_key: String,
    title: String,
    path: Option<String>,
    size: Option<u64>,
}

fn text(of: &impl Serialize) -> Outcome<String> {
    serde_json::to_string(of).map_err(|error| error.to_string())
}

fn get(shared: &Arc<Shared>, name: &str, params: &Params) -> Outcome<String> {
    let number = |name: &str| params.get(name).and_then(|v| v.parse::<u64>().ok());
    match name {
        "stats" => {
            let mut stats = serde_json::to_value(&lock(&shared.counters).stats).unwrap_or_default();
            stats["listeners"] = json!(shared.hub.listeners());
            text(&stats)
        }
        "log" => text(&lock(&shared.counters).log),
        "paths" => {
            let state = shared.read();
            let id = number("library").ok_or("library= is missing")? as u32;
            let library = state.library(id).ok_or_else(|| format!("no library {id}"))?;
            let kind = library.kind.leaf_type();
            let count = library.count(kind) as u64;
            let start = number("start").unwrap_or(0).min(count);
            let end = start.saturating_add(number("count").unwrap_or(u64::MAX)).min(count);
            let row = |at| PathRow {
                rating_key: library.key_at(kind, at).to_string(),
                title: library.title_at(kind, at).into_owned(),
                path: library.first_path(kind, at),
                size: library
                    .item_at(kind, at)
                    .media
                    .iter()
                    .flat_map(|media| &media.parts)
                    .next()
                    .map(|part| part.size),
            };
            text(&(start as u32..end as u32).map(row).collect::<Vec<PathRow>>())
        }
        _ => Err(format!("no control endpoint GET {name}")),
    }
}

fn post(shared: &Arc<Shared>, name: &str, body: &[u8]) -> Outcome<Value> {
    let body: Value = serde_json::from_slice(if body.is_empty() { b"{}" } else { body }).map_err(|e| e.to_string())?;
    match name {
        "reset" => *lock(&shared.counters) = Counters::default(),
        "faults" => {
            let faults = match body {
                Value::Array(faults) => faults,
                fault => vec![fault],
            };
            for fault in faults.into_iter().map(fault).collect::<Outcome<Vec<Fault>>>()? {
                lock(&shared.faults).add(fault);
            }
        }
        "faults/clear" => lock(&shared.faults).clear(),
        _ => {
            let change = serde_json::from_value(json!({"name": name, "body": body})).map_err(|e| e.to_string())?;
            return shared.change(|state| apply(state, change));
        }
    }
    Ok(json!({"ok": true}))
}

/// Reads a fault; a field that it does not have is an error.
fn fault(from: Value) -> Outcome<Fault> {
    let fault: Fault = serde_json::from_value(from.clone()).map_err(|e| format!("bad fault: {e}"))?;
    let known = serde_json::to_value(&fault).unwrap_or_default();
    match from
        .as_object()
        .and_then(|fields| fields.keys().find(|name| known.get(name).is_none()))
    {
        Some(name) => Err(format!("a fault of this action has no {name:?}")),
        None => Ok(fault),
    }
}

/// A rating key, as a number or as a string.
fn rating_key_of(value: &Value) -> Outcome<u64> {
    let text = value.as_str().and_then(|text| text.parse().ok());
    text.or(value.as_u64())
        .ok_or_else(|| format!("not a rating key: {value}"))
}

fn apply(state: &mut State, change: Change) -> Outcome<Value> {
    match change {
        Change::Add { library, items } => {
            let keys = state.add_items(library, items, true)?;
            let keys: Vec<String> = keys.iter().map(u64::to_string).collect();
            return Ok(json!({"ok": true, "ratingKeys": keys}));
        }
        Change::AddLibrary(spec) => return Ok(json!({"ok": true, "library": state.add_library(spec)?})),
        Change::Remove { rating_keys } => {
            let keys: Outcome<Vec<u64>> = rating_keys.iter().map(rating_key_of).collect();
            state.remove_items(&keys?, true)?;
        }
        Change::Missing { rating_keys } => rating_keys
            .iter()
            .try_for_each(|key| state.set_missing(rating_key_of(key)?, true))?,
        Change::Files {
            rating_key,
            files,
            touch,
        } => state.set_files(rating_key_of(&rating_key)?, files, touch, true)?,
        Change::Rename { rating_key, from, to } => state.rename_file(rating_key_of(&rating_key)?, &from, &to)?,
        Change::Rekey { library } => state.rekey_library(library)?,
        Change::Tokens { tokens } => state.tokens = tokens,
    }
    Ok(json!({"ok": true}))
}
