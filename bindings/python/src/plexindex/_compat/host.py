"""The drop-in's host: its log, with the lines and levels of the original classes.

Stash shows these lines, and Stash2Plex's troubleshooting page quotes them. Without Stash2Plex's modules, plexindex
writes no lines.
"""

from __future__ import annotations

import sys

from .._core import Any, Callable, importing

# The host's modules, which plexindex uses if they are loaded.
_LOGGERS, _OBFUSCATION = "shared.log", "validation.obfuscation"


class HostLog:
    """A component's log functions: ``debug``, ``info``, ``warn`` and ``error``."""

    __slots__ = ("debug", "error", "info", "is_there", "warn")

    def __init__(self, functions: tuple[Callable[[str], object], ...] | None = None) -> None:
        """``functions``: the host's functions for trace, debug, info, warning and error, in this order."""
        self.is_there = functions is not None
        silent: tuple[Callable[[str], object], ...] = (lambda _: None,) * 5
        _, self.debug, self.info, self.warn, self.error = functions or silent

    def path(self, path: str) -> str:
        """Formats a path like the host, which can hide parts of the path."""
        if not self.is_there:
            return path
        try:
            with importing():
                obfuscate = __import__(_OBFUSCATION, fromlist=["obfuscate_path"]).obfuscate_path
            return str(obfuscate(path))
        except (AttributeError, ImportError, UnicodeError):
            return path.rsplit("/", 1)[-1]


def host_log(component: str) -> HostLog:
    """Returns the host's log for a component. Without a host, returns a log that writes nothing."""
    create: Any = getattr(sys.modules.get(_LOGGERS), "create_logger", None)
    try:
        return HostLog(tuple(create(component)))
    except (TypeError, ValueError):  # there is no host, or a different package has a module of the same name
        return HostLog()


chosen: dict[str, Any] = {"matcher": None, "debug_logging": False}
