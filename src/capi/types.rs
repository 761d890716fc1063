//! The structs that cross the boundary, and the callbacks. Their comments are the C header's: written for C readers.

use std::ffi::{c_char, c_void};

/// An open index: from plexindex_open() to plexindex_close(). Any number of threads may use it at once.
pub struct Handle {
    _private: [u8; 0],
}

/// A library of an index, or all of them, from plexindex_library(). It belongs to the index: the caller does not free
/// it, and it is valid until plexindex_close(). Any number of threads may use it at once.
pub struct LibraryHandle {
    _private: [u8; 0],
}

/// A table of the host's own values, or all of them, from plexindex_table(). It belongs to the index: the caller does
/// not free it, and it is valid until plexindex_close(). Any number of threads may use it at once.
pub struct TableHandle {
    _private: [u8; 0],
}

/// Text or a path given to plexindex: raw bytes, not NUL-terminated. A `length` of 0 says that nothing is given; `data`
/// may be NULL then. The bytes are read during the call only.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Bytes {
    /// The first byte; may be NULL when `length` is 0.
    pub data: *const c_char,
    /// How many bytes.
    pub length: usize,
}

/// A rule between paths as the host sees them and paths as the server sees them. Rules apply in order. A rule over the
/// server's paths rewrites a listed path: the first that fits it. A rule over the host's paths rewrites the path asked
/// for: each that fits it, until one gives a listed path.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct MappingRecord {
    /// PLEXINDEX_MAPPING_*: the rule's direction, and what `from` is.
    pub kind: i32,
    /// Zero.
    pub reserved: u32,
    /// A folder, or a regular expression (UTF-8) without look-around and backreferences.
    pub from: Bytes,
    /// What replaces it: a folder, or a text with `\1`, `\g<1>` or `\g<name>`.
    pub to: Bytes,
}

/// How to open an index. Zero the struct, set `size` to sizeof(plexindex_options), then set what you need. A zero field
/// means its default. A newer header's larger struct is accepted while the fields that this version does not know are
/// zero, and refused with PLEXINDEX_UNSUPPORTED otherwise.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct OptionsRecord {
    /// sizeof(plexindex_options).
    pub size: usize,
    /// The store's folder, in the file system's bytes. Required. Made, with mode 0700, when it is missing.
    pub cache_dir: Bytes,
    /// The server's base URL, such as `http://127.0.0.1:32400`. Without it, and without `database`, the index answers from
    /// its store only.
    pub server_url: Bytes,
    /// The token. It is sent in a header, to this server only, and never stored.
    pub token: Bytes,
    /// A name for the user whose view of the server this is. Default: the token. Set it when the token changes now and
    /// then: a new token of the same user keeps what the index holds. A JSON Web Token that names its key pair and its user
    /// (`thumbprint`, `username`) keeps it without that, once the server has accepted it.
    pub user: Bytes,
    /// A PEM file with certificate authorities to trust besides the system's.
    pub ca_file: Bytes,
    /// For how many milliseconds a listing is fresh. 0: one hour. PLEXINDEX_TTL_AT_ONCE, PLEXINDEX_TTL_NEVER. Other
    /// negative values are refused.
    pub library_ttl_ms: i64,
    /// After how many milliseconds a full listing is due, even if the server reports no change. 0: 24 hours. Negative
    /// values are refused.
    pub max_age_ms: i64,
    /// The deadline of calls that name none, in milliseconds. 0: none. Negative values are refused.
    pub deadline_ms: i64,
    /// How long making a connection may take, in milliseconds. 0: 5,000.
    pub connect_timeout_ms: i64,
    /// How long the server may be silent before and within an answer, in milliseconds. 0: 60,000. A request that lists nothing
    /// waits 15,000 at most, unless plexindex_refresh() sends it.
    pub read_timeout_ms: i64,
    /// For how many milliseconds a request is tried again after a failure that may pass. 0: 30,000. PLEXINDEX_NO_RETRY:
    /// it is not tried again.
    pub retry_ms: i64,
    /// How many bytes recorded matches may take on disk. Those recorded longest ago are removed first. 0: 52,428,800.
    pub matches_limit: u64,
    /// PLEXINDEX_OPEN_* flags, or'ed.
    pub flags: u32,
    /// How many rows of a listing are asked for at once, 1 to 1,000. 0: 1,000.
    pub page_size: u32,
    /// Which log lines are kept for plexindex_drain_log(): PLEXINDEX_LOG_*. 0: warnings and errors. The process has one
    /// level: the index that is opened last sets it.
    pub log_level: i32,
    /// Zero.
    pub reserved: u32,
    /// `mappings_count` rules between the host's paths and the server's; may be NULL when that is 0. Read during
    /// plexindex_open() only.
    pub mappings: *const MappingRecord,
    /// How many rules.
    pub mappings_count: usize,
    /// A call that takes so many milliseconds is logged with what it spent its time on: as a warning, or with
    /// PLEXINDEX_LOG_INFO when it fetched a library or waited for another call's fetch. 0: 1,000. PLEXINDEX_NEVER_SLOW.
    /// Other negative values are refused.
    pub slow_ms: i64,
    /// How many bytes the whole folder may take. Libraries that were asked for longest ago are removed first, one by one,
    /// and fetched again when they are asked for. Recorded matches, tables, and the library asked for last stay, even if
    /// they take more: plexindex_statistics.over_limit says so. 0: no limit.
    pub size_limit: u64,
    /// Plex's own database, in the file system's bytes: the file com.plexapp.plugins.library.db, the folder that it lies
    /// in, which is called Databases, or the folder 'Plex Media Server' above that. It is read beside the running server, and
    /// never written. Alone it needs neither `server_url` nor `token`, and no request is sent. The index then shows all libraries
    /// of the server. Default: none; an empty one is none. It is never searched for.
    pub database: Bytes,
    /// Called for a new token when the server refuses the one that there is; may be NULL. plexindex_set_token() sets one at any
    /// time.
    pub renew_token: Option<RenewTokenFn>,
    /// Passed to `renew_token` unchanged.
    pub renew_token_user: *mut c_void,
}

