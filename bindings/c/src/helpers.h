// Helpers. These functions are inline: the library does not export them.

// Returns a C string as bytes, without copying it and without its NUL. NULL becomes an empty string.
static inline plexindex_bytes plexindex_bytes_of(const char *text)
{
    plexindex_bytes bytes = {text, text == NULL ? 0 : strlen(text)};
    return bytes;
}

// Returns options with their size set and all defaults.
static inline plexindex_options plexindex_options_init(void)
{
    plexindex_options options;
    memset(&options, 0, sizeof options);
    options.size = sizeof options;
    return options;
}

// Returns a query for this string in all libraries, with all defaults. NULL means a query without a string.
static inline plexindex_query plexindex_query_init(const char *text)
{
    plexindex_query query;
    memset(&query, 0, sizeof query);
    query.size = sizeof query;
    query.text = plexindex_bytes_of(text);
    return query;
}

// Returns statistics with their size set, for plexindex_get_stats().
static inline plexindex_stats plexindex_stats_init(void)
{
    plexindex_stats stats;
    memset(&stats, 0, sizeof stats);
    stats.size = sizeof stats;
    return stats;
}

// Memory for an error message, for example on the stack. `text` is the message of the last call that used `buffer`.
typedef struct plexindex_error {
    plexindex_buffer buffer; // The buffer over `text`.
    char text[1024]; // The message in UTF-8, NUL-terminated.
} plexindex_error;

// Prepares the memory, and returns the buffer to pass as the last argument of calls. `error` must not move afterwards.
static inline plexindex_buffer *plexindex_error_init(plexindex_error *error)
{
    error->text[0] = '\0';
    error->buffer.data = error->text;
    error->buffer.capacity = sizeof error->text;
    error->buffer.length = 0;
    return &error->buffer;
}

// Enlarges a buffer, which must be zeroed or from malloc, after any function that fills a buffer:
//     do status = plexindex_match_path(index, &query, &block, error);
//     while (plexindex_buffer_grow(&block, status));
// Returns 1 if you must repeat the call; otherwise 0, also if memory is exhausted. Allocates at least 8 KiB. Calls
// that can ask the server reject buffers of less than 4,096 bytes before they do any work.
static inline int plexindex_buffer_grow(plexindex_buffer *buffer, int32_t status)
{
    size_t needed = buffer == NULL || buffer->length < 8192 ? 8192 : buffer->length;
    void *memory;
    if (buffer == NULL || status != PLEXINDEX_BUFFER_TOO_SMALL || buffer->capacity >= needed) return 0;
    memory = realloc(buffer->data, needed);
    if (memory == NULL) return 0;
    buffer->data = memory;
    buffer->capacity = needed;
    return 1;
}

// Frees the memory from plexindex_buffer_grow(), and empties the buffer. `buffer` may be NULL.
static inline void plexindex_buffer_free(plexindex_buffer *buffer)
{
    if (buffer == NULL) return;
    free(buffer->data);
    buffer->data = NULL;
    buffer->capacity = buffer->length = 0;
}

// Returns the name of `match_kind`, such as `FILE_NAME` for PLEXINDEX_MATCH_FILE_NAME; `UNKNOWN` for other numbers.
static inline const char *plexindex_get_match_kind_name(int32_t match_kind)
{
    static const char *const names[] = {NAMES(PLEXINDEX_MATCH_)};
    return match_kind >= 0 && match_kind < COUNT(PLEXINDEX_MATCH_) ? names[match_kind] : "UNKNOWN";
}

// Returns the name of `confidence`, such as `HIGH`; `UNKNOWN` for other numbers.
static inline const char *plexindex_get_confidence_name(int32_t confidence)
{
    static const char *const names[] = {NAMES(PLEXINDEX_CONFIDENCE_)};
    return confidence >= 0 && confidence < COUNT(PLEXINDEX_CONFIDENCE_) ? names[confidence] : "UNKNOWN";
}

// Returns the name of `reason`, such as `NOT_LISTED`; `UNKNOWN` for other numbers.
static inline const char *plexindex_get_reason_name(int32_t reason)
{
    static const char *const names[] = {NAMES(PLEXINDEX_REASON_)};
    return reason >= 0 && reason < COUNT(PLEXINDEX_REASON_) ? names[reason] : "UNKNOWN";
}

// Returns the name of `kind`, such as `MOVIE`; `UNKNOWN` for other numbers.
static inline const char *plexindex_get_kind_name(int32_t kind)
{
    static const char *const names[] = {NAMES(PLEXINDEX_KIND_)};
    return kind >= 0 && kind < COUNT(PLEXINDEX_KIND_) ? names[kind] : "UNKNOWN";
}
