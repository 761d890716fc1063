"""Demonstrates the main purpose of plexindex: finding the Plex item for a file path.

    demo.py --standin PATH/TO/standin
    demo.py --server URL --token TOKEN --library NAME --file PATH

`make demo` runs this program. The demo measures every figure that it prints. The stand-in server counts requests; for a
real server, plexindex counts them.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator

import plexindex
import terminal as t
from servers import Item, RealServer, Server, StandIn

MANY = 10_000

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
    stats = index.stats()
print(json.dumps({
    "text": repr(match), "rating_key": match.rating_key,
    "import": imported - started, "open": opened - imported, "answer": answered - opened,
    "answers": stats["answers"], "requests": stats["requests"],
}))
"""


class Tally:
    """Collects the whole demo's answers, requests and times, and the promises that do not hold."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._index: plexindex.Index | None = None
        self._answers: collections.Counter[str] = collections.Counter()
        self._counted: collections.Counter[str] = collections.Counter()
        self.times: list[tuple[str, float, int]] = []
        self.broken: list[str] = []

    def watch(self, index: plexindex.Index) -> None:
        """Sets the open index."""
        self._index = index

    def add(self, answers: dict[str, int], requests: dict[str, int]) -> None:
        """Adds the counts of a closed index."""
        self._answers.update(answers)
        self._counted.update(requests)

    def close(self, index: plexindex.Index) -> None:
        """Closes the index and keeps its counts."""
        stats = index.stats()
        self.add(stats["answers"], stats["requests"])
        self._index = None
        index.close()

    def end(self) -> None:
        """Closes the index that is still open."""
        if self._index is not None:
            self._index.close()

    def answers(self) -> dict[str, int]:
        """Returns the number of answers for each match kind."""
        now = self._index.stats()["answers"] if self._index else {}
        return dict(self._answers + collections.Counter(now))

    def requests(self) -> dict[str, int]:
        """Returns the number of requests of each kind."""
        now = self._index.stats()["requests"] if self._index else {}
        return self._server.requests(dict(self._counted + collections.Counter(now)))

    @contextlib.contextmanager
    def step(self, name: str, promised: int | None = None) -> Iterator[Callable[[], str]]:
        """Measures a step. Yields a function that returns the step's time and requests once the step has ended."""
        before = sum(self.requests().values())
        taken: list[float] = []
        asked: list[int] = []
        started = time.perf_counter()
        yield lambda: f"{t.duration(taken[0])} · {t.count(asked[0], 'request')}"
        taken.append(time.perf_counter() - started)
        asked.append(sum(self.requests().values()) - before)
        self.times.append((name, taken[0], asked[0]))
        if promised is not None and asked[0] > promised:
            self.broken.append(f"{name}: {t.count(asked[0], 'request')}, expected at most {promised}")

    def check(self, claim: str, holds: bool) -> None:
        """Records a claim that does not hold."""
        if not holds:
            self.broken.append(claim)


