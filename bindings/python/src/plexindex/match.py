"""Answers: for one path, GUID or title, for a folder, and for a batch of paths.

An answer comes from JSON or from one of the library's blocks, which an answer decodes when a field is first used.
"""

from __future__ import annotations

import os
from warnings import warn

import plexindex

from ._core import TYPE_CHECKING, Iterator, Sequence, record_of
from ._core import abi as c
from ._core.answers import answer_facts, header, is_sure, item_facts, item_text, one_number, single_item, status_at
from ._core.convert import text_of
from .errors import Error, NoMatchError, error_for
from .item import Item
from .media import MatchedFile, file_of

if TYPE_CHECKING:
    from typing import Any, overload

    from ._core.selection import Selection
    from .types import PathArg


# The match kinds for a path that is itself listed, or recorded.
LISTED = ("confirmed", "exact", "mapped")


# Read alone, because most callers need only one of them.
_TEXTS = ("key", "rating_key", "title", "path")
_CANDIDATES, _MESSAGE = c.ANSWER["candidates"], c.ANSWER["message"]


class Match:
    """The answer for one path, GUID or title. A match is true if there is a single item, with high confidence.

    :attr:`sure` is this item, and ``key``, ``rating_key``, ``title``, ``kind``, ``path`` and ``light`` are its own;
    otherwise they are None. :attr:`likely` is a single item with low confidence. Without a single item, :attr:`reason`
    and :attr:`message` say why, and :attr:`candidates` lists the items that match equally well, best first.

    Two matches are equal if all fields except the asked path, the file and the age are equal. Matches can be pickled,
    and can be keys of a dict.
    """

    __slots__ = ("_base", "_block", "_facts", "_item", "_place", "_question", "_source")

    def __init__(
        self,
        source: Selection | None,
        question: PathArg | None,
        facts: Any = None,
        block: bytes | bytearray = b"",
        place: int = 0,
        base: int = 0,
    ) -> None:
        """``facts`` is the answer in JSON. Without it, the answer is at a place in a block."""
        self._source, self._question = source, question
        self._facts: dict[str, Any] | None = facts
        self._block, self._place, self._base = block, place, base
        self._item: Item | None = None

    def _read(self) -> dict[str, Any]:
        if self._facts is None:
            self._facts = answer_facts(self._block, self._place, self._base)
        return self._facts

    def _of_sure(self, name: str) -> Any | None:
        """Returns a field of the sure item; None without one."""
        if not self:
            return None
        if name in _TEXTS and self._block:
            return item_text(self._block, self._place, self._base, c.ITEM[name])
        return getattr(self._single(), name)

    def _items(self) -> list[Any]:
        facts = self._read()
        if "candidates" not in facts:
            facts["candidates"] = [item_facts(self._block, place, self._base) for place in facts["places"]]
        return facts["candidates"]  # type: ignore[no-any-return]

    @property
    def status(self) -> plexindex.types.Status:
        """``"found"``, ``"not_found"``, ``"ambiguous"``, ``"not_yet"`` (the timeout passed: retry) or ``"needs_warm"``
        (the server sent nothing before the timeout). In a batch, also the name of an error.

        ``"needs_warm"`` means that the library was never fetched, and the server needs more time: refresh the library
        once without a timeout. If the server never responds, the refresh would wait forever; :meth:`Index.server` with
        a timeout then raises TimeoutError.
        """
        return self._read()["status"]  # type: ignore[no-any-return]

    @property
    def match_kind(self) -> plexindex.types.MatchKind | None:
        """How plexindex found the item, such as ``"exact"``: :data:`plexindex.types.MatchKind`. None without one."""
        return self._read().get("match_kind")

    @property
    def confidence(self) -> plexindex.types.Confidence | None:
        """``"high"`` means that the file belongs to the item, as far as the index can tell. ``"low"`` means that you
        should verify the item, or choose among the candidates. None means that there is no item.
        """
        return self._read().get("confidence")

    @property
    def reason(self) -> plexindex.types.Reason | None:
        """Why there is no single item: ``"no_location"``, ``"not_listed"``, ``"not_fetched"``, …; otherwise None.

        For a path that is not listed, the reason is ``"same_file"`` if the confidence is high: the file name and the
        size are those of a listed file. For low confidence, the reason is ``"only_root_differs"`` (the size is
        unknown, or proves nothing), ``"size_differs"``, ``"same_size"`` (perhaps the file was renamed),
        ``"same_name"`` (a file with the same name, which may be a different file), ``"not_listed"`` (the file is in a
        library's folder, but not listed), or ``"no_location"`` (a file has a similar name). A listed path also has
        ``"size_differs"`` if you pass another ``size`` than Plex lists: the file was replaced, and Plex has not scanned
        it yet.
        ``"several_episodes"`` means that the file contains several episodes: the item is the first episode, and
        :attr:`candidates` contains all episodes in order.
        """
        return self._read().get("reason")

    @property
    def message(self) -> str:
        """:attr:`reason` as a sentence for people, or an empty string."""
        return self._read().get("message") or ""

    @property
    def stale(self) -> bool:
        """Whether the listing had expired, and plexindex did not ask the server or got no response."""
        return bool(self._read().get("stale"))

    @property
    def age(self) -> float | None:
        """Seconds since the listing was last known to be current. None without a listing, or if the clock went back."""
        milliseconds = self._read().get("age_ms")
        return None if milliseconds is None else milliseconds / 1000

    @property
    def asked(self) -> str | None:
        """The path, GUID or title to match, as the caller gave it."""
        try:
            return None if self._question is None else os.fsdecode(self._question)
        except UnicodeDecodeError:  # on Windows, for bytes that cannot be a file name
            return bytes(self._question).decode("utf-8", "surrogateescape")  # type: ignore[arg-type]

    def __bool__(self) -> bool:
        if self._block:
            return is_sure(self._block, self._place)
        return self._read()["status"] == "found" and self._read().get("confidence") == "high"

    @property
    def sure(self) -> Item | None:
        """The single item with high confidence, or None."""
        return self._single() if self else None

    @property
    def likely(self) -> Item | None:
        """The single item with low confidence, or None. The file may be another work: verify the item before you
        change it.
        """
        return None if self else self._single()

    def require(self) -> Item:
        """Returns :attr:`sure`. Raises NoMatchError with the :attr:`message` if it is None, or the :attr:`error`.

        >>> movies.match("/films/Sintel (2010).mkv").require()
        <plexindex.Item /library/metadata/101 'Sintel (2010)'>
        """
        item = self.sure
        if item is None:
            raise self.error or NoMatchError(self.message)
        return item

    @property
    def item(self) -> Item | None:
        """Deprecated: :attr:`sure`."""
        warn("Match.item is deprecated: use Match.sure, or Match.likely", DeprecationWarning, stacklevel=2)
        return self.sure

    def _single(self) -> Item | None:
        if self._item is None:
            if self._block:
                facts = single_item(self._block, self._place, self._base)
            else:
                facts = self._items()[0] if self._read()["status"] == "found" else None
            if facts is not None:
                self._item = Item(facts, self._source)
        return self._item

    @property
    def candidates(self) -> list[Item]:
        """The items that match equally well, best first. A single item is the only candidate. For a file with several
        episodes, the candidates are the episodes in order; the answer's item is the first episode.
        """
        return [Item(facts, self._source) for facts in self._items()]

    @property
    def candidates_total(self) -> int:
        """Number of candidates. ``candidates`` can contain fewer."""
        return self._read().get("total") or 0

    @property
    def error(self) -> Error | None:
        """In a batch, the error for this path, which you can raise. None if the path caused no error."""
        status = self._read().get("number", c.OK)
        if status < c.FIRST_ERROR:
            return None
        return error_for(status, self.message)

    @property
    def key(self) -> str | None:
        """The item's key, ``/library/metadata/<rating key>``."""
        return self._of_sure("key")

    @property
    def rating_key(self) -> str | None:
        """The item's rating key: an opaque string."""
        return self._of_sure("rating_key")

    @property
    def ratingKey(self) -> int | str | None:  # noqa: N802 - plexapi's name
        """The item's rating key as in plexapi: an int if the key is a number."""
        return self._of_sure("ratingKey")

    @property
    def title(self) -> str | None:
        """The item's title; for an episode, the episode title."""
        return self._of_sure("title")

    @property
    def kind(self) -> plexindex.types.Kind | None:
        """The item's type: ``"movie"``, ``"episode"``, ``"track"``, ``"clip"``, ``"photo"`` or ``"unknown"``."""
        return self._of_sure("kind")

    @property
    def path(self) -> str | None:
        """The listed path that matched, in the server's spelling."""
        return self._of_sure("path")

    @property
    def light(self) -> plexindex.LightItem | None:
        """The item with plexapi's attributes, see :attr:`Item.light`."""
        return self._of_sure("light")

    @property
    def file(self) -> MatchedFile | None:
        """The file of :attr:`sure` or :attr:`likely` that matched, as the index has it now. None for a GUID, a title or
        a recorded path that Plex does not list, or if Plex was not asked about files. Sends no request.
        """
        item = self._single()
        if item is None:
            return None
        facts = (self._items()[0] if self._block else self._read()).get("file")
        if facts is not None:
            path, is_optimized = text_of(facts["path"]) or "", facts.get("optimized", False)
            return record_of(MatchedFile, facts, path=path, optimized=is_optimized)
        return file_of(item.media, item.path) if self._block else None

    def to_dict(self) -> dict[str, object]:
        """Returns all fields by name, as JSON values. Without a :attr:`file` that only an open index knows.

        >>> movies.match("/films/Sintel (2010).mkv").to_dict()["item"]["year"]
        2010
        """
        try:
            file = self.file
        except Error:
            file = None
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

    def __eq__(self, other: object) -> bool:
        return self._value() == other._value() if isinstance(other, Match) else NotImplemented

    def __hash__(self) -> int:
        return hash((self.status, self.key))

    def __copy__(self, _memo: object = None) -> Match:
        return type(self)(self._source, self._question, self._facts, self._block, self._place, self._base)

    __deepcopy__ = __copy__

    def __reduce__(self) -> tuple[object, ...]:
        # The pickle does not contain the index.
        facts = None if self._block else self._facts
        return type(self), (None, self._question, facts, self._block, self._place, self._base)

    def __repr__(self) -> str:
        item = self._single()
        if item is not None:
            stale = ", stale" if self.stale else ""
            return f"<plexindex.Match {item.key} {item.describe()!r}: {self.match_kind}, {self.confidence}{stale}>"
        several = f" of {self.candidates_total}" if self.candidates_total else ""
        return f"<plexindex.Match {self.status}{several}: {self.message}>"


