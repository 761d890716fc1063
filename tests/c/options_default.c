/*
 * Zeroed options mean the defaults that the header names: an index with zeros sends the same requests as an index with
 * those values. Each option changes something that a host can see.
 */
#include "block.h"

#include <time.h>

static char path[4096];
static char key[256];

/* Each index has a new folder, so that it starts empty. */
static plexindex_options fresh_options(const struct setting *setting)
{
    static char folder[4096];
    static int number;
    plexindex_options options = options_of(setting);
    snprintf(folder, sizeof folder, "%s/%d", setting->folder, number++);
    options.cache_dir = plexindex_bytes_of(folder);
    return options;
}

static void wait_ms(long ms)
{
    struct timespec time;
    time.tv_sec = ms / 1000;
    time.tv_nsec = ms % 1000 * 1000000;
    nanosleep(&time, NULL);
}

/* Does not count lines about slow calls, which depend on the machine. */
static void count(void *user, int32_t level, const char *message, size_t length)
{
    int *lines = user;
    char line[512];
    CHECK(level >= PLEXINDEX_LOG_ERROR && level <= PLEXINDEX_LOG_DEBUG);
    snprintf(line, sizeof line, "%.*s", (int)length, message);
    if (strstr(line, " took ") != NULL) {
        return;
    }
    lines[0]++;
    lines[level]++;
}

/* Counts the waiting log lines in all and by level. */
static void drain(int lines[5])
{
    memset(lines, 0, 5 * sizeof *lines);
    CHECK_STATUS(PLEXINDEX_OK, plexindex_drain_log(count, lines, ERROR));
}

/* The observable state of an index after a day's work. */
struct seen {
    int32_t statuses[6];
    long requests[3];
    plexindex_stats stats;
    int lines[5];
};

static struct seen work(const plexindex_options *options)
{
    static const char *const questions[] = {"/elsewhere/Exact (2001).mkv", "/elsewhere/twin.mkv",
        "/nowhere/at/all.mkv"};
    struct seen seen;
    int lines[5];
    long before = requests();
    plexindex_handle *handle;
    const plexindex_library_handle *movies;
    plexindex_query query;
    size_t i;
    drain(lines);
    memset(&seen, 0, sizeof seen);
    handle = opened(options);
    movies = library_of(handle, "Movies");
    seen.requests[0] = requests() - before;
    check_match(handle, movies, path, PLEXINDEX_OK, key);
    seen.requests[1] = requests() - before;
    for (i = 0; i < 3; i++) {
        struct answered answered;
        query = query_of(movies, questions[i]);
        answered = ask(plexindex_match_path, handle, &query);
        seen.statuses[i] = answered.status;
        forget(&answered);
    }
    query = query_of(movies, NULL);
    seen.statuses[3] = plexindex_refresh(handle, &query, ERROR);
    seen.statuses[4] = plexindex_record_match(movies, "/host/a.mkv", 11, key, strlen(key), 0, ERROR);
    seen.requests[2] = requests() - before;
    seen.stats.size = sizeof seen.stats;
    CHECK_STATUS(PLEXINDEX_OK, plexindex_get_stats(handle, &seen.stats, ERROR));
    seen.statuses[5] = plexindex_close(handle, ERROR);
    drain(seen.lines);
    return seen;
}

static void same(const char *what, const void *a, const void *b, size_t size)
{
    if (memcmp(a, b, size) != 0) {
        FAIL("%s differ between zeroed options and those that name the defaults", what);
    }
}

static void zero_is_the_default(const struct setting *setting)
{
    plexindex_options options = fresh_options(setting);
    struct seen zeroed;
    struct seen named;
    zeroed = work(&options);

    options = fresh_options(setting);
    options.library_ttl_ms = 3600 * 1000;
    options.max_age_ms = 24 * 3600 * 1000;
    options.connect_timeout_ms = 5000;
    options.read_timeout_ms = 60000;
    options.retry_ms = 30000;
    options.matches_limit = 52428800;
    options.page_size = 1000;
    options.log_level = PLEXINDEX_LOG_WARN;
    options.slow_ms = 1000;
    options.shared_retry_ms = 60000;
    options.stale_answer_timeout_ms = 2000;
    options.user = options.token; /* the user is the token's */
    options.user.length = 0;
    named = work(&options);

    same("statuses", zeroed.statuses, named.statuses, sizeof named.statuses);
    same("counts of requests", zeroed.requests, named.requests, sizeof named.requests);
    same("statistics: answers", zeroed.stats.answers, named.stats.answers, sizeof named.stats.answers);
    same("statistics: requests", zeroed.stats.requests, named.stats.requests, sizeof named.stats.requests);
    same("log lines", zeroed.lines, named.lines, sizeof named.lines);
    CHECK(zeroed.requests[0] == 0);
    CHECK(zeroed.stats.requests[2] == 2); /* 1,203 movies in pages of a thousand */
    CHECK(zeroed.lines[0] == 0);
}

