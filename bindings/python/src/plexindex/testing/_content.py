"""The libraries and items of a server."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path

from ._names import levels_of, more_episodes

__all__ = ["LEVELS", "NUMBERS", "Item", "Library"]

#: The types of a library's items, from the top to those that have the files.
LEVELS = {
    "movie": ("movie",),
    "show": ("show", "season", "episode"),
    "artist": ("artist", "album", "track"),
    "photo": ("photoalbum", "photo"),
}

#: Plex's number of each type.
NUMBERS = {
    "movie": 1,
    "show": 2,
    "season": 3,
    "episode": 4,
    "artist": 8,
    "album": 9,
    "track": 10,
    "photo": 13,
    "photoalbum": 14,
}


class Item:
    """A movie, show, season, episode, artist, album, track, photo album or photo."""

    def __init__(self, library: Library, key: int, kind: str, parent: Item | None, now: int) -> None:
        self.library, self.key, self.type, self.parent = library, key, kind, parent
        #: What Plex shows of it, under Plex's names: `title`, `year`, `index`, `summary`, `viewCount` and so on.
        self.fields: dict[str, object] = {"title": "", "addedAt": now, "updatedAt": now}
        #: Paths, each a version of its own.
        self.files: list[str] = []
        #: Tags under the names that edits give them: `genre`, `label`, `collection` and so on.
        self.tags: dict[str, list[str]] = {}
        self.guids: list[str] = []
        self.locked: dict[str, bool] = {}
        self.children: list[Item] = []
        if parent is not None:
            parent.children.append(self)

    @property
    def title(self) -> str:
        """The title."""
        return str(self.fields["title"])

    @property
    def guid(self) -> str:
        """Plex's GUID: the same for the same type, title and year."""
        if "guid" in self.fields:
            return str(self.fields["guid"])
        names = [f"{item.title}/{item.fields.get('year', '')}/{item.fields.get('index', '')}" for item in self.line]
        digest = hashlib.sha256("/".join([self.type, *names]).encode("utf-8", "surrogateescape")).hexdigest()
        return f"plex://{self.type}/{digest[:24]}"

    @property
    def line(self) -> list[Item]:
        """The item, the one above it, and so on."""
        return [self, *(self.parent.line if self.parent else [])]

    @property
    def leaves(self) -> list[Item]:
        """The items with files: this one, or those below it."""
        return [leaf for child in self.children for leaf in child.leaves] if self.children else [self]


class Library:
    """A section: items that have files, and the items above them."""

    def __init__(self, section: int, title: str, kind: str, location: str, folder: Path | None, now: int) -> None:
        self.section, self.title, self.kind, self.location = section, title, kind, location
        #: The folder that a scan reads, if there is one.
        self.folder = folder
        self.uuid = hashlib.sha256(f"{section}/{title}".encode()).hexdigest()[:32]
        self.created_at = self.scanned_at = now
        #: Plex's `contentChangedAt`: rises by one whenever an item comes, goes or gets another file.
        self.changes = 0
        self.items: dict[int, Item] = {}

    def of_type(self, kind: str) -> Iterator[Item]:
        """Its items of a type, in the order of their rating keys."""
        return (item for item in self.items.values() if item.type == kind)

    def add(self, file: str, keys: Iterator[int], now: int, title: str | None = None) -> Item:
        """The new item of a file; of one with several episodes the first. The items above it are made where there is
        none of that name.

        A file of a movie that is there already is one more version of it.
        """
        levels = levels_of(self.kind, file)
        first = self._add(file, levels, keys, now, title)
        for number in more_episodes(file) if self.kind == "show" else ():
            episode = {"title": f"Episode {number}", "index": number}
            self._add(file, [*levels[:-1], episode], keys, now, title)
        return first

    def _add(
        self, file: str, levels: list[dict[str, object]], keys: Iterator[int], now: int, title: str | None
    ) -> Item:
        self.changes += 1
        above: Item | None = None
        for kind, level in zip(LEVELS[self.kind], levels):
            is_last = kind == LEVELS[self.kind][-1]
            if is_last and title is not None:
                level["title"] = title
            found = None if is_last and self.kind != "movie" else self._find(kind, above, level)
            if found is None:
                found = Item(self, next(keys), kind, above, now)
                found.fields.update(level)
                self.items[found.key] = found
            above = found
        assert above is not None
        above.files.append(file)
        return above

    def _find(self, kind: str, parent: Item | None, level: dict[str, object]) -> Item | None:
        same = self.of_type(kind) if parent is None else parent.children
        if "index" in level:
            return next((item for item in same if item.fields.get("index") == level["index"]), None)
        return next((item for item in same if all(item.fields.get(name) == level[name] for name in level)), None)

    def remove(self, item: Item) -> None:
        """Removes an item, those below it, and those above it that have nothing left."""
        self.changes += 1
        for gone in _all_below(item):
            del self.items[gone.key]
        while item.parent is not None:
            item.parent.children.remove(item)
            item = item.parent
            if item.children:
                break
            del self.items[item.key]


def _all_below(item: Item) -> Iterable[Item]:
    yield item
    for child in item.children:
        yield from _all_below(child)
