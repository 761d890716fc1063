//! Methods of plexindex_call(), which accept and return JSON.
//!
//! [`METHODS`] maps each method name to a function that turns a request into an answer. From the types of requests and
//! answers, `make header` generates the schema, docs/methods.md and the types for other languages. To add a method,
//! write a function and add a line to [`METHODS`].

// All methods have the same signature, even if a method does not consume the request or cannot fail.
#![allow(clippy::needless_pass_by_value, clippy::unnecessary_wraps)]

mod changes;
mod facts;
mod items;
mod matching;
mod records;
pub mod schema;

use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::guard::{Limits, Opened};
use crate::strings::{LONGEST_TEXT, null_error};
use plexindex::error::{Error, Result, Status, check_length, invalid_argument_error, truncate_for_message};
use plexindex::{Index, Library, Query, Selector};

/// A method of plexindex_call().
pub struct Method {
    /// Name of the method, such as `items.list`.
    pub name: &'static str,
    /// Parses the request, runs the method and encodes the answer.
    run: fn(&Caller<'_>, &[u8], &str) -> JsonResult,
}

macro_rules! methods {
    ($($name:literal $function:path,)*) => {
        /// All methods, in the order of docs/methods.md.
        pub const METHODS: &[Method] = &[$(Method {
            name: $name,
            run: |caller, request, name| run_with_json(caller, request, name, $function),
        }),*];

        /// Schemas of the methods, in a separate table, so that the linker can omit schemas from the shared object.
        const SHAPES: &[schema::ShapesOf] = &[$(|generator| schema::shapes(generator, $function)),*];
    };
}

methods! {
    "libraries.list" facts::libraries,
    "server.check" facts::server,
    "server.scan" facts::scan,
    "store.get" facts::store,
    "versions" facts::versions,
    "log.set_level" facts::set_log_level,
    "items.list" items::list,
    "items.get" items::get,
    "items.refresh" items::refresh,
    "shows.list" items::shows,
    "items.below" items::below,
    "items.missing" items::missing,
    "match.folder" matching::folder,
    "match.guid" matching::guid,
    "match.title" matching::title,
    "match.wait" matching::wait,
    "matches.export" records::export,
    "matches.import" records::import,
    "changes.list" changes::list,
    "changes.wait" changes::wait,
    "watch.start" changes::watch_start,
    "watch.stop" changes::watch_stop,
    "mappings.propose" facts::propose,
    "mappings.to_host" facts::to_host,
    "mappings.to_server" facts::to_server,
    "paths.compare" facts::compare,
    "tables.add" records::add,
    "tables.take" records::take,
    "tables.count" records::count,
    "tables.clear" records::clear,
    "sharing" records::sharing,
}

/// The context of a call: the open index, if any, and the limits.
pub struct Caller<'c> {
    /// The open index; `None` for a NULL handle, which `versions`, `log.set_level` and `paths.compare`
    /// accept.
    pub opened: Option<&'c Opened>,
    /// Deadline and progress function.
    pub limits: Limits,
}

/// An answer with the call's status.
type MethodResult<A> = Result<(A, Status)>;

/// A [`MethodResult`] with the answer encoded as JSON.
pub type JsonResult = Result<(Vec<u8>, Status)>;

/// Calls the method with this name. `request`: a JSON object; empty bytes stand for an empty object. Returns the answer
/// as JSON, with its status.
///
/// # Errors
/// Status `INVALID_ARGUMENT` for an unknown method or an invalid request; errors of the method.
pub fn call(caller: &Caller<'_>, method: &[u8], request: &[u8]) -> JsonResult {
    let Some(known_method) = METHODS.iter().find(|known| known.name.as_bytes() == method) else {
        return invalid_argument_error(format!(
            "this version has no method '{}'; plexindex.schema.json lists the methods",
            truncate_for_message(method)
        ));
    };
    check_length("request", request.len(), LONGEST_REQUEST)?;
    let request = if request.is_empty() { b"{}" } else { request };
    (known_method.run)(caller, request, known_method.name)
}

/// Parses the JSON of a request, runs the method, and returns its answer as JSON, with its status. `name`: the method's
/// name, for error messages.
fn run_with_json<R: DeserializeOwned, A: Serialize>(
    caller: &Caller<'_>,
    request: &[u8],
    name: &str,
    run: fn(&Caller<'_>, R) -> MethodResult<A>,
) -> JsonResult {
    let request = match serde_json::from_slice(request) {
        Ok(request) => request,
        Err(error) => return invalid_argument_error(format!("{name}: invalid request: {error}")),
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

/// Returns an answer with the status `OK`, which most methods return.
fn ok_answer<A>(answer: A) -> MethodResult<A> {
    Ok((answer, Status::Ok))
}

impl Caller<'_> {
    /// Returns the open index. Fails if the host passed NULL as the handle.
    fn index(&self) -> Result<&Index> {
        self.opened.map(Opened::index).ok_or_else(|| null_error("handle"))
    }

    /// Returns a handle to the library with this name, or to all libraries if `name` is `None`. Sends no request.
    fn library(&self, name: Option<LibraryName>) -> Result<Library> {
        let selector = name.map_or(Selector::All, Into::into);
        if let Selector::Any(name) | Selector::Title(name) | Selector::Section(name) | Selector::Uuid(name) = &selector
        {
            check_length("library", name.len(), LONGEST_TEXT)?;
        }
        self.index()?.library(selector)
    }

    /// Returns the query with the call's timeout and progress function; it sends no request if `offline` is true.
    fn query<'q>(&'q self, query: Query<'q>, offline: bool) -> Result<Query<'q>> {
        self.limits.apply(if offline { query.offline() } else { query })
    }
}

/// A library: `{"uuid": …}`, `{"title": …}` or `{"section": …}`. A string selects by uuid, title, section id, or title
/// ignoring case, in this order.
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

/// A title. If no library has this exact title, selects by title ignoring case.
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

/// A uuid, which does not change when the library is renamed.
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

/// Maximum length of a request in bytes. Copying a longer request could exhaust the host's memory.
const LONGEST_REQUEST: usize = 64 << 20;

fn default_page_limit() -> usize {
    1_000
}

#[cfg(test)]
#[path = "methods_tests.rs"]
mod tests;
