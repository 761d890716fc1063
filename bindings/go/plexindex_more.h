
/*
 * plexindex, the rest: facts as JSON, items and folders, listings against the disk, events, the feed of changes, edits,
 * tables of the host's own values, and the log that hosts share. plexindex.h says what holds for every function.
 *
 * Generated from bindings/c/src by cbindgen; renew it with `make header`. Licence: MIT OR Apache-2.0.
 *
 * Functions
 *   Facts as JSON, and the version of `SQLite`: plexindex_list_libraries_json, plexindex_check_server_json,
 *     plexindex_get_store_json, plexindex_propose_mappings_json, plexindex_get_sqlite_version
 *   Items and folders: plexindex_list_items, plexindex_get_item_json, plexindex_match_folder,
 *     plexindex_list_items_below
 *   Compare paths: plexindex_compare_paths
 *   Listings against the disk: plexindex_walk, plexindex_list_items_not_on_disk, plexindex_map_to_host
 *   Events: plexindex_watch_start, plexindex_watch_stop, plexindex_notify
 *   The feed of changes: plexindex_list_changes, plexindex_wait_for_changes, plexindex_wake_waiting
 *   Edits: plexindex_edit_items
 *   Tables of the host's own values: plexindex_get_table, plexindex_table_lookup, plexindex_table_get,
 *     plexindex_table_put, plexindex_table_remove, plexindex_table_write, plexindex_table_get_next,
 *     plexindex_table_count, plexindex_table_clear
 *   The log that several hosts share: plexindex_shared
 */

#ifndef PLEXINDEX_MORE_H
#define PLEXINDEX_MORE_H

#include "plexindex.h"

// plexindex_compare_paths():
#define PLEXINDEX_PATHS_EQUAL 0x10000 // the two paths have the same components.
#define PLEXINDEX_PATHS_UNDER 0x20000 // the path lies under the other one, which is a folder then.
#define PLEXINDEX_PATHS_COMMON 0xffff // these bits are the number of components that agree, from the end.

// plexindex_walk_request.rules:
// files that do not end as media of the library's kind do. Nothing is told of them.
#define PLEXINDEX_RULE_EXTENSION 0x1
#define PLEXINDEX_RULE_HIDDEN 0x2 // files and folders whose names begin with a dot.
#define PLEXINDEX_RULE_SYSTEM 0x4 // folders of systems and programs, such as lost+found.
#define PLEXINDEX_RULE_UNPACKING 0x8 // folders that are being unpacked, or could not be.
#define PLEXINDEX_RULE_EMPTY 0x10 // files without a byte, links that lead nowhere, files that cannot be read.
#define PLEXINDEX_RULE_SAMPLES 0x20 // samples of videos.
#define PLEXINDEX_RULE_EXTRAS 0x40 // trailers, interviews and the like, which are of an item.
#define PLEXINDEX_RULE_DISCS 0x80 // the folders of discs, BDMV and VIDEO_TS.
#define PLEXINDEX_RULE_PLEXIGNORE 0x100 // what a file .plexignore names.
#define PLEXINDEX_RULE_ALL 0x1ff // all rules that this header knows.

// plexindex_walk_request.flags:
#define PLEXINDEX_WALK_ONCE 0x1 // one call and no walk. Links are findings, and none is followed. `walk` stays 0.

// plexindex_edit.lock:
#define PLEXINDEX_EDIT_LOCK 0 // the named fields are locked.
#define PLEXINDEX_EDIT_UNLOCK 1 // the named fields are unlocked.
#define PLEXINDEX_EDIT_LEAVE 2 // locks stay as they are.

// plexindex_edit_report.states:
#define PLEXINDEX_EDITED_NO 0 // no request was sent for the item.
#define PLEXINDEX_EDITED_DONE 1 // the item was edited.
#define PLEXINDEX_EDITED_FAILED 2 // the item's request failed; whether it was edited is not known.
#define PLEXINDEX_EDITED_MISSING 3 // the server has no such item; nothing was edited.

// plexindex_get_table():
#define PLEXINDEX_TABLE_FOLD_ASCII 0x1 // `A` to `Z` in names of entries count as `a` to `z`.

// plexindex_table_op.kind:
#define PLEXINDEX_TABLE_PUT 1 // stores `value` under `name`.
#define PLEXINDEX_TABLE_REMOVE 2 // removes the entry `name`.
#define PLEXINDEX_TABLE_CLEAR 3 // removes all entries of the table.

// plexindex_shared():
#define PLEXINDEX_SHARED_STATUS 0 // nothing is changed.
#define PLEXINDEX_SHARED_INIT 1 // the tables of the log are created or upgraded.
#define PLEXINDEX_SHARED_CLEAR 2 // the log is emptied, for all servers and users. Each host keeps its folder.
#define PLEXINDEX_SHARED_DELIVER 3 // waits until the log has all that this host has to tell.
// from now on news of other hosts is taken as it comes, and what waits here is delivered.
#define PLEXINDEX_SHARED_FOLLOW 4
#define PLEXINDEX_SHARED_UNFOLLOW 5 // ends PLEXINDEX_SHARED_FOLLOW.

// plexindex_options.flags:
// a write for other hosts is forced to the disk before its call returns, so that a power cut takes none that was
// acknowledged. For `shared`.
#define PLEXINDEX_OPEN_SHARED_DURABLE 0x10

// A table of the host's own values, or all of them, from plexindex_get_table(). It belongs to the index: the caller
// does not free it, and it is valid until plexindex_close(). Any number of threads may use it at once.
typedef struct plexindex_table_handle plexindex_table_handle;

