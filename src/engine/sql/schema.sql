-- The store's format, number 3: the one place that says which columns there are. docs/design/storage.md says what each table
-- is for, and what a change of this file needs; docs/design/crashes.md what a kill leaves.

CREATE TABLE store (
    one       INTEGER PRIMARY KEY CHECK (one = 1),
    store_id  INTEGER NOT NULL,            -- random; tells a new database from the one it replaced
    secret    BLOB    NOT NULL,            -- key of the hash that stands for a token
    sequence  INTEGER NOT NULL,            -- the change sequence
    trimmed   INTEGER NOT NULL DEFAULT 0,  -- changes up to here were removed
    requests  INTEGER NOT NULL DEFAULT 0,  -- over the store's life
    answers   INTEGER NOT NULL DEFAULT 0,
    evictions INTEGER NOT NULL DEFAULT 0,
    last_item INTEGER NOT NULL DEFAULT 0,  -- the last number of an item that is reserved. None is ever used again: the
                                           -- indexes of GUIDs and titles remember how far they are
    guids_upto INTEGER NOT NULL DEFAULT 0, -- items up to this number are in the GUID index
    titles_upto INTEGER NOT NULL DEFAULT 0, -- and in the title index
    segments  TEXT    NOT NULL DEFAULT '', -- of records, the newest first: name and number of records of each
    merged    INTEGER NOT NULL DEFAULT 0,  -- records of up to this change sequence are in segments
    manifest  INTEGER NOT NULL DEFAULT 0   -- change sequence when segments or tables changed last
) STRICT;

CREATE TABLE servers (
    id                 INTEGER PRIMARY KEY,
    machine_identifier TEXT NOT NULL UNIQUE,
    version            TEXT NOT NULL
) STRICT;

CREATE TABLE identities (    -- whose view of which server: the partition of everything below
    id     INTEGER PRIMARY KEY AUTOINCREMENT, -- no number is ever used twice: processes remember them
    server INTEGER NOT NULL REFERENCES servers (id),
    who    BLOB    NOT NULL,               -- the user's name, or the keyed hash of the token
    cleared INTEGER NOT NULL DEFAULT 0,    -- the host emptied it: nothing is inherited from others any more
    used_ms INTEGER NOT NULL DEFAULT 0,    -- when a process last answered from it, to the day
    feed_from INTEGER NOT NULL DEFAULT 0,  -- what happened up to here the feed cannot tell: libraries went
    same_user BLOB,                        -- keyed hash of what tokens of this user say that the server accepted; NULL: nothing
    UNIQUE (server, who)
) STRICT;

CREATE TABLE endpoints (     -- which identity a URL led to last: what makes opening lazy
    url      TEXT    NOT NULL,
    who      BLOB    NOT NULL,
    identity INTEGER NOT NULL REFERENCES identities (id),
    until_ms INTEGER NOT NULL DEFAULT 0,   -- when the token expires that `who` stands for; 0: never
    PRIMARY KEY (url, who)
) STRICT, WITHOUT ROWID;

