/*
 * plexindex: tells which Plex item a file is, without asking the server.
 *
 * Generated from src/capi by cbindgen; renew it with `make header`. Licence: MIT OR Apache-2.0.
 *
 * Errors: functions that can fail return a status, a value of enum plexindex_status as int32_t: 0 is success, 1 to
 *   99 are answers that are no errors, from 100 on are errors, whose text plexindex_last_error_message() gives.
 *   Outputs are written on success only, except where a comment says otherwise. NULL is checked everywhere.
 * Threads: a handle may be used by any number of threads at once. No callback ever runs on a thread of the library.
 * Memory: nothing that plexindex hands out is freed by the caller, but for the handle, by plexindex_close(). Strings
 *   given to it are read during the call only.
 * Compatibility: structs that begin with `size` may grow; a program compiled against an older header goes on working.
 */

#ifndef PLEXINDEX_H
#define PLEXINDEX_H

#include <stddef.h>
#include <stdint.h>

// The version of this ABI. It changes when a program compiled against an older header would misbehave; a host that
// loads the library at run time compares it with the one it was written for.
#define PLEXINDEX_ABI_VERSION 1

// plexindex_options.library_ttl_ms: a listing is never fresh.
#define PLEXINDEX_TTL_AT_ONCE (-1)

// plexindex_options.library_ttl_ms: a listing is fresh until it is invalidated.
#define PLEXINDEX_TTL_NEVER (-2)

// plexindex_query.deadline_ms: for as long as it takes.
#define PLEXINDEX_NO_DEADLINE (-1)

// plexindex_options.retry_ms: a request that failed is not tried again.
#define PLEXINDEX_NO_RETRY (-1)

// plexindex_options.slow_ms: no call is slow.
#define PLEXINDEX_NEVER_SLOW (-1)

// plexindex_options.flags: never ask the server.
#define PLEXINDEX_OPEN_OFFLINE 1

// plexindex_options.flags: take any certificate. Warns.
#define PLEXINDEX_OPEN_ACCEPT_INVALID_CERTS 2

// plexindex_options.flags: read images into memory, do not map them.
#define PLEXINDEX_OPEN_NO_MMAP 4

// plexindex_options.flags: log lines, errors and reasons name media paths by a short hash and their extension.
#define PLEXINDEX_OPEN_OBFUSCATE_PATHS 8

// plexindex_mapping.kind: `from` is a folder of the host, `to` the server's.
#define PLEXINDEX_MAPPING_HOST_PREFIX 1

// plexindex_mapping.kind: `from` is a pattern over the host's paths, `to` a replacement that gives the server's.
#define PLEXINDEX_MAPPING_HOST_PATTERN 2

// plexindex_mapping.kind: `from` is a folder of the server, `to` the host's.
#define PLEXINDEX_MAPPING_SERVER_PREFIX 3

// plexindex_mapping.kind: `from` is a pattern over the server's paths, `to` a replacement that gives the host's.
#define PLEXINDEX_MAPPING_SERVER_PATTERN 4

// plexindex_query.flags: answer without asking the server, whatever that answer is.
#define PLEXINDEX_QUERY_OFFLINE 1

// plexindex_query.flags, plexindex_refresh() only: fetch a full listing, whatever the clocks say.
#define PLEXINDEX_QUERY_FULL 2

// plexindex_library(): the selector is a uuid, else a title, else a section id: the first that fits.
#define PLEXINDEX_SELECT_ANY 0

// plexindex_library(): the selector is a title.
#define PLEXINDEX_SELECT_TITLE 1

// plexindex_library(): the selector is a section id, such as `1`.
#define PLEXINDEX_SELECT_SECTION 2

// plexindex_library(): the selector is a uuid.
#define PLEXINDEX_SELECT_UUID 3

// plexindex_library(): all libraries; the selector must be empty.
#define PLEXINDEX_SELECT_ALL 4

// plexindex_answer.rung: nothing found.
#define PLEXINDEX_RUNG_NONE 0

// plexindex_answer.rung: the host recorded this match.
#define PLEXINDEX_RUNG_CONFIRMED 1

// plexindex_answer.rung: the path is listed.
#define PLEXINDEX_RUNG_EXACT 2

// plexindex_answer.rung: the path is listed once a mapping rewrote it.
#define PLEXINDEX_RUNG_MAPPED 3

// plexindex_answer.rung: the longest common end of two or more components.
#define PLEXINDEX_RUNG_SUFFIX 4

// plexindex_answer.rung: the same file name.
#define PLEXINDEX_RUNG_FILE_NAME 5

// plexindex_answer.confidence: there is no item.
#define PLEXINDEX_CONFIDENCE_NONE 0

// plexindex_answer.confidence: verify it, or choose among the candidates.
#define PLEXINDEX_CONFIDENCE_LOW 1

// plexindex_answer.confidence: this file's item, as far as anything that is known can tell.
#define PLEXINDEX_CONFIDENCE_HIGH 2

// plexindex_answer.reason: there is a single item, recorded, listed or mapped.
#define PLEXINDEX_REASON_NONE 0

// plexindex_answer.reason: no library has a folder above this path.
#define PLEXINDEX_REASON_NO_LOCATION 1

// plexindex_answer.reason: a library has a folder above this path, but does not list the file. A single item is given
// with low confidence: only the end of its path is the same.
#define PLEXINDEX_REASON_NOT_LISTED 2

// plexindex_answer.reason: the library was never fetched completely.
#define PLEXINDEX_REASON_NOT_FETCHED 3

// plexindex_answer.reason: several items fit equally well.
#define PLEXINDEX_REASON_SEVERAL_ITEMS 4

// plexindex_answer.reason: several libraries list it.
#define PLEXINDEX_REASON_SEVERAL_LIBRARIES 5

// plexindex_answer.reason: it was invalidated, and the server has not confirmed it since.
#define PLEXINDEX_REASON_UNCONFIRMED 6

// plexindex_answer.reason: the single item's listed path differs by its root only, so a mapping is missing. High.
#define PLEXINDEX_REASON_ONLY_ROOT_DIFFERS 7

// plexindex_answer.reason: the path carries the single item's title, and an episode's or a track's numbers. High.
#define PLEXINDEX_REASON_PATH_TELLS 8

// plexindex_answer.reason: the single item's path has the same end, or file name, and nothing else speaks for it. Low.
#define PLEXINDEX_REASON_NO_EVIDENCE 9

