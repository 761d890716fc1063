/* Keeps a value of the host's own, for every process that has the folder open: tables FOLDER NAME [VALUE]
 *
 * Needs no server. Without VALUE it prints what was kept.
 */
#include <plexindex.h>
#include <stdio.h>
#include <string.h>

#define TEXT(text) {(text), strlen(text)}

int main(int argc, char **argv)
{
    plexindex_handle *index = NULL;
    const plexindex_table_handle *notes = NULL;
    char message[1024] = "";
    plexindex_buffer error = {.data = message, .capacity = sizeof message};
    int32_t status;
    if (argc != 3 && argc != 4) {
        fputs("tables FOLDER NAME [VALUE]\n", stderr);
        return 2;
    }
    plexindex_options options = {.size = sizeof options, .cache_dir = TEXT(argv[1])};
    status = plexindex_open(&options, &index, &error);
    if (status == PLEXINDEX_OK) status = plexindex_table(index, "notes", strlen("notes"), 0, &notes, &error);
    if (status == PLEXINDEX_OK && argc == 4) {
        status = plexindex_table_put(notes, argv[2], strlen(argv[2]), argv[3], strlen(argv[3]), PLEXINDEX_TTL_NEVER,
                                     1000000, &error); /* bytes that all tables may take */
    } else if (status == PLEXINDEX_OK) {
        char memory[4096];
        plexindex_buffer value = {.data = memory, .capacity = sizeof memory};
        status = plexindex_table_get(notes, argv[2], strlen(argv[2]), &value, &error);
        if (status == PLEXINDEX_OK) puts(memory);
    }
    if (status >= 100) fprintf(stderr, "%s\n", message);
    if (status == PLEXINDEX_NOT_FOUND) fprintf(stderr, "nothing is kept as %s\n", argv[2]);
    return plexindex_close(index, NULL) == PLEXINDEX_OK && status == PLEXINDEX_OK ? 0 : 1;
}
