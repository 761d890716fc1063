"""An open handle of the C library, and its calls, whose query, buffers and callback each thread reuses."""

from __future__ import annotations

import ctypes
import os
import sys
from _thread import _local, allocate_lock, get_ident, start_new_thread
from time import sleep

import plexindex

from . import TYPE_CHECKING, convert, importing, log
from . import abi as c
from .convert import FIRST, two_numbers
from .lookups import Handle, closing_lock
from .native import has_begun, inside

if TYPE_CHECKING:
    from typing import Any

    from ..types import ProgressArg, TokenArg
    from .callbacks import Renewal, Watch
    from .native import Native

# Seconds between two reads of the log during a watch.
_BETWEEN_DRAINS = 0.5
_FIRST_CAPACITY = 16 * 1024
_TEXT_CAPACITY = 2048
# Maximum size of a buffer that a thread keeps for its next call.
_KEPT_CAPACITY = 1024 * 1024


class Call:
    """A call's buffers and callback. Only one call on one thread uses this object at a time.

    Creating the callback takes most of the time, so each thread has a pool of these objects.
    """

    __slots__ = (
        *("_callback", "_data", "_error", "_options", "_query", "_text", "_view"),
        *("buffer", "buffer_ref", "error_ref", "thread", "watch"),
    )

    def __init__(self) -> None:
        self.thread = get_ident()
        self.watch: Watch | None = None
        """The state of the callback, if the call has one."""
        self._callback: Any = None
        self._query: Any = None
        self._options: Any = None
        self.buffer = c.CBuffer()
        self.buffer_ref = ctypes.byref(self.buffer)
        self._text = ctypes.create_string_buffer(_TEXT_CAPACITY)
        self._error = c.CBuffer(ctypes.addressof(self._text), _TEXT_CAPACITY)
        self.error_ref = ctypes.byref(self._error)
        self._data = bytearray()
        self._view: Any = None
        self.reserve(_FIRST_CAPACITY)

    def watched(self) -> Watch:
        """Gives the call its callback, and returns the callback's state."""
        if self.watch is None:
            with importing:
                from .callbacks import Watch, progress_callback  # most processes only look up paths

            watch = Watch()
            self._callback = progress_callback(watch)
            self._query = c.CQuery(size=ctypes.sizeof(c.CQuery), progress=self._callback)
            self._options = c.CCallOptions(size=ctypes.sizeof(c.CCallOptions), progress=self._callback)
            self.watch = watch
        return self.watch

    def query(self, library: Handle, text: bytes, timeout_ms: int, flags: int, file_size: int) -> Any:
        """Fills the query, and returns a reference to it."""
        query = self._query
        query.library = library.pointer
        query.text_data, query.text_length = text, len(text)
        query.timeout_ms, query.flags, query.file_size = timeout_ms, flags, file_size
        return ctypes.byref(query)

    def options(self, timeout_ms: int) -> Any:
        """Fills the options of a call by name, and returns a reference to them."""
        self.watched()
        self._options.timeout_ms = timeout_ms
        return ctypes.byref(self._options)

    def reserve(self, capacity: int) -> None:
        """Makes the buffer at least this large."""
        if capacity > self.buffer.capacity:
            # Grow in steps, so that not every larger answer needs a new buffer. The kernel zeroes each page of a
            # bytearray on first use, whereas ctypes would write every byte.
            capacity = -(-capacity * 5 // 4 // 4096) * 4096
            self._data = bytearray(capacity)
            self._view = (ctypes.c_char * capacity).from_buffer(self._data)
            self.buffer.data, self.buffer.capacity = ctypes.addressof(self._view), capacity

    def answer(self) -> bytes:
        """Returns a copy of the answer."""
        return self._view[: self.buffer.length]  # type: ignore[no-any-return]

    def detach(self) -> bytearray:
        """Returns the buffer with the answer, without copying. The next call gets a new buffer."""
        data, length = self._data, self.buffer.length
        self._drop_buffer()
        del data[length:]
        return data

    def _drop_buffer(self) -> None:
        self._view, self._data = b"", bytearray()
        self.buffer.data, self.buffer.capacity = None, 0

    def run(self, function: Any, *arguments: Any) -> int:
        """Calls ``function``, and again if the buffer was too small. Raises the progress callback's exception."""
        status: int = function(*arguments, self.error_ref)
        watch = self.watch
        while status == c.BUFFER_TOO_SMALL and (watch is None or watch.error is None):
            self.reserve(self.buffer.length)
            status = function(*arguments, self.error_ref)
        if watch is not None and watch.error is not None:
            raise watch.error
        return status

    def error_text(self) -> bytes:
        """Returns the call's error text and, after a NUL, the name of the invalid option."""
        return b"\0".join(self._text.raw.split(b"\0", 2)[:2])

    def release(self) -> None:
        """Resets this object and returns it to the thread's pool."""
        watch = self.watch
        if watch is not None and watch.session is not None:
            watch.session = watch.listener = watch.error = None
            self._query.text_data = None
        if len(self._data) > _KEPT_CAPACITY:
            self._drop_buffer()
        _pool.calls.append(self)


class _Pool(_local):
    """The unused objects of a thread. If a progress callback makes calls, the thread needs several."""

    def __init__(self) -> None:
        self.calls: list[Call] = []


_pool = _Pool()


def take() -> Call:
    """Takes an unused object from the thread's pool."""
    return _pool.calls.pop() if _pool.calls else Call()


def call_without_index(function: Any, *arguments: Any) -> tuple[int, bytes]:
    """Calls a function that needs no open index. Returns the status and the error text."""
    one = take()
    try:
        return one.run(function, *arguments), one.error_text()
    finally:
        one.release()


# Number of forks. Other threads' calls do not exist in a forked child, so the child must not wait for them.
_forks = 0


def _count_fork() -> None:
    global _forks
    _forks += 1


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_count_fork)


