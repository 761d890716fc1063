"""Loads the shared library, whose functions ``abi.py`` declares, and ends its calls before the interpreter exits.

The first call that needs the library loads it, so importing the package loads no shared object.

Before CPython 3.14, the exiting interpreter ends other threads by unwinding their stacks when they acquire its lock.
During a callback, the stack contains frames of the library, which cannot be unwound. So an exit hook rejects new calls
with callbacks, ends the running calls, and waits for their end. The hook runs after Python has waited for its other
threads, so only daemon threads are left.

The hook waits for at most ``PATIENCE`` seconds, because a host's progress callback can be slow. A thread that is still
inside the library after that sleeps until the process ends (``platform::thread::call_host`` in the library).
"""

from __future__ import annotations

import atexit
import ctypes
import os
import sys
from _thread import allocate_lock, get_ident

from . import TYPE_CHECKING
from . import abi as c

if TYPE_CHECKING:
    from typing import Any

# The folder of the package, which contains the shared libraries.
PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def library_path() -> str:
    """Returns the path of the shared library: PLEXINDEX_LIBRARY if set, otherwise the library in this package."""
    named = os.environ.get("PLEXINDEX_LIBRARY")
    if named:
        return named
    name = {"darwin": "libplexindex.dylib", "win32": "plexindex.dll"}.get(sys.platform, "libplexindex.so")
    return os.path.join(PACKAGE, name)


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


class Native:
    """The loaded library. Each function in ``abi.SIGNATURES`` is an attribute, without the prefix ``plexindex_``. Its
    first use declares it, because a new process needs few of them.

    Calls release the interpreter's lock, so that other threads can run and signals can arrive during a call. The
    exceptions never block: ``fast_lookup``, which is plexindex_lookup_key(), ``table_lookup_quick``, which is
    plexindex_table_lookup(), and ``drain``, which is plexindex_drain_log(). They have no argument types, because type
    checks would cost more than the call. So pass only bytes, ctypes objects, callbacks and None.
    """

    def __init__(self, path: str) -> None:
        """Loads the library at ``path``. Raises ImportError if loading fails."""
        self.path = path
        try:
            if not is_whole(path):
                raise OSError(f"{path} is truncated: reinstall plexindex")
            self._library = ctypes.CDLL(path)
        except OSError as error:
            raise ImportError(_cannot_load(path, error)) from None
        try:
            self._check_version()
            quick = ctypes.PyDLL(path, handle=self._library._handle)
            self.fast_lookup: Any = quick["plexindex_lookup_key"]
            self.table_lookup_quick: Any = quick["plexindex_table_lookup"]
            self.drain: Any = quick["plexindex_drain_log"]
        except AttributeError as error:
            raise ImportError(f"{path} is not the plexindex library that this package needs: {error}") from None
        self.fast_lookup.restype = ctypes.c_char_p

    def __getattr__(self, name: str) -> Any:
        if name not in c.SIGNATURES:
            raise AttributeError(name)
        function: Any = self._library[f"plexindex_{name}"]
        function.restype, function.argtypes = c.SIGNATURES[name]
        setattr(self, name, function)
        return function

    def _check_version(self) -> None:
        found = self.get_abi_version()
        if found != c.ABI_VERSION:
            number = (self.get_version() or b"?").decode("utf-8", "replace")
            raise ImportError(
                f"{self.path} (plexindex {number}) has ABI version {found}, "
                f"but this Python package needs ABI version {c.ABI_VERSION}: install matching versions"
                + (", or unset PLEXINDEX_LIBRARY" if os.environ.get("PLEXINDEX_LIBRARY") else "")
            )


def _cannot_load(path: str, error: OSError) -> str:
    if os.environ.get("PLEXINDEX_LIBRARY"):
        return f"cannot load the library in PLEXINDEX_LIBRARY: {error}"
    if not os.path.isdir(PACKAGE):
        return f"cannot load a library from {PACKAGE}, which is no folder: unpack plexindex, or set PLEXINDEX_LIBRARY"
    if not os.path.exists(path):
        return f"cannot find the plexindex library at {path}: reinstall plexindex, or set PLEXINDEX_LIBRARY"
    why = str(error).rstrip(".")
    return f"cannot load the plexindex library: {why}. Is the wheel for a different processor or C library?"


_native: Native | None = None


def load() -> Native:
    """Returns the library, which the first call loads. Two threads can both load the library without harm."""
    global _native
    if _native is None:
        _native = Native(library_path())
    return _native


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


# Register the hook on import, not in `open`: hooks that the host registers later run earlier, and can still use an
# index.
atexit.register(_end)
