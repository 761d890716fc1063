//! Records the statements that tests prepare, for `plan_tests`.

use std::fs::OpenOptions;
use std::io::Write as _;

use rusqlite::Connection;

use crate::platform::statements::prepared;

/// The environment variable with the path of the file for statements, which has one JSON text per line.
pub const FILE: &str = "PLEXINDEX_TEST_STATEMENTS";

/// Appends the prepared statements of a connection to the file, if the variable is set. Called before the connection
/// closes.
pub fn record(connection: &Connection) {
    let Some(file) = std::env::var_os(FILE) else { return };
    let mut file = OpenOptions::new().append(true).create(true).open(file).expect("opened");
    for statement in prepared(connection) {
        let line = serde_json::to_string(&statement).expect("a text") + "\n";
        file.write_all(line.as_bytes()).expect("written");
    }
}
