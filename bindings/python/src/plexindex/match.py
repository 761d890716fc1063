"""Answers: for one path, GUID or title, for a folder, and for a batch of paths.

An answer comes from JSON or from one of the library's binary blocks, which an answer decodes when a field is first
used. A block contains a header, answers, items and strings, which refer to each other by offset.
``plexindex_answers``, ``plexindex_answer`` and ``plexindex_item`` in ``include/plexindex.h`` describe the layout.
"""

from __future__ import annotations

import os
from _collections_abc import Sequence  # `collections.abc` imports `collections`, 2 ms of each process
from _struct import Struct

import plexindex

from ._core import TYPE_CHECKING, importing
from ._core import abi as c
from ._core.convert import BlockFacts, ReadOnly, one_number, text_at

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any, overload

    from .item import Item, ItemSource
    from .types import PathArg

# The match kinds for a path that is itself listed, or recorded.
LISTED = ("confirmed", "exact", "mapped")

# A block's header, and an answer.
_HEADER, _ANSWER = Struct("=5i").unpack_from, Struct("=i4B6iq").unpack_from
_ITEM, _CANDIDATES, _MESSAGE = c.ANSWER["item"], c.ANSWER["candidates"], c.ANSWER["message"]


def _of_item(name: str, doc: str) -> ReadOnly[Any]:
    return ReadOnly(lambda match: match._item_field(name), doc)


