/*
 * plexindex finds the Plex item for a file without asking the server.
 *
 * Generated from bindings/c/src by cbindgen; regenerate with `make header`. Licence: MIT OR Apache-2.0.
 *
 * plexindex_call() calls further methods by name, for folders, GUIDs, titles, listings, the change feed and edits.
 *
 * Errors: a function that can fail returns a value of enum plexindex_status as int32_t. 0 is success, 1 to 99 are
 *   answers, 100 and above are errors. The last argument, `error`, receives the error message, and may be NULL.
 *   Outputs, called out_*, are written only on success, unless a comment says otherwise.
 * Pointers: each pointer must be NULL or valid, and each handle open. Where NULL is not allowed, the call returns
 *   PLEXINDEX_NULL_POINTER. A NULL library means all libraries in a query, and is an error elsewhere.
 * Strings: `x_length` is the length of the string `x` in bytes. Strings that you pass need no NUL unless a comment says
 *   so. Strings and JSON that you receive end in a NUL, which `length` does not count; an empty string is "". Maximum
 *   lengths in bytes: paths and mappings 32,767; tokens 65,536; keys 255; cursors 200; titles, GUIDs, library names,
 *   server_url, user and shared 4,096.
 * Threads: any number of threads can use a handle at once. Callbacks run on the thread that makes the call.
 * Memory: free only the handle, with plexindex_close(), and answers of plexindex_call(), with plexindex_free().
 *   plexindex reads the strings and structs that you pass only during the call.
 * Compatibility: structs that start with `size` may grow. Programs compiled against an older header keep working.
 */

#ifndef PLEXINDEX_H
#define PLEXINDEX_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

// The version of the ABI, which changes when programs compiled against an older header would misbehave. If you load the
// library at run time, compare this constant with plexindex_get_abi_version().
#define PLEXINDEX_ABI_VERSION 1

#define PLEXINDEX_VERSION_NUMBER 1000 // The version of this header, as major * 1000000 + minor * 1000 + patch.

// Special values of times in ms:
#define PLEXINDEX_TTL_AT_ONCE (-1) // library_ttl_ms: a listing is never fresh.
#define PLEXINDEX_TTL_NEVER (-2) // library_ttl_ms: a listing stays fresh until an event or a call invalidates it.
#define PLEXINDEX_NO_TIMEOUT (-1) // timeout_ms: the call has no time limit.
#define PLEXINDEX_NO_RETRY (-1) // retry_ms: plexindex does not retry failed requests.
#define PLEXINDEX_NEVER_SLOW (-1) // slow_ms: plexindex logs no slow calls.

// plexindex_options.flags:
#define PLEXINDEX_OPEN_OFFLINE 0x1 // plexindex sends no requests. `cache_dir` can be read-only: writes then fail.
#define PLEXINDEX_OPEN_ACCEPT_INVALID_CERTS 0x2 // accepts any certificate, and logs a warning when the index opens.
#define PLEXINDEX_OPEN_NO_MMAP 0x4 // reads index files into memory instead of mapping them.
#define PLEXINDEX_OPEN_OBFUSCATE_PATHS 0x8 // replaces media paths in log lines and errors with short hashes.
#define PLEXINDEX_OPEN_SHARED_DURABLE 0x10 // with `shared`, writes for other hosts are on disk when calls return.

// plexindex_mapping.kind:
#define PLEXINDEX_MAPPING_HOST_PREFIX 1 // `from` is a folder on the host, and `to` is the same folder on the server.
#define PLEXINDEX_MAPPING_HOST_PATTERN 2 // `from` matches host paths, and `to` produces server paths.
#define PLEXINDEX_MAPPING_SERVER_PREFIX 3 // `from` is a folder on the server, and `to` is the same folder on the host.
#define PLEXINDEX_MAPPING_SERVER_PATTERN 4 // `from` matches server paths, and `to` produces host paths.

// plexindex_query.flags:
#define PLEXINDEX_QUERY_OFFLINE 0x1 // the call sends no requests and answers from the store.
#define PLEXINDEX_QUERY_FULL 0x2 // plexindex_refresh() fetches a full listing, and accepts a listing of any size.
#define PLEXINDEX_QUERY_AT_ONCE 0x4 // matching never waits, and returns PLEXINDEX_NOT_YET if a wait would be necessary.
#define PLEXINDEX_QUERY_PROBE 0x8 // first asks the server once whether libraries have changed.
#define PLEXINDEX_QUERY_NO_SIZE 0x10 // plexindex does not read the file's size.
#define PLEXINDEX_QUERY_FILE 0x20 // the items have a `file`.

// plexindex_get_table(), plexindex_record_matches():
#define PLEXINDEX_TABLE_FOLD_ASCII 0x1 // entry names ignore the case of `A` to `Z`.
#define PLEXINDEX_TABLE_LIMIT_ALL 2 // limits count all tables of the store, and remove from all.
#define PLEXINDEX_RECORD_THROUGH 1 // the call returns once the shared database has the matches.

// plexindex_table_op.kind:
#define PLEXINDEX_TABLE_PUT 1 // stores `value` under `name`.
#define PLEXINDEX_TABLE_REMOVE 2 // removes the entry `name`.
#define PLEXINDEX_TABLE_CLEAR 3 // removes all entries of the table.

// plexindex_get_library():
#define PLEXINDEX_SELECT_ANY 0 // selects by uuid, exact title, section id, or title ignoring case, in this order.
#define PLEXINDEX_SELECT_TITLE 1 // selects by exact title, or otherwise by title ignoring case.
#define PLEXINDEX_SELECT_SECTION 2 // selects by section id, such as `1`.
#define PLEXINDEX_SELECT_UUID 3 // selects by uuid.
#define PLEXINDEX_SELECT_ALL 4 // selects all libraries; the selector must be empty.

// plexindex_answer.flags, plexindex_item.flags, plexindex_file.flags:
#define PLEXINDEX_ANSWER_STALE 0x1 // possibly outdated: the server did not answer, or a listing awaits confirmation.
#define PLEXINDEX_ITEM_PATH_NOT_UTF8 0x1 // `path` is not valid UTF-8.
#define PLEXINDEX_ITEM_KEY_ONLY 0x2 // a recorded match whose item is not listed; only the key is set.
#define PLEXINDEX_FILE_OPTIMIZED 0x1 // Plex made this version itself ('Optimized Versions').

// Log level:
#define PLEXINDEX_LOG_OFF (-1) // nothing.
#define PLEXINDEX_LOG_ERROR 1 // errors.
#define PLEXINDEX_LOG_WARN 2 // errors and warnings. The default.
#define PLEXINDEX_LOG_INFO 3 // also activity, such as fetches, refreshes and invalidations.
#define PLEXINDEX_LOG_DEBUG 4 // everything, with full paths.

