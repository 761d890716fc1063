"""The same index for ``asyncio``.

:func:`open` returns an :class:`AsyncIndex`, whose methods have the names of :class:`plexindex.Index` and run on at most
32 threads, and those that send no request on 32 others. Waits look at the store, and use a thread only to ask the
server. If you cancel a task, its call ends: a fetch ends within about 0.2 s, the index keeps the fetched part, and the
next call resumes it. A call that only writes to the store runs to its end. ``progress`` runs on the call's thread.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Generator
from functools import partial, wraps
from inspect import getdoc, signature
from time import monotonic
from typing import TYPE_CHECKING, Any, TypeVar

from . import index as sync
from ._core import abi as c
from ._core.callbacks import Stoppable
from ._core.selection import query_flags, selection_of
from ._core.threads import Caller, NoThreadError, Threads, Token, alone
from ._core.waits import Wait
from .changes import Change, Changes, FeedFacts, Pages, Watch
from .compare import Comparison, Difference
from .edits import EditReport, edit
from .item import Item
from .library import Facts, Library
from .match import Match
from .queries import Queries
from .shared import Shared
from .table import Table
from .types import PathArg, ProgressArg, SizeArg

if TYPE_CHECKING:
    from typing import Concatenate, ParamSpec

    P = ParamSpec("P")

T = TypeVar("T")

__all__ = [
    "AsyncChanges", "AsyncComparison", "AsyncIndex", "AsyncLibrary", "AsyncQueries", "AsyncShared", "AsyncTable",
    "AsyncWatch", "Opening", "open",
]  # fmt: skip


def _typed_as(
    method: Callable[Concatenate[Any, P], Any], returned: object = None
) -> Callable[[Callable[..., T]], Callable[Concatenate[Any, P], T]]:
    """Gives a method the arguments and the description of a synchronous method, and another type of the result."""

    def give(made: Any) -> Any:
        own, theirs = made.__doc__, (getdoc(method) or "").partition("\n\n>>>")[0]  # the examples have no `await`
        wraps(method)(made)
        made.__doc__ = "\n\n".join(filter(None, [own, theirs]))
        if returned is not None:
            made.__annotations__ = {**method.__annotations__, "return": returned}
            made.__signature__ = signature(method).replace(return_annotation=returned)
        return made

    return give


def _coroutine(method: Callable[Concatenate[Any, P], T]) -> Callable[Concatenate[Any, P], Coroutine[Any, Any, T]]:
    """Returns the coroutine function for a method, which needs only the store if it has no ``timeout``. A method that
    accepts ``progress`` ends with its task.
    """
    accepts = signature(method).parameters

    @_typed_as(method)
    async def call(self: Caller, *arguments: Any, **options: Any) -> Any:
        given = method, self._target, *arguments
        if "progress" in accepts:
            return await self._cancellable(*given, **options)
        if "timeout" in accepts or self._asks:
            return await self._threads.ask(Stoppable(None), *given, **options)
        return await self._threads.read(*given, **options)

    return call


def _items(method: Callable[Concatenate[Any, P], object]) -> Callable[Concatenate[Any, P], AsyncIterator[Item]]:
    """Returns the asynchronous iterator function for a generator of items that accepts ``progress``."""

    def items(self: Caller, *arguments: Any, **options: Any) -> Any:
        ends, stored = self._stoppable(options), options.get("offline") is True
        return self._each(method(self._target, *arguments, **options), ends, options.get("timeout"), stored=stored)

    return _typed_as(method, AsyncIterator[Item])(items)


def _made(
    kind: Callable[[Any, Threads], T], method: Callable[Concatenate[Any, P], Any]
) -> Callable[Concatenate[Any, P], T]:
    """Returns the function for a method that waits for nothing, and whose result has a twin of this kind."""
    give = _typed_as(method, kind)
    return give(lambda self, *given, **options: kind(method(self._target, *given, **options), self._threads))


class AsyncChanges(Caller, FeedFacts):
    """As :class:`plexindex.Changes`, for ``async for``."""

    _target: Changes

    def __init__(self, changes: Changes, threads: Threads) -> None:
        super().__init__(changes, threads)
        vars(self).update(vars(changes))

    def __aiter__(self) -> AsyncChanges:
        return self

    async def __anext__(self) -> Change:
        feed = self._feed
        while True:
            page = feed.page
            if (change := feed.next()) is not None:
                return change
            if not await self._threads.read(feed.turn, page):
                raise StopAsyncIteration


class AsyncWatch(Caller):
    """As :class:`plexindex.Watch`, for ``async for`` and ``async with``."""

    _target: Watch

    start = _coroutine(Watch.start)
    stop = _coroutine(Watch.stop)

    async def __aenter__(self) -> AsyncWatch:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def __aiter__(self) -> AsyncIterator[AsyncChanges]:
        pages, is_due = Pages(self._target), True
        pages.progress = ends = self._ends(pages.progress)
        try:
            with self._threads.waits.hear(asks=not pages.offline) as news:
                while not pages.is_over:
                    if is_due and pages.may_ask:
                        await self._threads.ask(ends, pages.ask, timeout=pages.left)
                    page = await self._threads.read(pages.turn)
                    if page is not None:
                        yield AsyncChanges(page, self._threads)
                        await asyncio.sleep(pages.pause)
                    is_due = await news.wait(0 if pages.is_over else pages.at - monotonic())
        finally:
            ends.stop()
            pages.end()


class AsyncComparison(Caller):
    """As :class:`plexindex.Comparison`, for ``async for``. A cancelled task ends the walk and the requests."""

    _target: Comparison

    @property
    def comparison(self) -> Comparison:
        """The comparison, with its counts."""
        return self._target

    def __aiter__(self) -> AsyncIterator[Difference]:
        return self._each(iter(self._target), self._target._stop)  # type: ignore[no-any-return]


class AsyncQueries(Caller):
    """The queries of an :class:`AsyncIndex`, about all libraries, and of an :class:`AsyncLibrary`, about one. Each is
    the method of :class:`plexindex.Queries` with its name.
    """

    __slots__ = ()
    _target: Queries

    @_typed_as(Queries.match)
    async def match(
        self,
        path: PathArg,
        *,
        size: SizeArg = None,
        timeout: float | None = None,
        offline: bool = False,
        check: bool = False,
        progress: ProgressArg = None,
    ) -> Match:
        """As :meth:`plexindex.Queries.match`. An answer that needs no waiting needs no thread."""
        if not check:
            flags = query_flags(offline, check) | c.QUERY_AT_ONCE
            found = selection_of(self._target).match(path, size, flags, timeout, progress)
            if found.status != "not_yet":
                await asyncio.sleep(0)  # so that many answers do not hold the event loop
                return found
        session, match = self._threads.session, partial(self._target.match, path, size=size)
        timeout = session.timeout if timeout is None else timeout
        ask = partial(self._cancellable, match, offline=offline, check=check, progress=progress)
        patience: float | None = session.recipe.options["stale_answer_timeout"]
        if not (check or offline) and patience is not None and (timeout is None or timeout > patience):
            try:
                return await ask(timeout=timeout, patience=patience)  # type: ignore[no-any-return]
            except NoThreadError:  # as if the server did not answer
                stored: Match = await self._threads.read(match, offline=True)
                if stored.reason != "not_fetched":
                    return stored
                timeout = None if timeout is None else timeout - patience
        return await ask(timeout=timeout)  # type: ignore[no-any-return]

    @_typed_as(Queries.lookup_key)
    def lookup_key(self, path: PathArg) -> str | None:
        """As :meth:`plexindex.Queries.lookup_key`, without a thread."""
        return self._target.lookup_key(path)

    lookup_keys = _coroutine(Queries.lookup_keys)

    @_typed_as(Queries.wait_for)
    async def wait_for(
        self, path: PathArg, *, timeout: float | None, every: float = 1.5, progress: Any = None, size: SizeArg = None
    ) -> Match:
        """As :meth:`plexindex.Queries.wait_for`. All waits for a library share its checks."""
        return await Wait(self, (path, size), timeout, every, progress).run()

    match_paths = _coroutine(Queries.match_paths)
    folder = _coroutine(Queries.folder)
    match_guid = _coroutine(Queries.match_guid)
    search_title = _coroutine(Queries.search_title)
    refresh = _coroutine(Queries.refresh)

    @_typed_as(Queries.changes, AsyncChanges)
    async def changes(self, *arguments: Any, **options: Any) -> AsyncChanges:
        """As :meth:`plexindex.Queries.changes`."""
        found = await self._cancellable(self._target.changes, *arguments, **options)
        return AsyncChanges(found, self._threads)

    items = _items(Queries.items)
    items_below = _items(Queries.items_below)
    item_facts = _coroutine(Queries.item_facts)
    shows = _coroutine(Queries.shows)
    seasons = _coroutine(Queries.seasons)
    invalidate_path = _coroutine(Queries.invalidate_path)
    invalidate_item = _coroutine(Queries.invalidate_item)
    invalidate = _coroutine(Queries.invalidate)
    refresh_items = _coroutine(Queries.refresh_items)

    watch = _made(AsyncWatch, Queries.watch)
    compare = _made(AsyncComparison, Queries.compare)


class AsyncLibrary(Facts, AsyncQueries):
    """As :class:`plexindex.Library`, for ``asyncio``. ``async for`` over it yields its items."""

    __slots__ = ()
    _target: Library

    @property
    def library(self) -> Library:
        """The library, with its fast lookups, which need no thread."""
        return self._target

    record_match = _coroutine(Library.record_match)
    record_matches = _coroutine(Library.record_matches)

    @_typed_as(Library.edit_items)
    async def edit_items(self, keys: Any, fields: Any = None, **options: Any) -> EditReport:
        """As :meth:`plexindex.Library.edit_items`. If the task is cancelled, a running request finishes, no other is
        sent, and the CancelledError's ``report``, from Python 3.11 on, lists the edited items.
        """
        ends, given = Stoppable(None), {"remove": None, "locked": True, "timeout": None, **options}
        call = partial(edit, selection_of(self._target), keys, fields, ends=ends)
        task, cancelled = asyncio.ensure_future(self._threads.ask(Stoppable(None), call, **given)), None
        while not task.done():
            try:
                await asyncio.wait([task])
            except asyncio.CancelledError as error:
                ends.stop()
                cancelled = error
        if cancelled is None:
            return task.result()  # type: ignore[no-any-return]
        found: Any = task.exception() or task.result()
        found = getattr(found, "report", None) if isinstance(found, BaseException) else found
        cancelled.report = found  # type: ignore[attr-defined]
        raise cancelled

    def _fact(self, name: str, absent: T) -> T:
        return self._target._fact(name, absent)

    def __aiter__(self) -> AsyncIterator[Item]:
        return self.items()

    def __eq__(self, other: object) -> bool:
        return self._target == other._target if isinstance(other, AsyncLibrary) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._target)


class AsyncTable(Caller):
    """As :class:`plexindex.Table`, for ``asyncio``, but without operators, ``keys``, ``values`` and ``items``. ``async
    for`` over it yields its names.
    """

    _target: Table

    @property
    def name(self) -> bytes:
        """The table's name."""
        return self._target.name

    get = _coroutine(Table.get)
    set = _coroutine(Table.set)
    delete = _coroutine(Table.delete)
    clear = _coroutine(Table.clear)
    add = _coroutine(Table.add)
    setdefault = _coroutine(Table.setdefault)
    pop = _coroutine(Table.pop)
    popitem = _coroutine(Table.popitem)

    def __aiter__(self) -> AsyncIterator[str]:
        return self._each(iter(self._target), Stoppable(None), stored=True)  # type: ignore[no-any-return]