/* An index without a server fetches nothing. */
static void only_a_folder(const struct setting *setting)
{
    plexindex_options options = fresh_options(setting);
    plexindex_handle *handle;
    const plexindex_library_handle *movies;
    uint64_t memory[512];
    plexindex_buffer buffer = {memory, sizeof memory, 0};
    plexindex_query query;
    memset(&options.server_url, 0, sizeof options.server_url);
    memset(&options.token, 0, sizeof options.token);
    handle = opened(&options);
    movies = library_of(handle, "Movies");
    query = query_of(movies, path);
    CHECK_REFUSED(PLEXINDEX_NOT_FETCHED, plexindex_match_path(handle, &query, &buffer, ERROR), "Movies", "server_url");
    CHECK(plexindex_lookup_key(movies, path) == NULL);
    CHECK_STATUS(PLEXINDEX_OK, plexindex_close(handle, ERROR));
}

/* Returns the requests of a second match, `pause` after the first. */
static long second_match(const plexindex_options *options, long pause)
{
    plexindex_handle *handle = opened(options);
    const plexindex_library_handle *movies = library_of(handle, "Movies");
    long before;
    check_match(handle, movies, path, PLEXINDEX_OK, key);
    wait_ms(pause);
    before = requests();
    check_match(handle, movies, path, PLEXINDEX_OK, key);
    CHECK_STATUS(PLEXINDEX_OK, plexindex_close(handle, ERROR));
    return requests() - before;
}

static void times_to_live(const struct setting *setting)
{
    plexindex_options options = fresh_options(setting);
    int lines[5];
    CHECK(second_match(&options, 0) == 0);
    options = fresh_options(setting);
    options.library_ttl_ms = PLEXINDEX_TTL_NEVER;
    CHECK(second_match(&options, 0) == 0);
    options = fresh_options(setting);
    options.library_ttl_ms = PLEXINDEX_TTL_AT_ONCE;
    CHECK(second_match(&options, 0) > 0);
    /* Less than five minutes is allowed, with a warning. */
    drain(lines);
    options = fresh_options(setting);
    options.library_ttl_ms = 50;
    CHECK(second_match(&options, 200) > 0);
    drain(lines);
    CHECK(lines[PLEXINDEX_LOG_WARN] > 0);
    /* plexindex fetches a listing older than max_age again, even if it is fresh. */
    options = fresh_options(setting);
    options.library_ttl_ms = 50;
    options.max_age_ms = 100;
    CHECK(second_match(&options, 400) > 2);
}

/* Returns the status of a first match. */
static int32_t first_match(const plexindex_options *options)
{
    plexindex_handle *handle = opened(options);
    plexindex_query query = query_of(library_of(handle, "Movies"), path);
    uint64_t memory[512];
    plexindex_buffer buffer = {memory, sizeof memory, 0};
    int32_t status = plexindex_match_path(handle, &query, &buffer, ERROR);
    CHECK_STATUS(PLEXINDEX_OK, plexindex_close(handle, ERROR));
    return status;
}

static void pages(const struct setting *setting)
{
    plexindex_options options = fresh_options(setting);
    long before = atol(harness("pages"));
    options.page_size = 100;
    CHECK_STATUS(PLEXINDEX_OK, first_match(&options));
    CHECK(atol(harness("pages")) - before == 13);
}

static void patience(const struct setting *setting)
{
    plexindex_options options;
    int32_t status;

    /* plexindex retries a temporary failure, unless the host forbids it. */
    harness("fault {\"kind\":\"sections\",\"count\":1,\"action\":\"status\",\"status\":500}");
    options = fresh_options(setting);
    CHECK_STATUS(PLEXINDEX_OK, first_match(&options));
    harness("fault {\"kind\":\"sections\",\"count\":1,\"action\":\"status\",\"status\":500}");
    options = fresh_options(setting);
    options.retry_ms = PLEXINDEX_NO_RETRY;
    CHECK_STATUS(PLEXINDEX_SERVER_ERROR, first_match(&options));
    harness("heal");

    /* The server is silent for a second: in time, too long for the time-out, too long for the deadline. */
    harness("fault {\"kind\":\"sections\",\"count\":0,\"action\":\"delay\",\"ms\":1000}");
    options = fresh_options(setting);
    CHECK_STATUS(PLEXINDEX_OK, first_match(&options));
    options = fresh_options(setting);
    options.read_timeout_ms = 200;
    options.retry_ms = PLEXINDEX_NO_RETRY;
    CHECK_STATUS(PLEXINDEX_TIMEOUT, first_match(&options));
    options = fresh_options(setting);
    options.timeout_ms = 200;
    status = first_match(&options);
    CHECK(status == PLEXINDEX_NOT_YET || status == PLEXINDEX_NEEDS_WARM || status == PLEXINDEX_TIMEOUT);
    harness("heal");
}

