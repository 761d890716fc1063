"""The same index for ``asyncio``.

:func:`open` returns an :class:`AsyncIndex`, whose methods have the names of :class:`plexindex.Index` and run on at most
32 threads, and those that send no request on 32 others. Waits look at the store, and use a thread only to ask the
server. If you cancel a task, its call ends: a fetch ends within about 0.2 s, the index keeps the fetched part, and the
next call resumes it. A call that only writes to the store runs to its end. ``progress`` runs on the call's thread.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from contextvars import ContextVar, copy_context
from functools import partial, wraps
from inspect import getdoc, iscoroutine, signature
from itertools import islice
from time import monotonic, sleep
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar
from weakref import WeakSet, WeakValueDictionary

from . import index as sync
from ._core import abi as c
from ._core import begin_in_child, convert
from ._core.callbacks import FOREVER, Stoppable
from ._core.selection import query_flags, selection_of
from ._core.session import Session
from .changes import Change, Changes, FeedFacts, Pages, Watch
from .compare import Comparison, Difference
from .edits import EditReport, edit
from .errors import AbortedError, ClosedError, Error, NotFetchedError, ServerUnavailableError, StoreError, TimeoutError
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

# Maximum number of threads of an index, and of those for calls that send no request.
_THREADS = 32
# Minimum number of seconds in which a free thread begins a call.
_UNTIL_BEGUN = 0.2
# Maximum number of values that a thread passes to the event loop at once.
_AT_ONCE = 1000
# Seconds between two looks whether a call that waits for its token was stopped.
_TICK = 0.1
# Seconds between two looks whether any watch still waits.
_BETWEEN_ENDS = 1.0
# Seconds between two looks of a wait for a file, if nothing is listed meanwhile, and between two tries of an index that
# cannot tell what changes.
_BETWEEN_LOOKS = 0.5


# What ends the call of this thread.
_ends: ContextVar[Stoppable] = ContextVar("plexindex_ends")


class _Token:
    """The host's ``token``, which can return a coroutine: it runs in the event loop, while the thread waits."""

    def __init__(self, token: Callable[[], Any], timeout: float | None, ends: Stoppable) -> None:
        """``ends`` ends the waits for a coroutine, with the index."""
        self._token, self._timeout, self._ends = token, timeout, ends
        self._loop, self._home = asyncio.get_running_loop(), threading.get_ident()

    def __call__(self) -> Any:
        found = self._token()
        if not iscoroutine(found):
            return found
        if threading.get_ident() == self._home:
            found.close()
            raise RuntimeError("the thread of the event loop cannot wait for its own token: await the call")
        future = asyncio.run_coroutine_threadsafe(found, self._loop)
        call = _ends.get(None) or Stoppable(None, monotonic() + self._timeout if self._timeout else FOREVER)
        try:
            while not wait([future], min(max(call.until - monotonic(), 0), _TICK)).done:
                if call.stopped or self._ends.stopped:
                    raise AbortedError("the task was cancelled")
                if monotonic() >= call.until:
                    raise TimeoutError("the token did not come before the timeout")
            return future.result()
        finally:
            future.cancel()


class _Threads:
    """The threads of an index."""

    def __init__(self, session: Session) -> None:
        self.session: Session = session
        self.ends: Stoppable = Stoppable(None)
        """What ends the waits for a token."""
        self.begin()
        begin_in_child(self)

    def begin(self) -> None:
        """Has no thread, and no call."""
        self.waits: _Waits = _Waits(self.session)
        # A hung request does not delay what needs only the store.
        self.store: ThreadPoolExecutor = ThreadPoolExecutor(_THREADS, thread_name_prefix="plexindex-store")
        self.calls: ThreadPoolExecutor = ThreadPoolExecutor(_THREADS, thread_name_prefix="plexindex")

    def submit(self, run: Callable[[], Any], *, stored: bool) -> Future[Any]:
        """Begins a call. Raises StoreError if no thread can start."""
        given: list[Callable[[], Any]] = [run]
        try:
            return (self.store if stored else self.calls).submit(copy_context().run, lambda: _result(given.pop()))
        except RuntimeError as error:
            given[:] = [lambda: None]  # the pool may still have it
            if "start new thread" in str(error):
                raise StoreError(f"cannot start a thread: {error}") from error
            raise self.session.closed_error() from None

    async def read(self, call: Callable[..., Any], /, *arguments: Any, **options: Any) -> Any:
        """Makes a call that sends no request."""
        return await asyncio.wrap_future(self.submit(partial(call, *arguments, **options), stored=True))

    async def ask(self, ends: Stoppable, call: Callable[..., Any], /, *arguments: Any, **options: Any) -> Any:
        """Makes a call that can send requests; ``ends`` stops it if the task is cancelled. The time until a thread is
        free counts towards the timeout. If no thread is free before, raises TimeoutError.
        """
        if options.get("offline") is True:  # so it does not wait for those that send requests
            return await self.read(call, *arguments, **options)
        timeout: float | None = options.get("timeout")
        convert.timeout_ms(timeout)
        ends.until = FOREVER if timeout is None else monotonic() + timeout

        def run() -> Any:
            _ends.set(ends)
            if timeout is not None:
                options["timeout"] = max(ends.until - monotonic(), 0)
            return call(*arguments, **options)

        future = self.submit(run, stored=False)
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
            ends.stop()
            raise
        finally:
            del future, result  # otherwise an error, its traceback and this frame would keep each other

    def shutdown(self) -> None:
        self.store.shutdown(wait=False)
        self.calls.shutdown(wait=False)


