/*
 * What the test programs share: checks that say what went wrong, and a line to the harness
 * (bindings/c/tests/capi_c.rs), which owns the server.
 *
 * Each program is started as `program URL TOKEN CACHE`: a stand-in Plex server and an empty folder for the store.
 */
#ifndef CHECK_H
#define CHECK_H

#ifndef _POSIX_C_SOURCE
#define _POSIX_C_SOURCE 200809L
#endif

#include <inttypes.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plexindex.h"

/* The error of this thread's last call with ERROR. */
static __thread plexindex_error check_error;
#define ERROR plexindex_error_init(&check_error)

/* Ends the program with the place, a message and the last error. */
#define FAIL(...) check_failed(__FILE__, __LINE__, __VA_ARGS__)

#define CHECK(condition)                                                                                               \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            FAIL("%s", #condition);                                                                                    \
        }                                                                                                              \
    } while (0)

/* The call must return this status. */
#define CHECK_STATUS(expected, call) check_status(__FILE__, __LINE__, #call, expected, call)

/* The call, with ERROR, must return this error. Its text must contain the words: the input and the remedy. */
#define CHECK_REFUSED(expected, call, ...)                                                                             \
    do {                                                                                                               \
        CHECK_STATUS(expected, call);                                                                                  \
        check_message(__FILE__, __LINE__, #call, (const char *const[]){__VA_ARGS__, NULL});                            \
    } while (0)

static inline void check_failed(const char *file, int line, const char *format, ...)
{
    va_list arguments;
    fprintf(stderr, "%s:%d: ", file, line);
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fprintf(stderr, "\n  text of the last error: \"%s\"\n", check_error.text);
    exit(1);
}

static inline void check_status(const char *file, int line, const char *call, int32_t expected, int32_t got)
{
    if (got != expected) {
        char names[2][32];
        snprintf(names[0], sizeof names[0], "%s", plexindex_get_status_name(expected));
        snprintf(names[1], sizeof names[1], "%s", plexindex_get_status_name(got));
        check_failed(file, line, "%s\n  gives %s (%" PRId32 "), expected was %s", call, names[1], got, names[0]);
    }
}

static inline void check_message(const char *file, int line, const char *call, const char *const *words)
{
    const char *message = check_error.text;
    for (; *words != NULL; words++) {
        if (strstr(message, *words) == NULL) {
            check_failed(file, line, "%s\n  has a message that does not hold \"%s\"", call, *words);
        }
    }
}

/* The program's arguments. */
struct setting {
    const char *url;
    const char *token;
    const char *folder;
};

static inline struct setting setting_of(int argc, char **argv)
{
    struct setting setting;
    if (argc < 4) {
        fprintf(stderr, "usage: %s URL TOKEN CACHE (run by bindings/c/tests/capi_c.rs)\n", argv[0]);
        exit(2);
    }
    setting.url = argv[1];
    setting.token = argv[2];
    setting.folder = argv[3];
    return setting;
}

/* Asks the harness (its commands: bindings/c/tests/capi_c.rs, `Server::obey`). The reply lasts until the next one, for
 * all threads. */
static inline const char *harness(const char *format, ...)
{
    static char reply[1 << 16];
    va_list arguments;
    va_start(arguments, format);
    printf("@");
    vprintf(format, arguments);
    printf("\n");
    va_end(arguments);
    fflush(stdout);
    if (fgets(reply, sizeof reply, stdin) == NULL) {
        FAIL("the harness is gone");
    }
    reply[strcspn(reply, "\n")] = '\0';
    return reply;
}

/* Returns the number of requests that the server received. */
static inline long requests(void)
{
    return atol(harness("requests"));
}

/* Returns options with the folder and the server. */
static inline plexindex_options options_of(const struct setting *setting)
{
    plexindex_options options = plexindex_options_init();
    options.cache_dir = plexindex_bytes_of(setting->folder);
    options.server_url = plexindex_bytes_of(setting->url);
    options.token = plexindex_bytes_of(setting->token);
    return options;
}

static inline plexindex_handle *opened(const plexindex_options *options)
{
    plexindex_handle *handle = NULL;
    CHECK_STATUS(PLEXINDEX_OK, plexindex_open(options, &handle, ERROR));
    CHECK(handle != NULL);
    return handle;
}

/* Returns the library with this title, or all of them for NULL. */
static inline const plexindex_library_handle *library_of(const plexindex_handle *handle, const char *title)
{
    const plexindex_library_handle *library = NULL;
    int32_t kind = title == NULL ? PLEXINDEX_SELECT_ALL : PLEXINDEX_SELECT_TITLE;
    CHECK_STATUS(PLEXINDEX_OK, plexindex_get_library(handle, kind, title, title == NULL ? 0 : strlen(title), &library,
        ERROR));
    CHECK(library != NULL);
    return library;
}

static inline plexindex_query query_of(const plexindex_library_handle *library, const char *text)
{
    plexindex_query query = plexindex_query_init(text);
    query.library = library;
    return query;
}

#endif
