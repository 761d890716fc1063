"""The same index for ``asyncio``.

:func:`open` returns an :class:`AsyncIndex`, whose methods have the names of :class:`plexindex.Index` and run on at most
32 threads. All waits and watches of an index share one further thread, so a fetch of one delays the others. If you
cancel a task, its call ends: a fetch ends within about a tenth of a second, the index keeps the fetched part, and the
next call resumes it. A call that only writes to the store runs to its end. ``progress`` runs on the call's thread.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeout
from contextlib import suppress
from contextvars import copy_context
from functools import partial, wraps
from inspect import getdoc, iscoroutine, signature
from itertools import islice
from math import inf
from time import monotonic, sleep
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from . import index as sync
from ._core import abi as c
from ._core import convert
from ._core.callbacks import Stoppable
from ._core.selection import query_flags, selection_of
from .changes import Pages, Watch
from .compare import Comparison
from .edits import edit
from .errors import AbortedError, ClosedError, Error, ServerUnavailableError, StoreError, TimeoutError
from .item import Item
from .library import Library
from .match import Match
from .queries import Queries
from .shared import Shared
from .table import Table

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Generator
    from typing import Concatenate, ParamSpec

    from ._core.session import Session
    from .changes import Changes
    from .compare import Difference
    from .edits import EditReport
    from .types import PathArg, ProgressArg, SizeArg

    P = ParamSpec("P")

T = TypeVar("T")

__all__ = [
    "AsyncComparison", "AsyncIndex", "AsyncLibrary", "AsyncQueries", "AsyncShared", "AsyncTable", "AsyncWatch",
    "Opening", "open",
]  # fmt: skip

# Maximum number of threads of an index.
_THREADS = 32
# Minimum number of seconds in which a free thread begins a call.
_UNTIL_BEGUN = 0.2
# Maximum number of values that a thread passes to the event loop at once.
_AT_ONCE = 1000
# The time at which the call of a thread ends, for the token that it needs.
_ends_at = threading.local()
# Seconds between two looks of a wait for a file, and between two tries of an index that cannot tell what changes.
_BETWEEN_LOOKS = 0.2


class _Threads(ThreadPoolExecutor):
    """The threads of an index."""

    def __init__(self, session: Session) -> None:
        super().__init__(_THREADS, thread_name_prefix="plexindex")
        self.session, self.waits = session, _Waits(session)
        self.tokens: set[Future[Any]] = set()
        """The host's coroutines that return a token now."""


class _Wait:
    """A wait for a file or for a watch's next page, on the thread that all waits of an index share."""

    def __init__(self, look: Callable[[_Wait, bool], Any], *, asks: bool = True) -> None:
        """``look`` returns what the wait is for, or None, and can set ``at``, the time of the next look. ``asks``:
        whether it can send requests.
        """
        self.look, self.asks, self.at, self.future, self._context = look, asks, 0.0, Future[Any](), copy_context()
        self.future.set_running_or_notify_cancel()  # so that a cancelled task does not end the thread

    def go_on(self, *, is_due: bool) -> bool:
        """Looks, because something has changed or is due, or because it is time. Returns whether to go on waiting."""
        try:
            found = self._context.run(self.look, self, is_due)
            if found is not None:
                self.future.set_result(found)
            return found is None
        except BaseException as error:
            self.future.set_exception(error)
            return False


