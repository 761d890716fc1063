/*
 * Several threads use one handle for lookups, matches, batches, records, invalidations, refreshes, statistics and
 * logs. No answer is wrong, each thread sees its own writes, and the library is fetched once.
 */
#include "block.h"

#include <pthread.h>

#define THREADS 4
#define PATHS 64

static plexindex_handle *handle;
static const plexindex_library_handle *movies;
static char paths[PATHS][512];
static char keys[PATHS][64];

struct worker {
    pthread_t thread;
    int number;
    int rounds;
};

static void first_match(const struct worker *worker)
{
    check_match(handle, movies, paths[worker->number], PLEXINDEX_OK, keys[worker->number]);
}

static void lookups(int i)
{
    /* There is no key if another thread has invalidated the path, or a change must be read first. */
    const char *key = plexindex_lookup_key(movies, paths[i]);
    if (key != NULL && strcmp(key, keys[i]) != 0) {
        FAIL("%s gives %s, not %s", paths[i], key, keys[i]);
    }
}

static void matches(int i)
{
    plexindex_query query = query_of(movies, paths[i]);
    struct answered answered = ask(plexindex_match_path, handle, &query);
    if (answered.status == PLEXINDEX_OK) {
        const plexindex_item *item = item_of(&answered, answer_of(&answered, 0));
        CHECK(strcmp(text_of(&answered, item->key), keys[i]) == 0);
    } else {
        CHECK_STATUS(PLEXINDEX_NOT_FOUND, answered.status);
        CHECK(answer_of(&answered, 0)->reason == PLEXINDEX_REASON_UNCONFIRMED);
    }
    forget(&answered);
}

/* Reads back a path that only this thread writes. */
static void own_writes(const struct worker *worker, int round)
{
    char path[64];
    const char *key = keys[THREADS + round % (PATHS - THREADS)];
    const char *found;
    snprintf(path, sizeof path, "/host/thread %d/%d.mkv", worker->number, round % 8);
    CHECK_STATUS(PLEXINDEX_OK, plexindex_record_match(movies, path, strlen(path), key, strlen(key), 0, ERROR));
    found = plexindex_lookup_key(movies, path);
    if (found != NULL && strcmp(found, key) != 0) {
        FAIL("%s gives %s, not %s, which was just recorded", path, found, key);
    }
    check_match(handle, movies, path, PLEXINDEX_OK, key);
    CHECK_STATUS(PLEXINDEX_OK, plexindex_invalidate_path(movies, path, strlen(path), ERROR));
    CHECK(plexindex_lookup_key(movies, path) == NULL);
    check_match(handle, movies, path, PLEXINDEX_NOT_FOUND, NULL);
}

static void ignore(void *user, int32_t level, const char *message, size_t length)
{
    (void)user;
    (void)level;
    CHECK(message != NULL && length > 0);
}

static void now_and_then(const struct worker *worker, int round)
{
    plexindex_stats stats;
    plexindex_query query = query_of(movies, NULL);
    memset(&stats, 0, sizeof stats);
    stats.size = sizeof stats;
    switch (round % 8) {
    case 0:
        CHECK_STATUS(PLEXINDEX_OK, plexindex_get_stats(handle, &stats, ERROR));
        CHECK(stats.items > 0);
        break;
    case 2:
        CHECK_STATUS(PLEXINDEX_OK, plexindex_refresh(handle, &query, ERROR));
        break;
    case 4:
        CHECK_STATUS(PLEXINDEX_OK, plexindex_drain_log(ignore, NULL, ERROR));
        break;
    case 6:
        /* Each thread has its own path, and looks up its neighbours. */
        CHECK_STATUS(PLEXINDEX_OK, plexindex_invalidate_path(movies, paths[worker->number],
            strlen(paths[worker->number]), ERROR));
        break;
    default:
        CHECK(library_of(handle, "Movies") == movies);
    }
}

/* Each thread has its own error message. */
static void own_message(const struct worker *worker)
{
    char url[32];
    plexindex_options options;
    plexindex_handle *none;
    memset(&options, 0, sizeof options);
    options.size = sizeof options;
    options.cache_dir = plexindex_bytes_of("/nowhere");
    snprintf(url, sizeof url, "thread-%d", worker->number);
    options.server_url = plexindex_bytes_of(url);
    CHECK_REFUSED(PLEXINDEX_INVALID_ARGUMENT, plexindex_open(&options, &none, ERROR), url);
}

static void *work(void *argument)
{
    const struct worker *worker = argument;
    int round;
    int i;
    first_match(worker);
    for (round = 0; round < worker->rounds; round++) {
        for (i = 0; i < PATHS; i++) {
            lookups((i + worker->number) % PATHS);
        }
        matches((round * 7 + worker->number) % PATHS);
        own_writes(worker, round);
        now_and_then(worker, round + worker->number);
        own_message(worker);
    }
    return NULL;
}

int main(int argc, char **argv)
{
    struct setting setting = setting_of(argc, argv);
    plexindex_options options = options_of(&setting);
    struct worker workers[THREADS];
    int i;
    for (i = 0; i < PATHS; i++) {
        snprintf(paths[i], sizeof paths[i], "%s", harness("path %d", i));
        snprintf(keys[i], sizeof keys[i], "%s", harness("key %d", i));
    }
    handle = opened(&options);
    movies = library_of(handle, "Movies");
    for (i = 0; i < THREADS; i++) {
        workers[i].number = i;
        workers[i].rounds = atoi(harness("rounds 100"));
        CHECK(pthread_create(&workers[i].thread, NULL, work, &workers[i]) == 0);
    }
    for (i = 0; i < THREADS; i++) {
        CHECK(pthread_join(workers[i].thread, NULL) == 0);
    }
    /* All threads together fetch two pages. */
    CHECK(atol(harness("pages")) == 2);
    CHECK_STATUS(PLEXINDEX_OK, plexindex_close(handle, ERROR));
    return 0;
}
