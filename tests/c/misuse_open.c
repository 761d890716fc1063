/*
 * Invalid options of plexindex_open(): each gives a status and a message that names the field and the remedy, and NULL
 * for the handle.
 */
#include "check.h"

/* plexindex_open() must refuse these options, and set the handle to NULL. */
#define CHECK_OPEN_REFUSED(expected, options, ...)                                                                     \
    do {                                                                                                               \
        plexindex_handle *refused = (plexindex_handle *)&refused;                                                      \
        CHECK_REFUSED(expected, plexindex_open(options, &refused, ERROR), __VA_ARGS__);                                \
        CHECK(refused == NULL);                                                                                        \
    } while (0)

/* The options of a later version: ours, and unknown fields. */
struct future_options {
    plexindex_options known;
    char unknown[24];
};

static void open_sizes(const struct setting *setting)
{
    const size_t wrong[] = {0, 1, sizeof(size_t) - 1, SIZE_MAX};
    plexindex_options options = options_of(setting);
    struct future_options future;
    plexindex_handle *handle = NULL;
    size_t i;
    for (i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        options.size = wrong[i];
        CHECK_OPEN_REFUSED(PLEXINDEX_INVALID_ARGUMENT, &options, "options.size", "sizeof");
    }
    /* A caller from the past: the library reads no fields that its struct lacks. */
    options.size = offsetof(plexindex_options, library_ttl_ms);
    memset((char *)&options + options.size, 0xa5, sizeof options - options.size);
    CHECK_STATUS(PLEXINDEX_OK, plexindex_open(&options, &handle, ERROR));
    CHECK_STATUS(PLEXINDEX_OK, plexindex_close(handle, ERROR));
    /* A size without the fields that every version has is a mistake. */
    for (i = sizeof options.size; i < offsetof(plexindex_options, server_url); i += sizeof(void *)) {
        char word[40];
        options.size = i;
        snprintf(word, sizeof word, "options.size is %zu;", i);
        CHECK_OPEN_REFUSED(PLEXINDEX_INVALID_ARGUMENT, &options, word, "sizeof");
    }
    /* A caller from the future: the library accepts unknown fields that are zero, and refuses others. */
    memset(&future, 0, sizeof future);
    future.known = options_of(setting);
    future.known.size = sizeof future;
    CHECK_STATUS(PLEXINDEX_OK, plexindex_open(&future.known, &handle, ERROR));
    CHECK_STATUS(PLEXINDEX_OK, plexindex_close(handle, ERROR));
    for (i = 0; i < sizeof future.unknown; i += sizeof future.unknown - 1) {
        future.unknown[i] = 1;
        CHECK_OPEN_REFUSED(PLEXINDEX_UNSUPPORTED, &future.known, "options");
        future.unknown[i] = 0;
    }
}

