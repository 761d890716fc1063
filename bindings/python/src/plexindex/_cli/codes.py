"""Exit codes for scripts, and their help text."""

from __future__ import annotations

from .. import _errors as e

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .._answers import Match
    from .._many import Folder

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
  0    success: each path is one item; there is no problem, and no difference
  1    a path is not one item; diff or doctor found something; you declined clear
  2    the command line, environment, configuration file or Plex's database is wrong
  3    the server, its database or the shared log is unreachable, or failed
  4    the server rejects the token or its user (401, 403, 498), or PostgreSQL rejects the role
  5    plexindex cannot open, read or write the store
  6    no such library, or two of that name; or the library was never fetched
  7    the deadline passed first: repeat the command; on needs_warm, run warm first
  8    the changes since the cursor are lost: start again (changes --full)
  70   a bug in plexindex, or a broken installation
  74   cannot read standard input, or write standard output
  130  interrupted with Ctrl-C
For several paths the code is 7 if the deadline passed first for any of them, else 6, else 3, else 1.
If the server is unreachable or rejects the token, plexindex answers from older listings, and JSON marks such an answer
as 'stale'. changes --check then exits with 3, 4 or 7."""


class UsageError(Exception):
    """An argument is invalid. The text names the argument and the remedy."""


# If Plex's database is missing, unreadable or of another program, retrying does not help.
_DATABASE = (e.ConnectError, e.NotPlexError, e.ForbiddenError)


def of(error: Exception, *, hurried: bool = False, database: bool = False) -> int:
    """Returns the exit code for an error.

    ``hurried``: the user gave a deadline. ``database``: Plex's database is the only source.
    """
    if isinstance(error, (UsageError, e.InvalidArgumentError)) or (database and isinstance(error, _DATABASE)):
        return USAGE
    if isinstance(error, (e.UnauthorizedError, e.ForbiddenError)):
        return TOKEN
    # An offline index misses a library because it was never fetched.
    if isinstance(error, (e.LibraryError, e.OfflineError)):
        return LIBRARY
    if isinstance(error, e.TimeoutError) and hurried:
        return NOT_YET
    if isinstance(error, e.ServerError):
        return SERVER
    if isinstance(error, e.StoreError):
        return STORE
    if isinstance(error, e.ListAgainError):
        return LIST_AGAIN
    return DEFECT


class Misses:
    """Counts answers without an item by reason, for the exit code."""

    def __init__(self, *, offline: bool) -> None:
        self._missing = self._late = self._unfetched = self._unanswered = 0
        self._offline = offline

    def count(self, answer: Match | Folder, *, in_time: bool = False) -> None:
        """Counts an answer without an item. ``in_time``: it came before the deadline."""
        self._missing += not answer
        self._unfetched += answer.reason_code == "not_fetched"
        # plexindex does not ask a server again that failed a moment ago: then the deadline is not the cause.
        self._late += answer.status in ("not_yet", "needs_warm") and not (
            in_time and answer.reason_code == "unavailable"
        )
        # Only the server can answer these, but the user chose --offline.
        self._unanswered += answer.reason_code in ("unavailable", "unconfirmed") and not self._offline

    def code(self) -> int:
        """Returns the exit code."""
        if self._late:
            return NOT_YET
        if self._unfetched:
            return LIBRARY
        if self._unanswered:
            return SERVER
        return NOT_ALL if self._missing else OK
