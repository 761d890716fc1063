PRAGMA user_version = 15; -- the format: increase it with each change of a table or column

-- All tables and columns of the current format. docs/design/storage.md describes changes of the format, and what remains
-- after a kill.

CREATE TABLE meta (
    one       INTEGER PRIMARY KEY CHECK (one = 1),
    store_id  INTEGER NOT NULL,            -- random; distinguishes a new database from the one it replaced
    secret    BLOB    NOT NULL,            -- key for hashing tokens
    sequence  INTEGER NOT NULL,            -- the change sequence
    requests  INTEGER NOT NULL DEFAULT 0,  -- since the creation of the store
    answers   INTEGER NOT NULL DEFAULT 0,
    evictions INTEGER NOT NULL DEFAULT 0,
    tables_changed INTEGER NOT NULL DEFAULT 0, -- change sequence at which a host's table was last made or cleared
    form_tag  INTEGER NOT NULL DEFAULT 0,  -- of the normal forms in `matches`: matching, normal::form_tag
    clock_us  INTEGER NOT NULL DEFAULT 0   -- what to add to this host's time to get that of the shared database, in µs
) STRICT;

CREATE TABLE servers (
    id                 INTEGER PRIMARY KEY,
    machine_identifier TEXT NOT NULL UNIQUE
) STRICT;

CREATE TABLE views (         -- one user's view of one server
    id     INTEGER PRIMARY KEY AUTOINCREMENT, -- never reused, because processes keep ids in memory
    server INTEGER NOT NULL REFERENCES servers (id),
    who    BLOB    NOT NULL,               -- the user's name, or the keyed hash of the token
    cleared INTEGER NOT NULL DEFAULT 0,    -- 1: the host cleared the view, which then inherits no matches
    same_user BLOB,                        -- keyed hash of the user in accepted tokens; NULL: unknown
    changed   INTEGER NOT NULL DEFAULT 0,  -- change sequence at which its libraries last changed, or doubts about these
    UNIQUE (server, who)
) STRICT;

CREATE TABLE endpoints (     -- maps a URL and user to a view, so that opening sends no request
    url      TEXT    NOT NULL,
    who      BLOB    NOT NULL,
    view_id  INTEGER NOT NULL REFERENCES views (id),
    until_ms INTEGER NOT NULL DEFAULT 0,   -- when the token of `who` expires; 0: never
    PRIMARY KEY (url, who)
) STRICT, WITHOUT ROWID;

CREATE TABLE libraries (
    id           INTEGER PRIMARY KEY AUTOINCREMENT, -- never reused
    view_id      INTEGER NOT NULL REFERENCES views (id),
    uuid         TEXT    NOT NULL,
    plex         TEXT    NOT NULL,             -- Library, as JSON: what the last probe returned, but its state
    gone_ms      INTEGER NOT NULL DEFAULT 0,   -- when a probe first did not return the library; 0: it is present
    knowledge    TEXT    NOT NULL DEFAULT '{}', -- Knowledge, as JSON
    -- the newest complete listing
    generation   INTEGER NOT NULL DEFAULT 0,   -- change sequence at which its content was published; 0: never fetched;
                                               -- negative: the listing was evicted or lost
    segment      TEXT    NOT NULL DEFAULT '',  -- name of the listing's segment
    listed_items INTEGER NOT NULL DEFAULT 0,
    UNIQUE (view_id, uuid)
) STRICT;

CREATE TABLE shows (         -- GUIDs of shows, whose items have only the show's own GUID
    library INTEGER NOT NULL REFERENCES libraries (id),
    guid    TEXT    NOT NULL,              -- canonical spelling; empty: the library's shows were fetched
    show    TEXT    NOT NULL,              -- canonical spelling of the show's own GUID
    PRIMARY KEY (library, guid, show)
) STRICT, WITHOUT ROWID;

CREATE TABLE listings (      -- unfinished full listings
    library    INTEGER PRIMARY KEY REFERENCES libraries (id),
    asked      INTEGER NOT NULL,           -- ticket of its request
    touched_ms INTEGER NOT NULL,
    position   INTEGER NOT NULL,           -- position of the next page
    pages      INTEGER NOT NULL,           -- number of stored pages
    file       TEXT    NOT NULL,           -- name of the file with the pages
    progress   BLOB    NOT NULL            -- an encoded Listing. A build that cannot decode it starts again
) STRICT;

CREATE TABLE doubts (        -- what may be wrong, until a later request has shown it: src/knowledge
    library   INTEGER NOT NULL REFERENCES libraries (id),
    scope     BLOB    NOT NULL,            -- empty: the library; 'i' and a rating key; 'p' and a path's normal form
    cause     INTEGER NOT NULL,            -- Cause
    path      BLOB    NOT NULL,            -- a doubted path as the host last wrote it; empty for other scopes
    raised    INTEGER NOT NULL,            -- change sequence at which the doubt was last raised
    raised_ms INTEGER NOT NULL,            -- when it was first raised
    PRIMARY KEY (library, scope, cause)
) STRICT, WITHOUT ROWID;
CREATE INDEX doubts_raised ON doubts (raised);

CREATE TABLE overlay (       -- single items that later replies brought, which win over the listing
    library    INTEGER NOT NULL REFERENCES libraries (id),
    rating_key TEXT    NOT NULL,
    asked      INTEGER NOT NULL,           -- ticket of the request
    came       INTEGER NOT NULL,           -- change sequence at which the reply was stored
    item       BLOB,                       -- the item, encoded; empty: as the listing has it; NULL: removed
    PRIMARY KEY (library, rating_key)
) STRICT, WITHOUT ROWID;
CREATE INDEX overlay_came ON overlay (came);

