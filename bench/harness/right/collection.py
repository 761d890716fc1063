"""A collection: files in folders, of which the server lists some."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from .sizes import Sizes, duration
from .words import Draw

FOLDERS = {"movie": "movies", "show": "tv", "artist": "music", "photo": "photos", "other_videos": "videos"}


KINDS = {"movie": "films", "show": "shows", "artist": "music", "photo": "photos", "other_videos": "other videos"}
COPIES = 0.02
"""Of the listed files those that another item has, too: the same file in another folder."""


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
    sizes: list[int] = field(default_factory=list)
    """Of its files, in bytes."""
    copied: bool = False
    """Whether another item has the same file."""
    is_stacked: bool = False
    """Whether its files are parts of one version, and not versions."""
    more: list[dict[str, Any]] = field(default_factory=list)
    """Other items of the same files: a file with several episodes. The first item is right."""
    drawn_by: Sizes | None = None
    """Gives the sizes of such files; by default the scheme's."""


@dataclass(frozen=True)
class Scheme:
    """How files are named, and which sizes they have."""

    name: str
    kind: str
    works: Any
    """Gives the works: takes what draws and how many."""
    sizes: Sizes
    of: str = ""
    """What the page calls such files; by default, by the library's kind."""
    twins: bool = False
    """The same paths in both folders, of different items."""
    folders: str = "two"
    """``two`` folders of the library, or one for ``each`` group; ``each, renamed``: the host calls them otherwise."""

    @property
    def files_are(self) -> str:
        """What the page calls such files."""
        return self.of or KINDS[self.kind]

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
    left_out: int = 0
    """Files that were drawn with another's path."""

    def items(self) -> Iterator[tuple[Work, dict[str, Any]]]:
        """What the server lists."""
        for work, at in self.works:
            if work.listed:
                paths = [f"{self.locations[at]}/{path}" for path in work.paths]
                for item in (work.item, *work.more):
                    yield work, {**item, "files": [paths] if work.is_stacked else paths, "sizes": work.sizes}

    def files(self) -> Iterator[tuple[int, int, Work]]:
        """Every file, listed or not: the folder's number, the file's among those of its work, and the work."""
        return ((at, part, work) for work, at in self.works for part in range(len(work.paths)))


def collect(scheme: Scheme, size: str, number: int, works: Iterable[Work], draw: Draw) -> Collection:
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
            at = int(draw.chance(0.3))
            at = int(work.item.pop("_folder", folders.setdefault(work.group, at) if work.group else at))
        # One tree cannot hold a path twice; two trees that do are a scheme of their own. A disk can hold two spellings.
        names = {f"{at}/{path}" if scheme.twins or scheme.one_each else path for path in work.paths}
        if names & taken:
            collection.left_out += len(names)
            continue
        taken |= names
        if work.listed is None:
            # In turn, so that even a small collection has some that are listed as a whole, in part and not at all.
            fate = fates.setdefault(work.group, (0.5, 1.0, 0.0)[len(fates) % 3])
            work.listed = draw.chance(fate if work.group else 0.5)
        work.drawn_by = work.drawn_by or scheme.sizes
        work.sizes = work.drawn_by(draw, len(work.paths))
        if (plays := duration(work.drawn_by, draw, sum(work.sizes) if work.is_stacked else work.sizes[0])) is not None:
            work.item["fields"] = {"duration": plays}
        collection.works.append((work, at))
        if work.listed and draw.chance(COPIES):
            work.copied = True
            copies = [f"Copies/{path}" for path in work.paths]
            collection.works.append((replace(work, item={**work.item}, paths=copies), at))
    return collection


@dataclass(frozen=True)
class Question:
    """A path that is asked, and what is right."""

    path: str
    size: int
    key: str | None
    """Of the item that lists the file. None when none does, or when several files have the path and the size."""
    what: str
    """What the page calls such files."""
    is_listed: bool = False
    """Whether Plex lists this file, and no copy of it."""
    can_be_sure: bool = True
    """Without a size, even the right item is wrong with high confidence, unless a mapping leads to it."""
    is_met: bool = False
    """Whether another file was drawn until it had the size of a listed file of the name."""


def questions(files: Iterable[Question], *, with_sizes: bool) -> list[Question]:
    """One for each file. Several files with one path, and one size, have no right answer, save that none is sure."""
    keys: dict[tuple[str, int], set[str | None]] = defaultdict(set)

    def what(one: Question) -> tuple[str, int]:
        return one.path, one.size if with_sizes else 0

    asked = list(files)
    for one in asked:
        keys[what(one)].add(one.key)
    return [one if len(keys[what(one)]) == 1 else replace(one, key=None) for one in asked]
