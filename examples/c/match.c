/* Which item is this file? match URL TOKEN FOLDER LIBRARY FILE */
#include <plexindex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TEXT(text) {(text), strlen(text)}

/* What lies so many bytes after the first byte of an answer. */
static const void *at(const plexindex_buffer *answer, uint32_t offset)
{
    return (const char *)answer->data + offset;
}

static void show(const plexindex_buffer *answer, const plexindex_item *item)
{
    const char *title = item->title.offset != 0 ? at(answer, item->title.offset) : "";
    printf("  %s  %s", (const char *)at(answer, item->key.offset), title);
    if (item->year != 0) printf(" (%d)", (int)item->year);
    putchar('\n');
}

/* Asks, with more memory if the answer needs it. */
static int32_t match(const plexindex_handle *index, const plexindex_query *query, plexindex_buffer *answer)
{
    for (;;) {
        int32_t status = plexindex_match_path(index, query, answer); /* fetches the library where it must */
        void *more;
        if (status != PLEXINDEX_BUFFER_TOO_SMALL) return status;
        more = realloc(answer->data, answer->length);
        if (more == NULL) return status;
        answer->data = more;
        answer->capacity = answer->length;
    }
}

static int32_t ask(plexindex_handle *index, const char *title, const char *file)
{
    const plexindex_library_handle *library = NULL;
    plexindex_buffer buffer = {0};
    int32_t status = plexindex_library(index, PLEXINDEX_SELECT_TITLE, title, strlen(title), &library);
    if (status == PLEXINDEX_OK) {
        plexindex_query query = {.size = sizeof query, .library = library, .text = TEXT(file)};
        status = match(index, &query, &buffer);
    }
    printf("%s\n", plexindex_status_name(status));
    if (status < 100) {
        const plexindex_answers *answers = buffer.data;
        const plexindex_answer *answer = at(&buffer, answers->first);
        if (answer->message.offset != 0) printf("  %s\n", (const char *)at(&buffer, answer->message.offset));
        if (answer->item != 0) show(&buffer, at(&buffer, answer->item));
        for (uint32_t i = 0; answer->item == 0 && i < answer->candidates_count; i++)
            show(&buffer, at(&buffer, answer->candidates + i * answers->item_size));
    } else {
        fprintf(stderr, "%s\n", plexindex_last_error_message());
    }
    free(buffer.data);
    return status;
}

int main(int argc, char **argv)
{
    plexindex_handle *index = NULL;
    int32_t status;
    if (argc != 6) {
        fputs("match URL TOKEN FOLDER LIBRARY FILE\n", stderr);
        return 2;
    }
    plexindex_options options = {
        .size = sizeof options, .server_url = TEXT(argv[1]), .token = TEXT(argv[2]), .cache_dir = TEXT(argv[3])};
    status = plexindex_open(&options, &index); /* the folder is made, nothing is fetched */
    if (status != PLEXINDEX_OK) {
        fprintf(stderr, "%s\n", plexindex_last_error_message());
        return 1;
    }
    status = ask(index, argv[4], argv[5]);
    return plexindex_close(index) == PLEXINDEX_OK && status < 100 ? 0 : 1;
}
