//! The methods of plexindex_call(): JSON in, JSON out.
//!
//! [`METHODS`] maps each name to a function from a request to an answer. `make header` generates the schema,
//! docs/methods.md and the types of other languages from the types of requests and answers. To add a method, write a
//! function and add a line to [`METHODS`].

// All methods have one signature, whether or not they consume the request or can fail.
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

/// A method of plexindex_call().
pub struct Method {
    /// Its name, such as `items.list`.
    pub name: &'static str,
    /// Parses the request, runs the method and encodes the answer.
    run: fn(&Caller<'_>, &[u8], &str) -> JsonResult,
}

macro_rules! methods {
    ($($name:literal $function:path,)*) => {
        /// All methods, in the order of the reference.
        pub const METHODS: &[Method] = &[$(Method {
            name: $name,
            run: |caller, request, name| run_with_json(caller, request, name, $function),
        }),*];

        /// Schemas of the methods. A separate table, so that the linker leaves schemas out of the shared object.
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

/// The context of a call: the open index, if any, and the limits.
pub struct Caller<'c> {
    /// The index; `versions` and `paths.compare` need none.
    pub opened: Option<&'c Opened>,
    /// Deadline and progress function.
    pub limits: Limits,
}

/// An answer with the status of the call, which may be an error (`edit`); or an error without an answer.
type MethodResult<A> = Result<(A, Result<Status>)>;

/// A [`MethodResult`] with the answer encoded as JSON.
pub type JsonResult = Result<(Vec<u8>, Result<Status>)>;

/// Calls the method with this name.
///
/// # Errors
/// Status `INVALID_ARGUMENT` for an unknown method or an invalid request; errors of the method.
pub fn call(caller: &Caller<'_>, method: &[u8], request: &[u8]) -> JsonResult {
    let Some(known_method) = METHODS.iter().find(|known| known.name.as_bytes() == method) else {
        return refuse(format!(
            "this version has no method '{}'; plexindex.schema.json lists the methods",
            abridged(method)
        ));
    };
    check_length("request", request.len(), LONGEST_REQUEST)?;
    let request = if request.is_empty() { b"{}" } else { request };
    (known_method.run)(caller, request, known_method.name)
}

/// Parses the request, runs the method, and encodes its answer.
fn run_with_json<R: DeserializeOwned, A: Serialize>(
    caller: &Caller<'_>,
    request: &[u8],
    name: &str,
    run: fn(&Caller<'_>, R) -> MethodResult<A>,
) -> JsonResult {
    let request = match serde_json::from_slice(request) {
        Ok(request) => request,
        Err(error) => return refuse(format!("{name}: invalid request: {error}")),
    };
    let (answer, status) = run(caller, request)?;
    let answer = serde_json::to_vec(&answer).map_err(|error| {
        Error::new(
            Status::Panic,
            format!("bug in plexindex: cannot encode the answer of {name}: {error}"),
        )
    })?;
    Ok((answer, status))
}

/// An answer with the status OK.
fn succeed<A>(answer: A) -> MethodResult<A> {
    Ok((answer, Ok(Status::Ok)))
}

impl Caller<'_> {
    /// The index, or an error for a NULL handle.
    fn index(&self) -> Result<&Index> {
        self.opened.map(Opened::index).ok_or_else(|| null("handle"))
    }

    /// The library that a request names; all libraries without a name.
    fn library(&self, name: Option<LibraryName>) -> Result<Library> {
        let selector = name.map_or(Selector::All, Into::into);
        if let Selector::Any(name) | Selector::Title(name) | Selector::Section(name) | Selector::Uuid(name) = &selector
        {
            check_length("library", name.len(), LONGEST_TEXT)?;
        }
        self.index()?.library(selector)
    }

    /// Adds the limits of the call to a query.
    fn query<'q>(&'q self, query: Query<'q>, offline: bool) -> Result<Query<'q>> {
        self.limits.apply(if offline { query.offline() } else { query })
    }
}

/// A library: `{"uuid": …}`, `{"title": …}` or `{"section": …}`. A string is a uuid, else a title, else a section id,
/// else a title in another case.
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

/// A title, or the same title in another case if no library has the exact one.
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

/// A uuid, which a renamed library keeps.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ByUuid {
    uuid: String,
}

impl From<LibraryName> for Selector {
    fn from(name: LibraryName) -> Self {
        match name {
            LibraryName::Any(name) => Self::Any(name),
            LibraryName::Title(ByTitle { title }) => Self::Title(title),
            LibraryName::Section(BySection { section }) => Self::Section(section),
            LibraryName::Uuid(ByUuid { uuid }) => Self::Uuid(uuid),
        }
    }
}

/// An empty answer.
#[derive(Serialize, JsonSchema)]
struct Nothing {}

/// Maximum length of a request in bytes. Copying a longer one could exhaust the host's memory.
const LONGEST_REQUEST: usize = 64 << 20;

/// The default number of items on a page.
fn default_page_limit() -> usize {
    1_000
}

#[cfg(test)]
#[path = "door_tests.rs"]
mod tests;
