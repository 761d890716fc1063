/*
 * plexindex: tells which Plex item a file is, without asking the server.
 *
 * Generated from src/capi by cbindgen; renew it with `make header`. Licence: MIT OR Apache-2.0.
 *
 * Errors: a function that can fail returns a status, a value of enum plexindex_status as int32_t. 0 is success, 1 to 99
 *   are answers that are no errors, from 100 on are errors. Its last argument, `error`, is a buffer for the text of an
 *   error, or NULL; see plexindex_buffer. plexindex_last_error_message() gives the text too, on the thread of the call.
 *   Outputs are written on success only, unless a comment says otherwise. Every pointer may be NULL without a crash.
 * Threads: any number of threads may use a handle at once. Callbacks run on the thread that makes the call.
 * Memory: the caller frees nothing that plexindex gives out, except the handle, with plexindex_close(). Strings and
 *   structs given to a function are read during the call only.
 * Compatibility: structs that begin with `size` may grow. A program that was compiled against an older header goes on
 *   working.
 */

#ifndef PLEXINDEX_H
#define PLEXINDEX_H

#include <stddef.h>
#include <stdint.h>

// The version of this ABI. It changes when a program that was compiled against an older header would misbehave. A host
// that loads the library at run time compares it with plexindex_abi_version().
#define PLEXINDEX_ABI_VERSION 1

// plexindex_options.library_ttl_ms: a listing is never fresh.
#define PLEXINDEX_TTL_AT_ONCE (-1)

// plexindex_options.library_ttl_ms: a listing is fresh until it is invalidated.
#define PLEXINDEX_TTL_NEVER (-2)

// plexindex_query.deadline_ms: the call takes as long as it takes.
#define PLEXINDEX_NO_DEADLINE (-1)

// plexindex_options.retry_ms: a request that failed is not tried again.
#define PLEXINDEX_NO_RETRY (-1)

// plexindex_options.slow_ms: no call is slow.
#define PLEXINDEX_NEVER_SLOW (-1)

// plexindex_options.flags: no request is ever sent.
#define PLEXINDEX_OPEN_OFFLINE 1

// plexindex_options.flags: any certificate is accepted. Opening logs a warning.
#define PLEXINDEX_OPEN_ACCEPT_INVALID_CERTS 2

// plexindex_options.flags: images are read into memory instead of mapped.
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

// plexindex_query.flags: the call sends no request, and answers with what is known.
#define PLEXINDEX_QUERY_OFFLINE 1

// plexindex_query.flags: plexindex_refresh() fetches a full listing, even if the server reports no change, and believes
// it, however much smaller it is. Other calls ignore the flag.
#define PLEXINDEX_QUERY_FULL 2

// plexindex_query.flags: plexindex_match_path() and plexindex_match_folder() wait for nothing: no request, no other thread,
// no read of the database. Where the answer needs that it is PLEXINDEX_NOT_YET: ask again without the flag. Other calls
// ignore it.
#define PLEXINDEX_QUERY_AT_ONCE 4

// plexindex_query.flags: plexindex_refresh() asks the server once whether anything changed, even if the listings are
// fresh. Other calls ignore the flag.
#define PLEXINDEX_QUERY_PROBE 8

// plexindex_library(): the selector is a uuid, else a title, else a section id, else a title but for case: the
// first that fits.
#define PLEXINDEX_SELECT_ANY 0

// plexindex_library(): the selector is a title; where no library has it, one that differs by case only.
#define PLEXINDEX_SELECT_TITLE 1

// plexindex_library(): the selector is a section id, such as `1`.
#define PLEXINDEX_SELECT_SECTION 2

// plexindex_library(): the selector is a uuid.
#define PLEXINDEX_SELECT_UUID 3

// plexindex_library(): all libraries; the selector must be empty.
#define PLEXINDEX_SELECT_ALL 4

// plexindex_answer.rung: nothing was found.
#define PLEXINDEX_RUNG_NONE 0

// plexindex_answer.rung: the host recorded this match.
#define PLEXINDEX_RUNG_CONFIRMED 1

// plexindex_answer.rung: the path is listed.
#define PLEXINDEX_RUNG_EXACT 2

// plexindex_answer.rung: a mapping gives a listed path.
#define PLEXINDEX_RUNG_MAPPED 3

// plexindex_answer.rung: a listed path has the same end, of two or more components.
#define PLEXINDEX_RUNG_SUFFIX 4

// plexindex_answer.rung: a listed path has the same file name.
#define PLEXINDEX_RUNG_FILE_NAME 5

// plexindex_answer.confidence: there is no item.
#define PLEXINDEX_CONFIDENCE_NONE 0

// plexindex_answer.confidence: the host has to verify the item, or to choose among the candidates.
#define PLEXINDEX_CONFIDENCE_LOW 1

// plexindex_answer.confidence: this is the file's item, as far as anything that is known can tell.
#define PLEXINDEX_CONFIDENCE_HIGH 2

// plexindex_answer.reason: there is a single item, recorded, listed or mapped.
#define PLEXINDEX_REASON_NONE 0

// plexindex_answer.reason: no library has a folder above this path.
#define PLEXINDEX_REASON_NO_LOCATION 1

// plexindex_answer.reason: a library has a folder above this path, but does not list the file. A single item has low
// confidence: only the end of its path is the same.
#define PLEXINDEX_REASON_NOT_LISTED 2

// plexindex_answer.reason: the library was never fetched completely.
#define PLEXINDEX_REASON_NOT_FETCHED 3

// plexindex_answer.reason: several items fit equally well.
#define PLEXINDEX_REASON_SEVERAL_ITEMS 4

// plexindex_answer.reason: several libraries list it.
#define PLEXINDEX_REASON_SEVERAL_LIBRARIES 5

// plexindex_answer.reason: it was invalidated, and the server has not verified it since.
#define PLEXINDEX_REASON_UNCONFIRMED 6

// plexindex_answer.reason: the item's listed path differs by its root only, so a mapping is missing. High confidence.
#define PLEXINDEX_REASON_ONLY_ROOT_DIFFERS 7

// plexindex_answer.reason: the path holds the item's title, with a film's year or an episode's or a track's number. High
// confidence.
#define PLEXINDEX_REASON_PATH_TELLS 8

// plexindex_answer.reason: the item's path has the same end or file name; nothing else speaks for it. Low confidence.
#define PLEXINDEX_REASON_NO_EVIDENCE 9

// plexindex_answer.reason: the item's path has the same end or file name, but the path asked for names another year,
// number or edition, or lies among extras, samples, copies or deleted files. Low confidence.
#define PLEXINDEX_REASON_CONTRADICTED 10

// plexindex_answer.reason: the file has several episodes. The first is the item, the candidates are all of them, in their
// order. High confidence.
#define PLEXINDEX_REASON_SEVERAL_EPISODES 11

// plexindex_answer.reason: the folder is a library's own, or lies above one, and no file is listed below it.
#define PLEXINDEX_REASON_EMPTY 12

// plexindex_answer.reason: the folder lies above those of libraries, and holds several shows, artists or items.
#define PLEXINDEX_REASON_ABOVE_LOCATIONS 13

// plexindex_answer.reason: it is not listed, and the server, which may have it, could not be asked or did not answer in
// time. With PLEXINDEX_ANSWER_STALE. The status is PLEXINDEX_NOT_YET where the call's deadline came first.
#define PLEXINDEX_REASON_UNAVAILABLE 14

// plexindex_answer.flags: the answer may be out of date. Its listing has expired, and the server could not be asked or the call
// may send no request. Or nothing is listed, and the server, which may know more, gave no answer.
#define PLEXINDEX_ANSWER_STALE 1

// plexindex_compare_paths(): the two paths have the same components.
#define PLEXINDEX_PATHS_EQUAL 65536

// plexindex_compare_paths(): the path lies under the other one, which is a folder then.
#define PLEXINDEX_PATHS_UNDER 131072

// plexindex_compare_paths(): these bits are the number of components that agree, from the end.
#define PLEXINDEX_PATHS_COMMON 65535

// plexindex_walk(): files that do not end as media of the library's kind do. Nothing is told of them.
#define PLEXINDEX_RULE_EXTENSION 1

// plexindex_walk(): files and folders whose names begin with a dot.
#define PLEXINDEX_RULE_HIDDEN 2

// plexindex_walk(): folders of systems and programs, such as lost+found.
#define PLEXINDEX_RULE_SYSTEM 4

// plexindex_walk(): folders that are being unpacked, or could not be.
#define PLEXINDEX_RULE_UNPACKING 8

// plexindex_walk(): files without a byte, links that lead nowhere, files that cannot be read.
#define PLEXINDEX_RULE_EMPTY 16

// plexindex_walk(): samples of videos.
#define PLEXINDEX_RULE_SAMPLES 32

// plexindex_walk(): trailers, interviews and the like, which are of an item.
#define PLEXINDEX_RULE_EXTRAS 64

// plexindex_walk(): the folders of discs, BDMV and VIDEO_TS.
#define PLEXINDEX_RULE_DISCS 128

// plexindex_walk(): what a file .plexignore names.
#define PLEXINDEX_RULE_PLEXIGNORE 256

// plexindex_item.flags: `path` is not valid UTF-8.
#define PLEXINDEX_ITEM_PATH_NOT_UTF8 1

// plexindex_item.flags: only the key is known. The match was recorded, and no listing holds the item.
#define PLEXINDEX_ITEM_KEY_ONLY 2

// plexindex_statistics.requests: who the server is.
#define PLEXINDEX_REQUEST_IDENTITY 0

// plexindex_statistics.requests: the list of libraries, with the times at which they changed.
#define PLEXINDEX_REQUEST_PROBE 1

// plexindex_statistics.requests: a page of a full listing.
#define PLEXINDEX_REQUEST_PAGE 2

// plexindex_statistics.requests: a page of what is new.
#define PLEXINDEX_REQUEST_DELTA 3

// plexindex_statistics.requests: a search for one path or title.
#define PLEXINDEX_REQUEST_FIND_PATH 4

