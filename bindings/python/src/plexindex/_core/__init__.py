"""What the public modules share: the C functions, calls, buffers, JSON, the log and the end of the process."""

from __future__ import annotations

import os
import time

# What `collections.abc` and `threading` have. They import `collections` and `functools`, in 3 and 6 ms of each process
# (`python -X importtime`), and a lookup takes microseconds. Every Python since 3.3 has them; import them from here.
from _collections_abc import Callable as Callable
from _collections_abc import Collection as Collection
from _collections_abc import Generator as Generator
from _collections_abc import ItemsView as ItemsView
from _collections_abc import Iterable as Iterable
from _collections_abc import Iterator as Iterator
from _collections_abc import KeysView as KeysView
from _collections_abc import Mapping as Mapping
from _collections_abc import MutableMapping as MutableMapping
from _collections_abc import Sequence as Sequence
from _collections_abc import ValuesView as ValuesView
from _thread import RLock as RLock
from _thread import _local as _local
from _thread import get_ident as get_ident
from _thread import start_new_thread as start_new_thread

# The name that type checkers treat as true. Importing the module ``typing``, which also has this name, takes longer
# than opening an index.
TYPE_CHECKING = False

_FORK_WAITS = 5.0
"""How long a fork waits for imports, in seconds."""


class _Importing:
    """Encloses the imports of a call. A fork waits until no other thread is within: a child that was forked during an
    import would wait forever for the thread that imports, which does not exist there. Any number of threads can be
    within at once, since Python has a lock for each module.
    """

    def __init__(self) -> None:
        self._lock = RLock()
        self._within: dict[int, int] = {}

    def __enter__(self) -> None:
        with self._lock:
            self._within[get_ident()] = self._within.get(get_ident(), 0) + 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._within[get_ident()] -= 1
            if not self._within[get_ident()]:
                del self._within[get_ident()]

    def before_fork(self) -> None:
        until = time.monotonic() + _FORK_WAITS
        self._lock.acquire()
        while self._within.keys() - {get_ident()} and time.monotonic() < until:
            self._lock.release()
            time.sleep(0.001)
            self._lock.acquire()

    def after_fork(self) -> None:
        self._lock.release()

    def in_child(self) -> None:
        self._within = {thread: depth for thread, depth in self._within.items() if thread == get_ident()}
        self._lock.release()


importing = _Importing()
"""Calls import what few processes need, because a new process would otherwise take twice as long."""

if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=importing.before_fork, after_in_parent=importing.after_fork, after_in_child=importing.in_child
    )


def in_child(function: Callable[[], None]) -> None:
    """Calls a function in each forked child, which has only one thread."""
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=function)