class AsyncShared(Caller):
    """As :class:`plexindex.Shared`, for ``asyncio``."""

    _asks = True
    _target: Shared

    status = _coroutine(Shared.status)
    init = _coroutine(Shared.init)
    deliver = _coroutine(Shared.deliver)
    clear = _coroutine(Shared.clear)
    drop_old = _coroutine(Shared.drop_old)


class AsyncIndex(AsyncQueries):
    """As :class:`plexindex.Index`, for ``asyncio``. Close it with :meth:`close` or ``async with``."""

    __slots__ = ()
    _target: sync.Index

    def __init__(self, index: sync.Index) -> None:
        super().__init__(index, Threads(selection_of(index).session))

    @property
    def index(self) -> sync.Index:
        """The index, for other threads."""
        return self._target

    @property
    def cache_dir(self) -> str:
        """The folder of the index, as for :func:`plexindex.open`."""
        return self._target.cache_dir

    @property
    def is_open(self) -> bool:
        """Whether the index is open."""
        return self._target.is_open

    @_typed_as(sync.Index.libraries, list[AsyncLibrary])
    async def libraries(self, **options: Any) -> list[AsyncLibrary]:
        """As :meth:`plexindex.Index.libraries`."""
        found = await self._cancellable(self._target.libraries, **options)
        return [AsyncLibrary(library, self._threads) for library in found]

    library = _made(AsyncLibrary, sync.Index.library)
    table = _made(AsyncTable, sync.Index.table)
    clear = _coroutine(sync.Index.clear)
    notify = _coroutine(sync.Index.notify)
    set_token = _coroutine(sync.Index.set_token)
    call = _coroutine(sync.Index.call)
    stats = _coroutine(sync.Index.stats)
    proposals = _coroutine(sync.Index.proposals)
    server = _coroutine(sync.Index.server)
    store = _coroutine(sync.Index.store)

    @property
    def shared(self) -> AsyncShared:
        """As :attr:`plexindex.Index.shared`."""
        return AsyncShared(self._target.shared, self._threads)

    async def close(self) -> None:
        """As :meth:`plexindex.Index.close`, on a thread of its own, because closing waits for running calls."""
        self._threads.ends.stop()
        try:
            await asyncio.wrap_future(alone(self._target.close))
        finally:
            self._threads.shutdown()

    async def __aenter__(self) -> AsyncIndex:
        self._target.__enter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()


