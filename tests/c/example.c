#include <plexindex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TEXT(text) {(text), strlen(text)}

int main(int argc, char **argv) // URL TOKEN FOLDER LIBRARY FILE
{
    if (argc != 6) return 2;
    char text[1024] = "";
    plexindex_buffer error = {.data = text, .capacity = sizeof text}; // receives the text of a call's error
    plexindex_options options = {
        .size = sizeof options, .server_url = TEXT(argv[1]), .token = TEXT(argv[2]), .cache_dir = TEXT(argv[3])};
    plexindex_handle *index = NULL;
    const plexindex_library_handle *library = NULL;
    int32_t status = plexindex_open(&options, &index, &error); // the folder is made, nothing is fetched
    if (status == PLEXINDEX_OK)
        status = plexindex_library(index, PLEXINDEX_SELECT_TITLE, argv[4], strlen(argv[4]), &library, &error);

    plexindex_buffer block = {.length = 4096}; // grows to what the answer needs
    plexindex_query query = {.size = sizeof query, .library = library, .text = TEXT(argv[5])};
    if (status == PLEXINDEX_OK) do {
            free(block.data);
            block = (plexindex_buffer){.data = malloc(block.length), .capacity = block.length};
            status = plexindex_match_path(index, &query, &block, &error); // fetches the library where it must
        } while (status == PLEXINDEX_BUFFER_TOO_SMALL);

    const char *key = plexindex_lookup_key(library, argv[5]); // never fetches
    printf("%s: %s\n", plexindex_status_name(status), key != NULL ? key : "not known to a fast lookup");
    const plexindex_answer *answer = plexindex_block_answer(&block, 0); // NULL after an error
    const plexindex_item *item;
    for (size_t i = 0; (item = plexindex_block_candidate(&block, answer, i)) != NULL; i++) // one, or several
        printf("  %s\n", plexindex_block_text(&block, &item->path));
    if (status >= 100) fprintf(stderr, "%s\n", text);
    free(block.data);
    return plexindex_close(index, NULL) == PLEXINDEX_OK && status < 100 ? 0 : 1;
}
