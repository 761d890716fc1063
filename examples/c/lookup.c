/* The keys of many files, as a host in a hurry asks: find /media -type f | lookup URL TOKEN FOLDER
 *
 * What a fast lookup knows costs a microsecond. Only what it does not know is asked with a full query, which may fetch.
 */
#include <plexindex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TEXT(text) {(text), strlen(text)}

static char message[1024]; /* of the last error */
static plexindex_buffer error = {.data = message, .capacity = sizeof message};

static int32_t key_of(const plexindex_handle *index, const plexindex_library_handle *all, const char *path,
                      plexindex_buffer *memory)
{
    const char *key = plexindex_lookup_key(all, path); /* never fetches */
    plexindex_query query = {.size = sizeof query, .library = all, .text = TEXT(path)};
    int32_t status;
    if (key != NULL) {
        printf("%s\t%s\n", key, path);
        return PLEXINDEX_OK;
    }
    status = plexindex_match_path(index, &query, memory, &error);
    if (status == PLEXINDEX_OK) {
        const plexindex_item *item = plexindex_block_item(memory, plexindex_block_answer(memory, 0));
        printf("%s\t%s\n", plexindex_block_text(memory, &item->key), path);
    } else {
        printf("%s\t%s\n", plexindex_status_name(status), path);
        if (status >= 100) fprintf(stderr, "%s\n", message);
    }
    return status;
}

int main(int argc, char **argv)
{
    static uint64_t memory[16384]; /* 128 KiB: 16 candidates, each with a path and a title of 4,000 bytes */
    plexindex_buffer buffer = {.data = memory, .capacity = sizeof memory};
    plexindex_handle *index = NULL;
    const plexindex_library_handle *all = NULL;
    char path[4097];
    int32_t status;
    if (argc != 4) {
        fputs("lookup URL TOKEN FOLDER: reads paths, one a line\n", stderr);
        return 2;
    }
    plexindex_options options = {
        .size = sizeof options, .server_url = TEXT(argv[1]), .token = TEXT(argv[2]), .cache_dir = TEXT(argv[3])};
    status = plexindex_open(&options, &index, &error);
    if (status == PLEXINDEX_OK) status = plexindex_library(index, PLEXINDEX_SELECT_ALL, NULL, 0, &all, &error);
    if (status != PLEXINDEX_OK) fprintf(stderr, "%s\n", message);
    while (status < 100 && fgets(path, sizeof path, stdin) != NULL) {
        path[strcspn(path, "\n")] = '\0';
        if (path[0] != '\0') status = key_of(index, all, path, &buffer);
    }
    return plexindex_close(index, NULL) == PLEXINDEX_OK && status < 100 ? 0 : 1;
}
