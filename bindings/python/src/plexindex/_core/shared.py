"""Follows the log that several hosts share."""

from __future__ import annotations

from . import TYPE_CHECKING

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Any

    from .session import Session


class Following:
    """Follows the shared log within a ``with`` block. :meth:`Index.follow_shared` creates this object."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def __enter__(self) -> Following:
        self.progress()
        return self

    def progress(self) -> dict[str, Any]:
        """Returns ``address``, ``taken`` and ``undelivered``, as in the shared log's status, without querying the log.
        Passes the library's log lines to ``logging``.
        """
        # A second "follow" changes nothing.
        found = self._session.request("sharing", action="follow")["folder"]
        return {name: found.get(name) for name in ("address", "taken", "undelivered")}

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session.is_open:
            self._session.request("sharing", action="unfollow")
