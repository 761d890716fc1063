//! The constants of the header that are no statuses. Numbers are part of the ABI.

/// The version of this ABI. It changes when a program that was compiled against an older header would misbehave. A host
/// that loads the library at run time compares it with plexindex_abi_version().
pub const PLEXINDEX_ABI_VERSION: u32 = 1;

/// plexindex_options.library_ttl_ms: a listing is never fresh.
pub const PLEXINDEX_TTL_AT_ONCE: i64 = -1;
/// plexindex_options.library_ttl_ms: a listing is fresh until it is invalidated.
pub const PLEXINDEX_TTL_NEVER: i64 = -2;
/// plexindex_query.deadline_ms: the call takes as long as it takes.
pub const PLEXINDEX_NO_DEADLINE: i64 = -1;
/// plexindex_options.retry_ms: a request that failed is not tried again.
pub const PLEXINDEX_NO_RETRY: i64 = -1;
/// plexindex_options.slow_ms: no call is slow.
pub const PLEXINDEX_NEVER_SLOW: i64 = -1;

/// plexindex_options.flags: no request is ever sent.
pub const PLEXINDEX_OPEN_OFFLINE: u32 = 1;
/// plexindex_options.flags: any certificate is accepted. Opening logs a warning.
pub const PLEXINDEX_OPEN_ACCEPT_INVALID_CERTS: u32 = 2;
/// plexindex_options.flags: images are read into memory instead of mapped.
pub const PLEXINDEX_OPEN_NO_MMAP: u32 = 4;
/// plexindex_options.flags: log lines, errors and reasons name media paths by a short hash and their extension.
pub const PLEXINDEX_OPEN_OBFUSCATE_PATHS: u32 = 8;

/// plexindex_mapping.kind: `from` is a folder of the host, `to` the server's.
pub const PLEXINDEX_MAPPING_HOST_PREFIX: i32 = 1;
/// plexindex_mapping.kind: `from` is a pattern over the host's paths, `to` a replacement that gives the server's.
pub const PLEXINDEX_MAPPING_HOST_PATTERN: i32 = 2;
/// plexindex_mapping.kind: `from` is a folder of the server, `to` the host's.
pub const PLEXINDEX_MAPPING_SERVER_PREFIX: i32 = 3;
/// plexindex_mapping.kind: `from` is a pattern over the server's paths, `to` a replacement that gives the host's.
pub const PLEXINDEX_MAPPING_SERVER_PATTERN: i32 = 4;

/// plexindex_query.flags: the call sends no request, and answers with what is known.
pub const PLEXINDEX_QUERY_OFFLINE: u32 = 1;
/// plexindex_query.flags: plexindex_refresh() fetches a full listing, even if the server reports no change, and believes
/// it, however much smaller it is. Other calls ignore the flag.
pub const PLEXINDEX_QUERY_FULL: u32 = 2;
/// plexindex_query.flags: plexindex_match_path() and plexindex_match_folder() wait for nothing: no request, no other thread,
/// no read of the database. Where the answer needs that it is PLEXINDEX_NOT_YET: ask again without the flag. Other calls
/// ignore it.
pub const PLEXINDEX_QUERY_AT_ONCE: u32 = 4;
/// plexindex_query.flags: plexindex_refresh() asks the server once whether anything changed, even if the listings are
/// fresh. Other calls ignore the flag.
pub const PLEXINDEX_QUERY_PROBE: u32 = 8;

/// plexindex_library(): the selector is a uuid, else a title, else a section id, else a title but for case: the
/// first that fits.
pub const PLEXINDEX_SELECT_ANY: i32 = 0;
/// plexindex_library(): the selector is a title; where no library has it, one that differs by case only.
pub const PLEXINDEX_SELECT_TITLE: i32 = 1;
/// plexindex_library(): the selector is a section id, such as `1`.
pub const PLEXINDEX_SELECT_SECTION: i32 = 2;
/// plexindex_library(): the selector is a uuid.
pub const PLEXINDEX_SELECT_UUID: i32 = 3;
/// plexindex_library(): all libraries; the selector must be empty.
pub const PLEXINDEX_SELECT_ALL: i32 = 4;

