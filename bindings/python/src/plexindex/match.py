"""Matches, from JSON or from one of the library's binary blocks. A match decodes its block when a field is first used.

A block contains a header, answers, items and strings, which refer to each other by offset. ``plexindex_answers``,
``plexindex_answer`` and ``plexindex_item`` in ``include/plexindex.h`` describe the layout.
"""

import os
from sys import byteorder

from ._core import constants as c

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from typing_extensions import Self

    from ._core.light import LightItem
    from ._core.types import Confidence, Kind, MatchKind, PathArg, ReasonCode, Status
    from .errors import Error
    from .item import Asked, Item

# Positions in a block, in four-byte words. In the header: the item size, the offset of the first answer, and the number
# of log lines. In an answer: the item, the candidates and the message. A string's length follows its offset.
ITEM_STEP, FIRST, LOG_LINES = 2, 4, 5
ITEM, CANDIDATES, MESSAGE = 2, 3, 6
# Positions in an answer, in bytes: the match kind and the age.
KINDS, AGE = 4, 32


def words_of(block: "bytes | bytearray") -> "memoryview[int]":
    """Returns a block as a sequence of numbers. Importing the module ``struct`` would take longer than a lookup."""
    return memoryview(block)[: len(block) & -4].cast("i")


def text_at(block: "bytes | bytearray", words: "memoryview[int]", place: int) -> "str | None":
    """Returns the string that a word in a block refers to."""
    offset = words[place]
    if not offset:
        return None
    return block[offset : offset + words[place + 1]].decode("utf-8", "surrogateescape")


def _fact(name: str, description: str, default: object = None) -> "Any":
    return property(lambda match: (match._facts or match._read()).get(name, default), doc=description)


def _of_item(name: str, description: str) -> "Any":
    return property(lambda match: getattr(match.item, name, None), doc=description)


