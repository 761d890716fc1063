"""Warm lookups in Python: against the peers, by match kind, one by one and in batches; and a file name never seen."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import plexindex
from plexindex.compat import MatchCache

from .. import peers
from ..consumer import LibraryCache, find
from ..peers import Peer
from ..run import Run
from ..timing import Spread, WrongAnswerError, at_once, check, each, interleaved
from ..world import LIBRARY, Questions, World

KINDS = {"confirmed": "confirmed", "exact": "exact", "mapped": "mapped", "suffix": "suffix", "file name": "file_name"}
TOO_SLOW_TO_FILL = 200_000
BATCH = 20_000


def measure(run: Run, world: World) -> None:
    """All of it."""
    with world.open() as index, world.open(world.confirmed_store()) as confirmed:
        movies = index.library(LIBRARY)
        warm(run, world, movies)
        drop_in(run, world)
        for name, kind in KINDS.items():
            library = confirmed.library(LIBRARY) if name == "confirmed" else movies
            by_kind(run, world, library, name, kind)
        missed(run, world, movies)
        batches(run, world, movies)
        never_seen(run, world, movies)


def scale(run: Run, world: World) -> None:
    """The exact path at a size where nothing else is measured: what has a number to reach."""
    with world.open() as index:
        warm(run, world, index.library(LIBRARY), (peers.Dict, peers.SQLite, peers.LmdbHeld))


def fill_peers(run: Run, world: World, folder: Path, kinds: tuple[type[Peer], ...]) -> list[Peer]:
    """The peers with all that the library lists."""
    filled = []
    pairs = list(dict(world.pairs).items())
    for number, kind in enumerate(peers.present(kinds, run.results.absent)):
        if kind is peers.DiskCacheRs and world.size > TOO_SLOW_TO_FILL:
            run.results.absent["diskcache_rs at more than 200,000 entries"] = "storing them takes many minutes"
            continue
        peer = kind(folder / str(number))
        peer.fill(pairs)
        filled.append(peer)
    return filled


def timed(
    get: Callable[..., object], who: str, asked: Questions, limit: int | None, library: str | None = None
) -> Callable[[int], float]:
    """A contender that is asked one by one, of a library if named: checks what it answers, gives seconds a path."""

    def measure(number: int) -> float:
        paths, expected = asked.fresh(number, limit)
        seconds, answers = each(get, paths, library)
        check(who, paths, answers, expected)
        return seconds

    return measure


def warm(run: Run, world: World, movies: plexindex.Library, kinds: tuple[type[Peer], ...] = peers.ALL) -> None:
    """The exact path, a call each: plexindex and its peers, which hold the same paths."""
    run.say(f"{world.size:,}: warm lookups, plexindex and peers")
    folder = world.folder / "peers"
    filled = fill_peers(run, world, folder, kinds)
    asked = world.questions["exact"]
    ours = "plexindex lookup_key"
    contenders = [(ours, timed(movies.lookup_key, ours, asked, None))]
    contenders += [(peer.name, timed(peer.get, peer.name, asked, peer.limit)) for peer in filled]
    spreads = interleaved(run.rounds, contenders)
    row = run.results.row("warm lookup", "Warm lookups in Python", world.size)
    row.add(ours, spreads[ours], ours=True)
    for peer in filled:
        note = "" if peer.persistent else "in the memory of one process: nothing to share, nothing kept"
        row.add(peer.name, spreads[peer.name], ranked=peer.persistent, note=note)
        peer.close()
    note = "for each path and key, as filled for warm lookups"
    disk = run.results.row("bytes on disk", "Size", world.size, "B", note)
    for peer in filled:
        if peer.persistent:
            disk.add(peer.name, peers_bytes(peer, len(world.pairs)))
    if world.size > TOO_SLOW_TO_FILL:
        shutil.rmtree(folder)


def drop_in(run: Run, world: World) -> None:
    """The consumer's own call, ``get_match(library, path)``: ours beside what it replaces, and diskcache."""
    if world.size > TOO_SLOW_TO_FILL:
        return
    run.say(f"{world.size:,}: the drop-in's get_match")
    folder = world.folder / "drop-in"
    asked = world.questions["exact"]
    pairs = list(dict(world.pairs).items())
    row = run.results.row("get_match", "The drop-in", world.size, note="matches recorded by the consumer's own calls")
    ours = "plexindex.compat get_match"
    cache = MatchCache(folder / "ours", size_limit=1 << 40)
    for path, key in pairs:
        cache.set_match(LIBRARY, path, key)
    # The call itself, of both caches: a function around it would count as theirs.
    contenders = [(ours, timed(cache.get_match, ours, asked, None, LIBRARY))]
    others: list[Peer] = []
    for kind in peers.present((peers.DiskCache, peers.Lmdb, peers.ConsumerMatches), run.results.absent):
        peer = kind(folder / kind.__name__)
        peer.fill(pairs)
        others.append(peer)
        call = (
            timed(peer.cache.get_match, peer.name, asked, peer.limit, LIBRARY)
            if isinstance(peer, peers.ConsumerMatches)
            else timed(peer.get, peer.name, asked, peer.limit)
        )
        contenders.append((peer.name, call))
    for who, spread in interleaved(run.rounds, contenders).items():
        row.add(who, spread, ours=who == ours)
    for peer in others:
        peer.close()
    cache.close()
    shutil.rmtree(folder)