class Match:
    """The answer for one path, GUID or title. A match is true if there is a single item, with high confidence.

    :attr:`sure` is this item; :attr:`likely` is a single item with low confidence. Without a single item, ``key``,
    ``title`` and all other fields of an :class:`Item` are None, :attr:`reason` and :attr:`message` say why, and
    :attr:`candidates` lists the items that match equally well, best first.

    Two matches are equal if all fields except the age are equal. Matches can be pickled, and can be keys of a dict.
    """

    __slots__ = ("_base", "_block", "_facts", "_offset", "_question", "_source")

    def __init__(
        self,
        block: bytes | bytearray,
        offset: int,
        source: ItemSource | None,
        question: PathArg | None,
        facts: dict[str, Any] | None = None,
        base: int = 0,
    ) -> None:
        self._block, self._offset, self._source, self._question = block, offset, source, question
        self._facts, self._base = facts, base

    @property
    def status(self) -> plexindex.types.Status:
        """``"found"``, ``"not_found"``, ``"ambiguous"``, ``"not_yet"`` (the timeout passed: retry) or ``"needs_warm"``
        (the server sent nothing before the timeout). In a batch, also the name of an error.

        ``"needs_warm"`` means that the library was never fetched, and the server needs more time: refresh the library
        once without a timeout. If the server never responds, the refresh would wait forever; :meth:`Index.server` with
        a timeout then raises TimeoutError.
        """
        return self._fact("status")  # type: ignore[no-any-return]

    @property
    def match_kind(self) -> plexindex.types.MatchKind:
        """``"confirmed"``, ``"exact"``, ``"mapped"``, ``"suffix"``, ``"file_name"``, or ``"none"``."""
        return self._fact("match_kind", "none")  # type: ignore[no-any-return]

    @property
    def confidence(self) -> plexindex.types.Confidence:
        """``"high"`` means that the file belongs to the item, as far as the index can tell. ``"low"`` means that you
        should verify the item, or choose among the candidates. ``"none"`` means that there is no item.
        """
        return self._fact("confidence", "none")  # type: ignore[no-any-return]

    @property
    def reason(self) -> plexindex.types.Reason:
        """Why there is no single item: ``"no_location"``, ``"not_listed"``, ``"not_fetched"``, …; otherwise ``"none"``.

        For a path that is not listed, the reason is ``"same_file"`` if the confidence is high: the file name and the
        size are those of a listed file. For low confidence, the reason is ``"only_root_differs"`` (the size is
        unknown, or proves nothing), ``"size_differs"``, ``"same_size"`` (perhaps the file was renamed),
        ``"same_name"`` (a file with the same name, which may be a different file), ``"not_listed"`` (the file is in a
        library's folder, but not listed),
        or ``"no_location"`` (a file has a similar name). A listed path also has ``"size_differs"`` if you
        pass another ``size`` than Plex lists: the file was replaced, and Plex has not scanned it yet.
        ``"several_episodes"`` means that the file contains several episodes: the item is the first episode, and
        :attr:`candidates` contains all episodes in order.
        """
        return self._fact("reason", "none")  # type: ignore[no-any-return]

    @property
    def message(self) -> str:
        """:attr:`reason` as a sentence for people, or an empty string."""
        return self._fact("message") or ""

    @property
    def stale(self) -> bool:
        """Whether the listing had expired, and plexindex did not ask the server or got no response."""
        return bool(self._fact("stale"))

    @property
    def age(self) -> float | None:
        """Seconds since the listing was last known to be current. None without a listing, or if the clock went back."""
        milliseconds: int | None = self._fact("age_ms")
        return None if milliseconds is None else milliseconds / 1000

    @property
    def asked(self) -> str | None:
        """The path, GUID or title to match, as the caller gave it."""
        try:
            return None if self._question is None else os.fsdecode(self._question)
        except UnicodeDecodeError:  # on Windows, for bytes that cannot be a file name
            return bytes(self._question).decode("utf-8", "surrogateescape")  # type: ignore[arg-type]

    @property
    def sure(self) -> plexindex.Item | None:
        """The single item with high confidence, or None."""
        return self._single() if self else None

    @property
    def likely(self) -> plexindex.Item | None:
        """The single item with low confidence, or None. The file may be another work: verify the item before you
        change it.
        """
        return None if self else self._single()

    def require(self) -> plexindex.Item:
        """Returns :attr:`sure`. Raises NoMatchError with the :attr:`message` if it is None, or the :attr:`error`.

        >>> movies.match("/films/Sintel (2010).mkv").require()
        <plexindex.Item /library/metadata/101 'Sintel (2010)'>
        """
        item = self.sure
        if item is None:
            raise self.error or plexindex.NoMatchError(self.message)
        return item

    @property
    def item(self) -> plexindex.Item | None:
        """The single item, or None. Its confidence can be low. Deprecated: use :attr:`sure` or :attr:`likely`."""
        with importing:
            from warnings import warn

        warn("Match.item can have low confidence: use Match.sure or Match.likely", DeprecationWarning, stacklevel=2)
        return self._single()

    def _single(self) -> Item | None:
        return plexindex.Item(self._item_facts()[0], self._source) if self._fact("status") == "found" else None

    @property
    def candidates(self) -> list[plexindex.Item]:
        """The items that match equally well, best first. A single item is the only candidate. For a file with several
        episodes, the candidates are the episodes in order; the answer's item is the first episode.
        """
        return [plexindex.Item(facts, self._source) for facts in self._item_facts()]

    candidates_total: ReadOnly[int] = ReadOnly(
        lambda match: match._fact("total", 0), "Number of candidates. ``candidates`` can contain fewer."
    )

    @property
    def error(self) -> plexindex.Error | None:
        """In a batch, the error for this path, which you can raise. None if the path caused no error."""
        status: int = self._fact("number", c.OK)
        if status < c.FIRST_ERROR:
            return None
        with importing:
            from .errors import error_for

        return error_for(status, self.message)

    @property
    def key(self) -> str | None:
        """The item's key, ``/library/metadata/<rating key>``."""
        if not self._block:
            item = self._single()
            return None if item is None else item.key
        # Without decoding the other fields, because most callers need only the key, which is an item's first field.
        block = self._block
        (place,) = one_number(block, self._offset + _ITEM)
        return text_at(block, place - self._base, self._base) if place else None

    rating_key: ReadOnly[str | None] = _of_item("rating_key", "The item's rating key: an opaque string.")

    @property
    def ratingKey(self) -> int | str | None:  # noqa: N802 - plexapi's name
        """The item's rating key as in plexapi: an int if the key is a number."""
        return self._item_field("ratingKey")  # type: ignore[no-any-return]

    title: ReadOnly[str | None] = _of_item("title", "The item's title; for an episode, the episode title.")

    @property
    def kind(self) -> plexindex.types.Kind | None:
        """The item's type: ``"movie"``, ``"episode"``, ``"track"``, ``"clip"``, ``"photo"`` or ``"unknown"``."""
        return self._item_field("kind")  # type: ignore[no-any-return]

    year: ReadOnly[int | None] = _of_item("year", "The item's year.")
    guid: ReadOnly[str | None] = _of_item("guid", "The item's scalar GUID.")
    show_title: ReadOnly[str | None] = _of_item("show_title", "Title of the item's show or artist.")
    show_rating_key: ReadOnly[str | None] = _of_item("show_rating_key", "Rating key of the item's show or artist.")
    season: ReadOnly[int | None] = _of_item("season", "Number of the item's season or disc.")
    episode: ReadOnly[int | None] = _of_item("episode", "Number of the item's episode or track.")

    @property
    def file(self) -> plexindex.MatchedFile | None:
        """The item's file that matched, as the index has it now. None without a single item, for a GUID, a title or a
        recorded path that Plex does not list, or if Plex was not asked about files. Sends no request.
        """
        item = self._single() if self._block else None
        if item is None:
            return None
        with importing:
            from .media import file_at, file_of

        (place,) = one_number(self._block, self._item_facts()[0].place + c.ITEM["file"])
        if not place:
            return file_of(item.media, item.path)
        return file_at(self._block, place - self._base, self._base, item.path or "")

    path: ReadOnly[str | None] = _of_item("path", "The listed path that matched, in the server's spelling.")
    library: ReadOnly[str | None] = _of_item("library", "Title of the item's library.")
    light: ReadOnly[plexindex.LightItem | None] = _of_item(
        "light", "The item with plexapi's attributes: :attr:`Item.light`."
    )

    def __bool__(self) -> bool:
        return bool(self._fact("status") == "found" and self._fact("confidence") == "high")

    def to_dict(self) -> dict[str, object]:
        """Returns all fields by name, as JSON values. Without :attr:`file` if the match was pickled.

        >>> movies.match("/films/Sintel (2010).mkv").to_dict()["item"]["year"]
        2010
        """
        file = None if self._source is None else self.file
        return {"asked": self.asked, **self._value(), "file": file and vars(file), "age": self.age}

    def _value(self) -> dict[str, object]:
        item = self._single()
        return {
            "status": self.status,
            "match_kind": self.match_kind,
            "confidence": self.confidence,
            "stale": self.stale,
            "item": None if item is None else item.to_dict(),
            "candidates": [candidate.to_dict() for candidate in self.candidates],
            "candidates_total": self.candidates_total,
            "reason": self.reason,
            "message": self.message,
        }

    def _fact(self, name: str, default: Any = None) -> Any:
        return (self._facts or self._read()).get(name, default)

    def _item_field(self, name: str) -> Any:
        return getattr(self._single(), name, None)

    def _read(self) -> dict[str, Any]:
        # The names are those in a JSON answer.
        block = self._block
        answer = _ANSWER(block, self._offset)
        status, match_kind, confidence, reason, flags, _, first, count, total, _, _, age = answer
        step, base = _HEADER(block)[2], self._base
        first -= base if first else 0
        self._facts = facts = {
            "number": status,
            "status": "found" if status == c.OK else c.STATUS_NAMES.get(status, "unknown"),
            "match_kind": _name(c.MATCH_KINDS, match_kind),
            "confidence": _name(c.CONFIDENCES, confidence),
            "reason": _name(c.REASONS, reason),
            "message": text_at(block, self._offset + _MESSAGE, base),
            "stale": bool(flags & c.ANSWER_STALE),
            "age_ms": None if age < 0 else age,
            "places": range(first, first + count * step, step) if first else (),
            "total": total,
        }
        return facts

    def _item_facts(self) -> list[Any]:
        facts = self._facts or self._read()
        items: list[Any] | None = facts.get("candidates")
        if items is None:
            places = facts.get("places", ())
            items = facts["candidates"] = [BlockFacts(self._block, place, self._base) for place in places]
        return items

    def __eq__(self, other: object) -> bool:
        return self._value() == other._value() if isinstance(other, Match) else NotImplemented

    def __hash__(self) -> int:
        return hash((self.status, self.key))

    def __copy__(self, _memo: object = None) -> Match:
        return type(self)(self._block, self._offset, self._source, self._question, self._facts, self._base)

    __deepcopy__ = __copy__

    def __getstate__(self) -> tuple[None, dict[str, object]]:
        # The pickle does not contain the index.
        return None, {
            "_block": self._block,
            "_base": self._base,
            "_offset": self._offset,
            "_facts": None if self._block else self._facts,
            "_source": None,
            "_question": self._question,
        }

    def __repr__(self) -> str:
        item = self._single()
        if item is not None:
            stale = ", stale" if self.stale else ""
            return f"<plexindex.Match {item.key} {item.describe()!r}: {self.match_kind}, {self.confidence}{stale}>"
        several = f" of {self.candidates_total}" if self.candidates_total else ""
        return f"<plexindex.Match {self.status}{several}: {self.message}>"