/// A query. Zero the struct, set `size` to sizeof(plexindex_query), then set what you need.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct QueryRecord {
    /// sizeof(plexindex_query).
    pub size: usize,
    /// The library; NULL for all of them.
    pub library: *const LibraryHandle,
    /// The path, GUID or title. A path is the file system's bytes, not empty, and without NUL.
    pub text: Bytes,
    /// How long the call may take, in milliseconds. 0: as the options say. PLEXINDEX_NO_DEADLINE: as long as it takes.
    /// Other negative values are refused.
    pub deadline_ms: i64,
    /// PLEXINDEX_QUERY_* flags, or'ed.
    pub flags: u32,
    /// Zero.
    pub reserved: u32,
    /// Called on this thread while the call waits for the server; may be NULL.
    pub progress: Option<ProgressFn>,
    /// Passed to `progress` unchanged.
    pub progress_user: *mut c_void,
}

/// How far a fetch has come. Valid during the callback only.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct ProgressRecord {
    /// sizeof(plexindex_progress) as this library knows it.
    pub size: usize,
    /// The title of the library that is being fetched, UTF-8. Empty, with counts of 0, while the call waits for the
    /// list of libraries or for another fetch.
    pub library: Bytes,
    /// Items fetched so far, including those of an earlier fetch that was interrupted.
    pub items: u64,
    /// Items in all, as the server reports; 0 when it does not.
    pub total: u64,
    /// Milliseconds since this call began to fetch.
    pub elapsed_ms: u64,
}

/// Receives how far a fetch has come, at least every 100 ms while a call waits for the server. Runs on the thread that
/// made the call. Return 0 to go on. Anything else ends the call with PLEXINDEX_ABORTED, also where all is fetched by then:
/// it is not called again, and what was fetched is kept for the next call. After the last page of a fetch it is called once more.
///
/// The callback may call any plexindex function but plexindex_close() of the same handle. The fetch goes on meanwhile. A call
/// that needs what is being fetched waits for that, and then asks the server for what it still needs.
///
/// It must return. A thread that is ended in it (pthread_exit, pthread_cancel) sleeps for ever instead, on Linux, and
/// keeps what the call holds.
pub type ProgressFn = unsafe extern "C" fn(user: *mut c_void, progress: *const ProgressRecord) -> i32;