// plexindex_statistics.requests: whether items still exist.
#define PLEXINDEX_REQUEST_CONFIRM 5

// plexindex_statistics.requests: a batch edit.
#define PLEXINDEX_REQUEST_EDIT 6

// plexindex_statistics.requests: an event stream.
#define PLEXINDEX_REQUEST_EVENTS 7

// plexindex_edit.lock: the named fields are locked.
#define PLEXINDEX_EDIT_LOCK 0

// plexindex_edit.lock: the named fields are unlocked.
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

// plexindex_table(): `A` to `Z` in names of entries count as `a` to `z`.
#define PLEXINDEX_TABLE_FOLD_ASCII 1

// plexindex_table_op.kind: stores `value` under `name`.
#define PLEXINDEX_TABLE_PUT 1

// plexindex_table_op.kind: removes the entry `name`.
#define PLEXINDEX_TABLE_REMOVE 2

// plexindex_table_op.kind: removes all entries of the table.
#define PLEXINDEX_TABLE_CLEAR 3

// Log level: nothing.
#define PLEXINDEX_LOG_OFF (-1)

// Log level: errors.
#define PLEXINDEX_LOG_ERROR 1

// Log level: errors and warnings. The default.
#define PLEXINDEX_LOG_WARN 2

// Log level: also what is done, such as fetches, refreshes and invalidations.
#define PLEXINDEX_LOG_INFO 3

// Log level: everything, with full paths.
#define PLEXINDEX_LOG_DEBUG 4

// The outcome of a call. The numbers are part of the ABI: none is changed or used again.
//
// 0 is success. 1 to 99 are answers that are no errors. From 100 on are errors, each hundred of one origin: 100 the
// caller, 200 the store, 300 the server, 400 the libraries.
typedef enum plexindex_status {
    // Success; for a match: one item.
    PLEXINDEX_OK = 0,
    // No item has this path, GUID or title; the answer says why.
    PLEXINDEX_NOT_FOUND = 1,
    // Several items fit equally well; the answer lists them, best first.
    PLEXINDEX_AMBIGUOUS = 2,
    // The call's deadline came before its answer was complete. The same call, made again, goes on where this one stopped.
    PLEXINDEX_NOT_YET = 3,
    // The server cannot answer within such a short deadline. Fetch the library once without one (`plexindex warm`).
    PLEXINDEX_NEEDS_WARM = 4,
    // The value of an argument is refused.
    PLEXINDEX_INVALID_ARGUMENT = 100,
    // A pointer is NULL that must not be.
    PLEXINDEX_NULL_POINTER = 101,
    // A struct has fields or flags that this version does not know, and they are set.
    PLEXINDEX_UNSUPPORTED = 102,
    // The buffer is too small. Its `length` is the size needed.
    PLEXINDEX_BUFFER_TOO_SMALL = 103,
    // The host's progress callback ended the call. What was fetched is kept.
    PLEXINDEX_ABORTED = 104,
    // A defect in plexindex was caught. The handle stays usable.
    PLEXINDEX_PANIC = 105,
    // The store cannot be opened, read or written, or no thread can be started.
    PLEXINDEX_STORE = 200,
    // The disk is full, or a limit is reached. Nothing was changed.
    PLEXINDEX_STORE_FULL = 201,
    // No connection to the server can be made.
    PLEXINDEX_CONNECT = 300,
    // The server's certificate is refused, or TLS failed in another way.
    PLEXINDEX_TLS = 301,
    // The server refuses the token (401), or the token expired (498): set a new one.
    PLEXINDEX_UNAUTHORIZED = 302,
    // The server does not allow this to the token's user (403).
    PLEXINDEX_FORBIDDEN = 303,
    // The server has no such item, library or address (404).
    PLEXINDEX_NOT_ON_SERVER = 304,
    // The answer is not from a Plex Media Server, or from one that is too old.
    PLEXINDEX_NOT_PLEX = 305,
    // The server is starting, or upgrading its database.
    PLEXINDEX_STARTING = 306,
    // The server's answer is cut off or malformed.
    PLEXINDEX_BAD_ANSWER = 307,
    // The server failed: it answered 5xx, or with another status that is not expected.
    PLEXINDEX_SERVER_ERROR = 308,
    // The server was silent for longer than the time-outs. Or the deadline came, in a call that has nothing to go on with later:
    // an edit, a question about the server, a refresh while no library is known. Other calls say 'not yet' or 'needs warm' then.
    PLEXINDEX_TIMEOUT = 309,
    // The server redirects to another host. The token is not sent there.
    PLEXINDEX_REDIRECTED = 310,
    // A request is needed, but the call or the index is offline, or there is no server URL.
    PLEXINDEX_OFFLINE = 311,
    // The server has no library with this title, section id or uuid. Or the call needs a library, and none was ever fetched, or
    // the server has not accepted a new token yet: ask the server first.
    PLEXINDEX_LIBRARY_NOT_FOUND = 400,
    // Two libraries have this title.
    PLEXINDEX_LIBRARY_AMBIGUOUS = 401,
    // The feed does not know any more what changed since the cursor: list again, in full.
    PLEXINDEX_LIST_AGAIN = 402,
} plexindex_status;

// An open index: from plexindex_open() to plexindex_close(). Any number of threads may use it at once.
typedef struct plexindex_handle plexindex_handle;

// A library of an index, or all of them, from plexindex_library(). It belongs to the index: the caller does not free
// it, and it is valid until plexindex_close(). Any number of threads may use it at once.
typedef struct plexindex_library_handle plexindex_library_handle;

// A table of the host's own values, or all of them, from plexindex_table(). It belongs to the index: the caller does
// not free it, and it is valid until plexindex_close(). Any number of threads may use it at once.
typedef struct plexindex_table_handle plexindex_table_handle;

// Text or a path given to plexindex: raw bytes, not NUL-terminated. A `length` of 0 says that nothing is given; `data`
// may be NULL then. The bytes are read during the call only.
typedef struct plexindex_bytes {
    // The first byte; may be NULL when `length` is 0.
    const char *data;
    // How many bytes.
    size_t length;
} plexindex_bytes;

// A rule between paths as the host sees them and paths as the server sees them. Rules apply in order. A rule over the
// server's paths rewrites a listed path: the first that fits it. A rule over the host's paths rewrites the path asked
// for: each that fits it, until one gives a listed path.
typedef struct plexindex_mapping {
    // PLEXINDEX_MAPPING_*: the rule's direction, and what `from` is.
    int32_t kind;
    // Zero.
    uint32_t reserved;
    // A folder, or a regular expression (UTF-8) without look-around and backreferences.
    struct plexindex_bytes from;
    // What replaces it: a folder, or a text with `\1`, `\g<1>` or `\g<name>`.
    struct plexindex_bytes to;
} plexindex_mapping;

// The caller's memory for an answer. `data` must be aligned to 8 bytes, as malloc's memory is. It may be NULL when
// `capacity` is 0. With PLEXINDEX_OK and with every answer status, `length` is the number of bytes written. With
// PLEXINDEX_BUFFER_TOO_SMALL it is the number needed, and the memory holds nothing of use: enlarge it and call again. An
// answer to one query has 16 candidates at most. It seldom takes more than 8 KiB, but no size is enough for any title and
// path.
//
// As `error`, the last argument of every function that can fail, it receives the text of this call's error: UTF-8, and a
// NUL that `length` does not count. It may be NULL, and its `data` need not be aligned. `length` is 0 after a call that
// did not fail. A text that does not fit is cut, and ends in `…` if that fits; `length` is its whole length then, which is
// not below `capacity`. No other call changes it. Where the runtime chooses the thread of a call, as that of Go does, this
// is the only way to the text. Its memory may be that of the answer, but not of what the call reads, such as a query's
// text. A buffer that cannot be one is refused before the call does anything, and no other output is written then.
typedef struct plexindex_buffer {
    // The caller's memory.
    void *data;
    // Its size in bytes.
    size_t capacity;
    // Out: bytes written, or needed.
    size_t length;
} plexindex_buffer;

// Gives a new token after the server refused the present one (401), or said that it expired (498). Writes it to
// `token->data`, where there is room for `token->capacity` bytes (16,384), and its length to `token->length`, and returns 0.
// Any other result, or the same token again, says that there is no new token now.
//
// Runs on the thread of the call that the server refused. With a new token that call is made once more. Without one, older
// answers stand in, a call that has none gives PLEXINDEX_UNAUTHORIZED, and the callback is not called for 15 seconds.
//
// One thread at a time is in the callback of an index. Other calls that need a new token wait for the callback, until their
// deadline and for `options.read_timeout_ms` at most; then they go on as without a new token. So the callback may wait for
// another thread's call.
//
// It may call plexindex functions, but not plexindex_close() of the same handle. A call on the same handle does not renew the
// token; a call on another handle renews that handle's token. It must return, as plexindex_progress_fn must.
typedef int32_t (*plexindex_renew_token_fn)(void *user, struct plexindex_buffer *token);