def _name(names: tuple[str | None, ...], number: int) -> str:
    # A newer library can return match kinds and reasons that this package does not know.
    return (names[number] if number < len(names) else None) or f"unknown_{number}"


class FolderMatch(Match):
    """The answer for a folder: the season, album, show or artist to which all files below the folder belong, or the
    single item. The object is true if there is a single answer, with high confidence.

    Otherwise, ``candidates`` contains at most 16 of the seasons, albums, shows, artists or items below the folder, and
    ``candidates_total`` is their total number.
    """

    __slots__ = ()

    @property
    def kind(self) -> plexindex.types.Kind | None:
        """``"show"``, ``"season"``, ``"artist"``, ``"album"``, or the type of the single item. None if there is no
        single answer.
        """
        kind = self._fact("kind")
        return None if kind == "other" else kind

    @property
    def items(self) -> int:
        """Number of items with a file below the folder. 0 if several folders match by the end of their paths, or if
        plexindex has searched a never-fetched library for only one file.
        """
        return self._fact("items")  # type: ignore[no-any-return]

    @property
    def files(self) -> int:
        """Number of listed files below the folder; 0 in the same cases as :attr:`items`."""
        return self._fact("files")  # type: ignore[no-any-return]

    def _value(self) -> dict[str, object]:
        value = super()._value()
        return {**value, "kind": self.kind, "items": self.items, "files": self.files}

    __hash__ = Match.__hash__

    def __repr__(self) -> str:
        shown = super().__repr__()
        return f"<plexindex.FolderMatch{shown[len('<plexindex.Match') : -1]}, {self.items} items>"


