"""Exceptions that an ``except`` for a class of the host or of plexapi also catches. One exception is for a path without
an item, the other for a server that temporarily rejects requests.
"""

from __future__ import annotations

import sys
import time

from ..errors import ConnectError, Error
from .host_log import host_log

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class NotFoundError(Error, LookupError):
    """No item has this path.

    The raised class derives from this one and, if their modules are loaded, from Stash2Plex's ``PlexNotFound`` and
    plexapi's ``NotFound``. So an ``except`` for any of these classes catches the exception. The raised class has the
    name of the host's class.
    """

    __module__ = "plexindex.compat"

    def __reduce__(self) -> tuple[Any, ...]:
        # The process that unpickles the exception has its own exception classes.
        return not_found, (str(self),), self.__dict__ or None


class RefusedError(ConnectError):
    """Plex temporarily rejects requests: it is starting, or the token is invalid.

    The raised class derives from this one and, if its module is loaded, from Stash2Plex's ``PlexServerDown``. The host
    then waits for Plex, and loses no jobs.
    """

    __module__ = "plexindex.compat"

    def __reduce__(self) -> tuple[Any, ...]:
        return refused, (str(self),), self.__dict__ or None


chosen: dict[str, Any] = {"not_found": None, "confidence": None}
# Classes in hosts and clients with the same meaning. plexindex uses classes that are loaded, and imports none.
_NOT_FOUND = (("plex.exceptions", "PlexNotFound"), ("plexapi.exceptions", "NotFound"))
_REFUSED = (("plex.exceptions", "PlexServerDown"),)
_combined: dict[tuple[type, ...], Any] = {}


def not_found(text: str) -> BaseException:
    """Creates the exception for a path without an item."""
    if chosen["not_found"] is not None:
        return chosen["not_found"](text)  # type: ignore[no-any-return]
    return _combination(NotFoundError, _NOT_FOUND)(text)  # type: ignore[no-any-return]


def refused(text: str) -> BaseException:
    """Creates the exception for a server that temporarily rejects requests."""
    return _combination(RefusedError, _REFUSED)(text)  # type: ignore[no-any-return]


def can_wait() -> bool:
    """Returns whether the host has an exception that makes it wait for a server and keep its jobs."""
    return bool(_classes(_REFUSED))


# Seconds between two warnings about an invalid token, and the time of the last warning.
_WARN_EVERY = 60.0
_warned_at: list[float] = []


def warn_of_token(status: int) -> None:
    """Warns in the host's log that Plex rejects the token, because the host only reports that the server is down."""
    now = time.monotonic()
    if _warned_at and now - _warned_at[0] < _WARN_EVERY:
        return
    _warned_at[:] = [now]
    host_log("Matcher").warn(
        f"Plex rejects all requests ({status}), and the jobs wait: check plex_token and plex_url in Settings > Plugins "
        "> Stash2Plex, then reload the plugins"
    )


_warned: set[str] = set()


def warn_of_search(why: str) -> None:
    """Warns once in the host's log that searches fail, so plexindex lists more of the library.

    ``why`` is the server's response, without an address or a path.
    """
    if why not in _warned:
        _warned.add(why)
        host_log("Matcher").warn(
            f"Plex, or a proxy in front of Plex, fails a search ({why}) but answers other requests: continuing without "
            "the search"
        )


def _combination(ours: type, names: tuple[tuple[str, str], ...]) -> Any:
    theirs = _classes(names)
    # The host can import or reload modules at any time, so there is one class for each combination.
    key = (ours, *theirs)
    return _combined.get(key) or _combined.setdefault(key, _combine(ours, theirs))


def _classes(names: tuple[tuple[str, str], ...]) -> tuple[type, ...]:
    found = (getattr(sys.modules.get(module), name, None) for module, name in names)
    return tuple(kind for kind in found if isinstance(kind, type) and issubclass(kind, Exception))


def _combine(ours: type, theirs: tuple[type, ...]) -> type:
    # The host's class comes first, because the host reads its attributes.
    bases = [kind for kind in theirs if not any(kind is not other and issubclass(other, kind) for other in theirs)]
    if not bases:
        return ours
    members = {
        "__doc__": ours.__doc__,
        "__module__": "plexindex.compat",
        "__reduce__": ours.__reduce__,
    }
    for count in range(len(bases), 0, -1):
        try:
            # Use the name of the host's class, because hosts count failures by class name.
            return type(bases[0].__name__, (*bases[:count], ours), members)
        except TypeError:
            # These classes cannot be combined.
            pass
    return bases[0]
