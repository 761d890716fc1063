/*
 * plexindex: tells which Plex item a file is, without asking the server.
 *
 * Generated from bindings/c/src by cbindgen; renew it with `make header`. Licence: MIT OR Apache-2.0.
 *
 * plexindex_call() calls by name what needs no speed: folders, GUIDs, titles, listings, the feed of changes, edits.
 *
 * Errors: a function that can fail returns a status, a value of enum plexindex_status as int32_t. 0 is success, 1 to 99
 *   are answers that are no errors, from 100 on are errors. Its last argument, `error`, receives the text of the error;
 *   it may be NULL. Outputs, called out_*, are written on success only, unless a comment says otherwise.
 * Pointers: each must be NULL or valid, each handle open. A NULL that may not be gives PLEXINDEX_NULL_POINTER. A NULL
 *   library means all libraries in a query, and is refused elsewhere. A handle of a library or table knows its index.
 * Texts: `x_length` is the length of the text `x` in bytes. A text given needs no NUL unless a comment says so. A text
 *   or JSON received, by callbacks too, is NUL-terminated; `length` does not count the NUL. An empty one is "". Longer
 *   texts than these are refused before they are copied: paths and mappings 32,767 bytes, tokens 65,536, keys 255,
 *   cursors 200, titles, GUIDs, names of libraries, server_url, user and shared 4,096.
 * Threads: any number of threads may use a handle at once. Callbacks run on the thread that makes the call.
 * Memory: the caller frees nothing that plexindex gives out, except the handle, with plexindex_close(), and answers of
 *   plexindex_call(), with plexindex_free(). Strings and structs given to a function are read during the call only.
 * Compatibility: structs that begin with `size` may grow. A program compiled against an older header goes on working.
 *
 * Functions
 *   Open and close: plexindex_get_abi_version, plexindex_get_version, plexindex_get_status_name, plexindex_open,
 *     plexindex_set_token, plexindex_close
 *   Libraries: plexindex_get_library
 *   Fast lookups: plexindex_lookup_key, plexindex_lookup_keys
 *   Full answers: plexindex_match_path, plexindex_match_paths
 *   Read an answer: plexindex_count_answers, plexindex_get_answer, plexindex_get_item, plexindex_get_candidate,
 *     plexindex_get_text
 *   Record and invalidate: plexindex_record_match, plexindex_record_matches, plexindex_invalidate_path,
 *     plexindex_invalidate_item, plexindex_invalidate_library, plexindex_clear
 *   Refresh: plexindex_refresh
 *   Statistics: plexindex_get_stats
 *   Log: plexindex_drain_log
 *   Everything else, by name: plexindex_call, plexindex_free
 *   Events: plexindex_notify, plexindex_wake_waiting
 *   Tables of the host's own values: plexindex_get_table, plexindex_table_lookup, plexindex_table_get,
 *     plexindex_table_put, plexindex_table_remove, plexindex_table_write, plexindex_table_get_next
 */

#ifndef PLEXINDEX_H
#define PLEXINDEX_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

// The version of this ABI. It changes when a program that was compiled against an older header would misbehave. A host
// that loads the library at run time compares it with plexindex_get_abi_version().
#define PLEXINDEX_ABI_VERSION 1

#define PLEXINDEX_VERSION_NUMBER 1000 // The version of this header, as major * 1000000 + minor * 1000 + patch.

// plexindex_options.library_ttl_ms:
#define PLEXINDEX_TTL_AT_ONCE (-1) // a listing is never fresh.
#define PLEXINDEX_TTL_NEVER (-2) // a listing is fresh until it is invalidated.

// plexindex_query.deadline_ms:
#define PLEXINDEX_NO_DEADLINE (-1) // the call takes as long as it takes.

// plexindex_options.retry_ms:
#define PLEXINDEX_NO_RETRY (-1) // a request that failed is not tried again.

// plexindex_options.slow_ms:
#define PLEXINDEX_NEVER_SLOW (-1) // no call is slow.

// plexindex_options.flags:
#define PLEXINDEX_OPEN_OFFLINE 0x1 // no request is ever sent.
#define PLEXINDEX_OPEN_ACCEPT_INVALID_CERTS 0x2 // any certificate is accepted. Opening logs a warning.
#define PLEXINDEX_OPEN_NO_MMAP 0x4 // index files are read into memory instead of mapped.
#define PLEXINDEX_OPEN_OBFUSCATE_PATHS 0x8 // a short hash names media paths in log lines and errors.
// a write for other hosts is forced to the disk before its call returns, so that a power cut takes none that was
// acknowledged. For `shared`.
#define PLEXINDEX_OPEN_SHARED_DURABLE 0x10

// plexindex_mapping.kind:
#define PLEXINDEX_MAPPING_HOST_PREFIX 1 // `from` is a folder as the host names it, `to` as the server names it.
#define PLEXINDEX_MAPPING_HOST_PATTERN 2 // `from` is a pattern over the host's paths, `to` makes the server's.
#define PLEXINDEX_MAPPING_SERVER_PREFIX 3 // `from` is a folder as the server names it, `to` as the host names it.
#define PLEXINDEX_MAPPING_SERVER_PATTERN 4 // `from` is a pattern over the server's paths, `to` makes the host's.

// plexindex_query.flags:
#define PLEXINDEX_QUERY_OFFLINE 0x1 // the call sends no request, and answers with what is known.
#define PLEXINDEX_QUERY_FULL 0x2 // plexindex_refresh() fetches a full listing and believes it.
#define PLEXINDEX_QUERY_AT_ONCE 0x4 // matches of paths wait for nothing; one that must is PLEXINDEX_NOT_YET.
#define PLEXINDEX_QUERY_PROBE 0x8 // plexindex_refresh() asks the server once for changes.

// plexindex_get_table():
#define PLEXINDEX_TABLE_FOLD_ASCII 0x1 // `A` to `Z` in names of entries count as `a` to `z`.

// plexindex_table_op.kind:
#define PLEXINDEX_TABLE_PUT 1 // stores `value` under `name`.
#define PLEXINDEX_TABLE_REMOVE 2 // removes the entry `name`.
#define PLEXINDEX_TABLE_CLEAR 3 // removes all entries of the table.

// plexindex_record_matches().flags:
#define PLEXINDEX_RECORD_THROUGH 1 // returns once the log that hosts share has the matches.

// plexindex_get_library():
#define PLEXINDEX_SELECT_ANY 0 // a uuid, else a title, else a section id, else a title but for case.
#define PLEXINDEX_SELECT_TITLE 1 // a title; where no library has it, one that differs by case only.
#define PLEXINDEX_SELECT_SECTION 2 // a section id, such as `1`.
#define PLEXINDEX_SELECT_UUID 3 // a uuid.
#define PLEXINDEX_SELECT_ALL 4 // all libraries; the selector must be empty.

