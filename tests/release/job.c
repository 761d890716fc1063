/* Each path of a list is that item: `job URL TOKEN FOLDER LIST`, lines `key<tab>path`. */
#include <plexindex.h>
#include <stdio.h>
#include <string.h>

int main(int argc, char **argv)
{
    static plexindex_error error;
    static char line[8192];
    plexindex_handle *index = NULL;
    plexindex_buffer block = {0};
    int32_t status, count = 0;
    FILE *list = argc == 5 ? fopen(argv[4], "r") : NULL;
    if (list == NULL) return 2;
    plexindex_error_init(&error);
    plexindex_options options = plexindex_options_init();
    options.server_url = plexindex_bytes_of(argv[1]);
    options.token = plexindex_bytes_of(argv[2]);
    options.cache_dir = plexindex_bytes_of(argv[3]);
    status = plexindex_open(&options, &index, &error.buffer);
    while (status == PLEXINDEX_OK && fgets(line, sizeof line, list) != NULL) {
        char *path = strchr(line, '\t');
        const plexindex_item *item;
        if (path == NULL) return 2;
        *path++ = '\0';
        path[strcspn(path, "\n")] = '\0';
        plexindex_query query = plexindex_query_init(path);
        do status = plexindex_match_path(index, &query, &block, &error.buffer);
        while (plexindex_buffer_grow(&block, status));
        item = status == PLEXINDEX_OK ? plexindex_get_item(&block, plexindex_get_answer(&block, 0)) : NULL;
        if (item == NULL || strcmp(plexindex_get_text(&block, &item->key), line) != 0) {
            fprintf(stderr, "%s is not %s: %s\n", path, line, error.text);
            return 1;
        }
        count++;
    }
    plexindex_buffer_free(&block);
    fclose(list);
    if (status != PLEXINDEX_OK || plexindex_close(index, NULL) != PLEXINDEX_OK) {
        fprintf(stderr, "%s\n", error.text);
        return 1;
    }
    printf("%d paths right\n", (int)count);
    return 0;
}
