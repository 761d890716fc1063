"""Calls for ``asyncio``: run the methods of an index or a library on background threads, without blocking the event
loop.

The first call imports ``asyncio``. Cancelling a task stops its call: a fetch ends within about a tenth of a second, the
index keeps the fetched part, and the next call resumes the fetch.
"""

from __future__ import annotations

from ._core.callbacks import Stoppable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Iterator
    from concurrent.futures import Future
    from typing import Any, TypeVar

    from typing_extensions import ParamSpec

    P = ParamSpec("P")
    T = TypeVar("T")


# The arguments that `_match_at_once` accepts by name, because a call that never waits needs no others.
_ASKED = ("library", "path")
# Maximum number of values that a thread passes to the event loop at once.
_AT_ONCE = 1000


def cancellable(method: Callable[P, T]) -> Callable[P, Coroutine[Any, Any, T]]:
    """Returns the asynchronous version of a method that accepts ``progress``. Cancelling the task stops the call."""

    async def call(asked: Any, *arguments: Any, progress: Any = None, **options: Any) -> Any:
        watch = Stoppable(asked._progress if progress is None else progress)
        done = False
        try:
            answer = await run_on_thread(method, asked, *arguments, progress=watch, **options)
            done = True
            return answer
        finally:
            watch.stopped = not done

    return _async_version(call, method, "")  # type: ignore[no-any-return]


def at_once_or_cancellable(method: Callable[P, T]) -> Callable[P, Coroutine[Any, Any, T]]:
    """As :func:`cancellable`, for a method that matches a path. Uses a thread only if the call has to wait."""
    wait: Any = cancellable(method)

    async def call(asked: Any, *arguments: Any, **options: Any) -> Any:
        named = {name: value for name, value in options.items() if name in _ASKED}
        answer = asked._match_at_once(*arguments, **named)
        return await wait(asked, *arguments, **options) if answer is None else answer

    more = " If the answer needs no waiting, the call returns immediately, on the event loop's thread."
    return _async_version(call, method, more)  # type: ignore[no-any-return]


def async_iterator(method: Callable[P, Iterable[T]], at_once: int = _AT_ONCE) -> Callable[P, AsyncIterator[T]]:
    """Returns the asynchronous version of a generator, for ``async for``.

    ``at_once`` is the maximum number of values to fetch together. Use 1 if the generator waits for each value.
    """

    async def call(asked: Any, *arguments: Any, progress: Any = None, **options: Any) -> Any:
        watch = Stoppable(asked._progress if progress is None else progress)
        rest = iter(method(asked, *arguments, progress=watch, **options))  # type: ignore[arg-type]
        done = False
        try:
            while some := await next_of(rest, at_once):
                for one in some:
                    yield one
            done = True
        finally:
            watch.stopped = not done

    return _async_version(call, method, "")  # type: ignore[no-any-return]


def uncancellable(method: Callable[P, T]) -> Callable[P, Coroutine[Any, Any, T]]:
    """Returns the asynchronous version of a method. The call runs to its end even if the task is cancelled."""

    async def call(*arguments: Any, **options: Any) -> Any:
        return await run_on_thread(method, *arguments, **options)

    return _async_version(call, method, " Cancelling the task does not stop the call.")  # type: ignore[no-any-return]


def _async_version(call: Any, method: Any, more: str) -> Any:
    owner, _, name = method.__qualname__.rpartition(".")
    call.__name__, call.__qualname__, call.__module__ = f"a{name}", f"{owner}.a{name}", method.__module__
    call.__doc__ = f":meth:`{owner}.{name}` on a background thread.{more}"
    # `inspect` reads the signature from this attribute, and `help` and editors use `inspect`.
    call.__wrapped__ = method
    return call


async def next_of(values: Iterator[T], at_once: int = _AT_ONCE) -> list[T]:
    """Waits on a thread for the iterator's next values. Returns an empty list at the end."""
    from itertools import islice

    some: list[T] = await run_on_thread(lambda: list(islice(values, at_once)))
    return some


async def run_on_thread(call: Any, *arguments: Any, **options: Any) -> Any:
    """Makes a call on a new thread.

    The executors of ``asyncio`` have few threads. A call could wait for a free thread past its deadline, and would then
    keep other tasks from using the thread.
    """
    import asyncio
    from contextvars import copy_context
    from functools import partial

    return await asyncio.wrap_future(_start(partial(copy_context().run, call, *arguments, **options)))


def _start(call: Callable[[], Any]) -> Future[Any]:
    from concurrent.futures import Future
    from threading import Thread

    future: Future[Any] = Future()
    future.set_running_or_notify_cancel()
    Thread(target=_run, args=(future, call), name="plexindex").start()
    return future


def _run(future: Future[Any], call: Callable[[], Any]) -> None:
    try:
        future.set_result(call())
    except BaseException as error:
        future.set_exception(error)
    finally:
        # The error's traceback refers to this frame. Without `del`, this reference cycle would keep the index alive.
        del future
