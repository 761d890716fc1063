-- The functions of plexindex's shared log. Each write is one function call, and therefore one transaction and one round
-- trip. Functions run with the privileges of the calling role.

-- Returns the key of a view, and creates the view if it does not exist. A role without write privileges can call this
-- function for an existing view.
CREATE OR REPLACE FUNCTION plexindex.view(a_server text, a_viewer bytea) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    hash text := encode(sha256(sha256(convert_to(a_server, 'UTF8')) || a_viewer), 'hex');
    id bigint := ('x' || left(hash, 16))::bit(64)::bigint & 9223372036854775807;
BEGIN
    IF NOT EXISTS (SELECT FROM plexindex.views WHERE view = id) THEN
        INSERT INTO plexindex.views (view, server, viewer) VALUES (id, a_server, a_viewer) ON CONFLICT DO NOTHING;
    END IF;
    RETURN id;
END $$;

-- Returns the mark of the write that includes this number.
CREATE OR REPLACE FUNCTION plexindex.mark(v bigint, n bigint) RETURNS bigint LANGUAGE sql STABLE AS $$
    SELECT mark FROM plexindex.marks WHERE view = v AND number >= n ORDER BY number LIMIT 1
$$;

-- Returns the first entries after a number. While the table has no statistics, the planner would sort all entries for
-- each page without these settings.
CREATE OR REPLACE FUNCTION plexindex.page(v bigint, n bigint, most bigint) RETURNS SETOF plexindex.entries LANGUAGE sql STABLE
SET enable_sort = off SET enable_bitmapscan = off AS $$
    SELECT * FROM plexindex.entries WHERE view = v AND number > n ORDER BY number LIMIT most
$$;

-- Writes entries, and returns the number of the last entry.
CREATE OR REPLACE FUNCTION plexindex.write(
    v bigint, h bigint, kinds smallint[], libraries text[], keys bytea[], bodies bytea[]
) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    base bigint;
    last bigint;
    told record;
BEGIN
    UPDATE plexindex.views SET number = number + cardinality(kinds), written = clock_timestamp() WHERE view = v
        RETURNING number - cardinality(kinds), number INTO base, last;
    IF NOT FOUND THEN
        RAISE 'there is no view %', v USING ERRCODE = 'PX001';
    ELSIF base = last THEN
        RETURN last;
    END IF;
    INSERT INTO plexindex.entries
        SELECT DISTINCT ON (kind, library, key) v, kind, library, key, base + place, h, clock_timestamp(), body
        FROM unnest(kinds, libraries, keys, bodies) WITH ORDINALITY AS new (kind, library, key, body, place)
        ORDER BY kind, library, key, place DESC
    ON CONFLICT (view, kind, library, sha256(key)) DO UPDATE
        SET number = excluded.number, host = excluded.host, at = excluded.at, body = excluded.body;
    -- Process invalidations one by one, because a join would read all matches while the table has no statistics.
    FOR told IN
        SELECT * FROM unnest(kinds, libraries, keys, bodies) WITH ORDINALITY AS new (kind, library, key, body, place)
        WHERE kind IN (5, 6, 7)
    LOOP
        IF told.kind = 7 THEN -- invalid library: remove its matches (4) and invalidations (5, 6)
            DELETE FROM plexindex.entries WHERE view = v AND kind IN (4, 5, 6) AND library = told.library
                AND number < base + told.place;
        ELSIF told.kind = 6 THEN -- invalid path: remove its match
            DELETE FROM plexindex.entries WHERE view = v AND kind = 4 AND library = told.library
                AND sha256(key) = sha256(told.key) AND number < base + told.place;
        ELSIF octet_length(told.body) > 0 THEN -- invalid item with a body: empty the item's matches
            UPDATE plexindex.entries SET body = '' WHERE view = v AND kind = 4 AND library = told.library
                AND body = told.key AND number < base + told.place;
        END IF;
    END LOOP;
    INSERT INTO plexindex.marks VALUES (v, last, hashtextextended(gen_random_uuid()::text, 0));
    IF base >> 10 <> last >> 10 THEN
        PERFORM plexindex.sweep(v);
    END IF;
    PERFORM pg_notify('plexindex', v || ' ' || last);
    RETURN last;
END $$;

