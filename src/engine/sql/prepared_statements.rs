//! Records the statements that tests prepare, for `plan_tests`.

use std::fs::OpenOptions;
use std::io::Write as _;

use rusqlite::Connection;

use crate::platform::statements::prepared;

/// Environment variable with the path of the statement file, which has one JSON string per line.
pub const FILE: &str = "PLEXINDEX_TEST_STATEMENTS";

/// Appends a connection's prepared statements to the statement file, if the environment variable is set, so that a test
/// can check the query plans of all statements.
pub fn record(connection: &Connection) {
    let Some(file) = std::env::var_os(FILE) else { return };
    let mut file = OpenOptions::new().append(true).create(true).open(file).expect("opened");
    for statement in prepared(connection) {
        let line = serde_json::to_string(&statement).expect("a text") + "\n";
        file.write_all(line.as_bytes()).expect("written");
    }
}
