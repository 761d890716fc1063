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

/* A function of the library, and the pointer to set. */
struct function {
    const char *name;
    void *slot;
};

/* Returns the handle for dlclose(). */
static inline void *load_functions(const char *path, const struct function *functions, size_t count)
{
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    size_t i;
    if (library == NULL) {
        FAIL("%s", dlerror());
    }
    for (i = 0; i < count; i++) {
        void *symbol = dlsym(library, functions[i].name);
        if (symbol == NULL) {
            FAIL("%s", dlerror());
        }
        /* ISO C does not convert a data pointer to a function pointer; POSIX makes their bytes equal. */
        memcpy(functions[i].slot, &symbol, sizeof symbol);
    }
    return library;
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
