"""Fetching a library and storing it: time and memory, beside plexapi with a pickle, in processes of their own."""

from __future__ import annotations

import shutil
from pathlib import Path
from statistics import median
from typing import Any

from ..results import OURS, at_most, below
from ..run import MEMORY, WAITING, Run
from ..timing import Figure
from ..world import Standin, World

PLEXAPI = "plexapi, pickle"
FIRST = (1_000, 20_000, 100_000)
"""Items of libraries that are fetched for the first time."""


def first_time(run: Run) -> None:
    """From a server that renders each reply when it is asked for it: a new server for each fetch."""
    for size in FIRST[:2] if run.is_quick else FIRST:
        contenders = [OURS, PLEXAPI] if run.has_plexapi(size) else [OURS]
        goals = [below(PLEXAPI, 1 / 10)] if PLEXAPI in contenders else []
        row = run.row("a library, fetched for the first time", WAITING, size, *goals)
        row.note = "the server renders its replies as it is asked"
        for who in contenders:
            times = []
            for _ in range(3 if who == OURS else 1):
                server = Standin(run.standin, "--movies", str(size))
                times.append(fetched(run, server, run.folder / "first", who, size)["seconds"])
                server.stop()
            row.add(who, Figure(median(times)))


def measure(run: Run, world: World) -> None:
    """The same again, from a server that has rendered all replies; and the memory that it takes."""
    if world.size != run.largest:
        return
    took = run.row("the same, rendered before", WAITING, world.size, at_most(world.size * 6e-6))
    took.limit = "Both cores are busy, one of them for the server; reading the pages takes most of the rest."
    peak = run.row("fetching: peak of memory", MEMORY, world.size, at_most(100 * 2**20, "B"), unit="B")
    found = [fetched(run, world.server, world.folder / "fetched", OURS, world.items) for _ in range(3)]
    took.add(OURS, Figure(median(one["seconds"] for one in found)))
    peak.add(OURS, Figure(max(one["peak"] for one in found)))


def fetched(run: Run, server: Standin, store: Path, who: str, items: int) -> dict[str, Any]:
    """Fetches into an empty store in a new process: seconds, and the peak of its memory."""
    given = {"PLEX_URL": server.url, "PLEX_TOKEN": server.token}
    found: dict[str, Any] = run.python("fetch.py", who.split(",", maxsplit=1)[0], store, items, **given)[1]
    shutil.rmtree(store)
    return found
