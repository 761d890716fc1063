"""What a call passes to the library: its query, its buffers and its callback, which preserves exceptions.

If an exception leaves a callback, ctypes prints and drops the exception, and returns a random value to C. A `try` in
the callback does not prevent this: since CPython 3.11, a function's first instruction, before its `try`, can raise a
pending Ctrl-C. But a generator always resumes inside its `try`. So C calls the method `send` of generators, for the
generator to which `user` points.

Before CPython 3.14, the exiting interpreter ends other threads by unwinding their stacks when they acquire its lock.
During a callback, the stack contains frames of the library, which cannot be unwound. So an exit hook rejects new calls,
ends the running calls, and waits for their end. The hook runs after Python has waited for its other threads, so only
daemon threads are left.

The hook waits for at most ``PATIENCE`` seconds, because a host's progress callback can be slow. A thread that is still
inside the library after that sleeps until the process ends (``platform::thread::call_host`` in the library).
"""

from __future__ import annotations

import atexit
import ctypes
from _weakref import proxy
from time import monotonic, sleep

from ..errors import Error, error_for
from ..progress import Progress
from . import OWNED, TYPE_CHECKING, Any, Generator, LockType, _local, allocate_lock, get_ident, log, ref
from . import abi as c

if TYPE_CHECKING:
    from ..types import ProgressArg
    from .session import Session

FOREVER = float("inf")
# Seconds between two reads of the log, and between two looks whether other threads' calls have ended.
BETWEEN_DRAINS, STEP = 0.5, 0.005
_FIRST_CAPACITY = 16 * 1024
_TEXT_CAPACITY = 2048
# Maximum size of a buffer that a thread keeps for its next call.
_KEPT_CAPACITY = 1024 * 1024


class Stoppable:
    """A progress callback that can end its call after the task has been cancelled."""

    def __init__(self, listener: ProgressArg, until: float = FOREVER) -> None:
        self.listener = listener
        """The host's own callback."""
        self.until: float = until
        """The time when the call ends, also for what it waits for on the way."""
        self.stopped: bool = False
        """Whether the call must end."""

    def stop(self) -> None:
        """Ends the call."""
        self.stopped = True

    def __call__(self, progress: Progress) -> object:
        """Calls the host's callback."""
        return None if self.listener is None else self.listener(progress)


def receive(owner: Any) -> Generator[int, int, None]:
    """Yields to C whether a call must end, for each address that C passes to its callback. ``owner.goes_on`` answers;
    ``owner.error`` is set to the exception that it raises.
    """
    ends, is_called = 0, False
    while True:
        try:
            while True:
                address = yield ends
                is_called = True
                ends = 0 if owner.goes_on(address) else 1
                is_called = False
        except BaseException as error:
            if not is_called and isinstance(error, GeneratorExit):
                return
            owner.error, ends, is_called = error, 1, False


_send: Any = c.PROGRESS_FN(type(receive(None)).send)


