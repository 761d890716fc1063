"""Fetching a library and storing it, against plexapi with a pickle: time, requests and memory."""

from __future__ import annotations

import shutil
from typing import Any

from ..run import Run
from ..timing import Spread
from ..world import World

LARGEST_FOR_PLEXAPI = 100_000


def measure(run: Run, world: World) -> None:
    """Each in a process of its own; the server has rendered every page that either asks for before."""
    run.say(f"{world.size:,}: fetch and store")
    ours: list[dict[str, Any]] = []
    theirs: list[dict[str, Any]] = []
    rounds = 3 if run.quick or world.size > LARGEST_FOR_PLEXAPI else max(3, run.rounds // 2)
    plexapi = world.size <= LARGEST_FOR_PLEXAPI and not {"plexapi", "diskcache"} & run.results.absent.keys()
    if plexapi:
        warm_pages(run, world)
    _, nothing = run.python("fetch.py", "nothing", world.folder / "none", world.items, world=world)
    requests: dict[str, int] = {}
    for number in range(rounds):
        for who, found in (("plexindex", ours), ("plexapi", theirs)):
            # plexapi takes so long that one round, two of few items, must do.
            if who == "plexapi" and not (plexapi and number < (1 if world.size > 20_000 else 2)):
                continue
            store = world.folder / f"fetch-{who}-{number}"
            before = world.server.requests()
            _, times = run.python("fetch.py", who, store, world.items, world=world)
            requests[who] = world.server.requests() - before
            found.append(times)
            shutil.rmtree(store)
    note = "in a new process; the server has rendered every page before"
    took = run.results.row("fetch", "Fetch and store a library", world.size, note=note)
    took.add("plexindex", _steps(ours, "fetch and store", "close"), ours=True, note=f"{requests['plexindex']} requests")
    peak = run.results.row("fetch, peak", "Fetch and store a library", world.size, "B", "the process's peak (VmHWM)")
    peak.add("plexindex", Spread.of(times["peak"] for times in ours), ours=True)
    peak.add("Python alone", Spread.of([nothing["peak"]]), ranked=False)
    if theirs:
        took.add("plexapi, pickle", _steps(theirs, "all()", "pickle"), note=f"{requests['plexapi']} requests")
        for step in ("all()", "pickle"):
            took.add(f"plexapi: {step}", _steps(theirs, step), ranked=False)
        peak.add("plexapi, pickle", Spread.of(times["peak"] for times in theirs))
        each = run.results.row("memory", "Size", world.size, "B", "for each item, in memory or mapped")
        each.add("plexapi objects", Spread.of((t["peak"] - t["before"]) / world.items for t in theirs))


def warm_pages(run: Run, world: World) -> None:
    """Has the server render the pages that plexapi asks for: what it asks is read from the server's log."""
    world.server.post("reset", {})
    run.python("fetch.py", "pages", world.folder / "pages", world.items, world=world)
    asked = [entry for entry in world.server.get("log") if entry["kind"] == "listing"][-1]
    headers = {**asked["headers"], "X-Plex-Token": world.server.token}
    sent = {name.lower(): name for name in headers}
    step = int(headers[sent["x-plex-container-size"]])
    for start in range(0, world.items, step):
        headers[sent["x-plex-container-start"]] = str(start)
        world.server.ask(asked["target"], headers)


def _steps(found: list[dict[str, Any]], *names: str) -> Spread:
    return Spread.of(sum(times["steps"][name] for name in names) for times in found)