// How to open an index. Zero the struct, set `size` to sizeof(plexindex_options), then set what you need. A zero field
// means its default. A newer header's larger struct is accepted while the fields that this version does not know are
// zero, and refused with PLEXINDEX_UNSUPPORTED otherwise.
typedef struct plexindex_options {
    // sizeof(plexindex_options).
    size_t size;
    // The store's folder, in the file system's bytes. Required. Made, with mode 0700, when it is missing.
    struct plexindex_bytes cache_dir;
    // The server's base URL, such as `http://127.0.0.1:32400`. Without it, and without `database`, the index answers from
    // its store only.
    struct plexindex_bytes server_url;
    // The token. It is sent in a header, to this server only, and never stored.
    struct plexindex_bytes token;
    // A name for the user whose view of the server this is. Default: the token. Set it when the token changes now and
    // then: a new token of the same user keeps what the index holds. A JSON Web Token that names its key pair and its user
    // (`thumbprint`, `username`) keeps it without that, once the server has accepted it.
    struct plexindex_bytes user;
    // A PEM file with certificate authorities to trust besides the system's.
    struct plexindex_bytes ca_file;
    // For how many milliseconds a listing is fresh. 0: one hour. PLEXINDEX_TTL_AT_ONCE, PLEXINDEX_TTL_NEVER. Other
    // negative values are refused.
    int64_t library_ttl_ms;
    // After how many milliseconds a full listing is due, even if the server reports no change. 0: 24 hours. Negative
    // values are refused.
    int64_t max_age_ms;
    // The deadline of calls that name none, in milliseconds. 0: none. Negative values are refused.
    int64_t deadline_ms;
    // How long making a connection may take, in milliseconds. 0: 5,000.
    int64_t connect_timeout_ms;
    // How long the server may be silent before and within an answer, in milliseconds. 0: 60,000. A request that lists nothing
    // waits 15,000 at most, unless plexindex_refresh() sends it.
    int64_t read_timeout_ms;
    // For how many milliseconds a request is tried again after a failure that may pass. 0: 30,000. PLEXINDEX_NO_RETRY:
    // it is not tried again.
    int64_t retry_ms;
    // How many bytes recorded matches may take on disk. Those recorded longest ago are removed first. 0: 52,428,800.
    uint64_t matches_limit;
    // PLEXINDEX_OPEN_* flags, or'ed.
    uint32_t flags;
    // How many rows of a listing are asked for at once, 1 to 1,000. 0: 1,000.
    uint32_t page_size;
    // Which log lines are kept for plexindex_drain_log(): PLEXINDEX_LOG_*. 0: warnings and errors. The process has one
    // level: the index that is opened last sets it.
    int32_t log_level;
    // Zero.
    uint32_t reserved;
    // `mappings_count` rules between the host's paths and the server's; may be NULL when that is 0. Read during
    // plexindex_open() only.
    const struct plexindex_mapping *mappings;
    // How many rules.
    size_t mappings_count;
    // A call that takes so many milliseconds is logged with what it spent its time on: as a warning, or with
    // PLEXINDEX_LOG_INFO when it fetched a library or waited for another call's fetch. 0: 1,000. PLEXINDEX_NEVER_SLOW.
    // Other negative values are refused.
    int64_t slow_ms;
    // How many bytes the whole folder may take. Libraries that were asked for longest ago are removed first, one by one,
    // and fetched again when they are asked for. Recorded matches, tables, and the library asked for last stay, even if
    // they take more: plexindex_statistics.over_limit says so. 0: no limit.
    uint64_t size_limit;
    // Plex's own database, in the file system's bytes: the file com.plexapp.plugins.library.db, the folder that it lies
    // in, which is called Databases, or the folder 'Plex Media Server' above that. It is read beside the running server, and
    // never written. Alone it needs neither `server_url` nor `token`, and no request is sent. The index then shows all libraries
    // of the server. Default: none; an empty one is none. It is never searched for.
    struct plexindex_bytes database;
    // Called for a new token when the server refuses the one that there is; may be NULL. plexindex_set_token() sets one at any
    // time.
    plexindex_renew_token_fn renew_token;
    // Passed to `renew_token` unchanged.
    void *renew_token_user;
} plexindex_options;

// How far a fetch has come. Valid during the callback only.
typedef struct plexindex_progress {
    // sizeof(plexindex_progress) as this library knows it.
    size_t size;
    // The title of the library that is being fetched, UTF-8. Empty, with counts of 0, while the call waits for the
    // list of libraries or for another fetch.
    struct plexindex_bytes library;
    // Items fetched so far, including those of an earlier fetch that was interrupted.
    uint64_t items;
    // Items in all, as the server reports; 0 when it does not.
    uint64_t total;
    // Milliseconds since this call began to fetch.
    uint64_t elapsed_ms;
} plexindex_progress;

// Receives how far a fetch has come, at least every 100 ms while a call waits for the server. Runs on the thread that
// made the call. Return 0 to go on. Anything else ends the call with PLEXINDEX_ABORTED, also where all is fetched by then:
// it is not called again, and what was fetched is kept for the next call. After the last page of a fetch it is called once more.
//
// The callback may call any plexindex function but plexindex_close() of the same handle. The fetch goes on meanwhile. A call
// that needs what is being fetched waits for that, and then asks the server for what it still needs.
//
// It must return. A thread that is ended in it (pthread_exit, pthread_cancel) sleeps for ever instead, on Linux, and
// keeps what the call holds.
typedef int32_t (*plexindex_progress_fn)(void *user, const struct plexindex_progress *progress);

// A query. Zero the struct, set `size` to sizeof(plexindex_query), then set what you need.
typedef struct plexindex_query {
    // sizeof(plexindex_query).
    size_t size;
    // The library; NULL for all of them.
    const struct plexindex_library_handle *library;
    // The path, GUID or title. A path is the file system's bytes, not empty, and without NUL.
    struct plexindex_bytes text;
    // How long the call may take, in milliseconds. 0: as the options say. PLEXINDEX_NO_DEADLINE: as long as it takes.
    // Other negative values are refused.
    int64_t deadline_ms;
    // PLEXINDEX_QUERY_* flags, or'ed.
    uint32_t flags;
    // Zero.
    uint32_t reserved;
    // Called on this thread while the call waits for the server; may be NULL.
    plexindex_progress_fn progress;
    // Passed to `progress` unchanged.
    void *progress_user;
} plexindex_query;

// A string inside an answer. It begins `offset` bytes after the block's first byte, and a NUL that `length` does not
// count follows it. 0, 0: there is no string. An empty string has an offset.
typedef struct plexindex_text {
    // From the block's first byte; 0: none.
    uint32_t offset;
    // In bytes, without the NUL.
    uint32_t length;
} plexindex_text;

// The answer for one path, folder, GUID or title.
typedef struct plexindex_answer {
    // PLEXINDEX_OK, PLEXINDEX_NOT_FOUND, PLEXINDEX_AMBIGUOUS, PLEXINDEX_NOT_YET, PLEXINDEX_NEEDS_WARM, or, in a batch,
    // the error of this one query.
    int32_t status;
    // PLEXINDEX_RUNG_*: how the item was found.
    uint8_t rung;
    // PLEXINDEX_CONFIDENCE_*.
    uint8_t confidence;
    // PLEXINDEX_REASON_*: why there is no single item. With PLEXINDEX_RUNG_SUFFIX and PLEXINDEX_RUNG_FILE_NAME: what
    // speaks for the item, or against it.
    uint8_t reason;
    // PLEXINDEX_ANSWER_* flags, or'ed.
    uint8_t flags;
    // Where the single item (plexindex_item) begins, from the block's first byte; 0: there is none.
    uint32_t item;
    // Where the candidates (an array of plexindex_item, best first) begin; 0: there are none.
    uint32_t candidates;
    // How many candidates are in the array.
    uint32_t candidates_count;
    // How many fit in all.
    uint32_t candidates_total;
    // A sentence for people: what `reason` says, or the error's text. There is none for PLEXINDEX_REASON_NONE.
    struct plexindex_text message;
    // Milliseconds since the listing that answered was last known to be current; -1: no listing answered.
    int64_t age_ms;
    // plexindex_match_folder(): how many items have a file below the folder. 0 in other answers, where several folders
    // fit by their end, and of a library that was never fetched.
    uint64_t items;
    // plexindex_match_folder(): how many listed files are below the folder; 0 as above.
    uint64_t files;
    // plexindex_match_folder(): what the folder is, as plexindex_item.kind has it: 2 a show, 3 a season, 8 an artist, 9 an
    // album, else the type of its one item. 0 where there is no single one.
    int32_t kind;
    // Zero.
    uint32_t reserved;
} plexindex_answer;

// An item, as the index knows it. A text that the index does not know is 0, 0.
typedef struct plexindex_item {
    // Plex's address of the item, `/library/metadata/<rating key>`.
    struct plexindex_text key;
    // Plex's rating key.
    struct plexindex_text rating_key;
    // Title; for an episode the episode's.
    struct plexindex_text title;
    // Scalar GUID.
    struct plexindex_text guid;
    // Title of the show, for a track or album of the artist.
    struct plexindex_text show_title;
    // Rating key of the show or artist.
    struct plexindex_text show_rating_key;
    // Scalar GUID of the show or artist.
    struct plexindex_text show_guid;
    // The listed path that fits, as the server spells it; for a recorded match the recorded path.
    struct plexindex_text path;
    // Section id of its library.
    struct plexindex_text section;
    // Title of its library.
    struct plexindex_text library_title;
    // Plex's number of the type: 1 movie, 4 episode, 10 track, 12 clip, 13 photo, 0 unknown; of a folder also 2 show,
    // 3 season, 8 artist and 9 album.
    int32_t kind;
    // Year; 0: unknown.
    int32_t year;
    // Season, for a track the disc; of a show in a folder's answer the one that all episodes below are of, where the server
    // tells no key of it. -1: none.
    int32_t season;
    // Episode or track number; -1: none.
    int32_t episode;
    // PLEXINDEX_ITEM_* flags, or'ed.
    uint32_t flags;
    // Zero.
    uint32_t reserved;
} plexindex_item;

// An edit of items, for plexindex_edit_items(). Zero the struct, set `size` to sizeof(plexindex_edit), then set what
// you need.
typedef struct plexindex_edit {
    // sizeof(plexindex_edit).
    size_t size;
    // The items' library: one, not all.
    const struct plexindex_library_handle *library;
    // `keys_count` keys or rating keys, each followed by a NUL. Never empty: a server without keys would edit every
    // item of the library.
    struct plexindex_bytes keys;
    // How many keys.
    size_t keys_count;
    // `changes_count` pairs of a name and a value, each followed by a NUL, UTF-8. The name `title` sets that field to
    // the value, `genre+` adds the value to those tags, `genre-` removes it from them. `title!` changes the field's
    // lock only, and its value is empty. The names are Plex's. What is nearly one of them is refused, with what was
    // meant; any other name is sent, and the server decides.
    struct plexindex_bytes changes;
    // How many pairs of a name and a value. Never 0.
    size_t changes_count;
    // How long the call may take, in milliseconds. 0: as the options say. PLEXINDEX_NO_DEADLINE: as long as it takes.
    // Other negative values are refused.
    int64_t deadline_ms;
    // PLEXINDEX_EDIT_LOCK locks the fields that are named: the server's agents leave them alone. PLEXINDEX_EDIT_UNLOCK
    // unlocks them. PLEXINDEX_EDIT_LEAVE leaves their locks as they are.
    int32_t lock;
    // Zero.
    uint32_t reserved;
} plexindex_edit;