// The status of a call. The numbers are part of the ABI: they never change and are never reused. 0 is success, and 1
// to 99 are answers. Caller errors start at 100, store errors at 200, server errors at 300, and library errors at 400.
typedef enum plexindex_status {
    PLEXINDEX_OK = 0, // The call succeeded; a lookup found one item.
    PLEXINDEX_NOT_FOUND = 1, // No item has this path, GUID or title; the answer contains the reason.
    PLEXINDEX_AMBIGUOUS = 2, // Several items match equally well; the answer lists the items, best first.
    // The timeout passed before an answer was available. Repeat the call: plexindex resumes the work.
    PLEXINDEX_NOT_YET = 3,
    PLEXINDEX_NEEDS_WARM = 4, // The timeout is too short for this server. Fetch the library once (`plexindex refresh`).
    PLEXINDEX_INVALID_ARGUMENT = 100, // An argument has an invalid value.
    PLEXINDEX_NULL_POINTER = 101, // A pointer that must not be NULL is NULL.
    // A field or flag is unknown. A known flag in the wrong call causes `INVALID_ARGUMENT` instead.
    PLEXINDEX_UNSUPPORTED = 102,
    PLEXINDEX_BUFFER_TOO_SMALL = 103, // The buffer is too small; the buffer's `length` is the required size.
    // The host's progress callback cancelled the call. plexindex keeps the items fetched so far.
    PLEXINDEX_ABORTED = 104,
    PLEXINDEX_PANIC = 105, // plexindex caught a bug in its own code. The handle remains valid.
    PLEXINDEX_STORE = 200, // plexindex cannot open, read or write the store, or cannot start a thread.
    PLEXINDEX_STORE_FULL = 201, // The disk is full, or the user's disk quota is used up. The store is unchanged.
    PLEXINDEX_CONNECT = 300, // plexindex cannot connect to the server.
    PLEXINDEX_TLS = 301, // The server's certificate was rejected, or TLS failed for another reason.
    // The server rejected the token (401), or the token has expired (498). Set a new token.
    PLEXINDEX_UNAUTHORIZED = 302,
    PLEXINDEX_FORBIDDEN = 303, // The token's user lacks the permission for this request (403).
    PLEXINDEX_NOT_ON_SERVER = 304, // The server has no item, library or resource with this address (404).
    PLEXINDEX_NOT_PLEX = 305, // The reply is not from a Plex Media Server, or the server's version is too old.
    PLEXINDEX_STARTING = 306, // The server is starting or upgrading its database.
    PLEXINDEX_BAD_ANSWER = 307, // The server's reply is truncated or malformed.
    PLEXINDEX_SERVER_ERROR = 308, // The server replied with status 5xx or another unexpected status.
    // The server did not reply in time, or the call's timeout passed. Try again, or set a longer timeout.
    PLEXINDEX_TIMEOUT = 309,
    PLEXINDEX_REDIRECTED = 310, // The server redirected the request. plexindex does not follow redirects.
    // The call requires a request, but the call or the index is offline, or no server URL is set.
    PLEXINDEX_OFFLINE = 311,
    PLEXINDEX_LIBRARY_NOT_FOUND = 400, // The server has no library with this title, section ID or UUID.
    PLEXINDEX_LIBRARY_AMBIGUOUS = 401, // Several libraries have this title.
    PLEXINDEX_LIST_AGAIN = 402, // The index no longer has all changes since the cursor. Start a new full listing.
    // The index has no listing of the library, because the library was never fetched or was evicted, or because the
    // server has not accepted a new token yet. Refresh the library first.
    PLEXINDEX_NOT_FETCHED = 403,
} plexindex_status;

// The kind of match:
#define PLEXINDEX_MATCH_NONE 0 // No match.
#define PLEXINDEX_MATCH_CONFIRMED 1 // The host recorded the match.
#define PLEXINDEX_MATCH_EXACT 2 // The server lists the path.
#define PLEXINDEX_MATCH_MAPPED 3 // A mapping translates the path to a listed path, or a listed path to this path.
#define PLEXINDEX_MATCH_SUFFIX 4 // At least the last two components equal those of a listed path.
#define PLEXINDEX_MATCH_FILE_NAME 5 // A listed path has the same file name; with the reason of a miss, a similar one.

// The confidence of an answer:
#define PLEXINDEX_CONFIDENCE_NONE 0 // There is no single item.
#define PLEXINDEX_CONFIDENCE_LOW 1 // Verify the item, or choose among the candidates.
#define PLEXINDEX_CONFIDENCE_HIGH 2 // The item has this file.

// The reason why a path has no single item, or the evidence for a suffix match:
#define PLEXINDEX_REASON_NONE 0 // The path has a single recorded, listed or mapped item.
#define PLEXINDEX_REASON_NO_LOCATION 1 // No library has a folder above this path.
#define PLEXINDEX_REASON_NOT_LISTED 2 // A library has a folder above this path, but does not list the file.
#define PLEXINDEX_REASON_NOT_FETCHED 3 // plexindex never fetched the library completely.
#define PLEXINDEX_REASON_SEVERAL_ITEMS 4 // Several items match equally well.
#define PLEXINDEX_REASON_SEVERAL_LIBRARIES 5 // Several libraries list the path.
#define PLEXINDEX_REASON_UNCONFIRMED 6 // The path was invalidated, and plexindex has not verified its item since.
#define PLEXINDEX_REASON_ONLY_ROOT_DIFFERS 7 // Only the root differs, and the size is unknown. Low confidence.
#define PLEXINDEX_REASON_SEVERAL_EPISODES 11 // The file contains several episodes; the item is the first of them.
#define PLEXINDEX_REASON_EMPTY 12 // The folder is a library's folder, or contains one, and has no listed files.
#define PLEXINDEX_REASON_ABOVE_LOCATIONS 13 // The folder contains library folders, and several shows or items.
#define PLEXINDEX_REASON_UNAVAILABLE 14 // An unlisted path, and no answer from the server in time. The answer is stale.
#define PLEXINDEX_REASON_NOT_ASKED 15 // An unlisted path; a later call asks the server. The answer is stale.
#define PLEXINDEX_REASON_SAME_NAME 16 // Only the name or the end of the path equals a listed path. Low confidence.
#define PLEXINDEX_REASON_SAME_FILE 17 // The file name and the size equal those of a listed file. High confidence.
#define PLEXINDEX_REASON_SIZE_DIFFERS 18 // The listed file has another size: replaced since the scan, or another file.
#define PLEXINDEX_REASON_SAME_SIZE 19 // Only the size equals that of a listed file: perhaps renamed. Low confidence.

