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
from ..right.collection import Question
from ..right.judge import Tallies, Tally
from ..right.words import Draw
from ..run import RIGHT as GROUP
from ..run import Run
from ..timing import Figure
from ..world import Standin

SEEDS = {"tiny": 3, "small": 3, "large": 1}
SKIPPED = "not asked"
SIZES, OTHERS, PATHS = "each file with its size", "other files with a listed file's path", "paths without sizes"
NAME, STASH = "same file name", "Stash2Plex, a sample"
SAMPLE = 20
"""Paths of a collection that Stash2Plex's algorithm is asked: each takes it milliseconds."""
COMMON = "Where many files have a name and sizes of whole sectors or packets, one in thousands meets another by chance."
WITHOUT_GOAL = ("of one size", "of a CD's size", "at a constant bit rate", "in another folder")


def measure(run: Run) -> None:
    """Asks for every file of every collection, in each view of a host."""
    tallies: dict[str, Tallies] = defaultdict(lambda: defaultdict(Tally))
    for size, seeds in SEEDS.items():
        for seed in range(1, (1 if run.is_quick else seeds) + 1):
            if not (run.is_quick and size == "large"):
                run.say(f"right or wrong: {size} collections, {seed}")
                one_world(run, size, seed, tallies)
    skipped = tallies[SKIPPED]
    for what in (SIZES, OTHERS, PATHS):
        ours = judge.total(tallies[what])
        row = run.row(f"wrong items with high confidence: {what}", GROUP, ours.asked, at_most(0, "files"), unit="files")
        drawn = f", {ours.asked + skipped[judge.UNMET].asked:,} sizes drawn" if what == OTHERS else ""
        row.note = "; ".join([f"{len(judge.VIEWS)} views{drawn}", *ours.examples])
        row.add(OURS, Figure(ours.wrong))
        for who in (NAME, STASH) if what == SIZES else ():
            if who in tallies:
                theirs = judge.total(tallies[who])
                row.add(f"{who} ({theirs.asked:,} asked)", Figure(theirs.wrong))
    unmapped = tallies[f"{SIZES}, no mapping"]
    for what, ends in (("the worst kind", False), ("whose sizes do not identify them, the worst kind", True)):
        kinds = {kind: unmapped[kind] for kind in sorted(unmapped) if kind.endswith(WITHOUT_GOAL) is ends}
        listed = sum(tally.listed for tally in kinds.values())
        goals = () if ends else (at_most(2, "%"),)
        row = run.row(f"listed files without high confidence, {what}", GROUP, listed, *goals, unit="%", limit=COMMON)
        row.note = ", ".join(f"{kind} {tally.unsure():.3g} % of {tally.listed:,}" for kind, tally in kinds.items())
        row.add(OURS, Figure(max(tally.unsure() for tally in kinds.values())))
    tally = judge.total(tallies[f"{PATHS}, no mapping"])
    row = run.row("listed files that are not the first candidate", GROUP, tally.listed, unit="%")
    row.note = "without sizes, without a mapping"
    row.add(OURS, Figure(100 * (1 - (tally.sure + tally.likely) / tally.listed)))
    row = run.row("what is not asked", GROUP, judge.total(skipped).asked, unit="questions")
    row.note = ", ".join(f"{why}: {tally.asked:,}" for why, tally in sorted(skipped.items()))
    row.add(OURS, Figure(judge.total(skipped).asked))


def one_world(run: Run, size: str, seed: int, tallies: dict[str, Tallies]) -> None:
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

            def seen(view: judge.View) -> list[tuple[str, Tallies]]:
                found = []
                for some, library in judge.judged(store, opened, collections, view):
                    skipped: Tallies = defaultdict(Tally)
                    of_files = judge.judge(judge.asked(some, view, skipped=skipped), judge.by_match(library))
                    found += [(SIZES, of_files), (SKIPPED, skipped)]
                    skipped = defaultdict(Tally)
                    asked = judge.asked(some, view, with_sizes=False, skipped=skipped)
                    of_paths = judge.judge(asked, judge.without_sizes(library))
                    found += [(PATHS, of_paths), (PATHS, judge.judge(asked, judge.by_lookup(library)))]
                    found += [(SKIPPED, skipped)] * 2
                    if view.mappings is None:
                        found += [(f"{SIZES}, no mapping", of_files), (f"{PATHS}, no mapping", of_paths)]
                    skipped = defaultdict(Tally)
                    others = judge.asked(some, view, others=Draw(f"others {seed} {view.name}"), skipped=skipped)
                    found += [(OTHERS, judge.judge(others, judge.by_match(library))), (SKIPPED, skipped)]
                return found

            for found in in_processes(seen, judge.VIEWS):
                for what, some in found:
                    join(tallies[what], some)
            others(run, server, Path(folder), collections, tallies)
    finally:
        server.stop()


def join(tallies: Tallies, others: Tallies) -> None:
    """Adds what came of more questions."""
    for kind, tally in others.items():
        tallies[kind].join(tally)


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


def others(run: Run, server: Standin, folder: Path, collections: list[Any], tallies: dict[str, Tallies]) -> None:
    """What compares file names, so that no mapping matters."""
    view = next(view for view in judge.VIEWS if view.name == judge.WITHOUT)
    asked = [(one, judge.asked([one], view)) for one in collections]
    for collection, questions in asked:
        join(tallies[NAME], judge.judge(questions, judge.by_name([collection])))
    if not run.has_plexapi():
        return
    from plexapi.server import PlexServer

    plex: Any = PlexServer(server.url, server.token)
    cache = consumer.LibraryCache(folder / "consumer")
    for collection, questions in asked:
        section = plex.library.section(collection.title)

        def find(asked: list[Question], section: Any = section) -> list[judge.Answer]:
            found = (consumer.find(section, one.path, cache) for one in asked)
            return [(keys[0] if len(keys) == 1 else None, None) for keys in found]

        some = random.Random(1).sample(questions, min(SAMPLE, len(questions)))  # noqa: S311
        join(tallies[STASH], judge.judge(some, find))
    cache.close()
