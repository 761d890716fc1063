/* What changed since the last run, and then until nothing changes for SECONDS: feed URL TOKEN FOLDER FILE SECONDS
 * FILE keeps the place in the feed between runs. Each page is printed as a line of JSON. */
#include <plexindex_more.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static plexindex_error error; /* the text of the last one */
static char place[256]; /* a cursor is 200 bytes at most */

/* Prints the changes since `place`, page by page, and moves it on: what was printed is not told again. */
static int32_t tell(const plexindex_handle *index, const char *file)
{
    plexindex_buffer json = {0};
    int32_t status, more = 1;
    while (more) {
        plexindex_query query = plexindex_query_init(place);
        const char *cursor, *text;
        FILE *kept;
        while ((status = plexindex_list_changes_json(index, &query, 1000, &json, &error.buffer)) == PLEXINDEX_BUFFER_TOO_SMALL) {
            void *larger = realloc(json.data, json.length + 1);
            if (larger == NULL) abort();
            json.data = larger;
            json.capacity = json.length;
        }
        if (status != PLEXINDEX_OK) break;
        text = json.data;
        ((char *)json.data)[json.length] = '\0';
        printf("%s\n", text);
        more = strstr(text, "\"more\":true") != NULL;
        cursor = strstr(text, "\"cursor\":\"") + strlen("\"cursor\":\""); /* quotes in titles are escaped */
        snprintf(place, sizeof place, "%.*s", (int)strcspn(cursor, "\""), cursor);
        kept = fopen(file, "w");
        if (kept == NULL || fputs(place, kept) < 0 || fclose(kept) != 0) abort();
    }
    free(json.data);
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
    if (status == PLEXINDEX_OK) status = tell(index, argv[4]);
    query.deadline_ms = (int64_t)atoi(argv[5]) * 1000;
    while (status == PLEXINDEX_OK && query.deadline_ms > 0) {
        query.text = plexindex_bytes_of(place);
        status = plexindex_wait_for_changes(index, &query, &error.buffer);
        if (status != PLEXINDEX_OK) break;
        status = plexindex_refresh(index, &query, &error.buffer);
        if (status == PLEXINDEX_OK) status = tell(index, argv[4]);
    }
    if (status == PLEXINDEX_LIST_AGAIN) remove(argv[4]); /* and list all: an empty text with PLEXINDEX_QUERY_FULL */
    if (status >= 100) fprintf(stderr, "%s\n", error.text);
    return plexindex_close(index, NULL) == PLEXINDEX_OK && status < 100 ? 0 : 1;
}