// plexindex_answer.reason: the same, and the path tells of another year, number or edition. Low.
#define PLEXINDEX_REASON_CONTRADICTED 10

// plexindex_answer.flags: the listing that answered has expired and could not be, or was not to be, renewed.
#define PLEXINDEX_ANSWER_STALE 1

// plexindex_compare_paths(): the two paths have the same components.
#define PLEXINDEX_PATHS_EQUAL 65536

// plexindex_compare_paths(): the path lies under the other one, which is a folder then.
#define PLEXINDEX_PATHS_UNDER 131072

// plexindex_compare_paths(): these bits are the number of components that agree, from the end.
#define PLEXINDEX_PATHS_COMMON 65535

// plexindex_item.flags: `path` is not valid UTF-8.
#define PLEXINDEX_ITEM_PATH_NOT_UTF8 1

// plexindex_item.flags: only the key is known: a confirmed match of an item that no listing holds.
#define PLEXINDEX_ITEM_KEY_ONLY 2

// plexindex_statistics.requests: which server is this.
#define PLEXINDEX_REQUEST_IDENTITY 0

// plexindex_statistics.requests: the libraries and their clocks.
#define PLEXINDEX_REQUEST_PROBE 1

// plexindex_statistics.requests: a page of a full listing.
#define PLEXINDEX_REQUEST_PAGE 2

// plexindex_statistics.requests: a page of what is new.
#define PLEXINDEX_REQUEST_DELTA 3

// plexindex_statistics.requests: one path or title.
#define PLEXINDEX_REQUEST_FIND_PATH 4

// plexindex_statistics.requests: whether items still exist.
#define PLEXINDEX_REQUEST_CONFIRM 5

// plexindex_statistics.requests: a batch edit.
#define PLEXINDEX_REQUEST_EDIT 6

// plexindex_statistics.requests: an event stream.
#define PLEXINDEX_REQUEST_EVENTS 7

// plexindex_edit.lock: the fields that are named are locked.
#define PLEXINDEX_EDIT_LOCK 0

// plexindex_edit.lock: the fields that are named are unlocked.
#define PLEXINDEX_EDIT_UNLOCK 1

// plexindex_edit.lock: locks stay as they are.
#define PLEXINDEX_EDIT_LEAVE 2

// plexindex_edit_report.states: no request was sent for the item.
#define PLEXINDEX_EDITED_NO 0

// plexindex_edit_report.states: the item was edited.
#define PLEXINDEX_EDITED_DONE 1

// plexindex_edit_report.states: the item's request failed; whether it was edited is not known.
#define PLEXINDEX_EDITED_FAILED 2

// plexindex_edit_report.states: the server has no such item; nothing was edited.
#define PLEXINDEX_EDITED_MISSING 3

// Log levels: nothing; errors; warnings; what is done; all, full paths included.
#define PLEXINDEX_LOG_OFF (-1)

// Errors only.
#define PLEXINDEX_LOG_ERROR 1

// Errors and warnings: the default.
#define PLEXINDEX_LOG_WARN 2

// Also what is done: fetches, refreshes, invalidations.
#define PLEXINDEX_LOG_INFO 3

// Everything, full paths included.
#define PLEXINDEX_LOG_DEBUG 4

// The outcome of a call. The numbers are part of the ABI: never reused, never changed.
//
// 0 is success, 1 to 99 are answers that are no errors, from 100 on each block of hundred has one origin:
// 100 the caller, 200 the store, 300 the server, 400 the libraries.
typedef enum plexindex_status {
    // It worked; for a match: one item.
    PLEXINDEX_OK = 0,
    // No item has this path, GUID or title; the answer says why.
    PLEXINDEX_NOT_FOUND = 1,
    // Several items fit equally well; the answer lists them, best first.
    PLEXINDEX_AMBIGUOUS = 2,
    // The deadline came before the answer was known; the same call goes on where this one stopped.
    PLEXINDEX_NOT_YET = 3,
    // The server cannot answer within such a deadline: fetch the library once without one (`plexindex warm`).
    PLEXINDEX_NEEDS_WARM = 4,
    // An argument has a value that is refused.
    PLEXINDEX_INVALID_ARGUMENT = 100,
    // A pointer that must not be NULL is.
    PLEXINDEX_NULL_POINTER = 101,
    // A struct is larger than this version knows and its unknown bytes are not zero.
    PLEXINDEX_UNSUPPORTED = 102,
    // The buffer is too small; the size needed was stored in it.
    PLEXINDEX_BUFFER_TOO_SMALL = 103,
    // The host's progress callback asked to stop; what was fetched is kept.
    PLEXINDEX_ABORTED = 104,
    // A defect in plexindex: a panic was caught. The handle stays usable.
    PLEXINDEX_PANIC = 105,
    // The cache directory or its database cannot be opened or written, or no thread can be started.
    PLEXINDEX_STORE = 200,
    // The disk, or the limit given for a library, is full; nothing was changed.
    PLEXINDEX_STORE_FULL = 201,
    // No connection to the server.
    PLEXINDEX_CONNECT = 300,
    // The server's certificate was refused, or TLS failed otherwise.
    PLEXINDEX_TLS = 301,
    // The server refused the token (401).
    PLEXINDEX_UNAUTHORIZED = 302,
    // The token's user may not do this (403).
    PLEXINDEX_FORBIDDEN = 303,
    // The server has no such item, library or address (404).
    PLEXINDEX_NOT_ON_SERVER = 304,
    // What answered is no Plex Media Server, or one that speaks in a way that is not understood.
    PLEXINDEX_NOT_PLEX = 305,
    // The server is starting, or migrating its database.
    PLEXINDEX_STARTING = 306,
    // An answer was cut off or malformed.
    PLEXINDEX_BAD_ANSWER = 307,
    // The server failed (5xx, or another status that is not expected).
    PLEXINDEX_SERVER_ERROR = 308,
    // Time is up: the server did not answer within the deadline or the time-outs.
    PLEXINDEX_TIMEOUT = 309,
    // The server sent us elsewhere, and the token goes to no other host.
    PLEXINDEX_REDIRECTED = 310,
    // A request would be needed, but the call or the index is offline, or has no server URL.
    PLEXINDEX_OFFLINE = 311,
    // The server has no library with this title, section id or uuid.
    PLEXINDEX_LIBRARY_NOT_FOUND = 400,
    // Two libraries share this title.
    PLEXINDEX_LIBRARY_AMBIGUOUS = 401,
} plexindex_status;

