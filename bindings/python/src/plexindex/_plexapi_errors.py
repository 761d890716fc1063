"""What the errors of a server's client mean for a question for a file."""

from __future__ import annotations

from ._errors import ConnectError, ServerError


def is_trouble(error: Exception) -> bool:
    """Whether the server could not be reached, or refused to answer."""
    return isinstance(error, (OSError, ServerError)) or type(error).__module__.startswith(
        ("plexapi", "requests", "urllib3")
    )


def is_absence(error: Exception) -> bool:
    """Whether an error means that the server does not have the item.

    A bare ``Exception``, which no client raises but stand-ins for one do, is taken for that.
    """
    if getattr(getattr(error, "response", None), "status_code", None) == 404:
        return True
    names = {kind.__name__ for kind in type(error).__mro__}
    return bool(names & {"NotFound", "PlexNotFound", "NotOnServerError"}) or type(error) in (Exception, KeyError)


def transient(error: Exception) -> ConnectError | None:
    """The error to raise in the place of plexapi's for an HTTP status such as 503, which a host takes for final.

    None for what is no such error. A 404 never comes here: it is an absence.
    """
    names = {kind.__name__ for kind in type(error).__mro__}
    if type(error).__module__ != "plexapi.exceptions" or not names & {"BadRequest", "Unauthorized"}:
        return None
    # The rest of plexapi's text has the address.
    status = str(error).partition(")")[0].lstrip("(")
    said = f"answered {status}" if status.isdigit() else "refused to answer"
    return ConnectError(f"Plex {said}: the question for a file has to be asked again later")
