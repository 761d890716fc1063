/*
 * A C program that loads the library at run time, opens a store, and compares every answer with the right one.
 *
 *   bench first   LIB STORE HOST SERVER PAIRS match|lookup          a new process: one answer
 *   bench warm    LIB STORE HOST SERVER PAIRS match|lookup SEED
 *   bench reader  LIB STORE HOST SERVER PAIRS other                 looks up until standard input ends
 *
 * HOST and SERVER are a mapping of folders. PAIRS has lines of path, tabulator, key; for `reader` also another key that
 * is right too. PLEX_URL and PLEX_TOKEN name the server. Prints nanoseconds as one JSON object; exits with 1 after a
 * wrong answer.
 */
#define _POSIX_C_SOURCE 200809L
#include <dlfcn.h>
#include <poll.h>
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
    int32_t (*match_path)(const plexindex_handle *, const plexindex_query *, plexindex_buffer *, plexindex_buffer *);
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
        {&px.match_path, "plexindex_match_path"},
    };
    for (size_t at = 0; at < sizeof functions / sizeof functions[0]; at++) {
        void *found = symbol(so, functions[at].name);
        memcpy(functions[at].place, &found, sizeof found);
    }
}

static void open_store(const char *so, const char *store, const char *host, const char *server) {
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
    const char *token = getenv("PLEX_TOKEN"), *url = getenv("PLEX_URL");
    if (url != NULL) options.server_url = plexindex_bytes_of(url);
    if (token != NULL) options.token = plexindex_bytes_of(token);
    begun = now();
    if (px.open(&options, &handle, &failed.buffer) != PLEXINDEX_OK) fail("open", failed.text);
    opened_ns = now() - begun;
    begun = now();
    if (px.library(handle, PLEXINDEX_SELECT_TITLE, "Movies", 6, &library, &failed.buffer) != PLEXINDEX_OK) fail("library", failed.text);
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
    size_t paths_length;
};