/// Gives a new token after the server refused the present one (401), or said that it expired (498). Writes it to
/// `token->data`, where there is room for `token->capacity` bytes (16,384), and its length to `token->length`, and returns 0.
/// Any other result, or the same token again, says that there is no new token now.
///
/// Runs on the thread of the call that the server refused. With a new token that call is made once more. Without one, older
/// answers stand in, a call that has none gives PLEXINDEX_UNAUTHORIZED, and the callback is not called for 15 seconds.
///
/// One thread at a time is in the callback of an index. Other calls that need a new token wait for the callback, until their
/// deadline and for `options.read_timeout_ms` at most; then they go on as without a new token. So the callback may wait for
/// another thread's call.
///
/// It may call plexindex functions, but not plexindex_close() of the same handle. A call on the same handle does not renew the
/// token; a call on another handle renews that handle's token. It must return, as plexindex_progress_fn must.
pub type RenewTokenFn = unsafe extern "C" fn(user: *mut c_void, token: *mut Buffer) -> i32;

/// Receives a log line. Runs on the thread that called plexindex_drain_log(). `message` is UTF-8, not NUL-terminated,
/// and valid during the callback only. It holds no token, and no full path unless `level` is PLEXINDEX_LOG_DEBUG. The
/// callback must return, as plexindex_progress_fn must.
pub type LogFn = unsafe extern "C" fn(user: *mut c_void, level: i32, message: *const c_char, length: usize);

/// The caller's memory for an answer. `data` must be aligned to 8 bytes, as malloc's memory is. It may be NULL when
/// `capacity` is 0. With PLEXINDEX_OK and with every answer status, `length` is the number of bytes written. With
/// PLEXINDEX_BUFFER_TOO_SMALL it is the number needed, and the memory holds nothing of use: enlarge it and call again. An
/// answer to one query has 16 candidates at most. It seldom takes more than 8 KiB, but no size is enough for any title and
/// path.
///
/// As `error`, the last argument of every function that can fail, it receives the text of this call's error: UTF-8, and a
/// NUL that `length` does not count. It may be NULL, and its `data` need not be aligned. `length` is 0 after a call that
/// did not fail. A text that does not fit is cut, and ends in `…` if that fits; `length` is its whole length then, which is
/// not below `capacity`. No other call changes it. Where the runtime chooses the thread of a call, as that of Go does, this
/// is the only way to the text. Its memory may be that of the answer, but not of what the call reads, such as a query's
/// text. A buffer that cannot be one is refused before the call does anything, and no other output is written then.
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

/// A string inside an answer. It begins `offset` bytes after the block's first byte, and a NUL that `length` does not
/// count follows it. 0, 0: there is no string. An empty string has an offset.
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub struct Text {
    /// From the block's first byte; 0: none.
    pub offset: u32,
    /// In bytes, without the NUL.
    pub length: u32,
}

/// The head of a block of answers, at the buffer's first byte.
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

/// The answer for one path, folder, GUID or title.
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub struct AnswerRecord {
    /// PLEXINDEX_OK, PLEXINDEX_NOT_FOUND, PLEXINDEX_AMBIGUOUS, PLEXINDEX_NOT_YET, PLEXINDEX_NEEDS_WARM, or, in a batch,
    /// the error of this one query.
    pub status: i32,
    /// PLEXINDEX_RUNG_*: how the item was found.
    pub rung: u8,
    /// PLEXINDEX_CONFIDENCE_*.
    pub confidence: u8,
    /// PLEXINDEX_REASON_*: why there is no single item. With PLEXINDEX_RUNG_SUFFIX and PLEXINDEX_RUNG_FILE_NAME: what
    /// speaks for the item, or against it.
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
    /// A sentence for people: what `reason` says, or the error's text. There is none for PLEXINDEX_REASON_NONE.
    pub message: Text,
    /// Milliseconds since the listing that answered was last known to be current; -1: no listing answered.
    pub age_ms: i64,
    /// plexindex_match_folder(): how many items have a file below the folder. 0 in other answers, where several folders
    /// fit by their end, and of a library that was never fetched.
    pub items: u64,
    /// plexindex_match_folder(): how many listed files are below the folder; 0 as above.
    pub files: u64,
    /// plexindex_match_folder(): what the folder is, as plexindex_item.kind has it: 2 a show, 3 a season, 8 an artist, 9 an
    /// album, else the type of its one item. 0 where there is no single one.
    pub kind: i32,
    /// Zero.
    pub reserved: u32,
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
    /// Scalar GUID.
    pub guid: Text,
    /// Title of the show, for a track or album of the artist.
    pub show_title: Text,
    /// Rating key of the show or artist.
    pub show_rating_key: Text,
    /// Scalar GUID of the show or artist.
    pub show_guid: Text,
    /// The listed path that fits, as the server spells it; for a recorded match the recorded path.
    pub path: Text,
    /// Section id of its library.
    pub section: Text,
    /// Title of its library.
    pub library_title: Text,
    /// Plex's number of the type: 1 movie, 4 episode, 10 track, 12 clip, 13 photo, 0 unknown; of a folder also 2 show,
    /// 3 season, 8 artist and 9 album.
    pub kind: i32,
    /// Year; 0: unknown.
    pub year: i32,
    /// Season, for a track the disc; of a show in a folder's answer the one that all episodes below are of, where the server
    /// tells no key of it. -1: none.
    pub season: i32,
    /// Episode or track number; -1: none.
    pub episode: i32,
    /// PLEXINDEX_ITEM_* flags, or'ed.
    pub flags: u32,
    /// Zero.
    pub reserved: u32,
}