class Matches(Sequence["Match"]):
    """The answers for a batch of paths, in order. The object decodes each answer on first use."""

    __slots__ = ("_block", "_count", "_first", "_paths", "_source", "_step")

    _count: int

    def __init__(self, block: bytes | bytearray, source: ItemSource | None, paths: Sequence[PathArg]) -> None:
        self._block, self._source, self._paths = block, source, paths
        _, self._step, _, self._count, self._first = _HEADER(block)

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
        index = range(self._count)[index]
        return self._answer(index, self._start(index), self._start(index + 1))

    def __iter__(self) -> Iterator[Match]:
        end = self._start(0)
        for number in range(self._count):
            start, end = end, self._start(number + 1)
            yield self._answer(number, start, end)

    def _start(self, index: int) -> int:
        """Returns the place of the items and strings of an answer, which follow those of the answer before."""
        block, place = self._block, self._first + index * self._step
        for answer in range(place, self._first + self._count * self._step, self._step):
            start: int = one_number(block, answer + _CANDIDATES)[0] or one_number(block, answer + _MESSAGE)[0]
            if start:
                return start
        return len(block)

    def _answer(self, index: int, start: int, end: int) -> Match:
        """Returns an answer with a copy of its part of the block, so that it does not keep the whole batch."""
        block, first, step = self._block, self._first, self._step
        place = first + index * step
        own = b"".join((block[:first], block[place : place + step], block[start:end]))
        return Match(own, first, self._source, self._paths[index], base=start - first - step)

    def counts(self) -> dict[str, int]:
        """Returns the number of answers for each status.

        >>> movies.match_paths([item.path, "/nowhere.mkv"]).counts()
        {'found': 1, 'not_found': 1}
        """
        found: dict[str, int] = {}
        for match in self:
            found[match.status] = found.get(match.status, 0) + 1
        return found

    def __eq__(self, other: object) -> bool:
        return list(self) == list(other) if isinstance(other, Matches) else NotImplemented

    __hash__ = None  # type: ignore[assignment]

    def __getstate__(self) -> tuple[None, dict[str, object]]:
        return None, {**{name: getattr(self, name) for name in self.__slots__}, "_source": None}

    def __repr__(self) -> str:
        counts = ", ".join(f"{count} {status}" for status, count in self.counts().items())
        return f"<plexindex.Matches {self._count}{': ' if counts else ''}{counts}>"