/// plexindex_answer.rung: nothing was found.
pub const PLEXINDEX_RUNG_NONE: u8 = 0;
/// plexindex_answer.rung: the host recorded this match.
pub const PLEXINDEX_RUNG_CONFIRMED: u8 = 1;
/// plexindex_answer.rung: the path is listed.
pub const PLEXINDEX_RUNG_EXACT: u8 = 2;
/// plexindex_answer.rung: a mapping gives a listed path.
pub const PLEXINDEX_RUNG_MAPPED: u8 = 3;
/// plexindex_answer.rung: a listed path has the same end, of two or more components.
pub const PLEXINDEX_RUNG_SUFFIX: u8 = 4;
/// plexindex_answer.rung: a listed path has the same file name.
pub const PLEXINDEX_RUNG_FILE_NAME: u8 = 5;

/// plexindex_answer.confidence: there is no item.
pub const PLEXINDEX_CONFIDENCE_NONE: u8 = 0;
/// plexindex_answer.confidence: the host has to verify the item, or to choose among the candidates.
pub const PLEXINDEX_CONFIDENCE_LOW: u8 = 1;
/// plexindex_answer.confidence: this is the file's item, as far as anything that is known can tell.
pub const PLEXINDEX_CONFIDENCE_HIGH: u8 = 2;

/// plexindex_answer.reason: there is a single item, recorded, listed or mapped.
pub const PLEXINDEX_REASON_NONE: u8 = 0;
/// plexindex_answer.reason: no library has a folder above this path.
pub const PLEXINDEX_REASON_NO_LOCATION: u8 = 1;
/// plexindex_answer.reason: a library has a folder above this path, but does not list the file. A single item has low
/// confidence: only the end of its path is the same.
pub const PLEXINDEX_REASON_NOT_LISTED: u8 = 2;
/// plexindex_answer.reason: the library was never fetched completely.
pub const PLEXINDEX_REASON_NOT_FETCHED: u8 = 3;
/// plexindex_answer.reason: several items fit equally well.
pub const PLEXINDEX_REASON_SEVERAL_ITEMS: u8 = 4;
/// plexindex_answer.reason: several libraries list it.
pub const PLEXINDEX_REASON_SEVERAL_LIBRARIES: u8 = 5;
/// plexindex_answer.reason: it was invalidated, and the server has not verified it since.
pub const PLEXINDEX_REASON_UNCONFIRMED: u8 = 6;
/// plexindex_answer.reason: the item's listed path differs by its root only, so a mapping is missing. High confidence.
pub const PLEXINDEX_REASON_ONLY_ROOT_DIFFERS: u8 = 7;
/// plexindex_answer.reason: the path holds the item's title, with a film's year or an episode's or a track's number. High
/// confidence.
pub const PLEXINDEX_REASON_PATH_TELLS: u8 = 8;
/// plexindex_answer.reason: the item's path has the same end or file name; nothing else speaks for it. Low confidence.
pub const PLEXINDEX_REASON_NO_EVIDENCE: u8 = 9;
/// plexindex_answer.reason: the item's path has the same end or file name, but the path asked for names another year,
/// number or edition, or lies among extras, samples, copies or deleted files. Low confidence.
pub const PLEXINDEX_REASON_CONTRADICTED: u8 = 10;
/// plexindex_answer.reason: the file has several episodes. The first is the item, the candidates are all of them, in their
/// order. High confidence.
pub const PLEXINDEX_REASON_SEVERAL_EPISODES: u8 = 11;
/// plexindex_answer.reason: the folder is a library's own, or lies above one, and no file is listed below it.
pub const PLEXINDEX_REASON_EMPTY: u8 = 12;
/// plexindex_answer.reason: the folder lies above those of libraries, and holds several shows, artists or items.
pub const PLEXINDEX_REASON_ABOVE_LOCATIONS: u8 = 13;
/// plexindex_answer.reason: it is not listed, and the server, which may have it, could not be asked or did not answer in
/// time. With PLEXINDEX_ANSWER_STALE. The status is PLEXINDEX_NOT_YET where the call's deadline came first.
pub const PLEXINDEX_REASON_UNAVAILABLE: u8 = 14;

/// plexindex_answer.flags: the answer may be out of date. Its listing has expired, and the server could not be asked or the call
/// may send no request. Or nothing is listed, and the server, which may know more, gave no answer.
pub const PLEXINDEX_ANSWER_STALE: u8 = 1;

