/* Finds the item of a file: match URL TOKEN CACHE LIBRARY FILE */
#include <plexindex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static plexindex_error error; /* the text of the last error */

static const char *or_nothing(const char *text)
{
    return text != NULL ? text : "";
}

static void show(const plexindex_buffer *block, const plexindex_item *item)
{
    printf("  %s  %s", plexindex_get_text(block, &item->key), or_nothing(plexindex_get_text(block, &item->title)));
    if (item->year != 0) printf(" (%d)", (int)item->year);
    putchar('\n');
}

static int32_t ask(plexindex_handle *index, const char *title, const char *file)
{
    const plexindex_library_handle *library = NULL;
    plexindex_buffer block = {0};
    int32_t status = plexindex_get_library(index, PLEXINDEX_SELECT_TITLE, title, strlen(title), &library,
        &error.buffer);
    if (status == PLEXINDEX_OK) {
        plexindex_query query = plexindex_query_init(file);
        query.library = library;
        do status = plexindex_match_path(index, &query, &block, &error.buffer); /* fetches the library if necessary */
        while (plexindex_buffer_grow(&block, status));
    }
    printf("%s\n", plexindex_get_status_name(status));
    if (status < 100) {
        const plexindex_answer *answer = plexindex_get_answer(&block, 0);
        const plexindex_item *item = plexindex_get_sure_item(&block, answer);
        const char *why = plexindex_get_text(&block, &answer->message);
        if (why != NULL) printf("  %s\n", why);
        if (item != NULL) show(&block, item);
        for (uint32_t i = 0; item == NULL && i < answer->candidates_count; i++)
            show(&block, plexindex_get_candidate(&block, answer, i));
    } else {
        fprintf(stderr, "%s\n", error.text);
    }
    plexindex_buffer_free(&block);
    return status;
}

int main(int argc, char **argv)
{
    plexindex_handle *index = NULL;
    int32_t status;
    if (argc != 6) {
        fputs("match URL TOKEN CACHE LIBRARY FILE\n", stderr);
        return 2;
    }
    plexindex_error_init(&error);
    plexindex_options options = plexindex_options_init();
    options.server_url = plexindex_bytes_of(argv[1]);
    options.token = plexindex_bytes_of(argv[2]);
    options.cache_dir = plexindex_bytes_of(argv[3]);
    status = plexindex_open(&options, &index, &error.buffer); /* creates the folder, and sends no request */
    if (status != PLEXINDEX_OK) {
        fprintf(stderr, "%s\n", error.text);
        return 1;
    }
    status = ask(index, argv[4], argv[5]);
    return plexindex_close(index, NULL) == PLEXINDEX_OK && status < 100 ? 0 : 1;
}
