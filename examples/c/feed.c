/* Keeps a map from files to rating keys with the feed of changes: feed URL TOKEN CACHE FILE SECONDS
 * FILE stores the cursor and the map between runs. The program updates the map until nothing changes for SECONDS, and
 * prints each rating key, a tab and the path. It waits up to SECONDS for the first listing. It reads JSON with
 * Jansson. */
#define _POSIX_C_SOURCE 200809L
#include <jansson.h>
#include <plexindex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* {"cursor": the cursor of the last page, "files": {path: {rating key: true}}}. A file of several items has several
 * keys. Without a cursor the program lists everything. */
static json_t *map;

/* Empties the map, so that the program lists everything next. */
static void begin_anew(void)
{
    json_decref(map);
    map = json_pack("{s:{}}", "files");
}

/* Calls a method. Releases the request; the caller releases the answer. */
static int32_t call(const plexindex_handle *index, const char *method, json_t *request, int64_t timeout_ms,
                    json_t **answer, plexindex_buffer *error)
{
    plexindex_call_options options = {.size = sizeof options, .timeout_ms = timeout_ms};
    char *text = json_dumps(request, 0), *json = NULL;
    int32_t status = plexindex_call(index, method, text, strlen(text), &options, &json, error);
    *answer = json == NULL ? NULL : json_loads(json, JSON_ALLOW_NUL, NULL);
    plexindex_free(json);
    free(text);
    json_decref(request);
    return status;
}

static const char *text_of(const json_t *object, const char *name)
{
    return json_string_value(json_object_get(object, name)); /* NULL if it is absent */
}

static void remove_pair(const char *path, const char *key)
{
    json_t *files = json_object_get(map, "files"), *keys = json_object_get(files, path);
    json_object_del(keys, key);
    if (json_object_size(keys) == 0) json_object_del(files, path);
}

static void add_pair(const char *path, const char *key)
{
    json_t *files = json_object_get(map, "files");
    if (json_object_get(files, path) == NULL) json_object_set_new(files, path, json_object());
    json_object_set_new(json_object_get(files, path), key, json_true());
}

/* Applies a change, perhaps twice. Returns 0 for `list_again`, which names no item. */
static int apply(const json_t *change)
{
    const char *path = text_of(change, "path"), *from = text_of(change, "from"), *before = text_of(change, "from_key");
    const char *key = text_of(json_object_get(change, "item"), "rating_key");
    if (key == NULL) return 0; /* list_again */
    if (before == NULL) before = key;
    if (path != NULL) remove_pair(path, before);
    if (from != NULL) remove_pair(from, before);
    if (path != NULL && strcmp(text_of(change, "change"), "removed") != 0) add_pair(path, key);
    return 1;
}

/* Applies the changes since the cursor, or everything that is listed, page by page. */
static int32_t update(const plexindex_handle *index, plexindex_buffer *error)
{
    int more = 1;
    while (more) {
        const char *cursor = text_of(map, "cursor");
        json_t *request = cursor ? json_pack("{s:s}", "cursor", cursor) : json_pack("{s:b}", "full", 1), *page;
        int32_t status = call(index, "changes.list", request, 0, &page, error);
        int is_known = status == PLEXINDEX_OK;
        const json_t *change;
        size_t i;
        if (status != PLEXINDEX_OK && status != PLEXINDEX_LIST_AGAIN) return status;
        json_array_foreach(json_object_get(page, "changes"), i, change) is_known = is_known && apply(change);
        if (is_known) json_object_set(map, "cursor", json_object_get(page, "cursor"));
        else begin_anew();
        more = !is_known || json_is_true(json_object_get(page, "more"));
        json_decref(page);
    }
    return PLEXINDEX_OK;
}

/* Stores cursor and map together, because the program may be killed at any time. */
static void save(const char *name)
{
    char temporary[4096];
    snprintf(temporary, sizeof temporary, "%s.new", name);
    if (json_dump_file(map, temporary, 0) != 0 || rename(temporary, name) != 0) abort();
}

int main(int argc, char **argv)
{
    plexindex_error error;
    plexindex_buffer *failed = plexindex_error_init(&error);
    plexindex_options options = plexindex_options_init();
    plexindex_query probe = plexindex_query_init(NULL);
    plexindex_handle *index = NULL;
    time_t begun = time(NULL);
    int32_t status;
    json_t *answer, *keys;
    const char *path, *key;
    if (argc != 6) return fputs("feed URL TOKEN CACHE FILE SECONDS\n", stderr), 2;
    options.server_url = plexindex_bytes_of(argv[1]);
    options.token = plexindex_bytes_of(argv[2]);
    options.cache_dir = plexindex_bytes_of(argv[3]);
    status = plexindex_open(&options, &index, failed);
    map = json_load_file(argv[4], 0, NULL);
    if (map == NULL) begin_anew();
    /* Without the server's events plexindex sees a change when the listing expires, after an hour. */
    if (status == PLEXINDEX_OK && call(index, "watch.start", json_object(), 0, &answer, failed) != PLEXINDEX_OK)
        fprintf(stderr, "no events: %s\n", error.text);
    else if (status == PLEXINDEX_OK)
        json_decref(answer);
    probe.flags = PLEXINDEX_QUERY_PROBE;
    while (status == PLEXINDEX_OK) {
        int seconds = atoi(argv[5]);
        /* Asks whether anything changed. If the server is away, changes of other processes still arrive. */
        if (plexindex_refresh(index, &probe, failed) >= 100) fprintf(stderr, "%s\n", error.text);
        status = update(index, failed);
        if (status == PLEXINDEX_NOT_FETCHED && time(NULL) - begun < seconds) { /* nothing was fetched yet */
            sleep(1);
            status = PLEXINDEX_OK;
            continue;
        }
        if (status != PLEXINDEX_OK) break;
        save(argv[4]);
        if (seconds <= 0) break;
        status = call(index, "changes.wait", json_pack("{s:O}", "cursor", json_object_get(map, "cursor")),
                      (int64_t)seconds * 1000, &answer, failed);
        json_decref(answer);
        if (status == PLEXINDEX_LIST_AGAIN) begin_anew(), status = PLEXINDEX_OK;
    }
    if (status >= 100) fprintf(stderr, "%s\n", error.text);
    json_object_foreach(json_object_get(map, "files"), path, answer)
        json_object_foreach(answer, key, keys) printf("%s\t%s\n", key, path);
    json_decref(map);
    return plexindex_close(index, NULL) == PLEXINDEX_OK && status < 100 ? 0 : 1;
}