// An open index. Made by plexindex_open(), ended by plexindex_close(). Usable from any thread, by several at once.
typedef struct plexindex_handle plexindex_handle;

// A library of an index, or all of them. Made by plexindex_library(); belongs to the index, is never freed by the
// caller, and stays valid until plexindex_close(). Usable from any thread.
typedef struct plexindex_library_handle plexindex_library_handle;

// Text or a path given to plexindex: raw bytes, not NUL-terminated. `data` may be NULL where `length` is 0; both 0
// means that nothing is given. The bytes are read during the call only.
typedef struct plexindex_bytes {
    // The first byte; may be NULL when `length` is 0.
    const char *data;
    // How many bytes.
    size_t length;
} plexindex_bytes;

// A rule between paths as the host sees them and paths as the server sees them. Rules apply in order: of rules over
// the server's paths the first that fits counts, of rules over the host's each that fits is tried until one is listed.
typedef struct plexindex_mapping {
    // PLEXINDEX_MAPPING_*: which way it goes, and what `from` is.
    int32_t kind;
    // Zero.
    uint32_t reserved;
    // A folder, or a regular expression (UTF-8) without look-around and backreferences.
    struct plexindex_bytes from;
    // What takes its place: a folder, or a replacement with `\1`, `\g<1>` or `\g<name>`.
    struct plexindex_bytes to;
} plexindex_mapping;

// How to open an index. Zero the struct, set `size` to sizeof(plexindex_options), then set what you need: a zero
// field means its default. A larger struct from a newer header is accepted when what this version does not know is
// zero, and refused with PLEXINDEX_UNSUPPORTED otherwise.
typedef struct plexindex_options {
    // sizeof(plexindex_options).
    size_t size;
    // Folder for the store, in the file system's bytes. Made (mode 0700) when missing. Required.
    struct plexindex_bytes cache_dir;
    // Base URL of the server, such as `http://127.0.0.1:32400`. Without it the index answers from its store only.
    struct plexindex_bytes server_url;
    // The token. Sent in a header, to this server only; never stored.
    struct plexindex_bytes token;
    // Whose view of the server this is, when the host has a better name for it than the token. Default: the token.
    struct plexindex_bytes user;
    // PEM file with certificate authorities to trust besides the system's.
    struct plexindex_bytes ca_file;
    // How long a listing is fresh, in milliseconds. 0: one hour. PLEXINDEX_TTL_AT_ONCE, PLEXINDEX_TTL_NEVER.
    // Other negative values are refused.
    int64_t library_ttl_ms;
    // After how many milliseconds a full listing is due whatever the clocks say. 0: 24 hours. Negative: refused.
    int64_t max_age_ms;
    // Deadline, in milliseconds, of calls that name none. 0: none. Negative: refused.
    int64_t deadline_ms;
    // How long a connection may take, in milliseconds. 0: 5,000.
    int64_t connect_timeout_ms;
    // How long the server may be silent while it owes an answer, in milliseconds. 0: 60,000.
    int64_t read_timeout_ms;
    // For how long a request that failed in a way that passes is tried again, in milliseconds. 0: 30,000;
    // PLEXINDEX_NO_RETRY: not at all.
    int64_t retry_ms;
    // Bytes that confirmed matches may take on disk; those recorded longest ago go first. 0: 52,428,800.
    uint64_t matches_limit;
    // PLEXINDEX_OPEN_* flags, or'ed.
    uint32_t flags;
    // Rows a page of a listing, 1 to 1,000. 0: 1,000.
    uint32_t page_size;
    // Which log lines are kept for plexindex_drain_log(): PLEXINDEX_LOG_*. 0: warnings and errors. The level is
    // the process's: the last index opened sets it.
    int32_t log_level;
    // Zero.
    uint32_t reserved;
    // Rules between the host's paths and the server's; may be NULL when `mappings_count` is 0. Read during
    // plexindex_open() only.
    const struct plexindex_mapping *mappings;
    // How many rules.
    size_t mappings_count;
    // A call that takes so many milliseconds is logged with what it spent its time on: a warning, or PLEXINDEX_LOG_INFO
    // when it fetched a library or waited for somebody who did. 0: 1,000. PLEXINDEX_NEVER_SLOW. Other negative values
    // are refused.
    int64_t slow_ms;
} plexindex_options;

// Memory of the caller for an answer. `data` must be aligned to 8 bytes (malloc's is); it may be NULL when
// `capacity` is 0. After PLEXINDEX_OK and after every answer status `length` says how many bytes were
// written; after PLEXINDEX_BUFFER_TOO_SMALL it says how many are needed, and the memory holds
// nothing of use.
typedef struct plexindex_buffer {
    // The caller's memory.
    void *data;
    // Its size in bytes.
    size_t capacity;
    // Out: bytes written, or needed.
    size_t length;
} plexindex_buffer;

// How far a fetch has come. Valid during the callback only.
typedef struct plexindex_progress {
    // sizeof(plexindex_progress) as this library knows it.
    size_t size;
    // Title of the library being fetched; UTF-8. Empty, and the counts 0, while none is: the libraries are asked for, or
    // another process fetches.
    struct plexindex_bytes library;
    // Items fetched so far, those of an earlier, interrupted fetch included.
    uint64_t items;
    // Items in all, as the server says; 0 when it did not.
    uint64_t total;
    // Milliseconds since this call began to fetch.
    uint64_t elapsed_ms;
} plexindex_progress;

// Told how far a fetch has come, at least every 100 ms while the call waits for the server. Called on the thread that
// made the call, never on one of the library's. It may call plexindex functions, but for plexindex_close() of the same
// handle. It must return: a thread that is ended in it (pthread_exit, pthread_cancel) sleeps for ever instead, on Linux,
// and keeps what the call holds. Return 0 to go on; anything else ends the call with
// PLEXINDEX_ABORTED, and what was fetched is kept for the next one.
typedef int32_t (*plexindex_progress_fn)(void *user, const struct plexindex_progress *progress);

