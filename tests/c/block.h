/*
 * Asking, and a walk over a block of answers that checks each offset.
 */
#ifndef BLOCK_H
#define BLOCK_H

#include "check.h"

/* The memory of an answer, and the status of its call. */
struct answered {
    plexindex_buffer buffer;
    int32_t status;
};

static inline void check_text(const struct answered *answered, plexindex_text text)
{
    const char *base = answered->buffer.data;
    if (text.offset == 0) {
        CHECK(text.length == 0);
        CHECK(plexindex_get_text(&answered->buffer, &text) == NULL);
        return;
    }
    CHECK(plexindex_get_text(&answered->buffer, &text) == base + text.offset);
    CHECK(text.offset >= sizeof(plexindex_answers));
    CHECK(text.offset < answered->buffer.length);
    CHECK(text.length < answered->buffer.length - text.offset);
    CHECK(base[text.offset + text.length] == '\0');
    CHECK(memchr(base + text.offset, '\0', text.length) == NULL);
}

/* The head of a block. */
static inline const plexindex_answers *head_of(const struct answered *answered)
{
    return answered->buffer.data;
}

/* Returns an array of a block, after checking its offset and alignment. */
static inline const void *array_of(const struct answered *answered, uint32_t offset, size_t count, size_t step,
                                   size_t alignment)
{
    CHECK(offset >= sizeof(plexindex_answers));
    CHECK(offset % alignment == 0);
    CHECK(offset <= answered->buffer.length);
    CHECK(count <= (answered->buffer.length - offset) / step);
    return (const char *)answered->buffer.data + offset;
}

static inline const plexindex_answer *answer_of(const struct answered *answered, uint32_t index)
{
    const plexindex_answers *head = head_of(answered);
    const char *first = array_of(answered, head->first, head->count, head->answer_size, 8);
    CHECK(index < head->count);
    return (const void *)(first + (size_t)index * head->answer_size);
}

/* Returns the single item of an answer, or NULL. */
static inline const plexindex_item *item_of(const struct answered *answered, const plexindex_answer *answer)
{
    return answer->item == 0 ? NULL : array_of(answered, answer->item, 1, head_of(answered)->item_size, 4);
}

static inline const plexindex_item *candidate_of(const struct answered *answered, const plexindex_answer *answer,
                                                 uint32_t index)
{
    const plexindex_answers *head = head_of(answered);
    const char *first = array_of(answered, answer->candidates, answer->candidates_count, head->item_size, 4);
    CHECK(index < answer->candidates_count);
    return (const void *)(first + (size_t)index * head->item_size);
}

/* Returns a text of a block, or NULL. */
static inline const char *text_of(const struct answered *answered, plexindex_text text)
{
    check_text(answered, text);
    return text.offset == 0 ? NULL : (const char *)answered->buffer.data + text.offset;
}

static inline void check_item(const struct answered *answered, const plexindex_item *item)
{
    check_text(answered, item->key);
    check_text(answered, item->rating_key);
    check_text(answered, item->title);
    check_text(answered, item->guid);
    check_text(answered, item->show_title);
    check_text(answered, item->show_rating_key);
    check_text(answered, item->show_guid);
    check_text(answered, item->path);
    check_text(answered, item->section);
    check_text(answered, item->library_title);
    CHECK(item->key.offset != 0 && item->key.length != 0);
    CHECK((item->flags & ~(uint32_t)(PLEXINDEX_ITEM_PATH_NOT_UTF8 | PLEXINDEX_ITEM_KEY_ONLY)) == 0);
    CHECK(item->reserved == 0);
}