// How far an edit came, whether it succeeded or not. Zero the struct and set `size` to sizeof(plexindex_edit_report).
// Set `states` to learn which items were edited.
typedef struct plexindex_edit_report {
    // sizeof(plexindex_edit_report).
    size_t size;
    // Receives PLEXINDEX_EDITED_* for each key, in order; may be NULL.
    uint8_t *states;
    // How many states fit. Keys beyond that get no state.
    size_t states_capacity;
    // Out: keys whose items the server edited.
    uint64_t done;
    // Out: keys of the request that failed. Whether the server edited their items is not known.
    uint64_t failed;
    // Out: requests, with the one that failed and without retries.
    uint64_t requests;
} plexindex_edit_report;

// A change of a table, for plexindex_table_write().
typedef struct plexindex_table_op {
    // PLEXINDEX_TABLE_PUT, PLEXINDEX_TABLE_REMOVE or PLEXINDEX_TABLE_CLEAR.
    int32_t kind;
    // Zero.
    uint32_t reserved;
    // The table.
    const struct plexindex_table_handle *table;
    // The entry's name; NULL and 0 for PLEXINDEX_TABLE_CLEAR.
    struct plexindex_bytes name;
    // Its value; NULL and 0 but for PLEXINDEX_TABLE_PUT.
    struct plexindex_bytes value;
} plexindex_table_op;

// What happened. Set `size` to sizeof(plexindex_statistics); the library fills in what both sides know. A count is of
// this handle's life unless its comment says otherwise.
typedef struct plexindex_statistics {
    // sizeof(plexindex_statistics).
    size_t size;
    // Answers by rung, fast lookups included: PLEXINDEX_RUNG_* is the index. 0 counts answers without an item.
    uint64_t answers[6];
    // Fast lookups that found nothing.
    uint64_t lookup_misses;
    // Answers from a listing that had expired.
    uint64_t stale_answers;
    // Requests sent by kind, retries included: PLEXINDEX_REQUEST_* is the index.
    uint64_t requests[8];
    // Bytes of the server's answers as they came over the wire, without their heads.
    uint64_t bytes_received;
    // Requests of all kinds and all processes over the store's life, as last written.
    uint64_t store_requests;
    // Answers of all processes over the store's life, as last written.
    uint64_t store_answers;
    // Full listings completed.
    uint64_t listings;
    // Microseconds spent waiting for the server.
    uint64_t network_us;
    // Microseconds spent reading and writing the store.
    uint64_t store_us;
    // Microseconds spent building and opening images.
    uint64_t image_us;
    // Items listed now, in all libraries of this server and user.
    uint64_t items;
    // Recorded matches stored now.
    uint64_t matches;
    // Libraries known now.
    uint64_t libraries;
    // Bytes that the store takes on disk, images included.
    uint64_t disk_bytes;
    // The store's change sequence.
    uint64_t sequence;
    // Events about libraries, from the server (plexindex_watch_start()) and from plexindex_notify().
    uint64_t events;
    // Writes that stored what events say. There are fewer than events, since several are stored at once.
    uint64_t hints;
    // Microseconds spent reading the server's answers: decompressing and parsing.
    uint64_t parse_us;
    // Microseconds spent waiting for other fetches, and before requests were tried again.
    uint64_t wait_us;
    // Microseconds spent matching, fast lookups not included.
    uint64_t match_us;
    // Calls that query, refresh or record; fast lookups not included.
    uint64_t calls;
    // Microseconds that these calls took in all. The parts above overlap: a page is stored while the next one comes.
    uint64_t calls_us;
    // How many of these calls were slow: plexindex_options.slow_ms.
    uint64_t slow_calls;
    // How often an old answer was given because the server could not be asked, or its answer could not be stored.
    // plexindex_stats_json() says why it was the last time.
    uint64_t failures;
    // How many bytes the folder may take: plexindex_options.size_limit. 0: no limit.
    uint64_t size_limit;
    // How many bytes what has to stay is beyond that limit. Not 0: the limit is too small.
    uint64_t over_limit;
    // How many libraries were removed for a limit, by all processes over the store's life.
    uint64_t evictions;
} plexindex_statistics;

// Receives a log line. Runs on the thread that called plexindex_drain_log(). `message` is UTF-8, not NUL-terminated,
// and valid during the callback only. It holds no token, and no full path unless `level` is PLEXINDEX_LOG_DEBUG. The
// callback must return, as plexindex_progress_fn must.
typedef void (*plexindex_log_fn)(void *user, int32_t level, const char *message, size_t length);

// The head of a block of answers, at the buffer's first byte.
typedef struct plexindex_answers {
    // sizeof(plexindex_answers) as the library knows it.
    uint32_t size;
    // sizeof(plexindex_answer) as the library knows it: the distance from one answer to the next.
    uint32_t answer_size;
    // sizeof(plexindex_item) as the library knows it: the distance from one candidate to the next.
    uint32_t item_size;
    // How many answers: one for each query, in order.
    uint32_t count;
    // Where the first answer begins, from the block's first byte.
    uint32_t first;
    // How many log lines wait for plexindex_drain_log().
    uint32_t log_lines;
} plexindex_answers;

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

// The ABI version of this library: PLEXINDEX_ABI_VERSION of the header that it was built with. Never fails.
uint32_t plexindex_abi_version(void);

// The version of this library, such as `0.1.0`: static, NUL-terminated, never NULL.
const char *plexindex_version(void);

// The name of a status without its prefix, such as `NOT_FOUND`. A number that this version does not know gives
// `UNKNOWN`. Static, NUL-terminated, never NULL.
const char *plexindex_status_name(int32_t status);

// The text of this thread's last error: a status from 100 on. It names the input and the remedy. UTF-8,
// NUL-terminated, never NULL, and empty before the first error. It belongs to the thread and is valid until
// the thread's next call that fails; no other call ends it. A text that is too long ends in `…`. Where calls are made on
// threads that the runtime chooses, give each call a buffer of its own instead: the argument `error` (plexindex_buffer).
const char *plexindex_last_error_message(void);

// Opens an index. Reads the disk only and sends no request. Several handles and several processes may have the same
// folder open.
//
// `options`: see plexindex_options; read during the call only. `out_handle`: receives the handle on PLEXINDEX_OK, and
// NULL otherwise.
//
// Returns PLEXINDEX_OK; PLEXINDEX_NULL_POINTER; PLEXINDEX_INVALID_ARGUMENT or PLEXINDEX_UNSUPPORTED for options that
// are refused; PLEXINDEX_STORE or PLEXINDEX_STORE_FULL when the store cannot be opened or made.
//
// Precondition: pointers must be NULL or valid.
int32_t plexindex_open(const struct plexindex_options *options,
                       struct plexindex_handle **out_handle,
                       struct plexindex_buffer *error);

// Replaces the token of an open index. Sends no request. Calls that are under way go on with the token that they began with.
// A watch connects again with the new one. A failure that was remembered is forgotten.
//
// With `options.user` all that the index holds stays, and answers at once.
//
// Without it the index answers nothing until the server has accepted the new token. The next call that may send a request finds
// that out. Until then plexindex_changes_json() and plexindex_notify() give PLEXINDEX_LIBRARY_NOT_FOUND ('the server has not
// accepted the token yet').
//
// Once the server has accepted it, the index holds again what it held for this same token, or for the same user: a JSON Web
// Token names its user by its key pair and its name (`thumbprint`, `username`). Cursors of the feed hold, too. For any other
// token the index begins anew: libraries are listed again, and plexindex_changes_json() gives PLEXINDEX_LIST_AGAIN for earlier
// cursors.
//
// `token`, `length`: as options.token; NULL and 0 for none. Read during the call only.
//
// Returns PLEXINDEX_OK; PLEXINDEX_INVALID_ARGUMENT for a text that cannot be a token; PLEXINDEX_NULL_POINTER; PLEXINDEX_STORE.
//
// Precondition: pointers must be NULL or valid; `handle` must be open.
int32_t plexindex_set_token(const struct plexindex_handle *handle,
                            const char *token,
                            size_t length,
                            struct plexindex_buffer *error);

// Closes an index. Its counters are written, and no thread of the library runs afterwards. NULL is fine.
//
// The handle and its library handles are invalid from the start of this call on, and the library cannot detect their
// use: no other thread may be in a call with them, and none may begin one.
//
// Returns PLEXINDEX_OK; PLEXINDEX_STORE when the counters could not be written. The index is closed all the same, unless
// `error` was refused.
//
// Precondition: `handle` must be NULL or come from plexindex_open() and not be closed yet.
int32_t plexindex_close(struct plexindex_handle *handle,
                        struct plexindex_buffer *error);

// Gives a handle for one library, or for all. Sends no request. A library that the store does not know is no error
// here: the first call that uses the handle asks the server for it.
//
// `kind`: PLEXINDEX_SELECT_*. `selector`, `length`: the title, section id or uuid, UTF-8; NULL and 0 with
// PLEXINDEX_SELECT_ALL. `out_library`: receives the handle on PLEXINDEX_OK, and NULL otherwise. The same selector gives
// the same handle. It lasts as long as the index. For names that no known library has, an index gives out 1,024 handles
// at most.
//
// Returns PLEXINDEX_OK; PLEXINDEX_LIBRARY_AMBIGUOUS when two known libraries have the title (the message lists their
// ids); PLEXINDEX_INVALID_ARGUMENT, also for one unknown name too many; PLEXINDEX_NULL_POINTER.
//
// Precondition: pointers must be NULL or valid; `handle` must be open.
int32_t plexindex_library(const struct plexindex_handle *handle,
                          int32_t kind,
                          const char *selector,
                          size_t length,
                          const struct plexindex_library_handle **out_library,
                          struct plexindex_buffer *error);