// A query. Zero the struct, set `size` to sizeof(plexindex_query), then set what you need.
typedef struct plexindex_query {
    // sizeof(plexindex_query).
    size_t size;
    // Which library; NULL: all of them.
    const struct plexindex_library_handle *library;
    // The path, GUID or title that is asked for. Paths are the file system's bytes, not empty, without NUL.
    struct plexindex_bytes text;
    // How long the call may take, in milliseconds. 0: the default of the options. PLEXINDEX_NO_DEADLINE: for as
    // long as it takes. Other negative values are refused.
    int64_t deadline_ms;
    // PLEXINDEX_QUERY_* flags, or'ed.
    uint32_t flags;
    // Zero.
    uint32_t reserved;
    // Called on this thread now and then while the call fetches; may be NULL.
    plexindex_progress_fn progress;
    // Handed to `progress` as it is.
    void *progress_user;
} plexindex_query;

// What becomes of items: plexindex_edit_items(). Zero the struct, set `size` to sizeof(plexindex_edit), then set what
// you need.
typedef struct plexindex_edit {
    // sizeof(plexindex_edit).
    size_t size;
    // The items' library: one, not all.
    const struct plexindex_library_handle *library;
    // `keys_count` keys or rating keys one after the other, each followed by a NUL. Never empty: without any a server
    // would edit every item of the library.
    struct plexindex_bytes keys;
    // How many keys.
    size_t keys_count;
    // `changes_count` times a name and a value, each followed by a NUL, UTF-8. `title` sets that field to the value,
    // `genre+` adds the value to those tags, `genre-` removes it from them, `title!` changes nothing but the field's
    // lock and takes an empty value. The names are Plex's.
    struct plexindex_bytes changes;
    // How many pairs of a name and a value. Never 0.
    size_t changes_count;
    // How long the call may take, in milliseconds. 0: the default of the options. PLEXINDEX_NO_DEADLINE: for as long as
    // it takes. Other negative values are refused.
    int64_t deadline_ms;
    // PLEXINDEX_EDIT_LOCK: the fields named are locked, so that the server's agents leave them alone;
    // PLEXINDEX_EDIT_UNLOCK: they are unlocked; PLEXINDEX_EDIT_LEAVE: their locks stay as they are.
    int32_t lock;
    // Zero.
    uint32_t reserved;
} plexindex_edit;

// How far an edit came. Zero the struct, set `size` to sizeof(plexindex_edit_report), and `states` where it matters which
// items were edited. Filled in whether the edit succeeded or not.
typedef struct plexindex_edit_report {
    // sizeof(plexindex_edit_report).
    size_t size;
    // Receives PLEXINDEX_EDITED_* for each key, in order; may be NULL.
    uint8_t *states;
    // How many states there is room for; further keys have no state.
    size_t states_capacity;
    // Out: keys whose items the server edited.
    uint64_t done;
    // Out: keys of the request that failed: whether their items were edited is not known.
    uint64_t failed;
    // Out: edits that were asked for, the failed one included; retries are not counted.
    uint64_t requests;
} plexindex_edit_report;

// What happened. Set `size` to sizeof(plexindex_statistics); the library fills as much as both sides know.
// All counts are of this handle's life, but for those that say otherwise.
typedef struct plexindex_statistics {
    // sizeof(plexindex_statistics).
    size_t size;
    // Answers by rung: PLEXINDEX_RUNG_* is the index; 0 counts answers without an item. Fast lookups included.
    uint64_t answers[6];
    // plexindex_lookup_key() calls that found nothing.
    uint64_t lookup_misses;
    // Answers given although their listing had expired.
    uint64_t stale_answers;
    // Requests sent, retries included, by kind: PLEXINDEX_REQUEST_* is the index.
    uint64_t requests[8];
    // Bytes of answers' bodies as they came over the wire.
    uint64_t bytes_received;
    // Requests over the life of the store, all kinds, all processes, as last written.
    uint64_t store_requests;
    // Answers over the life of the store, all processes, as last written.
    uint64_t store_answers;
    // Full listings completed.
    uint64_t listings;
    // Microseconds spent waiting for the server.
    uint64_t network_us;
    // Microseconds spent reading and writing the store.
    uint64_t store_us;
    // Microseconds spent building and opening images.
    uint64_t image_us;
    // Items listed now, in all libraries of this view.
    uint64_t items;
    // Confirmed matches recorded now.
    uint64_t matches;
    // Libraries known now.
    uint64_t libraries;
    // Bytes that the store takes on disk, images included.
    uint64_t disk_bytes;
    // The store's change sequence.
    uint64_t sequence;
    // Events about libraries that the server told (plexindex_watch_start()) or that plexindex_notify() was given.
    uint64_t events;
    // Writes that noted what events hint at: fewer than events, as these are gathered.
    uint64_t hints;
    // Microseconds spent reading the server's answers: decompressing and parsing.
    uint64_t parse_us;
    // Microseconds spent waiting for other fetches to end, and before requests were tried again.
    uint64_t wait_us;
    // Microseconds spent matching, fast lookups not included.
    uint64_t match_us;
    // Questions, refreshes and recordings; fast lookups not included.
    uint64_t calls;
    // Microseconds that these took in all. The parts above overlap: pages are stored while the next one comes.
    uint64_t calls_us;
    // How many of them were slow: plexindex_options.slow_ms.
    uint64_t slow_calls;
    // How often the server could not be asked, or its answer not be stored, and old answers stood in; plexindex_stats_json() says why it was last.
    uint64_t failures;
} plexindex_statistics;

// Receives a log line. Called on the thread that called plexindex_drain_log(). `message` is UTF-8, not
// NUL-terminated, and valid during the callback only. It holds no token, and no full path unless `level` is
// PLEXINDEX_LOG_DEBUG. It must return, as plexindex_progress_fn must.
typedef void (*plexindex_log_fn)(void *user, int32_t level, const char *message, size_t length);

// The head of a block of answers, at the buffer's first byte.
typedef struct plexindex_answers {
    // sizeof(plexindex_answers) as the library knows it.
    uint32_t size;
    // sizeof(plexindex_answer) as the library knows it: the step from one answer to the next.
    uint32_t answer_size;
    // sizeof(plexindex_item) as the library knows it: the step from one candidate to the next.
    uint32_t item_size;
    // How many answers: one for each query, in order.
    uint32_t count;
    // Where the first answer begins, from the block's first byte.
    uint32_t first;
    // How many log lines wait for plexindex_drain_log().
    uint32_t log_lines;
} plexindex_answers;

