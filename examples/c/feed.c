/* Keeps a map from files to rating keys by the feed of changes: feed URL TOKEN CACHE FILE SECONDS
 * FILE holds the cursor and the map between runs. The program brings the map up to date, goes on until nothing changes
 * for SECONDS, and prints it: a rating key, a tab and a path in each line. Before the first listing it waits as long for
 * a server that is away. */
#define _POSIX_C_SOURCE 200809L
#include <plexindex_more.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#ifdef _WIN32
#include <windows.h>
/* The C library's replaces no file. */
#define rename(from, to) (MoveFileExA(from, to, MOVEFILE_REPLACE_EXISTING) ? 0 : -1)
#endif

/* A file and an item that has it. A file of several items has a pair for each. */
struct pair {
    struct pair *next;
    char *key; /* behind the path */
    char path[];
};

static struct pair *map[65536];
static char cursor[256]; /* that of the last page in the map, 200 bytes at most; empty: the map has to be listed */

/* Where the pair is linked, or where it belongs. */
static struct pair **find(const char *path, const char *key)
{
    unsigned long hash = 5381;
    const char *byte;
    struct pair **link;
    for (byte = path; *byte != '\0'; byte++) hash = (hash * 33) ^ (unsigned char)*byte;
    link = &map[hash % (sizeof map / sizeof *map)];
    while (*link != NULL && (strcmp((*link)->path, path) != 0 || strcmp((*link)->key, key) != 0)) link = &(*link)->next;
    return link;
}

static void remove_pair(const char *path, const char *key)
{
    struct pair **link = find(path, key), *pair = *link;
    if (pair == NULL) return;
    *link = pair->next;
    free(pair);
}

static void add_pair(const char *path, const char *key)
{
    struct pair **link = find(path, key);
    size_t length = strlen(path) + 1;
    if (*link != NULL) return;
    *link = malloc(sizeof **link + length + strlen(key) + 1);
    if (*link == NULL) abort();
    (*link)->next = NULL;
    (*link)->key = (*link)->path + length;
    strcpy((*link)->path, path);
    strcpy((*link)->key, key);
}

/* Empties the map, so that all is listed next. */
static void begin_anew(void)
{
    size_t i;
    for (i = 0; i < sizeof map / sizeof *map; i++) {
        while (map[i] != NULL) remove_pair(map[i]->path, map[i]->key);
    }
    cursor[0] = '\0';
}

/* Applies a change. Returns 0 for one that the feed cannot tell item by item. Applying it twice does no harm. */
static int apply(const plexindex_change *change)
{
    const char *path = change->path.data, *from = change->from.data, *key = change->rating_key.data;
    const char *before = change->from_key.data != NULL ? change->from_key.data : key;
    if (strcmp(change->kind, "list_again") == 0) return 0;
    if (path != NULL) remove_pair(path, before);
    if (from != NULL) remove_pair(from, before);
    if (path != NULL && strcmp(change->kind, "removed") != 0) add_pair(path, key);
    return 1;
}

/* Applies what changed since `cursor`, page by page; with an empty one everything that is listed. */
static int32_t update(const plexindex_handle *index, plexindex_buffer *error)
{
    plexindex_buffer page = {0};
    int32_t status;
    int more = 1;
    while (more > 0) {
        plexindex_query query = plexindex_query_init(cursor);
        plexindex_change change;
        size_t position = 0;
        int is_known = 1;
        if (cursor[0] == '\0') query.flags = PLEXINDEX_QUERY_FULL;
        do status = plexindex_list_changes(index, &query, 1000, &page, error);
        while (plexindex_buffer_grow(&page, status));
        if (status != PLEXINDEX_OK && status != PLEXINDEX_LIST_AGAIN) break;
        while (is_known && plexindex_get_next_change(&page, &position, &change)) is_known = apply(&change);
        if (status == PLEXINDEX_LIST_AGAIN || !is_known) begin_anew();
        else more = plexindex_get_cursor(&page, cursor, sizeof cursor);
    }
    plexindex_buffer_free(&page);
    return status;
}

