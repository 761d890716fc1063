"""A host: a process with a folder of its own, which may share a log with others.

    host.py new STORE PATH KEY      a host without a folder: its first answer. Prints seconds, requests and memory
    host.py serve STORE             reads commands and prints answers, a line of JSON each, until its input ends

PLEX_URL and PLEX_TOKEN name the server, BENCH_SHARED the log, if there is one.
"""

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import plexindex

SERVER, HOST = "/data", "/host"


def peak() -> int:
    """The most memory that this process had."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return 0


def open_index(store: str) -> plexindex.Index:
    """As each host does."""
    return plexindex.open(
        store,
        os.environ["PLEX_URL"],
        os.environ["PLEX_TOKEN"],
        shared=os.environ.get("BENCH_SHARED") or None,
        mappings=[(HOST, SERVER)],
        matches_limit=1 << 40,
    )


class Commands:
    """What a host does when it is told to."""

    def __init__(self, index: plexindex.Index) -> None:
        self.index, self.library = index, index.library("Movies")

    def refresh(self) -> int:
        """Lists the library."""
        self.index.refresh("Movies")
        return self.index.stats().items

    def follow(self) -> None:
        """Listens to the other hosts."""
        self.index.watch_start()

    def record(self, path: str, key: str) -> float:
        """The moment at which a match was recorded."""
        self.library.record_match(path, key)
        return time.monotonic()

    def wait(self, path: str, key: str, used: str) -> float:
        """The moment at which this host answers so. It asks for another path now and then, as a host in use does."""
        looked = time.monotonic()
        until = looked + 30
        while self.library.lookup_key(path) != key:
            now = time.monotonic()
            if now > until:
                return -1.0
            if now - looked > 0.1:
                self.library.match(used)
                looked = now
            time.sleep(0.0002)
        return time.monotonic()

    def pace(self, paths: str, key: str, rate: int, seconds: float) -> dict[str, Any]:
        """Records so many matches a second. Nanoseconds of each call, and errors."""
        times, errors = [], []
        begun = time.monotonic()
        for number in range(int(rate * seconds)):
            time.sleep(max(0.0, begun + number / rate - time.monotonic()))
            path = f"{paths}/{number}.mkv"
            asked = time.perf_counter_ns()
            try:
                self.library.record_match(path, key)
            except plexindex.Error as error:
                errors.append(str(error))
            times.append(time.perf_counter_ns() - asked)
        return {"times": times, "errors": errors, "seconds": time.monotonic() - begun}

    def undelivered(self) -> int:
        """How much waits for the log."""
        status = self.index.shared_status()
        return -1 if status is None or status.undelivered is None else status.undelivered


def main() -> None:
    """One of the two."""
    how, store, *rest = sys.argv[1:]
    if how == "new":
        path, key = rest
        begun = time.perf_counter()
        with open_index(store) as index:
            found = index.match(path, "Movies").key
            seconds = time.perf_counter() - begun
            requests = sum(index.stats().requests.values())
        if found != key:
            sys.exit(f"plexindex answered {found!r} for {path!r}, and {key!r} is right")
        print(json.dumps({"seconds": seconds, "requests": requests, "peak": peak()}))
        return
    with open_index(store) as index:
        commands = Commands(index)
        for line in sys.stdin:
            command, *arguments = json.loads(line)
            print(json.dumps(getattr(commands, command)(*arguments)), flush=True)


if __name__ == "__main__":
    main()
