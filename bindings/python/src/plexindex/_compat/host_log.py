"""Writes to the log of Stash2Plex, with the lines and levels of the original classes.

Stash shows these lines, and Stash2Plex's troubleshooting page quotes them. If Stash2Plex's modules are not loaded,
plexindex writes no lines.
"""

from __future__ import annotations

import sys

from .._core import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

# The host's modules, which plexindex uses if they are loaded.
_LOGGERS, _OBFUSCATION = "shared.log", "validation.obfuscation"


# Library titles by UUID, for log lines that contain a library's UUID.
titles: dict[str, str] = {}


def _nothing(_text: str) -> None:
    """Writes nothing."""


class HostLog:
    """A component's log functions: ``debug``, ``info``, ``warn`` and ``error``."""

    __slots__ = ("debug", "error", "info", "is_there", "warn")

    def __init__(self, functions: tuple[Callable[[str], None], ...] | None = None) -> None:
        """``functions``: the host's functions for trace, debug, info, warning and error, in this order."""
        self.is_there = functions is not None
        _, self.debug, self.info, self.warn, self.error = functions or (_nothing,) * 5

    def path(self, path: str) -> str:
        """Formats a path like the host, which can hide parts of the path."""
        if not self.is_there:
            return path
        try:
            module = sys.modules.get(_OBFUSCATION)
            if module is None:
                import importlib

                module = importlib.import_module(_OBFUSCATION)
            return str(module.obfuscate_path(path))
        except (AttributeError, ImportError, UnicodeError):
            from .._core.paths import last_component

            return last_component(path)


_NONE = HostLog()
_made: dict[tuple[int, str], tuple[Any, HostLog]] = {}


def host_log(component: str) -> HostLog:
    """Returns the host's log for a component. Without a host, returns a log that writes nothing."""
    module = sys.modules.get(_LOGGERS)
    create = getattr(module, "create_logger", None)
    if not callable(create):
        return _NONE
    found = _made.get((id(module), component))
    if found is None or found[0] is not module:
        try:
            log = HostLog(tuple(create(component)))
        except (TypeError, ValueError):
            # The module belongs to a different package that has a module of the same name.
            log = _NONE
        found = _made[id(module), component] = module, log
    return found[1]
