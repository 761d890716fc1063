"""A server's libraries and items, and their rows in Plex's form: dictionaries in containers as JSON or XML."""

from __future__ import annotations

import hashlib
import json
import os
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.sax.saxutils import quoteattr

from ..compare.rules import AUDIO, PHOTO, is_media
from ._names import levels_of, more_episodes

#: The types of a library's items, from the top to the type that has files.
LEVELS = {
    "movie": ("movie",),
    "show": ("show", "season", "episode"),
    "artist": ("artist", "album", "track"),
    "photo": ("photoalbum", "photo"),
}

#: Plex's number of each type.
NUMBERS = {"movie": 1, "show": 2, "season": 3, "episode": 4, "artist": 8, "album": 9, "track": 10, "photo": 13,
           "photoalbum": 14, "collection": 18}  # fmt: skip


class Item:
    """A movie, show, season, episode, artist, album, track, photo album or photo."""

    def __init__(self, library: Library, key: int, kind: str, parent: Item | None, now: int) -> None:
        self.library, self.key, self.type, self.parent = library, key, kind, parent
        #: Values under Plex's names: `title`, `year`, `index`, `summary`, `viewCount` and so on.
        self.fields: dict[str, object] = {"title": "", "addedAt": now, "updatedAt": now}
        #: Paths. Each path is a different version of the item.
        self.files: list[str] = []
        #: Tags under the names of edits: `genre`, `label`, `collection` and so on.
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
        """Plex's GUID, which depends only on the type, the title and the year."""
        if "guid" in self.fields:
            return str(self.fields["guid"])
        names = [f"{item.title}/{item.fields.get('year', '')}/{item.fields.get('index', '')}" for item in self.line]
        digest = hashlib.sha256("/".join([self.type, *names]).encode("utf-8", "surrogateescape")).hexdigest()
        return f"plex://{self.type}/{digest[:24]}"

    @property
    def line(self) -> list[Item]:
        """Yields the item, its parent, and so on."""
        return [self, *(self.parent.line if self.parent else [])]

    @property
    def leaves(self) -> list[Item]:
        """Yields the items with files: this item, or the items below it."""
        return [leaf for child in self.children for leaf in child.leaves] if self.children else [self]