class _Waits:
    """What the watches and waits of an index share. A thread, which sends no request, so that nothing delays it, tells
    them of changes. It ends when none waits.
    """

    def __init__(self, session: Session) -> None:
        self._session, self._lock, self._heard = session, threading.Lock(), WeakSet[_News]()
        self._is_running = False
        self._cursor: str | None = None
        self.asked: WeakValueDictionary[object, asyncio.Task[Match | None]] = WeakValueDictionary()
        """What asks the server now for a wait, by its event loop, library, file and size."""
        self.checked: dict[int, float] = {}
        """When a wait asked the server for changes of a library, by the id of its handle; infinity while it asks."""

    @contextmanager
    def hear(self, *, asks: bool = True) -> Iterator[_News]:
        """Tells a watch or a wait of changes, and of a due refresh if any of them ``asks`` the server."""
        news = _News(asks=asks)
        with self._lock:
            if not self._is_running:
                _start(self._run, "plexindex-wait")
            self._is_running = True
            self._heard.add(news)
        try:
            yield news
        finally:
            with self._lock:
                self._heard.discard(news)

    def _run(self) -> None:
        while True:
            with self._lock:
                self._is_running = bool(self._heard)
                if not self._is_running:
                    return
                given = {"cursor": self._cursor, "offline": not any(news.asks for news in self._heard)}
            failure: BaseException | None = None
            try:
                if self._cursor and not self._session.request("changes.wait", _BETWEEN_ENDS, **given)["ready"]:
                    continue
                # The cursor is from before the turns that follow. What changed before the first one is unknown.
                self._cursor = self._session.request("changes.list", limit=1)["cursor"]
            except BaseException as error:
                self._cursor = None
                if isinstance(error, (ClosedError, StoreError)) or not isinstance(error, Error):
                    failure = error  # others pass, such as of a feed that begins anew
            self._tell(failure)
            if self._cursor is None:
                sleep(_BETWEEN_LOOKS)

    def _tell(self, failure: BaseException | None) -> None:
        with self._lock:
            heard = list(self._heard)
        for news in heard:
            with suppress(RuntimeError):  # its event loop was closed
                news.loop.call_soon_threadsafe(news.ring, failure)


class _News:
    """What a watch or a wait hears of changes."""

    def __init__(self, *, asks: bool) -> None:
        self.asks, self.loop = asks, asyncio.get_running_loop()
        self._rung = self.loop.create_future()
        self._failure: BaseException | None = None

    def begin(self) -> None:
        """Begins a turn. Call this before looking at the store."""
        if self._rung.done():
            self._rung = self.loop.create_future()

    def ring(self, failure: BaseException | None) -> None:
        """Tells of a change, or why the index cannot tell."""
        self._failure = failure
        if not self._rung.done():
            self._rung.set_result(None)

    async def wait(self, left: float, other: asyncio.Task[Any] | None = None) -> bool:
        """Waits for a change in this turn, for another task or until no time is ``left``. Returns whether something has
        changed. Raises why the index cannot tell.
        """
        left = max(left, 0.0)
        await asyncio.wait(
            [self._rung] if other is None else [self._rung, other],
            timeout=None if left > threading.TIMEOUT_MAX else left,
            return_when=asyncio.FIRST_COMPLETED,
        )
        if self._failure is not None:
            raise self._failure
        return self._rung.done()


