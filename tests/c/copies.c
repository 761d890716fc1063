/*
 * Two copies of the library in one process open one folder, as two plug-ins of a host may do. Each copy has its own
 * SQLite, and would release the other's file locks: so plexindex refuses the second open while the first lasts. Both
 * copies work on two folders.
 *
 * The program loads the library with dlsym().
 */
#include "loaded.h"

struct copy {
    void *library;
    const char *(*status_name)(int32_t);
    int32_t (*open)(const plexindex_options *, plexindex_handle **, plexindex_buffer *);
    int32_t (*close)(plexindex_handle *, plexindex_buffer *);
    int32_t (*library_of)(const plexindex_handle *, int32_t, const char *, size_t, const plexindex_library_handle **,
                          plexindex_buffer *);
    const char *(*lookup_key)(const plexindex_library_handle *, const char *);
    int32_t (*record_match)(const plexindex_library_handle *, const char *, size_t, const char *, size_t, int64_t,
        plexindex_buffer *);
    int32_t (*match_path)(const plexindex_handle *, const plexindex_query *, plexindex_buffer *, plexindex_buffer *);
};

static struct copy copies[2];
/* The copy whose status names check.h prints. */
static struct copy *current;

const char *plexindex_get_status_name(int32_t status)
{
    return current == NULL ? "?" : current->status_name(status);
}

static void load(struct copy *copy, const char *path)
{
    const struct function functions[] = {
        {"plexindex_get_status_name", &copy->status_name},
        {"plexindex_open", &copy->open},
        {"plexindex_close", &copy->close},
        {"plexindex_get_library", &copy->library_of},
        {"plexindex_lookup_key", &copy->lookup_key},
        {"plexindex_record_match", &copy->record_match},
        {"plexindex_match_path", &copy->match_path},
    };
    copy->library = load_functions(path, functions, sizeof functions / sizeof *functions);
}

static void copy_file(const char *from, const char *to)
{
    static char bytes[1 << 16];
    size_t length;
    FILE *source = fopen(from, "rb");
    FILE *target = fopen(to, "wb");
    CHECK(source != NULL && target != NULL);
    while ((length = fread(bytes, 1, sizeof bytes, source)) > 0) {
        CHECK(fwrite(bytes, 1, length, target) == length);
    }
    CHECK(fclose(target) == 0);
    fclose(source);
}

static int32_t open_in(int number, const struct setting *setting, const char *folder, plexindex_handle **handle)
{
    plexindex_options options = options_of(setting);
    options.cache_dir = plexindex_bytes_of(folder);
    current = &copies[number];
    return current->open(&options, handle, ERROR);
}

/* Records a match, and finds the earlier ones. */
static void use(plexindex_handle *handle, const char *key, int matches)
{
    const plexindex_library_handle *movies = NULL;
    char path[64];
    int i;
    CHECK_STATUS(PLEXINDEX_OK, current->library_of(handle, PLEXINDEX_SELECT_TITLE, "Movies", 6, &movies, ERROR));
    snprintf(path, sizeof path, "/host/%d.mkv", matches);
    CHECK_STATUS(PLEXINDEX_OK, current->record_match(movies, path, strlen(path), key, strlen(key), 0, ERROR));
    for (i = 0; i <= matches; i++) {
        uint64_t memory[512];
        plexindex_buffer buffer = {memory, sizeof memory, 0};
        plexindex_query query;
        const char *found;
        snprintf(path, sizeof path, "/host/%d.mkv", i);
        query = query_of(movies, path);
        CHECK_STATUS(PLEXINDEX_OK, current->match_path(handle, &query, &buffer, ERROR));
        found = current->lookup_key(movies, path);
        CHECK(found != NULL && strcmp(found, key) == 0);
    }
}

int main(int argc, char **argv)
{
    struct setting setting = setting_of(argc, argv);
    plexindex_handle *handles[2] = {NULL, NULL};
    plexindex_handle *second = NULL;
    char library[4096];
    char other[4096];
    char alias[4096];
    char key[256];
    int round;

    snprintf(library, sizeof library, "%s", harness("library"));
    snprintf(other, sizeof other, "%s/other.so", setting.folder);
    snprintf(alias, sizeof alias, "%s/../store/shared", setting.folder);
    snprintf(key, sizeof key, "%s", harness("key 5"));
    copy_file(library, other);
    load(&copies[0], library);
    load(&copies[1], other);
    CHECK(copies[0].open != copies[1].open);

    /* One folder by any of its paths: one copy at a time. */
    for (round = 0; round < 6; round++) {
        char shared[4096];
        int one = round % 2;
        snprintf(shared, sizeof shared, "%s/shared", setting.folder);
        CHECK_STATUS(PLEXINDEX_OK, open_in(one, &setting, shared, &handles[one]));
        /* One copy may open the folder several times. */
        CHECK_STATUS(PLEXINDEX_OK, open_in(one, &setting, alias, &second));
        use(second, key, 2 * round);
        CHECK_REFUSED(PLEXINDEX_STORE, open_in(1 - one, &setting, shared, &handles[1 - one]), "another copy", "shared",
                      "close");
        CHECK_REFUSED(PLEXINDEX_STORE, open_in(1 - one, &setting, alias, &handles[1 - one]), "another copy");
        current = &copies[one];
        CHECK_STATUS(PLEXINDEX_OK, current->close(second, ERROR));
        use(handles[one], key, 2 * round + 1);
        CHECK_STATUS(PLEXINDEX_OK, current->close(handles[one], ERROR));
    }

    /* Two folders: both copies at once. */
    for (round = 0; round < 2; round++) {
        char own[4096];
        snprintf(own, sizeof own, "%s/%d", setting.folder, round);
        CHECK_STATUS(PLEXINDEX_OK, open_in(round, &setting, own, &handles[round]));
    }
    for (round = 0; round < 4; round++) {
        current = &copies[round % 2];
        use(handles[round % 2], key, round / 2);
    }
    for (round = 0; round < 2; round++) {
        current = &copies[round];
        CHECK_STATUS(PLEXINDEX_OK, current->close(handles[round], ERROR));
    }
    return 0;
}
