-- Takes over the shared log of earlier versions: matches (kind 4), and invalid paths (6) and libraries (7), each of which
-- removed the matches before it. Their times are their numbers in the log, which are less than those of later records. Hosts
-- of earlier versions then say that they must be upgraded.
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
