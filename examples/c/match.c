/* Which item is this file, and what is known of it? match URL TOKEN FOLDER LIBRARY FILE */
#include <plexindex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TEXT(text) {(text), strlen(text)}

static char message[1024]; /* of the last error */
static plexindex_buffer error = {.data = message, .capacity = sizeof message};

static const char *or_nothing(const char *text)
{
    return text != NULL ? text : "";
}

static void show(const plexindex_buffer *block, const plexindex_item *item)
{
    printf("  %s  %s", plexindex_block_text(block, &item->key), or_nothing(plexindex_block_text(block, &item->title)));
    if (item->year != 0) printf(" (%d)", (int)item->year);
    putchar('\n');
}

/* Asks, with more memory if the answer needs it. */
static int32_t match(const plexindex_handle *index, const plexindex_query *query, plexindex_buffer *block)
{
    for (;;) {
        int32_t status = plexindex_match_path(index, query, block, &error); /* fetches the library where it must */
        void *more;
        if (status != PLEXINDEX_BUFFER_TOO_SMALL) return status;
        more = realloc(block->data, block->length);
        if (more == NULL) return status;
        block->data = more;
        block->capacity = block->length;
    }
}

static int32_t ask(plexindex_handle *index, const char *title, const char *file)
{
    const plexindex_library_handle *library = NULL;
    plexindex_buffer block = {0};
    int32_t status = plexindex_library(index, PLEXINDEX_SELECT_TITLE, title, strlen(title), &library, &error);
    if (status == PLEXINDEX_OK) {
        plexindex_query query = {.size = sizeof query, .library = library, .text = TEXT(file)};
        status = match(index, &query, &block);
    }
    printf("%s\n", plexindex_status_name(status));
    if (status < 100) {
        const plexindex_answer *answer = plexindex_block_answer(&block, 0);
        const plexindex_item *item = plexindex_block_item(&block, answer);
        const char *why = plexindex_block_text(&block, &answer->message);
        if (why != NULL) printf("  %s\n", why);
        if (item != NULL) show(&block, item);
        for (uint32_t i = 0; item == NULL && i < answer->candidates_count; i++)
            show(&block, plexindex_block_candidate(&block, answer, i));
    } else {
        fprintf(stderr, "%s\n", message);
    }
    free(block.data);
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
    status = plexindex_open(&options, &index, &error); /* the folder is made, nothing is fetched */
    if (status != PLEXINDEX_OK) {
        fprintf(stderr, "%s\n", message);
        return 1;
    }
    status = ask(index, argv[4], argv[5]);
    return plexindex_close(index, NULL) == PLEXINDEX_OK && status < 100 ? 0 : 1;
}
