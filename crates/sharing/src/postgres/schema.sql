-- The tables of plexindex's shared log, version 2, in the schema plexindex. A role that uses the log needs USAGE on the
-- schema and SELECT, INSERT, UPDATE and DELETE on its tables. All times come from the server's clock.
--
-- Lock order: first the row in leases or delivered, then the row in views.

CREATE SCHEMA IF NOT EXISTS plexindex;

CREATE TABLE plexindex.meta (
    version int NOT NULL,
    secret bytea NOT NULL -- key for hashing tokens
);
INSERT INTO plexindex.meta
    SELECT 2, decode(replace(gen_random_uuid()::text || gen_random_uuid()::text, '-', ''), 'hex');

-- A view is one server as one user sees it. The key is a hash of the server and the user. If a restored backup lacks a
-- view, the new row gets the same key, and no other view ever gets this key.
CREATE TABLE plexindex.views (
    view bigint PRIMARY KEY,
    server text NOT NULL,
    viewer bytea NOT NULL,
    number bigint NOT NULL DEFAULT 0, -- number of the last entry
    written timestamptz
);

-- Numbers are assigned without gaps and in commit order, since each write locks the row of its view. The index contains
-- hashes of the keys, because a B-tree cannot store values of 8 KiB.
CREATE TABLE plexindex.entries (
    view bigint NOT NULL,
    kind smallint NOT NULL,
    library text NOT NULL,
    key bytea NOT NULL,
    number bigint NOT NULL,
    host bigint NOT NULL,
    at timestamptz NOT NULL,
    body bytea NOT NULL
);
CREATE UNIQUE INDEX entries_name ON plexindex.entries (view, kind, library, sha256(key));
CREATE UNIQUE INDEX entries_number ON plexindex.entries (view, number);
-- Index for the matches of an item. The body comes first, so that the planner does not use this index to search for a
-- path.
CREATE INDEX entries_matched ON plexindex.entries (body, view, library) WHERE kind = 4;

-- A random mark for each write, stored under the number of the write's last entry.
CREATE TABLE plexindex.marks (view bigint, number bigint, mark bigint NOT NULL, PRIMARY KEY (view, number));

-- The number of each host's last delivered entry, which the host has assigned.
CREATE TABLE plexindex.delivered (
    view bigint, host bigint, number bigint NOT NULL, at timestamptz NOT NULL, PRIMARY KEY (view, host)
);

-- Only earlier versions of plexindex use the tables leases, published and chunks, to share listings.
CREATE TABLE plexindex.leases (
    view bigint, what text, fence bigint NOT NULL, until timestamptz NOT NULL, PRIMARY KEY (view, what)
);

CREATE TABLE plexindex.published (view bigint, library text, listing bigint NOT NULL, PRIMARY KEY (view, library));
CREATE TABLE plexindex.chunks (
    view bigint, library text, listing bigint, number bigint, body bytea NOT NULL,
    PRIMARY KEY (view, library, listing, number)
);
ALTER TABLE plexindex.chunks ALTER body SET STORAGE EXTERNAL; -- bodies are already compressed
