/*
 * The server does not answer. Without a listing each function returns an error in time that names the server. With a
 * listing the cached answers remain, stale once they have expired, and plexindex keeps what the host records.
 */
#include "block.h"

#include <time.h>

/* Asks with AT_ONCE, and returns the status. */
static int32_t at_once(const plexindex_handle *handle, plexindex_query query, uint32_t flags, plexindex_buffer *buffer)
{
    query.flags = PLEXINDEX_QUERY_AT_ONCE | flags;
    return plexindex_match_path(handle, &query, buffer, ERROR);
}

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static int32_t fetches(ask_fn function, const plexindex_handle *handle, const plexindex_query *query)
{
    uint64_t memory[512];
    plexindex_buffer buffer = {memory, sizeof memory, 0};
    return function(handle, query, &buffer, ERROR);
}

static int32_t match_batch(const plexindex_handle *handle, const plexindex_query *query, plexindex_buffer *buffer,
                           plexindex_buffer *error)
{
    return plexindex_match_paths(handle, query, 1, buffer, error);
}

static int32_t refresh(const plexindex_handle *handle, const plexindex_query *query, plexindex_buffer *buffer,
                       plexindex_buffer *error)
{
    (void)buffer;
    return plexindex_refresh(handle, query, error);
}

static void not_fetched(const plexindex_handle *handle, const struct setting *setting)
{
    const plexindex_library_handle *movies = library_of(handle, "Movies");
    const plexindex_library_handle *all = library_of(handle, NULL);
    plexindex_query one = query_of(movies, "/data/movies/a.mkv");
    plexindex_query any = query_of(NULL, "/data/movies/a.mkv");
    plexindex_query batch = one;
    plexindex_query nothing = query_of(movies, NULL);
    plexindex_query offline = one;
    uint64_t memory[512];
    plexindex_buffer page = {memory, sizeof memory, 0};
    plexindex_stats stats;
    const char *host = strstr(setting->url, "//") + 2;

    batch.text.length += 1;
    CHECK_REFUSED(PLEXINDEX_CONNECT, fetches(plexindex_match_path, handle, &one), host);
    CHECK_REFUSED(PLEXINDEX_CONNECT, fetches(plexindex_match_path, handle, &any), host);
    CHECK_REFUSED(PLEXINDEX_CONNECT, fetches(refresh, handle, &nothing), host);
    method_answer(handle, PLEXINDEX_CONNECT, "libraries.list", "");
    CHECK(strstr(check_error.text, host) != NULL);
    CHECK_REFUSED(PLEXINDEX_CONNECT, fetches(match_batch, handle, &batch), host);
    CHECK_REFUSED(PLEXINDEX_CONNECT, plexindex_record_match(movies, "/a.mkv", 6, "7", 1, 0, ERROR), host);
    offline.flags = PLEXINDEX_QUERY_OFFLINE;
    CHECK_REFUSED(PLEXINDEX_NOT_FETCHED, fetches(plexindex_match_path, handle, &offline), "Movies");
    CHECK_STATUS(PLEXINDEX_NOT_YET, at_once(handle, one, PLEXINDEX_QUERY_OFFLINE, &page));
    CHECK(plexindex_get_answer(&page, 0)->item == 0);

    /* These calls need no server. */
    method_answer(handle, PLEXINDEX_NOT_FETCHED, "items.list", "{\"library\": \"Movies\"}");
    CHECK(plexindex_lookup_key(movies, "/data/movies/a.mkv") == NULL);
    CHECK(plexindex_lookup_key(all, "/data/movies/a.mkv") == NULL);
    CHECK_STATUS(PLEXINDEX_OK, plexindex_invalidate_path(all, "/data/movies/a.mkv", 18, ERROR));
    CHECK_STATUS(PLEXINDEX_OK, plexindex_invalidate_item(all, "7", 1, ERROR));
    CHECK_STATUS(PLEXINDEX_OK, plexindex_invalidate_library(all, ERROR));
    CHECK_STATUS(PLEXINDEX_OK, plexindex_invalidate_library(library_of(handle, NULL), ERROR));
    CHECK_STATUS(PLEXINDEX_OK, plexindex_clear(handle, ERROR));
    memset(&stats, 0, sizeof stats);
    stats.size = sizeof stats;
    CHECK_STATUS(PLEXINDEX_OK, plexindex_get_stats(handle, &stats, ERROR));
    CHECK(stats.items == 0 && stats.listings == 0);
}

