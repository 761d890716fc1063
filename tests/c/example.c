#include <plexindex.h>
#include <stdio.h>

int main(int argc, char **argv)
{
    if (argc != 5) return fputs("example URL TOKEN CACHE FILE\n", stderr), 2;
    plexindex_error error;
    plexindex_buffer *failed = plexindex_error_init(&error), block = {0};
    plexindex_options options = plexindex_options_init();
    options.server_url = plexindex_bytes_of(argv[1]);
    options.token = plexindex_bytes_of(argv[2]);
    options.cache_dir = plexindex_bytes_of(argv[3]); // creates the folder, and sends no request
    plexindex_query query = plexindex_query_init(argv[4]); // in all libraries
    plexindex_handle *index = NULL;
    int32_t status = plexindex_open(&options, &index, failed);
    if (status == PLEXINDEX_OK)
        do status = plexindex_match_path(index, &query, &block, failed); // fetches a library if necessary
        while (plexindex_buffer_grow(&block, status));
    const plexindex_answer *answer = plexindex_get_answer(&block, 0);     // NULL after an error
    const plexindex_item *item = plexindex_get_sure_item(&block, answer); // NULL unless the confidence is high
    const char *text = item != NULL ? plexindex_get_text(&block, &item->key)
        : answer != NULL ? plexindex_get_text(&block, &answer->message) : error.text;
    const char *word = plexindex_get_status_name(status);
    if (status == PLEXINDEX_OK) word = item != NULL ? "sure" : "not sure";
    printf("%s: %s\n", word, text);
    plexindex_buffer_free(&block);
    return plexindex_close(index, NULL) == PLEXINDEX_OK && item != NULL ? 0 : 1;
}
