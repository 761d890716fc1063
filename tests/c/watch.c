/*
 * A host that watches: what the server tells, and what the host was told itself, is looked at again by the next question;
 * watching stops within a second, and with the index.
 */
#include "block.h"

#include <pthread.h>
#include <time.h>

static long long milliseconds(void)
{
    struct timespec now;
    CHECK(clock_gettime(CLOCK_MONOTONIC, &now) == 0);
    return (long long)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void pause_a_little(void)
{
    const struct timespec pause = {0, 1000000};
    nanosleep(&pause, NULL);
}

static void until_it_listens(void)
{
    while (atol(harness("listeners")) == 0) {
        pause_a_little();
    }
}

/* Whether the first library is answered without a look at the server. */
static int is_fresh(const plexindex_handle *handle)
{
    uint64_t memory[1024];
    plexindex_buffer buffer = {memory, sizeof memory, 0};
    plexindex_query query = query_of(NULL, NULL);
    char *text = (char *)memory;
    const char *fresh;
    query.flags = PLEXINDEX_QUERY_OFFLINE;
    CHECK_STATUS(PLEXINDEX_OK, plexindex_list_libraries_json(handle, &query, &buffer, ERROR));
    CHECK(buffer.length < sizeof memory);
    text[buffer.length] = '\0';
    fresh = strstr(text, "\"fresh\":");
    CHECK(fresh != NULL);
    return strncmp(fresh, "\"fresh\":true", 12) == 0;
}

static int32_t notify(const plexindex_handle *handle, const char *body)
{
    return plexindex_notify(handle, body, strlen(body), ERROR);
}

int main(int argc, char **argv)
{
    struct setting setting = setting_of(argc, argv);
    plexindex_options options = options_of(&setting);
    plexindex_handle *handle = opened(&options);
    const plexindex_library_handle *movies = library_of(handle, "Movies");
    plexindex_handle *alone;
    char folder[4096];
    char path[4096];
    char key[256];
    long long begun;
    long before;

    snprintf(path, sizeof path, "%s", harness("path 0"));
    snprintf(key, sizeof key, "%s", harness("key 0"));
    check_match(handle, movies, path, PLEXINDEX_OK, key);
    CHECK(is_fresh(handle));

    CHECK_STATUS(PLEXINDEX_OK, plexindex_watch_stop(handle, ERROR));
    CHECK_STATUS(PLEXINDEX_OK, plexindex_watch_start(handle, ERROR));
    CHECK_STATUS(PLEXINDEX_OK, plexindex_watch_start(handle, ERROR));
    until_it_listens();
    CHECK(atol(harness("listeners")) == 1);

    /* What happened before was not told. */
    while (is_fresh(handle)) {
        pause_a_little();
    }
    before = requests();
    check_match(handle, movies, path, PLEXINDEX_OK, key);
    CHECK(requests() == before + 1);
    CHECK(is_fresh(handle));

    harness("tell activity {\"ActivityNotification\":{\"event\":\"ended\",\"uuid\":\"u\",\"Activity\":{\"type\":"
            "\"library.update.section\",\"Context\":{\"librarySectionID\":\"1\"}}}}");
    while (is_fresh(handle)) {
        pause_a_little();
    }
    before = requests();
    check_match(handle, movies, path, PLEXINDEX_OK, key);
    CHECK(requests() == before + 1);

    begun = milliseconds();
    CHECK_STATUS(PLEXINDEX_OK, plexindex_watch_stop(handle, ERROR));
    CHECK(milliseconds() - begun < 1000);

    /* What the host was told: an item is gone, and is not. */
    before = requests();
    CHECK_STATUS(PLEXINDEX_OK, notify(handle, "{\"TimelineEntry\":{\"sectionID\":1,\"itemID\":1001,\"state\":9}}"));
    CHECK(plexindex_lookup_key(movies, path) == NULL);
    check_match(handle, movies, path, PLEXINDEX_OK, key);
    CHECK(requests() == before + 1);
    CHECK_STATUS(PLEXINDEX_OK, notify(handle, "{\"event\":\"media.play\"}"));
    CHECK_REFUSED(PLEXINDEX_INVALID_ARGUMENT, notify(handle, "payload=%7B"), "payload");
    CHECK_REFUSED(PLEXINDEX_INVALID_ARGUMENT, plexindex_notify(handle, NULL, 0, ERROR), "payload");
    CHECK_REFUSED(PLEXINDEX_NULL_POINTER, plexindex_notify(handle, NULL, 1, ERROR), "body");
    CHECK_REFUSED(PLEXINDEX_NULL_POINTER, plexindex_notify(NULL, "{}", 2, ERROR), "handle");
    CHECK_REFUSED(PLEXINDEX_NULL_POINTER, plexindex_watch_start(NULL, ERROR), "handle");
    CHECK_REFUSED(PLEXINDEX_NULL_POINTER, plexindex_watch_stop(NULL, ERROR), "handle");

    /* Without a server there are no events. */
    snprintf(folder, sizeof folder, "%s/alone", setting.folder);
    memset(&options, 0, sizeof options);
    options.size = sizeof options;
    options.cache_dir = plexindex_bytes_of(folder);
    alone = opened(&options);
    CHECK_REFUSED(PLEXINDEX_OFFLINE, plexindex_watch_start(alone, ERROR), "server_url");
    CHECK_STATUS(PLEXINDEX_OK, plexindex_close(alone, ERROR));

    /* Closing is enough. */
    CHECK_STATUS(PLEXINDEX_OK, plexindex_watch_start(handle, ERROR));
    begun = milliseconds();
    CHECK_STATUS(PLEXINDEX_OK, plexindex_close(handle, ERROR));
    CHECK(milliseconds() - begun < 1000);
    return 0;
}
