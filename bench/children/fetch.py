"""A new process that fetches a library and stores it: ``fetch.py WHO STORE ITEMS``.

WHO: ``plexindex``; ``plexapi``, as the consumer does it: ``all()``, what it keeps of each item, a pickle in diskcache;
``pages``: a few items through plexapi, so that the server's log tells how it asks; ``nothing``.
Prints seconds of each step and the peak of this process's memory in bytes.
"""

import json
import os
import sys
from pathlib import Path
from time import perf_counter
from typing import Any

who, store, items = sys.argv[1], sys.argv[2], int(sys.argv[3])
url, token = os.environ["PLEX_URL"], os.environ["PLEX_TOKEN"]


def peak(what: str) -> int:
    """VmHWM or VmRSS: unlike getrusage() of nothing that was before this program was loaded."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(what):
            return int(line.split()[1]) * 1024
    return 0


times: dict[str, float] = {}
found = 0
before = peak("VmRSS:")
begun = last = perf_counter()


def step(name: str) -> None:
    """Ends a step."""
    global last
    now = perf_counter()
    times[name], last = now - last, now


if who == "plexindex":
    import plexindex

    with plexindex.open(store, url, token) as index:
        step("import and open")
        index.refresh("Movies")
        step("fetch and store")
        found = index.stats().items
        requests: dict[str, int] = index.stats().requests
    step("close")
elif who in ("plexapi", "pages"):
    from plexapi.server import PlexServer

    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
    from harness.consumer import LibraryCache

    server: Any = PlexServer(url, token)
    section = server.library.section("Movies")
    step("import and connect")
    if who == "pages":
        section.all(maxresults=100)
        found = items
    else:
        cache = LibraryCache(Path(store))
        everything = section.all()
        found = len(everything)
        step("all()")
        cache.set("library:Movies", everything)
        cache.close()
        step("pickle")
elif who == "nothing":
    found = items
total = perf_counter() - begun
if found != items:
    sys.exit(f"{who} found {found} items, and there are {items}")
print(json.dumps({"steps": times, "total": total, "peak": peak("VmHWM:"), "before": before}))