// One call of a walk over folders of this machine, for plexindex_walk(). Begin with plexindex_walk_init(). The call
// writes `walk` and `files` and leaves the rest.
typedef struct plexindex_walk_request {
    size_t size; // sizeof(plexindex_walk_request).
    // Of one library, or of all. Folders that only other libraries have are no findings.
    const plexindex_library_handle *library;
    // The folders and files to read. Each is two texts, each followed by a NUL: `folder`, `twin_folder`, `file` or
    // `twin_file`, and the full path.
    plexindex_bytes folders;
    size_t folders_count; // How many folders and files: half the number of texts.
    // The call ends with the folder that it reads after so many names, at most 1,000,000, and after 200 ms. 0: 1,000.
    size_t limit;
    // In: 0 begins a walk; the number that the last call left here continues it. Out: 0 when the walk is over.
    uint64_t walk;
    // Out: media files that this call saw, listed ones and given ones included; not those that only other libraries
    // list. The sum over the calls of a walk is that of the walk.
    uint64_t files;
    // The rules that hold: PLEXINDEX_RULE_*, or'ed. Outside every library's folder only EXTENSION, HIDDEN, SYSTEM and
    // EMPTY do.
    uint32_t rules;
    uint32_t flags; // PLEXINDEX_WALK_* flags, or'ed.
} plexindex_walk_request;

// An edit of items, for plexindex_edit_items(). Begin with plexindex_edit_init().
typedef struct plexindex_edit {
    size_t size; // sizeof(plexindex_edit).
    const plexindex_library_handle *library; // The items' library: one, not all.
    // `keys_count` keys or rating keys, each followed by a NUL. Never empty: a server without keys would edit every
    // item of the library.
    plexindex_bytes keys;
    size_t keys_count; // How many keys.
    // `changes_count` pairs of a name and a value, each followed by a NUL, UTF-8. The name `title` sets that field to
    // the value, `genre+` adds the value to those tags, `genre-` removes it from them. `title!` changes the field's
    // lock only, and its value is empty. The names are Plex's, which ignores those that it does not know.
    plexindex_bytes changes;
    size_t changes_count; // How many pairs of a name and a value. Never 0.
    // How long the call may take, in milliseconds. 0: as the options say. PLEXINDEX_NO_DEADLINE: as long as it takes.
    // Other negative values are refused.
    int64_t deadline_ms;
    // PLEXINDEX_EDIT_LOCK locks the fields that are named: the server's agents leave them alone.
    // PLEXINDEX_EDIT_UNLOCK unlocks them. PLEXINDEX_EDIT_LEAVE leaves their locks as they are.
    int32_t lock;
    uint32_t reserved; // Zero.
} plexindex_edit;

// How far an edit came, whether it succeeded or not. Begin with plexindex_edit_report_init(). Set `states` to learn
// which items were edited.
typedef struct plexindex_edit_report {
    size_t size; // sizeof(plexindex_edit_report).
    uint8_t *states; // Receives PLEXINDEX_EDITED_* for each key, in order; may be NULL.
    size_t states_capacity; // How many states fit. Keys beyond that get no state.
    uint64_t done; // Out: keys whose items the server edited.
    uint64_t failed; // Out: keys of the request that failed. Whether the server edited their items is not known.
    uint64_t requests; // Out: requests, with the one that failed and without retries.
} plexindex_edit_report;

// A change of a table, for plexindex_table_write().
typedef struct plexindex_table_op {
    int32_t kind; // PLEXINDEX_TABLE_PUT, PLEXINDEX_TABLE_REMOVE or PLEXINDEX_TABLE_CLEAR.
    uint32_t reserved; // Zero.
    const plexindex_table_handle *table; // The table.
    plexindex_bytes name; // The entry's name; NULL and 0 for PLEXINDEX_TABLE_CLEAR.
    plexindex_bytes value; // Its value; NULL and 0 but for PLEXINDEX_TABLE_PUT.
} plexindex_table_op;

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

// The libraries as a JSON array, UTF-8. Each has `section`, `uuid` (`section:` and the section id where the server
// gives none), `title`, `kind`, `locations`, `items`, `age_ms`, `fresh` and `generation`. Sends a request only when
// no library is known and the query allows it. `library` and `text` of the query are not used.
int32_t plexindex_list_libraries_json(const plexindex_handle *handle, const plexindex_query *query,
                                      plexindex_buffer *out_json, plexindex_buffer *error);

// Asks the server who it is and which libraries it shows, whatever the store has, to find out what is wrong. Takes
// two requests, three at the first contact, and stores their answers. The first one carries no token, so
// PLEXINDEX_UNAUTHORIZED says that the server was reached. `library` and `text` of the query are not used.
//
// `out_json`: an object, UTF-8: `machine_identifier`, `version`, `answered_us`, `libraries`.
//
// Returns PLEXINDEX_OK; PLEXINDEX_OFFLINE; the server's error.
int32_t plexindex_check_server_json(const plexindex_handle *handle, const plexindex_query *query,
                                    plexindex_buffer *out_json, plexindex_buffer *error);

// Describes the place where the store is, as a JSON object, UTF-8: `folder`, `file_system`, `journal`,
// `shares_memory`, `counter_page`, `locks`, `locks_error`, `disk_bytes` and `free_bytes`. The call tests `locks` on a
// file that it removes again. `file_system` and `free_bytes` are null where the system does not say. Sends no
// request.
int32_t plexindex_get_store_json(const plexindex_handle *handle, plexindex_buffer *out_json, plexindex_buffer *error);