// Type of an item:
#define PLEXINDEX_KIND_OTHER 0 // Another type; plexindex stores and matches items of this type as usual.
#define PLEXINDEX_KIND_MOVIE 1 // A film, or a home video in an 'Other Videos' library.
#define PLEXINDEX_KIND_SHOW 2 // A show; only for folders.
#define PLEXINDEX_KIND_SEASON 3 // A season of a show; only for folders.
#define PLEXINDEX_KIND_EPISODE 4 // An episode of a show.
#define PLEXINDEX_KIND_ARTIST 8 // An artist; only for folders.
#define PLEXINDEX_KIND_ALBUM 9 // An album of an artist; only for folders.
#define PLEXINDEX_KIND_TRACK 10 // A track of an album.
#define PLEXINDEX_KIND_CLIP 12 // A clip: a video in a photo library, or a trailer.
#define PLEXINDEX_KIND_PHOTO 13 // A photo.

// The kind of a request, for statistics:
#define PLEXINDEX_REQUEST_IDENTITY 0 // The server's identity.
#define PLEXINDEX_REQUEST_PROBE 1 // The list of libraries, with their change times.
#define PLEXINDEX_REQUEST_PAGE 2 // A page of a full listing.
#define PLEXINDEX_REQUEST_DELTA 3 // A page of changes.
#define PLEXINDEX_REQUEST_FIND_PATH 4 // A search for one path or title.
#define PLEXINDEX_REQUEST_CONFIRM 5 // A check that items still exist, and have the same files.
#define PLEXINDEX_REQUEST_SCAN 6 // The start of a scan.
#define PLEXINDEX_REQUEST_EVENTS 7 // An event stream.

// An open index, valid from plexindex_open() to plexindex_close(). Any number of threads can use the handle at once.
typedef struct plexindex_handle plexindex_handle;

// One library of an index, or all its libraries, from plexindex_get_library(). Valid until plexindex_close().
typedef struct plexindex_library_handle plexindex_library_handle;

// One of the host's tables, from plexindex_get_table(). Valid until plexindex_close().
typedef struct plexindex_table_handle plexindex_table_handle;

// A string or a path, which plexindex reads only during the call. A length of 0 means that there is no string.
typedef struct plexindex_bytes {
    const char *data; // The first byte; may be NULL when `length` is 0.
    size_t length; // Number of bytes.
} plexindex_bytes;

// A rule that translates between host paths and server paths. The first matching rule with server paths rewrites a
// listed path. Each matching rule with host paths produces a path to look up; the first listed path wins.
typedef struct plexindex_mapping {
    int32_t kind; // PLEXINDEX_MAPPING_*.
    uint32_t reserved; // Zero.
    plexindex_bytes from; // A full path, or a regular expression in UTF-8 without look-around or backreferences.
    plexindex_bytes to; // The replacement: a folder, or a string with `\1`, `\g<1>` or `\g<name>`.
} plexindex_mapping;

// The caller's memory for an answer. `data` must be aligned to 8 bytes, as memory from malloc is, and may be NULL if
// `capacity` is 0. After PLEXINDEX_OK and every other answer, `length` is the number of bytes written; after
// PLEXINDEX_BUFFER_TOO_SMALL, the number needed (see plexindex_buffer_grow()); after other errors, 0.
//
// As `error`, the last argument of functions that can fail, a buffer receives the call's error message in UTF-8 with a
// NUL, and then the name of the invalid option, if any, with a NUL. `length` counts only the message; after success it
// is 0. `data` need not be aligned. A message that does not fit ends in `…`; `length` is then its full length. One
// buffer can be both the answer and `error`. Strings that you pass to the call must not be in the buffer.
typedef struct plexindex_buffer {
    void *data; // The memory.
    size_t capacity; // Size of the memory in bytes.
    size_t length; // Output: number of bytes written or needed.
} plexindex_buffer;

// Supplies a new token after the server rejected the current token (401) or reported it as expired (498). Write the
// token to `token->data`, which has room for `token->capacity` bytes (65,536), set `token->length`, and return 0. Any
// other result, or the same token, means that no new token is available; plexindex asks again after 15 seconds.
//
// The callback runs on the thread of the rejected call, on one thread at a time per index. With a new token, plexindex
// repeats the call. Otherwise, the call returns a cached answer or PLEXINDEX_UNAUTHORIZED. Other calls that need a
// token wait, at most until their timeout and `options.read_timeout_ms`. The rules for calls in plexindex_progress_fn
// apply; calls on this handle do not renew the token.
typedef int32_t (*plexindex_renew_token_fn)(void *user, plexindex_buffer *token);

// Options for plexindex_open(). Start with plexindex_options_init(). Zero means the default. Negative values are
// invalid, except for PLEXINDEX_* constants. Fields that this library does not know must be zero.
typedef struct plexindex_options {
    size_t size; // sizeof(plexindex_options).
    plexindex_bytes cache_dir; // Path of the store's folder, which plexindex creates with mode 0700.
    plexindex_bytes server_url; // Base URL, such as `http://127.0.0.1:32400`. Default: none, to use only the store.
    plexindex_bytes token; // The token. plexindex sends the token only to this server, and never stores it.
    // The token's user. Default: the token identifies the user. Set this field if the token changes from time to time,
    // so that the index stays valid. Not needed for a JSON Web Token with `thumbprint` and `username`.
    plexindex_bytes user;
    plexindex_bytes ca_file; // PEM file of authorities, or the server's certificate, to trust instead of the system's.
    int64_t library_ttl_ms; // How long a listing stays fresh, in ms. 0: one hour. Or PLEXINDEX_TTL_AT_ONCE, _NEVER.
    int64_t max_age_ms; // Maximum age of a full listing, even without a change, in ms. 0: 24 hours.
    int64_t timeout_ms; // Default timeout for calls, in ms. 0 or PLEXINDEX_NO_TIMEOUT: none.
    int64_t connect_timeout_ms; // Timeout for connecting, in ms. 0: 5,000.
    int64_t read_timeout_ms; // Read timeout in ms. 0: 60,000. Requests other than listings wait at most 15,000.
    int64_t retry_ms; // How long plexindex retries a failed request, in ms. 0: 30,000. PLEXINDEX_NO_RETRY: never.
    // Maximum size of recorded matches in bytes; removes the oldest first. 0: 50 MiB, with `shared` 500.
    uint64_t matches_limit;
    uint32_t flags; // PLEXINDEX_OPEN_* flags.
    uint32_t page_size; // Number of rows per listing request, 1 to 1,000. 0: 1,000.
    int32_t log_level; // PLEXINDEX_LOG_*, for the whole process until the next plexindex_open(). 0: warnings.
    uint32_t reserved; // Zero.
    const plexindex_mapping *mappings; // Rules that translate between host paths and server paths.
    size_t mappings_count; // Number of rules.
    int64_t slow_ms; // Duration in ms from which plexindex logs a call as slow. 0: 1,000. Or PLEXINDEX_NEVER_SLOW.
    uint64_t size_limit; // Maximum folder size in bytes; evicts the least recently refreshed libraries. 0: none.
    // Plex's database com.plexapp.plugins.library.db, its folder, or the folder 'Plex Media Server' above it.
    // Read-only: plexindex sends no requests without `server_url`, and shows all libraries. Default: none.
    plexindex_bytes database;
    plexindex_renew_token_fn renew_token; // Optional: returns a new token when the server rejects `token`.
    void *renew_token_user; // Passed to `renew_token`.
    // URL of a PostgreSQL database through which hosts share matches, such as `postgresql://user@host/database`. The
    // password comes from PGPASSWORD or a passfile. Requires `server_url`; excludes `database`. Default: none.
    plexindex_bytes shared;
    int64_t stale_answer_timeout_ms; // How long a query waits before a stale answer, in ms. 0: 2,000.
} plexindex_options;