def peers_bytes(peer: Peer, entries: int) -> Spread:
    """Bytes on disk for each entry."""
    return Spread.of([peer.bytes_on_disk() / entries])


def by_kind(run: Run, world: World, movies: plexindex.Library, name: str, kind: str) -> None:
    """One match kind, by the fast path and by the full answer; the kind is checked too."""
    run.say(f"{world.size:,}: match kind '{name}'")
    asked = world.questions["exact" if name == "confirmed" else name]
    paths, expected = asked.fresh(0)
    matches = movies.match_paths(paths, offline=True)
    check(f"match_paths, {name}", paths, [match.key for match in matches], expected)
    check(f"match_paths, the match kind {name}", paths, [match.match_kind for match in matches], [kind] * len(paths))
    before = world.server.requests()
    contenders = [
        ("lookup_key", timed(movies.lookup_key, f"lookup_key, {name}", asked, None)),
        ("match", timed(lambda path: movies.match(path).key, f"match, {name}", asked, BATCH)),
    ]
    spreads = interleaved(run.rounds, contenders)
    if asks := world.server.requests() - before:
        raise WrongAnswerError(f"{asks} requests for answers that are known: {name}")
    row = run.results.row(f"match kind {name}", "By match kind, in Python", world.size)
    for who, spread in spreads.items():
        row.add(f"plexindex {who}", spread, ours=True)


def missed(run: Run, world: World, movies: plexindex.Library) -> None:
    """Paths below a folder of the library that it does not list."""
    asked = world.questions["miss"]
    contenders = [
        ("lookup_key", timed(movies.lookup_key, "lookup_key, miss", asked, None)),
        ("match", timed(lambda path: movies.match(path, offline=True).key, "match, miss", asked, BATCH)),
    ]
    row = run.results.row(
        "match kind miss", "By match kind, in Python", world.size, note="nothing is found, and no server asked"
    )
    for who, spread in interleaved(run.rounds, contenders).items():
        row.add(f"plexindex {who}", spread, ours=True)


