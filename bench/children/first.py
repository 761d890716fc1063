"""A new process that asks one question: ``first.py WHO STORE PATH KEY``. Prints nanoseconds to import, open and answer.

PLEX_URL and PLEX_TOKEN name the server, which is never asked.
"""

import os
import sys
from time import perf_counter_ns as now

who, store, path, expected = sys.argv[1:]
answer: object = None
begun = imported = opened = answered = now()
if who in ("lookup_key", "match"):
    import plexindex

    imported = now()
    index = plexindex.open(
        store, os.environ["PLEX_URL"], os.environ["PLEX_TOKEN"], library_ttl=None, mappings=[("/host", "/data")]
    )
    opened = now()
    movies = index.library("Movies")
    answer = movies.lookup_key(path) if who == "lookup_key" else movies.match(path).key
    answered = now()
    index.close()
elif who == "diskcache":
    import diskcache

    imported = now()
    cache = diskcache.Cache(store)
    opened = now()
    answer = cache.get(path)
    answered = now()
    cache.close()
elif who == "diskcache_rs":
    import diskcache_rs

    imported = now()
    cache_rs = diskcache_rs.Cache(store, max_size=1 << 40, max_entries=10_000_000)
    opened = now()
    answer = cache_rs.get(path)
    answered = now()
    cache_rs.close()
elif who == "sqlite3":
    import sqlite3

    imported = now()
    connection = sqlite3.connect(os.path.join(store, "paths.db"))
    opened = now()
    row = connection.execute("SELECT key FROM matches WHERE library = 'Movies' AND path = ?", (path,)).fetchone()
    answer = row and row[0]
    answered = now()
    connection.close()
elif who == "lmdb":
    import lmdb

    imported = now()
    environment = lmdb.open(store, map_size=4 << 30, sync=False)
    opened = now()
    with environment.begin() as transaction:
        answer = (transaction.get(path.encode()) or b"").decode()
    answered = now()
    environment.close()
elif who == "nothing":
    answer = expected
ended = now()
if answer != expected:
    sys.exit(f"{who} answered {answer!r}, and {expected!r} is right")
times = {
    "import": imported - begun,
    "open": opened - imported,
    "ask": answered - opened,
    "close": ended - answered,
}
print("{" + ",".join(f'"{name}":{value}' for name, value in times.items()) + "}")
