"""One host in the demo of several hosts: a process with its own folder. `hosts.py` starts this process.

    host.py FOLDER URL ROOT

ROOT is this host's path for the server's `/data`. The host reads commands and writes answers as lines of JSON until its
input ends. The environment contains the token and PostgreSQL's address.
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
    """Runs commands."""

    def __init__(self, index: plexindex.Index) -> None:
        self.index = index
        self.library = index.library(LIBRARY)

    def match(self, path: str) -> dict[str, Any]:
        """Matches a path. Fetches the library if necessary."""
        return self._shown(self.library.match(path))

    def record(self, path: str, key: str) -> dict[str, Any]:
        """Records a match. Returns the time, so that other hosts can measure the delay."""
        begun = time.perf_counter()
        self.library.record_match(path, key)
        return {"took": time.perf_counter() - begun, "at": time.time()}

    def invalidate(self, path: str) -> dict[str, Any]:
        """Invalidates a path."""
        self.library.invalidate_path(path)
        return {"at": time.time()}

    def wait(self, path: str, key: str | None) -> dict[str, Any]:
        """Waits until a fast lookup returns the key. Returns the time, or None on timeout."""
        until = time.monotonic() + PATIENCE
        while self.library.lookup_key(path) != key:
            if time.monotonic() > until:
                return {"at": None}
            time.sleep(0.0005)
        return {"at": time.time()}

    def status(self) -> dict[str, Any]:
        """Returns the state of the connection to PostgreSQL."""
        status = self.index.shared_status()
        assert status is not None
        return {name: status.get(name) for name in ("reachable", "undelivered", "error")}

    def stats(self) -> dict[str, Any]:
        """Returns the number of requests of each kind."""
        return {kind: number for kind, number in self.index.stats()["requests"].items() if number}

    def _shown(self, match: plexindex.Match) -> dict[str, Any]:
        item = match.item
        title = f"{item.title} ({item.year})" if item else None
        return {"key": match.key, "title": title, "kind": match.match_kind, "stale": match.stale}


def main() -> None:
    """Runs commands until the input ends."""
    # The demo itself shows that PostgreSQL is down, so hide the warnings.
    logging.getLogger("plexindex").setLevel(logging.ERROR)
    folder, url, root = sys.argv[1:]
    token, shared = os.environ["PLEX_TOKEN"], os.environ["PLEXINDEX_SHARED"]
    with plexindex.open(folder, url, token, shared=shared, mappings=[(root, "/data")]) as index:
        # Follow the server's events and the other hosts.
        index.watch().start()
        host = Host(index)
        for line in sys.stdin:
            command, *arguments = json.loads(line)
            begun = time.perf_counter()
            answer = getattr(host, command)(*arguments)
            print(json.dumps({"seconds": time.perf_counter() - begun, **answer}), flush=True)


if __name__ == "__main__":
    main()
