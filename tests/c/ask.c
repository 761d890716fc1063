/*
 * plexindex_buffer_grow() enlarges memory, which is used again. The harness gives a path that 20 films end with.
 */
#include "check.h"

/* Calls until the answer fits. */
#define GROWING(call, memory) \
    do { status = call; } while (plexindex_buffer_grow(memory, status))

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
    GROWING(plexindex_match_path(handle, &query, &block, ERROR), &block);
    CHECK_STATUS(PLEXINDEX_AMBIGUOUS, status);
    answer = plexindex_get_answer(&block, 0);
    printf("%" PRIu32 " of %" PRIu32 ", %s than 8192 bytes\n", answer->candidates_count, answer->candidates_total,
           block.length > 8192 ? "more" : "no more");
    capacity = block.capacity;
    query.text = plexindex_bytes_of(NULL);
    GROWING(plexindex_match_path(handle, &query, &block, ERROR), &block);
    CHECK_REFUSED(PLEXINDEX_INVALID_ARGUMENT, status, "path");
    CHECK(block.capacity == capacity);
    /* The earlier answer is none of this call's. */
    CHECK(plexindex_get_answer(&block, 0) == NULL);
    GROWING(plexindex_list_libraries_json(handle, &query, &block, ERROR), &block);
    CHECK_STATUS(PLEXINDEX_OK, status);
    CHECK(((const char *)block.data)[0] == '[');
    plexindex_buffer_free(&block);
    CHECK(block.data == NULL && block.capacity == 0);
    /* Before the first call it gives room for most answers. */
    CHECK(plexindex_buffer_grow(&block, PLEXINDEX_OK) == 0 && block.data == NULL);
    CHECK(plexindex_buffer_grow(&block, PLEXINDEX_BUFFER_TOO_SMALL) == 1 && block.capacity == 8192);
    CHECK(plexindex_buffer_grow(&block, PLEXINDEX_BUFFER_TOO_SMALL) == 0);
    plexindex_buffer_free(&block);
    /* No memory is no crash, and keeps what there is. */
    none.length = SIZE_MAX / 4;
    CHECK(plexindex_buffer_grow(&none, PLEXINDEX_BUFFER_TOO_SMALL) == 0 && none.data == NULL);
    CHECK_STATUS(PLEXINDEX_OK, plexindex_close(handle, ERROR));
    return 0;
}