CREATE TABLE libraries (
    id                 INTEGER PRIMARY KEY AUTOINCREMENT, -- as above
    identity           INTEGER NOT NULL REFERENCES identities (id),
    section            TEXT    NOT NULL,
    uuid               TEXT    NOT NULL,
    title              TEXT    NOT NULL,
    kind               INTEGER NOT NULL,
    locations          TEXT    NOT NULL,             -- JSON array
    position           INTEGER NOT NULL DEFAULT 0,   -- in the server's list
    present            INTEGER NOT NULL DEFAULT 1,   -- 0: the last probe did not show it
    gone_ms            INTEGER NOT NULL DEFAULT 0,   -- when a probe first did not show it
    -- its state as of the last probe
    token              TEXT    NOT NULL DEFAULT '',  -- the source's change token: compared for equality only
    trust              INTEGER NOT NULL DEFAULT 0,   -- Trust: what an equal token is worth
    busy               INTEGER NOT NULL DEFAULT 0,   -- a scan ran
    scanned_ms         INTEGER NOT NULL DEFAULT 0,   -- when a scan ended last
    probed_seq         INTEGER NOT NULL DEFAULT 0,   -- change sequence of that probe
    -- the newest complete listing
    generation         INTEGER NOT NULL DEFAULT 0,   -- 0: never fetched; below: the listing of that number was evicted
    asked_ms           INTEGER NOT NULL DEFAULT 0,   -- when it was asked for last, to the hour
    wanted_ms          INTEGER NOT NULL DEFAULT 0,   -- until when a call reads it that fetched it
    dead_items         INTEGER NOT NULL DEFAULT 0,   -- there may be some of what was evicted
    generation_seq     INTEGER NOT NULL DEFAULT 0,   -- change sequence since when that generation answers
    listed_items       INTEGER NOT NULL DEFAULT 0,
    told_items         INTEGER NOT NULL DEFAULT 0,   -- how many there were at listed_token
    listed_token       TEXT    NOT NULL DEFAULT '',  -- the token before its first page
    listed_ms          INTEGER NOT NULL DEFAULT 0,   -- when it was completed
    checked_ms         INTEGER NOT NULL DEFAULT 0,   -- when it was last seen to be current
    provisional        INTEGER NOT NULL DEFAULT 0,   -- 1: made during a scan; 2: it disagreed with itself
    begun_seq          INTEGER NOT NULL DEFAULT 0,   -- change sequence when it began
    due_seq            INTEGER NOT NULL DEFAULT 0,   -- change sequence when the library was invalidated
    shrunk             INTEGER NOT NULL DEFAULT -1,  -- items of the last listing that was much smaller; -1: a second one is not waited for
    shrunk_ms          INTEGER NOT NULL DEFAULT 0,   -- when the first of these was
    -- what is derived from it
    segment            TEXT    NOT NULL DEFAULT '',  -- segment of the listing
    segment_seq        INTEGER NOT NULL DEFAULT 0,   -- single items that came or went up to here are in it
    -- what the feed can tell of it
    feed_from          INTEGER NOT NULL DEFAULT 0,   -- what happened up to here it cannot: 'list again'
    feed_generation    INTEGER NOT NULL DEFAULT 0,   -- the listing that answered then: rows that it ended may go
    -- what events said
    hint               INTEGER NOT NULL DEFAULT 0,   -- Hint; 0: nothing that no probe has followed up
    hint_seq           INTEGER NOT NULL DEFAULT 0,   -- change sequence of the last one: what began later clears it
    UNIQUE (identity, uuid)
) STRICT;

CREATE TABLE parents (       -- a show or artist; a season or album
    id         INTEGER PRIMARY KEY,
    library    INTEGER NOT NULL REFERENCES libraries (id),
    above      INTEGER REFERENCES parents (id), -- of a season its show; NULL: it is a show
    rating_key TEXT    NOT NULL,
    title      TEXT    NOT NULL,
    guid       TEXT    NOT NULL
) STRICT;
CREATE INDEX parents_key ON parents (library, rating_key, title);

CREATE TABLE items (         -- a row is visible in the generations from born on, before died
    id         INTEGER PRIMARY KEY,        -- of those that `store` reserves
    library    INTEGER NOT NULL REFERENCES libraries (id),
    rating_key TEXT    NOT NULL,
    kind       INTEGER NOT NULL,
    year       INTEGER NOT NULL,
    parent     INTEGER REFERENCES parents (id), -- its season, else its show
    season     INTEGER NOT NULL,
    episode    INTEGER NOT NULL,
    texts      BLOB    NOT NULL,           -- title, GUID, external ids, paths as the server spells them: store::texts
    digest     INTEGER NOT NULL,           -- of all of the above: is the row still the same
    born       INTEGER NOT NULL,
    died       INTEGER,
    since      INTEGER NOT NULL DEFAULT 0  -- change sequence when it came, or went, singly; 0: by a listing
) STRICT;
CREATE INDEX items_key ON items (library, rating_key);
CREATE INDEX items_dead ON items (library, died) WHERE died IS NOT NULL;
CREATE INDEX items_born ON items (library, born) WHERE born > 1; -- what later listings brought: the feed reads it

CREATE TABLE guids (         -- made when a GUID is first asked for; candidates only: rows are compared
    hash INTEGER NOT NULL,
    item INTEGER NOT NULL,
    PRIMARY KEY (hash, item)
) STRICT, WITHOUT ROWID;

CREATE TABLE titles (        -- made when a title is first searched
    library INTEGER NOT NULL,
    fold    TEXT    NOT NULL,              -- without case, accents and punctuation; the item's own, or its show's
    item    INTEGER NOT NULL,
    PRIMARY KEY (library, fold, item)
) STRICT, WITHOUT ROWID;

CREATE TABLE listings (      -- a full listing under way
    library    INTEGER PRIMARY KEY REFERENCES libraries (id),
    generation INTEGER NOT NULL,           -- the one it will become
    begun_seq  INTEGER NOT NULL,
    touched_ms INTEGER NOT NULL,
    position   INTEGER NOT NULL,           -- where the next page begins
    pages      INTEGER NOT NULL,           -- pages of seen
    changed    INTEGER NOT NULL,           -- some row differs from the generation that answers
    progress   BLOB    NOT NULL            -- a Listing: how far it has come. Another build that cannot read it begins anew
) STRICT;

