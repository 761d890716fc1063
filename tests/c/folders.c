/*
 * What a folder is, and what lies below it, a page a call: every file once, whatever the size of the pages.
 */
#include "block.h"

#include <sys/stat.h>
#include <unistd.h>

/* 1,200 generated movies, one of two files, and two more. */
#define FILES 1204

static const plexindex_library_handle *library;
static const char *folder;
static char after[4096];
static size_t limit;

static int32_t next_page(const plexindex_handle *handle, const plexindex_query *query, plexindex_buffer *buffer)
{
    (void)handle;
    (void)query;
    return plexindex_list_items_below(library, folder, strlen(folder), after, strlen(after), limit, buffer, ERROR);
}

static struct answered page_of(void)
{
    struct answered page;
    memset(&page, 0, sizeof page);
    do {
        page.status = next_page(NULL, NULL, &page.buffer);
    } while (grown(&page));
    return page;
}

/* Goes through all pages; gives how many files there were. Each comes behind the one before. */
static size_t files_below(const char *path, size_t rows)
{
    size_t files = 0;
    int32_t status;
    folder = path;
    limit = rows;
    after[0] = '\0';
    do {
        struct answered page = page_of();
        const plexindex_answer *answer = answer_of(&page, 0);
        uint32_t i;
        status = page.status;
        CHECK(status == PLEXINDEX_OK || status == PLEXINDEX_NOT_FOUND);
        CHECK(answer->status == status && (answer->candidates_count == 0) == (status == PLEXINDEX_NOT_FOUND));
        CHECK(answer->candidates_count <= rows);
        for (i = 0; i < answer->candidates_count; i++) {
            const plexindex_item *item = candidate_of(&page, answer, i);
            check_item(&page, item);
            CHECK(strcmp(text_of(&page, item->path), after) != 0);
            CHECK(strlen(text_of(&page, item->path)) < sizeof after);
            strcpy(after, text_of(&page, item->path));
            files++;
        }
        forget(&page);
    } while (status == PLEXINDEX_OK);
    return files;
}

/* A walk of some folders that reads one name a call. */
static plexindex_walk_request request(uint64_t walk, const char *folders, size_t length, size_t count)
{
    plexindex_walk_request request = plexindex_walk_init();
    request.library = library;
    request.folders.data = folders;
    request.folders.length = length;
    request.folders_count = count;
    request.limit = 1;
    request.walk = walk;
    request.rules = PLEXINDEX_RULE_ALL;
    return request;
}

/* What a walk of some folders finds, as text: each finding is `what why path;`. */
static const char *walked(plexindex_walk_request *walk)
{
    static char told[4096];
    uint64_t memory[512];
    plexindex_buffer page = {memory, sizeof memory, 0};
    plexindex_finding finding;
    size_t at = 0, used = 0;
    CHECK_STATUS(PLEXINDEX_OK, plexindex_walk(walk, &page, ERROR));
    told[0] = '\0';
    while (plexindex_get_next_finding(&page, &at, &finding)) {
        const char *name = strrchr(finding.path, 0x2f);
        CHECK(strlen(finding.detail) < page.length);
        used += (size_t)snprintf(told + used, sizeof told - used, "%s %s %s;", finding.kind, finding.cause, name == NULL ? "" : name + 1);
    }
    CHECK(at == page.length);
    /* A buffer that was too small holds none. */
    page.length = page.capacity + 1;
    at = 0;
    CHECK(!plexindex_get_next_finding(&page, &at, &finding) && at == 0);
    return told;
}

static void make(const char *folder, const char *name)
{
    char path[4096];
    FILE *file;
    snprintf(path, sizeof path, "%s/%s", folder, name);
    file = fopen(path, "w");
    CHECK(file != NULL && fputs("x", file) >= 0 && fclose(file) == 0);
}

/* The same, in one call. */
static const char *once(const char *folders, size_t length, size_t count, uint64_t *files)
{
    plexindex_walk_request walk = request(0, folders, length, count);
    const char *told;
    walk.flags = PLEXINDEX_WALK_ONCE;
    told = walked(&walk);
    CHECK(walk.walk == 0);
    *files = walk.files;
    return told;
}

