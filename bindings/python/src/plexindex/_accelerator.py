"""The accelerator: fast lookups that do not go through ctypes. In CPython 3.10 and newer, where it was built.

It is optional: what it does is what the functions do that it stands in for, only faster.
``PLEXINDEX_NO_ACCELERATOR=1`` does without it.

And the lock that an index is closed under, on which its lookups rely: in a module of its own it would cost a new
process a tenth of a millisecond.
"""

import os
import sys
from _thread import RLock
from _weakref import ref

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


def holds_the_lock() -> bool:
    """Returns whether this interpreter has a global lock, which keeps lookups and closes apart."""
    return bool(getattr(sys, "_is_gil_enabled", lambda: True)())


def is_whole(path: str) -> bool:
    """Returns whether an ELF file is as long as its header says; True for any other file.

    The loader maps a file that was cut short, as by a full disk, and the process ends with SIGBUS.
    """
    try:
        # Without the buffers of open(): each new process pays for this.
        file = os.open(path, os.O_RDONLY)
        try:
            head, length = os.read(file, 64), os.fstat(file).st_size
        finally:
            os.close(file)
    except OSError:
        return True  # the loader says what is wrong
    if not head.startswith(b"\x7fELF"):
        return bool(length)
    # The table of sections is the last thing in the file: its offset, and the size and number of its entries.
    wide = head[4:5] == b"\2"
    at, width, sizes = (0x28, 8, 0x3A) if wide else (0x20, 4, 0x2E)
    table, size, count = (
        int.from_bytes(head[start : start + wanted], sys.byteorder)
        for start, wanted in ((at, width), (sizes, 2), (sizes + 2, 2))
    )
    return len(head) == 64 and length >= table + size * count


def _find() -> "Any":
    if os.environ.get("PLEXINDEX_NO_ACCELERATOR", "0") not in ("", "0"):
        return None
    # Its lookups rely on the interpreter's lock, and its file on the stable ABI of 3.10.
    if sys.implementation.name != "cpython" or sys.version_info < (3, 10) or not holds_the_lock():
        return None
    if not is_whole(os.path.join(os.path.dirname(os.path.abspath(__file__)), "_fast.abi3.so")):
        return None
    try:
        from . import _fast
    except ImportError:
        return None
    return _fast


_found: "tuple[Any] | None" = None

loaded: "str | None" = None
"""The path of the shared library that it loaded: no other copy may be loaded."""


def load() -> "Any":
    """Returns the module, or None. Searched once."""
    global _found
    if _found is None:
        _found = (_find(),)
    return _found[0]


# How a block refers to a text: offset, length.
TEXT = b"=2I"


def reader(numbers: bytes) -> "Callable[..., tuple[int, ...]]":
    """``struct``'s ``unpack_from``; the accelerator's where there is one: the first answer loads no ``struct`` then."""

    def slow(*arguments: "Any") -> "Any":
        from _struct import Struct

        return Struct(numbers).unpack_from(*arguments)

    fast = load()
    if fast is not None:
        return fast.numbers(numbers, slow)  # type: ignore[no-any-return]
    from _struct import Struct

    return Struct(numbers).unpack_from


def library_path() -> str:
    """The path of the shared object: PLEXINDEX_LIBRARY, else the one in this package."""
    named = os.environ.get("PLEXINDEX_LIBRARY")
    if named:
        return named
    if sys.platform == "darwin":
        name = "libplexindex.dylib"
    elif sys.platform == "win32":
        name = "plexindex.dll"
    else:
        name = "libplexindex.so"
    return os.path.join(os.path.dirname(os.path.abspath(__file__)), name)


# The locks for closing and replacing an index. A forked child must not wait for lost threads.
_locks: "set[ref[RLock]]" = set()


def closing_lock() -> "RLock":
    """A lock. In a forked child it is free, unless the forking thread has it."""
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
