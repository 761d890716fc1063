//! From a request to its reply.

use crate::ask::Ask;
use crate::config::Token;
use crate::counters::Kind;
use crate::http::Reply;
use crate::library::Library;
use std::sync::Arc;

use crate::server::Shared;
use crate::state::State;
use crate::{containers, edits, listing, metadata};

/// Most bytes of a request target; a longer one gets an HTML 400 (Plex API notes §5).
const LONGEST_TARGET: usize = 30_000;

/// The handler of a request.
pub(crate) enum Answer {
    Reply(Reply),
    /// The event stream, with the names of the events wanted.
    Stream(Vec<String>),
}

impl From<Reply> for Answer {
    fn from(reply: Reply) -> Self {
        Answer::Reply(reply)
    }
}

/// Answers a request of a client.
pub(crate) fn answer(shared: &Arc<Shared>, ask: &Ask<'_>, kind: Kind) -> Answer {
    let request = ask.request;
    let path = request.path().trim_end_matches('/');
    let steps: Vec<&str> = path.split('/').skip(1).collect();
    let state = shared.read();
    if request.target.len() > LONGEST_TARGET {
        return Reply::html(400).into();
    }
    if steps == ["identity"] {
        return ask.reply(&state.config, containers::identity(&state.identity)).into();
    }
    let Some(token) = admitted(&state, ask) else {
        return Reply::html(401).into();
    };
    if token.expired {
        return Reply::html(498).into();
    }
    if request.method == "GET" && kind != Kind::Refresh {
        return read(shared, &state, ask, &token, &steps);
    }
    drop(state);
    write(shared, ask, &token, &steps).into()
}

/// The token that a request carries, if it opens anything.
fn admitted(state: &State, ask: &Ask<'_>) -> Option<Token> {
    if state.tokens.is_empty() {
        return Some(Token::default());
    }
    let given = ask.token()?;
    state.tokens.iter().find(|t| t.token == given).cloned()
}

fn read(shared: &Arc<Shared>, state: &State, ask: &Ask<'_>, token: &Token, steps: &[&str]) -> Answer {
    let config = &state.config;
    match steps {
        [] | [""] => ask.reply(config, containers::root(state)).into(),
        // Only the owner gets at /library (Plex API notes §1).
        ["library"] if !token.owner => Reply::html(403).into(),
        ["library"] => ask.reply(config, containers::library_root()).into(),
        ["library", "sections"] => ask.reply(config, containers::sections(state, token)).into(),
        ["library", "sections", id, "all"] => section(shared, state, ask, token, id).into(),
        ["library", "sections", id, "collections"] => collections(state, ask, token, id).into(),
        ["library", "metadata", ids] => metadata::items(state, ask, token, ids).into(),
        [":", "eventsource", "notifications"] => Answer::Stream(ask.params.list("filters")),
        _ => Reply::html(404).into(),
    }
}

fn section(shared: &Arc<Shared>, state: &State, ask: &Ask<'_>, token: &Token, id: &str) -> Reply {
    match seen(state, token, id) {
        Ok(library) => listing::answer(state, &shared.cache, ask, library),
        Err(status) => Reply::html(status),
    }
}

/// No library has collections.
fn collections(state: &State, ask: &Ask<'_>, token: &Token, id: &str) -> Reply {
    let window = ask
        .window()
        .map(|(offset, _)| containers::Window { offset, total: Some(0) });
    match seen(state, token, id) {
        Ok(library) => ask.reply(&state.config, containers::detail_head(Some(library), 0, window)),
        Err(status) => Reply::html(status),
    }
}

/// The library of a request, or the status that refuses it.
fn seen<'s>(state: &'s State, token: &Token, id: &str) -> Result<&'s Library, u16> {
    let library = id.parse().ok().and_then(|key| state.library(key)).ok_or(404_u16)?;
    if token.sees(library.key) { Ok(library) } else { Err(403) }
}

fn write(shared: &Arc<Shared>, ask: &Ask<'_>, token: &Token, steps: &[&str]) -> Reply {
    let method = ask.request.method.as_str();
    if !token.owner {
        return Reply::html(403);
    }
    match (method, steps) {
        ("PUT", ["library", "sections", id, "all"]) => match id.parse() {
            Ok(library) => shared.quiet_change(|state| edits::section(state, library, &ask.params)),
            Err(_) => Reply::html(404),
        },
        ("PUT", ["library", "metadata", id, "refresh" | "analyze"]) => refresh_item(shared, id),
        ("GET" | "POST", ["library", "sections", id, "refresh"]) => refresh(shared, id, ask.params.get("path")),
        _ => Reply::html(404),
    }
}

/// Moves the item's `updatedAt`.
fn refresh_item(shared: &Arc<Shared>, id: &str) -> Reply {
    let is_known = id
        .parse()
        .is_ok_and(|key| shared.change(|state| state.touch(&[key], None)).is_ok());
    if is_known { Reply::empty() } else { Reply::html(404) }
}

/// A path outside the library's folders is passed over in silence (Plex API notes §8).
fn refresh(shared: &Arc<Shared>, id: &str, path: Option<&str>) -> Reply {
    let state = shared.read();
    let Some(library) = id.parse().ok().and_then(|key| state.library(key)) else {
        return Reply::html(404);
    };
    let key = library.key;
    let inside = path.is_none_or(|path| {
        let mut locations = library.locations.iter();
        locations.any(|l| path.starts_with(l.path.trim_end_matches(['/', '\\'])))
    });
    drop(state);
    if inside {
        let _ = shared.quiet_change(|state| state.scan(key));
    }
    Reply::empty()
}