/* plexindex retries a refused connection until the deadline. */
static void deadline(const plexindex_handle *handle)
{
    plexindex_query query = query_of(library_of(handle, "Movies"), "/data/movies/a.mkv");
    double begin = now();
    int32_t status;
    query.timeout_ms = 400;
    status = fetches(plexindex_match_path, handle, &query);
    CHECK(status == PLEXINDEX_CONNECT || status == PLEXINDEX_TIMEOUT || status == PLEXINDEX_NOT_YET ||
          status == PLEXINDEX_NEEDS_WARM); /* on a slow machine no row arrives in time */
    CHECK(now() - begin < 5.0); /* valgrind is slow */
}

/* The server never answers: a record for an unknown library ends at the deadline, and stores nothing. */
static void silent(const plexindex_handle *handle, int64_t timeout_ms)
{
    const plexindex_library_handle *movies = library_of(handle, "Movies");
    plexindex_stats stats = plexindex_stats_init();
    double begin = now();
    CHECK_REFUSED(PLEXINDEX_TIMEOUT, plexindex_record_match(movies, "/a.mkv", 6, "7", 1, timeout_ms, ERROR),
        "timeout");
    CHECK_REFUSED(PLEXINDEX_TIMEOUT, plexindex_record_matches(movies, "/a.mkv", 7, "7", 2, 1, 0, timeout_ms, ERROR),
        "timeout");
    CHECK(now() - begin < 5.0); /* valgrind is slow */
    CHECK_STATUS(PLEXINDEX_OK, plexindex_get_stats(handle, &stats, ERROR));
    CHECK(stats.matches == 0);
}

static void fetched(const plexindex_handle *handle, const struct setting *setting, const char *path, const char *key,
                 const char *other_key)
{
    const plexindex_library_handle *movies = library_of(handle, "Movies");
    plexindex_query query = query_of(movies, path);
    plexindex_query batch = query;
    plexindex_query nothing = query_of(movies, NULL);
    uint64_t memory[512];
    plexindex_buffer page = {memory, sizeof memory, 0};
    struct answered answered;
    const char *host = strstr(setting->url, "//") + 2;

    /* The listing has expired, because the options say that it never is fresh: the answer is stale. */
    answered = ask(plexindex_match_path, handle, &query);
    CHECK_STATUS(PLEXINDEX_OK, answered.status);
    CHECK(answer_of(&answered, 0)->flags == PLEXINDEX_ANSWER_STALE);
    CHECK(answer_of(&answered, 0)->age_ms >= 0);
    CHECK(strcmp(text_of(&answered, item_of(&answered, answer_of(&answered, 0))->key), key) == 0);
    forget(&answered);
    CHECK(strcmp(plexindex_lookup_key(movies, path), key) == 0);
    /* Without a request the cached answer remains. */
    CHECK_STATUS(PLEXINDEX_NOT_YET, at_once(handle, query, 0, &page));
    CHECK(plexindex_get_answer(&page, 0)->item == 0);
    CHECK_STATUS(PLEXINDEX_OK, at_once(handle, query, PLEXINDEX_QUERY_OFFLINE, &page));
    CHECK(((const plexindex_answers *)memory)->count == 1 && page.length <= sizeof memory);
    CHECK(plexindex_get_answer(&page, 0)->flags == PLEXINDEX_ANSWER_STALE);
    page.capacity = 16;
    CHECK_STATUS(PLEXINDEX_BUFFER_TOO_SMALL, at_once(handle, query, PLEXINDEX_QUERY_OFFLINE, &page));
    CHECK(page.length > 16);
    page.capacity = sizeof memory;
    batch.text.length += 1;
    CHECK_STATUS(PLEXINDEX_OK, fetches(match_batch, handle, &batch));
    method_answer(handle, PLEXINDEX_OK, "match.guid", "{\"guid\": \"imdb://tt0000001\"}");
    method_answer(handle, PLEXINDEX_OK, "libraries.list", "");

    /* Calls that need the server fail. */
    CHECK_REFUSED(PLEXINDEX_CONNECT, plexindex_refresh(handle, &nothing, ERROR), host);
    CHECK(strcmp(plexindex_lookup_key(movies, path), key) == 0);

    /* Recorded matches are stored, and answer before the listing. */
    CHECK_STATUS(PLEXINDEX_OK, plexindex_record_match(movies, "/host/a.mkv", 11, other_key, strlen(other_key), 0,
        ERROR));
    check_match(handle, movies, "/host/a.mkv", PLEXINDEX_OK, other_key);
    CHECK_STATUS(PLEXINDEX_OK, plexindex_invalidate_path(movies, "/host/a.mkv", 11, ERROR));
    CHECK(plexindex_lookup_key(movies, "/host/a.mkv") == NULL);
    check_match(handle, movies, "/host/a.mkv", PLEXINDEX_NOT_FOUND, NULL);

    /* An invalidated item does not answer until the server has verified it. */
    CHECK_STATUS(PLEXINDEX_OK, plexindex_invalidate_item(movies, key, strlen(key), ERROR));
    CHECK(plexindex_lookup_key(movies, path) == NULL);
    CHECK(at_once(handle, query, PLEXINDEX_QUERY_OFFLINE, &page) != PLEXINDEX_OK);
    answered = ask(plexindex_match_path, handle, &query);
    CHECK(answered.status != PLEXINDEX_OK);
    if (answered.status == PLEXINDEX_NOT_FOUND) {
        CHECK(answer_of(&answered, 0)->reason == PLEXINDEX_REASON_UNCONFIRMED);
    }
    forget(&answered);
}

