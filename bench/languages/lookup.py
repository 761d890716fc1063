"""bench/languages/README.md."""

import json
import os
import random
import sys
from time import perf_counter_ns

import plexindex

store, host, server, file, rounds = sys.argv[1:]
url, token = os.environ["PLEX_URL"], os.environ["PLEX_TOKEN"]
index = plexindex.open(store, server_url=url, token=token, library_ttl=None, mappings=[(host, server)])
movies = index.library("Movies")
with open(file, encoding="utf-8") as lines:
    pairs = [line.rstrip("\n").split("\t") for line in lines]
times = []
for number in range(int(rounds) + 1):
    random.Random(number).shuffle(pairs)  # noqa: S311
    wrong = 0
    begun = perf_counter_ns()
    for path, key in pairs:
        wrong += movies.lookup_key(path) != key
    took = perf_counter_ns() - begun
    if wrong:
        sys.exit(f"{wrong} answers are wrong")
    if number:
        times.append(took / len(pairs))
print(json.dumps(times))
index.close()
