//! The structs that cross the boundary, and the callbacks. Their comments are the C header's: written for C readers.

use std::ffi::{c_char, c_void};

/// An open index: from plexindex_open() to plexindex_close(). Any number of threads may use it at once.
pub struct Handle {
    _private: [u8; 0],
}

/// A library of an index, or all of them, from plexindex_get_library(). It belongs to the index until plexindex_close().
pub struct LibraryHandle {
    _private: [u8; 0],
}

/// A table of the host's own values, from plexindex_get_table(). It belongs to the index until plexindex_close().
pub struct TableHandle {
    _private: [u8; 0],
}

/// A text or a path: raw bytes. One that is given to plexindex is read during the call only, and 0 bytes are no text.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Bytes {
    /// The first byte; may be NULL when `length` is 0.
    pub data: *const c_char,
    /// How many bytes.
    pub length: usize,
}

/// A rule between the host's paths and the server's. Of rules over the server's paths the first that fits rewrites a
/// listed path. Each rule over the host's paths that fits gives a path to look for; the first that is listed counts.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct MappingRecord {
    /// PLEXINDEX_MAPPING_*: the rule's direction, and what `from` is.
    pub kind: i32,
    /// Zero.
    pub reserved: u32,
    /// A full path, or a regular expression (UTF-8) without look-around and backreferences.
    pub from: Bytes,
    /// What replaces it: a folder, or a text with `\1`, `\g<1>` or `\g<name>`.
    pub to: Bytes,
}

/// How to open an index. Begin with plexindex_options_init(). A zero field means its default. Negative values are
/// refused, but for the PLEXINDEX_* constants; so are fields that this library does not know (PLEXINDEX_UNSUPPORTED).
#[repr(C)]
#[derive(Clone, Copy)]
pub struct OptionsRecord {
    /// sizeof(plexindex_options).
    pub size: usize,
    /// The store's folder, in the file system's bytes. It is made with mode 0700.
    pub cache_dir: Bytes,
    /// Base URL, as `http://127.0.0.1:32400`. Without it and `database` the store answers.
    pub server_url: Bytes,
    /// The token. It is sent in a header, to this server only, and never stored.
    pub token: Bytes,
    /// The user whose view this is. Default: the token. Set it when the token changes now and then: a new token of the
    /// same user keeps what the index holds. Not needed for a JSON Web Token with `thumbprint` and `username`.
    pub user: Bytes,
    /// A PEM file with certificate authorities to trust instead of the system's.
    pub ca_file: Bytes,
    /// Milliseconds that a listing is fresh. 0: one hour. PLEXINDEX_TTL_AT_ONCE, _NEVER.
    pub library_ttl_ms: i64,
    /// After so many milliseconds a full listing is due, even without a change. 0: 24 hours.
    pub max_age_ms: i64,
    /// The deadline of calls that name none, in milliseconds. 0, PLEXINDEX_NO_DEADLINE: none.
    pub deadline_ms: i64,
    /// Milliseconds that making a connection may take. 0: 5,000.
    pub connect_timeout_ms: i64,
    /// Milliseconds of silence. 0: 60,000; where nothing is listed 15,000 at most.
    pub read_timeout_ms: i64,
    /// Milliseconds in which a failed request is tried again. 0: 30,000. PLEXINDEX_NO_RETRY: never.
    pub retry_ms: i64,
    /// Bytes that recorded matches may take; the oldest are removed first. 0: 52,428,800.
    pub matches_limit: u64,
    /// PLEXINDEX_OPEN_* flags, or'ed.
    pub flags: u32,
    /// Rows of a listing in one request, 1 to 1,000. 0: 1,000.
    pub page_size: u32,
    /// PLEXINDEX_LOG_*. It holds for the whole process, until the next index is opened. 0: warnings.
    pub log_level: i32,
    /// Zero.
    pub reserved: u32,
    /// Rules between the host's paths and the server's.
    pub mappings: *const MappingRecord,
    /// How many rules.
    pub mappings_count: usize,
    /// A call of so many milliseconds is logged with its parts. 0: 1,000. PLEXINDEX_NEVER_SLOW.
    pub slow_ms: i64,
    /// Bytes of the folder; libraries refreshed longest ago are removed: plexindex_stats.over_limit. 0: no limit.
    pub size_limit: u64,
    /// Plex's own database, com.plexapp.plugins.library.db, its folder, or the folder 'Plex Media Server' above. It is
    /// only read. Without `server_url` no request is sent. The index then shows all libraries. Default: none.
    pub database: Bytes,
    /// Gives a new token when the server refuses this one; may be NULL.
    pub renew_token: Option<RenewTokenFn>,
    /// Passed to `renew_token` unchanged.
    pub renew_token_user: *mut c_void,
    /// A PostgreSQL database that hosts share, `postgresql://user@host/database`, so that one fetches for all. The
    /// password is from PGPASSWORD or a passfile. Needs `server_url`; not with `database`. Default: none.
    pub shared: Bytes,
    /// For so many ms a host without the shared log asks for no listing. 0: 60,000. PLEXINDEX_NO_RETRY: at once.
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
    /// The path. A path is the file system's bytes, not empty, and without NUL.
    pub text: Bytes,
    /// Longest time in ms, all waits included. 0: as the options say. PLEXINDEX_NO_DEADLINE: any.
    pub deadline_ms: i64,
    /// PLEXINDEX_QUERY_* flags, or'ed. A function refuses flags that it would ignore.
    pub flags: u32,
    /// Zero.
    pub reserved: u32,
    /// Called on this thread while the call waits for the server; may be NULL.
    pub progress: Option<ProgressFn>,
    /// Passed to `progress` unchanged.
    pub progress_user: *mut c_void,
}