// The progress of a fetch. Valid only during the callback.
typedef struct plexindex_progress {
    size_t size; // sizeof(plexindex_progress) in this library.
    plexindex_bytes library; // The library's title in UTF-8; "" while the call waits for something other than a fetch.
    uint64_t items; // Number of items fetched so far, including items from an earlier, interrupted fetch.
    uint64_t total; // Total number of items according to the server; 0 if unknown.
    uint64_t elapsed_ms; // Time since this call started the fetch, in ms.
} plexindex_progress;

// Receives the progress of a fetch on the calling thread, at least every 100 ms while the call waits for the server,
// and once after the last page. Return 0 to continue. Any other value ends the call with PLEXINDEX_ABORTED.
//
// The callback may call plexindex functions, except plexindex_close() with the same handle. The fetch continues during
// the callback; a nested call that needs the same items waits for them. The callback must return: on Linux, a thread
// that calls pthread_exit() in the callback sleeps for ever and keeps its locks.
typedef int32_t (*plexindex_progress_fn)(void *user, const plexindex_progress *progress);

// A query. Start with plexindex_query_init().
typedef struct plexindex_query {
    size_t size; // sizeof(plexindex_query).
    const plexindex_library_handle *library; // A library of the same index, or NULL for all libraries.
    plexindex_bytes text; // The path, as bytes without a NUL; not empty.
    int64_t timeout_ms; // Maximum duration in ms, including waits. 0: options.timeout_ms. Or PLEXINDEX_NO_TIMEOUT.
    uint32_t flags; // PLEXINDEX_QUERY_* flags. A function rejects flags that do not apply to it.
    uint32_t reserved; // Zero.
    plexindex_progress_fn progress; // Called on this thread while the call waits for the server; may be NULL.
    void *progress_user; // Passed to `progress`.
    // Size in bytes, for plexindex_match_path(). 0: reads it for an unlisted path, within 2 s, if it may wait.
    uint64_t file_size;
} plexindex_query;

// A string in an answer block, followed by a NUL that `length` does not count. If `offset` is 0, there is no string.
typedef struct plexindex_text {
    uint32_t offset; // Offset in the block; 0: no string.
    uint32_t length; // Length in bytes, excluding the NUL.
} plexindex_text;

// The answer for one path.
typedef struct plexindex_answer {
    int32_t status; // PLEXINDEX_OK, _NOT_FOUND, _AMBIGUOUS, _NOT_YET, _NEEDS_WARM; in a batch, also an error.
    uint8_t match_kind; // PLEXINDEX_MATCH_*: how plexindex found the item.
    uint8_t confidence; // PLEXINDEX_CONFIDENCE_*.
    uint8_t reason; // PLEXINDEX_REASON_*: why there is no single item, or how well the match is supported.
    uint8_t flags; // PLEXINDEX_ANSWER_* flags.
    uint32_t item; // Offset of the single item (plexindex_item) in the block; 0: none.
    uint32_t candidates; // Offset of the candidates (an array of plexindex_item, best first) in the block; 0: none.
    uint32_t candidates_count; // Number of candidates in the array.
    uint32_t candidates_total; // Total number of matching items.
    plexindex_text message; // Explanation for people. Absent for PLEXINDEX_OK with PLEXINDEX_REASON_NONE.
    int64_t age_ms; // Time since the listing was last checked against the server, in ms; -1: unknown.
} plexindex_answer;

// An item. An unknown string has the offset 0.
typedef struct plexindex_item {
    plexindex_text key; // The item's path in Plex's API, `/library/metadata/<rating key>`.
    plexindex_text rating_key; // Plex's rating key.
    plexindex_text title; // Title; for an episode, the title of the episode.
    plexindex_text guid; // Plex's GUID, not an external id.
    plexindex_text show_title; // Title of the show, or of the artist.
    plexindex_text show_rating_key; // Rating key of the show or artist.
    plexindex_text show_guid; // GUID of the show or artist.
    plexindex_text path; // The matching listed path, in the server's spelling; for a recorded match, the recorded path.
    plexindex_text section; // Section id of the library.
    plexindex_text library_title; // Title of the library.
    int32_t kind; // PLEXINDEX_KIND_*: Plex's number for the type.
    int32_t year; // Year; 0: unknown.
    int32_t season; // Season number, or disc number for a track; -1: none.
    int32_t episode; // Episode number or track number; -1: none.
    uint32_t flags; // PLEXINDEX_ITEM_* flags.
    uint32_t file; // Offset of the matching file (plexindex_file) in the block, with PLEXINDEX_QUERY_FILE; 0: none.
} plexindex_item;

// What Plex lists of a matching file, whose path is the item's `path`. 0 means unknown.
typedef struct plexindex_file {
    uint64_t size_bytes; // Size in bytes.
    uint64_t part_id; // Plex's id of the part, which is the file.
    uint64_t media_id; // Plex's id of the version that the part belongs to.
    uint64_t duration_ms; // Duration of the version in ms.
    uint32_t part; // Which part of the version the file is, from 1.
    uint32_t parts; // Number of parts of the version; more than 1 for stacked files.
    uint32_t version; // Which version of the item, from 1.
    uint32_t versions; // Number of versions of the item.
    plexindex_text resolution; // Resolution as Plex names it: `4k`, `1080`, `sd`.
    plexindex_text container; // The container, such as `mkv`.
    uint32_t flags; // PLEXINDEX_FILE_* flags.
    uint32_t reserved; // Zero.
} plexindex_file;

