"""Being right: what share of the listed files is found, high, and how often another file's item is answered, high."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import plexindex

from .. import consumer
from ..right import judge
from ..right.collection import Collection, Question
from ..right.judge import Answer, Tally
from ..run import Run
from ..timing import each
from ..world import Standin

SEEDS = {"small": 3, "large": 1}
CONSUMER, NAME, MATCH, LOOKUP = "the consumer's algorithm", "the same file name", "match", "lookup_key"
SAMPLE = 20
"""Paths of a row that the consumer is asked: it takes milliseconds for each."""


@dataclass
class Line:
    """A contender's answers to the questions of a row."""

    size: str
    view: str
    kind: str
    scheme: str
    who: str
    well_named: bool
    numbered: bool
    tally: Tally
    seconds: float = 0.0
    asked: int = 0

    def add(self, asked: list[Question], seconds: float, answers: list[Answer]) -> None:
        """The answers of one collection, and what each took."""
        for question, answer in zip(asked, answers):
            self.tally.add(question, answer)
        self.seconds += seconds * len(asked)
        self.asked += len(asked)

    @property
    def each(self) -> float:
        """Seconds for a path."""
        return self.seconds / self.asked if self.asked else 0.0

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        tally = self.tally.as_dict()
        about = {name: getattr(self, name) for name in ("size", "view", "kind", "scheme", "who")}
        return {**about, "well_named": self.well_named, "numbered": self.numbered, **tally, "seconds": self.each}


class Lines:
    """All rows."""

    def __init__(self) -> None:
        self.all: dict[tuple[str, ...], Line] = {}

    def line(self, who: str, view: str, collection: Collection | None, size: str) -> Line:
        """The row of a contender; without a collection that of all libraries at once."""
        scheme = collection.scheme if collection else None
        kind, name = (scheme.kind, scheme.name) if scheme else ("all", "all libraries at once")
        named, numbered = (scheme.well_named, scheme.numbered) if scheme else (False, False)
        key = (size, view, kind, name, who)
        return self.all.setdefault(key, Line(size, view, kind, name, who, named, numbered, Tally()))


def measure(run: Run) -> None:
    """Small collections and large ones; quick: one of each small."""
    lines = Lines()
    for size, seeds in SEEDS.items():
        for seed in range(1, (1 if run.quick else seeds) + 1):
            if not (run.quick and size == "large"):
                one_world(run, lines, size, seed)
    run.results.right = [line.as_dict() for line in lines.all.values()]


def one_world(run: Run, lines: Lines, size: str, seed: int) -> None:
    """A server with a library for each scheme."""
    run.say(f"right or not: {size} collections, {seed}")
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
            for case in judge.judged(store, opened, collections):
                ask(lines, case.library, case.questions, case.view.name, case.collection, size)
            with opened(store, []) as index:
                for view in judge.VIEWS:
                    if not view.needs_mapping:
                        ask(lines, index.library(), judge.everywhere(collections, view), view.name, None, size)
            if "diskcache" not in run.results.absent and "plexapi" not in run.results.absent:
                others(lines, server, Path(folder), collections, size)
    finally:
        server.stop()


def ask(
    lines: Lines, library: plexindex.Library, asked: list[Question], view: str, collection: Collection | None, size: str
) -> None:
    """Both calls, one path at a time."""
    paths = [question.path for question in asked]
    seconds, answers = each(lambda path: library.match(path, offline=True), paths)
    lines.line(MATCH, view, collection, size).add(asked, seconds, list(map(judge.of_match, answers)))  # type: ignore[arg-type]
    seconds, answers = each(library.lookup_key, paths)
    lines.line(LOOKUP, view, collection, size).add(asked, seconds, list(map(Answer, answers)))  # type: ignore[arg-type]


def others(lines: Lines, server: Standin, folder: Path, collections: list[Collection], size: str) -> None:
    """What compares file names, by which no mapping matters: asked in one view."""
    from plexapi.server import PlexServer

    plex: Any = PlexServer(server.url, server.token)
    view = next(view for view in judge.VIEWS if view.name == "no mapping")
    cache = consumer.LibraryCache(folder / "consumer")
    for collection, asked in _asked(collections, view):
        lines.line(NAME, view.name, collection, size).tally.join(judge.judge(asked, judge.by_name([collection])))
        some = random.Random(1).sample(asked, min(SAMPLE, len(asked)))  # noqa: S311
        section = plex.library.section(collection.title)

        def find(path: str, section: Any = section) -> Answer:
            keys = consumer.find(section, path, cache)
            return Answer(keys[0] if len(keys) == 1 else None, keys[0] if keys else None)

        seconds, answered = each(find, [question.path for question in some])
        lines.line(CONSUMER, view.name, collection, size).add(some, seconds, answered)  # type: ignore[arg-type]
    cache.close()


def _asked(collections: list[Collection], view: judge.View) -> Iterator[tuple[Collection, list[Question]]]:
    for collection in collections:
        if asked := judge.asked(collection, view):
            yield collection, asked