/// The limits of plexindex_call(). Zero means the default.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct CallOptionsRecord {
    /// sizeof(plexindex_call_options).
    pub size: usize,
    /// Longest time in ms, all waits included. 0: as the options say. PLEXINDEX_NO_DEADLINE: any.
    pub deadline_ms: i64,
    /// Called on this thread while the call waits; may be NULL.
    pub progress: Option<ProgressFn>,
    /// Passed to `progress` unchanged.
    pub progress_user: *mut c_void,
}

impl CallOptionsRecord {
    /// What NULL stands for.
    pub const NONE: Self = Self {
        size: size_of::<Self>(),
        deadline_ms: 0,
        progress: None,
        progress_user: std::ptr::null_mut(),
    };
}

/// How far a fetch has come. Valid during the callback only.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct ProgressRecord {
    /// sizeof(plexindex_progress) as this library knows it.
    pub size: usize,
    /// The library's title, UTF-8; "" while the call waits for something else.
    pub library: Bytes,
    /// Items fetched so far, including those of an earlier fetch that was interrupted.
    pub items: u64,
    /// Items in all, as the server reports; 0 when it does not.
    pub total: u64,
    /// Milliseconds since this call began to fetch.
    pub elapsed_ms: u64,
}

/// Receives the progress of a fetch, at least every 100 ms while a call waits for the server, on the thread of that
/// call, and once more after the last page. Return 0 to continue. Anything else ends this call with PLEXINDEX_ABORTED;
/// what was fetched is kept.
///
/// The callback may call plexindex functions, but plexindex_close() of the same handle is refused. The fetch continues
/// meanwhile; a nested call that needs its items waits for it. The callback must return: on Linux a thread that ends in
/// it (pthread_exit) sleeps for ever, with what the call holds.
pub type ProgressFn = unsafe extern "C" fn(user: *mut c_void, progress: *const ProgressRecord) -> i32;

/// Gives a new token after the server refused the present one (401) or said that it expired (498). Write it to
/// `token->data`, which has room for `token->capacity` bytes (65,536), and its length to `token->length`, and return 0.
/// Any other result, or the same token, means that there is no new token now: plexindex asks again after 15 seconds.
///
/// It runs on the thread of the call that the server refused, one thread at a time for each index. With a new token that
/// call runs once more. Without one it gives an older answer, or PLEXINDEX_UNAUTHORIZED. Other calls that need a token
/// wait for it, until their deadline and `options.read_timeout_ms` at most. What plexindex_progress_fn says of calls
/// holds here too; calls on this handle do not renew the token.
pub type RenewTokenFn = unsafe extern "C" fn(user: *mut c_void, token: *mut Buffer) -> i32;

