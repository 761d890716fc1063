/*
 * Tables: values by name, without a server and beside its libraries.
 */
#include "block.h"

static const plexindex_table_handle *films;

static const plexindex_table_handle *table_of(const plexindex_handle *handle, const char *name, uint32_t flags)
{
    const plexindex_table_handle *table = NULL;
    CHECK_STATUS(PLEXINDEX_OK, plexindex_get_table(handle, name, strlen(name), flags, &table, ERROR));
    return table;
}

static int32_t put(const char *name, const char *value, size_t length)
{
    return plexindex_table_put(films, name, strlen(name), value, length, PLEXINDEX_TTL_NEVER, 1 << 20, ERROR);
}

/* Looks a value up. */
static const char *looked_up(const plexindex_table_handle *table, const char *name)
{
    const char *value = "";
    plexindex_table_lookup(table, name, &value);
    return value;
}

/* The name must have this value. */
static void holds(const plexindex_table_handle *table, const char *name, const char *value)
{
    uint64_t memory[32];
    plexindex_buffer buffer = {memory, sizeof memory, 0};
    CHECK_STATUS(PLEXINDEX_OK, plexindex_table_get(table, name, strlen(name), &buffer, ERROR));
    CHECK(buffer.length == strlen(value) && strcmp((const char *)memory, value) == 0);
    CHECK(strcmp(looked_up(table, name), value) == 0);
}

/* Returns the number of entries of this table, or of all tables for NULL. */
static long count_of(const plexindex_handle *handle, const char *table)
{
    char request[64] = "{}";
    if (table != NULL) snprintf(request, sizeof request, "{\"table\":\"%s\"}", table);
    return atol(method_answer(handle, PLEXINDEX_OK, "tables.count", request) + strlen("{\"count\":"));
}

static void values(const plexindex_handle *handle)
{
    uint64_t memory[32];
    plexindex_buffer buffer = {memory, 4, 77};
    const char *value = "";
    CHECK(looked_up(films, "a") == NULL);
    CHECK_STATUS(PLEXINDEX_NOT_FOUND, plexindex_table_get(films, "a", 1, &buffer, ERROR));
    CHECK(buffer.length == 0);
    CHECK_STATUS(PLEXINDEX_OK, put("a", "one", 3));
    CHECK_STATUS(PLEXINDEX_OK, put("a", "four", 4));
    CHECK_STATUS(PLEXINDEX_OK, put("b", "", 0));
    CHECK_STATUS(PLEXINDEX_OK, plexindex_table_put(films, "c", 1, "x", 1, PLEXINDEX_TTL_AT_ONCE, 1 << 20, ERROR));
    CHECK_STATUS(PLEXINDEX_OK, plexindex_table_put(films, "d", 1, "x", 1, 0, 1 << 20, ERROR));
    CHECK_STATUS(PLEXINDEX_BUFFER_TOO_SMALL, plexindex_table_get(films, "a", 1, &buffer, ERROR));
    CHECK(buffer.length == 5);
    holds(films, "a", "four");
    holds(films, "b", "");
    CHECK_STATUS(PLEXINDEX_OK, plexindex_table_get(films, "a", 1, NULL, ERROR));
    CHECK_STATUS(PLEXINDEX_NOT_FOUND, plexindex_table_get(films, "A", 1, NULL, ERROR));
    CHECK_STATUS(PLEXINDEX_NOT_FOUND, plexindex_table_get(films, "c", 1, NULL, ERROR));
    CHECK_STATUS(PLEXINDEX_OK, plexindex_table_get(films, "d", 1, NULL, ERROR));
    CHECK(count_of(handle, "Films") == 3); /* later writes remove expired entries */
    CHECK_STATUS(PLEXINDEX_OK, plexindex_table_remove(films, "d", 1, ERROR));
    CHECK_STATUS(PLEXINDEX_OK, plexindex_table_remove(films, "d", 1, ERROR));
    CHECK(plexindex_table_lookup(films, "d", &value) == PLEXINDEX_NOT_FOUND && value == NULL);
    CHECK(plexindex_table_lookup(films, "c", &value) == PLEXINDEX_NOT_FOUND && value == NULL);
    CHECK(plexindex_table_lookup(films, "a", &value) == PLEXINDEX_OK && strcmp(value, "four") == 0);
    CHECK_STATUS(PLEXINDEX_NOT_FOUND, plexindex_table_get(films, "d", 1, NULL, ERROR));
    /* Only plexindex_table_get() reads names and values with a NUL. */
    CHECK_STATUS(PLEXINDEX_OK, plexindex_table_put(films, "n\0", 2, "v\0w", 3, PLEXINDEX_TTL_NEVER, 1 << 20, ERROR));
    CHECK(plexindex_table_lookup(films, "n", &value) == PLEXINDEX_NOT_FOUND);
    CHECK_STATUS(PLEXINDEX_OK, put("n", "v\0w", 3));
    CHECK(plexindex_table_lookup(films, "n", &value) == PLEXINDEX_NOT_YET && value == NULL);
    CHECK_STATUS(PLEXINDEX_OK, plexindex_table_remove(films, "n", 1, ERROR));
    buffer.capacity = sizeof memory;
    CHECK_STATUS(PLEXINDEX_OK, plexindex_table_get(films, "n\0", 2, &buffer, ERROR));
    CHECK(buffer.length == 3 && memcmp(memory, "v\0w", 4) == 0);
    CHECK_STATUS(PLEXINDEX_OK, plexindex_table_remove(films, "n\0", 2, ERROR));
}