CREATE TABLE feed (          -- changes of items, for readers of the feed: see feed_rows.rs. Has at least one row
    id         INTEGER PRIMARY KEY,
    mark       INTEGER NOT NULL,           -- random; tells this row from one that a lost commit added
    library    INTEGER NOT NULL,           -- 0: no change
    rating_key TEXT    NOT NULL,           -- of the changed item; empty: list the library again
    was        BLOB                        -- the item before the change, encoded; NULL: not listed
) STRICT;

-- In path_searches, library 0 has a view's special rows, by hash: 0 is the last question about an unlisted path; 1 to 4
-- are the budgets (one per clock); 5 is the last search in unchanged libraries; of view 0, the hash of a precondition.
-- A negative library -n has the questions about paths in n, and -2^63 those for the libraries.
CREATE TABLE path_searches ( -- searches of the server for unlisted paths
    library  INTEGER NOT NULL,             -- 0: special rows; negative: questions
    hash     INTEGER NOT NULL,             -- of the path's normal form
    view_id  INTEGER NOT NULL,
    first_ms INTEGER NOT NULL,
    last_ms  INTEGER NOT NULL,
    found    INTEGER NOT NULL,             -- 0 or 1; for a last question: 0 running, 1 answered, other: error status
    asked    INTEGER NOT NULL DEFAULT 0,   -- of a question: change sequence when the call began
    PRIMARY KEY (view_id, library, hash)
) STRICT, WITHOUT ROWID;

CREATE TABLE tables (        -- hosts' tables, and each library's match table
    id      INTEGER PRIMARY KEY AUTOINCREMENT, -- never reused: the rows of a cleared table keep its id
    name    BLOB    UNIQUE,                -- name of a host's table
    library INTEGER,                       -- library of a match table. Without name and library: cleared
    size    INTEGER,                       -- size of a host's table, as limits count it; NULL: no write had a limit yet
    oldest  INTEGER NOT NULL DEFAULT 0     -- with `size`: no entry of the table has a lower id
) STRICT;
CREATE UNIQUE INDEX tables_library ON tables (library) WHERE library IS NOT NULL;

CREATE TABLE matches (       -- confirmed matches, in the order of their writes: record_rows.rs
    id       INTEGER PRIMARY KEY,          -- schema.rs, position_of(sequence, number)
    in_table INTEGER NOT NULL,
    form     BLOB    NOT NULL,             -- normal form of the path
    spelling BLOB    NOT NULL,             -- how the path differs from it
    item     TEXT    NOT NULL,             -- rating key
    at       INTEGER NOT NULL,             -- RecordTime; of a row from an earlier format, less than that of any later one
    total    INTEGER NOT NULL,             -- of the newest row: the size of all rows, with a checksum
    sum      INTEGER NOT NULL              -- checksum of the row, XOR `at`
) STRICT;
CREATE UNIQUE INDEX matches_form ON matches (in_table, form, spelling);

CREATE TABLE entries (       -- entries of hosts' tables, in the order of their writes
    id         INTEGER PRIMARY KEY,
    in_table   INTEGER NOT NULL,
    name       BLOB    NOT NULL,
    expires_ms INTEGER,                    -- NULL: never
    at         INTEGER NOT NULL,
    total      INTEGER NOT NULL,
    sum        INTEGER NOT NULL,
    value      BLOB    NOT NULL
) STRICT;
CREATE UNIQUE INDEX entries_name ON entries (in_table, name);
CREATE INDEX entries_expiry ON entries (expires_ms) WHERE expires_ms IS NOT NULL;

CREATE TABLE removed (       -- names and forms that were removed lately, for those who follow. Has at least one row
    id       INTEGER PRIMARY KEY,          -- the removals before the first row are not known any more
    number   INTEGER NOT NULL,             -- one more than that of the row before
    in_table INTEGER NOT NULL,
    name     BLOB    NOT NULL
) STRICT;

CREATE TABLE shared (        -- views that this folder shares with other hosts: shared_rows.rs
    view_id   INTEGER NOT NULL REFERENCES views (id),
    digest    INTEGER NOT NULL,            -- of all that decides which rows concern a process; 0: of an earlier format
    seq       INTEGER NOT NULL,            -- of the last row that was read
    mark      INTEGER NOT NULL,            -- of the delivery that wrote this row
    delivered INTEGER NOT NULL,            -- rows of `matches` and `taken_back` up to this id are delivered
    latest    INTEGER NOT NULL,            -- the latest RecordTime of any row of this view
    lost      INTEGER NOT NULL,            -- number of matches that went to keep the size limit before they were delivered
    PRIMARY KEY (view_id, digest)
) STRICT, WITHOUT ROWID;

CREATE TABLE taken_back (    -- matches that were taken back, of views in `shared`, or of one of several tokens
    view_id INTEGER NOT NULL REFERENCES views (id),
    library TEXT    NOT NULL,              -- uuid; empty: all libraries
    path    BLOB    NOT NULL,              -- the host's path; empty: all that was recorded before
    at      INTEGER NOT NULL,              -- RecordTime
    id      INTEGER NOT NULL,              -- as in `matches`
    PRIMARY KEY (view_id, library, path)
) STRICT, WITHOUT ROWID;
CREATE INDEX taken_back_id ON taken_back (view_id, id);

CREATE TABLE outbox (        -- what waited for the shared log of format 11: read once
    id      INTEGER PRIMARY KEY,
    view_id INTEGER NOT NULL,
    kind    INTEGER NOT NULL,              -- 4: a match; 6, 7: an invalid path or library
    library TEXT    NOT NULL,
    key     BLOB    NOT NULL,              -- the server's path
    body    BLOB    NOT NULL               -- rating key
) STRICT;