/// plexindex_compare_paths(): the two paths have the same components.
pub const PLEXINDEX_PATHS_EQUAL: u32 = 0x1_0000;
/// plexindex_compare_paths(): the path lies under the other one, which is a folder then.
pub const PLEXINDEX_PATHS_UNDER: u32 = 0x2_0000;
/// plexindex_compare_paths(): these bits are the number of components that agree, from the end.
pub const PLEXINDEX_PATHS_COMMON: u32 = 0xFFFF;

/// plexindex_walk(): files that do not end as media of the library's kind do. Nothing is told of them.
pub const PLEXINDEX_RULE_EXTENSION: u32 = 1;
/// plexindex_walk(): files and folders whose names begin with a dot.
pub const PLEXINDEX_RULE_HIDDEN: u32 = 2;
/// plexindex_walk(): folders of systems and programs, such as lost+found.
pub const PLEXINDEX_RULE_SYSTEM: u32 = 4;
/// plexindex_walk(): folders that are being unpacked, or could not be.
pub const PLEXINDEX_RULE_UNPACKING: u32 = 8;
/// plexindex_walk(): files without a byte, links that lead nowhere, files that cannot be read.
pub const PLEXINDEX_RULE_EMPTY: u32 = 16;
/// plexindex_walk(): samples of videos.
pub const PLEXINDEX_RULE_SAMPLES: u32 = 32;
/// plexindex_walk(): trailers, interviews and the like, which are of an item.
pub const PLEXINDEX_RULE_EXTRAS: u32 = 64;
/// plexindex_walk(): the folders of discs, BDMV and VIDEO_TS.
pub const PLEXINDEX_RULE_DISCS: u32 = 128;
/// plexindex_walk(): what a file .plexignore names.
pub const PLEXINDEX_RULE_PLEXIGNORE: u32 = 256;

/// plexindex_item.flags: `path` is not valid UTF-8.
pub const PLEXINDEX_ITEM_PATH_NOT_UTF8: u32 = 1;
/// plexindex_item.flags: only the key is known. The match was recorded, and no listing holds the item.
pub const PLEXINDEX_ITEM_KEY_ONLY: u32 = 2;

/// plexindex_statistics.requests: who the server is.
pub const PLEXINDEX_REQUEST_IDENTITY: u32 = 0;
/// plexindex_statistics.requests: the list of libraries, with the times at which they changed.
pub const PLEXINDEX_REQUEST_PROBE: u32 = 1;
/// plexindex_statistics.requests: a page of a full listing.
pub const PLEXINDEX_REQUEST_PAGE: u32 = 2;
/// plexindex_statistics.requests: a page of what is new.
pub const PLEXINDEX_REQUEST_DELTA: u32 = 3;
/// plexindex_statistics.requests: a search for one path or title.
pub const PLEXINDEX_REQUEST_FIND_PATH: u32 = 4;
/// plexindex_statistics.requests: whether items still exist.
pub const PLEXINDEX_REQUEST_CONFIRM: u32 = 5;
/// plexindex_statistics.requests: a batch edit.
pub const PLEXINDEX_REQUEST_EDIT: u32 = 6;
/// plexindex_statistics.requests: an event stream.
pub const PLEXINDEX_REQUEST_EVENTS: u32 = 7;

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

/// plexindex_table(): `A` to `Z` in names of entries count as `a` to `z`.
pub const PLEXINDEX_TABLE_FOLD_ASCII: u32 = 1;

/// plexindex_table_op.kind: stores `value` under `name`.
pub const PLEXINDEX_TABLE_PUT: i32 = 1;
/// plexindex_table_op.kind: removes the entry `name`.
pub const PLEXINDEX_TABLE_REMOVE: i32 = 2;
/// plexindex_table_op.kind: removes all entries of the table.
pub const PLEXINDEX_TABLE_CLEAR: i32 = 3;

/// Log level: nothing.
pub const PLEXINDEX_LOG_OFF: i32 = -1;
/// Log level: errors.
pub const PLEXINDEX_LOG_ERROR: i32 = 1;
/// Log level: errors and warnings. The default.
pub const PLEXINDEX_LOG_WARN: i32 = 2;
/// Log level: also what is done, such as fetches, refreshes and invalidations.
pub const PLEXINDEX_LOG_INFO: i32 = 3;
/// Log level: everything, with full paths.
pub const PLEXINDEX_LOG_DEBUG: i32 = 4;
