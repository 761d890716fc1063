/*
 * plexindex_drain_log() passes the lines to the host on its own thread, oldest first.
 */
#include "check.h"

#include <pthread.h>

struct received {
    pthread_t thread;
    int lines;
};

static void receive(void *user, int32_t level, const char *message, size_t length)
{
    struct received *received = user;
    CHECK(pthread_equal(pthread_self(), received->thread));
    CHECK(level >= PLEXINDEX_LOG_ERROR && level <= PLEXINDEX_LOG_DEBUG);
    CHECK(length > 0 && strlen(message) == length);
    CHECK(strstr(message, "/data/movies/") == NULL || level == PLEXINDEX_LOG_DEBUG);
    received->lines++;
}

static struct received drained(void)
{
    struct received received;
    memset(&received, 0, sizeof received);
    received.thread = pthread_self();
    CHECK_STATUS(PLEXINDEX_OK, plexindex_drain_log(receive, &received, ERROR));
    return received;
}

static void check_match(const plexindex_handle *handle, const plexindex_library_handle *library, const char *path)
{
    uint64_t memory[512];
    plexindex_buffer block = {memory, sizeof memory, 0};
    plexindex_query query = query_of(library, path);
    CHECK_STATUS(PLEXINDEX_OK, plexindex_match_path(handle, &query, &block, ERROR));
}

/* A receiver that calls plexindex. */
static void call_back(void *user, int32_t level, const char *message, size_t length)
{
    int *calls = user;
    (void)level;
    (void)message;
    (void)length;
    ++*calls;
    CHECK_STATUS(PLEXINDEX_OK, plexindex_drain_log(call_back, user, ERROR));
    CHECK_STATUS(PLEXINDEX_NULL_POINTER, plexindex_open(NULL, NULL, ERROR));
}

int main(int argc, char **argv)
{
    struct setting setting = setting_of(argc, argv);
    plexindex_options options = options_of(&setting);
    plexindex_handle *handle;
    const plexindex_library_handle *movies;
    struct received received;
    char path[4096];
    int calls = 0;
    int i;

    snprintf(path, sizeof path, "%s", harness("path 5"));

    /* By default plexindex logs nothing unless something fails. */
    handle = opened(&options);
    movies = library_of(handle, "Movies");
    check_match(handle, movies, path);
    CHECK_STATUS(PLEXINDEX_OK, plexindex_close(handle, ERROR));
    CHECK(drained().lines == 0);

    /* With all levels the log has lines, full paths only at the debug level, and each line once. */
    options.log_level = PLEXINDEX_LOG_DEBUG;
    handle = opened(&options);
    movies = library_of(handle, "Movies");
    check_match(handle, movies, path);
    CHECK_STATUS(PLEXINDEX_OK, plexindex_invalidate_library(movies, ERROR));
    check_match(handle, movies, path);
    CHECK(drained().lines > 0);
    CHECK(drained().lines == 0);

    /* The ring is bounded, and counts dropped lines. */
    for (i = 0; i < 400; i++) {
        CHECK_STATUS(PLEXINDEX_OK, plexindex_invalidate_library(movies, ERROR));
    }
    received = drained();
    CHECK(received.lines > 0 && received.lines <= 257);

    /* The receiver may call plexindex. */
    CHECK_STATUS(PLEXINDEX_OK, plexindex_invalidate_library(movies, ERROR));
    CHECK_STATUS(PLEXINDEX_OK, plexindex_drain_log(call_back, &calls, ERROR));
    CHECK(calls > 0);
    CHECK_STATUS(PLEXINDEX_OK, plexindex_close(handle, ERROR));
    drained();

    return 0;
}