// Proposes mappings that seem to be missing, the best first, as a JSON array, UTF-8. Each has `from`, `to`, `matched`
// and `of`: this handle found `of` paths by their end or file name, and `matched` of them would be listed if the
// host's folder `from` were the server's folder `to` (PLEXINDEX_MAPPING_HOST_PREFIX). The first 500 such answers
// count. Folders are given in full, also with PLEXINDEX_OPEN_OBFUSCATE_PATHS. Sends no request.
//
// `paths`: `count` paths, each followed by a NUL; NULL, 0 and 0 for none. With paths these count, and not earlier
// answers. Each proposal is tried on the paths that those before it leave unlisted, and has `gain`: how many of them it
// has listed. At most five are given, and none for a few paths of many.
int32_t plexindex_propose_mappings_json(const plexindex_handle *handle, const char *paths, size_t paths_length,
                                        size_t count, plexindex_buffer *out_json, plexindex_buffer *error);

// The version of the `SQLite` that is part of this library, such as `3.50.4`: static, NUL-terminated, never NULL.
const char *plexindex_get_sqlite_version(void);

// The items of a library as the store has them, one page a call. Sends no request.
//
// `library`: one library, not all. `cursor`: 0 for the first page; the call moves it to the next one. `limit`: items
// of a page, 1 to 10,000. `out_page`: a block with one answer whose candidates are the items.
//
// Returns the answer's status: PLEXINDEX_OK with items, PLEXINDEX_NOT_FOUND after the last page. Returns
// PLEXINDEX_BUFFER_TOO_SMALL with the cursor as it was; PLEXINDEX_INVALID_ARGUMENT; PLEXINDEX_NOT_FETCHED when
// the store does not have the listing: it was never fetched, or was removed for the limit on the folder, between two
// pages perhaps.
int32_t plexindex_list_items(const plexindex_library_handle *library, int64_t *cursor, size_t limit,
                             plexindex_buffer *out_page, plexindex_buffer *error);

// One item of a library, or of any, as the store has it, with all its files and external ids, as JSON. Sends no
// request.
//
// `key`: the item's key or rating key. `out_json`: an object, UTF-8: `key`, `rating_key`, `kind` (Plex's word),
// `title`, `year`, `show_title`, `show_rating_key`, `show_guid`, `season` and `episode` (-1 for none), `guid`, `guids`
// and `paths`.
//
// Returns PLEXINDEX_OK; PLEXINDEX_NOT_FOUND when no listing holds the item; PLEXINDEX_BUFFER_TOO_SMALL;
// PLEXINDEX_INVALID_ARGUMENT when `key` is no key; PLEXINDEX_NOT_FETCHED when the store does not have the
// listing, as plexindex_list_items().
int32_t plexindex_get_item_json(const plexindex_library_handle *library, const char *key, size_t key_length,
                                plexindex_buffer *out_json, plexindex_buffer *error);

// Answers which show, season, artist, album or item a folder is: the deepest one that all listed files below it
// share.
//
// `query`: `text` is the path of the folder; separators at its end do not count. `out_answer`: as for
// plexindex_match_path(), with `items`, `files` and `kind`. The item's `path` is the folder, as the server spells it.
//
// - All files below are of one season or album: that is the item. Where the server gives no key for a season (it
//   hides seasons), the item is the show, with `season` set.
// - All files below are of one show or artist: that is the item.
// - One film or other item without a show lies below: that is the item.
// - Several lie below, as in a library's own folder: the first 16 are the candidates, each with the file or folder in
//   which it lies there.
//
// The kinds of match are those of files. A folder that is found by its end has high confidence only with
// PLEXINDEX_REASON_ONLY_ROOT_DIFFERS. Without an item the reason is PLEXINDEX_REASON_EMPTY, _NOT_LISTED,
// _NOT_FETCHED, _NO_LOCATION, or that of several candidates.
//
// A library that was never fetched, or whose listing has expired, is fetched first: PLEXINDEX_NOT_YET if the deadline
// passes meanwhile. Plex's database needs no listing: all below the folder is read at once.
//
// Returns what plexindex_match_path() returns.
int32_t plexindex_match_folder(const plexindex_handle *handle, const plexindex_query *query,
                               plexindex_buffer *out_answer, plexindex_buffer *error);

// The items with files below a folder, one page a call, in the order of their paths. Sends no request.
//
// `library`: a handle of one library, or of all. `path`: the folder, found as by plexindex_match_folder(); one that is
// found by its end counts with PLEXINDEX_CONFIDENCE_HIGH only. `after`: the `path` of the last candidate of the page
// before; NULL and 0 for the first page. Give a copy of it: PLEXINDEX_BUFFER_TOO_SMALL overwrites the page before.
// `limit`: files of a page, 1 to 10,000. A page has more where its last file is of several items. `out_page`: a block
// with one answer whose candidates are the items, once for each of their files below the folder, with that file as
// `path`.
//
// A change between two pages moves no file that was not changed itself: none comes twice, none is missed.
//
// Returns the answer's status: PLEXINDEX_OK with items, PLEXINDEX_NOT_FOUND after the last page. Returns
// PLEXINDEX_BUFFER_TOO_SMALL; PLEXINDEX_INVALID_ARGUMENT; PLEXINDEX_NOT_FETCHED when the library was never
// fetched, or was removed for the limit on the folder.
int32_t plexindex_list_items_below(const plexindex_library_handle *library, const char *path, size_t path_length,
                                   const char *after, size_t after_length, size_t limit, plexindex_buffer *out_page,
                                   plexindex_buffer *error);