class Call:
    """A call's query, buffers and callback. Only one call on one thread uses this object at a time.

    Creating the object takes longer than a call, so each thread keeps its objects.
    """

    __slots__ = ("__weakref__", "_drained", "_kept", "asked", "buffer", "buffer_ref", "data", "error", "error_ref",
                 "listener", "lock", "options", "query", "query_ref", "session", "text", "thread", "view")  # fmt: skip

    def __init__(self, kept: list[Call]) -> None:
        self.thread: int = get_ident()
        self._kept = kept
        self.lock: LockType = allocate_lock()
        """Encloses a call. While its thread holds it, the call runs. No interruption can come before it is released."""
        _known[ref(self, _known.pop)] = self.thread
        self.session: Session | None = None
        """The call's index. Closing the index, or the interpreter's exit, ends the call."""
        self.listener: ProgressArg = None
        """The host's callback."""
        self.error: BaseException | None = None
        """An exception during the callback, such as Ctrl-C, to raise again when the call returns."""
        # Time when the call last read the log. A wait for changes can call back five times a second for days.
        self._drained = -BETWEEN_DRAINS
        # Before Python 3.12, a reference to a structure hides its objects from the garbage collector.
        answers = receive(proxy(self))
        next(answers)
        self.query: c.CQuery = c.CQuery(size=ctypes.sizeof(c.CQuery), progress=_send, progress_user=answers)
        self.query_ref: Any = ctypes.byref(self.query)
        self.asked: tuple[Any, ...] = ()
        """The query's library, timeout, flags and size."""
        self.options: c.CCallOptions = c.CCallOptions(
            size=ctypes.sizeof(c.CCallOptions), progress=_send, progress_user=answers
        )
        self.buffer: c.CBuffer = c.CBuffer()
        self.buffer_ref: Any = ctypes.byref(self.buffer)
        self.text: Any = ctypes.create_string_buffer(_TEXT_CAPACITY)
        self.error_ref: Any = ctypes.byref(c.CBuffer(ctypes.addressof(self.text), _TEXT_CAPACITY))
        self.data: bytearray = bytearray()
        self.view: Any = b""
        self.reserve(_FIRST_CAPACITY)

    def reserve(self, capacity: int) -> None:
        """Makes the buffer at least this large."""
        if capacity > self.buffer.capacity:
            # Grow in steps, so that not every larger answer needs a new buffer. The kernel zeroes each page of a
            # bytearray on first use, whereas ctypes would write every byte.
            capacity = -(-capacity * 5 // 4 // 4096) * 4096
            self.data = bytearray(capacity)
            self.view = (ctypes.c_char * capacity).from_buffer(self.data)
            self.buffer.data, self.buffer.capacity = ctypes.addressof(self.view), capacity

    def detach(self) -> bytearray:
        """Returns the buffer with the answer, without copying. The next call gets a new buffer."""
        data, length = self.data, self.buffer.length
        self._drop_buffer()
        del data[length:]
        return data

    def _drop_buffer(self) -> None:
        self.data, self.view = bytearray(), b""
        self.buffer.data, self.buffer.capacity = None, 0

    def run(self, function: Any, *arguments: Any) -> int:
        """Calls ``function``, and again if the buffer was too small. Returns the status. Raises the exception of the
        progress callback, or of an error.
        """
        return self.finish(function(*arguments, self.error_ref), function, *arguments)

    def finish(self, status: int, function: Any, *arguments: Any) -> int:
        """Finishes a call of ``function`` that returned a status, as :meth:`run` does."""
        while status == c.BUFFER_TOO_SMALL and self.error is None:
            self.reserve(self.buffer.length)
            status = function(*arguments, self.error_ref)
        if self.error is not None:
            raise self.error
        if status >= c.FIRST_ERROR:
            raise self._failure(status)  # no name here, which would keep the error and this frame alive
        return status

    def _failure(self, status: int) -> Error:
        text = b"\0".join(self.text.raw.split(b"\0", 2)[:2])  # the name of an invalid option follows a NUL
        error = error_for(status, text)
        return error if self.session is None else self.session.explain(error)

    def goes_on(self, address: int) -> bool:
        """Reads the plexindex_progress at ``address``, calls the host's callback, and returns whether to continue."""
        if self.error is not None:
            return False
        if self.session is not None:
            if not self.session.is_open or is_ending():
                return False
            # A warning about an unreachable server must appear immediately, not at the end of the call.
            now = monotonic()
            if now >= self._drained + BETWEEN_DRAINS:
                self._drained = now
                log.hand_on(log.read(self.session.native))
        if self.listener is None:
            return True
        if isinstance(self.listener, Stoppable) and self.listener.stopped:
            return False
        raw = c.CProgress.from_address(address)
        if not raw.library_length:
            # plexindex has fetched nothing yet, and calls back only so that a pending Ctrl-C can be raised.
            return True
        title = ctypes.string_at(raw.library_data, raw.library_length)
        progress = Progress(title.decode("utf-8", "replace"), raw.items, raw.total, raw.elapsed_ms / 1000)
        return self.listener(progress) is not False

    def __enter__(self) -> Call:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        """Keeps this object for the thread's next call; but not if something was raised, such as by Ctrl-C between two
        assignments that belong together.
        """
        self.session = self.listener = self.error = None
        if kind is not None:
            return
        if len(self.data) > _KEPT_CAPACITY:
            self._drop_buffer()
        if not self.lock.locked():  # before Python 3.11, an interruption can come before the lock is released
            self._kept.append(self)


class _Kept(_local):
    """The unused objects of a thread. If a progress callback makes calls, the thread needs several."""

    def __init__(self) -> None:
        self.calls: list[Call] = []


_kept = _Kept()

# All threads' objects, with their threads. A forked child must not wait for the calls of other threads.
_known: dict[ref[Call], int] = {}
OWNED.append(_known)


def running() -> list[Call]:
    """Returns the running calls of all threads."""
    return [call for known in list(_known) if (call := known()) is not None and call.lock.locked()]


def take() -> Call:
    """Returns an unused object of this thread. A call begins when the thread acquires the object's lock."""
    calls = _kept.calls
    return calls.pop() if calls else Call(calls)


PATIENCE = 5.0
"""Maximum number of seconds to wait for running calls."""

_ending: int | None = None


def is_ending() -> bool:
    """Returns whether another thread has started to exit the interpreter.

    Call this function within a call, so that either the hook sees the call, or the function sees the hook.
    """
    return _ending is not None and _ending != get_ident()


def _end() -> None:
    global _ending
    _ending = get_ident()
    for _ in range(int(PATIENCE / STEP)):
        if all(call.thread == _ending for call in running()):
            return
        sleep(STEP)


# Register the hook on import, not in `open`: hooks that the host registers later run earlier, and can still use an
# index.
atexit.register(_end)
