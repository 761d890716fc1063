"""Exceptions: one for each status of the library that is an error, grouped as the statuses are.

``Error`` is the parent of all. ``StoreError``, ``ServerError`` and ``LibraryError`` are the parents of what concerns
the cache, the server and the choice of a library.
"""

from __future__ import annotations

import builtins

from . import _constants as c

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ._report import EditReport


class Error(Exception):
    """A call failed; the text names the input and the remedy.

    ``status`` is the library's number for the failure, None where the package found it before calling the library.
    ``report`` says how far ``edit_items`` came before it failed; None for all other calls.
    """

    status: int | None = None
    report: EditReport | None = None
    _answer: Any = None

    @property
    def status_name(self) -> str | None:
        """The status's name in lower case, such as ``"unauthorized"``; None when there is no status."""
        return None if self.status is None else c.STATUS_NAMES.get(self.status, "unknown")


class ClosedError(Error):
    """The index was closed, before or during the call."""


class LoadError(Error, ImportError):
    """The shared library cannot be loaded, or is of another version than this package."""


class InvalidArgumentError(Error, ValueError):
    """An argument has a value that is refused."""

    status = c.INVALID_ARGUMENT


class NullPointerError(Error):
    """A defect in this package: it gave the library NULL where that is not allowed."""

    status = c.NULL_POINTER


class UnsupportedError(Error):
    """The loaded library is older than this package and does not know an option that was used."""

    status = c.UNSUPPORTED


class BufferTooSmallError(Error):
    """A defect in this package: an answer did not fit."""

    status = c.BUFFER_TOO_SMALL


class AbortedError(Error):
    """The progress callback returned False; the fetched part is kept, the next call goes on from there."""

    status = c.ABORTED


class PanicError(Error):
    """A defect in plexindex. The index stays usable."""

    status = c.PANIC


class StoreError(Error):
    """The cache directory or its database cannot be opened or written, or no thread can be started."""

    status = c.STORE


class StoreFullError(StoreError):
    """The disk, or the limit given for a library, is full; nothing was changed."""

    status = c.STORE_FULL


class ServerError(Error):
    """The server failed (5xx or an unexpected status). Parent of everything that a server can do wrong."""

    status = c.SERVER_ERROR


class ConnectError(ServerError, ConnectionError):
    """No connection to the server."""

    status = c.CONNECT


class TlsError(ServerError):
    """The server's certificate was refused, or TLS failed otherwise."""

    status = c.TLS


class UnauthorizedError(ServerError):
    """The server refused the token (401), or the token expired (498).

    What a callable raised that was asked for a new one is its ``__cause__``.
    """

    status = c.UNAUTHORIZED


class ForbiddenError(ServerError):
    """The token's user may not do this (403)."""

    status = c.FORBIDDEN


class NotOnServerError(ServerError):
    """The server has no such item, library or address (404)."""

    status = c.NOT_ON_SERVER


class NotPlexError(ServerError):
    """The answer is not that of a Plex Media Server, or not one that this version understands."""

    status = c.NOT_PLEX


class StartingError(ServerError):
    """The server is starting, or migrating its database."""

    status = c.STARTING


class BadAnswerError(ServerError):
    """An answer was cut off or malformed."""

    status = c.BAD_ANSWER


class TimeoutError(ServerError, builtins.TimeoutError):
    """The server did not answer within the deadline or the time-outs."""

    status = c.TIMEOUT


class RedirectedError(ServerError):
    """The server redirected to another host, and the token is sent to no other host."""

    status = c.REDIRECTED


class OfflineError(ServerError):
    """A request would be needed, but the call or the index is offline, or has no server URL."""

    status = c.OFFLINE


class LibraryError(Error):
    """Parent of what concerns the choice of a library."""


class LibraryNotFoundError(LibraryError, LookupError):
    """The server has no library with this title, section id or uuid; the text names those that exist."""

    status = c.LIBRARY_NOT_FOUND


class NotFetchedError(LibraryNotFoundError):
    """The index does not hold the library: it was never fetched, or was removed for the limit on the folder. Or the
    server has not accepted a new token yet. ``refresh()`` asks the server.
    """

    status = c.NOT_FETCHED


class LibraryAmbiguousError(LibraryError, LookupError):
    """Two libraries share this title; the text lists their ids."""

    status = c.LIBRARY_AMBIGUOUS


class ListAgainError(Error):
    """What changed since the cursor is not known any more, or it is of another store, server, user or library: read
    everything anew, with ``changes(full=True)``.
    """

    status = c.LIST_AGAIN


BY_STATUS: dict[int, type[Error]] = {
    vars(kind)["status"]: kind
    for kind in list(globals().values())
    if isinstance(kind, type) and vars(kind).get("status") is not None
}

# An unknown status of a newer library becomes the parent class of its block of hundred.
_BLOCKS: dict[int, type[Error]] = {2: StoreError, 3: ServerError, 4: LibraryError}


def error_for(status: int, message: str | bytes) -> Error:
    """The exception for a status, with the library's text."""
    if isinstance(message, bytes):
        message = message.decode("utf-8", "replace")
    kind = BY_STATUS.get(status) or _BLOCKS.get(status // 100, Error)
    error = kind(message or f"plexindex status {status} ({c.STATUS_NAMES.get(status, 'unknown')})")
    if error.status != status:
        error.status = status
    return error
