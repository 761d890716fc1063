"""A collection: files in folders, of which the server lists some."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from .words import fold

FOLDERS = {"movie": "movies", "show": "tv", "artist": "music", "photo": "photos", "other_videos": "videos"}


@dataclass
class Work:
    """What one item is made of."""

    item: dict[str, Any]
    """As the server would tell it."""
    paths: list[str]
    """Its files, below the library's folder."""
    group: str = ""
    """Its show, album, folder: what is listed, or not, as a whole more often than not."""
    listed: bool | None = None
    """None: as it comes."""
    key: str | None = None


@dataclass(frozen=True)
class Scheme:
    """How files are named, and what is expected then."""

    name: str
    kind: str
    works: Any
    """Gives the works: takes what draws and how many."""
    well_named: bool = False
    """Names as they should be: a listed file is found, high, without a mapping."""
    numbered: bool = False
    """`S01E01`: nothing but a season and an episode."""
    names_tell: bool = True
    """A file name tells what the file is."""
    twins: bool = False
    """The same paths in both folders, of different items."""
    alike: bool = False
    """Twins of which no answer is right without a mapping: they are asked for all the same."""
    folders: str = "two"
    """``two`` folders of the library, or one for ``each`` group; ``each, renamed``: the host calls them otherwise."""

    @property
    def one_each(self) -> bool:
        """Whether each group has a folder of the library."""
        return self.folders != "two"


@dataclass
class Collection:
    """Files of one naming scheme, in a library of their own."""

    scheme: Scheme
    size: str
    title: str
    locations: list[str]
    works: list[tuple[Work, int]] = field(default_factory=list)
    """With the number of the folder that each lies in."""

    def items(self) -> Iterator[tuple[Work, dict[str, Any]]]:
        """What the server lists."""
        for work, at in self.works:
            if work.listed:
                yield work, {**work.item, "files": [f"{self.locations[at]}/{path}" for path in work.paths]}

    def files(self) -> Iterator[tuple[int, str, Work]]:
        """Every file, listed or not: the folder's number, the path below it, and its work."""
        for work, at in self.works:
            for path in work.paths:
                yield at, path, work


def collect(scheme: Scheme, size: str, number: int, works: Iterable[Work], draw: random.Random) -> Collection:
    """Distributes works over folders, and decides which of them the server has: about one half."""
    base, usual = f"/data/{number}", FOLDERS[scheme.kind]
    collection = Collection(scheme, size, f"{scheme.name}, {size}, {number}", [])
    folders: dict[str, int] = {}
    fates: dict[str, float] = {}
    taken: set[str] = set()
    for work in works:
        if scheme.one_each:
            at = folders.setdefault(work.group, len(folders))
            if at == len(collection.locations):
                collection.locations.append(f"{base}/{usual}/{work.group}")
        else:
            collection.locations = [f"{base}/{usual}", f"{base}/second disk/{usual}"]
            at = int(draw.random() < 0.3)
            at = int(work.item.pop("_folder", folders.setdefault(work.group, at) if work.group else at))
        # One tree cannot hold a path twice; two trees that do are a scheme of their own.
        names = {f"{at}/{fold(path)}" if scheme.twins or scheme.one_each else fold(path) for path in work.paths}
        if names & taken:
            continue
        taken |= names
        if work.listed is None:
            # In turn, so that even a small collection has some that are listed as a whole, in part and not at all.
            fate = fates.setdefault(work.group, (0.5, 1.0, 0.0)[len(fates) % 3])
            work.listed = draw.random() < (fate if work.group else 0.5)
        collection.works.append((work, at))
    return collection


@dataclass(frozen=True)
class Question:
    """A path that is asked, and what is right."""

    path: str
    key: str | None
    """Of the item that lists the file; None when none does."""


def questions(pairs: Iterable[tuple[str, str | None]], *, names_tell: bool) -> list[Question]:
    """One for each path. One that is the path of several files has no right answer, save that none is sure.

    Where names tell what a file is, such paths are left out: two editions with one name, say, cannot be told apart.
    """
    found: dict[str, tuple[str, set[str | None]]] = {}
    for path, key in pairs:
        found.setdefault(fold(path), (path, set()))[1].add(key)
    return [
        Question(path, next(iter(keys)) if len(keys) == 1 else None)
        for path, keys in found.values()
        if len(keys) == 1 or not names_tell
    ]
