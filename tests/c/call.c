/*
 * plexindex_call(): messages name a wrong argument, a progress function ends a call, an error may have an answer, and
 * another thread wakes a wait. Tests in Rust check what each method means.
 */
#include "check.h"

#include <pthread.h>
#include <stdatomic.h>

static plexindex_handle *handle;

/* Calls a method with these options, and drops its answer. */
static int32_t call(const char *method, const char *request, const plexindex_call_options *options)
{
    char *json = NULL;
    int32_t status = plexindex_call(handle, method, request, strlen(request), options, &json, ERROR);
    plexindex_free(json);
    return status;
}

static void misuse(void)
{
    static char large[1 << 17];
    char *json = large;
    struct {
        plexindex_call_options known;
        char unknown[24];
    } future;
    size_t size;
    CHECK_REFUSED(PLEXINDEX_NULL_POINTER, plexindex_call(handle, NULL, "{}", 2, NULL, &json, ERROR), "method");
    CHECK(json == NULL);
    CHECK_REFUSED(PLEXINDEX_NULL_POINTER, plexindex_call(handle, "versions", NULL, 2, NULL, &json, ERROR), "request");
    CHECK_REFUSED(PLEXINDEX_NULL_POINTER, plexindex_call(handle, "versions", "{}", 2, NULL, NULL, ERROR), "out_json");
    CHECK_REFUSED(PLEXINDEX_NULL_POINTER, plexindex_call(NULL, "store.get", "{}", 2, NULL, &json, ERROR), "handle");
    CHECK_REFUSED(PLEXINDEX_INVALID_ARGUMENT, call("version", "{}", NULL), "no method 'version'");
    CHECK_REFUSED(PLEXINDEX_INVALID_ARGUMENT, call("versions", "{", NULL), "versions", "EOF");
    CHECK_REFUSED(PLEXINDEX_INVALID_ARGUMENT, call("versions", "{\"x\": 1}", NULL), "unknown field `x`");
    CHECK_REFUSED(PLEXINDEX_INVALID_ARGUMENT, call("items.get", "{\"key\": \"\xff\"}", NULL), "items.get");
    memset(large, 'x', sizeof large);
    CHECK_REFUSED(PLEXINDEX_INVALID_ARGUMENT,
                  plexindex_call(handle, "versions", large, sizeof large, NULL, &json, ERROR), "versions");
    memset(&future, 0, sizeof future);
    for (size = 0; size < sizeof size; size++) {
        future.known.size = size;
        CHECK_REFUSED(PLEXINDEX_INVALID_ARGUMENT, call("versions", "", &future.known), "options.size", "sizeof");
    }
    future.known.size = sizeof future;
    CHECK_STATUS(PLEXINDEX_OK, call("versions", "", &future.known));
    future.unknown[sizeof future.unknown - 1] = 1;
    CHECK_REFUSED(PLEXINDEX_UNSUPPORTED, call("versions", "", &future.known), "options");
    future.known.size = sizeof future.known;
    future.known.timeout_ms = -2;
    CHECK_REFUSED(PLEXINDEX_INVALID_ARGUMENT, call("changes.list", "", &future.known), "timeout_ms is -2");
    plexindex_free(NULL);
}

/* Calls methods that succeed and fail, with and without an index. */
static void answers(void)
{
    static const char item[] = "{\"key\": \"900001\"}", none[] = "{\"key\": \"4\"}",
                      edit[] = "{\"library\": \"Movies\", \"keys\": [\"77\"], \"changes\": [{\"field\": \"title\"}]}";
    char *json = NULL;
    CHECK_STATUS(PLEXINDEX_OK, plexindex_call(NULL, "versions", NULL, 0, NULL, &json, ERROR));
    CHECK(strstr(json, "\"abi\":1") != NULL && json[strlen(json) - 1] == '}');
    plexindex_free(json);
    CHECK(strstr(method_answer(handle, PLEXINDEX_OK, "items.get", item), "\"title\":\"Exact\"") != NULL);
    CHECK(strcmp(method_answer(handle, PLEXINDEX_NOT_FOUND, "items.get", none), "{}") == 0);
    CHECK(strstr(method_answer(handle, PLEXINDEX_NOT_ON_SERVER, "edit", edit), "\"states\":[\"missing\"]") != NULL);
    CHECK(strstr(check_error.text, "77") != NULL);
}

