/*
 * Error texts in the caller's own buffer. Many calls fail at once on several threads, each with another input. Other
 * buffers are too small, empty, misaligned or NULL.
 */
#include "check.h"

#include <pthread.h>
#include <stdalign.h>

#define CALLS 100

static plexindex_handle *handle;
static const plexindex_library_handle *movies;

/* A call on another thread. */
struct call {
    pthread_t thread;
    int number;
    int32_t status;
    char name[64];
    char text[512];
    plexindex_buffer error;
};

/* Makes calls that fail, and name their input. */
static void *fails(void *given)
{
    struct call *call = given;
    const plexindex_library_handle *library = NULL;
    plexindex_handle *other = NULL;
    plexindex_options options;
    plexindex_query query;
    uint64_t memory[512];
    char folder[128];
    plexindex_buffer answer = {memory, sizeof memory, 0};
    size_t length = strlen(call->name);
    switch (call->number % 5) {
    case 0:
        query = query_of(NULL, "/a.mkv");
        CHECK_STATUS(PLEXINDEX_OK, plexindex_get_library(handle, PLEXINDEX_SELECT_TITLE, call->name, length, &library,
            &call->error));
        query.library = library;
        call->status = plexindex_match_path(handle, &query, &answer, &call->error);
        break;
    case 1:
        call->status = plexindex_get_library(handle, PLEXINDEX_SELECT_ALL, call->name, length, &library, &call->error);
        break;
    case 2:
        call->status = plexindex_record_match(movies, "/a.mkv", 6, call->name, length, 0, &call->error);
        break;
    case 3:
        call->status = plexindex_invalidate_item(movies, call->name, length, &call->error);
        break;
    default:
        memset(&options, 0, sizeof options);
        options.size = sizeof options;
        snprintf(folder, sizeof folder, "/dev/null/%s", call->name);
        options.cache_dir = plexindex_bytes_of(folder);
        call->status = plexindex_open(&options, &other, &call->error);
    }
    return NULL;
}

static void at_once(void)
{
    static struct call calls[CALLS];
    int i;
    for (i = 0; i < CALLS; i++) {
        struct call *call = &calls[i];
        call->number = i;
        snprintf(call->name, sizeof call->name, "no/such/thing %d!", i);
        call->error.data = call->text;
        call->error.capacity = sizeof call->text;
    }
    for (i = 0; i < CALLS; i++) {
        CHECK(pthread_create(&calls[i].thread, NULL, fails, &calls[i]) == 0);
    }
    for (i = 0; i < CALLS; i++) {
        CHECK(pthread_join(calls[i].thread, NULL) == 0);
    }
    for (i = 0; i < CALLS; i++) {
        if (calls[i].status < 100 || strstr(calls[i].text,
            calls[i].name) == NULL || strlen(calls[i].text) != calls[i].error.length) {
            FAIL("call %d of status %" PRId32 " has the text \"%s\"", i, calls[i].status, calls[i].text);
        }
    }
}

/* Fails with an error text that contains this name. */
static int32_t fail(plexindex_buffer *error)
{
    return plexindex_lookup_keys(movies, "no/key", 7, 1, NULL, error);
}

static void buffers(void)
{
    alignas(16) char memory[512];
    alignas(16) char odd[sizeof(plexindex_buffer) + 1];
    plexindex_buffer error = {memory + 1, sizeof memory - 1, 0};
    plexindex_stats stats = plexindex_stats_init();
    size_t whole;
    size_t room;
    char all[512];

    stats.items = 7;
    /* Misaligned memory. */
    CHECK_STATUS(PLEXINDEX_NULL_POINTER, fail(&error));
    whole = error.length;
    CHECK(whole > 4 && strlen(memory + 1) == whole);
    strcpy(all, memory + 1);

    /* Memory that is too small has the beginning, a NUL and the full length. */
    for (room = 0; room <= whole + 1; room++) {
        memset(memory, 'x', sizeof memory);
        error.data = room == 0 ? NULL : memory;
        error.capacity = room;
        CHECK_STATUS(PLEXINDEX_NULL_POINTER, fail(&error));
        CHECK(error.length == whole);
        CHECK(memory[room] == 'x');
        if (room > 0) {
            CHECK(memory[strlen(memory)] == '\0' && strlen(memory) < room);
        }
        if (room > whole) {
            CHECK(strcmp(memory, all) == 0);
        } else if (room > 4) {
            CHECK(strcmp(memory + room - 4, "\xe2\x80\xa6") == 0);
        }
    }

    /* A success empties the buffer. */
    error.data = memory;
    error.capacity = sizeof memory;
    CHECK_STATUS(PLEXINDEX_OK, plexindex_wake_waiting(handle, &error));
    CHECK(error.length == 0 && memory[0] == '\0');

    /* Without a usable buffer the call does nothing. */
    CHECK_STATUS(PLEXINDEX_NULL_POINTER, fail(NULL));
    CHECK_STATUS(PLEXINDEX_INVALID_ARGUMENT, plexindex_clear(handle, (void *)(odd + 1)));
    error.data = NULL;
    CHECK_STATUS(PLEXINDEX_NULL_POINTER, plexindex_get_stats(NULL, &stats, &error));
    CHECK(stats.items == 7);
    error.data = memory;
    error.capacity = SIZE_MAX;
    CHECK_STATUS(PLEXINDEX_INVALID_ARGUMENT, plexindex_close(handle, &error));

    /* One buffer for answer and error contains either. */
    error.capacity = sizeof memory;
    CHECK_STATUS(PLEXINDEX_NULL_POINTER, plexindex_lookup_keys(NULL, "/a", 3, 1, &error, &error));
    CHECK(strstr(memory, "library") != NULL && error.length == strlen(memory));
    CHECK_STATUS(PLEXINDEX_OK, plexindex_lookup_keys(movies, "/a", 3, 1, &error, &error));
    CHECK(memory[0] == '\0' && error.length == 1);
}

int main(int argc, char **argv)
{
    struct setting setting = setting_of(argc, argv);
    plexindex_options options = options_of(&setting);
    handle = opened(&options);
    movies = library_of(handle, "Movies");
    at_once();
    buffers();
    CHECK_STATUS(PLEXINDEX_OK, plexindex_close(handle, ERROR));
    return 0;
}
