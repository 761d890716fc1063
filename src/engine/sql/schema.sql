-- The store's format, number 3: all tables and columns. docs/design/storage.md describes the tables, how
-- the format changes, and what a kill leaves.

CREATE TABLE store (
    one       INTEGER PRIMARY KEY CHECK (one = 1),
    store_id  INTEGER NOT NULL,            -- random; distinguishes a new database from the one it replaced
    secret    BLOB    NOT NULL,            -- key of the hashes of tokens
    sequence  INTEGER NOT NULL,            -- the change sequence
    trimmed   INTEGER NOT NULL DEFAULT 0,  -- changes up to here were removed
    requests  INTEGER NOT NULL DEFAULT 0,  -- over the store's life
    answers   INTEGER NOT NULL DEFAULT 0,
    evictions INTEGER NOT NULL DEFAULT 0,
    segments  TEXT    NOT NULL DEFAULT '', -- segments of records, the newest first: name, and number of records
    merged    INTEGER NOT NULL DEFAULT 0,  -- records up to this change sequence are in segments
    manifest  INTEGER NOT NULL DEFAULT 0   -- change sequence at which segments or tables last changed
) STRICT;

CREATE TABLE servers (
    id                 INTEGER PRIMARY KEY,
    machine_identifier TEXT NOT NULL UNIQUE
) STRICT;

CREATE TABLE identities (    -- one user's view of one server; all rows below belong to one
    id     INTEGER PRIMARY KEY AUTOINCREMENT, -- numbers are never reused: processes keep them in memory
    server INTEGER NOT NULL REFERENCES servers (id),
    who    BLOB    NOT NULL,               -- the user's name, or the keyed hash of the token
    cleared INTEGER NOT NULL DEFAULT 0,    -- the host emptied it, so it no longer inherits matches
    feed_from INTEGER NOT NULL DEFAULT 0,  -- the feed has no changes up to here, since libraries were removed
    same_user BLOB,                        -- keyed hash of the user that accepted tokens name; NULL: they name none
    UNIQUE (server, who)
) STRICT;

CREATE TABLE endpoints (     -- the identity that a URL and user last led to, so that opening sends no request
    url      TEXT    NOT NULL,
    who      BLOB    NOT NULL,
    identity INTEGER NOT NULL REFERENCES identities (id),
    until_ms INTEGER NOT NULL DEFAULT 0,   -- when the token of `who` expires; 0: never
    PRIMARY KEY (url, who)
) STRICT, WITHOUT ROWID;

