"""A host of the demo of several hosts: a process with a folder of its own. Called by `hosts.py`.

    host.py FOLDER URL ROOT

ROOT is what this host calls the server's `/data`.

Reads commands and writes answers, a line of JSON each, until its input ends. The token and the address of the shared
log come from the environment.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import time
from typing import Any

import plexindex

LIBRARY = "Movies"
PATIENCE = 30.0


class Host:
    """The commands."""

    def __init__(self, index: plexindex.Index) -> None:
        self.index = index
        self.library = index.library(LIBRARY)

    def match(self, path: str) -> dict[str, Any]:
        """An answer, which may fetch first."""
        return self._shown(self.library.match(path))

    def record(self, path: str, key: str) -> dict[str, Any]:
        """A confirmed match. The time tells others when it was there."""
        begun = time.perf_counter()
        self.library.record_match(path, key)
        return {"took": time.perf_counter() - begun, "at": time.time()}

    def invalidate(self, path: str) -> dict[str, Any]:
        """A match that was wrong."""
        self.library.invalidate_path(path)
        return {"at": time.time()}

    def wait(self, path: str, key: str | None) -> dict[str, Any]:
        """Waits until a fast lookup says this, and tells when that was."""
        until = time.monotonic() + PATIENCE
        while self.library.lookup_key(path) != key:
            if time.monotonic() > until:
                return {"at": None}
            time.sleep(0.0005)
        return {"at": time.time()}

    def status(self) -> dict[str, Any]:
        """How the shared log is."""
        status = self.index.shared_status()
        assert status is not None
        return {"reachable": status.reachable, "undelivered": status.undelivered, "error": status.error}

    def stats(self) -> dict[str, Any]:
        """Its requests to the server, by kind."""
        return {kind: number for kind, number in self.index.stats().requests.items() if number}

    def _shown(self, match: plexindex.Match) -> dict[str, Any]:
        item = match.item
        title = f"{item.title} ({item.year})" if item else None
        return {"key": match.key, "title": title, "kind": match.match_kind, "stale": match.stale}


def main() -> None:
    """Answers until its input ends."""
    # The demo tells itself that PostgreSQL is away.
    logging.getLogger("plexindex").setLevel(logging.ERROR)
    folder, url, root = sys.argv[1:]
    token, shared = os.environ["PLEX_TOKEN"], os.environ["PLEXINDEX_SHARED"]
    with plexindex.open(folder, url, token, shared=shared, mappings=[(root, "/data")]) as index:
        # Listens to the server and to the other hosts.
        index.watch_start()
        host = Host(index)
        for line in sys.stdin:
            command, *arguments = json.loads(line)
            begun = time.perf_counter()
            answer = getattr(host, command)(*arguments)
            print(json.dumps({"seconds": time.perf_counter() - begun, **answer}), flush=True)


if __name__ == "__main__":
    main()
