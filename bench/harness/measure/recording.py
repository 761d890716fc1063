"""Recording matches and reading them back, through the library and through the drop-in: right after a load, and later.

What a write puts off counts as soon as a later call does it. The drop-in and Stash2Plex have the log of their host.
"""

from __future__ import annotations

import shutil
import statistics
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ..peers import PEERS, Contender, DropIn, Plexindex, SQLite, Stash2Plex, usable
from ..results import OURS, at_most, below, longest, show
from ..run import Run
from ..timing import Figure, WrongAnswerError, each_call, in_turns, seconds_of
from ..world import Questions, World
from . import processes

GROUP, DROP_IN_GROUP = "Recording", "The drop-in"
DROPIN = "drop-in"
RECORDERS = {OURS: ("record_match", GROUP), DROPIN: ("drop-in `set_match`", DROP_IN_GROUP)}
"""Of our two contenders, the call and the group of its rows."""
SINGLES, TURNS = 10_000, 10
BATCHES, BATCH = 100, 500
MORE = 100_000
"""Matches that are recorded between the first and the second measurement."""
SHUFFLED, IN_ORDER = "paths in random order", "paths in ascending order, which suits a B-tree"
Matches = Callable[[World, int, int], Iterator[tuple[str, str]]]
OF_DISKCACHE = {10_000: 1 / 20, 100_000: 1 / 12, 1_000_000: 1 / 10}


def measure(run: Run, world: World) -> None:
    """Measures all of this module."""
    peers = usable(PEERS, world.size, run.results.absent)
    kinds: dict[str, type[Contender]] = {OURS: Plexindex, DROPIN: DropIn, **{kind.name: kind for kind in peers}}
    folder = world.copy(f"recorded/{OURS}").parent
    with opened(kinds, folder) as stored:
        load(world, stored)
        run.say(f"{world.size:,}: matches are loaded")
        gets(run, world, stored, "hit, right after the load", 0)
        singles(run, world, stored, "right after a load", world.size)
        child_writes(run, world, kinds, folder)
        gets(run, world, stored, "hit, after another process wrote", 0)
        begin = 2 * world.size + SINGLES
        more = MORE // 100 if run.is_quick else MORE
        for contender in stored.values():
            for path, key in matches(world, begin, more):
                contender.put(path, key)
        singles(run, world, stored, f"after {MORE:,} more", begin + more)
    with opened(kinds, folder) as stored:
        gets(run, world, stored, "hit, after a rest", 0)
        gets(run, world, stored, "miss, after a rest", -1)
        others = {name: contender for name, contender in stored.items() if name != DROPIN}
        batches(run, world, others)
        singles(run, world, others, SHUFFLED, 0, of=shuffled)
        batches(run, world, others, shuffled, f", {SHUFFLED}")
    if world.size > processes.MOST_RECORDED:
        stores = {kind: folder / name for name, kind in kinds.items() if kind is not Plexindex}
        processes.drop_in(run, world, stores, *next(matches(world, 0, 1)))
    shutil.rmtree(folder)
    if world.size <= 100_000:
        invalidate(run, world, [kind for kind in peers if kind in (SQLite, Stash2Plex)])


@contextmanager
def opened(kinds: dict[str, type[Contender]], folder: Path) -> Iterator[dict[str, Contender]]:
    """All contenders by name, each in a folder of its own."""
    found = {name: kind(str(folder / name)) for name, kind in kinds.items()}
    try:
        yield found
    finally:
        for contender in found.values():
            contender.close()


def load(world: World, stored: dict[str, Contender]) -> None:
    """Gives each contender as many matches as the library has items, in batches of 50,000."""
    for contender in stored.values():
        pairs = matches(world, 0, world.size)
        while some := [pair for _, pair in zip(range(50_000), pairs)]:
            contender.fill(some)


def matches(world: World, begin: int, count: int) -> Iterator[tuple[str, str]]:
    """Files that no library lists, each with the key of an item."""
    for number in range(begin, begin + count):
        yield path_of(number), world.pairs[number % len(world.pairs)][1]


def shuffled(world: World, begin: int, count: int) -> Iterator[tuple[str, str]]:
    """Other such files, each of which sorts somewhere among all others."""
    for number in range(begin, begin + count):
        _, key = next(matches(world, number, 1))
        yield path_of(10**9 + number * 6_700_417_003 % (9 * 10**9)), key


def path_of(number: int) -> str:
    """The path of a match."""
    name = f"A Film That Is Recorded {number} ({1950 + number % 70})"
    return f"/mnt/recorded/{name}/{name} - 1080p.mkv"


