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

static plexindex_buffer buffer; /* the last page */

/* Asks for a page. */
static int32_t page(const plexindex_library_handle *library, const char *since, uint32_t flags, size_t limit)
{
    plexindex_query query = query_of(library, since);
    int32_t status;
    query.flags = flags;
    do {
        status = plexindex_list_changes(handle, &query, limit, &buffer, ERROR);
    } while (plexindex_buffer_grow(&buffer, status));
    return status;
}

/* How many changes of this kind the page has; of any, without one. Checks each. */
static long count_of(const char *kind)
{
    plexindex_change change;
    size_t position = 0;
    long count = 0;
    while (plexindex_get_next_change(&buffer, &position, &change)) {
        int is_item = strcmp(change.kind, "list_again") != 0;
        CHECK(change.library_title.data[change.library_title.length] == '\0' && change.library_title.length > 0);
        CHECK(change.section.length == strlen(change.section.data) && change.section.length > 0);
        CHECK((change.item.data != NULL) == is_item && (change.rating_key.data != NULL) == is_item);
        CHECK((change.path.data == NULL) == (change.path.length == 0) && (change.from.data == NULL) == (change.from.length == 0));
        CHECK(change.from_key.data == NULL && change.from_key.length == 0);
        if (is_item) {
            CHECK(change.item.data[0] == '{' && change.item.data[change.item.length - 1] == '}');
            CHECK(change.item.data[change.item.length] == '\0' && strstr(change.item.data, change.rating_key.data) != NULL);
        }
        count += kind == NULL || strcmp(change.kind, kind) == 0;
    }
    CHECK(position == buffer.length && !plexindex_get_next_change(&buffer, &position, &change));
    return count;
}

/* The change of this kind. */
static plexindex_change change_of(const char *kind)
{
    plexindex_change change;
    size_t position = 0;
    CHECK(count_of(kind) == 1);
    do {
        CHECK(plexindex_get_next_change(&buffer, &position, &change));
    } while (strcmp(change.kind, kind) != 0);
    return change;
}