// The fast lookup: the key (`/library/metadata/<rating key>`) of the item with this path, where the index has it at
// hand with PLEXINDEX_CONFIDENCE_HIGH.
//
// `path`: the file system's bytes, NUL-terminated.
//
// Returns the key, NUL-terminated. It belongs to the thread and is valid until the thread's next call of
// plexindex_lookup_key() or plexindex_table_lookup(), on any handle; no other function ends it.
// NULL says that a fast lookup does not know: the path is not known, ambiguous, of low confidence or invalidated, or
// this process has to read a change first, such as the first listing that another process made. Ask plexindex_match_path()
// then. NULL arguments give NULL.
//
// It never sends a request and never calls back. When nothing changed since the last one, it waits for nothing, takes no
// lock, allocates nothing and makes no system call, except that twice a second it checks whether the store is still there.
// After a change it waits at most 200 ms for a thread of this process that reads it. It answers from an expired listing
// too: only plexindex_match_path() renews one.
//
// Precondition: `library` must be NULL or a handle of an open index; `path` NULL or NUL-terminated.
const char *plexindex_lookup_key(const struct plexindex_library_handle *library,
                                 const char *path);

// plexindex_lookup_key() for many paths in one call.
//
// `paths`: `count` paths, each followed by a NUL, `length` bytes in all. `keys`: receives `count` keys in the same
// order, each followed by a NUL. An empty key says that a fast lookup does not know.
//
// Returns PLEXINDEX_OK; PLEXINDEX_BUFFER_TOO_SMALL; PLEXINDEX_NULL_POINTER; PLEXINDEX_INVALID_ARGUMENT when `paths`
// does not hold exactly `count` NULs or does not end with one.
//
// Precondition: pointers must be NULL or valid; `library` must be a handle of an open index.
int32_t plexindex_lookup_keys(const struct plexindex_library_handle *library,
                              const char *paths,
                              size_t length,
                              size_t count,
                              struct plexindex_buffer *keys,
                              struct plexindex_buffer *error);

// The full answer for one path. Climbs the ladder of PLEXINDEX_RUNG_*, and sends requests where they are needed and
// allowed.
//
// `query`: see plexindex_query. `answer`: receives a block: plexindex_answers, one plexindex_answer, and what they
// point to.
//
// Returns the answer's status, with the block written: PLEXINDEX_OK, PLEXINDEX_NOT_FOUND, PLEXINDEX_AMBIGUOUS,
// PLEXINDEX_NOT_YET or PLEXINDEX_NEEDS_WARM. Returns PLEXINDEX_BUFFER_TOO_SMALL, or an error, without a block. When
// the library was never fetched and cannot be fetched now, that is the server's error.
//
// Precondition: pointers must be NULL or valid; `handle` must be open, and the query's library one of it.
int32_t plexindex_match_path(const struct plexindex_handle *handle,
                             const struct plexindex_query *query,
                             struct plexindex_buffer *answer,
                             struct plexindex_buffer *error);

// plexindex_match_path() for many paths: one block with `count` answers, in order, each with its own status.
//
// `query`: `text` holds `count` paths, each followed by a NUL.
//
// Returns PLEXINDEX_OK with the block written, whatever the answers' statuses; PLEXINDEX_BUFFER_TOO_SMALL;
// PLEXINDEX_INVALID_ARGUMENT; an error that concerns all paths. After PLEXINDEX_BUFFER_TOO_SMALL the answers are lost:
// enlarge the buffer and call again.
//
// Precondition: as plexindex_match_path().
int32_t plexindex_match_paths(const struct plexindex_handle *handle,
                              const struct plexindex_query *query,
                              size_t count,
                              struct plexindex_buffer *answers,
                              struct plexindex_buffer *error);

// Which show, season, artist, album or item a folder is: the deepest one that all listed files below it share.
//
// `query`: `text` is the path of the folder; separators at its end do not count. `answer`: as for plexindex_match_path(),
// with `items`, `files` and `kind`. The item is the show or artist, or the season or album if all files below are of one,
// with its key, title and GUID; the show of a season is told as that of an episode. Of hidden seasons the server tells no
// key: the item is the show then, with the `season`. What has no show is itself the item, if it is the only one. Where several
// are below, as in a library's own folder, the candidates are the first 16 of them. `path` of an item is the folder, as the
// server spells it; of one of several the file or folder in which it lies there.
//
// The rungs are those of files: PLEXINDEX_RUNG_EXACT for a folder of listed files, PLEXINDEX_RUNG_MAPPED, and the end of
// the path with two components or one. That a folder's end is the same is of high confidence only with
// PLEXINDEX_REASON_ONLY_ROOT_DIFFERS. Without an item: PLEXINDEX_REASON_EMPTY, _NOT_LISTED, _NOT_FETCHED, _NO_LOCATION, or
// what several candidates have.
//
// The index answers. A library that was never fetched, or whose listing has expired, is fetched first, as by
// plexindex_match_path(). With a deadline a library that was never fetched is asked first for one file below the folder,
// which is looked for on this machine: if the server has it, and the folder, or the one that it is a season or disc of, is
// called as its show, artist, album or film, that is the answer, with 0 for `items` and `files`. A disk that does not answer may
// take longer than the deadline. From Plex's database all that is below the folder is read at once, with or without a deadline,
// and answers as after a listing. Returns what plexindex_match_path() returns.
//
// Precondition: as plexindex_match_path().
int32_t plexindex_match_folder(const struct plexindex_handle *handle,
                               const struct plexindex_query *query,
                               struct plexindex_buffer *answer,
                               struct plexindex_buffer *error);

// The items with files below a folder, one page a call, in the order of their paths. Sends no request.
//
// `library`: one, or all of them. `path`: the folder. `after`: the `path` of the last candidate of the page before; NULL and
// 0 for the first page. `limit`: how many files a page has, 1 to 10,000. `page`: receives a block with one answer whose
// candidates are the items, each with one of its files below the folder as `path`: an item of several files comes with
// each. A page has more than `limit` where the last file is of several items.
//
// A change between two pages moves no file that was not changed itself: none comes twice, none is missed. The folder is
// found as by plexindex_match_folder(); one that is found by its end counts with PLEXINDEX_CONFIDENCE_HIGH only.
//
// Returns the answer's status: PLEXINDEX_OK with items, PLEXINDEX_NOT_FOUND after the last page. Returns
// PLEXINDEX_BUFFER_TOO_SMALL; PLEXINDEX_INVALID_ARGUMENT; PLEXINDEX_LIBRARY_NOT_FOUND when the library was never fetched
// (plexindex_refresh() does that), or was removed for the limit on the folder.
//
// Precondition: pointers must be NULL or valid; `library` must be a handle of an open index.
int32_t plexindex_items_below(const struct plexindex_library_handle *library,
                              const char *path,
                              size_t path_length,
                              const char *after,
                              size_t after_length,
                              size_t limit,
                              struct plexindex_buffer *page,
                              struct plexindex_buffer *error);

// The items with this GUID: `plex://…`, `imdb://tt…`, `tmdb://…`, `tvdb://…`, or that of a legacy agent. The GUID of a
// show or season gives its episodes, that of an artist or album its tracks; the message names it with its key. One item is
// PLEXINDEX_OK, several are PLEXINDEX_AMBIGUOUS: at most 16 of them are given, with the count of all.
//
// `query`: `text` is the GUID. `answer`: as for plexindex_match_path().
//
// The index answers. A library that was never fetched, or whose listing has expired, is fetched first, as by
// plexindex_match_path(). Returns what plexindex_match_path() returns.
//
// Precondition: as plexindex_match_path().
int32_t plexindex_match_guid(const struct plexindex_handle *handle,
                             const struct plexindex_query *query,
                             struct plexindex_buffer *answer,
                             struct plexindex_buffer *error);

// The items with this title. Case, accents and punctuation do not count. When no item has the title, the items whose
// titles hold all its words. The title of a show gives its episodes.
//
// `query`: `text` is the title, UTF-8. `answer`: as for plexindex_match_path().
//
// The index answers, as for plexindex_match_guid(). Returns what plexindex_match_path() returns.
//
// Precondition: as plexindex_match_path().
int32_t plexindex_search_title(const struct plexindex_handle *handle,
                               const struct plexindex_query *query,
                               struct plexindex_buffer *answer,
                               struct plexindex_buffer *error);

// How many answers a block has: one for each query, in order. 0 for a buffer that holds no block.
//
// The functions plexindex_block_*() read a block that plexindex_match_path() and the like wrote. They check each offset
// against `block`, which is the buffer as that call left it. They cannot fail: what is not there is NULL, or 0. Any
// thread may call them, and what they give lies in the buffer's memory.
//
// Precondition: `block` must be NULL or valid.
size_t plexindex_block_answers(const struct plexindex_buffer *block);

// The answer at this place of a block, from 0 on. NULL beyond the last one.
//
// Precondition: `block` must be NULL or valid.
const struct plexindex_answer *plexindex_block_answer(const struct plexindex_buffer *block, size_t place);

// The single item of an answer. NULL when there is none, as for an answer that is ambiguous.
//
// `answer`: from plexindex_block_answer(), or a copy of that.
//
// Precondition: pointers must be NULL or valid.
const struct plexindex_item *plexindex_block_item(const struct plexindex_buffer *block,
                                                  const struct plexindex_answer *answer);

// The candidate at this place of an answer, from 0 on, the best first. NULL beyond the last one:
// plexindex_answer.candidates_count says how many there are.
//
// `answer`: from plexindex_block_answer(), or a copy of that.
//
// Precondition: pointers must be NULL or valid.
const struct plexindex_item *plexindex_block_candidate(const struct plexindex_buffer *block,
                                                       const struct plexindex_answer *answer,
                                                       size_t place);

