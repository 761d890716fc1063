"""An open handle of the C library, and its calls."""

from __future__ import annotations

import ctypes
import os
import sys
from ctypes import c_void_p
from time import sleep
from warnings import warn

from ..errors import ClosedError, Error, InvalidArgumentError
from . import TYPE_CHECKING, Any, NoReturn, RLock, convert, get_ident, importing, log, ref
from . import abi as c
from .callbacks import STEP, Call, is_ending, running, take
from .native import Native, load

if TYPE_CHECKING:
    from ..types import ProgressArg, TokenArg
    from .renewal import Renewal

_KINDS = {c.SELECT_TITLE: "title", c.SELECT_SECTION: "section", c.SELECT_UUID: "uuid"}


class Handle(c_void_p):
    """The C handle of an index, library or table, which closing the index overwrites with NULL.

    Python reads a ctypes object during the call into C. An int would be read before the call, and another thread could
    close the index in between.
    """

    def __init__(self, value: int | None = None, named: object = None) -> None:
        super().__init__(value)
        self.named = named
        """A library's value in a JSON request, where None means all libraries."""
        self.is_known: bool = False
        """Whether the store is known to contain the library."""


# Whether this interpreter has a global lock, which prevents lookups while a thread closes the index. An interpreter
# that has one keeps it.
HAS_GLOBAL_LOCK = bool(getattr(sys, "_is_gil_enabled", lambda: True)())


class ForkLock:
    """A lock that a call returns. A forked child gets a new lock, because the old one may be held for ever.

    The lock is reentrant, because a signal handler can close the index that the interrupted code is closing.
    """

    def __init__(self) -> None:
        self._lock, self._process = RLock(), os.getpid()

    def __call__(self) -> RLock:
        if self._process != os.getpid():
            self._lock, self._process = RLock(), os.getpid()
        return self._lock


class Listening(ForkLock):
    """The watches of an index that listen to the server's events."""

    def __init__(self) -> None:
        super().__init__()
        self.watches: dict[ref[Any], None] = {}
        """References to them, because a watch that is dropped ends."""
        self.process = 0
        """The process whose thread passes on what they log; 0 without a thread."""


class Recipe:
    """How another process opens the same index."""

    def __init__(self, folder: str, server_url: str | None, has_token: bool, options: dict[str, Any]) -> None:
        self.folder: str = folder
        self.server_url: str | None = server_url
        self.has_token: bool = has_token
        self.options: dict[str, Any] = options


class PlexApi:
    """What edits by plexapi need, which the indexes of equal pickles share."""

    def __init__(self) -> None:
        self.token: TokenArg = None
        """The token, or what returns it."""
        self.given: Any = None
        """The host's own object for the server."""
        self.made: Any = None
        """Another one, once an edit needed it, if no token was renewed since."""
        self.renewals: int = 0
        """How often the library had asked for a token by then."""
        self.server_id: str | None = None
        """The server's id, once an item of another URL was given."""


