-- The tables that hosts share, version 1. A role that uses them needs USAGE on the schema and SELECT, INSERT, UPDATE and
-- DELETE on its tables.

CREATE SCHEMA IF NOT EXISTS plexindex_shared;

CREATE TABLE plexindex_shared.meta (
    version int NOT NULL,
    secret bytea NOT NULL -- key for hashing tokens
);
INSERT INTO plexindex_shared.meta
    SELECT 1, decode(replace(gen_random_uuid()::text || gen_random_uuid()::text, '-', ''), 'hex');

-- A view is one server as one user sees it. The key is a hash of both.
CREATE TABLE plexindex_shared.views (
    view bigint PRIMARY KEY,
    server text NOT NULL,
    viewer bytea NOT NULL,
    seq bigint NOT NULL DEFAULT 0, -- of the last row; whoever writes locks this row, so seq follows the commits
    written timestamptz
);

-- The latest record of each path. The index has hashes, because a B-tree cannot store values of 8 KiB.
CREATE TABLE plexindex_shared.matches (
    view bigint NOT NULL,
    library text NOT NULL, -- uuid; empty: all libraries
    path bytea NOT NULL,   -- on the server; empty: everything that was recorded before
    key text,              -- rating key; NULL: taken back
    at bigint NOT NULL,    -- the hosts' common clock; of two rows, the later counts
    seq bigint NOT NULL,   -- for readers, who read what follows the last row that they have read
    -- More than any host writes. A later time must remain possible.
    CHECK (octet_length(library) <= 1000 AND octet_length(path) <= 65536 AND octet_length(key) <= 1000 AND at < 9e18)
);
CREATE UNIQUE INDEX matches_path ON plexindex_shared.matches (view, library, sha256(path));
CREATE UNIQUE INDEX matches_seq ON plexindex_shared.matches (view, seq);
-- The few rows without a path, for each delivery: in another index, the planner may read all rows of the view.
CREATE INDEX matches_all ON plexindex_shared.matches (view) WHERE path = '';

-- A random mark for each delivery, with the seq of its last row. A reader whose mark is not there reads everything again:
-- the database was restored, or is another one.
CREATE TABLE plexindex_shared.marks (
    view bigint, seq bigint, mark bigint NOT NULL, made timestamptz NOT NULL DEFAULT now(), PRIMARY KEY (view, seq)
);

-- Merges rows, and returns the mark of this delivery if any of them counted.
CREATE FUNCTION plexindex_shared.deliver(v bigint, libraries text[], paths bytea[], keys text[], times bigint[])
RETURNS TABLE (seq bigint, mark bigint) LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    base bigint;
    counted bigint;
    before record;
BEGIN
    SELECT views.seq INTO base FROM plexindex_shared.views WHERE view = v FOR UPDATE;
    IF NOT FOUND THEN
        RAISE 'there is no view %', v USING ERRCODE = 'PX001';
    END IF;
    INSERT INTO plexindex_shared.matches AS old
        SELECT DISTINCT ON (library, path) v, library, path, key, at, base + place
        FROM unnest(libraries, paths, keys, times) WITH ORDINALITY AS new (library, path, key, at, place)
        WHERE path = '' OR NOT EXISTS (
            SELECT FROM plexindex_shared.matches m WHERE m.view = v AND m.path = '' AND m.library IN (new.library, '')
            AND m.at > new.at)
        ORDER BY library, path, at DESC, key COLLATE "C" DESC NULLS LAST
    ON CONFLICT (view, library, sha256(path)) DO UPDATE SET key = excluded.key, at = excluded.at, seq = excluded.seq
        WHERE (old.at, coalesce(old.key, '') COLLATE "C") < (excluded.at, coalesce(excluded.key, '') COLLATE "C");
    GET DIAGNOSTICS counted = ROW_COUNT;
    IF counted = 0 THEN
        RETURN;
    END IF;
    FOR before IN
        SELECT library, at FROM unnest(libraries, paths, times) AS new (library, path, at) WHERE path = ''
    LOOP
        DELETE FROM plexindex_shared.matches
        WHERE view = v AND before.library IN (library, '') AND path <> '' AND at < before.at;
    END LOOP;
    UPDATE plexindex_shared.views SET seq = base + cardinality(paths), written = clock_timestamp() WHERE view = v;
    PERFORM pg_notify('plexindex_shared', v::text);
    RETURN QUERY INSERT INTO plexindex_shared.marks AS m
        VALUES (v, base + cardinality(paths), hashtextextended(gen_random_uuid()::text, 0)) RETURNING m.seq, m.mark;
END $$;
