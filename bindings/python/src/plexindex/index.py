"""An open index and its libraries.

Each lookup is implemented once, as a method of :class:`Index` (mostly in ``_asking``). From these methods, this module
creates the methods of :class:`Library` and the methods for ``asyncio``.
"""

from __future__ import annotations

from . import aio as _aio
from ._core import constants as c
from ._core import lazy_index as _lazy_index
from ._core.asking import QuestionMethods
from ._core.changing import EditMethods
from ._core.reporting import ReportMethods
from .errors import InvalidArgumentError
from .item import Item
from .library import Chosen
from .match import Match

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from types import TracebackType
    from typing import Any, TypeVar, Union

    from typing_extensions import Concatenate, ParamSpec

    from ._core.callbacks import ProgressArg
    from ._core.types import PathArg
    from .changes import Change, Changes
    from .library import Selected

    LibraryArg = Union[str, int, "Library", None]
    P = ParamSpec("P")
    T = TypeVar("T")


class Index(QuestionMethods):
    """An open index, which finds the Plex items for files. :func:`plexindex.open` creates an index. Close an index with
    :meth:`close` or ``with``.

    Any number of threads can use an index at once. A ``library`` is a title, a section id, a uuid, a :class:`Library`,
    or None for all libraries. A ``deadline`` is in seconds. None means the default from ``open``, infinity means no
    deadline, and 0 leaves hardly any time. Calls that fetch report their progress to ``progress``, or to the
    ``progress`` callback of ``open``. Ctrl-C ends a call, and so does a ``progress`` callback that raises an exception
    or returns False. The next call resumes the fetch.

    For ``asyncio``, the methods that begin with ``a``, such as :meth:`amatch`, do the same on a background thread,
    which also calls ``progress``. :meth:`amatch` needs no thread if it need not wait. ``async with`` closes the index.

    After :meth:`close`, every method raises :class:`ClosedError`.
    """

    @property
    def cache_dir(self) -> str:
        """The store's folder."""
        return self._cache_dir

    def library(
        self, title: str | int | None = None, *, section: str | int | None = None, uuid: str | None = None
    ) -> Library:
        """Returns a library by its title, section ID or uuid. Without arguments, the result means all libraries.

        The string ``title`` can also be a uuid or a section ID, and is not case-sensitive. A number is a section ID.
        Fetches nothing. If the server has no such library, the first lookup raises LibraryNotFoundError, which lists
        the existing libraries. Raises LibraryAmbiguousError if two known libraries have the title.
        """
        if isinstance(title, int) and not isinstance(title, bool) and section is None:
            title, section = None, title
        for name, value, wanted in (("title", title, "str or int"), ("uuid", uuid, "str")):
            if value is not None and not isinstance(value, str):
                raise TypeError(f"{name} must be {wanted}, not {type(value).__name__}")
        named = {"title": title, "section": section, "uuid": uuid}
        chosen_by = {name: None if value is None else str(value) for name, value in named.items()}
        given = [(name, value) for name, value in chosen_by.items() if value is not None]
        if len(given) > 1:
            raise InvalidArgumentError("give only one of title, section and uuid")
        if not self._open:
            raise self._closed_error()
        if not given:
            return Library(self, self._select(c.SELECT_ALL, ""), None, "(all)", chosen_by)
        ((name, selector),) = given
        kind = {"title": c.SELECT_ANY, "section": c.SELECT_SECTION, "uuid": c.SELECT_UUID}[name]
        shown = repr(selector) if name == "title" else f"{name}={selector!r}"
        return Library(self, self._select(kind, selector), chosen_by["title"], shown, chosen_by)

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
        """Returns the items that were added, removed, changed or moved since a cursor, in one library or all libraries.

        Without ``since``, the call returns only the current cursor. With ``full``, the call returns all items as
        additions, and then the cursor. The call asks the server if a listing has expired; with ``check``, it always
        sends one request, and with ``offline``, none. If the server does not answer, the call returns the known changes
        (see :attr:`Changes.stale` and :attr:`Changes.age`). A cursor remains valid after the process exits. If you
        combine a cursor for all libraries with a ``library``, the new cursor is only for that library.

        Raises ListAgainError if the store, which keeps 64 MiB of changes, no longer has the changes since the cursor:
        start again with ``full``. Raises TimeoutError if the deadline passes before any library (with ``full``, each
        library) is fetched.
        """
        from . import changes as _feed

        if since and full:
            raise InvalidArgumentError("a full listing starts without a cursor: omit since or full")
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
        """Waits for changes from now on, or since a cursor, and yields each :class:`Change`. Ends after ``timeout``
        seconds; without a ``timeout``, waits forever.

        Changes that any process detects arrive within a tenth of a second. plexindex asks the server when a listing has
        expired and, with :meth:`watch`, after an event. After a failure, plexindex retries in half a minute. Ctrl-C
        ends the iteration, and :meth:`close` ends it with a ClosedError.
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
        """Like :meth:`watch_changes`, but yields :class:`Changes` with their cursors, so that a reader can resume. The
        first object arrives immediately. Iterate over each object, because changes that you do not read come again.
        """
        from . import changes as _feed

        return _feed.watch(self, since, library, timeout, offline, progress)

    def wait_for(
        self,
        path: PathArg,
        library: LibraryArg = None,
        *,
        timeout: float | None,
        every: float = 1.5,
        progress: ProgressArg = None,
    ) -> Match:
        """Waits until Plex lists a file, such as a new import. Calls :meth:`match` repeatedly.

        Returns the match as soon as its confidence is high, or the last answer after ``timeout`` seconds. With a
        ``timeout`` of None, the call waits forever. plexindex asks the server for changes every ``every`` seconds, with
        one request, or more if something changed. After an event (:meth:`watch`) or a fetch by another process,
        plexindex looks at once, so ``every`` can be long.

        Raises the same errors as :meth:`match`. While the server is unreachable, an index with listings keeps waiting.
        """
        from . import changes as _feed

        return _feed.wait_for(self, path, library, timeout, every, progress)

    achanges = _aio.cancellable(changes)
    await_for = _aio.cancellable(wait_for)
    awatch_changes = _aio.async_iterator(watch_changes, at_once=1)
    awatch_pages = _aio.async_iterator(watch_pages, at_once=1)

    async def aclose(self) -> None:
        """Runs :meth:`Index.close` on a separate thread, because closing waits for running calls."""
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
            raise TypeError("cannot pickle an index that plexindex.open() did not open")
        return self._recipe

    def __repr__(self) -> str:
        return f"<plexindex.Index {self._cache_dir!r} {'open' if self._open else 'closed'}>"


# Python's error messages about wrong arguments contain these names.
for _methods in (QuestionMethods, EditMethods, ReportMethods):
    for _name, _method in vars(_methods).items():
        if hasattr(_method, "__qualname__"):
            _method.__qualname__ = f"Index.{_name}"


def _chosen_again(index: Index, chosen_by: dict[str, Any]) -> Library:
    return index.library(**chosen_by)


def _refuse(call: Any, library: Any, arguments: tuple[Any, ...], options: dict[str, Any]) -> None:
    """Raises the error about wrong arguments, with the method's public name."""
    import inspect

    try:
        inspect.signature(call).bind(library, *arguments, **options)
    except TypeError as error:
        raise TypeError(f"{call.__qualname__}(): {error}") from None