// Compares one path with others as the index compares a path with those that Plex lists: case and the Unicode form do
// not count, and `\` separates components in paths that begin like those of Windows. Needs no index, reads no file
// and sends no request.
//
// `others`: `count` paths, each followed by a NUL. `out_relations`: receives `count` numbers. Each holds
// PLEXINDEX_PATHS_EQUAL, PLEXINDEX_PATHS_UNDER or neither; its bits PLEXINDEX_PATHS_COMMON say how many components
// agree, counted from the end.
int32_t plexindex_compare_paths(const char *path, size_t path_length, const char *others, size_t others_length,
                                size_t count, uint32_t *out_relations, plexindex_buffer *error);

// Reads folders of this machine, and reports each file that is not listed as a single item, and why. Sends no request:
// refresh the libraries first. plexindex_list_items_not_on_disk() is the other direction.
//
// A walk takes several calls with the same struct, since each call ends after `limit` names or 200 ms. Each call is
// given a list of folders to read, and reports those that are still to be read: folders of the list that it did not
// come to, and folders that it found.
//
// 1. The first call has `walk` 0, and a list of the folders to walk, or the first of them.
// 2. The list of each further call begins with the `folder` and `twin_folder` findings of the call before, in their
//    order. Folders that the first list left out come behind them. So the walk reads folders in the order of their
//    names, and the list stays short. The list must be a copy: the call overwrites the findings of the call before.
// 3. If that gives an empty list and `walk` is not 0, make the call with it: it reads the targets of links. If it
//    reports folders, go on with step 2, else with this one.
// 4. The walk is over when the call leaves 0 in `walk`.
//
// A walk may be abandoned after any call. An index remembers the 64 walks that were continued last.
//
// `walk`: see plexindex_walk_request. `out_findings`: receives findings, for plexindex_get_next_finding(). Each is four
// texts, each text followed by a NUL: the kind, the cause, the path, and a detail or nothing. The kinds:
//
// - `folder`, `twin_folder`: a folder that the walk has not read yet. These come last.
// - `file`, `twin_file`: a media file that is not listed as a single item. The cause is `several_items`: more than one
//   item has it; the rule that leaves it out, such as `hidden` for PLEXINDEX_RULE_HIDDEN, with the line of a
//   .plexignore as detail; `not_scanned`: it lies in a library's folder; `not_fetched`: so it does, and that library
//   has no listing here: refresh it first; `mapping_missing`: it lies in none, and the library lists the detail, of
//   which only the root differs; `no_library`. What only other libraries list is no finding.
// - `left_out`: a folder that is not read. The cause is a rule; or `loop`: a link to a folder above it; or `linked`:
//   the folder was read by another path, and the last text is its real path.
// - `link`: a link to a folder, with PLEXINDEX_WALK_ONCE only.
// - `unreadable`: a folder or link that cannot be read, or a folder of the first call that does not exist. The cause is
//   the number of the system's error.
//
// A kind begins with `twin_` for names in one folder that differ by case or Unicode form only, such as `Up.mkv` and
// `UP.mkv`, and for everything below such folders. If the server lists one of two such files, the other one counts as
// not listed; else a spelling makes no difference. A file that is given is reported as if the walk had found it: after
// a refresh, or to learn why it is not in Plex. Below a location each real folder (device and inode) is read once.
// Links are followed after everything that is reached without them, so the choice between two links to a folder
// depends on their paths only.
//
// The call uses three threads beside the caller's. They end before it returns.
//
// Returns PLEXINDEX_OK; PLEXINDEX_BUFFER_TOO_SMALL: enlarge the buffer and call again with the same struct;
// PLEXINDEX_INVALID_ARGUMENT, also for a walk that is over or that another call continues;
// PLEXINDEX_LIBRARY_NOT_FOUND for a library that is not known; PLEXINDEX_NOT_FETCHED while none is, or
// PLEXINDEX_UNAUTHORIZED if the server refused the token.
//
// Precondition: pointers must be NULL or valid; `walk.library` must be a handle of an open index.
int32_t plexindex_walk(plexindex_walk_request *walk, plexindex_buffer *out_findings, plexindex_buffer *error);

// Lists the files below a folder that are missing from this machine, one page a call. It reads a page of
// plexindex_list_items_below(), and looks for each of its files under the name that plexindex_map_to_host() gives.
// Sends no request.
//
// Each candidate is a file, and `flags` says what was found: PLEXINDEX_ITEM_FILE_MISSING, the file is missing;
// PLEXINDEX_ITEM_FILE_UNKNOWN, it could not be looked for; neither, it is there. Each file with one of these flags is
// a candidate. A file that is there is a candidate only if its item has several files, or if it is the last file of
// the page.
//
// `path`, `after`: as for plexindex_list_items_below(); `after` is the `path` of the last candidate, whatever its
// flags. `limit`: files that the call looks for, 1 to 10,000. `out_page`: a block as from
// plexindex_list_items_below(); `files` of the answer says how many files were looked for. The call uses three threads
// beside the caller's. They end before it returns.
//
// Returns what plexindex_list_items_below() returns.
int32_t plexindex_list_items_not_on_disk(const plexindex_library_handle *library, const char *path, size_t path_length,
                                         const char *after, size_t after_length, size_t limit,
                                         plexindex_buffer *out_page, plexindex_buffer *error);

