/*
 * Invalid arguments: each gives a status and a message that names the argument and the remedy, never a crash, and
 * leaves the handle usable. Passes each wrong size of each struct. (all_tests.rs passes NULL for each pointer.)
 */
#include "block.h"

#define LONG_PATH 65536

/* A listed path: each part ends with a match of it, because the handle must stay usable. */
static char known_path[4096];
static char known_key[256];

static void works(const plexindex_handle *handle, const plexindex_library_handle *movies)
{
    check_match(handle, movies, known_path, PLEXINDEX_OK, known_key);
}

/* Structs of a later version: ours, and unknown fields. */
struct future_query {
    plexindex_query known;
    char unknown[24];
};

struct future_statistics {
    plexindex_stats known;
    char unknown[24];
};

static void libraries(const plexindex_handle *handle)
{
    const plexindex_library_handle *library = NULL;
    const plexindex_library_handle *again = NULL;
    const plexindex_library_handle *slot;
#define LIBRARY(kind, selector, length)                                                                                \
    (slot = (const void *)known_path, plexindex_get_library(handle, kind, selector, length, &slot, ERROR))
    CHECK_REFUSED(PLEXINDEX_INVALID_ARGUMENT, LIBRARY(-1, "Movies", 6), "-1", "PLEXINDEX_SELECT_");
    CHECK_REFUSED(PLEXINDEX_INVALID_ARGUMENT, LIBRARY(5, "Movies", 6), "5", "PLEXINDEX_SELECT_");
    CHECK_REFUSED(PLEXINDEX_INVALID_ARGUMENT, LIBRARY(PLEXINDEX_SELECT_ALL, "Movies", 6), "PLEXINDEX_SELECT_ALL",
        "Movies");
    CHECK_REFUSED(PLEXINDEX_INVALID_ARGUMENT, LIBRARY(PLEXINDEX_SELECT_TITLE, "", 0), "empty");
    CHECK_REFUSED(PLEXINDEX_INVALID_ARGUMENT, LIBRARY(PLEXINDEX_SELECT_TITLE, "\xff\xfe", 2), "selector", "UTF-8");
    CHECK_REFUSED(PLEXINDEX_LIBRARY_AMBIGUOUS, LIBRARY(PLEXINDEX_SELECT_TITLE, "Doubles", 7), "Doubles", "3", "4");
    CHECK(slot == NULL);
#undef LIBRARY

    /* One selector always has the same handle. Each way to name a library works. */
    library = library_of(handle, "Movies");
    again = library_of(handle, "Movies");
    CHECK(library == again);
    CHECK_STATUS(PLEXINDEX_OK, plexindex_get_library(handle, PLEXINDEX_SELECT_SECTION, "1", 1, &again, ERROR));
    works(handle, again);
    CHECK_STATUS(PLEXINDEX_OK, plexindex_get_library(handle, PLEXINDEX_SELECT_ANY, "1", 1, &again, ERROR));
    works(handle, again);
    CHECK_STATUS(PLEXINDEX_OK, plexindex_get_library(handle, PLEXINDEX_SELECT_ANY, "Movies", 6, &again, ERROR));
    works(handle, again);
    CHECK_STATUS(PLEXINDEX_OK, plexindex_get_library(handle, PLEXINDEX_SELECT_ALL, NULL, 0, &again, ERROR));
    works(handle, again);

    /* The server does not have this library, which the first query reports. */
    again = library_of(handle, "Holiday");
    check_match(handle, again, known_path, PLEXINDEX_LIBRARY_NOT_FOUND, NULL);
    CHECK(strstr(check_error.text, "Holiday") != NULL);
    CHECK(strstr(check_error.text, "Movies") != NULL);
}

