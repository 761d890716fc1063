"""Items and libraries in Plex's form: dictionaries, and containers of dictionaries as JSON or XML."""

from __future__ import annotations

import json
import os
import zlib
from typing import Any
from xml.sax.saxutils import quoteattr

from ._content import Item, Library

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


def row(item: Item, *, with_guids: bool) -> Row:
    """Returns an item as a row in a listing."""
    fields: Row = {
        "ratingKey": str(item.key),
        "key": f"/library/metadata/{item.key}" + ("/children" if item.children else ""),
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
    if item.children:
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


def _media(item: Item, number: int, file: str) -> Row:
    container = os.path.splitext(file)[1].lstrip(".").lower()
    # A file with a different path is a different part.
    part_id = zlib.crc32(f"{item.key}{file}".encode("utf-8", "surrogateescape"))
    key = f"/library/parts/{part_id}/{item.fields['addedAt']}/file.{container}"
    part = {"id": part_id, "key": key, "file": file, "size": 1_000_000_000, "container": container}
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
            children += [_element(_element_name(key, child), child) for child in value]
        elif isinstance(value, dict):
            children.append(_element(key, value))
        else:
            text = str(int(value)) if isinstance(value, bool) else str(value)
            attributes.append(f" {key}={quoteattr(text)}")
    return f"<{name}{''.join(attributes)}>{''.join(children)}</{name}>"


def _element_name(key: str, child: Row) -> str:
    if key != "Metadata":
        return key
    return _ELEMENTS.get(child["type"], "Directory") if "Media" in child else "Directory"
