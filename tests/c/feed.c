/*
 * The feed: read in pages of any size, each change once; refused where it cannot be told; waited for, and woken by what
 * another handle commits, ended by another thread or a deadline.
 */
#include "block.h"

#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

/* Each file of an item is told. */
#define FILES 1204

static plexindex_handle *handle;
static char cursor[256];
static int more;

/* Asks for a page; its text is to be freed. */
static int32_t page(const plexindex_library_handle *library, const char *since, uint32_t flags, size_t limit, char **json)
{
    plexindex_query query = query_of(library, since);
    plexindex_buffer buffer = {NULL, 0, 0};
    int32_t status;
    query.flags = flags;
    *json = NULL;
    while ((status = plexindex_list_changes_json(handle, &query, limit, &buffer, ERROR)) == PLEXINDEX_BUFFER_TOO_SMALL) {
        *json = realloc(*json, buffer.length);
        CHECK(*json != NULL);
        buffer.data = *json;
        buffer.capacity = buffer.length;
    }
    return status;
}

static long count_of(const char *text, const char *word)
{
    long count = 0;
    for (text = strstr(text, word); text != NULL; text = strstr(text + 1, word)) {
        count++;
    }
    return count;
}

/* Reads a page, and goes on to where the next one begins; gives how many of these changes it tells. */
static long told(const plexindex_library_handle *library, uint32_t flags, size_t limit, const char *word)
{
    char *json;
    plexindex_buffer buffer = {NULL, 0, 0};
    long count;
    CHECK_STATUS(PLEXINDEX_OK, page(library, flags == 0 ? cursor : "", flags, limit, &json));
    buffer.data = json;
    buffer.length = strlen(json);
    buffer.capacity = buffer.length + 1;
    cursor[0] = '\0';
    more = plexindex_get_cursor(&buffer, cursor, sizeof cursor);
    CHECK(strlen(cursor) > 0 && strlen(cursor) <= 120);
    CHECK(more == (strstr(json, "\"more\":true") != NULL));
    count = count_of(json, word);
    free(json);
    return count;
}

/* The same to the end of the feed. */
static long all_told(const plexindex_library_handle *library, uint32_t flags, size_t limit, const char *word)
{
    long count = told(library, flags, limit, word);
    while (more) {
        count += told(library, 0, limit, word);
    }
    return count;
}

/* The cursor of a page, whatever its titles are; and of what is no page. */
static void cursors(void)
{
    char json[] = "{\"changes\":[{\"title\":\"\\\"cursor\\\":\\\"no\\\",\\\"more\\\":true\"},{\"title\":\"cursor\"}],"
                  "\"cursor\":\"yes\",\"more\":false}";
    plexindex_buffer buffer = {json, sizeof json, sizeof json - 1};
    char found[8] = "before";
    CHECK(plexindex_get_cursor(&buffer, found, 3) == 0 && strcmp(found, "before") == 0);
    CHECK(plexindex_get_cursor(&buffer, found, 4) == 0 && strcmp(found, "yes") == 0);
    strcpy(strstr(json, "\"more\":false"), "\"more\":true}");
    buffer.length = strlen(json);
    CHECK(plexindex_get_cursor(&buffer, found, sizeof found) == 1);
    strcpy(found, "before");
    buffer.length = sizeof json + 1; /* it was too small */
    CHECK(plexindex_get_cursor(&buffer, found, sizeof found) == 0 && strcmp(found, "before") == 0);
    buffer.length = buffer.capacity = 0;
    buffer.data = NULL;
    CHECK(plexindex_get_cursor(&buffer, found, sizeof found) == 0 && strcmp(found, "before") == 0);
}

struct waiting {
    pthread_t thread;
    const plexindex_library_handle *library;
    atomic_int calls;
    atomic_int ends;
    int32_t status;
    char message[256];
};

static int32_t told_to_end(void *user, const plexindex_progress *progress)
{
    struct waiting *waiting = user;
    CHECK(progress->library.length == 0 && progress->items == 0 && progress->total == 0);
    CHECK(pthread_equal(pthread_self(), waiting->thread));
    atomic_fetch_add(&waiting->calls, 1);
    return atomic_load(&waiting->ends);
}

static void *wait_for(void *argument)
{
    struct waiting *waiting = argument;
    plexindex_query query = query_of(waiting->library, cursor);
    plexindex_buffer error = {waiting->message, sizeof waiting->message, 0};
    waiting->thread = pthread_self();
    query.flags = PLEXINDEX_QUERY_OFFLINE;
    query.deadline_ms = 60000;
    query.progress = told_to_end;
    query.progress_user = waiting;
    waiting->status = plexindex_wait_for_changes(handle, &query, &error);
    return NULL;
}

static void start(struct waiting *waiting, pthread_t *thread)
{
    const struct timespec moment = {0, 1000000};
    memset(waiting, 0, sizeof *waiting);
    CHECK(pthread_create(thread, NULL, wait_for, waiting) == 0);
    while (atomic_load(&waiting->calls) == 0) {
        nanosleep(&moment, NULL);
    }
}

static void refresh(plexindex_handle *of)
{
    plexindex_query query = query_of(NULL, NULL);
    query.flags = PLEXINDEX_QUERY_FULL;
    CHECK_STATUS(PLEXINDEX_OK, plexindex_refresh(of, &query, ERROR));
}

