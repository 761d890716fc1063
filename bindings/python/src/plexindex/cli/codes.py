"""Exit codes for scripts."""

from __future__ import annotations

from .. import errors as e
from .options import UsageError

OK = 0
NOT_ALL = 1
USAGE = 2
SERVER = 3
TOKEN = 4
STORE = 5
NOT_FETCHED = 6
INTERRUPTED = 130
PIPE_CLOSED = 141

# Errors for which retrying does not help: Plex's database is missing, unreadable, or another program's database.
_DATABASE = ("connect", "not_plex", "forbidden")


def of(error: Exception, *, database: bool = False) -> int:
    """Returns the exit code for an error. ``database``: whether Plex's database is the only source."""
    if isinstance(error, (UsageError, e.InvalidArgumentError)):
        return USAGE
    if database and getattr(error, "status_name", None) in _DATABASE:
        return USAGE
    if isinstance(error, e.UnauthorizedError):
        return TOKEN
    # If an offline index lacks a library, the library was never fetched.
    if isinstance(error, (e.LibraryNotFoundError, e.NotFetchedError, e.OfflineError, e.ListAgainError)):
        return NOT_FETCHED
    if isinstance(error, (e.ServerUnavailableError, e.NotPlexError, e.NotOnServerError)):
        return SERVER
    return STORE