/// Receives a log line on the thread of plexindex_drain_log(). `message` is UTF-8, and valid during the call only. It
/// holds no token, and full paths only at PLEXINDEX_LOG_DEBUG. The callback must return: see plexindex_progress_fn.
pub type LogFn = unsafe extern "C" fn(user: *mut c_void, level: i32, message: *const c_char, length: usize);

/// The caller's memory for an answer. `data` must be aligned to 8 bytes, as malloc's memory is, and may be NULL when
/// `capacity` is 0. With PLEXINDEX_OK and every answer status `length` is the number of bytes written. With
/// PLEXINDEX_BUFFER_TOO_SMALL it is the number needed: plexindex_buffer_grow(). After every other error it is 0.
///
/// As `error`, the last argument of every function that can fail, it receives the text of this call's error: UTF-8, and
/// a NUL that `length` does not count; `length` is 0 after success. `data` need not be aligned. A text that does not fit
/// is cut and ends in `…`, and `length` is its whole length. One buffer may be both answer and `error`. Texts that you
/// give to the call must not lie in it.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Buffer {
    /// The caller's memory.
    pub data: *mut c_void,
    /// Its size in bytes.
    pub capacity: usize,
    /// Out: bytes written, or needed.
    pub length: usize,
}

/// A string inside an answer, followed by a NUL that `length` does not count. 0, 0: there is none.
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub struct Text {
    /// From the block's first byte; 0: none.
    pub offset: u32,
    /// In bytes, without the NUL.
    pub length: u32,
}

/// The head of a block of answers, at the first byte of the buffer.
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub struct Answers {
    /// sizeof(plexindex_answers) as the library knows it.
    pub size: u32,
    /// sizeof(plexindex_answer) as the library knows it: the distance from one answer to the next.
    pub answer_size: u32,
    /// sizeof(plexindex_item) as the library knows it: the distance from one candidate to the next.
    pub item_size: u32,
    /// How many answers: one for each query, in order.
    pub count: u32,
    /// Where the first answer begins, from the block's first byte.
    pub first: u32,
    /// How many log lines wait for plexindex_drain_log().
    pub log_lines: u32,
}

/// The answer for one path.
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub struct AnswerRecord {
    /// PLEXINDEX_OK, _NOT_FOUND, _AMBIGUOUS, _NOT_YET, _NEEDS_WARM; in a batch, or this query's error.
    pub status: i32,
    /// PLEXINDEX_MATCH_*: how the item was found.
    pub match_kind: u8,
    /// PLEXINDEX_CONFIDENCE_*.
    pub confidence: u8,
    /// PLEXINDEX_REASON_*: why there is no single item, or, of MATCH_SUFFIX and _FILE_NAME, what speaks for or against.
    pub reason: u8,
    /// PLEXINDEX_ANSWER_* flags, or'ed.
    pub flags: u8,
    /// Where the single item (plexindex_item) begins, from the block's first byte; 0: there is none.
    pub item: u32,
    /// Where the candidates (an array of plexindex_item, best first) begin; 0: there are none.
    pub candidates: u32,
    /// How many candidates are in the array.
    pub candidates_count: u32,
    /// How many fit in all.
    pub candidates_total: u32,
    /// For people: the reason, or the error. None for PLEXINDEX_OK with PLEXINDEX_REASON_NONE.
    pub message: Text,
    /// Milliseconds since the server was last asked about this listing; -1: that is not known.
    pub age_ms: i64,
}