class FolderMatch(Match):
    """The answer for a folder: the season, album, show or artist to which all files below the folder belong, or the
    single item. The object is true if there is a single answer, with high confidence.

    Otherwise, ``candidates`` contains at most 16 of the seasons, albums, shows, artists or items below the folder, and
    ``candidates_total`` is their total number.
    """

    __slots__ = ()

    @property
    def items(self) -> int:
        """Number of items with a file below the folder. 0 if several folders match by the end of their paths, or if
        plexindex has searched a never-fetched library for only one file.
        """
        return self._read().get("items") or 0

    @property
    def files(self) -> int:
        """Number of listed files below the folder; 0 in the same cases as :attr:`items`."""
        return self._read().get("files") or 0

    def _value(self) -> dict[str, object]:
        value = super()._value()
        kind = self._read().get("kind")
        return {**value, "kind": None if kind == "other" else kind, "items": self.items, "files": self.files}

    def __repr__(self) -> str:
        shown = super().__repr__()
        return f"<plexindex.FolderMatch{shown[len('<plexindex.Match') : -1]}, {self.items} items>"


class Matches(Sequence["Match"]):
    """The answers for a batch of paths, in order. The object decodes each answer on first use."""

    __slots__ = ("_block", "_count", "_first", "_paths", "_source", "_step")

    _count: int

    def __init__(self, block: bytes | bytearray, source: Selection | None, paths: Sequence[PathArg]) -> None:
        self._block, self._source, self._paths = block, source, paths
        _, self._step, _, self._count, self._first = header(block)

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
        try:
            index = range(self._count)[index]
        except IndexError:
            raise IndexError(f"there is no answer {index}: the batch has {self._count}") from None
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
        return Match(self._source, self._paths[index], None, own, first, start - first - step)

    def counts(self) -> dict[str, int]:
        """Returns the number of answers for each status.

        >>> movies.match_paths([item.path, "/nowhere.mkv"]).counts()
        {'found': 1, 'not_found': 1}
        """
        found: dict[str, int] = {}
        for place in range(self._first, self._first + self._count * self._step, self._step):
            status = status_at(self._block, place)
            found[status] = found.get(status, 0) + 1
        return found

    def __eq__(self, other: object) -> bool:
        return self is other or list(self) == list(other) if isinstance(other, Matches) else NotImplemented

    __hash__: None = None  # type: ignore[assignment]

    def __reduce__(self) -> tuple[object, ...]:
        return Matches, (self._block, None, self._paths)

    def __repr__(self) -> str:
        counts = ", ".join(f"{count} {status}" for status, count in self.counts().items())
        return f"<plexindex.Matches {self._count}{': ' if counts else ''}{counts}>"
