"""The state of the log that several hosts share."""

from __future__ import annotations

from ..library import Fields

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType
    from typing import Any, Protocol

    class Sharing(Protocol):
        """The attributes of an index that a follower uses."""

        @property
        def is_open(self) -> bool: ...

        def _share(self, action: str) -> dict[str, Any]: ...


class SharedView(Fields):
    """The shared log's entries for one server and user. :attr:`SharedStatus.views` contains these objects."""

    __slots__ = ("age", "bytes", "entries", "hosts", "last", "own", "server", "user")

    server: str
    """The server's machine identifier."""
    user: str
    """The user's name if the hosts set ``user``; otherwise ``#`` and part of a hash."""
    own: bool
    """Whether the entries are for this index's server and user."""
    last: int
    """The number of the last entry."""
    age: float | None
    """Seconds since the last entry, or None if there is no entry yet."""
    entries: dict[str, int]
    """Number of entries by kind: ``"probe"``, ``"listing"``, ``"item"``, ``"match"``, ``"invalid_item"``,
    ``"invalid_path"``, ``"invalid_library"``, ``"hint"`` and ``"search"``. Kinds without entries are missing."""
    hosts: int
    """Number of hosts that wrote entries. A moved folder counts as a different host."""
    bytes: int
    """Total size of the entries and listings in bytes."""

    @classmethod
    def from_json(cls, entry: dict[str, Any]) -> SharedView:
        """Creates the object from an entry in the answer to ``sharing``."""
        return super().from_json({**entry, "age": entry["age_ms"] / 1000 if "age_ms" in entry else None})

    def __repr__(self) -> str:
        return f"<plexindex.SharedView {self.server}: {sum(self.entries.values())} entries of {self.hosts} hosts>"


class SharedStatus(Fields):
    """The state of the shared log and of this folder. :meth:`Index.shared_status` returns this object."""

    __slots__ = ("address", "behind", "error", "error_kind", "reachable", "server", "taken", "undelivered", "views")

    address: str
    """The log's address, without a password."""
    reachable: bool
    """Whether the log responded."""
    error: str | None
    """Why the log did not respond or does not accept writes from this role, and the remedy. None if the log works."""
    error_kind: str | None
    """The kind of ``error``, such as ``"connect"``, ``"unauthorized"`` or ``"forbidden"``."""
    server: str | None
    """The machine identifier of this index's server, or None while it is unknown."""
    taken: int | None
    """The number of the last entry that this folder has applied, or None before the first entry."""
    undelivered: int | None
    """Number of this folder's entries that have not been delivered yet."""
    behind: int | None
    """Number of other hosts' entries for this server and user that this folder has not applied yet. None while unknown,
    for example before the server has accepted the token.
    """
    views: list[SharedView]
    """The entries by server and user. Empty if the log did not respond."""

    @classmethod
    def from_json(cls, entry: dict[str, Any]) -> SharedStatus:
        """Creates the object from the answer to ``sharing``."""
        return super().from_json({**entry, "views": list(map(SharedView.from_json, entry["views"]))})

    def as_dict(self) -> dict[str, Any]:
        """Returns all fields by name."""
        return {**super().as_dict(), "views": [view.as_dict() for view in self.views]}

    def __repr__(self) -> str:
        if self.error is None:
            return f"<plexindex.SharedStatus {self.address}: reachable>"
        # The error already contains the address.
        state = "read-only" if self.reachable else "not reachable"
        return f"<plexindex.SharedStatus {state}: {self.error}>"


class Following:
    """Follows the shared log within a ``with`` block. :meth:`Index.follow_shared` creates this object."""

    def __init__(self, index: Sharing) -> None:
        self._index = index

    def __enter__(self) -> Following:
        self.progress()
        return self

    def progress(self) -> dict[str, Any]:
        """Returns ``address``, ``taken`` and ``undelivered``, as in :class:`SharedStatus`, without querying the log.
        Passes the library's log lines to ``logging``.
        """
        # A second "follow" changes nothing.
        found = self._index._share("follow")["folder"]
        return {name: found.get(name) for name in ("address", "taken", "undelivered")}

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._index.is_open:
            self._index._share("unfollow")