// plexindex_answer.match_kind:
#define PLEXINDEX_MATCH_NONE 0 // nothing was found.
#define PLEXINDEX_MATCH_CONFIRMED 1 // the host recorded this match.
#define PLEXINDEX_MATCH_EXACT 2 // the path is listed.
#define PLEXINDEX_MATCH_MAPPED 3 // a mapping gives a listed path.
#define PLEXINDEX_MATCH_SUFFIX 4 // a listed path has the same end, of two or more components.
#define PLEXINDEX_MATCH_FILE_NAME 5 // a listed path has the same file name.

// plexindex_answer.confidence:
#define PLEXINDEX_CONFIDENCE_NONE 0 // there is no item.
#define PLEXINDEX_CONFIDENCE_LOW 1 // the host has to verify the item, or to choose among the candidates.
#define PLEXINDEX_CONFIDENCE_HIGH 2 // this is the file's item, as far as anything that is known can tell.

// plexindex_answer.reason:
#define PLEXINDEX_REASON_NONE 0 // there is a single item, recorded, listed or mapped.
#define PLEXINDEX_REASON_NO_LOCATION 1 // no library has a folder above this path.
#define PLEXINDEX_REASON_NOT_LISTED 2 // a library has a folder above this path, but does not list the file.
#define PLEXINDEX_REASON_NOT_FETCHED 3 // the library was never fetched completely.
#define PLEXINDEX_REASON_SEVERAL_ITEMS 4 // several items fit equally well.
#define PLEXINDEX_REASON_SEVERAL_LIBRARIES 5 // several libraries list it.
#define PLEXINDEX_REASON_UNCONFIRMED 6 // it was invalidated, and the server has not verified it since.
#define PLEXINDEX_REASON_ONLY_ROOT_DIFFERS 7 // only the root differs, so a mapping is missing. High confidence.
#define PLEXINDEX_REASON_PATH_TELLS 8 // the path holds title and year, or number. High confidence.
#define PLEXINDEX_REASON_NO_EVIDENCE 9 // only the end of the path is the same. Low confidence.
#define PLEXINDEX_REASON_CONTRADICTED 10 // the end is the same, but another year, number, edition, or an extra. Low.
#define PLEXINDEX_REASON_SEVERAL_EPISODES 11 // a file of several episodes: the candidates, the first one the item.
#define PLEXINDEX_REASON_EMPTY 12 // a library's own folder, or one above it, without a listed file below.
#define PLEXINDEX_REASON_ABOVE_LOCATIONS 13 // the folder lies above those of libraries and holds several items.
#define PLEXINDEX_REASON_UNAVAILABLE 14 // not listed, and the server gave no answer; with PLEXINDEX_ANSWER_STALE.

// plexindex_answer.flags:
#define PLEXINDEX_ANSWER_STALE 0x1 // perhaps old: the server was not asked, gave no answer, or a listing is held back.

// plexindex_item.flags:
#define PLEXINDEX_ITEM_PATH_NOT_UTF8 0x1 // `path` is not valid UTF-8.
#define PLEXINDEX_ITEM_KEY_ONLY 0x2 // only the key is known. The match was recorded, and no listing holds the item.

// plexindex_item.kind:
#define PLEXINDEX_KIND_OTHER 0 // another type.
#define PLEXINDEX_KIND_MOVIE 1 // a movie.
#define PLEXINDEX_KIND_SHOW 2 // a show; of a folder only.
#define PLEXINDEX_KIND_SEASON 3 // a season; of a folder only.
#define PLEXINDEX_KIND_EPISODE 4 // an episode.
#define PLEXINDEX_KIND_ARTIST 8 // an artist; of a folder only.
#define PLEXINDEX_KIND_ALBUM 9 // an album; of a folder only.
#define PLEXINDEX_KIND_TRACK 10 // a track.
#define PLEXINDEX_KIND_CLIP 12 // a clip.
#define PLEXINDEX_KIND_PHOTO 13 // a photo.

// plexindex_stats.requests:
#define PLEXINDEX_REQUEST_IDENTITY 0 // who the server is.
#define PLEXINDEX_REQUEST_PROBE 1 // the list of libraries, with the times at which they changed.
#define PLEXINDEX_REQUEST_PAGE 2 // a page of a full listing.
#define PLEXINDEX_REQUEST_DELTA 3 // a page of what is new.
#define PLEXINDEX_REQUEST_FIND_PATH 4 // a search for one path or title.
#define PLEXINDEX_REQUEST_CONFIRM 5 // whether items still exist.
#define PLEXINDEX_REQUEST_EDIT 6 // a batch edit.
#define PLEXINDEX_REQUEST_EVENTS 7 // an event stream.

// Log level:
#define PLEXINDEX_LOG_OFF (-1) // nothing.
#define PLEXINDEX_LOG_ERROR 1 // errors.
#define PLEXINDEX_LOG_WARN 2 // errors and warnings. The default.
#define PLEXINDEX_LOG_INFO 3 // also what is done, such as fetches, refreshes and invalidated libraries.
#define PLEXINDEX_LOG_DEBUG 4 // everything, with full paths.

