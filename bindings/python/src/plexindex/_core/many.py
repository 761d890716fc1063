"""Answers for folders and for batches of paths."""

from __future__ import annotations

from _collections_abc import Iterator, Sequence

from ..match import FIRST, Match, words_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, overload

    from ..item import Asked
    from .types import Kind, PathArg


class Folder(Match):
    """The answer for a folder: the season, album, show or artist to which all files below the folder belong, or the
    single item. The object is true if there is a single answer.

    Otherwise, ``candidates`` contains at most 16 of the seasons, albums, shows, artists or items below the folder, and
    ``candidates_total`` is their total number.
    """

    __slots__ = ()

    @property
    def kind(self) -> Kind | None:
        """``"show"``, ``"season"``, ``"artist"``, ``"album"``, or the type of the single item. None if there is no
        single answer.
        """
        kind = (self._facts or self._read()).get("kind")
        return None if kind == "other" else kind

    @property
    def items(self) -> int:
        """Number of items with a file below the folder. 0 if several folders match by the end of their paths, or if
        plexindex has searched a never-fetched library for only one file.
        """
        return (self._facts or self._read())["items"]  # type: ignore[no-any-return]

    @property
    def files(self) -> int:
        """Number of listed files below the folder; 0 in the same cases as :attr:`items`."""
        return (self._facts or self._read())["files"]  # type: ignore[no-any-return]

    def _value(self) -> dict[str, object]:
        value = super()._value()
        return {**value, "kind": self.kind, "items": self.items, "files": self.files}

    __hash__ = Match.__hash__

    def __repr__(self) -> str:
        shown = super().__repr__()
        return f"<plexindex.Folder{shown[len('<plexindex.Match') : -1]}, {self.items} items>"


class Matches(Sequence["Match"]):
    """The answers for a batch of paths, in order. The object decodes each answer on first use."""

    __slots__ = ("_asked", "_block", "_count", "_first", "_paths", "_step")

    _count: int

    def __init__(self, block: bytes | bytearray, asked: Asked | None, paths: Sequence[PathArg]) -> None:
        self._block, self._asked, self._paths = block, asked, paths
        _, self._step, _, self._count, self._first, _ = words_of(block)[: FIRST + 2]

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
            raise IndexError(f"there are only {self._count} answers")
        return Match(self._block, self._first + index * self._step, self._asked, self._paths[index])

    def __iter__(self) -> Iterator[Match]:
        block, first, step, asked = self._block, self._first, self._step, self._asked
        for number, path in enumerate(self._paths):
            yield Match(block, first + number * step, asked, path)

    def counts(self) -> dict[str, int]:
        """Returns the number of answers for each status."""
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
