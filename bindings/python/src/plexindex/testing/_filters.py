"""Filters and sort orders in requests for a library's items; edits."""

from __future__ import annotations

import functools
import operator
import re
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import unquote

from ..edits import NUMBERS as NUMBER_FIELDS
from ..edits import TAGS as TAG_FIELDS
from ..edits import TEXTS
from ._content import LEVELS, NUMBERS, Item, Library, Row, tag_id

#: The tags that filters accept.
TAGS = ("genre", "label", "collection", "director", "writer", "actor", "country", "mood", "style")

_NUMBERS = ("year", "index", "addedAt", "updatedAt", "lastViewedAt", "viewCount", "userRating", "duration")
# The fields that filter. Others are ignored, as by Plex.
_FIELDS = {*TAGS, *_NUMBERS, "title", "file", "guid", "id", "unwatched", "duplicate"}

#: A filter can have a type before its field, and a part of the operator after its field: `show.title!`, `year>>`.
_FILTER = re.compile(r"^(?:(\w+)\.)?(\w+?)(!=|[!=<>]|>>|<<)?$")
_TAG = re.compile(r"^(\w+)\[\d*\]\.tag\.tag(-?)$")

_TEXT_OPERATORS: dict[str, Callable[[str, str], bool]] = {
    "": operator.contains,
    "=": operator.eq,
    "!": lambda text, value: value not in text,
    "!=": operator.ne,
    "<": str.startswith,
    ">": str.endswith,
}
_NUMBER_OPERATORS: dict[str, Callable[[float, float], bool]] = {
    ">>": operator.gt,
    ">": operator.ge,
    "<<": operator.lt,
    "<": operator.le,
}


def matching(items: Iterable[Item], arguments: Iterable[tuple[str, str]]) -> list[Item]:
    """Returns the items that satisfy all filters in a request's arguments. Like Plex, ignores other arguments."""
    matches = list(items)
    for name, value in arguments:
        if (filter_name := _FILTER.match(name)) and filter_name[2] in _FIELDS:
            kind, field, sign = filter_name.groups()
            matches = [item for item in matches if _satisfies(item, kind, field, sign or "", value)]
    return matches


def _satisfies(item: Item, kind: str | None, field: str, sign: str, value: str) -> bool:
    """Returns whether an item, or the item of type ``kind`` above it, satisfies one filter."""
    subject = next((ancestor for ancestor in item.line if ancestor.type == kind), item)
    if field == "title":
        return _TEXT_OPERATORS.get(sign, operator.contains)(subject.title.lower(), value.lower())
    if field == "file":
        return any(value.lower() in file.lower() for file in subject.files)
    if field == "guid":
        return value in (subject.guid, *subject.guids)
    if field == "id":
        return str(subject.key) in value.split(",")
    if field == "unwatched":
        return all(leaf.fields.get("viewCount") for leaf in subject.leaves) != (value == "1")
    if field == "duplicate":
        return any(len(leaf.files) > 1 for leaf in subject.leaves) == (value == "1")
    if field in TAGS:
        values = value.lower().split(",")
        has_tag = any(str(tag_id(tag)) in values or tag.lower() in values for tag in subject.tags.get(field, ()))
        return has_tag != sign.startswith("!")
    numbers = [int(text) for text in value.split(",") if re.fullmatch(r"-?\d+", text)]
    if not numbers:
        return True
    number: Any = subject.fields.get(field)
    if sign in _NUMBER_OPERATORS:
        return number is not None and _NUMBER_OPERATORS[sign](number, numbers[0])
    return (number in numbers) != sign.startswith("!")


def sort(items: list[Item], order: str) -> list[Item]:
    """Sorts items by an order such as `addedAt:desc,titleSort`. The default order is by title."""
    for key in reversed((order or "titleSort").split(",")):
        field, _, direction = key.partition(":")
        field = field.rpartition(".")[2]
        items.sort(key=functools.partial(_sort_key, field), reverse=direction.startswith("desc"))
    return items


