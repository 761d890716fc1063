"""An open index and its libraries.

Each question has one implementation, a method of :class:`Index` (most of them in ``_asking``). A :class:`Library` and
``asyncio`` have methods made from it.
"""

from __future__ import annotations

from . import _aio, _lazy_index
from . import _constants as c
from ._answers import Match
from ._asking import QuestionMethods
from ._changing import EditMethods
from ._errors import InvalidArgumentError
from ._items import Item
from ._library import Chosen
from ._reporting import ReportMethods

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from types import TracebackType
    from typing import Any, TypeVar, Union

    from typing_extensions import Concatenate, ParamSpec

    from ._callbacks import ProgressArg
    from ._feed import Change, Changes
    from ._library import Selected
    from ._types import PathArg

    LibraryArg = Union[str, int, "Library", None]
    P = ParamSpec("P")
    T = TypeVar("T")


class Index(QuestionMethods):
    """An open index: tells which Plex item a file is. Made by :func:`plexindex.open`, ended by :meth:`close` or `with`.

    Any number of threads may use it at once. A ``library`` is a title, a section id, a uuid, a :class:`Library`, or
    None for every library; a ``deadline`` is in seconds, None for the one given to ``open``, infinity for none, 0 for
    next to no time. A call that fetches tells ``progress`` (default: the one given to ``open``) how far it is. Ctrl-C
    ends the call, and so does ``progress`` when it raises or returns False; the next call goes on where it stopped.

    Under ``asyncio`` the methods that begin with ``a``, such as :meth:`amatch`, do the same on a thread of their
    own, where progress callbacks run too; :meth:`amatch` first gives an answer that waits for nothing, without a
    thread. ``async with`` closes the index.

    Every method raises :class:`ClosedError` once the index is closed.
    """

    @property
    def cache_dir(self) -> str:
        """The folder of the store."""
        return self._cache_dir

    def library(
        self, title: str | int | None = None, *, section: str | int | None = None, uuid: str | None = None
    ) -> Library:
        """A library by its title, its section id or its uuid; without any of them, every library at once.

        A text in the place of ``title`` is a uuid, else a title, else a section id, else a title without regard to
        case; a number is a section id. Fetches nothing. If the server does not have the library, the first question
        raises LibraryNotFoundError, which names those that exist. Raises LibraryAmbiguousError when two known libraries
        have the title.
        """
        if isinstance(title, int) and not isinstance(title, bool) and section is None:
            title, section = None, title
        for name, named, kind in (("title", title, "str or int"), ("uuid", uuid, "str")):
            if named is not None and not isinstance(named, str):
                raise TypeError(f"{name} must be {kind}, not {type(named).__name__}")
        title = None if title is None else str(title)
        section = None if section is None else str(section)
        given = [
            (selector, value, f"{name}{value!r}")
            for selector, value, name in (
                (c.SELECT_ANY, title, ""),
                (c.SELECT_SECTION, section, "section="),
                (c.SELECT_UUID, uuid, "uuid="),
            )
            if value is not None
        ]
        if len(given) > 1:
            raise InvalidArgumentError("give one of title, section and uuid")
        if not self._open:
            raise self._closed_error()
        selector, value, shown = given[0] if given else (c.SELECT_ALL, "", "(all)")
        chosen_by = {"title": title, "section": section, "uuid": uuid}
        return Library(self, self._select(selector, value), title, shown, chosen_by)

    def changes(
        self,
        since: str | None = None,
        library: LibraryArg = None,
        *,
        full: bool = False,
        check: bool = False,
        deadline: float | None = None,
        offline: bool = False,
        progress: ProgressArg = None,
    ) -> Changes:
        """What was added, removed, changed and moved since a cursor was given, in a library or all: iterate over it.

        The first call, without ``since``, gives the cursor of now; with ``full`` all items as additions, and then that
        cursor. The server is asked where a listing has expired, or, with ``check``, now, by one request; not if
        ``offline``. If it does not answer, known changes are given (:attr:`Changes.stale`); :attr:`Changes.age` says
        how old that is. Raises ListAgainError when what changed since is not known any more, after 64 MiB of
        changes: begin anew with ``full``. Raises TimeoutError when the deadline passed before anything was fetched, or,
        with ``full``, all. Cursors outlive processes. With a ``library`` a cursor of all becomes one of that library.
        """
        from . import _feed

        if since and full:
            raise InvalidArgumentError("a full listing begins without a cursor: leave since or full out")
        missed = None
        if not offline:
            missed = _feed.bring_up_to_date(self, library, deadline, progress, always=check, whole=full)
        if missed == "late" or (full and offline):
            _feed.expect_listed(self, library, late=missed == "late", whole=full)
        found = _feed.Changes(self, since, library, full)
        found._set_outcome(missed)
        return found

    def watch_changes(
        self,
        since: str | None = None,
        library: LibraryArg = None,
        *,
        timeout: float | None = None,
        offline: bool = False,
        progress: ProgressArg = None,
    ) -> Iterator[Change]:
        """What changes from now on, or since a cursor: waits for each next :class:`Change`. It ends after ``timeout``
        seconds in all, however many came; without a ``timeout`` never.

        What any process learns is seen within a tenth of a second. The server is asked when a listing has expired, and,
        with :meth:`watch`, when an event says that something changed. Ctrl-C ends it, and :meth:`close`, from
        another thread too, with a ClosedError. A server that does not answer is asked again after half a minute.
        """
        for found in self.watch_pages(since, library, timeout=timeout, offline=offline, progress=progress):
            yield from found

    def watch_pages(
        self,
        since: str | None = None,
        library: LibraryArg = None,
        *,
        timeout: float | None = None,
        offline: bool = False,
        progress: ProgressArg = None,
    ) -> Iterator[Changes]:
        """The same as :class:`Changes`, one each time that something may have changed: with their cursors, for a reader
        that goes on where it stopped. The first one comes at once. Iterate over each: what was not read comes again.
        """
        from . import _feed

        return _feed.watch(self, since, library, timeout, offline, progress)

    def wait_for(
        self,
        path: PathArg,
        library: LibraryArg = None,
        *,
        timeout: float | None,
        every: float = 10.0,
        progress: ProgressArg = None,
    ) -> Match:
        """Waits until Plex lists a file, such as one that was just imported: :meth:`match`, again and again.

        Returns the match once its confidence is high, and after ``timeout`` seconds the last answer, whatever it is;
        None waits for ever. The server is asked for changes once in ``every`` seconds: one request, two or more if
        something changed. Besides, the question for the file costs what :meth:`match` costs: three requests at most,
        and not again for half a minute. What another process has fetched is seen within a tenth of a second, and with
        :meth:`watch` an event makes it ask at once, so ``every`` may be long.

        Raises what :meth:`match` raises. While the server is away, an index that has listings goes on waiting.
        """
        from . import _feed

        return _feed.wait_for(self, path, library, timeout, every, progress)

    achanges = _aio.cancellable(changes)
    await_for = _aio.cancellable(wait_for)
    awatch_changes = _aio.async_iterator(watch_changes, at_once=1)
    awatch_pages = _aio.async_iterator(watch_pages, at_once=1)

    async def aclose(self) -> None:
        """:meth:`Index.close` on a thread of its own: it waits for calls that are in flight."""
        await _aio.run_on_thread(self.close)

    def __enter__(self) -> Index:
        if not self._open:
            raise self._closed_error()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    async def __aenter__(self) -> Index:
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    def __reduce__(self) -> tuple[Any, ...]:
        if self._recipe is None:
            raise TypeError("this index was not opened by plexindex.open(), so no other process can open it again")
        return self._recipe

    def __repr__(self) -> str:
        return f"<plexindex.Index {self._cache_dir!r} {'open' if self._open else 'closed'}>"


