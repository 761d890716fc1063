/*
 * plexindex_buffer_grow() enlarges memory for reuse. The harness passes a path whose file name 20 movies share.
 */
#include "check.h"

/* Repeats the call until the answer fits. */
#define GROWING(call, memory) \
    do { status = call; } while (plexindex_buffer_grow(memory, status))

static int32_t match_one(const plexindex_handle *handle, const plexindex_query *query, plexindex_buffer *block,
                         plexindex_buffer *error)
{
    plexindex_query batch = *query;
    batch.text.length++; /* its NUL */
    return plexindex_match_paths(handle, &batch, 1, block, error);
}

/* A call refuses memory that is too small for any answer before it asks the server. */
static void refused_first(const plexindex_handle *handle, const plexindex_query *query)
{
    int32_t (*const functions[])(const plexindex_handle *, const plexindex_query *, plexindex_buffer *,
        plexindex_buffer *) = {
        plexindex_match_path, match_one};
    uint64_t memory[512];
    size_t i;
    for (i = 0; i < sizeof functions / sizeof *functions; i++) {
        plexindex_buffer block = {NULL, 0, 0};
        CHECK_REFUSED(PLEXINDEX_BUFFER_TOO_SMALL, functions[i](handle, query, &block, ERROR), "4096", "enlarge");
        CHECK(block.length == sizeof memory);
        block.data = memory;
        block.capacity = sizeof memory - 1;
        CHECK_STATUS(PLEXINDEX_BUFFER_TOO_SMALL, functions[i](handle, query, &block, ERROR));
        CHECK(block.length == sizeof memory);
    }
    CHECK(requests() == 0);
}

/* Each candidate has the file that matched, but only if the query asks for it. */
static void has_files(const plexindex_buffer *block, const plexindex_answer *answer, int asked)
{
    uint32_t i;
    for (i = 0; i < answer->candidates_count; i++) {
        const plexindex_item *item = plexindex_get_candidate(block, answer, i);
        const plexindex_file *file = plexindex_get_file(block, item);
        CHECK((file != NULL) == asked && (item->file != 0) == asked);
        if (file == NULL) continue;
        CHECK(file->size_bytes > 0 && file->part_id != 0 && file->media_id != 0 && file->flags == 0);
        CHECK(file->part == 1 && file->parts == 1 && file->version == 1 && file->versions == 1);
        CHECK(plexindex_get_text(block, &file->container) != NULL);
    }
}

int main(int argc, char **argv)
{
    struct setting setting = setting_of(argc, argv);
    plexindex_options options = options_of(&setting);
    plexindex_handle *handle = opened(&options);
    plexindex_query query = plexindex_query_init(argv[4]);
    plexindex_buffer block = {NULL, 0, 0};
    const plexindex_answer *answer;
    plexindex_buffer none = {NULL, 0, 0};
    size_t capacity;
    int32_t status;
    refused_first(handle, &query);
    GROWING(plexindex_match_path(handle, &query, &block, ERROR), &block);
    CHECK_STATUS(PLEXINDEX_AMBIGUOUS, status);
    answer = plexindex_get_answer(&block, 0);
    printf("%" PRIu32 " of %" PRIu32 ", %s than 8192 bytes\n", answer->candidates_count, answer->candidates_total,
           block.length > 8192 ? "more" : "no more");
    has_files(&block, answer, 0);
    query.flags = PLEXINDEX_QUERY_FILE | PLEXINDEX_QUERY_NO_SIZE;
    GROWING(plexindex_match_path(handle, &query, &block, ERROR), &block);
    CHECK_STATUS(PLEXINDEX_AMBIGUOUS, status);
    has_files(&block, plexindex_get_answer(&block, 0), 1);
    /* A size that no file has. */
    query.flags = 0;
    query.file_size = 1;
    GROWING(plexindex_match_path(handle, &query, &block, ERROR), &block);
    CHECK_STATUS(PLEXINDEX_AMBIGUOUS, status);
    CHECK(plexindex_get_answer(&block, 0)->confidence == PLEXINDEX_CONFIDENCE_LOW);
    /* An older program's query ends before `file_size`. */
    query.size = offsetof(plexindex_query, file_size);
    GROWING(plexindex_match_path(handle, &query, &block, ERROR), &block);
    CHECK_STATUS(PLEXINDEX_AMBIGUOUS, status);
    query.size = sizeof query;
    query.file_size = 0;
    capacity = block.capacity;
    query.text = plexindex_bytes_of(NULL);
    GROWING(plexindex_match_path(handle, &query, &block, ERROR), &block);
    CHECK_REFUSED(PLEXINDEX_INVALID_ARGUMENT, status, "path");
    CHECK(block.capacity == capacity);
    /* The call does not return the earlier answer. */
    CHECK(plexindex_get_answer(&block, 0) == NULL);
    plexindex_buffer_free(&block);
    CHECK(block.data == NULL && block.capacity == 0);
    plexindex_buffer_free(NULL);
    /* Before the first call plexindex_buffer_grow() allocates enough for most answers. */
    CHECK(plexindex_buffer_grow(&block, PLEXINDEX_OK) == 0 && block.data == NULL);
    CHECK(plexindex_buffer_grow(&block, PLEXINDEX_BUFFER_TOO_SMALL) == 1 && block.capacity == 8192);
    CHECK(plexindex_buffer_grow(&block, PLEXINDEX_BUFFER_TOO_SMALL) == 0);
    plexindex_buffer_free(&block);
    /* A failed allocation keeps the earlier memory. */
    none.length = SIZE_MAX / (sizeof(size_t) > 4 ? 4 : 1); /* with 32 bits a quarter may be available */
    CHECK(plexindex_buffer_grow(&none, PLEXINDEX_BUFFER_TOO_SMALL) == 0 && none.data == NULL);
    CHECK_STATUS(PLEXINDEX_OK, plexindex_close(handle, ERROR));
    return 0;
}