class Demo:
    """Runs the steps with one server and one cache folder."""

    def __init__(self, server: Server, cache: str) -> None:
        self.server, self.cache = server, cache
        self.tally = Tally(server)
        self.items: dict[str, list[Item]] = {}
        self.main = server.libraries[0]

    def open(self) -> plexindex.Index:
        """Opens the demo's cache."""
        index = plexindex.open(self.cache, server_url=self.server.url, token=self.server.token)
        self.tally.watch(index)
        return index

    def run(self) -> None:
        """Runs all steps."""
        t.say(t.bold(f"plexindex {plexindex.__version__}: which Plex item is this file?") + "\n")
        t.row("server", self.server.name)
        t.row("cache", f"{self.cache}, a folder that the demo removes")

        t.heading("1  Open a cache")
        with self.tally.step("open an empty cache", promised=0) as result:
            index = self.open()
        t.row("opened", f"in {result()}")

        t.heading("2  Match a first path: plexindex fetches the library page by page")
        for library in self.server.libraries:
            self.first_path(index, library, self.server.first(library))
            self.items[library] = self.server.items(index.library(library))
        if len(self.items[self.main]) < 3:
            raise SystemExit(f"{self.main} has too few files for a demo")

        self.many(index)

        t.heading("4  Show each kind of answer")
        self.one_of_each(index)
        with self.tally.step("close") as result:
            self.tally.close(index)

        t.heading("5  Close the cache and match from a second process")
        self.second_process()

        t.heading("6  Invalidate a path, then a library")
        index = self.open()
        self.invalidation(index)

        t.heading("Statistics")
        self.statistics(index)
        self.tally.close(index)

    def first_path(self, index: plexindex.Index, library: str, item: Item) -> None:
        """Matches a path in a library that was never fetched."""
        t.row("path", t.shortened(item.path))
        bar = t.Bar()
        with self.tally.step(f"first path of {library}") as result:
            started = time.perf_counter()
            match = index.library(library).match(item.path, progress=bar)
            bar.done(time.perf_counter() - started)
        self.show(match)
        t.row("answered", f"in {result()}")
        self.verify(match, item)

    def many(self, index: plexindex.Index) -> None:
        """Matches many paths without a request."""
        # Nine out of ten paths are from the first library, if the library has enough paths.
        share = MANY if len(self.items) == 1 else MANY // 10
        by_library = {
            index.library(title): items[1 : 1 + (MANY - share * (len(self.items) - 1) if title == self.main else share)]
            for title, items in self.items.items()
        }
        asked = sum(map(len, by_library.values()))
        t.heading(f"3  Match {asked:,} more paths in four ways")
        ways: list[tuple[str, Callable[[plexindex.Library, list[str]], list[str | None]]]] = [
            ("match", lambda library, paths: [library.match(path).key for path in paths]),
            ("match_paths", lambda library, paths: [match.key for match in library.match_paths(paths)]),
            ("lookup_key", lambda library, paths: list(map(library.lookup_key, paths))),
            ("lookup_keys", lambda library, paths: library.lookup_keys(paths)),
        ]
        for name, way in ways:
            paths = {library: [item.path for item in items] for library, items in by_library.items()}
            with self.tally.step(f"{asked:,} paths with {name}", promised=0) as result:
                found = [key for library in by_library for key in way(library, paths[library])]
            expected = [item.rating_key for items in by_library.values() for item in items]
            right = sum(key == f"/library/metadata/{rating_key}" for key, rating_key in zip(found, expected))
            each = self.tally.times[-1][1] / asked
            t.row(name, f"{right:,} of {asked:,} right in {result()} · {t.duration(each)} each")
            self.tally.check(f"{name}: {right:,} of {asked:,} right", right == asked)

    def one_of_each(self, index: plexindex.Index) -> None:
        """Shows answers by exact path and by file name, ambiguous answers and misses."""
        library = self.main
        items = self.items[library]
        names = collections.Counter(file_name(item.path) for item in items)
        single = next((item for item in items[1:] if names[file_name(item.path)] == 1), None)
        repeated = next((name for name, number in names.most_common(1) if number > 1), None)
        folder = next(info.locations[0] for info in index.libraries() if info.title == library)
        inside = f"{folder}{separator(folder)}Not a Known Film (2031).mkv"
        # The missing path in the library's folder costs a probe, a search by file name and a search by title.
        with self.tally.step("one of each answer", promised=3) as result:
            self.ask(index, "exact", library, items[-1].path, items[-1])
            if single:
                self.ask(index, "file name", library, "/somewhere/else/" + file_name(single.path), single)
            if repeated:
                self.ask(index, "ambiguous", library, f"/somewhere/else/{repeated}")
            else:
                t.row("ambiguous", t.dim("no two files in this library have the same name"))
            self.ask(index, "not found", library, inside)
            self.ask(index, "not found", library, "/holidays/2019/beach.mkv")
        t.row("all of them", f"in {result()}, including printing")

    def ask(self, index: plexindex.Index, label: str, library: str, path: str, item: Item | None = None) -> None:
        """Looks up a path and shows the answer."""
        t.row(label, t.shortened(path))
        match = index.library(library).match(path)
        self.show(match)
        if item is not None:
            self.verify(match, item)

    def show(self, match: plexindex.Match) -> None:
        """Shows an answer in two or three lines."""
        if match:
            item = match.sure or match.likely
            assert item is not None
            stale = " · stale" if match.stale else ""
            how = f"{match.match_kind} · {match.confidence}{stale}"
            t.row("", f"→ {t.bold(item.describe())} · key {match.rating_key} · {how}")
            return
        t.row("", f"→ {t.bold(match.status.replace('_', ' '))} · {match.reason}", match.message or "")
        for candidate in match.candidates[:3]:
            t.row("", f"  {candidate.describe()} · key {candidate.rating_key}")
            t.row("", t.dim(f"    {t.shortened(candidate.path or '', t.width() - 21)}"))
        if match.candidates_total > 3:
            t.row("", t.dim(f"  and {match.candidates_total - 3:,} more"))

    def verify(self, match: plexindex.Match, item: Item) -> None:
        """Compares an answer with the server's item list."""
        expected = not item.rating_key or match.rating_key == item.rating_key
        self.tally.check(f"{item.path} is {item.rating_key}, but the answer was {match!r}", expected)

    def second_process(self) -> None:
        """Matches a new path in a new interpreter with the same cache."""
        item = self.items[self.main][-2]
        arguments = [self.cache, self.server.url, self.main, item.path]
        with self.tally.step("second process", promised=0) as result:
            done = subprocess.run(
                [sys.executable, "-c", SECOND, *arguments],
                env={**os.environ, "DEMO_TOKEN": self.server.token},
                stdout=subprocess.PIPE,
                check=True,
            )
            second = json.loads(done.stdout)
            self.tally.add(second["answers"], second["requests"])
        t.row("path", t.shortened(item.path))
        t.row("", f"→ {second['text']}")
        t.row("answered", f"in {result()}, including the start of the interpreter")
        parts = (("import", "import"), ("open", "open"), ("answer", "first answer"))
        t.row("of which", " · ".join(f"{label} {t.duration(second[name])}" for name, label in parts))
        self.tally.check("the second process returns the right answer", second["rating_key"] == item.rating_key)

    def invalidation(self, index: plexindex.Index) -> None:
        """Invalidates a path and a library, and shows how many requests the next lookup costs."""
        library = index.library(self.main)
        item = self.items[self.main][-1]
        t.row("path", t.shortened(item.path))
        with self.tally.step("invalidate a path", promised=0) as result:
            library.invalidate_path(item.path)
        key = library.lookup_key(item.path)
        t.row("invalidated", f"in {result()}; a fast lookup returns {key}")
        self.tally.check("a fast lookup finds nothing for an invalidated path", key is None)
        with self.tally.step("match it again", promised=2) as result:
            match = library.match(item.path)
        self.show(match)
        self.verify(match, item)
        t.row("confirmed", f"in {result()}")
        with self.tally.step(f"invalidate {self.main}", promised=0) as result:
            library.invalidate()
        t.row("library", f"{self.main}: invalidated in {result()}")
        bar = t.Bar()
        with self.tally.step(f"next path of {self.main}") as result:
            started = time.perf_counter()
            match = library.match(item.path, progress=bar)
            bar.done(time.perf_counter() - started)
        self.show(match)
        t.row("answered", f"in {result()}")

    def statistics(self, index: plexindex.Index) -> None:
        """Shows answer and request counts, and each step's time."""
        answers, requests = self.tally.answers(), self.tally.requests()
        t.row("answers", " · ".join(f"{kind} {number:,}" for kind, number in answers.items() if number))
        t.row("requests", " · ".join(f"{kind} {number:,}" for kind, number in requests.items()))
        t.row("", t.dim(f"counted by {self.server.counted_by}"))
        stats = index.stats()
        t.row("store", f"{t.count(stats['items'], 'item')} in {t.size(stats['disk_bytes'])} on disk")
        t.say()
        longest = max(len(name) for name, _, _ in self.tally.times)
        t.say(f"   {t.dim('step'.ljust(longest))}  {t.dim('time'.rjust(8))}  {t.dim('requests'.rjust(8))}")
        for name, seconds, asked in self.tally.times:
            t.say(f"   {name.ljust(longest)}  {t.duration(seconds).rjust(8)}  {asked:>8,}")


def separator(path: str) -> str:
    """Returns the folder separator in a server path."""
    return "\\" if path[1:3] == ":\\" or path.startswith("\\\\") else "/"


def file_name(path: str) -> str:
    """Returns the last component of a path."""
    return path.rpartition(separator(path))[2]


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
    server: Server
    if given.standin:
        server = StandIn(given.standin)
    else:
        token = given.token or os.environ.get("PLEX_TOKEN", "")
        server = RealServer(given.server, token, given.library, given.file)
    try:
        with tempfile.TemporaryDirectory(prefix="plexindex-demo-") as cache:
            demo = Demo(server, cache)
            try:
                demo.run()
            finally:
                # Close the index before its folder is removed.
                demo.tally.end()
    except plexindex.Error as error:
        t.say(f"\n{type(error).__name__}: {error}")
        return 1
    except KeyboardInterrupt:
        t.say("\ninterrupted")
        return 130
    finally:
        server.stop()
    for broken in demo.tally.broken:
        t.say(f"\nunexpected: {broken}")
    return 1 if demo.tally.broken and given.standin else 0


if __name__ == "__main__":
    sys.exit(main())
