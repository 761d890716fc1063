"""Answers: items and matches, read from the library's blocks at first use.

A block is a run of bytes with a head, answers, items and texts that refer to each other by offset; the layout is that
of plexindex_answers, plexindex_answer and plexindex_item in ``include/plexindex.h``.
"""

from __future__ import annotations

from _collections_abc import Iterator, Sequence

from . import _accelerator
from . import _constants as c

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, Protocol, overload

    from ._errors import Error
    from ._types import Confidence, Kind, ReasonCode, Rung

    class Asked(Protocol):
        """What knows more of an item than its answer holds."""

        def _paths_of(self, item: Item) -> tuple[str, ...]: ...


def _reader(numbers: bytes) -> Callable[..., tuple[int, ...]]:
    """``struct``'s ``unpack_from``; the accelerator's where there is one: the first answer loads no ``struct`` then."""

    def slow(*arguments: Any) -> Any:
        from _struct import Struct

        return Struct(numbers).unpack_from(*arguments)

    fast = _accelerator.load()
    if fast is not None:
        return fast.numbers(numbers, slow)  # type: ignore[no-any-return]
    from _struct import Struct

    return Struct(numbers).unpack_from


# As `struct` writes them. size, answer_size, item_size, count, first, log_lines
HEAD = b"=6I"
# status, rung, confidence, reason, flags, item, candidates, candidates_count, candidates_total, message, age_ms, items,
# files, kind, reserved
ANSWER = b"=i4B6Iq2QiI"
# offset, length
TEXT = b"=2I"
NUMBER = b"=i"
_head, _fields, _text, _number = map(_reader, (HEAD, ANSWER, TEXT, NUMBER))

# Offsets in plexindex_item.
ITEM_FIELDS = {
    "key": 0,
    "rating_key": 8,
    "title": 16,
    "guid": 24,
    "show_title": 32,
    "show_rating_key": 40,
    "show_guid": 48,
    "path": 56,
    "section": 64,
    "library_title": 72,
    "kind": 80,
    "year": 84,
    "season": 88,
    "episode": 92,
    "flags": 96,
    "reserved": 100,
}
ITEM_SIZE = 104

# What `to_dict` gives.
_ITEM = ("key", "rating_key", "title", "kind", "year", "show_title", "show_rating_key", "season", "episode", "guid",
         "show_guid", "library", "section", "path")  # fmt: skip


