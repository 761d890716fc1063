"""Locks for closing an index."""

from __future__ import annotations

import os
import sys
from _thread import RLock
from weakref import WeakSet


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
