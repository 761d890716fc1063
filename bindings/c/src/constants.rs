//! The constants of the C header that are no variants of an enum. The values are part of the ABI.

/// The version of the ABI, which changes when programs compiled against an older header would misbehave. If you load
/// the library at run time, compare this constant with plexindex_get_abi_version().
pub const PLEXINDEX_ABI_VERSION: u32 = 1;

/// The version of this header, as major * 1000000 + minor * 1000 + patch.
pub const PLEXINDEX_VERSION_NUMBER: u32 = 1000;

/// Special values of times in ms: library_ttl_ms: a listing is never fresh.
pub const PLEXINDEX_TTL_AT_ONCE: i64 = -1;
/// Special values of times in ms: library_ttl_ms: a listing stays fresh until an event or a call invalidates it.
pub const PLEXINDEX_TTL_NEVER: i64 = -2;
/// Special values of times in ms: timeout_ms: the call has no time limit.
pub const PLEXINDEX_NO_TIMEOUT: i64 = -1;
/// Special values of times in ms: retry_ms: plexindex does not retry failed requests.
pub const PLEXINDEX_NO_RETRY: i64 = -1;
/// Special values of times in ms: slow_ms: plexindex logs no slow calls.
pub const PLEXINDEX_NEVER_SLOW: i64 = -1;

/// plexindex_options.flags: plexindex sends no requests. `cache_dir` can be read-only: writes then fail.
pub const PLEXINDEX_OPEN_OFFLINE: u32 = 1;
/// plexindex_options.flags: accepts any certificate, and logs a warning when the index opens.
pub const PLEXINDEX_OPEN_ACCEPT_INVALID_CERTS: u32 = 2;
/// plexindex_options.flags: reads index files into memory instead of mapping them.
pub const PLEXINDEX_OPEN_NO_MMAP: u32 = 4;
/// plexindex_options.flags: replaces media paths in log lines and errors with short hashes.
pub const PLEXINDEX_OPEN_OBFUSCATE_PATHS: u32 = 8;
/// plexindex_options.flags: with `shared`, writes for other hosts are on disk when calls return.
pub const PLEXINDEX_OPEN_SHARED_DURABLE: u32 = 16;

/// plexindex_mapping.kind: `from` is a folder on the host, and `to` is the same folder on the server.
pub const PLEXINDEX_MAPPING_HOST_PREFIX: i32 = 1;
/// plexindex_mapping.kind: `from` matches host paths, and `to` produces server paths.
pub const PLEXINDEX_MAPPING_HOST_PATTERN: i32 = 2;
/// plexindex_mapping.kind: `from` is a folder on the server, and `to` is the same folder on the host.
pub const PLEXINDEX_MAPPING_SERVER_PREFIX: i32 = 3;
/// plexindex_mapping.kind: `from` matches server paths, and `to` produces host paths.
pub const PLEXINDEX_MAPPING_SERVER_PATTERN: i32 = 4;

/// plexindex_query.flags: the call sends no requests and answers from the store.
pub const PLEXINDEX_QUERY_OFFLINE: u32 = 1;
/// plexindex_query.flags: plexindex_refresh() fetches a full listing, and accepts a listing of any size.
pub const PLEXINDEX_QUERY_FULL: u32 = 2;
/// plexindex_query.flags: matching never waits, and returns PLEXINDEX_NOT_YET if a wait would be necessary.
pub const PLEXINDEX_QUERY_AT_ONCE: u32 = 4;
/// plexindex_query.flags: first asks the server once whether libraries have changed.
pub const PLEXINDEX_QUERY_PROBE: u32 = 8;
/// plexindex_query.flags: plexindex does not read the file's size.
pub const PLEXINDEX_QUERY_NO_SIZE: u32 = 16;
/// plexindex_query.flags: the items have a `file`.
pub const PLEXINDEX_QUERY_FILE: u32 = 32;

/// plexindex_get_table(), plexindex_record_matches(): entry names ignore the case of `A` to `Z`.
pub const PLEXINDEX_TABLE_FOLD_ASCII: u32 = 1;
/// plexindex_get_table(), plexindex_record_matches(): limits count all tables of the store, and remove from all.
pub const PLEXINDEX_TABLE_LIMIT_ALL: u32 = 2;
/// plexindex_get_table(), plexindex_record_matches(): the call returns once the shared database has the matches.
pub const PLEXINDEX_RECORD_THROUGH: u32 = 1;

/// plexindex_table_op.kind: stores `value` under `name`.
pub const PLEXINDEX_TABLE_PUT: i32 = 1;
/// plexindex_table_op.kind: removes the entry `name`.
pub const PLEXINDEX_TABLE_REMOVE: i32 = 2;
/// plexindex_table_op.kind: removes all entries of the table.
pub const PLEXINDEX_TABLE_CLEAR: i32 = 3;

/// plexindex_get_library(): selects by uuid, exact title, section id, or title ignoring case, in this order.
pub const PLEXINDEX_SELECT_ANY: i32 = 0;
/// plexindex_get_library(): selects by exact title, or otherwise by title ignoring case.
pub const PLEXINDEX_SELECT_TITLE: i32 = 1;
/// plexindex_get_library(): selects by section id, such as `1`.
pub const PLEXINDEX_SELECT_SECTION: i32 = 2;
/// plexindex_get_library(): selects by uuid.
pub const PLEXINDEX_SELECT_UUID: i32 = 3;
/// plexindex_get_library(): selects all libraries; the selector must be empty.
pub const PLEXINDEX_SELECT_ALL: i32 = 4;

/// plexindex_answer.flags, plexindex_item.flags, plexindex_file.flags: possibly outdated: the server did not answer, or a listing awaits confirmation.
pub const PLEXINDEX_ANSWER_STALE: u8 = 1;

/// plexindex_answer.flags, plexindex_item.flags, plexindex_file.flags: `path` is not valid UTF-8.
pub const PLEXINDEX_ITEM_PATH_NOT_UTF8: u32 = 1;
/// plexindex_answer.flags, plexindex_item.flags, plexindex_file.flags: a recorded match whose item is not listed; only the key is set.
pub const PLEXINDEX_ITEM_KEY_ONLY: u32 = 2;

/// plexindex_answer.flags, plexindex_item.flags, plexindex_file.flags: Plex made this version itself ('Optimized Versions').
pub const PLEXINDEX_FILE_OPTIMIZED: u32 = 1;

/// Log level: nothing.
pub const PLEXINDEX_LOG_OFF: i32 = -1;
/// Log level: errors.
pub const PLEXINDEX_LOG_ERROR: i32 = 1;
/// Log level: errors and warnings. The default.
pub const PLEXINDEX_LOG_WARN: i32 = 2;
/// Log level: also activity, such as fetches, refreshes and invalidations.
pub const PLEXINDEX_LOG_INFO: i32 = 3;
/// Log level: everything, with full paths.
pub const PLEXINDEX_LOG_DEBUG: i32 = 4;
