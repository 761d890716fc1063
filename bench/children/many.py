"""A new process that asks for many paths: ``many.py WHO STORE PAIRS``. Prints nanoseconds, all from the import on.

PAIRS: lines of path, tabulator, key, read before the clock starts.
"""

import os
import sys
from pathlib import Path
from time import perf_counter_ns as now
from typing import Any

who, store, pairs = sys.argv[1:]
lines = Path(pairs).read_bytes().decode().splitlines()
paths = [line.split("\t")[0] for line in lines]
expected = [line.split("\t")[1] for line in lines]
answers: list[Any] = []
begun = opened = now()
if who == "diskcache":
    import diskcache

    cache = diskcache.Cache(store)
    opened = now()
    answers = [cache.get(path) for path in paths]
    asked = now()
else:
    import plexindex

    index = plexindex.open(
        store, os.environ["PLEX_URL"], os.environ["PLEX_TOKEN"], library_ttl=None, mappings=[("/host", "/data")]
    )
    opened = now()
    movies = index.library("Movies")
    if who == "lookup_keys":
        answers = list(movies.lookup_keys(paths))
    elif who == "lookup_key":
        answers = [movies.lookup_key(path) for path in paths]
    elif who == "match_paths":
        answers = [match.key for match in movies.match_paths(paths)]
    elif who == "match":
        answers = [movies.match(path).key for path in paths]
    asked = now()
if answers != expected:
    sys.exit(f"{who}: {sum(a != b for a, b in zip(answers, expected))} of {len(paths)} answers are wrong")
print(f'{{"open":{opened - begun},"ask":{asked - opened},"all":{asked - begun}}}')
