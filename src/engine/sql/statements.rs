//! The statements that tests prepare, for `plan_tests`.

use std::fs::OpenOptions;
use std::io::Write as _;

use rusqlite::Connection;

use crate::platform::statements::prepared;

/// The environment variable that names the file for statements, one line of JSON each.
pub const FILE: &str = "PLEXINDEX_TEST_STATEMENTS";

/// Appends the statements of a connection that is about to close to that file, if the variable is set.
pub fn record(connection: &Connection) {
    let Some(file) = std::env::var_os(FILE) else { return };
    let mut file = OpenOptions::new().append(true).create(true).open(file).expect("opened");
    for statement in prepared(connection) {
        let line = serde_json::to_string(&statement).expect("a text") + "\n";
        file.write_all(line.as_bytes()).expect("written");
    }
}