// A text of a block, NUL-terminated: plexindex_text.length bytes. NULL when there is none. An empty text is not NULL.
//
// `text`: a field of an answer or an item, such as `&item->title`, or a copy of that.
//
// Precondition: pointers must be NULL or valid.
const char *plexindex_block_text(const struct plexindex_buffer *block,
                                 const struct plexindex_text *text);

// Compares one path with others, as the index compares a path with what Plex lists. Case and the Unicode form do not
// count. `\` separates components in paths that begin like those of Windows. For hosts that have a listing of their
// own: the call needs no index, reads no file and sends no request.
//
// `path`: `path_length` bytes. `others`: `count` paths, each followed by a NUL, `others_length` bytes in all.
// `relations`: receives `count` numbers. Each holds PLEXINDEX_PATHS_EQUAL, PLEXINDEX_PATHS_UNDER or neither; its bits
// PLEXINDEX_PATHS_COMMON say how many components agree, counted from the end.
//
// Returns PLEXINDEX_OK; PLEXINDEX_NULL_POINTER; PLEXINDEX_INVALID_ARGUMENT when `others` does not hold exactly `count`
// NULs or does not end with one.
//
// Precondition: pointers must be NULL or valid.
int32_t plexindex_compare_paths(const char *path,
                                size_t path_length,
                                const char *others,
                                size_t others_length,
                                size_t count,
                                uint32_t *relations,
                                struct plexindex_buffer *error);

// Walks folders of this machine for a while, and tells what there is that is not listed without a doubt. Sends no request.
// plexindex_items_not_on_disk() is the other direction.
//
// `library`: one, or all of them: what lies in a folder that only others have is not told. `folders`: `count` pairs of texts
// that NULs follow, `length` bytes in all: `folder` or `twin_folder` and the full path; and `walk`, once, and a number, 0 to begin
// a walk that goes on with further calls. `rules`: those of
// PLEXINDEX_RULE_* that hold. Outside every library's folder only EXTENSION, HIDDEN, SYSTEM and EMPTY do. `limit`: after so
// many names, 1 to 1,000,000, and after 200 ms, the call ends with the folder that it reads.
//
// `files`: receives how many media files there were, those included that are listed. `page`: receives findings, four texts each,
// of which a NUL follows every one: what it is; why; the path; and the line of a .plexignore, or nothing.
//
// - `folder`, `twin_folder`: it is to be walked yet. These come last. Give these to the next call, before those that you kept back: then
//   folders come by their names, and few wait.
// - `walk`: behind them. The walk is not over. Why: its number, for the next call. Call without a folder when none is left: then
//   links are followed. A walk that is given up needs no call: an index remembers the 64 that went on last.
// - `file`, `twin_file`: a media file that plexindex_lookup_key() does not know; ask plexindex_match_path(). Why: the name of the
//   rule that leaves it out unless it is listed, such as `hidden` for PLEXINDEX_RULE_HIDDEN, or nothing.
// - `left_out`: a folder. Why: the name of a rule; `loop` for a link that leads to a folder above it; `linked` for a folder that
//   was read already, by another path: the last text is its real path.
// - `link`: a link to a folder, which is not followed: only without `walk`.
// - `unreadable`: a folder or a link. Why: the number of the system's error.
//
// Of a `twin_` another name in its folder, or of a folder above it, differs in case or composition only: a lookup may find the
// other one. Files outside every library's folder are all told of: a lookup may find one below another root. A walk reads each
// real folder (device and inode) once below a location, and follows links when all that is reached without them was read: which
// of two is followed depends on their paths only. The findings are lost with PLEXINDEX_BUFFER_TOO_SMALL: enlarge the buffer
// and call again with the same texts.
//
// The call has three threads beside the caller's, which end before it returns.
//
// Returns PLEXINDEX_OK; PLEXINDEX_BUFFER_TOO_SMALL; PLEXINDEX_INVALID_ARGUMENT, also for a walk that is over or with which another
// call goes on; PLEXINDEX_LIBRARY_NOT_FOUND for a library that is not known.
//
// Precondition: pointers must be NULL or valid; `library` must be a handle of an open index.
int32_t plexindex_walk(const struct plexindex_library_handle *library,
                       const char *folders,
                       size_t length,
                       size_t count,
                       uint32_t rules,
                       size_t limit,
                       uint64_t *files,
                       struct plexindex_buffer *page,
                       struct plexindex_buffer *error);

// Those of the items that plexindex_items_below() gives whose files are not on this machine's disk, as mappings name them
// there (plexindex_host_path() tells how), one page a call. Sends no request. With a page come, too, the files of items that
// have several, and the last one of the `limit` files that were looked for: to know, look again.
//
// `library`: one, or all of them. `path`: the folder. `after`: the `path` of the last candidate of the page before; NULL and
// 0 for the first page. `limit`: how many files are looked for, 1 to 10,000. `page`: receives a block as from
// plexindex_items_below(). `files` of the answer says how many were looked for. What a mapping of
// the kind PLEXINDEX_MAPPING_HOST_PATTERN leads to is not found: it leads one way. The call has three threads beside the
// caller's, which end before it returns.
//
// Returns what plexindex_items_below() returns.
//
// Precondition: as plexindex_items_below().
int32_t plexindex_items_not_on_disk(const struct plexindex_library_handle *library,
                                    const char *path,
                                    size_t path_length,
                                    const char *after,
                                    size_t after_length,
                                    size_t limit,
                                    struct plexindex_buffer *page,
                                    struct plexindex_buffer *error);

// What a path of the server is called on this machine, by the index's mappings, or the path itself where none fits: the way
// back from an item's `path` to the file. A mapping of the kind PLEXINDEX_MAPPING_HOST_PATTERN leads one way, so behind it the
// path stays as it is. Reads no file, and sends no request.
//
// `path`: `path_length` bytes, as the server has them. `host`: receives the bytes, and a NUL behind them that the length does
// not count.
//
// Returns PLEXINDEX_OK; PLEXINDEX_BUFFER_TOO_SMALL; PLEXINDEX_INVALID_ARGUMENT for an empty path, or one with a NUL.
//
// Precondition: pointers must be NULL or valid; `handle` must be open.
int32_t plexindex_host_path(const struct plexindex_handle *handle,
                            const char *path,
                            size_t path_length,
                            struct plexindex_buffer *host,
                            struct plexindex_buffer *error);

// Records that the item with this key has this path. A recorded match is stored, never expires, and answers first.
//
// `library`: one library, not all. `path`: the file system's bytes. `key`: the item's key or rating key, UTF-8. A
// rating key has at most 255 bytes; a longer one is PLEXINDEX_INVALID_ARGUMENT, here and wherever a key is given.
//
// Returns PLEXINDEX_OK once the match is stored, for every process; PLEXINDEX_INVALID_ARGUMENT; PLEXINDEX_STORE or
// PLEXINDEX_STORE_FULL; PLEXINDEX_LIBRARY_NOT_FOUND when the library is not known and the server cannot be asked.
//
// Precondition: pointers must be NULL or valid; `library` must be a handle of an open index.
int32_t plexindex_record_match(const struct plexindex_library_handle *library,
                               const char *path,
                               size_t path_length,
                               const char *key,
                               size_t key_length,
                               struct plexindex_buffer *error);

// plexindex_record_match() for many in one transaction: all are recorded, or none.
//
// `paths`, `keys`: `count` of each, each followed by a NUL.
//
// Returns what plexindex_record_match() returns.
//
// Precondition: as plexindex_record_match().
int32_t plexindex_record_matches(const struct plexindex_library_handle *library,
                                 const char *paths,
                                 size_t paths_length,
                                 const char *keys,
                                 size_t keys_length,
                                 size_t count,
                                 struct plexindex_buffer *error);

// Invalidates a path. Its recorded match is removed. An item that lists the path is not answered for it again until
// one request has verified it.
//
// Returns PLEXINDEX_OK, also for a path that is not known; PLEXINDEX_LIBRARY_NOT_FOUND until the server has accepted a new token,
// as plexindex_notify(); an error of the arguments or of the store.
//
// Precondition: pointers must be NULL or valid; `library` must be a handle of an open index (all libraries are fine).
int32_t plexindex_invalidate_path(const struct plexindex_library_handle *library,
                                  const char *path,
                                  size_t length,
                                  struct plexindex_buffer *error);

// Invalidates an item, by its key or rating key: plexindex_invalidate_path() for all its paths. Call it when the
// server answers 404 for an item.
//
// Returns what plexindex_invalidate_path() returns.
//
// Precondition: as plexindex_invalidate_path().
int32_t plexindex_invalidate_item(const struct plexindex_library_handle *library,
                                  const char *key,
                                  size_t length,
                                  struct plexindex_buffer *error);

// Invalidates a library, or all. The recorded matches are removed, and the next call that may ask the server fetches a
// full listing. Until that is complete the old listing answers, marked PLEXINDEX_ANSWER_STALE. The call takes the same
// time for a library of any size.
//
// Returns what plexindex_invalidate_path() returns.
//
// Precondition: `library` must be NULL or a handle of an open index.
int32_t plexindex_invalidate_library(const struct plexindex_library_handle *library,
                                     struct plexindex_buffer *error);

// plexindex_invalidate_library() for every library of this server and user.
//
// Precondition: `handle` must be NULL or open.
int32_t plexindex_invalidate_all(const struct plexindex_handle *handle, struct plexindex_buffer *error);

// Removes all that the store holds of this server and user: listings, recorded matches, and all else. The client
// identifier and the counters of the store's life stay. Where no server is named, that is the one whose answers are given: the
// newest that the store holds.
//
// Returns PLEXINDEX_OK; PLEXINDEX_LIBRARY_NOT_FOUND until the server has accepted a new token, as plexindex_notify();
// PLEXINDEX_STORE or PLEXINDEX_STORE_FULL.
//
// Precondition: `handle` must be NULL or open.
int32_t plexindex_clear(const struct plexindex_handle *handle,
                        struct plexindex_buffer *error);