static struct sheet lay_out(const size_t *order) {
    struct sheet sheet = {NULL, NULL, 0};
    size_t keys_length = 0;
    for (size_t n = 0; n < count; n++) {
        sheet.paths_length += strlen(pairs[n].path) + 1;
        keys_length += strlen(pairs[n].key) + 1;
    }
    char *path = sheet.paths = must(malloc(sheet.paths_length + 1));
    char *key = sheet.keys = must(malloc(keys_length + 1));
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
    } else {
        for (size_t n = 0; n < count; n++) {
            size_t length = strlen(path);
            plexindex_query query = question(path, length);
            if (px.match_path(handle, &query, buffer, &failed.buffer) >= 100) fail(how, failed.text);
            wrong += strcmp(key_in(buffer->data, 0), key) != 0;
            path += length + 1;
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

static void ask_once(const char *how) {
    count = 1;
    struct sheet sheet = lay_out(NULL);
    plexindex_buffer buffer = room(count, sheet.paths_length);
    int64_t begun = now();
    verdict(ask(how, &sheet, &buffer));
    int64_t asked = now() - begun;
    px.close(handle, &failed.buffer);
    printf("{\"load\":%lld,\"open\":%lld,\"library\":%lld,\"ask\":%lld}\n", (long long)loaded_ns, (long long)opened_ns,
           (long long)selected_ns, (long long)asked);
}

static uint64_t state;

static uint64_t random_number(void) {
    /* SplitMix64. */
    uint64_t z = state += 0x9E3779B97F4A7C15u;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
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

static void note_time(int64_t took) {
    int64_t step = took / 16;
    steps[step < 0 ? 0 : step < STEPS ? step : STEPS - 1]++;
}

/* The mean of all calls without a clock between them, and then median and tail of calls that are timed one by one. */
static void ask_warm(const char *how) {
    size_t *order = must(malloc(count * sizeof *order));
    for (size_t n = 0; n < count; n++)
        order[n] = n;
    double mean = 0;
    /* The first round brings the files into memory. */
    for (int round = 0; round < 2; round++) {
        for (size_t n = count; n > 1; n--) {
            size_t other = random_number() % n, kept = order[n - 1];
            order[n - 1] = order[other];
            order[other] = kept;
        }
        struct sheet sheet = lay_out(order);
        plexindex_buffer buffer = room(count, sheet.paths_length);
        int64_t begun = now();
        size_t wrong = ask(how, &sheet, &buffer);
        mean = (double)(now() - begun) / (double)count;
        verdict(wrong);
        free(sheet.paths);
        free(sheet.keys);
        free(buffer.data);
    }
    int64_t clock = now();
    for (int n = 0; n < 1000; n++)
        now();
    clock = (now() - clock) / 1001;
    plexindex_buffer buffer = room(1, 4096);
    uint64_t calls = 0;
    for (; calls < 100000; calls++) {
        const struct pair *pair = &pairs[random_number() % count];
        struct sheet one = {(char *)pair->path, (char *)pair->key, strlen(pair->path) + 1};
        size_t all = count;
        count = 1;
        int64_t begun = now();
        size_t wrong = ask(how, &one, &buffer);
        note_time(now() - begun - clock);
        count = all;
        verdict(wrong);
    }
    printf("{\"mean\":%.2f,\"median\":%.0f,\"tail\":%.0f}\n", mean, share(calls, 0.5), share(calls, 0.999));
}

/* The key of the full answer, from what the store has. */
static const char *match(const char *path, plexindex_buffer *buffer) {
    plexindex_query query = question(path, strlen(path));
    query.flags = PLEXINDEX_QUERY_OFFLINE;
    if (px.match_path(handle, &query, buffer, &failed.buffer) >= 100) fail("match_path", failed.text);
    return key_in(buffer->data, 0);
}

static void read_meanwhile(void) {
    uint64_t asked = 0;
    int64_t worst = 0, total = 0;
    struct pollfd input = {0, POLLIN, 0};
    struct sheet fresh = lay_out(NULL);
    plexindex_buffer buffer = room(1, 4096);
    verdict(ask("lookup", &fresh, NULL));
    printf("ready\n");
    fflush(stdout);
    while (asked % 1024 != 0 || poll(&input, 1, 0) == 0) {
        const struct pair *pair = &pairs[random_number() % count];
        int64_t begun = now();
        const char *found = px.lookup_key(library, pair->path);
        /* A fast lookup may not know it: the time of the full answer counts too. */
        if (found == NULL) found = match(pair->path, &buffer);
        int64_t took = now() - begun;
        asked++;
        total += took;
        if (strcmp(found, pair->key) != 0 && strcmp(found, pair->other) != 0)
            fail(pair->path, "was answered wrong");
        if (took > worst) worst = took;
        note_time(took);
    }
    size_t wrong = 0;
    for (size_t n = 0; n < count; n++) {
        const char *found = px.lookup_key(library, pairs[n].path);
        if (found == NULL) found = match(pairs[n].path, &buffer);
        wrong += strcmp(found, pairs[n].other) != 0;
    }
    printf("{\"mean\":%.0f,\"p50\":%.0f,\"p999\":%.0f,\"max\":%lld,\"not_new\":%zu}\n",
           (double)total / (double)(asked + !asked), share(asked, 0.5), share(asked, 0.999), (long long)worst, wrong);
    px.close(handle, &failed.buffer);
}

int main(int argc, char **argv) {
    if (argc < 8) fail("usage", "see the head of the source");
    const char *what = argv[1], *how = argv[7];
    read_pairs(argv[6]);
    open_store(argv[2], argv[3], argv[4], argv[5]);
    if (strcmp(what, "first") == 0) {
        ask_once(how);
    } else if (strcmp(what, "warm") == 0 && argc > 8) {
        state = strtoull(argv[8], NULL, 10);
        ask_warm(how);
    } else if (strcmp(what, "reader") == 0) {
        read_meanwhile();
    } else {
        fail(what, "is no command");
    }
    return 0;
}
