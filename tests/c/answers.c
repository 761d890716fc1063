/*
 * Reads one answer of each kind as a host does, and checks each offset against the end of the block. Prints the
 * answers.
 */
#include "block.h"

static plexindex_handle *handle;

static void show_item(const struct answered *answered, const plexindex_item *item)
{
    const char *show = text_of(answered, item->show_title);
    printf("    %s", text_of(answered, item->key));
    if (item->title.offset != 0) {
        printf("  %s", text_of(answered, item->title));
    }
    if (item->year > 0) {
        printf(" (%" PRId32 ")", item->year);
    }
    if (show != NULL) {
        printf(", %s %" PRId32 "x%" PRId32, show, item->season, item->episode);
    }
    printf("  in %s\n", text_of(answered, item->library_title));
}

static void show(const char *question, const struct answered *answered)
{
    static const char *const rungs[] = {"none", "confirmed", "exact", "mapped", "suffix", "file name"};
    static const char *const confidences[] = {"none", "low", "high"};
    const plexindex_answer *answer = answer_of(answered, 0);
    const plexindex_item *item = item_of(answered, answer);
    const char *message = text_of(answered, answer->message);
    uint32_t i;
    printf("%s\n    %s, rung %s, confidence %s%s\n", question, plexindex_get_status_name(answer->status),
        rungs[answer->match_kind],
           confidences[answer->confidence], answer->flags & PLEXINDEX_ANSWER_STALE ? ", stale" : "");
    if (message != NULL) {
        printf("    %s\n", message);
    }
    if (item != NULL) {
        show_item(answered, item);
    }
    for (i = 0; item == NULL && i < answer->candidates_count; i++) {
        show_item(answered, candidate_of(answered, answer, i));
    }
}

/* Prints an answer, and checks its status, match kind, confidence and reason. */
static struct answered expect(ask_fn function, const plexindex_library_handle *library, const char *text,
    int32_t status,
                              int rung, int confidence, int reason)
{
    plexindex_query query = query_of(library, text);
    struct answered answered = ask(function, handle, &query);
    const plexindex_answer *answer;
    if (answered.status != status) {
        FAIL("%s gives %s, not %" PRId32, text, plexindex_get_status_name(answered.status), status);
    }
    show(text, &answered);
    answer = answer_of(&answered, 0);
    if (answer->match_kind != rung || answer->confidence != confidence || answer->reason != reason) {
        FAIL("%s gives rung %d, confidence %d, reason %d, not %d, %d, %d", text, answer->match_kind, answer->confidence,
             answer->reason, rung, confidence, reason);
    }
    CHECK(answer->age_ms >= 0);
    return answered;
}

#define MATCH(library, path, ...) expect(plexindex_match_path, library, path, __VA_ARGS__)
#define HIGH PLEXINDEX_CONFIDENCE_HIGH
#define LOW PLEXINDEX_CONFIDENCE_LOW
#define NO_CONFIDENCE PLEXINDEX_CONFIDENCE_NONE

static void text_is(const struct answered *answered, plexindex_text text, const char *expected)
{
    const char *got = text_of(answered, text);
    if ((got == NULL) != (expected == NULL) || (got != NULL && strcmp(got, expected) != 0)) {
        FAIL("\"%s\" where \"%s\" was expected", got == NULL ? "(none)" : got, expected == NULL ? "(none)" : expected);
    }
}

static void movie(const plexindex_library_handle *movies)
{
    struct answered answered = MATCH(movies, "/data/movies/Exact (2001)/Exact (2001).mkv", PLEXINDEX_OK,
                                     PLEXINDEX_MATCH_EXACT, HIGH, PLEXINDEX_REASON_NONE);
    const plexindex_item *item = item_of(&answered, answer_of(&answered, 0));
    text_is(&answered, item->key, "/library/metadata/900001");
    text_is(&answered, item->rating_key, "900001");
    text_is(&answered, item->title, "Exact");
    text_is(&answered, item->guid, "plex://movie/000000000000000000000001");
    text_is(&answered, item->show_title, NULL);
    text_is(&answered, item->show_rating_key, NULL);
    text_is(&answered, item->show_guid, NULL);
    text_is(&answered, item->path, "/data/movies/Exact (2001)/Exact (2001).mkv");
    text_is(&answered, item->section, "1");
    text_is(&answered, item->library_title, "Movies");
    CHECK(item->kind == 1 && item->year == 2001 && item->season == -1 && item->episode == -1 && item->flags == 0);
    forget(&answered);

    /* Another spelling of the path. The answer has the server's spelling. */
    answered = MATCH(movies, "/DATA/movies/exact (2001)/EXACT (2001).mkv", PLEXINDEX_OK, PLEXINDEX_MATCH_EXACT, HIGH,
                     PLEXINDEX_REASON_NONE);
    text_is(&answered, item_of(&answered, answer_of(&answered, 0))->path, "/data/movies/Exact (2001)/Exact (2001).mkv");
    forget(&answered);

    /* The second version of the movie. */
    answered = MATCH(movies, "/data/movies/Exact (2001)/Exact (2001) 4K.mkv", PLEXINDEX_OK, PLEXINDEX_MATCH_EXACT, HIGH,
                     PLEXINDEX_REASON_NONE);
    text_is(&answered, item_of(&answered, answer_of(&answered, 0))->key, "/library/metadata/900001");
    forget(&answered);
}

