"""Facts about the log that several hosts share."""

from __future__ import annotations

from ._facts import Fields

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType
    from typing import Any, Protocol

    class Sharing(Protocol):
        """An index, as a follower needs it."""

        @property
        def is_open(self) -> bool: ...

        def _share(self, action: str) -> dict[str, Any]: ...


class SharedView(Fields):
    """What the shared log holds of one server as one user sees it. In :attr:`SharedStatus.views`."""

    __slots__ = ("age", "bytes", "entries", "hosts", "last", "own", "server", "user")

    server: str
    """The server's machine identifier."""
    user: str
    """The user's name, if the hosts set ``user``; otherwise ``#`` and the beginning of a hash."""
    own: bool
    """Whether this index is one of these hosts."""
    last: int
    """The number of the last entry."""
    age: float | None
    """Seconds since the last entry was written; None before the first."""
    entries: dict[str, int]
    """Number of entries by kind: ``"probe"``, ``"listing"``, ``"item"``, ``"match"``, ``"invalid_item"``,
    ``"invalid_path"``, ``"invalid_library"``, ``"hint"`` and ``"search"``. Kinds without entries are missing."""
    hosts: int
    """Hosts that wrote something that is there. A folder that was moved counts as another host."""
    bytes: int
    """Size of the entries and listings."""

    @classmethod
    def from_json(cls, entry: dict[str, Any]) -> SharedView:
        """From an entry of the method ``sharing``."""
        return super().from_json({**entry, "age": entry["age_ms"] / 1000 if "age_ms" in entry else None})

    def __repr__(self) -> str:
        return f"<plexindex.SharedView {self.server}: {sum(self.entries.values())} entries of {self.hosts} hosts>"


class SharedStatus(Fields):
    """What the shared log holds, and how far this folder is behind. Made by :meth:`Index.shared_status`."""

    __slots__ = ("address", "behind", "error", "error_kind", "reachable", "server", "taken", "undelivered", "views")

    address: str
    """Its address, without a password."""
    reachable: bool
    """Whether it answered."""
    error: str | None
    """Why it did not answer, or takes no writes of this role, and the remedy; None if it does both."""
    error_kind: str | None
    """The kind of this error, such as ``"connect"``, ``"unauthorized"`` or ``"forbidden"``."""
    server: str | None
    """The machine identifier of this index's server; None while it is not known."""
    taken: int | None
    """The number of the last entry that this folder has taken; None if it has taken none yet."""
    undelivered: int | None
    """Entries of this folder that wait to be delivered."""
    behind: int | None
    """Entries of other hosts of this server and user that this folder has not taken yet. None where that is not known,
    as before the server has accepted the token."""
    views: list[SharedView]
    """What the log holds, for each server and user. Empty if it did not answer."""

    @classmethod
    def from_json(cls, entry: dict[str, Any]) -> SharedStatus:
        """From the method ``sharing``."""
        return super().from_json({**entry, "views": list(map(SharedView.from_json, entry["views"]))})

    def as_dict(self) -> dict[str, Any]:
        """All fields by name."""
        return {**super().as_dict(), "views": [view.as_dict() for view in self.views]}

    def __repr__(self) -> str:
        if self.error is None:
            return f"<plexindex.SharedStatus {self.address}: reachable>"
        # The error names the address.
        state = "read-only" if self.reachable else "not reachable"
        return f"<plexindex.SharedStatus {state}: {self.error}>"


class Following:
    """Follows the shared log from the beginning of a ``with`` block to its end. Made by :meth:`Index.follow_shared`."""

    def __init__(self, index: Sharing) -> None:
        self._index = index

    def __enter__(self) -> Following:
        self.progress()
        return self

    def progress(self) -> dict[str, Any]:
        """How far this folder is, without asking the log: ``address``, ``taken`` (the number of the last entry that it
        has, or None) and ``undelivered`` (entries that wait, or None). Log lines of the library are passed on.
        """
        # It follows already: a second time changes nothing.
        found = self._index._share("follow")["folder"]
        return {name: found.get(name) for name in ("address", "taken", "undelivered")}

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._index.is_open:
            self._index._share("unfollow")