// Names a path of the server as this machine has it, by the index's mappings; without one the path stays as it is. A
// mapping of the kind PLEXINDEX_MAPPING_HOST_PATTERN works in the other direction only. Reads no file, and sends no
// request.
//
// `path`: as the server has it. `out_host`: the bytes, and a NUL that `length` does not count.
int32_t plexindex_map_to_host(const plexindex_handle *handle, const char *path, size_t path_length,
                              plexindex_buffer *out_host, plexindex_buffer *error);

// Listens to the server's events on a thread of the library, until plexindex_watch_stop() or plexindex_close(). An
// event makes the next query about the library ask the server; the thread itself asks for nothing. A lost connection
// is made again after 1 to 60 seconds, and the next queries ask what changed in between. The log says whether the
// server can be reached. A second call changes nothing. The child of a fork does not listen until it calls this
// itself.
//
// Returns PLEXINDEX_OK; PLEXINDEX_OFFLINE when there is no server to listen to; PLEXINDEX_STORE when no thread can be
// started.
int32_t plexindex_watch_start(const plexindex_handle *handle, plexindex_buffer *error);

// Ends plexindex_watch_start(). The thread has ended when the call returns: within a second, or later while the
// system resolves a host name. Without a watch the call does nothing.
int32_t plexindex_watch_stop(const plexindex_handle *handle, plexindex_buffer *error);

// Passes on an event that the host received itself. The next query about what it names asks the server. Sends no
// request.
//
// `body`: a webhook's JSON (the field `payload` of Plex's request), the whole multipart form with that field, or the
// text of a notification from the server's WebSocket or event stream.
//
// Returns PLEXINDEX_OK once the event is stored, for every process, and for an event that needs no storing: it names
// no change, is of another server (`Server.uuid` of a webhook), or the index knows no library.
// PLEXINDEX_NOT_FETCHED until the server has accepted a new token: the event is not stored; call
// plexindex_refresh() with PLEXINDEX_QUERY_PROBE, then call this again. PLEXINDEX_INVALID_ARGUMENT for any other
// body; PLEXINDEX_STORE or PLEXINDEX_STORE_FULL.
//
// Precondition: `handle` must be NULL or open; `body` NULL or valid.
int32_t plexindex_notify(const plexindex_handle *handle, const char *body, size_t body_length, plexindex_buffer *error);

// The feed: the items that were added, removed, changed or moved after a cursor, oldest first, whichever process
// learned of it. Sends no request: plexindex_refresh() asks the server.
//
// `query`: `library` is one library, or NULL for all; `text` is the cursor. With an empty cursor the page is empty
// and its cursor is that of now; or, with PLEXINDEX_QUERY_FULL, the pages list all items as additions first. That flag
// is refused with a cursor. `limit`: items of a page, 1 to 10,000. `out_page`: texts, each followed by a NUL: the
// cursor for the next call; `more` or nothing; then eight for each change, in the order of plexindex_change, an absent
// one empty. plexindex_get_next_change() and plexindex_get_cursor() read them.
//
// The next call has something now if the page has `more`. A reader that calls until a page has none then has the state
// of the time of its first call. Commits that come meanwhile are for the call after that, so the reader comes to an
// end however fast others write.
//
// A change concerns one file of one item: an item of several files has a change for each. Its kinds:
//
// - `added`: the item has the file `path`.
// - `removed`: the item no longer has the file `path`.
// - `moved`: the file was `from` and is `path` now.
// - `changed`: something else changed; `from` is a file that the item lost, or absent.
// - `list_again`: the library has to be listed again. It was listed for the first time, came, went, or got another
//   title or section id, or more than a fifth of it and more than 20 items changed.
//
// A host that keeps pairs of a file and a rating key applies each change in two steps. First it removes the pairs of
// `path` and of `from` with the key `from_key`, or `rating_key` where that is absent. Then, unless the kind is
// `removed`, it adds the pair of `path` and `rating_key`. After `list_again`, and after the status
// PLEXINDEX_LIST_AGAIN, it empties its map and begins anew, with an empty cursor and PLEXINDEX_QUERY_FULL. Then it
// stores map and cursor together. The example feed.c does all this.
//
// A cursor is at most 200 bytes of ASCII and outlives processes. It belongs to one store, server and user, and to the
// library if the query named one; a cursor of all libraries may be used for one of them. A reader that goes on with
// its last cursor after a kill misses nothing and sees some changes twice. Changes are kept up to some 64 MiB,
// and less where `size_limit` is reached.
//
// Returns PLEXINDEX_OK, also for no changes; PLEXINDEX_LIST_AGAIN when the changes since the cursor are gone, or it
// belongs elsewhere, or to a state that a power cut or a restored copy undid: begin with an empty cursor;
// PLEXINDEX_INVALID_ARGUMENT for a text that is no cursor; PLEXINDEX_NOT_FETCHED while nothing was fetched, or
// PLEXINDEX_UNAUTHORIZED if the server refused the token; PLEXINDEX_BUFFER_TOO_SMALL.
int32_t plexindex_list_changes(const plexindex_handle *handle, const plexindex_query *query, size_t limit,
                               plexindex_buffer *out_page, plexindex_buffer *error);

