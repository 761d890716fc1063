/*
 * plexindex refuses an argument that is too long before copying it, because a copy may exhaust the memory. The messages
 * name the remedy.
 */
#define _GNU_SOURCE
#include "block.h"

#include <sys/mman.h>
#include <sys/resource.h>

#define LONG ((size_t)1 << 30)

/* A gigabyte of zeros that occupies no memory. */
static const char *zeros;

/* Limits the memory to less than a copy, unless a sanitizer or valgrind needs more. */
static void limit_memory(void)
{
#if !defined(__SANITIZE_ADDRESS__)
    struct rlimit limit = {LONG + (LONG >> 2), LONG + (LONG >> 2)};
    if (getenv("PLEXINDEX_VALGRIND") == NULL) CHECK(setrlimit(RLIMIT_AS, &limit) == 0);
#endif
}

/* Returns a text of this length. */
static plexindex_bytes letters(size_t length)
{
    static char text[1 << 17];
    plexindex_bytes bytes = {text, length};
    memset(text, 'x', sizeof text);
    CHECK(length <= sizeof text);
    return bytes;
}

static void open_with(const struct setting *setting, size_t at, plexindex_bytes text, const char *word)
{
    plexindex_options options = options_of(setting);
    plexindex_handle *handle = NULL;
    memcpy((char *)&options + at, &text, sizeof text);
    CHECK_REFUSED(PLEXINDEX_INVALID_ARGUMENT, plexindex_open(&options, &handle, ERROR), word, "bytes");
    CHECK(handle == NULL);
}

/* The error of a long value has its beginning, its length and the remedy. */
static void mappings(const struct setting *setting)
{
    plexindex_options options = options_of(setting);
    plexindex_handle *handle = NULL;
    plexindex_mapping rule = {PLEXINDEX_MAPPING_HOST_PATTERN, 0, letters(32768), {"/", 1}};
    char *pattern = malloc(32767);
    CHECK(pattern != NULL);
    options.mappings = &rule;
    options.mappings_count = 1;
    CHECK_REFUSED(PLEXINDEX_INVALID_ARGUMENT, plexindex_open(&options, &handle, ERROR), "mappings[0]", "32768 bytes",
        "32767");
    memset(pattern, '(', 32767);
    rule.from.data = pattern;
    rule.from.length = 32767;
    CHECK_REFUSED(PLEXINDEX_INVALID_ARGUMENT, plexindex_open(&options, &handle, ERROR), "mapping 1");
    CHECK(check_error.buffer.length < 9000);
    free(pattern);
    options = options_of(setting);
    options.cache_dir = letters(32767);
    CHECK_REFUSED(PLEXINDEX_STORE, plexindex_open(&options, &handle, ERROR), "cannot create cache_dir xxx");
    CHECK(check_error.buffer.length < 9000);
}

static void options(const struct setting *setting)
{
    plexindex_options options = options_of(setting);
    plexindex_handle *handle = NULL;
    plexindex_bytes large = {zeros, LONG};
    open_with(setting, offsetof(plexindex_options, server_url), large, "server_url");
    open_with(setting, offsetof(plexindex_options, token), large, "token");
    open_with(setting, offsetof(plexindex_options, cache_dir), letters(32768), "cache_dir");
    open_with(setting, offsetof(plexindex_options, ca_file), letters(32768), "ca_file");
    open_with(setting, offsetof(plexindex_options, database), letters(32768), "database");
    open_with(setting, offsetof(plexindex_options, user), letters(4097), "user");
    open_with(setting, offsetof(plexindex_options, shared), letters(4097), "shared");
    mappings(setting);
    open_with(setting, offsetof(plexindex_options, token), letters(65537), "65536");
    CHECK(strstr(check_error.text, "xxx") == NULL); /* the message does not contain the token */

    options.shared = plexindex_bytes_of("mysql://ann:secret@db/x");
    CHECK_REFUSED(PLEXINDEX_INVALID_ARGUMENT, plexindex_open(&options, &handle, ERROR), "shared");
    CHECK(strstr(check_error.text, "secret") == NULL);
}

/* A method refuses a long text, and shows only its beginning. */
static void refused(const plexindex_handle *handle, const char *method, const char *name, size_t length,
    const char *word)
{
    static char request[1 << 17];
    char *json;
    int size = snprintf(request, sizeof request, "{\"%s\":\"%.*s\"}", name, (int)length, letters(length).data);
    CHECK_REFUSED(PLEXINDEX_INVALID_ARGUMENT, plexindex_call(handle, method, request, (size_t)size, NULL, &json,
        ERROR), word);
    CHECK(strlen(check_error.text) < 300);
}