// Statistics. Set `size` to sizeof(plexindex_stats); plexindex fills in the fields that it knows. Unless a comment
// says otherwise, counts are for this handle. The arrays have room for later constants; unused counts are 0.
typedef struct plexindex_stats {
    size_t size; // sizeof(plexindex_stats).
    uint64_t answers[16]; // Answers by PLEXINDEX_MATCH_*, with fast lookups; `answers[0]`: answers without an item.
    uint64_t lookup_misses; // Fast lookups without a result.
    uint64_t stale_answers; // Answers from an expired listing.
    uint64_t requests[16]; // Requests by PLEXINDEX_REQUEST_*, including retries.
    uint64_t bytes_received; // Bytes received in server replies, compressed and without headers.
    uint64_t store_requests; // Requests of all kinds by all processes since the store was created, as last saved.
    uint64_t store_answers; // Answers by all processes since the store was created, as last saved.
    uint64_t listings; // Full listings completed.
    uint64_t network_us; // Time spent waiting for the server, in µs.
    uint64_t store_us; // Time spent reading and writing the store, in µs.
    uint64_t segment_us; // Time spent building and opening index files, in µs.
    uint64_t items; // Number of listed items, in all libraries of this server and user.
    uint64_t matches; // Number of recorded matches.
    uint64_t libraries; // Number of known libraries.
    uint64_t disk_bytes; // Size of the store on disk, including index files.
    uint64_t sequence; // The store's change sequence.
    uint64_t events; // Events about libraries, from the server (method `watch.start`) and from plexindex_notify().
    uint64_t hints; // Writes that stored events; one write can store several events.
    uint64_t parse_us; // Time spent decompressing and parsing server replies, in µs.
    uint64_t wait_us; // Time spent waiting for other fetches and before retries, in µs.
    uint64_t match_us; // Time spent matching, excluding fast lookups, in µs.
    uint64_t calls; // Calls that query, refresh or record, excluding fast lookups.
    uint64_t calls_us; // Total duration of the counted calls, in µs. The times above can overlap.
    uint64_t slow_calls; // Calls that were slow: see plexindex_options.slow_ms.
    uint64_t failures; // Failures to reach the server or to store its reply.
    uint64_t size_limit; // Maximum size of the folder in bytes: plexindex_options.size_limit. 0: no limit.
    uint64_t over_limit; // Bytes over the limit that cannot be evicted. If not 0, raise the limit.
    uint64_t evictions; // Libraries evicted because of a limit, by all processes since the store was created.
    char last_failure[512]; // Reason for the last failure: UTF-8, NUL-terminated, possibly truncated. Empty: none.
} plexindex_stats;

// Receives a log line during plexindex_drain_log(). `message` is UTF-8, and valid only during the callback. A message
// contains no token, and full paths only at PLEXINDEX_LOG_DEBUG. The callback must return: see plexindex_progress_fn.
typedef void (*plexindex_log_fn)(void *user, int32_t level, const char *message, size_t length);

// Limits for plexindex_call(). Zero means the default.
typedef struct plexindex_call_options {
    size_t size; // sizeof(plexindex_call_options).
    int64_t timeout_ms; // Maximum duration in ms, including waits. 0: options.timeout_ms. Or PLEXINDEX_NO_TIMEOUT.
    plexindex_progress_fn progress; // Called on this thread while the call waits; may be NULL.
    void *progress_user; // Passed to `progress`.
} plexindex_call_options;

// A change to a table, for plexindex_table_write().
typedef struct plexindex_table_op {
    int32_t kind; // PLEXINDEX_TABLE_PUT, PLEXINDEX_TABLE_REMOVE or PLEXINDEX_TABLE_CLEAR.
    uint32_t reserved; // Zero.
    const plexindex_table_handle *table; // The table.
    plexindex_bytes name; // Name of the entry; NULL and 0 for PLEXINDEX_TABLE_CLEAR.
    plexindex_bytes value; // Value for PLEXINDEX_TABLE_PUT; otherwise NULL and 0.
} plexindex_table_op;

// The header of an answer block, at the start of the buffer.
typedef struct plexindex_answers {
    uint32_t size; // sizeof(plexindex_answers) in this library.
    uint32_t answer_size; // sizeof(plexindex_answer) in this library: the stride of the answers.
    uint32_t item_size; // sizeof(plexindex_item) in this library: the stride of the candidates.
    uint32_t count; // Number of answers: one per path, in order.
    uint32_t first; // Offset of the first answer in the block.
    uint32_t log_lines; // Number of log lines that wait for plexindex_drain_log().
    uint32_t file_size; // sizeof(plexindex_file) in this library.
    uint32_t reserved; // Zero.
} plexindex_answers;

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

// Returns the PLEXINDEX_ABI_VERSION of the header that this library was built with. Never fails.
uint32_t plexindex_get_abi_version(void);

// Returns this library's version, such as `0.1.0`, as a static NUL-terminated string; never NULL.
const char *plexindex_get_version(void);

// Returns a status name, such as `NOT_FOUND`, or else `UNKNOWN`, as a static NUL-terminated string; never NULL.
const char *plexindex_get_status_name(int32_t status);

// Opens an index. Reads only the disk. Several handles and processes can open the same folder.
//
// Returns PLEXINDEX_OK and sets `out_handle`, or sets it to NULL and returns an error: PLEXINDEX_INVALID_ARGUMENT or
// PLEXINDEX_UNSUPPORTED for the options; PLEXINDEX_STORE or PLEXINDEX_STORE_FULL for the store.
int32_t plexindex_open(const plexindex_options *options, plexindex_handle **out_handle, plexindex_buffer *error);

// Replaces the token of an open index. Sends no request. Running calls keep using the old token; a watch reconnects.
//
// With `options.user`, the index keeps its content. Otherwise, the index is empty until the server has accepted the
// new token in a later call. The index then has the content stored for this token, or for the user in a JSON Web Token
// (`thumbprint`, `username`). For any other token, the index starts empty.
//
// `token`: as options.token; NULL and 0 for none. Returns PLEXINDEX_OK, PLEXINDEX_INVALID_ARGUMENT or PLEXINDEX_STORE.
int32_t plexindex_set_token(const plexindex_handle *handle, const char *token, size_t token_length,
                            plexindex_buffer *error);

// Closes an index: saves its counters and stops its threads. `handle` may be NULL. From this call on, no other thread
// may use or close the handle, or use its libraries or tables; plexindex cannot detect such use.
//
// Returns PLEXINDEX_OK; PLEXINDEX_STORE if the index was closed but its counters could not be saved;
// PLEXINDEX_INVALID_ARGUMENT, without closing the index, in a callback of this index or for an invalid `error`.
int32_t plexindex_close(plexindex_handle *handle, plexindex_buffer *error);

