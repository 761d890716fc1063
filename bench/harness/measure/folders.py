"""Which show a folder of ten seasons is; and what a disk and Plex differ in."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import plexindex

from ..run import Run
from ..timing import WrongAnswerError, each, interleaved, once
from ..world import LIBRARY, SERVER, Standin

if TYPE_CHECKING:
    from pathlib import Path

    from ..world import World

TEN = 20
"""Shows of ten seasons of ten episodes, beside the library's others."""
LARGEST_DISK = 100_000
ROUNDS = 3


def measure(run: Run, world: World) -> None:
    """Both."""
    scale(run, world)
    if world.size <= LARGEST_DISK:
        differences(run, world)


def scale(run: Run, world: World) -> None:
    """The folders of shows with ten seasons, in a library of as many episodes."""
    run.say(f"{world.size:,}: folders of ten seasons")
    server = Standin(run.standin, "--episodes", str(max(world.size - TEN * 100, 0)))
    try:
        server.post("items/add", {"library": 1, "items": [_episode(n) for n in range(TEN * 100)]})
        with plexindex.open(world.folder / "shows", server.url, server.token, library_ttl=None) as index:
            index.refresh()
            shows = index.libraries()[0]
            ask = index.library(shows.title).folder
            before = server.requests()

            def round_of(_: int) -> float:
                seconds, found = each(ask, [f"{SERVER}/ten/Show {n % TEN:02}" for n in range(TEN * 50)])
                if any((one.kind, one.items) != ("show", 100) for one in found):  # type: ignore[attr-defined]
                    raise WrongAnswerError("a folder of ten seasons is not its show")
                return seconds

            who = "plexindex folder"
            spread = interleaved(run.rounds, [(who, round_of)])[who]
            if server.requests() != before:
                raise WrongAnswerError("a folder that is listed caused a request")
        note = "a show of ten seasons and 100 episodes, asked in Python; no request"
        row = run.results.row("folder of ten seasons", "Folders and differences", world.size, note=note)
        row.add(who, spread, ours=True)
    finally:
        server.stop()
        shutil.rmtree(world.folder / "shows", ignore_errors=True)


def differences(run: Run, world: World) -> None:
    """A disk with a file for each that Plex lists: all of it is walked, and nothing differs."""
    run.say(f"{world.size:,}: a disk against the library")
    disk = world.folder / "disk"
    paths = [path for path, _ in world.pairs if path.startswith(f"{SERVER}/")]
    for path in paths:
        _make(disk / path[len(SERVER) + 1 :])
    with plexindex.open(
        world.store, world.server.url, world.server.token, library_ttl=None, mappings=[(str(disk), SERVER)]
    ) as index:

        def compared(_: int) -> float:
            comparison = index.compare(disk, LIBRARY)
            seconds = once(lambda: sum(1 for _ in comparison))
            if comparison.files < len(paths):
                raise WrongAnswerError(f"{comparison.files} files were found, of {len(paths)}")
            return seconds

        who = "plexindex compare"
        spread = interleaved(ROUNDS, [(who, compared)])[who]
    note = f"{len(paths):,} files on a warm disk cache, one probe included"
    row = run.results.row("diff", "Folders and differences", world.size, note=note)
    row.add(who, spread, ours=True)
    shutil.rmtree(disk)


def _episode(number: int) -> dict[str, object]:
    show, season, episode = number // 100, number % 100 // 10 + 1, number % 10 + 1
    name = f"Show {show:02} - S{season:02}E{episode:02}.mkv"
    files = [f"{SERVER}/ten/Show {show:02}/Season {season:02}/{name}"]
    return {"title": f"Part {episode}", "show": f"Ten {show:02}", "season": season, "episode": episode, "files": files}


def _make(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x")
