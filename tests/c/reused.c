/*
 * One buffer serves all calls: after an error it has no answer of an earlier call.
 */
#include <stdalign.h>

#include "check.h"

static plexindex_handle *handle;
static const plexindex_library_handle *all;
static const plexindex_table_handle *table;
static plexindex_buffer block;
static int32_t status_before;

/* The arguments of a call. */
struct input {
    const plexindex_handle *handle;
    const plexindex_library_handle *library;
    const plexindex_table_handle *table;
    const plexindex_query *query;
};

typedef int32_t (*call)(const struct input *, plexindex_buffer *out, plexindex_buffer *error);

#define CALL(name, ...)                                                                                                \
    static int32_t name(const struct input *in, plexindex_buffer *out, plexindex_buffer *error)                        \
    {                                                                                                                  \
        (void)in;                                                                                                      \
        return plexindex_##name(__VA_ARGS__, out, error);                                                              \
    }

CALL(match_path, in->handle, in->query)
CALL(match_paths, in->handle, in->query, 1)
CALL(lookup_keys, in->library, "/a", 3, 1)
CALL(table_get, in->table, "n", 1)
CALL(table_get_next, in->table, NULL, 0)

static const struct {
    const char *name;
    call call;
    int takes; /* HANDLE, LIBRARY, TABLE and other checks. */
} calls[] = {
#define HANDLE 1
#define LIBRARY 2
#define TABLE 4
#define QUERY 8
    {"match_path", match_path, HANDLE | QUERY},
    {"match_paths", match_paths, HANDLE | QUERY},
    {"lookup_keys", lookup_keys, LIBRARY},
    {"table_get", table_get, TABLE},
    {"table_get_next", table_get_next, TABLE},
};

/* Fills the buffer with an answer. */
static void answer(void)
{
    plexindex_query query = query_of(NULL, "/data/movies/Exact (2001)/Exact (2001).mkv");
    do status_before = plexindex_match_path(handle, &query, &block, ERROR);
    while (plexindex_buffer_grow(&block, status_before));
    CHECK_STATUS(PLEXINDEX_OK, status_before);
    CHECK(plexindex_get_answer(&block, 0) != NULL && block.length > 0);
}

static void refused(size_t at, const char *what, const struct input *in)
{
    /* Error buffers: separate memory, none, the same buffer, and an invalid one. */
    alignas(16) static char odd[sizeof(plexindex_buffer) + 1];
    plexindex_buffer *errors[] = {ERROR, NULL, &block, (void *)(odd + 1)};
    size_t i;
    for (i = 0; i < sizeof errors / sizeof *errors; i++) {
        int32_t status;
        answer();
        status = calls[at].call(in, &block, errors[i]);
        if (status < 100) {
            FAIL("%s, %s: gives %s", calls[at].name, what, plexindex_get_status_name(status));
        }
        if (plexindex_get_answer(&block, 0) != NULL || plexindex_count_answers(&block) != 0) {
            FAIL("%s, %s: still has the answer of the call before", calls[at].name, what);
        }
        if (errors[i] == &block ? block.length != strlen(block.data) : block.length != 0) {
            FAIL("%s, %s: has a length of %zu", calls[at].name, what, block.length);
        }
    }
}

static void with_query(size_t at, const char *what, const plexindex_query *query)
{
    struct input in = {handle, all, table, query};
    refused(at, what, &in);
}

static void each_error(size_t at, const plexindex_library_handle *of_another)
{
    plexindex_query query = query_of(all, "/a");
    struct input good = {handle, all, table, &query};
    struct input in = good;
    int takes = calls[at].takes;
    if (takes & HANDLE) {
        in.handle = NULL;
        refused(at, "NULL handle", &in);
    }
    if (takes & LIBRARY) {
        in.library = NULL;
        refused(at, "NULL library", &in);
    }
    if (takes & TABLE) {
        in.table = NULL;
        refused(at, "NULL table", &in);
    }
    if (takes & QUERY) {
        with_query(at, "NULL query", NULL);
        query.timeout_ms = -7;
        with_query(at, "negative timeout", &query);
        query.timeout_ms = 0;
        query.flags = 1u << 31;
        with_query(at, "unknown flag", &query);
        query.flags = 0;
        query.library = of_another;
        with_query(at, "another handle", &query);
        query.library = all;
        query.flags = PLEXINDEX_QUERY_FULL;
        with_query(at, "PLEXINDEX_QUERY_FULL", &query);
    }
}

int main(int argc, char **argv)
{
    struct setting setting = setting_of(argc, argv);
    plexindex_options options = options_of(&setting);
    plexindex_handle *other;
    const plexindex_library_handle *of_another;
    plexindex_query query = query_of(NULL, NULL);
    size_t at;
    handle = opened(&options);
    other = opened(&options);
    all = library_of(handle, NULL);
    of_another = library_of(other, NULL);
    CHECK_STATUS(PLEXINDEX_OK, plexindex_get_table(handle, "t", 1, 0, &table, ERROR));
    CHECK_STATUS(PLEXINDEX_OK, plexindex_refresh(handle, &query, ERROR));
    for (at = 0; at < sizeof calls / sizeof *calls; at++) {
        each_error(at, of_another);
    }
    plexindex_buffer_free(&block);
    CHECK_STATUS(PLEXINDEX_OK, plexindex_close(other, ERROR));
    CHECK_STATUS(PLEXINDEX_OK, plexindex_close(handle, ERROR));
    return 0;
}
