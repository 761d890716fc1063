"""Opens a handle, runs calls, and closes the handle. The methods of an index are in other modules."""

from __future__ import annotations

import ctypes
import os
import sys
from _thread import allocate_lock, get_ident

from ..errors import ClosedError, Error, InvalidArgumentError, error_for
from ..library import Chosen, Handle, Selected
from ..match import log_lines
from . import calls as _calls
from . import constants as c
from . import convert as _convert
from . import ending as _ending
from . import log as _log
from .accelerator import closing_lock

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Union

    from .callbacks import ProgressArg, Renewal
    from .calls import Call
    from .native import COptions, Native

    ChosenArg = Union[str, int, Chosen, None]


def initial_state(native: Native, cell: bytearray) -> dict[str, Any]:
    """Returns a session's attributes before its first call, except the attributes that opening sets."""
    return {
        "_native": native,
        "_selected": {},
        "_tables": {},
        "_calls": {},
        "_wakeup": None,
        # The accelerator reads the handle from this memory, which a close clears first.
        "_cell": cell,
        "_renewal": (None, None),
    }


_KINDS = {c.SELECT_TITLE: "title", c.SELECT_SECTION: "section", c.SELECT_UUID: "uuid"}


def named_library(kind: int, selector: str) -> object:
    """Returns a library's name in a JSON request. None means all libraries."""
    return {_KINDS[kind]: selector} if kind in _KINDS else selector or None


