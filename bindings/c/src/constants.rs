//! The constants of the C header, except the statuses. The values are part of the ABI.

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
/// plexindex_options.flags: with `shared`, flushes writes for other hosts to disk before the calls return, so that a
/// power cut loses no writes.
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

/// plexindex_answer.match_kind: no match.
pub const PLEXINDEX_MATCH_NONE: u8 = 0;
/// plexindex_answer.match_kind: the host recorded the match.
pub const PLEXINDEX_MATCH_CONFIRMED: u8 = 1;
/// plexindex_answer.match_kind: the server lists the path.
pub const PLEXINDEX_MATCH_EXACT: u8 = 2;
/// plexindex_answer.match_kind: a mapping translates the path to a listed path.
pub const PLEXINDEX_MATCH_MAPPED: u8 = 3;
/// plexindex_answer.match_kind: at least the last two components equal those of a listed path.
pub const PLEXINDEX_MATCH_SUFFIX: u8 = 4;
/// plexindex_answer.match_kind: a listed path has the same file name, or a similar one (NO_LOCATION, NOT_LISTED).
pub const PLEXINDEX_MATCH_FILE_NAME: u8 = 5;

/// plexindex_answer.confidence: there is no item.
pub const PLEXINDEX_CONFIDENCE_NONE: u8 = 0;
/// plexindex_answer.confidence: verify the item, or choose among the candidates.
pub const PLEXINDEX_CONFIDENCE_LOW: u8 = 1;
/// plexindex_answer.confidence: the item has this file.
pub const PLEXINDEX_CONFIDENCE_HIGH: u8 = 2;

/// plexindex_answer.reason: the path has a single recorded, listed or mapped item.
pub const PLEXINDEX_REASON_NONE: u8 = 0;
/// plexindex_answer.reason: no library has a folder above this path.
pub const PLEXINDEX_REASON_NO_LOCATION: u8 = 1;
/// plexindex_answer.reason: a library has a folder above this path, but does not list the file.
pub const PLEXINDEX_REASON_NOT_LISTED: u8 = 2;
/// plexindex_answer.reason: plexindex never fetched the library completely.
pub const PLEXINDEX_REASON_NOT_FETCHED: u8 = 3;
/// plexindex_answer.reason: several items match equally well.
pub const PLEXINDEX_REASON_SEVERAL_ITEMS: u8 = 4;
/// plexindex_answer.reason: several libraries list the path.
pub const PLEXINDEX_REASON_SEVERAL_LIBRARIES: u8 = 5;
/// plexindex_answer.reason: the path was invalidated, and plexindex has not verified its item since.
pub const PLEXINDEX_REASON_UNCONFIRMED: u8 = 6;
/// plexindex_answer.reason: only the root differs, and the size is unknown. Low confidence.
pub const PLEXINDEX_REASON_ONLY_ROOT_DIFFERS: u8 = 7;
/// plexindex_answer.reason: the file contains several episodes; the item is the first of them.
pub const PLEXINDEX_REASON_SEVERAL_EPISODES: u8 = 11;
/// plexindex_answer.reason: the folder is a library's folder, or contains one, and has no listed files.
pub const PLEXINDEX_REASON_EMPTY: u8 = 12;
/// plexindex_answer.reason: the folder contains library folders, and several shows or items.
pub const PLEXINDEX_REASON_ABOVE_LOCATIONS: u8 = 13;
/// plexindex_answer.reason: an unlisted path, and no answer from the server. Sets PLEXINDEX_ANSWER_STALE.
pub const PLEXINDEX_REASON_UNAVAILABLE: u8 = 14;
/// plexindex_answer.reason: an unlisted path; a later call asks the server. Sets PLEXINDEX_ANSWER_STALE.
pub const PLEXINDEX_REASON_NOT_ASKED: u8 = 15;
/// plexindex_answer.reason: only the name or the end of the path equals a listed path. Low confidence.
pub const PLEXINDEX_REASON_SAME_NAME: u8 = 16;
/// plexindex_answer.reason: the file name and the size equal those of a listed file. High confidence.
pub const PLEXINDEX_REASON_SAME_FILE: u8 = 17;
/// plexindex_answer.reason: the listed file has another size: replaced since the scan, or another file.
pub const PLEXINDEX_REASON_SIZE_DIFFERS: u8 = 18;
/// plexindex_answer.reason: only the size equals that of a listed file: perhaps renamed. Low confidence.
pub const PLEXINDEX_REASON_SAME_SIZE: u8 = 19;
// The numbers 8 to 10 are reserved, because earlier versions used them.

