/* Stores a value for every process that has the folder open: tables CACHE NAME [VALUE]
 *
 * Needs no server. Without VALUE it prints the stored value.
 */
#include <plexindex.h>
#include <stdio.h>
#include <string.h>

int main(int argc, char **argv)
{
    plexindex_handle *index = NULL;
    const plexindex_table_handle *notes = NULL;
    plexindex_error error;
    plexindex_error_init(&error);
    int32_t status;
    if (argc != 3 && argc != 4) {
        fputs("tables CACHE NAME [VALUE]\n", stderr);
        return 2;
    }
    plexindex_options options = plexindex_options_init();
    options.cache_dir = plexindex_bytes_of(argv[1]);
    status = plexindex_open(&options, &index, &error.buffer);
    if (status == PLEXINDEX_OK) status = plexindex_get_table(index, "notes", strlen("notes"), 0, &notes, &error.buffer);
    if (status == PLEXINDEX_OK && argc == 4) {
        status = plexindex_table_put(notes, argv[2], strlen(argv[2]), argv[3], strlen(argv[3]), PLEXINDEX_TTL_NEVER,
                                     1000000, &error.buffer); /* bytes that the table may take */
    } else if (status == PLEXINDEX_OK) {
        uint64_t memory[512]; /* aligned, as memory for values must be */
        plexindex_buffer value = {.data = memory, .capacity = sizeof memory};
        status = plexindex_table_get(notes, argv[2], strlen(argv[2]), &value, &error.buffer);
        if (status == PLEXINDEX_OK) puts((const char *)memory);
    }
    if (status >= 100) fprintf(stderr, "%s\n", error.text);
    if (status == PLEXINDEX_NOT_FOUND) fprintf(stderr, "there is no value of %s\n", argv[2]);
    return plexindex_close(index, NULL) == PLEXINDEX_OK && status == PLEXINDEX_OK ? 0 : 1;
}
