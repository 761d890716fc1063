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
    return plexindex_items_below(library, folder, strlen(folder), after, strlen(after), limit, buffer, NULL);
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

/* What a walk of some folders finds, as text: each finding is `what why path;`. Names are read one a call. */
static const char *walked(const char *folders, size_t length, size_t count, uint64_t *files)
{
    static char told[4096];
    uint64_t memory[512];
    plexindex_buffer page = {memory, sizeof memory, 0};
    const char *text = (const char *)memory;
    size_t at = 0, used = 0;
    CHECK_STATUS(PLEXINDEX_OK, plexindex_walk(library, folders, length, count, 511, 1, files, &page, NULL));
    told[0] = '\0';
    while (at < page.length) {
        const char *what = text + at, *why = what + strlen(what) + 1, *path = why + strlen(why) + 1;
        const char *line = path + strlen(path) + 1;
        const char *name = strrchr(path, 0x2f);
        used += (size_t)snprintf(told + used, sizeof told - used, "%s %s %s;", what, why, name == NULL ? "" : name + 1);
        at = (size_t)(line + strlen(line) + 1 - text);
    }
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

/* A walk that goes on: its link is followed when no folder is left, and then it is over. */
static void walk_with_links(const char *root)
{
    char link[1100], given[4200], number[32];
    const char *told;
    plexindex_buffer nothing = {NULL, 0, 0};
    uint64_t files = 0;
    int length;
    snprintf(link, sizeof link, "%s/link", root);
    CHECK(symlink("below", link) == 0);
    length = snprintf(given, sizeof given, "folder%c%s%c", 0, root, 0);
    CHECK(strstr(walked(given, (size_t)length, 1, &files), "link  link;") != NULL);
    length = snprintf(given, sizeof given, "walk%c0%cfolder%c%s%cfolder%c%s/below%c", 0, 0, 0, root, 0, 0, root, 0);
    told = walked(given, (size_t)length, 3, &files);
    CHECK(strstr(told, "link  link;") == NULL && strstr(told, "walk ") != NULL);
    CHECK(sscanf(strstr(told, "walk "), "walk %31[0-9]", number) == 1);
    while (strstr(told, "folder  below;") != NULL) {
        length = snprintf(given, sizeof given, "walk%c%s%cfolder%c%s/below%c", 0, number, 0, 0, root, 0);
        told = walked(given, (size_t)length, 2, &files);
    }
    length = snprintf(given, sizeof given, "walk%c%s%c", 0, number, 0);
    told = walked(given, (size_t)length, 1, &files);
    CHECK(strcmp(told, "left_out linked link;") == 0 && files == 0);
    CHECK_REFUSED(PLEXINDEX_INVALID_ARGUMENT, plexindex_walk(library, given, (size_t)length, 1, 1, 1, &files, &nothing, NULL), "is over");
    CHECK_REFUSED(PLEXINDEX_INVALID_ARGUMENT, plexindex_walk(library, "walk\0-1", 8, 1, 1, 1, &files, &nothing, NULL), "is no number");
    CHECK_REFUSED(PLEXINDEX_INVALID_ARGUMENT, plexindex_walk(library, "walk\0" "0\0walk\0" "0", 14, 2, 1, 1, &files, &nothing, NULL), "twice");
    CHECK(unlink(link) == 0);
}

/* A folder that no library has: its media files are told, those of the folder below by the next call. */
static void walk_a_disk(const char *store)
{
    char root[1024], below[1100], given[4200];
    plexindex_buffer nothing = {NULL, 0, 0};
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
    CHECK(strstr(walked(given, (size_t)length, 1, &files), "folder  below;") != NULL && files == 2);
    CHECK(strstr(walked(given, (size_t)length, 1, &files), "file  1.mkv;") != NULL);
    CHECK(strstr(walked(given, (size_t)length, 1, &files), "file hidden .2.mkv;") != NULL);
    CHECK(strstr(walked(given, (size_t)length, 1, &files), "txt") == NULL);
    length = snprintf(given, sizeof given, "twin_folder%c%s%cfolder%c%s%c", 0, below, 0, 0, root, 0);
    CHECK(strstr(walked(given, (size_t)length, 2, &files), "twin_file  4.mkv;") != NULL && files >= 1);
    CHECK(strcmp(walked("", 0, 0, &files), "") == 0 && files == 0);
    walk_with_links(root);
    CHECK_REFUSED(PLEXINDEX_BUFFER_TOO_SMALL, plexindex_walk(library, given, (size_t)length, 2, 1, 1, &files, &nothing, NULL), "");
    CHECK_REFUSED(PLEXINDEX_INVALID_ARGUMENT, plexindex_walk(library, given, (size_t)length, 1, 1, 1, &files, &nothing, NULL), "count");
    CHECK_REFUSED(PLEXINDEX_INVALID_ARGUMENT, plexindex_walk(library, "x\0/x", 5, 1, 1, 1, &files, &nothing, NULL), "'x'");
    CHECK_REFUSED(PLEXINDEX_INVALID_ARGUMENT, plexindex_walk(library, "folder\0films", 13, 1, 1, 1, &files, &nothing, NULL), "no full path");
    CHECK_REFUSED(PLEXINDEX_INVALID_ARGUMENT, plexindex_walk(library, NULL, 0, 0, 512, 1, &files, &nothing, NULL), "rules");
    CHECK_REFUSED(PLEXINDEX_INVALID_ARGUMENT, plexindex_walk(library, NULL, 0, 0, 1, 0, &files, &nothing, NULL), "limit");
    CHECK_REFUSED(PLEXINDEX_NULL_POINTER, plexindex_walk(NULL, NULL, 0, 0, 1, 1, &files, &nothing, NULL), "library");
    CHECK_REFUSED(PLEXINDEX_NULL_POINTER, plexindex_walk(library, NULL, 0, 0, 1, 1, NULL, &nothing, NULL), "files");
    CHECK_REFUSED(PLEXINDEX_NULL_POINTER, plexindex_walk(library, NULL, 0, 0, 1, 1, &files, NULL, NULL), "page");
}

/* None of the listed files is on this disk. */
static void look_for_files(void)
{
    struct answered page;
    const plexindex_answer *answer;
    plexindex_buffer nothing = {NULL, 0, 0};
    memset(&page, 0, sizeof page);
    do {
        page.status = plexindex_items_not_on_disk(library, "/data/movies", 12, NULL, 0, 10000, &page.buffer, NULL);
    } while (grown(&page));
    answer = answer_of(&page, 0);
    CHECK(page.status == PLEXINDEX_OK && answer->files == FILES && answer->candidates_count == FILES);
    forget(&page);
    CHECK_REFUSED(PLEXINDEX_INVALID_ARGUMENT,
                  plexindex_items_not_on_disk(library, "/data", 5, NULL, 0, 10001, &nothing, NULL), "limit");
    CHECK_REFUSED(PLEXINDEX_NULL_POINTER, plexindex_items_not_on_disk(library, "/data", 5, NULL, 0, 1, NULL, NULL), "page");
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
    CHECK_REFUSED(PLEXINDEX_LIBRARY_NOT_FOUND, plexindex_items_below(library, "/data", 5, NULL, 0, 10, &nothing, NULL),
                  "Movies");
    CHECK(requests() == 0);

    /* Nothing is at hand yet. */
    query.flags = PLEXINDEX_QUERY_AT_ONCE;
    CHECK_STATUS(PLEXINDEX_NOT_YET, plexindex_match_folder(handle, &query, &block, NULL));
    CHECK(requests() == 0);
    query.flags = 0;

    /* A season, with its show. */
    answered = ask(plexindex_match_folder, handle, &query);
    CHECK(answered.status == PLEXINDEX_OK);
    answer = answer_of(&answered, 0);
    item = item_of(&answered, answer);
    CHECK(answer->rung == PLEXINDEX_RUNG_EXACT && answer->confidence == PLEXINDEX_CONFIDENCE_HIGH);
    CHECK(answer->kind == 3 && answer->items == 3 && answer->files == 3 && answer->reserved == 0);
    CHECK(item != NULL && item->kind == 3 && item->season == 2 && item->episode == -1);
    check_item(&answered, item);
    CHECK(strcmp(text_of(&answered, item->title), "Season 2") == 0);
    CHECK(strcmp(text_of(&answered, item->show_title), "The Show") == 0);
    CHECK(strcmp(text_of(&answered, item->path), "/data/tv/The Show") == 0);
    snprintf(show, sizeof show, "%s", text_of(&answered, item->show_rating_key));
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
    CHECK_STATUS(PLEXINDEX_NOT_YET, plexindex_match_folder(handle, &query, &block, NULL));

    CHECK(files_below("/data/movies", 10000) == FILES);
    CHECK(files_below("/data/movies/", 1000) == FILES);
    CHECK(files_below("/DATA/Movies", 100) == FILES);
    CHECK(files_below("/data/movies", 7) == FILES);
    CHECK(files_below("/data/movies/Exact (2001)", 1) == 2);
    CHECK(files_below("/data/none", 10) == 0);
    CHECK_REFUSED(PLEXINDEX_INVALID_ARGUMENT, plexindex_items_below(library, "/data", 5, NULL, 0, 0, &nothing, NULL),
                  "limit is 0");
    CHECK_REFUSED(PLEXINDEX_INVALID_ARGUMENT, plexindex_items_below(library, "", 0, NULL, 0, 1, &nothing, NULL), "empty");
    look_for_files();
    walk_a_disk(setting.folder);
    CHECK_STATUS(PLEXINDEX_OK, plexindex_close(handle, NULL));
    return 0;
}
