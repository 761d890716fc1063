/* What changed since the last run, and then until nothing changes for SECONDS: feed URL TOKEN FOLDER FILE SECONDS
 * FILE keeps the place in the feed between runs. Each page is printed as a line of JSON. */
#include <plexindex_more.h>
#include <stdio.h>
#include <stdlib.h>

static plexindex_error error; /* the text of the last one */
static char place[256]; /* a cursor is 200 bytes at most */

/* Prints the changes since `place`, page by page, and moves it on, so that no change is printed twice. */
static int32_t print_changes(const plexindex_handle *index, const char *file)
{
    plexindex_buffer json = {0};
    int32_t status, more = 1;
    while (more) {
        plexindex_query query = plexindex_query_init(place);
        FILE *kept;
        do status = plexindex_list_changes_json(index, &query, 1000, &json, &error.buffer);
        while (plexindex_buffer_grow(&json, status));
        if (status != PLEXINDEX_OK) break;
        puts(json.data);
        more = plexindex_get_cursor(&json, place, sizeof place);
        kept = fopen(file, "w");
        if (kept == NULL || fputs(place, kept) < 0 || fclose(kept) != 0) abort();
    }
    plexindex_buffer_free(&json);
    return status;
}

int main(int argc, char **argv)
{
    plexindex_handle *index = NULL;
    plexindex_query query = plexindex_query_init(NULL);
    int32_t status;
    FILE *kept = argc == 6 ? fopen(argv[4], "r") : NULL;
    if (argc != 6) return fputs("feed URL TOKEN FOLDER FILE SECONDS\n", stderr), 2;
    if (kept != NULL && fgets(place, sizeof place, kept) == NULL) place[0] = '\0'; /* empty: the feed begins now */
    if (kept != NULL) fclose(kept);
    plexindex_error_init(&error);
    plexindex_options options = plexindex_options_init();
    options.server_url = plexindex_bytes_of(argv[1]);
    options.token = plexindex_bytes_of(argv[2]);
    options.cache_dir = plexindex_bytes_of(argv[3]);
    status = plexindex_open(&options, &index, &error.buffer);
    if (status == PLEXINDEX_OK) status = plexindex_refresh(index, &query, &error.buffer); /* asks where a listing has expired */
    if (status == PLEXINDEX_OK) status = print_changes(index, argv[4]);
    query.deadline_ms = (int64_t)atoi(argv[5]) * 1000;
    while (status == PLEXINDEX_OK && query.deadline_ms > 0) {
        query.text = plexindex_bytes_of(place);
        status = plexindex_wait_for_changes(index, &query, &error.buffer);
        if (status != PLEXINDEX_OK) break;
        status = plexindex_refresh(index, &query, &error.buffer);
        if (status == PLEXINDEX_OK) status = print_changes(index, argv[4]);
    }
    if (status == PLEXINDEX_LIST_AGAIN) remove(argv[4]); /* and list all: an empty text with PLEXINDEX_QUERY_FULL */
    if (status >= 100) fprintf(stderr, "%s\n", error.text);
    return plexindex_close(index, NULL) == PLEXINDEX_OK && status < 100 ? 0 : 1;
}
