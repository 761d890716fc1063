/*
 * A batch that does not fit into memory: each call that takes one gives a status, and plexindex works afterwards.
 */
#define _GNU_SOURCE
#include "check.h"

#include <sys/mman.h>
#include <sys/resource.h>

#define COUNT ((size_t)8 << 20)

static char many[COUNT * 2];

static void limit(rlim_t bytes)
{
    struct rlimit limit;
    CHECK(getrlimit(RLIMIT_AS, &limit) == 0);
    limit.rlim_cur = bytes;
    CHECK(setrlimit(RLIMIT_AS, &limit) == 0);
}

/* The bytes of address space that this process has. */
static rlim_t address_space(void)
{
    unsigned long pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    CHECK(file != NULL && fscanf(file, "%lu", &pages) == 1);
    fclose(file);
    return (rlim_t)pages * 4096;
}

/* Whether memory can be limited: sanitizers and valgrind need too much of it. */
static int can_limit(void)
{
#if defined(__SANITIZE_ADDRESS__)
    return 0;
#else
    return getenv("PLEXINDEX_VALGRIND") == NULL;
#endif
}

int main(int argc, char **argv)
{
    struct setting setting = setting_of(argc, argv);
    plexindex_options options = options_of(&setting);
    plexindex_query query = plexindex_query_init(NULL);
    plexindex_buffer answers = {NULL, 0, 0};
    const plexindex_library_handle *library = NULL;
    const plexindex_table_handle *table = NULL;
    plexindex_handle *handle = opened(&options);
    /* Zeros that occupy no memory. */
    size_t size = COUNT * sizeof(plexindex_table_op);
    const plexindex_table_op *ops = mmap(NULL, size, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    size_t i;
    CHECK(ops != MAP_FAILED);
    for (i = 0; i < COUNT; i++) {
        many[i * 2] = 'a';
    }
    query.text.data = many;
    query.text.length = sizeof many;
    CHECK_STATUS(PLEXINDEX_OK, plexindex_get_library(handle, PLEXINDEX_SELECT_UUID, "Mine", 4, &library, ERROR));
    if (can_limit()) {
        /* Each list takes 128 MiB at least, which is more than the allocator keeps for a thread. */
        limit(address_space() + ((rlim_t)16 << 20));
        CHECK_REFUSED(PLEXINDEX_INVALID_ARGUMENT, plexindex_match_paths(handle, &query, COUNT, &answers, ERROR),
            "memory");
        CHECK_REFUSED(PLEXINDEX_INVALID_ARGUMENT, plexindex_record_matches(library, many, sizeof many, many,
            sizeof many, COUNT, 0, 0, ERROR), "memory");
        CHECK_REFUSED(PLEXINDEX_INVALID_ARGUMENT, plexindex_table_write(handle, ops, COUNT, 0, 0, ERROR), "memory");
        limit(RLIM_INFINITY);
    }
    CHECK_STATUS(PLEXINDEX_OK, plexindex_get_table(handle, "Mine", 4, 0, &table, ERROR));
    CHECK_STATUS(PLEXINDEX_OK, plexindex_table_put(table, "Mine", 4, "Mine", 4, 0, UINT64_MAX, ERROR));
    CHECK_STATUS(PLEXINDEX_OK, plexindex_close(handle, ERROR));
    return 0;
}