static void lookups(const plexindex_library_handle *movies)
{
    static char path[LONG_PATH + 1];
    char keys[64];
    char zeros[64] = {0};
    plexindex_buffer buffer = {NULL, 0, 0};
    memset(path, 'x', LONG_PATH);
    CHECK(plexindex_lookup_key(NULL, NULL) == NULL);
    CHECK(plexindex_lookup_key(NULL, known_path) == NULL);
    CHECK(plexindex_lookup_key(movies, NULL) == NULL);
    CHECK(plexindex_lookup_key(movies, "") == NULL);
    CHECK(plexindex_lookup_key(movies, path) == NULL);
    CHECK(plexindex_lookup_key(movies, "\xff\xfe") == NULL);

    CHECK_REFUSED(PLEXINDEX_INVALID_ARGUMENT, plexindex_lookup_keys(movies, "a\0b", 4, 1, &buffer, ERROR), "count");
    CHECK_REFUSED(PLEXINDEX_INVALID_ARGUMENT, plexindex_lookup_keys(movies, "a\0b", 4, 3, &buffer, ERROR), "count");
    CHECK_REFUSED(PLEXINDEX_INVALID_ARGUMENT, plexindex_lookup_keys(movies, "a\0b", 3, 2, &buffer, ERROR), "NUL");
    CHECK_REFUSED(PLEXINDEX_INVALID_ARGUMENT, plexindex_lookup_keys(movies, "a\0b", 4, SIZE_MAX, &buffer, ERROR),
        "count");
    CHECK_REFUSED(PLEXINDEX_INVALID_ARGUMENT, plexindex_lookup_keys(movies, "a\0b", 4, 0, &buffer, ERROR), "count");
    CHECK_STATUS(PLEXINDEX_OK, plexindex_lookup_keys(movies, NULL, 0, 0, &buffer, ERROR));
    CHECK(buffer.length == 0);

    /* A small buffer reports the needed size, which is enough, and stays intact beyond its end. */
    CHECK_STATUS(PLEXINDEX_BUFFER_TOO_SMALL, plexindex_lookup_keys(movies, "a\0b", 4, 2, &buffer, ERROR));
    CHECK(buffer.length == 2);
    buffer.data = keys;
    buffer.capacity = 1;
    keys[1] = 'x';
    CHECK_STATUS(PLEXINDEX_BUFFER_TOO_SMALL, plexindex_lookup_keys(movies, "a\0b", 4, 2, &buffer, ERROR));
    CHECK(buffer.length == 2 && keys[1] == 'x');
    buffer.capacity = 2;
    keys[2] = 'y';
    CHECK_STATUS(PLEXINDEX_OK, plexindex_lookup_keys(movies, "a\0b", 4, 2, &buffer, ERROR));
    CHECK(buffer.length == 2 && memcmp(keys, zeros, 2) == 0 && keys[2] == 'y');
    buffer.data = NULL;
    CHECK_REFUSED(PLEXINDEX_NULL_POINTER, plexindex_lookup_keys(movies, "a\0b", 4, 2, &buffer, ERROR), "keys");
}

