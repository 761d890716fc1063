//! The structs that cross the boundary, and the callbacks. Their comments are the C header's: written for C readers.

use std::ffi::{c_char, c_void};

/// An open index. Made by plexindex_open(), ended by plexindex_close(). Usable from any thread, by several at once.
pub struct Handle {
    _private: [u8; 0],
}

/// A library of an index, or all of them. Made by plexindex_library(); belongs to the index, is never freed by the
/// caller, and stays valid until plexindex_close(). Usable from any thread.
pub struct LibraryHandle {
    _private: [u8; 0],
}

/// A table of what the host keeps itself, or all of them. Made by plexindex_table(); belongs to the index, is never freed by
/// the caller, and stays valid until plexindex_close(). Usable from any thread.
pub struct TableHandle {
    _private: [u8; 0],
}

/// Text or a path given to plexindex: raw bytes, not NUL-terminated. `data` may be NULL where `length` is 0; both 0
/// means that nothing is given. The bytes are read during the call only.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Bytes {
    /// The first byte; may be NULL when `length` is 0.
    pub data: *const c_char,
    /// How many bytes.
    pub length: usize,
}

/// A rule between paths as the host sees them and paths as the server sees them. Rules apply in order: of rules over
/// the server's paths the first that fits counts, of rules over the host's each that fits is tried until one is listed.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Mapping {
    /// PLEXINDEX_MAPPING_*: which way it goes, and what `from` is.
    pub kind: i32,
    /// Zero.
    pub reserved: u32,
    /// A folder, or a regular expression (UTF-8) without look-around and backreferences.
    pub from: Bytes,
    /// What takes its place: a folder, or a replacement with `\1`, `\g<1>` or `\g<name>`.
    pub to: Bytes,
}

/// How to open an index. Zero the struct, set `size` to sizeof(plexindex_options), then set what you need: a zero
/// field means its default. A larger struct from a newer header is accepted when what this version does not know is
/// zero, and refused with PLEXINDEX_UNSUPPORTED otherwise.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Options {
    /// sizeof(plexindex_options).
    pub size: usize,
    /// Folder for the store, in the file system's bytes. Made (mode 0700) when missing. Required.
    pub cache_dir: Bytes,
    /// Base URL of the server, such as `http://127.0.0.1:32400`. Without it the index answers from its store only.
    pub server_url: Bytes,
    /// The token. Sent in a header, to this server only; never stored.
    pub token: Bytes,
    /// Whose view of the server this is, when the host has a better name for it than the token. Default: the token.
    pub user: Bytes,
    /// PEM file with certificate authorities to trust besides the system's.
    pub ca_file: Bytes,
    /// How long a listing is fresh, in milliseconds. 0: one hour. PLEXINDEX_TTL_AT_ONCE, PLEXINDEX_TTL_NEVER.
    /// Other negative values are refused.
    pub library_ttl_ms: i64,
    /// After how many milliseconds a full listing is due whatever the clocks say. 0: 24 hours. Negative: refused.
    pub max_age_ms: i64,
    /// Deadline, in milliseconds, of calls that name none. 0: none. Negative: refused.
    pub deadline_ms: i64,
    /// How long a connection may take, in milliseconds. 0: 5,000.
    pub connect_timeout_ms: i64,
    /// How long the server may be silent while it owes an answer, in milliseconds. 0: 60,000.
    pub read_timeout_ms: i64,
    /// For how long a request that failed in a way that passes is tried again, in milliseconds. 0: 30,000;
    /// PLEXINDEX_NO_RETRY: not at all.
    pub retry_ms: i64,
    /// Bytes that confirmed matches may take on disk; those recorded longest ago go first. 0: 52,428,800.
    pub matches_limit: u64,
    /// PLEXINDEX_OPEN_* flags, or'ed.
    pub flags: u32,
    /// Rows a page of a listing, 1 to 1,000. 0: 1,000.
    pub page_size: u32,
    /// Which log lines are kept for plexindex_drain_log(): PLEXINDEX_LOG_*. 0: warnings and errors. The level is
    /// the process's: the last index opened sets it.
    pub log_level: i32,
    /// Zero.
    pub reserved: u32,
    /// Rules between the host's paths and the server's; may be NULL when `mappings_count` is 0. Read during
    /// plexindex_open() only.
    pub mappings: *const Mapping,
    /// How many rules.
    pub mappings_count: usize,
    /// A call that takes so many milliseconds is logged with what it spent its time on: a warning, or PLEXINDEX_LOG_INFO
    /// when it fetched a library or waited for somebody who did. 0: 1,000. PLEXINDEX_NEVER_SLOW. Other negative values
    /// are refused.
    pub slow_ms: i64,
}

