"""Asks for every file of the collections, listed or not, and counts what is right and what is wrong."""

from __future__ import annotations

import os
import random
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Optional
from zlib import crc32

import plexindex

from ..world import PREFIX, Standin
from .collection import Collection, Question, Scheme, Work, collect, questions
from .schemes import SCHEMES
from .sizes import ANY, COMMON, CONSTANT
from .words import Draw, fold

COUNTS = {
    "tiny": {"movie": 3, "show": 12, "artist": 12, "photo": 6, "other_videos": 4},
    "small": {"movie": 75, "show": 150, "artist": 250, "photo": 150, "other_videos": 100},
    "large": {"movie": 1500, "show": 3000, "artist": 4900, "photo": 3200, "other_videos": 1500},
}


MOST = 500
"""Files of a library that are asked for in a view, on average."""
DRAWS = {"tiny": 40, "small": 20, "large": 5}
"""Sizes of another file that are drawn for each listed one whose format gives sizes; for the rest one is drawn.

Asked are the first, and those that a listed file of the name has: with any other, chance can decide nothing.
"""
BY_CHANCE = 0.01
"""Of the other files with a listed file's name those that have the size of some listed file."""
SAME_PATH, BELIEVED = "drawn with another file's path", "led to a listed file by a wrong mapping"
RESPELLED = "listed in another spelling, and asked without a size"
NOT_DRAWN = "of large libraries, not drawn"
TRUE = "another file, led to a listed one by a true mapping"
UNMET = "another file, of a size that no listed file of the name has"
"""Why something is not asked."""
SMALL = ("music", "photos")
"""Files that mostly need their folder's name."""

Answer = tuple[Optional[str], Optional[str]]
"""The item of which a contender is sure, or else the first of those that it proposes."""
Ask = Callable[[list[Question]], list[Answer]]


