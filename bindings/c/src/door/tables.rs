//! Tables of the host's own values: what needs no speed.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Answered, Caller, Nothing, done};
use plexindex::error::refuse;
use plexindex::inside::ByteString;

/// Counts the entries of a table, or of all tables together. Entries that have expired and are still stored count too.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CountTable {
    /// The table's name; all tables if absent.
    table: Option<ByteString>,
}

/// The count.
#[derive(Serialize, JsonSchema)]
pub struct TableCount {
    /// How many entries.
    count: u64,
}

pub fn count(caller: &Caller<'_>, request: CountTable) -> Answered<TableCount> {
    let tables = caller.index()?.tables();
    let count = match request.table {
        Some(name) => tables.table(&name.0, false)?.count()?,
        None => tables.count()?,
    };
    done(TableCount { count })
}

/// Removes all entries of a table, or of all tables. A table of any size takes the same time.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ClearTable {
    /// The table's name.
    table: Option<ByteString>,
    /// Instead of `table`: clears all tables.
    #[serde(default)]
    all: bool,
}

pub fn clear(caller: &Caller<'_>, request: ClearTable) -> Answered<Nothing> {
    let tables = caller.index()?.tables();
    match (request.table, request.all) {
        (Some(name), false) => tables.table(&name.0, false)?.clear()?,
        (None, true) => tables.clear()?,
        // A name that a host forgot must not clear all its tables.
        _ => return refuse("tables.clear: give `table`, or `all` to clear all tables"),
    }
    done(Nothing {})
}
