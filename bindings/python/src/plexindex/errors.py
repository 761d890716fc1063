"""The exceptions. :class:`Error` is the base class of all, except that a library that cannot be loaded raises
``ImportError``.
"""

from __future__ import annotations

import builtins

from ._core import TYPE_CHECKING
from ._core import abi as c

if TYPE_CHECKING:
    from .edits import EditReport


class Error(Exception):
    """A failed call. The message contains the input and the remedy.

    An exception of this class itself is a bug in plexindex. The index remains usable.
    """

    status: int | None = None
    """The library's error number, or None if the package detected the error before calling the library."""
    argument: str | None = None
    """The name of the option that is invalid, such as ``"token"``, or None."""
    report: EditReport | None = None
    """The report of a failed ``edit_items``, or None for all other calls."""

    @property
    def status_name(self) -> str | None:
        """The status's name in lower case, such as ``"store_full"``, or None without a status."""
        return None if self.status is None else c.STATUS_NAMES.get(self.status, "unknown")


class InvalidArgumentError(Error, ValueError):
    """An argument is invalid, or the loaded library is older than this package and does not support an option."""

    status = c.INVALID_ARGUMENT


class ClosedError(Error):
    """The index was closed before or during the call."""


class AbortedError(Error):
    """The progress callback returned False. The index keeps the fetched part, and the next call resumes the fetch."""

    status = c.ABORTED


class StoreError(Error):
    """plexindex cannot open or write the folder or its database, or cannot start a thread. If the disk is full, or the
    user's disk quota is used up, ``status_name`` is ``"store_full"``.
    """

    status = c.STORE


class ServerUnavailableError(Error, ConnectionError):
    """The server cannot answer now: it refuses connections, fails (5xx), starts, or sends a damaged response. Retry
    later.
    """

    status = c.SERVER_ERROR


class TimeoutError(ServerUnavailableError, builtins.TimeoutError):
    """A timeout of the call or the connection passed, mostly because the server did not respond. Retry later."""

    status = c.TIMEOUT


class UnauthorizedError(Error):
    """The server rejected the token (401), the token expired (498), or its user has no permission (403).

    If the token callable raised an exception, ``__cause__`` is that exception.
    """

    status = c.UNAUTHORIZED


class NotPlexError(Error):
    """The address does not lead to a Plex Media Server that plexindex can use: the response is not from Plex, the
    certificate is invalid, or the server redirects the request, which plexindex does not follow.
    """

    status = c.NOT_PLEX


class NotOnServerError(Error):
    """The server has no such item, library or address (404)."""

    status = c.NOT_ON_SERVER


class OfflineError(Error):
    """The call needs a request, but the call or the index is offline, or has no server URL."""

    status = c.OFFLINE


class LibraryNotFoundError(Error, LookupError):
    """The server has no library with this title, section id or uuid, or several. The message lists the libraries."""

    status = c.LIBRARY_NOT_FOUND


class NotFetchedError(Error):
    """No listing can answer a call that sends no request: the library was never fetched, or was evicted because of
    ``size_limit``, or the server has not accepted a new token yet. ``refresh()`` asks the server.
    """

    status = c.NOT_FETCHED


class NoMatchError(Error, LookupError):
    """:meth:`Match.require`: no single item matches with high confidence. The message says why."""


class ListAgainError(Error):
    """The index no longer has the changes since the cursor, or the cursor belongs to another store, server, user or
    library. List all items again with ``changes(full=True)``.
    """

    status = c.LIST_AGAIN


_CLASSES: dict[int | None, type[Error]] = {
    **{
        kind.status: kind
        for kind in (InvalidArgumentError, AbortedError, StoreError, ServerUnavailableError, TimeoutError, OfflineError,
                     UnauthorizedError, NotPlexError, NotOnServerError, LibraryNotFoundError, NotFetchedError,
                     ListAgainError)
    },
    c.UNSUPPORTED: InvalidArgumentError,
    c.STORE_FULL: StoreError,
    **dict.fromkeys((c.CONNECT, c.STARTING, c.BAD_ANSWER), ServerUnavailableError),
    c.FORBIDDEN: UnauthorizedError,
    **dict.fromkeys((c.TLS, c.REDIRECTED), NotPlexError),
    c.LIBRARY_AMBIGUOUS: LibraryNotFoundError,
}  # fmt: skip

# A newer library can return a status that this package does not know. The hundreds group the statuses.
_BY_HUNDREDS: dict[int, type[Error]] = {2: StoreError, 3: ServerUnavailableError, 4: LibraryNotFoundError}


def error_for(status: int, message: str | bytes) -> Error:
    """Creates the exception for a status, with the library's message. A NUL and an option's name can follow it."""
    argument = ""
    if isinstance(message, bytes):
        message, _, argument = message.decode("utf-8", "replace").partition("\0")
    kind = _CLASSES.get(status) or _BY_HUNDREDS.get(status // 100, Error)
    error = kind(message or f"plexindex status {status} ({c.STATUS_NAMES.get(status, 'unknown')})")
    error.status, error.argument = status, argument or None
    return error