// The outcome of a call. The numbers are part of the ABI: none changes or is reused. 0 is success, 1 to 99 are answers.
// Then come errors: from 100 on the caller's, 200 of the store, 300 of the server, 400 of libraries.
typedef enum plexindex_status {
    PLEXINDEX_OK = 0, // Success; for a match: one item.
    PLEXINDEX_NOT_FOUND = 1, // No item has this path, GUID or title; the answer says why.
    PLEXINDEX_AMBIGUOUS = 2, // Several items match equally well; the answer lists them, best first.
    // The deadline passed before the answer was found. Repeat the call: plexindex continues where this call stopped.
    PLEXINDEX_NOT_YET = 3,
    PLEXINDEX_NEEDS_WARM = 4, // The deadline is too short for the server. Fetch the library once (`plexindex warm`).
    PLEXINDEX_INVALID_ARGUMENT = 100, // An argument has an invalid value.
    PLEXINDEX_NULL_POINTER = 101, // A pointer is NULL that must not be NULL.
    // A field or flag is unknown. For a known flag in the wrong call the status is `INVALID_ARGUMENT`.
    PLEXINDEX_UNSUPPORTED = 102,
    PLEXINDEX_BUFFER_TOO_SMALL = 103, // The buffer is too small. Its `length` is the size needed.
    PLEXINDEX_ABORTED = 104, // The host's progress callback ended the call. Items fetched so far are kept.
    PLEXINDEX_PANIC = 105, // A defect in plexindex was caught. The handle stays usable.
    PLEXINDEX_STORE = 200, // The store cannot be opened, read or written, or no thread can be started.
    PLEXINDEX_STORE_FULL = 201, // The disk is full, or a limit is reached. Nothing was changed.
    PLEXINDEX_CONNECT = 300, // No connection to the server can be made.
    PLEXINDEX_TLS = 301, // The server's certificate is refused, or TLS failed in another way.
    PLEXINDEX_UNAUTHORIZED = 302, // The server refuses the token (401), or the token expired (498): set a new one.
    PLEXINDEX_FORBIDDEN = 303, // The server does not allow this to the token's user (403).
    PLEXINDEX_NOT_ON_SERVER = 304, // The server has no such item, library or address (404).
    PLEXINDEX_NOT_PLEX = 305, // The reply is not from a Plex Media Server, or from one that is too old.
    PLEXINDEX_STARTING = 306, // The server is starting, or upgrading its database.
    PLEXINDEX_BAD_ANSWER = 307, // The server's reply is cut off or malformed.
    PLEXINDEX_SERVER_ERROR = 308, // The server failed: it replied with 5xx, or with another unexpected status.
    // The server did not reply in time: try again later. Or the deadline of a call such as an edit passed: give a longer
    // one.
    PLEXINDEX_TIMEOUT = 309,
    PLEXINDEX_REDIRECTED = 310, // The server redirects to another host. The token is not sent there.
    PLEXINDEX_OFFLINE = 311, // A request is needed, but the call or the index is offline, or there is no server URL.
    PLEXINDEX_LIBRARY_NOT_FOUND = 400, // The server has no library with this title, section id or uuid.
    PLEXINDEX_LIBRARY_AMBIGUOUS = 401, // Two libraries have this title.
    PLEXINDEX_LIST_AGAIN = 402, // The index no longer has the changes since the cursor: list everything again.
    // The index does not hold the library: it was never fetched, or was removed to keep the folder within its limit. Or
    // the server has not accepted a new token yet. Refresh first.
    PLEXINDEX_NOT_FETCHED = 403,
} plexindex_status;

// An open index: from plexindex_open() to plexindex_close(). Any number of threads may use it at once.
typedef struct plexindex_handle plexindex_handle;

// A library of an index, or all of them, from plexindex_get_library(). It belongs to the index until plexindex_close().
typedef struct plexindex_library_handle plexindex_library_handle;

// A table of the host's own values, from plexindex_get_table(). It belongs to the index until plexindex_close().
typedef struct plexindex_table_handle plexindex_table_handle;

// A text or a path: raw bytes. One that is given to plexindex is read during the call only, and 0 bytes are no text.
typedef struct plexindex_bytes {
    const char *data; // The first byte; may be NULL when `length` is 0.
    size_t length; // How many bytes.
} plexindex_bytes;

// A rule between the host's paths and the server's. Of rules over the server's paths the first that fits rewrites a
// listed path. Each rule over the host's paths that fits gives a path to look for; the first that is listed counts.
typedef struct plexindex_mapping {
    int32_t kind; // PLEXINDEX_MAPPING_*: the rule's direction, and what `from` is.
    uint32_t reserved; // Zero.
    plexindex_bytes from; // A full path, or a regular expression (UTF-8) without look-around and backreferences.
    plexindex_bytes to; // What replaces it: a folder, or a text with `\1`, `\g<1>` or `\g<name>`.
} plexindex_mapping;

// The caller's memory for an answer. `data` must be aligned to 8 bytes, as malloc's memory is, and may be NULL when
// `capacity` is 0. With PLEXINDEX_OK and every answer status `length` is the number of bytes written. With
// PLEXINDEX_BUFFER_TOO_SMALL it is the number needed: plexindex_buffer_grow(). After every other error it is 0.
//
// As `error`, the last argument of every function that can fail, it receives the text of this call's error: UTF-8, and
// a NUL that `length` does not count; `length` is 0 after success. `data` need not be aligned. A text that does not fit
// is cut and ends in `…`, and `length` is its whole length. One buffer may be both answer and `error`. Texts that you
// give to the call must not lie in it.
typedef struct plexindex_buffer {
    void *data; // The caller's memory.
    size_t capacity; // Its size in bytes.
    size_t length; // Out: bytes written, or needed.
} plexindex_buffer;

// Gives a new token after the server refused the present one (401) or said that it expired (498). Write it to
// `token->data`, which has room for `token->capacity` bytes (65,536), and its length to `token->length`, and return 0.
// Any other result, or the same token, means that there is no new token now: plexindex asks again after 15 seconds.
//
// It runs on the thread of the call that the server refused, one thread at a time for each index. With a new token that
// call runs once more. Without one it gives an older answer, or PLEXINDEX_UNAUTHORIZED. Other calls that need a token
// wait for it, until their deadline and `options.read_timeout_ms` at most. What plexindex_progress_fn says of calls
// holds here too; calls on this handle do not renew the token.
typedef int32_t (*plexindex_renew_token_fn)(void *user, plexindex_buffer *token);

// How to open an index. Begin with plexindex_options_init(). A zero field means its default. Negative values are
// refused, but for the PLEXINDEX_* constants; so are fields that this library does not know (PLEXINDEX_UNSUPPORTED).
typedef struct plexindex_options {
    size_t size; // sizeof(plexindex_options).
    plexindex_bytes cache_dir; // The store's folder, in the file system's bytes. It is made with mode 0700.
    plexindex_bytes server_url; // Base URL, as `http://127.0.0.1:32400`. Without it and `database` the store answers.
    plexindex_bytes token; // The token. It is sent in a header, to this server only, and never stored.
    // The user whose view this is. Default: the token. Set it when the token changes now and then: a new token of the
    // same user keeps what the index holds. Not needed for a JSON Web Token with `thumbprint` and `username`.
    plexindex_bytes user;
    plexindex_bytes ca_file; // A PEM file with certificate authorities to trust instead of the system's.
    int64_t library_ttl_ms; // Milliseconds that a listing is fresh. 0: one hour. PLEXINDEX_TTL_AT_ONCE, _NEVER.
    int64_t max_age_ms; // After so many milliseconds a full listing is due, even without a change. 0: 24 hours.
    int64_t deadline_ms; // The deadline of calls that name none, in milliseconds. 0, PLEXINDEX_NO_DEADLINE: none.
    int64_t connect_timeout_ms; // Milliseconds that making a connection may take. 0: 5,000.
    int64_t read_timeout_ms; // Milliseconds of silence. 0: 60,000; where nothing is listed 15,000 at most.
    int64_t retry_ms; // Milliseconds in which a failed request is tried again. 0: 30,000. PLEXINDEX_NO_RETRY: never.
    uint64_t matches_limit; // Bytes that recorded matches may take; the oldest are removed first. 0: 52,428,800.
    uint32_t flags; // PLEXINDEX_OPEN_* flags, or'ed.
    uint32_t page_size; // Rows of a listing in one request, 1 to 1,000. 0: 1,000.
    int32_t log_level; // PLEXINDEX_LOG_*. It holds for the whole process, until the next index is opened. 0: warnings.
    uint32_t reserved; // Zero.
    const plexindex_mapping *mappings; // Rules between the host's paths and the server's.
    size_t mappings_count; // How many rules.
    int64_t slow_ms; // A call of so many milliseconds is logged with its parts. 0: 1,000. PLEXINDEX_NEVER_SLOW.
    // Bytes of the folder; libraries refreshed longest ago are removed: plexindex_stats.over_limit. 0: no limit.
    uint64_t size_limit;
    // Plex's own database, com.plexapp.plugins.library.db, its folder, or the folder 'Plex Media Server' above. It is
    // only read. Without `server_url` no request is sent. The index then shows all libraries. Default: none.
    plexindex_bytes database;
    plexindex_renew_token_fn renew_token; // Gives a new token when the server refuses this one; may be NULL.
    void *renew_token_user; // Passed to `renew_token` unchanged.
    // A PostgreSQL database that hosts share, `postgresql://user@host/database`, so that one fetches for all. The
    // password is from PGPASSWORD or a passfile. Needs `server_url`; not with `database`. Default: none.
    plexindex_bytes shared;
    // For so many ms a host without the shared log asks for no listing. 0: 60,000. PLEXINDEX_NO_RETRY: at once.
    int64_t shared_retry_ms;
} plexindex_options;

