"""New processes: import, open, one answer, close. Each is timed from its start to its end, less a bare interpreter."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from pathlib import Path

from ..peers import PEERS, Contender, DropIn, Plexindex, usable
from ..results import OURS, Goal, at_most, below
from ..run import WAITING, Run
from ..timing import Figure, in_turns
from ..world import Questions, World

LIMIT = "The modules that Python loads, some 75 µs each, and the pages of the library that are touched first."


def measure(run: Run, world: World) -> None:
    """Measures all of this module."""
    if world.size != run.main:
        return
    path, key = world.questions["listed"].paths[0].decode(), world.questions["listed"].answers[0] or ""
    kinds = usable(PEERS, world.size, run.results.absent)
    pairs = list(dict(world.pairs).items())
    everyone: list[type[Contender]] = [*kinds, DropIn]
    stores = {kind: world.folder / "peers" / kind.name for kind in everyone}
    for kind, folder in stores.items():
        if not folder.is_dir():  # otherwise the lookups have filled it
            peer = kind(str(folder))
            peer.fill(pairs)
            peer.close()
    dropped = stores.pop(DropIn)
    goals = [below("diskcache", 0.4), below("sqlite3")]
    python(run, world, "a new process, Python", {Plexindex: world.store, **stores}, path, key, *goals)
    python(run, world, "a new process, drop-in", {DropIn: dropped, **stores}, path, key, *goals)
    native(run, world)


def python(
    run: Run,
    world: World,
    what: str,
    stores: dict[type[Contender], Path],
    path: str,
    key: str,
    *goals: Goal,
) -> None:
    """A row for Python, one process a round."""

    def start(kind: str, folder: Path) -> Callable[[int], float]:
        def one_round(_: int) -> float:
            return run.python("first.py", kind, folder, path, key)[0]

        return one_round

    row = run.row(what, WAITING, world.size, *goals, note="less a bare interpreter", limit=LIMIT)
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
    row = run.row("a new process, C: load, open, first answer", WAITING, world.size, at_most(1e-3))
    times = [run.c("first", world.store, one, "match")[1] for _ in range(run.rounds * 2 + 1)]
    row.add(OURS, Figure.of(sum(one[step] for step in ("load", "open", "library", "ask")) * 1e-9 for one in times))
