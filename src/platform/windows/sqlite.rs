//! Empty implementation, since SQLite does not change the owner of files on Windows.

/// Does nothing, since SQLite does not change the owner of files on Windows.
pub fn suppress_chown_while(_: fn() -> bool) {}
