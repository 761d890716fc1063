//! Lists the prepared statements of a connection, so that tests can check their query plans.

use std::collections::BTreeSet;
use std::ffi::CStr;

use rusqlite::Connection;
use rusqlite::ffi::{sqlite3_next_stmt, sqlite3_sql};

/// Returns the SQL of each of a connection's prepared statements.
pub fn prepared(connection: &Connection) -> BTreeSet<String> {
    let mut texts = BTreeSet::new();
    // SAFETY: the connection is open, and no other thread prepares or finalizes one of its statements during this call.
    // Each string ends with a NUL, and lives as long as its statement.
    unsafe {
        let database = connection.handle();
        let mut statement = sqlite3_next_stmt(database, std::ptr::null_mut());
        while !statement.is_null() {
            let text = sqlite3_sql(statement);
            if !text.is_null() {
                texts.insert(CStr::from_ptr(text).to_string_lossy().into_owned());
            }
            statement = sqlite3_next_stmt(database, statement);
        }
    }
    texts
}
