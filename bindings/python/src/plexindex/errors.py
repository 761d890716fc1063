"""The exceptions, one for each error status of the library.

``Error`` is the base class of all exceptions. ``StoreError``, ``ServerError`` and ``LibraryError`` are the base classes
for errors of the store, errors of the server, and errors in selecting a library.
"""

from __future__ import annotations

import builtins

from ._core import constants as c

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class EditReport:
    """An edit's outcome for each item, by the caller's keys."""

    __slots__ = ("done", "failed", "left", "missing", "requests")

    done: list[str]
    """Keys of edited items."""
    failed: list[str]
    """Keys of the failed request. The server may have edited these items."""
    left: list[str]
    """Keys for which plexindex sent no request."""
    missing: list[str]
    """Keys that do not exist on the server. If any key is missing, plexindex has edited nothing."""
    requests: int
    """Number of edit requests, including a failed request, but not retries."""

    def __init__(self, keys: list[str], states: list[str], requests: int = 0, **_: int) -> None:
        """Creates the report from the answer to the method ``edit``."""

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
    """A failed call. The message contains the input and the remedy.

    ``status`` is the library's error number, or None if the package detected the error before calling the library.
    ``report`` is the report of a failed ``edit_items``, or None for all other calls.
    """

    status: int | None = None
    report: EditReport | None = None
    _answer: Any = None

    @property
    def status_name(self) -> str | None:
        """The status's name in lower case, such as ``"unauthorized"``, or None without a status."""
        return None if self.status is None else c.STATUS_NAMES.get(self.status, "unknown")


class ClosedError(Error):
    """The index was closed before or during the call."""


class LoadError(Error, ImportError):
    """Python cannot load the shared library, or the library's version does not match this package."""


class InvalidArgumentError(Error, ValueError):
    """An argument is invalid."""

    status = c.INVALID_ARGUMENT


class NullPointerError(Error):
    """A bug in this package, which passed an invalid NULL to the library."""

    status = c.NULL_POINTER


class UnsupportedError(Error):
    """The loaded library is older than this package and does not support an option."""

    status = c.UNSUPPORTED


class BufferTooSmallError(Error):
    """A bug in this package: an answer did not fit into its buffer."""

    status = c.BUFFER_TOO_SMALL


class AbortedError(Error):
    """The progress callback returned False. The index keeps the fetched part, and the next call resumes the fetch."""

    status = c.ABORTED


class PanicError(Error):
    """A bug in plexindex. The index remains usable."""

    status = c.PANIC


class StoreError(Error):
    """plexindex cannot open or write the folder or its database, or cannot start a thread."""

    status = c.STORE


class StoreFullError(StoreError):
    """The disk is full, or the user's disk quota is used up. The call changed nothing."""

    status = c.STORE_FULL


class ServerError(Error):
    """The server failed (5xx or an unexpected status). This is the base class of all server errors."""

    status = c.SERVER_ERROR


class ConnectError(ServerError, ConnectionError):
    """plexindex cannot connect to the server."""

    status = c.CONNECT


class TlsError(ServerError):
    """The server's certificate is invalid, or TLS failed for a different reason."""

    status = c.TLS


class UnauthorizedError(ServerError):
    """The server rejected the token (401), or the token expired (498).

    If the token callable raised an exception, ``__cause__`` is that exception.
    """

    status = c.UNAUTHORIZED


class ForbiddenError(ServerError):
    """The token's user has no permission (403)."""

    status = c.FORBIDDEN


class NotOnServerError(ServerError):
    """The server has no such item, library or address (404)."""

    status = c.NOT_ON_SERVER


class NotPlexError(ServerError):
    """The response is not from a Plex Media Server, or this version of plexindex cannot read the response."""

    status = c.NOT_PLEX


class StartingError(ServerError):
    """The server is starting, or migrating its database."""

    status = c.STARTING


class BadAnswerError(ServerError):
    """A response was truncated or malformed."""

    status = c.BAD_ANSWER


class TimeoutError(ServerError, builtins.TimeoutError):
    """The server did not respond within the deadline or a timeout."""

    status = c.TIMEOUT


class RedirectedError(ServerError):
    """The server redirected to a different host, to which plexindex does not send the token."""

    status = c.REDIRECTED


class OfflineError(ServerError):
    """The call needs a request, but the call or the index is offline, or has no server URL."""

    status = c.OFFLINE


class LibraryError(Error):
    """The base class of all errors in selecting a library."""


class LibraryNotFoundError(LibraryError, LookupError):
    """The server has no library with this title, section id or uuid. The message lists the existing libraries."""

    status = c.LIBRARY_NOT_FOUND


class NotFetchedError(LibraryError):
    """No listing can answer a call that sends no request: the library was never fetched, or was evicted because of
    ``size_limit``, or the server has not accepted a new token yet. ``refresh()`` asks the server.
    """

    status = c.NOT_FETCHED


class LibraryAmbiguousError(LibraryError, LookupError):
    """Several libraries have this title. The message lists their IDs."""

    status = c.LIBRARY_AMBIGUOUS


class ListAgainError(Error):
    """The index no longer has the changes since the cursor, or the cursor belongs to another store, server, user or
    library. List all items again with ``changes(full=True)``.
    """

    status = c.LIST_AGAIN


BY_STATUS: dict[int, type[Error]] = {
    vars(kind)["status"]: kind
    for kind in list(globals().values())
    if isinstance(kind, type) and vars(kind).get("status") is not None
}

# If a newer library returns an unknown status, use the base class for the same hundred.
_BLOCKS: dict[int, type[Error]] = {2: StoreError, 3: ServerError, 4: LibraryError}


def error_for(status: int, message: str | bytes) -> Error:
    """Creates the exception for a status, with the library's message."""
    if isinstance(message, bytes):
        message = message.decode("utf-8", "replace")
    kind = BY_STATUS.get(status) or _BLOCKS.get(status // 100, Error)
    error = kind(message or f"plexindex status {status} ({c.STATUS_NAMES.get(status, 'unknown')})")
    if error.status != status:
        error.status = status
    return error
