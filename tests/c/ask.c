/*
 * plexindex_ask() enlarges its memory, and uses it again. The harness gives a path that 20 films end with.
 */
#include "check.h"

int main(int argc, char **argv)
{
    struct setting setting = setting_of(argc, argv);
    plexindex_options options = options_of(&setting);
    plexindex_handle *handle = opened(&options);
    plexindex_query query = plexindex_query_init(argv[4]);
    plexindex_buffer block = {NULL, 0, 0};
    const plexindex_answer *answer;
    size_t capacity;
    CHECK_STATUS(PLEXINDEX_AMBIGUOUS, plexindex_ask(plexindex_match_path, handle, &query, &block, ERROR));
    answer = plexindex_get_answer(&block, 0);
    printf("%" PRIu32 " of %" PRIu32 ", %s than 8192 bytes\n", answer->candidates_count, answer->candidates_total,
           block.length > 8192 ? "more" : "no more");
    capacity = block.capacity;
    query.text = plexindex_bytes_of(NULL);
    CHECK_REFUSED(PLEXINDEX_INVALID_ARGUMENT, plexindex_ask(plexindex_match_path, handle, &query, &block, ERROR), "path");
    CHECK(block.capacity == capacity);
    /* The earlier answer is none of this call's. */
    CHECK(plexindex_get_answer(&block, 0) == NULL);
    CHECK_STATUS(PLEXINDEX_OK, plexindex_ask(plexindex_list_libraries_json, handle, &query, &block, ERROR));
    CHECK(((const char *)block.data)[0] == '[');
    plexindex_buffer_free(&block);
    CHECK(block.data == NULL && block.capacity == 0);
    CHECK_STATUS(PLEXINDEX_OK, plexindex_close(handle, ERROR));
    return 0;
}