class _Wait:
    """A wait for a file. It looks at the store in the event loop, and asks the server on a thread: when a check is due,
    or when something has changed and the store alone cannot answer. All waits for a library share its checks. Equal
    waits share what one of them asks; if that one ends first, the others ask again.
    """

    _last: Match
    """The last answer that is no match: the server's or, if it did not answer, that of the last look."""

    def __init__(
        self, caller: _Caller, file: tuple[PathArg, SizeArg], timeout: float | None, every: float, progress: ProgressArg
    ) -> None:
        self._selection, self._threads = selection_of(caller._target), caller._threads
        self._file, self._every, self._ends = file, every, caller._ends(progress)
        convert.milliseconds("every", every, none=None, zero=None)
        raw, limit = convert.path_bytes(file[0], self._selection.session.hides_paths), convert.timeout_ms(timeout)
        self._begun = monotonic()
        self._until = FOREVER if timeout is None or limit < 0 else self._begun + limit / 1000
        self._library = id(self._selection.handle)
        self._name = id(asyncio.get_running_loop()), self._library, raw, file[1]
        self._is_answered, self._has_news = False, True
        # What asks the server now, whether this wait began it and, if it checks, when.
        self._asking: asyncio.Task[Match | None] | None = None
        self._is_own = False
        self._check: float | None = None

    async def run(self) -> Match:
        """Returns the item as soon as its confidence is high, or the last answer."""
        try:
            with self._threads.waits.hear() as news:
                while True:
                    news.begin()
                    is_last = monotonic() >= self._until
                    match = self._selection.match(*self._file, c.QUERY_AT_ONCE)
                    if match:
                        await asyncio.sleep(0)  # so that many answers do not hold the event loop
                        return match
                    self._last = self._last if self._is_answered else match
                    if self._asking is None:
                        self._ask_if_due(match)
                    left = min(self._until - monotonic(), _BETWEEN_LOOKS)
                    if is_last and self._asking is not None:
                        left = _UNTIL_BEGUN  # its request has a moment to end
                    if await news.wait(left, self._asking):
                        self._has_news = True
                    if answer := self._answer():
                        return answer
                    if is_last:
                        break
        finally:
            self._end_check()  # here, because the event loop can end before the task does
            if self._asking is not None and self._is_own:
                self._ends.stop()
                self._asking.cancel()
        if self._last.status == "not_yet":
            with suppress(NotFetchedError):  # without an answer, the store can have an old one
                self._last = await self._threads.read(self._selection.match, *self._file, c.QUERY_OFFLINE) or self._last
        return self._last

    def _ask_if_due(self, match: Match) -> None:
        """Asks the server, or waits for what an equal wait asks, if it is time after a look at the store."""
        now, waits = monotonic(), self._threads.waits
        is_due = now >= max(self._begun, waits.checked.get(self._library, 0)) + self._every
        # An answer that has only the last milliseconds says nothing of the server.
        has_time = self._until - now >= _UNTIL_BEGUN or not self._is_answered
        if not has_time or not (is_due or (self._has_news and match.status == "not_yet")):
            return
        self._asking, self._has_news = waits.asked.get(self._name), False
        self._is_own = self._asking is None or self._asking.done()
        if self._is_own:
            self._asking = waits.asked[self._name] = asyncio.ensure_future(self._ask(check=is_due))
            if is_due:  # before it begins, so that no other wait checks too
                self._check, waits.checked[self._library] = now, FOREVER

    async def _ask(self, *, check: bool) -> Match | None:
        """Asks the server. Returns None if it did not answer, but may answer later."""
        left = max(0.0, self._until - monotonic())
        try:
            given = *self._file, query_flags(check=check)
            return await self._threads.ask(  # type: ignore[no-any-return]
                self._ends, self._selection.match, *given, timeout=left, progress=self._ends
            )
        except TimeoutError:  # also if no thread was free
            return None
        except ServerUnavailableError as error:
            # The store is empty, and the server is unreachable, but the server may return in time.
            if error.status != c.CONNECT or left <= self._every:
                raise
            return None

    def _answer(self) -> Match | None:
        """Returns the server's answer once it is there."""
        asking = self._asking
        if asking is None or not asking.done():
            return None
        self._asking = None
        self._end_check()
        has_failed = not self._is_own and (asking.cancelled() or asking.exception() is not None)
        answer = None if has_failed else asking.result()
        if answer is not None:
            self._last, self._is_answered = answer, True
        elif not self._is_own:  # it can have had less time
            self._has_news = True
        return answer

    def _end_check(self) -> None:
        """Lets others check, if this wait has."""
        if self._check is not None:
            self._threads.waits.checked[self._library], self._check = self._check, None