// Returns a handle to one library, or to all libraries. Sends no request. If the store does not know the library,
// the first call that uses the handle asks the server for the library.
//
// `kind`: PLEXINDEX_SELECT_*. `selector`: the title, section id or uuid in UTF-8; NULL and 0 for PLEXINDEX_SELECT_ALL.
// `out_library`: the handle, valid as long as the index; NULL after an error. The same selector always returns the
// same handle. An index has at most 1,024 handles for unknown names.
//
// Returns PLEXINDEX_OK; PLEXINDEX_LIBRARY_AMBIGUOUS if two known libraries have the title; PLEXINDEX_INVALID_ARGUMENT.
int32_t plexindex_get_library(const plexindex_handle *handle, int32_t kind, const char *selector,
                              size_t selector_length, const plexindex_library_handle **out_library,
                              plexindex_buffer *error);

// Fast lookup: returns the key (`/library/metadata/<rating key>`) of the item with this path, if available at once
// with PLEXINDEX_CONFIDENCE_HIGH; for several episodes, the first episode's key. `path`: NUL-terminated bytes.
//
// The key is NUL-terminated, and valid until this thread's next fast lookup (plexindex_lookup_key(),
// plexindex_table_lookup()) on any handle. Returns NULL if no answer is available at once, or for a NULL argument:
// then call plexindex_match_path().
//
// Sends no request and calls no callback. If nothing has changed since the last lookup, and what hosts recorded for
// the path is in memory, takes no lock, allocates nothing and makes no system call, except to check twice a second
// whether the store still exists. Otherwise reads the store for at most about 200 ms. Expired listings also answer.
const char *plexindex_lookup_key(const plexindex_library_handle *library, const char *path);

// Returns the keys for many paths, from fast lookups. `paths`: `count` paths, each followed by a NUL. `out_keys`: the
// keys in the same order, each followed by a NUL. An empty key means that no answer is available at once.
int32_t plexindex_lookup_keys(const plexindex_library_handle *library, const char *paths, size_t paths_length,
                              size_t count, plexindex_buffer *out_keys, plexindex_buffer *error);

// Returns the full answer for one path. Tries each PLEXINDEX_MATCH_* in turn, and sends requests if necessary and
// allowed. `out_answer`: a block with plexindex_answers, one plexindex_answer, and the data that they refer to. Writes
// the block and returns PLEXINDEX_OK, PLEXINDEX_NOT_FOUND, PLEXINDEX_AMBIGUOUS, PLEXINDEX_NOT_YET or
// PLEXINDEX_NEEDS_WARM. Writes no block on PLEXINDEX_BUFFER_TOO_SMALL or on other errors. If a library was never
// fetched and cannot be fetched now, returns the server's error.
int32_t plexindex_match_path(const plexindex_handle *handle, const plexindex_query *query, plexindex_buffer *out_answer,
                             plexindex_buffer *error);

// Returns the full answers for many paths in one block: `count` answers in order, each with its own status. Sends
// requests if necessary and allowed. `query.text` contains `count` paths, each followed by a NUL.
//
// Returns PLEXINDEX_OK after writing the block; an error that concerns all paths; or PLEXINDEX_BUFFER_TOO_SMALL,
// before any work if the buffer has less than 384 bytes per path plus the length of `text`.
int32_t plexindex_match_paths(const plexindex_handle *handle, const plexindex_query *query, size_t count,
                              plexindex_buffer *out_answers, plexindex_buffer *error);

// Returns the number of answers in a block, one per path in order; 0 if the buffer contains no block.
// This and the next five functions read an unchanged block from plexindex_match_path() or plexindex_match_paths().
// They check all offsets, and return NULL or 0 for missing data. The returned pointers point into the block.
size_t plexindex_count_answers(const plexindex_buffer *block);

// Returns the answer at this index, starting at 0; NULL beyond the last answer.
const plexindex_answer *plexindex_get_answer(const plexindex_buffer *block, size_t index);

// Returns a single item with high confidence; otherwise NULL. With low confidence, candidate 0 may be another work.
const plexindex_item *plexindex_get_sure_item(const plexindex_buffer *block, const plexindex_answer *answer);

// Returns the candidate at this index, starting at 0 with the best; NULL beyond the last candidate.
const plexindex_item *plexindex_get_candidate(const plexindex_buffer *block, const plexindex_answer *answer,
                                              size_t index);

// Returns an item's matching file; NULL if the query lacked PLEXINDEX_QUERY_FILE, or the listing has no such file.
const plexindex_file *plexindex_get_file(const plexindex_buffer *block, const plexindex_item *item);

// Returns a NUL-terminated string from a block, such as `&item->title`; NULL if missing. An empty string is not NULL.
const char *plexindex_get_text(const plexindex_buffer *block, const plexindex_text *text);

// Records that the item with this key has this path. plexindex stores the match, which never expires and overrides
// other matches. The item may be newer than the listing. While a complete listing lacks the item, queries ignore the
// match, and their message says so.
//
// `library`: one library, not all libraries. `path`: bytes as in the file system. `key`: `/library/metadata/` and the
// item's rating key, or only the rating key, 1 to 255 digits. In all functions, other keys are invalid.
//
// Returns PLEXINDEX_OK once the match is stored for all processes; PLEXINDEX_TIMEOUT, without recording, if that takes
// longer than `timeout_ms` (as in plexindex_query). Asks the server only if the store does not know the library, so
// also returns other server errors and PLEXINDEX_LIBRARY_NOT_FOUND. No callback can end this call: without a timeout,
// it fails after `options.retry_ms` without a connection, or `options.read_timeout_ms` without data.
int32_t plexindex_record_match(const plexindex_library_handle *library, const char *path, size_t path_length,
                               const char *key, size_t key_length, int64_t timeout_ms, plexindex_buffer *error);

// Records many matches like plexindex_record_match(): all or none. `paths`, `keys`: `count` strings, each with a NUL.
//
// `flags`: 0, or PLEXINDEX_RECORD_THROUGH to return only once the shared database has the matches, like the method
// `sharing`. PLEXINDEX_TIMEOUT can then mean that this host has stored the matches and delivers them later.
// PLEXINDEX_INVALID_ARGUMENT then means that nothing was recorded: the index does not share, or a path is in no
// library folder and under no mapping, so that no other host could use the match.
int32_t plexindex_record_matches(const plexindex_library_handle *library, const char *paths, size_t paths_length,
                                 const char *keys, size_t keys_length, size_t count, uint32_t flags, int64_t timeout_ms,
                                 plexindex_buffer *error);

// Invalidates a path in one library or in all, and removes its recorded match. If an item lists the path, plexindex
// verifies the item with one request before it returns the item for this path again. Running calls can still return
// the old answer.
//
// Returns PLEXINDEX_OK, even for an unknown path; PLEXINDEX_NOT_FETCHED until the server has accepted a new token; or
// an error for an argument or the store.
int32_t plexindex_invalidate_path(const plexindex_library_handle *library, const char *path, size_t path_length,
                                  plexindex_buffer *error);

