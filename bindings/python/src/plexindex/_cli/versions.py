"""Which versions of what are installed."""

from __future__ import annotations

import platform

from .. import __version__, _accelerator, _native


def version_lines() -> list[str]:
    """The package and its accelerator, the library, its SQLite, and Python, a line each."""
    native = _native.load()
    fast = "with the accelerator" if _accelerator.load() else "through ctypes, without the accelerator"
    return [
        f"plexindex {__version__}, {fast}",
        f"library {native.get_version().decode()}, {native.path}",
        f"SQLite {native.get_sqlite_version().decode()}, within the library",
        f"Python {platform.python_version()}, {platform.platform()}",
    ]
