#include <plexindex.h>
#include <stdio.h>
#include <string.h>

#define TEXT(text) {(text), strlen(text)}

int main(int argc, char **argv) // URL TOKEN FOLDER LIBRARY FILE
{
    if (argc != 6) return 2;
    plexindex_options options = {
        .size = sizeof options, .server_url = TEXT(argv[1]), .token = TEXT(argv[2]), .cache_dir = TEXT(argv[3])};
    plexindex_handle *index = NULL;
    const plexindex_library_handle *library = NULL;
    int32_t status = plexindex_open(&options, &index); // the folder is made, nothing is fetched
    if (status == PLEXINDEX_OK)
        status = plexindex_library(index, PLEXINDEX_SELECT_TITLE, argv[4], strlen(argv[4]), &library);

    uint64_t memory[4096]; // 32 KiB: room for 16 candidates with paths of 1,000 bytes
    plexindex_buffer answer = {.data = memory, .capacity = sizeof memory};
    plexindex_query query = {.size = sizeof query, .library = library, .text = TEXT(argv[5])};
    if (status == PLEXINDEX_OK)
        status = plexindex_match_path(index, &query, &answer); // fetches the library where it must

    const char *key = plexindex_lookup_key(library, argv[5]); // never fetches
    printf("%s: %s\n", plexindex_status_name(status), key != NULL ? key : "not known to a fast lookup");
    if (status >= 100) fprintf(stderr, "%s\n", plexindex_last_error_message());
    return plexindex_close(index) == PLEXINDEX_OK && status < 100 ? 0 : 1;
}
