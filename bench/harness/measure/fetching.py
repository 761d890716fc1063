"""Fetching a library and storing it: time and memory, beside plexapi with a pickle."""

from __future__ import annotations

import shutil
from typing import Any

from ..results import OURS, at_most, below
from ..run import Run
from ..timing import Figure
from ..world import World

GROUP = "Fetching"
PLEXAPI = "plexapi, pickle"


def measure(run: Run, world: World) -> None:
    """Each in a process of its own; the server has rendered all pages before."""
    has_plexapi = run.has_plexapi(world.size)
    goals = [at_most(3.5)] if world.size == 1_000_000 else []
    goals += [below(PLEXAPI, 1 / 100)] if has_plexapi else []
    limit = "Both cores are busy, one of them for the server; reading the pages takes most of the rest."
    took = run.row("fetch and store", GROUP, world.size, *goals, limit=limit)
    peak = run.row("fetch and store: peak of memory", GROUP, world.size, at_most(100 * 2**20, "B"), unit="B")
    if has_plexapi:
        render_pages(run, world)
    found: dict[str, list[dict[str, Any]]] = {OURS: []}
    for number in range(3):
        for who in (OURS, "plexapi") if has_plexapi and number == 0 else (OURS,):
            store = world.folder / f"fetch-{who}-{number}"
            found.setdefault(who, []).append(run.python("fetch.py", who, store, world.items)[1])
            shutil.rmtree(store)
    for who, times in found.items():
        name = OURS if who == OURS else PLEXAPI
        took.add(name, Figure(sorted(one["seconds"] for one in times)[len(times) // 2]))
        peak.add(name, Figure(max(one["peak"] for one in times)))


def render_pages(run: Run, world: World) -> None:
    """Has the server render the pages that plexapi will ask for, as its log shows them."""
    world.server.post("reset", {})
    run.python("fetch.py", "pages", world.folder / "pages", world.items)
    asked = [entry for entry in world.server.get("log") if entry["kind"] == "listing"][-1]
    headers = {**asked["headers"], "X-Plex-Token": world.server.token}
    sent = {name.lower(): name for name in headers}
    step = int(headers[sent["x-plex-container-size"]])
    for start in range(0, world.items, step):
        headers[sent["x-plex-container-start"]] = str(start)
        world.server.ask(asked["target"], headers)