// Invalidates an item by its key or rating key, for example after the server returned 404, and removes its recorded
// matches. plexindex verifies the item with one request before it returns it again; until then, answers are stale.
int32_t plexindex_invalidate_item(const plexindex_library_handle *library, const char *key, size_t key_length,
                                  plexindex_buffer *error);

// Invalidates one library or all libraries, and removes their recorded matches. The next call that can ask the server
// fetches a full listing; until then, the old listing answers with PLEXINDEX_ANSWER_STALE. The time needed does not
// depend on the library's size. Returns the same statuses as plexindex_invalidate_path().
int32_t plexindex_invalidate_library(const plexindex_library_handle *library, plexindex_buffer *error);

// Removes everything stored for this server and user, except the client identifier and lifetime counters. Without a
// server URL, clears the newest server in the store. Returns the same statuses as plexindex_invalidate_path().
int32_t plexindex_clear(const plexindex_handle *handle, plexindex_buffer *error);

// Brings the query's library, or all libraries, up to date, like a match with an expired listing. Sends no request for
// fresh listings; with PLEXINDEX_QUERY_PROBE, sends one request for all libraries. PLEXINDEX_QUERY_FULL always fetches
// a full listing. Verifies up to 256 invalidated items, 100 per request. `text` must be empty.
//
// plexindex holds back a listing that has lost more than 30 % of its items, since a disk may be unmounted. The call
// then logs a warning and returns PLEXINDEX_NOT_YET, and the old listing answers with PLEXINDEX_ANSWER_STALE. plexindex
// accepts the next listing of any size at least a minute later, or at once with PLEXINDEX_QUERY_FULL.
//
// Returns PLEXINDEX_OK if answers are then fresh; PLEXINDEX_NOT_YET if they are not, or if the timeout passed, and the
// next call continues; PLEXINDEX_NEEDS_WARM if no data arrived; or PLEXINDEX_TIMEOUT if no library is known.
int32_t plexindex_refresh(const plexindex_handle *handle, const plexindex_query *query, plexindex_buffer *error);

// Fills in the statistics. Set `size` in `out_stats` first.
int32_t plexindex_get_stats(const plexindex_handle *handle, plexindex_stats *out_stats, plexindex_buffer *error);

// Passes the waiting log lines to `receive`, oldest first, on this thread. Call this function once a second, or when
// plexindex_answers.log_lines is not 0. At most 256 lines wait per process; beyond that, the oldest lines are lost,
// and a line reports their number. Before you unload the library, call this function last to free the lines.
int32_t plexindex_drain_log(plexindex_log_fn receive, void *user, plexindex_buffer *error);

// Calls a method by name, with a request and an answer in JSON. docs/methods.md describes the methods, and
// plexindex.schema.json is their JSON Schema.
//
// `handle`: may be NULL for `versions`, `log.set_level` and `paths.compare`. `method`: the name, NUL-terminated.
// `request`: a JSON object in UTF-8, at most 64 MiB; NULL and 0 for an empty object. Unknown fields are errors.
// `options`: may be NULL. `out_json`: the answer, a NUL-terminated JSON object in UTF-8; free it with
// plexindex_free(). NULL after an error.
//
// Answers omit unknown values. Ignore fields that you do not know. A path or table name is a string, or `{"bytes":
// "<Base64>"}` if it is not UTF-8. Keys and cursors are strings. You can use the cursor of a page more than once to
// get the next page. Returns the method's status, or PLEXINDEX_INVALID_ARGUMENT for an unknown method or field.
int32_t plexindex_call(const plexindex_handle *handle, const char *method, const char *request, size_t request_length,
                       const plexindex_call_options *options, char **out_json, plexindex_buffer *error);

// Frees an answer of plexindex_call(). `json` may be NULL.
void plexindex_free(char *json);

// Stores an event that the host received, so that the next query about the changed library asks the server. Sends no
// request. `body`: Plex's webhook (the JSON in its field `payload`, or the whole multipart form) or notification (a
// WebSocket message, or the `data` of an event), or Sonarr's or Radarr's webhook, whose paths the mappings translate.
//
// Returns PLEXINDEX_OK once the event is stored for all processes, or if there is nothing to store: the event reports
// no change, or is of another server (`Server.uuid`), or its files are in no library's folder. Until the server has
// accepted a new token, stores nothing and returns PLEXINDEX_NOT_FETCHED: call plexindex_refresh() with
// PLEXINDEX_QUERY_PROBE, then this function again. Any other body is PLEXINDEX_INVALID_ARGUMENT.
int32_t plexindex_notify(const plexindex_handle *handle, const char *body, size_t body_length, plexindex_buffer *error);

// Makes each waiting `changes.wait` on this handle call its `progress` within 50 ms. Do not call in a signal handler.
int32_t plexindex_wake_waiting(const plexindex_handle *handle, plexindex_buffer *error);

// Returns a handle to one of the host's tables. A table stores values by name in the index's folder, for all
// processes. Names and values can be any bytes. Queries ignore tables, and plexindex never sends tables to a server.
// plexindex_table_put() creates the table. The methods `tables.count` and `tables.clear` count and remove entries.
//
// `name`: any bytes; for an empty name, a non-NULL pointer and 0. `flags`: 0, or any PLEXINDEX_TABLE_* flags.
// `out_table`: the handle, valid as long as the index; NULL after an error. The same name and flags always return the
// same handle. An index has at most 10,000 table handles.
int32_t plexindex_get_table(const plexindex_handle *handle, const char *name, size_t name_length, uint32_t flags,
                            const plexindex_table_handle **out_table, plexindex_buffer *error);

// Fast lookup of a value. `name`: NUL-terminated; for a name with a NUL, use plexindex_table_get(). `out_value`: the
// value, NUL-terminated, valid as long as a key of plexindex_lookup_key(); NULL if there is no value.
//
// Returns PLEXINDEX_OK; PLEXINDEX_NOT_FOUND if there is no value or it has expired; PLEXINDEX_NOT_YET if the value has
// more than 1,000 bytes or contains a NUL, if a change could not be read in time, or for a NULL argument: then call
// plexindex_table_get(). Waits no longer than plexindex_lookup_key().
int32_t plexindex_table_lookup(const plexindex_table_handle *table, const char *name, const char **out_value);

// Reads a value. `out_value`: the value, followed by a NUL that `length` does not count; NULL only checks for a value.
// Returns PLEXINDEX_OK; PLEXINDEX_NOT_FOUND, also for an expired value; or PLEXINDEX_BUFFER_TOO_SMALL.
int32_t plexindex_table_get(const plexindex_table_handle *table, const char *name, size_t name_length,
                            plexindex_buffer *out_value, plexindex_buffer *error);