class _Waits:
    """The waits of an index, for which one thread looks after each change in the store."""

    def __init__(self, session: Session) -> None:
        self._session, self._lock, self._waits = session, threading.Lock(), list[_Wait]()
        self._sleep, self._is_running = Stoppable(None), False
        self.checked: dict[int, float] = {}
        """When a wait asked the server for changes of a library, by the id of its handle."""

    def add(self, wait: _Wait) -> None:
        with self._lock:
            if not self._is_running:
                threading.Thread(target=self._run, name="plexindex-wait", daemon=True).start()
            self._is_running = True
            self._waits.append(wait)
        self._sleep.stop()
        with suppress(ClosedError):  # the wait says so
            self._session.ask(self._session.native.wake_waiting)

    def remove(self, wait: _Wait) -> None:
        with self._lock, suppress(ValueError):
            self._waits.remove(wait)

    def _run(self) -> None:
        cursor: str | None = None
        while True:
            with self._lock:
                waits, self._sleep.stopped = list(self._waits), False
                self._is_running = bool(waits)
            if not waits:
                return
            try:
                is_due, cursor = self._next_change(cursor, waits)
            except BaseException as error:
                cursor = None
                for wait in waits:
                    wait.future.set_exception(error)
                    self.remove(wait)
                continue
            for wait in waits:
                if (is_due or wait.at <= monotonic()) and not wait.go_on(is_due=is_due):
                    self.remove(wait)

    def _next_change(self, cursor: str | None, waits: list[_Wait]) -> tuple[bool, str | None]:
        """Waits until a change or a due refresh, a new wait, or the time of a look. Returns whether something has
        changed or is due, and a cursor of the feed, which begins before the looks that follow.
        """
        request, left = self._session.request, min(wait.at for wait in waits) - monotonic()
        given = {"cursor": cursor, "offline": not any(wait.asks for wait in waits)}
        try:
            if cursor and (left <= 0 or not request("changes.wait", left, self._sleep, **given)["ready"]):
                return False, cursor
            return True, request("changes.list", limit=1)["cursor"]
        except AbortedError:
            return False, cursor
        except Error as error:
            if isinstance(error, (ClosedError, StoreError)):
                raise
            sleep(max(0.0, min(left, _BETWEEN_LOOKS)))  # such as a feed that begins anew
            return True, None


