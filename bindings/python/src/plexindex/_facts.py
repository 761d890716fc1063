"""Facts about a server, a store and missing mappings, for people who look for a fault."""

from __future__ import annotations

from ._mapping import Mapping

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from typing_extensions import Self


class Fields:
    """What the library tells as JSON, by the same names; None for what is not known."""

    __slots__: tuple[str, ...] = ()

    @classmethod
    def from_json(cls, entry: dict[str, Any]) -> Self:
        """From an answer of the library."""
        made = cls()
        for name in cls.__slots__:
            setattr(made, name, entry.get(name))
        return made

    def as_dict(self) -> dict[str, Any]:
        """All fields by name."""
        return {name: getattr(self, name) for name in self.__slots__}


class Proposal:
    """A mapping that seems to be missing, and its evidence. Made by :meth:`Index.proposals`."""

    __slots__ = ("gain", "host", "matched", "of", "server")

    host: str
    """The folder in the paths of questions."""
    server: str
    """The folder as the server has it."""
    matched: int
    """How many paths would be listed if ``host`` became ``server``."""
    of: int
    """How many paths were found by their end or their file name."""
    gain: int | None
    """How many of the given paths it has listed, of those that the proposals before it leave; None without paths."""

    @classmethod
    def from_json(cls, entry: dict[str, Any]) -> Proposal:
        """From an entry of the method ``mappings.propose``."""
        made = cls()
        from ._call import text_of

        made.host, made.server = text_of(entry["from"]) or "", text_of(entry["to"]) or ""
        made.matched, made.of = entry["matched"], entry["of"]
        made.gain = entry.get("gain")
        return made

    @property
    def mapping(self) -> Mapping:
        """The rule, for ``plexindex.open(mappings=[…])``."""
        return Mapping.host_prefix(self.host, self.server)

    def __repr__(self) -> str:
        return f"<plexindex.Proposal {self.host!r} -> {self.server!r}: {self.matched} of {self.of} paths>"


class ServerInfo:
    """Facts about a server. Made by :meth:`Index.server`."""

    __slots__ = ("answered", "libraries", "machine_identifier", "version")

    machine_identifier: str
    """The server's identity; the same behind every URL."""
    version: str
    """Its version; empty when it gives none."""
    answered: float
    """Seconds until it answered."""
    libraries: int
    """How many libraries it shows to the token's user."""

    @classmethod
    def from_json(cls, entry: dict[str, Any]) -> ServerInfo:
        """From the method ``server.check``."""
        made = cls()
        made.machine_identifier, made.version = entry["machine_identifier"], entry.get("version", "")
        made.answered, made.libraries = entry["answered_us"] / 1_000_000, entry["libraries"]
        return made

    def __repr__(self) -> str:
        return f"<plexindex.ServerInfo {self.machine_identifier} {self.version}: {self.libraries} libraries>"


class StoreInfo(Fields):
    """Facts about the place of a store. Made by :meth:`Index.store`."""

    __slots__ = (
        *("counter_page", "disk_bytes", "file_system", "folder", "free_bytes", "journal", "locks", "locks_error"),
        "shares_memory",
    )

    folder: str
    """The folder."""
    file_system: str | None
    """Its kind of file system, such as ``"ext4"``; None where the system gives none."""
    journal: str
    """``"wal"``, or ``"truncate"`` where processes cannot share memory: slower."""
    shares_memory: bool
    """Whether processes can share memory there."""
    counter_page: bool
    """Whether a lookup notices other processes' changes without asking the database."""
    locks: bool
    """Whether a lock kept another holder out in a test just now."""
    locks_error: str | None
    """The error of that test; None if it worked."""
    disk_bytes: int
    """Bytes that the store takes."""
    free_bytes: int | None
    """Bytes that are free on the disk; None where the system gives no number."""

    @classmethod
    def from_json(cls, entry: dict[str, Any]) -> StoreInfo:
        """From the method ``store.get``."""
        from ._call import text_of

        return super().from_json({**entry, "folder": text_of(entry["folder"])})

    def __repr__(self) -> str:
        locks = "locks work" if self.locks else f"locks do not work: {self.locks_error}"
        place = self.file_system or "unknown file system"
        return f"<plexindex.StoreInfo {self.folder!r}: {place}, {self.journal}, {locks}>"
