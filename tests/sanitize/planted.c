/*
 * Mistakes that a sanitizer has to find before its silence means anything: `make sanitize` runs each first. As the
 * programs of tests/c, but not one of them: `planted NAME FOLDER`.
 */
#include "plexindex.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* planted.rs */
extern int32_t planted_read(const char *data, size_t at);
extern void planted_leak(void);

static plexindex_handle *opened(const char *folder)
{
    plexindex_error error;
    plexindex_buffer *failed = plexindex_error_init(&error);
    plexindex_options options = plexindex_options_init();
    plexindex_handle *handle = NULL;
    options.cache_dir = plexindex_bytes_of(folder);
    if (plexindex_open(&options, &handle, failed) != PLEXINDEX_OK) {
        printf("not opened: %s\n", error.text);
        exit(77);
    }
    return handle;
}

/* The library writes where the caller says that there is room. */
static void overflow(const char *folder)
{
    static const char value[] = "a value of more than 16 bytes";
    plexindex_handle *handle = opened(folder);
    const plexindex_table_handle *table = NULL;
    plexindex_buffer buffer = {malloc(16), 4096, 0};
    plexindex_get_table(handle, "t", 1, 0, &table, NULL);
    plexindex_table_put(table, "n", 1, value, sizeof value, 0, 0, NULL);
    plexindex_table_get(table, "n", 1, &buffer, NULL);
    free(buffer.data);
    plexindex_close(handle, NULL);
}

/* A handle that is never closed. */
static void leak(const char *folder)
{
    plexindex_handle *volatile handle = opened(folder);
    handle = NULL;
    (void)handle;
}

static int32_t larger(int32_t number)
{
    return number + 1;
}

int main(int argc, char **argv)
{
    const char *name = argc == 3 ? argv[1] : "";
    if (strcmp(name, "overflow") == 0) {
        overflow(argv[2]);
    } else if (strcmp(name, "leak") == 0) {
        leak(argv[2]);
    } else if (strcmp(name, "undefined") == 0) {
        printf("%d\n", (int)larger(INT_MAX - 2 + argc));
    } else if (strcmp(name, "rust-overflow") == 0) {
        char *data = calloc(8, 1);
        printf("%d\n", (int)planted_read(data, 8));
        free(data);
    } else if (strcmp(name, "rust-leak") == 0) {
        planted_leak();
    } else {
        printf("planted NAME FOLDER\n");
        return 77;
    }
    return 0;
}