def _sort_key(field: str, item: Item) -> tuple[bool, Any]:
    if field == "id":
        return True, item.key
    if field == "titleSort":
        title = str(item.fields.get("titleSort", item.title)).lower()
        return True, title if "titleSort" in item.fields else re.sub(r"^(the|an?) ", "", title)
    value = item.fields.get(field)
    return value is not None, value if value is not None else 0


def meta(library: Library, kinds: Iterable[str]) -> Row:
    """Returns the types, fields and operators that plexapi reads before it sends a filter."""
    operators = {"string": "= != == !== <= >=", "integer": "= != >>= <<=", "tag": "= !=", "boolean": "= !=",
                 "date": ">>= <<="}  # fmt: skip
    return {
        "Type": [_type(library, kind) for kind in kinds],
        "FieldType": [
            {"type": name, "Operator": [{"key": sign, "title": sign} for sign in signs.split()]}
            for name, signs in operators.items()
        ],
    }


def _type(library: Library, kind: str) -> Row:
    prefix = "" if kind == "movie" else f"{kind}."
    address, number = f"/library/sections/{library.section}", NUMBERS[kind]
    fields = [("title", "string"), ("year", "integer"), ("userRating", "integer"), ("viewCount", "integer")]
    fields += [("addedAt", "date"), ("lastViewedAt", "date"), ("unwatched", "boolean")]
    fields += [("duplicate", "boolean"), *((tag, "tag") for tag in TAGS)]
    filter_type = {"filterType": "string", "type": "filter"}
    orders = ("titleSort", "addedAt", "updatedAt", "lastViewedAt", "year", "userRating")
    return {
        "key": f"{address}/all?type={number}",
        "type": kind,
        "title": kind,
        "active": kind == LEVELS[library.kind][0],
        "Filter": [
            {"key": f"{address}/{tag}?type={number}", **filter_type, "filter": tag, "title": tag} for tag in TAGS
        ],
        "Sort": [
            {"key": order, "descKey": f"{order}:desc", "defaultDirection": "asc", "title": order} for order in orders
        ],
        "Field": [{"key": prefix + field, "type": type, "title": field} for field, type in fields],
    }


def choices(items: Iterable[Item], name: str) -> list[Row]:
    """Returns the tags of a kind, such as `genre`, that the items have."""
    tags = sorted({tag for item in items for tag in item.tags.get(name, ())})
    return [{"key": str(tag_id(tag)), "title": tag, "type": name} for tag in tags]


def edit(items: Iterable[Item], arguments: list[tuple[str, str]], now: int) -> None:
    """Applies the edits in a request's arguments to each item. Like Plex, ignores other fields and invalid values."""
    for item in items:
        item.fields["updatedAt"] = now
        for name, value in arguments:
            field, _, attribute = name.partition(".")
            tag = _TAG.match(name)
            if tag and tag[1] in TAG_FIELDS:
                _edit_tags(item.tags.setdefault(tag[1], []), value, removes=bool(tag[2]), is_label=tag[1] == "label")
            elif attribute == "value" and field in NUMBER_FIELDS:
                if re.fullmatch(r"-?\d+(\.\d+)?", value):
                    item.fields[field] = float(value) if "." in value else int(value)
            elif attribute == "value" and field in TEXTS:
                item.fields[field] = value
            elif attribute == "locked" and field in (*TAG_FIELDS, *NUMBER_FIELDS, *TEXTS):
                item.locked[field] = value == "1"


def _edit_tags(tags: list[str], value: str, *, removes: bool, is_label: bool) -> None:
    if removes:
        # plexapi URL-encodes each tag, and then the whole list.
        removed = {unquote(tag).lower() for tag in value.split(",")}
        tags[:] = [tag for tag in tags if tag.lower() not in removed]
        return
    if is_label:
        # Plex capitalizes labels.
        value = " ".join(word[:1].upper() + word[1:] for word in value.split(" "))
    if value.lower() not in {tag.lower() for tag in tags}:
        tags.append(value)