async def _open(options: dict[str, Any]) -> AsyncIndex:
    given: Any = options.get("token")
    ends = Stoppable(None)
    token = Token(given, options.get("timeout"), ends) if callable(given) else given
    opened = alone(partial(sync.open, **{**options, "token": token}))
    try:
        index = AsyncIndex(await asyncio.wrap_future(opened))
        index._threads.ends = ends
        return index
    except asyncio.CancelledError:
        opened.add_done_callback(lambda future: future.exception() or future.result().close())
        ends.stop()
        raise


class Opening:
    """An index that opens on a thread, from :func:`open`. Await it, or enter it with ``async with``."""

    def __init__(self, options: dict[str, Any]) -> None:
        self._opened = _open(options)  # Python warns if nothing awaits it, and refuses a second time
        self._index: AsyncIndex

    def __await__(self) -> Generator[Any, None, AsyncIndex]:
        return self._opened.__await__()

    async def __aenter__(self) -> AsyncIndex:
        self._index = await self
        return self._index

    async def __aexit__(self, *_: object) -> None:
        await self._index.close()

    if not TYPE_CHECKING:  # otherwise a type checker would read nothing after a forgotten `await`

        def __getattr__(self, name):
            raise AttributeError(f"an index that is not open yet has no {name!r}: await plexindex.aio.open(…) first")


def _opens_as(function: Callable[P, Any]) -> Callable[[Callable[..., T]], Callable[P, T]]:
    give: Any = _typed_as(function, Opening)
    return give  # type: ignore[no-any-return]


@_opens_as(sync.open)
def open(*arguments: Any, **options: Any) -> Opening:
    """As :func:`plexindex.open`: ``async with plexindex.aio.open(…) as index``, or ``index = await
    plexindex.aio.open(…)``. The ``token`` can also be a coroutine function, which runs in the event loop.
    """
    return Opening(signature(sync.open).bind(*arguments, **options).arguments)