def batches(run: Run, world: World, movies: plexindex.Library) -> None:
    """Many paths in one call, from a list of strings to a list of keys."""
    run.say(f"{world.size:,}: batches")
    asked = world.questions["exact"]

    def keys(paths: list[str]) -> list[str | None]:
        return [match.key for match in movies.match_paths(paths)]

    def batch(get: Any, who: str, *, read: bool = True) -> Callable[[int], float]:
        def measure(number: int) -> float:
            paths, expected = asked.fresh(number, BATCH)
            answers: Any
            seconds, answers = at_once(get, paths)
            check(who, paths, answers if read else [match.key for match in answers], expected)
            return seconds

        return measure

    def python_alone(paths: list[str]) -> list[str]:
        # What no library spares Python: the paths into one block, the keys out of one.
        answers: list[str] = []
        for start in range(0, len(paths), 1024):
            "\0".join([*paths[start : start + 1024], ""]).encode()
            answers += answered.pop().decode().split("\0")
        return answers

    def floor(number: int) -> float:
        paths, expected = asked.fresh(number, BATCH)
        keys = [key or "" for key in expected]
        answered[:] = ["\0".join(keys[start : start + 1024]).encode() for start in range(0, len(keys), 1024)][::-1]
        seconds, answers = at_once(python_alone, paths)
        check("Python alone", paths, answers, keys)
        return seconds

    answered: list[bytes] = []
    contenders = [
        ("plexindex lookup_keys", batch(movies.lookup_keys, "lookup_keys")),
        ("Python's part of it alone: join, encode, decode, split", floor),
        ("plexindex match_paths", batch(movies.match_paths, "match_paths", read=False)),
        ("plexindex match_paths, keys read", batch(keys, "match_paths, keys read")),
    ]
    spreads = interleaved(run.rounds, contenders)
    note = f"for each path of {min(BATCH, len(asked.paths)):,} in one call"
    row = run.results.row("batch", "Batches in Python", world.size, note=note)
    for who, spread in spreads.items():
        row.add(who, spread, ours=who.startswith("plexindex"), ranked=who.startswith("plexindex"))


def never_seen(run: Run, world: World, movies: plexindex.Library) -> None:
    """A path that was not recorded, in a folder that the server does not have: found by its file name.

    The title cannot be told from the file name, so the consumer's searches miss, and it scans its stored list.
    """
    run.say(f"{world.size:,}: file names never seen")
    asked = world.questions["named otherwise"]
    row = run.results.row("never seen", "A path never seen, by file name", world.size)
    # The name is all that speaks for the item, and tells nothing: an answer of low confidence, which no lookup gives.
    ours = "plexindex match"
    asked_by_us = timed(lambda path: movies.match(path).key, ours, asked, None)
    if "diskcache" in run.results.absent or "plexapi" in run.results.absent:
        row.add(ours, interleaved(run.rounds, [(ours, asked_by_us)])[ours], ours=True)
        return
    from plexapi.server import PlexServer

    server: Any = PlexServer(world.server.url, world.server.token)
    section = server.library.section(LIBRARY)
    cache = LibraryCache(world.folder / "consumer")
    cache.put(f"library:{LIBRARY}", [{"key": key, "title": None, "file_paths": [path]} for path, key in world.pairs])
    connected = world.server.requests()
    scans = 3 if run.quick else 10
    rounds = iter(range(scans))

    def consumer(_number: int) -> float:
        at = next(rounds)
        path = asked.paths[at].decode()
        seconds, answers = each(lambda path: find(section, path, cache), [path])
        check("the consumer's algorithm", [path], answers, [[asked.answers[at]]])
        return seconds

    spreads = interleaved(scans, [("the consumer's algorithm", consumer)])
    theirs = world.server.requests() - connected
    before = world.server.requests()
    spreads.update(interleaved(run.rounds, [(ours, asked_by_us)]))
    row.add(ours, spreads[ours], ours=True)
    row.add("the consumer's algorithm", spreads["the consumer's algorithm"], note="title searches, then a scan")
    run.results.facts[f"requests for a path never seen, consumer, {world.size:,}"] = theirs / scans
    run.results.facts[f"requests for a path never seen, plexindex, {world.size:,}"] = world.server.requests() - before
    cache.close()