/// What happened. Set `size` to sizeof(plexindex_statistics); the library fills in what both sides know. A count is of
/// this handle's life unless its comment says otherwise.
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub struct StatsRecord {
    /// sizeof(plexindex_statistics).
    pub size: usize,
    /// Answers by rung, fast lookups included: PLEXINDEX_RUNG_* is the index. 0 counts answers without an item.
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
    /// Microseconds spent building and opening images.
    pub image_us: u64,
    /// Items listed now, in all libraries of this server and user.
    pub items: u64,
    /// Recorded matches stored now.
    pub matches: u64,
    /// Libraries known now.
    pub libraries: u64,
    /// Bytes that the store takes on disk, images included.
    pub disk_bytes: u64,
    /// The store's change sequence.
    pub sequence: u64,
    /// Events about libraries, from the server (plexindex_watch_start()) and from plexindex_notify().
    pub events: u64,
    /// Writes that stored what events say. There are fewer than events, since several are stored at once.
    pub hints: u64,
    /// Microseconds spent reading the server's answers: decompressing and parsing.
    pub parse_us: u64,
    /// Microseconds spent waiting for other fetches, and before requests were tried again.
    pub wait_us: u64,
    /// Microseconds spent matching, fast lookups not included.
    pub match_us: u64,
    /// Calls that query, refresh or record; fast lookups not included.
    pub calls: u64,
    /// Microseconds that these calls took in all. The parts above overlap: a page is stored while the next one comes.
    pub calls_us: u64,
    /// How many of these calls were slow: plexindex_options.slow_ms.
    pub slow_calls: u64,
    /// How often an old answer was given because the server could not be asked, or its answer could not be stored.
    /// plexindex_stats_json() says why it was the last time.
    pub failures: u64,
    /// How many bytes the folder may take: plexindex_options.size_limit. 0: no limit.
    pub size_limit: u64,
    /// How many bytes what has to stay is beyond that limit. Not 0: the limit is too small.
    pub over_limit: u64,
    /// How many libraries were removed for a limit, by all processes over the store's life.
    pub evictions: u64,
}

/// An edit of items, for plexindex_edit_items(). Zero the struct, set `size` to sizeof(plexindex_edit), then set what
/// you need.
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
    /// lock only, and its value is empty. The names are Plex's. What is nearly one of them is refused, with what was
    /// meant; any other name is sent, and the server decides.
    pub changes: Bytes,
    /// How many pairs of a name and a value. Never 0.
    pub changes_count: usize,
    /// How long the call may take, in milliseconds. 0: as the options say. PLEXINDEX_NO_DEADLINE: as long as it takes.
    /// Other negative values are refused.
    pub deadline_ms: i64,
    /// PLEXINDEX_EDIT_LOCK locks the fields that are named: the server's agents leave them alone. PLEXINDEX_EDIT_UNLOCK
    /// unlocks them. PLEXINDEX_EDIT_LEAVE leaves their locks as they are.
    pub lock: i32,
    /// Zero.
    pub reserved: u32,
}

/// How far an edit came, whether it succeeded or not. Zero the struct and set `size` to sizeof(plexindex_edit_report).
/// Set `states` to learn which items were edited.
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
