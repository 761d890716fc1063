"""The accelerator: fast lookups without ctypes, for CPython 3.10 and newer.

The accelerator is optional, and behaves like the functions that it replaces. ``PLEXINDEX_NO_ACCELERATOR=1`` disables
it.

This module also contains the locks for closing an index, because a separate module would cost each new process 0.1 ms.
"""

import os
import sys
from _thread import RLock
from _weakref import ref

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


# The folder of the package, which contains the shared libraries.
_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def holds_the_lock() -> bool:
    """Returns whether this interpreter has a global lock, which prevents lookups while a thread closes the index."""
    return bool(getattr(sys, "_is_gil_enabled", lambda: True)())


def is_whole(path: str) -> bool:
    """Returns whether an ELF file is as long as its header says. For any other file, returns whether it is not empty.

    Loading a truncated file, for example after the disk was full, can end the process with SIGBUS.
    """
    try:
        # Do not use open(), because allocating its buffers costs each new process time.
        file = os.open(path, os.O_RDONLY)
        try:
            head, length = os.read(file, 64), os.fstat(file).st_size
        finally:
            os.close(file)
    except OSError:
        return True  # the loader reports the error
    if not head.startswith(b"\x7fELF"):
        return bool(length)
    # The section table is at the end of the file. The header contains the table's offset, entry size and entry count.
    is_64_bit = head[4:5] == b"\2"
    offset_at, offset_width, sizes_at = (0x28, 8, 0x3A) if is_64_bit else (0x20, 4, 0x2E)
    table, size, count = (
        int.from_bytes(head[start : start + length_of_field], sys.byteorder)
        for start, length_of_field in ((offset_at, offset_width), (sizes_at, 2), (sizes_at + 2, 2))
    )
    return len(head) == 64 and length >= table + size * count


def _find() -> "Any":
    if os.environ.get("PLEXINDEX_NO_ACCELERATOR", "0") not in ("", "0"):
        return None
    # The accelerator needs the global interpreter lock and the stable ABI of CPython 3.10.
    if sys.implementation.name != "cpython" or sys.version_info < (3, 10) or not holds_the_lock():
        return None
    # No check is needed on Windows, which checks the libraries that it loads.
    if not is_whole(os.path.join(_PACKAGE, "_fast.abi3.so")):
        return None
    try:
        from .. import _fast
    except ImportError:
        return None
    return _fast


_found: "tuple[Any] | None" = None

loaded: "str | None" = None
"""The path of the shared library that the accelerator loaded. The process must not load a second copy."""


def load() -> "Any":
    """Returns the accelerator, or None if it is unavailable. Only the first call searches for the accelerator."""
    global _found
    if _found is None:
        _found = (_find(),)
    return _found[0]


def library_path() -> str:
    """Returns the path of the shared library: PLEXINDEX_LIBRARY if set, otherwise the library in this package."""
    named = os.environ.get("PLEXINDEX_LIBRARY")
    if named:
        return named
    if sys.platform == "darwin":
        name = "libplexindex.dylib"
    elif sys.platform == "win32":
        name = "plexindex.dll"
    else:
        name = "libplexindex.so"
    return os.path.join(_PACKAGE, name)


# The locks for closing and replacing an index. A forked child releases the locks of threads that it lacks.
_locks: "set[ref[RLock]]" = set()


def closing_lock() -> "RLock":
    """Creates a lock. In a forked child, the lock is free, unless the forking thread holds it."""
    # The lock is reentrant, because a signal handler can close the index that the interrupted code is closing.
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