// Stores a value, and replaces any value with the same name. `ttl_ms`: time until the value expires, in ms; 0 for one
// hour; or PLEXINDEX_TTL_AT_ONCE, PLEXINDEX_TTL_NEVER. `limit`: maximum size of the table in bytes, counting each
// entry's name, its value and 64 bytes; 0 for no limit. Beyond the limit, plexindex removes the table's oldest entries,
// but no entry from this call. Some calls also remove expired entries.
//
// Returns PLEXINDEX_OK once all processes see the value; PLEXINDEX_INVALID_ARGUMENT, also for a name above 1 MiB or a
// value above 900,000,000 bytes; PLEXINDEX_NULL_POINTER; PLEXINDEX_STORE; PLEXINDEX_STORE_FULL.
int32_t plexindex_table_put(const plexindex_table_handle *table, const char *name, size_t name_length,
                            const char *value, size_t value_length, int64_t ttl_ms, uint64_t limit,
                            plexindex_buffer *error);

// Removes an entry. Succeeds even if the entry does not exist.
int32_t plexindex_table_remove(const plexindex_table_handle *table, const char *name, size_t name_length,
                               plexindex_buffer *error);

// Makes many changes in one transaction, in order: all or none. If a limit later removes one of the call's values from
// a table, it removes all of them there. `ops`: `count` changes to this index's tables. `ttl_ms`, `limit` and the
// statuses are as for plexindex_table_put().
int32_t plexindex_table_write(const plexindex_handle *handle, const plexindex_table_op *ops, size_t count,
                              int64_t ttl_ms, uint64_t limit, plexindex_buffer *error);

// Returns the name of a table's next entry in byte order, skipping expired entries.
//
// `after`: the name that the last call returned; NULL for the first name; for an empty name, a non-NULL pointer and 0.
// `after` can be in `out_name`, whose memory PLEXINDEX_BUFFER_TOO_SMALL leaves unchanged but plexindex_buffer_grow()
// can move. Returns PLEXINDEX_OK; PLEXINDEX_NOT_FOUND after the last name; or PLEXINDEX_BUFFER_TOO_SMALL.
int32_t plexindex_table_get_next(const plexindex_table_handle *table, const char *after, size_t after_length,
                                 plexindex_buffer *out_name, plexindex_buffer *error);

// Helpers. These functions are inline: the library does not export them.

// Returns a C string as bytes, without copying it and without its NUL. NULL becomes an empty string.
static inline plexindex_bytes plexindex_bytes_of(const char *text)
{
    plexindex_bytes bytes = {text, text == NULL ? 0 : strlen(text)};
    return bytes;
}

// Returns options with their size set and all defaults.
static inline plexindex_options plexindex_options_init(void)
{
    plexindex_options options;
    memset(&options, 0, sizeof options);
    options.size = sizeof options;
    return options;
}

// Returns a query for this string in all libraries, with all defaults. NULL means a query without a string.
static inline plexindex_query plexindex_query_init(const char *text)
{
    plexindex_query query;
    memset(&query, 0, sizeof query);
    query.size = sizeof query;
    query.text = plexindex_bytes_of(text);
    return query;
}

// Returns statistics with their size set, for plexindex_get_stats().
static inline plexindex_stats plexindex_stats_init(void)
{
    plexindex_stats stats;
    memset(&stats, 0, sizeof stats);
    stats.size = sizeof stats;
    return stats;
}

// Memory for an error message, for example on the stack. `text` is the message of the last call that used `buffer`.
typedef struct plexindex_error {
    plexindex_buffer buffer; // The buffer over `text`.
    char text[1024]; // The message in UTF-8, NUL-terminated.
} plexindex_error;

// Prepares the memory, and returns the buffer to pass as the last argument of calls. `error` must not move afterwards.
static inline plexindex_buffer *plexindex_error_init(plexindex_error *error)
{
    error->text[0] = '\0';
    error->buffer.data = error->text;
    error->buffer.capacity = sizeof error->text;
    error->buffer.length = 0;
    return &error->buffer;
}

// Enlarges a buffer, which must be zeroed or from malloc, after any function that fills a buffer:
//     do status = plexindex_match_path(index, &query, &block, error);
//     while (plexindex_buffer_grow(&block, status));
// Returns 1 if you must repeat the call; otherwise 0, also if memory is exhausted. Allocates at least 8 KiB. Calls
// that can ask the server reject buffers of less than 4,096 bytes before they do any work.
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

// Frees the memory from plexindex_buffer_grow(), and empties the buffer. `buffer` may be NULL.
static inline void plexindex_buffer_free(plexindex_buffer *buffer)
{
    if (buffer == NULL) return;
    free(buffer->data);
    buffer->data = NULL;
    buffer->capacity = buffer->length = 0;
}

// Returns the name of `match_kind`, such as `FILE_NAME` for PLEXINDEX_MATCH_FILE_NAME; `UNKNOWN` for other numbers.
static inline const char *plexindex_get_match_kind_name(int32_t match_kind)
{
    static const char *const names[] = {"NONE", "CONFIRMED", "EXACT", "MAPPED", "SUFFIX", "FILE_NAME"};
    return match_kind >= 0 && match_kind < 6 ? names[match_kind] : "UNKNOWN";
}

// Returns the name of `confidence`, such as `HIGH`; `UNKNOWN` for other numbers.
static inline const char *plexindex_get_confidence_name(int32_t confidence)
{
    static const char *const names[] = {"NONE", "LOW", "HIGH"};
    return confidence >= 0 && confidence < 3 ? names[confidence] : "UNKNOWN";
}

// Returns the name of `reason`, such as `NOT_LISTED`; `UNKNOWN` for other numbers.
static inline const char *plexindex_get_reason_name(int32_t reason)
{
    static const char *const names[] = {
        "NONE", "NO_LOCATION", "NOT_LISTED", "NOT_FETCHED", "SEVERAL_ITEMS", "SEVERAL_LIBRARIES", "UNCONFIRMED",
        "ONLY_ROOT_DIFFERS", "UNKNOWN", "UNKNOWN", "UNKNOWN", "SEVERAL_EPISODES", "EMPTY", "ABOVE_LOCATIONS",
        "UNAVAILABLE", "NOT_ASKED", "SAME_NAME", "SAME_FILE", "SIZE_DIFFERS", "SAME_SIZE"};
    return reason >= 0 && reason < 20 ? names[reason] : "UNKNOWN";
}

// Returns the name of `kind`, such as `MOVIE`; `UNKNOWN` for other numbers.
static inline const char *plexindex_get_kind_name(int32_t kind)
{
    static const char *const names[] = {
        "OTHER", "MOVIE", "SHOW", "SEASON", "EPISODE", "UNKNOWN", "UNKNOWN", "UNKNOWN", "ARTIST", "ALBUM", "TRACK",
        "UNKNOWN", "CLIP", "PHOTO"};
    return kind >= 0 && kind < 14 ? names[kind] : "UNKNOWN";
}

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* PLEXINDEX_H */
