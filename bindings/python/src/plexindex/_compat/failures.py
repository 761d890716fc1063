"""The drop-in's exceptions. An ``except`` for a class of the host or of plexapi also catches them."""

from __future__ import annotations

import sys

from .._core import Any, NoReturn
from ..errors import Error
from .caches import HostLog


class NotFoundError(Error, LookupError):
    """No item has this path.

    The raised class derives from this one and, if their modules are loaded, from Stash2Plex's ``PlexNotFound``, whose
    name it has, and plexapi's ``NotFound``.
    """

    __module__ = "plexindex.compat"


class ServerAwayError(Error, ConnectionError):
    """Plex is unreachable, busy or starting, or rejects the token. The raised class also derives from Stash2Plex's
    ``PlexServerDown``, so that the host waits for Plex, and loses no jobs.
    """


# Classes in hosts and clients with the same meaning. plexindex uses classes that are loaded, and imports none.
_THEIRS = {
    NotFoundError: (("plex.exceptions", "PlexNotFound"), ("plexapi.exceptions", "NotFound")),
    ServerAwayError: (("plex.exceptions", "PlexServerDown"),),
}
_combined: dict[tuple[type, ...], Any] = {}
# The statuses of a server that is busy or starting, or behind a proxy that cannot reach it, and of a rejected token.
_STATUSES_AWAY = (401, 429, 502, 503, 504)


def warn_of_token() -> None:
    """Warns in the host's log that Plex rejects the token, because the host only reports that the server is down."""
    HostLog("Matcher").warn(
        "Plex rejects the token, and the jobs wait: check plex_token and plex_url in Settings > Plugins > Stash2Plex, "
        "then reload the plugins"
    )


def reraise(error: Exception) -> NoReturn:
    """Raises an error from plexapi again; for a status that may pass, a transient error, because hosts treat plexapi's
    errors as permanent.
    """
    # Only the text of plexapi's error contains the status: `(503) service_unavailable; http://...`.
    text = str(error).partition(")")[0].lstrip("(") if type(error).__module__ == "plexapi.exceptions" else ""
    status = int(text) if text.isdigit() else 0
    if status == 404:
        raise made(NotFoundError, "Plex no longer has the item from the index: retry") from error
    if status == 401:
        warn_of_token()
    if status in _STATUSES_AWAY:
        raise made(ServerAwayError, f"Plex answered {status}: retry later") from error
    if status >= 500:
        raise ConnectionError(f"Plex answered {status}: retry later") from error
    raise error


def made(ours: type[Error], text: str) -> BaseException:
    """Creates an exception of this class, and of the host's and the client's classes with its meaning."""
    found = (getattr(sys.modules.get(module), name, None) for module, name in _THEIRS[ours])
    theirs = [kind for kind in found if isinstance(kind, type) and issubclass(kind, Exception)]
    # The host can import or reload modules at any time, so there is one class for each combination.
    key = (ours, *theirs)
    if key not in _combined:
        # The process that unpickles the exception has its own exception classes.
        members = {
            "__module__": "plexindex.compat",
            "__reduce__": lambda error: (made, (ours, str(error)), error.__dict__ or None),
        }
        # The host's class comes first, because the host reads its attributes, and counts failures by class name.
        _combined[key] = type((theirs or [ours])[0].__name__, (*theirs, ours), members)
    return _combined[key](text)  # type: ignore[no-any-return]