// Waits until the feed has a change after a cursor, or until a refresh is due, because a listing has expired or an
// event came (plexindex_watch_start()). Then call plexindex_refresh() and plexindex_list_changes(). A due refresh ends
// no more than one wait of a handle in a second, also when refreshing fails. Sends no request.
//
// `query`: `library` and `text` as for plexindex_list_changes(), with a cursor. `deadline_ms` ends the wait.
// `progress` is called every 200 ms, after a signal handler ran in this thread, and by plexindex_wake_waiting(): what
// it returns ends the wait. With PLEXINDEX_QUERY_OFFLINE the call waits for changes only.
//
// A commit of another process is seen within 100 ms; where processes do not share memory, on some network file
// systems, within a second.
//
// Returns PLEXINDEX_OK; PLEXINDEX_NOT_YET when the deadline came first; PLEXINDEX_ABORTED when `progress` ended the
// call; the errors of plexindex_list_changes().
int32_t plexindex_wait_for_changes(const plexindex_handle *handle, const plexindex_query *query,
                                   plexindex_buffer *error);

// Makes each plexindex_wait_for_changes() of this handle call its `progress` within 50 ms. Any thread may call it, no
// signal handler may. Without a waiting call it does nothing.
int32_t plexindex_wake_waiting(const plexindex_handle *handle, plexindex_buffer *error);

// Gives many items the same values, with one request for each hundred items of a type. Sends no request when the edit
// has no items or changes, or when one of the items does not exist. The first failed request ends the call. Before an
// edited item is answered again, one request verifies it. Recorded matches stay. No function ends this call: give a
// deadline. Without one a request ends when the server is silent for `options.read_timeout_ms`.
//
// `out_report`: may be NULL. It is filled in also when the call fails, unless an argument was refused.
//
// Returns PLEXINDEX_OK when all items were edited; PLEXINDEX_INVALID_ARGUMENT for an edit that is refused;
// PLEXINDEX_NOT_ON_SERVER when items do not exist; PLEXINDEX_OFFLINE; PLEXINDEX_TIMEOUT when the deadline came first;
// the server's error, with its answer in the text.
int32_t plexindex_edit_items(const plexindex_edit *edit, plexindex_edit_report *out_report, plexindex_buffer *error);

// Gives a handle for a table of the host's own values. A table holds values by name, both any bytes, in the index's
// folder, for every process that opens that. No query reads it, and no server is asked. The first
// plexindex_table_put() makes it.
//
// `name`: the table's name, any bytes. An empty name is a pointer and 0. NULL and 0 is all tables, for
// plexindex_table_count() and plexindex_table_clear(). `flags`: 0, or PLEXINDEX_TABLE_FOLD_ASCII. `out_table`: the
// handle, or NULL after an error. It lasts as long as the index. The same name and flags give the same handle. An
// index gives out 10,000 at most.
//
// Returns PLEXINDEX_OK; PLEXINDEX_INVALID_ARGUMENT; PLEXINDEX_UNSUPPORTED for other flags.
int32_t plexindex_get_table(const plexindex_handle *handle, const char *name, size_t name_length, uint32_t flags,
                            const plexindex_table_handle **out_table, plexindex_buffer *error);

// The fast lookup of a value. `name`: NUL-terminated; for a name that contains a NUL use plexindex_table_get().
// `out_value`: the value, NUL-terminated, or NULL; its life is that of a key of plexindex_lookup_key().
//
// Returns PLEXINDEX_OK; PLEXINDEX_NOT_FOUND when there is no value, or it has expired; PLEXINDEX_NOT_YET when the value
// has more than 1,000 bytes or contains a NUL, when a change could not be read in time, and when an argument is NULL:
// ask plexindex_table_get(). It waits for as little as plexindex_lookup_key() does.
//
// Precondition: `table` must be NULL or a handle of an open index; `name` NULL or NUL-terminated; `out_value` NULL or
// valid.
int32_t plexindex_table_lookup(const plexindex_table_handle *table, const char *name, const char **out_value);

// Reads a value. `out_value`: the value, followed by a NUL that `length` does not count. NULL asks only whether there
// is one.
//
// Returns PLEXINDEX_OK; PLEXINDEX_NOT_FOUND when there is no value, or it has expired; PLEXINDEX_BUFFER_TOO_SMALL;
// PLEXINDEX_INVALID_ARGUMENT for the handle of all tables.
int32_t plexindex_table_get(const plexindex_table_handle *table, const char *name, size_t name_length,
                            plexindex_buffer *out_value, plexindex_buffer *error);

// Stores a value. It replaces the value of the same name.
//
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

// Makes many changes in one transaction, in order: all are made, or none. When the limit later removes one of the
// values that the call stored, it removes all of them.
//
// `ops`: `count` changes, of tables of this index. `ttl_ms`, `limit`: as for plexindex_table_put().
//
// Returns what plexindex_table_put() returns.
//
// Precondition: pointers must be NULL or valid; `handle` must be open, and the tables handles of it.
int32_t plexindex_table_write(const plexindex_handle *handle, const plexindex_table_op *ops, size_t count,
                              int64_t ttl_ms, uint64_t limit, plexindex_buffer *error);

// Lists the names of a table's entries, one a call, in the order of their bytes, without expired ones.
//
// `after`: the name that the last call gave; NULL for the first name. An empty name is a pointer and 0. The name may
// stay in the memory of `out_name`. PLEXINDEX_BUFFER_TOO_SMALL does not change that memory, but plexindex_buffer_grow()
// may move it. `out_name`: the next name.
//
// Returns PLEXINDEX_OK; PLEXINDEX_NOT_FOUND after the last name; PLEXINDEX_BUFFER_TOO_SMALL;
// PLEXINDEX_INVALID_ARGUMENT for the handle of all tables.
int32_t plexindex_table_get_next(const plexindex_table_handle *table, const char *after, size_t after_length,
                                 plexindex_buffer *out_name, plexindex_buffer *error);