/// A query. Zero the struct, set `size` to sizeof(plexindex_query), then set what you need.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Query {
    /// sizeof(plexindex_query).
    pub size: usize,
    /// Which library; NULL: all of them.
    pub library: *const LibraryHandle,
    /// The path, GUID or title that is asked for. Paths are the file system's bytes, not empty, without NUL.
    pub text: Bytes,
    /// How long the call may take, in milliseconds. 0: the default of the options. PLEXINDEX_NO_DEADLINE: for as
    /// long as it takes. Other negative values are refused.
    pub deadline_ms: i64,
    /// PLEXINDEX_QUERY_* flags, or'ed.
    pub flags: u32,
    /// Zero.
    pub reserved: u32,
    /// Called on this thread now and then while the call fetches; may be NULL.
    pub progress: Option<ProgressFn>,
    /// Handed to `progress` as it is.
    pub progress_user: *mut c_void,
}

/// How far a fetch has come. Valid during the callback only.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Progress {
    /// sizeof(plexindex_progress) as this library knows it.
    pub size: usize,
    /// Title of the library being fetched; UTF-8. Empty, and the counts 0, while none is: the libraries are asked for, or
    /// another process fetches.
    pub library: Bytes,
    /// Items fetched so far, those of an earlier, interrupted fetch included.
    pub items: u64,
    /// Items in all, as the server says; 0 when it did not.
    pub total: u64,
    /// Milliseconds since this call began to fetch.
    pub elapsed_ms: u64,
}

/// Told how far a fetch has come, at least every 100 ms while the call waits for the server. Called on the thread that
/// made the call, never on one of the library's. It may call plexindex functions, but for plexindex_close() of the same
/// handle. It must return: a thread that is ended in it (pthread_exit, pthread_cancel) sleeps for ever instead, on Linux,
/// and keeps what the call holds. Return 0 to go on; anything else ends the call with
/// PLEXINDEX_ABORTED, and what was fetched is kept for the next one.
pub type ProgressFn = unsafe extern "C" fn(user: *mut c_void, progress: *const Progress) -> i32;

/// Receives a log line. Called on the thread that called plexindex_drain_log(). `message` is UTF-8, not
/// NUL-terminated, and valid during the callback only. It holds no token, and no full path unless `level` is
/// PLEXINDEX_LOG_DEBUG. It must return, as plexindex_progress_fn must.
pub type LogFn = unsafe extern "C" fn(user: *mut c_void, level: i32, message: *const c_char, length: usize);

/// Memory of the caller for an answer. `data` must be aligned to 8 bytes (malloc's is); it may be NULL when
/// `capacity` is 0. After PLEXINDEX_OK and after every answer status `length` says how many bytes were
/// written; after PLEXINDEX_BUFFER_TOO_SMALL it says how many are needed, and the memory holds
/// nothing of use.
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

/// A string inside an answer: its bytes begin `offset` bytes after the block's first byte and are followed by a NUL
/// that `length` does not count. 0, 0: there is none. An empty string has an offset.
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
    /// sizeof(plexindex_answer) as the library knows it: the step from one answer to the next.
    pub answer_size: u32,
    /// sizeof(plexindex_item) as the library knows it: the step from one candidate to the next.
    pub item_size: u32,
    /// How many answers: one for each query, in order.
    pub count: u32,
    /// Where the first answer begins, from the block's first byte.
    pub first: u32,
    /// How many log lines wait for plexindex_drain_log().
    pub log_lines: u32,
}

/// The answer for one path, GUID or title.
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub struct Answer {
    /// PLEXINDEX_OK, PLEXINDEX_NOT_FOUND, PLEXINDEX_AMBIGUOUS, PLEXINDEX_NOT_YET, PLEXINDEX_NEEDS_WARM, or, in a batch,
    /// the error of this one query.
    pub status: i32,
    /// PLEXINDEX_RUNG_*: which step found it.
    pub rung: u8,
    /// PLEXINDEX_CONFIDENCE_*.
    pub confidence: u8,
    /// PLEXINDEX_REASON_*: why there is no single item; at the rungs SUFFIX and FILE_NAME what speaks for one, or against.
    pub reason: u8,
    /// PLEXINDEX_ANSWER_* flags, or'ed.
    pub flags: u8,
    /// Where the item (plexindex_item) begins, from the block's first byte; 0: there is no single one.
    pub item: u32,
    /// Where the candidates (an array of plexindex_item, best first) begin; 0: there are none.
    pub candidates: u32,
    /// How many candidates are in the array.
    pub candidates_count: u32,
    /// How many there are in all.
    pub candidates_total: u32,
    /// A sentence for people: what `reason` says, or the error's text. None for PLEXINDEX_REASON_NONE.
    pub message: Text,
    /// Milliseconds since the listing that answered was last seen to be current; -1: there is none.
    pub age_ms: i64,
}

/// An item, as the index knows it. Texts that the index does not know are none (0, 0).
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
    /// Title of the show, for a track of the artist.
    pub show_title: Text,
    /// Rating key of the show or artist.
    pub show_rating_key: Text,
    /// Scalar GUID of the show or artist.
    pub show_guid: Text,
    /// The listed path that fitted, in the server's spelling; for a confirmed match the recorded path.
    pub path: Text,
    /// Section id of its library.
    pub section: Text,
    /// Title of its library.
    pub library_title: Text,
    /// Plex's number of the type: 1 movie, 4 episode, 10 track, 12 clip, 13 photo, 0 unknown.
    pub kind: i32,
    /// Year; 0: unknown.
    pub year: i32,
    /// Season, for a track the disc; -1: none.
    pub season: i32,
    /// Episode or track number; -1: none.
    pub episode: i32,
    /// PLEXINDEX_ITEM_* flags, or'ed.
    pub flags: u32,
    /// Zero.
    pub reserved: u32,
}

