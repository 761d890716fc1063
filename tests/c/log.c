/*
 * What is logged: nothing by default, and full paths only at the debug level. The fuzz target `logs` tests the rest.
 */
#include "check.h"

static void receive(void *user, int32_t level, const char *message, size_t length)
{
    int *lines = user;
    CHECK(level >= PLEXINDEX_LOG_ERROR && level <= PLEXINDEX_LOG_DEBUG);
    CHECK(length > 0 && strlen(message) == length);
    CHECK(strstr(message, "/data/movies/") == NULL || level == PLEXINDEX_LOG_DEBUG);
    ++*lines;
}

static int drained(void)
{
    int lines = 0;
    CHECK_STATUS(PLEXINDEX_OK, plexindex_drain_log(receive, &lines, ERROR));
    return lines;
}

static void check_match(const plexindex_handle *handle, const plexindex_library_handle *library, const char *path)
{
    uint64_t memory[512];
    plexindex_buffer block = {memory, sizeof memory, 0};
    plexindex_query query = query_of(library, path);
    CHECK_STATUS(PLEXINDEX_OK, plexindex_match_path(handle, &query, &block, ERROR));
}

int main(int argc, char **argv)
{
    struct setting setting = setting_of(argc, argv);
    plexindex_options options = options_of(&setting);
    plexindex_handle *handle;
    const plexindex_library_handle *movies;
    char path[4096];

    snprintf(path, sizeof path, "%s", harness("path 5"));

    /* By default plexindex logs nothing unless something fails. */
    handle = opened(&options);
    movies = library_of(handle, "Movies");
    check_match(handle, movies, path);
    CHECK_STATUS(PLEXINDEX_OK, plexindex_close(handle, ERROR));
    CHECK(drained() == 0);

    /* With all levels the log has lines, full paths only at the debug level, and each line once. */
    options.log_level = PLEXINDEX_LOG_DEBUG;
    handle = opened(&options);
    movies = library_of(handle, "Movies");
    check_match(handle, movies, path);
    CHECK_STATUS(PLEXINDEX_OK, plexindex_invalidate_library(movies, ERROR));
    check_match(handle, movies, path);
    CHECK(drained() > 0);
    CHECK(drained() == 0);
    CHECK_STATUS(PLEXINDEX_OK, plexindex_close(handle, ERROR));
    drained();

    return 0;
}