/// plexindex_answer.flags, plexindex_item.flags, plexindex_file.flags: possibly outdated: the server did not answer, or a listing awaits confirmation.
pub const PLEXINDEX_ANSWER_STALE: u8 = 1;

/// plexindex_answer.flags, plexindex_item.flags, plexindex_file.flags: `path` is not valid UTF-8.
pub const PLEXINDEX_ITEM_PATH_NOT_UTF8: u32 = 1;
/// plexindex_answer.flags, plexindex_item.flags, plexindex_file.flags: a recorded match whose item is not listed; only the key is set.
pub const PLEXINDEX_ITEM_KEY_ONLY: u32 = 2;

/// plexindex_answer.flags, plexindex_item.flags, plexindex_file.flags: Plex made this version itself ('Optimized Versions').
pub const PLEXINDEX_FILE_OPTIMIZED: u32 = 1;

/// plexindex_item.kind: another type.
pub const PLEXINDEX_KIND_OTHER: i32 = 0;
/// plexindex_item.kind: a movie.
pub const PLEXINDEX_KIND_MOVIE: i32 = 1;
/// plexindex_item.kind: a show; only for folders.
pub const PLEXINDEX_KIND_SHOW: i32 = 2;
/// plexindex_item.kind: a season; only for folders.
pub const PLEXINDEX_KIND_SEASON: i32 = 3;
/// plexindex_item.kind: an episode.
pub const PLEXINDEX_KIND_EPISODE: i32 = 4;
/// plexindex_item.kind: an artist; only for folders.
pub const PLEXINDEX_KIND_ARTIST: i32 = 8;
/// plexindex_item.kind: an album; only for folders.
pub const PLEXINDEX_KIND_ALBUM: i32 = 9;
/// plexindex_item.kind: a track.
pub const PLEXINDEX_KIND_TRACK: i32 = 10;
/// plexindex_item.kind: a clip.
pub const PLEXINDEX_KIND_CLIP: i32 = 12;
/// plexindex_item.kind: a photo.
pub const PLEXINDEX_KIND_PHOTO: i32 = 13;

/// plexindex_stats.requests: the server's identity.
pub const PLEXINDEX_REQUEST_IDENTITY: u32 = 0;
/// plexindex_stats.requests: the list of libraries, with their change times.
pub const PLEXINDEX_REQUEST_PROBE: u32 = 1;
/// plexindex_stats.requests: a page of a full listing.
pub const PLEXINDEX_REQUEST_PAGE: u32 = 2;
/// plexindex_stats.requests: a page of changes.
pub const PLEXINDEX_REQUEST_DELTA: u32 = 3;
/// plexindex_stats.requests: a search for one path or title.
pub const PLEXINDEX_REQUEST_FIND_PATH: u32 = 4;
/// plexindex_stats.requests: a check that items still exist.
pub const PLEXINDEX_REQUEST_CONFIRM: u32 = 5;
/// plexindex_stats.requests: the start of a scan.
pub const PLEXINDEX_REQUEST_SCAN: u32 = 6;
/// plexindex_stats.requests: an event stream.
pub const PLEXINDEX_REQUEST_EVENTS: u32 = 7;

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