class Match:
    """The answer for one path, GUID or title. A match is true if there is a single item.

    Otherwise ``key``, ``title`` and all other fields of an :class:`Item` are None, ``reason`` says why, and
    ``candidates`` lists the items that match equally well, best first.

    Two matches are equal if all fields except the age are equal. Matches can be pickled, and can be keys of a dict.
    """

    __slots__ = ("_asked", "_block", "_facts", "_offset", "_question")

    def __init__(
        self,
        block: "bytes | bytearray",
        offset: "int | None" = None,
        asked: "Asked | None" = None,
        question: "PathArg | None" = None,
    ) -> None:
        self._block, self._offset, self._asked, self._question = block, offset, asked, question
        self._facts: dict[str, Any] | None = None

    @classmethod
    def _of(cls, facts: "dict[str, Any]", asked: "Asked", question: "PathArg") -> "Self":
        """Creates a match from a method's answer."""
        made = cls(b"", None, asked, question)
        if facts["status"] == "found":
            facts["status"] = "ok"
        made._facts = facts
        return made

    def _read(self) -> "dict[str, Any]":
        # Decode the block only on first use, because many callers need no field. The names are those in a JSON answer.
        block = self._block
        words = words_of(block)
        offset = words[FIRST] if self._offset is None else self._offset
        answer = words[offset >> 2 :]
        match_kind, confidence, reason, flags = block[offset + KINDS : offset + KINDS + 4]
        first, count, total = answer[CANDIDATES : CANDIDATES + 3]
        age = int.from_bytes(block[offset + AGE : offset + AGE + 8], byteorder, signed=True)
        step = words[ITEM_STEP]
        self._facts = facts = {
            "number": answer[0],
            "status": c.STATUS_NAMES.get(answer[0], "unknown"),
            "match_kind": _name(c.MATCH_KINDS, match_kind),
            "confidence": _name(c.CONFIDENCES, confidence),
            "reason": _name(c.REASONS, reason),
            "message": text_at(block, answer, MESSAGE),
            "stale": bool(flags & c.ANSWER_STALE),
            "age_ms": None if age < 0 else age,
            "places": range(first, first + count * step, step) if first else (),
            "total": total,
        }
        return facts

    def _items(self) -> "list[dict[str, Any]]":
        facts = self._facts or self._read()
        items: list[dict[str, Any]] | None = facts.get("candidates")
        if items is None:
            from .item import BlockFacts

            words = words_of(self._block)
            items = facts["candidates"] = [BlockFacts(self._block, words, place >> 2) for place in facts["places"]]
        return items

    status: "Status" = _fact(
        "status",
        """``"ok"``, ``"not_found"``, ``"ambiguous"``, ``"not_yet"`` (the deadline passed: retry) or ``"needs_warm"``
        (the server sent nothing before the deadline). In a batch, also the name of an error.

        ``"needs_warm"`` means that the library was never fetched, and that the server needs more time than the
        deadline: refresh the library once without a deadline. The status is the same if the server never responds, but
        then the refresh would wait forever. To find out, first call :meth:`Index.server` with a deadline, which raises
        TimeoutError if the server does not respond. If the server refuses connections, the match raises ConnectError.
        """,
    )
    match_kind: "MatchKind" = _fact(
        "match_kind",
        '``"confirmed"``, ``"exact"``, ``"mapped"``, ``"suffix"``, ``"file_name"``, or ``"none"``.',
        "none",
    )
    confidence: "Confidence" = _fact(
        "confidence",
        """``"high"`` means that the file belongs to the item, as far as the index can tell. ``"low"`` means that you
        should verify the item, or choose among the candidates. ``"none"`` means that there is no item.
        """,
        "none",
    )
    reason_code: "ReasonCode" = _fact(
        "reason",
        """Why there is no single item: ``"no_location"``, ``"not_listed"``, ``"not_fetched"``, …; otherwise ``"none"``.

        If a single item matched by the end of its path, the code is ``"only_root_differs"`` for high confidence (a
        mapping is missing). For low confidence, the code is ``"same_name"`` (a file with the same name, which may be a
        different file), or ``"not_listed"`` (the file is in a library's folder, but not listed).
        ``"several_episodes"`` means that the file contains several episodes: the item is the first episode, and
        :attr:`candidates` contains all episodes in order.
        """,
        "none",
    )
    reason: "str | None" = _fact("message", '``reason_code`` as a sentence for people; None if it is ``"none"``.')
    stale: bool = _fact(
        "stale", "Whether the listing had expired, and plexindex did not ask the server or got no response."
    )
    candidates_total: int = _fact("total", "Number of candidates. ``candidates`` can contain fewer.")

    rating_key: "str | None" = _of_item("rating_key", "The item's rating key: an opaque string.")
    ratingKey: "int | str | None" = _of_item(  # noqa: N815
        "ratingKey", "The item's rating key as in plexapi: an int if the key is a number."
    )
    title: "str | None" = _of_item("title", "The item's title; for an episode, the episode title.")
    year: "int | None" = _of_item("year", "The item's year.")
    guid: "str | None" = _of_item("guid", "The item's scalar GUID.")
    show_title: "str | None" = _of_item("show_title", "Title of the item's show or artist.")
    show_rating_key: "str | None" = _of_item("show_rating_key", "Rating key of the item's show or artist.")
    season: "int | None" = _of_item("season", "Number of the item's season or disc.")
    episode: "int | None" = _of_item("episode", "Number of the item's episode or track.")
    path: "str | None" = _of_item("path", "The listed path that matched, in the server's spelling.")
    library: "str | None" = _of_item("library", "Title of the item's library.")
    light: "LightItem | None" = _of_item("light", "The item with plexapi's attributes: :attr:`Item.light`.")

    @property
    def kind(self) -> "Kind | None":
        """The item's type: ``"movie"``, ``"episode"``, ``"track"``, ``"clip"``, ``"photo"`` or ``"unknown"``."""
        item = self.item
        return None if item is None else item.kind

    @property
    def message(self) -> str:
        """:attr:`reason`, or an empty string if there is no reason."""
        return self.reason or ""

    @property
    def age(self) -> "float | None":
        """Seconds since the listing was last known to be current. None without a listing, or if the clock went back."""
        milliseconds: int | None = (self._facts or self._read()).get("age_ms")
        return None if milliseconds is None else milliseconds / 1000

    @property
    def asked(self) -> "str | None":
        """The path, GUID or title to match, as the caller gave it."""
        try:
            return None if self._question is None else os.fsdecode(self._question)
        except UnicodeDecodeError:  # on Windows, for bytes that cannot be a file name
            return bytes(self._question).decode("utf-8", "surrogateescape")  # type: ignore[arg-type]

    @property
    def item(self) -> "Item | None":
        """The single item, or None."""
        if (self._facts or self._read())["status"] != "ok":
            return None
        from . import Item

        return Item(self._items()[0], self._asked)

    @property
    def candidates(self) -> "list[Item]":
        """The items that match equally well, best first. A single item is the only candidate. For a file with several
        episodes, the candidates are the episodes in order; the answer's item is the first episode.
        """
        from . import Item

        return [Item(facts, self._asked) for facts in self._items()]

    @property
    def error(self) -> "Error | None":
        """In a batch, the error for this path, which you can raise. None if the path caused no error."""
        status: int = (self._facts or self._read()).get("number", c.OK)
        if status < c.FIRST_ERROR:
            return None
        from .errors import error_for

        return error_for(status, self.reason or "")

    @property
    def key(self) -> "str | None":
        """The item's key, ``/library/metadata/<rating key>``."""
        if not self._block:
            item = self.item
            return None if item is None else item.key
        # This code repeats words_of() and text_at() without the calls, because most callers need only the key.
        block = self._block
        words = memoryview(block)[: len(block) & -4].cast("i")
        offset = words[((words[FIRST] if self._offset is None else self._offset) >> 2) + ITEM] >> 2
        return block[words[offset] : words[offset] + words[offset + 1]].decode() if offset else None

    def __bool__(self) -> bool:
        return self.status == "ok"

    def to_dict(self) -> "dict[str, object]":
        """Returns all fields by name, as JSON values."""
        return {"asked": self.asked, **self._value(), "age": self.age}

    def _value(self) -> "dict[str, object]":
        item = self.item
        return {
            "status": self.status,
            "match_kind": self.match_kind,
            "confidence": self.confidence,
            "stale": self.stale,
            "item": None if item is None else item.to_dict(),
            "candidates": [candidate.to_dict() for candidate in self.candidates],
            "candidates_total": self.candidates_total,
            "reason_code": self.reason_code,
            "reason": self.reason,
        }

    def __eq__(self, other: object) -> bool:
        return self._value() == other._value() if isinstance(other, Match) else NotImplemented

    def __hash__(self) -> int:
        return hash((self.status, self.key))

    def __getstate__(self) -> "tuple[None, dict[str, object]]":
        # The pickle does not contain the index.
        return None, {
            "_block": self._block,
            "_offset": self._offset,
            "_facts": None if self._block else self._facts,
            "_asked": None,
            "_question": self._question,
        }

    def __repr__(self) -> str:
        item = self.item
        if item is not None:
            stale = ", stale" if self.stale else ""
            return f"<plexindex.Match {item.key} {item.describe()!r}: {self.match_kind}, {self.confidence}{stale}>"
        several = f" of {self.candidates_total}" if self.candidates_total else ""
        return f"<plexindex.Match {self.status}{several}: {self.reason}>"


def _name(names: "tuple[str, ...]", number: int) -> str:
    # A newer library can return match kinds and reasons that this package does not know.
    return names[number] if number < len(names) else f"unknown_{number}"


def log_lines(block: "bytes | bytearray") -> int:
    """Returns the number of unread log lines when the library wrote the block."""
    return words_of(block)[LOG_LINES]