/* Reads a page, and goes on to where the next one begins; gives how many changes of this kind it has. */
static long told(const plexindex_library_handle *library, uint32_t flags, size_t limit, const char *kind)
{
    CHECK_STATUS(PLEXINDEX_OK, page(library, flags == 0 ? cursor : "", flags, limit));
    cursor[0] = '\0';
    more = plexindex_get_cursor(&buffer, cursor, sizeof cursor);
    CHECK(strlen(cursor) > 0 && strlen(cursor) <= 120);
    return count_of(kind);
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

/* The cursor of a page, and of what is no page. */
static void cursors(void)
{
    char texts[] = "yes\0more\0grew\0\0\0\0/b\0007\0\0{}";
    plexindex_buffer whole = {texts, sizeof texts, sizeof texts};
    plexindex_buffer none = {texts, sizeof texts, sizeof texts + 1}; /* it was too small */
    plexindex_change change;
    size_t position = 0;
    char found[8] = "before";
    CHECK(plexindex_get_cursor(&whole, found, 3) == -1 && strcmp(found, "before") == 0);
    CHECK(plexindex_get_cursor(&none, found, sizeof found) == -1 && strcmp(found, "before") == 0);
    CHECK(plexindex_get_next_change(&none, &position, &change) == 0 && position == 0);
    CHECK(plexindex_get_cursor(&whole, found, 4) == 1 && strcmp(found, "yes") == 0);
    /* Absent texts are NULL, but not those that are always there. */
    CHECK(plexindex_get_next_change(&whole, &position, &change) == 1 && position == sizeof texts);
    CHECK(strcmp(change.kind, "grew") == 0 && change.library_title.data != NULL && change.section.data != NULL);
    CHECK(change.library_title.length == 0 && change.path.data == NULL && change.from_key.data == NULL);
    CHECK(strcmp(change.from.data, "/b") == 0 && change.from.length == 2 && strcmp(change.rating_key.data, "7") == 0);
    CHECK(strcmp(change.item.data, "{}") == 0 && plexindex_get_next_change(&whole, &position, &change) == 0);
    /* Without its last byte the change is not whole, and the cursor is. */
    whole.length--;
    position = 0;
    CHECK(plexindex_get_next_change(&whole, &position, &change) == 0);
    strcpy(found, "before");
    memset(texts, 0, sizeof texts);
    CHECK(plexindex_get_cursor(&whole, found, sizeof found) == 0 && strcmp(found, "") == 0);
    none.data = NULL;
    none.capacity = none.length = 0;
    strcpy(found, "before");
    CHECK(plexindex_get_cursor(&none, found, sizeof found) == -1 && strcmp(found, "before") == 0);
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
    CHECK(strcmp(progress->library.data, "") == 0);
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
    plexindex_change change;
    int i;

    cursors();
    handle = opened(&options);
    CHECK_REFUSED(PLEXINDEX_NOT_FETCHED, page(NULL, "", 0, 10), "refresh");
    refresh(handle);
    movies = library_of(handle, "Movies");
    CHECK_REFUSED(PLEXINDEX_INVALID_ARGUMENT, page(NULL, "", 0, 0), "limit is 0", "10000");
    CHECK_REFUSED(PLEXINDEX_INVALID_ARGUMENT, page(NULL, "banana", 0, 10), "'banana'");
    CHECK_REFUSED(PLEXINDEX_NULL_POINTER, plexindex_list_changes(handle, NULL, 10, NULL, ERROR), "NULL");

    /* All there is, in pages of several sizes. */
    CHECK(all_told(movies, PLEXINDEX_QUERY_FULL, 10000, "added") == FILES);
    CHECK(all_told(movies, PLEXINDEX_QUERY_FULL, 9, "added") == FILES);
    CHECK(all_told(library_of(handle, "Slow"), PLEXINDEX_QUERY_FULL, 1, "added") == 5);
    CHECK(all_told(NULL, PLEXINDEX_QUERY_FULL, 100, "added") > FILES);
    CHECK(told(NULL, 0, 10, NULL) == 0 && !more);
    snprintf(begun, sizeof begun, "%s", cursor);

    /* What changes, each once, whatever the size of the pages. */
    snprintf(key, sizeof key, "%s", harness("add New"));
    harness("remove 900002");
    harness("rename 900003 /data/movies/Elsewhere.mkv");
    refresh(handle);
    for (i = 1; i <= 4; i++) {
        snprintf(cursor, sizeof cursor, "%s", begun);
        CHECK(all_told(NULL, 0, (size_t)i, NULL) == 3);
        CHECK(told(NULL, 0, 1, NULL) == 0);
    }
    CHECK_STATUS(PLEXINDEX_OK, page(NULL, begun, 0, 10));
    change = change_of("moved");
    CHECK(strcmp(change.from.data, "/data/movies/Twins B/twin.mkv") == 0 && change.from.length == strlen(change.from.data));
    CHECK(strcmp(change.path.data, "/data/movies/Elsewhere.mkv") == 0 && strcmp(change.rating_key.data, "900003") == 0);
    change = change_of("added");
    CHECK(strcmp(change.rating_key.data, key) == 0 && change.from.data == NULL && change.from_key.data == NULL);
    CHECK(strcmp(change.library_title.data, "Movies") == 0 && strcmp(change.section.data, "1") == 0);
    change = change_of("removed");
    CHECK(strcmp(change.path.data, "/data/movies/Twins A/twin.mkv") == 0 && strcmp(change.rating_key.data, "900002") == 0);
    /* The same from a process that opens the store now, which sends no request for it. */
    other = opened(&options);
    i = (int)requests();
    CHECK_STATUS(PLEXINDEX_OK, page(NULL, begun, 0, 10));
    CHECK(count_of(NULL) == 3 && requests() == i);

    /* Another library's cursor; and one of a store that is no more. */
    CHECK_STATUS(PLEXINDEX_OK, page(movies, begun, 0, 10)); /* one of all libraries holds for each */
    CHECK(all_told(movies, PLEXINDEX_QUERY_FULL, 10000, NULL) == FILES);
    CHECK_REFUSED(PLEXINDEX_INVALID_ARGUMENT, page(NULL, cursor, 0, 10), "name that library");
    CHECK_REFUSED(PLEXINDEX_LIST_AGAIN, page(library_of(handle, "Shows"), cursor, 0, 10), "list again in full");

    /* A wait ends by a deadline, by another thread, by what another handle commits. */
    CHECK(all_told(NULL, PLEXINDEX_QUERY_FULL, 10000, NULL) > FILES);
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
    CHECK(all_told(NULL, 0, 10, "removed") == 1);

    CHECK_STATUS(PLEXINDEX_OK, plexindex_clear(other, ERROR));
    CHECK_STATUS(PLEXINDEX_OK, plexindex_close(other, ERROR));
    refresh(handle);
    CHECK_REFUSED(PLEXINDEX_LIST_AGAIN, page(NULL, cursor, 0, 10), "list again in full");
    CHECK_STATUS(PLEXINDEX_OK, plexindex_close(handle, ERROR));
    plexindex_buffer_free(&buffer);
    return 0;
}
