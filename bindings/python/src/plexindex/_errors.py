"""Exceptions: one for each error status of the library.

``Error`` is the base of all. ``StoreError``, ``ServerError`` and ``LibraryError`` are the bases of the errors of the
store, of the server, and of selecting a library.
"""

from __future__ import annotations

import builtins

from . import _constants as c

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class EditReport:
    """The outcome for the items of an edit, by the given keys."""

    __slots__ = ("done", "failed", "left", "missing", "requests")

    done: list[str]
    """Keys of edited items."""
    failed: list[str]
    """Keys of the failed request. The server may have edited these items."""
    left: list[str]
    """Keys for which no request was sent."""
    missing: list[str]
    """Keys that the server does not have. If there are any, nothing was edited."""
    requests: int
    """Number of edit requests, including the failed one, without retries."""

    def __init__(self, keys: list[str], states: list[str], requests: int = 0, **_: int) -> None:
        """From the answer of the method ``edit``."""

        def of(state: str) -> list[str]:
            return [key for key, one in zip(keys, states) if one == state]

        self.done, self.failed, self.left, self.missing = map(of, ("done", "failed", "no", "missing"))
        self.requests = requests

    def __repr__(self) -> str:
        more = "".join(
            f", {len(keys)} {name}"
            for name, keys in (("failed", self.failed), ("left", self.left), ("missing", self.missing))
            if keys
        )
        return f"<plexindex.EditReport: {len(self.done)} done{more}, {self.requests} requests>"


class Error(Exception):
    """A call failed. The text names the input and the remedy.

    ``status`` is the library's number of the error; None if the package found the error before calling the library.
    ``report`` is the report of a failed ``edit_items``; None for all other calls.
    """

    status: int | None = None
    report: EditReport | None = None
    _answer: Any = None

    @property
    def status_name(self) -> str | None:
        """The name of the status in lower case, such as ``"unauthorized"``; None without a status."""
        return None if self.status is None else c.STATUS_NAMES.get(self.status, "unknown")


class ClosedError(Error):
    """The index was closed, before or during the call."""


class LoadError(Error, ImportError):
    """The shared library cannot be loaded, or has another version than this package."""


class InvalidArgumentError(Error, ValueError):
    """An argument is invalid."""

    status = c.INVALID_ARGUMENT


class NullPointerError(Error):
    """A defect in this package: it passed an invalid NULL to the library."""

    status = c.NULL_POINTER


class UnsupportedError(Error):
    """The loaded library is older than this package and does not support an option."""

    status = c.UNSUPPORTED


class BufferTooSmallError(Error):
    """A defect in this package: an answer did not fit into its buffer."""

    status = c.BUFFER_TOO_SMALL


class AbortedError(Error):
    """The progress callback returned False. The index keeps the fetched part, and the next call resumes."""

    status = c.ABORTED


class PanicError(Error):
    """A defect in plexindex. The index stays usable."""

    status = c.PANIC


class StoreError(Error):
    """The folder or its database cannot be opened or written, or no thread can be started."""

    status = c.STORE


class StoreFullError(StoreError):
    """The disk is full, or a limit is reached. Nothing was changed."""

    status = c.STORE_FULL


class ServerError(Error):
    """The server failed (5xx or an unexpected status). The base of all errors of servers."""

    status = c.SERVER_ERROR


class ConnectError(ServerError, ConnectionError):
    """Cannot connect to the server."""

    status = c.CONNECT


class TlsError(ServerError):
    """The server's certificate is invalid, or TLS failed otherwise."""

    status = c.TLS


class UnauthorizedError(ServerError):
    """The server rejected the token (401), or the token expired (498).

    If the token's callable raised an exception, that is the ``__cause__``.
    """

    status = c.UNAUTHORIZED


class ForbiddenError(ServerError):
    """The token's user has no permission (403)."""

    status = c.FORBIDDEN


class NotOnServerError(ServerError):
    """The server has no such item, library or address (404)."""

    status = c.NOT_ON_SERVER


class NotPlexError(ServerError):
    """The answer is not from a Plex Media Server, or this version cannot read it."""

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
    """The server redirected to another host. plexindex sends the token to no other host."""

    status = c.REDIRECTED


class OfflineError(ServerError):
    """The call needs a request, but the call or the index is offline, or has no server URL."""

    status = c.OFFLINE


class LibraryError(Error):
    """The base of all errors of selecting a library."""


class LibraryNotFoundError(LibraryError, LookupError):
    """The server has no library with this title, section id or uuid. The text names those that exist."""

    status = c.LIBRARY_NOT_FOUND


class NotFetchedError(LibraryNotFoundError):
    """The library is not in the index: it was never fetched, or was removed because of ``size_limit``. Or the server
    has not accepted a new token yet. ``refresh()`` asks the server.
    """

    status = c.NOT_FETCHED


class LibraryAmbiguousError(LibraryError, LookupError):
    """Two libraries have this title. The text lists their ids."""

    status = c.LIBRARY_AMBIGUOUS


class ListAgainError(Error):
    """The changes since the cursor are no longer known, or the cursor belongs to another store, server, user or
    library: list all items again, with ``changes(full=True)``.
    """

    status = c.LIST_AGAIN


BY_STATUS: dict[int, type[Error]] = {
    vars(kind)["status"]: kind
    for kind in list(globals().values())
    if isinstance(kind, type) and vars(kind).get("status") is not None
}

# An unknown status of a newer library gets the base class of its hundred.
_BLOCKS: dict[int, type[Error]] = {2: StoreError, 3: ServerError, 4: LibraryError}


def error_for(status: int, message: str | bytes) -> Error:
    """Creates the exception for a status, with the library's text."""
    if isinstance(message, bytes):
        message = message.decode("utf-8", "replace")
    kind = BY_STATUS.get(status) or _BLOCKS.get(status // 100, Error)
    error = kind(message or f"plexindex status {status} ({c.STATUS_NAMES.get(status, 'unknown')})")
    if error.status != status:
        error.status = status
    return error
