/* Prints the keys of many files: find /media -type f | lookup URL TOKEN CACHE
 *
 * A fast lookup takes a microsecond. A full query, which may fetch, follows only if the lookup finds nothing.
 */
#include <plexindex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static plexindex_error error; /* the text of the last error */

static int32_t key_of(const plexindex_handle *index, const plexindex_library_handle *all, const char *path,
                      plexindex_buffer *memory)
{
    const char *key = plexindex_lookup_key(all, path); /* never fetches */
    plexindex_query query = plexindex_query_init(path);
    int32_t status;
    if (key != NULL) {
        printf("%s\t%s\n", key, path);
        return PLEXINDEX_OK;
    }
    status = plexindex_match_path(index, &query, memory, &error.buffer);
    if (status == PLEXINDEX_OK) {
        const plexindex_item *item = plexindex_get_sure_item(memory, plexindex_get_answer(memory, 0));
        printf("%s\t%s\n", item != NULL ? plexindex_get_text(memory, &item->key) : "not sure", path);
    } else {
        printf("%s\t%s\n", plexindex_get_status_name(status), path);
        if (status >= 100) fprintf(stderr, "%s\n", error.text);
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
        fputs("lookup URL TOKEN CACHE: reads paths, one a line\n", stderr);
        return 2;
    }
    plexindex_error_init(&error);
    plexindex_options options = plexindex_options_init();
    options.server_url = plexindex_bytes_of(argv[1]);
    options.token = plexindex_bytes_of(argv[2]);
    options.cache_dir = plexindex_bytes_of(argv[3]);
    status = plexindex_open(&options, &index, &error.buffer);
    if (status == PLEXINDEX_OK) status = plexindex_get_library(index, PLEXINDEX_SELECT_ALL, NULL, 0, &all,
        &error.buffer);
    if (status != PLEXINDEX_OK) fprintf(stderr, "%s\n", error.text);
    while (status < 100 && fgets(path, sizeof path, stdin) != NULL) {
        path[strcspn(path, "\n")] = '\0';
        if (path[0] != '\0') status = key_of(index, all, path, &buffer);
    }
    return plexindex_close(index, NULL) == PLEXINDEX_OK && status < 100 ? 0 : 1;
}
