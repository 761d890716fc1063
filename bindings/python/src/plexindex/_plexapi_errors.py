"""What the errors of a server's client mean for a question for a file."""

from __future__ import annotations

from ._errors import ConnectError, ServerError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn

_TOO_MANY = 429
# Statuses of a server that is busy, starts, or is away behind a proxy; or of one item that it cannot give.
_AWAY = (502, 503, 504)
_SERVER_ERROR = 500


def is_trouble(error: Exception) -> bool:
    """Whether the server could not be reached, or refused to answer."""
    return isinstance(error, (OSError, ServerError)) or type(error).__module__.startswith(
        ("plexapi", "requests", "urllib3")
    )


def is_absence(error: Exception) -> bool:
    """Whether an error means that the server does not have the item.

    A bare ``Exception``, which no client raises but stand-ins for one do, is taken for that.
    """
    if 404 in (getattr(getattr(error, "response", None), "status_code", None), status_of(error)):
        return True
    names = {kind.__name__ for kind in type(error).__mro__}
    return bool(names & {"NotFound", "PlexNotFound", "NotOnServerError"}) or type(error) in (Exception, KeyError)


def status_of(error: Exception) -> int:
    """The HTTP status that plexapi's error is for; 0 for another error."""
    if type(error).__module__ != "plexapi.exceptions":
        return 0
    # plexapi has it in its text alone: `(503) service_unavailable; http://...`.
    status = str(error).partition(")")[0].lstrip("(")
    return int(status) if status.isdigit() else 0


def reraise(error: Exception, section: Any) -> NoReturn:
    """Raises this error again; for a status that passes, such as 503, another one: a host takes plexapi's for final."""
    status = status_of(error)
    # The rest of plexapi's text has the address.
    text = f"Plex answered {status}: the question for a file has to be asked again later"
    # One item alone may be what Plex, or a proxy, cannot answer: a host must not hold all of its jobs for that.
    if status == _TOO_MANY or (status in _AWAY and not _answers(section)):
        from ._host_errors import refused

        raise refused(text) from error
    if status >= _SERVER_ERROR:
        raise ConnectError(text) from error
    raise error


def _answers(section: Any) -> bool:
    """Whether the section's server answers another question: one request."""
    try:
        section._server.query("/library/sections")
    except Exception:
        return False
    return True