CREATE TABLE libraries (
    id                 INTEGER PRIMARY KEY AUTOINCREMENT, -- never reused either
    identity           INTEGER NOT NULL REFERENCES identities (id),
    section            TEXT    NOT NULL,
    uuid               TEXT    NOT NULL,
    title              TEXT    NOT NULL,
    kind               INTEGER NOT NULL,
    locations          TEXT    NOT NULL,             -- JSON array
    position           INTEGER NOT NULL DEFAULT 0,   -- in the server's list
    present            INTEGER NOT NULL DEFAULT 1,   -- 0: the last probe did not show it
    gone_ms            INTEGER NOT NULL DEFAULT 0,   -- when a probe first did not show it
    -- its state at the last probe
    token              TEXT    NOT NULL DEFAULT '',  -- the source's change token; only compared for equality
    trust              INTEGER NOT NULL DEFAULT 0,   -- Trust: whether an equal token proves that nothing changed
    busy               INTEGER NOT NULL DEFAULT 0,   -- 1: a scan was running
    scanned_ms         INTEGER NOT NULL DEFAULT 0,   -- when a scan last ended
    probed_seq         INTEGER NOT NULL DEFAULT 0,   -- change sequence of that probe
    -- the newest complete listing
    generation         INTEGER NOT NULL DEFAULT 0,   -- 0: never fetched; -n: the listing n was evicted or lost
    generation_seq     INTEGER NOT NULL DEFAULT 0,   -- change sequence at which that generation was published
    listed_items       INTEGER NOT NULL DEFAULT 0,
    told_items         INTEGER NOT NULL DEFAULT 0,   -- number of items at listed_token
    listed_token       TEXT    NOT NULL DEFAULT '',  -- the change token before its first page
    listed_ms          INTEGER NOT NULL DEFAULT 0,   -- when it was completed
    checked_ms         INTEGER NOT NULL DEFAULT 0,   -- when it was last found to be current
    provisional        INTEGER NOT NULL DEFAULT 0,   -- 1: fetched during a scan; 2: its counts disagree
    begun_seq          INTEGER NOT NULL DEFAULT 0,   -- change sequence when it began
    due_seq            INTEGER NOT NULL DEFAULT 0,   -- change sequence when the library was invalidated
    shrunk             INTEGER NOT NULL DEFAULT -1,  -- items of a smaller listing held back; -1: none
    shrunk_ms          INTEGER NOT NULL DEFAULT 0,   -- when the first such listing was fetched
    -- its segment
    segment            TEXT    NOT NULL DEFAULT '',  -- name of the listing's segment
    segment_seq        INTEGER NOT NULL DEFAULT 0,   -- single items added or removed up to here are in it
    -- its history for the feed
    feed_from          INTEGER NOT NULL DEFAULT 0,   -- the feed has no changes up to here: 'list again'
    -- hints of events
    hint               INTEGER NOT NULL DEFAULT 0,   -- Hint; 0: none that a probe must follow up
    hint_seq           INTEGER NOT NULL DEFAULT 0,   -- change sequence of the last hint; later probes clear it
    UNIQUE (identity, uuid)
) STRICT;

CREATE TABLE listings (      -- a full listing under way
    library    INTEGER PRIMARY KEY REFERENCES libraries (id),
    begun_seq  INTEGER NOT NULL,
    touched_ms INTEGER NOT NULL,
    position   INTEGER NOT NULL,           -- position of the next page
    pages      INTEGER NOT NULL,           -- number of its pages
    file       TEXT    NOT NULL,           -- name of the file with its pages
    progress   BLOB    NOT NULL            -- a Listing, encoded. A build that cannot decode it begins anew
) STRICT;

CREATE TABLE unverified (    -- invalidated: a request must verify it before it is returned again
    library    INTEGER NOT NULL REFERENCES libraries (id),
    form       BLOB    NOT NULL,           -- the path's normal form; empty for an item
    rating_key TEXT    NOT NULL,           -- empty for a path
    path       BLOB    NOT NULL,           -- as it was given last
    sequence   INTEGER NOT NULL,           -- a listing that began later clears it
    PRIMARY KEY (library, form, rating_key)
) STRICT, WITHOUT ROWID;

CREATE TABLE changes (       -- the change log, for other processes
    id         INTEGER PRIMARY KEY,        -- position in the log: places::place_of(sequence, number)
    sequence   INTEGER NOT NULL,
    identity   INTEGER NOT NULL,
    library    INTEGER NOT NULL,           -- 0: all
    kind       INTEGER NOT NULL,           -- LoggedKind
    path       BLOB    NOT NULL,
    rating_key TEXT    NOT NULL,
    item       BLOB                        -- the item that was added, encoded
) STRICT;
CREATE INDEX changes_item ON changes (library, rating_key) WHERE kind IN (8, 9); -- items added or removed one by one

CREATE TABLE feed (          -- changes of items, for readers of the feed
    id       INTEGER PRIMARY KEY,          -- places::place_of(sequence, number)
    sequence INTEGER NOT NULL,
    library  INTEGER NOT NULL,
    was      BLOB,                         -- the item before and after, encoded; NULL: none
    now      BLOB
) STRICT;
CREATE INDEX feed_library ON feed (library, sequence);

CREATE TABLE timelines (     -- see timelines.rs
    id    INTEGER PRIMARY KEY,             -- random
    begun INTEGER NOT NULL,                -- its first change sequence
    here  TEXT    NOT NULL                 -- the boot of the machine, and the inode of the database
) STRICT;