/* A walk that goes on: its link is followed when no folder is left, and then it is over. */
static void walk_with_links(const char *root)
{
    char link[1100], given[4200];
    const char *told;
    plexindex_buffer nothing = {NULL, 0, 0};
    plexindex_walk_request walk;
    uint64_t files = 0, number;
    int length;
    snprintf(link, sizeof link, "%s/link", root);
    CHECK(symlink("below", link) == 0);
    length = snprintf(given, sizeof given, "folder%c%s%c", 0, root, 0);
    CHECK(strstr(once(given, (size_t)length, 1, &files), "link  link;") != NULL);
    length = snprintf(given, sizeof given, "folder%c%s%cfolder%c%s/below%c", 0, root, 0, 0, root, 0);
    walk = request(0, given, (size_t)length, 2);
    told = walked(&walk);
    CHECK(strstr(told, "link  link;") == NULL && walk.walk != 0);
    number = walk.walk;
    while (strstr(told, "folder  below;") != NULL) {
        length = snprintf(given, sizeof given, "folder%c%s/below%c", 0, root, 0);
        walk = request(number, given, (size_t)length, 1);
        told = walked(&walk);
        CHECK(walk.walk == number);
    }
    walk = request(number, NULL, 0, 0);
    CHECK(strcmp(walked(&walk), "left_out linked link;") == 0 && walk.files == 0 && walk.walk == 0);
    walk.walk = number;
    CHECK_REFUSED(PLEXINDEX_INVALID_ARGUMENT, plexindex_walk(&walk, &nothing, ERROR), "has ended");
    CHECK(unlink(link) == 0);
}

/* A walk with the helper: all files, and each once. */
static void walk_with_helper(const char *root)
{
    char given[1200];
    plexindex_buffer findings = {NULL, 0, 0}, folders = {NULL, 0, 0};
    plexindex_finding finding;
    plexindex_walk_request walk;
    int32_t status;
    size_t at, files = 0, calls = 0;
    int length = snprintf(given, sizeof given, "folder%c%s%c", 0, root, 0);
    walk = request(0, given, (size_t)length, 1);
    do {
        do status = plexindex_walk(&walk, &findings, ERROR);
        while (plexindex_buffer_grow(&findings, status));
        CHECK_STATUS(PLEXINDEX_OK, status);
        for (at = 0; plexindex_get_next_finding(&findings, &at, &finding);) {
            if (plexindex_is_folder(&finding)) continue;
            CHECK(strcmp(finding.kind, "file") == 0 && strstr(finding.path, "/many/") != NULL);
            files++;
        }
        calls++;
    } while (plexindex_continue_walk(&walk, &findings, &folders));
    CHECK(walk.walk == 0 && files == 300 && calls > 30);
    plexindex_buffer_free(&findings);
    plexindex_buffer_free(&folders);
}

/* Many folders: their list needs more than the first memory. */
static void walk_many(const char *store)
{
    char root[1024], folder[1400];
    int i;
    snprintf(root, sizeof root, "%s/many", store);
    CHECK(mkdir(root, 0700) == 0);
    for (i = 0; i < 300; i++) {
        snprintf(folder, sizeof folder, "%s/a folder with a name that makes the list of all folders long, %d", root, i);
        CHECK(mkdir(folder, 0700) == 0);
        make(folder, "film.mkv");
    }
    walk_with_helper(root);
}

