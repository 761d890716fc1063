"""Lookups in a warm process: by path in Python and in C, misses, batches, full answers, and paths never seen."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from ..consumer import LibraryCache, find
from ..peers import LIBRARY, PEERS, Contender, Dict, Plexindex, PlexindexMatch, open_index, usable
from ..results import OURS, at_most, below, show
from ..run import LOOKUPS as GROUP
from ..run import MEMORY, Run
from ..timing import Figure, check, seconds_of
from ..world import World

CALL = "A call through ctypes takes most of it, and the memory the rest: the row of a dict shows what that takes."
ANSWER = "The answer is an object of Python, which reads its fields from a struct of C."


def measure(run: Run, world: World) -> None:
    """Measures all of this module."""
    in_python(run, world)
    if world.size == run.main:
        in_c(run, world)
    if world.size == run.smallest:
        never_seen(run, world)


def in_python(run: Run, world: World) -> None:
    """Measures plexindex beside its peers, which hold the same paths."""
    peers: list[Contender] = []
    pairs = list(dict(world.pairs).items())
    sizes: dict[str, float] = {}
    kinds: list[type[Contender]] = [Dict, *usable(PEERS, world.size, run.results.absent)]
    for kind in kinds:
        folder = world.folder / "peers" / kind.name
        peer = kind(str(folder))
        peer.fill(pairs)
        if kind.is_persistent:
            peer.close()  # moves its log into the file
            sizes[kind.name] = bytes_on_disk(folder) / len(pairs)
            peer = kind(str(folder))
        peers.append(peer)
    ours = Plexindex(str(world.store))
    contenders = {OURS: (ours.get, ""), **{peer.name: (peer.get, peer.before_path) for peer in peers}}
    goals = [at_most(1.3e-6)] if world.size == run.main else []
    row = run.row("a listed path, Python", GROUP, world.size, below("lmdb"), *goals, limit=CALL)
    row.note = "as Plex writes it, without a mapping"
    run.race(row, world.questions["listed"], contenders)
    if world.size == run.main:
        mapped = run.row("a path that a mapping translates, Python", GROUP, world.size, limit=CALL)
        run.race(mapped, world.questions["mapped"], {OURS: (ours.get, "")})
        mapped.note = f"a listed one takes {show(row.ours.mean, 's')}"
        disk = run.row("disk for an item", MEMORY, world.size, at_most(270, "B"), unit="B")
        indexed = show(with_indexes(world) / world.items, "B")
        disk.note = f"plexindex: with titles, GUIDs and all files, and {indexed} once GUIDs or titles were searched; "
        disk.note += "peers: path and key"
        for name, size in {OURS: bytes_on_disk(world.store) / world.items, **sizes}.items():
            disk.add(name, Figure(size))
        row = run.row("a path that is not listed, Python", GROUP, world.size, below("lmdb"), limit=CALL)
        run.race(row, world.questions["unknown"], contenders)
        match = PlexindexMatch(str(world.store))
        row = run.row("full answer, Python", GROUP, world.size, at_most(4e-6), limit=ANSWER)
        run.race(row, world.questions["listed"], {OURS: (match.get, "")})
        match.close()
        row.note = "`match(path).key`: one field is read"
    for one in (ours, *peers):
        one.close()


def with_indexes(world: World) -> int:
    """The bytes of a store in which a GUID and a title were searched."""
    folder = world.copy("searched/plexindex")
    index = open_index(str(folder))
    index.match_guid("imdb://tt0000000")
    index.search_title("No Such Title")
    index.close()
    size = bytes_on_disk(folder)
    shutil.rmtree(folder)
    return size


def in_c(run: Run, world: World) -> None:
    """The same without Python."""
    listed = world.questions["listed"].write(world.folder / "listed")
    row = run.row("a listed path, C", GROUP, world.size)
    calls = [run.c("warm", world.store, listed, "lookup", number)[1] for number in range(run.rounds)]
    middle = sorted(calls, key=lambda one: float(one["mean"]))[len(calls) // 2]
    row.add(OURS, Figure(*(middle[name] * 1e-9 for name in ("mean", "median", "tail"))))


def never_seen(run: Run, world: World) -> None:
    """A path below an unknown folder, found by its file name, beside the searches and the scan of Stash2Plex.

    The file name does not contain the title, so the searches of Stash2Plex miss, and it scans its stored list.
    """
    asked = world.questions["never seen"]
    row = run.row("a path never seen, by its file name", GROUP, world.size)
    match = PlexindexMatch(str(world.store))
    before = world.server.requests()

    def first(path: str) -> str | None:
        found = match.library.match(path)
        item = found.sure or found.likely
        return item.key if item else None

    run.race(row, asked, {OURS: (first, "")})
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
