/*
 * Invalid arguments of plexindex_call() and of tables. Tests in Rust check what methods and tables mean, and
 * tests/cpp/calls.cpp how progress functions end calls.
 */
#include "check.h"

static plexindex_handle *handle;

/* Calls a method with these options, and drops its answer. */
static int32_t call(const char *method, const char *request, const plexindex_call_options *options)
{
    char *json = NULL;
    int32_t status = plexindex_call(handle, method, request, strlen(request), options, &json, ERROR);
    plexindex_free(json);
    return status;
}

static void misuse(void)
{
    static char large[1 << 17];
    char *json = large;
    struct {
        plexindex_call_options known;
        char unknown[24];
    } future;
    size_t size;
    CHECK_REFUSED(PLEXINDEX_INVALID_ARGUMENT, call("version", "{}", NULL), "no method 'version'");
    CHECK_REFUSED(PLEXINDEX_INVALID_ARGUMENT, call("versions", "{", NULL), "versions", "EOF");
    CHECK_REFUSED(PLEXINDEX_INVALID_ARGUMENT, call("versions", "{\"x\": 1}", NULL), "unknown field `x`");
    CHECK_REFUSED(PLEXINDEX_INVALID_ARGUMENT, call("items.get", "{\"key\": \"\xff\"}", NULL), "items.get");
    memset(large, 'x', sizeof large);
    CHECK_REFUSED(PLEXINDEX_INVALID_ARGUMENT,
                  plexindex_call(handle, "versions", large, sizeof large, NULL, &json, ERROR), "versions");
    memset(&future, 0, sizeof future);
    for (size = 0; size < sizeof size; size++) {
        future.known.size = size;
        CHECK_REFUSED(PLEXINDEX_INVALID_ARGUMENT, call("versions", "", &future.known), "options.size", "sizeof");
    }
    future.known.size = sizeof future;
    CHECK_STATUS(PLEXINDEX_OK, call("versions", "", &future.known));
    future.unknown[sizeof future.unknown - 1] = 1;
    CHECK_REFUSED(PLEXINDEX_UNSUPPORTED, call("versions", "", &future.known), "options");
    future.known.size = sizeof future.known;
    future.known.timeout_ms = -2;
    CHECK_REFUSED(PLEXINDEX_INVALID_ARGUMENT, call("changes.list", "", &future.known), "timeout_ms is -2");
    plexindex_free(NULL);
}

static void tables(const plexindex_handle *other)
{
    const plexindex_table_handle *films, *table, *theirs;
    plexindex_buffer buffer = {NULL, 0, 0};
    plexindex_table_op ops[2];
    const char *value = NULL;
    CHECK_STATUS(PLEXINDEX_OK, plexindex_get_table(handle, "Films", 5, 0, &films, ERROR));
    CHECK_STATUS(PLEXINDEX_OK, plexindex_get_table(other, "Films", 5, 0, &theirs, ERROR));
    CHECK_STATUS(PLEXINDEX_OK, plexindex_table_put(films, "a", 1, "one", 3, 0, 0, ERROR));
    table = films;
    CHECK_REFUSED(PLEXINDEX_UNSUPPORTED, plexindex_get_table(handle, "x", 1, 2, &table, ERROR), "0x2");
    CHECK(table == NULL);
    CHECK(plexindex_table_lookup(NULL, "a", &value) == PLEXINDEX_NOT_YET);
    CHECK(plexindex_table_lookup(films, NULL, &value) == PLEXINDEX_NOT_YET);
    CHECK(plexindex_table_lookup(films, "a", NULL) == PLEXINDEX_NOT_YET);
    CHECK_STATUS(PLEXINDEX_OK, plexindex_table_get(films, "a", 1, NULL, ERROR));
    CHECK_STATUS(PLEXINDEX_BUFFER_TOO_SMALL, plexindex_table_get(films, "a", 1, &buffer, ERROR));
    CHECK(buffer.length == 4);
    CHECK_STATUS(PLEXINDEX_BUFFER_TOO_SMALL, plexindex_table_get_next(films, NULL, 0, &buffer, ERROR));
    CHECK_STATUS(PLEXINDEX_NULL_POINTER, plexindex_table_put(films, "x", 1, NULL, 1, 0, 1, ERROR));
    CHECK_REFUSED(PLEXINDEX_INVALID_ARGUMENT, plexindex_table_put(films, "x", 1, "x", 1, -7, 1, ERROR), "ttl_ms", "-7");
    CHECK_STATUS(PLEXINDEX_OK, plexindex_table_remove(films, "x", 1, ERROR));
    CHECK_STATUS(PLEXINDEX_OK, plexindex_table_write(handle, NULL, 0, 0, 0, ERROR));
    CHECK_STATUS(PLEXINDEX_NULL_POINTER, plexindex_table_write(handle, NULL, 1, 0, 1, ERROR));

    /* All changes, or none. */
    memset(ops, 0, sizeof ops);
    ops[0].kind = PLEXINDEX_TABLE_REMOVE;
    ops[0].table = films;
    ops[0].name = plexindex_bytes_of("a");
    ops[1] = ops[0];
    ops[1].kind = 9;
    CHECK_REFUSED(PLEXINDEX_INVALID_ARGUMENT, plexindex_table_write(handle, ops, 2, 0, 0, ERROR), "ops[1].kind", "9");
    ops[1].kind = PLEXINDEX_TABLE_CLEAR; /* has no name */
    CHECK_REFUSED(PLEXINDEX_INVALID_ARGUMENT, plexindex_table_write(handle, ops, 2, 0, 0, ERROR), "ops[1]", "NULL");
    memset(&ops[1].name, 0, sizeof ops[1].name);
    ops[1].reserved = 1;
    CHECK_STATUS(PLEXINDEX_UNSUPPORTED, plexindex_table_write(handle, ops, 2, 0, 0, ERROR));
    ops[1].reserved = 0;
    ops[1].table = theirs;
    CHECK_REFUSED(PLEXINDEX_INVALID_ARGUMENT, plexindex_table_write(handle, ops, 2, 0, 0, ERROR), "ops[1].table",
        "another handle");
    CHECK_STATUS(PLEXINDEX_OK, plexindex_table_get(films, "a", 1, NULL, ERROR));
}

int main(int argc, char **argv)
{
    struct setting setting = setting_of(argc, argv);
    plexindex_options options = options_of(&setting);
    plexindex_handle *other;
    handle = opened(&options);
    other = opened(&options);
    misuse();
    tables(other);
    CHECK(requests() == 0);
    CHECK_STATUS(PLEXINDEX_OK, plexindex_close(other, ERROR));
    CHECK_STATUS(PLEXINDEX_OK, plexindex_close(handle, ERROR));
    return 0;
}
