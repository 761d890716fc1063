"""Recording matches, singly and in one batch, and invalidating a library of them."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from typing import Any

import plexindex

from .. import peers
from ..peers import Pairs, Peer
from ..run import Run
from ..timing import WrongAnswerError, interleaved, once
from ..world import LIBRARY, Questions, World

SINGLES = 500
WRITERS: tuple[type[Peer], ...] = (
    peers.SQLite,
    peers.Lmdb,
    peers.DiskCache,
    peers.DiskCacheRs,
    peers.ConsumerMatches,
)


def measure(run: Run, world: World) -> None:
    """All of it, on copies that are thrown away."""
    folder = world.folder / "writing"
    store = folder / "store"
    shutil.copytree(world.store, store)
    kinds = peers.present(WRITERS, run.results.absent)
    with world.open(store) as index:
        writers = {kind.name: kind(folder / kind.name) for kind in kinds}
        movies = index.library(LIBRARY)
        single(run, world, movies, writers)
        batch(run, world, movies, writers)
        invalidate(run, world, index, movies, writers)
        for writer in writers.values():
            writer.close()
    shutil.rmtree(folder)


def single(run: Run, world: World, movies: plexindex.Library, writers: dict[str, Peer]) -> None:
    """One match a call: on return every process can see it."""
    run.say(f"{world.size:,}: matches recorded one by one")
    count = 50 if run.quick else SINGLES
    asked = world.questions["exact"]

    def each(put: Callable[[str, str], None], get: Callable[[str], object], who: str) -> Callable[[int], float]:
        def measure(number: int) -> float:
            paths, keys = asked.fresh(1000 + number, count)
            pairs = [(path, key or "") for path, key in zip(paths, keys)]

            def all_of_them() -> None:
                for path, key in pairs:
                    put(path, key)

            seconds = once(all_of_them) / count
            sample(who, get, pairs)
            return seconds

        return measure

    ours = "plexindex record_match"
    contenders = [(ours, each(movies.record_match, looks(movies), ours))]
    contenders += [(name, each(writer.put, writer.get, name)) for name, writer in writers.items()]
    spreads = interleaved(run.rounds, contenders)
    note = "on return it outlives the process, not a power cut: no contender syncs"
    row = run.results.row("record, single", "Recording matches", world.size, note=note)
    for name, spread in spreads.items():
        row.add(name, spread, ours=name == ours)


def batch(run: Run, world: World, movies: plexindex.Library, writers: dict[str, Peer]) -> None:
    """All at once, 100,000 at most."""
    run.say(f"{world.size:,}: matches recorded in one batch")
    asked = world.questions["exact"]
    count = min(100_000, len(asked.paths))

    def fill(put: Callable[[Pairs], None], get: Callable[[str], object], who: str) -> Callable[[int], float]:
        def measure(number: int) -> float:
            pairs = fresh_pairs(asked, 2000 + number, count)
            seconds = once(lambda: put(pairs)) / count
            sample(who, get, pairs)
            return seconds

        return measure

    ours = "plexindex record_matches"
    contenders = [(ours, fill(movies.record_matches, looks(movies), ours))]
    contenders += [(name, fill(writer.fill, writer.get, name)) for name, writer in writers.items()]
    note = f"for each of {count:,} in one transaction"
    row = run.results.row("record, batch", "Recording matches", world.size, note=note)
    for name, spread in interleaved(1 if run.quick else 3, contenders).items():
        row.add(name, spread, ours=name == ours)


def invalidate(
    run: Run, world: World, index: plexindex.Index, movies: plexindex.Library, writers: dict[str, Peer]
) -> None:
    """A library with that many matches: it must have none afterwards."""
    asked = world.questions["exact"]
    count = min(100_000, len(asked.paths))
    run.say(f"{world.size:,}: a library of {count:,} matches invalidated")
    pairs = fresh_pairs(asked, 3, count)

    def ours(number: int) -> float:
        if number:
            movies.record_matches(pairs)
        if index.stats().matches != count:
            raise WrongAnswerError(f"plexindex counts {index.stats().matches} matches, and {count} were recorded")
        seconds = once(movies.invalidate)
        if index.stats().matches:
            raise WrongAnswerError("plexindex has matches of a library that was invalidated")
        return seconds

    def theirs(writer: Any) -> Callable[[int], float]:
        def measure(number: int) -> float:
            if number:
                writer.fill(pairs)
            seconds = once(writer.forget_library)
            if writer.get(pairs[0][0]) is not None:
                raise WrongAnswerError(f"{writer.name} has matches of a library that was invalidated")
            return seconds

        return measure

    row = run.results.row("invalidate", "Invalidating a library", world.size, note=f"{count:,} recorded matches")
    row.add("plexindex", interleaved(run.rounds, [("plexindex", ours)])["plexindex"], ours=True)
    for name in (peers.SQLite.name, peers.ConsumerMatches.name):
        if name in writers:
            rounds = run.rounds if name == peers.SQLite.name else 1
            note = "walks every key" if name == peers.ConsumerMatches.name else "DELETE … WHERE library = ?"
            row.add(name, interleaved(rounds, [(name, theirs(writers[name]))])[name], note=note)


def looks(movies: plexindex.Library) -> Callable[[str], object]:
    """As a host does: by a fast lookup, else the full answer."""
    return lambda path: movies.lookup_key(path) or movies.match(path, offline=True).key


def fresh_pairs(asked: Questions, seed: int, count: int) -> Pairs:
    """New strings."""
    paths, keys = asked.fresh(seed, count)
    return [(path, key or "") for path, key in zip(paths, keys)]


def sample(who: str, get: Callable[[str], object], pairs: Pairs) -> None:
    """Some of what was stored is there."""
    for path, key in pairs[:: max(1, len(pairs) // 50)]:
        if get(path) != key:
            raise WrongAnswerError(f"{who} did not keep {path!r}")