static void folding(const plexindex_handle *handle)
{
    const plexindex_table_handle *folded = table_of(handle, "Films", PLEXINDEX_TABLE_FOLD_ASCII);
    CHECK(folded != films && folded == table_of(handle, "Films", PLEXINDEX_TABLE_FOLD_ASCII));
    holds(folded, "A", "four");
    CHECK(looked_up(films, "A") == NULL);
}

/* Lists names in order, and the empty one. */
static void names(void)
{
    uint64_t memory[32];
    plexindex_buffer name = {memory, sizeof memory, 0};
    CHECK_STATUS(PLEXINDEX_OK, plexindex_table_get_next(films, NULL, 0, &name, ERROR));
    CHECK(name.length == 1 && *(const char *)memory == 'a');
    CHECK_STATUS(PLEXINDEX_OK, put("", "empty", 5));
    CHECK_STATUS(PLEXINDEX_OK, plexindex_table_get_next(films, NULL, 0, &name, ERROR));
    CHECK(name.length == 0);
    CHECK_STATUS(PLEXINDEX_OK, plexindex_table_get_next(films, "", 0, &name, ERROR));
    CHECK(name.length == 1 && *(const char *)memory == 'a');
    name.capacity = 1;
    CHECK_STATUS(PLEXINDEX_BUFFER_TOO_SMALL, plexindex_table_get_next(films, "a", 1, &name, ERROR));
    CHECK_STATUS(PLEXINDEX_NOT_FOUND, plexindex_table_get_next(films, "b", 1, &name, ERROR));
    CHECK(name.length == 0);
    CHECK_STATUS(PLEXINDEX_OK, plexindex_table_remove(films, "", 0, ERROR));
}

static plexindex_table_op op_of(int32_t kind, const plexindex_table_handle *table, const char *name, const char *value)
{
    plexindex_table_op op;
    memset(&op, 0, sizeof op);
    op.kind = kind;
    op.table = table;
    op.name.data = name;
    op.name.length = name == NULL ? 0 : strlen(name);
    op.value.data = value;
    op.value.length = value == NULL ? 0 : strlen(value);
    return op;
}

static int32_t both(const plexindex_handle *handle, plexindex_table_op first, plexindex_table_op second)
{
    plexindex_table_op ops[2];
    ops[0] = first;
    ops[1] = second;
    return plexindex_table_write(handle, ops, 2, PLEXINDEX_TTL_NEVER, 1 << 20, ERROR);
}