static void episode(const plexindex_library_handle *shows)
{
    struct answered answered = MATCH(shows, "/data/tv/The Show/Season 02/The Show - S02E03.mkv", PLEXINDEX_OK,
                                     PLEXINDEX_MATCH_EXACT, HIGH, PLEXINDEX_REASON_NONE);
    const plexindex_item *item = item_of(&answered, answer_of(&answered, 0));
    text_is(&answered, item->title, "Third");
    text_is(&answered, item->show_title, "The Show");
    CHECK(text_of(&answered, item->show_rating_key) != NULL);
    CHECK(item->kind == 4 && item->season == 2 && item->episode == 3);
    forget(&answered);
}

static void file_names(const plexindex_library_handle *movies)
{
    struct answered answered;
    uint32_t i;
    /* A file name alone is no evidence, whatever it says. */
    answered = MATCH(movies, "/elsewhere/Exact (2001).mkv", PLEXINDEX_OK, PLEXINDEX_MATCH_FILE_NAME, LOW,
                     PLEXINDEX_REASON_SAME_NAME);
    CHECK(plexindex_lookup_key(movies, "/elsewhere/Exact (2001).mkv") == NULL);
    forget(&answered);
    /* Inside of a library's folder the file should be listed: low confidence. */
    answered = MATCH(movies, "/data/movies/new/Exact (2001).mkv", PLEXINDEX_OK, PLEXINDEX_MATCH_FILE_NAME, LOW,
                     PLEXINDEX_REASON_NOT_LISTED);
    forget(&answered);
    /* Two items have this file name. */
    answered = MATCH(movies, "/elsewhere/twin.mkv", PLEXINDEX_AMBIGUOUS, PLEXINDEX_MATCH_FILE_NAME, LOW,
                     PLEXINDEX_REASON_SEVERAL_ITEMS);
    CHECK(answer_of(&answered, 0)->candidates_count == 2);
    CHECK(answer_of(&answered, 0)->candidates_total == 2);
    for (i = 0; i < 2; i++) {
        const plexindex_item *item = candidate_of(&answered, answer_of(&answered, 0), i);
        text_is(&answered, item->title, strstr(text_of(&answered, item->path), "Twins A") != NULL
            ? "Twin A" : "Twin B");
    }
    forget(&answered);
}

/* The same folder and file name under another root match as a suffix. */
static void suffixes(const plexindex_library_handle *movies)
{
    struct answered answered = MATCH(movies, "/mnt/backup/Exact (2001)/Exact (2001).mkv", PLEXINDEX_OK,
        PLEXINDEX_MATCH_SUFFIX,
                                     HIGH, PLEXINDEX_REASON_ONLY_ROOT_DIFFERS);
    text_is(&answered, item_of(&answered, answer_of(&answered, 0))->key, "/library/metadata/900001");
    forget(&answered);
    answered = MATCH(movies, "/mnt/backup/Twins B/twin.mkv", PLEXINDEX_OK, PLEXINDEX_MATCH_SUFFIX, HIGH,
                     PLEXINDEX_REASON_ONLY_ROOT_DIFFERS);
    text_is(&answered, item_of(&answered, answer_of(&answered, 0))->key, "/library/metadata/900003");
    forget(&answered);
}

