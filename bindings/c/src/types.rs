//! The structs and callbacks of the C ABI. Their comments become the header's, so they are written for C readers.

use std::ffi::{c_char, c_void};

/// An open index, from plexindex_open() to plexindex_close(). Any number of threads may use it at once.
pub struct Handle {
    _private: [u8; 0],
}

/// One library of an index, or all of them, from plexindex_get_library(). Valid until plexindex_close().
pub struct LibraryHandle {
    _private: [u8; 0],
}

/// A table of the host, from plexindex_get_table(). Valid until plexindex_close().
pub struct TableHandle {
    _private: [u8; 0],
}

/// A text or a path. plexindex reads it during the call only. A length of 0 means that there is no text.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Bytes {
    /// The first byte; may be NULL when `length` is 0.
    pub data: *const c_char,
    /// Number of bytes.
    pub length: usize,
}

/// A rule between paths of the host and of the server. Of the rules with server paths, the first that matches rewrites
/// a listed path. Of the rules with host paths, each that matches makes a path to look up; the first listed one wins.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct MappingRecord {
    /// PLEXINDEX_MAPPING_*.
    pub kind: i32,
    /// Zero.
    pub reserved: u32,
    /// A full path, or a regular expression in UTF-8 without look-around and backreferences.
    pub from: Bytes,
    /// The replacement: a folder, or a text with `\1`, `\g<1>` or `\g<name>`.
    pub to: Bytes,
}

/// Options of plexindex_open(). Begin with plexindex_options_init(). Zero means the default. Negative values are
/// invalid, except for PLEXINDEX_* constants. Fields that this library does not know give PLEXINDEX_UNSUPPORTED.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct OptionsRecord {
    /// sizeof(plexindex_options).
    pub size: usize,
    /// The store's folder, as bytes of the file system. plexindex creates it with mode 0700.
    pub cache_dir: Bytes,
    /// Base URL, such as `http://127.0.0.1:32400`. Default: none, the store alone answers.
    pub server_url: Bytes,
    /// The token. plexindex sends it in a header to this server only, and never stores it.
    pub token: Bytes,
    /// The user whose view this is. Default: the token identifies the user. Set it if the token changes from time to
    /// time, to keep the index. Not needed for a JSON Web Token with `thumbprint` and `username`.
    pub user: Bytes,
    /// A PEM file with certificate authorities to trust instead of the system's.
    pub ca_file: Bytes,
    /// How long a listing is fresh, in ms. 0: one hour. Or PLEXINDEX_TTL_AT_ONCE, _NEVER.
    pub library_ttl_ms: i64,
    /// Maximum age of a full listing, even without a change, in ms. 0: 24 hours.
    pub max_age_ms: i64,
    /// Default deadline of calls, in ms. 0 or PLEXINDEX_NO_DEADLINE: none.
    pub deadline_ms: i64,
    /// Timeout for connecting, in ms. 0: 5,000.
    pub connect_timeout_ms: i64,
    /// Timeout for silence, in ms. 0: 60,000, or at most 15,000 if nothing is listed.
    pub read_timeout_ms: i64,
    /// How long plexindex retries a failed request, in ms. 0: 30,000. PLEXINDEX_NO_RETRY: never.
    pub retry_ms: i64,
    /// Maximum bytes of recorded matches; the oldest are removed first. 0: 52,428,800.
    pub matches_limit: u64,
    /// PLEXINDEX_OPEN_* flags.
    pub flags: u32,
    /// Number of listed rows per request, 1 to 1,000. 0: 1,000.
    pub page_size: u32,
    /// PLEXINDEX_LOG_*, for the whole process until the next plexindex_open(). 0: warnings.
    pub log_level: i32,
    /// Zero.
    pub reserved: u32,
    /// Rules between paths of the host and of the server.
    pub mappings: *const MappingRecord,
    /// Number of rules.
    pub mappings_count: usize,
    /// Calls of at least so many ms are logged as slow. 0: 1,000. Or PLEXINDEX_NEVER_SLOW.
    pub slow_ms: i64,
    /// Maximum bytes of the folder; libraries refreshed longest ago are removed first. 0: none.
    pub size_limit: u64,
    /// Plex's database com.plexapp.plugins.library.db, its folder, or the folder 'Plex Media Server' above. plexindex
    /// only reads it, sends no requests unless `server_url` is set, and shows all libraries. Default: none.
    pub database: Bytes,
    /// Returns a new token when the server rejects this one; may be NULL.
    pub renew_token: Option<RenewTokenFn>,
    /// Passed to `renew_token`.
    pub renew_token_user: *mut c_void,
    /// A PostgreSQL database through which hosts share an index, such as `postgresql://user@host/database`. The
    /// password comes from PGPASSWORD or a passfile. Requires `server_url`; excludes `database`. Default: none.
    pub shared: Bytes,
    /// How long to wait for an unavailable log, in ms. 0: 60,000. Or PLEXINDEX_NO_RETRY.
    pub shared_retry_ms: i64,
}

