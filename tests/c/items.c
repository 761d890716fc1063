/*
 * Going through a library, a page a call: every item once, whatever the size of the pages; nothing is asked of the server.
 */
#include "block.h"

/* 1,200 generated ones and three. */
#define MOVIES 1203

static const plexindex_library_handle *library;
static int64_t cursor;
static size_t limit;

static int32_t next_page(const plexindex_handle *handle, const plexindex_query *query, plexindex_buffer *buffer)
{
    int64_t before = cursor;
    int32_t status = plexindex_list_items(library, &cursor, limit, buffer, ERROR);
    (void)handle;
    (void)query;
    /* A buffer that is too small loses no page. */
    CHECK(status == PLEXINDEX_OK || cursor == before);
    return status;
}

/* Goes through all pages; gives the sum of the rating keys, which tells two ways apart. */
static uint64_t sum_of_keys(const plexindex_handle *handle, size_t rows)
{
    uint64_t sum = 0;
    size_t items = 0;
    int32_t status;
    limit = rows;
    cursor = 0;
    do {
        struct answered page;
        const plexindex_answer *answer;
        uint32_t i;
        memset(&page, 0, sizeof page);
        do {
            page.status = next_page(handle, NULL, &page.buffer);
        } while (grown(&page));
        status = page.status;
        CHECK(status == PLEXINDEX_OK || status == PLEXINDEX_NOT_FOUND);
        CHECK(head_of(&page)->count == 1);
        answer = answer_of(&page, 0);
        CHECK(answer->status == status);
        CHECK(answer->candidates_count <= rows);
        CHECK((answer->candidates_count == 0) == (status == PLEXINDEX_NOT_FOUND));
        for (i = 0; i < answer->candidates_count; i++) {
            const plexindex_item *item = candidate_of(&page, answer, i);
            check_item(&page, item);
            CHECK(text_of(&page, item->title) != NULL && text_of(&page, item->path) != NULL);
            sum += strtoull(text_of(&page, item->rating_key), NULL, 10);
            items++;
        }
        forget(&page);
    } while (status == PLEXINDEX_OK);
    CHECK(items == MOVIES);
    return sum;
}

/* Nothing but a key can be recorded: it would come back as the answer, and become a part of a URL. */
static void keys(void)
{
    static const char *const none[] = {"", "/library/metadata/", "a b\n", "-1", "1?x=1", "1#x", "1,2", "1/2", "7\t"};
    plexindex_buffer buffer = {NULL, 0, 0};
    size_t at;
    for (at = 0; at < sizeof none / sizeof *none; at++) {
        size_t length = strlen(none[at]);
        CHECK_REFUSED(PLEXINDEX_INVALID_ARGUMENT, plexindex_record_match(library, "/a", 2, none[at], length, 0, ERROR), "is not the key");
        CHECK_REFUSED(PLEXINDEX_INVALID_ARGUMENT, plexindex_record_matches(library, "/a", 3, none[at], length + 1, 1, 0, 0, ERROR), "is not the key");
        CHECK_REFUSED(PLEXINDEX_INVALID_ARGUMENT, plexindex_invalidate_item(library, none[at], length, ERROR), "is not the key");
        CHECK_REFUSED(PLEXINDEX_INVALID_ARGUMENT, plexindex_get_item_json(library, none[at], length, &buffer, ERROR), "is not the key");
    }
    CHECK_STATUS(PLEXINDEX_OK, plexindex_record_match(library, "/a", 2, "900001", 6, 0, ERROR));
    CHECK_STATUS(PLEXINDEX_OK, plexindex_record_match(library, "/a", 2, "/library/metadata/900001", 24, 0, ERROR));
    CHECK(strcmp(plexindex_lookup_key(library, "/a"), "/library/metadata/900001") == 0);
}

int main(int argc, char **argv)
{
    struct setting setting = setting_of(argc, argv);
    plexindex_options options = options_of(&setting);
    plexindex_handle *handle = opened(&options);
    plexindex_query query;
    uint64_t memory[64];
    plexindex_buffer buffer = {memory, sizeof memory, 0};
    plexindex_buffer empty = {NULL, 0, 0};
    uint64_t sum;
    long before;

    /* Nothing is known yet, and no server is asked. */
    library = library_of(handle, "Movies");
    CHECK_REFUSED(PLEXINDEX_NOT_FETCHED, plexindex_list_items(library, &cursor, 10, &buffer, ERROR), "Movies");
    CHECK(requests() == 0);

    /* Known, and never fetched: an empty page would say that it has no items. */
    query = query_of(NULL, NULL);
    CHECK_STATUS(PLEXINDEX_BUFFER_TOO_SMALL, plexindex_list_libraries_json(handle, &query, &empty, ERROR));
    before = requests();
    CHECK_REFUSED(PLEXINDEX_NOT_FETCHED, plexindex_list_items(library, &cursor, 10, &buffer, ERROR), "never fetched");
    CHECK_REFUSED(PLEXINDEX_NOT_FETCHED, plexindex_get_item_json(library, "1", 1, &buffer, ERROR), "never fetched");
    CHECK(requests() == before && cursor == 0);

    query = query_of(library, NULL);
    CHECK_STATUS(PLEXINDEX_OK, plexindex_refresh(handle, &query, ERROR));
    before = requests();
    sum = sum_of_keys(handle, 1000);
    CHECK(sum > 0);
    CHECK(sum_of_keys(handle, MOVIES) == sum);
    CHECK(sum_of_keys(handle, 10000) == sum);
    CHECK(sum_of_keys(handle, 100) == sum);
    CHECK(sum_of_keys(handle, 7) == sum);
    cursor = -1;
    CHECK_REFUSED(PLEXINDEX_INVALID_ARGUMENT, plexindex_list_items(library, &cursor, 10, &buffer, ERROR), "cursor is -1", "give 0");
    cursor = INT64_MIN;
    CHECK_REFUSED(PLEXINDEX_INVALID_ARGUMENT, plexindex_list_items(library, &cursor, 10, &buffer, ERROR), "cursor is -");
    CHECK(requests() == before);
    keys();
    CHECK_STATUS(PLEXINDEX_OK, plexindex_close(handle, ERROR));
    return 0;
}