// A string inside an answer: its bytes begin `offset` bytes after the block's first byte and are followed by a NUL
// that `length` does not count. 0, 0: there is none. An empty string has an offset.
typedef struct plexindex_text {
    // From the block's first byte; 0: none.
    uint32_t offset;
    // In bytes, without the NUL.
    uint32_t length;
} plexindex_text;

// The answer for one path, GUID or title.
typedef struct plexindex_answer {
    // PLEXINDEX_OK, PLEXINDEX_NOT_FOUND, PLEXINDEX_AMBIGUOUS, PLEXINDEX_NOT_YET, PLEXINDEX_NEEDS_WARM, or, in a batch,
    // the error of this one query.
    int32_t status;
    // PLEXINDEX_RUNG_*: which step found it.
    uint8_t rung;
    // PLEXINDEX_CONFIDENCE_*.
    uint8_t confidence;
    // PLEXINDEX_REASON_*: why there is no single item; at the rungs SUFFIX and FILE_NAME what speaks for one, or against.
    uint8_t reason;
    // PLEXINDEX_ANSWER_* flags, or'ed.
    uint8_t flags;
    // Where the item (plexindex_item) begins, from the block's first byte; 0: there is no single one.
    uint32_t item;
    // Where the candidates (an array of plexindex_item, best first) begin; 0: there are none.
    uint32_t candidates;
    // How many candidates are in the array.
    uint32_t candidates_count;
    // How many there are in all.
    uint32_t candidates_total;
    // A sentence for people: what `reason` says, or the error's text. None for PLEXINDEX_REASON_NONE.
    struct plexindex_text message;
    // Milliseconds since the listing that answered was last seen to be current; -1: there is none.
    int64_t age_ms;
} plexindex_answer;

// An item, as the index knows it. Texts that the index does not know are none (0, 0).
typedef struct plexindex_item {
    // Plex's address of the item, `/library/metadata/<rating key>`.
    struct plexindex_text key;
    // Plex's rating key.
    struct plexindex_text rating_key;
    // Title; for an episode the episode's.
    struct plexindex_text title;
    // Scalar GUID.
    struct plexindex_text guid;
    // Title of the show, for a track of the artist.
    struct plexindex_text show_title;
    // Rating key of the show or artist.
    struct plexindex_text show_rating_key;
    // Scalar GUID of the show or artist.
    struct plexindex_text show_guid;
    // The listed path that fitted, in the server's spelling; for a confirmed match the recorded path.
    struct plexindex_text path;
    // Section id of its library.
    struct plexindex_text section;
    // Title of its library.
    struct plexindex_text library_title;
    // Plex's number of the type: 1 movie, 4 episode, 10 track, 12 clip, 13 photo, 0 unknown.
    int32_t kind;
    // Year; 0: unknown.
    int32_t year;
    // Season, for a track the disc; -1: none.
    int32_t season;
    // Episode or track number; -1: none.
    int32_t episode;
    // PLEXINDEX_ITEM_* flags, or'ed.
    uint32_t flags;
    // Zero.
    uint32_t reserved;
} plexindex_item;

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

// The ABI version of this library, PLEXINDEX_ABI_VERSION of the header it was built with. Never fails.
uint32_t plexindex_abi_version(void);

// The version of this library, such as `0.1.0`: static, NUL-terminated, never NULL.
const char *plexindex_version(void);

// The name of a status without its prefix, such as `NOT_FOUND`: static, NUL-terminated; `UNKNOWN` for a number that
// this version does not know. Never NULL.
const char *plexindex_status_name(int32_t status);

// What went wrong in this thread's last plexindex call that returned an error (a status from 100 on): names the input
// and the remedy. UTF-8, NUL-terminated, never NULL, empty when nothing went wrong yet. The text belongs to the
// thread and is valid until its next plexindex call. Longer texts end in `…`.
const char *plexindex_last_error_message(void);

// Opens an index. Touches the disk only: no request is sent.
//
// `options`: see plexindex_options; read during the call only. `out_handle`: receives the handle on PLEXINDEX_OK and
// NULL otherwise.
//
// Returns PLEXINDEX_OK; PLEXINDEX_NULL_POINTER; PLEXINDEX_INVALID_ARGUMENT or PLEXINDEX_UNSUPPORTED for options that
// are refused; PLEXINDEX_STORE or PLEXINDEX_STORE_FULL when the store cannot be opened or made. The same folder may be
// opened several times and by several processes at once.
//
// Precondition: pointers must be NULL or valid.
int32_t plexindex_open(const struct plexindex_options *options,
                       struct plexindex_handle **out_handle);

// Closes an index and writes its counters; no thread of the library runs afterwards. NULL is fine. No other thread may
// be in a call with the handle or its library handles, and none may begin one: both are invalid from now on, and the
// library cannot detect their use.
//
// Returns PLEXINDEX_OK; PLEXINDEX_STORE when the counters could not be written (the index is closed all the same).
//
// Precondition: `handle` must be NULL or come from plexindex_open() and not be closed yet.
int32_t plexindex_close(struct plexindex_handle *handle);

// A handle for a library, or for all of them. Fetches nothing: a library that the store does not know yet is looked
// for when it is first asked.
//
// `kind`: PLEXINDEX_SELECT_*. `selector`, `length`: the title, section id or uuid, UTF-8; NULL and 0 with
// PLEXINDEX_SELECT_ALL. `out_library`: receives the handle; the same one for the same selector. It lasts as long as the
// index: for names that no known library has, 1,024 are given out at most.
//
// Returns PLEXINDEX_OK; PLEXINDEX_LIBRARY_AMBIGUOUS when two known libraries share the title (the message lists
// their ids); PLEXINDEX_INVALID_ARGUMENT, also for one name too many; PLEXINDEX_NULL_POINTER.
//
// Precondition: pointers must be NULL or valid; `handle` must be open.
int32_t plexindex_library(const struct plexindex_handle *handle,
                          int32_t kind,
                          const char *selector,
                          size_t length,
                          const struct plexindex_library_handle **out_library);