CREATE TABLE seen (          -- items that a listing found again, by page
    library INTEGER NOT NULL,
    page    INTEGER NOT NULL,
    ids     BLOB    NOT NULL,              -- runs of numbers: store::seen
    PRIMARY KEY (library, page)
) STRICT, WITHOUT ROWID;

CREATE TABLE unverified (    -- invalidated: not answered again before a request confirmed the item
    library    INTEGER NOT NULL REFERENCES libraries (id),
    path       BLOB    NOT NULL,           -- empty: the item with the rating key
    rating_key TEXT    NOT NULL,           -- empty: the path
    sequence   INTEGER NOT NULL,           -- a listing that began later clears it
    PRIMARY KEY (library, path, rating_key)
) STRICT, WITHOUT ROWID;

CREATE TABLE changes (       -- what other processes have to hear of
    id         INTEGER PRIMARY KEY,        -- in the order in which they were told: places::place_of(sequence, number)
    sequence   INTEGER NOT NULL,
    identity   INTEGER NOT NULL,
    library    INTEGER NOT NULL,           -- 0: all
    kind       INTEGER NOT NULL,           -- ChangeKind
    path       BLOB    NOT NULL,
    rating_key TEXT    NOT NULL,
    was        INTEGER NOT NULL DEFAULT 0, -- of an item: its row before, 0 for none; of a listing: its generation
    now        INTEGER NOT NULL DEFAULT 0  -- of an item: its row since, 0 for none; of a listing: the last row that it made
) STRICT;

CREATE TABLE timelines (     -- histories without a gap: timelines.rs says when one begins
    id    INTEGER PRIMARY KEY,             -- random
    begun INTEGER NOT NULL,                -- its first change sequence
    here  TEXT    NOT NULL                 -- the machine's start and the file that it is of
) STRICT;

CREATE TABLE days (          -- which change sequence a day ended with: how the feed knows what is old
    ms       INTEGER PRIMARY KEY,
    sequence INTEGER NOT NULL
) STRICT;

CREATE TABLE path_searches ( -- what the server was asked about: paths that were not listed
    library  INTEGER NOT NULL,             -- 0: a probe for such a path
    hash     INTEGER NOT NULL,             -- of the path's normal form
    identity INTEGER NOT NULL,
    first_ms INTEGER NOT NULL,
    last_ms  INTEGER NOT NULL,
    found    INTEGER NOT NULL,             -- 0 or 1; of a probe: 0 under way, 1 answered, else the status of its failure
    PRIMARY KEY (identity, library, hash)
) STRICT, WITHOUT ROWID;

CREATE TABLE refusals (      -- arguments that a server does not take
    server    INTEGER PRIMARY KEY REFERENCES servers (id),
    version   TEXT    NOT NULL,            -- the server's when they were refused: another one may take them
    arguments TEXT    NOT NULL             -- words of the source, with a space between them
) STRICT;

CREATE TABLE leases (        -- who fetches, where the file system has no locks
    what     TEXT    PRIMARY KEY,
    holder   INTEGER NOT NULL,
    until_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE tables (        -- what hosts record by exact name; a table is made when something is put into it
    id      INTEGER PRIMARY KEY AUTOINCREMENT, -- no number is ever used twice: segments have records of it
    name    BLOB    UNIQUE,                -- of a host's table
    library INTEGER,                       -- of the confirmed matches of a library. Neither: it was cleared, and is to be swept
    entries INTEGER NOT NULL DEFAULT 0,    -- in segments, expired ones included
    bytes   INTEGER NOT NULL DEFAULT 0,    -- that they take
    swept   INTEGER NOT NULL DEFAULT 0     -- it has no records up to this row
) STRICT;

CREATE UNIQUE INDEX tables_library ON tables (library) WHERE library IS NOT NULL;

CREATE TABLE records (       -- the log of what tables hold. A later record of a name replaces an earlier one. Of a confirmed
                             -- match the name is the path, and the value the change sequence when it was given and the key
    id         INTEGER PRIMARY KEY,        -- places::place_of(sequence, number)
    in_table   INTEGER NOT NULL REFERENCES tables (id),
    name       BLOB    NOT NULL,
    expires_ms INTEGER,                    -- NULL: never
    value      BLOB                        -- NULL: it was removed
) STRICT;
CREATE INDEX records_expiry ON records (expires_ms) WHERE expires_ms IS NOT NULL;