/// A query. Begin with plexindex_query_init().
#[repr(C)]
#[derive(Clone, Copy)]
pub struct QueryRecord {
    /// sizeof(plexindex_query).
    pub size: usize,
    /// A library of the call's handle, or NULL.
    pub library: *const LibraryHandle,
    /// The path: bytes of the file system without NUL, not empty.
    pub text: Bytes,
    /// Maximum duration in ms, with waits. 0: options.deadline_ms. Or PLEXINDEX_NO_DEADLINE.
    pub deadline_ms: i64,
    /// PLEXINDEX_QUERY_* flags. A function rejects flags that do not apply to it.
    pub flags: u32,
    /// Zero.
    pub reserved: u32,
    /// Called on this thread while the call waits for the server; may be NULL.
    pub progress: Option<ProgressFn>,
    /// Passed to `progress`.
    pub progress_user: *mut c_void,
}

/// Limits of plexindex_call(). Zero means the default.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct CallOptionsRecord {
    /// sizeof(plexindex_call_options).
    pub size: usize,
    /// Maximum duration in ms, with waits. 0: deadline_ms of the index. Or PLEXINDEX_NO_DEADLINE.
    pub deadline_ms: i64,
    /// Called on this thread while the call waits; may be NULL.
    pub progress: Option<ProgressFn>,
    /// Passed to `progress`.
    pub progress_user: *mut c_void,
}

impl CallOptionsRecord {
    /// The meaning of NULL: all defaults.
    pub const NONE: Self = Self {
        size: size_of::<Self>(),
        deadline_ms: 0,
        progress: None,
        progress_user: std::ptr::null_mut(),
    };
}

/// The progress of a fetch. Valid during the callback only.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct ProgressRecord {
    /// sizeof(plexindex_progress) in this library.
    pub size: usize,
    /// The library's title in UTF-8; "" while the call waits for something else.
    pub library: Bytes,
    /// Items fetched so far, including those of an earlier, interrupted fetch.
    pub items: u64,
    /// Number of items according to the server; 0 if unknown.
    pub total: u64,
    /// Time since this call began to fetch, in ms.
    pub elapsed_ms: u64,
}

/// Receives the progress of a fetch on the calling thread, at least every 100 ms while the call waits for the server,
/// and once after the last page. Return 0 to continue. Any other value ends the call with PLEXINDEX_ABORTED; plexindex
/// keeps what it fetched.
///
/// The callback may call plexindex functions, except plexindex_close() of the same handle. The fetch continues
/// meanwhile; a nested call that needs its items waits for them. The callback must return: on Linux, a thread that ends
/// in it (pthread_exit) sleeps for ever and keeps its locks.
pub type ProgressFn = unsafe extern "C" fn(user: *mut c_void, progress: *const ProgressRecord) -> i32;

/// Returns a new token after the server rejected the current one (401) or reported it expired (498). Write the token to
/// `token->data`, which has room for `token->capacity` bytes (65,536), set `token->length`, and return 0. Any other
/// result, or the same token, means that no new token is available; plexindex asks again after 15 seconds.
///
/// Runs on the thread of the rejected call, on one thread at a time per index. With a new token, that call runs once
/// more. Otherwise it returns an older answer or PLEXINDEX_UNAUTHORIZED. Other calls that need a token wait, at most
/// until their deadline and `options.read_timeout_ms`. The rules for calls in plexindex_progress_fn apply; calls on
/// this handle do not renew the token.
pub type RenewTokenFn = unsafe extern "C" fn(user: *mut c_void, token: *mut Buffer) -> i32;

/// Receives a log line during plexindex_drain_log(). `message` is UTF-8, and valid during the call only. It contains no
/// token, and full paths only at PLEXINDEX_LOG_DEBUG. The callback must return: see plexindex_progress_fn.
pub type LogFn = unsafe extern "C" fn(user: *mut c_void, level: i32, message: *const c_char, length: usize);

/// Memory of the caller for an answer. `data` must be aligned to 8 bytes, as memory from malloc is, and may be NULL if
/// `capacity` is 0. After PLEXINDEX_OK and every other answer, `length` is the number of bytes written; after
/// PLEXINDEX_BUFFER_TOO_SMALL, the number needed (see plexindex_buffer_grow()); after other errors, 0.
///
/// As `error`, the last argument of functions that can fail, the buffer receives the text of this call's error in UTF-8
/// with a NUL; `length` does not count the NUL, and is 0 after success. `data` need not be aligned. A text that does
/// not fit is cut and ends in `…`; `length` is then its full length. One buffer may be both answer and `error`. Texts
/// that you pass to the call must not be in the buffer.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Buffer {
    /// The memory.
    pub data: *mut c_void,
    /// Its size in bytes.
    pub capacity: usize,
    /// Out: bytes written or needed.
    pub length: usize,
}

/// A string in a block of answers, followed by a NUL that `length` does not count. 0, 0: no string.
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub struct Text {
    /// Offset in the block; 0: no string.
    pub offset: u32,
    /// Length in bytes, without the NUL.
    pub length: u32,
}

