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
    handle(shared, ask, kind).unwrap_or_else(|status| Reply::html(status).into())
}

/// Answers a request, or returns the status that refuses it; so do all below.
fn handle(shared: &Arc<Shared>, ask: &Ask<'_>, kind: Kind) -> Result<Answer, u16> {
    let request = ask.request;
    let path = request.path().trim_end_matches('/');
    let steps: Vec<&str> = path.split('/').skip(1).collect();
    let state = shared.read();
    if request.target.len() > LONGEST_TARGET {
        return Err(400);
    }
    if steps == ["identity"] {
        return Ok(ask.reply(containers::identity(&state.identity)).into());
    }
    let token = admitted(&state, ask).ok_or(401_u16)?;
    if token.expired {
        return Err(498);
    }
    if request.method == "GET" && kind != Kind::Refresh {
        return read(shared, &state, ask, &token, &steps);
    }
    drop(state);
    write(shared, ask, &token, &steps).map(Answer::from)
}

/// The token that a request carries, if it opens anything.
fn admitted(state: &State, ask: &Ask<'_>) -> Option<Token> {
    if state.tokens.is_empty() {
        return Some(Token::default());
    }
    let given = ask.token()?;
    state.tokens.iter().find(|t| t.token == given).cloned()
}

fn read(shared: &Arc<Shared>, state: &State, ask: &Ask<'_>, token: &Token, steps: &[&str]) -> Result<Answer, u16> {
    let reply = match steps {
        [] | [""] => ask.reply(containers::root(state)),
        // Only the owner gets at /library (Plex API notes §1).
        ["library"] if !token.owner => return Err(403),
        ["library"] => ask.reply(containers::library_root()),
        ["library", "sections"] => ask.reply(containers::sections(state, token)),
        ["library", "sections", id, "all"] => listing::answer(state, &shared.cache, ask, seen(state, token, id)?)?,
        ["library", "metadata", ids] => metadata::items(state, ask, token, ids)?,
        [":", "eventsource", "notifications"] => return Ok(Answer::Stream(ask.params.list("filters"))),
        _ => return Err(404),
    };
    Ok(reply.into())
}

/// The library of a request.
fn seen<'s>(state: &'s State, token: &Token, id: &str) -> Result<&'s Library, u16> {
    let library = id.parse().ok().and_then(|key| state.library(key)).ok_or(404_u16)?;
    if token.sees(library.key) { Ok(library) } else { Err(403) }
}

fn write(shared: &Arc<Shared>, ask: &Ask<'_>, token: &Token, steps: &[&str]) -> Result<Reply, u16> {
    if !token.owner {
        return Err(403);
    }
    match (ask.request.method.as_str(), steps) {
        ("PUT", ["library", "sections", id, "all"]) => {
            let library = id.parse().map_err(|_| 404_u16)?;
            shared.quiet_change(|state| edits::section(state, library, &ask.params))
        }
        // Moves the item's `updatedAt`.
        ("PUT", ["library", "metadata", id, "refresh" | "analyze"]) => {
            let key = id.parse().map_err(|_| 404_u16)?;
            let touched = shared.change(|state| state.touch(&[key], None));
            touched.map_or(Err(404), |()| Ok(Reply::empty()))
        }
        ("GET" | "POST", ["library", "sections", id, "refresh"]) => refresh(shared, id, ask.params.get("path")),
        _ => Err(404),
    }
}

/// A path outside the library's folders is passed over in silence (Plex API notes §8).
fn refresh(shared: &Arc<Shared>, id: &str, path: Option<&str>) -> Result<Reply, u16> {
    let state = shared.read();
    let library = id.parse().ok().and_then(|key| state.library(key)).ok_or(404_u16)?;
    let key = library.key;
    let inside = path.is_none_or(|path| {
        let mut locations = library.locations.iter();
        locations.any(|l| path.starts_with(l.path.trim_end_matches(['/', '\\'])))
    });
    drop(state);
    if inside {
        let _ = shared.quiet_change(|state| state.scan(key));
    }
    Ok(Reply::empty())
}
