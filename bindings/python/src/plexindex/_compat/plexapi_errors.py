"""Classifies plexapi's errors."""

from __future__ import annotations

from ..errors import ConnectError, ServerError
from .host_errors import can_wait, not_found, refused, warn_of_search, warn_of_token

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn

_TOO_MANY = 429
# Statuses from a server that is busy, starting, or unreachable behind a proxy, or that fails for only one item.
_AWAY = (502, 503, 504)
# Statuses for a rejected token. A proxy, or a server that hides an item, can also return 403.
_FORBIDDEN = (401, 403)
_SERVER_ERROR = 500
_BAD_REQUEST = 400
_NOT_FOUND = 404


def is_trouble(error: Exception) -> bool:
    """Returns whether the server was unreachable, or rejected the request."""
    return isinstance(error, (OSError, ServerError)) or type(error).__module__.startswith(
        ("plexapi", "requests", "urllib3")
    )


def is_absence(error: Exception) -> bool:
    """Returns whether an error means that the server does not have the item. A bare ``Exception`` also has this
    meaning; only objects that imitate plexapi raise it.
    """
    if 404 in (getattr(getattr(error, "response", None), "status_code", None), status_of(error)):
        return True
    names = {kind.__name__ for kind in type(error).__mro__}
    return bool(names & {"NotFound", "PlexNotFound", "NotOnServerError"}) or type(error) in (Exception, KeyError)


def status_of(error: Exception) -> int:
    """Returns the HTTP status in an error from plexapi, or 0 for any other error."""
    if type(error).__module__ != "plexapi.exceptions":
        return 0
    # Only the text of the error contains the status: `(503) service_unavailable; http://...`.
    status = str(error).partition(")")[0].lstrip("(")
    return int(status) if status.isdigit() else 0


def is_refused_search(error: Exception, section: Any) -> bool:
    """Returns whether the server fails this search but answers other requests.

    A server that does not support a filter returns 400. A proxy can return 403.
    """
    status = status_of(error)
    if (status in _FORBIDDEN or status == _SERVER_ERROR) and _answers(section):
        warn_of_search(str(status))
        return True
    return status in (_BAD_REQUEST, _SERVER_ERROR)


def reraise(error: Exception, section: Any) -> NoReturn:
    """Raises ``error`` again. For a status such as 503, raises a transient error instead, because hosts treat plexapi's
    errors as permanent.

    ``section`` is the section, or any other plexapi object with a ``_server``.
    """
    status = status_of(error)
    # Omit the rest of plexapi's text, which contains the address.
    text = f"Plex answered {status}: retry later"
    # If the server answers other requests, it fails for only this item, and the host must not stop all jobs.
    if status == _TOO_MANY or (status in _AWAY and not _answers(section)):
        raise refused(text) from error
    # Every job would fail permanently, although a new token would fix all jobs. So make the host wait if possible.
    if status in _FORBIDDEN and can_wait() and not _answers(section):
        warn_of_token(status)
        raise refused(text) from error
    if status >= _SERVER_ERROR:
        raise ConnectError(text) from error
    if status == _NOT_FOUND:
        raise not_found("Plex no longer has the item from the index: retry") from error
    raise error


def _answers(section: Any) -> bool:
    """Returns whether the section's server answers another request."""
    try:
        section._server.query("/library/sections")
    except Exception:
        return False
    return True
