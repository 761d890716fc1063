"""An open handle of the C library, and its calls."""

from __future__ import annotations

import ctypes
import os
import sys
from _thread import get_ident, start_new_thread
from time import sleep

import plexindex

from . import TYPE_CHECKING, convert, importing, log
from . import abi as c
from .callbacks import is_ending, run_alone, running, take
from .convert import two_numbers
from .lookups import ForkLock, Handle

if TYPE_CHECKING:
    from typing import Any

    from ..types import ProgressArg, TokenArg
    from .callbacks import Call
    from .native import Native
    from .renewal import Renewal

# Seconds between two reads of the log during a watch.
_BETWEEN_DRAINS = 0.5
# Seconds between two looks whether other threads' calls have ended.
_STEP = 0.005
# The place in a block of two numbers: the offset of the first answer, and the number of unread log lines.
_FIRST = c.ANSWERS["first"]
# Estimated size of an answer without the path, in bytes. A buffer that is too small costs a second call.
_BYTES_PER_ANSWER = 400
_KINDS = {c.SELECT_TITLE: "title", c.SELECT_SECTION: "section", c.SELECT_UUID: "uuid"}


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
        self._handle = Handle()
        # Libraries and tables that were used once.
        self._handles: dict[object, Handle] = {}
        self._closing = ForkLock()
        # The watches that listen to the server's events.
        self._listening, self._watches = ForkLock(), set[object]()
        # The library can call it as long as the index is open.
        self._renewal = renewal
        self.token: TokenArg = None
        """The token, or what returns it, for plexapi."""
        self.plex: Any = None
        """plexapi's object for the server, once an edit needed it."""
        self.plexapi: Any = None
        """The host's own plexapi object for the server."""
        self.recipe: Any = None
        """How another process opens the same index: a :class:`plexindex.opening.Recipe`."""
        status, text = run_alone(native.open, ctypes.byref(options), ctypes.byref(self._handle))
        if status:
            raise self._failure(status, text)
        self.is_open = True
        self.drain_log()

    def close(self) -> None:
        """Closes the handle. First waits for other threads' running calls, whose fetches end early with a ClosedError.

        A second close does nothing. A progress callback of this index must not close the index.
        """
        this_thread = get_ident()
        if any(call.reporting and call.session is self and call.thread == this_thread for call in list(running)):
            raise plexindex.Error("cannot close an index from its progress callback: return False to end the call")
        self.is_open = False
        with self._closing():
            if not self._handle:
                return
            self.native.wake_waiting(self._handle, None)
            # A registered call of this thread has already ended, but an interruption prevented its removal.
            while any(call.thread != this_thread and session is self for call, session in list(running.items())):
                if sys.is_finalizing():
                    # The interpreter has ended the threads, so the handle stays open until the process ends.
                    self._handle.retire()
                    return
                sleep(_STEP)
            # No fast lookup is running, because this thread has the interpreter's lock.
            for handle in list(self._handles.values()):
                handle.retire()
            pointer = ctypes.c_void_p(self._handle.value)
            self._handle.retire()
            status, text = run_alone(self.native.close, pointer)
            failure = self._failure(status, text) if status else None
        self.drain_log()
        if failure is not None:
            raise failure

    def left(self) -> Any:
        """Returns what an index has instead of this session after its own close: a closed session."""
        return _ClosedSession(self)

    def __del__(self) -> None:
        if not self._handle:
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
        return self._handle_of((name, flags), None, self.native.get_table, name, len(name), flags)

    def _handle_of(self, key: object, named: object, function: Any, *arguments: Any) -> Handle:
        found = self._handles.get(key)
        if found is None:
            made = Handle(named=named)
            self.ask(function, *arguments, ctypes.byref(made))
            found = self._handles.setdefault(key, made)
            if not self.is_open:
                # Another thread has closed the index, and may not have cleared this handle.
                found.retire()
                raise self.closed_error()
        return found

    def match(
        self, library: Handle, path: bytes, flags: int, timeout_ms: int, file_size: int, progress: ProgressArg
    ) -> tuple[bytes, int]:
        """Calls plexindex_match_path(). Returns the block, and the offset of the answer in it."""
        call, match_path = take(), self.native.match_path
        try:
            self._query(call, path, (library, flags, timeout_ms, file_size), progress)
            status = match_path(self._handle, call.query_ref, call.buffer_ref, call.error_ref)
            if status >= c.FIRST_ERROR or call.error is not None:
                self._finish(call, status, match_path, self._handle, call.query_ref, call.buffer_ref)
            block: bytes = call.view[: call.buffer.length]
        finally:
            call.end()
        first, log_lines = two_numbers(block, _FIRST)
        if log_lines:
            self.drain_log()
        return block, first

    def match_paths(
        self, library: Handle, paths: bytes, count: int, flags: int, timeout_ms: int, progress: ProgressArg
    ) -> bytearray:
        """Calls plexindex_match_paths(), and returns the block."""
        call = take()
        try:
            self._query(call, paths, (library, flags, timeout_ms, 0), progress)
            call.reserve(4096 + len(paths) + count * _BYTES_PER_ANSWER)
            self._run(call, self.native.match_paths, self._handle, call.query_ref, count, call.buffer_ref)
            block = call.detach()
            call.query.text_data = None
        finally:
            call.end()
        self.drain_log()
        return block

    def refresh(self, library: Handle, flags: int, timeout_ms: int, progress: ProgressArg) -> int:
        """Calls plexindex_refresh(), and returns the status."""
        call = take()
        try:
            self._query(call, b"", (library, flags, timeout_ms, 0), progress)
            status = self._run(call, self.native.refresh, self._handle, call.query_ref)
        finally:
            call.end()
        self.drain_log()
        return status

    def _query(self, call: Call, text: bytes, asked: tuple[Handle, int, int, int], progress: ProgressArg) -> None:
        """Begins a call with a plexindex_query about ``asked``: the library, the flags, the timeout and the size."""
        log.follow_level()
        call.session = running[call] = self
        if not self.is_open or is_ending():
            raise self.closed_error()
        call.listener = self.progress if progress is None else convert.callback("progress", progress)
        query = call.query
        if call.asked != asked:
            query.library = asked[0].value
            _, query.flags, query.timeout_ms, query.file_size = call.asked = asked
        query.text_data, query.text_length = text, len(text)

    def request(
        self, method: str, timeout: float | None = None, progress: ProgressArg = None, /, **request: Any
    ) -> Any:
        """Calls a method by its name, with a JSON request. A ``library`` is a handle. Returns the answer."""
        with importing:  # most processes only look up paths, which takes less time than to import JSON
            from .json_call import ask

        call = take()
        try:
            log.follow_level()
            self._begin(call, progress)
            if isinstance(request.get("library"), Handle):
                request["library"] = request["library"].named
            status, answer = ask(call, self._handle, method, request, convert.timeout_ms(timeout))
            if status >= c.FIRST_ERROR:
                raise self._failure(status, call.error_text())
        finally:
            call.end()
        self.drain_log()
        return answer

    def ask(self, function: Any, *arguments: Any, target: Handle | None = None) -> int:
        """Makes a call that fills no buffer, and passes log lines to ``logging``. Returns the status.

        ``target`` is the first argument: a library or a table. None means the index.
        """
        call = take()
        try:
            self._begin(call)
            status = self._run(call, function, self._handle if target is None else target, *arguments)
            lines = log.read(self.native)
        finally:
            call.end()
        log.hand_on(lines)
        return status

    def fill(self, function: Any, *arguments: Any, target: Handle, reserve: int = 0) -> tuple[int, bytes]:
        """Makes a call that fills a buffer of at least ``reserve`` bytes. Returns the status and the content."""
        call = take()
        try:
            self._begin(call)
            call.reserve(reserve)
            status = self._run(call, function, target, *arguments, call.buffer_ref)
            return status, call.view[: call.buffer.length]
        finally:
            call.end()

    def listen(self, watch: object) -> None:
        """Listens to the server's events, until the last watch of this index has ended."""
        with self._listening():
            self.request("watch.start")
            if not self._watches:
                start_new_thread(self._pass_log, ())
            self._watches.add(watch)

    def _pass_log(self) -> None:
        """Passes what a watch logs to ``logging`` while the host makes no calls."""
        while self.is_open and not is_ending():
            self.drain_log()
            sleep(_BETWEEN_DRAINS)
            if not self._watches:
                return

    def end_listening(self, watch: object) -> None:
        """Ends a watch. Does nothing if it does not listen."""
        with self._listening():
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
        call = take()
        try:
            running[call] = None
            lines = [] if is_ending() or sys.is_finalizing() else log.read(self.native)
        finally:
            call.end()
        log.hand_on(lines)

    def closed_error(self) -> plexindex.ClosedError:
        """Creates the error for a call on a closed index."""
        if self.is_open:
            return plexindex.ClosedError(
                "the Python interpreter is exiting: only its last thread can still use plexindex"
            )
        return plexindex.ClosedError(f"the index on {self.folder!r} is closed: open it again")

    def _begin(self, call: Call, progress: ProgressArg = None) -> None:
        """Registers a call, and then checks that the index is open."""
        call.session = running[call] = self
        if not self.is_open or is_ending():
            raise self.closed_error()
        call.listener = self.progress if progress is None else convert.callback("progress", progress)

    def _run(self, call: Call, function: Any, *arguments: Any) -> int:
        """Makes a call, and returns its status. Raises an error's exception."""
        return self._finish(call, function(*arguments, call.error_ref), function, *arguments)

    def _finish(self, call: Call, status: int, function: Any, *arguments: Any) -> int:
        status = call.finish(status, function, *arguments)
        if status >= c.FIRST_ERROR:
            raise self._failure(status, call.error_text())
        return status

    def _failure(self, status: int, text: bytes) -> plexindex.Error:
        failure = plexindex.errors.error_for(status, text)
        if status == c.UNAUTHORIZED and self._renewal is not None:
            failure.__cause__ = self._renewal.error
        self.drain_log()
        if status == c.ABORTED and (not self.is_open or is_ending()):
            closed = plexindex.ClosedError("the index was closed during this call") if not self.is_open else None
            failure, cause = closed or self.closed_error(), failure
            failure.__cause__ = cause
        return failure
