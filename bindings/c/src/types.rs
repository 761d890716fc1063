//! Structs and callbacks of the C ABI. The header contains their comments, so they address C programmers.

use std::ffi::{c_char, c_void};

/// An open index, valid from plexindex_open() to plexindex_close(). Any number of threads can use the handle at once.
pub struct Handle {
    _private: [u8; 0],
}

/// One library of an index, or all its libraries, from plexindex_get_library(). Valid until plexindex_close().
pub struct LibraryHandle {
    _private: [u8; 0],
}

/// One of the host's tables, from plexindex_get_table(). Valid until plexindex_close().
pub struct TableHandle {
    _private: [u8; 0],
}

/// A string or a path, which plexindex reads only during the call. A length of 0 means that there is no string.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Bytes {
    /// The first byte; may be NULL when `length` is 0.
    pub data: *const c_char,
    /// Number of bytes.
    pub length: usize,
}

/// A rule that translates between host paths and server paths. The first matching rule with server paths rewrites a
/// listed path. Each matching rule with host paths produces a path to look up; the first listed path wins.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct MappingRecord {
    /// PLEXINDEX_MAPPING_*.
    pub kind: i32,
    /// Zero.
    pub reserved: u32,
    /// A full path, or a regular expression in UTF-8 without look-around or backreferences.
    pub from: Bytes,
    /// The replacement: a folder, or a string with `\1`, `\g<1>` or `\g<name>`.
    pub to: Bytes,
}

/// Options for plexindex_open(). Start with plexindex_options_init(). Zero means the default. Negative values are
/// invalid, except for PLEXINDEX_* constants. Fields that this library does not know must be zero.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct OptionsRecord {
    /// sizeof(plexindex_options).
    pub size: usize,
    /// Path of the store's folder, which plexindex creates with mode 0700.
    pub cache_dir: Bytes,
    /// Base URL, such as `http://127.0.0.1:32400`. Default: none, to use only the store.
    pub server_url: Bytes,
    /// The token. plexindex sends the token only to this server, and never stores it.
    pub token: Bytes,
    /// The token's user. Default: the token identifies the user. Set this field if the token changes from time to time,
    /// so that the index stays valid. Not needed for a JSON Web Token with `thumbprint` and `username`.
    pub user: Bytes,
    /// PEM file of authorities, or the server's certificate, to trust instead of the system's.
    pub ca_file: Bytes,
    /// How long a listing stays fresh, in ms. 0: one hour. Or PLEXINDEX_TTL_AT_ONCE, _NEVER.
    pub library_ttl_ms: i64,
    /// Maximum age of a full listing, even without a change, in ms. 0: 24 hours.
    pub max_age_ms: i64,
    /// Default timeout for calls, in ms. 0 or PLEXINDEX_NO_TIMEOUT: none.
    pub timeout_ms: i64,
    /// Timeout for connecting, in ms. 0: 5,000.
    pub connect_timeout_ms: i64,
    /// Read timeout in ms. 0: 60,000. Requests other than listings wait at most 15,000.
    pub read_timeout_ms: i64,
    /// How long plexindex retries a failed request, in ms. 0: 30,000. PLEXINDEX_NO_RETRY: never.
    pub retry_ms: i64,
    /// Maximum size of recorded matches in bytes; removes the oldest first. 0: 50 MiB, with `shared` 500.
    pub matches_limit: u64,
    /// PLEXINDEX_OPEN_* flags.
    pub flags: u32,
    /// Number of rows per listing request, 1 to 1,000. 0: 1,000.
    pub page_size: u32,
    /// PLEXINDEX_LOG_*, for the whole process until the next plexindex_open(). 0: warnings.
    pub log_level: i32,
    /// Zero.
    pub reserved: u32,
    /// Rules that translate between host paths and server paths.
    pub mappings: *const MappingRecord,
    /// Number of rules.
    pub mappings_count: usize,
    /// Duration in ms from which plexindex logs a call as slow. 0: 1,000. Or PLEXINDEX_NEVER_SLOW.
    pub slow_ms: i64,
    /// Maximum folder size in bytes; evicts the least recently refreshed libraries. 0: none.
    pub size_limit: u64,
    /// Plex's database com.plexapp.plugins.library.db, its folder, or the folder 'Plex Media Server' above it.
    /// Read-only: plexindex sends no requests without `server_url`, and shows all libraries. Default: none.
    pub database: Bytes,
    /// Optional: returns a new token when the server rejects `token`.
    pub renew_token: Option<RenewTokenFn>,
    /// Passed to `renew_token`.
    pub renew_token_user: *mut c_void,
    /// URL of a PostgreSQL database through which hosts share matches, such as `postgresql://user@host/database`. The
    /// password comes from PGPASSWORD or a passfile. Requires `server_url`; excludes `database`. Default: none.
    pub shared: Bytes,
    /// How long a query waits before a stale answer, in ms. 0: 2,000.
    pub stale_answer_timeout_ms: i64,
}

