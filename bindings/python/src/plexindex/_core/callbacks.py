"""Callbacks that preserve exceptions.

If an exception leaves a callback, ctypes prints and drops the exception, and returns a random value to C. A `try` in
the callback does not prevent this: since CPython 3.11, a function's first instruction, before its `try`, can raise a
pending Ctrl-C. But a generator always resumes inside its `try`. So C calls the `send` of a generator, which accepts one
value. For several values, `max(first, second, key=send)` sends each value in turn, without a Python frame.
"""

from __future__ import annotations

import ctypes
import os
from _thread import get_ident, interrupt_main
from _weakrefset import WeakSet  # `weakref` takes 2 ms of each process, and `functools` 2 ms
from time import monotonic

from . import TYPE_CHECKING, convert, importing
from .abi import LOG_FN, PROGRESS_FN, RENEW_TOKEN_FN, CBuffer, CProgress
from .native import has_begun, inside

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from functools import partial
    from typing import Any

    from ..progress import Progress
    from ..types import ProgressArg
    from .native import Native
else:
    from _functools import partial

# Seconds between two reads of the log.
_BETWEEN_DRAINS = 0.5


class Stoppable:
    """A progress callback that can end its call after the task has been cancelled."""

    def __init__(self, listener: ProgressArg) -> None:
        self.listener = listener
        """The host's own callback."""
        self.stopped = False
        """Whether the call must end."""

    def __call__(self, progress: Progress) -> object:
        """Calls the host's callback."""
        return None if self.listener is None else self.listener(progress)


class Watch:
    """State of one call's progress callback."""

    def __init__(self) -> None:
        self.session: Any = None
        """The call's index. Closing the index, or the interpreter's exit, ends the call."""
        self.listener: ProgressArg = None
        """The host's callback."""
        self.error: BaseException | None = None
        """An exception during the call, such as Ctrl-C, to raise again when the call returns."""
        self.reporting = False
        """Whether the host's callback is running."""
        self.drained = -_BETWEEN_DRAINS
        """Time when the call last read the log. A wait for changes can call back five times a second for days."""

    def should_continue(self, address: int) -> bool:
        """Reads the plexindex_progress at ``address``, calls the host's callback, and returns whether to continue."""
        if self.session is not None:
            if not self.session.is_open or has_begun():
                return False
            # A warning about an unreachable server must appear immediately, not at the end of the call.
            now = monotonic()
            if now >= self.drained + _BETWEEN_DRAINS:
                self.drained = now
                self.session.drain_log()
        if self.listener is None:
            return True
        if isinstance(self.listener, Stoppable) and self.listener.stopped:
            return False
        raw = CProgress.from_address(address)
        if not raw.library_length:
            # plexindex has fetched nothing yet, and calls back only so that a pending Ctrl-C can be raised.
            return True
        with importing:
            from ..progress import Progress  # most processes fetch nothing

        title = ctypes.string_at(raw.library_data, raw.library_length)
        self.reporting = True
        try:
            progress = Progress(title.decode("utf-8", "replace"), raw.items, raw.total, raw.elapsed_ms / 1000)
            return self.listener(progress) is not False
        except GeneratorExit as error:  # otherwise the generator that C calls would end
            self.error = error
            return False
        finally:
            self.reporting = False


class Renewal:
    """Passes tokens from the host's callable to the library, on the thread whose call needs a token."""

    def __init__(self, renew: Callable[[], str | None]) -> None:
        self._renew = renew
        # The exceptions that the callable raised, by thread.
        self._raised: dict[int, BaseException] = {}

    @property
    def error(self) -> BaseException | None:
        """Always None: a failed renewal does not end later calls."""
        return None

    @error.setter
    def error(self, error: BaseException) -> None:
        self._raised[get_ident()] = error
        if isinstance(error, KeyboardInterrupt):
            interrupt_main()

    def take_error(self) -> BaseException | None:
        """Returns and forgets the exception that the callable raised on this thread."""
        return self._raised.pop(get_ident(), None)

    def should_continue(self, address: int) -> bool:
        """Writes a token into the plexindex_buffer at ``address``. Returns False if there is no token."""
        self._raised.pop(get_ident(), None)
        token = self._renew()
        raw = None if token is None else convert.text_bytes("token", token, hidden=True)
        buffer = CBuffer.from_address(address)
        if not raw or len(raw) > buffer.capacity:
            return False
        ctypes.memmove(buffer.data, raw, len(raw))
        buffer.length = len(raw)
        return True


