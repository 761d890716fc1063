"""The library's binary blocks of answers: numbers, and the strings to which they refer."""

from __future__ import annotations

from . import TYPE_CHECKING
from . import constants as c

if TYPE_CHECKING:
    from typing import Any

# Positions in a block's header, in four-byte words: the offset of the first answer, and the number of log lines.
FIRST, LOG_LINES = 4, 5

# The fields of plexindex_item, in words: the offset and length of each string, and then the numbers.
TEXTS = ("key", "rating_key", "title", "guid", "show_title", "show_rating_key", "show_guid", "path", "section",
         "library")  # fmt: skip
NUMBERS = ("kind", "year", "season", "episode", "flags")
PLACES = {**{name: 2 * number for number, name in enumerate(TEXTS)}, **dict(zip(NUMBERS, range(2 * len(TEXTS), 99)))}
_UNKNOWN = {"year": 0, "season": -1, "episode": -1}


def words_of(block: bytes | bytearray) -> memoryview[int]:
    """Returns a block as a sequence of numbers."""
    return memoryview(block)[: len(block) & -4].cast("i")


def text_at(block: bytes | bytearray, words: memoryview[int], place: int) -> str | None:
    """Returns the string that a word in a block refers to. The string's length follows its offset."""
    offset = words[place]
    if not offset:
        return None
    return block[offset : offset + words[place + 1]].decode("utf-8", "surrogateescape")


def log_lines(block: bytes | bytearray) -> int:
    """Returns the number of unread log lines when the library wrote the block."""
    return words_of(block)[LOG_LINES]


class BlockFacts(dict):  # type: ignore[type-arg]
    """An item's fields in a block, by their JSON names. Decodes each field on first use."""

    __slots__ = ("_block", "_offset", "_words")

    def __init__(self, block: bytes | bytearray, words: memoryview[int], offset: int) -> None:
        self._block, self._words, self._offset = block, words, offset

    def __missing__(self, name: str) -> Any:
        place = PLACES.get(name)
        if place is None:
            return None
        value: Any = self._words[self._offset + place]
        if name in TEXTS:
            length = self._words[self._offset + place + 1]
            value = self._block[value : value + length].decode("utf-8", "surrogateescape") if value else None
        elif name == "kind":
            value = c.KINDS.get(value)
        elif value == _UNKNOWN.get(name):
            value = None
        self[name] = value
        return value

    def get(self, name: str, _default: Any = None) -> Any:
        """Returns a field, or None if the block does not contain the field."""
        return self[name]
