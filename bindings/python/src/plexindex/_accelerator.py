"""The accelerator: fast lookups that do not go through ctypes. In CPython 3.10 and newer, where it was built.

It is optional: what it does is what the functions do that it stands in for, only faster.
``PLEXINDEX_NO_ACCELERATOR=1`` does without it.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def holds_the_lock() -> bool:
    """Whether this interpreter has its global lock, under which a lookup and a close cannot meet."""
    return bool(getattr(sys, "_is_gil_enabled", lambda: True)())


def _find() -> Any:
    if os.environ.get("PLEXINDEX_NO_ACCELERATOR", "0") not in ("", "0"):
        return None
    # Its lookups rely on the interpreter's lock, and its file on the stable ABI of 3.10.
    if sys.implementation.name != "cpython" or sys.version_info < (3, 10) or not holds_the_lock():
        return None
    try:
        from . import _fast
    except ImportError:
        return None
    return _fast


_found: tuple[Any] | None = None


def load() -> Any:
    """The module, or None. Looked for once."""
    global _found
    if _found is None:
        _found = (_find(),)
    return _found[0]
