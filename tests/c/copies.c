/*
 * Two copies of the library in one process open one folder, as two plug-ins of a host may do. Each copy has its own
 * SQLite, and would release the other's file locks: so plexindex refuses the second open while the first lasts. Both
 * copies work on two folders.
 *
 * The program loads the library with dlsym().
 */
#include "loaded.h"

static struct api copies[2];

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
    api = &copies[number];
    return api->open(&options, handle, ERROR);
}

/* Records a match, and finds the earlier ones. */
static void use(plexindex_handle *handle, const char *key, int matches)
{
    const plexindex_library_handle *movies = NULL;
    char path[64];
    int i;
    CHECK_STATUS(PLEXINDEX_OK, api->library_of(handle, PLEXINDEX_SELECT_TITLE, "Movies", 6, &movies, ERROR));
    snprintf(path, sizeof path, "/host/%d.mkv", matches);
    CHECK_STATUS(PLEXINDEX_OK, api->record_match(movies, path, strlen(path), key, strlen(key), 0, ERROR));
    for (i = 0; i <= matches; i++) {
        uint64_t memory[512];
        plexindex_buffer buffer = {memory, sizeof memory, 0};
        plexindex_query query;
        const char *found;
        snprintf(path, sizeof path, "/host/%d.mkv", i);
        query = query_of(movies, path);
        CHECK_STATUS(PLEXINDEX_OK, api->match_path(handle, &query, &buffer, ERROR));
        found = api->lookup_key(movies, path);
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
        api = &copies[one];
        CHECK_STATUS(PLEXINDEX_OK, api->close(second, ERROR));
        use(handles[one], key, 2 * round + 1);
        CHECK_STATUS(PLEXINDEX_OK, api->close(handles[one], ERROR));
    }

    /* Two folders: both copies at once. */
    for (round = 0; round < 2; round++) {
        char own[4096];
        snprintf(own, sizeof own, "%s/%d", setting.folder, round);
        CHECK_STATUS(PLEXINDEX_OK, open_in(round, &setting, own, &handles[round]));
    }
    for (round = 0; round < 4; round++) {
        api = &copies[round % 2];
        use(handles[round % 2], key, round / 2);
    }
    for (round = 0; round < 2; round++) {
        api = &copies[round];
        CHECK_STATUS(PLEXINDEX_OK, api->close(handles[round], ERROR));
    }
    return 0;
}
