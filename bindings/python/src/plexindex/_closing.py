"""The lock under which an index is closed, or becomes more: in a child that was forked nothing waits for it in vain."""

from __future__ import annotations

import os
from _thread import RLock
from _weakref import ref

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_locks: set[ref[RLock]] = set()


def closing_lock() -> RLock:
    """A lock. In a forked child it is free, unless the thread that forked has it: the others are gone."""
    # Reentrant, as a signal handler may close what the interrupted code is closing.
    lock = RLock()
    _locks.add(ref(lock, _locks.discard))
    return lock


def _free_in_child() -> None:
    for known in list(_locks):
        lock: Any = known()
        if lock is not None and not lock._is_owned():
            lock._at_fork_reinit()


if hasattr(os, "register_at_fork") and hasattr(RLock, "_at_fork_reinit"):
    os.register_at_fork(after_in_child=_free_in_child)