/// An item, as the index knows it. A text that the index does not know is 0, 0.
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub struct ItemRecord {
    /// Plex's address of the item, `/library/metadata/<rating key>`.
    pub key: Text,
    /// Plex's rating key.
    pub rating_key: Text,
    /// Title; for an episode the episode's.
    pub title: Text,
    /// Its own GUID, not those of other sites.
    pub guid: Text,
    /// Title of the show, for a track or album of the artist.
    pub show_title: Text,
    /// Rating key of the show or artist.
    pub show_rating_key: Text,
    /// GUID of the show or artist.
    pub show_guid: Text,
    /// The listed path that fits, as the server spells it; for a recorded match the recorded path.
    pub path: Text,
    /// Section id of its library.
    pub section: Text,
    /// Title of its library.
    pub library_title: Text,
    /// PLEXINDEX_KIND_*: its type, by Plex's number.
    pub kind: i32,
    /// Year; 0: unknown.
    pub year: i32,
    /// Season; the disc of a track. -1: none.
    pub season: i32,
    /// Episode or track number; -1: none.
    pub episode: i32,
    /// PLEXINDEX_ITEM_* flags, or'ed.
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
    /// The entry's name; NULL and 0 for PLEXINDEX_TABLE_CLEAR.
    pub name: Bytes,
    /// Its value; NULL and 0 but for PLEXINDEX_TABLE_PUT.
    pub value: Bytes,
}

/// What happened. Set `size` to sizeof(plexindex_stats); the library fills in what both sides know. A count is of this
/// handle's life unless its comment says otherwise.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct StatsRecord {
    /// sizeof(plexindex_stats).
    pub size: usize,
    /// By PLEXINDEX_MATCH_*, fast lookups included; `answers[0]`: all without an item.
    pub answers: [u64; 6],
    /// Fast lookups that found nothing.
    pub lookup_misses: u64,
    /// Answers from a listing that had expired.
    pub stale_answers: u64,
    /// Requests sent by kind, retries included: PLEXINDEX_REQUEST_* is the index.
    pub requests: [u64; 8],
    /// Bytes of the server's answers as they came over the wire, without their heads.
    pub bytes_received: u64,
    /// Requests of all kinds and all processes over the store's life, as last written.
    pub store_requests: u64,
    /// Answers of all processes over the store's life, as last written.
    pub store_answers: u64,
    /// Full listings completed.
    pub listings: u64,
    /// Microseconds spent waiting for the server.
    pub network_us: u64,
    /// Microseconds spent reading and writing the store.
    pub store_us: u64,
    /// Microseconds spent building and opening index files.
    pub segment_us: u64,
    /// Items listed now, in all libraries of this server and user.
    pub items: u64,
    /// Recorded matches stored now.
    pub matches: u64,
    /// Libraries known now.
    pub libraries: u64,
    /// Bytes that the store takes on disk, index files included.
    pub disk_bytes: u64,
    /// The store's change sequence.
    pub sequence: u64,
    /// Events about libraries, from the server (the method `watch.start`) and from plexindex_notify().
    pub events: u64,
    /// Writes that stored events: fewer than events, since one write stores several.
    pub hints: u64,
    /// Microseconds spent reading the server's answers: decompressing and parsing.
    pub parse_us: u64,
    /// Microseconds spent waiting for other fetches, and before requests were tried again.
    pub wait_us: u64,
    /// Microseconds spent matching, fast lookups not included.
    pub match_us: u64,
    /// Calls that query, refresh or record; fast lookups not included.
    pub calls: u64,
    /// Microseconds of these calls in all. The parts above overlap.
    pub calls_us: u64,
    /// How many of these calls were slow: plexindex_options.slow_ms.
    pub slow_calls: u64,
    /// Old answers given because the server could not be asked, or its answer not stored.
    pub failures: u64,
    /// How many bytes the folder may take: plexindex_options.size_limit. 0: no limit.
    pub size_limit: u64,
    /// How many bytes what has to stay is beyond that limit. Not 0: the limit is too small.
    pub over_limit: u64,
    /// How many libraries were removed for a limit, by all processes over the store's life.
    pub evictions: u64,
    /// Why an old answer was given last: UTF-8, NUL-terminated, perhaps cut. Empty: never.
    pub last_failure: [c_char; 512],
}
