// Helpers. A C compiler makes them of this header: the library does not export them.

// A call of a walk with its size set, and all else zero.
static inline plexindex_walk_request plexindex_walk_init(void)
{
    plexindex_walk_request made;
    memset(&made, 0, sizeof made);
    made.size = sizeof made;
    return made;
}

// An edit with its size set, and all else zero: it locks the fields that it names.
static inline plexindex_edit plexindex_edit_init(void)
{
    plexindex_edit made;
    memset(&made, 0, sizeof made);
    made.size = sizeof made;
    return made;
}

// A report with its size set, and all else zero.
static inline plexindex_edit_report plexindex_edit_report_init(void)
{
    plexindex_edit_report made;
    memset(&made, 0, sizeof made);
    made.size = sizeof made;
    return made;
}
