//! The limit on open files: detects it in errors, and adds the remedy to their texts.

use std::io;

/// Returns whether the process or the system can open no more files: `EMFILE`, `ENFILE`.
#[must_use]
pub fn is_out_of_files(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE))
}

/// Returns the text of an error of the system, with the remedy if no file can be opened any more.
#[must_use]
pub fn text_of(error: &io::Error) -> String {
    let remedy = "; raise the limit on open files (ulimit -n)";
    format!("{error}{}", if is_out_of_files(error) { remedy } else { "" })
}