/// The header of a block of answers, at the start of the buffer.
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub struct Answers {
    /// sizeof(plexindex_answers) in this library.
    pub size: u32,
    /// sizeof(plexindex_answer) in this library: the distance between answers.
    pub answer_size: u32,
    /// sizeof(plexindex_item) in this library: the distance between candidates.
    pub item_size: u32,
    /// Number of answers: one per path, in order.
    pub count: u32,
    /// Offset of the first answer in the block.
    pub first: u32,
    /// Number of log lines that wait for plexindex_drain_log().
    pub log_lines: u32,
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
    /// Number of matching items in total.
    pub candidates_total: u32,
    /// Explains the answer to people. Absent for PLEXINDEX_OK with PLEXINDEX_REASON_NONE.
    pub message: Text,
    /// Time since the listing was last checked against the server, in ms; -1: unknown.
    pub age_ms: i64,
}

/// An item. Unknown texts are 0, 0.
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub struct ItemRecord {
    /// Plex's path of the item, `/library/metadata/<rating key>`.
    pub key: Text,
    /// Plex's rating key.
    pub rating_key: Text,
    /// Title; for an episode, the episode's own.
    pub title: Text,
    /// Plex's GUID, not those of other sites.
    pub guid: Text,
    /// Title of the show, or of a track's or album's artist.
    pub show_title: Text,
    /// Rating key of the show or artist.
    pub show_rating_key: Text,
    /// GUID of the show or artist.
    pub show_guid: Text,
    /// The matching listed path, in the server's spelling; for a recorded match, its path.
    pub path: Text,
    /// Section id of the library.
    pub section: Text,
    /// Title of the library.
    pub library_title: Text,
    /// PLEXINDEX_KIND_*: Plex's number of the type.
    pub kind: i32,
    /// Year; 0: unknown.
    pub year: i32,
    /// Season, or the disc of a track; -1: none.
    pub season: i32,
    /// Number of the episode or track; -1: none.
    pub episode: i32,
    /// PLEXINDEX_ITEM_* flags.
    pub flags: u32,
    /// Zero.
    pub reserved: u32,
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
    /// Name of the entry; NULL and 0 for PLEXINDEX_TABLE_CLEAR.
    pub name: Bytes,
    /// Value for PLEXINDEX_TABLE_PUT; otherwise NULL and 0.
    pub value: Bytes,
}

/// Statistics. Set `size` to sizeof(plexindex_stats); plexindex fills in the fields that both sides know. Counts are
/// those of this handle unless a comment says otherwise.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct StatsRecord {
    /// sizeof(plexindex_stats).
    pub size: usize,
    /// Answers by PLEXINDEX_MATCH_*, including fast lookups; `answers[0]`: answers without an item.
    pub answers: [u64; 6],
    /// Fast lookups without a result.
    pub lookup_misses: u64,
    /// Answers from an expired listing.
    pub stale_answers: u64,
    /// Requests by PLEXINDEX_REQUEST_*, including retries.
    pub requests: [u64; 8],
    /// Bytes of the server's answers on the wire, without headers.
    pub bytes_received: u64,
    /// Requests of all kinds and processes since the store exists, as last saved.
    pub store_requests: u64,
    /// Answers of all processes since the store exists, as last saved.
    pub store_answers: u64,
    /// Full listings completed.
    pub listings: u64,
    /// Time spent waiting for the server, in µs.
    pub network_us: u64,
    /// Time spent reading and writing the store, in µs.
    pub store_us: u64,
    /// Time spent building and opening index files, in µs.
    pub segment_us: u64,
    /// Items listed now, in all libraries of this server and user.
    pub items: u64,
    /// Recorded matches stored now.
    pub matches: u64,
    /// Libraries known now.
    pub libraries: u64,
    /// Size of the store on disk, including index files.
    pub disk_bytes: u64,
    /// The store's change sequence.
    pub sequence: u64,
    /// Events about libraries, from the server (method `watch.start`) and from plexindex_notify().
    pub events: u64,
    /// Writes that stored events. One write stores several events.
    pub hints: u64,
    /// Time spent decompressing and parsing the server's answers, in µs.
    pub parse_us: u64,
    /// Time spent waiting for other fetches and before retries, in µs.
    pub wait_us: u64,
    /// Time spent matching, without fast lookups, in µs.
    pub match_us: u64,
    /// Calls that query, refresh or record, without fast lookups.
    pub calls: u64,
    /// Total time of these calls in µs. The times above overlap.
    pub calls_us: u64,
    /// Number of these calls that were slow: plexindex_options.slow_ms.
    pub slow_calls: u64,
    /// Old answers given because the server did not answer, or its answer could not be stored.
    pub failures: u64,
    /// Maximum size of the folder in bytes: plexindex_options.size_limit. 0: no limit.
    pub size_limit: u64,
    /// Bytes by which data that must stay exceeds the limit. If not 0, raise the limit.
    pub over_limit: u64,
    /// Libraries removed because of a limit, by all processes since the store exists.
    pub evictions: u64,
    /// Reason of the last failure: UTF-8, NUL-terminated, perhaps cut. Empty: none.
    pub last_failure: [c_char; 512],
}
