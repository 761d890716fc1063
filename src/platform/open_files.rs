//! Detects errors that the limit on open files causes, and adds a remedy to their messages.

use std::io;

use super::system::files as system;

/// Returns whether the error means that the process or the system cannot open more files.
#[must_use]
pub fn is_out_of_files(error: &io::Error) -> bool {
    system::is_out_of_files(error)
}

/// Returns a system error's message, with a remedy if the limit on open files is reached.
#[must_use]
pub fn text_of(error: &io::Error) -> String {
    if is_out_of_files(error) {
        return format!("{error}; {}", system::MORE_OPEN_FILES);
    }
    error.to_string()
}