// How far a fetch has come. Valid during the callback only.
typedef struct plexindex_progress {
    size_t size; // sizeof(plexindex_progress) as this library knows it.
    plexindex_bytes library; // The library's title, UTF-8; "" while the call waits for something else.
    uint64_t items; // Items fetched so far, including those of an earlier fetch that was interrupted.
    uint64_t total; // Items in all, as the server reports; 0 when it does not.
    uint64_t elapsed_ms; // Milliseconds since this call began to fetch.
} plexindex_progress;

// Receives the progress of a fetch, at least every 100 ms while a call waits for the server, on the thread of that
// call, and once more after the last page. Return 0 to continue. Anything else ends this call with PLEXINDEX_ABORTED;
// what was fetched is kept.
//
// The callback may call plexindex functions, but plexindex_close() of the same handle is refused. The fetch continues
// meanwhile; a nested call that needs its items waits for it. The callback must return: on Linux a thread that ends in
// it (pthread_exit) sleeps for ever, with what the call holds.
typedef int32_t (*plexindex_progress_fn)(void *user, const plexindex_progress *progress);

// A query. Begin with plexindex_query_init().
typedef struct plexindex_query {
    size_t size; // sizeof(plexindex_query).
    const plexindex_library_handle *library; // A library of the call's handle, or NULL.
    plexindex_bytes text; // The path. A path is the file system's bytes, not empty, and without NUL.
    int64_t deadline_ms; // Longest time in ms, all waits included. 0: as the options say. PLEXINDEX_NO_DEADLINE: any.
    uint32_t flags; // PLEXINDEX_QUERY_* flags, or'ed. A function refuses flags that it would ignore.
    uint32_t reserved; // Zero.
    plexindex_progress_fn progress; // Called on this thread while the call waits for the server; may be NULL.
    void *progress_user; // Passed to `progress` unchanged.
} plexindex_query;

// A string inside an answer, followed by a NUL that `length` does not count. 0, 0: there is none.
typedef struct plexindex_text {
    uint32_t offset; // From the block's first byte; 0: none.
    uint32_t length; // In bytes, without the NUL.
} plexindex_text;

// The answer for one path.
typedef struct plexindex_answer {
    int32_t status; // PLEXINDEX_OK, _NOT_FOUND, _AMBIGUOUS, _NOT_YET, _NEEDS_WARM; in a batch, or this query's error.
    uint8_t match_kind; // PLEXINDEX_MATCH_*: how the item was found.
    uint8_t confidence; // PLEXINDEX_CONFIDENCE_*.
    // PLEXINDEX_REASON_*: why there is no single item, or, of MATCH_SUFFIX and _FILE_NAME, what speaks for or against.
    uint8_t reason;
    uint8_t flags; // PLEXINDEX_ANSWER_* flags, or'ed.
    uint32_t item; // Where the single item (plexindex_item) begins, from the block's first byte; 0: there is none.
    uint32_t candidates; // Where the candidates (an array of plexindex_item, best first) begin; 0: there are none.
    uint32_t candidates_count; // How many candidates are in the array.
    uint32_t candidates_total; // How many fit in all.
    plexindex_text message; // For people: the reason, or the error. None for PLEXINDEX_OK with PLEXINDEX_REASON_NONE.
    int64_t age_ms; // Milliseconds since the server was last asked about this listing; -1: that is not known.
} plexindex_answer;

// An item, as the index knows it. A text that the index does not know is 0, 0.
typedef struct plexindex_item {
    plexindex_text key; // Plex's address of the item, `/library/metadata/<rating key>`.
    plexindex_text rating_key; // Plex's rating key.
    plexindex_text title; // Title; for an episode the episode's.
    plexindex_text guid; // Its own GUID, not those of other sites.
    plexindex_text show_title; // Title of the show, for a track or album of the artist.
    plexindex_text show_rating_key; // Rating key of the show or artist.
    plexindex_text show_guid; // GUID of the show or artist.
    plexindex_text path; // The listed path that fits, as the server spells it; for a recorded match the recorded path.
    plexindex_text section; // Section id of its library.
    plexindex_text library_title; // Title of its library.
    int32_t kind; // PLEXINDEX_KIND_*: its type, by Plex's number.
    int32_t year; // Year; 0: unknown.
    int32_t season; // Season; the disc of a track. -1: none.
    int32_t episode; // Episode or track number; -1: none.
    uint32_t flags; // PLEXINDEX_ITEM_* flags, or'ed.
    uint32_t reserved; // Zero.
} plexindex_item;

