//! The calls by name: JSON in, JSON out.
//!
//! [`METHODS`] is all there is to a method: its name, and a function from a request to an answer. The types of both give the
//! schema, and that gives the reference and what other languages know. A new method is a function here and a line there.

// All methods have one shape, whether they keep the request or can fail.
#![allow(clippy::needless_pass_by_value, clippy::unnecessary_wraps)]

mod changes;
mod edit;
mod facts;
mod items;
mod matching;
pub mod schema;
mod sharing;
mod tables;
mod walk;

use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::handles::Opened;
use crate::query::Limits;
use crate::strings::{LONGEST_TEXT, null};
use plexindex::error::{Error, Result, Status, abridged, check_length, refuse};
use plexindex::{Index, Library, Query, Selector};

/// A method.
pub struct Method {
    /// Its name, such as `items.list`.
    pub name: &'static str,
    run: fn(&Caller<'_>, &[u8], &str) -> Replied,
}

macro_rules! methods {
    ($($name:literal $function:path,)*) => {
        /// All methods, in the order of the reference.
        pub const METHODS: &[Method] = &[$(Method {
            name: $name,
            run: |caller, request, name| replied(caller, request, name, $function),
        }),*];

        /// What each takes and gives. A table of its own, so that no build for users has it.
        const SHAPES: &[schema::ShapesOf] = &[$(|generator| schema::shapes(generator, $function)),*];
    };
}

methods! {
    "libraries.list" facts::libraries,
    "server.check" facts::server,
    "store.get" facts::store,
    "versions" facts::versions,
    "items.list" items::list,
    "items.get" items::get,
    "items.below" items::below,
    "items.missing" items::missing,
    "match.folder" matching::folder,
    "match.guid" matching::guid,
    "match.title" matching::title,
    "walk.next" walk::next,
    "changes.list" changes::list,
    "changes.wait" changes::wait,
    "watch.start" changes::watch_start,
    "watch.stop" changes::watch_stop,
    "edit" edit::edit,
    "mappings.propose" facts::propose,
    "mappings.to_host" facts::to_host,
    "paths.compare" facts::compare,
    "tables.count" tables::count,
    "tables.clear" tables::clear,
    "sharing" sharing::sharing,
}

/// Who calls: the open index, if any, and the limits of the call.
pub struct Caller<'c> {
    /// The index; without one only some methods answer.
    pub opened: Option<&'c Opened>,
    /// The limits.
    pub limits: Limits,
}

/// What a method gives: an answer and the status of the call, or an error without an answer.
type Answered<A> = Result<(A, Result<Status>)>;

/// The same, with the answer as JSON.
pub type Replied = Result<(Vec<u8>, Result<Status>)>;

/// Calls a method.
///
/// # Errors
/// Status `INVALID_ARGUMENT` for an unknown method or a request that is not its own; those of the method.
pub fn call(caller: &Caller<'_>, method: &[u8], request: &[u8]) -> Replied {
    let Some(found) = METHODS.iter().find(|one| one.name.as_bytes() == method) else {
        return refuse(format!(
            "this version has no method '{}': plexindex.schema.json lists the methods",
            abridged(method)
        ));
    };
    check_length("request", request.len(), LONGEST_REQUEST)?;
    (found.run)(caller, if request.is_empty() { b"{}" } else { request }, found.name)
}

fn replied<R: DeserializeOwned, A: Serialize>(
    caller: &Caller<'_>,
    request: &[u8],
    name: &str,
    run: fn(&Caller<'_>, R) -> Answered<A>,
) -> Replied {
    let request = match serde_json::from_slice(request) {
        Ok(request) => request,
        Err(error) => return refuse(format!("{name}: the request is refused: {error}")),
    };
    let (answer, status) = run(caller, request)?;
    let answer = serde_json::to_vec(&answer)
        .map_err(|error| Error::new(Status::Panic, format!("bug in plexindex: {name} has no JSON: {error}")))?;
    Ok((answer, status))
}

/// An answer of a call that succeeded.
fn done<A>(answer: A) -> Answered<A> {
    Ok((answer, Ok(Status::Ok)))
}

impl Caller<'_> {
    fn index(&self) -> Result<&Index> {
        self.opened.map(Opened::index).ok_or_else(|| null("handle"))
    }

    /// The library that a request names; all of them if it names none.
    fn library(&self, named: Option<LibraryName>) -> Result<Library> {
        let selector = named.map_or(Selector::All, Into::into);
        if let Selector::Any(name) | Selector::Title(name) | Selector::Section(name) | Selector::Uuid(name) = &selector
        {
            check_length("library", name.len(), LONGEST_TEXT)?;
        }
        self.index()?.library(selector)
    }

    /// A query with the limits of the call.
    fn query<'q>(&'q self, query: Query<'q>, offline: bool) -> Result<Query<'q>> {
        self.limits.apply(if offline { query.offline() } else { query })
    }
}

/// A library: its uuid, title or section id. A string is any of these: a uuid, else a title, else a section id, else a title
/// that differs by case only.
#[derive(Deserialize, JsonSchema)]
#[serde(
    untagged,
    expecting = "expected a library: a string, or an object with `title`, `section` or `uuid`"
)]
enum LibraryName {
    Any(String),
    Title(ByTitle),
    Section(BySection),
    Uuid(ByUuid),
}

/// A title; where no library has it, one that differs by case only.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ByTitle {
    title: String,
}

/// A section id, such as `1`.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct BySection {
    section: String,
}

/// A uuid, which stays when the library is renamed.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ByUuid {
    uuid: String,
}

impl From<LibraryName> for Selector {
    fn from(named: LibraryName) -> Self {
        match named {
            LibraryName::Any(name) => Self::Any(name),
            LibraryName::Title(ByTitle { title }) => Self::Title(title),
            LibraryName::Section(BySection { section }) => Self::Section(section),
            LibraryName::Uuid(ByUuid { uuid }) => Self::Uuid(uuid),
        }
    }
}

/// An answer that holds nothing.
#[derive(Serialize, JsonSchema)]
struct Nothing {}

/// How many bytes a request may have. What is longer could end the host when it is copied.
const LONGEST_REQUEST: usize = 64 << 20;

/// How many items a page has by default.
fn page() -> usize {
    1_000
}

#[cfg(test)]
#[path = "door_tests.rs"]
mod tests;
