//! The structs of `plexindex_more.h`. Their comments are written for C readers.

use super::types::{Bytes, LibraryHandle};

/// A table of the host's own values, or all of them, from plexindex_get_table(). It belongs to the index: the caller
/// does not free it, and it is valid until plexindex_close(). Any number of threads may use it at once.
pub struct TableHandle {
    _private: [u8; 0],
}

/// An edit of items, for plexindex_edit_items(). Begin with plexindex_edit_init().
#[repr(C)]
#[derive(Clone, Copy)]
pub struct EditRecord {
    /// sizeof(plexindex_edit).
    pub size: usize,
    /// The items' library: one, not all.
    pub library: *const LibraryHandle,
    /// `keys_count` keys or rating keys, each followed by a NUL. Never empty: a server without keys would edit every
    /// item of the library.
    pub keys: Bytes,
    /// How many keys.
    pub keys_count: usize,
    /// `changes_count` pairs of a name and a value, each followed by a NUL, UTF-8. The name `title` sets that field to
    /// the value, `genre+` adds the value to those tags, `genre-` removes it from them. `title!` changes the field's
    /// lock only, and its value is empty. The names are Plex's, which ignores those that it does not know.
    pub changes: Bytes,
    /// How many pairs of a name and a value. Never 0.
    pub changes_count: usize,
    /// How long the call may take, in milliseconds. 0: as the options say. PLEXINDEX_NO_DEADLINE: as long as it takes.
    /// Other negative values are refused.
    pub deadline_ms: i64,
    /// PLEXINDEX_EDIT_LOCK locks the fields that are named: the server's agents leave them alone.
    /// PLEXINDEX_EDIT_UNLOCK unlocks them. PLEXINDEX_EDIT_LEAVE leaves their locks as they are.
    pub lock: i32,
    /// Zero.
    pub reserved: u32,
}

/// How far an edit came, whether it succeeded or not. Begin with plexindex_edit_report_init(). Set `states` to learn
/// which items were edited.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct EditReportRecord {
    /// sizeof(plexindex_edit_report).
    pub size: usize,
    /// Receives PLEXINDEX_EDITED_* for each key, in order; may be NULL.
    pub states: *mut u8,
    /// How many states fit. Keys beyond that get no state.
    pub states_capacity: usize,
    /// Out: keys whose items the server edited.
    pub done: u64,
    /// Out: keys of the request that failed. Whether the server edited their items is not known.
    pub failed: u64,
    /// Out: requests, with the one that failed and without retries.
    pub requests: u64,
}

/// One call of a walk over folders of this machine, for plexindex_walk(). Begin with plexindex_walk_init(). The call
/// writes `walk` and `files` and leaves the rest.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct WalkRecord {
    /// sizeof(plexindex_walk_request).
    pub size: usize,
    /// Of one library, or of all. Folders that only other libraries have are no findings.
    pub library: *const LibraryHandle,
    /// The folders and files to read. Each is two texts, each followed by a NUL: `folder`, `twin_folder`, `file` or
    /// `twin_file`, and the full path.
    pub folders: Bytes,
    /// How many folders and files: half the number of texts.
    pub folders_count: usize,
    /// The call ends with the folder that it reads after so many names, at most 1,000,000, and after 200 ms. 0: 1,000.
    pub limit: usize,
    /// In: 0 begins a walk; the number that the last call left here continues it. Out: 0 when the walk is over.
    pub walk: u64,
    /// Out: media files that this call saw, listed ones and given ones included; not those that only other libraries
    /// list. The sum over the calls of a walk is that of the walk.
    pub files: u64,
    /// The rules that hold: PLEXINDEX_RULE_*, or'ed. Outside every library's folder only EXTENSION, HIDDEN, SYSTEM and
    /// EMPTY do.
    pub rules: u32,
    /// PLEXINDEX_WALK_* flags, or'ed.
    pub flags: u32,
}

/// A change of a table, for plexindex_table_write().
#[repr(C)]
#[derive(Clone, Copy)]
pub struct TableOp {
    /// PLEXINDEX_TABLE_PUT, PLEXINDEX_TABLE_REMOVE or PLEXINDEX_TABLE_CLEAR.
    pub kind: i32,
    /// Zero.
    pub reserved: u32,
    /// The table.
    pub table: *const TableHandle,
    /// The entry's name; NULL and 0 for PLEXINDEX_TABLE_CLEAR.
    pub name: Bytes,
    /// Its value; NULL and 0 but for PLEXINDEX_TABLE_PUT.
    pub value: Bytes,
}