static void many(const plexindex_handle *handle, const plexindex_options *options)
{
    const plexindex_table_handle *shows = table_of(handle, "Shows", 0);
    plexindex_table_op stored = op_of(PLEXINDEX_TABLE_PUT, shows, "x", "1");
    plexindex_table_op op = op_of(PLEXINDEX_TABLE_REMOVE, films, "b", NULL);
    CHECK_STATUS(PLEXINDEX_OK, both(handle, stored, op));
    holds(shows, "x", "1");
    CHECK(count_of(handle, "Films") == 1 && count_of(handle, NULL) == 2);
    /* A table of another handle for the same folder. */
    {
        plexindex_handle *other = opened(options);
        const plexindex_table_handle *theirs = NULL;
        CHECK_STATUS(PLEXINDEX_OK, plexindex_get_table(other, "Films", 5, 0, &theirs, ERROR));
        plexindex_table_op foreign = op_of(PLEXINDEX_TABLE_CLEAR, theirs, NULL, NULL);
        CHECK_REFUSED(PLEXINDEX_INVALID_ARGUMENT, both(handle, foreign, foreign), "ops[0].table", "another handle");
        CHECK_STATUS(PLEXINDEX_OK, plexindex_close(other, ERROR));
    }
    /* All changes, or none. */
    stored.name.data = "y";
    op.kind = 9;
    CHECK_REFUSED(PLEXINDEX_INVALID_ARGUMENT, both(handle, stored, op), "ops[1].kind", "9");
    op.kind = PLEXINDEX_TABLE_CLEAR;
    CHECK_REFUSED(PLEXINDEX_INVALID_ARGUMENT, both(handle, stored, op), "ops[1]", "NULL");
    op = op_of(PLEXINDEX_TABLE_CLEAR, films, NULL, NULL);
    op.reserved = 1;
    CHECK_STATUS(PLEXINDEX_UNSUPPORTED, both(handle, stored, op));
    CHECK(looked_up(shows, "y") == NULL && count_of(handle, NULL) == 2);
    op.reserved = 0;
    CHECK_STATUS(PLEXINDEX_OK, both(handle, stored, op));
    CHECK(count_of(handle, "Films") == 0 && count_of(handle, "Shows") == 2);
    CHECK_STATUS(PLEXINDEX_OK, put("a", "four", 4));
    method_answer(handle, PLEXINDEX_OK, "tables.clear", "{\"table\":\"Shows\"}");
    CHECK(looked_up(shows, "x") == NULL && count_of(handle, "Shows") == 0 && count_of(handle, NULL) == 1);
    method_answer(handle, PLEXINDEX_OK, "tables.clear", "{\"all\":true}");
    CHECK(looked_up(films, "a") == NULL && count_of(handle, NULL) == 0);
}

/* A table and an entry may have an empty name. */
static void empty_name(const plexindex_handle *handle)
{
    const plexindex_table_handle *empty = table_of(handle, "", 0);
    plexindex_table_op clear = op_of(PLEXINDEX_TABLE_CLEAR, empty, NULL, NULL);
    CHECK(empty == table_of(handle, "", 0));
    CHECK_STATUS(PLEXINDEX_OK, put("a", "x", 0));
    CHECK_STATUS(PLEXINDEX_OK, plexindex_table_put(empty, "a", 1, "y", 1, 0, 1000000, ERROR));
    CHECK(count_of(handle, "") == 1 && count_of(handle, NULL) == 2);
    CHECK_STATUS(PLEXINDEX_OK, both(handle, clear, clear));
    CHECK(count_of(handle, "") == 0 && count_of(handle, NULL) == 1);
}

/* A limit of 0 removes nothing. */
static void no_limit(const plexindex_handle *handle)
{
    plexindex_table_op op = op_of(PLEXINDEX_TABLE_PUT, films, "second", "y");
    long before;
    CHECK_STATUS(PLEXINDEX_OK, put("before", "x", 1));
    before = count_of(handle, NULL);
    CHECK(before > 0);
    CHECK_STATUS(PLEXINDEX_OK, plexindex_table_put(films, "first", 5, "x", 1, 0, 0, ERROR));
    CHECK_STATUS(PLEXINDEX_OK, plexindex_table_write(handle, &op, 1, 0, 0, ERROR));
    CHECK(count_of(handle, NULL) == before + 2);
    /* The smallest limit leaves only what the call wrote. */
    CHECK_STATUS(PLEXINDEX_OK, plexindex_table_put(films, "third", 5, "x", 1, 0, 1, ERROR));
    CHECK(count_of(handle, NULL) == 1);
}