// Brings the query's library, or all, up to date now. A match does the same by itself when a listing has expired. With
// PLEXINDEX_QUERY_FULL a full listing is fetched in any case; with PLEXINDEX_QUERY_PROBE the server is asked whether
// anything changed in any case, with one request for all libraries. Items that were invalidated, by an event for one, are
// asked for, 64 with a request and 256 at most. `text` of the query is not used.
//
// Returns PLEXINDEX_OK when the library is up to date; PLEXINDEX_NOT_YET when the deadline came first;
// PLEXINDEX_ABORTED; the server's error. After PLEXINDEX_NOT_YET the next call goes on where this one stopped.
//
// Precondition: as plexindex_match_path().
int32_t plexindex_refresh(const struct plexindex_handle *handle,
                          const struct plexindex_query *query,
                          struct plexindex_buffer *error);

// Begins to listen to the server's events, on a thread of the library's own, until plexindex_watch_stop() or
// plexindex_close(). An event makes the next query about the library ask the server; the thread itself asks for
// nothing. Calling it again changes nothing.
//
// A lost connection is made again after a pause of 1 to 60 seconds. What may have changed in between is asked for by
// the next queries. The log says whether the server can be reached.
//
// The child of a fork does not listen; it may begin to.
//
// Returns PLEXINDEX_OK; PLEXINDEX_OFFLINE when there is no server to listen to; PLEXINDEX_STORE when no thread can be
// started.
//
// Precondition: `handle` must be NULL or open.
int32_t plexindex_watch_start(const struct plexindex_handle *handle,
                              struct plexindex_buffer *error);

// Ends what plexindex_watch_start() began. The thread has ended when the call returns: within a second, or later while
// the system resolves a host name. Without a watch the call does nothing.
//
// Precondition: `handle` must be NULL or open.
int32_t plexindex_watch_stop(const struct plexindex_handle *handle,
                             struct plexindex_buffer *error);

// Tells the index of an event that the host received itself. The next query about what it names asks the server. Sends
// no request.
//
// `body`, `length`: a webhook's JSON (the field `payload` of what Plex sends), the whole multipart form with that
// field, or the text of a notification from the server's WebSocket or event stream.
//
// Returns PLEXINDEX_OK once the event is stored, for every process; also where nothing has to be stored: for an event that names
// no change or is of another server (`Server.uuid` of a webhook), and while the index knows no library.
// PLEXINDEX_LIBRARY_NOT_FOUND until the server has accepted a new token, of plexindex_set_token() or of an index that was opened
// where another one was used before: the event is not stored.
// Call plexindex_refresh() with PLEXINDEX_QUERY_PROBE, or ask a question, and then call this again. PLEXINDEX_INVALID_ARGUMENT
// for any other body; PLEXINDEX_NULL_POINTER; PLEXINDEX_STORE or PLEXINDEX_STORE_FULL.
//
// Precondition: `handle` must be NULL or open; `body` NULL or valid.
int32_t plexindex_notify(const struct plexindex_handle *handle,
                         const char *body,
                         size_t length,
                         struct plexindex_buffer *error);

// What was added, removed, changed and moved since a cursor was given, in the order in which the index learned it. Sends no
// request: plexindex_refresh() asks the server. Every listing, change, event and verification of any process counts.
//
// `query`: `library` is one library, or NULL for all. `text` is the cursor, empty to begin: then the page is empty and its
// cursor is that of now; with PLEXINDEX_QUERY_FULL all items come as additions first. `limit`: how many items a page tells
// of, 1 to 10,000. `json`: receives an object, UTF-8: `{"changes":[…],"token","more"}`. `token` is the cursor for the next call.
// `more` says that this next call has something now. Calls that follow `more` end with what was there at the first of them, however
// fast others write: what came since is told from the last cursor on. A change is `{"change","library","section","path","from","from_key","item"}`:
//
// - `change` is `added`, `removed`, `changed`, `moved` or `list_again`. The last one says that the library has to be listed
//   again (PLEXINDEX_QUERY_FULL, in that library): it was listed for the first time, came or went, got another title or
//   section id, or a listing changed more than a fifth of it and more than 20 items. `item` and `path` are null then.
// - `library` and `section` are the title and the section id. `path` is the file as the server spells it: each file of an item
//   has a change. `from` is where the file was that moved; with `changed` another file, which the item has lost; else null.
//   `path` is null where an item has no file.
// - `item` is as plexindex_item_json() gives it: as it is since, or was when it went. An item that got another key is known by
//   its GUID: `from_key` is the rating key before, else null.
// - Who keeps the items of each file takes the item (by `from_key`, else its key) away from `from` and from `path`, and
//   puts it to `path` unless it was removed. A file may be of several items.
//
// A cursor is at most 200 bytes of ASCII without NUL, and outlives processes. It is of one store, server and user, and of the
// library if one was named: one of all libraries may be asked of a single one, and becomes a cursor of that. Readers cost
// nothing while they do not read. After a kill a reader that goes on with the last cursor that it kept misses nothing, and
// sees again what it read since. Changes are kept for 30 days and in some 64 MiB, and go before listings where `size_limit`
// is reached.
//
// Returns PLEXINDEX_OK, also for no changes; PLEXINDEX_LIST_AGAIN when what changed since is not known any more, or the cursor
// is of another store, server, user or library, or of what a power cut or a restored copy undid: begin anew with
// PLEXINDEX_QUERY_FULL; PLEXINDEX_INVALID_ARGUMENT for a text that is no cursor; PLEXINDEX_LIBRARY_NOT_FOUND while nothing was
// ever fetched, and until the server has accepted a new token; PLEXINDEX_BUFFER_TOO_SMALL.
//
// Precondition: as plexindex_match_path().
int32_t plexindex_changes_json(const struct plexindex_handle *handle,
                               const struct plexindex_query *query,
                               size_t limit,
                               struct plexindex_buffer *json,
                               struct plexindex_buffer *error);

// Waits until plexindex_changes_json() has something since a cursor was given, by whatever process, or until the server has to
// be asked before that is known: a listing has expired, or an event said that something changed. Then call
// plexindex_refresh() and plexindex_changes_json(). A handle says so once a second at most, whatever the server does. Sends no
// request itself.
//
// `query`: `library` and `text` as for plexindex_changes_json(), `text` not empty. `deadline_ms` ends the wait. `progress` is
// called every 200 ms, soon after the handler of a signal ran in this thread, and by plexindex_wake_waiting(), with no library
// and no items: by what it sees there any thread ends the wait. With PLEXINDEX_QUERY_OFFLINE the server never has to be asked.
//
// A commit of another process is seen within 100 ms: on Linux it ends the wait, elsewhere shared memory is looked at. Where
// processes do not share memory (some network file systems) the database is asked once a second instead.
//
// Returns PLEXINDEX_OK; PLEXINDEX_NOT_YET when the deadline came first; PLEXINDEX_ABORTED when `progress` ended the call;
// PLEXINDEX_LIST_AGAIN and the others of plexindex_changes_json().
//
// Precondition: as plexindex_match_path().
int32_t plexindex_wait_for_changes(const struct plexindex_handle *handle,
                                   const struct plexindex_query *query,
                                   struct plexindex_buffer *error);

// Makes each plexindex_wait_for_changes() that is under way on this handle call its `progress` now, within 50 ms: set what
// that looks at, then call this, and the wait ends. Where no call waits it does nothing. Any thread may call it, no signal
// handler may.
//
// Precondition: `handle` must be NULL or open.
int32_t plexindex_wake_waiting(const struct plexindex_handle *handle,
                               struct plexindex_buffer *error);

// Gives many items the same values, with one request for each hundred items of a type. No request is sent for an edit
// without items or without changes, or when one of the items does not exist. The first request that fails is the last
// one. Before an edited item is answered again, one request verifies it. Recorded matches stay.
//
// `edit`: see plexindex_edit; read during the call only. `report`: see plexindex_edit_report; may be NULL. It is
// filled in also when the call fails, unless an argument was refused.
//
// Returns PLEXINDEX_OK when all items were edited; PLEXINDEX_INVALID_ARGUMENT for an edit that is refused;
// PLEXINDEX_NOT_ON_SERVER when items do not exist; PLEXINDEX_OFFLINE; PLEXINDEX_TIMEOUT when the deadline came first;
// the server's error, with its answer in the message.
//
// Precondition: pointers must be NULL or valid; `handle` must be open, and the edit's library one of it.
int32_t plexindex_edit_items(const struct plexindex_handle *handle,
                             const struct plexindex_edit *edit,
                             struct plexindex_edit_report *report,
                             struct plexindex_buffer *error);

// Gives a handle for a table of the host's own values. A table holds values by name, both any bytes. It is stored in the
// index's folder, for every process that opens that. It has nothing to do with libraries: no query reads it, and no
// server is asked. The first plexindex_table_put() makes the table.
//
// `name`, `length`: the table's name, any bytes. An empty name is a pointer and 0. NULL and 0 is all tables, as
// plexindex_table_count() and plexindex_table_clear() take them. `flags`: 0, or PLEXINDEX_TABLE_FOLD_ASCII. `out_table`:
// receives the handle on PLEXINDEX_OK, and NULL otherwise. The same name and flags give the same handle. It lasts as long
// as the index, which gives out 10,000 at most.
//
// Returns PLEXINDEX_OK; PLEXINDEX_INVALID_ARGUMENT; PLEXINDEX_UNSUPPORTED for other flags; PLEXINDEX_NULL_POINTER.
//
// Precondition: pointers must be NULL or valid; `handle` must be open.
int32_t plexindex_table(const struct plexindex_handle *handle,
                        const char *name,
                        size_t length,
                        uint32_t flags,
                        const struct plexindex_table_handle **out_table,
                        struct plexindex_buffer *error);

// The fast lookup: the value of this name, where the index has it at hand.
//
// `name`: NUL-terminated. For a name that holds a NUL use plexindex_table_get().
//
// Returns the value, NUL-terminated. It belongs to the thread and is valid until the thread's next call of
// plexindex_lookup_key() or plexindex_table_lookup(), on any handle; no other function ends it.
// NULL says that a fast lookup does not know: there is no value, it has expired, it has more than 1,000 bytes or holds a
// NUL, or this process has to read a change first. Ask plexindex_table_get() then. NULL arguments give NULL.
//
// It never calls back. When nothing was written since the last one, it waits for nothing: it takes no lock, allocates nothing and
// makes no system call, except that twice a second it checks whether the store is still there. After a write it waits at
// most 200 ms for a thread of this process that reads what is new.
//
// Precondition: `table` must be NULL or a handle of an open index; `name` NULL or NUL-terminated.
const char *plexindex_table_lookup(const struct plexindex_table_handle *table,
                                   const char *name);

