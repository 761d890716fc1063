"""Passes the library's log lines to the logger ``plexindex``.

The library keeps its log lines until Python reads them. So a line arrives at the end of the call that caused the line,
on that call's thread. plexindex imports ``logging`` for the first line.
"""

from __future__ import annotations

import sys
from ctypes import py_object, string_at

from . import Any, importing
from . import abi as c

LOGGER = "plexindex"

# The library's levels, with those of `logging`.
_LEVELS = {c.LOG_ERROR: 40, c.LOG_WARN: 30, c.LOG_INFO: 20, c.LOG_DEBUG: 10}


def _add(lines: list[tuple[int, str]], level: int, address: int, length: int) -> None:
    lines.append((level, string_at(address, length).decode("utf-8", "replace")))


_add_line = c.LOG_FN(_add)


def read(native: Any) -> list[tuple[int, str]]:
    """Returns the library's unread lines: level and text, oldest first. Call this function during a call."""
    lines: list[tuple[int, str]] = []
    native.drain_log(_add_line, py_object(lines), None)
    return lines


configure: Any = None
"""The command's function that adds a handler, so that a run without a warning does not import ``logging``."""


def logger() -> Any:
    """Returns the logger ``plexindex``. Without a handler of the host's, a library prints nothing."""
    with importing():
        import logging

    if configure is not None:
        configure()
    found = logging.getLogger(LOGGER)
    if not found.handlers:
        found.addHandler(logging.NullHandler())
    return found


def hand_on(lines: list[tuple[int, str]]) -> None:
    """Passes lines to ``logging``."""
    if lines and "logging" not in sys.modules:
        # Only the command can have asked for lines: warnings. Importing `logging` takes longer than opening an index.
        lines = [line for line in lines if configure is not None and line[0] <= c.LOG_WARN]
    target: Any = logger() if lines else None
    for number, text in lines:
        target.log(_LEVELS.get(number, 20), "%s", text)


# The library's level. The library writes no debug lines that nobody wants, because they take longer than a lookup.
_level = c.LOG_INFO
_logger: Any = None


def follow_level() -> int:
    """Sets the library's level if the logger's level has changed. Returns the level."""
    global _level, _logger
    if _logger is None:
        # While another thread imports the module, it may be incomplete.
        get_logger = getattr(sys.modules.get("logging"), "getLogger", None)
        if get_logger is None:
            return _level
        _logger = get_logger(LOGGER)
    wanted = _logger.isEnabledFor(10)
    if wanted != (_level == c.LOG_DEBUG):
        with importing():
            from .json_call import ask_without_index

        _level = c.LOG_DEBUG if wanted else c.LOG_INFO
        ask_without_index("log.set_level", {"level": _level})
    return _level