// The fast path: the key (`/library/metadata/<rating key>`) of the item with this path, if that is known in a fast_lookup, with
// high confidence: what plexindex_match_path() would give with PLEXINDEX_CONFIDENCE_HIGH.
//
// `path`: the file system's bytes, NUL-terminated.
//
// Returns the key, NUL-terminated; it belongs to the thread and is valid until this thread's next plexindex call.
// NULL for 'not known to a fast lookup': nothing known, ambiguous, low confidence, invalidated, or a change that this
// process must read first; ask plexindex_match_path(). NULL arguments give NULL.
// It never blocks, never fetches and never calls back; a warm one takes no lock, allocates nothing and makes no system
// call, but for a look twice a second whether the store is still there. An expired listing still answers here: only
// plexindex_match_path() renews it.
// For hosts that keep names of their own, which equal themselves only, by ending them in the byte 0xFF (no UTF-8 does): an
// ASCII name of up to 255 bytes that ends in 0xFB here is looked for in lower case, with 0xFF in the place of 0xFB.
//
// Precondition: `library` must be NULL or a handle of an open index; `path` NULL or NUL-terminated.
const char *plexindex_lookup_key(const struct plexindex_library_handle *library,
                                 const char *path);

// plexindex_lookup_key() for many paths in one crossing.
//
// `paths`: `count` paths one after the other, each followed by a NUL, `length` bytes in all. `keys`: receives as many
// keys in the same order, each followed by a NUL; an empty one says 'not known to a fast lookup'.
//
// Returns PLEXINDEX_OK; PLEXINDEX_BUFFER_TOO_SMALL; PLEXINDEX_NULL_POINTER; PLEXINDEX_INVALID_ARGUMENT when `paths` does not
// hold exactly `count` NULs or does not end with one.
//
// Precondition: pointers must be NULL or valid; `library` must be a handle of an open index.
int32_t plexindex_lookup_keys(const struct plexindex_library_handle *library,
                              const char *paths,
                              size_t length,
                              size_t count,
                              struct plexindex_buffer *keys);

// The full answer for one path: climbs the ladder, and asks the server where that is needed and allowed.
//
// `query`: see plexindex_query. `answer`: receives a block: plexindex_answers, one plexindex_answer, and what they point to.
//
// Returns the answer's status (PLEXINDEX_OK, PLEXINDEX_NOT_FOUND, PLEXINDEX_AMBIGUOUS, PLEXINDEX_NOT_YET,
// PLEXINDEX_NEEDS_WARM), each with the block written; PLEXINDEX_BUFFER_TOO_SMALL; any error: when the library was
// never fetched and cannot be, that is the server's error.
//
// Precondition: pointers must be NULL or valid; `handle` must be open, and the query's library one of it.
int32_t plexindex_match_path(const struct plexindex_handle *handle,
                             const struct plexindex_query *query,
                             struct plexindex_buffer *answer);

// plexindex_match_path() for many paths: one block with `count` answers, in order, each with its own status.
//
// `query`: `text` holds `count` paths one after the other, each followed by a NUL.
//
// Returns PLEXINDEX_OK with the block written, whatever the answers' statuses; PLEXINDEX_BUFFER_TOO_SMALL (the answers
// are not kept: enlarge and call again); PLEXINDEX_INVALID_ARGUMENT; an error that concerns all of them.
//
// Precondition: as plexindex_match_path().
int32_t plexindex_match_paths(const struct plexindex_handle *handle,
                              const struct plexindex_query *query,
                              size_t count,
                              struct plexindex_buffer *answers);

// The items with this GUID (`plex://…`, `imdb://tt…`, `tmdb://…`, `tvdb://…`, or a legacy agent's); a show's GUID
// gives its episodes. Answered from the index; a library that is cold or expired is fetched first, as by
// plexindex_match_path(). One item: PLEXINDEX_OK; several: PLEXINDEX_AMBIGUOUS with all candidates up to the limit.
//
// Returns, and writes, as plexindex_match_path(); the GUID is `text` of the query.
//
// Precondition: as plexindex_match_path().
int32_t plexindex_match_guid(const struct plexindex_handle *handle,
                             const struct plexindex_query *query,
                             struct plexindex_buffer *answer);

// The items with this title, compared without case, accents and punctuation; when there are none, those that have all
// its words. A show's title gives its episodes. Answered from the index, as plexindex_match_guid().
//
// Returns, and writes, as plexindex_match_path(); the title is `text` of the query, UTF-8.
//
// Precondition: as plexindex_match_path().
int32_t plexindex_search_title(const struct plexindex_handle *handle,
                               const struct plexindex_query *query,
                               struct plexindex_buffer *answer);

// The items of a library as the store has them, a page a call. Asks nobody.
//
// `library`: one library, not all. `cursor`: 0 to begin; moved behind the last item of the page. `limit`: how many items
// at most, 1 to 10,000. `page`: receives a block with one answer whose candidates are the items; the answer's
// status is PLEXINDEX_OK with items, and PLEXINDEX_NOT_FOUND when there are no more.
//
// Returns the answer's status; PLEXINDEX_BUFFER_TOO_SMALL, with the cursor as it was; PLEXINDEX_INVALID_ARGUMENT;
// PLEXINDEX_LIBRARY_NOT_FOUND when the library is not in the store.
//
// Precondition: pointers must be NULL or valid; `handle` must be open, and `library` one of it.
int32_t plexindex_items(const struct plexindex_handle *handle,
                        const struct plexindex_library_handle *library,
                        int64_t *cursor,
                        size_t limit,
                        struct plexindex_buffer *page);

// One item of a library, or of any, as the store has it, with all its files and external ids, as a JSON object, UTF-8:
// `{"key","rating_key","kind","title","year","show_title","show_rating_key","season","episode","guid","guids","paths"}`; `kind`
// is Plex's word, season and episode are -1 for none. Asks nobody.
//
// `key`: the item's key or rating key.
//
// Returns PLEXINDEX_OK; PLEXINDEX_NOT_FOUND when no listing holds it; PLEXINDEX_BUFFER_TOO_SMALL;
// PLEXINDEX_INVALID_ARGUMENT for what is no key.
//
// Precondition: pointers must be NULL or valid; `library` must be a handle of an open index.
int32_t plexindex_item_json(const struct plexindex_library_handle *library,
                            const char *key,
                            size_t key_length,
                            struct plexindex_buffer *json);

