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
_BY_ERROR: tuple[tuple[tuple[type[Exception], ...], int], ...] = (
    ((UsageError, e.InvalidArgumentError), USAGE),
    ((e.UnauthorizedError,), TOKEN),
    # If an offline index lacks a library, the library was never fetched.
    ((e.LibraryNotFoundError, e.NotFetchedError, e.OfflineError, e.ListAgainError), NOT_FETCHED),
    ((e.ServerUnavailableError, e.NotPlexError, e.NotOnServerError), SERVER),
)


def of(error: Exception, *, database: bool = False) -> int:
    """Returns the exit code for an error. ``database``: whether Plex's database is the only source."""
    if database and getattr(error, "status_name", None) in _DATABASE:
        return USAGE
    return next((code for kinds, code in _BY_ERROR if isinstance(error, kinds)), STORE)
