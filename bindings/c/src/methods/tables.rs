//! Methods that count and clear the host's tables.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Caller, MethodResult, Nothing, ok_answer};
use plexindex::error::invalid_argument_error;
use plexindex::inside::ByteString;

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