# Errors about arguments show these names.
for _methods in (QuestionMethods, EditMethods, ReportMethods):
    for _name, _method in vars(_methods).items():
        if hasattr(_method, "__qualname__"):
            _method.__qualname__ = f"Index.{_name}"


def _chosen_again(index: Index, chosen_by: dict[str, Any]) -> Library:
    return index.library(**chosen_by)


def _refuse(call: Any, library: Any, arguments: tuple[Any, ...], options: dict[str, Any]) -> None:
    """Raises the error about wrong arguments with the public name of the call."""
    import inspect

    try:
        inspect.signature(call).bind(library, *arguments, **options)
    except TypeError as error:
        raise TypeError(f"{call.__qualname__}(): {error}") from None


def _in_library(
    method: Callable[Concatenate[Index, P], T], name: str, what: str
) -> Callable[Concatenate[Library, P], T]:
    """A method of :class:`Library` that calls the method of its index with this library as ``library``."""

    def call(library: Any, /, *arguments: Any, **options: Any) -> Any:
        try:
            return method(library._index, *arguments, library=library, **options)
        except TypeError as error:
            if error.__traceback__ is not None and error.__traceback__.tb_next is None:
                _refuse(call, library, arguments, options)
            raise

    call.__name__, call.__qualname__, call.__module__ = name, f"Library.{name}", method.__module__
    call.__doc__ = f"{what}: :meth:`Index.{method.__name__}` in this library."
    call.__wrapped__ = _InLibrary(method)  # type: ignore[attr-defined]
    return call


