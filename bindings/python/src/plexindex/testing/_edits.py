"""Edits: what a `PUT` changes of items."""

from __future__ import annotations

import re
from collections.abc import Iterable
from urllib.parse import unquote

from ._content import Item

__all__ = ["apply"]

_NUMBERS = frozenset({"year", "index", "addedAt", "updatedAt", "userRating"})
_TAG = re.compile(r"^(\w+)\[\d*\]\.tag\.tag(-?)$")


def apply(items: Iterable[Item], arguments: list[tuple[str, str]], now: int) -> None:
    """Makes the changes that a request's arguments name, to each of the items."""
    for item in items:
        item.fields["updatedAt"] = now
        for name, value in arguments:
            field, _, what = name.partition(".")
            tag = _TAG.match(name)
            if tag:
                _change_tags(item.tags.setdefault(tag[1], []), value, removes=bool(tag[2]), is_label=tag[1] == "label")
            elif what == "value":
                item.fields[field] = int(value) if field in _NUMBERS and value.isdigit() else value
            elif what == "locked":
                item.locked[field] = value == "1"


def _change_tags(tags: list[str], value: str, *, removes: bool, is_label: bool) -> None:
    if removes:
        # Each tag is encoded, then the list.
        gone = {unquote(tag).lower() for tag in value.split(",")}
        tags[:] = [tag for tag in tags if tag.lower() not in gone]
        return
    if is_label:
        # Plex gives labels capitals.
        value = " ".join(word[:1].upper() + word[1:] for word in value.split(" "))
    if value.lower() not in {tag.lower() for tag in tags}:
        tags.append(value)
