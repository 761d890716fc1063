"""Demonstrates the main purpose of plexindex: finding the Plex item for a file path.

    demo.py --standin PATH/TO/standin
    demo.py --server URL --token TOKEN --library NAME --file PATH

`make demo` runs this program. The demo measures every figure that it prints. The stand-in server counts requests; for a
real server, plexindex counts them.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import plexindex
from rich.console import Console
from rich.filesize import decimal
from rich.progress import Progress

MANY = 10_000
SCREEN = Console(highlight=False)

# The second process of the demo opens the same cache and matches a new path.
SECOND = """
import json, os, sys, time
started = time.perf_counter()
import plexindex
imported = time.perf_counter()
cache, url, library, path = sys.argv[1:]
with plexindex.open(cache, server_url=url, token=os.environ["DEMO_TOKEN"]) as index:
    opened = time.perf_counter()
    match = index.library(library).match(path)
    answered = time.perf_counter()
print(json.dumps({
    "text": repr(match), "rating_key": match.rating_key,
    "import": imported - started, "open": opened - imported, "answer": answered - opened,
}))
"""

# The rating key that the demo expects for a path. Without one, any item is right.
Item = tuple[str, str]


class StandIn:
    """The stand-in server, which counts the requests. Its list of paths determines which answers are right."""

    libraries = ("Movies", "TV Shows")

    def __init__(self, binary: str) -> None:
        command = [binary, "--movies", "20000", "--episodes", "5000", "--seed", "1", "--exit-with-stdin"]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line.startswith("standin: http"):
            raise SystemExit(f"the stand-in server {binary} did not start: {line.strip() or 'it printed nothing'}")
        self.url, self.token = line.split()[1], line.split("token=")[1].strip()
        self.name = f"a stand-in at {self.url}, with 20,000 movies and 5,000 episodes"

    def _get(self, name: str) -> Any:
        # The stand-in does not count requests to this address.
        with urllib.request.urlopen(f"{self.url}/_standin/{name}") as answer:
            return json.load(answer)

    def first(self, library: str) -> Item:
        """Returns the first item to match."""
        return self.items(library, None)[0]

    def items(self, library: str, _: plexindex.Index | None) -> list[Item]:
        """Returns the library's items."""
        rows = self._get(f"paths?library={self.libraries.index(library) + 1}")
        return [(row["path"], row["ratingKey"]) for row in rows if row["path"]]

    def requests(self, _: str) -> dict[str, int]:
        """Returns the number of requests of each kind."""
        return {kind: number for kind, number in self._get("stats")["requests"].items() if number}

    def stop(self) -> None:
        """Ends the process."""
        self._process.communicate()


class RealServer:
    """A Plex Media Server. plexindex counts the requests, and its store determines which answers are right."""

    def __init__(self, url: str, token: str, library: str, file: str) -> None:
        self.url, self.token, self.name, self._file = url, token, url, file
        self.libraries: tuple[str, ...] = (library,)

    def first(self, _: str) -> Item:
        """Returns the file from the command line."""
        return self._file, ""

    def items(self, library: str, index: plexindex.Index) -> list[Item]:
        """Returns the items in the store."""
        return [(item.path, item.rating_key) for item in index.library(library).items() if item.path]

    def requests(self, cache: str) -> dict[str, int]:
        """Returns the number of requests that all processes counted."""
        with plexindex.open(cache, self.url, self.token, offline=True) as index:
            return {"all": index.stats()["store_requests"]}

    def stop(self) -> None:
        """Does nothing, because the demo did not start the server."""