static void queries(const plexindex_handle *handle, const plexindex_library_handle *movies)
{
    const ask_fn function = plexindex_match_path;
    const char *const good = known_path;
    const size_t wrong[] = {0, 1, sizeof(size_t) - 1, SIZE_MAX};
    uint64_t memory[512];
    plexindex_buffer buffer = {memory, sizeof memory, 0};
    plexindex_query query = query_of(movies, good);
    struct future_query future;
    char word[64];
    size_t i;


    for (i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        query.size = wrong[i];
        CHECK_REFUSED(PLEXINDEX_INVALID_ARGUMENT, function(handle, &query, &buffer, ERROR), "query.size", "sizeof");
    }
    query.size = offsetof(plexindex_query, text);
    snprintf(word, sizeof word, "query.size is %zu", query.size);
    CHECK_REFUSED(PLEXINDEX_INVALID_ARGUMENT, function(handle, &query, &buffer, ERROR), word, "sizeof");
    memset(&future, 0, sizeof future);
    future.known = query_of(movies, good);
    future.known.size = sizeof future;
    CHECK(function(handle, &future.known, &buffer, ERROR) < 100);
    future.unknown[sizeof future.unknown - 1] = 1;
    CHECK_REFUSED(PLEXINDEX_UNSUPPORTED, function(handle, &future.known, &buffer, ERROR), "query");

#define REFUSED(status, field, value, ...)                                                                             \
    do {                                                                                                               \
        query = query_of(movies, good);                                                                                \
        query.field = (value);                                                                                         \
        CHECK_REFUSED(status, function(handle, &query, &buffer, ERROR), __VA_ARGS__);                                  \
    } while (0)
    REFUSED(PLEXINDEX_INVALID_ARGUMENT, text, plexindex_bytes_of(""), "empty");
    REFUSED(PLEXINDEX_NULL_POINTER, text.data, NULL, "text");
    REFUSED(PLEXINDEX_INVALID_ARGUMENT, timeout_ms, -2, "timeout_ms", "-2");
    REFUSED(PLEXINDEX_INVALID_ARGUMENT, timeout_ms, INT64_MIN, "timeout_ms");
    REFUSED(PLEXINDEX_UNSUPPORTED, flags, UINT32_C(1) << 31, "flags");
    REFUSED(PLEXINDEX_UNSUPPORTED, reserved, 1, "reserved");
#undef REFUSED
}

/* Returns whether memory is as small_buffers() filled it. */
static int untouched(const unsigned char *memory, size_t length)
{
    size_t i;
    for (i = 0; i < length && memory[i] == 0xa5; i++) {
    }
    return i == length;
}

/* A small buffer reports the exact size, and stays intact beyond its end. */
static void small_buffers(ask_fn function, const plexindex_handle *handle, const plexindex_query *query)
{
    plexindex_buffer buffer = {NULL, 0, 0};
    plexindex_buffer exact;
    unsigned char *memory;
    size_t need;
    CHECK_REFUSED(PLEXINDEX_BUFFER_TOO_SMALL, function(handle, query, &buffer, ERROR), "buffer", "enlarge");
    need = buffer.length;
    CHECK(need > 0);
    memory = malloc(need + 16);
    CHECK(memory != NULL);
    memset(memory, 0xa5, need + 16);

    buffer.data = memory;
    buffer.capacity = need - 1;
    buffer.length = 0;
    CHECK_STATUS(PLEXINDEX_BUFFER_TOO_SMALL, function(handle, query, &buffer, ERROR));
    CHECK(buffer.length == need);
    CHECK(untouched(memory + need - 1, 16 + 1));

    exact.data = memory;
    exact.capacity = need;
    exact.length = 0;
    CHECK(function(handle, query, &exact, ERROR) < 100);
    CHECK(exact.length <= need);
    CHECK(untouched(memory + need, 16));

    exact.data = NULL;
    CHECK_REFUSED(PLEXINDEX_NULL_POINTER, function(handle, query, &exact, ERROR), "data");
    free(memory);
}