class Library:
    """A section: items with files, and the items above them."""

    def __init__(
        self, section: int, title: str, kind: str, location: str, folder: Path | None, now: int, sizes: dict[str, int]
    ) -> None:
        #: Sizes of files that the test gave, or that a scan found.
        self.given_sizes, self.scanned_sizes = sizes, dict[str, int]()
        self.section, self.title, self.kind, self.location = section, title, kind, location
        #: The folder that a scan reads.
        self.folder = folder
        self.uuid = hashlib.sha256(f"{section}/{title}".encode()).hexdigest()[:32]
        self.created_at = self.scanned_at = now
        #: Plex's `contentChangedAt`, which grows when an item is added, is removed or gets another file.
        self.changes = 0
        self.items: dict[int, Item] = {}
        # Items by their files, and by the type, the parent and a field. None after a change of these.
        self._found: dict[object, list[Item]] | None = None

    def find(self, key: object) -> list[Item]:
        """Returns the items with a file, or with a type, parent, field and value, ordered by rating key."""
        if self._found is None:
            self._found = {}
            for item in self.items.values():
                self._note(item, *item.files)
        return self._found.get(key, [])

    def changed(self, count: int = 1) -> None:
        """Must be called after a change of items' files, which count, and of the fields that :meth:`find` reads."""
        self._found, self.changes = None, self.changes + count

    def _note(self, item: Item, *files: str) -> None:
        fields = [
            (item.type, item.parent, name, item.fields[name]) for name in ("index", "title") if name in item.fields
        ]
        for key in (*fields, *files):
            found = self._found.setdefault(key, []) if self._found is not None else []
            if item not in found:
                found.append(item)

    def of_type(self, kind: str) -> list[Item]:
        """Returns the items of a type, ordered by rating key."""
        return [item for item in self.items.values() if item.type == kind]

    def add(self, file: str, keys: Iterator[int], now: int, title: str | None = None) -> Item:
        """Adds a file's item, and any missing items above it. Returns the item; for several episodes, the first.

        A file of an existing movie becomes another version of the movie.
        """
        levels = levels_of(self.kind, file)
        episodes = [{"title": f"Episode {number}", "index": number} for number in more_episodes(file)]
        if title is not None:
            levels[-1]["title"] = title
        item = self._add(file, levels, keys, now)
        for episode in episodes if self.kind == "show" else ():
            self._add(file, [*levels[:-1], {**episode, "title": title or episode["title"]}], keys, now)
        return item

    def _add(self, file: str, levels: list[dict[str, object]], keys: Iterator[int], now: int) -> Item:
        self.changes += 1
        item: Item | None = None
        for kind, fields in zip(LEVELS[self.kind], levels):
            is_shared = kind != LEVELS[self.kind][-1] or kind == "movie"
            existing = self._find(kind, item, fields) if is_shared else None
            if existing is None:
                existing = Item(self, next(keys), kind, item, now)
                existing.fields.update(fields)
                self.items[existing.key] = existing
                self._note(existing)
            item = existing
        assert item is not None
        item.files.append(file)
        self._note(item, file)
        self.scan(file)
        return item

    def scan(self, file: str) -> bool:
        """Reads the size of a file in the library's folder. Returns whether the size has changed."""
        before = self.scanned_sizes.get(file)
        if self.folder is not None:
            self.scanned_sizes[file] = os.path.getsize(file) if os.path.isfile(file) else 0
        return self.scanned_sizes.get(file) != before

    def size_of(self, file: str) -> int:
        """Returns the size of a file: by default, 50 MB to 4 GB by its path, or less for a track or a photo."""
        size = self.given_sizes.get(file, self.scanned_sizes.get(file))
        if size is not None:
            return size
        number = int.from_bytes(hashlib.sha256(file.encode("utf-8", "surrogateescape")).digest()[:8], "big")
        least, most = (17_000_000, 60_000_000) if is_media(file, AUDIO | PHOTO) else (50_000_000, 4_000_000_000)
        return least + number % (most - least)

    def _find(self, kind: str, parent: Item | None, fields: dict[str, object]) -> Item | None:
        names = ["index"] if "index" in fields else list(fields)
        name = "index" if "index" in fields else "title"
        items = self.find((kind, parent, name, fields.get(name)))
        return next((item for item in items if all(item.fields.get(name) == fields[name] for name in names)), None)

    def remove(self, item: Item) -> None:
        """Removes an item, the items below it, and items above it that have no other children."""
        self.changed()
        self._forget(item)
        parent = item.parent
        if parent is not None:
            parent.children.remove(item)
            if not parent.children:
                self.remove(parent)

    def _forget(self, item: Item) -> None:
        del self.items[item.key]
        for child in item.children:
            self._forget(child)


Row = dict[str, Any]

#: The XML element of an item with files. An item without files is a `Directory`; JSON calls all of them `Metadata`.
_ELEMENTS = {"movie": "Video", "episode": "Video", "track": "Track", "photo": "Photo"}


def tag_id(tag: str) -> int:
    """Returns a tag's number in filters."""
    return zlib.crc32(tag.lower().encode())


def directory(library: Library) -> Row:
    """Returns a library as a row in the library list."""
    return {
        "key": str(library.section),
        "type": library.kind,
        "title": library.title,
        "agent": "tv.plex.agents.movie",
        "scanner": "Plex Movie",
        "language": "en-US",
        "uuid": library.uuid,
        "refreshing": False,
        "createdAt": library.created_at,
        "updatedAt": library.created_at,
        "scannedAt": library.scanned_at,
        "contentChangedAt": library.changes,
        "hidden": 0,
        "Location": [{"id": library.section, "path": library.location}],
    }


