"""One library in an index."""

from __future__ import annotations

from time import monotonic

import plexindex

from ._core import Any, Iterable, Iterator, Mapping, T, convert
from ._core import abi as c
from ._core.callbacks import Stoppable
from ._core.selection import Selection, check_limits, key_bytes, selection_of, time_left
from ._core.session import Handle
from .edits import EditReport, edit
from .queries import Queries

__all__ = ["Facts", "Library"]


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

    def _fact(self, name: str, absent: T) -> T:
        raise NotImplementedError


class Library(Facts, Queries):
    """One library in an index. :meth:`Index.library` and :meth:`Index.libraries` return this object, which any thread
    can use. Libraries are equal if what selects them, and their open index, are equal; equal pickles share an index.

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

    def _fact(self, name: str, absent: T) -> T:
        facts: Any = next(iter(self._selection.facts()), {}) if self._facts is None else self._facts
        return facts.get(name, absent)  # type: ignore[no-any-return]

    def record_match(
        self,
        path: plexindex.types.PathArg,
        key: plexindex.types.KeyArg,
        *,
        timeout: float | None = None,
        through: bool = False,
        progress: plexindex.types.ProgressArg = None,
    ) -> None:
        """Records that a path belongs to the item with ``key``: a key, a rating key, or a plexindex or plexapi item.
        From then on, lookups in every process return the item; an unlisted one, once the server has confirmed it. The
        match never expires.

        Raises TimeoutError if the ``timeout`` passes first, and records nothing. Asks the server only about an unknown
        library, or raises OfflineError if the call must not ask. With ``through``, returns once the match is in the
        shared database, like :meth:`Shared.deliver`. After a TimeoutError, the match may be stored here, and is
        delivered later. After an InvalidArgumentError, nothing is recorded: the index does not share, or the path is
        neither in one of the library's folders nor under a mapping.

        >>> movies.record_match("/downloads/sintel.mkv", item)
        >>> movies.match("/downloads/sintel.mkv").match_kind
        'confirmed'
        """
        convert.path_bytes(path, self._session.hides_paths)  # an error of the batch would have a position
        self.record_matches([(path, key)], timeout=timeout, through=through, progress=progress)

    def record_matches(
        self,
        pairs: Iterable[tuple[plexindex.types.PathArg, plexindex.types.KeyArg]],
        *,
        timeout: float | None = None,
        through: bool = False,
        progress: plexindex.types.ProgressArg = None,
    ) -> None:
        """Records pairs of a path and a key, like :meth:`record_match`, all in one transaction.

        >>> movies.record_matches([("/downloads/a.mkv", "101"), ("/downloads/b.mkv", item)])
        >>> movies.match_paths(["/downloads/a.mkv", "/downloads/b.mkv"]).counts()
        {'found': 2}
        """
        convert.timeout_ms(timeout)
        convert.flag("through", through)
        try:
            pairs = list(pairs)
            if any(issubclass(kind, (str, bytes)) for kind in set(map(type, pairs))):
                raise ValueError("a string is not a pair")
            pairs = [(path, key) for path, key in pairs]
        except (TypeError, ValueError) as error:
            raise TypeError(f"each of the pairs must be a path and a key: {error}") from error
        given = [path for path, _ in pairs]
        paths = convert.join_paths(given, self._session.hides_paths)
        if paths.count(b"\0") != len(given):
            convert.check_paths(given, self._session.hides_paths)
        keys = b"".join([key_bytes(key, self._session) + b"\0" for _, key in pairs])
        left = convert.timeout_ms(self._learn(timeout, progress))
        texts = paths, len(paths), keys, len(keys), len(pairs), c.RECORD_THROUGH if through else 0, left
        self._session.ask(self._session.native.record_matches, *texts, target=self._handle)

    def _learn(self, timeout: float | None, progress: Any) -> float | None:
        """Asks the server about a library that the store does not contain, by a call that an interruption ends. Returns
        the time that is left.
        """
        begun, timeout = monotonic(), self._session.timeout if timeout is None else timeout
        check_limits(timeout, progress)
        if not self._handle.is_known and not self._selection.facts():
            self._selection.request("libraries.list", timeout, progress)
        self._handle.is_known = True
        return time_left(timeout, begun)

    def edit_items(
        self,
        keys: Iterable[plexindex.types.KeyArg],
        fields: Mapping[str, plexindex.types.FieldArg] | None = None,
        *,
        remove: Mapping[str, str | Iterable[str]] | None = None,
        locked: bool | None = True,
        timeout: float | None = None,
    ) -> EditReport:
        """Sets the same values for items of the library, with one request for each hundred items of a type.

        ``fields`` maps Plex's field names to values: a string or a number replaces the value, a list adds tags
        (``{"title": "A", "genre": ["Drama"]}``), and None changes only the lock. ``remove`` contains tags to remove.
        ``locked`` protects the fields from Plex's agents; False unlocks them, None keeps the locks. If an item does not
        exist, sends no edit and raises NotOnServerError. After a failed request, sends no more, and the error's
        ``report`` lists the edited items. The first lookup of an edited item requests the item once. Shows, seasons,
        artists and albums can be edited, too, and items show their new titles after a full refresh.

        plexapi sends the requests, by its batch edits; without plexapi, raises ImportError. ``timeout`` is checked
        between them; each has the index's own time limits or, after :func:`plexindex.from_server`, plexapi's. An index
        from :func:`plexindex.open` first sends one request more.

        >>> movies.edit_items([item], {"label": ["seen"]}).done
        ['101']
        """
        return edit(self._selection, keys, fields, remove, locked, timeout, Stoppable(None))

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
