"""Calls into the library. Each thread reuses its query, answer buffer and progress callback for all its calls."""

from __future__ import annotations

import ctypes
import os
from _thread import _local, get_ident

from . import TYPE_CHECKING
from . import abi as c
from .abi import CBuffer, CCallOptions, CQuery
from .callbacks import Watch, progress_callback

if TYPE_CHECKING:
    from typing import Any

    from .handles import LibraryHandle

_FIRST_CAPACITY = 16 * 1024
_TEXT_CAPACITY = 2048
# Maximum size of a buffer that a thread keeps for its next call.
_KEPT_CAPACITY = 1024 * 1024


class Call:
    """A call's buffers and callback. Only one call on one thread uses this object at a time.

    Creating the object takes about 20 µs, mostly for the callback. So each thread has a pool of these objects.
    """

    __slots__ = (
        *("_callback", "_data", "_error", "_error_ref", "_text", "_view"),
        *("answer_pointer", "answer_ref", "buffer", "buffer_ref", "options", "options_ref", "query", "query_ref"),
        *("thread", "watch"),
    )

    def __init__(self) -> None:
        self.thread = get_ident()
        self.watch = Watch()
        self._callback = progress_callback(self.watch)
        self.query = CQuery(size=ctypes.sizeof(CQuery), progress=self._callback)
        self.query_ref = ctypes.byref(self.query)
        self.options = CCallOptions(size=ctypes.sizeof(CCallOptions), progress=self._callback)
        self.options_ref = ctypes.byref(self.options)
        self.answer_pointer = ctypes.c_char_p()
        self.answer_ref = ctypes.byref(self.answer_pointer)
        self.buffer = CBuffer()
        self.buffer_ref = ctypes.byref(self.buffer)
        self._text = ctypes.create_string_buffer(_TEXT_CAPACITY)
        self._error = CBuffer(ctypes.addressof(self._text), _TEXT_CAPACITY)
        self._error_ref = ctypes.byref(self._error)
        self._data = bytearray()
        self._view: Any = None
        self.reserve(_FIRST_CAPACITY)

    def ask(self, library: LibraryHandle, text: bytes, timeout_ms: int, flags: int) -> None:
        """Fills the query."""
        query = self.query
        query.library = library.pointer
        query.text_data, query.text_length = text, len(text)
        query.timeout_ms, query.flags = timeout_ms, flags

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
        status: int = function(*arguments, self._error_ref)
        while status == c.BUFFER_TOO_SMALL and self.watch.error is None:
            self.reserve(self.buffer.length)
            status = function(*arguments, self._error_ref)
        if self.watch.error is not None:
            raise self.watch.error
        return status

    def error_text(self) -> bytes:
        """Returns the call's error text and, after a NUL, the name of the invalid option."""
        return b"\0".join(self._text.raw.split(b"\0", 2)[:2])

    def release(self) -> None:
        """Resets this object and returns it to the thread's pool."""
        watch = self.watch
        watch.session = watch.listener = watch.error = None
        self.query.text_data = None
        if self.buffer.capacity > _KEPT_CAPACITY:
            self._drop_buffer()
        _pool().append(self)


_threads = _local()


def _pool() -> list[Call]:
    try:
        return _threads.pool  # type: ignore[no-any-return]
    except AttributeError:
        pool: list[Call] = []
        _threads.pool = pool
        return pool


def take() -> Call:
    """Takes an unused object from the thread's pool. If a progress callback makes calls, the thread needs several."""
    pool = _pool()
    return pool.pop() if pool else Call()


def call(function: Any, *arguments: Any) -> tuple[int, bytes]:
    """Calls a function that needs no open index. Returns the status and the error text."""
    one = take()
    try:
        return one.run(function, *arguments), one.error_text()
    finally:
        one.release()


class ForkCount:
    """Counts forks. Other threads' calls do not exist in a forked child, so the child must not wait for them."""

    number = 0

    @classmethod
    def begin(cls) -> None:
        cls.number += 1


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=ForkCount.begin)