/// A query. Start with plexindex_query_init().
#[repr(C)]
#[derive(Clone, Copy)]
pub struct QueryRecord {
    /// sizeof(plexindex_query).
    pub size: usize,
    /// A library of the same index, or NULL for all libraries.
    pub library: *const LibraryHandle,
    /// The path, as bytes without a NUL; not empty.
    pub text: Bytes,
    /// Maximum duration in ms, including waits. 0: options.timeout_ms. Or PLEXINDEX_NO_TIMEOUT.
    pub timeout_ms: i64,
    /// PLEXINDEX_QUERY_* flags. A function rejects flags that do not apply to it.
    pub flags: u32,
    /// Zero.
    pub reserved: u32,
    /// Called on this thread while the call waits for the server; may be NULL.
    pub progress: Option<ProgressFn>,
    /// Passed to `progress`.
    pub progress_user: *mut c_void,
    /// Size in bytes, for plexindex_match_path(). 0: reads it for an unlisted path, within 2 s, if it may wait.
    pub file_size: u64,
}

/// Limits for plexindex_call(). Zero means the default.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct CallOptionsRecord {
    /// sizeof(plexindex_call_options).
    pub size: usize,
    /// Maximum duration in ms, including waits. 0: options.timeout_ms. Or PLEXINDEX_NO_TIMEOUT.
    pub timeout_ms: i64,
    /// Called on this thread while the call waits; may be NULL.
    pub progress: Option<ProgressFn>,
    /// Passed to `progress`.
    pub progress_user: *mut c_void,
}

impl CallOptionsRecord {
    /// The default options, which a NULL pointer selects.
    pub const NONE: Self = Self {
        size: size_of::<Self>(),
        timeout_ms: 0,
        progress: None,
        progress_user: std::ptr::null_mut(),
    };
}

/// The progress of a fetch. Valid only during the callback.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct ProgressRecord {
    /// sizeof(plexindex_progress) in this library.
    pub size: usize,
    /// The library's title in UTF-8; "" while the call waits for something other than a fetch.
    pub library: Bytes,
    /// Number of items fetched so far, including items from an earlier, interrupted fetch.
    pub items: u64,
    /// Total number of items according to the server; 0 if unknown.
    pub total: u64,
    /// Time since this call started the fetch, in ms.
    pub elapsed_ms: u64,
}

/// Receives the progress of a fetch on the calling thread, at least every 100 ms while the call waits for the server,
/// and once after the last page. Return 0 to continue. Any other value ends the call with PLEXINDEX_ABORTED.
///
/// The callback may call plexindex functions, except plexindex_close() with the same handle. The fetch continues during
/// the callback; a nested call that needs the same items waits for them. The callback must return: on Linux, a thread
/// that calls pthread_exit() in the callback sleeps for ever and keeps its locks.
pub type ProgressFn = unsafe extern "C" fn(user: *mut c_void, progress: *const ProgressRecord) -> i32;

/// Supplies a new token after the server rejected the current token (401) or reported it as expired (498). Write the
/// token to `token->data`, which has room for `token->capacity` bytes (65,536), set `token->length`, and return 0. Any
/// other result, or the same token, means that no new token is available; plexindex asks again after 15 seconds.
///
/// The callback runs on the thread of the rejected call, on one thread at a time per index. With a new token, plexindex
/// repeats the call. Otherwise, the call returns a cached answer or PLEXINDEX_UNAUTHORIZED. Other calls that need a
/// token wait, at most until their timeout and `options.read_timeout_ms`. The rules for calls in plexindex_progress_fn
/// apply; calls on this handle do not renew the token.
pub type RenewTokenFn = unsafe extern "C" fn(user: *mut c_void, token: *mut Buffer) -> i32;

/// Receives a log line during plexindex_drain_log(). `message` is UTF-8, and valid only during the callback. A message
/// contains no token, and full paths only at PLEXINDEX_LOG_DEBUG. The callback must return: see plexindex_progress_fn.
pub type LogFn = unsafe extern "C" fn(user: *mut c_void, level: i32, message: *const c_char, length: usize);