// Confirms that the item with this key has this path. A confirmed match has no expiry; it answers first.
//
// `library`: one library, not all. `path`: the file system's bytes. `key`: the item's key or rating key.
//
// Returns PLEXINDEX_OK once the match is stored, for every process; PLEXINDEX_INVALID_ARGUMENT; PLEXINDEX_STORE…;
// PLEXINDEX_LIBRARY_NOT_FOUND when the library is not known and cannot be asked for.
//
// Precondition: pointers must be NULL or valid; `library` must be a handle of an open index.
int32_t plexindex_record_match(const struct plexindex_library_handle *library,
                               const char *path,
                               size_t path_length,
                               const char *key,
                               size_t key_length);

// plexindex_record_match() for many in one transaction: all or none.
//
// `paths`, `keys`: `count` of each, each followed by a NUL.
//
// Precondition: as plexindex_record_match().
int32_t plexindex_record_matches(const struct plexindex_library_handle *library,
                                 const char *paths,
                                 size_t paths_length,
                                 const char *keys,
                                 size_t keys_length,
                                 size_t count);

// Invalidates a path: its confirmed match goes, and its listed row is not answered again before one request has
// confirmed the item. A path that is not known is fine.
//
// Precondition: pointers must be NULL or valid; `library` must be a handle of an open index (all libraries are fine).
int32_t plexindex_invalidate_path(const struct plexindex_library_handle *library,
                                  const char *path,
                                  size_t length);

// Invalidates an item, by its key or rating key: as plexindex_invalidate_path() for all its paths. What to call when the
// server answered 404 for it.
//
// Precondition: as plexindex_invalidate_path().
int32_t plexindex_invalidate_item(const struct plexindex_library_handle *library,
                                  const char *key,
                                  size_t length);

// Invalidates a library, or all: its confirmed matches go, and a full listing is due now; until it came, the old one
// answers, marked stale. Takes the same time whatever the size.
//
// Precondition: `library` must be NULL or a handle of an open index.
int32_t plexindex_invalidate_library(const struct plexindex_library_handle *library);

// plexindex_invalidate_library() for every library of the store's server and user.
//
// Precondition: `handle` must be NULL or open.
int32_t plexindex_invalidate_all(const struct plexindex_handle *handle);

// Empties the store of this server and user: listings, matches, everything but the client identifier and the
// counters of the store's life.
//
// Precondition: `handle` must be NULL or open.
int32_t plexindex_clear(const struct plexindex_handle *handle);

// Makes a library that the host fills itself, unless it is there: nobody is asked about it. Its uuid and its title are
// the name; plexindex_library() selects it by PLEXINDEX_SELECT_UUID. Matches are recorded in it as in any other.
//
// `name`: UTF-8, not empty. The index must have been opened without a server_url, on a store that holds nothing of a
// server; both are refused with PLEXINDEX_INVALID_ARGUMENT otherwise.
//
// Precondition: pointers must be NULL or valid; `handle` must be open.
int32_t plexindex_host_library(const struct plexindex_handle *handle,
                               const char *name,
                               size_t length);

// Keeps a value in a library of the host's, in the place of the one of the same name; the library is made when it is not
// there.
//
// `library`: selected by PLEXINDEX_SELECT_UUID. `name`: any bytes. With `name_length` 0 the value is the library's listing,
// and plexindex_match_path() finds its items from then on. It is a line `plexindex 1`; a line with the count of items, a
// space, the flags, for each item that has not just one path a space and `item:paths`, both numbers, items counted
// from 0, and for each without a title a space and `item:-`; then the keys of all items, the titles of all and the
// paths of all, each separated from the next by a NUL. Flags: `-` for none; `e` says that a NUL in them stands as the bytes 1 `0`, and 1 as 1 `1`;
// `s` that lone surrogates are encoded in them. A key that is not `/library/metadata/<rating key>` is answered
// as the rating key `=<key>`.
// `ttl_ms`: for how long it is given; PLEXINDEX_TTL_AT_ONCE, PLEXINDEX_TTL_NEVER. 0: one hour.
// `limit`: bytes that all values of the store may take; those stored longest ago go first. Each call also removes some
// that have expired.
//
// Returns PLEXINDEX_OK once it is stored, for every process; PLEXINDEX_INVALID_ARGUMENT; PLEXINDEX_STORE…
//
// Precondition: pointers must be NULL or valid; `library` must be a handle of an open index.
int32_t plexindex_host_put(const struct plexindex_library_handle *library,
                           const char *name,
                           size_t name_length,
                           const char *value,
                           size_t value_length,
                           int64_t ttl_ms,
                           uint64_t limit);

// A value that plexindex_host_put() stored.
//
// `value`: receives it; NULL to ask only whether there is one.
//
// Returns PLEXINDEX_OK; PLEXINDEX_NOT_FOUND when there is none, or it has expired; PLEXINDEX_BUFFER_TOO_SMALL.
//
// Precondition: pointers must be NULL or valid; `library` must be a handle of an open index.
int32_t plexindex_host_get(const struct plexindex_library_handle *library,
                           const char *name,
                           size_t name_length,
                           struct plexindex_buffer *value);

// How many values the libraries of the host's hold, expired ones that are still stored included.
//
// Precondition: pointers must be NULL or valid; `handle` must be open.
int32_t plexindex_host_count(const struct plexindex_handle *handle, uint64_t *count);

// Brings the query's library, or all, up to date now: what a match does by itself when a listing has expired. `text`
// is not used. With PLEXINDEX_QUERY_FULL a full listing is fetched whatever the clocks say.
//
// Returns PLEXINDEX_OK when it is up to date; PLEXINDEX_NOT_YET when the deadline came first (call again: it goes on);
// PLEXINDEX_ABORTED; the server's error.
//
// Precondition: as plexindex_match_path().
int32_t plexindex_refresh(const struct plexindex_handle *handle,
                          const struct plexindex_query *query);

// Gives many items the same values: one request to the server for each hundred items of a type. Nothing is sent for an
// edit without items or without changes, nor when one of the items does not exist. After a request that failed no other
// is sent. Items that were edited are asked for once before they are answered again; matches that were recorded stay.
//
// `edit`: see plexindex_edit; read during the call only. `report`: see plexindex_edit_report; may be NULL. It is filled in
// by every call that gets as far as to look at the items, errors included.
//
// Returns PLEXINDEX_OK when all items were edited; PLEXINDEX_INVALID_ARGUMENT for an edit that is refused;
// PLEXINDEX_NOT_ON_SERVER when items do not exist; PLEXINDEX_OFFLINE; PLEXINDEX_TIMEOUT when the deadline came first; the
// server's error, with its answer in the message.
//
// Precondition: pointers must be NULL or valid; `handle` must be open, and the edit's library one of it.
int32_t plexindex_edit_items(const struct plexindex_handle *handle,
                             const struct plexindex_edit *edit,
                             struct plexindex_edit_report *report);