/* A folder that no library has: its media files are told, those of the folder below by the next call. */
static void walk_a_disk(const char *store)
{
    char root[1024], below[1100], given[4200];
    plexindex_buffer nothing = {NULL, 0, 0};
    plexindex_walk_request walk;
    uint64_t files = 0;
    int length;
    snprintf(root, sizeof root, "%s/disk", store);
    snprintf(below, sizeof below, "%s/below", root);
    CHECK(mkdir(root, 0700) == 0 && mkdir(below, 0700) == 0);
    make(root, "1.mkv");
    make(root, ".2.mkv");
    make(root, "3.txt");
    make(below, "4.mkv");
    length = snprintf(given, sizeof given, "folder%c%s%c", 0, root, 0);
    CHECK(strstr(once(given, (size_t)length, 1, &files), "folder  below;") != NULL && files == 2);
    CHECK(strstr(once(given, (size_t)length, 1, &files), "file no_library 1.mkv;") != NULL);
    CHECK(strstr(once(given, (size_t)length, 1, &files), "file hidden .2.mkv;") != NULL);
    CHECK(strstr(once(given, (size_t)length, 1, &files), "txt") == NULL);
    length = snprintf(given, sizeof given, "twin_folder%c%s%cfolder%c%s%c", 0, below, 0, 0, root, 0);
    CHECK(strstr(once(given, (size_t)length, 2, &files), "twin_file no_library 4.mkv;") != NULL && files >= 1);
    CHECK(strcmp(once("", 0, 0, &files), "") == 0 && files == 0);
    /* A file by itself, and one that the library lists. */
    length = snprintf(given, sizeof given, "file%c%s/1.mkv%ctwin_file%c%s%c", 0, root, 0, 0, "/data/movies/Exact (2001)/Exact (2001).mkv", 0);
    CHECK(strcmp(once(given, (size_t)length, 2, &files), "file no_library 1.mkv;") == 0 && files == 2);
    walk_with_links(root);
    walk_many(store);
    /* A folder that does not exist is no empty one. */
    walk = request(0, "folder\0/no/such/folder", 23, 1);
    CHECK(strcmp(walked(&walk), "unreadable 2 folder;") == 0);
    CHECK(strcmp(once("folder\0/no/such/folder", 23, 1, &files), "unreadable 2 folder;") == 0);
    walk = request(0, given, (size_t)length, 2);
    CHECK_REFUSED(PLEXINDEX_BUFFER_TOO_SMALL, plexindex_walk(&walk, &nothing, ERROR), "");
    walk.rules = PLEXINDEX_RULE_ALL + 1;
    CHECK_REFUSED(PLEXINDEX_UNSUPPORTED, plexindex_walk(&walk, &nothing, ERROR), "walk.rules");
    walk.rules = PLEXINDEX_RULE_ALL;
    walk.folders_count = 1;
    CHECK_REFUSED(PLEXINDEX_INVALID_ARGUMENT, plexindex_walk(&walk, &nothing, ERROR), "count");
    walk = request(0, "x\0/x", 5, 1);
    CHECK_REFUSED(PLEXINDEX_INVALID_ARGUMENT, plexindex_walk(&walk, &nothing, ERROR), "'x'");
    walk = request(0, "folder\0films", 13, 1);
    CHECK_REFUSED(PLEXINDEX_INVALID_ARGUMENT, plexindex_walk(&walk, &nothing, ERROR), "not a full path");
    walk = request(0, NULL, 0, 0);
    walk.rules = 512;
    CHECK_REFUSED(PLEXINDEX_UNSUPPORTED, plexindex_walk(&walk, &nothing, ERROR), "walk.rules");
    walk = request(0, NULL, 0, 0);
    walk.limit = 1000001;
    CHECK_REFUSED(PLEXINDEX_INVALID_ARGUMENT, plexindex_walk(&walk, &nothing, ERROR), "walk.limit");
    walk = request(0, NULL, 0, 0);
    walk.flags = 2;
    CHECK_REFUSED(PLEXINDEX_UNSUPPORTED, plexindex_walk(&walk, &nothing, ERROR), "walk.flags");
    walk = request(0, NULL, 0, 0);
    walk.library = NULL;
    CHECK_REFUSED(PLEXINDEX_NULL_POINTER, plexindex_walk(&walk, &nothing, ERROR), "library");
    CHECK_REFUSED(PLEXINDEX_NULL_POINTER, plexindex_walk(NULL, &nothing, ERROR), "walk");
    walk = request(0, NULL, 0, 0);
    CHECK_REFUSED(PLEXINDEX_NULL_POINTER, plexindex_walk(&walk, NULL, ERROR), "out_findings");
}