def renewal_callback(renewal: Renewal) -> Any:
    """Creates a plexindex_renew_token_fn for ``renewal``. The function's `user` pointer must be NULL."""
    call: Any = partial(max)
    call.renewal = renewal
    _begin(call)
    _renewals.add(call)
    return RENEW_TOKEN_FN(call)


_renewals: WeakSet[Any] = WeakSet()


def _begin(call: Any) -> None:
    answers = _progress_answers(call.renewal)
    next(answers)
    call.keywords["key"] = answers.send


def _only_this_thread() -> None:
    # A forked child has no other threads, so it must not wait for them, and a generator that is inside the host's
    # callable on one of them would never end.
    for key, thread in list(inside.items()):
        if thread != get_ident():
            del inside[key]
    for call in list(_renewals):
        _begin(call)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_only_this_thread)


def progress_callback(watch: Watch) -> Any:
    """Creates a plexindex_progress_fn for ``watch``. The function's `user` pointer must be NULL."""
    answers = _progress_answers(watch)
    next(answers)
    return PROGRESS_FN(partial(max, key=answers.send))


def _progress_answers(watch: Watch | Renewal) -> Generator[int, int, None]:
    # Each call sends two values: `user`, which is 0, then the address of the struct. `max` returns to C the value for
    # which the generator gave the larger answer. With the answers 0 and -1, `max` returns `user`, which is 0: continue.
    # After a failure, each answer is larger than the previous one, so `max` returns the address, which is not 0: stop.
    answer = 0
    while True:
        try:
            while True:
                address = yield answer
                if watch.error is not None:
                    answer += 1
                elif not address:
                    answer = 0
                else:
                    answer = -1 if watch.should_continue(address) else 1
        except GeneratorExit:
            return
        except BaseException as error:
            watch.error = error
            answer = 1 if answer < 0 else answer + 1


class LogLines:
    """The result of reading the library's log."""

    def __init__(self) -> None:
        self.lines: list[tuple[int, str]] = []
        """Level and text, oldest first."""
        self.error: BaseException | None = None
        """An exception during the read, such as Ctrl-C."""


def log_callback(found: LogLines) -> Any:
    """Creates a plexindex_log_fn that collects lines. The function's `user` pointer must be NULL."""
    values = _log_values(found)
    next(values)
    return LOG_FN(partial(max, key=values.send))


def _log_values(found: LogLines) -> Generator[int, int, None]:
    # Each call sends four values: user, level, address, length. The loop advances `field` before each `yield`, so that
    # an interruption loses only one line.
    sent = [0, 0, 0, 0]
    field = -1
    while True:
        try:
            while True:
                field = (field + 1) % 4
                sent[field] = yield 0
                if field == 3:
                    text = ctypes.string_at(sent[2], sent[3]).decode("utf-8", "replace")
                    found.lines.append((sent[1], text))
        except GeneratorExit:
            return
        except BaseException as error:
            found.error = error


# The lines that the current read collects, and its callback. The callback is created once, because creating it takes as
# long as a read.
_found = LogLines()
_receive: Any = None


def read_log(native: Native) -> tuple[list[tuple[int, str]], BaseException | None]:
    """Returns the library's unread log lines, and an exception during the read. Only one thread may read the log."""
    global _receive
    try:
        if _receive is None:
            _receive = log_callback(_found)
        inside[_found] = get_ident()
        if not has_begun():
            native.drain(_receive, None, None)
        lines, error = _found.lines, _found.error
        _found.lines, _found.error = [], None
        return lines, error
    finally:
        inside.pop(_found, None)
