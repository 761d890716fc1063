// Helpers. A C compiler makes them of this header: the library does not export them.

// A call of a walk with its size set, and all else zero: no rule holds.
static inline plexindex_walk_request plexindex_walk_init(void)
{
    plexindex_walk_request made;
    memset(&made, 0, sizeof made);
    made.size = sizeof made;
    return made;
}

// A finding of a walk: four texts in the memory of the buffer, each NUL-terminated and perhaps empty.
typedef struct plexindex_finding {
    const char *kind; // Such as `file`: see plexindex_walk().
    const char *cause; // Why the finding is one.
    const char *path; // The full path, in the file system's bytes.
    const char *detail; // What the cause says of it.
} plexindex_finding;

// Reads the findings of plexindex_walk() one by one:
//     size_t at = 0;
//     while (plexindex_get_next_finding(&findings, &at, &finding)) use(finding.kind, finding.path);
//
// `findings`: the buffer that plexindex_walk() filled. `at`: 0 for the first finding; the call moves it on.
// `finding`: receives the finding.
//
// Returns 1 with the next finding, 0 after the last one.
static inline int plexindex_get_next_finding(const plexindex_buffer *findings, size_t *at, plexindex_finding *finding)
{
    const char *texts[4];
    const char *data = (const char *)findings->data;
    size_t length = findings->length > findings->capacity ? 0 : findings->length; // More: it was too small.
    size_t end = *at;
    int i;
    for (i = 0; i < 4; i++) {
        const char *nul = end < length ? (const char *)memchr(data + end, 0, length - end) : NULL;
        if (nul == NULL) return 0;
        texts[i] = data + end;
        end = (size_t)(nul - data) + 1;
    }
    finding->kind = texts[0];
    finding->cause = texts[1];
    finding->path = texts[2];
    finding->detail = texts[3];
    *at = end;
    return 1;
}

// Returns 1 for a folder that the walk has not read yet: `folder` or `twin_folder`. No answer is in it.
static inline int plexindex_is_folder(const plexindex_finding *finding)
{
    return strcmp(finding->kind, "folder") == 0 || strcmp(finding->kind, "twin_folder") == 0;
}

// Gives the folders that a call of plexindex_walk() found to the next call:
//     do {
//         do status = plexindex_walk(&walk, &findings, error);
//         while (plexindex_buffer_grow(&findings, status));
//         for (at = 0; plexindex_get_next_finding(&findings, &at, &finding);)
//             if (!plexindex_is_folder(&finding)) use(finding.kind, finding.path);
//     } while (status == PLEXINDEX_OK && plexindex_continue_walk(&walk, &findings, &folders));
//
// `walk`: receives the list; folders that no call was given yet have to be appended. `findings`: what the call found.
// `folders`: memory for the list, from malloc or zeroed; plexindex_buffer_free() releases it.
//
// Returns 1 if the walk goes on; 0 when it is over, and without memory, with `walk->walk` not 0.
static inline int plexindex_continue_walk(plexindex_walk_request *walk, const plexindex_buffer *findings,
                                          plexindex_buffer *folders)
{
    plexindex_finding finding;
    size_t at = 0, length = 0, count = 0;
    folders->length = findings->length; // More than the list needs.
    plexindex_buffer_grow(folders, PLEXINDEX_BUFFER_TOO_SMALL);
    if (folders->capacity < findings->length) return 0;
    while (plexindex_get_next_finding(findings, &at, &finding)) {
        const char *texts[2];
        int i;
        if (!plexindex_is_folder(&finding)) continue;
        texts[0] = finding.kind;
        texts[1] = finding.path;
        for (i = 0; i < 2; i++) {
            size_t bytes = strlen(texts[i]) + 1;
            memcpy((char *)folders->data + length, texts[i], bytes);
            length += bytes;
        }
        count++;
    }
    folders->length = length;
    walk->folders.data = (const char *)folders->data;
    walk->folders.length = length;
    walk->folders_count = count;
    return walk->walk != 0;
}

// Copies the cursor of a page of changes.
//
// `page`: the buffer that plexindex_list_changes_json() filled. `cursor`: receives the cursor, at most 200 bytes, and a
// NUL. It stays as it is where `page` holds no page, or it does not fit. `capacity`: the room in `cursor`.
//
// Returns 1 if the next call with this cursor has something now (`more`), else 0.
static inline int plexindex_get_cursor(const plexindex_buffer *page, char *cursor, size_t capacity)
{
    // Quotes within texts are escaped, so only the names of the page's own fields look like this.
    static const char name[] = "\"cursor\":\"";
    const char *json = page->length == 0 || page->length >= page->capacity ? "" : (const char *)page->data;
    const char *found = strstr(json, name);
    size_t length;
    if (found == NULL) return 0;
    found += sizeof name - 1;
    length = strcspn(found, "\"");
    if (length >= capacity) return 0;
    memcpy(cursor, found, length);
    cursor[length] = '\0';
    return strstr(json, "\"more\":true") != NULL;
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