/* None of the listed files is on this disk. */
static void look_for_files(void)
{
    struct answered page;
    uint32_t i;
    const plexindex_answer *answer;
    plexindex_buffer nothing = {NULL, 0, 0};
    memset(&page, 0, sizeof page);
    do {
        page.status = plexindex_list_items_not_on_disk(library, "/data/movies", 12, NULL, 0, 10000, &page.buffer, ERROR);
    } while (grown(&page));
    answer = answer_of(&page, 0);
    CHECK(page.status == PLEXINDEX_OK && answer->files == FILES && answer->candidates_count == FILES);
    for (i = 0; i < FILES; i++) CHECK(candidate_of(&page, answer, i)->flags == PLEXINDEX_ITEM_FILE_MISSING);
    forget(&page);
    CHECK_REFUSED(PLEXINDEX_INVALID_ARGUMENT,
                  plexindex_list_items_not_on_disk(library, "/data", 5, NULL, 0, 10001, &nothing, ERROR), "limit");
    CHECK_REFUSED(PLEXINDEX_NULL_POINTER, plexindex_list_items_not_on_disk(library, "/data", 5, NULL, 0, 1, NULL, ERROR), "page");
}

/* Of a film of two files one is on this disk: it comes too, since the item has several, and is not called missing. */
static void look_for_one_file(plexindex_options options)
{
    char root[1024], film[1100];
    struct answered page;
    const plexindex_answer *answer;
    uint32_t i, there = 0;
    plexindex_mapping mapping = {PLEXINDEX_MAPPING_SERVER_PREFIX, 0, {"/data/movies", 12}, {NULL, 0}};
    plexindex_handle *handle;
    snprintf(root, sizeof root, "%.*s/movies", (int)options.cache_dir.length, options.cache_dir.data);
    snprintf(film, sizeof film, "%s/Exact (2001)", root);
    CHECK(mkdir(root, 0700) == 0 && mkdir(film, 0700) == 0);
    make(film, "Exact (2001).mkv");
    mapping.to = plexindex_bytes_of(root);
    options.mappings = &mapping;
    options.mappings_count = 1;
    handle = opened(&options);
    memset(&page, 0, sizeof page);
    do {
        page.status = plexindex_list_items_not_on_disk(library_of(handle, "Movies"), film, strlen(film), NULL, 0, 10,
                                                       &page.buffer, ERROR);
    } while (grown(&page));
    answer = answer_of(&page, 0);
    CHECK(page.status == PLEXINDEX_OK && answer->candidates_count == 2);
    for (i = 0; i < 2; i++) {
        const plexindex_item *item = candidate_of(&page, answer, i);
        int is_there = strstr(text_of(&page, item->path), "4K") == NULL;
        check_item(&page, item);
        CHECK(item->flags == (is_there ? 0 : PLEXINDEX_ITEM_FILE_MISSING));
        there += is_there;
    }
    CHECK(there == 1);
    forget(&page);
    CHECK_STATUS(PLEXINDEX_OK, plexindex_close(handle, ERROR));
}

