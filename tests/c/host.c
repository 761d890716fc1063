/*
 * Libraries that the host fills itself: matches, values and a listing, without a server; and one item of a server's with all
 * that the store has of it.
 */
#include "block.h"

static const plexindex_library_handle *films;

static int32_t put(const char *name, const char *value, size_t length)
{
    return plexindex_host_put(films, name, strlen(name), value, length, PLEXINDEX_TTL_NEVER, 1 << 20);
}

/* The value of this name is this one. */
static void holds(const char *name, const char *value)
{
    uint64_t memory[32];
    plexindex_buffer buffer = {memory, sizeof memory, 0};
    CHECK_STATUS(PLEXINDEX_OK, plexindex_host_get(films, name, strlen(name), &buffer));
    CHECK(buffer.length == strlen(value) && strcmp((const char *)memory, value) == 0);
}

static void values(const plexindex_handle *handle)
{
    uint64_t memory[32];
    plexindex_buffer buffer = {memory, 4, 0};
    uint64_t count = 7;
    CHECK_STATUS(PLEXINDEX_NOT_FOUND, plexindex_host_get(films, "a", 1, &buffer));
    CHECK_STATUS(PLEXINDEX_OK, put("a", "one", 3));
    CHECK_STATUS(PLEXINDEX_OK, put("a", "four", 4));
    CHECK_STATUS(PLEXINDEX_OK, put("b", "", 0));
    CHECK_STATUS(PLEXINDEX_OK, plexindex_host_put(films, "c", 1, "x", 1, PLEXINDEX_TTL_AT_ONCE, 1 << 20));
    CHECK_STATUS(PLEXINDEX_OK, plexindex_host_put(films, "d", 1, "x", 1, 0, 1 << 20));
    CHECK_STATUS(PLEXINDEX_BUFFER_TOO_SMALL, plexindex_host_get(films, "a", 1, &buffer));
    CHECK(buffer.length == 5);
    holds("a", "four");
    holds("b", "");
    CHECK_STATUS(PLEXINDEX_OK, plexindex_host_get(films, "a", 1, NULL));
    CHECK_STATUS(PLEXINDEX_NOT_FOUND, plexindex_host_get(films, "c", 1, NULL));
    CHECK_STATUS(PLEXINDEX_OK, plexindex_host_get(films, "d", 1, NULL));
    CHECK_STATUS(PLEXINDEX_OK, plexindex_host_count(handle, &count));
    CHECK(count == 3); /* what has expired goes as more is stored */
}

static void listing(const plexindex_handle *handle)
{
    static const char text[] = "plexindex 1\n2 - 1:2 1:-\n/library/metadata/7\0other\0Seven\0\0/a/7.mkv\0/b/x.mkv\0/b/y.mkv";
    plexindex_query query = query_of(films, "/host/b/y.mkv");
    struct answered answered;
    CHECK_STATUS(PLEXINDEX_OK, put("", text, sizeof text - 1));
    answered = ask(plexindex_match_path, handle, &query);
    CHECK_STATUS(PLEXINDEX_OK, answered.status);
    CHECK(answer_of(&answered, 0)->rung == PLEXINDEX_RUNG_SUFFIX);
    CHECK(strcmp(text_of(&answered, item_of(&answered, answer_of(&answered, 0))->rating_key), "=other") == 0);
    forget(&answered);
    CHECK(strcmp(plexindex_lookup_key(films, "/A/7.mkv"), "/library/metadata/7") == 0);
    CHECK_REFUSED(PLEXINDEX_INVALID_ARGUMENT, put("", "nonsense", 8), "plexindex.h");
    CHECK(strcmp(plexindex_lookup_key(films, "/A/7.mkv"), "/library/metadata/7") == 0);
}

static void misuse(const plexindex_handle *handle)
{
    const plexindex_library_handle *all = library_of(handle, NULL);
    uint64_t count;
    CHECK_STATUS(PLEXINDEX_NULL_POINTER, plexindex_host_library(NULL, "x", 1));
    CHECK_STATUS(PLEXINDEX_NULL_POINTER, plexindex_host_library(handle, NULL, 1));
    CHECK_REFUSED(PLEXINDEX_INVALID_ARGUMENT, plexindex_host_library(handle, "", 0), "empty");
    CHECK_STATUS(PLEXINDEX_INVALID_ARGUMENT, plexindex_host_library(handle, "\xff", 1));
    CHECK_STATUS(PLEXINDEX_NULL_POINTER, plexindex_host_put(NULL, "x", 1, "x", 1, 0, 1));
    CHECK_STATUS(PLEXINDEX_NULL_POINTER, plexindex_host_put(films, NULL, 1, "x", 1, 0, 1));
    CHECK_STATUS(PLEXINDEX_NULL_POINTER, plexindex_host_put(films, "x", 1, NULL, 1, 0, 1));
    CHECK_REFUSED(PLEXINDEX_INVALID_ARGUMENT, plexindex_host_put(films, "x", 1, "x", 1, -7, 1), "ttl_ms", "-7");
    CHECK_REFUSED(PLEXINDEX_INVALID_ARGUMENT, plexindex_host_put(all, "x", 1, "x", 1, 0, 1), "uuid");
    CHECK_STATUS(PLEXINDEX_NULL_POINTER, plexindex_host_get(NULL, "x", 1, NULL));
    CHECK_STATUS(PLEXINDEX_NULL_POINTER, plexindex_host_get(films, NULL, 1, NULL));
    CHECK_STATUS(PLEXINDEX_NULL_POINTER, plexindex_host_count(NULL, &count));
    CHECK_STATUS(PLEXINDEX_NULL_POINTER, plexindex_host_count(handle, NULL));
}

