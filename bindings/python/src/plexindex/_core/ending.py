"""Ends calls into the library before the interpreter exits.

Before CPython 3.14, the exiting interpreter ends other threads by unwinding their stacks when they acquire its lock.
During a callback, the stack contains frames of the library, which cannot be unwound. So an exit hook rejects new calls
with callbacks, ends the running calls, and waits for their end. The hook runs after Python has waited for its other
threads, so only daemon threads are left.

The hook waits for at most ``PATIENCE`` seconds, because a host's progress callback can be slow. A thread that is still
inside the library after that sleeps until the process ends (``platform::thread::call_host`` in the library).
"""

from __future__ import annotations

import atexit
import os
from _thread import allocate_lock, get_ident

PATIENCE = 5.0
"""Maximum number of seconds to wait for running calls."""
_STEP = 0.01

inside: dict[object, int] = {}
"""The running calls with callbacks, and their threads. Adding to a dict and removing from it are atomic."""
_thread: int | None = None


def has_begun() -> bool:
    """Returns whether another thread has started to exit the interpreter.

    Call this function after adding to ``inside``, so that either the hook sees the entry, or the function sees the
    hook.
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
    # A forked child has no other threads, so it must not wait for them.
    me = get_ident()
    for key, thread in list(inside.items()):
        if thread != me:
            del inside[key]


# Register the hook on import, not in `open`: hooks that the host registers later run earlier, and can still use an
# index.
atexit.register(_end)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_only_this_thread)
