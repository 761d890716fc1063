"""Asks for every file of the collections, listed or not, and counts what is right and what is wrong."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Optional
from zlib import crc32

import plexindex

from ..world import PREFIX, Standin
from .collection import Collection, Question, Scheme, collect, questions
from .schemes import SCHEMES
from .words import Draw, fold

COUNTS = {
    "small": {"movie": 75, "show": 150, "artist": 250, "photo": 150, "other_videos": 100},
    "large": {"movie": 1500, "show": 3000, "artist": 4900, "photo": 3200, "other_videos": 1500},
}


Ask = Callable[[list[str]], list[Optional[str]]]
"""How a contender is asked: from paths to the keys of the items of which it is sure."""


@dataclass
class Tally:
    """What came of the questions of one row."""

    listed: int = 0
    absent: int = 0
    right: int = 0
    """Found and high, and right."""
    wrong: int = 0
    """High, and another file's item."""
    examples: list[str] = field(default_factory=list)

    def add(self, question: Question, key: str | None) -> None:
        """Counts an answer."""
        self.listed += question.key is not None
        self.absent += question.key is None
        if key is not None and key != question.key:
            self.wrong += 1
            if len(self.examples) < 3:
                self.examples.append(f"{question.path} was answered {key}, and {question.key} is right")
        elif key is not None:
            self.right += 1

    def join(self, other: Tally) -> None:
        """Adds another row."""
        for name in ("listed", "absent", "right", "wrong"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.examples = (self.examples + other.examples)[:3]

    @property
    def share(self) -> float:
        """Of the listed files those that were found, high."""
        return self.right / self.listed if self.listed else 1.0


# How a host sees the files: from the folder's number, the folder as the server has it, and the path below it.
Mount = Callable[[int, str, str], str]


@dataclass(frozen=True)
class View:
    """How a host sees a collection, and which mappings it was given."""

    name: str
    mount: Mount
    mappings: Callable[[Collection], list[tuple[str, str]]] | None = None


def _last(location: str) -> str:
    return location.rsplit("/", 1)[1]


def _foreign(at: int, location: str, path: str) -> str:
    # One folder keeps its name on the host, the other does not.
    return f"/mnt/nas/{_last(location)}/{path}" if at % 2 == 0 else f"/media/disk{at}/{path}"


def _all(collection: Collection) -> list[tuple[str, str]]:
    return [(_mapped(at, location, "")[:-1], location) for at, location in enumerate(collection.locations)]


def _mapped(at: int, location: str, path: str) -> str:
    return f"/host/{at}/{_last(location)}/{path}"


def _half(at: int, location: str, path: str) -> str:
    return (_mapped if at % 2 == 0 else _foreign)(at, location, path)


def _wrong(collection: Collection) -> list[tuple[str, str]]:
    # One leads to a folder too high up, the next to the neighbour's.
    folders = [_foreign(at, location, "")[:-1] for at, location in enumerate(collection.locations)]
    first = collection.locations[0]
    return [(folder, first.rsplit("/", 1)[0] if at % 2 == 0 else first) for at, folder in enumerate(folders)]


def _within(_at: int, _location: str, path: str) -> str:
    return f"/volume2/share/{'/'.join(path.rsplit('/', 2)[-2:])}"


VIEWS = (
    View("mapped", _mapped, _all),
    View("no mapping", _foreign),
    View("half a mapping", _half, lambda collection: _all(collection)[::2]),
    View("a wrong mapping", _foreign, _wrong),
    View("a moved root", lambda at, _, path: f"/volume{at}/archive/2024/{path}", _all),
    View("a Windows host", lambda at, _, path: f"{'YZ'[at % 2]}:\\Video\\{path}".replace("/", "\\")),
    View("a share within the library", _within),
    View("elsewhere, under the same name", lambda _at, _, path: f"/downloads/complete/{path.rsplit('/', 1)[-1]}"),
)


def make(seed: int, size: str) -> list[Collection]:
    """A collection of each scheme."""
    made = []
    draw = Draw(f"right {seed} {size}")
    for number, scheme in enumerate(SCHEMES, 1):
        works = scheme.works(draw, COUNTS[size][scheme.kind])
        made.append(collect(scheme, size, number, works, draw.random))
    return made


def _guid(collection: Collection, at: int) -> str:
    """Of an item that Plex has matched: most are."""
    kind = {"movie": "movie", "show": "episode", "artist": "track"}.get(collection.scheme.kind)
    return f"plex://{kind}/{crc32(collection.title.encode()):016x}{at:08x}" if kind else f"local://{at}"


def serve(server: Standin, collections: Iterable[Collection]) -> None:
    """Gives the server what it lists of them, a library each; the items get their keys."""
    for number, collection in enumerate(collections, 1):
        spec = {
            "kind": collection.scheme.kind,
            "title": collection.title,
            "locations": collection.locations,
            "items": 0,
            "key": number,
        }
        server.post("library/add", spec)
        rows = [(work, {"guid": _guid(collection, at), **item}) for at, (work, item) in enumerate(collection.items())]
        for start in range(0, len(rows), 1000):
            some = rows[start : start + 1000]
            added = server.post("items/add", {"library": number, "items": [item for _, item in some]})
            for (work, _), key in zip(some, added["ratingKeys"]):
                work.key = f"{PREFIX}{key}"


def asked(collection: Collection, view: View) -> list[Question]:
    """What a host asks for: every file as it sees it."""
    scheme = collection.scheme
    if scheme.twins and not scheme.alike and view.name not in ("mapped", "half a mapping"):
        # Which of two folders is meant is not to be known then.
        return []
    if scheme.alike and view.name == "a wrong mapping":
        # It says that one of the folders is the other, and a mapping is believed.
        return []
    if scheme.one_each and view.name in ("a moved root", "a wrong mapping"):
        return []

    def root(at: int) -> int:
        # Without a mapping the even folders keep their names.
        return 2 * at + (scheme.folders != "each") if scheme.one_each and view.name == "no mapping" else at

    pairs = (
        (view.mount(root(at), collection.locations[at], path), work.key if work.listed else None)
        for at, path, work in collection.files()
    )
    return questions(pairs, names_tell=scheme.names_tell)


def by_match(library: plexindex.Library) -> Ask:
    """The full answer."""
    return lambda paths: [
        match.key if match.confidence == "high" else None for match in library.match_paths(paths, offline=True)
    ]


def by_name(collections: Iterable[Collection]) -> Ask:
    """What scripts do: the first item that has a file of this name."""
    names: dict[str, str] = {}
    for collection in collections:
        for work, item in collection.items():
            for path in item["files"]:
                names.setdefault(os.path.basename(path), work.key or "")
    return lambda paths: [names.get(path.replace("\\", "/").rsplit("/", 1)[-1]) for path in paths]


def judge(asked: list[Question], answer: Ask) -> Tally:
    """Asks, and counts."""
    tally = Tally()
    for question, key in zip(asked, answer([question.path for question in asked])):
        tally.add(question, key)
    return tally


Open = Callable[[Path, list[tuple[str, str]]], plexindex.Index]


def judged(
    store: Path, open_: Open, collections: list[Collection], view: View
) -> Iterator[tuple[Scheme, list[Question], plexindex.Library]]:
    """Every collection in a view, over a store that was fetched: its scheme, what is asked, and who answers."""
    groups: dict[tuple[tuple[str, str], ...], list[Collection]] = defaultdict(list)
    for collection in collections:
        groups[tuple(view.mappings(collection) if view.mappings else ())].append(collection)
    for mappings, some in groups.items():
        with open_(store, list(mappings)) as index:
            for collection in some:
                if questions_ := asked(collection, view):
                    yield collection.scheme, questions_, index.library(collection.title)


def everywhere(collections: list[Collection], view: View) -> list[Question]:
    """The same for all libraries at once. Paths below different folders that are the same are left out: see README."""
    below: dict[str, int] = defaultdict(int)
    for collection in collections:
        for _, path, _ in collection.files():
            below[fold(path)] += 1
    found = []
    for collection in collections:
        if not collection.scheme.twins and not collection.scheme.one_each:
            pairs = (
                (view.mount(at, collection.locations[at], path), work.key if work.listed else None)
                for at, path, work in collection.files()
                if below[fold(path)] == 1
            )
            found += questions(pairs, names_tell=collection.scheme.names_tell)
    return found
