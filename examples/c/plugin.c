/* A plug-in of a media program: plugin URL TOKEN CACHE LIBRARY MEDIA TOKENFILE FILE KEY
 *
 * A thread of the plug-in records that the imported FILE is the item KEY. Then it prints the files below MEDIA that
 * Plex lists but this machine lacks. If the server is away or refuses the token, the thread retries. Another program
 * writes new tokens to TOKENFILE. main() is the host: it loads the plug-in, waits for its thread, and unloads it. A host may
 * unload the plug-in at any time. The plug-in reads JSON with Jansson. */
#define _POSIX_C_SOURCE 200809L
#include <jansson.h>
#include <plexindex.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct plugin {
    plexindex_handle *index;
    const plexindex_library_handle *library; /* valid as long as the index */
    const char *title, *media, *token_file, *file, *key;
    pthread_t worker;
    pthread_mutex_t lock; /* of the next fields */
    pthread_cond_t changed;
    int is_unloading, is_done;
    int32_t imported; /* the status of the import */
};

static void log_line(void *user, int32_t level, const char *message, size_t length)
{
    (void)user;
    fprintf(stderr, "plexindex, level %d: %.*s\n", (int)level, (int)length, message);
}

/* Reads a new token from the file, on the thread of a call that the server refused. */
static int32_t renew_token(void *user, plexindex_buffer *token)
{
    const struct plugin *plugin = user;
    char *text = token->data;
    FILE *file = fopen(plugin->token_file, "rb");
    if (file == NULL) return 1; /* no new token: plexindex uses cached answers */
    token->length = fread(text, 1, token->capacity, file);
    fclose(file);
    while (token->length > 0 && text[token->length - 1] == '\n') token->length--;
    return 0;
}

/* Ends a call that waits for the server when the host unloads the plug-in. */
static int32_t is_unloading(void *user, const plexindex_progress *progress)
{
    struct plugin *plugin = user;
    int32_t ends;
    (void)progress;
    pthread_mutex_lock(&plugin->lock);
    ends = plugin->is_unloading;
    pthread_mutex_unlock(&plugin->lock);
    return ends;
}

static void set(struct plugin *plugin, int *flag)
{
    pthread_mutex_lock(&plugin->lock);
    *flag = 1;
    pthread_cond_broadcast(&plugin->changed);
    pthread_mutex_unlock(&plugin->lock);
}

/* Waits five seconds after an error of the server. Returns whether to make the call again. */
static int tries_again(struct plugin *plugin, int32_t status, const plexindex_error *error)
{
    struct timespec late;
    int goes_on;
    plexindex_drain_log(log_line, NULL, NULL);
    if (status < PLEXINDEX_CONNECT || status >= PLEXINDEX_LIBRARY_NOT_FOUND) return 0;
    fprintf(stderr, "retrying in 5 s: %s\n", error->text);
    clock_gettime(CLOCK_REALTIME, &late);
    late.tv_sec += 5;
    pthread_mutex_lock(&plugin->lock);
    while (!plugin->is_unloading && pthread_cond_timedwait(&plugin->changed, &plugin->lock, &late) == 0) continue;
    goes_on = !plugin->is_unloading;
    pthread_mutex_unlock(&plugin->lock);
    return goes_on;
}

/* Records the imported file. Only the timeout ends this call, so unloading waits up to two seconds. */
static void import(struct plugin *plugin)
{
    plexindex_error error;
    plexindex_buffer *failed = plexindex_error_init(&error);
    do plugin->imported = plexindex_record_match(plugin->library, plugin->file, strlen(plugin->file), plugin->key,
                                                 strlen(plugin->key), 2000, failed);
    while (tries_again(plugin, plugin->imported, &error));
    if (plugin->imported != PLEXINDEX_OK) fprintf(stderr, "not imported: %s\n", error.text);
}

/* Prints the files below a folder that Plex lists but this machine lacks. Each call looks for 200 files, so unloading
 * does not wait longer. */