static void match_paths(const plexindex_handle *handle, const plexindex_library_handle *movies)
{
    static char path[LONG_PATH];
    uint64_t memory[512];
    plexindex_buffer buffer = {memory, sizeof memory, 0};
    plexindex_query query = query_of(movies, known_path);
    struct answered answered;

    queries(handle, movies);
    small_buffers(plexindex_match_path, handle, &query);

    /* Answers hold 64-bit numbers, so their memory must be aligned for them. */
    buffer.data = (char *)memory + 1;
    buffer.capacity = sizeof memory - 1;
    CHECK_REFUSED(PLEXINDEX_INVALID_ARGUMENT, plexindex_match_path(handle, &query, &buffer, ERROR), "align");

    /* plexindex refuses paths that no file system can have, but accepts paths that are not UTF-8. */
    memset(path, 'x', sizeof path);
    path[0] = '/';
    query.text.data = path;
    query.text.length = sizeof path;
    buffer.data = memory;
    buffer.capacity = sizeof memory;
    CHECK_REFUSED(PLEXINDEX_INVALID_ARGUMENT, plexindex_match_path(handle, &query, &buffer, ERROR), "65536");
    query.text.data = "/data/\0/movies";
    query.text.length = 14;
    CHECK_REFUSED(PLEXINDEX_INVALID_ARGUMENT, plexindex_match_path(handle, &query, &buffer, ERROR), "/data/", "NUL");
    query = query_of(movies, "/data/movies/\xff\xfe.mkv");
    answered = ask(plexindex_match_path, handle, &query);
    CHECK_STATUS(PLEXINDEX_NOT_FOUND, answered.status);
    forget(&answered);
}

static void batches(const plexindex_handle *handle, const plexindex_library_handle *movies)
{
    static const char two[] = "/data/movies/a.mkv\0/data/movies/b.mkv";
    uint64_t memory[512];
    plexindex_buffer buffer = {memory, sizeof memory, 0};
    plexindex_query query = query_of(movies, NULL);
    size_t need;
    query.text.data = two;
    query.text.length = sizeof two;
    CHECK_REFUSED(PLEXINDEX_INVALID_ARGUMENT, plexindex_match_paths(handle, &query, 1, &buffer, ERROR), "count");
    CHECK_REFUSED(PLEXINDEX_INVALID_ARGUMENT, plexindex_match_paths(handle, &query, 3, &buffer, ERROR), "count");
    CHECK_REFUSED(PLEXINDEX_INVALID_ARGUMENT, plexindex_match_paths(handle, &query, SIZE_MAX, &buffer, ERROR), "count");
    CHECK_REFUSED(PLEXINDEX_INVALID_ARGUMENT, plexindex_match_paths(handle, &query, 0, &buffer, ERROR), "count");
    query.text.length = sizeof two - 1;
    CHECK_REFUSED(PLEXINDEX_INVALID_ARGUMENT, plexindex_match_paths(handle, &query, 2, &buffer, ERROR), "NUL");
    query.text.length = sizeof two;
    query.size = 0;
    CHECK_REFUSED(PLEXINDEX_INVALID_ARGUMENT, plexindex_match_paths(handle, &query, 2, &buffer, ERROR), "size");
    query.size = sizeof query;
    buffer.capacity = 8;
    CHECK_STATUS(PLEXINDEX_BUFFER_TOO_SMALL, plexindex_match_paths(handle, &query, 2, &buffer, ERROR));
    need = buffer.length;
    CHECK(need <= sizeof memory);
    buffer.capacity = need;
    CHECK_STATUS(PLEXINDEX_OK, plexindex_match_paths(handle, &query, 2, &buffer, ERROR));
}