@dataclass
class Tally:
    """What came of the questions of one row."""

    asked: int = 0
    listed: int = 0
    """Listed files, copies excepted."""
    sure: int = 0
    """Those that were found, high."""
    likely: int = 0
    """Those that were found, low, before all others."""
    wrong: int = 0
    """High, and another file's item."""
    examples: list[str] = field(default_factory=list)

    def add(self, question: Question, answer: Answer) -> None:
        """Counts an answer."""
        sure, likely = answer
        self.asked += 1
        self.listed += question.is_listed
        if sure is not None and not (sure == question.key and question.can_be_sure):
            self.wrong += 1
            self.examples.append(
                f"{question.path}, {question.size:,} B, was answered {sure}, and {question.key} is right"
            )
        elif question.is_listed:
            self.sure += sure is not None
            self.likely += sure is None and likely is not None and likely == question.key

    def join(self, other: Tally) -> None:
        """Adds another row."""
        for name in ("asked", "listed", "sure", "likely", "wrong"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.examples = (self.examples + other.examples)[:3]

    def unsure(self) -> float:
        """Of the listed files those that were not found with high confidence, in percent."""
        return 100 * (1 - self.sure / self.listed) if self.listed else 0.0


Tallies = dict[str, Tally]
"""By what the files are."""


def total(tallies: Tallies) -> Tally:
    """All files together."""
    tally = Tally()
    for one in tallies.values():
        tally.join(one)
    return tally


# How a host sees the files: from the folder's number, the folder as the server has it, and the path below it.
Mount = Callable[[int, str, str], str]


@dataclass(frozen=True)
class View:
    """How a host sees a collection, and which mappings it was given."""

    name: str
    mount: Mount
    mappings: Callable[[Collection], list[tuple[str, str]]] | None = None
    is_true: bool = False
    """Whether the mappings lead to the very files."""


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


def _renamed(_at: int, _location: str, path: str) -> str:
    *folders, name = path.split("/")
    return "/".join(["/srv/new", *(f"{folder} [moved]" for folder in folders), name])


def _moved(_at: int, _location: str, path: str) -> str:
    return f"/mnt/sorted/{crc32(path.encode()) % 100:02}/{path.rsplit('/', 1)[-1]}"


MAPPED, WITHOUT, WRONG = "mapped", "no mapping", "a wrong mapping"
VIEWS = (
    View(MAPPED, _mapped, _all, is_true=True),
    View(WITHOUT, _foreign),
    View("half a mapping", _half, lambda collection: _all(collection)[::2], is_true=True),
    View(WRONG, _foreign, _wrong),
    View("a moved root", lambda at, _, path: f"/volume{at}/archive/2024/{path}", _all),
    View("a Windows host", lambda at, _, path: f"{'YZ'[at % 2]}:\\Video\\{path}".replace("/", "\\")),
    View("a share within the library", _within),
    View("folders renamed", _renamed),
    View("moved into other folders", _moved),
    View("elsewhere, under the same name", lambda _at, _, path: f"/downloads/complete/{path.rsplit('/', 1)[-1]}"),
)


def make(seed: int, size: str) -> list[Collection]:
    """A collection of each scheme."""
    made = []
    draw = Draw(f"right {seed} {size}")
    for number, scheme in enumerate(SCHEMES, 1):
        works = scheme.works(draw, COUNTS[size][scheme.kind])
        made.append(collect(scheme, size, number, works, draw))
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
                work.key = work.key or f"{PREFIX}{key}"


def _ends_alike(asked: str, listed: str) -> bool:
    """Whether a file's folder has its name in both paths."""
    return fold(asked).replace("\\", "/").split("/")[-2:] == fold(listed).split("/")[-2:]


def _what(scheme: Scheme, work: Work, size: int, asked: str, listed: str) -> str:
    if size in COMMON:
        return f"{scheme.files_are} of one size"
    if work.drawn_by in CONSTANT:
        return f"{scheme.files_are} at a constant bit rate"
    if scheme.files_are in SMALL and not _ends_alike(asked, listed):
        return f"{scheme.files_are} in another folder"
    return scheme.files_are


def _name(path: str) -> str:
    return fold(path).rsplit("/", 1)[-1]


Named = dict[str, set[int]]
"""The sizes of listed files, by their names."""


def seen(
    collection: Collection, view: View, named: Named, others: Draw | None = None, skipped: Tallies | None = None
) -> Iterator[Question]:
    """What a host asks for: every file as it sees it. Or, with what draws, another file in place of each listed one."""
    scheme = collection.scheme
    # What a wrong mapping leads to is believed, if it is listed.
    files = list(collection.files())
    listed = [(at, work.paths[part], work.sizes[part]) for at, part, work in files if work.listed]
    first = {fold(path) for at, path, _ in listed if at == 0}
    if skipped is not None and others is None:
        skipped[SAME_PATH].asked += collection.left_out

    mappings = view.mappings(collection) if view.mappings else []

    def root(at: int) -> int:
        # Without a mapping the even folders keep their names.
        return 2 * at + (scheme.folders != "each") if scheme.one_each and view.name == WITHOUT else at

    for at, part, work in files:
        path, size = work.paths[part], work.sizes[part]
        if others and not work.listed:
            continue
        if view.name == WRONG and at % 2 and fold(path) in first:
            if skipped is not None:
                skipped[BELIEVED].asked += 1
            continue
        host = view.mount(root(at), collection.locations[at], path)
        what = _what(scheme, work, size, host, f"{collection.locations[at]}/{path}")
        is_mapped = any(host.startswith(f"{folder}/") for folder, _ in mappings)
        if others is None:
            is_listed = bool(work.listed) and not work.copied
            yield Question(host, size, work.key if work.listed else None, what, is_listed, is_mapped)
            continue
        if view.is_true and is_mapped:
            if skipped is not None:
                skipped[TRUE].asked += 1
            continue
        draw = work.drawn_by or scheme.sizes
        size = draw(others, len(work.sizes))[part]
        if others.chance(BY_CHANCE):
            _, other, equal = others.pick(listed)
            size = equal if _name(other) != _name(path) else size
        draws = 0 if draw in ANY else DRAWS[collection.size] - 1
        met = named[_name(path)].intersection(draw(others, len(work.sizes))[part] for _ in range(draws)) - {size}
        if skipped is not None:
            skipped[UNMET].asked += draws - len(met)
        yield Question(host, size, None, what, can_be_sure=False)
        yield from (Question(host, one, None, what, can_be_sure=False, is_met=True) for one in sorted(met))


def asked(
    collections: list[Collection],
    view: View,
    *,
    with_sizes: bool = True,
    others: Draw | None = None,
    skipped: Tallies | None = None,
) -> list[Question]:
    """The questions about these collections, with their right answers. Counts in ``skipped`` what is not asked."""
    named: Named = defaultdict(set)
    for collection in collections if others else ():
        for _, part, work in collection.files():
            if work.listed:
                named[_name(work.paths[part])].add(work.sizes[part])
    found = (question for collection in collections for question in seen(collection, view, named, others, skipped))
    if with_sizes:
        found = (replace(question, can_be_sure=True) for question in found)
    every = questions(found, with_sizes=with_sizes)
    if not with_sizes:
        # Without a size, plexindex takes two spellings of a path for one file.
        spelled = {fold(one.path) for one in every if one.key is not None}
        asked_about = [one for one in every if one.key is not None or fold(one.path) not in spelled]
        if skipped is not None:
            skipped[RESPELLED].asked += len(every) - len(asked_about)
        every = asked_about
    some: list[Question] = []
    for is_met in (False, True):
        alike = [one for one in every if one.is_met is is_met]
        most = min(len(alike), MOST * len(collections))
        some += random.Random(view.name).sample(alike, most) if most < len(alike) else alike  # noqa: S311
        if skipped is not None:
            skipped[NOT_DRAWN].asked += len(alike) - most
    return some


def by_match(library: plexindex.Queries) -> Ask:
    """The full answer, with each file's size."""
    return lambda asked: [_answer(library.match(one.path, size=one.size, offline=True)) for one in asked]


def without_sizes(library: plexindex.Queries) -> Ask:
    """The full answer, of paths alone."""
    return lambda asked: [
        _answer(match) for match in library.match_paths([one.path for one in asked], size=False, offline=True)
    ]


def by_lookup(library: plexindex.Queries) -> Ask:
    """The fast answer."""
    return lambda asked: [(key, None) for key in library.lookup_keys([one.path for one in asked])]


def _answer(match: plexindex.Match) -> Answer:
    if match.confidence == "high":
        return match.key, None
    candidates = match.candidates
    return None, candidates[0].key if candidates else None


def by_name(collections: Iterable[Collection]) -> Ask:
    """What scripts do: the first item that has a file of this name."""
    names: dict[str, str] = {}
    for collection in collections:
        for work in (work for work, _ in collection.works if work.listed):
            for path in work.paths:
                names.setdefault(os.path.basename(path), work.key or "")
    return lambda asked: [(names.get(one.path.replace("\\", "/").rsplit("/", 1)[-1]), None) for one in asked]


def judge(asked: list[Question], answer: Ask) -> Tallies:
    """Asks, and counts."""
    tallies: Tallies = defaultdict(Tally)
    for question, got in zip(asked, answer(asked)):
        tallies[question.what].add(question, got)
    return tallies


Open = Callable[[Path, list[tuple[str, str]]], plexindex.Index]


def judged(
    store: Path, open_: Open, collections: list[Collection], view: View
) -> Iterator[tuple[list[Collection], plexindex.Queries]]:
    """Who answers in a view, over a store that was fetched: the library of each collection, and all at once."""
    groups: dict[tuple[tuple[str, str], ...], list[Collection]] = defaultdict(list)
    for collection in collections:
        groups[tuple(view.mappings(collection) if view.mappings else ())].append(collection)
    for mappings, some in groups.items():
        with open_(store, list(mappings)) as index:
            for collection in some:
                yield [collection], index.library(collection.title)
            if view.mappings is None:
                yield collections, index
