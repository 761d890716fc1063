/*
 * Batch edits: what is sent, what is refused before anything is sent, and the report, which is there after errors too.
 */
#include "check.h"

static plexindex_bytes block(const char *text, size_t length)
{
    plexindex_bytes bytes;
    bytes.data = text;
    bytes.length = length;
    return bytes;
}

/* A string literal of texts, each followed by a NUL: the last one is the compiler's. */
#define BLOCK(text) block(text, sizeof text)

int main(int argc, char **argv)
{
    struct setting setting = setting_of(argc, argv);
    plexindex_options options = options_of(&setting);
    plexindex_handle *handle;
    const plexindex_library_handle *movies;
    plexindex_query query;
    plexindex_edit edit;
    plexindex_edit_report report;
    uint8_t states[4] = {9, 9, 9, 9};
    struct {
        plexindex_edit edit;
        uint64_t later;
    } larger;
    long before;

    options.retry_ms = PLEXINDEX_NO_RETRY;
    handle = opened(&options);
    movies = library_of(handle, "Movies");
    query = query_of(movies, NULL);
    CHECK_STATUS(PLEXINDEX_OK, plexindex_refresh(handle, &query, ERROR));

    memset(&edit, 0, sizeof edit);
    edit.size = sizeof edit;
    edit.library = movies;
    edit.keys = BLOCK("1001\0/library/metadata/1002");
    edit.keys_count = 2;
    edit.changes = BLOCK("title\0A & B\0genre+\0Drama\0genre+\0Film Noir\0label-\0Old, new\0summary!\0");
    edit.changes_count = 5;
    memset(&report, 0, sizeof report);
    report.size = sizeof report;
    report.states = states;
    report.states_capacity = 4;
    before = requests();
    CHECK_STATUS(PLEXINDEX_OK, plexindex_edit_items(&edit, &report, ERROR));
    CHECK(requests() == before + 1);
    CHECK(report.done == 2 && report.failed == 0 && report.requests == 1);
    CHECK(states[0] == PLEXINDEX_EDITED_DONE && states[1] == PLEXINDEX_EDITED_DONE && states[2] == 9);
    CHECK(strcmp(harness("edited"),
                 "/library/sections/1/all?genre.locked=1&genre%5B0%5D.tag.tag=Drama&genre%5B1%5D.tag.tag=Film%20Noir"
                 "&id=1001%2C1002&label.locked=1&label%5B%5D.tag.tag-=Old%252C%2520new&summary.locked=1"
                 "&title.locked=1&title.value=A%20%26%20B&type=1")
          == 0);
    edit.changes = BLOCK("title\0");
    edit.changes_count = 1;
    edit.lock = PLEXINDEX_EDIT_UNLOCK;
    CHECK_STATUS(PLEXINDEX_OK, plexindex_edit_items(&edit, NULL, ERROR));
    CHECK(strcmp(harness("edited"), "/library/sections/1/all?id=1001%2C1002&title.locked=0&title.value=&type=1") == 0);
    edit.lock = PLEXINDEX_EDIT_LEAVE;
    CHECK_STATUS(PLEXINDEX_OK, plexindex_edit_items(&edit, NULL, ERROR));
    CHECK(strcmp(harness("edited"), "/library/sections/1/all?id=1001%2C1002&title.value=&type=1") == 0);
    edit.lock = PLEXINDEX_EDIT_LOCK;

    /* Refused: nothing is sent. */
    before = requests();
    CHECK_REFUSED(PLEXINDEX_NULL_POINTER, plexindex_edit_items(NULL, NULL, ERROR), "edit");
    edit.keys_count = 0;
    CHECK_REFUSED(PLEXINDEX_INVALID_ARGUMENT, plexindex_edit_items(&edit, NULL, ERROR), "edit.keys");
    edit.keys = block(NULL, 0);
    CHECK_REFUSED(PLEXINDEX_INVALID_ARGUMENT, plexindex_edit_items(&edit, NULL, ERROR), "the whole library");
    edit.keys = BLOCK("1001");
    edit.keys_count = 1;
    edit.changes_count = SIZE_MAX;
    CHECK_REFUSED(PLEXINDEX_INVALID_ARGUMENT, plexindex_edit_items(&edit, NULL, ERROR), "edit.changes_count");
    edit.changes_count = 2;
    CHECK_REFUSED(PLEXINDEX_INVALID_ARGUMENT, plexindex_edit_items(&edit, NULL, ERROR), "edit.changes");
    edit.changes_count = 1;
    edit.changes = BLOCK("title!\0x");
    CHECK_REFUSED(PLEXINDEX_INVALID_ARGUMENT, plexindex_edit_items(&edit, NULL, ERROR), "title!", "value");
    edit.changes = BLOCK("+\0x");
    CHECK_REFUSED(PLEXINDEX_INVALID_ARGUMENT, plexindex_edit_items(&edit, NULL, ERROR), "valid field name");
    edit.changes = BLOCK("title\0\xff");
    CHECK_REFUSED(PLEXINDEX_INVALID_ARGUMENT, plexindex_edit_items(&edit, NULL, ERROR), "UTF-8");
    edit.changes = BLOCK("title\0x");
    edit.lock = 7;
    CHECK_REFUSED(PLEXINDEX_INVALID_ARGUMENT, plexindex_edit_items(&edit, NULL, ERROR), "edit.lock");
    edit.lock = 0;
    edit.reserved = 1;
    CHECK_REFUSED(PLEXINDEX_UNSUPPORTED, plexindex_edit_items(&edit, NULL, ERROR), "reserved");
    edit.reserved = 0;
    edit.deadline_ms = -5;
    CHECK_REFUSED(PLEXINDEX_INVALID_ARGUMENT, plexindex_edit_items(&edit, NULL, ERROR), "edit.deadline_ms");
    edit.deadline_ms = 0;
    edit.library = NULL;
    CHECK_REFUSED(PLEXINDEX_NULL_POINTER, plexindex_edit_items(&edit, NULL, ERROR), "library");
    edit.library = library_of(handle, NULL);
    CHECK_REFUSED(PLEXINDEX_INVALID_ARGUMENT, plexindex_edit_items(&edit, NULL, ERROR), "name one");
    edit.library = movies;
    report.states = NULL;
    CHECK_REFUSED(PLEXINDEX_NULL_POINTER, plexindex_edit_items(&edit, &report, ERROR), "out_report.states");
    report.states = states;
    report.size = 1;
    CHECK_REFUSED(PLEXINDEX_INVALID_ARGUMENT, plexindex_edit_items(&edit, &report, ERROR), "out_report.size");
    report.size = sizeof report;
    memset(&larger, 0, sizeof larger);
    larger.edit = edit;
    larger.edit.size = sizeof larger;
    larger.later = 1;
    CHECK_REFUSED(PLEXINDEX_UNSUPPORTED, plexindex_edit_items(&larger.edit, NULL, ERROR), "edit");
    CHECK(requests() == before);

    /* An item that is not there keeps the others from being edited. */
    edit.keys = BLOCK("1001\0" "777777");
    edit.keys_count = 2;
    CHECK_REFUSED(PLEXINDEX_NOT_ON_SERVER, plexindex_edit_items(&edit, &report, ERROR), "777777");
    CHECK(requests() == before + 1);
    CHECK(report.done == 0 && report.requests == 0);
    CHECK(states[0] == PLEXINDEX_EDITED_NO && states[1] == PLEXINDEX_EDITED_MISSING);

    /* A server that refuses is quoted, and the report says what is not known. */
    edit.keys = BLOCK("1001");
    edit.keys_count = 1;
    harness("fault {\"kind\":\"edit\",\"action\":\"status\",\"status\":409}");
    CHECK_REFUSED(PLEXINDEX_SERVER_ERROR, plexindex_edit_items(&edit, &report, ERROR), "409", "Movies");
    CHECK(report.done == 0 && report.failed == 1 && report.requests == 1);
    CHECK(states[0] == PLEXINDEX_EDITED_FAILED);

    CHECK_STATUS(PLEXINDEX_OK, plexindex_close(handle, ERROR));
    return 0;
}