def _in_library(
    method: Callable[Concatenate[Index, P], T], name: str, what: str
) -> Callable[Concatenate[Library, P], T]:
    """Returns a method of :class:`Library` that calls ``method`` of the library's index with the library."""

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
    """Provides the signature of a method of :class:`Library` to ``inspect``, which ``help`` and editors use."""

    def __init__(self, method: Any) -> None:
        self._method = method

    def __call__(self) -> None:
        """Does nothing; only callable objects have signatures."""

    @property
    def __signature__(self) -> Any:
        import inspect

        signature = inspect.signature(self._method)
        return signature.replace(parameters=[one for one in signature.parameters.values() if one.name != "library"])


class Library(Chosen):
    """One library in an index, or all libraries. :meth:`Index.library` returns this object, which any thread can use.

    The object keeps its index open. ``path in library`` and ``library[path]`` call :meth:`match`; iteration and ``len``
    use :meth:`items`. You can pickle a library. A process that unpickles the library opens the same folder with the
    same options. The pickle contains no token, so the process reads the token from its own configuration
    (:func:`plexindex.open`).
    """

    _index: Index

    def __init__(
        self, index: Index, selected: Selected, title: str | None, selector: str, chosen_by: dict[str, Any]
    ) -> None:
        super().__init__(index, selected)
        self._title = title
        self._selector = selector
        self._chosen_by = chosen_by
        # The fast path: this instance attribute hides the method of the same name, and saves a method call.
        self.__dict__["lookup_key"] = selected.lookup_for(index)
        # Do not pass this object, because the garbage collector does not see the accelerator's references.
        chosen = Chosen(index, selected)
        self.__dict__["lookup_keys"] = selected.lookup_keys_for(lambda paths: index._lookup_keys(chosen, paths))
        if type(self).match is _MATCH:
            match = selected.match_for(index, Match, _MATCH.__get__(chosen))
            if match is not None:
                self.__dict__["match"] = match

    @property
    def index(self) -> Index:
        """The library's index."""
        return self._index

    @property
    def _progress(self) -> ProgressArg:
        return self._index._progress

    @property
    def title(self) -> str | None:
        """The string that selected the library, usually its title. None if it was a section ID or uuid."""
        return self._title

    def lookup_key(self, path: PathArg) -> str | None:
        """Returns the key of the item with this path, if a fast lookup finds the item. Takes well under a microsecond.

        A fast lookup never asks the server, and also uses expired listings. After a change in the store, the lookup
        reads the change, and waits at most 200 ms for other processes. None does not mean that no item exists: the
        library may not have been fetched, several items may match, or the confidence may be low. :meth:`match` says
        which is true. Raises InvalidArgumentError if the path is empty or contains a NUL.
        """
        return self._selected.lookup_for(self._index)(path)

    def lookup_keys(self, paths: Iterable[PathArg]) -> list[str | None]:
        """Looks up many paths at once, and returns their keys in order. Faster than calling :meth:`lookup_key` for
        each.
        """
        return self._index._lookup_keys(self, paths)

    def __contains__(self, path: PathArg) -> bool:
        """Returns whether :meth:`match` finds an item with high confidence."""
        return self._index.match(path, self).confidence == "high"

    def __getitem__(self, path: PathArg) -> Item:
        """Returns the item that :meth:`match` finds with high confidence, or raises KeyError with the reason."""
        match = self._index.match(path, self)
        if match.item is None or match.confidence != "high":
            raise KeyError(match.reason)
        return match.item

    def __iter__(self) -> Iterator[Item]:
        return self._index.items(self)

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __bool__(self) -> bool:
        # Without this method, Python would call `len`, which counts the items.
        return True

    def __reduce__(self) -> tuple[Any, ...]:
        return _chosen_again, (self._index, self._chosen_by)

    def items(
        self, *, deadline: float | None = None, offline: bool = False, progress: ProgressArg = None
    ) -> Iterator[Item]:
        """Yields this library's items from the store, like :meth:`Index.items`."""
        return self._index.items(self, deadline=deadline, offline=offline, progress=progress)

    def refresh(
        self,
        full: bool = False,
        *,
        check: bool = False,
        deadline: float | None = None,
        progress: ProgressArg = None,
    ) -> bool:
        """Refreshes this library, like :meth:`Index.refresh`."""
        return self._index.refresh(self, full, check=check, deadline=deadline, progress=progress)

    def invalidate(self) -> None:
        """Invalidates this library, like :meth:`Index.invalidate_library`."""
        self._index.invalidate_library(self)

    match = _in_library(Index.match, "match", "Returns the item of a file")
    match_paths = _in_library(Index.match_paths, "match_paths", "Returns the items of files")
    folder = _in_library(Index.folder, "folder", "Returns the show, season, artist, album or item of a folder")
    match_guid = _in_library(Index.match_guid, "match_guid", "Returns the item with a GUID")
    search_title = _in_library(Index.search_title, "search_title", "Returns the items with a title")
    changes = _in_library(Index.changes, "changes", "Returns the changes since a cursor")
    watch_changes = _in_library(Index.watch_changes, "watch_changes", "Waits for changes")
    wait_for = _in_library(Index.wait_for, "wait_for", "Waits until Plex lists a file")
    items_below = _in_library(Index.items_below, "items_below", "Yields the items with files below a folder")
    record_match = _in_library(Index.record_match, "record_match", "Records that a path belongs to an item")
    record_matches = _in_library(Index.record_matches, "record_matches", "Records many pairs of path and key")
    invalidate_path = _in_library(Index.invalidate_path, "invalidate_path", "Invalidates a path")
    invalidate_item = _in_library(Index.invalidate_item, "invalidate_item", "Invalidates an item and all its paths")
    edit_items = _in_library(Index.edit_items, "edit_items", "Sets the same values for items")

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


# A derived class can override this method.
_MATCH: Any = Library.match

_lazy_index.replace_all(Index, Library)