class Demo:
    """Runs the steps with one server and one cache folder. Collects times, requests, and promises that do not hold."""

    def __init__(self, server: StandIn | RealServer, cache: str) -> None:
        self.server, self.cache, self.main = server, cache, server.libraries[0]
        self.items: dict[str, list[Item]] = {}
        self.steps: list[tuple[str, float, int]] = []
        self.broken: list[str] = []

    @contextlib.contextmanager
    def step(self, name: str, promised: int | None = None) -> Iterator[None]:
        """Measures a step, and prints its time and requests."""
        before, started = sum(self.server.requests(self.cache).values()), time.perf_counter()
        yield
        seconds = time.perf_counter() - started
        asked = sum(self.server.requests(self.cache).values()) - before
        self.steps.append((name, seconds, asked))
        row("", f"{name}: in {duration(seconds)} · {count(asked, 'request')}")
        self.check(
            f"{name}: {count(asked, 'request')}, expected at most {promised}", promised is None or asked <= promised
        )

    def check(self, claim: str, holds: bool) -> None:
        """Records a claim that does not hold."""
        if not holds:
            self.broken.append(claim)

    def open(self) -> plexindex.Index:
        """Opens the demo's cache."""
        return plexindex.open(self.cache, server_url=self.server.url, token=self.server.token)

    def run(self) -> None:
        """Runs all steps."""
        say(f"plexindex {plexindex.__version__}: which Plex item is this file?", "bold")
        row("server", self.server.name)
        row("cache", f"{self.cache}, a folder that the demo removes")
        with self.open() as index:
            say("\n1  Match a first path: plexindex fetches the library page by page", "bold")
            for library in self.server.libraries:
                with self.step(f"first path of {library}"):
                    self.ask(index, library, self.server.first(library), fetches=True)
                items = self.server.items(library, index)
                # A file with two episodes is ambiguous.
                seen = Counter(path for path, _ in items)
                self.items[library] = [item for item in items if seen[item[0]] == 1]
            if len(self.items[self.main]) < 3:
                raise SystemExit(f"{self.main} has too few files for a demo")
            self.many(index)
            say("\n3  Show each kind of answer", "bold")
            self.one_of_each(index)
        say("\n4  Match from a second process", "bold")
        self.second_process()
        with self.open() as index:
            say("\n5  Invalidate a path, then a library", "bold")
            self.invalidation(index)
            say("\nStatistics", "bold")
            self.statistics(index)

    def ask(self, index: plexindex.Index, library: str, item: Item, *, fetches: bool = False) -> None:
        """Looks up a path, and shows and verifies the answer."""
        path, rating_key = item
        row("path", path)
        with Progress(console=SCREEN, transient=True, disable=not (fetches and SCREEN.is_terminal)) as bar:
            task = bar.add_task(library, total=None)

            def progress(now: plexindex.Progress) -> None:
                bar.update(task, completed=now.items, total=now.total)

            match = index.library(library).match(path, progress=progress)
        found = match.sure or match.likely
        if found is not None:
            text = f"[bold]{found.describe()}[/] · key {found.rating_key} · {match.match_kind} · {match.confidence}"
            row("", f"→ {text}{' · stale' if match.stale else ''}")
        else:
            row("", f"→ [bold]{match.status.replace('_', ' ')}[/] · {match.reason}: {match.message}")
            for candidate in match.candidates[:3]:
                row("", f"  {candidate.describe()} · key {candidate.rating_key}")
        expected = not rating_key or (found is not None and found.rating_key == rating_key)
        self.check(f"{path} is {rating_key}, but the answer was {match!r}", expected)

    def many(self, index: plexindex.Index) -> None:
        """Matches many paths without a request. Nine of ten are from the first library."""
        share = MANY // 10
        by_library = {
            index.library(title): items[1 : 1 + (MANY - share * (len(self.items) - 1) if title == self.main else share)]
            for title, items in self.items.items()
        }
        asked = sum(map(len, by_library.values()))
        expected = [f"/library/metadata/{key}" for items in by_library.values() for _, key in items]
        say(f"\n2  Match {asked:,} more paths in four ways", "bold")
        ways: list[tuple[str, Callable[[plexindex.Library, list[str]], list[str | None]]]] = [
            ("match", lambda library, paths: [library.match(path).key for path in paths]),
            ("match_paths", lambda library, paths: [match.key for match in library.match_paths(paths)]),
            ("lookup_key", lambda library, paths: list(map(library.lookup_key, paths))),
            ("lookup_keys", lambda library, paths: library.lookup_keys(paths)),
        ]
        for name, way in ways:
            with self.step(f"{asked:,} paths with {name}", promised=0):
                found = [
                    key for library, items in by_library.items() for key in way(library, [path for path, _ in items])
                ]
            right = sum(one == other for one, other in zip(found, expected))
            row("", f"{right:,} of {asked:,} right · {duration(self.steps[-1][1] / asked)} each")
            self.check(f"{name}: {right:,} of {asked:,} right", right == asked)

    def one_of_each(self, index: plexindex.Index) -> None:
        """Shows answers by exact path and by file name, ambiguous answers and misses."""
        items = self.items[self.main]
        folder = next(info.locations[0] for info in index.libraries() if info.title == self.main)
        sign = "\\" if folder[1:3] == ":\\" or folder.startswith("\\\\") else "/"
        names = Counter(path.rpartition(sign)[2] for path, _ in items)
        asked = [items[-1]]
        asked += [(f"/somewhere/else/{path.rpartition(sign)[2]}", key) for path, key in items[1:]
                  if names[path.rpartition(sign)[2]] == 1][:1]  # fmt: skip
        asked += [(f"/somewhere/else/{name}", "") for name, number in names.most_common(1) if number > 1]
        asked += [(f"{folder}{sign}Not a Known Film (2031).mkv", ""), ("/holidays/2019/beach.mkv", "")]
        # The missing path in the library's folder costs a probe, a search by file name and a search by title.
        with self.step("one of each answer", promised=3):
            for item in asked:
                self.ask(index, self.main, item)

    def second_process(self) -> None:
        """Matches a new path in a new interpreter with the same cache."""
        path, rating_key = self.items[self.main][-2]
        arguments = [sys.executable, "-c", SECOND, self.cache, self.server.url, self.main, path]
        with self.step("second process, with the start of its interpreter", promised=0):
            environment = {**os.environ, "DEMO_TOKEN": self.server.token}
            second = json.loads(subprocess.run(arguments, env=environment, stdout=subprocess.PIPE, check=True).stdout)
        row("path", path)
        row("", f"→ {second['text']}")
        row("of which", " · ".join(f"{name} {duration(second[name])}" for name in ("import", "open", "answer")))
        self.check("the second process returns the right answer", second["rating_key"] == rating_key)

    def invalidation(self, index: plexindex.Index) -> None:
        """Invalidates a path and a library, and shows how many requests the next lookup costs."""
        library, item = index.library(self.main), self.items[self.main][-1]
        with self.step("invalidate a path", promised=0):
            library.invalidate_path(item[0])
        self.check("a fast lookup finds nothing for an invalidated path", library.lookup_key(item[0]) is None)
        with self.step("match it again", promised=2):
            self.ask(index, self.main, item)
        with self.step(f"invalidate {self.main}", promised=0):
            library.invalidate()
        with self.step(f"next path of {self.main}"):
            self.ask(index, self.main, item, fetches=True)

    def statistics(self, index: plexindex.Index) -> None:
        """Shows request counts, the store's size, and each step's time."""
        requests, stats = self.server.requests(self.cache), index.stats()
        row("requests", " · ".join(f"{kind} {number:,}" for kind, number in requests.items()))
        row("store", f"{count(stats['items'], 'item')} in {decimal(stats['disk_bytes'])} on disk")
        longest = max(len(name) for name, _, _ in self.steps)
        for name, seconds, asked in self.steps:
            row("", f"{name:<{longest}}  {duration(seconds):>8}  {count(asked, 'request'):>12}")


