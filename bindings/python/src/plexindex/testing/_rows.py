"""Items and libraries as Plex writes them: a dictionary for each, and containers of them as JSON or XML."""

from __future__ import annotations

import json
import os
import zlib
from typing import Any
from xml.sax.saxutils import quoteattr

from ._content import LEVELS, Item, Library

__all__ = ["Row", "as_json", "as_xml", "directory", "full_row", "row", "tag_id"]

Row = dict[str, Any]

#: The element of an item of each type; JSON calls all of them `Metadata`.
_ELEMENTS = {
    "movie": "Video",
    "episode": "Video",
    "track": "Track",
    "photo": "Photo",
    "show": "Directory",
    "season": "Directory",
    "artist": "Directory",
    "album": "Directory",
    "photoalbum": "Directory",
}

#: The names of tags in rows, where they are not those of edits with a capital.
_TAGS = {"actor": "Role"}


def tag_id(tag: str) -> int:
    """The number under which filters name a tag."""
    return zlib.crc32(tag.lower().encode())


def directory(library: Library) -> Row:
    """A library in the list of libraries."""
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


def row(item: Item, *, with_guids: bool) -> Row:
    """An item as listings have it."""
    made: Row = {
        "ratingKey": str(item.key),
        "key": f"/library/metadata/{item.key}" + ("/children" if item.children else ""),
        "guid": item.guid,
        "type": "photo" if item.type == "photoalbum" else item.type,
        **item.fields,
    }
    for prefix, above in zip(("parent", "grandparent"), item.line[1:]):
        made[f"{prefix}RatingKey"] = str(above.key)
        made[f"{prefix}Key"] = f"/library/metadata/{above.key}"
        made[f"{prefix}Guid"] = above.guid
        made[f"{prefix}Title"] = above.title
        if "index" in above.fields:
            made[f"{prefix}Index"] = above.fields["index"]
    if item.children:
        made["childCount"] = len(item.children)
        made["leafCount"] = len(item.leaves)
        made["viewedLeafCount"] = sum(1 for leaf in item.leaves if leaf.fields.get("viewCount"))
    if item.files:
        made["Media"] = [_media(item, number, file) for number, file in enumerate(item.files)]
    if with_guids and item.guids:
        made["Guid"] = [{"id": guid} for guid in item.guids]
    for name, tags in item.tags.items():
        if tags:
            element = _TAGS.get(name, name[:1].upper() + name[1:])
            made[element] = [{"id": tag_id(tag), "tag": tag} for tag in tags]
    return made


def full_row(item: Item, *, check_files: bool) -> Row:
    """An item as a request for that item gives it."""
    made = row(item, with_guids=True)
    library = item.library
    made["librarySectionID"] = library.section
    made["librarySectionTitle"] = library.title
    made["librarySectionKey"] = f"/library/sections/{library.section}"
    made["Field"] = [{"name": name, "locked": True} for name, locked in item.locked.items() if locked]
    for media in made.get("Media", []) if check_files else []:
        for part in media["Part"]:
            part["accessible"] = part["exists"] = True
    return made


def _media(item: Item, number: int, file: str) -> Row:
    container = os.path.splitext(file)[1].lstrip(".").lower()
    # A file with another path is another part.
    identifier = zlib.crc32(f"{item.key}{file}".encode("utf-8", "surrogateescape"))
    part = {
        "id": identifier,
        "key": f"/library/parts/{identifier}/{item.fields['addedAt']}/file.{container}",
        "file": file,
        "size": 1_000_000_000,
        "container": container,
    }
    return {"id": item.key * 100 + number, "container": container, "Part": [part]}


def as_json(container: Row) -> bytes:
    """A container as JSON. An empty list has no key, as with Plex."""
    kept = {name: value for name, value in container.items() if value != []}
    text = json.dumps({"MediaContainer": {"size": 0, **kept}}, ensure_ascii=False)
    return text.encode("utf-8", "surrogateescape")


def as_xml(container: Row) -> bytes:
    """A container as XML, which plexapi asks for."""
    text = '<?xml version="1.0" encoding="UTF-8"?>\n' + _element("MediaContainer", {"size": 0, **container})
    return text.encode("utf-8", "surrogateescape")


def _element(name: str, values: Row) -> str:
    attributes, below = [], []
    for key, value in values.items():
        if isinstance(value, list):
            below += [_element(_element_name(key, child), child) for child in value]
        elif isinstance(value, dict):
            below.append(_element(key, value))
        else:
            text = str(int(value)) if isinstance(value, bool) else str(value)
            attributes.append(f" {key}={quoteattr(text)}")
    return f"<{name}{''.join(attributes)}>{''.join(below)}</{name}>"


def _element_name(key: str, child: Row) -> str:
    if key != "Metadata":
        return key
    if child["type"] == "photo" and "Media" not in child:
        return "Directory"
    return _ELEMENTS[child["type"]]


assert set(_ELEMENTS) == {type for types in LEVELS.values() for type in types}
