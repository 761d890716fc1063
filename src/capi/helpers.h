// Helpers. A C compiler makes them of this header: the library does not export them.

// The bytes of a C string, without its NUL; nothing for NULL. They belong to the string.
static inline plexindex_bytes plexindex_bytes_of(const char *text)
{
    plexindex_bytes bytes = {text, text == NULL ? 0 : strlen(text)};
    return bytes;
}

// Options with their size set and every default.
static inline plexindex_options plexindex_options_init(void)
{
    plexindex_options options;
    memset(&options, 0, sizeof options);
    options.size = sizeof options;
    return options;
}

// A query for this text in all libraries, with every default. NULL for a query that needs no text.
static inline plexindex_query plexindex_query_init(const char *text)
{
    plexindex_query query;
    memset(&query, 0, sizeof query);
    query.size = sizeof query;
    query.text = plexindex_bytes_of(text);
    return query;
}

// Memory for the text of an error, on the stack for example. `text` is that of the last call that was given the buffer.
typedef struct plexindex_error {
    // The buffer over `text`.
    plexindex_buffer buffer;
    // The text, UTF-8, NUL-terminated.
    char text[1024];
} plexindex_error;

// Prepares the memory, and returns its buffer: the last argument of calls. It is valid while `error` stays where it is.
static inline plexindex_buffer *plexindex_error_init(plexindex_error *error)
{
    error->text[0] = '\0';
    error->buffer.data = error->text;
    error->buffer.capacity = sizeof error->text;
    error->buffer.length = 0;
    return &error->buffer;
}

// A function that answers a query into a buffer, such as plexindex_match_path() or plexindex_search_title().
typedef int32_t (*plexindex_answer_fn)(const plexindex_handle *handle, const plexindex_query *query,
                                       plexindex_buffer *out_answer, plexindex_buffer *error);

// Calls `ask` with memory from malloc, and again with more memory while the answer does not fit. `out_answer`: zeroed,
// or from an earlier call of this function, whose memory is used again. Release it with plexindex_buffer_free().
// `error` must not share that memory.
//
// Returns what `ask` returns; PLEXINDEX_BUFFER_TOO_SMALL when there is no memory.
static inline int32_t plexindex_ask(plexindex_answer_fn ask, const plexindex_handle *handle,
                                    const plexindex_query *query, plexindex_buffer *out_answer, plexindex_buffer *error)
{
    size_t needed = 8192; // enough for most answers
    int32_t status;
    do {
        if (out_answer->capacity < needed) {
            void *memory = realloc(out_answer->data, needed);
            if (memory == NULL) {
                return PLEXINDEX_BUFFER_TOO_SMALL;
            }
            out_answer->data = memory;
            out_answer->capacity = needed;
        }
        out_answer->length = 0;
        status = ask(handle, query, out_answer, error);
        needed = out_answer->length;
    } while (status == PLEXINDEX_BUFFER_TOO_SMALL && needed > out_answer->capacity);
    return status;
}

// Releases the memory that plexindex_ask() allocated, and empties the buffer.
static inline void plexindex_buffer_free(plexindex_buffer *buffer)
{
    free(buffer->data);
    buffer->data = NULL;
    buffer->capacity = buffer->length = 0;
}