class _Caller:
    """Calls an index's or a library's methods on threads."""

    __slots__ = ("__weakref__", "_target", "_threads")

    def __init__(self, target: Any, threads: _Threads) -> None:
        self._target, self._threads = target, threads

    async def _run(
        self,
        call: Callable[..., Any],
        *arguments: Any,
        ends: Stoppable | Comparison | None = None,
        **options: Any,
    ) -> Any:
        """Makes a call on a thread. The time until a thread is free counts towards the timeout.

        If no thread is free before the timeout, raises TimeoutError. Cancelling the task stops ``ends``.
        """
        began, timeout = monotonic(), options.get("timeout")
        convert.timeout_ms(timeout)

        def run() -> Any:
            _ends_at.time = None if timeout is None else began + timeout
            if timeout is not None:
                options["timeout"] = max(_ends_at.time - monotonic(), 0)
            return call(*arguments, **options)

        try:
            future = self._threads.submit(copy_context().run, run)
        except RuntimeError:  # the index is closed
            raise self._threads.session.closed_error() from None
        result = asyncio.wrap_future(future)
        try:
            if timeout is not None and timeout <= threading.TIMEOUT_MAX:
                await asyncio.wait([result], timeout=max(timeout, _UNTIL_BEGUN))
                if not result.done() and future.cancel():
                    raise TimeoutError(
                        f"all {_THREADS} threads of this index were busy until the timeout: make fewer calls at once, "
                        "or give a longer timeout"
                    )
            return await result
        except asyncio.CancelledError:
            result.cancel()
            if ends is not None:
                ends.stop()
            raise
        finally:
            del future, result  # otherwise an error, its traceback and this frame would keep each other

    def _ends(self, progress: ProgressArg) -> Stoppable:
        """Returns a callback that can end a call, with the host's own one."""
        return Stoppable(convert.callback("progress", progress) or self._threads.session.progress)

    def _stoppable(self, options: dict[str, Any]) -> Stoppable:
        """Sets the default timeout and a callback that can end a call. Returns the callback."""
        if options.get("timeout") is None and self._threads.session.timeout is not None:
            options["timeout"] = self._threads.session.timeout
        options["progress"] = ends = self._ends(options.get("progress"))
        return ends

    async def _cancellable(self, call: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
        """Makes a call that accepts ``progress``. Cancelling the task ends the call."""
        return await self._run(call, *arguments, ends=self._stoppable(options), **options)

    def _iterate(self, call: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
        """Returns the values of a generator with ``progress``."""
        ends = self._stoppable(options)
        return self._each(call(*arguments, **options), ends, options.get("timeout"))

    async def _each(self, values: Any, ends: Stoppable | Comparison, timeout: float | None = None) -> Any:
        """Yields the values of a generator, many at once."""

        def some(**_: object) -> list[Any]:
            return list(islice(values, _AT_ONCE))

        try:
            while found := await self._run(some, timeout=timeout):
                timeout = None
                for one in found:
                    yield one
        finally:
            ends.stop()
            _alone(partial(_end, values))

    async def _wait(self, wait: _Wait, ends: Stoppable, until: float = inf) -> Any:
        """Returns what a wait is for, or None if the time passes first. Cancelling the task stops ``ends``."""
        self._threads.waits.add(wait)
        result = asyncio.wrap_future(wait.future)
        try:
            left = until - monotonic()
            await asyncio.wait([result], timeout=None if left > threading.TIMEOUT_MAX else max(left, 0))
            return result.result() if result.done() else None
        finally:
            if not result.done():
                ends.stop()
                result.cancel()
            self._threads.waits.remove(wait)
            del wait, result  # otherwise an error, its traceback and this frame would keep each other

    def __reduce__(self) -> NoReturn:
        kind = type(self).__name__
        raise TypeError(f"cannot pickle or copy an {kind}: use the same object, or pickle the plexindex.Index")

    def __repr__(self) -> str:
        return repr(self._target).replace("plexindex.", "plexindex.aio.Async", 1)


def _alone(call: Callable[[], Any]) -> Future[Any]:
    """Begins a call on a thread of its own, which it does not take from others, and which does not keep the process."""
    future: Future[Any] = Future()
    future.set_running_or_notify_cancel()  # so that a cancelled task does not end the thread

    def run() -> None:
        try:
            future.set_result(call())
        except BaseException as error:
            future.set_exception(error)

    threading.Thread(target=run, name="plexindex-end", daemon=True).start()
    return future


def _end(values: Any) -> None:
    with suppress(ValueError):  # it runs, and ends by itself
        values.close()


def _typed_as(
    method: Callable[Concatenate[Any, P], Any], returned: object = None
) -> Callable[[Callable[..., T]], Callable[Concatenate[Any, P], T]]:
    """Gives a method the arguments and the description of a synchronous method, and another type of the result."""

    def give(made: Any) -> Any:
        own = made.__doc__
        wraps(method)(made)
        made.__doc__ = "\n\n".join(filter(None, [own, getdoc(method)]))
        if returned is not None:
            made.__annotations__ = {**method.__annotations__, "return": returned}
            made.__signature__ = signature(method).replace(return_annotation=returned)
        return made

    return give


def _coroutine(method: Callable[Concatenate[Any, P], T]) -> Callable[Concatenate[Any, P], Coroutine[Any, Any, T]]:
    """Returns the coroutine function for a method. A method that accepts ``progress`` ends with its task."""
    run: Any = _Caller._cancellable if "progress" in signature(method).parameters else _Caller._run

    @_typed_as(method)
    async def call(self: _Caller, *arguments: Any, **options: Any) -> Any:
        return await run(self, method, self._target, *arguments, **options)

    return call


def _items(method: Callable[Concatenate[Any, P], object]) -> Callable[Concatenate[Any, P], AsyncIterator[Item]]:
    """Returns the asynchronous iterator function for a generator of items that accepts ``progress``."""
    give = _typed_as(method, AsyncIterator[Item])
    return give(lambda self, *arguments, **options: self._iterate(method, self._target, *arguments, **options))


def _made(
    kind: Callable[[Any, _Threads], T], method: Callable[Concatenate[Any, P], Any]
) -> Callable[Concatenate[Any, P], T]:
    """Returns the function for a method that waits for nothing, and whose result has a twin of this kind."""
    give = _typed_as(method, kind)
    return give(lambda self, *given, **options: kind(method(self._target, *given, **options), self._threads))


class AsyncWatch(_Caller):
    """As :class:`plexindex.Watch`, for ``async for`` and ``async with``."""

    __slots__ = ()
    _target: Watch

    start = _coroutine(Watch.start)
    stop = _coroutine(Watch.stop)

    async def __aenter__(self) -> AsyncWatch:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def __aiter__(self) -> AsyncIterator[Changes]:
        ends = self._ends(self._target._progress)
        pages = Pages(self._target, ends)

        def look(wait: _Wait, is_due: bool) -> Changes | None:
            page, wait.at = pages.turn(is_due=is_due), pages.at
            return page

        try:
            while not pages.is_over:
                yield await self._wait(_Wait(look, asks=not pages.offline), ends)
                await asyncio.sleep(pages.pause)
        finally:
            ends.stop()
            _alone(pages.end)


class AsyncComparison(_Caller):
    """As :class:`plexindex.Comparison`, for ``async for``. A cancelled task ends the walk and the requests."""

    __slots__ = ()
    _target: Comparison

    @property
    def comparison(self) -> Comparison:
        """The comparison, with its counts."""
        return self._target

    def __aiter__(self) -> AsyncIterator[Difference]:
        return self._each(iter(self._target), self._target)  # type: ignore[no-any-return]


class AsyncQueries(_Caller):
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
                return found
        return await self._cancellable(  # type: ignore[no-any-return]
            self._target.match, path, size=size, timeout=timeout, offline=offline, check=check, progress=progress
        )

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
        selection, ends, checked = selection_of(self._target), self._ends(progress), self._threads.waits.checked
        convert.milliseconds("every", every, none=None, zero=None)
        begun, limit = monotonic(), convert.timeout_ms(timeout) / 1000
        until = inf if timeout is None or limit < 0 else begun + limit
        last: Any = None

        def look(wait: _Wait, _: bool) -> Match | None:
            nonlocal last
            now = monotonic()
            checks = now >= max(begun, checked.get(id(selection.handle), 0)) + every
            if checks:
                checked[id(selection.handle)] = now
            wait.at = now + min(every, _BETWEEN_LOOKS)
            try:
                last = selection.match(path, size, query_flags(check=checks), max(until - now, 0.001), ends)
            except ServerUnavailableError as error:
                # The store is empty, and the server is unreachable, but the server may return in time.
                if error.status != c.CONNECT or until - now <= every:
                    raise
                wait.at = now + every
                return None
            return last if last or until <= monotonic() else None

        found = await self._wait(_Wait(look), ends, until)
        return found or (selection.match(path, size, c.QUERY_AT_ONCE) if last is None else last)

    match_paths = _coroutine(Queries.match_paths)
    folder = _coroutine(Queries.folder)
    match_guid = _coroutine(Queries.match_guid)
    search_title = _coroutine(Queries.search_title)
    refresh = _coroutine(Queries.refresh)
    changes = _coroutine(Queries.changes)
    items = _items(Queries.items)
    items_below = _items(Queries.items_below)
    item_facts = _coroutine(Queries.item_facts)
    shows = _coroutine(Queries.shows)
    seasons = _coroutine(Queries.seasons)
    record_match = _coroutine(Queries.record_match)
    record_matches = _coroutine(Queries.record_matches)
    invalidate_path = _coroutine(Queries.invalidate_path)
    invalidate_item = _coroutine(Queries.invalidate_item)
    invalidate = _coroutine(Queries.invalidate)
    refresh_items = _coroutine(Queries.refresh_items)

    @_typed_as(Queries.edit_items)
    async def edit_items(self, keys: Any, fields: Any = None, **options: Any) -> EditReport:
        """As :meth:`plexindex.Queries.edit_items`. If the task is cancelled, a running request finishes, no other is
        sent, and the CancelledError's ``report`` lists the edited items.
        """
        ends, given = Stoppable(None), {"remove": None, "locked": True, "timeout": None, **options}
        call = partial(edit, selection_of(self._target), keys, fields, ends=ends)
        task = asyncio.ensure_future(self._run(call, **given))
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError as error:
            ends.stop()
            found: Any = (await asyncio.gather(task, return_exceptions=True))[0]
            cancelled: Any = error
            cancelled.report = getattr(found, "report", found)
            raise

    watch = _made(AsyncWatch, Queries.watch)
    compare = _made(AsyncComparison, Queries.compare)


class AsyncLibrary(AsyncQueries):
    """As :class:`plexindex.Library`, for ``asyncio``. ``async for`` over it yields its items."""

    __slots__ = ()
    _target: Library

    @property
    def library(self) -> Library:
        """The library, with its facts and its fast lookups, which need no thread."""
        return self._target

    def __aiter__(self) -> AsyncIterator[Item]:
        return self.items()

    def __eq__(self, other: object) -> bool:
        return self._target == other._target if isinstance(other, AsyncLibrary) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._target)


class AsyncTable(_Caller):
    """As :class:`plexindex.Table`, for ``asyncio``. ``async for`` over it yields its names."""

    __slots__ = ()
    _target: Table

    get = _coroutine(Table.get)
    set = _coroutine(Table.set)
    delete = _coroutine(Table.delete)
    clear = _coroutine(Table.clear)
    add = _coroutine(Table.add)
    setdefault = _coroutine(Table.setdefault)
    pop = _coroutine(Table.pop)
    popitem = _coroutine(Table.popitem)

    def __aiter__(self) -> AsyncIterator[str]:
        return self._each(iter(self._target), Stoppable(None))  # type: ignore[no-any-return]


class AsyncShared(_Caller):
    """As :class:`plexindex.Shared`, for ``asyncio``."""

    __slots__ = ()
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
        super().__init__(index, _Threads(selection_of(index).session))

    @property
    def index(self) -> sync.Index:
        """The index, with its facts, and for other threads."""
        return self._target

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
        for token in list(self._threads.tokens):
            token.cancel()
        try:
            await asyncio.wrap_future(_alone(self._target.close))
        finally:
            self._threads.shutdown(wait=False)

    async def __aenter__(self) -> AsyncIndex:
        self._target.__enter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()


class Opening:
    """An index that opens on a thread, from :func:`open`. Await it, or enter it with ``async with``."""

    def __init__(self, options: dict[str, Any]) -> None:
        self._options = options

    async def _open(self) -> AsyncIndex:
        loop, home = asyncio.get_running_loop(), threading.get_ident()
        token: Any = self._options.get("token")
        limit: float | None = self._options.get("timeout")
        tokens: set[Future[Any]] = set()

        def renew() -> Any:
            given = token()
            if not iscoroutine(given):
                return given
            if threading.get_ident() == home:
                given.close()
                raise RuntimeError("the thread of the event loop cannot wait for its own token: await the call")
            future = asyncio.run_coroutine_threadsafe(given, loop)
            tokens.add(future)
            until = getattr(_ends_at, "time", limit and monotonic() + limit)
            try:
                return future.result(until and min(max(until - monotonic(), 0), threading.TIMEOUT_MAX))
            except FutureTimeout:
                raise TimeoutError("the token did not come before the timeout") from None
            finally:
                future.cancel()
                tokens.discard(future)

        options = {**self._options, "token": renew} if callable(token) else self._options
        opened = _alone(lambda: sync.open(**options))
        try:
            index = AsyncIndex(await asyncio.wrap_future(opened))
            index._threads.tokens = tokens
            return index
        except asyncio.CancelledError:
            opened.add_done_callback(lambda future: future.exception() or future.result().close())
            for token in list(tokens):
                token.cancel()
            raise

    def __await__(self) -> Generator[Any, None, AsyncIndex]:
        return self._open().__await__()

    async def __aenter__(self) -> AsyncIndex:
        self._index = await self
        return self._index

    async def __aexit__(self, *_: object) -> None:
        await self._index.close()

    def __getattr__(self, name: str) -> NoReturn:
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
