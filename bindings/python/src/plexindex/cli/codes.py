"""Exit codes for scripts, and their help text."""

from __future__ import annotations

from .. import errors as e
from .._core import TYPE_CHECKING

if TYPE_CHECKING:
    from ..match import Folder, Match

OK = 0
NOT_ALL = 1
USAGE = 2
SERVER = 3
TOKEN = 4
STORE = 5
LIBRARY = 6
NOT_YET = 7
LIST_AGAIN = 8
DEFECT = 70
STREAM = 74
INTERRUPTED = 130
PIPE_CLOSED = 141

HELP = """\
exit codes:
  0    success: every path matches a single item; there is no problem and no difference
  1    a path does not match a single item; diff or doctor found something; or you declined clear
  2    the command line, environment, configuration file or Plex's database is invalid
  3    the server, its database or the shared log is unreachable or failed
  4    the server rejects the token or its user (401, 403, 498), or PostgreSQL rejects the role
  5    plexindex cannot open, read or write the store
  6    no library or more than one library has this name, or the library was never fetched
  7    the deadline passed first: repeat the command; if the status is needs_warm, run warm first
  8    the changes since the cursor are no longer available: start again with changes --full
  70   plexindex has a bug, or its installation is broken
  74   plexindex cannot read standard input, or cannot write to standard output
  130  you interrupted the command with Ctrl-C
For several paths, the exit code is the first of 7, 6, 3 and 1 that applies to any path.
If the server is unreachable or rejects the token, plexindex answers from older listings, and marks these answers as
'stale' in JSON. `plexindex changes --check` then exits with status 3, 4 or 7."""


class UsageError(Exception):
    """An invalid argument. The message states the argument and the remedy."""


# Errors for which retrying does not help: Plex's database is missing, unreadable, or another program's database.
_DATABASE = ("connect", "not_plex", "forbidden")


def of(error: Exception, *, hurried: bool = False, database: bool = False) -> int:
    """Returns the exit code for an error.

    ``hurried``: whether the user gave a deadline. ``database``: whether Plex's database is the only source.
    """
    if isinstance(error, (UsageError, e.InvalidArgumentError)) or (
        database and getattr(error, "status_name", None) in _DATABASE
    ):
        return USAGE
    if isinstance(error, e.UnauthorizedError):
        return TOKEN
    # If an offline index lacks a library, the library was never fetched.
    if isinstance(error, (e.LibraryNotFoundError, e.NotFetchedError, e.OfflineError)):
        return LIBRARY
    if isinstance(error, e.TimeoutError) and hurried:
        return NOT_YET
    if isinstance(error, (e.ServerUnavailableError, e.NotPlexError, e.NotOnServerError)):
        return SERVER
    if isinstance(error, e.StoreError):
        return STORE
    if isinstance(error, e.ListAgainError):
        return LIST_AGAIN
    return DEFECT


class Misses:
    """Counts answers without an item by reason, to determine the exit code."""

    def __init__(self, *, offline: bool) -> None:
        self._missing = self._late = self._unfetched = self._unanswered = 0
        self._offline = offline

    def count(self, answer: Match | Folder, *, in_time: bool = False) -> None:
        """Counts an answer. ``in_time``: whether the answer arrived before the deadline."""
        self._missing += answer.item is None
        self._unfetched += answer.reason == "not_fetched"
        # If the server has just failed, plexindex sends it no request, so the deadline is not the cause.
        self._late += answer.status in ("not_yet", "needs_warm") and not (in_time and answer.reason == "unavailable")
        # Only the server could have confirmed these misses. With --offline, the user chose not to ask the server.
        self._unanswered += answer.reason in ("unavailable", "unconfirmed") and not self._offline

    def code(self) -> int:
        """Returns the exit code for all answers."""
        if self._late:
            return NOT_YET
        if self._unfetched:
            return LIBRARY
        if self._unanswered:
            return SERVER
        return NOT_ALL if self._missing else OK