/// What happened. Set `size` to sizeof(plexindex_statistics); the library fills as much as both sides know.
/// All counts are of this handle's life, but for those that say otherwise.
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub struct Stats {
    /// sizeof(plexindex_statistics).
    pub size: usize,
    /// Answers by rung: PLEXINDEX_RUNG_* is the index; 0 counts answers without an item. Fast lookups included.
    pub answers: [u64; 6],
    /// plexindex_lookup_key() calls that found nothing.
    pub lookup_misses: u64,
    /// Answers given although their listing had expired.
    pub stale_answers: u64,
    /// Requests sent, retries included, by kind: PLEXINDEX_REQUEST_* is the index.
    pub requests: [u64; 8],
    /// Bytes of answers' bodies as they came over the wire.
    pub bytes_received: u64,
    /// Requests over the life of the store, all kinds, all processes, as last written.
    pub store_requests: u64,
    /// Answers over the life of the store, all processes, as last written.
    pub store_answers: u64,
    /// Full listings completed.
    pub listings: u64,
    /// Microseconds spent waiting for the server.
    pub network_us: u64,
    /// Microseconds spent reading and writing the store.
    pub store_us: u64,
    /// Microseconds spent building and opening images.
    pub image_us: u64,
    /// Items listed now, in all libraries of this view.
    pub items: u64,
    /// Confirmed matches recorded now.
    pub matches: u64,
    /// Libraries known now.
    pub libraries: u64,
    /// Bytes that the store takes on disk, images included.
    pub disk_bytes: u64,
    /// The store's change sequence.
    pub sequence: u64,
    /// Events about libraries that the server told (plexindex_watch_start()) or that plexindex_notify() was given.
    pub events: u64,
    /// Writes that noted what events hint at: fewer than events, as these are gathered.
    pub hints: u64,
    /// Microseconds spent reading the server's answers: decompressing and parsing.
    pub parse_us: u64,
    /// Microseconds spent waiting for other fetches to end, and before requests were tried again.
    pub wait_us: u64,
    /// Microseconds spent matching, fast lookups not included.
    pub match_us: u64,
    /// Questions, refreshes and recordings; fast lookups not included.
    pub calls: u64,
    /// Microseconds that these took in all. The parts above overlap: pages are stored while the next one comes.
    pub calls_us: u64,
    /// How many of them were slow: plexindex_options.slow_ms.
    pub slow_calls: u64,
    /// How often the server could not be asked, or its answer not be stored, and old answers stood in; plexindex_stats_json() says why it was last.
    pub failures: u64,
}

/// What becomes of items: plexindex_edit_items(). Zero the struct, set `size` to sizeof(plexindex_edit), then set what
/// you need.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Edit {
    /// sizeof(plexindex_edit).
    pub size: usize,
    /// The items' library: one, not all.
    pub library: *const LibraryHandle,
    /// `keys_count` keys or rating keys one after the other, each followed by a NUL. Never empty: without any a server
    /// would edit every item of the library.
    pub keys: Bytes,
    /// How many keys.
    pub keys_count: usize,
    /// `changes_count` times a name and a value, each followed by a NUL, UTF-8. `title` sets that field to the value,
    /// `genre+` adds the value to those tags, `genre-` removes it from them, `title!` changes nothing but the field's
    /// lock and takes an empty value. The names are Plex's.
    pub changes: Bytes,
    /// How many pairs of a name and a value. Never 0.
    pub changes_count: usize,
    /// How long the call may take, in milliseconds. 0: the default of the options. PLEXINDEX_NO_DEADLINE: for as long as
    /// it takes. Other negative values are refused.
    pub deadline_ms: i64,
    /// PLEXINDEX_EDIT_LOCK: the fields named are locked, so that the server's agents leave them alone;
    /// PLEXINDEX_EDIT_UNLOCK: they are unlocked; PLEXINDEX_EDIT_LEAVE: their locks stay as they are.
    pub lock: i32,
    /// Zero.
    pub reserved: u32,
}

/// How far an edit came. Zero the struct, set `size` to sizeof(plexindex_edit_report), and `states` where it matters which
/// items were edited. Filled in whether the edit succeeded or not.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct EditReport {
    /// sizeof(plexindex_edit_report).
    pub size: usize,
    /// Receives PLEXINDEX_EDITED_* for each key, in order; may be NULL.
    pub states: *mut u8,
    /// How many states there is room for; further keys have no state.
    pub states_capacity: usize,
    /// Out: keys whose items the server edited.
    pub done: u64,
    /// Out: keys of the request that failed: whether their items were edited is not known.
    pub failed: u64,
    /// Out: edits that were asked for, the failed one included; retries are not counted.
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
