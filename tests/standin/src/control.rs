//! `/_standin/…`: the tests' side door. Needs no token, counts nothing. The README lists the names; the structs below are the bodies.

use std::sync::Arc;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::config::{Identity, Token};
use crate::counters::Counters;
use crate::events::Event;
use crate::faults::Fault;
use crate::http::{Reply, Request};
use crate::library::Library;
use crate::lock;
use crate::model::ItemType;
use crate::query::Params;
use crate::server::Shared;
use crate::spec::{ItemSpec, LibrarySpec, MediaSpec, loose_key, loose_keys};
use crate::state::{Outcome, State};
use crate::writer::json_string;

/// Where the control endpoints are.
pub(crate) const PREFIX: &str = "/_standin/";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OfLibrary {
    library: u32,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct AddItems {
    library: u32,
    items: Vec<ItemSpec>,
    /// Kept until the next scan.
    #[serde(default)]
    on_scan: bool,
    /// `scannedAt` moves.
    #[serde(default = "yes")]
    scanned: bool,
}

fn yes() -> bool {
    true
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Keys {
    #[serde(deserialize_with = "loose_keys")]
    rating_keys: Vec<u64>,
    #[serde(default = "yes")]
    scanned: bool,
    #[serde(default = "yes")]
    missing: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct SetFiles {
    #[serde(deserialize_with = "loose_key")]
    rating_key: u64,
    files: Vec<MediaSpec>,
    #[serde(default)]
    touch: bool,
    #[serde(default = "yes")]
    counts: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Rename {
    #[serde(deserialize_with = "loose_key")]
    rating_key: u64,
    from: String,
    to: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Tokens {
    tokens: Vec<Token>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PushEvent {
    event: String,
    data: Value,
}

fn parse<T: DeserializeOwned>(body: &[u8]) -> Outcome<T> {
    let body = if body.is_empty() { b"{}" } else { body };
    serde_json::from_slice(body).map_err(|e| format!("bad body: {e}"))
}

/// Answers a control request.
pub(crate) fn answer(shared: &Arc<Shared>, request: &Request) -> Reply {
    let name = request.path().trim_start_matches(PREFIX);
    let outcome = match request.method.as_str() {
        "GET" => get(shared, name, &Params::parse(request.query())),
        "POST" => post(shared, name, &request.body).map(|v| v.to_string()),
        _ => Err("control endpoints take GET and POST".to_owned()),
    };
    let (status, body) = match outcome {
        Ok(body) => (200, body),
        Err(error) => (400, json!({"ok": false, "error": error}).to_string()),
    };
    Reply::new(status, "application/json", body)
}

/// An array of rating key, title and path; written by hand, for a million rows take no second that way.
fn paths(library: &Library, kind: ItemType, rows: std::ops::Range<u32>) -> String {
    let mut out = String::with_capacity(rows.len() * 160 + 2);
    out.push('[');
    for at in rows {
        if out.len() > 1 {
            out.push(',');
        }
        out.push_str("{\"ratingKey\":\"");
        out.push_str(&library.key_at(kind, at).to_string());
        out.push_str("\",\"title\":");
        json_string(&mut out, &library.title_at(kind, at));
        out.push_str(",\"path\":");
        match library.first_path(kind, at) {
            Some(path) => json_string(&mut out, &path),
            None => out.push_str("null"),
        }
        out.push('}');
    }
    out.push(']');
    out
}

fn value(of: &impl serde::Serialize) -> Value {
    serde_json::to_value(of).unwrap_or_default()
}

fn get(shared: &Arc<Shared>, name: &str, params: &Params) -> Outcome<String> {
    let number = |name: &str| params.get(name).and_then(|v| v.parse::<u64>().ok());
    let found = match name {
        "stats" => {
            let mut stats = value(&lock(&shared.counters).stats);
            stats["openConnections"] = json!(shared.open_connections());
            stats["listeners"] = json!(shared.hub.listeners());
            stats
        }
        "log" => {
            let counters = lock(&shared.counters);
            let since = number("since").unwrap_or(0);
            let limit = number("limit").unwrap_or(u64::MAX) as usize;
            let rows: Vec<_> = counters.log.iter().filter(|e| e.seq > since).take(limit).collect();
            value(&rows)
        }
        "paths" => {
            let state = shared.read();
            let id = number("library").ok_or("library= is missing")? as u32;
            let library = state.library(id).ok_or_else(|| format!("no library {id}"))?;
            let kind = match number("type") {
                Some(n) => ItemType::from_number(n as u32).ok_or("unknown type")?,
                None => library.kind.leaf_type(),
            };
            let count = library.count(kind) as u64;
            let start = number("start").unwrap_or(0).min(count);
            let end = start.saturating_add(number("count").unwrap_or(u64::MAX)).min(count);
            return Ok(paths(library, kind, start as u32..end as u32));
        }
        "config" => value(&shared.read().config),
        "faults" => value(&lock(&shared.faults).list()),
        "state" => state_of(&shared.read()),
        _ => return Err(format!("no control endpoint GET {name}")),
    };
    Ok(found.to_string())
}

fn state_of(state: &State) -> Value {
    let libraries: Vec<Value> = state
        .libraries()
        .iter()
        .map(|l| {
            let counts: serde_json::Map<String, Value> = l
                .kind
                .types()
                .iter()
                .map(|t| (t.search_name().to_owned(), json!(l.count(*t))))
                .collect();
            json!({
                "key": l.key, "kind": l.kind, "title": l.title, "uuid": l.uuid,
                "locations": l.locations.iter().map(|p| &p.path).collect::<Vec<_>>(),
                "contentChangedAt": l.content, "contentClock": l.content_clock,
                "scannedAt": l.scanned_at, "updatedAt": l.updated_at, "refreshing": l.refreshing,
                "counts": counts, "leafType": l.kind.leaf_type().number(),
            })
        })
        .collect();
    json!({
        "now": state.now(), "identity": state.identity, "tokens": state.tokens,
        "libraries": libraries,
    })
}

fn post(shared: &Arc<Shared>, name: &str, body: &[u8]) -> Outcome<Value> {
    let mut extra = json!({"ok": true});
    match name {
        "reset" => *lock(&shared.counters) = Counters::default(),
        "faults" => {
            let faults = match parse(body)? {
                Value::Array(faults) => faults,
                fault => vec![fault],
            };
            let faults: Vec<Fault> = faults.into_iter().map(fault).collect::<Outcome<_>>()?;
            let mut waiting = lock(&shared.faults);
            for fault in faults {
                waiting.add(fault);
            }
        }
        "faults/clear" => lock(&shared.faults).clear(),
        "event" => {
            let push: PushEvent = parse(body)?;
            extra["listeners"] = json!(shared.hub.send(&Event::new(&push.event, push.data)));
        }
        _ => return shared.change(|state| change(state, name, body)),
    }
    Ok(extra)
}

/// Reads a fault; a field that it does not have is an error.
fn fault(from: Value) -> Outcome<Fault> {
    let fault: Fault = serde_json::from_value(from.clone()).map_err(|e| format!("bad fault: {e}"))?;
    let known = value(&fault);
    match from
        .as_object()
        .and_then(|fields| fields.keys().find(|name| known.get(name).is_none()))
    {
        Some(name) => Err(format!("a fault of this action has no {name:?}")),
        None => Ok(fault),
    }
}

/// The endpoints that change the state and nothing else.
fn change(state: &mut State, name: &str, body: &[u8]) -> Outcome<Value> {
    let mut extra = json!({"ok": true});
    match name {
        "items/add" => {
            let add: AddItems = parse(body)?;
            if add.on_scan {
                state.stage_items(add.library, add.items)?;
            } else {
                let keys = state.add_items(add.library, add.items, add.scanned)?;
                let keys: Vec<String> = keys.iter().map(u64::to_string).collect();
                extra["ratingKeys"] = json!(keys);
            }
        }
        "items/remove" => {
            let keys: Keys = parse(body)?;
            state.remove_items(&keys.rating_keys, keys.scanned)?;
        }
        "items/missing" => {
            let keys: Keys = parse(body)?;
            for key in &keys.rating_keys {
                state.set_missing(*key, keys.missing)?;
            }
        }
        "items/files" => {
            let set: SetFiles = parse(body)?;
            state.set_files(set.rating_key, set.files, set.touch, set.counts)?;
        }
        "items/rename" => {
            let rename: Rename = parse(body)?;
            state.rename_file(rename.rating_key, &rename.from, &rename.to)?;
        }
        "library/add" => {
            let spec: LibrarySpec = parse(body)?;
            extra["library"] = json!(state.add_library(spec)?);
        }
        "library/rekey" => state.rekey_library(parse::<OfLibrary>(body)?.library)?,
        "tokens" => state.tokens = parse::<Tokens>(body)?.tokens,
        "identity" => {
            let mut merged = value(&state.identity);
            merge(&mut merged, parse(body)?);
            state.identity = serde_json::from_value::<Identity>(merged).map_err(|e| format!("bad body: {e}"))?;
        }
        "config" => {
            let mut merged = value(&state.config);
            merge(&mut merged, parse(body)?);
            state.config = serde_json::from_value(merged).map_err(|e| format!("bad body: {e}"))?;
        }
        _ => return Err(format!("no control endpoint POST {name}")),
    }
    Ok(extra)
}

/// Members of the second object replace those of the first.
pub(crate) fn merge(into: &mut Value, from: Value) {
    if let (Value::Object(into), Value::Object(from)) = (into, from) {
        into.extend(from);
    }
}