int main(int argc, char **argv)
{
    struct setting setting = setting_of(argc, argv);
    plexindex_options options = options_of(&setting);
    plexindex_handle *other;
    const plexindex_library_handle *movies;
    plexindex_query query;
    struct waiting waiting;
    pthread_t thread;
    char begun[256];
    char key[64];
    char *json;
    int i;

    cursors();
    handle = opened(&options);
    CHECK_REFUSED(PLEXINDEX_LIBRARY_NOT_FOUND, page(NULL, "", 0, 10, &json), "refresh");
    refresh(handle);
    movies = library_of(handle, "Movies");
    CHECK_REFUSED(PLEXINDEX_INVALID_ARGUMENT, page(NULL, "", 0, 0, &json), "limit is 0", "10000");
    CHECK_REFUSED(PLEXINDEX_INVALID_ARGUMENT, page(NULL, "banana", 0, 10, &json), "'banana'");
    CHECK_REFUSED(PLEXINDEX_NULL_POINTER, plexindex_list_changes_json(handle, NULL, 10, NULL, ERROR), "NULL");

    /* All there is, in pages of several sizes. */
    CHECK(all_told(movies, PLEXINDEX_QUERY_FULL, 10000, "\"change\":\"added\"") == FILES);
    CHECK(all_told(movies, PLEXINDEX_QUERY_FULL, 9, "\"change\":\"added\"") == FILES);
    CHECK(all_told(library_of(handle, "Slow"), PLEXINDEX_QUERY_FULL, 1, "\"change\":\"added\"") == 5);
    CHECK(all_told(NULL, PLEXINDEX_QUERY_FULL, 100, "\"change\":\"added\"") > FILES);
    CHECK(told(NULL, 0, 10, "\"change\"") == 0 && !more);
    snprintf(begun, sizeof begun, "%s", cursor);

    /* What changes, each once, whatever the size of the pages. */
    snprintf(key, sizeof key, "%s", harness("add New"));
    harness("remove 900002");
    harness("rename 900003 /data/movies/Elsewhere.mkv");
    refresh(handle);
    for (i = 1; i <= 4; i++) {
        snprintf(cursor, sizeof cursor, "%s", begun);
        CHECK(all_told(NULL, 0, (size_t)i, "\"change\":") == 3);
        CHECK(told(NULL, 0, 1, "\"change\":") == 0);
    }
    CHECK_STATUS(PLEXINDEX_OK, page(NULL, begun, 0, 10, &json));
    CHECK(strstr(json, "\"from\":\"/data/movies/Twins B/twin.mkv\"") != NULL);
    CHECK(strstr(json, "\"path\":\"/data/movies/Elsewhere.mkv\"") != NULL);
    CHECK(strstr(json, key) != NULL && strstr(json, "\"change\":\"removed\"") != NULL);
    free(json);
    /* The same from a process that opens the store now, which sends no request for it. */
    other = opened(&options);
    i = (int)requests();
    CHECK_STATUS(PLEXINDEX_OK, page(NULL, begun, 0, 10, &json));
    CHECK(count_of(json, "\"change\":") == 3 && requests() == i);
    free(json);

    /* Another library's cursor; and one of a store that is no more. */
    CHECK_STATUS(PLEXINDEX_OK, page(movies, begun, 0, 10, &json)); /* one of all libraries holds for each */
    free(json);
    CHECK(all_told(movies, PLEXINDEX_QUERY_FULL, 10000, "\"change\"") == FILES);
    CHECK_REFUSED(PLEXINDEX_INVALID_ARGUMENT, page(NULL, cursor, 0, 10, &json), "name that library");
    CHECK_REFUSED(PLEXINDEX_LIST_AGAIN, page(library_of(handle, "Shows"), cursor, 0, 10, &json), "list again, in full");

    /* A wait ends by a deadline, by another thread, by what another handle commits. */
    CHECK(all_told(NULL, PLEXINDEX_QUERY_FULL, 10000, "\"change\"") > FILES);
    query = query_of(NULL, cursor);
    query.deadline_ms = 1;
    query.flags = PLEXINDEX_QUERY_OFFLINE;
    CHECK_STATUS(PLEXINDEX_NOT_YET, plexindex_wait_for_changes(handle, &query, ERROR));
    query.text = plexindex_bytes_of("");
    CHECK_REFUSED(PLEXINDEX_INVALID_ARGUMENT, plexindex_wait_for_changes(handle, &query, ERROR), "the cursor is empty");
    start(&waiting, &thread);
    atomic_store(&waiting.ends, 1);
    CHECK_STATUS(PLEXINDEX_OK, plexindex_wake_waiting(handle, ERROR));
    CHECK(pthread_join(thread, NULL) == 0);
    CHECK(waiting.status == PLEXINDEX_ABORTED && strstr(waiting.message, "progress") != NULL);
    start(&waiting, &thread);
    harness("remove %s", key);
    refresh(other);
    CHECK(pthread_join(thread, NULL) == 0);
    CHECK(waiting.status == PLEXINDEX_OK);
    CHECK(all_told(NULL, 0, 10, "\"change\":\"removed\"") == 1);

    CHECK_STATUS(PLEXINDEX_OK, plexindex_clear(other, ERROR));
    CHECK_STATUS(PLEXINDEX_OK, plexindex_close(other, ERROR));
    refresh(handle);
    CHECK_REFUSED(PLEXINDEX_LIST_AGAIN, page(NULL, cursor, 0, 10, &json), "list again, in full");
    CHECK_STATUS(PLEXINDEX_OK, plexindex_close(handle, ERROR));
    return 0;
}