// What happened. Set `size` to sizeof(plexindex_stats); the library fills in what both sides know. A count is of this
// handle's life unless its comment says otherwise.
typedef struct plexindex_stats {
    size_t size; // sizeof(plexindex_stats).
    uint64_t answers[6]; // By PLEXINDEX_MATCH_*, fast lookups included; `answers[0]`: all without an item.
    uint64_t lookup_misses; // Fast lookups that found nothing.
    uint64_t stale_answers; // Answers from a listing that had expired.
    uint64_t requests[8]; // Requests sent by kind, retries included: PLEXINDEX_REQUEST_* is the index.
    uint64_t bytes_received; // Bytes of the server's answers as they came over the wire, without their heads.
    uint64_t store_requests; // Requests of all kinds and all processes over the store's life, as last written.
    uint64_t store_answers; // Answers of all processes over the store's life, as last written.
    uint64_t listings; // Full listings completed.
    uint64_t network_us; // Microseconds spent waiting for the server.
    uint64_t store_us; // Microseconds spent reading and writing the store.
    uint64_t segment_us; // Microseconds spent building and opening index files.
    uint64_t items; // Items listed now, in all libraries of this server and user.
    uint64_t matches; // Recorded matches stored now.
    uint64_t libraries; // Libraries known now.
    uint64_t disk_bytes; // Bytes that the store takes on disk, index files included.
    uint64_t sequence; // The store's change sequence.
    uint64_t events; // Events about libraries, from the server (the method `watch.start`) and from plexindex_notify().
    uint64_t hints; // Writes that stored events: fewer than events, since one write stores several.
    uint64_t parse_us; // Microseconds spent reading the server's answers: decompressing and parsing.
    uint64_t wait_us; // Microseconds spent waiting for other fetches, and before requests were tried again.
    uint64_t match_us; // Microseconds spent matching, fast lookups not included.
    uint64_t calls; // Calls that query, refresh or record; fast lookups not included.
    uint64_t calls_us; // Microseconds of these calls in all. The parts above overlap.
    uint64_t slow_calls; // How many of these calls were slow: plexindex_options.slow_ms.
    uint64_t failures; // Old answers given because the server could not be asked, or its answer not stored.
    uint64_t size_limit; // How many bytes the folder may take: plexindex_options.size_limit. 0: no limit.
    uint64_t over_limit; // How many bytes what has to stay is beyond that limit. Not 0: the limit is too small.
    uint64_t evictions; // How many libraries were removed for a limit, by all processes over the store's life.
    char last_failure[512]; // Why an old answer was given last: UTF-8, NUL-terminated, perhaps cut. Empty: never.
} plexindex_stats;

// Receives a log line on the thread of plexindex_drain_log(). `message` is UTF-8, and valid during the call only. It
// holds no token, and full paths only at PLEXINDEX_LOG_DEBUG. The callback must return: see plexindex_progress_fn.
typedef void (*plexindex_log_fn)(void *user, int32_t level, const char *message, size_t length);

// The limits of plexindex_call(). Zero means the default.
typedef struct plexindex_call_options {
    size_t size; // sizeof(plexindex_call_options).
    int64_t deadline_ms; // Longest time in ms, all waits included. 0: as the options say. PLEXINDEX_NO_DEADLINE: any.
    plexindex_progress_fn progress; // Called on this thread while the call waits; may be NULL.
    void *progress_user; // Passed to `progress` unchanged.
} plexindex_call_options;

// A change of a table, for plexindex_table_write().
typedef struct plexindex_table_op {
    int32_t kind; // PLEXINDEX_TABLE_PUT, PLEXINDEX_TABLE_REMOVE or PLEXINDEX_TABLE_CLEAR.
    uint32_t reserved; // Zero.
    const plexindex_table_handle *table; // The table.
    plexindex_bytes name; // The entry's name; NULL and 0 for PLEXINDEX_TABLE_CLEAR.
    plexindex_bytes value; // Its value; NULL and 0 but for PLEXINDEX_TABLE_PUT.
} plexindex_table_op;

// The head of a block of answers, at the first byte of the buffer.
typedef struct plexindex_answers {
    uint32_t size; // sizeof(plexindex_answers) as the library knows it.
    uint32_t answer_size; // sizeof(plexindex_answer) as the library knows it: the distance from one answer to the next.
    uint32_t item_size; // sizeof(plexindex_item) as the library knows it: the distance from one candidate to the next.
    uint32_t count; // How many answers: one for each query, in order.
    uint32_t first; // Where the first answer begins, from the block's first byte.
    uint32_t log_lines; // How many log lines wait for plexindex_drain_log().
} plexindex_answers;

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

// The ABI version of this library: PLEXINDEX_ABI_VERSION of the header that it was built with. Never fails.
uint32_t plexindex_get_abi_version(void);

// The version of this library, such as `0.1.0`: static, NUL-terminated, never NULL.
const char *plexindex_get_version(void);

// The name of a status, such as `NOT_FOUND`; `UNKNOWN` for another number. Static, NUL-terminated, never NULL.
const char *plexindex_get_status_name(int32_t status);

// Opens an index. Reads the disk only. Several handles and processes may have the same folder open.
//
// Returns PLEXINDEX_OK with the handle in `out_handle`; PLEXINDEX_INVALID_ARGUMENT or PLEXINDEX_UNSUPPORTED for
// refused options; PLEXINDEX_STORE or PLEXINDEX_STORE_FULL for the store. `out_handle` is NULL then.
int32_t plexindex_open(const plexindex_options *options, plexindex_handle **out_handle, plexindex_buffer *error);

// Replaces the token of an open index. Sends no request. Calls under way keep the old one; a watch connects again.
//
// With `options.user` the index keeps all that it holds. Without it the index holds nothing until a call that may send
// a request has found that the server accepts the new token. Then it holds what it held for this token, or for the user
// that a JSON Web Token names (`thumbprint`, `username`). For any other token it begins with nothing.
//
// `token`: as options.token; NULL and 0 for none. Returns PLEXINDEX_OK; PLEXINDEX_INVALID_ARGUMENT; PLEXINDEX_STORE.
int32_t plexindex_set_token(const plexindex_handle *handle, const char *token, size_t token_length,
                            plexindex_buffer *error);

// Closes an index. Its counters are written, and no thread of the library runs afterwards. NULL is fine. No other
// thread may be in a call with the handle, its libraries or its tables, or close it too: that cannot be detected.
//
// Returns PLEXINDEX_OK; PLEXINDEX_STORE when the counters could not be written: the index is closed all the same;
// PLEXINDEX_INVALID_ARGUMENT in a callback of this index, or for an `error` that is refused: it is not closed.
int32_t plexindex_close(plexindex_handle *handle, plexindex_buffer *error);

// Gives a handle for one library, or for all. Sends no request. A library that the store does not know is no error:
// the first call that uses the handle asks the server for it.
//
// `kind`: PLEXINDEX_SELECT_*. `selector`: the title, section id or uuid, UTF-8; NULL and 0 with PLEXINDEX_SELECT_ALL.
// `out_library`: the handle, or NULL after an error. It lasts as long as the index. The same selector gives the same
// handle. An index gives out 1,024 handles at most for names that no known library has.
//
// Returns PLEXINDEX_OK; PLEXINDEX_LIBRARY_AMBIGUOUS for a title of two known libraries; PLEXINDEX_INVALID_ARGUMENT.
int32_t plexindex_get_library(const plexindex_handle *handle, int32_t kind, const char *selector,
                              size_t selector_length, const plexindex_library_handle **out_library,
                              plexindex_buffer *error);

