// Helpers. A C compiler makes them of this header: the library does not export them.

// A call of a walk with its size set, and all else zero: no rule holds.
static inline plexindex_walk_request plexindex_walk_init(void)
{
    plexindex_walk_request made;
    memset(&made, 0, sizeof made);
    made.size = sizeof made;
    return made;
}

// Reads the next `count` texts of a buffer that holds texts, each followed by a NUL. For findings and changes there are
// plexindex_get_next_finding() and plexindex_get_next_change().
//
// `buffer`: the buffer, as the call left it that filled it. `position`: 0 at first; the call moves it on. `texts`:
// receives the texts, in the buffer's memory.
//
// Returns 1; or 0 when fewer texts are left, and `position` stays.
static inline int plexindex_get_next_texts(const plexindex_buffer *buffer, size_t *position, plexindex_bytes *texts,
                                           size_t count)
{
    const char *data = buffer == NULL ? NULL : (const char *)buffer->data;
    size_t length = buffer == NULL || buffer->length > buffer->capacity ? 0 : buffer->length; // It was too small.
    size_t end = *position, i;
    for (i = 0; i < count; i++) {
        const char *nul = end < length ? (const char *)memchr(data + end, 0, length - end) : NULL;
        if (nul == NULL) return 0;
        texts[i].data = data + end;
        texts[i].length = (size_t)(nul - texts[i].data);
        end += texts[i].length + 1;
    }
    *position = end;
    return 1;
}

// A finding of a walk: four texts in the memory of the buffer, each NUL-terminated and perhaps empty.
typedef struct plexindex_finding {
    const char *kind; // Such as `file`: see plexindex_walk().
    const char *cause; // Why the finding is one.
    const char *path; // The full path, in the file system's bytes.
    const char *detail; // What the cause says of it.
} plexindex_finding;

// Reads the findings of plexindex_walk() one by one:
//     size_t position = 0;
//     while (plexindex_get_next_finding(&findings, &position, &finding)) use(finding.kind, finding.path);
//
// `findings`: the buffer that plexindex_walk() filled. `position`: 0 for the first finding; the call moves it on.
// `finding`: receives the finding.
//
// Returns 1 with the next finding, 0 after the last one.
static inline int plexindex_get_next_finding(const plexindex_buffer *findings, size_t *position,
                                             plexindex_finding *finding)
{
    plexindex_bytes texts[4];
    if (!plexindex_get_next_texts(findings, position, texts, 4)) return 0;
    finding->kind = texts[0].data;
    finding->cause = texts[1].data;
    finding->path = texts[2].data;
    finding->detail = texts[3].data;
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
// `walk`: receives the list. If the first call was given only some of the folders to walk, append others to the list.
// `findings`: what the call found. `folders`: memory for the list, from malloc or zeroed, for plexindex_buffer_free().
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

// A change of the feed: texts in the memory of the page, each followed by a NUL that `length` does not count. An absent
// text is NULL and 0.
typedef struct plexindex_change {
    const char *kind; // `added`, `removed`, `moved`, `changed` or `list_again`: see plexindex_list_changes().
    plexindex_bytes library_title; // Title of the library, UTF-8.
    plexindex_bytes section; // Section id of the library.
    plexindex_bytes path; // The file, as the server spells it. Absent for an item without files.
    plexindex_bytes from; // `moved`: where the file was. `changed`: a file that the item lost. Else absent.
    plexindex_bytes rating_key; // The item's rating key; a removed item's last one.
    plexindex_bytes from_key; // The rating key that the item had before, when it got another one. Else absent.
    // The item as plexindex_get_item_json() gives it, as it is now; a removed item as it was last. A change of the kind
    // `list_again` has none, nor a path or key.
    plexindex_bytes item;
} plexindex_change;

// Reads the changes of a page one by one:
//     size_t position = 0;
//     while (plexindex_get_next_change(&page, &position, &change)) use(change.kind, change.path);
//
// `page`: the buffer that plexindex_list_changes() filled. `position`: 0 for the first change; the call moves it on.
// `change`: receives the change. It is valid until the buffer is filled again.
//
// Returns 1 with the next change, 0 after the last one.
static inline int plexindex_get_next_change(const plexindex_buffer *page, size_t *position, plexindex_change *change)
{
    plexindex_bytes texts[8];
    size_t i;
    // The cursor and `more` come first.
    if (*position == 0 && !plexindex_get_next_texts(page, position, texts, 2)) return 0;
    if (!plexindex_get_next_texts(page, position, texts, 8)) return 0;
    for (i = 3; i < 8; i++) {
        if (texts[i].length == 0) texts[i].data = NULL;
    }
    change->kind = texts[0].data;
    change->library_title = texts[1];
    change->section = texts[2];
    change->path = texts[3];
    change->from = texts[4];
    change->rating_key = texts[5];
    change->from_key = texts[6];
    change->item = texts[7];
    return 1;
}

// Copies the cursor of a page of changes.
//
// `page`: the buffer that plexindex_list_changes() filled. `cursor`: receives the cursor, at most 200 bytes, and a NUL.
// `capacity`: the room in `cursor`.
//
// Returns 1 if the next call with this cursor has something now (`more`), else 0; -1 where `page` holds no page, or the
// cursor does not fit: it stays as it is then.
static inline int plexindex_get_cursor(const plexindex_buffer *page, char *cursor, size_t capacity)
{
    plexindex_bytes texts[2];
    size_t position = 0;
    if (!plexindex_get_next_texts(page, &position, texts, 2) || texts[0].length >= capacity) return -1;
    memcpy(cursor, texts[0].data, texts[0].length + 1);
    return texts[1].length != 0;
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