// How many entries a table has, or all tables together. Entries that have expired and are still stored count too.
int32_t plexindex_table_count(const plexindex_table_handle *table, uint64_t *out_count, plexindex_buffer *error);

// Removes all entries of a table, or of all tables. A table of any size takes the same time.
int32_t plexindex_table_clear(const plexindex_table_handle *table, plexindex_buffer *error);

// Looks at the shared log, prepares it, empties it, or exchanges news: plexindex_options.shared. Waits for the
// log, for options.deadline_ms at most, and for some seconds without one. PLEXINDEX_SHARED_FOLLOW and _UNFOLLOW do
// not wait.
//
// `action`: PLEXINDEX_SHARED_*. `out_json`: how it is then, an object, UTF-8: `address` (without a password),
// `reachable`, `error` (null, or why it is not reachable or takes no writes), `error_kind` (such as "forbidden"),
// `server` (the machine identifier of the index's server), `taken` (number of the last entry that this folder has),
// `undelivered` (entries of this folder that wait), `behind` (entries of other hosts that this folder lacks),
// each or null, and `views`: an array with an object for each `server` and `user`, `own` (the index's), `last` (number
// of the last entry), `age_ms` (since it was written, or null), `entries` (how many, by kind), `hosts` and `bytes`.
// After PLEXINDEX_SHARED_INIT `tables` is "made" or "present", otherwise null.
// null without the option. After PLEXINDEX_SHARED_DELIVER, _FOLLOW and _UNFOLLOW only what this folder knows:
// `address`, `taken` and `undelivered`.
//
// Once a match is recorded, PLEXINDEX_SHARED_DELIVER makes sure that the other hosts can have it, unless its path
// lies in no folder of the library and under no mapping: PLEXINDEX_RECORD_THROUGH refuses such a path. A host whose
// tools run for moments only has a process that follows. A forked child does not follow until it calls this.
//
// Returns PLEXINDEX_OK, also where the log is not reachable, for PLEXINDEX_SHARED_STATUS.
// PLEXINDEX_SHARED_DELIVER: PLEXINDEX_TIMEOUT if the log does not have all in time: it is stored in this folder,
// and delivered later. PLEXINDEX_SHARED_INIT and _CLEAR: PLEXINDEX_CONNECT; PLEXINDEX_TIMEOUT; PLEXINDEX_FORBIDDEN
// if PostgreSQL does not allow it to the role; PLEXINDEX_OFFLINE. All but PLEXINDEX_SHARED_STATUS:
// PLEXINDEX_INVALID_ARGUMENT without the option; the last three also without `server_url`, and offline.
int32_t plexindex_shared(const plexindex_handle *handle, int32_t action, plexindex_buffer *out_json,
                         plexindex_buffer *error);

// Helpers. A C compiler makes them of this header: the library does not export them.

// A call of a walk with its size set, and all else zero: no rule holds.
static inline plexindex_walk_request plexindex_walk_init(void)
{
    plexindex_walk_request made;
    memset(&made, 0, sizeof made);
    made.size = sizeof made;
    return made;
}

// Reads the next `count` texts of a buffer that holds texts, each followed by a NUL. For findings and changes there are
// plexindex_get_next_finding() and plexindex_get_next_change().
//
// `buffer`: the buffer, as the call left it that filled it. `position`: 0 at first; the call moves it on. `texts`:
// receives the texts, in the buffer's memory.
//
// Returns 1; or 0 when fewer texts are left, and `position` stays.
static inline int plexindex_get_next_texts(const plexindex_buffer *buffer, size_t *position, plexindex_bytes *texts,
                                           size_t count)
{
    const char *data = buffer == NULL ? NULL : (const char *)buffer->data;
    size_t length = buffer == NULL || buffer->length > buffer->capacity ? 0 : buffer->length; // It was too small.
    size_t end = *position, i;
    for (i = 0; i < count; i++) {
        const char *nul = end < length ? (const char *)memchr(data + end, 0, length - end) : NULL;
        if (nul == NULL) return 0;
        texts[i].data = data + end;
        texts[i].length = (size_t)(nul - texts[i].data);
        end += texts[i].length + 1;
    }
    *position = end;
    return 1;
}

// A finding of a walk: four texts in the memory of the buffer, each NUL-terminated and perhaps empty.
typedef struct plexindex_finding {
    const char *kind; // Such as `file`: see plexindex_walk().
    const char *cause; // Why the finding is one.
    const char *path; // The full path, in the file system's bytes.
    const char *detail; // What the cause says of it.
} plexindex_finding;

// Reads the findings of plexindex_walk() one by one:
//     size_t position = 0;
//     while (plexindex_get_next_finding(&findings, &position, &finding)) use(finding.kind, finding.path);
//
// `findings`: the buffer that plexindex_walk() filled. `position`: 0 for the first finding; the call moves it on.
// `finding`: receives the finding.
//
// Returns 1 with the next finding, 0 after the last one.
static inline int plexindex_get_next_finding(const plexindex_buffer *findings, size_t *position,
                                             plexindex_finding *finding)
{
    plexindex_bytes texts[4];
    if (!plexindex_get_next_texts(findings, position, texts, 4)) return 0;
    finding->kind = texts[0].data;
    finding->cause = texts[1].data;
    finding->path = texts[2].data;
    finding->detail = texts[3].data;
    return 1;
}

