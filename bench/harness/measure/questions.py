"""GUIDs, titles, folders, all items, and what a disk and a library differ in."""

from __future__ import annotations

import os
import shutil
from typing import Any

from ..peers import LIBRARY, SERVER_FOLDER, Plexindex
from ..results import OURS, at_most
from ..run import Run
from ..timing import Figure, WrongAnswerError, each_call, seconds_of
from ..world import World
from .lookups import bytes_on_disk

GROUP = "Other questions"
LIMIT = "Request and answer are JSON, which Python encodes and decodes."
ASKED = 1_000
MOST_FILES = 100_000
"""The disk has at most so many files."""


def measure(run: Run, world: World) -> None:
    """Measures all of this module."""
    store = world.copy("asked")
    ours = Plexindex(str(store))
    items: list[Any] = []
    row = run.row("iterate over all items, each", GROUP, world.size, at_most(8e-6))
    row.add(OURS, Figure(seconds_of(lambda: items.extend(ours.library.items(offline=True))) / world.items))
    if len(items) != world.items:
        raise WrongAnswerError(f"{len(items)} items, and there are {world.items}")
    some = items[:: max(1, len(items) // ASKED)][:ASKED]
    asked = {
        "a GUID": (ours.index.match_guid, [item.guid for item in some if item.guid], 20e-6),
        "a title": (ours.index.search_title, [item.title for item in some if item.title], 50e-6),
        "a folder": (ours.index.folder, [os.path.dirname(item.path) for item in some if item.path], 5e-6),
    }
    for name, (ask, texts, limit) in asked.items():
        first = seconds_of(lambda ask=ask, texts=texts: ask(texts[0], LIBRARY, offline=True))  # type: ignore[misc]
        row = run.row(name, GROUP, world.size, at_most(limit), note=f"the first {first * 1e3:.3g} ms", limit=LIMIT)
        row.add(
            OURS, Figure.of(each_call(lambda text, ask=ask: ask(text, LIBRARY, offline=True), ((t,) for t in texts)))
        )
    ours.close()
    row = run.row(
        "disk for an item, with the index of GUIDs and titles", "Size", world.size, at_most(300, "B"), unit="B"
    )
    row.add(OURS, Figure(bytes_on_disk(store) / world.items))
    mapped = sum(file.stat().st_size for file in world.store.glob("*.segment"))
    row = run.row("mapped memory for an item, shared by all processes", "Size", world.size, at_most(200, "B"), unit="B")
    row.add(OURS, Figure(mapped / world.items))
    if world.size <= MOST_FILES:
        differences(run, world)


def differences(run: Run, world: World) -> None:
    """A disk with a folder for each film of the library: plexindex walks it and looks for all that is listed."""
    disk = world.folder / "disk"
    paths = [path for path, _ in world.pairs if path.startswith(f"{SERVER_FOLDER}/")]
    for path in paths:
        file = disk / path[len(SERVER_FOLDER) + 1 :]
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"x")
    import plexindex

    rule = [(str(disk), SERVER_FOLDER)]
    with plexindex.open(
        world.store, os.environ["PLEX_URL"], os.environ["PLEX_TOKEN"], library_ttl=None, mappings=rule
    ) as index:
        compared = index.library(LIBRARY).compare(disk, offline=True)
        seconds = seconds_of(lambda: sum(1 for _ in compared))
        if compared.files < len(set(paths)):
            raise WrongAnswerError(f"compare found {compared.files} of {len(paths)} files")
    row = run.row("differences between a disk and a library, all files", GROUP, world.size, at_most(world.size * 10e-6))
    row.limit = "The calls of the system that open, read and close each folder take 4 µs of it."
    row.add(OURS, Figure(seconds))
    shutil.rmtree(disk)
