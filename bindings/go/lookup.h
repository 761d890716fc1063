#ifndef PLEXINDEX_GO_LOOKUP_H
#define PLEXINDEX_GO_LOOKUP_H
// Fast lookups for cgo.
#include <stdlib.h>
#include <string.h>
#include "plexindex.h"

// The key that a fast lookup gives belongs to the thread, which another goroutine may get: so it is copied here.
// Gives the length of the key; 0: not known to a fast lookup.
typedef const char *(*lookup_fn)(const void *, const char *);

static inline size_t lookup(lookup_fn function, const void *from, const char *name, size_t length, char *found, size_t capacity) {
    char short_name[1024];
    char *copy = length < sizeof short_name ? short_name : malloc(length + 1);
    if (copy == NULL || memchr(name, 0, length) != NULL) {
        if (copy != short_name) free(copy);
        return 0;
    }
    memcpy(copy, name, length);
    copy[length] = 0;
    const char *value = function(from, copy);
    size_t size = value == NULL ? 0 : strlen(value) + 1;
    if (size > 0 && size <= capacity) memcpy(found, value, size);
    if (copy != short_name) free(copy);
    return size <= capacity ? size : 0;
}

static inline size_t lookup_key(const plexindex_library_handle *library, const char *path, size_t length, char *key, size_t capacity) {
    return lookup((lookup_fn)plexindex_lookup_key, library, path, length, key, capacity);
}

static inline const char *table_value(const void *table, const char *name) {
    const char *value = NULL;
    plexindex_table_lookup(table, name, &value);
    return value;
}

static inline size_t table_lookup(const plexindex_table_handle *table, const char *name, size_t length, char *value, size_t capacity) {
    return lookup(table_value, table, name, length, value, capacity);
}
#endif
