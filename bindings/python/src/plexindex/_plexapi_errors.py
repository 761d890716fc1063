"""Classifies the errors of a server's client."""

from __future__ import annotations

from ._errors import ConnectError, ServerError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn

_TOO_MANY = 429
# Statuses of a server that is busy, starting, or unreachable behind a proxy. Or the server fails on one item only.
_AWAY = (502, 503, 504)
# Statuses of a refused token. A proxy says 403, too. Or the token may not see one item only.
_FORBIDDEN = (401, 403)
_SERVER_ERROR = 500
_BAD_REQUEST = 400
_NOT_FOUND = 404


def is_trouble(error: Exception) -> bool:
    """Returns whether the server could not be reached, or refused to answer."""
    return isinstance(error, (OSError, ServerError)) or type(error).__module__.startswith(
        ("plexapi", "requests", "urllib3")
    )


def is_absence(error: Exception) -> bool:
    """Returns whether an error means that the server does not have the item.

    So does a bare ``Exception``: only stand-ins for a client raise it.
    """
    if 404 in (getattr(getattr(error, "response", None), "status_code", None), status_of(error)):
        return True
    names = {kind.__name__ for kind in type(error).__mro__}
    return bool(names & {"NotFound", "PlexNotFound", "NotOnServerError"}) or type(error) in (Exception, KeyError)


def status_of(error: Exception) -> int:
    """Returns the HTTP status of plexapi's error; 0 for another error."""
    if type(error).__module__ != "plexapi.exceptions":
        return 0
    # Only the text has the status: `(503) service_unavailable; http://...`.
    status = str(error).partition(")")[0].lstrip("(")
    return int(status) if status.isdigit() else 0


def is_refused_search(error: Exception, section: Any) -> bool:
    """Returns whether the server refuses, or fails with, what a search asks for, and answers other requests.

    A server that lacks a filter says so by a 400. A proxy may refuse it by a 403.
    """
    status = status_of(error)
    if (status in _FORBIDDEN or status == _SERVER_ERROR) and _answers(section):
        from ._host_errors import warn_of_search

        warn_of_search(str(status))
        return True
    return status in (_BAD_REQUEST, _SERVER_ERROR)


def reraise(error: Exception, section: Any) -> NoReturn:
    """Raises this error again, or a transient one for a status such as 503: a host takes plexapi's for permanent.

    ``section``: the section, or anything else of plexapi's with the server as ``_server``.
    """
    status = status_of(error)
    # Without the rest of plexapi's text, which has the address.
    text = f"Plex answered {status}: the question for a file has to be asked again later"
    # If the server answers other questions, it fails on this item only, and the host must not stop all of its jobs.
    if status == _TOO_MANY or (status in _AWAY and not _answers(section)):
        from ._host_errors import refused

        raise refused(text) from error
    if status in _FORBIDDEN:
        from ._host_errors import can_wait, refused, warn_of_token

        # Each job would fail for good, while a new token repairs them all. So a host that can wait waits.
        if can_wait() and not _answers(section):
            warn_of_token(status)
            raise refused(text) from error
    if status >= _SERVER_ERROR:
        raise ConnectError(text) from error
    if status == _NOT_FOUND:
        from ._host_errors import not_found

        raise not_found("Plex no longer has the item that an index named: it is asked again") from error
    raise error


def _answers(section: Any) -> bool:
    """Returns whether the section's server answers another request."""
    try:
        section._server.query("/library/sections")
    except Exception:
        return False
    return True