class Session:
    """An open handle and its running calls.

    The library cannot detect a call on a closed handle, so the session prevents calls after a close. A call first
    registers itself, and then checks that the session is open. A close first marks the session as closed, and then
    waits for registered calls.
    """

    _native: Native
    _selected: dict[tuple[int, str], Selected]
    _tables: dict[bytes, Handle]
    # Running calls, each with its fork generation. Adding to a dict and removing from it are atomic.
    _calls: dict[Call, int]
    _wakeup: Any
    _cell: bytearray
    _renewal: tuple[Renewal | None, Any]

    def __init__(
        self, native: Native, options: COptions, progress: ProgressArg, renewal: Renewal | None = None
    ) -> None:
        self._open = False
        self._progress = progress
        self._hides_paths = bool(options.flags & c.OPEN_OBFUSCATE_PATHS)
        self._cache_dir = os.fsdecode(options.cache_dir.data or b"")
        self.__dict__.update(initial_state(native, bytearray(ctypes.c_void_p())))
        self._closing = closing_lock()
        # Keeps the callback alive, because the library can call it as long as the index is open.
        self._renewal = renewal, options.renew_token
        # A function and its arguments, without the token, with which another process opens the same index.
        self._recipe: tuple[Any, ...] | None = None
        self._handle: int | None = None
        handle = ctypes.c_void_p.from_buffer(self._cell)
        status, text = _calls.call(native.open, ctypes.byref(options), ctypes.byref(handle))
        if status:
            raise self._failure(status, text)
        self._handle = handle.value
        self._open = True
        _log.drain(native)

    def close(self) -> None:
        """Closes the index. First waits for other threads' running calls, whose fetches end early with a ClosedError.

        A second close does nothing. A progress callback of this index must not close the index.
        """
        this_thread = get_ident()
        if any(call.thread == this_thread and call.watch.reporting for call in list(self._calls)):
            raise Error("cannot close an index from its progress callback: return False to end the call")
        self._open = False
        with self._closing:
            if self._handle is None:
                return
            self._cell[:] = bytes(len(self._cell))
            self._native.wake_waiting(self._handle, None)
            if not self._wait_for_calls(this_thread):
                # The interpreter is exiting, so the handle stays open until the process ends.
                self._handle = None
                return
            # No fast lookup is running, because this thread has the interpreter's lock.
            for handle in [*self._selected.values(), *self._tables.values()]:
                handle.retire()
            pointer, self._handle = self._handle, None
            status, text = _calls.call(self._native.close, pointer)
            failure = self._failure(status, text) if status else None
        _log.drain(self._native)
        if failure is not None:
            raise failure

    def __del__(self) -> None:
        try:
            if self._handle is not None:
                self.close()
        except Exception:
            # When the interpreter exits, modules may already be unloaded, and no caller can handle an error.
            pass

    def _query(
        self,
        function: Any,
        library: ChosenArg,
        text: bytes,
        deadline: float | None,
        flags: int,
        progress: ProgressArg,
        *,
        count: int | None = None,
        reserve: int = 0,
        buffer: bool = True,
    ) -> tuple[int, bytes | bytearray]:
        """Calls a function with a plexindex_query. Returns the status and the answer."""
        call = _calls.take()
        try:
            self._begin(call, progress)
            query = call.query
            query.library = self._library_pointer(library)
            query.text_data, query.text_length = text, len(text)
            query.timeout_ms = _convert.deadline_ms(deadline)
            query.flags = flags
            if not buffer:
                return self._check(call, call.run(function, self._handle, call.query_ref)), b""
            call.reserve(reserve)
            counted = () if count is None else (count,)
            status = self._check(call, call.run(function, self._handle, call.query_ref, *counted, call.buffer_ref))
            return status, call.answer() if count is None else call.detach()
        finally:
            self._done(call)

    def _request(
        self, method: str, deadline: float | None = None, progress: ProgressArg = None, /, **request: Any
    ) -> tuple[int, Any]:
        """Calls a method through plexindex_call(). Returns its status and its answer."""
        # Import the module on first use, because most hosts do not need JSON.
        from . import call as _call

        call = _calls.take()
        try:
            self._begin(call, progress)
            if "library" in request and not isinstance(request["library"], dict):
                request["library"] = self._selected_of(request["library"]).named
            status, answer = _call.ask(call, self._handle, method, request, _convert.deadline_ms(deadline))
            if status >= c.FIRST_ERROR:
                self._fail(status, call.error_text(), answer)
        finally:
            self._done(call)
        _log.drain(self._native)
        return status, answer

    def _block(
        self,
        function: Any,
        library: ChosenArg,
        text: bytes,
        deadline: float | None,
        offline: bool,
        progress: ProgressArg,
        count: int | None = None,
        reserve: int = 0,
        *,
        at_once: bool = False,
        check: bool = False,
    ) -> bytes | bytearray:
        """Calls a function that returns a block of answers, and returns the block."""
        flags = (
            (c.QUERY_OFFLINE if offline else 0) | (c.QUERY_AT_ONCE if at_once else 0) | (c.QUERY_PROBE if check else 0)
        )
        _, block = self._query(function, library, text, deadline, flags, progress, count=count, reserve=reserve)
        if log_lines(block):
            _log.drain(self._native)
        return block

    def _do(
        self,
        function: Any,
        *arguments: Any,
        library: ChosenArg | Session | Handle,
        reserve: int | None = None,
    ) -> bytes:
        """Makes a call and returns its answer. See :meth:`_ask`."""
        return bytes(self._ask(function, *arguments, library=library, reserve=reserve)[1])

    def _run_command(self, function: Any, *arguments: Any, library: ChosenArg | Session) -> None:
        """Makes a call that has no answer, and passes log lines to ``logging``."""
        self._ask(function, *arguments, library=library)
        _log.drain(self._native)

    def _ask(
        self,
        function: Any,
        *arguments: Any,
        library: ChosenArg | Session | Handle,
        reserve: int | None = None,
        detach: bool = False,
    ) -> tuple[int, bytes | bytearray]:
        """Makes a call and returns its status and answer.

        ``library`` is the first argument: self for the index's handle, a library, or a table. ``reserve`` is the
        minimum buffer size, if the call fills a buffer. With ``detach``, a large answer is not copied.
        """
        call = _calls.take()
        try:
            self._calls[call] = _calls.ForkCount.number
            if not self._open:
                raise self._closed_error()
            pointer: int | None
            if isinstance(library, Session):
                pointer = self._handle
            else:
                pointer = library.pointer if isinstance(library, Handle) else self._library_pointer(library)
            if reserve is None:
                return self._check(call, call.run(function, pointer, *arguments)), b""
            call.reserve(reserve)
            status = self._check(call, call.run(function, pointer, *arguments, call.buffer_ref))
            return status, call.detach() if detach else call.answer()
        finally:
            self._done(call)

    def _lookup_counted(self, library: int, path: bytes) -> bytes | None:
        """Calls plexindex_lookup_key() as a registered call, for interpreters without a global lock."""
        call = _calls.take()
        try:
            self._calls[call] = _calls.ForkCount.number
            if not self._open:
                raise self._closed_error()
            return self._native.lookup_key(library, path)  # type: ignore[no-any-return]
        finally:
            self._done(call)

    def _drain_log(self) -> None:
        _log.drain(self._native)

    def _select(self, kind: int, selector: str) -> Selected:
        found = self._selected.get((kind, selector))
        if found is not None:
            return found
        raw = _convert.text_bytes("library", selector)
        pointer = ctypes.c_void_p()
        self._do(self._native.get_library, kind, raw or None, len(raw), ctypes.byref(pointer), library=self)
        found = self._selected.setdefault(
            (kind, selector), Selected(self._native, pointer.value or 0, named_library(kind, selector))
        )
        if not self._open:
            # Another thread has closed the index, and may not have cleared this handle.
            found.retire()
            raise self._closed_error()
        return found

    def _library_pointer(self, library: ChosenArg) -> int:
        return self._selected_of(library).pointer

    def _selected_of(self, library: ChosenArg) -> Selected:
        if isinstance(library, Chosen):
            if library._index is not self:
                raise InvalidArgumentError(f"{library!r} belongs to a different index")
            return library._selected
        if library is None:
            return self._select(c.SELECT_ALL, "")
        if isinstance(library, int) and not isinstance(library, bool):
            return self._select(c.SELECT_SECTION, str(library))
        if not isinstance(library, str):
            raise TypeError(
                f"library must be a title, a section id, a uuid, a Library or None, not {type(library).__name__}"
            )
        return self._select(c.SELECT_ANY, library)

    def _check(self, call: Call, status: int) -> int:
        if status >= c.FIRST_ERROR:
            self._fail(status, call.error_text())
        return status

    def _fail(self, status: int, text: bytes, answer: Any = None) -> None:
        failure = self._failure(status, text)
        failure._answer = answer
        if status == c.ABORTED and not self._open:
            raise ClosedError("the index was closed during this call") from failure
        if status == c.ABORTED and _ending.has_begun():
            raise self._closed_error() from failure
        raise failure

    def _failure(self, status: int, text: bytes) -> Error:
        failure = error_for(status, text)
        if status == c.UNAUTHORIZED and self._renewal[0] is not None:
            failure.__cause__ = self._renewal[0].take_error()
        _log.drain(self._native)
        return failure

    def _closed_error(self) -> ClosedError:
        if self._open:
            return ClosedError("the Python interpreter is exiting: only its last thread can still use plexindex")
        return ClosedError(f"the index on {self._cache_dir!r} is closed: open it again")

    def _begin(self, call: Call, progress: ProgressArg) -> None:
        """Registers a call that has callbacks. Call :meth:`_done` at the end of the call."""
        self._calls[call] = _calls.ForkCount.number
        _ending.inside[call] = call.thread
        if not self._open or _ending.has_begun():
            raise self._closed_error()
        call.watch.session = self
        call.watch.listener = self._progress if progress is None else _convert.callback("progress", progress)

    def _done(self, call: Call) -> None:
        _ending.inside.pop(call, None)
        self._calls.pop(call, None)
        call.release()
        self._wake()

    def _wake(self) -> None:
        if self._wakeup is not None:
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
            forks = _calls.ForkCount.number
            if not any(call.thread != this_thread and began == forks for call, began in list(self._calls.items())):
                return True
            if sys.is_finalizing():
                return False
            # The timeout handles a call that an interruption has prevented from waking this thread.
            wakeup.acquire(timeout=0.5)