/* Mappings of each kind. */
static void mappings(const struct setting *setting)
{
    static const struct {
        int32_t kind;
        const char *from;
        const char *to;
    } rules[] = {
        {PLEXINDEX_MAPPING_HOST_PREFIX, "/stash", "/data"},
        {PLEXINDEX_MAPPING_HOST_PATTERN, "^/disks/[0-9]+/(.*)$", "/data/movies/\\1"},
        {PLEXINDEX_MAPPING_SERVER_PREFIX, "/data/movies", "/films"},
        {PLEXINDEX_MAPPING_SERVER_PATTERN, "^/data/(.*)$", "/all of it/\\1"},
    };
    static const char *const paths[] = {
        "/stash/movies/Exact (2001)/Exact (2001).mkv",
        "/disks/7/Exact (2001)/Exact (2001).mkv",
        "/films/Exact (2001)/Exact (2001).mkv",
        "/all of it/movies/Exact (2001)/Exact (2001).mkv",
    };
    plexindex_handle *first = handle;
    size_t i;
    for (i = 0; i < sizeof rules / sizeof *rules; i++) {
        plexindex_options options = options_of(setting);
        plexindex_mapping mapping;
        struct answered answered;
        memset(&mapping, 0, sizeof mapping);
        mapping.kind = rules[i].kind;
        mapping.from = plexindex_bytes_of(rules[i].from);
        mapping.to = plexindex_bytes_of(rules[i].to);
        options.mappings = &mapping;
        options.mappings_count = 1;
        handle = opened(&options);
        answered = MATCH(library_of(handle, "Movies"), paths[i], PLEXINDEX_OK, PLEXINDEX_MATCH_MAPPED, HIGH,
                         PLEXINDEX_REASON_NONE);
        /* The path in the server's spelling. */
        text_is(&answered, item_of(&answered, answer_of(&answered, 0))->path,
            "/data/movies/Exact (2001)/Exact (2001).mkv");
        forget(&answered);
        CHECK_STATUS(PLEXINDEX_OK, plexindex_close(handle, ERROR));
    }
    handle = first;
}

static void not_found(const plexindex_library_handle *movies)
{
    struct answered answered;
    answered = MATCH(movies, "/data/movies/New (2026)/New (2026).mkv", PLEXINDEX_NOT_FOUND, PLEXINDEX_MATCH_NONE,
                     NO_CONFIDENCE, PLEXINDEX_REASON_NOT_LISTED);
    forget(&answered);
    answered = MATCH(movies, "/elsewhere/New (2026).mkv", PLEXINDEX_NOT_FOUND, PLEXINDEX_MATCH_NONE, NO_CONFIDENCE,
                     PLEXINDEX_REASON_NO_LOCATION);
    /* The message names the libraries' folders, to which a mapping must lead. */
    CHECK(strstr(text_of(&answered, answer_of(&answered, 0)->message), "/data/movies") != NULL);
    forget(&answered);
}

static void confirmed(const plexindex_library_handle *movies)
{
    struct answered answered;
    CHECK_STATUS(PLEXINDEX_OK, plexindex_record_match(movies, "/host/mine.mkv", 14, "900001", 6, 0, ERROR));
    answered = MATCH(movies, "/host/mine.mkv", PLEXINDEX_OK, PLEXINDEX_MATCH_CONFIRMED, HIGH, PLEXINDEX_REASON_NONE);
    text_is(&answered, item_of(&answered, answer_of(&answered, 0))->title, "Exact");
    text_is(&answered, item_of(&answered, answer_of(&answered, 0))->path, "/host/mine.mkv");
    forget(&answered);
    /* A recorded match answers before the listing. */
    CHECK_STATUS(PLEXINDEX_OK, plexindex_record_match(movies, "/elsewhere/twin.mkv", 19, "/library/metadata/900003",
        24, 0, ERROR));
    answered = MATCH(movies, "/elsewhere/twin.mkv", PLEXINDEX_OK, PLEXINDEX_MATCH_CONFIRMED, HIGH,
        PLEXINDEX_REASON_NONE);
    text_is(&answered, item_of(&answered, answer_of(&answered, 0))->rating_key, "900003");
    forget(&answered);
    /* plexindex records a key that is not listed, and says so in the answer. */
    CHECK_STATUS(PLEXINDEX_OK, plexindex_record_match(movies, "/elsewhere/none.mkv", 19, "999999", 6, 0, ERROR));
    answered = MATCH(movies, "/elsewhere/none.mkv", PLEXINDEX_NOT_FOUND, PLEXINDEX_MATCH_NONE, NO_CONFIDENCE,
                     PLEXINDEX_REASON_NO_LOCATION);
    CHECK(strstr(text_of(&answered, answer_of(&answered, 0)->message),
                 "the item '999999' recorded for this path is not listed in library 'Movies'") != NULL);
    forget(&answered);
    CHECK_STATUS(PLEXINDEX_OK, plexindex_invalidate_path(movies, "/elsewhere/none.mkv", 19, ERROR));
    CHECK_STATUS(PLEXINDEX_OK, plexindex_invalidate_path(movies, "/elsewhere/twin.mkv", 19, ERROR));
    answered = MATCH(movies, "/elsewhere/twin.mkv", PLEXINDEX_AMBIGUOUS, PLEXINDEX_MATCH_FILE_NAME, LOW,
                     PLEXINDEX_REASON_SEVERAL_ITEMS);
    forget(&answered);
}

