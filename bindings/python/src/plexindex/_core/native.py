"""Loads the shared library, whose functions ``abi.py`` declares.

The first call that needs the library loads it, so importing the package loads no shared object.
"""

from __future__ import annotations

import ctypes
import os
import sys

from . import abi as c

# The folder of the package, which contains the shared libraries.
PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def library_path() -> str:
    """Returns the path of the shared library: PLEXINDEX_LIBRARY if set, otherwise the library in this package."""
    named = os.environ.get("PLEXINDEX_LIBRARY")
    if named:
        return named
    name = {"darwin": "libplexindex.dylib", "win32": "plexindex.dll"}.get(sys.platform, "libplexindex.so")
    return os.path.join(PACKAGE, name)


class Native(c.Functions):
    """The loaded library."""

    def __init__(self, path: str) -> None:
        """Loads the library at ``path``. Raises ImportError if loading fails."""
        self.path = path
        try:
            library = ctypes.CDLL(path)
        except OSError as error:
            raise ImportError(_cannot_load(path, error)) from None
        try:
            self._check_version(library)
            super().__init__(library, ctypes.PyDLL(path))
        except AttributeError as error:
            raise ImportError(f"{path} is not the plexindex library that this package needs: {error}") from None

    def _check_version(self, library: ctypes.CDLL) -> None:
        found = library.plexindex_get_abi_version()
        if found != c.ABI_VERSION:
            library.plexindex_get_version.restype = ctypes.c_char_p
            number = (library.plexindex_get_version() or b"?").decode("utf-8", "replace")
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
