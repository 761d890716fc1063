/*
 * plexindex_drain_log() passes the lines to the host on its own thread, oldest first. No log line, error message or
 * file of the store contains the token.
 */
#include "block.h"

#include <dirent.h>
#include <pthread.h>
#include <sys/stat.h>

static const char *token;

/* Returns whether bytes contain a text. */
static int holds(const char *data, size_t length, const char *text)
{
    size_t size = strlen(text);
    size_t i;
    for (i = 0; i + size <= length; i++) {
        if (memcmp(data + i, text, size) == 0) {
            return 1;
        }
    }
    return 0;
}

struct received {
    pthread_t thread;
    int lines;
    int dropped;
    int paths;
    char last[1024];
};

static void receive(void *user, int32_t level, const char *message, size_t length)
{
    struct received *received = user;
    CHECK(pthread_equal(pthread_self(), received->thread));
    CHECK(level >= PLEXINDEX_LOG_ERROR && level <= PLEXINDEX_LOG_DEBUG);
    CHECK(length > 0 && strlen(message) == length);
    if (holds(message, length, token)) {
        FAIL("the token stands in a log line: %.*s", (int)length, message);
    }
    if (holds(message, length, "/data/movies/")) {
        received->paths++;
        CHECK(level == PLEXINDEX_LOG_DEBUG);
    }
    received->lines++;
    snprintf(received->last, sizeof received->last, "%.*s", (int)length, message);
}

static struct received drained(void)
{
    struct received received;
    memset(&received, 0, sizeof received);
    received.thread = pthread_self();
    CHECK_STATUS(PLEXINDEX_OK, plexindex_drain_log(receive, &received, ERROR));
    return received;
}

/* A receiver that calls plexindex. */
static void call_back(void *user, int32_t level, const char *message, size_t length)
{
    int *calls = user;
    (void)level;
    (void)message;
    (void)length;
    ++*calls;
    CHECK_STATUS(PLEXINDEX_OK, plexindex_drain_log(call_back, user, ERROR));
    CHECK_STATUS(PLEXINDEX_NULL_POINTER, plexindex_open(NULL, NULL, ERROR));
}

/* Checks all files below a folder, and returns their number. */
static int no_token_below(const char *folder)
{
    int files = 0;
    struct dirent *entry;
    DIR *directory = opendir(folder);
    CHECK(directory != NULL);
    while ((entry = readdir(directory)) != NULL) {
        char path[8192];
        struct stat status;
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) {
            continue;
        }
        snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        CHECK(lstat(path, &status) == 0);
        if (S_ISDIR(status.st_mode)) {
            CHECK((status.st_mode & 0777) == 0700);
            files += no_token_below(path);
        } else if (S_ISREG(status.st_mode)) {
            size_t size = (size_t)status.st_size;
            char *data = malloc(size + 1);
            FILE *file = fopen(path, "rb");
            CHECK(data != NULL && file != NULL);
            CHECK(fread(data, 1, size, file) == size);
            fclose(file);
            if (holds(data, size, token)) {
                FAIL("the token stands in %s", path);
            }
            if ((status.st_mode & 0777) != 0600) {
                FAIL("%s has mode %o, not 600", path, (unsigned)status.st_mode & 0777U);
            }
            free(data);
            files++;
        }
    }
    closedir(directory);
    return files;
}

static void no_token_in_message(int32_t expected, int32_t status)
{
    CHECK_STATUS(expected, status);
    CHECK(strlen(check_error.text) > 0);
    CHECK(strstr(check_error.text, token) == NULL);
}

