"""The database that several hosts share."""

from __future__ import annotations

import plexindex

from ._core import Any
from ._core.session import Session


class Shared:
    """The PostgreSQL database that several hosts share. :attr:`Index.shared` returns this object.

    Except for :meth:`status`, the methods raise InvalidArgumentError if the index does not share, and OfflineError if
    the index is offline. Errors of PostgreSQL are ServerUnavailableError, TimeoutError or UnauthorizedError.
    """

    def __init__(self, session: Session) -> None:
        self._session = session

    def status(self) -> plexindex.types.SharedStatus | None:
        """Returns what the database has, and how many rows this folder has not read; None without ``shared``.

        Waits at most the ``timeout`` from ``open``, or some seconds. If the database does not respond, the field
        ``error`` contains the reason.

        >>> index.shared.status() is None
        True
        """
        return self._ask("status").get("database")

    def init(self) -> str:
        """Creates the tables, for hosts whose roles may not. Returns ``"made"`` or ``"present"``. Otherwise, the first
        host creates them.
        """
        return self._ask("init")["tables"]  # type: ignore[no-any-return]

    def deliver(self) -> None:
        """Waits until the database has all that this host recorded or took back, which the index otherwise delivers a
        moment later. Waits as long as :meth:`status`. Raises TimeoutError if something remains, which the index
        delivers later.
        """
        self._ask("deliver")

    def clear(self) -> None:
        """Takes back all confirmed matches of this server and user, on all hosts. Raises InvalidArgumentError also if
        this index has not reached its server yet.
        """
        self._ask("clear")

    def drop_old(self) -> None:
        """Removes the tables of versions that shared a log."""
        self._ask("drop_old")

    def _ask(self, action: str) -> dict[str, Any]:
        return self._session.request("sharing", action=action)  # type: ignore[no-any-return]

    def __repr__(self) -> str:
        return f"<plexindex.Shared of {self._session.folder!r}>"
