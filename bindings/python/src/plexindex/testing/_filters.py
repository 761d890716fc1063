"""Which rows a request for a library's items gets: filters, order, and what may be asked for."""

from __future__ import annotations

import functools
import operator
import re
from collections.abc import Callable, Iterable
from typing import Any

from ._content import LEVELS, NUMBERS, Item, Library
from ._rows import Row, tag_id

__all__ = ["TAGS", "choices", "chosen", "in_order", "meta"]

#: Tags that items can be chosen by.
TAGS = ("genre", "label", "collection", "director", "writer", "actor", "country", "mood", "style")

_NUMBERS = ("year", "index", "addedAt", "updatedAt", "lastViewedAt", "viewCount", "userRating", "duration")

#: A filter's field may have a type before it, and a part of its operator behind it: `show.title!`, `year>>`.
_FILTER = re.compile(r"^(?:(\w+)\.)?(\w+?)(!=|[!=<>]|>>|<<)?$")

_TEXT_OPERATORS: dict[str, Callable[[str, str], bool]] = {
    "": operator.contains,
    "=": operator.eq,
    "!": lambda have, want: want not in have,
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


def chosen(items: Iterable[Item], arguments: Iterable[tuple[str, str]]) -> list[Item]:
    """The items that satisfy every filter among a request's arguments. What is no filter is ignored, as Plex does."""
    kept = list(items)
    for name, value in arguments:
        found = _FILTER.match(name)
        if found:
            kept = [item for item in kept if _satisfies(item, found[1], found[2], found[3] or "", value)]
    return kept


def _satisfies(item: Item, above: str | None, field: str, sign: str, value: str) -> bool:
    """Whether an item, or the one of a type above it, satisfies one filter."""
    of = next((one for one in item.line if one.type == above), item)
    if field == "title":
        return _TEXT_OPERATORS.get(sign, operator.contains)(of.title.lower(), value.lower())
    if field == "file":
        return any(value.lower() in file.lower() for file in of.files)
    if field == "guid":
        return of.guid == value or value in of.guids
    if field == "id":
        return str(of.key) in value.split(",")
    if field == "unwatched":
        return all(leaf.fields.get("viewCount") for leaf in of.leaves) != (value == "1")
    if field in TAGS:
        wanted = value.lower().split(",")
        has = any(str(tag_id(tag)) in wanted or tag.lower() in wanted for tag in of.tags.get(field, ()))
        return has != sign.startswith("!")
    if field in _NUMBERS:
        return _number_satisfies(of.fields.get(field), sign, value)
    return True


def _number_satisfies(have: Any, sign: str, value: str) -> bool:
    wanted = [int(one) for one in value.split(",") if re.fullmatch(r"-?\d+", one)]
    if not wanted:
        return True
    if sign in _NUMBER_OPERATORS:
        return have is not None and _NUMBER_OPERATORS[sign](have, wanted[0])
    return (have in wanted) != sign.startswith("!")


def in_order(items: list[Item], sort: str) -> list[Item]:
    """The items in an order as `sort` names it, such as `addedAt:desc,titleSort`; by title without one."""
    for key in reversed((sort or "titleSort").split(",")):
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


def meta(library: Library) -> Row:
    """What plexapi reads before it sends a filter: types, fields and operators."""
    return {
        "Type": [_type(library, type) for type in LEVELS[library.kind]],
        "FieldType": [
            {"type": name, "Operator": [{"key": sign, "title": sign} for sign in signs.split()]}
            for name, signs in (
                ("string", "= != == !== <= >="),
                ("integer", "= != >>= <<="),
                ("tag", "= !="),
                ("boolean", "= !="),
                ("date", ">>= <<="),
            )
        ],
    }


def _type(library: Library, name: str) -> Row:
    prefix = "" if name == "movie" else f"{name}."
    address = f"/library/sections/{library.section}"
    fields = [("title", "string"), ("year", "integer"), ("userRating", "integer"), ("viewCount", "integer")]
    fields += [("addedAt", "date"), ("lastViewedAt", "date"), ("unwatched", "boolean")]
    fields += [(tag, "tag") for tag in TAGS]
    return {
        "key": f"{address}/all?type={NUMBERS[name]}",
        "type": name,
        "title": name,
        "active": name == LEVELS[library.kind][0],
        "Filter": [
            {
                "filter": tag,
                "filterType": "string",
                "key": f"{address}/{tag}?type={NUMBERS[name]}",
                "title": tag,
                "type": "filter",
            }
            for tag in TAGS
        ],
        "Sort": [
            {"key": field, "descKey": f"{field}:desc", "defaultDirection": "asc", "title": field}
            for field in ("titleSort", "addedAt", "updatedAt", "lastViewedAt", "year", "userRating")
        ],
        "Field": [{"key": prefix + field, "type": kind, "title": field} for field, kind in fields],
    }


def choices(items: Iterable[Item], tag: str) -> list[Row]:
    """The tags of a name that items have."""
    found = sorted({one for item in items for one in item.tags.get(tag, ())})
    return [{"key": str(tag_id(one)), "title": one, "type": tag} for one in found]
