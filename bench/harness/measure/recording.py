"""Recording matches and reading them back, through the library and through the drop-in.

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
from ..run import RECORDS as GROUP
from ..run import Run
from ..timing import Figure, WrongAnswerError, each_call, in_turns, mean_of_calls, seconds_of
from ..world import Questions, World

DROPIN = "drop-in"
RECORDERS = {OURS: "record_match", DROPIN: "drop-in `set_match`"}
"""The calls of our two contenders."""
SINGLES, TURNS = 10_000, 10
BATCHES, BATCH = 100, 500
SHUFFLED, IN_ORDER = ", paths in random order", ", paths in ascending order"
Matches = Callable[[World, int, int], Iterator[tuple[str, str]]]
HIT = "hit, once loaded"
WRITES = (
    "Each write changes two pages, the peer's one: other processes read what is new in the second, whose rows are in"
    " the order of the writes."
)
READS = "A call through ctypes takes most of it. A row is read in two trees until the table is in memory."
FIRST = 64
"""Questions of a new process before it reads the table into memory."""


def measure(run: Run, world: World) -> None:
    """Measures all of this module."""
    peers = usable(PEERS, world.size, run.results.absent)
    kinds: dict[str, type[Contender]] = {OURS: Plexindex, DROPIN: DropIn, **{kind.name: kind for kind in peers}}
    is_end = world.size in (run.smallest, run.largest)
    folder = world.copy(f"recorded/{OURS}").parent
    with opened(kinds, folder) as stored:
        load(world, stored)
        run.say(f"{world.size:,}: matches are loaded")
        if is_end:
            singles(run, world, stored, IN_ORDER, world.size)
    with opened(kinds, folder) as stored:
        if world.size == run.main:
            first(run, world, stored)
        gets(run, world, stored, HIT, 0)
        if world.size == run.main:
            child_writes(run, world, kinds, folder)
            gets(run, world, stored, "hit, after another process wrote", 0)
            gets(run, world, stored, "miss", -1)
        if is_end:
            others = {name: contender for name, contender in stored.items() if name != DROPIN}
            singles(run, world, others, SHUFFLED, 0, of=shuffled)
            if world.size == run.largest:
                batches(run, world, others, IN_ORDER)
                batches(run, world, others, SHUFFLED, of=shuffled)
    shutil.rmtree(folder)
    if world.size == run.main:
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
        name: run.row(called + what, GROUP, world.size, below("sqlite3", 1.2), longest(20e-3), limit=WRITES)
        for name, called in RECORDERS.items()
        if name in stored and (name == OURS or world.size == run.largest)
    }
    times = in_turns(TURNS, {name: calls(contender) for name, contender in stored.items()})
    for name, found in times.items():
        figure = Figure.of([seconds for turn in found for seconds in turn])
        for ours, row in rows.items():
            if name == ours or name not in rows:
                row.add(OURS if name == ours else name, figure)
        if stored[name].get(*before(stored[name]), next(of(world, begin, 1))[0]) is None and name != OURS:
            raise WrongAnswerError(f"{name} did not keep a match")
    for row in rows.values():
        row.note = f"longest {show(row.ours.longest or 0, 's')}"
    first, now = run.find(RECORDERS[OURS] + what, run.smallest), rows[OURS]
    if first and first is not now and what == SHUFFLED:
        row = run.row(f"{now.what}: beside {run.smallest:,}", GROUP, world.size, at_most(1.5, "×"), unit="×")
        row.add(OURS, Figure(now.ours.mean / first.ours.mean))


def before(contender: Contender) -> tuple[str, ...]:
    """What a contender takes before the path."""
    return (contender.before_path,) if contender.before_path else ()


def batches(run: Run, world: World, stored: dict[str, Contender], how: str, of: Matches = matches) -> None:
    """500 matches a call."""
    count = BATCHES // TURNS // (5 if run.is_quick else 1)
    begin = 10 * world.size + 1_000_000

    def calls(contender: Contender) -> Callable[[int], list[float]]:
        def one_turn(turn: int) -> list[float]:
            starts = (begin + (turn * count + number) * BATCH for number in range(count))
            several = [(list(of(world, start, BATCH)),) for start in starts]
            return [seconds / BATCH for seconds in each_call(contender.fill, several)]

        return one_turn

    row = run.row(f"{BATCH} matches a call, each{how}", GROUP, world.size, below("sqlite3", 1.2), limit=WRITES)
    for name, found in in_turns(TURNS, {name: calls(contender) for name, contender in stored.items()}).items():
        row.add(name, Figure.of([seconds for turn in found for seconds in turn]))


def first(run: Run, world: World, stored: dict[str, Contender]) -> None:
    """Each of the first questions after a store is opened."""
    what = f"drop-in `get_match`, the first {FIRST} of a process, each"
    row = run.row(what, GROUP, world.size, below("sqlite3"), limit=READS)
    paths = [path_of(number) for number in range(0, world.size, world.size // FIRST)][:FIRST]
    for name, contender in stored.items():
        if name != OURS:
            given = ((*before(contender), path) for path in paths)
            row.add(OURS if name == DROPIN else name, Figure.of(each_call(contender.get, given)))


def gets(run: Run, world: World, stored: dict[str, Contender], what: str, begin: int) -> None:
    """The drop-in's `get_match`. With a negative `begin` no path was recorded."""
    count = min(world.size, 100_000)
    step = world.size // count
    if begin < 0:
        asked = Questions([f"{path_of(number)}.no".encode() for number in range(count)], [None] * count)
    else:
        numbers = range(0, world.size, step)
        keys: list[Any] = [world.pairs[number % len(world.pairs)][1] for number in numbers]
        asked = Questions([path_of(number).encode() for number in numbers], keys)
    goals = [below("diskcache", 1 / 8), below("lmdb", 1 if world.size >= 100_000 else 1.5)]
    row = run.row(f"drop-in `get_match`, {what}", GROUP, world.size, *goals, limit=READS)
    row.note = "Stash2Plex writes a line of its log for each"
    asking = {contender.name: contender for name, contender in stored.items() if name != OURS}
    if what == HIT:
        # The row is about a process that keeps asking; the note says what each question took until then.
        paths = asked.fresh(run.rounds + 1, count)[0]
        while_loading = {name: mean_of_calls(one.get, paths, one.before_path)[0] for name, one in asking.items()}
        row.note += "; while it loads: " + ", ".join(f"{name} {show(one, 's')}" for name, one in while_loading.items())
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
        row.note = row.note or f"longest {show(max(times), 's')}; later writes delete the rows"