def say(text: str, style: str = "") -> None:
    """Prints a line."""
    SCREEN.print(text, style=style, soft_wrap=True)


def row(label: str, text: str) -> None:
    """Prints a label and a text."""
    SCREEN.print(f"   {label:<10} {text}", soft_wrap=True)


def count(number: int, what: str) -> str:
    """Formats a number with its noun: `1 request`, `20,000 requests`."""
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def duration(seconds: float) -> str:
    """Formats a time with three digits."""
    units = (("s", 1.0), ("ms", 1e3), ("µs", 1e6), ("ns", 1e9))
    unit, scale = next(((unit, scale) for unit, scale in units if seconds * scale >= 1), units[-1])
    return f"{seconds * scale:.3g} {unit}"


def arguments() -> argparse.Namespace:
    """Parses the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--standin", metavar="PATH", help="the stand-in server's binary")
    which.add_argument("--server", metavar="URL", help="a real server, such as http://127.0.0.1:32400")
    parser.add_argument("--token", help="the server's token (default: the environment variable PLEX_TOKEN)")
    parser.add_argument("--library", default="Movies", help="a library's title")
    parser.add_argument("--file", help="the path of a file in that library")
    given = parser.parse_args()
    if given.server and not given.file:
        parser.error("--file is missing: give the path of a file in that library")
    return given


def main() -> int:
    """Runs the demo. Returns 1 if a promise does not hold."""
    given = arguments()
    token = given.token or os.environ.get("PLEX_TOKEN", "")
    server = StandIn(given.standin) if given.standin else RealServer(given.server, token, given.library, given.file)
    try:
        with tempfile.TemporaryDirectory(prefix="plexindex-demo-") as cache:
            demo = Demo(server, cache)
            demo.run()
    except plexindex.Error as error:
        say(f"\n{type(error).__name__}: {error}")
        return 1
    except KeyboardInterrupt:
        say("\ninterrupted")
        return 130
    finally:
        server.stop()
    for broken in demo.broken:
        say(f"\nunexpected: {broken}")
    return 1 if demo.broken and given.standin else 0


if __name__ == "__main__":
    sys.exit(main())
