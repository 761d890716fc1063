//! The statements that tests prepare, for `plan_tests`.

use std::fs::OpenOptions;
use std::io::Write as _;

use rusqlite::Connection;

use crate::platform::statements::prepared;

/// The variable with the file that statements are added to: a line of JSON each.
pub const FILE: &str = "PLEXINDEX_TEST_STATEMENTS";

/// Records the statements of a connection that is about to be closed, where the variable names a file.
pub fn record(connection: &Connection) {
    let Some(file) = std::env::var_os(FILE) else { return };
    let mut file = OpenOptions::new().append(true).create(true).open(file).expect("opened");
    for statement in prepared(connection) {
        let line = serde_json::to_string(&statement).expect("a text") + "\n";
        file.write_all(line.as_bytes()).expect("written");
    }
}