static void look(struct plugin *plugin)
{
    plexindex_error error;
    plexindex_buffer *failed = plexindex_error_init(&error);
    plexindex_query query = plexindex_query_init(NULL);
    json_t *request = json_pack("{s:{s:s}, s:s, s:i}", "library", "title", plugin->title, "path", plugin->media, "limit",
                                200);
    int32_t status;
    int goes_on = request != NULL; /* a name that is not UTF-8 would be {"bytes": "<Base64>"} */
    query.library = plugin->library;
    query.progress = is_unloading;
    query.progress_user = plugin;
    do status = plexindex_refresh(plugin->index, &query, failed); /* items.missing sends no request */
    while (tries_again(plugin, status, &error));
    while (status == PLEXINDEX_OK && goes_on && !is_unloading(plugin, NULL)) {
        char *text = json_dumps(request, 0), *json = NULL;
        json_t *answer, *file, *cursor;
        size_t i;
        status = plexindex_call(plugin->index, "items.missing", text, strlen(text), NULL, &json, failed);
        answer = json == NULL ? NULL : json_loads(json, 0, NULL);
        plexindex_free(json), free(text);
        json_array_foreach(json_object_get(answer, "files"), i, file) {
            const char *path = json_string_value(json_object_get(json_object_get(file, "item"), "path"));
            const char *on_disk = json_string_value(json_object_get(file, "on_disk"));
            if (strcmp(on_disk, "there") != 0) printf("%s\t%s\n", on_disk, path ? path : "(not UTF-8)");
        }
        cursor = json_object_get(answer, "cursor"); /* absent on the last page */
        goes_on = cursor != NULL;
        if (goes_on) json_object_set(request, "cursor", cursor);
        json_decref(answer);
        plexindex_drain_log(log_line, NULL, NULL);
    }
    json_decref(request);
    if (status >= 100 && status != PLEXINDEX_ABORTED) fprintf(stderr, "the search ended: %s\n", error.text);
}

static void *work(void *user)
{
    struct plugin *plugin = user;
    import(plugin);
    look(plugin);
    set(plugin, &plugin->is_done);
    return NULL;
}

/* Ends the thread and the index. After this the library may be unloaded. */
static void unload(struct plugin *plugin, int has_worker)
{
    set(plugin, &plugin->is_unloading);
    if (has_worker) pthread_join(plugin->worker, NULL);
    plexindex_close(plugin->index, NULL); /* no call is running; this also ends the watch */
    plexindex_drain_log(log_line, NULL, NULL);
    pthread_cond_destroy(&plugin->changed), pthread_mutex_destroy(&plugin->lock);
}

/* Returns 0 on failure. Sends no request, so the host does not wait for the server. */
static int load(struct plugin *plugin, char **given)
{
    plexindex_error error;
    plexindex_buffer *failed = plexindex_error_init(&error);
    plexindex_options options = plexindex_options_init();
    char *json = NULL;
    int32_t status;
    memset(plugin, 0, sizeof *plugin);
    pthread_mutex_init(&plugin->lock, NULL);
    pthread_cond_init(&plugin->changed, NULL);
    plugin->title = given[3];
    plugin->media = given[4];
    plugin->token_file = given[5];
    plugin->file = given[6];
    plugin->key = given[7];
    options.server_url = plexindex_bytes_of(given[0]);
    options.token = plexindex_bytes_of(given[1]);
    options.cache_dir = plexindex_bytes_of(given[2]);
    options.user = plexindex_bytes_of("plugin"); /* a new token keeps what the index holds */
    options.renew_token = renew_token;
    options.renew_token_user = plugin;
    status = plexindex_open(&options, &plugin->index, failed);
    if (status == PLEXINDEX_OK)
        status = plexindex_get_library(plugin->index, PLEXINDEX_SELECT_TITLE, given[3], strlen(given[3]),
                                       &plugin->library, failed);
    if (status == PLEXINDEX_OK) status = plexindex_call(plugin->index, "watch.start", NULL, 0, NULL, &json, failed);
    plexindex_free(json);
    if (status == PLEXINDEX_OK && pthread_create(&plugin->worker, NULL, work, plugin) == 0) return 1;
    fprintf(stderr, "the plug-in does not work: %s\n", error.text);
    unload(plugin, 0);
    return 0;
}

int main(int argc, char **argv)
{
    struct plugin plugin;
    if (argc != 9) return fputs("plugin URL TOKEN CACHE LIBRARY MEDIA TOKENFILE FILE KEY\n", stderr), 2;
    if (!load(&plugin, argv + 1)) return 1;
    pthread_mutex_lock(&plugin.lock);
    while (!plugin.is_done) pthread_cond_wait(&plugin.changed, &plugin.lock);
    pthread_mutex_unlock(&plugin.lock);
    unload(&plugin, 1);
    return plugin.imported == PLEXINDEX_OK ? 0 : 1;
}