class Session:
    """An open handle and its running calls.

    The library cannot detect a call on a closed handle, so the session prevents calls after a close. A call first
    begins, and then checks that the session is open. A close first marks the session as closed, and then waits for
    running calls.
    """

    def __init__(self, folder: str, recipe: Recipe, progress: ProgressArg = None, reason: Error | None = None) -> None:
        """Until :meth:`open`, each call raises the reason or, without one, a ClosedError."""
        self.handle: Handle = Handle()  # first, because loading the library can fail
        self.is_open: bool = False
        self.native: Native = load()
        self.folder: str = folder
        self.recipe: Recipe = recipe
        self.progress: ProgressArg = progress
        self._reason = reason
        # The session whose handle this one shares, and the ids of the open ones that share its own.
        self._first: Session | None = None
        self._sharing = set[int]()
        self.timeout: float | None = None
        """The default timeout of calls in seconds."""
        self.hides_paths: bool = recipe.options["obfuscate_paths"]
        # Libraries and tables that were used once.
        self._handles: dict[object, Handle] = {}
        self._closing = ForkLock()
        self.listening: Listening = Listening()
        self.renewal: Renewal | None = None
        """What passes tokens to the library."""
        self.plexapi: PlexApi = PlexApi()

    def open(self, options: c.COptions, renewal: Renewal | None) -> None:
        """Opens the handle. The library can call ``renewal`` as long as the index is open."""
        self.timeout, self.renewal = options.timeout_ms / 1000 if options.timeout_ms else None, renewal
        with take() as call, call.lock:
            call.session = self
            call.run(self.native.open, ctypes.byref(options), ctypes.byref(self.handle))
        self.is_open = True
        self.drain_log()

    def share(self) -> Session | None:
        """Returns a session on the same handle, for an index from an equal pickle; None if this one is closed. The last
        of them to close closes the handle.
        """
        with self._closing():
            if not self.is_open:
                return None
            shared = Session.__new__(Session)
            own = {"handle": Handle(self.handle.value), "_handles": {}, "_first": self}
            # At once: an interruption must not leave a session that owns the handle of this one.
            vars(shared).update({**vars(self), **own})
            self._sharing.add(id(shared))
        return shared

    def close(self) -> None:
        """Closes the handle: see :meth:`plexindex.Index.close`."""
        # Before anything else: the thread that closes the index may wait for this call, and other threads' calls go on.
        # A thread of the library, too, can be within the token callable.
        this_thread, renewal = get_ident(), self.renewal
        is_renewing = renewal is not None and renewal.thread == this_thread
        if is_renewing or any(call.session is self and call.thread == this_thread for call in running()):
            raise InvalidArgumentError("cannot close the index from its own callback; return from the callback first")
        self.is_open = False
        with self._closing():
            if not self.handle:
                return
            self.native.wake_waiting(self.handle, None)
            while any(call.session is self for call in running()):
                if sys.is_finalizing():  # it has ended the other threads: the handle stays open until the process ends
                    self.handle.value = None
                    return
                sleep(STEP)
            if not self.handle:  # a signal handler has closed it meanwhile
                return
            # No fast lookup is running, because this thread has the interpreter's lock.
            value, first = self.handle.value, self._first
            for handle in (self.handle, *self._handles.values()):
                handle.value = None
            if first is not None:
                first._sharing.discard(id(self))
                if not first._sharing:
                    first.close()
                return
            with take() as call, call.lock:
                call.session = self
                call.run(self.native.close, c_void_p(value))
        self.drain_log()

    def __del__(self) -> None:
        # A worker of a pool drops what it unpickled. Without a handle, the constructor was interrupted.
        first = vars(self).get("_first")
        if first is not None:
            first._sharing.discard(id(self))
        if first is not None or not vars(self).get("handle"):
            return
        try:
            self.close()
        except Exception:
            pass
        # Last, because the warning may be an error, which pytest then reports.
        if not sys.is_finalizing():
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
                found.value = None
                raise self.closed_error()
        return found

    def query(self, call: Call, text: bytes, asked: tuple[Handle, int, int, int], progress: ProgressArg) -> None:
        """Begins a call with a plexindex_query about ``asked``: the library, the flags, the timeout and the size."""
        self._begin(call, progress)
        query = call.query
        if call.asked != asked:
            query.library = asked[0].value
            _, query.flags, query.timeout_ms, query.file_size = call.asked = asked
        query.text_data, query.text_length = text, len(text)

    def request(
        self, method: str, timeout: float | None = None, progress: ProgressArg = None, /, **request: Any
    ) -> Any:
        """Calls a method by its name, with a JSON request. A ``library`` is a handle. Returns the answer."""
        with importing():  # most processes only look up paths, which takes less time than to import JSON
            from .json_call import ask

        with take() as call, call.lock:
            self._begin(call, progress)
            if isinstance(request.get("library"), Handle):
                request["library"] = request["library"].named
            answer = ask(call, self.handle, method, request, convert.timeout_ms(timeout))
        self.drain_log()
        return answer

    def ask(self, function: Any, *arguments: Any, target: Handle | None = None) -> int:
        """Makes a call that fills no buffer, and passes log lines to ``logging``. Returns the status.

        ``target`` is the first argument: a library or a table. None means the index.
        """
        with take() as call, call.lock:
            self._begin(call)
            status = call.run(function, self.handle if target is None else target, *arguments)
            lines = log.read(self.native)
        log.hand_on(lines)
        return status

    def fill(self, function: Any, *arguments: Any, target: Handle, reserve: int = 0) -> tuple[int, bytes]:
        """Makes a call that fills a buffer of at least ``reserve`` bytes. Returns the status and the content."""
        with take() as call, call.lock:
            self._begin(call)
            call.reserve(reserve)
            status = call.run(function, target, *arguments, call.buffer_ref)
            return status, call.view[: call.buffer.length]

    @property
    def origin(self) -> Session:
        """The session that opened the handle. Those of equal pickles have the same."""
        return self._first or self

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
        with take() as call, call.lock:
            lines = [] if is_ending() or sys.is_finalizing() else log.read(self.native)
        log.hand_on(lines)

    def __reduce__(self) -> NoReturn:
        raise TypeError("cannot pickle or copy what reads an open index: pickle the Index or the Library")

    def expect_open(self) -> None:
        """Raises an error if the index is closed."""
        if not self.is_open:
            raise self.closed_error()

    def closed_error(self) -> Error:
        """Creates the error for a call on a closed index."""
        if self._reason is not None:
            # A new exception each time, because each raise adds frames to an exception.
            error = type(self._reason)(*self._reason.args)
            error.status, error.argument = self._reason.status, self._reason.argument
            error.__cause__ = self._reason.__cause__
            return error
        if self.is_open:
            return ClosedError("the Python interpreter is exiting: only its last thread can still use plexindex")
        return ClosedError(f"the index on {self.folder!r} is closed: open it again")

    def _begin(self, call: Call, progress: ProgressArg = None) -> None:
        """Begins a call, and then checks that the index is open."""
        log.follow_level()
        call.session = self
        if not self.is_open or is_ending():
            raise self.closed_error()
        call.listener = self.progress if progress is None else convert.callback("progress", progress)

    def explain(self, error: Error) -> Error:
        """Returns the exception for an error of a call: with the cause that only Python knows."""
        if error.status == c.UNAUTHORIZED and self.renewal is not None:
            error.__cause__ = self.renewal.error
        self.drain_log()
        if error.status == c.ABORTED and (not self.is_open or is_ending()):
            closed = ClosedError("the index was closed during this call") if not self.is_open else None
            error, cause = closed or self.closed_error(), error
            error.__cause__ = cause
        return error
