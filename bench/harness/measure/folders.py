"""Which show a folder of ten seasons is; and what a disk and Plex differ in."""

from __future__ import annotations

import os
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
GROUP, FOLDER, COMPARE = "Folders and differences", "plexindex folder", "plexindex compare"
NATIVE = "plexindex_call, match.folder"


def measure(run: Run, world: World) -> None:
    """Both: the disk in folders of ten episodes, and in a folder for each film, which is the worst case."""
    _shows(run, world, with_disk=world.size <= LARGEST_DISK)
    if world.size <= LARGEST_DISK:
        note = "a folder for each film"
        _differences(run, world, ("diff, films", note), world.store, world.server, LIBRARY, world.pairs)


def scale(run: Run, world: World) -> None:
    """Folders only."""
    _shows(run, world, with_disk=False)


def _shows(run: Run, world: World, *, with_disk: bool) -> None:
    """The folders of shows with ten seasons, in a library of as many episodes."""
    run.say(f"{world.size:,}: folders of ten seasons")
    server, store = Standin(run.standin, "--episodes", str(max(world.size - TEN * 100, 0))), world.folder / "shows"
    try:
        server.post("items/add", {"library": 1, "items": [_episode(n) for n in range(TEN * 100)]})
        with plexindex.open(store, server.url, server.token, library_ttl=None) as index:
            index.refresh()
            title = index.libraries()[0].title
            ask = index.library(title).folder
            before = server.requests()

            folders = [f"{SERVER}/ten/Show {n % TEN:02}" for n in range(TEN * 50)]
            pairs = world.folder / "folders"
            pairs.write_text("".join(f"{folder}\t{ask(folder).key}\n" for folder in folders))

            def native(number: int) -> float:
                arguments = run.c_arguments("warm", store, pairs, "folder", 1, number)
                named = {"PLEX_URL": server.url, "PLEX_TOKEN": server.token, "PLEXINDEX_BENCH_LIBRARY": title}
                _, times = run.program([str(run.native)], *arguments, variables={**os.environ, **named})
                return float(times[0]) * 1e-9

            def round_of(_: int) -> float:
                seconds, found = each(ask, folders)
                if any((one.kind, one.items) != ("show", 100) for one in found):  # type: ignore[attr-defined]
                    raise WrongAnswerError("a folder of ten seasons is not its show")
                return seconds

            spreads = interleaved(run.rounds, [(FOLDER, round_of), (NATIVE, native)])
            if server.requests() != before:
                raise WrongAnswerError("a folder that is listed caused a request")
        note = "a show of ten seasons and 100 episodes, asked in Python; no request"
        run.results.row("folder of ten seasons", GROUP, world.size, note=note).add(FOLDER, spreads[FOLDER], ours=True)
        note = "the same asked in C, each answer compared"
        row = run.results.row("native folder of ten seasons", GROUP, world.size, note=note)
        row.add(NATIVE, spreads[NATIVE], ours=True)
        if with_disk:
            _differences(run, world, ("diff", "ten episodes a folder"), store, server, title, server.listed())
    finally:
        server.stop()
        shutil.rmtree(store, ignore_errors=True)


def _differences(
    run: Run,
    world: World,
    named: tuple[str, str],
    store: Path,
    server: Standin,
    library: str,
    pairs: list[tuple[str, str]],
) -> None:
    """A disk with a file for each item of a library: all of it is walked, and what is listed is looked for."""
    run.say(f"{world.size:,}: a disk against a library, {named[1]}")
    disk = world.folder / "disk"
    paths = {path for path, _ in pairs if path.startswith(f"{SERVER}/")}
    for path in paths:
        _make(disk / path[len(SERVER) + 1 :])
    rule = [(str(disk), SERVER)]
    with plexindex.open(store, server.url, server.token, library_ttl=None, mappings=rule) as index:

        def compared(_: int) -> float:
            comparison = index.compare(disk, library)
            seconds = once(lambda: sum(1 for _ in comparison))
            if comparison.files < len(paths):
                raise WrongAnswerError(f"{comparison.files} files were found, of {len(paths)}")
            return seconds

        spread = interleaved(ROUNDS, [(COMPARE, compared)])[COMPARE]
    note = f"{len(paths):,} files, {named[1]}, on a warm disk cache; one probe included"
    run.results.row(named[0], GROUP, world.size, note=note).add(COMPARE, spread, ours=True)
    shutil.rmtree(disk)


def _episode(number: int) -> dict[str, object]:
    show, season, episode = number // 100, number % 100 // 10 + 1, number % 10 + 1
    name = f"Show {show:02} - S{season:02}E{episode:02}.mkv"
    files = [f"{SERVER}/ten/Show {show:02}/Season {season:02}/{name}"]
    return {"title": f"Part {episode}", "show": f"Ten {show:02}", "season": season, "episode": episode, "files": files}


def _make(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x")
