"""The exceptions. :class:`Error` is the base class of all, except that a library that cannot be loaded raises
``ImportError``.
"""

from __future__ import annotations

import builtins

import plexindex

from ._core import abi as c

__all__ = [
    "AbortedError", "ClosedError", "Error", "InvalidArgumentError", "LibraryNotFoundError", "ListAgainError",
    "NoMatchError", "NotFetchedError", "NotOnServerError", "NotPlexError", "OfflineError", "ServerUnavailableError",
    "StoreError", "TimeoutError", "UnauthorizedError",
]  # fmt: skip

_CLASSES: dict[int, type[Error]] = {}


class Error(Exception):
    """A failed call. The message contains the input and the remedy.

    An exception of this class itself names a wrong use, or a bug in plexindex. The index remains usable.
    """

    status: int | None = None
    """The library's error number, or None if the package detected the error before calling the library."""
    argument: str | None = None
    """The name of the option that is invalid, such as ``"token"``, or None."""
    report: plexindex.EditReport | None = None
    """The report of a failed ``edit_items``, or None for all other calls."""

    def __init_subclass__(cls, statuses: tuple[int, ...] = ()) -> None:
        """``statuses`` are those of the class; the first is that of an error that the package detected."""
        super().__init_subclass__()
        _CLASSES.update(dict.fromkeys(statuses, cls))
        cls.status = statuses[0] if statuses else cls.status

    @property
    def status_name(self) -> str | None:
        """The status's name in lower case, such as ``"store_full"``, or None without a status."""
        return None if self.status is None else c.STATUS_NAMES.get(self.status, "unknown")


class InvalidArgumentError(Error, ValueError, statuses=(c.INVALID_ARGUMENT, c.UNSUPPORTED)):
    """An argument is invalid, or the loaded library is older than this package and does not support an option."""


class ClosedError(Error):
    """The index was closed before or during the call."""


class AbortedError(Error, statuses=(c.ABORTED,)):
    """The progress callback returned False. The index keeps the fetched part, and the next call resumes the fetch."""


class StoreError(Error, statuses=(c.STORE, c.STORE_FULL)):
    """plexindex cannot open or write the folder or its database, or cannot start a thread. If the disk is full, or the
    user's disk quota is used up, ``status_name`` is ``"store_full"``.
    """


class ServerUnavailableError(Error, ConnectionError, statuses=(c.SERVER_ERROR, c.CONNECT, c.STARTING, c.BAD_ANSWER)):
    """The server cannot answer now: it refuses connections, fails (5xx), starts, or sends a damaged response. Retry
    later.
    """


class TimeoutError(ServerUnavailableError, builtins.TimeoutError, statuses=(c.TIMEOUT,)):
    """A timeout of the call or the connection passed, mostly because the server did not respond. Retry later."""


class UnauthorizedError(Error, statuses=(c.UNAUTHORIZED, c.FORBIDDEN)):
    """The server rejected the token (401), the token expired (498), or its user has no permission (403).

    If the token callable raised an exception, ``__cause__`` is that exception.
    """


class NotPlexError(Error, statuses=(c.NOT_PLEX, c.TLS, c.REDIRECTED)):
    """The address does not lead to a Plex Media Server that plexindex can use: the response is not from Plex, the
    certificate is invalid, or the server redirects the request, which plexindex does not follow.
    """


class NotOnServerError(Error, statuses=(c.NOT_ON_SERVER,)):
    """The server has no such item, library or address (404)."""


class OfflineError(Error, statuses=(c.OFFLINE,)):
    """The call needs a request, but the call or the index is offline, or has no server URL."""


class LibraryNotFoundError(Error, LookupError, statuses=(c.LIBRARY_NOT_FOUND, c.LIBRARY_AMBIGUOUS)):
    """The server has no library with this title, section id or uuid, or several. The message lists the libraries."""


class NotFetchedError(Error, statuses=(c.NOT_FETCHED,)):
    """No listing can answer a call that sends no request: the library was never fetched, or was evicted because of
    ``size_limit``, or the server has not accepted a new token yet. ``refresh()`` asks the server.
    """


class NoMatchError(Error, LookupError):
    """:meth:`Match.require`: no single item matches with high confidence. The message says why."""


class ListAgainError(Error, statuses=(c.LIST_AGAIN,)):
    """The index no longer has the changes since the cursor, or the cursor belongs to another store, server, user or
    library. List all items again with ``changes(full=True)``.
    """


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
