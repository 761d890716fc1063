"""The accelerator: an optional module that performs fast lookups without ctypes, for CPython 3.10 and newer.

``PLEXINDEX_NO_ACCELERATOR=1`` disables the accelerator, which does not change the answers.
"""

from __future__ import annotations

import os
import sys
from ctypes import c_void_p, cast

from . import TYPE_CHECKING, native
from .handles import holds_the_lock
from .lookups import Lookups

if TYPE_CHECKING:
    from typing import Any

# The functions that the accelerator calls.
_FUNCTIONS = ("lookup_key", "lookup_keys", "match_path", "table_lookup")


def _load() -> Any:
    if os.environ.get("PLEXINDEX_NO_ACCELERATOR", "0") not in ("", "0"):
        return None
    # The accelerator needs the global interpreter lock and the stable ABI of CPython 3.10.
    if sys.implementation.name != "cpython" or sys.version_info < (3, 10) or not holds_the_lock():
        return None
    # No check is needed on Windows, which checks the libraries that it loads.
    if not native.is_whole(os.path.join(native.PACKAGE, "_fast.abi3.so")):
        return None
    try:
        from .. import _fast
    except ImportError:
        return None
    return _fast


_fast = _load()


def fast() -> Any:
    """Returns the accelerator, or None. Gives it the functions of the library that ctypes has loaded."""
    if _fast is not None:
        library = native.load()
        _fast.set_functions([cast(getattr(library, name), c_void_p).value for name in _FUNCTIONS])
    return _fast


def lookups_class() -> type[Lookups]:
    """Returns the base class of a library."""
    if _fast is None:
        return Lookups

    class FastLookups(_fast.Lookups, Lookups):  # type: ignore[misc,name-defined]
        """Fast lookups in the accelerator, which calls the methods with an underscore for everything unusual."""

        __slots__ = ()

    return FastLookups
