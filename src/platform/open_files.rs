//! Detects errors from the limit on open files, and adds the remedy to their text.

use std::io;

use super::system::files as system;

/// Returns whether the error means that the process or the system cannot open more files.
#[must_use]
pub fn is_out_of_files(error: &io::Error) -> bool {
    system::is_out_of_files(error)
}

/// Returns the text of a system error, with the remedy if no more files can be opened.
#[must_use]
pub fn text_of(error: &io::Error) -> String {
    if is_out_of_files(error) {
        return format!("{error}; {}", system::MORE_OPEN_FILES);
    }
    error.to_string()
}