// The fast lookup: the key (`/library/metadata/<rating key>`) of the item with this path, where the index has it at
// hand with PLEXINDEX_CONFIDENCE_HIGH; of a file of several episodes the first one's. `path`: bytes, NUL-terminated.
//
// Returns the key, NUL-terminated. It belongs to the thread, and only the thread's next fast lookup
// (plexindex_lookup_key(), plexindex_table_lookup()) on any handle ends it: copy a key that must last longer. Returns
// NULL when the answer is not at hand: ask plexindex_match_path(). NULL arguments give NULL.
//
// It sends no request and calls nothing back. When nothing changed since the last lookup it waits for nothing, takes
// no lock, allocates nothing and makes no system call, except that twice a second it checks whether the store is still
// there. After a change it reads it, and waits for others some 200 ms at most. An expired listing answers too.
const char *plexindex_lookup_key(const plexindex_library_handle *library, const char *path);

// plexindex_lookup_key() for many paths in one call. `paths`: `count` paths, each followed by a NUL. `out_keys`: as
// many keys in the same order, each followed by a NUL. An empty key says that the answer is not at hand.
int32_t plexindex_lookup_keys(const plexindex_library_handle *library, const char *paths, size_t paths_length,
                              size_t count, plexindex_buffer *out_keys, plexindex_buffer *error);

// The full answer for one path. Tries each PLEXINDEX_MATCH_* in turn; sends requests where needed and allowed.
// `out_answer`: a block: plexindex_answers, one plexindex_answer, and what they point to.
// Returns the answer's status, with the block written: PLEXINDEX_OK, PLEXINDEX_NOT_FOUND, PLEXINDEX_AMBIGUOUS,
// PLEXINDEX_NOT_YET or PLEXINDEX_NEEDS_WARM. Returns PLEXINDEX_BUFFER_TOO_SMALL or an error without a block. When the
// library was never fetched and cannot be fetched now, that is the server's error.
int32_t plexindex_match_path(const plexindex_handle *handle, const plexindex_query *query, plexindex_buffer *out_answer,
                             plexindex_buffer *error);

// plexindex_match_path() for many paths: one block with `count` answers, in order, each with its own status. `query`:
// `text` holds `count` paths, each followed by a NUL.
//
// Returns PLEXINDEX_OK with the block written; an error that concerns all paths; PLEXINDEX_BUFFER_TOO_SMALL, before any
// work if 384 bytes for each path and the length of `text` do not fit.
int32_t plexindex_match_paths(const plexindex_handle *handle, const plexindex_query *query, size_t count,
                              plexindex_buffer *out_answers, plexindex_buffer *error);

// How many answers a block has: one for each query, in order. 0 for a buffer that holds no block.
//
// This and the next four functions read a block that plexindex_match_path() and the like wrote. They check each
// offset against `block`, the buffer as that call left it. What is not there is NULL or 0. Results lie in its memory.
size_t plexindex_count_answers(const plexindex_buffer *block);

// The answer at this place of a block, from 0 on. NULL beyond the last one.
const plexindex_answer *plexindex_get_answer(const plexindex_buffer *block, size_t place);

// The single item of an answer. NULL when there is none, as for an answer that is ambiguous.
const plexindex_item *plexindex_get_item(const plexindex_buffer *block, const plexindex_answer *answer);

// The candidate at this place of an answer, from 0 on, the best first. NULL beyond the last one.
const plexindex_item *plexindex_get_candidate(const plexindex_buffer *block, const plexindex_answer *answer,
                                              size_t place);

// A text of a block, such as `&item->title`, NUL-terminated. NULL when there is none. An empty text is not NULL.
const char *plexindex_get_text(const plexindex_buffer *block, const plexindex_text *text);

// Records that the item with this key has this path. A recorded match is stored, never expires, and answers first. The
// item need not be listed, since it may be newer than the listing. While a complete listing lacks it, the match does
// not answer, and the message of a query says so.
//
// `library`: one library, not all. `path`: the file system's bytes. `key`: the item's key, `/library/metadata/` and its
// rating key, or the rating key alone: 1 to 255 digits. Anything else is refused, here and wherever a key is given.
//
// Returns PLEXINDEX_OK once the match is stored, for every process. The server is asked only for a library that the
// store does not know, until `deadline_ms` (as plexindex_query.deadline_ms) passes: then PLEXINDEX_TIMEOUT, and nothing
// is recorded. Its other errors and PLEXINDEX_LIBRARY_NOT_FOUND may come too. No function ends this call: without a
// deadline it ends when the server was away for `options.retry_ms`, or silent for `options.read_timeout_ms`.
int32_t plexindex_record_match(const plexindex_library_handle *library, const char *path, size_t path_length,
                               const char *key, size_t key_length, int64_t deadline_ms, plexindex_buffer *error);

// plexindex_record_match() for many: all are recorded, or none. `paths`, `keys`: `count`, each followed by a NUL.
//
// `flags`: 0, or PLEXINDEX_RECORD_THROUGH: the call returns once the log that hosts share has the matches, as
// the method `sharing` can. PLEXINDEX_TIMEOUT may then say that they are stored in this folder, and delivered
// later. PLEXINDEX_INVALID_ARGUMENT says that nothing is recorded, because the index does not share, or because no
// other host could use a path: it is in no folder of the library and under no mapping.
int32_t plexindex_record_matches(const plexindex_library_handle *library, const char *paths, size_t paths_length,
                                 const char *keys, size_t keys_length, size_t count, uint32_t flags,
                                 int64_t deadline_ms, plexindex_buffer *error);

// Invalidates a path, in one library or all. Its recorded match is removed. If an item lists the path, one request
// verifies that item before it answers for the path again. Calls that began before may still answer as before.
//
// Returns PLEXINDEX_OK, also for a path that is not known; PLEXINDEX_NOT_FETCHED until the server has accepted
// a new token; an error of the arguments or of the store.
int32_t plexindex_invalidate_path(const plexindex_library_handle *library, const char *path, size_t path_length,
                                  plexindex_buffer *error);

// plexindex_invalidate_path() for all paths of an item, by its key or rating key: for a 404 of the server.
int32_t plexindex_invalidate_item(const plexindex_library_handle *library, const char *key, size_t key_length,
                                  plexindex_buffer *error);

