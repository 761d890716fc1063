"""The end of the interpreter while other threads are inside the library.

Before CPython 3.14 the interpreter ends other threads by unwinding their stacks, when they take its lock. In a callback
the library's frames are on that stack, and cannot be unwound. So an exit hook refuses new calls with callbacks, ends
those in flight, and waits for them. It runs after the threads that Python waits for: only daemon threads are left.

It waits for ``PATIENCE`` at most, since a host's progress callback may take long. A thread that is still inside then
sleeps until the process ends (``platform::thread::call_host`` in the library).
"""

from __future__ import annotations

import atexit
import os
from _thread import allocate_lock, get_ident

PATIENCE = 5.0
"""Seconds."""
_STEP = 0.01

inside: dict[object, int] = {}
"""Calls that may call back now, with their threads. A dict: adding and removing are atomic."""
_thread: int | None = None


def refused() -> bool:
    """Returns whether another thread is ending the interpreter.

    Call it after adding to ``inside``: then either the hook sees the entry, or this function sees the hook.
    """
    return _thread is not None and _thread != get_ident()


def _end() -> None:
    global _thread
    _thread = me = get_ident()
    pause = allocate_lock()
    pause.acquire()
    for _ in range(int(PATIENCE / _STEP)):
        if not any(thread != me for thread in list(inside.values())):
            return
        pause.acquire(timeout=_STEP)


def _only_this_thread() -> None:
    # The child has no other threads; nothing may wait for them.
    me = get_ident()
    for key, thread in list(inside.items()):
        if thread != me:
            del inside[key]


# Registered at import, not when an index is opened: hooks that the host registers later run before and may use it.
atexit.register(_end)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_only_this_thread)