CREATE TABLE path_searches ( -- searches on the server for paths that are not listed
    library  INTEGER NOT NULL,             -- 0: a probe because of such a path, or a precondition
    hash     INTEGER NOT NULL,             -- of the path's normal form
    identity INTEGER NOT NULL,
    first_ms INTEGER NOT NULL,
    last_ms  INTEGER NOT NULL,
    found    INTEGER NOT NULL,             -- 0 or 1; probe: 0 under way, 1 answered, else the status of its failure
    PRIMARY KEY (identity, library, hash)
) STRICT, WITHOUT ROWID;

CREATE TABLE tables (        -- tables of hosts, and one for the confirmed matches of each library
    id      INTEGER PRIMARY KEY AUTOINCREMENT, -- numbers are never reused: segments have records with them
    name    BLOB    UNIQUE,                -- name of a host's table
    library INTEGER,                       -- library of confirmed matches. No name and library: cleared
    entries INTEGER NOT NULL DEFAULT 0,    -- number of entries in segments, including expired ones
    bytes   INTEGER NOT NULL DEFAULT 0,    -- size of these entries
    swept   INTEGER NOT NULL DEFAULT 0     -- it has no records up to this row
) STRICT;

CREATE UNIQUE INDEX tables_library ON tables (library) WHERE library IS NOT NULL;

CREATE TABLE records (       -- the log of the tables. The last record of a name counts. A confirmed match has its path
                             -- as name; its value is a change sequence and a rating key
    id         INTEGER PRIMARY KEY,        -- places::place_of(sequence, number)
    in_table   INTEGER NOT NULL REFERENCES tables (id),
    name       BLOB    NOT NULL,
    expires_ms INTEGER,                    -- NULL: never
    value      BLOB                        -- NULL: the name was removed
) STRICT;
CREATE INDEX records_expiry ON records (expires_ms) WHERE expires_ms IS NOT NULL;

CREATE TABLE shared (        -- how far the log that hosts share was read: docs/several-hosts.md
    identity INTEGER NOT NULL REFERENCES identities (id),
    mappings INTEGER NOT NULL,             -- hash of the mappings that matches are read with: each reads the log by itself
    log      TEXT    NOT NULL,             -- its address; another one is read from its beginning
    number   INTEGER NOT NULL,             -- entries up to this number were read
    mark     INTEGER NOT NULL,             -- the mark of the write that gave this number
    looked_ms INTEGER NOT NULL,            -- when it was last read, or tried; 0: it was not joined yet
    PRIMARY KEY (identity, mappings)
) STRICT, WITHOUT ROWID;

CREATE TABLE shared_listings ( -- listings that are those of the log, so that its newer items belong to them
    library INTEGER PRIMARY KEY,
    listing INTEGER NOT NULL,              -- the number of the listing in the log; 0: an own one, which the log does not have
    begun_ms INTEGER NOT NULL              -- when this host began to ask the server for it: items told before are older
) STRICT;

CREATE TABLE outbox (        -- entries for the log, written with what they tell of. Kept for a while when they are delivered
    id       INTEGER PRIMARY KEY AUTOINCREMENT,
    identity INTEGER NOT NULL REFERENCES identities (id),
    timeline INTEGER NOT NULL,             -- the host that numbered it: a restored folder is another one
    kind     INTEGER NOT NULL,             -- EntryKind
    library  TEXT    NOT NULL,             -- its uuid
    key      BLOB    NOT NULL,
    body     BLOB    NOT NULL,
    sent     INTEGER NOT NULL DEFAULT 0    -- 1: the log took it; 2: from an earlier host of this folder
) STRICT;
CREATE TABLE applied (       -- invalidations of other hosts that this folder has applied
    host   INTEGER PRIMARY KEY,
    number INTEGER NOT NULL                -- up to this number of that host
) STRICT;

CREATE INDEX outbox_sent ON outbox (identity, sent, id);
