"""A new process that fetches a library and stores it: ``fetch.py WHO STORE ITEMS``. Prints seconds and peak memory.

WHO: ``plexindex``; ``plexapi``, as Stash2Plex does it: ``all()``, and a pickle in diskcache.
"""

import json
import os
import sys
from pathlib import Path
from time import perf_counter
from typing import Any

who, store, items = sys.argv[1], sys.argv[2], int(sys.argv[3])
url, token = os.environ["PLEX_URL"], os.environ["PLEX_TOKEN"]
if who == "plexindex":
    import plexindex

    with plexindex.open(store, url, token) as index:
        begun = perf_counter()
        index.library("Movies").refresh()
        found = index.stats()["items"]
else:
    from plexapi.server import PlexServer

    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
    from harness.consumer import LibraryCache

    server: Any = PlexServer(url, token)
    section = server.library.section("Movies")
    begun = perf_counter()
    cache = LibraryCache(Path(store))
    everything = section.all()
    found = len(everything)
    cache.set("library:Movies", everything)
    cache.close()
seconds = perf_counter() - begun
if found != items:
    sys.exit(f"{who} found {found} items, and there are {items}")
status = Path("/proc/self/status").read_text().splitlines()
peak = next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM:"))
print(json.dumps({"seconds": seconds, "peak": peak}))
