"""Answers: matches, from JSON or from a block of the library, which is read at first use.

A block is a run of bytes with a head, answers, items and texts that refer to each other by offset; the layout is that
of plexindex_answers, plexindex_answer and plexindex_item in ``include/plexindex.h``.
"""

import os
from sys import byteorder

from . import _constants as c

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from typing_extensions import Self

    from ._errors import Error
    from ._items import Asked, Item
    from ._light import LightItem
    from ._types import Confidence, Kind, MatchKind, PathArg, ReasonCode, Status

# Where the parts of a block are, in words of four bytes: the head's step of items and place of the first answer; an
# answer's item, candidates and message. The length of a text follows its place.
ITEM_STEP, FIRST, LOG_LINES = 2, 4, 5
ITEM, CANDIDATES, MESSAGE = 2, 3, 6
# In bytes: an answer's match kind, and its age.
KINDS, AGE = 4, 32


def words_of(block: "bytes | bytearray") -> "memoryview[int]":
    """The numbers of a block. The module ``struct`` takes longer to load than an answer."""
    return memoryview(block)[: len(block) & -4].cast("i")


def text_at(block: "bytes | bytearray", words: "memoryview[int]", place: int) -> "str | None":
    """Returns the text that a word of a block refers to."""
    offset = words[place]
    if not offset:
        return None
    return block[offset : offset + words[place + 1]].decode("utf-8", "surrogateescape")