class Item:
    """One item of a library: a movie, episode, track, clip or photo; in a :class:`Folder` also a show, season, artist
    or album. What the index does not know is None.

    Items are equal when all that they tell is, whichever of their files was asked for. They can be pickled and be
    keys of a dict.
    """

    __slots__ = ("_asked", "_at", "_block")

    def __init__(self, block: bytes | bytearray, at: int, asked: Asked | None = None) -> None:
        self._block, self._at, self._asked = block, at, asked

    def _text(self, field: int) -> str | None:
        offset, length = _text(self._block, self._at + field)
        return self._block[offset : offset + length].decode("utf-8", "surrogateescape") if offset else None

    def _number(self, field: int) -> int:
        number: int = _number(self._block, self._at + field)[0]
        return number

    @property
    def key(self) -> str:
        """Plex's address of the item, ``/library/metadata/<rating key>``."""
        return self._text(0) or ""

    @property
    def rating_key(self) -> str:
        """Plex's rating key: an opaque string."""
        return self._text(8) or ""

    @property
    def ratingKey(self) -> int | str:  # noqa: N802
        """The rating key as plexapi has it: a number where it is one."""
        key = self.rating_key
        return int(key) if key.isascii() and key.isdigit() else key

    @property
    def title(self) -> str | None:
        """Title; for an episode the episode's."""
        return self._text(16)

    @property
    def guid(self) -> str | None:
        """Scalar GUID, such as ``plex://movie/…``."""
        return self._text(24)

    @property
    def show_title(self) -> str | None:
        """Title of the show; for a track or album of the artist."""
        return self._text(32)

    @property
    def show_rating_key(self) -> str | None:
        """Rating key of the show or artist."""
        return self._text(40)

    @property
    def show_guid(self) -> str | None:
        """Scalar GUID of the show or artist."""
        return self._text(48)

    @property
    def path(self) -> str | None:
        """The listed path that fitted, as the server spells it; for a confirmed match the recorded path.

        Bytes that are not UTF-8 are decoded by ``surrogateescape``: ``os.fsencode`` gives them back.
        """
        return self._text(56)

    @property
    def paths(self) -> tuple[str, ...]:
        """The paths of all its files, every version and part, as the server spells them. Sends no request.

        They are read when they are asked for: the index has to be open then, and an item that was pickled has none.
        """
        if self._asked is None:
            from . import Error

            raise Error(f"the paths of {self.key} are not at hand: it was pickled; ask Index.item_facts()")
        return self._asked._paths_of(self)

    @property
    def section(self) -> str | None:
        """Section id of its library."""
        return self._text(64)

    @property
    def library(self) -> str | None:
        """Title of its library."""
        return self._text(72)

    @property
    def kind(self) -> Kind:
        """``"movie"``, ``"episode"``, ``"track"``, ``"clip"``, ``"photo"``, or ``"unknown"``; in a :class:`Folder` also
        ``"show"``, ``"season"``, ``"artist"`` and ``"album"``.
        """
        return c.KINDS.get(self._number(80), "unknown")  # type: ignore[return-value]

    @property
    def year(self) -> int | None:
        """Year."""
        return self._number(84) or None

    @property
    def season(self) -> int | None:
        """Number of the season; for a track of the disc; for a show in a :class:`Folder` of the season that all
        episodes below it are of, where the server tells no key of it.
        """
        number = self._number(88)
        return None if number < 0 else number

    @property
    def episode(self) -> int | None:
        """Number of the episode or track."""
        number = self._number(92)
        return None if number < 0 else number

    @property
    def key_only(self) -> bool:
        """Only the key is known: a confirmed match of an item that no listing holds."""
        return bool(self._number(96) & c.ITEM_KEY_ONLY)

    def describe(self) -> str:
        """One line for people: ``Show – S01E02 – Title``, ``Title (1999)``, or the key when nothing else is known."""
        title = self.title
        if title is None:
            return self.key
        if self.kind == "show" and self.season is not None:
            return f"{title} – Season {self.season}"
        if self.show_title is not None:
            season, episode = self.season, self.episode
            number = f"S{season:02d}E{episode:02d}" if season is not None and episode is not None else None
            return " – ".join(part for part in (self.show_title, number, title) if part)
        return f"{title} ({self.year})" if self.year else title

    def to_dict(self) -> dict[str, object]:
        """All that it tells, by name, as JSON can hold it."""
        return {name: getattr(self, name) for name in _ITEM}

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Item):
            return NotImplemented
        return {**self.to_dict(), "path": None} == {**other.to_dict(), "path": None}

    def __hash__(self) -> int:
        return hash(self.key)

    def __getstate__(self) -> tuple[None, dict[str, object]]:
        # What it was asked of stays here.
        return None, {"_block": self._block, "_at": self._at, "_asked": None}

    def __repr__(self) -> str:
        return f"<plexindex.Item {self.key} {self.describe()!r}>"


