"""How :mod:`plexindex.aio` makes calls on threads."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextvars import ContextVar, copy_context
from functools import partial
from inspect import iscoroutine
from itertools import islice
from time import monotonic
from typing import Any, NoReturn

from ..errors import AbortedError, StoreError, TimeoutError
from . import TYPE_CHECKING, Callable, T, begin_in_child, convert
from .callbacks import FOREVER, Stoppable
from .waits import UNTIL_BEGUN, Waits, start

if TYPE_CHECKING:
    from ..types import ProgressArg
    from .session import Session

# Maximum number of threads of an index, and of those for calls that send no request.
THREADS = 32
# Maximum number of values that a thread passes to the event loop at once.
_AT_ONCE = 1000
# Seconds between two looks whether a call that waits for its token was stopped.
_TICK = 0.1
# What ends the call of this thread, and the event loop that waits for it.
_call: ContextVar[tuple[Stoppable, asyncio.AbstractEventLoop]] = ContextVar("plexindex_call")


class NoThreadError(TimeoutError):
    """No thread was free before the timeout."""


class Token:
    """The host's ``token``, which can return a coroutine: it runs in the event loop, while the thread waits."""

    def __init__(self, token: Callable[[], Any], timeout: float | None, ends: Stoppable) -> None:
        """``ends`` ends the waits for a coroutine, with the index."""
        self._token, self._timeout, self._ends = token, timeout, ends
        self._loop = asyncio.get_running_loop()

    def __call__(self) -> Any:
        found = self._token()
        if not iscoroutine(found):
            return found
        opening = Stoppable(None, monotonic() + self._timeout if self._timeout else FOREVER)
        call, loop = _call.get((opening, self._loop))
        if not loop.is_running() or loop is _running_loop():
            found.close()
            raise RuntimeError("no other thread runs an event loop that can wait for the token: await the call")
        future = asyncio.run_coroutine_threadsafe(found, loop)
        try:
            while not wait([future], min(max(call.until - monotonic(), 0), _TICK)).done:
                if call.stopped or self._ends.stopped:
                    raise AbortedError("the task was cancelled")
                if monotonic() >= call.until:
                    raise TimeoutError("the token did not come before the timeout")
            return future.result()
        finally:
            future.cancel()


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


class Threads:
    """The threads of an index."""

    def __init__(self, session: Session) -> None:
        self.session: Session = session
        self.ends: Stoppable = Stoppable(None)
        """What ends the waits for a token."""
        self.begin()
        begin_in_child(self)

    def begin(self) -> None:
        """Has no thread, and no call."""
        self.waits: Waits = Waits(self.session)
        # A hung request does not delay what needs only the store.
        self.store: ThreadPoolExecutor = ThreadPoolExecutor(THREADS, thread_name_prefix="plexindex-store")
        self.calls: ThreadPoolExecutor = ThreadPoolExecutor(THREADS, thread_name_prefix="plexindex")

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
        free counts towards the timeout. If no thread is free before, or in ``patience`` seconds, raises NoThreadError.
        """
        if options.get("offline") is True:  # so it does not wait for those that send requests
            return await self.read(call, *arguments, **options)
        timeout: float | None = options.get("timeout")
        convert.timeout_ms(timeout)
        begins: float | None = options.pop("patience", timeout)
        ends.until = FOREVER if timeout is None else monotonic() + timeout
        loop = asyncio.get_running_loop()

        def run() -> Any:
            _call.set((ends, loop))
            if timeout is not None:
                options["timeout"] = max(ends.until - monotonic(), 0)
            return call(*arguments, **options)

        future = self.submit(run, stored=False)
        result = asyncio.wrap_future(future)
        try:
            if begins is not None and begins <= threading.TIMEOUT_MAX:
                await asyncio.wait([result], timeout=max(begins, UNTIL_BEGUN))
                if not result.done() and future.cancel():
                    raise NoThreadError(
                        f"all {THREADS} threads of this index were busy until the timeout: make fewer calls at once, "
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


class Caller:
    """Calls an index's or a library's methods on threads."""

    __slots__ = ("__weakref__", "_target", "_threads")
    _asks: bool = False

    def __init__(self, target: Any, threads: Threads) -> None:
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


def alone(call: Callable[[], Any]) -> Future[Any]:
    """Begins a call on a thread of its own, which it does not take from others, and which does not keep the process."""
    future: Future[Any] = Future()
    future.set_running_or_notify_cancel()  # so that a cancelled task does not end the thread

    def run() -> None:
        try:
            future.set_result(_result(call))
        except BaseException as error:
            future.set_exception(error)

    start(run, "plexindex-end")
    return future
