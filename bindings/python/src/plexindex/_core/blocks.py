"""The library's binary blocks of answers: numbers, and the strings to which they refer."""

from __future__ import annotations

from . import TYPE_CHECKING
from . import abi as c

if TYPE_CHECKING:
    from typing import Any

# Positions in words of four bytes: in a block's header, the offset of the first answer, and the number of log lines;
# and an item's fields, by their names in a JSON answer.
FIRST, LOG_LINES = c.ANSWERS["first"] // 4, c.ANSWERS["log_lines"] // 4
PLACES = {"library" if name == "library_title" else name: offset // 4 for name, offset in c.ITEM.items()}
del PLACES["reserved"]
_NUMBERS = PLACES["kind"]  # all texts are before the numbers
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
        if place < _NUMBERS:
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
