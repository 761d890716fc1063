"""The installed versions."""

from __future__ import annotations

import platform

from .. import __version__
from .._core import accelerator
from .._core import native as _native
from .._core.json_call import ask_without_index


def version_lines() -> list[str]:
    """Returns one line each for the package, the library, SQLite and Python."""
    versions = ask_without_index("versions", {})
    fast = "with the accelerator" if accelerator.fast() else "through ctypes, without the accelerator"
    return [
        f"plexindex {__version__}, {fast}",
        f"library {versions['library']}, {_native.load().path}",
        f"SQLite {versions['sqlite']}, built into the library",
        f"Python {platform.python_version()}, {platform.platform()}",
    ]