static void writes(const plexindex_handle *handle, const plexindex_library_handle *movies)
{
    static char path[LONG_PATH];
    const plexindex_library_handle *all = library_of(handle, NULL);
    memset(path, 'x', sizeof path);
#define RECORD(library, path, path_length, key, key_length)                                                            \
    plexindex_record_match(library, path, path_length, key, key_length, 0, ERROR)
    CHECK_REFUSED(PLEXINDEX_INVALID_ARGUMENT, RECORD(movies, "", 0, "7", 1), "path", "empty");
    CHECK_REFUSED(PLEXINDEX_INVALID_ARGUMENT, RECORD(movies, "/a\0b", 4, "7", 1), "path", "NUL");
    CHECK_REFUSED(PLEXINDEX_INVALID_ARGUMENT, RECORD(movies, path, sizeof path, "7", 1), "65536");
    CHECK_REFUSED(PLEXINDEX_INVALID_ARGUMENT, RECORD(movies, "/a", 2, "", 0), "key", "/library/metadata/");
    CHECK_REFUSED(PLEXINDEX_INVALID_ARGUMENT, RECORD(movies, "/a", 2, "7\0", 2), "key", "/library/metadata/");
    CHECK_REFUSED(PLEXINDEX_INVALID_ARGUMENT, RECORD(movies, "/a", 2, "\xff", 1), "key", "UTF-8");
    CHECK_REFUSED(PLEXINDEX_INVALID_ARGUMENT, RECORD(all, "/a", 2, "7", 1), "all libraries", "specify one");
    CHECK_REFUSED(PLEXINDEX_LIBRARY_NOT_FOUND, RECORD(library_of(handle, "Holiday"), "/a", 2, "7", 1), "Holiday");
#undef RECORD
    CHECK_REFUSED(PLEXINDEX_INVALID_ARGUMENT, plexindex_record_match(movies, "/a", 2, "7", 1, -2, ERROR),
        "timeout_ms is -2");
#define RECORDS(library, paths, paths_length, keys, keys_length, count)                                                \
    plexindex_record_matches(library, paths, paths_length, keys, keys_length, count, 0, 0, ERROR)
    CHECK_REFUSED(PLEXINDEX_INVALID_ARGUMENT, RECORDS(movies, "/a\0/b", 6, "7", 2, 2), "count");
    CHECK_REFUSED(PLEXINDEX_INVALID_ARGUMENT, RECORDS(movies, "/a", 3, "7\0008", 4, 1), "count");
    CHECK_REFUSED(PLEXINDEX_INVALID_ARGUMENT, RECORDS(movies, "/a", 3, "7", 2, SIZE_MAX), "count");
    CHECK_REFUSED(PLEXINDEX_INVALID_ARGUMENT, RECORDS(movies, "/a", 2, "7", 2, 1), "NUL");
    /* The second path is empty, so plexindex records none. */
    CHECK_REFUSED(PLEXINDEX_INVALID_ARGUMENT, RECORDS(movies, "/nowhere/one.mkv\0", 18, "7\0008", 4, 2), "empty");
    CHECK(plexindex_lookup_key(movies, "/nowhere/one.mkv") == NULL);
    CHECK_STATUS(PLEXINDEX_OK, RECORDS(movies, NULL, 0, NULL, 0, 0));
#undef RECORDS
    CHECK_REFUSED(PLEXINDEX_INVALID_ARGUMENT, plexindex_record_matches(movies, "/a", 3, "7", 2, 1, 0, -2, ERROR),
        "timeout_ms is -2");
    CHECK_REFUSED(PLEXINDEX_UNSUPPORTED, plexindex_record_matches(movies, "/a", 3, "7", 2, 1, 2, 0, ERROR),
        "flags is 0x2");
    CHECK_REFUSED(PLEXINDEX_INVALID_ARGUMENT,
        plexindex_record_matches(movies, "/a", 3, "7", 2, 1, PLEXINDEX_RECORD_THROUGH, 0, ERROR),
            "the index is not shared");
    CHECK_REFUSED(PLEXINDEX_INVALID_ARGUMENT, plexindex_invalidate_path(movies, "", 0, ERROR), "path", "empty");
    CHECK_STATUS(PLEXINDEX_OK, plexindex_invalidate_path(movies, "/unknown/is/this/a.mkv", 22, ERROR));
    CHECK_REFUSED(PLEXINDEX_INVALID_ARGUMENT, plexindex_invalidate_item(movies, "", 0, ERROR), "key",
        "/library/metadata/");
    CHECK_STATUS(PLEXINDEX_OK, plexindex_invalidate_item(movies, "999999", 6, ERROR));
}