int main(int argc, char **argv)
{
    struct setting setting = setting_of(argc, argv);
    plexindex_options options = options_of(&setting);
    plexindex_handle *handle = opened(&options);
    const plexindex_library_handle *shows = library_of(handle, "Shows");
    plexindex_query query = query_of(shows, "/data/tv/The Show/");
    plexindex_buffer nothing = {NULL, 0, 0};
    uint64_t room[512];
    plexindex_buffer block = {room, sizeof room, 0};
    struct answered answered;
    const plexindex_answer *answer;
    const plexindex_item *item;
    char show[64];

    library = library_of(handle, "Movies");
    CHECK_REFUSED(PLEXINDEX_NOT_FETCHED, plexindex_list_items_below(library, "/data", 5, NULL, 0, 10, &nothing, ERROR),
                  "Movies");
    CHECK(requests() == 0);

    /* Nothing is at hand yet. */
    query.flags = PLEXINDEX_QUERY_AT_ONCE;
    CHECK_STATUS(PLEXINDEX_NOT_YET, plexindex_match_folder(handle, &query, &block, ERROR));
    CHECK(requests() == 0);
    query.flags = 0;

    /* A season, with its show. */
    answered = ask(plexindex_match_folder, handle, &query);
    CHECK(answered.status == PLEXINDEX_OK);
    answer = answer_of(&answered, 0);
    item = item_of(&answered, answer);
    CHECK(answer->match_kind == PLEXINDEX_MATCH_EXACT && answer->confidence == PLEXINDEX_CONFIDENCE_HIGH);
    CHECK(answer->kind == 3 && answer->items == 3 && answer->files == 3 && answer->reserved == 0);
    CHECK(item != NULL && item->kind == 3 && item->season == 2 && item->episode == -1);
    check_item(&answered, item);
    CHECK(strcmp(text_of(&answered, item->title), "Season 2") == 0);
    CHECK(strcmp(text_of(&answered, item->show_title), "The Show") == 0);
    CHECK(strcmp(text_of(&answered, item->path), "/data/tv/The Show") == 0);
    snprintf(show, sizeof show, "%s", text_of(&answered, item->show_rating_key));
    /* The call after a fetch stores that the library is in use; then nothing has to be written. */
    CHECK_STATUS(PLEXINDEX_OK, plexindex_match_folder(handle, &query, &block, ERROR));
    query.flags = PLEXINDEX_QUERY_AT_ONCE;
    {
        struct answered again = ask(plexindex_match_folder, handle, &query);
        const plexindex_answer *same = answer_of(&again, 0);
        CHECK(again.status == PLEXINDEX_OK && same->kind == 3 && same->items == 3 && same->files == 3);
        CHECK(strcmp(text_of(&again, item_of(&again, same)->title), "Season 2") == 0);
        forget(&again);
    }
    CHECK(strcmp(text_of(&answered, item->rating_key), show) != 0);
    forget(&answered);

    /* An episode names the same show, and no counts. */
    query = query_of(shows, "/data/tv/The Show/Season 02/The Show - S02E01.mkv");
    answered = ask(plexindex_match_path, handle, &query);
    CHECK(answered.status == PLEXINDEX_OK);
    answer = answer_of(&answered, 0);
    CHECK(answer->items == 0 && answer->files == 0 && answer->kind == 0);
    CHECK(strcmp(text_of(&answered, item_of(&answered, answer)->show_rating_key), show) == 0);
    forget(&answered);

    /* A film of two files is one item. */
    query = query_of(library, "/data/movies/Exact (2001)");
    answered = ask(plexindex_match_folder, handle, &query);
    answer = answer_of(&answered, 0);
    CHECK(answered.status == PLEXINDEX_OK && answer->kind == 1 && answer->items == 1 && answer->files == 2);
    forget(&answered);

    /* The library's own folder holds all of them. */
    query = query_of(library, "/data/movies");
    answered = ask(plexindex_match_folder, handle, &query);
    answer = answer_of(&answered, 0);
    CHECK(answered.status == PLEXINDEX_AMBIGUOUS && answer->reason == PLEXINDEX_REASON_SEVERAL_ITEMS);
    CHECK(answer->candidates_count == 16 && answer->candidates_total == 1203);
    CHECK(answer->items == 1203 && answer->files == FILES && answer->kind == 0);
    forget(&answered);
    query.flags = PLEXINDEX_QUERY_AT_ONCE;
    CHECK_STATUS(PLEXINDEX_NOT_YET, plexindex_match_folder(handle, &query, &block, ERROR));

    CHECK(files_below("/data/movies", 10000) == FILES);
    CHECK(files_below("/data/movies/", 1000) == FILES);
    CHECK(files_below("/DATA/Movies", 100) == FILES);
    CHECK(files_below("/data/movies", 7) == FILES);
    CHECK(files_below("/data/movies/Exact (2001)", 1) == 2);
    CHECK(files_below("/data/none", 10) == 0);
    CHECK_REFUSED(PLEXINDEX_INVALID_ARGUMENT, plexindex_list_items_below(library, "/data", 5, NULL, 0, 0, &nothing, ERROR),
                  "limit is 0");
    CHECK_REFUSED(PLEXINDEX_INVALID_ARGUMENT, plexindex_list_items_below(library, "", 0, NULL, 0, 1, &nothing, ERROR), "empty");
    look_for_files();
    look_for_one_file(options);
    walk_a_disk(setting.folder);
    CHECK_STATUS(PLEXINDEX_OK, plexindex_close(handle, ERROR));
    return 0;
}
