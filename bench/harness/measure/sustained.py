"""Recording that goes on: 10,000 records one by one and 100 batches of 500, each in one go.

The mean, what one call in a thousand exceeds, and the longest call: a median would hide what comes once in a while.
What is put off counts as soon as a call does it.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from time import perf_counter_ns

from plexindex.compat import MatchCache

from .. import peers
from ..peers import LIBRARY, Pairs, Peer
from ..run import Run
from ..timing import Spread, WrongAnswerError, once
from ..world import World

SINGLES, BATCHES, BATCH = 10_000, 100, 500
GROUP = "Recording that goes on"
WRITERS: tuple[type[Peer], ...] = (peers.SQLite, peers.Lmdb, peers.DiskCache, peers.ConsumerMatches)


class Recorded(Peer):
    """Confirmed matches of a library that was fetched."""

    name = "plexindex record_match"

    def __init__(self, folder: Path, world: World) -> None:
        super().__init__(folder)
        shutil.copytree(world.store, folder)
        self._index = world.open(folder)
        movies = self._index.library(LIBRARY)
        self.put, self.fill = movies.record_match, movies.record_matches  # type: ignore[method-assign]
        self.get = lambda path: movies.lookup_key(path) or movies.match(path, offline=True).key

    def close(self) -> None:
        """The index."""
        self._index.close()


class DropIn(Peer):
    """The drop-in's cache of matches, which is a table."""

    name = "plexindex.compat set_match"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._cache = MatchCache(str(folder), size_limit=1 << 40)
        self.get = lambda path: self._cache.get_match(LIBRARY, path)

    def put(self, path: str, key: str) -> None:
        """One."""
        self._cache.set_match(LIBRARY, path, key)

    def fill(self, pairs: Pairs) -> None:
        """One by one: the consumer knows no other way."""
        for path, key in pairs:
            self._cache.set_match(LIBRARY, path, key)

    def close(self) -> None:
        """The cache."""
        self._cache.close()


def measure(run: Run, world: World) -> None:
    """Each contender alone, at this many stored."""
    folder = world.folder / "sustained"
    calls: dict[str, list[float]] = {}
    batches: dict[str, list[float]] = {}
    written: dict[str, float] = {}
    kinds = peers.present(WRITERS, run.results.absent)
    contenders: list[Callable[[Path], Peer]] = [
        lambda place: Recorded(place, world),
        DropIn,
        *kinds,
    ]
    for number, make in enumerate(contenders):
        peer = make(folder / str(number))
        run.say(f"{world.size:,}: {peer.name}: records in one go")
        known, share = world.size, 10 if run.quick else 1
        for some in chunks(records(world, 0, known), 10_000):
            peer.fill(some)
        before = handed_over()
        calls[peer.name] = timed(records(world, known, SINGLES // share), peer.put)
        recorded = sum(len(path) + len(key) for path, key in records(world, known, SINGLES // share))
        written[peer.name] = (handed_over() - before) / recorded
        if not isinstance(peer, (DropIn, peers.ConsumerMatches)):
            again = chunks(records(world, known + SINGLES, BATCHES * BATCH // share), BATCH)
            batches[peer.name] = [once(lambda some=some, peer=peer: peer.fill(some)) / BATCH for some in again]  # type: ignore[misc]
        for path, key in [*records(world, 0, 1), *records(world, known + len(calls[peer.name]) // 2, 1)]:
            if peer.get(path) != key:
                raise WrongAnswerError(f"{peer.name} did not keep {path!r}")
        peer.close()
        shutil.rmtree(folder)
    for what, found in (("single", calls), (f"batch of {BATCH}, each", batches)):
        for figure, of in (("mean", mean), ("one in a thousand exceeds", tail), ("longest", max)):
            row = run.results.row(f"sustained {what}: {figure}", GROUP, world.size)
            for name, seconds in found.items():
                row.add(name, Spread.of([of(seconds)]), ours=name.startswith("plexindex"))
    row = run.results.row(
        "sustained: bytes written", GROUP, world.size, "B", "handed to the system for each byte recorded"
    )
    for name, times in written.items():
        note = "through a map, which is not counted" if name == peers.Lmdb.name else ""
        row.add(name, Spread.of([times]), ours=name.startswith("plexindex"), ranked=not note, note=note)


def records(world: World, begin: int, count: int) -> Iterator[tuple[str, str]]:
    """Files that no library lists, each with the key of an item."""
    for number in range(begin, begin + count):
        name = f"A Film That Is Recorded {number} ({1950 + number % 70})"
        yield f"/mnt/recorded/{name}/{name} - 1080p.mkv", world.pairs[number % len(world.pairs)][1]


def chunks(pairs: Iterator[tuple[str, str]], size: int) -> Iterator[Pairs]:
    """Lists of this size."""
    while some := [pair for _, pair in zip(range(size), pairs)]:
        yield some


def timed(pairs: Iterator[tuple[str, str]], put: Callable[[str, str], object]) -> list[float]:
    """Seconds of each call."""
    found = []
    for path, key in pairs:
        begun = perf_counter_ns()
        put(path, key)
        found.append((perf_counter_ns() - begun) / 1e9)
    return found


def mean(seconds: list[float]) -> float:
    """Of all."""
    return sum(seconds) / len(seconds)


def tail(seconds: list[float]) -> float:
    """One in a thousand is longer; of few the longest."""
    return sorted(seconds)[-1 - len(seconds) // 1000]


def handed_over() -> int:
    """Bytes that this process has given to `write` so far."""
    with open("/proc/self/io", encoding="ascii") as io:
        return int(next(line.split()[1] for line in io if line.startswith("wchar")))