// Returns 1 for a folder that the walk has not read yet: `folder` or `twin_folder`. No answer is in it.
static inline int plexindex_is_folder(const plexindex_finding *finding)
{
    return strcmp(finding->kind, "folder") == 0 || strcmp(finding->kind, "twin_folder") == 0;
}

// Gives the folders that a call of plexindex_walk() found to the next call:
//     do {
//         do status = plexindex_walk(&walk, &findings, error);
//         while (plexindex_buffer_grow(&findings, status));
//         for (at = 0; plexindex_get_next_finding(&findings, &at, &finding);)
//             if (!plexindex_is_folder(&finding)) use(finding.kind, finding.path);
//     } while (status == PLEXINDEX_OK && plexindex_continue_walk(&walk, &findings, &folders));
//
// `walk`: receives the list. If the first call was given only some of the folders to walk, append others to the list.
// `findings`: what the call found. `folders`: memory for the list, from malloc or zeroed, for plexindex_buffer_free().
//
// Returns 1 if the walk goes on; 0 when it is over, and without memory, with `walk->walk` not 0.
static inline int plexindex_continue_walk(plexindex_walk_request *walk, const plexindex_buffer *findings,
                                          plexindex_buffer *folders)
{
    plexindex_finding finding;
    size_t at = 0, length = 0, count = 0;
    folders->length = findings->length; // More than the list needs.
    plexindex_buffer_grow(folders, PLEXINDEX_BUFFER_TOO_SMALL);
    if (folders->capacity < findings->length) return 0;
    while (plexindex_get_next_finding(findings, &at, &finding)) {
        const char *texts[2];
        int i;
        if (!plexindex_is_folder(&finding)) continue;
        texts[0] = finding.kind;
        texts[1] = finding.path;
        for (i = 0; i < 2; i++) {
            size_t bytes = strlen(texts[i]) + 1;
            memcpy((char *)folders->data + length, texts[i], bytes);
            length += bytes;
        }
        count++;
    }
    folders->length = length;
    walk->folders.data = (const char *)folders->data;
    walk->folders.length = length;
    walk->folders_count = count;
    return walk->walk != 0;
}

// A change of the feed: texts in the memory of the page, each followed by a NUL that `length` does not count. An absent
// text is NULL and 0.
typedef struct plexindex_change {
    const char *kind; // `added`, `removed`, `moved`, `changed` or `list_again`: see plexindex_list_changes().
    plexindex_bytes library_title; // Title of the library, UTF-8.
    plexindex_bytes section; // Section id of the library.
    plexindex_bytes path; // The file, as the server spells it. Absent for an item without files.
    plexindex_bytes from; // `moved`: where the file was. `changed`: a file that the item lost. Else absent.
    plexindex_bytes rating_key; // The item's rating key; a removed item's last one.
    plexindex_bytes from_key; // The rating key that the item had before, when it got another one. Else absent.
    // The item as plexindex_get_item_json() gives it, as it is now; a removed item as it was last. A change of the kind
    // `list_again` has none, nor a path or key.
    plexindex_bytes item;
} plexindex_change;

// Reads the changes of a page one by one:
//     size_t position = 0;
//     while (plexindex_get_next_change(&page, &position, &change)) use(change.kind, change.path);
//
// `page`: the buffer that plexindex_list_changes() filled. `position`: 0 for the first change; the call moves it on.
// `change`: receives the change. It is valid until the buffer is filled again.
//
// Returns 1 with the next change, 0 after the last one.
static inline int plexindex_get_next_change(const plexindex_buffer *page, size_t *position, plexindex_change *change)
{
    plexindex_bytes texts[8];
    size_t i;
    // The cursor and `more` come first.
    if (*position == 0 && !plexindex_get_next_texts(page, position, texts, 2)) return 0;
    if (!plexindex_get_next_texts(page, position, texts, 8)) return 0;
    for (i = 3; i < 8; i++) {
        if (texts[i].length == 0) texts[i].data = NULL;
    }
    change->kind = texts[0].data;
    change->library_title = texts[1];
    change->section = texts[2];
    change->path = texts[3];
    change->from = texts[4];
    change->rating_key = texts[5];
    change->from_key = texts[6];
    change->item = texts[7];
    return 1;
}

// Copies the cursor of a page of changes.
//
// `page`: the buffer that plexindex_list_changes() filled. `cursor`: receives the cursor, at most 200 bytes, and a NUL.
// `capacity`: the room in `cursor`.
//
// Returns 1 if the next call with this cursor has something now (`more`), else 0; -1 where `page` holds no page, or the
// cursor does not fit: it stays as it is then.
static inline int plexindex_get_cursor(const plexindex_buffer *page, char *cursor, size_t capacity)
{
    plexindex_bytes texts[2];
    size_t position = 0;
    if (!plexindex_get_next_texts(page, &position, texts, 2) || texts[0].length >= capacity) return -1;
    memcpy(cursor, texts[0].data, texts[0].length + 1);
    return texts[1].length != 0;
}

// An edit with its size set, and all else zero: it locks the fields that it names.
static inline plexindex_edit plexindex_edit_init(void)
{
    plexindex_edit made;
    memset(&made, 0, sizeof made);
    made.size = sizeof made;
    return made;
}

// A report with its size set, and all else zero.
static inline plexindex_edit_report plexindex_edit_report_init(void)
{
    plexindex_edit_report made;
    memset(&made, 0, sizeof made);
    made.size = sizeof made;
    return made;
}

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* PLEXINDEX_MORE_H */
