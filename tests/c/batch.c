/*
 * plexindex_match_paths(), plexindex_lookup_keys() and plexindex_record_matches() give, in order, the results of the
 * functions for one path.
 */
#include "block.h"

#define COUNT 500

/* Concatenated texts, each followed by a NUL. */
struct texts {
    char *data;
    size_t length;
    size_t count;
};

static void add(struct texts *texts, const char *text)
{
    size_t length = strlen(text) + 1;
    char *data = realloc(texts->data, texts->length + length);
    CHECK(data != NULL);
    memcpy(data + texts->length, text, length);
    texts->data = data;
    texts->length += length;
    texts->count++;
}

static const char *nth(const struct texts *texts, size_t n)
{
    const char *text = texts->data;
    while (n-- > 0) {
        text += strlen(text) + 1;
    }
    return text;
}

static struct answered match_all(const plexindex_handle *handle, const plexindex_library_handle *library,
                                 const struct texts *paths, uint32_t flags)
{
    struct answered answered;
    plexindex_query query = query_of(library, NULL);
    memset(&answered, 0, sizeof answered);
    query.flags = flags;
    query.text.data = paths->data;
    query.text.length = paths->length;
    do {
        answered.status = plexindex_match_paths(handle, &query, paths->count, &answered.buffer, ERROR);
    } while (grown(&answered));
    CHECK_STATUS(PLEXINDEX_OK, answered.status);
    CHECK(plexindex_count_answers(&answered.buffer) == paths->count);
    if (flags == 0) check_block(&answered, (uint32_t)paths->count);
    return answered;
}

/* Checks that two answers for a path are equal. */
static void same(const struct answered *many, uint32_t index, const struct answered *one, const char *path)
{
    const plexindex_answer *a = answer_of(many, index);
    const plexindex_answer *b = answer_of(one, 0);
    const plexindex_item *item = item_of(many, a);
    if (a->status != b->status || a->match_kind != b->match_kind || a->confidence != b->confidence ||
        a->reason != b->reason) {
        FAIL("%s: %s in a batch, %s alone", path, plexindex_get_status_name(a->status),
            plexindex_get_status_name(b->status));
    }
    CHECK(a->candidates_total == b->candidates_total);
    CHECK(a->candidates_count == b->candidates_count);
    if (item != NULL) {
        const plexindex_item *other = item_of(one, b);
        CHECK(strcmp(text_of(many, item->key), text_of(one, other->key)) == 0);
        CHECK(strcmp(text_of(many, item->title), text_of(one, other->title)) == 0);
        CHECK(strcmp(text_of(many, item->path), text_of(one, other->path)) == 0);
    }
}

/* With AT_ONCE a batch has the answers of single matches, and sends no request. Returns the number of items. */
static uint32_t items_at_once(const plexindex_handle *handle, const plexindex_library_handle *library,
    const struct texts *paths)
{
    struct answered many = match_all(handle, library, paths, PLEXINDEX_QUERY_AT_ONCE);
    long before = requests();
    uint32_t i, count = 0;
    for (i = 0; i < paths->count; i++) {
        plexindex_query query = query_of(library, nth(paths, i));
        struct answered one;
        query.flags = PLEXINDEX_QUERY_AT_ONCE;
        memset(&one, 0, sizeof one);
        do one.status = plexindex_match_path(handle, &query, &one.buffer, ERROR);
        while (grown(&one));
        same(&many, i, &one, nth(paths, i));
        CHECK(one.status < 100);
        count += one.status == PLEXINDEX_OK;
        forget(&one);
    }
    forget(&many);
    CHECK(requests() == before);
    return count;
}

/* Compares the keys of one batch with those of single lookups. */
static void check_lookups(const plexindex_library_handle *library, const struct texts *paths, size_t expected)
{
    plexindex_buffer buffer = {NULL, 0, 0};
    const char *key;
    size_t found = 0;
    size_t i;
    CHECK_STATUS(PLEXINDEX_BUFFER_TOO_SMALL,
                 plexindex_lookup_keys(library, paths->data, paths->length, paths->count, &buffer, ERROR));
    buffer.capacity = buffer.length;
    buffer.data = malloc(buffer.capacity);
    CHECK(buffer.data != NULL);
    CHECK_STATUS(PLEXINDEX_OK, plexindex_lookup_keys(library, paths->data, paths->length, paths->count, &buffer,
        ERROR));
    CHECK(buffer.length == buffer.capacity);
    key = buffer.data;
    for (i = 0; i < paths->count; i++) {
        const char *alone = plexindex_lookup_key(library, nth(paths, i));
        CHECK(key < (const char *)buffer.data + buffer.length);
        CHECK(strcmp(key, alone == NULL ? "" : alone) == 0);
        found += *key != '\0';
        key += strlen(key) + 1;
    }
    CHECK(key == (const char *)buffer.data + buffer.length);
    CHECK(found == expected);
    free(buffer.data);
}