// The value of this name.
//
// `value`: receives the value, followed by a NUL that `length` does not count. NULL asks only whether there is a value.
//
// Returns PLEXINDEX_OK; PLEXINDEX_NOT_FOUND when there is no value, or it has expired; PLEXINDEX_BUFFER_TOO_SMALL;
// PLEXINDEX_INVALID_ARGUMENT for the handle of all tables.
//
// Precondition: pointers must be NULL or valid; `table` must be a handle of an open index.
int32_t plexindex_table_get(const struct plexindex_table_handle *table,
                            const char *name,
                            size_t name_length,
                            struct plexindex_buffer *value,
                            struct plexindex_buffer *error);

// Stores a value. It replaces the value of the same name.
//
// `ttl_ms`: after how many milliseconds the value expires. 0: one hour. PLEXINDEX_TTL_AT_ONCE, PLEXINDEX_TTL_NEVER.
// `limit`: how many bytes all tables of the store may take; an entry takes its name, its value and 64 bytes. Beyond that
// the entries written longest ago are removed, but never what this call wrote. Each call also removes some entries that
// have expired.
//
// Returns PLEXINDEX_OK once the value is stored, for every process; PLEXINDEX_INVALID_ARGUMENT, also for a name of more
// than 1 MiB; PLEXINDEX_NULL_POINTER; PLEXINDEX_STORE or PLEXINDEX_STORE_FULL.
//
// Precondition: pointers must be NULL or valid; `table` must be a handle of an open index.
int32_t plexindex_table_put(const struct plexindex_table_handle *table,
                            const char *name,
                            size_t name_length,
                            const char *value,
                            size_t value_length,
                            int64_t ttl_ms,
                            uint64_t limit,
                            struct plexindex_buffer *error);

// Removes an entry. An entry that does not exist is no error.
//
// Precondition: as plexindex_table_put().
int32_t plexindex_table_remove(const struct plexindex_table_handle *table,
                               const char *name,
                               size_t name_length,
                               struct plexindex_buffer *error);

// Makes many changes in one transaction, in order: all are made, or none. When the limit later removes one of the values
// that the call stored, it removes all of them.
//
// `ops`: `count` changes, of tables of this index. `ttl_ms`, `limit`: as for plexindex_table_put().
//
// Returns what plexindex_table_put() returns.
//
// Precondition: pointers must be NULL or valid; `handle` must be open, and the tables handles of it.
int32_t plexindex_table_write(const struct plexindex_handle *handle,
                              const struct plexindex_table_op *ops,
                              size_t count,
                              int64_t ttl_ms,
                              uint64_t limit,
                              struct plexindex_buffer *error);

// The names of a table's entries, one a call, in the order of their bytes. Entries that have expired are left out.
//
// `after`: the name that the last call gave; NULL for the first name. An empty name is a pointer and 0. `name`: receives
// the next name, followed by a NUL that `length` does not count.
//
// Returns PLEXINDEX_OK; PLEXINDEX_NOT_FOUND after the last name; PLEXINDEX_BUFFER_TOO_SMALL; PLEXINDEX_INVALID_ARGUMENT
// for the handle of all tables.
//
// Precondition: pointers must be NULL or valid; `table` must be a handle of an open index.
int32_t plexindex_table_next(const struct plexindex_table_handle *table,
                             const char *after,
                             size_t after_length,
                             struct plexindex_buffer *name,
                             struct plexindex_buffer *error);

// How many entries a table has, or all tables together. Entries that have expired and are still stored count too.
//
// Precondition: pointers must be NULL or valid; `table` must be a handle of an open index.
int32_t plexindex_table_count(const struct plexindex_table_handle *table,
                              uint64_t *count,
                              struct plexindex_buffer *error);

// Removes all entries of a table, or of all tables. A table of any size takes the same time.
//
// Precondition: `table` must be NULL or a handle of an open index.
int32_t plexindex_table_clear(const struct plexindex_table_handle *table, struct plexindex_buffer *error);

// The items of a library as the store has them, one page a call. Sends no request.
//
// `library`: one library, not all. `cursor`: 0 for the first page; the call moves it to the next one. `limit`: the
// most items of a page, 1 to 10,000. `page`: receives a block with one answer whose candidates are the items.
//
// Returns the answer's status: PLEXINDEX_OK with items, PLEXINDEX_NOT_FOUND after the last page. Returns
// PLEXINDEX_BUFFER_TOO_SMALL with the cursor as it was; PLEXINDEX_INVALID_ARGUMENT; PLEXINDEX_LIBRARY_NOT_FOUND when
// the library is not in the store, or its listing is not: it was never fetched (plexindex_refresh() does that), or was
// removed for the limit on the folder, between two pages perhaps.
//
// Precondition: pointers must be NULL or valid; `handle` must be open, and `library` one of it.
int32_t plexindex_items(const struct plexindex_handle *handle,
                        const struct plexindex_library_handle *library,
                        int64_t *cursor,
                        size_t limit,
                        struct plexindex_buffer *page,
                        struct plexindex_buffer *error);

// One item of a library, or of any, as the store has it, with all its files and external ids. Sends no request.
//
// `key`: the item's key or rating key. `json`: receives a JSON object, UTF-8:
// `{"key","rating_key","kind","title","year","show_title","show_rating_key","season","episode","guid","guids","paths"}`.
// `kind` is Plex's word. `season` and `episode` are -1 for none.
//
// Returns PLEXINDEX_OK; PLEXINDEX_NOT_FOUND when no listing holds the item; PLEXINDEX_BUFFER_TOO_SMALL;
// PLEXINDEX_INVALID_ARGUMENT when `key` is no key.
//
// Precondition: pointers must be NULL or valid; `library` must be a handle of an open index.
int32_t plexindex_item_json(const struct plexindex_library_handle *library,
                            const char *key,
                            size_t key_length,
                            struct plexindex_buffer *json,
                            struct plexindex_buffer *error);

// The libraries, as JSON, UTF-8:
// `[{"section","uuid","title","kind","locations","items","age_ms","fresh","generation"}]`. A request is sent only when
// no library is known and the query allows it. `library` and `text` of the query are not used. For a library that has
// no uuid of its own on the server, `uuid` is `section:` and the section id.
//
// Precondition: as plexindex_match_path().
int32_t plexindex_libraries_json(const struct plexindex_handle *handle,
                                 const struct plexindex_query *query,
                                 struct plexindex_buffer *json,
                                 struct plexindex_buffer *error);

// Asks the server who it is and which libraries it shows, whatever the store has. For finding out what is wrong. Takes
// two requests, three at the first contact, and stores what they tell. The first one carries no token, so
// PLEXINDEX_UNAUTHORIZED says that the server was reached.
//
// `json`: receives `{"machine_identifier","version","answered_us","libraries","database_aside"}`, UTF-8. The last is null,
// or says why Plex's database was put aside, so that the server is asked in its place. `library` and `text` of the query
// are not used.
//
// Returns PLEXINDEX_OK; PLEXINDEX_OFFLINE; the server's error.
//
// Precondition: as plexindex_match_path().
int32_t plexindex_server_json(const struct plexindex_handle *handle,
                              const struct plexindex_query *query,
                              struct plexindex_buffer *json,
                              struct plexindex_buffer *error);

// What kind of place the store is in, as JSON, UTF-8: `{"folder","file_system","journal","shares_memory",
// "counter_page","locks","locks_error","disk_bytes","free_bytes"}`. `locks` is tested on a file that is removed again.
// `file_system` and `free_bytes` are null where the system does not tell. Sends no request.
//
// Precondition: pointers must be NULL or valid; `handle` must be open.
int32_t plexindex_store_json(const struct plexindex_handle *handle,
                             struct plexindex_buffer *json,
                             struct plexindex_buffer *error);

// Mappings that seem to be missing, the best first, as JSON, UTF-8: `[{"from","to","matched","of"}]`. This handle
// found `of` paths by their end or file name; `matched` of them would be listed if the host's folder `from` were the
// server's folder `to` (PLEXINDEX_MAPPING_HOST_PREFIX). The first 500 such answers count. Folders are given in full,
// also with PLEXINDEX_OPEN_OBFUSCATE_PATHS.
//
// Precondition: pointers must be NULL or valid; `handle` must be open.
int32_t plexindex_proposals_json(const struct plexindex_handle *handle,
                                 struct plexindex_buffer *json,
                                 struct plexindex_buffer *error);

// Fills in the statistics. `stats`: its `size` must be set.
//
// Precondition: pointers must be NULL or valid; `handle` must be open.
int32_t plexindex_stats(const struct plexindex_handle *handle,
                        struct plexindex_statistics *stats,
                        struct plexindex_buffer *error);

// The statistics as a JSON object with named counts, UTF-8.
//
// Precondition: pointers must be NULL or valid; `handle` must be open.
int32_t plexindex_stats_json(const struct plexindex_handle *handle,
                             struct plexindex_buffer *json,
                             struct plexindex_buffer *error);

// Hands the log lines that wait to `receive`, oldest first, on this thread. The ring holds 256 lines for the whole
// process. When it overflows, the oldest lines are lost, and a line says how many.
//
// A host that unloads the library calls this after its last plexindex_close(): lines that still wait are memory that
// is never freed.
//
// Returns PLEXINDEX_OK; PLEXINDEX_NULL_POINTER without `receive`.
//
// Precondition: `receive` must be a function of that type that does not unwind, but for the end of its thread.
int32_t plexindex_drain_log(plexindex_log_fn receive,
                            void *user,
                            struct plexindex_buffer *error);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* PLEXINDEX_H */