class _InLibrary:
    """Stands for a method of :class:`Library` where inspect, and so ``help`` and editors, read its signature."""

    def __init__(self, method: Any) -> None:
        self._method = method

    def __call__(self) -> None:
        """Only functions have signatures."""

    @property
    def __signature__(self) -> Any:
        import inspect

        signature = inspect.signature(self._method)
        return signature.replace(parameters=[one for one in signature.parameters.values() if one.name != "library"])


class Library(Chosen):
    """A library of an index, or all of them. Made by :meth:`Index.library`; usable from any thread.

    It fetches nothing by itself and keeps its index open. Once the index is closed, every method raises
    :class:`ClosedError`.

    ``path in library`` and ``library[path]`` ask as :meth:`match` does, iterating and ``len`` as :meth:`items` does. A
    library can be pickled: another process opens the same folder with the same options. The token is not pickled; that
    process takes it from its configuration (:func:`plexindex.open`).
    """

    _index: Index

    def __init__(
        self, index: Index, selected: Selected, title: str | None, selector: str, chosen_by: dict[str, Any]
    ) -> None:
        super().__init__(index, selected)
        self._title = title
        self._selector = selector
        self._chosen_by = chosen_by
        # The fast path: an attribute of the instance hides the method below and costs no method call.
        self.__dict__["lookup_key"] = selected.lookup_for(index)
        # Not this object: the garbage collector does not see what the accelerator keeps.
        chosen = Chosen(index, selected)
        self.__dict__["lookup_keys"] = selected.lookup_keys_for(lambda paths: index._lookup_keys(chosen, paths))
        if type(self).match is _MATCH:
            match = selected.match_for(index, Match, _MATCH.__get__(chosen))
            if match is not None:
                self.__dict__["match"] = match

    @property
    def index(self) -> Index:
        """The index that it belongs to."""
        return self._index

    @property
    def _progress(self) -> ProgressArg:
        return self._index._progress

    @property
    def title(self) -> str | None:
        """The text by which it was selected, mostly its title; None when it was selected otherwise."""
        return self._title

    def lookup_key(self, path: PathArg) -> str | None:
        """The key of the item with this path, if a fast lookup knows it: the fast path, well under a microsecond.

        It never asks the server and never renews an expired listing. After a change it reads it, and waits for others
        some 200 ms at most. None does not mean that there is no item: nothing may be known yet, several items may
        fit, or the confidence may be low. :meth:`match` tells more.
        Raises InvalidArgumentError for an empty path and for one with a NUL.
        """
        return self._selected.lookup_for(self._index)(path)

    def lookup_keys(self, paths: Iterable[PathArg]) -> list[str | None]:
        """:meth:`lookup_key` for many paths at once, in their order; faster for each than one by one."""
        return self._index._lookup_keys(self, paths)

    def __contains__(self, path: PathArg) -> bool:
        """Whether :meth:`match` finds an item of a path with high confidence."""
        return self._index.match(path, self).confidence == "high"

    def __getitem__(self, path: PathArg) -> Item:
        """The item of a path that :meth:`match` finds with high confidence; else a KeyError with the reason."""
        match = self._index.match(path, self)
        if match.item is None or match.confidence != "high":
            raise KeyError(match.reason)
        return match.item

    def __iter__(self) -> Iterator[Item]:
        return self._index.items(self)

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __bool__(self) -> bool:
        # Always true: `len` would count the items.
        return True

    def __reduce__(self) -> tuple[Any, ...]:
        return _chosen_again, (self._index, self._chosen_by)

    def items(
        self, *, deadline: float | None = None, offline: bool = False, progress: ProgressArg = None
    ) -> Iterator[Item]:
        """Its items as the store has them: :meth:`Index.items` in this library."""
        return self._index.items(self, deadline=deadline, offline=offline, progress=progress)

    def refresh(
        self,
        full: bool = False,
        *,
        check: bool = False,
        deadline: float | None = None,
        progress: ProgressArg = None,
    ) -> bool:
        """Brings the library up to date now: :meth:`Index.refresh` in this library."""
        return self._index.refresh(self, full, check=check, deadline=deadline, progress=progress)

    def invalidate(self) -> None:
        """Invalidates the library: :meth:`Index.invalidate_library` in this library."""
        self._index.invalidate_library(self)

    match = _in_library(Index.match, "match", "Which item this file is")
    match_paths = _in_library(Index.match_paths, "match_paths", "Which items these files are")
    folder = _in_library(Index.folder, "folder", "Which show, season, artist, album or item this folder is")
    match_guid = _in_library(Index.match_guid, "match_guid", "The item with this GUID")
    search_title = _in_library(Index.search_title, "search_title", "The items with this title")
    changes = _in_library(Index.changes, "changes", "What changed since a cursor was given")
    watch_changes = _in_library(Index.watch_changes, "watch_changes", "What changes from now on")
    wait_for = _in_library(Index.wait_for, "wait_for", "Waits until Plex lists a file")
    items_below = _in_library(Index.items_below, "items_below", "The items with files below a folder")
    record_match = _in_library(Index.record_match, "record_match", "Confirms that the item with this key has this path")
    record_matches = _in_library(Index.record_matches, "record_matches", "Confirms many pairs of path and key at once")
    invalidate_path = _in_library(Index.invalidate_path, "invalidate_path", "Invalidates a path")
    invalidate_item = _in_library(Index.invalidate_item, "invalidate_item", "Invalidates an item and all its paths")
    edit_items = _in_library(Index.edit_items, "edit_items", "Gives items of the library the same values")

    def _match_at_once(self, path: PathArg) -> Match | None:
        return self._index._match_at_once(path, self)

    amatch = _aio.at_once_or_cancellable(match)
    amatch_paths = _aio.cancellable(match_paths)
    afolder = _aio.cancellable(folder)
    aitems_below = _aio.async_iterator(items_below)
    achanges = _aio.cancellable(changes)
    await_for = _aio.cancellable(wait_for)
    awatch_changes = _aio.async_iterator(watch_changes, at_once=1)
    arefresh = _aio.cancellable(refresh)

    def __repr__(self) -> str:
        closed = "" if self._index.is_open else " (closed)"
        return f"<plexindex.Library {self._selector}{closed}>"


# A derived class may override it.
_MATCH: Any = Library.match

_lazy_index.replace_all(Index, Library)