// Invalidates a library, or all. Recorded matches are removed, and the next call that may ask the server fetches a
// full listing. Until that is complete the old listing answers, marked PLEXINDEX_ANSWER_STALE. The call takes the
// same time for a library of any size. Returns what plexindex_invalidate_path() returns.
int32_t plexindex_invalidate_library(const plexindex_library_handle *library, plexindex_buffer *error);

// Removes all that the store holds of this server and user. The client identifier and the counters of the store's life
// stay. Without a server URL that is the newest server in the store. Returns what plexindex_invalidate_path() returns.
int32_t plexindex_clear(const plexindex_handle *handle, plexindex_buffer *error);

// Brings the query's library, or all, up to date, as a match does when a listing has expired. Fresh listings cost no
// request; with PLEXINDEX_QUERY_PROBE the server is asked once for all. PLEXINDEX_QUERY_FULL fetches a full listing in
// any case. Up to 256 invalidated items are verified, 64 with a request. `text` must be empty.
//
// A listing that has lost more than 30 % of its items is held back, since a disk may not be mounted: the call returns
// PLEXINDEX_OK, the log has a warning, and the old listing answers with PLEXINDEX_ANSWER_STALE, whatever `age_ms` is.
// The next listing, a minute later or more, counts whatever its size. PLEXINDEX_QUERY_FULL believes it at once.
//
// Returns PLEXINDEX_OK when the library is up to date; PLEXINDEX_NOT_YET when the deadline came first: the next call
// continues; PLEXINDEX_NEEDS_WARM when nothing came until then; PLEXINDEX_TIMEOUT when no library was known either.
int32_t plexindex_refresh(const plexindex_handle *handle, const plexindex_query *query, plexindex_buffer *error);

// Fills in the statistics. `out_stats`: its `size` must be set.
int32_t plexindex_get_stats(const plexindex_handle *handle, plexindex_stats *out_stats, plexindex_buffer *error);

// Hands the waiting log lines to `receive`, oldest first, on this thread. Call it once a second, or when
// plexindex_answers.log_lines is not 0: 256 lines wait at most for the whole process. Then the oldest are lost, and a
// line says how many. A host that unloads the library calls this last, which frees them.
int32_t plexindex_drain_log(plexindex_log_fn receive, void *user, plexindex_buffer *error);

// Calls a method by its name, with a request and an answer in JSON. docs/methods.md describes the methods, and
// plexindex.schema.json describes them to programs.
//
// `handle`: may be NULL for `versions` and `paths.compare`. `method`: its name, NUL-terminated, such as `items.list`.
// `request`: a JSON object, UTF-8, of 64 MiB at most; NULL and 0 for an empty one. Unknown fields are refused.
// `options`: may be NULL. `out_json`: the answer, a JSON object, UTF-8 and NUL-terminated; release it with
// plexindex_free(). It is NULL after an error, but not of the method `edit`, which reports how far it came.
//
// What is not known is absent. Ignore fields that you do not know. A path or the name of a table is a string, or
// `{"bytes": "<Base64>"}` where it is not UTF-8. Keys and cursors are strings. The cursor of a page gives the next one,
// as often as you ask. Returns what the method says; PLEXINDEX_INVALID_ARGUMENT for an unknown method or field.
int32_t plexindex_call(const plexindex_handle *handle, const char *method, const char *request, size_t request_length,
                       const plexindex_call_options *options, char **out_json, plexindex_buffer *error);

// Releases an answer of plexindex_call(). NULL is fine.
void plexindex_free(char *json);

// Passes on an event that the host received. The next query about what it names asks the server. Sends no request.
// `body`: a webhook's JSON (the field `payload` of Plex's request), the whole multipart form with that field, or the
// text of a notification from the server's WebSocket or event stream.
//
// Returns PLEXINDEX_OK once the event is stored, for every process. Events that name no change, that are of another
// server (`Server.uuid` of a webhook), or that come before any library is known need no storing.
// PLEXINDEX_NOT_FETCHED until the server has accepted a new token: the event is not stored; call plexindex_refresh()
// with PLEXINDEX_QUERY_PROBE, then this again. PLEXINDEX_INVALID_ARGUMENT for any other body; errors of the store.
int32_t plexindex_notify(const plexindex_handle *handle, const char *body, size_t body_length, plexindex_buffer *error);

// Makes each waiting `changes.wait` of this handle call its `progress` within 50 ms. Not for signal handlers.
int32_t plexindex_wake_waiting(const plexindex_handle *handle, plexindex_buffer *error);

// Gives a handle for a table of the host's own values. A table holds values by name, both any bytes, in the index's
// folder, for every process that opens that. No query reads it, and no server is asked. The first
// plexindex_table_put() creates it. The methods `tables.count` and `tables.clear` count and remove its entries.
//
// `name`: any bytes; an empty name is a pointer and 0. `flags`: 0, or PLEXINDEX_TABLE_FOLD_ASCII. `out_table`: the
// handle, or NULL after an error; it lasts as long as the index. The same name and flags give the same handle. An index
// gives out 10,000 at most.
int32_t plexindex_get_table(const plexindex_handle *handle, const char *name, size_t name_length, uint32_t flags,
                            const plexindex_table_handle **out_table, plexindex_buffer *error);

// The fast lookup of a value. `name`: NUL-terminated; for a name that contains a NUL use plexindex_table_get().
// `out_value`: the value, NUL-terminated, or NULL; its life is that of a key of plexindex_lookup_key().
//
// Returns PLEXINDEX_OK; PLEXINDEX_NOT_FOUND when there is no value, or it has expired; PLEXINDEX_NOT_YET when the value
// has more than 1,000 bytes or contains a NUL, when a change could not be read in time, and when an argument is NULL:
// ask plexindex_table_get(). It waits for as little as plexindex_lookup_key() does.
int32_t plexindex_table_lookup(const plexindex_table_handle *table, const char *name, const char **out_value);

// Reads a value. `out_value`: the value, followed by a NUL that `length` does not count. NULL asks only whether there
// is one. Returns PLEXINDEX_OK; PLEXINDEX_NOT_FOUND, also for one that has expired; PLEXINDEX_BUFFER_TOO_SMALL.
int32_t plexindex_table_get(const plexindex_table_handle *table, const char *name, size_t name_length,
                            plexindex_buffer *out_value, plexindex_buffer *error);

// Stores a value. It replaces the value of the same name.
// `ttl_ms`: after how many milliseconds the value expires. 0: one hour. PLEXINDEX_TTL_AT_ONCE, PLEXINDEX_TTL_NEVER.
// `limit`: how many bytes all tables of the store may take; an entry takes its name, its value and 64 bytes. Beyond
// that the entries written longest ago are removed, but never what this call wrote. 0: no limit. Each call also removes
// some entries that have expired.
//
// Returns PLEXINDEX_OK once the value is stored, for every process; PLEXINDEX_INVALID_ARGUMENT, also for a name of
// more than 1 MiB or a value of more than 900,000,000 bytes; PLEXINDEX_NULL_POINTER; PLEXINDEX_STORE or
// PLEXINDEX_STORE_FULL.
int32_t plexindex_table_put(const plexindex_table_handle *table, const char *name, size_t name_length,
                            const char *value, size_t value_length, int64_t ttl_ms, uint64_t limit,
                            plexindex_buffer *error);