/* Checks that every offset of a block is inside it, and that every field has a value of the header. */
static inline void check_block(const struct answered *answered, uint32_t count)
{
    const plexindex_answers *head = head_of(answered);
    uint32_t i;
    uint32_t j;
    int by_end;
    int told;
    CHECK(answered->buffer.length >= sizeof *head);
    CHECK(answered->buffer.length <= answered->buffer.capacity);
    CHECK(head->size == sizeof *head);
    CHECK(head->answer_size == sizeof(plexindex_answer));
    CHECK(head->item_size == sizeof(plexindex_item));
    CHECK(head->count == count);
    CHECK(plexindex_count_answers(&answered->buffer) == count);
    CHECK(plexindex_get_answer(&answered->buffer, count) == NULL);
    for (i = 0; i < count; i++) {
        const plexindex_answer *answer = answer_of(answered, i);
        const plexindex_item *item = item_of(answered, answer);
        CHECK(plexindex_get_answer(&answered->buffer, i) == answer);
        CHECK(plexindex_get_item(&answered->buffer, answer) == item);
        CHECK(plexindex_get_candidate(&answered->buffer, answer, answer->candidates_count) == NULL);
        CHECK(strcmp(plexindex_get_status_name(answer->status), "UNKNOWN") != 0);
        CHECK(answer->match_kind <= PLEXINDEX_MATCH_FILE_NAME);
        CHECK(answer->confidence <= PLEXINDEX_CONFIDENCE_HIGH);
        CHECK(answer->reason <= PLEXINDEX_REASON_SAME_NAME);
        CHECK((answer->flags & ~PLEXINDEX_ANSWER_STALE) == 0);
        CHECK(answer->age_ms >= -1);
        check_text(answered, answer->message);
        CHECK((answer->status == PLEXINDEX_OK) == (item != NULL));
        /* A match by the end of the path has a reason. */
        by_end = answer->match_kind == PLEXINDEX_MATCH_SUFFIX || answer->match_kind == PLEXINDEX_MATCH_FILE_NAME;
        told = answer->status != PLEXINDEX_OK || by_end;
        CHECK(told == (answer->message.offset != 0));
        CHECK(told == (answer->reason != PLEXINDEX_REASON_NONE));
        CHECK((answer->candidates == 0) == (answer->candidates_count == 0));
        CHECK(answer->candidates_count <= answer->candidates_total);
        if (item != NULL) {
            CHECK(answer->match_kind != PLEXINDEX_MATCH_NONE);
            CHECK(answer->confidence != PLEXINDEX_CONFIDENCE_NONE);
            check_item(answered, item);
        }
        if (answer->status == PLEXINDEX_AMBIGUOUS) {
            CHECK(answer->candidates_total >= 2);
        }
        for (j = 0; j < answer->candidates_count; j++) {
            check_item(answered, candidate_of(answered, answer, j));
            CHECK(plexindex_get_candidate(&answered->buffer, answer, j) == candidate_of(answered, answer, j));
        }
    }
}

/* A function that answers a query. */
typedef int32_t (*ask_fn)(const plexindex_handle *, const plexindex_query *, plexindex_buffer *, plexindex_buffer *);

/* Enlarges the buffer. Returns whether to repeat the call. */
static inline int grown(struct answered *answered)
{
    if (answered->status != PLEXINDEX_BUFFER_TOO_SMALL) {
        return 0;
    }
    CHECK(answered->buffer.length > answered->buffer.capacity);
    free(answered->buffer.data);
    answered->buffer.capacity = answered->buffer.length;
    answered->buffer.data = malloc(answered->buffer.capacity);
    CHECK(answered->buffer.data != NULL);
    return 1;
}

/* Asks with a buffer that grows as needed. Free the result with forget(). */
static inline struct answered ask(ask_fn function, const plexindex_handle *handle, const plexindex_query *query)
{
    struct answered answered;
    memset(&answered, 0, sizeof answered);
    do {
        answered.status = function(handle, query, &answered.buffer, ERROR);
    } while (grown(&answered));
    if (answered.status < 100) {
        check_block(&answered, 1);
        CHECK(answer_of(&answered, 0)->status == answered.status);
    }
    return answered;
}

static inline void forget(struct answered *answered)
{
    free(answered->buffer.data);
    memset(answered, 0, sizeof *answered);
}

/* Matches a path, and checks status and key. */
static inline void check_match(const plexindex_handle *handle, const plexindex_library_handle *library,
    const char *path,
                               int32_t status, const char *key)
{
    plexindex_query query = query_of(library, path);
    struct answered answered = ask(plexindex_match_path, handle, &query);
    if (answered.status != status) {
        FAIL("%s gives %s, not %" PRId32, path, plexindex_get_status_name(answered.status), status);
    }
    if (key != NULL) {
        const plexindex_answer *answer = answer_of(&answered, 0);
        const char *got = text_of(&answered, item_of(&answered, answer)->key);
        if (strcmp(got, key) != 0) {
            FAIL("%s gives %s, not %s", path, got, key);
        }
    }
    forget(&answered);
}

#endif
