//! The numbers of `plexindex_more.h`. Their comments are written for C readers.

/// plexindex_compare_paths(): the two paths have the same components.
pub const PLEXINDEX_PATHS_EQUAL: u32 = 0x1_0000;
/// plexindex_compare_paths(): the path lies under the other one, which is a folder then.
pub const PLEXINDEX_PATHS_UNDER: u32 = 0x2_0000;
/// plexindex_compare_paths(): these bits are the number of components that agree, from the end.
pub const PLEXINDEX_PATHS_COMMON: u32 = 0xFFFF;

/// plexindex_walk_request.rules: files that do not end as media of the library's kind do. Nothing is told of them.
pub const PLEXINDEX_RULE_EXTENSION: u32 = 1;
/// plexindex_walk_request.rules: files and folders whose names begin with a dot.
pub const PLEXINDEX_RULE_HIDDEN: u32 = 2;
/// plexindex_walk_request.rules: folders of systems and programs, such as lost+found.
pub const PLEXINDEX_RULE_SYSTEM: u32 = 4;
/// plexindex_walk_request.rules: folders that are being unpacked, or could not be.
pub const PLEXINDEX_RULE_UNPACKING: u32 = 8;
/// plexindex_walk_request.rules: files without a byte, links that lead nowhere, files that cannot be read.
pub const PLEXINDEX_RULE_EMPTY: u32 = 16;
/// plexindex_walk_request.rules: samples of videos.
pub const PLEXINDEX_RULE_SAMPLES: u32 = 32;
/// plexindex_walk_request.rules: trailers, interviews and the like, which are of an item.
pub const PLEXINDEX_RULE_EXTRAS: u32 = 64;
/// plexindex_walk_request.rules: the folders of discs, BDMV and VIDEO_TS.
pub const PLEXINDEX_RULE_DISCS: u32 = 128;
/// plexindex_walk_request.rules: what a file .plexignore names.
pub const PLEXINDEX_RULE_PLEXIGNORE: u32 = 256;
/// plexindex_walk_request.rules: all rules that this header knows.
pub const PLEXINDEX_RULE_ALL: u32 = 511;

/// plexindex_walk_request.flags: one call and no walk. Links are findings, and none is followed. `walk` stays 0.
pub const PLEXINDEX_WALK_ONCE: u32 = 1;

/// plexindex_edit.lock: the named fields are locked.
pub const PLEXINDEX_EDIT_LOCK: i32 = 0;
/// plexindex_edit.lock: the named fields are unlocked.
pub const PLEXINDEX_EDIT_UNLOCK: i32 = 1;
/// plexindex_edit.lock: locks stay as they are.
pub const PLEXINDEX_EDIT_LEAVE: i32 = 2;

/// plexindex_edit_report.states: no request was sent for the item.
pub const PLEXINDEX_EDITED_NO: u8 = 0;
/// plexindex_edit_report.states: the item was edited.
pub const PLEXINDEX_EDITED_DONE: u8 = 1;
/// plexindex_edit_report.states: the item's request failed; whether it was edited is not known.
pub const PLEXINDEX_EDITED_FAILED: u8 = 2;
/// plexindex_edit_report.states: the server has no such item; nothing was edited.
pub const PLEXINDEX_EDITED_MISSING: u8 = 3;

/// plexindex_get_table(): `A` to `Z` in names of entries count as `a` to `z`.
pub const PLEXINDEX_TABLE_FOLD_ASCII: u32 = 1;

/// plexindex_table_op.kind: stores `value` under `name`.
pub const PLEXINDEX_TABLE_PUT: i32 = 1;
/// plexindex_table_op.kind: removes the entry `name`.
pub const PLEXINDEX_TABLE_REMOVE: i32 = 2;
/// plexindex_table_op.kind: removes all entries of the table.
pub const PLEXINDEX_TABLE_CLEAR: i32 = 3;

/// plexindex_shared(): nothing is changed.
pub const PLEXINDEX_SHARED_STATUS: i32 = 0;
/// plexindex_shared(): the tables of the log are created or upgraded.
pub const PLEXINDEX_SHARED_INIT: i32 = 1;
/// plexindex_shared(): the log is emptied, for all servers and users. Each host keeps its folder.
pub const PLEXINDEX_SHARED_CLEAR: i32 = 2;
/// plexindex_shared(): waits until the log has all that this host has to tell.
pub const PLEXINDEX_SHARED_DELIVER: i32 = 3;
/// plexindex_shared(): from now on news of other hosts is taken as it comes, and what waits here is delivered.
pub const PLEXINDEX_SHARED_FOLLOW: i32 = 4;
/// plexindex_shared(): ends PLEXINDEX_SHARED_FOLLOW.
pub const PLEXINDEX_SHARED_UNFOLLOW: i32 = 5;

/// plexindex_options.flags: a write for other hosts is forced to the disk before its call returns, so that a power cut
/// takes none that was acknowledged. For `shared`.
pub const PLEXINDEX_OPEN_SHARED_DURABLE: u32 = 16;
