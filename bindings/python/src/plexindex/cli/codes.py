"""Exit codes for scripts."""

from __future__ import annotations

import click

from .. import errors as e
from .._core import TYPE_CHECKING

if TYPE_CHECKING:
    from ..match import FolderMatch, Match

OK = 0
NOT_ALL = 1
USAGE = 2
SERVER = 3
TOKEN = 4
STORE = 5
NOT_FETCHED = 6
INTERRUPTED = 130
PIPE_CLOSED = 141

UsageError = click.UsageError
"""An invalid argument. The message states the argument and the remedy."""
# Errors for which retrying does not help: Plex's database is missing, unreadable, or another program's database.
_DATABASE = ("connect", "not_plex", "forbidden")


def of(error: Exception, *, database: bool = False) -> int:
    """Returns the exit code for an error. ``database``: whether Plex's database is the only source."""
    if isinstance(error, (click.ClickException, e.InvalidArgumentError)) or (
        database and getattr(error, "status_name", None) in _DATABASE
    ):
        return USAGE
    if isinstance(error, e.UnauthorizedError):
        return TOKEN
    # If an offline index lacks a library, the library was never fetched.
    if isinstance(error, (e.LibraryNotFoundError, e.NotFetchedError, e.OfflineError, e.ListAgainError)):
        return NOT_FETCHED
    if isinstance(error, (e.ServerUnavailableError, e.NotPlexError, e.NotOnServerError)):
        return SERVER
    return STORE


class Misses:
    """Counts answers without an item by reason, to determine the exit code."""

    def __init__(self, *, offline: bool) -> None:
        self._missing = self._unfetched = self._unanswered = 0
        self._offline = offline

    def count(self, answer: Match | FolderMatch) -> None:
        """Counts an answer."""
        self._missing += answer.item is None
        self._unfetched += answer.reason == "not_fetched"
        self._unanswered += answer.status in ("not_yet", "needs_warm") or (
            # Only the server could have confirmed these misses. With --offline, the user chose not to ask the server.
            answer.reason in ("unavailable", "unconfirmed") and not self._offline
        )

    def code(self) -> int:
        """Returns the exit code for all answers."""
        if self._unanswered:
            return SERVER
        if self._unfetched:
            return NOT_FETCHED
        return NOT_ALL if self._missing else OK
