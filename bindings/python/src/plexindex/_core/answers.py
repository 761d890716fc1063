"""Decodes the library's blocks of answers to the facts that an answer in JSON has, with the same names.

A block contains a header, answers, items, files and texts, which refer to each other by offset.
``plexindex_answers``, ``plexindex_answer`` and ``plexindex_item`` in ``include/plexindex.h`` describe the layout.
``base`` is the number by which offsets are too large, in a part of a block.
"""

from __future__ import annotations

from struct import Struct

from . import TYPE_CHECKING, Any, Iterator
from . import abi as c
from .convert import two_numbers

if TYPE_CHECKING:
    Block = bytes | bytearray

header = Struct("=5i").unpack_from
"""Returns a header's sizes, its number of answers and the offset of the first one."""
one_number = Struct("=i").unpack_from
"""Returns the number at an offset in a block."""
_ANSWER, _ITEM, _FILE = Struct("=i4B6iq").unpack_from, Struct("=26i").unpack_from, Struct("=4Q9i").unpack_from
_HIGH = c.CONFIDENCES.index("high")
_TEXTS = tuple("library" if name == "library_title" else name for name in c.ITEM_TEXTS)


def _text(block: Block, base: int, offset: int, length: int) -> str | None:
    return block[offset - base : offset - base + length].decode("utf-8", "surrogateescape") if offset else None


def is_sure(block: Block, place: int) -> bool:
    """Returns whether the answer at a place is a single item with high confidence."""
    return block[place + c.ANSWER["confidence"]] == _HIGH and one_number(block, place)[0] == c.OK


def status_at(block: Block, place: int) -> str:
    """Returns the status of the answer at a place."""
    return _status_name(one_number(block, place)[0])


def _status_name(status: int) -> str:
    return "found" if status == c.OK else c.STATUS_NAMES.get(status, "unknown")


def item_text(block: Block, place: int, base: int, field: int) -> str | None:
    """Returns a text of an answer's single item, without decoding the others. ``field`` is the text's offset."""
    (item,) = one_number(block, place + c.ANSWER["item"])
    return _text(block, base, *two_numbers(block, item - base + field))


def answer_facts(block: Block, place: int, base: int) -> dict[str, Any]:
    """Returns the facts of the answer at a place, except its items, and the ``places`` of the items."""
    answer = _ANSWER(block, place)
    status, match_kind, confidence, reason, flags, _, first, count, total, message, length, age = answer
    step, first = header(block)[2], first and first - base
    return {
        "number": status,
        "status": _status_name(status),
        "match_kind": _name(c.MATCH_KINDS, match_kind),
        "confidence": _name(c.CONFIDENCES, confidence),
        "reason": _name(c.REASONS, reason),
        "message": _text(block, base, message, length),
        "stale": bool(flags & c.ANSWER_STALE),
        "age_ms": None if age < 0 else age,
        "places": range(first, first + count * step, step),
        "total": total,
    }


def _name(names: tuple[str | None, ...], number: int) -> str | None:
    # A newer library can return match kinds and reasons that this package does not know.
    return (names[number] if number < len(names) else None) or f"unknown_{number}" if number else None


def item_facts(block: Block, place: int, base: int) -> dict[str, Any]:
    """Returns the facts of the item at a place. ``file`` is for a matched file."""
    numbers = _ITEM(block, place)
    kind, year, season, episode, flags, file = numbers[20:]
    facts: dict[str, Any] = {
        name: block[offset - base : offset - base + length].decode("utf-8", "surrogateescape")
        for name, offset, length in zip(_TEXTS, numbers[:20:2], numbers[1:20:2])
        if offset
    }
    facts["kind"], facts["flags"] = c.KINDS.get(kind), flags
    if year:
        facts["year"] = year
    if season >= 0:
        facts["season"] = season
    if episode >= 0:
        facts["episode"] = episode
    if file:
        facts["file"] = dict(_file_facts(block, file - base, base), path=facts.get("path"))
    return facts


def single_item(block: Block, place: int, base: int) -> dict[str, Any] | None:
    """Returns the facts of an answer's single item."""
    (item,) = one_number(block, place + c.ANSWER["item"])
    return item_facts(block, item - base, base) if item else None


def _file_facts(block: Block, place: int, base: int) -> Iterator[tuple[str, Any]]:
    numbers = _FILE(block, place)
    for name, number in zip(("size", "part_id", "media_id", "duration_ms"), numbers):
        yield name, number or None
    yield from zip(("part", "parts", "version", "versions"), numbers[4:])
    yield "resolution", _text(block, base, *numbers[8:10])
    yield "container", _text(block, base, *numbers[10:12])
    yield "optimized", bool(numbers[12] & c.FILE_OPTIMIZED)
