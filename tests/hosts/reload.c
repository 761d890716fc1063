/*
 * A host of several loads the library at run time, exchanges through PostgreSQL, forks, and lets the library go: after
 * plexindex_close() no thread and no connection of it is left, and after dlclose() it is out of the process.
 *
 * A name that is not resolved holds up no closing. The thread that waits for the name server outlives it, so the library stays.
 *
 * Started as `program URL TOKEN CACHE LIBRARY ADDRESS PATH KEY`. Not linked with the library.
 */
#define _GNU_SOURCE
#include "../c/loaded.h"

#include <netdb.h>
#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

static struct api functions;

/* The name server answers once this pipe has a byte. */
static int answers[2];

/* The library finds this one before the system's. */
int getaddrinfo(const char *name, const char *service, const struct addrinfo *hints, struct addrinfo **found)
{
    int (*next)(const char *, const char *, const struct addrinfo *, struct addrinfo **);
    void *symbol;
    char byte;
    if (name != NULL && strcmp(name, "engine.test") == 0) {
        CHECK(read(answers[0], &byte, 1) == 1);
        return EAI_AGAIN;
    }
    symbol = dlsym(RTLD_NEXT, "getaddrinfo");
    memcpy(&next, &symbol, sizeof symbol);
    return next(name, service, hints, found);
}

static double now(void)
{
    struct timespec time;
    CHECK(clock_gettime(CLOCK_MONOTONIC, &time) == 0);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

struct use {
    struct setting setting;
    const char *library;
    const char *address;
    const char *path;
    const char *key;
    int round;
};

static plexindex_handle *open_shared(const struct use *use, const char *folder, const char *address)
{
    plexindex_options options = options_of(&use->setting);
    plexindex_handle *handle = NULL;
    plexindex_mapping mapping;
    memset(&mapping, 0, sizeof mapping);
    mapping.kind = PLEXINDEX_MAPPING_HOST_PREFIX;
    mapping.from = plexindex_bytes_of("/host");
    mapping.to = plexindex_bytes_of("/data/odd");
    options.mappings = &mapping;
    options.mappings_count = 1;
    options.cache_dir = plexindex_bytes_of(folder);
    options.shared = plexindex_bytes_of(address);
    options.retry_ms = PLEXINDEX_NO_RETRY;
    CHECK_STATUS(PLEXINDEX_OK, api->open(&options, &handle, ERROR));
    return handle;
}

/* Asks and records. Returns what delivering gives. */
static int32_t exchange(plexindex_handle *handle, const struct use *use, const char *name)
{
    char path[256];
    const plexindex_library_handle *movies = NULL;
    static uint64_t memory[1 << 10];
    plexindex_buffer buffer = {memory, sizeof memory, 0};
    plexindex_query query;
    CHECK_STATUS(PLEXINDEX_OK, api->library_of(handle, PLEXINDEX_SELECT_TITLE, "Movies", 6, &movies, ERROR));
    snprintf(path, sizeof path, "/host/%d/%s.mkv", use->round, name);
    query = query_of(movies, use->path);
    CHECK_STATUS(PLEXINDEX_OK, api->match_path(handle, &query, &buffer, ERROR));
    CHECK_STATUS(PLEXINDEX_OK, api->record_match(movies, path, strlen(path), use->key, strlen(use->key), 0, ERROR));
    return call_method(handle, "sharing", "{\"action\":\"deliver\"}");
}

static void *one_round(void *argument)
{
    const struct use *use = argument;
    int files = entries("/proc/self/fd");
    int threads = entries("/proc/self/task");
    plexindex_handle *handle;
    char folder[4096];
    int status;
    pid_t child;
    load(&functions, use->library);
    snprintf(folder, sizeof folder, "%s/%d", use->setting.folder, use->round / 2);
    handle = open_shared(use, folder, use->address);
    CHECK_STATUS(PLEXINDEX_OK, exchange(handle, use, "parent"));
    if (use->round % 2 == 0) {
        CHECK_STATUS(PLEXINDEX_OK, call_method(handle, "sharing", "{\"action\":\"deliver\"}"));
    }
    child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        if (use->round % 3 > 0) {
            CHECK_STATUS(PLEXINDEX_OK, exchange(handle, use, "child"));
        }
        if (use->round % 3 > 1) {
            CHECK_STATUS(PLEXINDEX_OK, call_method(handle, "sharing", "{\"action\":\"deliver\"}"));
        }
        CHECK_STATUS(PLEXINDEX_OK, api->close(handle, ERROR));
        check_threads(3, 5000);
        /* It may stay: glibc counts values of the parent's threads, which the child does not have. */
        CHECK(dlclose(api->library) == 0);
        _exit(0);
    }
    CHECK_STATUS(PLEXINDEX_OK, exchange(handle, use, "both"));
    CHECK(waitpid(child, &status, 0) == child);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    CHECK_STATUS(PLEXINDEX_OK, api->close(handle, ERROR));
    check_threads(threads, 5000);
    if (entries("/proc/self/fd") != files) {
        FAIL("round %d leaves %d files open", use->round, entries("/proc/self/fd") - files);
    }
    unload();
    if (mapped(use->library)) {
        FAIL("round %d: the library is still there after dlclose()", use->round);
    }
    return NULL;
}

/* A name server that does not answer, until the library would be gone. */
static void beside_a_name_server(struct use *use)
{
    int threads = entries("/proc/self/task");
    plexindex_handle *handle;
    char folder[4096];
    double begun;
    load(&functions, use->library);
    snprintf(folder, sizeof folder, "%s/names", use->setting.folder);
    handle = open_shared(use, folder, "postgresql://u@engine.test/d?sslmode=disable");
    CHECK_STATUS(PLEXINDEX_TIMEOUT, exchange(handle, use, "names"));
    begun = now();
    CHECK_STATUS(PLEXINDEX_OK, api->close(handle, ERROR));
    CHECK(now() - begun < 3);
    check_threads(threads + 1, 5000);
    unload();
    CHECK(mapped(use->library));
    CHECK(write(answers[1], "1", 1) == 1);
    check_threads(threads, 5000);
}

int main(int argc, char **argv)
{
    struct use use = {{NULL, NULL, NULL}, NULL, NULL, NULL, NULL, 0};
    CHECK(argc == 8);
    use.setting = setting_of(argc, argv);
    use.library = argv[4];
    use.address = argv[5];
    use.path = argv[6];
    use.key = argv[7];
    CHECK(pipe(answers) == 0);
    CHECK(!mapped(use.library));
    for (use.round = 0; use.round < 12; use.round++) {
        pthread_t thread;
        /* Every second on another thread, since a child has the one that forked only. */
        if (use.round % 4 < 2) {
            one_round(&use);
        } else {
            CHECK(pthread_create(&thread, NULL, one_round, &use) == 0);
            CHECK(pthread_join(thread, NULL) == 0);
            check_threads(3, 5000);
        }
    }
    beside_a_name_server(&use);
    return 0;
}