/// The caller's memory for an answer. `data` must be aligned to 8 bytes, as memory from malloc is, and may be NULL if
/// `capacity` is 0. After PLEXINDEX_OK and every other answer, `length` is the number of bytes written; after
/// PLEXINDEX_BUFFER_TOO_SMALL, the number needed (see plexindex_buffer_grow()); after other errors, 0.
///
/// As `error`, the last argument of functions that can fail, a buffer receives the call's error message in UTF-8 with a
/// NUL, and then the name of the invalid option, if any, with a NUL. `length` counts only the message; after success it
/// is 0. `data` need not be aligned. A message that does not fit ends in `…`; `length` is then its full length. One
/// buffer can be both the answer and `error`. Strings that you pass to the call must not be in the buffer.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Buffer {
    /// The memory.
    pub data: *mut c_void,
    /// Size of the memory in bytes.
    pub capacity: usize,
    /// Output: number of bytes written or needed.
    pub length: usize,
}

/// A string in an answer block, followed by a NUL that `length` does not count. If `offset` is 0, there is no string.
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub struct Text {
    /// Offset in the block; 0: no string.
    pub offset: u32,
    /// Length in bytes, excluding the NUL.
    pub length: u32,
}

/// The header of an answer block, at the start of the buffer.
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub struct Answers {
    /// sizeof(plexindex_answers) in this library.
    pub size: u32,
    /// sizeof(plexindex_answer) in this library: the stride of the answers.
    pub answer_size: u32,
    /// sizeof(plexindex_item) in this library: the stride of the candidates.
    pub item_size: u32,
    /// Number of answers: one per path, in order.
    pub count: u32,
    /// Offset of the first answer in the block.
    pub first: u32,
    /// Number of log lines that wait for plexindex_drain_log().
    pub log_lines: u32,
    /// sizeof(plexindex_file) in this library.
    pub file_size: u32,
    /// Zero.
    pub reserved: u32,
}

/// The answer for one path.
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub struct AnswerRecord {
    /// PLEXINDEX_OK, _NOT_FOUND, _AMBIGUOUS, _NOT_YET, _NEEDS_WARM; in a batch, also an error.
    pub status: i32,
    /// PLEXINDEX_MATCH_*: how plexindex found the item.
    pub match_kind: u8,
    /// PLEXINDEX_CONFIDENCE_*.
    pub confidence: u8,
    /// PLEXINDEX_REASON_*: why there is no single item, or how well the match is supported.
    pub reason: u8,
    /// PLEXINDEX_ANSWER_* flags.
    pub flags: u8,
    /// Offset of the single item (plexindex_item) in the block; 0: none.
    pub item: u32,
    /// Offset of the candidates (an array of plexindex_item, best first) in the block; 0: none.
    pub candidates: u32,
    /// Number of candidates in the array.
    pub candidates_count: u32,
    /// Total number of matching items.
    pub candidates_total: u32,
    /// Explanation for people. Absent for PLEXINDEX_OK with PLEXINDEX_REASON_NONE.
    pub message: Text,
    /// Time since the listing was last checked against the server, in ms; -1: unknown.
    pub age_ms: i64,
}

/// An item. An unknown string has the offset 0.
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub struct ItemRecord {
    /// The item's path in Plex's API, `/library/metadata/<rating key>`.
    pub key: Text,
    /// Plex's rating key.
    pub rating_key: Text,
    /// Title; for an episode, the title of the episode.
    pub title: Text,
    /// Plex's GUID, not an external id.
    pub guid: Text,
    /// Title of the show, or of the artist.
    pub show_title: Text,
    /// Rating key of the show or artist.
    pub show_rating_key: Text,
    /// GUID of the show or artist.
    pub show_guid: Text,
    /// The matching listed path, in the server's spelling; for a recorded match, the recorded path.
    pub path: Text,
    /// Section id of the library.
    pub section: Text,
    /// Title of the library.
    pub library_title: Text,
    /// PLEXINDEX_KIND_*: Plex's number for the type.
    pub kind: i32,
    /// Year; 0: unknown.
    pub year: i32,
    /// Season number, or disc number for a track; -1: none.
    pub season: i32,
    /// Episode number or track number; -1: none.
    pub episode: i32,
    /// PLEXINDEX_ITEM_* flags.
    pub flags: u32,
    /// Offset of the matching file (plexindex_file) in the block, with PLEXINDEX_QUERY_FILE; 0: none.
    pub file: u32,
}

