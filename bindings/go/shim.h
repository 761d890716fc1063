// C functions for what Go cannot do: structs that point to Go's memory, and C callbacks. `user` is the number of a
// cgo.Handle, because Go must not store a Go pointer in C's memory.
#ifndef PLEXINDEX_GO_SHIM_H
#define PLEXINDEX_GO_SHIM_H
#include <stdlib.h>
#include <string.h>
#include "plexindex.h"

extern int32_t plexindexGoProgress(void *user, plexindex_progress *progress);
extern void plexindexGoLog(void *user, int32_t level, char *message, size_t length);

static inline int32_t report(void *user, const plexindex_progress *progress) {
    return plexindexGoProgress(user, (plexindex_progress *)progress);
}

static inline int32_t call_method(const plexindex_handle *handle, const char *method, const char *request,
                                  size_t length, int64_t deadline_ms, uintptr_t user, char **out,
                                  plexindex_buffer *error) {
    plexindex_call_options options = {sizeof options, deadline_ms, report, (void *)user};
    return plexindex_call(handle, method, request, length, &options, out, error);
}

// Matches many paths, or one if `count` is 0. Refreshes if `out` is NULL.
static inline int32_t query(const plexindex_handle *handle, const plexindex_library_handle *library, const char *text,
                            size_t length, size_t count, int64_t deadline_ms, uint32_t flags, uintptr_t user,
                            plexindex_buffer *out, plexindex_buffer *error) {
    plexindex_query query = {sizeof query, library, {text, length}, deadline_ms, flags, 0, report, (void *)user};
    if (out == NULL) return plexindex_refresh(handle, &query, error);
    if (count > 0) return plexindex_match_paths(handle, &query, count, out, error);
    return plexindex_match_path(handle, &query, out, error);
}

static inline void receive(void *user, int32_t level, const char *message, size_t length) {
    plexindexGoLog(user, level, (char *)message, length);
}

static inline int32_t drain_log(uintptr_t user, plexindex_buffer *error) {
    return plexindex_drain_log(receive, (void *)user, error);
}

// The result of a fast lookup belongs to the thread, which another goroutine may get after the call: copies the result.
// Returns its length, and 0 if it does not fit.
static inline size_t copy_text(const char *found, char *memory, size_t capacity) {
    size_t length = found == NULL ? 0 : strlen(found);
    if (length > capacity) return 0;
    if (length > 0) memcpy(memory, found, length);
    return length;
}

static inline size_t lookup_key(const plexindex_library_handle *library, const char *path, char *key, size_t capacity) {
    return copy_text(plexindex_lookup_key(library, path), key, capacity);
}

static inline size_t table_lookup(const plexindex_table_handle *table, const char *name, char *value, size_t capacity) {
    const char *found = NULL;
    plexindex_table_lookup(table, name, &found);
    return copy_text(found, value, capacity);
}
#endif