// Listens to the server's events from now on, on a thread of the library's own, until plexindex_watch_stop() or
// plexindex_close(). What they say changed is looked at again by the next query about it; the thread itself asks for
// nothing. A lost connection is made again, after pauses of 1 to 60 seconds, and what may have been missed is looked at
// again too. Whether the server can be reached shows in the log. Calling it again changes nothing.
//
// The child of a fork does not watch; it may begin to.
//
// Returns PLEXINDEX_OK; PLEXINDEX_OFFLINE without a server to listen to; PLEXINDEX_STORE when no thread can be started.
//
// Precondition: `handle` must be NULL or open.
int32_t plexindex_watch_start(const struct plexindex_handle *handle);

// Ends what plexindex_watch_start() began, within a second, but for the resolving of a name: afterwards that thread does
// not run any more. When nothing is watched nothing happens.
//
// Precondition: `handle` must be NULL or open.
int32_t plexindex_watch_stop(const struct plexindex_handle *handle);

// Tells the index of an event that the host received itself: what it says changed is looked at again by the next query
// about it. Asks nobody.
//
// `body`, `length`: a webhook's JSON (the field `payload` of what Plex sends), the whole multipart form with that field,
// or the text of a notification as it comes from the server's WebSocket or event stream.
//
// Returns PLEXINDEX_OK once that is stored, for every process, also for events that tell of nothing;
// PLEXINDEX_INVALID_ARGUMENT for a body that is none of these; PLEXINDEX_NULL_POINTER; PLEXINDEX_STORE…
//
// Precondition: `handle` must be NULL or open; `body` NULL or valid.
int32_t plexindex_notify(const struct plexindex_handle *handle,
                         const char *body,
                         size_t length);

// The libraries as JSON: `[{"section","uuid","title","kind","locations","items","age_ms","fresh","generation"}]`,
// UTF-8. Known ones are not asked for again; when none is known and the query allows it, the server is asked.
// `library` and `text` of the query are not used. A library that the server shows without a uuid of its own has `section:`
// and its section id there.
//
// Precondition: as plexindex_match_path().
int32_t plexindex_libraries_json(const struct plexindex_handle *handle,
                                 const struct plexindex_query *query,
                                 struct plexindex_buffer *json);

// Fills in the statistics. `stats`: its `size` must be set.
//
// Precondition: pointers must be NULL or valid; `handle` must be open.
int32_t plexindex_stats(const struct plexindex_handle *handle, struct plexindex_statistics *stats);

// The statistics as a JSON object with named counts, UTF-8.
//
// Precondition: pointers must be NULL or valid; `handle` must be open.
int32_t plexindex_stats_json(const struct plexindex_handle *handle, struct plexindex_buffer *json);

// Asks the server who it is and which libraries it shows, whatever is known: for finding out what is wrong. Two
// requests, three at the first contact; what they tell is stored. The first one needs no token, so PLEXINDEX_UNAUTHORIZED
// says that the server was reached. JSON: `{"machine_identifier","version","answered_us","libraries"}`, UTF-8.
// `library` and `text` of the query are not used.
//
// Returns PLEXINDEX_OK; PLEXINDEX_OFFLINE; the server's error.
//
// Precondition: as plexindex_match_path().
int32_t plexindex_server_json(const struct plexindex_handle *handle,
                              const struct plexindex_query *query,
                              struct plexindex_buffer *json);

// What kind of place the store is in, as JSON, UTF-8: `{"folder","file_system","journal","shares_memory",
// "counter_page","locks","locks_error","disk_bytes","free_bytes"}`. `locks` is tried, with a file that is removed again;
// `file_system` and `free_bytes` are null where the system does not say. Asks nobody.
//
// Precondition: pointers must be NULL or valid; `handle` must be open.
int32_t plexindex_store_json(const struct plexindex_handle *handle,
                             struct plexindex_buffer *json);

// Mappings that seem to be missing, the best first, as JSON, UTF-8: `[{"from","to","matched","of"}]`: `matched` of `of`
// paths that this handle found by their end or file name would be listed if the host's folder `from` were the server's
// folder `to` (PLEXINDEX_MAPPING_HOST_PREFIX). The first 500 such answers are remembered. Never obfuscated.
//
// Precondition: pointers must be NULL or valid; `handle` must be open.
int32_t plexindex_proposals_json(const struct plexindex_handle *handle,
                                 struct plexindex_buffer *json);

// Hands the log lines that wait, oldest first, to `receive` on this thread. The ring holds 256 lines for the whole
// process; when it overflows the oldest go, and a line says how many. A host that unloads the library calls this after
// its last plexindex_close(): lines that nobody took are memory that nobody frees.
//
// Returns PLEXINDEX_OK; PLEXINDEX_NULL_POINTER without `receive`.
//
// Precondition: `receive` must be a function of that type that does not unwind, but for the end of its thread.
int32_t plexindex_drain_log(plexindex_log_fn receive,
                            void *user);

// Compares one path with others as the library compares a path with what Plex lists: without case, with either Unicode
// form, and with `\` as a separator in paths that begin like those of Windows. Needs no index, reads no file and asks no
// server. It is for hosts that hold a listing of their own.
//
// `path`: `path_length` bytes. `others`: `count` paths one after the other, each followed by a NUL, `others_length` bytes
// in all. `relations`: room for `count` numbers; each receives PLEXINDEX_PATHS_EQUAL, PLEXINDEX_PATHS_UNDER or neither,
// and in the bits of PLEXINDEX_PATHS_COMMON how many components agree, from the end.
//
// Returns PLEXINDEX_OK; PLEXINDEX_NULL_POINTER; PLEXINDEX_INVALID_ARGUMENT when `others` does not hold exactly `count` NULs
// or does not end with one.
//
// Precondition: pointers must be NULL or valid.
int32_t plexindex_compare_paths(const char *path,
                                size_t path_length,
                                const char *others,
                                size_t others_length,
                                size_t count,
                                uint32_t *relations);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* PLEXINDEX_H */
