"""One library in an index."""

from __future__ import annotations

import plexindex

from ._core import TYPE_CHECKING, Iterator
from ._core.selection import Selection, selection_of
from ._core.session import Handle
from .queries import Queries

if TYPE_CHECKING:
    from typing import Any, TypeVar

    Value = TypeVar("Value")


class Facts:
    """The facts of a :class:`Library`, and of an :class:`plexindex.aio.AsyncLibrary`, from the store."""

    __slots__ = ()

    @property
    def title(self) -> str:
        """Title. Two libraries can have the same title. This fact and the next four are empty if the store does not
        contain the library.
        """
        return self._fact("title", "")

    @property
    def section(self) -> str:
        """Section id, such as ``"1"``."""
        return self._fact("section", "")

    @property
    def uuid(self) -> str:
        """The library's uuid."""
        return self._fact("uuid", "")

    @property
    def kind(self) -> str:
        """Library type: ``"movie"``, ``"show"``, ``"artist"`` or ``"photo"``."""
        return self._fact("kind", "")

    @property
    def locations(self) -> tuple[str, ...]:
        """The library's folders, as paths on the server."""
        return tuple(self._fact("locations", ()))

    @property
    def item_count(self) -> int:
        """Number of listed items. 0 if the library was never fetched."""
        return self._fact("items", 0)

    @property
    def age(self) -> float | None:
        """Seconds since the listing was last known to be current. None if the library was never fetched completely."""
        milliseconds: float | None = self._fact("age_ms", None)
        return None if milliseconds is None else milliseconds / 1000

    @property
    def fresh(self) -> bool:
        """Whether the listing is current, so that answers from it are not stale."""
        return self._fact("fresh", False)

    @property
    def generation(self) -> int:
        """The listing's number, which changes only when the content changes. 0 if the library was never fetched."""
        return self._fact("generation", 0)

    def _fact(self, name: str, absent: Value) -> Value:
        raise NotImplementedError


class Library(Facts, Queries):
    """One library in an index. :meth:`Index.library` and :meth:`Index.libraries` return this object, which any thread
    can use. Libraries are equal if the index, or its pickle, and what selects the library are equal.

    The object keeps its index open. Iterate over it for its items. You can pickle a library. A process that unpickles
    the library opens the same folder with the same options. The pickle contains no token, so the process reads the
    token from its own configuration (:func:`plexindex.open`).

    The facts, from :attr:`title` to :attr:`generation`, come from the store and send no request. An object from
    :meth:`Index.libraries` has the facts of that call; any other object reads them at each use.
    """

    __slots__ = ("__weakref__", "_facts", "_index")

    def __init__(self, index: plexindex.Index, selection: Selection, facts: dict[str, Any] | None = None) -> None:
        super().__init__(selection)
        self._index, self._facts = index, facts

    @property
    def index(self) -> plexindex.Index:
        """The library's index."""
        return self._index

    def _fact(self, name: str, absent: Value) -> Value:
        facts: Any = next(iter(self._selection.facts()), {}) if self._facts is None else self._facts
        return facts.get(name, absent)  # type: ignore[no-any-return]

    def __iter__(self) -> Iterator[plexindex.Item]:
        return self.items()

    __contains__ = None  # otherwise `in` would compare all items with a path

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Library):
            return NotImplemented
        return self._session.origin is other._session.origin and self._handle.named == other._handle.named

    def __hash__(self) -> int:
        return hash((id(self._session.origin), repr(self._handle.named)))

    def __reduce__(self) -> tuple[Any, ...]:
        return _select_again, (self._index, self._handle.named)

    def __repr__(self) -> str:
        named = self._handle.named
        if self._facts is not None:
            shown = repr(self._facts["title"])
        elif isinstance(named, dict):
            shown = ", ".join(f"{name}={value!r}" for name, value in named.items())
        else:
            shown = repr(named)
        closed = "" if self._session.is_open else " (closed)"
        return f"<plexindex.Library {shown}{closed}>"


def _select_again(index: plexindex.Index, named: Any) -> Library:
    if not index.is_open:  # each call says why
        return Library(index, Selection(selection_of(index).session, Handle(named=named)))
    return index.library(**named) if isinstance(named, dict) else index.library(named)