class _Caller:
    """Calls an index's or a library's methods on threads."""

    __slots__ = ("__weakref__", "_target", "_threads")
    _asks: bool = False

    def __init__(self, target: Any, threads: _Threads) -> None:
        self._target, self._threads = target, threads

    def _ends(self, progress: ProgressArg) -> Stoppable:
        """Returns a callback that can end a call, with the host's own one."""
        return Stoppable(convert.callback("progress", progress) or self._threads.session.progress)

    def _stoppable(self, options: dict[str, Any]) -> Stoppable:
        """Sets the default timeout and a callback that can end a call. Returns the callback."""
        if options.get("timeout") is None and self._threads.session.timeout is not None:
            options["timeout"] = self._threads.session.timeout
        options["progress"] = ends = self._ends(options.get("progress"))
        return ends

    async def _cancellable(self, call: Callable[..., Any], /, *arguments: Any, **options: Any) -> Any:
        """Makes a call that accepts ``progress``. Cancelling the task ends the call."""
        return await self._threads.ask(self._stoppable(options), call, *arguments, **options)

    async def _each(self, values: Any, ends: Stoppable, timeout: float | None = None, *, stored: bool = False) -> Any:
        """Yields the values of a generator, many at once."""

        def some(**_: object) -> list[Any]:
            return list(islice(values, _AT_ONCE))

        try:
            while found := await self._threads.ask(ends, some, timeout=timeout, offline=stored):
                timeout = None
                for one in found:
                    yield one
        finally:
            ends.stop()

    def __reduce__(self) -> NoReturn:
        kind = type(self).__name__
        raise TypeError(f"cannot pickle or copy an {kind}: use the same object, or pickle the plexindex.Index")

    def __repr__(self) -> str:
        return repr(self._target).replace("plexindex.", "plexindex.aio.Async", 1)


def _result(call: Callable[[], T]) -> T:
    try:
        return call()
    except StopIteration as error:  # such as of the host's callback: asyncio would wait for ever
        raise RuntimeError("a callback raised StopIteration") from error


def _alone(call: Callable[[], Any]) -> Future[Any]:
    """Begins a call on a thread of its own, which it does not take from others, and which does not keep the process."""
    future: Future[Any] = Future()
    future.set_running_or_notify_cancel()  # so that a cancelled task does not end the thread

    def run() -> None:
        try:
            future.set_result(_result(call))
        except BaseException as error:
            future.set_exception(error)

    _start(run, "plexindex-end")
    return future


def _start(run: Callable[[], None], name: str) -> None:
    """Starts a thread that does not keep the process."""
    try:
        threading.Thread(target=run, name=name, daemon=True).start()
    except RuntimeError as error:
        raise StoreError(f"cannot start a thread: {error}") from error


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
    async def call(self: _Caller, *arguments: Any, **options: Any) -> Any:
        given = method, self._target, *arguments
        if "progress" in accepts:
            return await self._cancellable(*given, **options)
        if "timeout" in accepts or self._asks:
            return await self._threads.ask(Stoppable(None), *given, **options)
        return await self._threads.read(*given, **options)

    return call


def _items(method: Callable[Concatenate[Any, P], object]) -> Callable[Concatenate[Any, P], AsyncIterator[Item]]:
    """Returns the asynchronous iterator function for a generator of items that accepts ``progress``."""

    def items(self: _Caller, *arguments: Any, **options: Any) -> Any:
        ends, stored = self._stoppable(options), options.get("offline") is True
        return self._each(method(self._target, *arguments, **options), ends, options.get("timeout"), stored=stored)

    return _typed_as(method, AsyncIterator[Item])(items)


def _made(
    kind: Callable[[Any, _Threads], T], method: Callable[Concatenate[Any, P], Any]
) -> Callable[Concatenate[Any, P], T]:
    """Returns the function for a method that waits for nothing, and whose result has a twin of this kind."""
    give = _typed_as(method, kind)
    return give(lambda self, *given, **options: kind(method(self._target, *given, **options), self._threads))


class AsyncChanges(_Caller, FeedFacts):
    """As :class:`plexindex.Changes`, for ``async for``."""

    _target: Changes

    def __init__(self, changes: Changes, threads: _Threads) -> None:
        super().__init__(changes, threads)
        self._copy(changes)

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


class AsyncWatch(_Caller):
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
                    news.begin()
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


class AsyncComparison(_Caller):
    """As :class:`plexindex.Comparison`, for ``async for``. A cancelled task ends the walk and the requests."""

    _target: Comparison

    @property
    def comparison(self) -> Comparison:
        """The comparison, with its counts."""
        return self._target

    def __aiter__(self) -> AsyncIterator[Difference]:
        return self._each(iter(self._target), self._target._stop)  # type: ignore[no-any-return]


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
                await asyncio.sleep(0)  # so that many answers do not hold the event loop
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
        return await _Wait(self, (path, size), timeout, every, progress).run()

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


class AsyncTable(_Caller):
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


class AsyncShared(_Caller):
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
        super().__init__(index, _Threads(selection_of(index).session))

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
            await asyncio.wrap_future(_alone(self._target.close))
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
    token = _Token(given, options.get("timeout"), ends) if callable(given) else given
    opened = _alone(partial(sync.open, **{**options, "token": token}))
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
        self._index: AsyncIndex | None = None

    def __await__(self) -> Generator[Any, None, AsyncIndex]:
        return self._opened.__await__()

    async def __aenter__(self) -> AsyncIndex:
        self._index = await self
        return self._index

    async def __aexit__(self, *_: object) -> None:
        index, self._index = self._index, None
        if index is not None:
            await index.close()

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
