"""Exit codes, for scripts. They are part of the help text: see ``HELP``."""

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
  0    done; each path is one item; nothing is wrong; nothing differs
  1    a path is not one item; diff or doctor found something; clear was declined
  2    the command line, environment, configuration file or Plex's database is wrong
  3    the server, its database or the shared log cannot be reached now, or failed
  4    the token or its user is refused (401, 403, 498), or the role by PostgreSQL
  5    the store cannot be opened, read or written
  6    no such library, or two of that name; or what is asked was never fetched
  7    the deadline came first: repeat the command; on needs_warm, run warm first
  8    what changed since the cursor is no longer known: begin anew (changes --full)
  70   a defect in plexindex, or in its installation
  74   standard input cannot be read, or standard output written
  130  interrupted with Ctrl-C
for several paths the code is 7 if the deadline came first for one of them, else 6, else 3, else 1
if the server is away or refuses the token, an older answer counts; JSON marks it as 'stale'; changes --check then
ends with 3, 4 or 7"""


class UsageError(Exception):
    """An argument cannot be used. The text names it and the remedy."""


# Plex's database is missing, foreign or unreadable: a usage error, since retrying does not help.
_DATABASE = (e.ConnectError, e.NotPlexError, e.ForbiddenError)


def of(error: Exception, *, hurried: bool = False, database: bool = False) -> int:
    """Returns the exit code for an error.

    ``hurried``: the user gave a deadline. ``database``: Plex's database is the only source.
    """
    if isinstance(error, (UsageError, e.InvalidArgumentError)) or (database and isinstance(error, _DATABASE)):
        return USAGE
    if isinstance(error, (e.UnauthorizedError, e.ForbiddenError)):
        return TOKEN
    # Offline: a missing library was never fetched.
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
        self.missing = self.late = self.unfetched = self.unanswered = 0
        self._offline = offline

    def count(self, answer: Match | Folder, *, in_time: bool = False) -> None:
        """Counts an answer without an item. ``in_time``: it came before the deadline."""
        self.missing += not answer
        self.unfetched += answer.reason_code == "not_fetched"
        # A server that failed a moment ago is not asked: then the deadline is not the cause.
        self.late += answer.status in ("not_yet", "needs_warm") and not (
            in_time and answer.reason_code == "unavailable"
        )
        # Only the server knows, and --offline sends no request.
        self.unanswered += answer.reason_code in ("unavailable", "unconfirmed") and not self._offline

    def code(self) -> int:
        """The exit code."""
        if self.late:
            return NOT_YET
        if self.unfetched:
            return LIBRARY
        if self.unanswered:
            return SERVER
        return NOT_ALL if self.missing else OK
