"""Handles of libraries and tables, which closing the index clears, so that no fast lookup uses a freed handle; and the
lock for closing.
"""

from __future__ import annotations

import os
import sys
from _thread import RLock
from _weakrefset import WeakSet  # `weakref` takes 2 ms of each process
from ctypes import c_void_p


class Handle:
    """A library's or table's C handle, in memory that closing the index overwrites with NULL."""

    __slots__ = ("cell", "handle", "pointer")

    def __init__(self, pointer: int) -> None:
        self.pointer = pointer
        self.cell = bytearray(c_void_p(pointer))
        """The memory. The accelerator reads the handle from it."""
        # Python reads a ctypes object during the call into C. An int would be read before the call, and another thread
        # could close the index in between.
        self.handle = c_void_p.from_buffer(self.cell)

    def retire(self) -> None:
        """Clears the handle."""
        self.handle.value = None


class LibraryHandle(Handle):
    """The handle of a library, or of all libraries."""

    __slots__ = ("named",)

    def __init__(self, pointer: int, named: object) -> None:
        super().__init__(pointer)
        self.named = named
        """The library's value in a JSON request. None means all libraries."""


def holds_the_lock() -> bool:
    """Returns whether this interpreter has a global lock, which prevents lookups while a thread closes the index."""
    return bool(getattr(sys, "_is_gil_enabled", lambda: True)())


_locks: WeakSet[RLock] = WeakSet()


def closing_lock() -> RLock:
    """Creates a lock. In a forked child, the lock is free, unless the forking thread holds it."""
    # The lock is reentrant, because a signal handler can close the index that the interrupted code is closing.
    lock = RLock()
    _locks.add(lock)
    return lock


def _free_in_child() -> None:
    for lock in list(_locks):
        if not lock._is_owned():  # type: ignore[attr-defined]
            lock._at_fork_reinit()  # type: ignore[attr-defined]


if hasattr(os, "register_at_fork") and hasattr(RLock, "_at_fork_reinit"):
    os.register_at_fork(after_in_child=_free_in_child)
