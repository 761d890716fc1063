//! Detects errors that the limit on open files causes, and adds a remedy to their messages.

use std::io;

use super::system::files::MORE_OPEN_FILES;
pub use super::system::files::is_out_of_files;

/// Returns a system error's message, with a remedy if the limit on open files is reached.
#[must_use]
pub fn text_of(error: &io::Error) -> String {
    if is_out_of_files(error) {
        return format!("{error}; {MORE_OPEN_FILES}");
    }
    error.to_string()
}