class Match:
    """The answer for one path or GUID. True when it is a single item.

    ``key``, ``title`` and all that an :class:`Item` has are None when there is no single item; then ``reason`` says
    why, and ``candidates`` lists the items that fit equally well, best first.

    Two matches are equal when they say the same of the same items, however old they are. They can be pickled and be
    keys of a dict.
    """

    __slots__ = ("_asked", "_at", "_block", "_facts", "_question")

    def __init__(
        self,
        block: "bytes | bytearray",
        at: "int | None" = None,
        asked: "Asked | None" = None,
        question: "PathArg | None" = None,
    ) -> None:
        self._block, self._at, self._asked, self._question = block, at, asked, question
        self._facts: dict[str, Any] | None = None

    @classmethod
    def _of(cls, facts: "dict[str, Any]", asked: "Asked", question: "PathArg") -> "Self":
        """The answer of a method."""
        made = cls(b"", None, asked, question)
        if facts["status"] == "found":
            facts["status"] = "ok"
        made._facts = facts
        return made

    def _read(self) -> "dict[str, Any]":
        # Read at first use: many callers need no field. The names are those that an answer has in JSON.
        block = self._block
        words = words_of(block)
        at = words[FIRST] if self._at is None else self._at
        own = words[at >> 2 :]
        match_kind, confidence, reason, flags = block[at + KINDS : at + KINDS + 4]
        first, count, total = own[CANDIDATES : CANDIDATES + 3]
        age = int.from_bytes(block[at + AGE : at + AGE + 8], byteorder, signed=True)
        step = words[ITEM_STEP]
        self._facts = facts = {
            "number": own[0],
            "status": c.STATUS_NAMES.get(own[0], "unknown"),
            "match_kind": _name(c.MATCH_KINDS, match_kind),
            "confidence": _name(c.CONFIDENCES, confidence),
            "reason": _name(c.REASONS, reason),
            "message": text_at(block, own, MESSAGE),
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
            from ._items import BlockFacts

            words = words_of(self._block)
            items = facts["candidates"] = [BlockFacts(self._block, words, at >> 2) for at in facts["places"]]
        return items

    @property
    def status(self) -> "Status":
        """``"ok"``, ``"not_found"``, ``"ambiguous"``, ``"not_yet"`` (the deadline came first: ask again) or
        ``"needs_warm"`` (nothing came before the deadline); in a batch also the name of an error.

        ``"needs_warm"``: the library was never fetched, and the deadline is too short for the server: refresh the
        library once without a deadline. A silent server looks the same, and that refresh would wait for it: ask
        :meth:`Index.server` with a deadline first, which then raises TimeoutError. A server that refuses connections
        raises ConnectError.
        """
        return (self._facts or self._read())["status"]  # type: ignore[no-any-return]

    @property
    def match_kind(self) -> "MatchKind":
        """The match kind: ``"confirmed"``, ``"exact"``, ``"mapped"``, ``"suffix"``, ``"file_name"``, or ``"none"``."""
        return (self._facts or self._read()).get("match_kind", "none")  # type: ignore[no-any-return]

    @property
    def confidence(self) -> "Confidence":
        """``"high"``: this file's item, as far as anything that is known can tell. ``"low"``: verify it, or choose
        among the candidates. ``"none"``: there is none.
        """
        return (self._facts or self._read()).get("confidence", "none")  # type: ignore[no-any-return]

    @property
    def reason_code(self) -> "ReasonCode":
        """Why there is no single item: ``"no_location"``, ``"not_listed"``, ``"not_fetched"``, …; ``"none"``.

        Of a single item that was found by the end of its path, what speaks for it: ``"only_root_differs"`` (a mapping
        is missing) or ``"path_tells"`` (title with year or number), both high; or why it is low: ``"no_evidence"``,
        ``"contradicted"`` (another year, number or edition, an extra or a copy), ``"not_listed"`` (a folder of Plex's).
        ``"several_episodes"``: one file has them all; the item is the first, and :attr:`candidates` has them in order.
        """
        return (self._facts or self._read()).get("reason", "none")  # type: ignore[no-any-return]

    @property
    def reason(self) -> "str | None":
        """The same as a sentence for people; None when ``reason_code`` is ``"none"``."""
        return (self._facts or self._read()).get("message")

    @property
    def message(self) -> str:
        """:attr:`reason`, empty when there is none."""
        return self.reason or ""

    @property
    def stale(self) -> bool:
        """Whether the listing that answered has expired. It was not renewed: the server did not answer, or was not to
        be asked.
        """
        return bool((self._facts or self._read())["stale"])

    @property
    def age(self) -> "float | None":
        """Seconds since the listing that answered was seen to be current; None: none, or the clock was set back."""
        milliseconds: int | None = (self._facts or self._read()).get("age_ms")
        return None if milliseconds is None else milliseconds / 1000

    @property
    def asked(self) -> "str | None":
        """The path, GUID or title that was asked for, as it was given; :attr:`path` is the listed one."""
        try:
            return None if self._question is None else os.fsdecode(self._question)
        except UnicodeDecodeError:  # on Windows, of bytes that name no file
            return bytes(self._question).decode("utf-8", "surrogateescape")  # type: ignore[arg-type]

    @property
    def item(self) -> "Item | None":
        """The single item."""
        if (self._facts or self._read())["status"] != "ok":
            return None
        from . import Item

        return Item(self._items()[0], self._asked)

    @property
    def candidates(self) -> "list[Item]":
        """The items that fit equally well, best first; a single item is the only candidate. Of a file with several
        episodes they are its episodes in order, and the first is the answer.
        """
        from . import Item

        return [Item(facts, self._asked) for facts in self._items()]

    @property
    def candidates_total(self) -> int:
        """How many candidates there are in all; ``candidates`` may hold fewer."""
        return (self._facts or self._read())["total"]  # type: ignore[no-any-return]

    @property
    def error(self) -> "Error | None":
        """In a batch: what went wrong with this one path, ready to be raised."""
        status: int = (self._facts or self._read()).get("number", c.OK)
        if status < c.FIRST_ERROR:
            return None
        from ._errors import error_for

        return error_for(status, self.reason or "")

    @property
    def key(self) -> "str | None":
        """The item's key, ``/library/metadata/<rating key>``."""
        if not self._block:
            item = self.item
            return None if item is None else item.key
        # As words_of() and text_at(): most callers need no more than a key.
        block = self._block
        words = memoryview(block)[: len(block) & -4].cast("i")
        at = words[((words[FIRST] if self._at is None else self._at) >> 2) + ITEM] >> 2
        return block[words[at] : words[at] + words[at + 1]].decode() if at else None

    @property
    def rating_key(self) -> "str | None":
        """The item's rating key: an opaque string."""
        item = self.item
        return None if item is None else item.rating_key

    @property
    def light(self) -> "LightItem | None":
        """The item with the names that plexapi has for it: :attr:`Item.light`."""
        item = self.item
        return None if item is None else item.light

    @property
    def ratingKey(self) -> "int | str | None":  # noqa: N802
        """The item's rating key as plexapi has it: a number where it is one."""
        item = self.item
        return None if item is None else item.ratingKey

    @property
    def title(self) -> "str | None":
        """The item's title; for an episode the episode's."""
        item = self.item
        return None if item is None else item.title

    @property
    def guid(self) -> "str | None":
        """The item's scalar GUID."""
        item = self.item
        return None if item is None else item.guid

    @property
    def show_title(self) -> "str | None":
        """Title of the item's show or artist."""
        item = self.item
        return None if item is None else item.show_title

    @property
    def show_rating_key(self) -> "str | None":
        """Rating key of the item's show or artist."""
        item = self.item
        return None if item is None else item.show_rating_key

    @property
    def kind(self) -> "Kind | None":
        """The item's type: ``"movie"``, ``"episode"``, ``"track"``, ``"clip"``, ``"photo"`` or ``"unknown"``."""
        item = self.item
        return None if item is None else item.kind

    @property
    def year(self) -> "int | None":
        """The item's year."""
        item = self.item
        return None if item is None else item.year

    @property
    def season(self) -> "int | None":
        """Number of the item's season or disc."""
        item = self.item
        return None if item is None else item.season

    @property
    def episode(self) -> "int | None":
        """Number of the item's episode or track."""
        item = self.item
        return None if item is None else item.episode

    @property
    def path(self) -> "str | None":
        """The listed path that fitted, as the server spells it."""
        item = self.item
        return None if item is None else item.path

    @property
    def library(self) -> "str | None":
        """Title of the item's library."""
        item = self.item
        return None if item is None else item.library

    def __bool__(self) -> bool:
        return self.status == "ok"

    def to_dict(self) -> "dict[str, object]":
        """All fields by name, as JSON values."""
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
        # The index is not pickled.
        return None, {
            "_block": self._block,
            "_at": self._at,
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
    # A newer library may know more match kinds and reasons than this package.
    return names[number] if number < len(names) else f"unknown_{number}"


def log_lines(block: "bytes | bytearray") -> int:
    """Returns the number of log lines that waited when this block was written."""
    return words_of(block)[LOG_LINES]
