/*
 * The functions that read a block never return memory outside of it, even if the block is damaged, cut or never
 * written. check_block() compares their results with the offsets for every answer of these programs.
 */
#include "block.h"

/* Reads a whole block, with the last byte of each text. */
static unsigned long walk(const plexindex_buffer *block)
{
    unsigned long sum = 0;
    size_t answers = plexindex_count_answers(block);
    size_t i;
    size_t j;
    for (i = 0; i < answers; i++) {
        const plexindex_answer *answer = plexindex_get_answer(block, i);
        const plexindex_item *item;
        const char *text;
        CHECK(answer != NULL);
        text = plexindex_get_text(block, &answer->message);
        sum += text == NULL ? 1 : strlen(text);
        item = plexindex_get_item(block, answer);
        sum += item == NULL ? 1 : item->flags;
        for (j = 0; (item = plexindex_get_candidate(block, answer, j)) != NULL; j++) {
            const plexindex_text texts[] = {item->key, item->rating_key, item->title, item->guid, item->show_title,
                                            item->show_rating_key, item->show_guid, item->path, item->section,
                                            item->library_title};
            size_t k;
            for (k = 0; k < sizeof texts / sizeof *texts; k++) {
                text = plexindex_get_text(block, &texts[k]);
                sum += text == NULL ? 1 : (unsigned char)text[texts[k].length];
            }
        }
    }
    return sum;
}

/* Copies a block into memory of its exact size, so that a sanitizer finds reads beyond it. */
static plexindex_buffer copy_of(const plexindex_buffer *block, size_t length)
{
    plexindex_buffer copy = {malloc(length == 0 ? 1 : length), length, length};
    CHECK(copy.data != NULL);
    memcpy(copy.data, block->data, length);
    return copy;
}

static void damaged(const plexindex_buffer *block)
{
    static const uint32_t numbers[] = {0, 1, 2, 3, 8, 100, 1000, 1u << 16, 0x7fffffff, 0x80000000, 0xfffffff8,
        0xffffffff};
    size_t at;
    size_t i;
    for (at = 0; at + 4 <= block->length; at += 4) {
        for (i = 0; i < sizeof numbers / sizeof *numbers; i++) {
            plexindex_buffer copy = copy_of(block, block->length);
            memcpy((char *)copy.data + at, &numbers[i], 4);
            walk(&copy);
            free(copy.data);
        }
    }
    for (at = 0; at < block->length; at++) {
        plexindex_buffer copy = copy_of(block, at);
        walk(&copy);
        free(copy.data);
    }
}

static void no_blocks(const plexindex_buffer *block)
{
    static const char json[] = "{\"this\": \"is no block of answers, and long enough to be one\"}";
    uint64_t memory[64];
    plexindex_buffer other = {memory, sizeof memory, sizeof memory};
    const plexindex_answer *answer = plexindex_get_answer(block, 0);
    plexindex_answer odd[2];
    const plexindex_answer *shifted = (const void *)((char *)odd + 1);
    CHECK(plexindex_count_answers(NULL) == 0);
    CHECK(plexindex_get_answer(NULL, 0) == NULL);
    CHECK(plexindex_get_answer(block, 1) == NULL);
    CHECK(plexindex_get_answer(block, SIZE_MAX) == NULL);
    CHECK(plexindex_get_item(block, NULL) == NULL);
    /* `&item->path` without an item. */
    CHECK(plexindex_get_text(block, (const plexindex_text *)offsetof(plexindex_item, path)) == NULL);
    plexindex_buffer_free(NULL);
    CHECK(plexindex_get_item(NULL, answer) == NULL);
    CHECK(plexindex_get_candidate(block, NULL, 0) == NULL);
    CHECK(plexindex_get_candidate(block, answer, SIZE_MAX) == NULL);
    CHECK(plexindex_get_text(block, NULL) == NULL);
    CHECK(plexindex_get_text(NULL, &answer->message) == NULL);
    memset(memory, 0xff, sizeof memory);
    CHECK(plexindex_count_answers(&other) == 0);
    memset(memory, 0, sizeof memory);
    CHECK(plexindex_count_answers(&other) == 0);
    memcpy(memory, json, sizeof json);
    CHECK(plexindex_count_answers(&other) == 0);
    /* The state after a call that wrote nothing. */
    other = *block;
    other.length = 0;
    CHECK(plexindex_count_answers(&other) == 0);
    other.length = other.capacity + 1;
    CHECK(plexindex_count_answers(&other) == 0);
    other = *block;
    other.data = NULL;
    CHECK(plexindex_count_answers(&other) == 0);
    other.data = (char *)block->data + 4;
    CHECK(plexindex_count_answers(&other) == 0);
    /* A copy of an answer outside of the block. */
    memcpy((char *)odd + 1, answer, sizeof *answer);
    CHECK(plexindex_get_item(block, shifted) == plexindex_get_item(block, answer));
}

int main(int argc, char **argv)
{
    struct setting setting = setting_of(argc, argv);
    plexindex_options options = options_of(&setting);
    plexindex_handle *handle = opened(&options);
    const plexindex_library_handle *movies = library_of(handle, "Movies");
    plexindex_query query = query_of(movies, "/somewhere/else/twin.mkv");
    struct answered answered = ask(plexindex_match_path, handle, &query);
    const plexindex_answer *answer = plexindex_get_answer(&answered.buffer, 0);
    const plexindex_item *item = plexindex_get_candidate(&answered.buffer, answer, 1);

    CHECK_STATUS(PLEXINDEX_AMBIGUOUS, answered.status);
    CHECK(plexindex_get_item(&answered.buffer, answer) == NULL);
    CHECK(strstr(plexindex_get_text(&answered.buffer, &answer->message), "2 items") != NULL);
    CHECK(strncmp(plexindex_get_text(&answered.buffer, &item->title), "Twin ", 5) == 0);
    CHECK(plexindex_get_text(&answered.buffer, &item->show_title) == NULL);
    damaged(&answered.buffer);
    no_blocks(&answered.buffer);
    forget(&answered);
    CHECK_STATUS(PLEXINDEX_OK, plexindex_close(handle, ERROR));
    return 0;
}