def row(item: Item, *, with_guids: bool = True) -> Row:
    """Returns an item as a row in a listing."""
    is_collection = item.type == "collection"
    fields: Row = {
        "ratingKey": str(item.key),
        "key": f"/library/{'collections' if is_collection else 'metadata'}/{item.key}"
        + ("/children" if item.children else ""),
        "guid": item.guid,
        "type": "photo" if item.type == "photoalbum" else item.type,
        **item.fields,
    }
    for prefix, parent in zip(("parent", "grandparent"), item.line[1:]):
        fields[f"{prefix}RatingKey"] = str(parent.key)
        fields[f"{prefix}Key"] = f"/library/metadata/{parent.key}"
        fields[f"{prefix}Guid"] = parent.guid
        fields[f"{prefix}Title"] = parent.title
        if "index" in parent.fields:
            fields[f"{prefix}Index"] = parent.fields["index"]
    if is_collection:
        fields.update(childCount=len(item.children), subtype=item.children[0].type, smart=False)
    elif item.children:
        viewed = sum(1 for leaf in item.leaves if leaf.fields.get("viewCount"))
        fields.update(childCount=len(item.children), leafCount=len(item.leaves), viewedLeafCount=viewed)
    if item.files:
        fields["Media"] = [_media(item, number, file) for number, file in enumerate(item.files)]
    if with_guids and item.guids:
        fields["Guid"] = [{"id": guid} for guid in item.guids]
    for name, tags in item.tags.items():
        if tags:
            element = "Role" if name == "actor" else name[:1].upper() + name[1:]
            fields[element] = [{"id": tag_id(tag), "tag": tag} for tag in tags]
    return fields


def full_row(item: Item, *, check_files: bool) -> Row:
    """Returns an item as the answer to a request for this item."""
    fields = row(item, with_guids=True)
    section = item.library.section
    fields.update(librarySectionID=section, librarySectionTitle=item.library.title)
    fields["librarySectionKey"] = f"/library/sections/{section}"
    fields["Field"] = [{"name": name, "locked": True} for name, is_locked in item.locked.items() if is_locked]
    for media in fields.get("Media", []) if check_files else []:
        for part in media["Part"]:
            part["accessible"] = part["exists"] = True
    return fields


def history_row(item: Item, number: int, viewed_at: int) -> Row:
    """Returns a play of an item as a row of the history."""
    names = ("key", "ratingKey", "type", "title", "index", "parentIndex", "parentTitle", "grandparentTitle")
    facts = row(item, with_guids=False)
    fields = {name: facts[name] for name in names if name in facts}
    own = {"historyKey": f"/status/sessions/history/{number}", "librarySectionID": str(item.library.section)}
    return {**own, **fields, "viewedAt": viewed_at, "accountID": 1, "deviceID": 1}


def _media(item: Item, number: int, file: str) -> Row:
    container = os.path.splitext(file)[1].lstrip(".").lower()
    # A file with a different path is a different part.
    part_id = zlib.crc32(f"{item.key}{file}".encode("utf-8", "surrogateescape"))
    key = f"/library/parts/{part_id}/{item.fields['addedAt']}/file.{container}"
    part = {"id": part_id, "key": key, "file": file, "size": item.library.size_of(file), "container": container}
    return {"id": item.key * 100 + number, "container": container, "Part": [part]}


def as_json(container: Row) -> bytes:
    """Returns a container as JSON. As in Plex, an empty list has no key."""
    fields = {name: value for name, value in container.items() if value != []}
    text = json.dumps({"MediaContainer": {"size": 0, **fields}}, ensure_ascii=False)
    return text.encode("utf-8", "surrogateescape")


def as_xml(container: Row) -> bytes:
    """Returns a container as XML, which plexapi requests."""
    text = '<?xml version="1.0" encoding="UTF-8"?>\n' + _element("MediaContainer", {"size": 0, **container})
    return text.encode("utf-8", "surrogateescape")


def _element(name: str, values: Row) -> str:
    attributes, children = [], []
    for key, value in values.items():
        if isinstance(value, list):
            for child in value:
                is_album = child.get("type") == "photo" and "Media" not in child
                found = "Directory" if is_album else _ELEMENTS.get(child.get("type"), "Directory")
                children.append(_element(found if key == "Metadata" else key, child))
        elif isinstance(value, dict):
            children.append(_element(key, value))
        else:
            text = str(int(value)) if isinstance(value, bool) else str(value)
            attributes.append(f" {key}={quoteattr(text)}")
    return f"<{name}{''.join(attributes)}>{''.join(children)}</{name}>"
