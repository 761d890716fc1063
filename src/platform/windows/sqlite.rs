//! Nothing to do on Windows, where SQLite does not change the owner of files.

/// Does nothing, since SQLite does not change the owner of files on Windows.
pub fn keep_owner_if(_: fn() -> bool) {}
