"""What the public modules share: the C functions, calls, buffers, JSON, the log and the end of the process."""

from __future__ import annotations

import os

# The classes of `collections.abc`, which imports `collections`, 2 ms of each process.
from _collections_abc import Callable
from _collections_abc import Iterable as Iterable
from _collections_abc import Iterator as Iterator
from _collections_abc import Mapping as Mapping
from _collections_abc import MutableMapping as MutableMapping
from _collections_abc import Sequence as Sequence
from _thread import RLock

# The name that type checkers treat as true. Importing the module ``typing``, which also has this name, takes longer
# than opening an index.
TYPE_CHECKING = False

importing = RLock()
"""A call that imports a module holds this lock, and so does a fork. Otherwise, a child that was forked during an
import would wait forever for the thread that imports, which does not exist there. Calls import what few processes need,
because a new process would otherwise take twice as long.
"""

if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=importing.acquire, after_in_parent=importing.release, after_in_child=importing.release)


def in_child(function: Callable[[], None]) -> None:
    """Calls a function in each forked child, which has only one thread."""
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=function)