/* Returns whether the process maps a segment. (SQLite maps its own file.) */
static int warm_is_mapped(void)
{
    char line[8192];
    int found = 0;
    FILE *maps = fopen("/proc/self/maps", "r");
    CHECK(maps != NULL);
    while (fgets(line, sizeof line, maps) != NULL) {
        found |= strstr(line, ".segment") != NULL;
    }
    fclose(maps);
    return found;
}

static void flags(const struct setting *setting)
{
    plexindex_options options = fresh_options(setting);
    plexindex_handle *handle;
    int lines[5];
    CHECK_STATUS(PLEXINDEX_OK, first_match(&options));

    /* plexindex maps segments, unless the host forbids it. */
    handle = opened(&options);
    check_match(handle, library_of(handle, "Movies"), path, PLEXINDEX_OK, key);
    CHECK(warm_is_mapped());
    CHECK_STATUS(PLEXINDEX_OK, plexindex_close(handle, ERROR));
    options.flags = PLEXINDEX_OPEN_NO_MMAP;
    handle = opened(&options);
    check_match(handle, library_of(handle, "Movies"), path, PLEXINDEX_OK, key);
    CHECK(!warm_is_mapped());
    CHECK_STATUS(PLEXINDEX_OK, plexindex_close(handle, ERROR));

    /* Another user's view of the same server starts empty. */
    options.flags = PLEXINDEX_OPEN_OFFLINE;
    CHECK_STATUS(PLEXINDEX_OK, first_match(&options));
    options.user = plexindex_bytes_of("another user");
    CHECK_STATUS(PLEXINDEX_NOT_FETCHED, first_match(&options));

    drain(lines);
    options = fresh_options(setting);
    options.flags = PLEXINDEX_OPEN_ACCEPT_INVALID_CERTS;
    CHECK_STATUS(PLEXINDEX_OK, first_match(&options));
    drain(lines);
    CHECK(lines[PLEXINDEX_LOG_WARN] > 0);
}

static void logs(const struct setting *setting)
{
    plexindex_options options = fresh_options(setting);
    int lines[5];
    drain(lines);
    options.log_level = PLEXINDEX_LOG_INFO;
    CHECK_STATUS(PLEXINDEX_OK, first_match(&options));
    drain(lines);
    CHECK(lines[PLEXINDEX_LOG_INFO] > 0 && lines[PLEXINDEX_LOG_DEBUG] == 0);
    options = fresh_options(setting);
    options.log_level = PLEXINDEX_LOG_DEBUG;
    CHECK_STATUS(PLEXINDEX_OK, first_match(&options));
    drain(lines);
    CHECK(lines[PLEXINDEX_LOG_DEBUG] > 0);
    options = fresh_options(setting);
    options.log_level = PLEXINDEX_LOG_OFF;
    options.flags = PLEXINDEX_OPEN_ACCEPT_INVALID_CERTS; /* logs a warning */
    CHECK_STATUS(PLEXINDEX_OK, first_match(&options));
    drain(lines);
    CHECK(lines[0] == 0);
}

/* Beyond the limit plexindex removes the oldest matches, a thousand at a time. */
static void limits(const struct setting *setting)
{
    enum { COUNT = 1500, PATH = 128 };
    static char paths[COUNT * PATH];
    static char keys[COUNT * 2];
    plexindex_options options = fresh_options(setting);
    plexindex_handle *handle;
    const plexindex_library_handle *movies;
    plexindex_stats stats;
    size_t i;
    memset(paths, 'x', sizeof paths);
    for (i = 0; i < COUNT; i++) {
        char *name = paths + i * PATH;
        name[snprintf(name, PATH, "/host/%05d", (int)i)] = 'x';
        name[PATH - 1] = '\0';
        keys[i * 2] = '7';
    }
    options.matches_limit = 20000;
    handle = opened(&options);
    movies = library_of(handle, "Movies");
    CHECK_STATUS(PLEXINDEX_OK, plexindex_record_matches(movies, paths, sizeof paths, keys, sizeof keys, COUNT, 0, 0,
        ERROR));
    memset(&stats, 0, sizeof stats);
    stats.size = sizeof stats;
    CHECK_STATUS(PLEXINDEX_OK, plexindex_get_stats(handle, &stats, ERROR));
    CHECK(stats.matches > 0 && stats.matches * PATH < 20000);
    CHECK_STATUS(PLEXINDEX_OK, plexindex_close(handle, ERROR));
}

int main(int argc, char **argv)
{
    struct setting setting = setting_of(argc, argv);
    snprintf(path, sizeof path, "%s", harness("path 5"));
    snprintf(key, sizeof key, "%s", harness("key 5"));
    zero_is_the_default(&setting);
    only_a_folder(&setting);
    times_to_live(&setting);
    pages(&setting);
    patience(&setting);
    flags(&setting);
    logs(&setting);
    limits(&setting);
    return 0;
}