// Removes an entry. An entry that does not exist is no error.
int32_t plexindex_table_remove(const plexindex_table_handle *table, const char *name, size_t name_length,
                               plexindex_buffer *error);

// Makes many changes in one transaction, in order: all, or none. When the limit later removes one of the values that
// the call stored, it removes all of them. `ops`: `count` changes, of tables of this index. `ttl_ms`, `limit`, and what
// it returns: as for plexindex_table_put().
int32_t plexindex_table_write(const plexindex_handle *handle, const plexindex_table_op *ops, size_t count,
                              int64_t ttl_ms, uint64_t limit, plexindex_buffer *error);

// Gives the name of a table's next entry, in the order of their bytes, without expired ones.
//
// `after`: the name that the last call gave; NULL for the first name. An empty name is a pointer and 0. It may lie in
// the memory of `out_name`, which PLEXINDEX_BUFFER_TOO_SMALL leaves alone but plexindex_buffer_grow() may move.
// Returns PLEXINDEX_OK; PLEXINDEX_NOT_FOUND after the last name; PLEXINDEX_BUFFER_TOO_SMALL.
int32_t plexindex_table_get_next(const plexindex_table_handle *table, const char *after, size_t after_length,
                                 plexindex_buffer *out_name, plexindex_buffer *error);

// Helpers. A C compiler makes them of this header: the library does not export them.

// The bytes of a C string, without its NUL; nothing for NULL. They belong to the string.
static inline plexindex_bytes plexindex_bytes_of(const char *text)
{
    plexindex_bytes bytes = {text, text == NULL ? 0 : strlen(text)};
    return bytes;
}

// Options with their size set and every default.
static inline plexindex_options plexindex_options_init(void)
{
    plexindex_options options;
    memset(&options, 0, sizeof options);
    options.size = sizeof options;
    return options;
}

// A query for this text in all libraries, with every default. NULL for a query that needs no text.
static inline plexindex_query plexindex_query_init(const char *text)
{
    plexindex_query query;
    memset(&query, 0, sizeof query);
    query.size = sizeof query;
    query.text = plexindex_bytes_of(text);
    return query;
}

// Statistics with their size set, for plexindex_get_stats().
static inline plexindex_stats plexindex_stats_init(void)
{
    plexindex_stats stats;
    memset(&stats, 0, sizeof stats);
    stats.size = sizeof stats;
    return stats;
}

// Memory for the text of an error, on the stack for example. `text` is that of the last call that was given the buffer.
typedef struct plexindex_error {
    plexindex_buffer buffer; // The buffer over `text`.
    char text[1024]; // The text, UTF-8, NUL-terminated.
} plexindex_error;

// Prepares the memory, and returns its buffer: the last argument of calls. It is valid while `error` stays where it is.
static inline plexindex_buffer *plexindex_error_init(plexindex_error *error)
{
    error->text[0] = '\0';
    error->buffer.data = error->text;
    error->buffer.capacity = sizeof error->text;
    error->buffer.length = 0;
    return &error->buffer;
}

// Enlarges a buffer from malloc, zeroed or of an earlier call, after any function that fills one:
//     do status = plexindex_match_path(index, &query, &block, error);
//     while (plexindex_buffer_grow(&block, status));
// Returns 1 if the call is to be made again; 0 otherwise, also without memory. It gives at least 8 KiB. A call that may
// ask the server refuses less than 4,096 bytes before it does anything.
static inline int plexindex_buffer_grow(plexindex_buffer *buffer, int32_t status)
{
    size_t needed = buffer == NULL || buffer->length < 8192 ? 8192 : buffer->length;
    void *memory;
    if (buffer == NULL || status != PLEXINDEX_BUFFER_TOO_SMALL || buffer->capacity >= needed) return 0;
    memory = realloc(buffer->data, needed);
    if (memory == NULL) return 0;
    buffer->data = memory;
    buffer->capacity = needed;
    return 1;
}

// Releases the memory of plexindex_buffer_grow(), and empties the buffer. NULL is fine.
static inline void plexindex_buffer_free(plexindex_buffer *buffer)
{
    if (buffer == NULL) return;
    free(buffer->data);
    buffer->data = NULL;
    buffer->capacity = buffer->length = 0;
}

// The name of `match_kind`, such as `FILE_NAME` of PLEXINDEX_MATCH_FILE_NAME; `UNKNOWN` of another number.
static inline const char *plexindex_get_match_kind_name(int32_t match_kind)
{
    static const char *const names[] = {"NONE", "CONFIRMED", "EXACT", "MAPPED", "SUFFIX", "FILE_NAME"};
    return match_kind >= 0 && match_kind < 6 ? names[match_kind] : "UNKNOWN";
}

// The name of `confidence`, such as `HIGH`; `UNKNOWN` of another number.
static inline const char *plexindex_get_confidence_name(int32_t confidence)
{
    static const char *const names[] = {"NONE", "LOW", "HIGH"};
    return confidence >= 0 && confidence < 3 ? names[confidence] : "UNKNOWN";
}

// The name of `reason`, such as `NOT_LISTED`; `UNKNOWN` of another number.
static inline const char *plexindex_get_reason_name(int32_t reason)
{
    static const char *const names[] = {
        "NONE", "NO_LOCATION", "NOT_LISTED", "NOT_FETCHED", "SEVERAL_ITEMS", "SEVERAL_LIBRARIES", "UNCONFIRMED",
        "ONLY_ROOT_DIFFERS", "PATH_TELLS", "NO_EVIDENCE", "CONTRADICTED", "SEVERAL_EPISODES", "EMPTY",
        "ABOVE_LOCATIONS", "UNAVAILABLE"};
    return reason >= 0 && reason < 15 ? names[reason] : "UNKNOWN";
}

// The name of `kind`, such as `MOVIE`; `UNKNOWN` of another number.
static inline const char *plexindex_get_kind_name(int32_t kind)
{
    static const char *const names[] = {"OTHER", "MOVIE", "SHOW", "SEASON", "EPISODE", "UNKNOWN", "UNKNOWN",
                                        "UNKNOWN", "ARTIST", "ALBUM", "TRACK", "UNKNOWN", "CLIP", "PHOTO"};
    return kind >= 0 && kind < 14 ? names[kind] : "UNKNOWN";
}

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* PLEXINDEX_H */