/* Stores cursor and map together: a file has both of the same time, whenever the program is killed. */
static void save(const char *name)
{
    char temporary[4096];
    const struct pair *pair;
    FILE *file;
    size_t i;
    snprintf(temporary, sizeof temporary, "%s.new", name);
    file = fopen(temporary, "wb");
    if (file == NULL) abort();
    fwrite(cursor, strlen(cursor) + 1, 1, file);
    for (i = 0; i < sizeof map / sizeof *map; i++) {
        for (pair = map[i]; pair != NULL; pair = pair->next) {
            fwrite(pair->path, strlen(pair->path) + 1, 1, file);
            fwrite(pair->key, strlen(pair->key) + 1, 1, file);
        }
    }
    if (ferror(file) || fclose(file) != 0 || rename(temporary, name) != 0) abort();
}

/* Reads a text and its NUL. Returns 0 at the end of the file. */
static int read_text(FILE *file, char *text, size_t size)
{
    size_t i;
    for (i = 0; i < size; i++) {
        int byte = getc(file);
        if (byte == EOF) return 0;
        text[i] = (char)byte;
        if (byte == '\0') return 1;
    }
    return 0;
}

static void load(const char *name)
{
    static char path[32768], key[256];
    FILE *file = fopen(name, "rb");
    if (file == NULL) return;
    if (!read_text(file, cursor, sizeof cursor)) cursor[0] = '\0';
    while (read_text(file, path, sizeof path) && read_text(file, key, sizeof key)) add_pair(path, key);
    fclose(file);
}

/* Asks the server whether anything changed, whatever the age of the listings. While it is away, changes of other
 * processes still come. */
static void refresh(const plexindex_handle *index, const plexindex_error *error, plexindex_buffer *failed)
{
    plexindex_query query = plexindex_query_init(NULL);
    query.flags = PLEXINDEX_QUERY_PROBE;
    if (plexindex_refresh(index, &query, failed) >= 100) fprintf(stderr, "%s\n", error->text);
}

int main(int argc, char **argv)
{
    plexindex_error error;
    plexindex_buffer *failed = plexindex_error_init(&error);
    plexindex_options options = plexindex_options_init();
    plexindex_handle *index = NULL;
    const struct pair *pair;
    time_t begun = time(NULL);
    int32_t status;
    size_t i;
    if (argc != 6) return fputs("feed URL TOKEN CACHE FILE SECONDS\n", stderr), 2;
    options.server_url = plexindex_bytes_of(argv[1]);
    options.token = plexindex_bytes_of(argv[2]);
    options.cache_dir = plexindex_bytes_of(argv[3]);
    status = plexindex_open(&options, &index, failed);
    if (status == PLEXINDEX_OK) load(argv[4]);
    /* Without the server's events a change is seen when its listing expires, after an hour. */
    if (status == PLEXINDEX_OK && plexindex_watch_start(index, failed) != PLEXINDEX_OK)
        fprintf(stderr, "no events: %s\n", error.text);
    while (status == PLEXINDEX_OK) {
        plexindex_query query;
        refresh(index, &error, failed);
        status = update(index, failed);
        if (status == PLEXINDEX_NOT_FETCHED && time(NULL) - begun < atoi(argv[5])) { /* nothing was fetched yet */
            sleep(1);
            status = PLEXINDEX_OK;
            continue;
        }
        if (status != PLEXINDEX_OK) break;
        save(argv[4]);
        query = plexindex_query_init(cursor);
        query.deadline_ms = (int64_t)atoi(argv[5]) * 1000;
        if (query.deadline_ms <= 0) break;
        status = plexindex_wait_for_changes(index, &query, failed);
        if (status == PLEXINDEX_LIST_AGAIN) begin_anew(), status = PLEXINDEX_OK;
    }
    if (status >= 100) fprintf(stderr, "%s\n", error.text);
    for (i = 0; i < sizeof map / sizeof *map; i++) {
        for (pair = map[i]; pair != NULL; pair = pair->next) printf("%s\t%s\n", pair->key, pair->path);
    }
    begin_anew();
    return plexindex_close(index, NULL) == PLEXINDEX_OK && status < 100 ? 0 : 1;
}
