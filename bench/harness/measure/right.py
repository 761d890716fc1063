"""How often an answer of high confidence is another file's item, and how many files are found: see `harness/right`."""

from __future__ import annotations

import multiprocessing
import random
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import plexindex

from .. import consumer
from ..results import OURS, at_most
from ..right import judge
from ..right.judge import Tally
from ..run import Run
from ..timing import Figure
from ..world import Standin

SEEDS = {"small": 3, "large": 1}
WITHOUT = "no mapping"
FOLDERS, FLAT = "in folders", "directly in a library's folder"
BY_DECISION = "; low by decision: a file name alone is no evidence, and a mapping is the remedy"
NAME, STASH = "same file name", "Stash2Plex, a sample"
SAMPLE = 20
"""Paths of a collection that Stash2Plex's algorithm is asked: each takes it milliseconds."""


def measure(run: Run) -> None:
    """Asks for every file of every collection, in each view of a host."""
    tallies: dict[str, Tally] = defaultdict(Tally)
    well_named: dict[str, list[Tally]] = defaultdict(list)
    for size, seeds in SEEDS.items():
        for seed in range(1, (1 if run.is_quick else seeds) + 1):
            if not (run.is_quick and size == "large"):
                run.say(f"right or wrong: {size} collections, {seed}")
                one_world(run, size, seed, tallies, well_named)
    ours = tallies[OURS]
    files = ours.listed + ours.absent
    row = run.row(
        "answers of high confidence with another file's item", "Right answers", files, at_most(0, "files"), unit="files"
    )
    row.note = f"{len(judge.VIEWS)} ways to see the files; " + "; ".join(ours.examples)
    row.note = row.note.removesuffix("; ")
    for who, tally in tallies.items():
        asked = tally.listed + tally.absent
        row.add(who if who == OURS else f"{who} ({asked:,} asked)", Figure(tally.wrong))
    for where in (FOLDERS, FLAT):
        goals = () if where == FLAT else (at_most(1, "%"),)
        row = run.row(f"well-named listed files {where}, not found", "Right answers", files, *goals, unit="%")
        row.note = f"without a mapping, worst scheme{BY_DECISION if where == FLAT else ''}"
        row.add(OURS, Figure(100 * (1 - min(tally.share for tally in well_named[where]))))


def one_world(run: Run, size: str, seed: int, tallies: dict[str, Tally], well_named: dict[str, list[Tally]]) -> None:
    """A server with a library for each naming scheme."""
    collections = judge.make(seed, size)
    server = Standin(run.standin)
    try:
        judge.serve(server, collections)
        with TemporaryDirectory(prefix="plexindex-right-") as folder:

            def opened(store: Path, mappings: list[tuple[str, str]]) -> plexindex.Index:
                return plexindex.open(
                    store, server_url=server.url, token=server.token, library_ttl=None, mappings=mappings, slow=None
                )

            store = Path(folder) / "store"
            with opened(store, []) as index:
                index.refresh()

            def seen(view: judge.View) -> tuple[Tally, dict[str, list[Tally]]]:
                total, found = Tally(), defaultdict(list)
                for scheme, questions, library in judge.judged(store, opened, collections, view):
                    tally = judge.judge(questions, judge.by_match(library))
                    total.join(tally)
                    total.join(judge.judge(questions, library.lookup_keys))
                    if view.name == WITHOUT and (scheme.well_named or scheme.numbered):
                        found[FLAT if scheme.name == "flat" else FOLDERS].append(tally)
                if view.mappings is None:
                    with opened(store, []) as index:
                        total.join(judge.judge(judge.everywhere(collections, view), judge.by_match(index.library())))
                return total, found

            for total, found in in_processes(seen, judge.VIEWS):
                tallies[OURS].join(total)
                for where, some in found.items():
                    well_named[where] += some
            others(run, server, Path(folder), collections, tallies)
    finally:
        server.stop()


_work: Any = None


def _call(number: int) -> Any:
    work, given = _work
    return work(given[number])


def in_processes(work: Callable[[Any], Any], given: Sequence[Any]) -> list[Any]:
    """Calls a function for each value, on all processors, because nothing here is timed. The processes inherit it."""
    global _work
    _work = work, given
    with multiprocessing.get_context("fork").Pool() as pool:
        return pool.map(_call, range(len(given)), chunksize=1)


def others(run: Run, server: Standin, folder: Path, collections: list[Any], tallies: dict[str, Tally]) -> None:
    """What compares file names, so that no mapping matters."""
    view = next(view for view in judge.VIEWS if view.name == WITHOUT)
    asked = [(one, judge.asked(one, view)) for one in collections]
    for collection, questions in asked:
        tallies[NAME].join(judge.judge(questions, judge.by_name([collection])))
    if not run.has_plexapi():
        return
    from plexapi.server import PlexServer

    plex: Any = PlexServer(server.url, server.token)
    cache = consumer.LibraryCache(folder / "consumer")
    for collection, questions in asked:
        section = plex.library.section(collection.title)

        def find(paths: list[str], section: Any = section) -> list[str | None]:
            found = (consumer.find(section, path, cache) for path in paths)
            return [keys[0] if len(keys) == 1 else None for keys in found]

        some = random.Random(1).sample(questions, min(SAMPLE, len(questions)))  # noqa: S311
        tallies[STASH].join(judge.judge(some, find))
    cache.close()
