/*
 * For programs that load the library at run time: its functions by name, and the threads, files and mappings of the
 * process.
 */
#ifndef LOADED_H
#define LOADED_H

#include "check.h"

#include <dirent.h>
#include <dlfcn.h>
#include <time.h>

/* The functions of a loaded copy of the library. */
struct api {
    void *library;
    uint32_t (*abi_version)(void);
    const char *(*status_name)(int32_t);
    int32_t (*open)(const plexindex_options *, plexindex_handle **, plexindex_buffer *);
    int32_t (*close)(plexindex_handle *, plexindex_buffer *);
    int32_t (*library_of)(const plexindex_handle *, int32_t, const char *, size_t, const plexindex_library_handle **,
        plexindex_buffer *);
    const char *(*lookup_key)(const plexindex_library_handle *, const char *);
    int32_t (*match_path)(const plexindex_handle *, const plexindex_query *, plexindex_buffer *, plexindex_buffer *);
    int32_t (*record_match)(const plexindex_library_handle *, const char *, size_t, const char *, size_t, int64_t,
        plexindex_buffer *);
    int32_t (*drain_log)(plexindex_log_fn, void *, plexindex_buffer *);
    int32_t (*call)(const plexindex_handle *, const char *, const char *, size_t, const plexindex_call_options *,
        char **, plexindex_buffer *);
    void (*free)(char *);
};

/* The copy that is in use. */
static struct api *api;

/* check.h needs this function. */
const char *plexindex_get_status_name(int32_t status)
{
    return api == NULL ? "?" : api->status_name(status);
}

static inline void load(struct api *loaded, const char *path)
{
    const struct {
        const char *name;
        void *slot;
    } functions[] = {
        {"plexindex_get_abi_version", &loaded->abi_version},
        {"plexindex_get_status_name", &loaded->status_name},
        {"plexindex_open", &loaded->open},
        {"plexindex_close", &loaded->close},
        {"plexindex_get_library", &loaded->library_of},
        {"plexindex_lookup_key", &loaded->lookup_key},
        {"plexindex_match_path", &loaded->match_path},
        {"plexindex_record_match", &loaded->record_match},
        {"plexindex_drain_log", &loaded->drain_log},
        {"plexindex_call", &loaded->call},
        {"plexindex_free", &loaded->free},
    };
    size_t i;
    loaded->library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (loaded->library == NULL) {
        FAIL("%s", dlerror());
    }
    for (i = 0; i < sizeof functions / sizeof *functions; i++) {
        void *symbol = dlsym(loaded->library, functions[i].name);
        if (symbol == NULL) {
            FAIL("%s", dlerror());
        }
        /* ISO C does not convert a data pointer to a function pointer; POSIX makes their bytes equal. */
        memcpy(functions[i].slot, &symbol, sizeof symbol);
    }
    api = loaded;
    CHECK(api->abi_version() == PLEXINDEX_ABI_VERSION);
}

/* Lets the library in use go. */
static inline void unload(void)
{
    struct api *loaded = api;
    api = NULL;
    CHECK(dlclose(loaded->library) == 0);
}

/* Calls a method, and drops its answer. */
static inline int32_t call_method(const plexindex_handle *handle, const char *method, const char *request)
{
    char *json = NULL;
    int32_t status = api->call(handle, method, request, strlen(request), NULL, &json, ERROR);
    api->free(json);
    return status;
}

/* Returns whether the process maps a file whose path contains the text. */
static inline int mapped(const char *text)
{
    char line[8192];
    int found = 0;
    FILE *maps = fopen("/proc/self/maps", "r");
    CHECK(maps != NULL);
    while (fgets(line, sizeof line, maps) != NULL) {
        found |= strstr(line, text) != NULL;
    }
    fclose(maps);
    return found;
}

static inline int entries(const char *folder)
{
    int count = 0;
    DIR *directory = opendir(folder);
    CHECK(directory != NULL);
    while (readdir(directory) != NULL) {
        count++;
    }
    closedir(directory);
    return count;
}

/* The kernel lists a joined thread for a moment longer. `tries` are milliseconds. */
static inline void check_threads(int expected, int tries)
{
    const struct timespec pause = {0, 1000000};
    for (; tries > 0 && entries("/proc/self/task") > expected; tries--) {
        nanosleep(&pause, NULL);
    }
    if (entries("/proc/self/task") != expected) {
        FAIL("%d threads are left, not %d", entries("/proc/self/task") - 2, expected - 2);
    }
}

#endif
