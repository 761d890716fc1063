/*
 * A host loads and unloads the library. After plexindex_close() no thread of the library runs. dlclose() unmaps it,
 * even after fetches and watches, and while a thread lives that used it. No open files or mapped files accumulate.
 *
 * The program loads the library with dlsym().
 */
#include "loaded.h"

#include <pthread.h>

static struct api functions;

/* Uses the loaded library. */
struct use {
    const struct setting *setting;
    const char *path;
    const char *key;
    int round;
};

static void ignore(void *user, int32_t level, const char *message, size_t length)
{
    (void)user;
    (void)level;
    (void)message;
    (void)length;
}

/* Starts a watch, and leaves it in one of its states. */
static void watch(plexindex_handle *handle, int round)
{
    const struct timespec pause = {0, 1000000};
    CHECK_STATUS(PLEXINDEX_OK, call_method(handle, "watch.start", ""));
    while (round % 2 == 0 && atol(harness("listeners")) == 0) {
        nanosleep(&pause, NULL);
    }
    if (round % 3 == 0) {
        CHECK_STATUS(PLEXINDEX_OK, call_method(handle, "watch.stop", ""));
        CHECK_STATUS(PLEXINDEX_OK, call_method(handle, "watch.start", ""));
    }
    if (round % 3 == 1) {
        CHECK_STATUS(PLEXINDEX_OK, call_method(handle, "watch.stop", ""));
    }
}

static void use(const struct use *use)
{
    plexindex_options options = options_of(use->setting);
    plexindex_handle *handle = NULL;
    const plexindex_library_handle *movies = NULL;
    uint64_t memory[512];
    plexindex_buffer buffer = {memory, sizeof memory, 0};
    plexindex_query query;
    const char *found;
    char folder[4096];

    /* An error leaks nothing. */
    CHECK_STATUS(PLEXINDEX_NULL_POINTER, api->open(NULL, &handle, ERROR));
    CHECK(strlen(check_error.text) > 0);
    if (use->round % 4 == 3) {
        return;
    }
    /* Each fourth round fetches into a new store. */
    if (use->round % 4 == 0) {
        snprintf(folder, sizeof folder, "%s/%d", use->setting->folder, use->round);
    } else {
        snprintf(folder, sizeof folder, "%s/0", use->setting->folder);
    }
    options.cache_dir = plexindex_bytes_of(folder);
    options.log_level = PLEXINDEX_LOG_DEBUG;
    /* Each fourth round asks a server that does not exist. */
    options.server_url = use->round % 4 == 2 ? plexindex_bytes_of("http://127.0.0.1:1") : options.server_url;
    options.retry_ms = PLEXINDEX_NO_RETRY;
    CHECK_STATUS(PLEXINDEX_OK, api->open(&options, &handle, ERROR));
    CHECK_STATUS(PLEXINDEX_OK, api->library_of(handle, PLEXINDEX_SELECT_TITLE, "Movies", 6, &movies, ERROR));
    query = query_of(movies, use->path);
    if (use->round % 4 == 2) {
        CHECK_STATUS(PLEXINDEX_OK, call_method(handle, "watch.start", ""));
        CHECK_STATUS(PLEXINDEX_CONNECT, api->match_path(handle, &query, &buffer, ERROR));
        CHECK_STATUS(PLEXINDEX_OK, api->close(handle, ERROR));
        CHECK_STATUS(PLEXINDEX_OK, api->drain_log(ignore, NULL, ERROR));
        return;
    }
    watch(handle, use->round / 4);
    CHECK_STATUS(PLEXINDEX_OK, api->match_path(handle, &query, &buffer, ERROR));
    CHECK_STATUS(PLEXINDEX_OK, api->record_match(movies, "/host/a.mkv", 11, use->key, strlen(use->key), 0, ERROR));
    CHECK_STATUS(PLEXINDEX_OK, api->match_path(handle, &query, &buffer, ERROR));
    /* A watch may just have stored an event: then a fast lookup finds nothing until a call has read the event. */
    while ((found = api->lookup_key(movies, use->path)) == NULL) {
        CHECK_STATUS(PLEXINDEX_OK, api->match_path(handle, &query, &buffer, ERROR));
    }
    CHECK(strcmp(found, use->key) == 0);
    /* Other threads look for the files of a long page. */
    CHECK_STATUS(PLEXINDEX_OK, call_method(handle, "items.missing", "{\"path\":\"/data\",\"limit\":1000}"));
    CHECK_STATUS(PLEXINDEX_OK, api->close(handle, ERROR));
    /* Lines that nobody drains leak, and a watch may log until it is closed. */
    CHECK_STATUS(PLEXINDEX_OK, api->drain_log(ignore, NULL, ERROR));
}

/* A thread that uses the library and outlives it. */
static pthread_barrier_t barrier;

static void *use_and_stay(void *argument)
{
    use(argument);
    pthread_barrier_wait(&barrier);
    pthread_barrier_wait(&barrier);
    return NULL;
}

static void one_round(const char *path, struct use *what, int beside)
{
    pthread_t thread;
    int others = entries("/proc/self/task");
    int files = entries("/proc/self/fd");
    int kept;
    load(&functions, path);
    if (beside) {
        CHECK(pthread_create(&thread, NULL, use_and_stay, what) == 0);
        pthread_barrier_wait(&barrier);
        others++;
    } else {
        use(what);
    }
    check_threads(others, 1000);
    kept = entries("/proc/self/fd") - files;
    if (kept != 0) {
        FAIL("round %d leaves %d files open", what->round, kept);
    }
    CHECK(!mapped(what->setting->folder));
    unload();
    if (mapped(path)) {
        FAIL("round %d%s: the library is still there after dlclose()", what->round, beside ? ", another thread" : "");
    }
    if (beside) {
        pthread_barrier_wait(&barrier);
        CHECK(pthread_join(thread, NULL) == 0);
        /* The next round counts the present ones when it begins. */
        check_threads(others - 1, 1000);
    }
}

int main(int argc, char **argv)
{
    struct setting setting = setting_of(argc, argv);
    struct use what = {&setting, NULL, NULL, 0};
    char library[4096];
    char path[4096];
    char key[256];
    int rounds;

    snprintf(library, sizeof library, "%s", harness("library"));
    snprintf(path, sizeof path, "%s", harness("path 5"));
    snprintf(key, sizeof key, "%s", harness("key 5"));
    rounds = atoi(harness("rounds 16"));
    what.path = path;
    what.key = key;
    CHECK(pthread_barrier_init(&barrier, NULL, 2) == 0);
    CHECK(!mapped(library));
    for (what.round = 0; what.round < rounds; what.round++) {
        one_round(library, &what, 0);
    }
    for (what.round = 0; what.round < rounds; what.round++) {
        one_round(library, &what, 1);
    }
    return 0;
}
