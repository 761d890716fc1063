"""GUIDs, titles, folders, all items, and what a disk and a library differ in."""

from __future__ import annotations

import os
import shutil
from typing import Any

from ..peers import LIBRARY, SERVER_FOLDER, Plexindex
from ..results import OURS, show
from ..run import QUESTIONS as GROUP
from ..run import WAITING, Run
from ..timing import Figure, WrongAnswerError, each_call, seconds_of
from ..world import World

LIMIT = "Request and answer are JSON, which Python encodes and decodes."
ASKED = 1_000


def measure(run: Run, world: World) -> None:
    """Measures all of this module."""
    if world.size != run.main:
        return
    store = world.copy("asked")
    ours = Plexindex(str(store))
    items: list[Any] = []
    row = run.row("iterate over all items, each", GROUP, world.size)
    row.add(OURS, Figure(seconds_of(lambda: items.extend(ours.library.items(offline=True))) / world.items))
    if len(items) != world.items:
        raise WrongAnswerError(f"{len(items)} items, and there are {world.items}")
    some = items[:: max(1, len(items) // ASKED)][:ASKED]
    library = ours.library
    asked = {
        "a GUID": (library.match_guid, [item.guid for item in some if item.guid]),
        "a title": (library.search_title, [item.title for item in some if item.title]),
        "a folder": (library.folder, [os.path.dirname(item.path) for item in some if item.path]),
    }
    for name, (ask, texts) in asked.items():
        first = seconds_of(lambda ask=ask, texts=texts: ask(texts[0], offline=True))  # type: ignore[misc]
        row = run.row(name, GROUP, world.size, note=f"the first {show(first, 's')}", limit=LIMIT)
        row.add(OURS, Figure.of(each_call(lambda text, ask=ask: ask(text, offline=True), ((t,) for t in texts))))
    ours.close()
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
        if compared.summary["files"] < len(set(paths)):
            raise WrongAnswerError(f"compare found {compared.summary['files']} of {len(paths)} files")
    row = run.row("a walk: what differs between a disk and the library", WAITING, world.size)
    row.note = "a folder for each file"
    row.add(OURS, Figure(seconds))
    shutil.rmtree(disk)