def singles(run: Run, world: World, stored: dict[str, Contender], what: str, begin: int, of: Matches = matches) -> None:
    """One match a call; the contenders take turns every 1,000 calls. The drop-in has a row of its own."""
    count = SINGLES // TURNS // (10 if run.is_quick else 1)

    def calls(contender: Contender) -> Callable[[int], list[float]]:
        return lambda turn: each_call(contender.put, of(world, begin + turn * count, count))

    rows = {
        name: run.row(f"{called}, {what}", group, world.size, below("sqlite3", 1.2), longest(20e-3))
        for name, (called, group) in RECORDERS.items()
        if name in stored
    }
    times = in_turns(TURNS, {name: calls(contender) for name, contender in stored.items()})
    for name, found in times.items():
        figure = Figure.of([seconds for turn in found for seconds in turn])
        for ours, row in rows.items():
            if name == ours or name not in rows:
                row.add(OURS if name == ours else name, figure)
        if stored[name].get(*before(stored[name]), next(of(world, begin, 1))[0]) is None and name != OURS:
            raise WrongAnswerError(f"{name} did not keep a match")
    for row in rows.values() if of is matches else ():
        row.note = IN_ORDER
        growth(run, row.what, world.size)


def before(contender: Contender) -> tuple[str, ...]:
    """What a contender takes before the path."""
    return (contender.before_path,) if contender.before_path else ()


def growth(run: Run, what: str, size: int) -> None:
    """How many times longer our mean is than with 10,000 matches."""
    first, now = run.find(what, 10_000), run.find(what, size)
    if size > 10_000 and first and now:
        row = run.row(f"{what}: mean beside that at 10,000", now.group, size, at_most(1.5, "×"), unit="×")
        row.add(OURS, Figure(now.ours.mean / first.ours.mean))


def batches(run: Run, world: World, stored: dict[str, Contender], of: Matches = matches, how: str = "") -> None:
    """500 matches a call."""
    count = BATCHES // TURNS // (5 if run.is_quick else 1)
    begin = 10 * world.size + 10 * MORE

    def calls(contender: Contender) -> Callable[[int], list[float]]:
        def one_turn(turn: int) -> list[float]:
            starts = (begin + (turn * count + number) * BATCH for number in range(count))
            several = [(list(of(world, start, BATCH)),) for start in starts]
            return [seconds / BATCH for seconds in each_call(contender.fill, several)]

        return one_turn

    row = run.row(f"{BATCH} matches a call, each{how}", GROUP, world.size, below("sqlite3", 1.2))
    row.note = "" if of is shuffled else IN_ORDER
    for name, found in in_turns(TURNS, {name: calls(contender) for name, contender in stored.items()}).items():
        row.add(name, Figure.of([seconds for turn in found for seconds in turn]))


def gets(run: Run, world: World, stored: dict[str, Contender], what: str, begin: int) -> None:
    """The drop-in's `get_match`. With a negative `begin` no path was recorded."""
    count = min(world.size, 100_000)
    step = world.size // count
    if begin < 0:
        asked = Questions([f"{path_of(number)}.no".encode() for number in range(count)], [None] * count)
        goals = [below("lmdb")]
        hit = run.find("drop-in `get_match`, hit, after a rest", world.size)
        if hit:
            goals.append(at_most(hit.ours.mean))
    else:
        numbers = range(0, world.size, step)
        keys: list[Any] = [world.pairs[number % len(world.pairs)][1] for number in numbers]
        asked = Questions([path_of(number).encode() for number in numbers], keys)
        goals = [below("diskcache", OF_DISKCACHE.get(world.size, 1 / 12)), below("lmdb")]
        if world.size > 10_000:
            goals.append(at_most(450e-9 if world.size == 100_000 else 600e-9))
    limit = "Reads of memory that wait for each other: the filter, the slot and the entry of a segment."
    row = run.row(f"drop-in `get_match`, {what}", DROP_IN_GROUP, world.size, *goals, limit=limit)
    asking = {contender.name: contender for name, contender in stored.items() if name != OURS}
    run.race(row, asked, {name: (contender.get, contender.before_path) for name, contender in asking.items()})


def child_writes(run: Run, world: World, kinds: dict[str, type[Contender]], folder: Path) -> None:
    """Another process records 1,000 matches in each store."""
    run.say(f"{world.size:,}: another process records")
    for name, kind in kinds.items():
        if kind is not Plexindex:
            run.python("write.py", kind.__name__, folder / name, 1_000)


def invalidate(run: Run, world: World, kinds: list[type[Contender]]) -> None:
    """Forgets all matches of a library."""
    row = run.row("invalidate a library, as many matches as items", GROUP, world.size, at_most(1e-3))
    world.copy("forgotten/plexindex")
    everyone: list[type[Contender]] = [Plexindex, *kinds]
    for kind in everyone:
        contender = kind(str(world.folder / "forgotten" / kind.name))
        times = []
        for _ in range(run.rounds if kind is not Stash2Plex else 1):
            contender.fill(list(matches(world, 0, world.size)))
            times.append(seconds_of(contender.forget_library))
            if contender.get(*before(contender), path_of(0)) is not None:
                raise WrongAnswerError(f"{kind.name} still has matches of a library that was invalidated")
        contender.close()
        row.add(kind.name, Figure(statistics.median(times), longest=max(times)))
        row.note = row.note or f"longest {show(max(times), 's')}"