class Match:
    """The answer for one path or GUID. True when it is a single item.

    ``key``, ``title`` and all that an :class:`Item` has are None when there is no single item; then ``reason`` says
    why, and ``candidates`` lists the items that fit equally well, best first.

    Two matches are equal when they say the same of the same items, however old they are. They can be pickled and be
    keys of a dict.
    """

    __slots__ = ("_answer", "_asked", "_at", "_block")

    def __init__(self, block: bytes | bytearray, at: int | None = None, asked: Asked | None = None) -> None:
        self._block, self._at, self._asked = block, at, asked
        self._answer: tuple[int, ...] | None = None

    def _read(self) -> tuple[int, ...]:
        # When it is first looked at: many answers are asked for one thing only, or for none.
        at = _head(self._block)[4] if self._at is None else self._at
        self._answer = _fields(self._block, at)
        return self._answer

    @property
    def status(self) -> str:
        """``"ok"``, ``"not_found"``, ``"ambiguous"``, ``"not_yet"`` (the deadline came first: ask again) or
        ``"needs_warm"`` (refresh the library once without a deadline); in a batch also the name of an error.
        """
        return c.STATUS_NAMES.get((self._answer or self._read())[0], "unknown")

    @property
    def rung(self) -> Rung:
        """What found it: ``"confirmed"``, ``"exact"``, ``"mapped"``, ``"suffix"``, ``"file_name"``, or ``"none"``."""
        return _name(c.RUNGS, (self._answer or self._read())[1])  # type: ignore[return-value]

    @property
    def confidence(self) -> Confidence:
        """``"high"``: this file's item, as far as anything that is known can tell. ``"low"``: verify it, or choose
        among the candidates. ``"none"``: there is none.
        """
        return _name(c.CONFIDENCES, (self._answer or self._read())[2])  # type: ignore[return-value]

    @property
    def reason_code(self) -> ReasonCode:
        """Why there is no single item: ``"no_location"``, ``"not_listed"``, ``"not_fetched"``, …; ``"none"``.

        Of a single item that was found by the end of its path, what speaks for it: ``"only_root_differs"`` (a mapping
        is missing) or ``"path_tells"`` (title with year or number), both high; or why it is low: ``"no_evidence"``,
        ``"contradicted"`` (another year, number or edition, or an extra), ``"not_listed"`` (a folder of Plex's).
        ``"several_episodes"``: one file has them all; the item is the first, and :attr:`candidates` has them in order.
        """
        return _name(c.REASONS, (self._answer or self._read())[3])  # type: ignore[return-value]

    @property
    def reason(self) -> str | None:
        """The same as a sentence for people; None when ``reason_code`` is ``"none"``."""
        offset, length = (self._answer or self._read())[9:11]
        return self._block[offset : offset + length].decode("utf-8", "surrogateescape") if offset else None

    @property
    def message(self) -> str:
        """:attr:`reason`, empty when there is none."""
        return self.reason or ""

    @property
    def stale(self) -> bool:
        """Whether the listing that answered has expired. It was not renewed: the server did not answer, or was not to
        be asked.
        """
        return bool((self._answer or self._read())[4] & c.ANSWER_STALE)

    @property
    def age(self) -> float | None:
        """Seconds since the listing that answered was last seen to be current; None: there is none."""
        milliseconds: int = (self._answer or self._read())[11]
        return None if milliseconds < 0 else milliseconds / 1000

    @property
    def item(self) -> Item | None:
        """The single item."""
        offset = (self._answer or self._read())[5]
        return Item(self._block, offset, self._asked) if offset else None

    @property
    def candidates(self) -> list[Item]:
        """The items that fit equally well, best first; a single item is the only candidate. Of a file with several
        episodes they are its episodes in order, and the first is the answer.
        """
        first, count = (self._answer or self._read())[6:8]
        step = _head(self._block)[2]
        return [Item(self._block, first + number * step, self._asked) for number in range(count)] if first else []

    @property
    def candidates_total(self) -> int:
        """How many candidates there are in all; ``candidates`` may hold fewer."""
        total: int = (self._answer or self._read())[8]
        return total

    @property
    def error(self) -> Error | None:
        """In a batch: what went wrong with this one path, ready to be raised."""
        status: int = (self._answer or self._read())[0]
        if status < c.FIRST_ERROR:
            return None
        from ._errors import error_for

        return error_for(status, self.reason or "")

    @property
    def key(self) -> str | None:
        """The item's key, ``/library/metadata/<rating key>``."""
        at = (self._answer or self._read())[5]
        if not at:
            return None
        # As Item.key, without the item: what most answers are asked for.
        offset, length = _text(self._block, at)
        return self._block[offset : offset + length].decode("utf-8", "surrogateescape")

    @property
    def rating_key(self) -> str | None:
        """The item's rating key: an opaque string."""
        item = self.item
        return None if item is None else item.rating_key

    @property
    def ratingKey(self) -> int | str | None:  # noqa: N802
        """The item's rating key as plexapi has it: a number where it is one."""
        item = self.item
        return None if item is None else item.ratingKey

    @property
    def title(self) -> str | None:
        """The item's title; for an episode the episode's."""
        item = self.item
        return None if item is None else item.title

    @property
    def guid(self) -> str | None:
        """The item's scalar GUID."""
        item = self.item
        return None if item is None else item.guid

    @property
    def show_title(self) -> str | None:
        """Title of the item's show or artist."""
        item = self.item
        return None if item is None else item.show_title

    @property
    def show_rating_key(self) -> str | None:
        """Rating key of the item's show or artist."""
        item = self.item
        return None if item is None else item.show_rating_key

    @property
    def kind(self) -> Kind | None:
        """The item's type: ``"movie"``, ``"episode"``, ``"track"``, ``"clip"``, ``"photo"`` or ``"unknown"``."""
        item = self.item
        return None if item is None else item.kind

    @property
    def year(self) -> int | None:
        """The item's year."""
        item = self.item
        return None if item is None else item.year

    @property
    def season(self) -> int | None:
        """Number of the item's season or disc."""
        item = self.item
        return None if item is None else item.season

    @property
    def episode(self) -> int | None:
        """Number of the item's episode or track."""
        item = self.item
        return None if item is None else item.episode

    @property
    def path(self) -> str | None:
        """The listed path that fitted, as the server spells it."""
        item = self.item
        return None if item is None else item.path

    @property
    def library(self) -> str | None:
        """Title of the item's library."""
        item = self.item
        return None if item is None else item.library

    def __bool__(self) -> bool:
        return bool((self._answer or self._read())[5])

    def to_dict(self) -> dict[str, object]:
        """All that it tells, by name, as JSON can hold it."""
        return {**self._value(), "age": self.age}

    def _value(self) -> dict[str, object]:
        item = self.item
        return {
            "status": self.status,
            "rung": self.rung,
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

    def __getstate__(self) -> tuple[None, dict[str, object]]:
        # What was asked stays here.
        return None, {"_block": self._block, "_at": self._at, "_answer": None, "_asked": None}

    def __repr__(self) -> str:
        item = self.item
        if item is not None:
            stale = ", stale" if self.stale else ""
            return f"<plexindex.Match {item.key} {item.describe()!r}: {self.rung}, {self.confidence}{stale}>"
        several = f" of {self.candidates_total}" if self.candidates_total else ""
        return f"<plexindex.Match {self.status}{several}: {self.reason}>"


class Folder(Match):
    """The answer for a folder: the show or artist that all files below it share, the season or album if all are of one,
    or the one item. True when it is one.

    Else ``candidates`` has those that are below it, 16 at most, and ``candidates_total`` their number. What a
    :class:`Match` has is of that one, but for :attr:`kind`.
    """

    __slots__ = ()

    @property
    def kind(self) -> Kind | None:
        """What the folder is: ``"show"``, ``"season"``, ``"artist"``, ``"album"``, or what the one item is; None where
        there is no single one.
        """
        return c.KINDS.get((self._answer or self._read())[14])  # type: ignore[return-value]

    @property
    def items(self) -> int:
        """How many items have a file below it; 0 where several folders fit by their end, and of a library that was
        never fetched.
        """
        count: int = (self._answer or self._read())[12]
        return count

    @property
    def files(self) -> int:
        """How many listed files are below it; 0 as :attr:`items`."""
        count: int = (self._answer or self._read())[13]
        return count

    def _value(self) -> dict[str, object]:
        value = super()._value()
        return {**value, "kind": self.kind, "items": self.items, "files": self.files}

    __hash__ = Match.__hash__

    def __repr__(self) -> str:
        shown = super().__repr__()
        return f"<plexindex.Folder{shown[len('<plexindex.Match') : -1]}, {self.items} items>"


def _name(names: tuple[str, ...], number: int) -> str:
    # A newer library may know more rungs and reasons than this package.
    return names[number] if number < len(names) else f"unknown_{number}"


class Matches(Sequence["Match"]):
    """The answers for a batch of paths, in their order. Each is read when it is looked at."""

    __slots__ = ("_asked", "_block", "_count", "_first", "_step")

    def __init__(self, block: bytes | bytearray, asked: Asked | None = None) -> None:
        self._block, self._asked = block, asked
        _, self._step, _, self._count, self._first, _ = _head(block)

    def __len__(self) -> int:
        return self._count

    if TYPE_CHECKING:

        @overload
        def __getitem__(self, index: int) -> Match: ...
        @overload
        def __getitem__(self, index: slice) -> list[Match]: ...

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return [self[number] for number in range(*index.indices(self._count))]
        if index < 0:
            index += self._count
        if not 0 <= index < self._count:
            raise IndexError(f"there are {self._count} answers")
        return Match(self._block, self._first + index * self._step, self._asked)

    def __iter__(self) -> Iterator[Match]:
        block, first, step, asked = self._block, self._first, self._step, self._asked
        for number in range(self._count):
            yield Match(block, first + number * step, asked)

    def counts(self) -> dict[str, int]:
        """How many answers have each status."""
        found: dict[str, int] = {}
        for match in self:
            found[match.status] = found.get(match.status, 0) + 1
        return found

    def __eq__(self, other: object) -> bool:
        return list(self) == list(other) if isinstance(other, Matches) else NotImplemented

    __hash__ = None  # type: ignore[assignment]

    def __getstate__(self) -> tuple[None, dict[str, object]]:
        return None, {**{name: getattr(self, name) for name in self.__slots__}, "_asked": None}

    def __repr__(self) -> str:
        counts = ", ".join(f"{count} {status}" for status, count in self.counts().items())
        return f"<plexindex.Matches {self._count}{': ' if counts else ''}{counts}>"


def log_lines(block: bytes | bytearray) -> int:
    """How many log lines waited when this block was written."""
    lines: int = _head(block)[5]
    return lines
