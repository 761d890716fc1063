"""Lookups in a warm process: by path in Python and in C, misses, batches, full answers, and paths never seen."""

from __future__ import annotations

import statistics
from pathlib import Path
from typing import Any

from ..consumer import LibraryCache, find
from ..peers import LIBRARY, PEERS, Contender, Dict, Plexindex, PlexindexMatch, usable
from ..results import OURS, Row, at_most, below
from ..run import Run
from ..timing import MOST_TIMED, Figure, check, in_turns, seconds_of
from ..world import World

GROUP = "Lookups"
OF_DICT = {10_000: 1.5, 100_000: 0.65, 1_000_000: 1.0}
NATIVE_OF_DICT = {10_000: 0.4, 100_000: 0.6, 1_000_000: 0.5}


def measure(run: Run, world: World) -> None:
    """Measures all of this module."""
    in_python(run, world)
    in_c(run, world)
    right_after_fetch(run, world)
    if world.size <= 20_000:
        never_seen(run, world)


def in_python(run: Run, world: World) -> None:
    """Measures plexindex beside its peers, which hold the same paths."""
    peers: list[Contender] = []
    pairs = list(dict(world.pairs).items())
    disk = run.row("disk for each path and key", "Size", world.size, unit="B")
    kinds: list[type[Contender]] = [Dict, *usable(PEERS, world.size, run.results.absent)]
    for kind in kinds:
        folder = world.folder / "peers" / kind.name
        peer = kind(str(folder))
        peer.fill(pairs)
        peers.append(peer)
        if kind.is_persistent:
            disk.add(kind.name, Figure(bytes_on_disk(folder) / len(pairs)))
    disk.what, disk.note = "disk for an item", "plexindex: with titles, GUIDs and all files; peers: path and key"
    disk.add(OURS, Figure(bytes_on_disk(world.store) / world.items))
    ours = Plexindex(str(world.store))
    contenders = {OURS: (ours.get, ""), **{peer.name: (peer.get, peer.before_path) for peer in peers}}
    row = run.row("a listed path, Python", GROUP, world.size, below("dict", OF_DICT.get(world.size, 1.0)))
    run.race(row, world.questions["listed"], contenders)
    row = run.row("a path that is not listed, Python", GROUP, world.size)
    run.race(row, world.questions["unknown"], contenders)
    for peer in peers:
        peer.close()

    match = PlexindexMatch(str(world.store))
    goal = (at_most(2e-6),) if world.size == 100_000 else ()
    row = run.row("full answer, Python", GROUP, world.size, *goal)
    run.race(row, world.questions["listed"], {OURS: (match.get, "")})
    match.close()
    batch(run, world, ours)
    ours.close()


def batch(run: Run, world: World, ours: Plexindex) -> None:
    """Many paths in one call."""

    def one_round(number: int) -> float:
        paths, expected = world.questions["listed"].fresh(number, MOST_TIMED)
        answers: list[Any] = []
        seconds = seconds_of(lambda: answers.extend(ours.library.lookup_keys(paths)))
        check("lookup_keys", paths, answers, expected)
        return seconds / len(paths)

    goal = (at_most(200e-9),) if world.size == 100_000 else ()
    limit = "Python alone takes 130 to 150 ns to join the paths and to split the answer."
    row = run.row("many paths in one call, each, Python", GROUP, world.size, *goal, limit=limit)
    row.add(OURS, Figure(statistics.median(in_turns(run.rounds, {OURS: one_round})[OURS])))


def in_c(run: Run, world: World) -> None:
    """The same without Python, beside the dict of the row above."""
    listed = world.questions["listed"].write(world.folder / "listed")
    unknown = world.questions["unknown"].write(world.folder / "unknown")

    def warm(row: Row, pairs: Path, call: str) -> None:
        calls = [run.c("warm", world.store, pairs, call, number)[1] for number in range(run.rounds)]
        middle = sorted(calls, key=lambda one: float(one["mean"]))[len(calls) // 2]
        row.add(OURS, Figure(*(middle[name] and middle[name] * 1e-9 for name in ("mean", "median", "tail"))))

    dict_row = run.find("a listed path, Python", world.size)
    part = NATIVE_OF_DICT.get(world.size, 0.6)
    row = run.row("a listed path, C", GROUP, world.size, below("dict", part), note="the dict is called by Python")
    if dict_row:
        row.add("dict", dict_row.contenders["dict"], ranked=False)
    warm(row, listed, "lookup")
    warm(run.row("a path that is not listed, C", GROUP, world.size), unknown, "lookup")
    warm(run.row("many paths in one call, each, C", GROUP, world.size), listed, "batch")
    goal = (at_most(400e-9),) if world.size == 100_000 else ()
    limit = "Half of the time are two reads of memory that wait for each other."
    warm(run.row("full answer, C", GROUP, world.size, *goal, limit=limit), listed, "match")


def right_after_fetch(run: Run, world: World) -> None:
    """Lookups in the process that has just fetched the library."""
    ours = Plexindex(str(world.folder / "fetched"))
    ours.library.refresh()
    row = run.row("a listed path, Python, right after the fetch", GROUP, world.size)
    run.race(row, world.questions["listed"], {OURS: (ours.get, "")})
    ours.close()


def never_seen(run: Run, world: World) -> None:
    """A path below an unknown folder, found by its file name, beside the searches and the scan of Stash2Plex.

    The file name does not contain the title, so the searches of Stash2Plex miss, and it scans its stored list.
    """
    asked = world.questions["never seen"]
    row = run.row("a path never seen, by its file name", GROUP, world.size, at_most(5e-6))
    match = PlexindexMatch(str(world.store))
    before = world.server.requests()
    run.race(row, asked, {OURS: (match.get, "")})
    row.note = f"{world.server.requests() - before} requests"
    match.close()
    if not run.has_plexapi():
        return
    from plexapi.server import PlexServer

    server: Any = PlexServer(world.server.url, world.server.token)
    section = server.library.section(LIBRARY)
    cache = LibraryCache(world.folder / "consumer")
    cache.put(f"library:{LIBRARY}", [{"key": key, "title": None, "file_paths": [path]} for path, key in world.pairs])
    times = []
    for path, key in list(zip(asked.paths, asked.answers))[:5]:
        found: list[str] = []
        times.append(seconds_of(lambda path=path, found=found: found.extend(find(section, path.decode(), cache))))  # type: ignore[misc]
        check("Stash2Plex", [path.decode()], [found], [[key]])
    row.add("Stash2Plex", Figure.of(times))
    cache.close()


def bytes_on_disk(folder: Path) -> int:
    """The blocks that the files of a folder occupy, in bytes."""
    return sum(file.stat().st_blocks * 512 for file in folder.rglob("*") if file.is_file())
