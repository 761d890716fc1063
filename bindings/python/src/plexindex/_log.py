"""Passes the library's log lines to the logger ``plexindex``.

The library keeps its lines until Python reads them. So the lines arrive at the end of the call that caused them, on the
thread of that call. The first line makes plexindex import ``logging``.
"""

from __future__ import annotations

import sys
from _thread import allocate_lock, get_ident

from . import _constants as c
from . import _ending
from ._callbacks import LogLines, log_callback
from ._errors import InvalidArgumentError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ._native import Native

LOGGER = "plexindex"

# The library's levels, and the same levels of `logging`: ERROR, WARNING, INFO and DEBUG.
_LEVELS = {c.LOG_ERROR: 40, c.LOG_WARN: 30, c.LOG_INFO: 20, c.LOG_DEBUG: 10}
_NAMES = {"error": c.LOG_ERROR, "warning": c.LOG_WARN, "info": c.LOG_INFO, "debug": c.LOG_DEBUG, "off": c.LOG_OFF}

_draining = allocate_lock()
# The lines of the running read, and its callback. Create the callback once, because that takes as long as a read.
_found = LogLines()
_callback: Any = None


def drain(native: Native) -> None:
    """Passes waiting lines to ``logging``, unless another thread is already doing that."""
    global _callback
    if not _draining.acquire(False):
        return
    try:
        if _callback is None:
            _callback = log_callback(_found)
        _ending.inside[_found] = get_ident()
        if not _ending.has_begun():
            native.drain_log(_callback, None, None)
        lines, error = _found.lines, _found.error
        _found.lines, _found.error = [], None
    finally:
        _ending.inside.pop(_found, None)
        _draining.release()
    hand_on(lines)
    if error is not None:
        raise error


def hand_on(lines: list[tuple[int, str]]) -> None:
    """Passes lines to ``logging`` or, within Stash2Plex, which does not use ``logging``, to Stash2Plex's log."""
    if not lines:
        return
    import logging

    from ._host_log import host_log, titles

    logger = logging.getLogger(LOGGER)
    host = host_log("Index")
    if host.is_there and not logger.hasHandlers():
        functions = {c.LOG_ERROR: host.error, c.LOG_WARN: host.warn, c.LOG_INFO: host.info, c.LOG_DEBUG: host.debug}
        for level, text in lines:
            # The log line of a slow call is `match_path in 'library' took 1.02 s: ...`.
            call, _, rest = text.partition(" in '")
            library, took, times = rest.partition("' took ")
            if took:
                # Users of the host know a library by its title, and cannot change a slow server.
                host.debug(f"{call} in '{titles.get(library, library)}{took}{times}")
            else:
                functions.get(level, host.info)(text)
        return
    for level, text in lines:
        logger.log(_LEVELS.get(level, logging.INFO), "%s", text)


def level_for(level: int | str | None) -> int:
    """Returns the library's level for a level of ``logging`` or a name. None means the logger's current level."""
    if level is None:
        logging = sys.modules.get("logging")
        if logging is None:
            return c.LOG_WARN
        level = logging.getLogger(LOGGER).getEffectiveLevel()
    if isinstance(level, str):
        found = _NAMES.get(level.lower())
        if found is None:
            raise InvalidArgumentError(f"invalid log_level ({level!r}): give one of {', '.join(map(repr, _NAMES))}")
        return found
    if isinstance(level, bool) or not isinstance(level, int):
        raise TypeError(f"log_level must be a level of logging, a name or None, not {type(level).__name__}")
    for ours, theirs in ((c.LOG_DEBUG, 10), (c.LOG_INFO, 20), (c.LOG_WARN, 30), (c.LOG_ERROR, 50)):
        if level <= theirs:
            return ours
    return c.LOG_OFF