static void the_rest(const plexindex_handle *handle, const plexindex_library_handle *movies)
{
    plexindex_query query = query_of(movies, NULL);
    plexindex_query bad = query;
    plexindex_stats stats;
    struct future_statistics future;
    size_t i;

    bad.text = plexindex_bytes_of("Movies");
    CHECK_REFUSED(PLEXINDEX_INVALID_ARGUMENT, plexindex_refresh(handle, &bad, ERROR), "'Movies'", "query.library");
    bad.text = plexindex_bytes_of(NULL);
    bad.flags = UINT32_C(1) << 31;
    CHECK_REFUSED(PLEXINDEX_UNSUPPORTED, plexindex_refresh(handle, &bad, ERROR), "flags");

    memset(&stats, 0, sizeof stats);
    stats.size = sizeof stats;
    for (i = 0; i < sizeof(size_t); i++) {
        stats.size = i;
        CHECK_REFUSED(PLEXINDEX_INVALID_ARGUMENT, plexindex_get_stats(handle, &stats, ERROR), "out_stats.size",
            "sizeof");
    }
    /* A later header: unknown fields stay zero. */
    memset(&future, 0, sizeof future);
    future.known.size = sizeof future;
    CHECK_STATUS(PLEXINDEX_OK, plexindex_get_stats(handle, &future.known, ERROR));
    CHECK(future.known.items > 0 && future.known.requests[2] > 0);
    for (i = 0; i < sizeof future.unknown; i++) {
        CHECK(future.unknown[i] == 0);
    }
    CHECK_REFUSED(PLEXINDEX_INVALID_ARGUMENT, plexindex_notify(handle, "payload=%7B", 11, ERROR), "payload");
    CHECK_REFUSED(PLEXINDEX_INVALID_ARGUMENT, plexindex_notify(handle, NULL, 0, ERROR), "payload");
    CHECK_STATUS(PLEXINDEX_OK, plexindex_notify(handle, "{\"event\":\"media.play\"}", 22, ERROR));
    CHECK_STATUS(PLEXINDEX_OK, plexindex_wake_waiting(handle, ERROR));
    CHECK_STATUS(PLEXINDEX_OK, plexindex_clear(handle, ERROR));
}

int main(int argc, char **argv)
{
    struct setting setting = setting_of(argc, argv);
    plexindex_options options = options_of(&setting);
    plexindex_handle *handle;
    const plexindex_library_handle *movies;

    CHECK_STATUS(PLEXINDEX_OK, plexindex_close(NULL, ERROR));
    snprintf(known_key, sizeof known_key, "%d.%d.%d", PLEXINDEX_VERSION_NUMBER / 1000000,
        PLEXINDEX_VERSION_NUMBER / 1000 % 1000, PLEXINDEX_VERSION_NUMBER % 1000);
    CHECK(strncmp(plexindex_get_version(), known_key, strlen(known_key)) == 0);

    snprintf(known_path, sizeof known_path, "%s", harness("path 5"));
    snprintf(known_key, sizeof known_key, "%s", harness("key 5"));
    handle = opened(&options);
    movies = library_of(handle, "Movies");
    CHECK(plexindex_lookup_key(movies, known_path) == NULL);
    works(handle, movies);

    libraries(handle);
    works(handle, movies);
    lookups(movies);
    works(handle, movies);
    match_paths(handle, movies);
    works(handle, movies);
    batches(handle, movies);
    works(handle, movies);
    writes(handle, movies);
    works(handle, movies);
    the_rest(handle, movies);
    works(handle, movies);

    /* A success empties the text. A text outlives the index. */
    CHECK_STATUS(PLEXINDEX_OK, plexindex_invalidate_path(movies, "/unknown/is/this/a.mkv", 22, ERROR));
    CHECK(strcmp(check_error.text, "") == 0);
    CHECK_REFUSED(PLEXINDEX_NULL_POINTER, plexindex_refresh(handle, NULL, ERROR), "query");
    CHECK_STATUS(PLEXINDEX_OK, plexindex_close(handle, NULL));
    CHECK(strstr(check_error.text, "query") != NULL);
    return 0;
}