static void misuse(const plexindex_handle *handle)
{
    const plexindex_table_handle *table = films;
    plexindex_buffer buffer = {NULL, 0, 0};
    const char *value = NULL;
    CHECK_STATUS(PLEXINDEX_NULL_POINTER, plexindex_get_table(NULL, "x", 1, 0, &table, ERROR));
    CHECK(table == NULL);
    table = films;
    CHECK_STATUS(PLEXINDEX_NULL_POINTER, plexindex_get_table(handle, NULL, 1, 0, &table, ERROR));
    CHECK(table == NULL);
    table = films;
    CHECK_STATUS(PLEXINDEX_NULL_POINTER, plexindex_get_table(handle, "x", 1, 0, NULL, ERROR));
    CHECK_REFUSED(PLEXINDEX_UNSUPPORTED, plexindex_get_table(handle, "x", 1, 2, &table, ERROR), "0x2");
    CHECK(table == NULL);
    CHECK(looked_up(NULL, "x") == NULL && looked_up(films, NULL) == NULL);
    CHECK(plexindex_table_lookup(NULL, "x", &value) == PLEXINDEX_NOT_YET);
    CHECK(plexindex_table_lookup(films, NULL, &value) == PLEXINDEX_NOT_YET);
    CHECK(plexindex_table_lookup(films, "x", NULL) == PLEXINDEX_NOT_YET);
    CHECK_STATUS(PLEXINDEX_NULL_POINTER, plexindex_table_put(NULL, "x", 1, "x", 1, 0, 1, ERROR));
    CHECK_STATUS(PLEXINDEX_NULL_POINTER, plexindex_table_put(films, NULL, 1, "x", 1, 0, 1, ERROR));
    CHECK_STATUS(PLEXINDEX_NULL_POINTER, plexindex_table_put(films, "x", 1, NULL, 1, 0, 1, ERROR));
    CHECK_REFUSED(PLEXINDEX_INVALID_ARGUMENT, plexindex_table_put(films, "x", 1, "x", 1, -7, 1, ERROR), "ttl_ms", "-7");
    CHECK_STATUS(PLEXINDEX_NULL_POINTER, plexindex_table_get(NULL, "x", 1, NULL, ERROR));
    CHECK_STATUS(PLEXINDEX_NULL_POINTER, plexindex_table_get(films, NULL, 1, NULL, ERROR));
    CHECK_STATUS(PLEXINDEX_NULL_POINTER, plexindex_table_remove(NULL, "x", 1, ERROR));
    CHECK_STATUS(PLEXINDEX_NULL_POINTER, plexindex_table_remove(films, NULL, 1, ERROR));
    CHECK_STATUS(PLEXINDEX_NULL_POINTER, plexindex_table_get_next(NULL, NULL, 0, &buffer, ERROR));
    CHECK_STATUS(PLEXINDEX_NULL_POINTER, plexindex_table_get_next(films, NULL, 0, NULL, ERROR));
    CHECK_STATUS(PLEXINDEX_NULL_POINTER, plexindex_table_write(NULL, NULL, 0, 0, 1, ERROR));
    CHECK_STATUS(PLEXINDEX_NULL_POINTER, plexindex_table_write(handle, NULL, 1, 0, 1, ERROR));
    CHECK_STATUS(PLEXINDEX_OK, plexindex_table_write(handle, NULL, 0, 0, 1, ERROR));
}

/* With a server: tables and listings do not affect each other. */
static void beside_a_server(const struct setting *setting)
{
    char folder[4096];
    struct setting other = *setting;
    plexindex_options options;
    plexindex_handle *handle;
    const plexindex_library_handle *movies;
    plexindex_query query;
    snprintf(folder, sizeof folder, "%s/server", setting->folder);
    other.folder = folder;
    options = options_of(&other);
    handle = opened(&options);
    films = table_of(handle, "Movies", 0);
    CHECK_STATUS(PLEXINDEX_OK, put("a", "four", 4));
    movies = library_of(handle, "Movies");
    query = query_of(movies, NULL);
    CHECK_STATUS(PLEXINDEX_OK, plexindex_refresh(handle, &query, ERROR));
    holds(films, "a", "four");
    CHECK(plexindex_lookup_key(movies, "a") == NULL);
    CHECK_STATUS(PLEXINDEX_OK, plexindex_close(handle, ERROR));
}

int main(int argc, char **argv)
{
    struct setting setting = setting_of(argc, argv);
    plexindex_options options = options_of(&setting);
    plexindex_handle *handle;
    memset(&options.server_url, 0, sizeof options.server_url);
    memset(&options.token, 0, sizeof options.token);
    handle = opened(&options);
    films = table_of(handle, "Films", 0);
    values(handle);
    folding(handle);
    names();
    many(handle, &options);
    empty_name(handle);
    misuse(handle);
    no_limit(handle);
    CHECK_STATUS(PLEXINDEX_OK, plexindex_close(handle, ERROR));
    CHECK(requests() == 0);
    beside_a_server(&setting);
    return 0;
}
