//! Methods for what hosts record: matches, tables, and sharing them.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use plexindex::error::{Result, invalid_argument_error};
use plexindex::inside::{ByteString, TableLimits, path_from_bytes};
use plexindex::{ImportedMatches, RecordedMatch};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Caller, MethodResult, Nothing, default_page_limit, ok_answer};
use crate::constants::PLEXINDEX_TTL_NEVER;
use crate::options::ttl;
use crate::strings::check_page_limit;

#[cfg(feature = "shared")]
use plexindex_sharing::{SharedIndex, SharedStatus, SharedTables};

/// Exports recorded matches, sorted by library and path.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExportMatches {
    /// A damaged database: a path, or a name in the index's folder, that ends in `.broken`. The method reads the matches of
    /// all servers and users, as far as it is readable. Default: the matches in the index.
    broken: Option<ByteString>,
    /// Cursor of the last page; absent for the first page.
    cursor: Option<String>,
    /// Maximum number of matches per page, up to 10,000.
    #[serde(default = "default_page_limit")]
    limit: usize,
}

#[derive(Serialize, JsonSchema)]
pub struct MatchesPage {
    matches: Vec<RecordedMatch>,
    /// Cursor of the next page; absent on the last page.
    #[serde(skip_serializing_if = "Option::is_none")]
    cursor: Option<String>,
}

/// Runs `matches.export`: returns a page of recorded matches. A cursor is the library and path of its page's last match.
pub fn export(caller: &Caller<'_>, request: ExportMatches) -> MethodResult<MatchesPage> {
    let index = caller.index()?;
    check_page_limit(request.limit)?;
    let after = request.cursor.as_deref().map(decode_cursor).transpose()?;
    let broken = request.broken.map(|name| path_from_bytes(name.0));
    let mut matches = index.export_matches(broken.as_deref().map(Path::as_ref))?;
    if let Some(after) = after {
        let first =
            matches.partition_point(|one| (one.library_uuid.as_bytes(), path_bytes(one)) <= (&*after.0, &*after.1));
        matches.drain(..first);
    }
    let has_more = matches.len() > request.limit;
    matches.truncate(request.limit);
    let last = matches.last().filter(|_| has_more);
    let cursor = last.map(|last| STANDARD.encode([last.library_uuid.as_bytes(), b"\0", path_bytes(last)].concat()));
    ok_answer(MatchesPage { matches, cursor })
}

fn path_bytes(one: &RecordedMatch) -> &[u8] {
    one.path.as_os_str().as_encoded_bytes()
}

/// Decodes a cursor: a library's uuid and a path.
fn decode_cursor(cursor: &str) -> Result<(Vec<u8>, Vec<u8>)> {
    let decoded = STANDARD.decode(cursor).ok();
    let position = decoded.as_deref().and_then(|bytes| {
        let end = bytes.iter().position(|byte| *byte == 0)?;
        Some((bytes[..end].to_vec(), bytes[end + 1..].to_vec()))
    });
    position.map_or_else(
        || invalid_argument_error("cursor is invalid; pass the cursor of the last page, or none for the first page"),
        Ok,
    )
}

/// Records matches from `matches.export`, each in the library with its uuid. A path that already has a match keeps it.
/// Asks the server only about an unknown library.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ImportMatches {
    /// The matches.
    matches: Vec<RecordedMatch>,
    /// Sends no request.
    #[serde(default)]
    offline: bool,
}

/// Runs `matches.import`: records exported matches.
pub fn import(caller: &Caller<'_>, request: ImportMatches) -> MethodResult<ImportedMatches> {
    let query = caller.query(caller.index()?.query(), request.offline)?;
    ok_answer(query.import_matches(&request.matches)?)
}

/// Stores a value if the table has no value with this name, in one transaction. The value never expires by default.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AddEntry {
    /// The table's name.
    table: ByteString,
    /// The entry's name.
    name: ByteString,
    /// The value to store.
    value: ByteString,
    /// As in plexindex_table_put(). Default: PLEXINDEX_TTL_NEVER.
    #[serde(default = "never")]
    ttl_ms: i64,
    /// As in plexindex_table_put().
    #[serde(default)]
    max_bytes: u64,
}

const fn never() -> i64 {
    PLEXINDEX_TTL_NEVER
}

#[derive(Serialize, JsonSchema)]
pub struct EntryBefore {
    /// The value that was there before; absent if there was none, or it had expired.
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<ByteString>,
}

/// Runs `tables.add`: stores a value unless there is one.
pub fn add(caller: &Caller<'_>, request: AddEntry) -> MethodResult<EntryBefore> {
    let table = caller.index()?.tables().table(&request.table.0, false)?;
    let limits = TableLimits {
        ttl: ttl(request.ttl_ms, "ttl_ms")?,
        limit: (request.max_bytes > 0).then_some(request.max_bytes),
    };
    let value = table.add(&request.name.0, &request.value.0, &limits)?;
    ok_answer(EntryBefore {
        value: value.map(ByteString),
    })
}