static void open_arguments(const struct setting *setting)
{
    plexindex_options good = options_of(setting);
    plexindex_options options;
    char file[4096];
    FILE *made;

    CHECK_OPEN_REFUSED(PLEXINDEX_NULL_POINTER, NULL, "options");
    CHECK_REFUSED(PLEXINDEX_NULL_POINTER, plexindex_open(&good, NULL, ERROR), "out_handle");

#define REFUSED(status, field, value, ...)                                                                             \
    do {                                                                                                               \
        options = good;                                                                                                \
        options.field = (value);                                                                                       \
        CHECK_OPEN_REFUSED(status, &options, __VA_ARGS__);                                                             \
    } while (0)
    REFUSED(PLEXINDEX_INVALID_ARGUMENT, cache_dir, plexindex_bytes_of(""), "cache_dir");
    REFUSED(PLEXINDEX_NULL_POINTER, cache_dir.data, NULL, "cache_dir");
    REFUSED(PLEXINDEX_NULL_POINTER, server_url.data, NULL, "server_url");
    REFUSED(PLEXINDEX_NULL_POINTER, token.data, NULL, "token");
    REFUSED(PLEXINDEX_INVALID_ARGUMENT, server_url, plexindex_bytes_of("127.0.0.1:32400"), "127.0.0.1:32400",
        "http://");
    REFUSED(PLEXINDEX_INVALID_ARGUMENT, server_url, plexindex_bytes_of("http://\xff\xfe/"), "server_url");
    REFUSED(PLEXINDEX_INVALID_ARGUMENT, token, plexindex_bytes_of("two\r\nlines: x"), "token");
    REFUSED(PLEXINDEX_INVALID_ARGUMENT, library_ttl_ms, -3, "library_ttl_ms", "-3");
    REFUSED(PLEXINDEX_INVALID_ARGUMENT, library_ttl_ms, INT64_MIN, "library_ttl_ms");
    REFUSED(PLEXINDEX_INVALID_ARGUMENT, max_age_ms, -1, "max_age_ms", "-1");
    REFUSED(PLEXINDEX_INVALID_ARGUMENT, timeout_ms, -2, "timeout_ms", "-2", "PLEXINDEX_NO_TIMEOUT");
    REFUSED(PLEXINDEX_INVALID_ARGUMENT, connect_timeout_ms, -1, "connect_timeout_ms", "-1");
    REFUSED(PLEXINDEX_INVALID_ARGUMENT, read_timeout_ms, -1, "read_timeout_ms", "-1");
    REFUSED(PLEXINDEX_INVALID_ARGUMENT, retry_ms, -2, "retry_ms", "-2");
    REFUSED(PLEXINDEX_INVALID_ARGUMENT, slow_ms, -2, "slow_ms", "-2");
    REFUSED(PLEXINDEX_INVALID_ARGUMENT, page_size, 1001, "page_size", "1001");
    REFUSED(PLEXINDEX_UNSUPPORTED, flags, UINT32_C(1) << 31, "flags");
    REFUSED(PLEXINDEX_INVALID_ARGUMENT, log_level, 99, "log_level", "99");
    REFUSED(PLEXINDEX_INVALID_ARGUMENT, log_level, -2, "log_level", "-2");
    REFUSED(PLEXINDEX_UNSUPPORTED, reserved, 1, "reserved");

    /* A text that contains a NUL. */
    options = good;
    options.cache_dir.data = "/tmp\0/elsewhere";
    options.cache_dir.length = 15;
    CHECK_OPEN_REFUSED(PLEXINDEX_INVALID_ARGUMENT, &options, "cache_dir", "NUL");
    options = good;
    options.ca_file = plexindex_bytes_of("/no/such/authority.pem");
    CHECK_OPEN_REFUSED(PLEXINDEX_INVALID_ARGUMENT, &options, "/no/such/authority.pem");

    /* Folders that cannot be created. */
    snprintf(file, sizeof file, "%s/a file", setting->folder);
    made = fopen(file, "w");
    CHECK(made != NULL && fclose(made) == 0);
    REFUSED(PLEXINDEX_STORE, cache_dir, plexindex_bytes_of(file), file);
    strcat(file, "/below");
    REFUSED(PLEXINDEX_STORE, cache_dir, plexindex_bytes_of(file), file);
    REFUSED(PLEXINDEX_STORE, cache_dir, plexindex_bytes_of("/proc/plexindex"), "/proc/plexindex");
#undef REFUSED
}

/* Invalid mappings: the message names the mapping and the reason. */
static void mappings(const struct setting *setting)
{
    plexindex_options options = options_of(setting);
    plexindex_mapping rules[2];
    memset(rules, 0, sizeof rules);
    rules[0].kind = PLEXINDEX_MAPPING_HOST_PREFIX;
    rules[0].from = plexindex_bytes_of("/host");
    rules[0].to = plexindex_bytes_of("/data");
    options.mappings_count = 2;
    CHECK_OPEN_REFUSED(PLEXINDEX_NULL_POINTER, &options, "mappings");
    options.mappings_count = SIZE_MAX;
    options.mappings = rules;
    CHECK_OPEN_REFUSED(PLEXINDEX_INVALID_ARGUMENT, &options, "mappings_count");
    options.mappings_count = 2;

#define RULE_REFUSED(status, number, from_text, to_text, ...)                                                          \
    do {                                                                                                               \
        rules[1].kind = (number);                                                                                      \
        rules[1].from = plexindex_bytes_of(from_text);                                                                 \
        rules[1].to = plexindex_bytes_of(to_text);                                                                     \
        CHECK_OPEN_REFUSED(status, &options, __VA_ARGS__);                                                             \
    } while (0)
    RULE_REFUSED(PLEXINDEX_INVALID_ARGUMENT, 0, "/a", "/b", "not 0", "PLEXINDEX_MAPPING_");
    RULE_REFUSED(PLEXINDEX_INVALID_ARGUMENT, 5, "/a", "/b", "not 5", "PLEXINDEX_MAPPING_");
    RULE_REFUSED(PLEXINDEX_INVALID_ARGUMENT, PLEXINDEX_MAPPING_HOST_PREFIX, "media", "/b", "mapping 2", "\"media\"",
        "absolute path");
    RULE_REFUSED(PLEXINDEX_INVALID_ARGUMENT, PLEXINDEX_MAPPING_HOST_PATTERN, "\xff", "/b", "mappings[1]", "UTF-8");
#undef RULE_REFUSED
    rules[1] = rules[0];
    rules[1].from.data = NULL;
    CHECK_OPEN_REFUSED(PLEXINDEX_NULL_POINTER, &options, "mappings[1]");
    rules[1] = rules[0];
    rules[1].reserved = 1;
    CHECK_OPEN_REFUSED(PLEXINDEX_UNSUPPORTED, &options, "mappings[1]", "reserved");
}

int main(int argc, char **argv)
{
    struct setting setting = setting_of(argc, argv);
    open_sizes(&setting);
    open_arguments(&setting);
    mappings(&setting);
    CHECK(requests() == 0);
    return 0;
}
