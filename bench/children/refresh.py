"""A new process that brings a store up to date by a full listing: ``refresh.py STORE``. Prints its seconds."""

import os
import sys
from time import perf_counter

import plexindex

store = sys.argv[1]
with plexindex.open(
    store, os.environ["PLEX_URL"], os.environ["PLEX_TOKEN"], library_ttl=None, mappings=[("/host", "/data")]
) as index:
    begun = perf_counter()
    index.refresh("Movies", full=True)
    print(perf_counter() - begun)
