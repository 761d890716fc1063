//! The limit on open files: detects it in errors, and adds the remedy to their texts.

use std::io;

use super::system::files as system;

/// Returns whether the process or the system can open no more files.
#[must_use]
pub fn is_out_of_files(error: &io::Error) -> bool {
    system::is_out_of_files(error)
}

/// Returns the text of an error of the system, with the remedy if no file can be opened any more.
#[must_use]
pub fn text_of(error: &io::Error) -> String {
    if is_out_of_files(error) {
        return format!("{error}; {}", system::MORE_OPEN_FILES);
    }
    error.to_string()
}
