/*
 * plexindex reports progress on the caller's thread, in order. A report can end the call, and the store keeps what was
 * fetched. The callback may call plexindex. tests/behaviour/api/calls.rs checks the last report and nested fetches.
 */
#include "block.h"

#include <pthread.h>

#define MOVIES 1203
#define PAGES 13 /* of 100 rows */

struct watcher {
    pthread_t thread;
    plexindex_handle *handle;
    const plexindex_library_handle *movies;
    const char *path;
    uint64_t stop_at; /* items; 0: never */
    uint64_t first; /* items at this call's first report */
    uint64_t items;
    uint64_t elapsed_ms;
    int calls;
    int has_stopped; /* the function must not run again */
};

/* Resets the counts before a call. */
static void begin(struct watcher *watcher, uint64_t stop_at)
{
    watcher->stop_at = stop_at;
    watcher->items = 0;
    watcher->elapsed_ms = 0;
    watcher->calls = 0;
    watcher->has_stopped = 0;
}

static int32_t watch(void *user, const plexindex_progress *progress)
{
    struct watcher *watcher = user;
    plexindex_stats stats;
    CHECK(!watcher->has_stopped);
    CHECK(pthread_equal(pthread_self(), watcher->thread));
    CHECK(progress->size >= sizeof *progress);
    CHECK(strlen(progress->library.data) == progress->library.length);
    if (progress->library.length == 0) {
        /* On a slow machine the call still asks for the libraries. */
        CHECK(progress->items == 0 && progress->total == 0);
        return 0;
    }
    CHECK(progress->library.length == 6 && memcmp(progress->library.data, "Movies", 6) == 0);
    CHECK(progress->items >= watcher->items && progress->items <= MOVIES);
    CHECK(progress->total == 0 || progress->total == MOVIES);
    CHECK(progress->elapsed_ms >= watcher->elapsed_ms);
    watcher->first = watcher->calls == 0 ? progress->items : watcher->first;
    watcher->items = progress->items;
    watcher->elapsed_ms = progress->elapsed_ms;
    watcher->calls++;

    plexindex_lookup_key(watcher->movies, watcher->path);
    CHECK_REFUSED(PLEXINDEX_INVALID_ARGUMENT, plexindex_close(watcher->handle, ERROR), "callback",
        "from its own callback");
    stats = plexindex_stats_init();
    CHECK_STATUS(PLEXINDEX_OK, plexindex_get_stats(watcher->handle, &stats, ERROR));
    CHECK_STATUS(PLEXINDEX_NULL_POINTER, plexindex_refresh(watcher->handle, NULL, ERROR));
    watcher->has_stopped = watcher->stop_at != 0 && progress->items >= watcher->stop_at;
    return watcher->has_stopped;
}

int main(int argc, char **argv)
{
    struct setting setting = setting_of(argc, argv);
    plexindex_options options = options_of(&setting);
    struct watcher watcher;
    plexindex_query query;
    char path[4096];
    long pages;

    snprintf(path, sizeof path, "%s", harness("path 5"));
    harness("fault {\"kind\":\"listing\",\"count\":0,\"action\":\"delay\",\"ms\":60}");
    options.page_size = 100;
    memset(&watcher, 0, sizeof watcher);
    watcher.thread = pthread_self();
    watcher.handle = opened(&options);
    watcher.movies = library_of(watcher.handle, "Movies");
    watcher.path = path;

    /* End the fetch half-way. */
    begin(&watcher, 400);
    query = query_of(watcher.movies, NULL);
    query.progress = watch;
    query.progress_user = &watcher;
    CHECK_REFUSED(PLEXINDEX_ABORTED, plexindex_refresh(watcher.handle, &query, ERROR), "host");
    CHECK(watcher.calls > 0 && watcher.items >= 400);
    pages = atol(harness("pages"));
    CHECK(pages < PAGES);

    /* The next call continues about where this one stopped: a page may have been on its way. */
    begin(&watcher, 0);
    CHECK_STATUS(PLEXINDEX_OK, plexindex_refresh(watcher.handle, &query, ERROR));
    CHECK(watcher.calls > 0);
    if (watcher.first < 400 - 100 - 50) {
        FAIL("of 400 items or more that were told of, the next call begins with %d", (int)watcher.first);
    }
    /* Under valgrind storing is slower than fetching, so that two pages wait and a third is on its way. */
    CHECK(atol(harness("pages")) <= PAGES + 4);
    check_match(watcher.handle, watcher.movies, path, PLEXINDEX_OK, harness("key 5"));

    /* A call without a fetch reports no progress. */
    begin(&watcher, 0);
    CHECK_STATUS(PLEXINDEX_OK, plexindex_refresh(watcher.handle, &query, ERROR));
    CHECK(watcher.calls == 0);

    CHECK_STATUS(PLEXINDEX_OK, plexindex_close(watcher.handle, ERROR));
    return 0;
}