/// Removes an entry and returns its value, in one transaction.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TakeEntry {
    /// The table's name.
    table: ByteString,
    /// The entry's name.
    name: ByteString,
}

/// Runs `tables.take`: removes an entry and returns its value.
pub fn take(caller: &Caller<'_>, request: TakeEntry) -> MethodResult<EntryBefore> {
    let table = caller.index()?.tables().table(&request.table.0, false)?;
    let value = table.take(&request.name.0)?;
    ok_answer(EntryBefore {
        value: value.map(ByteString),
    })
}

/// Counts the entries of one table or of all tables, including expired entries that are still stored.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CountTable {
    /// The table's name. Default: all tables.
    table: Option<ByteString>,
}

#[derive(Serialize, JsonSchema)]
pub struct TableCount {
    count: u64,
}

/// Runs `tables.count`: counts the entries of one table or of all tables.
pub fn count(caller: &Caller<'_>, request: CountTable) -> MethodResult<TableCount> {
    let tables = caller.index()?.tables();
    let count = match request.table {
        Some(name) => tables.table(&name.0, false)?.count()?, // all entries, so their case does not matter
        None => tables.count()?,
    };
    ok_answer(TableCount { count })
}

/// Removes all entries of one table or of all tables. The time needed does not depend on their size.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ClearTable {
    /// The table's name.
    table: Option<ByteString>,
    /// Clears all tables; `table` must be absent.
    #[serde(default)]
    all: bool,
}

/// Runs `tables.clear`: removes the entries of one table or of all tables.
pub fn clear(caller: &Caller<'_>, request: ClearTable) -> MethodResult<Nothing> {
    let tables = caller.index()?.tables();
    match (request.table, request.all) {
        (Some(name), false) => tables.table(&name.0, false)?.clear()?, // all entries, so their case does not matter
        (None, true) => tables.clear()?,
        // A request without a name must not clear every table by accident.
        _ => {
            return invalid_argument_error(
                "tables.clear needs either `table` or `all`; pass `all` to clear every table",
            );
        }
    }
    ok_answer(Nothing {})
}

/// Inspects, prepares or clears the shared database (`options.shared`), or delivers to it. Waits for the database until
/// `options.timeout_ms`, or a few seconds without a timeout.
///
/// If `deliver` returns TIMEOUT, plexindex delivers the rest later. The other actions, except `status`, can return CONNECT,
/// TIMEOUT, OFFLINE, or FORBIDDEN if the PostgreSQL role lacks the privilege. All actions except `status` return
/// INVALID_ARGUMENT without `options.shared`. `deliver` and `clear` also require `server_url` and an online index.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Share {
    #[serde(default)]
    action: Action,
}

/// `status`: reports the database's state. `init`: creates its tables. `clear`: takes back all matches of this server and
/// user, on all hosts. `deliver`: waits until the database has everything that this host recorded. `drop_old`: removes the
/// tables of versions that shared a log.
#[derive(Clone, Copy, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    #[default]
    Status,
    Init,
    Clear,
    Deliver,
    DropOld,
}

#[cfg(feature = "shared")]
#[derive(Serialize, JsonSchema)]
pub struct Shared {
    /// The database's state; absent without `options.shared`, and after `deliver`.
    #[serde(skip_serializing_if = "Option::is_none")]
    database: Option<SharedStatus>,
    /// The database's tables; present only after `init`.
    #[serde(skip_serializing_if = "Option::is_none")]
    tables: Option<SharedTables>,
}

/// An empty answer, since this build shares nothing.
#[cfg(not(feature = "shared"))]
#[derive(Serialize, JsonSchema)]
pub struct Shared {}

/// Runs `sharing` in a build without sharing: every action except `status` fails.
#[cfg(not(feature = "shared"))]
pub fn sharing(caller: &Caller<'_>, request: Share) -> MethodResult<Shared> {
    let index = caller.index()?;
    if !matches!(request.action, Action::Status) {
        index.peers().expect_shared()?;
    }
    ok_answer(Shared {})
}

/// Runs `sharing`: performs an action on the shared database, and reports its state.
#[cfg(feature = "shared")]
pub fn sharing(caller: &Caller<'_>, request: Share) -> MethodResult<Shared> {
    let index = caller.index()?;
    let mut tables = None;
    match request.action {
        Action::Status => {}
        Action::Init => tables = Some(index.shared_init()?),
        Action::Clear => index.shared_clear()?,
        Action::Deliver => index.shared_deliver()?,
        Action::DropOld => index.shared_drop_old()?,
    }
    let database = match request.action {
        Action::Deliver => None,
        _ => index.shared_status()?,
    };
    ok_answer(Shared { database, tables })
}
