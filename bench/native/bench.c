/*
 * A C host, measured: loads the library at run time, opens a store, asks. Every answer is compared with the right one.
 *
 *   bench first   LIB STORE HOST SERVER PAIRS match|lookup
 *   bench many    LIB STORE HOST SERVER PAIRS match|lookup|batch
 *   bench warm    LIB STORE HOST SERVER PAIRS match|lookup|batch|folder ROUNDS SEED
 *   bench reader  LIB STORE HOST SERVER PAIRS idle|other|URL
 *
 * HOST and SERVER: a mapping of folders. PAIRS: lines of path, tabulator, key, and for `reader` another key that is right
 * too. `reader` looks up until standard input ends; `other`: another process refreshes meanwhile; a URL: a thread of this
 * one does, with PLEX_TOKEN. The library is 'Movies', or that of PLEXINDEX_BENCH_LIBRARY. Prints one JSON object; exits with 1 after a wrong answer.
 */
#define _POSIX_C_SOURCE 200809L
#include <dlfcn.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "plexindex.h"

static struct {
    int32_t (*open)(const plexindex_options *, plexindex_handle **, plexindex_buffer *);
    int32_t (*close)(plexindex_handle *, plexindex_buffer *);
    int32_t (*library)(const plexindex_handle *, int32_t, const char *, size_t, const plexindex_library_handle **, plexindex_buffer *);
    const char *(*lookup_key)(const plexindex_library_handle *, const char *);
    int32_t (*lookup_keys)(const plexindex_library_handle *, const char *, size_t, size_t, plexindex_buffer *, plexindex_buffer *);
    int32_t (*match_path)(const plexindex_handle *, const plexindex_query *, plexindex_buffer *, plexindex_buffer *);
    int32_t (*call)(const plexindex_handle *, const char *, const char *, size_t, const plexindex_call_options *, char **, plexindex_buffer *);
    void (*free)(char *);
    int32_t (*match_paths)(const plexindex_handle *, const plexindex_query *, size_t, plexindex_buffer *, plexindex_buffer *);
    int32_t (*refresh)(const plexindex_handle *, const plexindex_query *, plexindex_buffer *);
} px;

static plexindex_error failed; /* the text of the last call that did */
static plexindex_handle *handle;
static const plexindex_library_handle *library;
static int64_t loaded_ns, opened_ns, selected_ns;

struct pair {
    const char *path, *key, *other;
};
static struct pair *pairs;
static size_t count;