-- Removes old marks, and leases of earlier versions. If the mark at a reader's position was removed, the reader starts
-- over.
CREATE OR REPLACE FUNCTION plexindex.sweep(v bigint) RETURNS void LANGUAGE sql AS $$
    DELETE FROM plexindex.marks WHERE view = v AND number <
        (SELECT number FROM plexindex.marks WHERE view = v ORDER BY number DESC OFFSET 9999 LIMIT 1);
    DELETE FROM plexindex.leases WHERE view = v AND until < clock_timestamp() - interval '2 days';
$$;

-- Writes the entries that a host has numbered, and skips entries that the host has already delivered. known: the last
-- number that the host knows to be delivered. Returns the last delivered number.
CREATE OR REPLACE FUNCTION plexindex.deliver(
    v bigint, h bigint, known bigint, a_numbers bigint[], kinds smallint[], libraries text[], keys bytea[], bodies bytea[]
) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    upto bigint;
    passed int;
    total int := cardinality(a_numbers);
BEGIN
    INSERT INTO plexindex.delivered AS d VALUES (v, h, 0, clock_timestamp())
        ON CONFLICT (view, host) DO UPDATE SET at = excluded.at RETURNING d.number INTO upto;
    IF upto < known OR upto > known AND upto < a_numbers[total] AND upto <> ALL (a_numbers) THEN
        RETURN upto; -- the log or the host's folder was restored
    END IF;
    passed := (SELECT count(*) FROM unnest(a_numbers) AS number WHERE number <= upto);
    IF passed < total THEN
        PERFORM plexindex.write(v, h, kinds[passed + 1:], libraries[passed + 1:], keys[passed + 1:], bodies[passed + 1:]);
        upto := a_numbers[total];
        UPDATE plexindex.delivered SET number = upto WHERE view = v AND host = h;
    END IF;
    RETURN upto;
END $$;

-- Only earlier versions of plexindex call the functions below, to share listings and items.

CREATE OR REPLACE FUNCTION plexindex.holds(v bigint, w text, f bigint) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    PERFORM FROM plexindex.leases WHERE view = v AND what = w AND fence = f AND until > clock_timestamp() FOR SHARE;
    RETURN FOUND;
END $$;

CREATE OR REPLACE FUNCTION plexindex.append(
    v bigint, h bigint, kinds smallint[], libraries text[], keys bytea[], bodies bytea[], w text, f bigint
) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    IF w IS NOT NULL AND NOT plexindex.holds(v, w, f) THEN
        RETURN false;
    END IF;
    PERFORM plexindex.write(v, h, kinds, libraries, keys, bodies);
    RETURN true;
END $$;

CREATE OR REPLACE FUNCTION plexindex.lease(v bigint, w text, lifetime interval) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    new_fence bigint;
BEGIN
    INSERT INTO plexindex.leases AS old
        VALUES (v, w, extract(epoch FROM clock_timestamp()) * 1000000, clock_timestamp() + lifetime)
    ON CONFLICT (view, what) DO UPDATE SET fence = greatest(old.fence + 1, excluded.fence), until = excluded.until
        WHERE old.until <= clock_timestamp() OR old.until > clock_timestamp() + lifetime
    RETURNING old.fence INTO new_fence;
    RETURN new_fence;
END $$;

CREATE OR REPLACE FUNCTION plexindex.put_chunk(v bigint, w text, f bigint, a_library text, n bigint, a_body bytea)
RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    IF NOT plexindex.holds(v, w, f) THEN
        RETURN false;
    END IF;
    INSERT INTO plexindex.chunks VALUES (v, a_library, f, n, a_body)
        ON CONFLICT (view, library, listing, number) DO UPDATE SET body = excluded.body;
    RETURN true;
END $$;

CREATE OR REPLACE FUNCTION plexindex.publish(
    v bigint, w text, f bigint, h bigint, a_kind smallint, a_library text, a_key bytea, a_body bytea, included bigint
) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    IF NOT plexindex.holds(v, w, f) THEN
        RETURN false;
    END IF;
    PERFORM plexindex.write(v, h, ARRAY[a_kind], ARRAY[a_library], ARRAY[a_key], ARRAY[a_body]);
    INSERT INTO plexindex.published VALUES (v, a_library, f)
        ON CONFLICT (view, library) DO UPDATE SET listing = excluded.listing;
    DELETE FROM plexindex.chunks WHERE view = v AND library = a_library AND listing <> f;
    DELETE FROM plexindex.entries WHERE view = v AND kind = 3 AND library = a_library AND number <= included;
    RETURN true;
END $$;
