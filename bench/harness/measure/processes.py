"""New processes: import, open, one answer, close. Each is timed from its start to its end, less a bare interpreter."""

from __future__ import annotations

import os
import statistics
from collections.abc import Callable
from pathlib import Path

from ..peers import PEERS, Contender, DropIn, Plexindex, PlexindexMatch, usable
from ..results import OURS, Goal, at_most, below
from ..run import Run
from ..timing import Figure, in_turns
from ..world import Questions, World

GROUP = "New processes"
MOST_RECORDED = 100_000
"""With more matches, which the drop-in records one by one, its row comes after those about recording."""
LIMIT = "The modules that Python loads, some 75 µs each, and the pages of the library that are touched first."


def measure(run: Run, world: World) -> None:
    """Measures all of this module."""
    path, key = world.questions["listed"].paths[0].decode(), world.questions["listed"].answers[0] or ""
    kinds = usable(PEERS, world.size, run.results.absent)
    pairs = list(dict(world.pairs).items())
    stores = {kind: world.folder / "peers" / kind.name for kind in kinds}
    for kind, folder in stores.items():
        if not folder.is_dir():  # otherwise the lookups have filled it
            peer = kind(str(folder))
            peer.fill(pairs)
            peer.close()
    goals = [at_most(3e-3), below("diskcache", 1 / 8), below("sqlite3")] if world.size == 100_000 else []
    for ours, what in ((Plexindex, "new process, Python"), (PlexindexMatch, "new process, Python, full answer")):
        python(run, world, what, {ours: world.store, **stores}, path, key, *goals)
    python(
        run, world, "new process, Python, files not in memory", {Plexindex: world.store, **stores}, path, key, cold=True
    )
    if world.size <= MOST_RECORDED:
        recorded = DropIn(str(world.folder / "first"))
        recorded.fill(pairs)
        recorded.close()
        drop_in(run, world, {DropIn: world.folder / "first", **stores}, path, key)
    native(run, world)


def drop_in(run: Run, world: World, stores: dict[type[Contender], Path], path: str, key: str) -> None:
    """The drop-in's row; all stores have this path."""
    goals = [at_most(5e-3), below("diskcache", 1 / 4)] if world.size == 100_000 else []
    python(run, world, "new process, drop-in", stores, path, key, *goals)


def python(
    run: Run,
    world: World,
    what: str,
    stores: dict[type[Contender], Path],
    path: str,
    key: str,
    *goals: Goal,
    cold: bool = False,
) -> None:
    """A row for Python, one process a round."""

    def start(kind: str, folder: Path) -> Callable[[int], float]:
        def one_round(_: int) -> float:
            if cold:
                drop_pages(folder)
            return run.python("first.py", kind, folder, path, key)[0]

        return one_round

    row = run.row(what, GROUP, world.size, *goals, limit=LIMIT)
    contenders = {"nothing": start("nothing", world.folder / "nothing")}
    contenders |= {kind.name: start(kind.__name__, folder) for kind, folder in stores.items()}
    for once in contenders.values():
        once(0)  # Compiled modules exist from now on.
    found = in_turns(run.rounds * 2 + 1, contenders)
    bare = statistics.median(found.pop("nothing"))
    for name, seconds in found.items():
        row.add(name, Figure.of(max(0.0, one - bare) for one in seconds))


def native(run: Run, world: World) -> None:
    """A C program that loads the library, opens the store, and asks for the full answer."""
    asked = world.questions["listed"]
    one = Questions(asked.paths[:1], asked.answers[:1]).write(world.folder / "one")
    goal = (at_most(0.8e-3),) if world.size == 100_000 else ()
    row = run.row("new process, C: load, open, first answer", GROUP, world.size, *goal, limit=LIMIT)
    times = [run.c("first", world.store, one, "match")[1] for _ in range(run.rounds * 2 + 1)]
    row.add(OURS, Figure.of(sum(one[step] for step in ("load", "open", "library", "ask")) * 1e-9 for one in times))


def drop_pages(folder: Path) -> None:
    """Has the system forget the pages of all files of a folder."""
    for file in folder.rglob("*"):
        if file.is_file():
            with file.open("rb") as opened:
                os.fsync(opened.fileno())
                os.posix_fadvise(opened.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