int main(int argc, char **argv)
{
    struct setting setting = setting_of(argc, argv);
    plexindex_options options = options_of(&setting);
    plexindex_handle *handle;
    char path[4096];
    char other_path[4096];
    char key[256];
    char other_key[256];
    char folder[4096];

    harness("fault {\"count\":0,\"action\":\"delay\",\"ms\":60000}");
    handle = opened(&options);
    silent(handle, 100);
    CHECK_STATUS(PLEXINDEX_OK, plexindex_close(handle, ERROR));
    options.timeout_ms = 100;
    handle = opened(&options);
    silent(handle, 0);
    CHECK_STATUS(PLEXINDEX_OK, plexindex_close(handle, ERROR));
    options.timeout_ms = 0;
    harness("heal");

    snprintf(path, sizeof path, "%s", harness("path 5"));
    snprintf(key, sizeof key, "%s", harness("key 5"));
    snprintf(other_path, sizeof other_path, "%s", harness("path 7"));
    snprintf(other_key, sizeof other_key, "%s", harness("key 7"));
    options.library_ttl_ms = PLEXINDEX_TTL_AT_ONCE;
    options.retry_ms = PLEXINDEX_NO_RETRY;
    handle = opened(&options);
    check_match(handle, library_of(handle, "Movies"), path, PLEXINDEX_OK, key);
    harness("stop");
    fetched(handle, &setting, path, key, other_key);
    CHECK_STATUS(PLEXINDEX_OK, plexindex_close(handle, ERROR));

    /* The next process gets the same answers. */
    handle = opened(&options);
    check_match(handle, library_of(handle, "Movies"), other_path, PLEXINDEX_OK, other_key);
    CHECK_STATUS(PLEXINDEX_OK, plexindex_close(handle, ERROR));

    snprintf(folder, sizeof folder, "%s/empty", setting.folder);
    options.cache_dir = plexindex_bytes_of(folder);
    handle = opened(&options);
    not_fetched(handle, &setting);
    CHECK_STATUS(PLEXINDEX_OK, plexindex_close(handle, ERROR));

    options.retry_ms = 0;
    handle = opened(&options);
    deadline(handle);
    CHECK_STATUS(PLEXINDEX_OK, plexindex_close(handle, ERROR));
    return 0;
}