/* With a server: its store takes nothing of the host's, and an item is shown whole. */
static void beside_a_server(const struct setting *setting)
{
    char folder[4096];
    struct setting other = *setting;
    plexindex_options options;
    plexindex_handle *handle;
    const plexindex_library_handle *movies;
    plexindex_query query;
    uint64_t memory[512];
    plexindex_buffer json = {memory, sizeof memory, 0};
    char key[64];
    snprintf(folder, sizeof folder, "%s/server", setting->folder);
    other.folder = folder;
    options = options_of(&other);
    handle = opened(&options);
    CHECK_REFUSED(PLEXINDEX_INVALID_ARGUMENT, plexindex_host_library(handle, "Films", 5), "Films", "cache_dir");
    movies = library_of(handle, "Movies");
    CHECK_STATUS(PLEXINDEX_NOT_FOUND, plexindex_item_json(movies, "1", 1, &json));
    query = query_of(movies, NULL);
    CHECK_STATUS(PLEXINDEX_OK, plexindex_refresh(handle, &query));
    snprintf(key, sizeof key, "%s", harness("key 5"));
    CHECK_STATUS(PLEXINDEX_OK, plexindex_item_json(movies, key, strlen(key), &json));
    CHECK(strstr((const char *)memory, "\"guids\":[\"imdb://") != NULL);
    CHECK(strstr((const char *)memory, harness("path 5")) != NULL);
    json.capacity = 8;
    CHECK_STATUS(PLEXINDEX_BUFFER_TOO_SMALL, plexindex_item_json(movies, key, strlen(key), &json));
    CHECK_STATUS(PLEXINDEX_INVALID_ARGUMENT, plexindex_item_json(movies, "", 0, &json));
    CHECK_STATUS(PLEXINDEX_NULL_POINTER, plexindex_item_json(NULL, "1", 1, &json));
    CHECK_STATUS(PLEXINDEX_NULL_POINTER, plexindex_item_json(movies, NULL, 1, &json));
    CHECK_STATUS(PLEXINDEX_NULL_POINTER, plexindex_item_json(movies, "1", 1, NULL));
    CHECK_STATUS(PLEXINDEX_OK, plexindex_close(handle));
}

int main(int argc, char **argv)
{
    struct setting setting = setting_of(argc, argv);
    plexindex_options options = options_of(&setting);
    plexindex_handle *handle;
    memset(&options.server_url, 0, sizeof options.server_url);
    memset(&options.token, 0, sizeof options.token);
    handle = opened(&options);
    CHECK_STATUS(PLEXINDEX_OK, plexindex_library(handle, PLEXINDEX_SELECT_UUID, "Films", 5, &films));
    CHECK_STATUS(PLEXINDEX_LIBRARY_NOT_FOUND, plexindex_record_match(films, "/m", 2, "9", 1));
    CHECK_STATUS(PLEXINDEX_OK, plexindex_host_library(handle, "Films", 5));
    CHECK_STATUS(PLEXINDEX_OK, plexindex_host_library(handle, "Films", 5));
    CHECK_STATUS(PLEXINDEX_OK, plexindex_record_match(films, "/m", 2, "9", 1));
    CHECK(strcmp(plexindex_lookup_key(films, "/m"), "/library/metadata/9") == 0);
    CHECK_STATUS(PLEXINDEX_OK, plexindex_record_match(films, "a b\xff", 4, "10", 2));
    CHECK(strcmp(plexindex_lookup_key(films, "a b\xff"), "/library/metadata/10") == 0);
    CHECK(strcmp(plexindex_lookup_key(films, "A B\xfb"), "/library/metadata/10") == 0);
    CHECK(plexindex_lookup_key(films, "A B\xff") == NULL);
    CHECK(plexindex_lookup_key(films, "\xfb") == NULL);
    {
        char long_name[400];
        memset(long_name, 'x', sizeof long_name);
        long_name[sizeof long_name - 2] = '\xfb';
        long_name[sizeof long_name - 1] = '\0';
        CHECK(plexindex_lookup_key(films, long_name) == NULL);
    }
    values(handle);
    listing(handle);
    misuse(handle);
    CHECK_STATUS(PLEXINDEX_OK, plexindex_close(handle));
    CHECK(requests() == 0);
    beside_a_server(&setting);
    return 0;
}