struct waiting {
    pthread_t thread;
    char request[400];
    atomic_int calls;
    atomic_int ends;
    int32_t status;
};

static int32_t report(void *user, const plexindex_progress *progress)
{
    struct waiting *waiting = user;
    CHECK(pthread_equal(pthread_self(), waiting->thread) && progress->library.data != NULL);
    atomic_fetch_add(&waiting->calls, 1);
    return atomic_load(&waiting->ends);
}

static void *wait_for(void *argument)
{
    struct waiting *waiting = argument;
    plexindex_call_options options = {sizeof options, 60000, report, waiting};
    waiting->thread = pthread_self();
    waiting->status = call("changes.wait", waiting->request, &options);
    return NULL;
}

static void start(struct waiting *waiting, pthread_t *thread)
{
    const struct timespec moment = {0, 1000000};
    atomic_store(&waiting->calls, 0);
    CHECK(pthread_create(thread, NULL, wait_for, waiting) == 0);
    while (atomic_load(&waiting->calls) == 0) {
        nanosleep(&moment, NULL);
    }
}

static void waits(const plexindex_options *options)
{
    struct waiting waiting;
    plexindex_call_options moment = {sizeof moment, 1, NULL, NULL};
    plexindex_handle *other = opened(options);
    plexindex_query full = query_of(NULL, NULL);
    const char *cursor = strstr(method_answer(handle, PLEXINDEX_OK, "changes.list", ""), "\"cursor\":");
    pthread_t thread;
    memset(&waiting, 0, sizeof waiting);
    snprintf(waiting.request, sizeof waiting.request, "{\"offline\":true,%.*s}", (int)strcspn(cursor, ",}"), cursor);
    CHECK_STATUS(PLEXINDEX_NOT_YET, call("changes.wait", waiting.request, &moment));
    atomic_store(&waiting.ends, 1);
    start(&waiting, &thread);
    CHECK(pthread_join(thread, NULL) == 0 && waiting.status == PLEXINDEX_ABORTED);
    atomic_store(&waiting.ends, 0);
    start(&waiting, &thread);
    atomic_store(&waiting.ends, 1);
    CHECK_STATUS(PLEXINDEX_OK, plexindex_wake_waiting(handle, ERROR));
    CHECK(pthread_join(thread, NULL) == 0 && waiting.status == PLEXINDEX_ABORTED);
    atomic_store(&waiting.ends, 0);
    start(&waiting, &thread);
    harness("remove 900002");
    full.flags = PLEXINDEX_QUERY_FULL;
    CHECK_STATUS(PLEXINDEX_OK, plexindex_refresh(other, &full, ERROR));
    CHECK(pthread_join(thread, NULL) == 0 && waiting.status == PLEXINDEX_OK);
    CHECK_STATUS(PLEXINDEX_OK, plexindex_close(other, ERROR));
}

/* The function also ends a fetch that a method needs. */
static void ends_a_fetch(void)
{
    struct waiting waiting;
    plexindex_call_options options = {sizeof options, 0, report, &waiting};
    memset(&waiting, 0, sizeof waiting);
    waiting.thread = pthread_self();
    atomic_store(&waiting.ends, 1);
    harness("fault {\"kind\":\"listing\",\"count\":0,\"action\":\"delay\",\"ms\":400}");
    CHECK_REFUSED(PLEXINDEX_ABORTED, call("match.guid", "{\"library\":\"Slow\",\"guid\":\"imdb://tt7\"}", &options),
                  "stopped");
    CHECK(atomic_load(&waiting.calls) == 1);
    harness("heal");
}

int main(int argc, char **argv)
{
    struct setting setting = setting_of(argc, argv);
    plexindex_options options = options_of(&setting);
    plexindex_query query = query_of(NULL, NULL);
    handle = opened(&options);
    misuse();
    CHECK(requests() == 0);
    ends_a_fetch();
    CHECK_STATUS(PLEXINDEX_OK, plexindex_refresh(handle, &query, ERROR));
    answers();
    waits(&options);
    CHECK_STATUS(PLEXINDEX_OK, plexindex_close(handle, ERROR));
    return 0;
}