int main(int argc, char **argv)
{
    struct setting setting = setting_of(argc, argv);
    plexindex_options options = options_of(&setting);
    plexindex_handle *handle = opened(&options);
    const plexindex_library_handle *movies = library_of(handle, "Movies");
    struct texts paths = {NULL, 0, 0};
    struct texts recorded = {NULL, 0, 0};
    struct texts keys = {NULL, 0, 0};
    struct answered many;
    char text[64];
    long before;
    uint32_t i;

    /* Listed paths, and between them one path of each other kind. */
    for (i = 0; i < COUNT; i++) {
        add(&paths, harness("path %d", (int)i));
    }
    add(&paths, "/data/movies/not there.mkv");
    add(&paths, "/elsewhere/twin.mkv");
    add(&paths, "/elsewhere/Exact (2001).mkv");
    add(&paths, "/data/movies/\xff\xfe.mkv");
    add(&paths, harness("path 0"));

    CHECK(items_at_once(handle, movies, &paths) == 0 && requests() == 0);

    /* A batch refuses memory for a part of its answers before it asks the server. */
    {
        plexindex_query query = query_of(movies, NULL);
        plexindex_buffer small = {malloc(8192), 8192, 0};
        query.text.data = paths.data;
        query.text.length = paths.length;
        CHECK(small.data != NULL);
        CHECK_STATUS(PLEXINDEX_BUFFER_TOO_SMALL, plexindex_match_paths(handle, &query, paths.count, &small, ERROR));
        CHECK(requests() == 0 && small.length > 8192);
        query.flags = PLEXINDEX_QUERY_OFFLINE;
        CHECK_STATUS(PLEXINDEX_NOT_FETCHED, plexindex_match_paths(handle, &query, paths.count, &small, ERROR));
        plexindex_buffer_free(&small);
    }

    /*
     * The first batch fetches the library once: sections, identity, two pages, sections. Paths that should be listed
     * but are not cost one probe, and one search in two spellings.
     */
    many = match_all(handle, movies, &paths, 0);
    before = requests();
    CHECK(before <= 5 + 1 + 2);
    for (i = 0; i < paths.count; i++) {
        plexindex_query query = query_of(movies, nth(&paths, i));
        struct answered one = ask(plexindex_match_path, handle, &query);
        same(&many, i, &one, nth(&paths, i));
        forget(&one);
    }
    for (i = 0; i < COUNT; i++) {
        CHECK(answer_of(&many, i)->status == PLEXINDEX_OK);
        CHECK(answer_of(&many, i)->match_kind == PLEXINDEX_MATCH_EXACT);
    }
    CHECK(answer_of(&many, COUNT)->status == PLEXINDEX_NOT_FOUND);
    CHECK(answer_of(&many, COUNT + 1)->status == PLEXINDEX_AMBIGUOUS);
    CHECK(answer_of(&many, COUNT + 2)->match_kind == PLEXINDEX_MATCH_FILE_NAME);
    CHECK(answer_of(&many, COUNT + 3)->status == PLEXINDEX_NOT_FOUND);
    CHECK(answer_of(&many, COUNT + 4)->status == PLEXINDEX_OK);
    forget(&many);
    CHECK(items_at_once(handle, movies, &paths) >= COUNT + 1);

    /* Record a hundred matches at once: the next lookup finds them. */
    for (i = 0; i < 100; i++) {
        snprintf(text, sizeof text, "/host/%d.mkv", (int)i);
        add(&recorded, text);
        add(&keys, harness("key %d", (int)i));
    }
    check_lookups(movies, &recorded, 0);
    CHECK_STATUS(PLEXINDEX_OK, plexindex_record_matches(movies, recorded.data, recorded.length, keys.data,
        keys.length, 100, 0, 0, ERROR));
    many = match_all(handle, movies, &recorded, 0);
    for (i = 0; i < 100; i++) {
        const plexindex_answer *answer = answer_of(&many, i);
        CHECK(answer->status == PLEXINDEX_OK && answer->match_kind == PLEXINDEX_MATCH_CONFIRMED);
        CHECK(strcmp(text_of(&many, item_of(&many, answer)->key), nth(&keys, i)) == 0);
    }
    forget(&many);
    check_lookups(movies, &recorded, 100);
    CHECK(requests() == before);

    /* A batch may be empty. */
    free(paths.data);
    memset(&paths, 0, sizeof paths);
    many = match_all(handle, movies, &paths, 0);
    CHECK(head_of(&many)->count == 0);
    forget(&many);

    free(recorded.data);
    free(keys.data);
    CHECK_STATUS(PLEXINDEX_OK, plexindex_close(handle, ERROR));
    return 0;
}