static void queries(plexindex_handle *handle)
{
    plexindex_query query = plexindex_query_init(NULL);
    uint64_t memory[512];
    plexindex_buffer block = {memory, sizeof memory, 0};
    CHECK_STATUS(PLEXINDEX_OK, plexindex_refresh(handle, &query, ERROR));
    query.text.data = zeros;
    query.text.length = LONG;
    CHECK_REFUSED(PLEXINDEX_INVALID_ARGUMENT, plexindex_match_path(handle, &query, &block, ERROR), "32767");
    CHECK(strlen(check_error.text) < 300);
    refused(handle, "match.title", "title", 4097, "4097 bytes long");
    refused(handle, "match.guid", "guid", 4097, "4097 bytes long");
    refused(handle, "match.folder", "path", 32768, "32767");
    refused(handle, "items.below", "path", 32768, "32767");
    refused(handle, "mappings.to_host", "path", 32768, "32767");
    refused(handle, "items.get", "key", 256, "255");
    refused(handle, "changes.list", "cursor", 201, "cursor");
    refused(handle, "changes.list", "library", 4097, "4096");
    /* A flag of another function. */
    query.text = plexindex_bytes_of("/a");
    query.flags = PLEXINDEX_QUERY_FULL;
    CHECK_REFUSED(PLEXINDEX_INVALID_ARGUMENT, plexindex_match_path(handle, &query, &block, ERROR),
        "PLEXINDEX_QUERY_FULL", "plexindex_refresh()");
}

static void libraries(plexindex_handle *handle)
{
    const plexindex_library_handle *library = library_of(handle, "Movies"), *other;
    const plexindex_table_handle *table;
    plexindex_table_op op;
    char *json;
    CHECK_REFUSED(PLEXINDEX_INVALID_ARGUMENT, plexindex_get_library(handle, PLEXINDEX_SELECT_TITLE, zeros, LONG,
        &other, ERROR), "4096");
    CHECK_REFUSED(PLEXINDEX_INVALID_ARGUMENT, plexindex_set_token(handle, zeros, LONG, ERROR), "65536");
    CHECK_REFUSED(PLEXINDEX_INVALID_ARGUMENT, plexindex_invalidate_path(library, zeros, LONG, ERROR), "32767");
    CHECK_REFUSED(PLEXINDEX_INVALID_ARGUMENT, plexindex_invalidate_item(library, zeros, LONG, ERROR), "255");
    CHECK_REFUSED(PLEXINDEX_INVALID_ARGUMENT, plexindex_record_match(library, zeros, LONG, "1", 1, 0, ERROR), "32767");
    CHECK_REFUSED(PLEXINDEX_INVALID_ARGUMENT, plexindex_record_match(library, "/a", 2, zeros, LONG, 0, ERROR), "255");
    CHECK_REFUSED(PLEXINDEX_INVALID_ARGUMENT, plexindex_call(handle, "items.get", zeros, LONG, NULL, &json, ERROR),
        "67108864");
    CHECK_REFUSED(PLEXINDEX_INVALID_ARGUMENT, plexindex_notify(handle, zeros, LONG, ERROR), "16 MiB");
    CHECK_REFUSED(PLEXINDEX_INVALID_ARGUMENT, plexindex_get_table(handle, zeros, LONG, 0, &table, ERROR), "bytes");

    CHECK_STATUS(PLEXINDEX_OK, plexindex_get_table(handle, "t", 1, 0, &table, ERROR));
    CHECK_REFUSED(PLEXINDEX_INVALID_ARGUMENT, plexindex_table_put(table, zeros, LONG, "v", 1, 0, LONG, ERROR), "name");
    CHECK_REFUSED(PLEXINDEX_INVALID_ARGUMENT, plexindex_table_put(table, "n", 1, zeros, LONG, 0, 4 * LONG, ERROR),
        "value", "900000000");
    CHECK_REFUSED(PLEXINDEX_INVALID_ARGUMENT, plexindex_table_remove(table, zeros, LONG, ERROR), "name");
    memset(&op, 0, sizeof op);
    op.kind = PLEXINDEX_TABLE_PUT;
    op.table = table;
    op.name = plexindex_bytes_of("n");
    op.value.data = zeros;
    op.value.length = LONG;
    CHECK_REFUSED(PLEXINDEX_INVALID_ARGUMENT, plexindex_table_write(handle, &op, 1, 0, 4 * LONG, ERROR), "value");
}

int main(int argc, char **argv)
{
    struct setting setting = setting_of(argc, argv);
    plexindex_options given = options_of(&setting);
    plexindex_handle *handle;
    zeros = mmap(NULL, LONG, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    CHECK(zeros != MAP_FAILED);
    limit_memory();
    options(&setting);
    handle = opened(&given);
    queries(handle);
    libraries(handle);
    CHECK_STATUS(PLEXINDEX_OK, plexindex_close(handle, ERROR));
    return 0;
}
