// C functions for what Go cannot do: structs that point to Go's memory, and C callbacks. `user` is the number of a
// cgo.Handle, because Go must not store a Go pointer in C's memory.
#ifndef PLEXINDEX_GO_SHIM_H
#define PLEXINDEX_GO_SHIM_H
#include <stdlib.h>
#include <string.h>
#include <plexindex.h>

extern int32_t plexindexGoProgress(void *user, plexindex_progress *progress);
extern void plexindexGoLog(void *user, int32_t level, char *message, size_t length);

static inline int32_t report(void *user, const plexindex_progress *progress) {
    return plexindexGoProgress(user, (plexindex_progress *)progress);
}

static inline int32_t call_method(const plexindex_handle *handle, const char *method, const char *request,
                                  size_t length, int64_t timeout_ms, uintptr_t user, char **out,
                                  plexindex_buffer *error) {
    plexindex_call_options options = {sizeof options, timeout_ms, report, (void *)user};
    return plexindex_call(handle, method, request, length, &options, out, error);
}

// Matches many paths, or one if `count` is 0. Refreshes if `out` is NULL.
static inline int32_t query(const plexindex_handle *handle, const plexindex_library_handle *library, const char *text,
                            size_t length, size_t count, int64_t timeout_ms, uint32_t flags, uint64_t size,
                            uintptr_t user, plexindex_buffer *out, plexindex_buffer *error) {
    plexindex_query query = {sizeof query, library, {text, length}, timeout_ms, flags, 0, report, (void *)user, size};
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

// The result of a fast lookup, returned by value: the library's own result belongs to the thread, which another
// goroutine may get after the call. Keys have at most 273 bytes, and values 1,000.
typedef struct fast_result {
    size_t length;
    char text[1024];
} fast_result;

static inline fast_result copy_result(const char *found) {
    fast_result result;
    result.length = found == NULL ? 0 : strnlen(found, sizeof result.text);
    if (found != NULL) memcpy(result.text, found, result.length);
    return result;
}

static inline fast_result lookup_key(const plexindex_library_handle *library, const char *path) {
    return copy_result(plexindex_lookup_key(library, path));
}

static inline fast_result table_lookup(const plexindex_table_handle *table, const char *name) {
    const char *found = NULL;
    plexindex_table_lookup(table, name, &found);
    return copy_result(found);
}
#endif