/* Makes requests fail in each way, and checks the messages. */
static void failures(const struct setting *setting)
{
    static const struct {
        const char *fault;
        int32_t status;
    } faults[] = {
        {"\"action\":\"status\",\"status\":401", PLEXINDEX_UNAUTHORIZED},
        {"\"action\":\"status\",\"status\":403", PLEXINDEX_FORBIDDEN},
        {"\"action\":\"status\",\"status\":404", PLEXINDEX_NOT_ON_SERVER},
        {"\"action\":\"status\",\"status\":500", PLEXINDEX_SERVER_ERROR},
        {"\"action\":\"status\",\"status\":503", PLEXINDEX_STARTING},
        {"\"action\":\"login_page\"", PLEXINDEX_NOT_PLEX},
        {"\"action\":\"empty_object\"", PLEXINDEX_NOT_PLEX},
        {"\"action\":\"truncate\"", PLEXINDEX_BAD_ANSWER},
        {"\"action\":\"cut\"", PLEXINDEX_BAD_ANSWER},
        {"\"action\":\"redirect\",\"status\":302,\"location\":\"http://localhost:9/{target}\"", PLEXINDEX_REDIRECTED},
    };
    size_t i;
    for (i = 0; i < sizeof faults / sizeof *faults; i++) {
        plexindex_options options = options_of(setting);
        plexindex_handle *handle;
        plexindex_query query;
        uint64_t memory[512];
        plexindex_buffer buffer = {memory, sizeof memory, 0};
        char folder[4096];
        snprintf(folder, sizeof folder, "%s/failure %d", setting->folder, (int)i);
        options.cache_dir = plexindex_bytes_of(folder);
        options.retry_ms = PLEXINDEX_NO_RETRY;
        options.log_level = PLEXINDEX_LOG_DEBUG;
        harness("fault {\"kind\":\"sections\",\"count\":0,%s}", faults[i].fault);
        handle = opened(&options);
        query = query_of(library_of(handle, "Movies"), "/data/movies/a.mkv");
        no_token_in_message(faults[i].status, plexindex_match_path(handle, &query, &buffer, ERROR));
        harness("heal");
        CHECK_STATUS(PLEXINDEX_OK, plexindex_close(handle, ERROR));
        drained();
    }
}

int main(int argc, char **argv)
{
    struct setting setting = setting_of(argc, argv);
    plexindex_options options = options_of(&setting);
    plexindex_handle *handle;
    const plexindex_library_handle *movies;
    struct received received;
    char path[4096];
    char url[512];
    int calls = 0;
    int i;

    token = setting.token;
    CHECK(strlen(token) >= 8);
    snprintf(path, sizeof path, "%s", harness("path 5"));

    /* By default plexindex logs nothing unless something fails. */
    handle = opened(&options);
    movies = library_of(handle, "Movies");
    check_match(handle, movies, path, PLEXINDEX_OK, NULL);
    CHECK_STATUS(PLEXINDEX_OK, plexindex_close(handle, ERROR));
    CHECK(drained().lines == 0);

    /* With all levels the log has lines, full paths only at the debug level, and each line once. */
    options.log_level = PLEXINDEX_LOG_DEBUG;
    handle = opened(&options);
    movies = library_of(handle, "Movies");
    check_match(handle, movies, path, PLEXINDEX_OK, NULL);
    CHECK_STATUS(PLEXINDEX_OK, plexindex_invalidate_library(movies, ERROR));
    check_match(handle, movies, path, PLEXINDEX_OK, NULL);
    CHECK(drained().lines > 0);
    CHECK(drained().lines == 0);

    /* The ring is bounded, and counts dropped lines. */
    for (i = 0; i < 400; i++) {
        CHECK_STATUS(PLEXINDEX_OK, plexindex_invalidate_library(movies, ERROR));
    }
    received = drained();
    CHECK(received.lines > 0 && received.lines <= 257);

    /* The receiver may call plexindex. */
    CHECK_STATUS(PLEXINDEX_OK, plexindex_invalidate_library(movies, ERROR));
    CHECK_STATUS(PLEXINDEX_OK, plexindex_drain_log(call_back, &calls, ERROR));
    CHECK(calls > 0);
    CHECK_STATUS(PLEXINDEX_OK, plexindex_close(handle, ERROR));
    drained();

    failures(&setting);
    CHECK(strcmp(harness("tokens_in_urls"), "0") == 0);

    /* A token in the URL is secret, too. */
    snprintf(url, sizeof url, "%s/?X-Plex-Token=%s", setting.url, token);
    options.server_url = plexindex_bytes_of(url);
    handle = NULL;
    if (plexindex_open(&options, &handle, ERROR) != PLEXINDEX_OK) {
        CHECK(strstr(check_error.text, token) == NULL);
    }
    CHECK_STATUS(PLEXINDEX_OK, plexindex_close(handle, ERROR));
    drained();

    CHECK(no_token_below(setting.folder) > 0);
    return 0;
}