static int64_t now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* The same, or with PLEXINDEX_BENCH_CLOCK=cpu what this thread ran: for work on a busy machine. */
static int64_t warm_now(void) {
    const char *named = getenv("PLEXINDEX_BENCH_CLOCK");
    if (named == NULL || strcmp(named, "cpu") != 0) return now();
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void fail(const char *what, const char *why) {
    fprintf(stderr, "bench: %s: %s\n", what, why);
    exit(1);
}

static void *must(void *pointer) {
    if (pointer == NULL) fail("memory", "there is no more");
    return pointer;
}

static void *symbol(void *library_file, const char *name) {
    void *found = dlsym(library_file, name);
    if (found == NULL) fail(name, "is not in the library");
    return found;
}

static void load(const char *file) {
    void *so = dlopen(file, RTLD_NOW | RTLD_LOCAL);
    if (so == NULL) fail("dlopen", dlerror());
    const struct {
        void *place;
        const char *name;
    } functions[] = {
        {&px.open, "plexindex_open"},
        {&px.close, "plexindex_close"},
        {&px.library, "plexindex_get_library"},
        {&px.lookup_key, "plexindex_lookup_key"},
        {&px.lookup_keys, "plexindex_lookup_keys"},
        {&px.match_path, "plexindex_match_path"},
        {&px.call, "plexindex_call"},
        {&px.free, "plexindex_free"},
        {&px.match_paths, "plexindex_match_paths"},
        {&px.refresh, "plexindex_refresh"},
    };
    for (size_t at = 0; at < sizeof functions / sizeof functions[0]; at++) {
        void *found = symbol(so, functions[at].name);
        memcpy(functions[at].place, &found, sizeof found);
    }
}

static void open_store(const char *so, const char *store, const char *host, const char *server, const char *url) {
    int64_t begun = now();
    load(so);
    loaded_ns = now() - begun;

    plexindex_mapping mapping = {PLEXINDEX_MAPPING_HOST_PREFIX, 0, plexindex_bytes_of(host), plexindex_bytes_of(server)};
    plexindex_error_init(&failed);
    plexindex_options options;
    memset(&options, 0, sizeof options);
    options.size = sizeof options;
    options.cache_dir = plexindex_bytes_of(store);
    options.library_ttl_ms = PLEXINDEX_TTL_NEVER;
    options.mappings = &mapping;
    options.mappings_count = 1;
    /* Whose view it is follows from the server and the token, so both are named though no server is asked. */
    const char *token = getenv("PLEX_TOKEN"), *named = getenv("PLEX_URL");
    if (url == NULL) url = named;
    if (url != NULL) options.server_url = plexindex_bytes_of(url);
    if (token != NULL) options.token = plexindex_bytes_of(token);
    const char *shared = getenv("PLEXINDEX_BENCH_SHARED");
    if (shared != NULL && *shared != '\0') options.shared = plexindex_bytes_of(shared);
    begun = now();
    if (px.open(&options, &handle, &failed.buffer) != PLEXINDEX_OK) fail("open", failed.text);
    opened_ns = now() - begun;
    begun = now();
    const char *title = getenv("PLEXINDEX_BENCH_LIBRARY");
    if (title == NULL) title = "Movies";
    if (px.library(handle, PLEXINDEX_SELECT_TITLE, title, strlen(title), &library, &failed.buffer) != PLEXINDEX_OK) fail("library", failed.text);
    selected_ns = now() - begun;
}

static void read_pairs(const char *file) {
    FILE *stream = fopen(file, "rb");
    if (stream == NULL) fail(file, "cannot be read");
    fseek(stream, 0, SEEK_END);
    size_t size = (size_t)ftell(stream);
    rewind(stream);
    char *all = must(malloc(size + 1));
    if (fread(all, 1, size, stream) != size) fail(file, "cannot be read");
    fclose(stream);
    all[size] = 0;
    for (char *at = all; *at; at++)
        count += *at == '\n';
    pairs = must(calloc(count + 1, sizeof *pairs));
    char *at = all;
    for (size_t n = 0; n < count; n++) {
        char *end = strchr(at, '\n'), *tab = memchr(at, '\t', (size_t)(end - at));
        *end = *tab = 0;
        char *second = strchr(tab + 1, '\t');
        pairs[n].path = at;
        pairs[n].key = tab + 1;
        pairs[n].other = "";
        if (second != NULL) {
            *second = 0;
            pairs[n].other = second + 1;
        }
        at = end + 1;
    }
}

/* The key of a block's first answer, "" when there is none. */
static const char *key_in(const char *block, size_t number) {
    const plexindex_answers *head = (const plexindex_answers *)block;
    const plexindex_answer *answer = (const plexindex_answer *)(block + head->first + number * head->answer_size);
    if (answer->item == 0) return "";
    return block + ((const plexindex_item *)(block + answer->item))->key.offset;
}

static plexindex_query question(const char *data, size_t length) {
    plexindex_query query;
    memset(&query, 0, sizeof query);
    query.size = sizeof query;
    query.library = library;
    query.text.data = data;
    query.text.length = length;
    return query;
}

/* Room for answers, so that no call is made twice. */
static plexindex_buffer room(size_t answers, size_t length) {
    plexindex_buffer buffer = {NULL, 4096 + length + answers * 512, 0};
    buffer.data = must(malloc(buffer.capacity));
    return buffer;
}

/* Paths and keys in some order, one behind the other: a fresh copy of each path for each round. */
struct sheet {
    char *paths, *keys;
    size_t paths_length, keys_length;
};

static struct sheet lay_out(const size_t *order) {
    struct sheet sheet = {NULL, NULL, 0, 0};
    for (size_t n = 0; n < count; n++) {
        sheet.paths_length += strlen(pairs[n].path) + 1;
        sheet.keys_length += strlen(pairs[n].key) + 1;
    }
    char *path = sheet.paths = must(malloc(sheet.paths_length + 1));
    char *key = sheet.keys = must(malloc(sheet.keys_length + 1));
    for (size_t n = 0; n < count; n++) {
        const struct pair *pair = &pairs[order == NULL ? n : order[n]];
        path = (char *)memcpy(path, pair->path, strlen(pair->path) + 1) + strlen(pair->path) + 1;
        key = (char *)memcpy(key, pair->key, strlen(pair->key) + 1) + strlen(pair->key) + 1;
    }
    return sheet;
}

/* Asks for all of a sheet and compares each answer; the comparison is part of the time. Gives wrong answers. */
static size_t ask(const char *how, const struct sheet *sheet, plexindex_buffer *buffer) {
    size_t wrong = 0;
    const char *path = sheet->paths, *key = sheet->keys;
    if (strcmp(how, "lookup") == 0) {
        for (size_t n = 0; n < count; n++) {
            const char *found = px.lookup_key(library, path);
            wrong += strcmp(found == NULL ? "" : found, key) != 0;
            path += strlen(path) + 1;
            key += strlen(key) + 1;
        }
    } else if (strcmp(how, "folder") == 0) {
        for (size_t n = 0; n < count; n++) {
            char request[8192], wanted[512], *answer;
            int length = snprintf(request, sizeof request, "{\"path\":\"%s\"}", path);
            snprintf(wanted, sizeof wanted, "\"key\":\"%s\"", key);
            if (px.call(handle, "match.folder", request, (size_t)length, NULL, &answer, &failed.buffer) >= 100) fail(how, failed.text);
            wrong += strstr(answer, wanted) == NULL;
            px.free(answer);
            path += strlen(path) + 1;
            key += strlen(key) + 1;
        }
    } else if (strcmp(how, "match") == 0) {
        for (size_t n = 0; n < count; n++) {
            size_t length = strlen(path);
            plexindex_query query = question(path, length);
            if (px.match_path(handle, &query, buffer, &failed.buffer) >= 100) fail(how, failed.text);
            wrong += strcmp(key_in(buffer->data, 0), key) != 0;
            path += length + 1;
            key += strlen(key) + 1;
        }
    } else if (strcmp(how, "batch") == 0) {
        if (px.lookup_keys(library, path, sheet->paths_length, count, buffer, &failed.buffer) != PLEXINDEX_OK) fail("batch", failed.text);
        wrong = buffer->length != sheet->keys_length || memcmp(buffer->data, sheet->keys, buffer->length) != 0;
    } else {
        plexindex_query query = question(path, sheet->paths_length);
        if (px.match_paths(handle, &query, count, buffer, &failed.buffer) != PLEXINDEX_OK) fail("batch", failed.text);
        for (size_t n = 0; n < count; n++) {
            wrong += strcmp(key_in(buffer->data, n), key) != 0;
            key += strlen(key) + 1;
        }
    }
    return wrong;
}

static void verdict(size_t wrong) {
    if (wrong > 0) {
        fprintf(stderr, "bench: %zu of %zu answers are wrong\n", wrong, count);
        exit(1);
    }
}

static void ask_once(const char *how, size_t limit) {
    if (count > limit) count = limit;
    struct sheet sheet = lay_out(NULL);
    plexindex_buffer buffer = room(count, sheet.paths_length);
    int64_t begun = now();
    verdict(ask(how, &sheet, &buffer));
    int64_t asked = now() - begun;
    begun = now();
    px.close(handle, &failed.buffer);
    printf("{\"load\":%lld,\"open\":%lld,\"library\":%lld,\"ask\":%lld,\"close\":%lld}\n", (long long)loaded_ns,
           (long long)opened_ns, (long long)selected_ns, (long long)asked, (long long)(now() - begun));
}

static uint64_t state;

static uint64_t random_number(void) {
    /* SplitMix64. */
    uint64_t z = state += 0x9E3779B97F4A7C15u;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
}

static void ask_warm(const char *how, int rounds) {
    size_t *order = must(malloc(count * sizeof *order));
    for (size_t n = 0; n < count; n++)
        order[n] = n;
    printf("[");
    for (int round = -1; round < rounds; round++) {
        for (size_t n = count; n > 1; n--) {
            size_t other = random_number() % n, kept = order[n - 1];
            order[n - 1] = order[other];
            order[other] = kept;
        }
        struct sheet sheet = lay_out(order);
        plexindex_buffer buffer = room(strcmp(how, "batch") ? count : count / 8, sheet.paths_length);
        int64_t begun = warm_now();
        size_t wrong = ask(how, &sheet, &buffer);
        double each = (double)(warm_now() - begun) / (double)count;
        verdict(wrong);
        /* The first round brings the file into memory. */
        if (round >= 0) printf("%s%.2f", round > 0 ? "," : "", each);
        free(sheet.paths);
        free(sheet.keys);
        free(buffer.data);
    }
    printf("]\n");
    px.close(handle, &failed.buffer);
}

/* Steps of 16 ns, to 67 ms. */
#define STEPS (1 << 22)
static uint32_t steps[STEPS];

static double share(uint64_t total, double part) {
    uint64_t seen = 0, wanted = (uint64_t)((double)total * part);
    for (size_t at = 0; at < STEPS; at++)
        if ((seen += steps[at]) > wanted) return (double)at * 16;
    return (double)STEPS * 16;
}

/* How long the refresh took; 0 before its end. */
static _Atomic int64_t refreshed_ns;

static void *refresh(void *result) {
    plexindex_query query = question(NULL, 0);
    query.flags = PLEXINDEX_QUERY_FULL;
    query.deadline_ms = PLEXINDEX_NO_DEADLINE;
    int64_t begun = now();
    *(int32_t *)result = px.refresh(handle, &query, &failed.buffer);
    atomic_store(&refreshed_ns, now() - begun);
    return NULL;
}

/* The key of the full answer, from what the store has. */
static const char *match(const char *path, plexindex_buffer *buffer) {
    plexindex_query query = question(path, strlen(path));
    query.flags = PLEXINDEX_QUERY_OFFLINE;
    if (px.match_path(handle, &query, buffer, &failed.buffer) >= 100) fail("match_path", failed.text);
    return key_in(buffer->data, 0);
}

static void read_meanwhile(int refreshes) {
    pthread_t thread;
    int32_t status = PLEXINDEX_OK;
    uint64_t asked = 0, none = 0;
    int64_t worst = 0;
    struct pollfd input = {0, POLLIN, 0};
    struct sheet fresh = lay_out(NULL);
    plexindex_buffer buffer = room(1, 4096);
    verdict(ask("lookup", &fresh, NULL));
    printf("ready\n");
    fflush(stdout);
    if (refreshes && pthread_create(&thread, NULL, refresh, &status) != 0) fail("thread", "cannot be made");
    for (;;) {
        if (asked % 1024 == 0 && poll(&input, 1, 0) != 0) break;
        const struct pair *pair = &pairs[random_number() % count];
        int64_t begun = now();
        const char *found = px.lookup_key(library, pair->path);
        if (found == NULL) {
            none++; /* not known to a fast lookup: what a host does then is part of the time */
            found = match(pair->path, &buffer);
        }
        int64_t took = now() - begun;
        asked++;
        if (strcmp(found, pair->key) != 0 && strcmp(found, pair->other) != 0)
            fail(pair->path, "was answered wrong");
        if (took > worst) worst = took;
        int64_t step = took / 16;
        steps[step < STEPS ? step : STEPS - 1]++;
        if (refreshes && asked % 1024 == 0 && atomic_load(&refreshed_ns) > 0) break;
    }
    if (refreshes) {
        pthread_join(thread, NULL);
        if (status != PLEXINDEX_OK) fail("refresh", "has failed");
    }
    size_t old = 0, wrong = 0;
    for (size_t n = 0; n < count; n++) {
        const char *found = px.lookup_key(library, pairs[n].path);
        if (found == NULL) found = match(pairs[n].path, &buffer);
        old += strcmp(found, pairs[n].key) == 0;
        wrong += strcmp(found, pairs[n].other) != 0;
    }
    printf("{\"asked\":%llu,\"none\":%llu,\"p50\":%.0f,\"p99\":%.0f,\"p999\":%.0f,\"p9999\":%.0f,\"max\":%lld,"
           "\"refresh\":%lld,\"old\":%zu,\"not_new\":%zu}\n",
           (unsigned long long)asked, (unsigned long long)none, share(asked, 0.5), share(asked, 0.99), share(asked, 0.999),
           share(asked, 0.9999), (long long)worst, (long long)atomic_load(&refreshed_ns), old, wrong);
    px.close(handle, &failed.buffer);
}

int main(int argc, char **argv) {
    if (argc < 8) fail("usage", "see the head of the source");
    const char *what = argv[1], *how = argv[7];
    read_pairs(argv[6]);
    int refreshes = strncmp(how, "http", 4) == 0;
    open_store(argv[2], argv[3], argv[4], argv[5], refreshes ? how : NULL);
    if (strcmp(what, "first") == 0) {
        ask_once(how, 1);
    } else if (strcmp(what, "many") == 0) {
        ask_once(how, (size_t)-1);
    } else if (strcmp(what, "warm") == 0 && argc > 9) {
        state = strtoull(argv[9], NULL, 10);
        ask_warm(how, atoi(argv[8]));
    } else if (strcmp(what, "reader") == 0) {
        read_meanwhile(refreshes);
    } else {
        fail(what, "is no command");
    }
    return 0;
}
