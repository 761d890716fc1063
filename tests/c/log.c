/*
 * plexindex_drain_log() passes the lines to the host on its own thread, oldest first. tests/faults/disk/secrecy.rs checks
 * that no file, line or message contains the token.
 */
#include "block.h"

#include <pthread.h>

static const char *token;

/* Returns whether bytes contain a text. */
static int holds(const char *data, size_t length, const char *text)
{
    size_t size = strlen(text);
    size_t i;
    for (i = 0; i + size <= length; i++) {
        if (memcmp(data + i, text, size) == 0) {
            return 1;
        }
    }
    return 0;
}

struct received {
    pthread_t thread;
    int lines;
    int dropped;
    int paths;
    char last[1024];
};

static void receive(void *user, int32_t level, const char *message, size_t length)
{
    struct received *received = user;
    CHECK(pthread_equal(pthread_self(), received->thread));
    CHECK(level >= PLEXINDEX_LOG_ERROR && level <= PLEXINDEX_LOG_DEBUG);
    CHECK(length > 0 && strlen(message) == length);
    if (holds(message, length, token)) {
        FAIL("the token stands in a log line: %.*s", (int)length, message);
    }
    if (holds(message, length, "/data/movies/")) {
        received->paths++;
        CHECK(level == PLEXINDEX_LOG_DEBUG);
    }
    received->lines++;
    snprintf(received->last, sizeof received->last, "%.*s", (int)length, message);
}

static struct received drained(void)
{
    struct received received;
    memset(&received, 0, sizeof received);
    received.thread = pthread_self();
    CHECK_STATUS(PLEXINDEX_OK, plexindex_drain_log(receive, &received, ERROR));
    return received;
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
    char url[512];
    int calls = 0;
    int i;

    token = setting.token;
    CHECK(strlen(token) >= 8);
    snprintf(path, sizeof path, "%s", harness("path 5"));

    /* By default plexindex logs nothing unless something fails. */
    handle = opened(&options);
    movies = library_of(handle, "Movies");
    check_match(handle, movies, path, PLEXINDEX_OK, NULL);
    CHECK_STATUS(PLEXINDEX_OK, plexindex_close(handle, ERROR));
    CHECK(drained().lines == 0);

    /* With all levels the log has lines, full paths only at the debug level, and each line once. */
    options.log_level = PLEXINDEX_LOG_DEBUG;
    handle = opened(&options);
    movies = library_of(handle, "Movies");
    check_match(handle, movies, path, PLEXINDEX_OK, NULL);
    CHECK_STATUS(PLEXINDEX_OK, plexindex_invalidate_library(movies, ERROR));
    check_match(handle, movies, path, PLEXINDEX_OK, NULL);
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

    /* A token in the URL is secret, too. */
    snprintf(url, sizeof url, "%s/?X-Plex-Token=%s", setting.url, token);
    options.server_url = plexindex_bytes_of(url);
    handle = NULL;
    if (plexindex_open(&options, &handle, ERROR) != PLEXINDEX_OK) {
        CHECK(strstr(check_error.text, token) == NULL);
    }
    CHECK_STATUS(PLEXINDEX_OK, plexindex_close(handle, ERROR));
    drained();
    return 0;
}
