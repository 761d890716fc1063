-- The tables that hosts share, version 1. A role that uses them needs USAGE on the schema and SELECT, INSERT, UPDATE and
-- DELETE on its tables.

-- One host at a time creates them. The key is "plexindx" in ASCII.
SELECT pg_advisory_xact_lock(x'706c6578696e6478'::bigint);
DO $tables$ BEGIN
IF to_regclass('plexindex_shared.meta') IS NOT NULL THEN
    RETURN;
END IF;

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
    path bytea NOT NULL,   -- on the server; empty: everything that was recorded before; or \0item\0 and a rating key
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

-- Takes over the shared log of earlier versions: matches (kind 4), and invalid paths (6) and libraries (7), each of which
-- removed the matches before it. Their times are their numbers in the log, which are less than those of later records. Hosts
-- of earlier versions then say that they must be upgraded.
IF to_regclass('plexindex.meta') IS NULL THEN
    RETURN;
END IF;
LOCK TABLE plexindex.meta, plexindex.views, plexindex.entries IN ACCESS EXCLUSIVE MODE;
DROP FUNCTION IF EXISTS plexindex.deliver;
DROP FUNCTION IF EXISTS plexindex.write;
UPDATE plexindex_shared.meta SET secret = old.secret FROM plexindex.meta AS old;
INSERT INTO plexindex_shared.views SELECT view, server, viewer, number, written FROM plexindex.views;
INSERT INTO plexindex_shared.matches
    SELECT DISTINCT ON (view, library, key) view, library, key,
        CASE kind WHEN 4 THEN nullif(convert_from(body, 'UTF8'), '') END, number, number
    FROM plexindex.entries
    WHERE kind IN (4, 6, 7) AND (kind = 7) = (key = '') AND octet_length(key) <= 65536
        AND (kind <> 4 OR octet_length(body) <= 1000)
    ORDER BY view, library, key, number DESC;
INSERT INTO plexindex_shared.marks
    SELECT view, number, hashtextextended(gen_random_uuid()::text, 0) FROM plexindex.views WHERE number > 0;
UPDATE plexindex.meta SET version = 3;
END $tables$;
