"""A host: a new process that finds the items of files: ``host.py WHO STORE PAIRS``. Prints its memory in bytes.

WHO: ``plexindex``; ``Stash2Plex``, with its searches and scans; ``plexapi``, with all objects of the library in a dict.
PAIRS has lines of path, tabulator, key. PLEX_URL and PLEX_TOKEN name the server.
"""

import json
import os
import sys

who, store, pairs = sys.argv[1:]
url, token = os.environ["PLEX_URL"], os.environ["PLEX_TOKEN"]
with open(pairs, encoding="utf-8") as file:
    asked = [line.rstrip("\n").split("\t") for line in file]
found = []
if who == "plexindex":
    import plexindex

    index = plexindex.open(store, url, token, mappings=[("/host", "/data")])
    library = index.library("Movies")
    answers = [library.match(path, timeout=30) for path, _ in asked]
    likely = [answer.sure or answer.likely for answer in answers]  # without a mapping and a file, none is sure
    found = [item and item.key for item in likely]
else:
    from plexapi.server import PlexServer

    section = PlexServer(url, token).library.section("Movies")
    if who == "plexapi":
        items = {path: item for item in section.all() for path in item.locations}
        found = [items[path].key for path, _ in asked]
    else:
        sys.path.insert(0, __file__.rsplit("/", 2)[0])
        from pathlib import Path

        from harness.consumer import LibraryCache, find

        cache = LibraryCache(Path(store))
        found = ["".join(find(section, path, cache)[:1]) for path, _ in asked]
        cache.close()
for (path, key), answer in zip(asked, found):
    if answer != key:
        sys.exit(f"{who} answered {answer!r} for {path!r}, and {key!r} is right")
with open("/proc/self/status", encoding="ascii") as file:
    lines = [line.split() for line in file]
if who == "plexindex":
    index.close()
print(json.dumps({line[0]: int(line[1]) * 1024 for line in lines if line[0] in ("VmRSS:", "RssFile:")}))
