//! Empty implementation, since SQLite does not change the owner of files on Windows.

/// Length in bytes of the longest path of a database that SQLite opens; here, the system has the shorter limit.
pub const MAX_DATABASE_PATH: usize = usize::MAX;

/// Does nothing, since SQLite does not change the owner of files on Windows.
pub fn suppress_chown_while(_: fn() -> bool) {}
