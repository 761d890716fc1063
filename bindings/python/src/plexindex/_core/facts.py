"""Facts about a server, a store and missing mappings, for diagnosing problems."""

from __future__ import annotations

from ..library import Fields
from ..mapping import Mapping

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class Proposal(Fields):
    """A mapping that seems to be missing. :meth:`Index.proposals` returns these objects."""

    __slots__ = ("gain", "host", "matched", "of", "server")

    host: str
    """The folder on this machine."""
    server: str
    """The same folder on the server."""
    matched: int
    """Number of paths that Plex would list with the mapping."""
    of: int
    """Number of paths that matched by their end or their file name."""
    gain: int | None
    """Number of given paths that only this mapping matches, and no earlier proposal. None if no paths were given."""

    @classmethod
    def from_json(cls, entry: dict[str, Any]) -> Proposal:
        """Creates the object from an entry in the answer to ``mappings.propose``."""
        from .call import text_of

        folders = {"host": text_of(entry["from"]) or "", "server": text_of(entry["to"]) or ""}
        return super().from_json({**entry, **folders})

    @property
    def mapping(self) -> Mapping:
        """The mapping in the form for ``plexindex.open(mappings=[…])``."""
        return Mapping.host_prefix(self.host, self.server)

    def __repr__(self) -> str:
        return f"<plexindex.Proposal {self.host!r} -> {self.server!r}: {self.matched} of {self.of} paths>"


class ServerInfo(Fields):
    """Facts about a server. :meth:`Index.server` returns this object."""

    __slots__ = ("answered", "libraries", "machine_identifier", "version")

    machine_identifier: str
    """The server's identity, which is the same at every URL."""
    version: str
    """The server's version, or an empty string if unknown."""
    answered: float
    """The server's response time in seconds."""
    libraries: int
    """Number of libraries that the token's user sees."""

    @classmethod
    def from_json(cls, entry: dict[str, Any]) -> ServerInfo:
        """Creates the object from the answer to ``server.check``."""
        return super().from_json({"version": "", **entry, "answered": entry["answered_us"] / 1_000_000})

    def __repr__(self) -> str:
        return f"<plexindex.ServerInfo {self.machine_identifier} {self.version}: {self.libraries} libraries>"


class StoreInfo(Fields):
    """Facts about a store's folder. :meth:`Index.store` returns this object."""

    __slots__ = (
        *("broken", "counter_page", "disk_bytes", "file_system", "folder", "free_bytes", "journal", "locks"),
        *("locks_error", "shares_memory"),
    )

    folder: str
    """The folder."""
    file_system: str | None
    """The file system, such as ``"ext4"``, or None if unknown."""
    journal: str
    """SQLite's journal mode: ``"wal"``, or the slower ``"truncate"`` if processes cannot share memory."""
    shares_memory: bool
    """Whether processes can share memory in the folder."""
    counter_page: bool
    """Whether a lookup notices other processes' changes without querying the database."""
    locks: bool
    """Whether file locks worked in a test during this call."""
    locks_error: str | None
    """The error of the lock test, or None if the test succeeded."""
    broken: list[str]
    """Names of the damaged databases in the folder, which plexindex renamed to ``.broken``."""
    disk_bytes: int
    """Size of the store in bytes."""
    free_bytes: int | None
    """Number of free bytes on the disk, or None if unknown."""

    @classmethod
    def from_json(cls, entry: dict[str, Any]) -> StoreInfo:
        """Creates the object from the answer to ``store.get``."""
        from .call import text_of

        return super().from_json({**entry, "folder": text_of(entry["folder"])})

    def __repr__(self) -> str:
        locks = "locks work" if self.locks else f"locks do not work: {self.locks_error}"
        place = self.file_system or "unknown file system"
        return f"<plexindex.StoreInfo {self.folder!r}: {place}, {self.journal}, {locks}>"