# The function of `json_call`, once it is imported.
_ask: Any = None


class _ClosedSession:
    """Raises the error of a closed session on each use."""

    is_open = False
    owners = 1

    def __init__(self, session: Session) -> None:
        self.folder, self.recipe = session.folder, session.recipe

    def close(self) -> None:
        """Does nothing."""

    def closed_error(self) -> plexindex.ClosedError:
        """As :meth:`Session.closed_error`."""
        return plexindex.ClosedError(f"the index on {self.folder!r} is closed: open it again")

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        raise self.closed_error()


_KINDS = {c.SELECT_TITLE: "title", c.SELECT_SECTION: "section", c.SELECT_UUID: "uuid"}


class Session:
    """An open handle and its running calls.

    The library cannot detect a call on a closed handle, so the session prevents calls after a close. A call first
    registers itself, and then checks that the session is open. A close first marks the session as closed, and then
    waits for registered calls.
    """

    def __init__(
        self, native: Native, options: c.COptions, progress: ProgressArg = None, renewal: Renewal | None = None
    ) -> None:
        self.native = native
        self.is_open = False
        self.owners = 1
        """Number of open indexes that share this session, because they come from equal pickles."""
        self.progress = progress
        self.timeout = options.timeout_ms / 1000 if options.timeout_ms else None
        """The default timeout of calls in seconds."""
        self.hides_paths = bool(options.flags & c.OPEN_OBFUSCATE_PATHS)
        self.folder = os.fsdecode(options.cache_dir.data or b"")
        self._handle: int | None = None
        # Libraries and tables that were used once.
        self._handles: dict[object, Handle] = {}
        # Running calls, each with its fork generation. Adding to a dict and removing from it are atomic.
        self._calls: dict[Call, int] = {}
        self._closing = closing_lock()
        # The watches that listen to the server's events.
        self._listening, self._watches = closing_lock(), set[object]()
        self._wakeup: Any = None
        # Keeps the callback alive, because the library can call it as long as the index is open.
        self._renewal = renewal, options.renew_token
        self.token: TokenArg = None
        """The token, or what returns it, for plexapi."""
        self.plex: Any = None
        """plexapi's object for the server, once an edit needed it."""
        self.plexapi: Any = None
        """The host's own plexapi object for the server."""
        self.recipe: Any = None
        """How another process opens the same index: a :class:`plexindex.opening.Recipe`."""
        handle = Handle(0)
        status, text = call_without_index(native.open, ctypes.byref(options), ctypes.byref(handle.handle))
        if status:
            raise self._failure(status, text)
        self._index_handle = handle
        self._handle = handle.handle.value
        self.is_open = True
        log.drain(native)

    def close(self) -> None:
        """Closes the handle. First waits for other threads' running calls, whose fetches end early with a ClosedError.

        A second close does nothing. A progress callback of this index must not close the index.
        """
        this_thread = get_ident()
        if any(call.thread == this_thread and call.watch and call.watch.reporting for call in list(self._calls)):
            raise plexindex.Error("cannot close an index from its progress callback: return False to end the call")
        self.is_open = False
        with self._closing:
            if self._handle is None:
                return
            self._index_handle.retire()
            self.native.wake_waiting(self._handle, None)
            if not self._wait_for_calls(this_thread):
                # The interpreter is exiting, so the handle stays open until the process ends.
                self._handle = None
                return
            # No fast lookup is running, because this thread has the interpreter's lock.
            for handle in list(self._handles.values()):
                handle.retire()
            pointer, self._handle = self._handle, None
            status, text = call_without_index(self.native.close, pointer)
            failure = self._failure(status, text) if status else None
        log.drain(self.native)
        if failure is not None:
            raise failure

    def left(self) -> Any:
        """Returns what an index has instead of this session after its own close: a closed session."""
        return _ClosedSession(self)

    def __del__(self) -> None:
        if self._handle is None:
            return
        try:
            self.close()
        except Exception:
            pass
        # Last, because the warning may be an error, which pytest then reports.
        if not sys.is_finalizing():
            with importing:
                from warnings import warn

            warn(f"the index on {self.folder!r} was never closed", ResourceWarning, source=self, stacklevel=2)

    def library(self, kind: int, selector: str) -> Handle:
        """Returns the handle of a library."""
        raw = convert.only_text("library", selector)
        named = {_KINDS[kind]: selector} if kind in _KINDS else selector or None
        return self._handle_of((kind, selector), named, self.native.get_library, kind, raw or None, len(raw))

    def table(self, name: bytes, flags: int = 0) -> Handle:
        """Returns the handle of a table."""
        return self._handle_of(name, None, self.native.get_table, name, len(name), flags)

    def _handle_of(self, key: object, named: object, function: Any, *arguments: Any) -> Handle:
        found = self._handles.get(key)
        if found is None:
            pointer = ctypes.c_void_p()
            self.ask(function, *arguments, ctypes.byref(pointer))
            found = self._handles.setdefault(key, Handle(pointer.value or 0, named))
            if not self.is_open:
                # Another thread has closed the index, and may not have cleared this handle.
                found.retire()
                raise self.closed_error()
        return found

    def query(
        self,
        function: Any,
        library: Handle,
        text: bytes = b"",
        *,
        timeout: float | None = None,
        flags: int = 0,
        file_size: int = 0,
        progress: ProgressArg = None,
        count: int | None = None,
        reserve: int = 0,
        fills: bool = True,
    ) -> tuple[int, bytes | bytearray]:
        """Calls a function that takes a plexindex_query. Returns the status and, if the function ``fills`` a buffer,
        the block of answers. ``count`` is the number of texts, if there are several.
        """
        call = take()
        try:
            self._begin(call, progress)
            query = call.query(library, text, convert.timeout_ms(timeout), flags, file_size)
            call.reserve(reserve)
            more = (*(() if count is None else (count,)), *((call.buffer_ref,) if fills else ()))
            status = self._check(call, call.run(function, self._handle, query, *more))
            block = call.detach() if count is not None else call.answer() if fills else b""
        finally:
            self._end(call)
        if not fills or two_numbers(block, FIRST)[1]:
            log.drain(self.native)
        return status, block

    def request(
        self, method: str, timeout: float | None = None, progress: ProgressArg = None, /, **request: Any
    ) -> Any:
        """Calls a method by its name, with a JSON request. A ``library`` is a handle. Returns the answer."""
        global _ask
        if _ask is None:
            # JSON takes longer to import than most lookups take, and most processes only look up paths.
            with importing:
                from .json_call import ask

            _ask = ask
        call = take()
        try:
            self._begin(call, progress)
            if isinstance(request.get("library"), Handle):
                request["library"] = request["library"].named
            status, answer = _ask(call, self._handle, method, request, convert.timeout_ms(timeout))
            if status >= c.FIRST_ERROR:
                self._fail(status, call.error_text())
        finally:
            self._end(call)
        log.drain(self.native)
        return answer

    def ask(self, function: Any, *arguments: Any, target: Handle | None = None) -> int:
        """Makes a call that fills no buffer, and passes log lines to ``logging``. Returns the status.

        ``target`` is the first argument: a library or a table. None means the index.
        """
        calls = _pool.calls
        call = calls.pop() if calls else Call()
        try:
            self._calls[call] = _forks  # as _register() and _end() do, without their time
            if not self.is_open:
                raise self.closed_error()
            status: int = function(self._handle if target is None else target.pointer, *arguments, call.error_ref)
            if status >= c.FIRST_ERROR:
                self._fail(status, call.error_text())
        finally:
            self._calls.pop(call, None)
            calls.append(call)
            if self._wakeup is not None:
                self._wake()
        log.drain(self.native)
        return status

    def fill(
        self, function: Any, *arguments: Any, target: Handle | None = None, reserve: int = 0
    ) -> tuple[int, bytes | bytearray]:
        """Makes a call that fills a buffer of at least ``reserve`` bytes. Returns the status and the buffer."""
        call = take()
        try:
            self._register(call)
            call.reserve(reserve)
            pointer = self._handle if target is None else target.pointer
            status = self._check(call, call.run(function, pointer, *arguments, call.buffer_ref))
            return status, call.detach()
        finally:
            self._end(call)

    def listen(self, watch: object) -> None:
        """Listens to the server's events, until the last watch of this index has ended."""
        with self._listening:
            self.request("watch.start")
            if not self._watches:
                start_new_thread(self._pass_log, ())
            self._watches.add(watch)

    def _pass_log(self) -> None:
        """Passes what a watch logs to ``logging`` while the host makes no calls."""
        while self.is_open and not has_begun():
            log.drain(self.native)
            sleep(_BETWEEN_DRAINS)
            if not self._watches:
                return

    def end_listening(self, watch: object) -> None:
        """Ends a watch. Does nothing if it does not listen."""
        with self._listening:
            if watch in self._watches:
                self._watches.discard(watch)
                if not self._watches and self.is_open:
                    self.request("watch.stop")

    def listens(self, watch: object) -> bool:
        """Returns whether a watch listens."""
        return watch in self._watches

    def stats(self) -> dict[str, Any]:
        """Returns the counts, and the times in seconds."""
        raw = c.CStats(size=ctypes.sizeof(c.CStats))
        self.ask(self.native.get_stats, ctypes.byref(raw))
        found: dict[str, Any] = {
            name.replace("_us", "_seconds"): value / 1_000_000 if name.endswith("_us") else value
            for name, value in ((name, getattr(raw, name)) for name, *_ in c.CStats._fields_ if name != "size")
        }
        found["answers"] = dict(zip(c.MATCH_KINDS, raw.answers))
        found["requests"] = dict(zip(c.REQUESTS, raw.requests))
        found["last_failure"] = raw.last_failure.decode("utf-8", "replace") or None
        return found

    def drain_log(self) -> None:
        """Passes the library's log lines to ``logging``."""
        log.drain(self.native)

    def closed_error(self) -> plexindex.ClosedError:
        """Creates the error for a call on a closed index."""
        if self.is_open:
            return plexindex.ClosedError(
                "the Python interpreter is exiting: only its last thread can still use plexindex"
            )
        return plexindex.ClosedError(f"the index on {self.folder!r} is closed: open it again")

    def _check(self, call: Call, status: int) -> int:
        if status >= c.FIRST_ERROR:
            self._fail(status, call.error_text())
        return status

    def _fail(self, status: int, text: bytes) -> None:
        failure = self._failure(status, text)
        if status == c.ABORTED and not self.is_open:
            raise plexindex.ClosedError("the index was closed during this call") from failure
        if status == c.ABORTED and has_begun():
            raise self.closed_error() from failure
        raise failure

    def _failure(self, status: int, text: bytes) -> plexindex.Error:
        with importing:
            from ..errors import error_for

        failure = error_for(status, text)
        if status == c.UNAUTHORIZED and self._renewal[0] is not None:
            failure.__cause__ = self._renewal[0].take_error()
        log.drain(self.native)
        return failure

    def _register(self, call: Call) -> None:
        """Registers a call. Call :meth:`_end` at the end of the call, even if Ctrl-C interrupts this method."""
        self._calls[call] = _forks
        if not self.is_open:
            raise self.closed_error()

    def _begin(self, call: Call, progress: ProgressArg) -> None:
        """Registers a call that has callbacks, as :meth:`_register` does."""
        log.follow_level()
        watch = call.watched()
        watch.session = self
        inside[call] = call.thread
        self._register(call)
        if has_begun():
            raise self.closed_error()
        watch.listener = self.progress if progress is None else convert.callback("progress", progress)

    def _end(self, call: Call) -> None:
        inside.pop(call, None)
        self._calls.pop(call, None)
        call.release()
        if self._wakeup is not None:
            self._wake()

    def _wake(self) -> None:
        try:
            self._wakeup.release()
        except RuntimeError:
            # Another thread has already woken the closing thread.
            pass

    def _wait_for_calls(self, this_thread: int) -> bool:
        """Waits for running calls. Returns False if the interpreter has ended their threads."""
        wakeup = allocate_lock()
        wakeup.acquire()
        self._wakeup = wakeup
        while True:
            # A registered call of this thread has already ended, but an interruption prevented its removal.
            forks = _forks
            if not any(call.thread != this_thread and began == forks for call, began in list(self._calls.items())):
                return True
            if sys.is_finalizing():
                return False
            # The timeout handles a call that an interruption has prevented from waking this thread.
            wakeup.acquire(timeout=0.5)