/// What Plex lists of a matching file, whose path is the item's `path`. 0 means unknown.
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub struct FileRecord {
    /// Size in bytes.
    pub size_bytes: u64,
    /// Plex's id of the part, which is the file.
    pub part_id: u64,
    /// Plex's id of the version that the part belongs to.
    pub media_id: u64,
    /// Duration of the version in ms.
    pub duration_ms: u64,
    /// Which part of the version the file is, from 1.
    pub part: u32,
    /// Number of parts of the version; more than 1 for stacked files.
    pub parts: u32,
    /// Which version of the item, from 1.
    pub version: u32,
    /// Number of versions of the item.
    pub versions: u32,
    /// Resolution as Plex names it: `4k`, `1080`, `sd`.
    pub resolution: Text,
    /// The container, such as `mkv`.
    pub container: Text,
    /// PLEXINDEX_FILE_* flags.
    pub flags: u32,
    /// Zero.
    pub reserved: u32,
}

/// A change to a table, for plexindex_table_write().
#[repr(C)]
#[derive(Clone, Copy)]
pub struct TableOp {
    /// PLEXINDEX_TABLE_PUT, PLEXINDEX_TABLE_REMOVE or PLEXINDEX_TABLE_CLEAR.
    pub kind: i32,
    /// Zero.
    pub reserved: u32,
    /// The table.
    pub table: *const TableHandle,
    /// Name of the entry; NULL and 0 for PLEXINDEX_TABLE_CLEAR.
    pub name: Bytes,
    /// Value for PLEXINDEX_TABLE_PUT; otherwise NULL and 0.
    pub value: Bytes,
}

/// Statistics. Set `size` to sizeof(plexindex_stats); plexindex fills in the fields that it knows. Unless a comment
/// says otherwise, counts are for this handle. The arrays have room for later constants; unused counts are 0.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct StatsRecord {
    /// sizeof(plexindex_stats).
    pub size: usize,
    /// Answers by PLEXINDEX_MATCH_*, with fast lookups; `answers[0]`: answers without an item.
    pub answers: [u64; 16],
    /// Fast lookups without a result.
    pub lookup_misses: u64,
    /// Answers from an expired listing.
    pub stale_answers: u64,
    /// Requests by PLEXINDEX_REQUEST_*, including retries.
    pub requests: [u64; 16],
    /// Bytes received in server replies, compressed and without headers.
    pub bytes_received: u64,
    /// Requests of all kinds by all processes since the store was created, as last saved.
    pub store_requests: u64,
    /// Answers by all processes since the store was created, as last saved.
    pub store_answers: u64,
    /// Full listings completed.
    pub listings: u64,
    /// Time spent waiting for the server, in µs.
    pub network_us: u64,
    /// Time spent reading and writing the store, in µs.
    pub store_us: u64,
    /// Time spent building and opening index files, in µs.
    pub segment_us: u64,
    /// Number of listed items, in all libraries of this server and user.
    pub items: u64,
    /// Number of recorded matches.
    pub matches: u64,
    /// Number of known libraries.
    pub libraries: u64,
    /// Size of the store on disk, including index files.
    pub disk_bytes: u64,
    /// The store's change sequence.
    pub sequence: u64,
    /// Events about libraries, from the server (method `watch.start`) and from plexindex_notify().
    pub events: u64,
    /// Writes that stored events; one write can store several events.
    pub hints: u64,
    /// Time spent decompressing and parsing server replies, in µs.
    pub parse_us: u64,
    /// Time spent waiting for other fetches and before retries, in µs.
    pub wait_us: u64,
    /// Time spent matching, excluding fast lookups, in µs.
    pub match_us: u64,
    /// Calls that query, refresh or record, excluding fast lookups.
    pub calls: u64,
    /// Total duration of the counted calls, in µs. The times above can overlap.
    pub calls_us: u64,
    /// Calls that were slow: see plexindex_options.slow_ms.
    pub slow_calls: u64,
    /// Failures to reach the server or to store its reply.
    pub failures: u64,
    /// Maximum size of the folder in bytes: plexindex_options.size_limit. 0: no limit.
    pub size_limit: u64,
    /// Bytes over the limit that cannot be evicted. If not 0, raise the limit.
    pub over_limit: u64,
    /// Libraries evicted because of a limit, by all processes since the store was created.
    pub evictions: u64,
    /// Reason for the last failure: UTF-8, NUL-terminated, possibly truncated. Empty: none.
    pub last_failure: [c_char; 512],
}