static void all_libraries(void)
{
    struct answered answered;
    /* One library has the path. */
    answered = MATCH(NULL, "/data/movies/Exact (2001)/Exact (2001).mkv", PLEXINDEX_OK, PLEXINDEX_MATCH_EXACT, HIGH,
                     PLEXINDEX_REASON_NONE);
    text_is(&answered, item_of(&answered, answer_of(&answered, 0))->library_title, "Movies");
    forget(&answered);
    /* Two libraries share a folder, so one file is two items. */
    answered = MATCH(NULL, "/data/both/both.mkv", PLEXINDEX_AMBIGUOUS, PLEXINDEX_MATCH_EXACT, LOW,
                     PLEXINDEX_REASON_SEVERAL_LIBRARIES);
    CHECK(answer_of(&answered, 0)->candidates_count == 2);
    forget(&answered);
}

/* Libraries without a listing, and with an old one. */
static void not_fetched_and_stale(const struct setting *setting)
{
    plexindex_options options = options_of(setting);
    plexindex_query query;
    struct answered answered;
    plexindex_handle *first = handle;
    const plexindex_library_handle *movies;

    /* Offline, the store answers. */
    options.flags = PLEXINDEX_OPEN_OFFLINE;
    options.library_ttl_ms = PLEXINDEX_TTL_AT_ONCE;
    handle = opened(&options);
    movies = library_of(handle, "Movies");
    query = query_of(movies, "/data/movies/Exact (2001)/Exact (2001).mkv");
    answered = ask(plexindex_match_path, handle, &query);
    show("the same, offline and expired", &answered);
    CHECK_STATUS(PLEXINDEX_OK, answered.status);
    CHECK(answer_of(&answered, 0)->flags == PLEXINDEX_ANSWER_STALE);
    forget(&answered);
    CHECK_STATUS(PLEXINDEX_OK, plexindex_close(handle, ERROR));
    handle = first;

    /* The harness delays each page for two seconds, longer than the deadline. */
    harness("fault {\"kind\":\"listing\",\"count\":0,\"action\":\"delay\",\"ms\":2000}");
    harness("fault {\"kind\":\"search\",\"count\":0,\"action\":\"delay\",\"ms\":2000}");
    movies = NULL;
    CHECK_STATUS(PLEXINDEX_OK, plexindex_get_library(handle, PLEXINDEX_SELECT_TITLE, "Slow", 4, &movies, ERROR));
    query = query_of(movies, "/data/slow/a.mkv");
    query.timeout_ms = 300;
    answered = ask(plexindex_match_path, handle, &query);
    CHECK(answered.status == PLEXINDEX_NOT_YET || answered.status == PLEXINDEX_NEEDS_WARM);
    show("a library that is too slow for the timeout", &answered);
    CHECK(answer_of(&answered, 0)->reason == PLEXINDEX_REASON_NOT_FETCHED);
    CHECK(answer_of(&answered, 0)->age_ms == -1);
    forget(&answered);
    harness("heal");
}

int main(int argc, char **argv)
{
    struct setting setting = setting_of(argc, argv);
    plexindex_options options = options_of(&setting);
    const plexindex_library_handle *movies;
    const plexindex_library_handle *shows;
    plexindex_query query;

    handle = opened(&options);
    movies = library_of(handle, "Movies");
    shows = library_of(handle, "Shows");
    movie(movies);
    episode(shows);
    file_names(movies);
    suffixes(movies);
    not_found(movies);
    query = query_of(NULL, NULL);
    query.library = NULL;
    CHECK_STATUS(PLEXINDEX_OK, plexindex_get_library(handle, PLEXINDEX_SELECT_SECTION, "3", 1, &query.library, ERROR));
    CHECK_STATUS(PLEXINDEX_OK, plexindex_refresh(handle, &query, ERROR));
    CHECK_STATUS(PLEXINDEX_OK, plexindex_get_library(handle, PLEXINDEX_SELECT_SECTION, "4", 1, &query.library, ERROR));
    CHECK_STATUS(PLEXINDEX_OK, plexindex_refresh(handle, &query, ERROR));
    all_libraries();
    confirmed(movies);
    mappings(&setting);
    not_fetched_and_stale(&setting);
    CHECK_STATUS(PLEXINDEX_OK, plexindex_close(handle, ERROR));
    return 0;
}
