"""What an index did: counts and times."""

from __future__ import annotations

from . import _constants as c

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ._native import CStats


class Stats:
    """Statistics of an index, as they were when asked for. Counts are of this index's life where nothing else is said.

    ``stats.as_dict()`` gives all of it as plain numbers and dictionaries.
    """

    __slots__ = (
        "answers",
        "bytes_received",
        "disk_bytes",
        "events",
        "glance_misses",
        "hints",
        "items",
        "libraries",
        "listings",
        "matches",
        "network_seconds",
        "requests",
        "sequence",
        "stale_answers",
        "store_answers",
        "store_requests",
        "store_seconds",
        "warm_seconds",
    )

    answers: dict[str, int]
    """Answers by rung, fast lookups included: ``"confirmed"``, ``"exact"``, …; ``"none"``: those without an item."""
    glance_misses: int
    """Calls of ``lookup_key`` that found nothing in a glance."""
    stale_answers: int
    """Answers given although their listing had expired."""
    requests: dict[str, int]
    """Requests sent, retries included, by kind: ``"identity"``, ``"probe"``, ``"page"``, …"""
    bytes_received: int
    """Bytes of answers' bodies as they came over the wire."""
    store_requests: int
    """Requests over the life of the store, all processes, as last written."""
    store_answers: int
    """Answers over the life of the store, all processes, as last written."""
    listings: int
    """Full listings completed."""
    network_seconds: float
    """Time spent waiting for the server."""
    store_seconds: float
    """Time spent storing."""
    warm_seconds: float
    """Time spent building and opening warm files."""
    items: int
    """Items listed now, in all libraries of this view."""
    matches: int
    """Confirmed matches recorded now."""
    libraries: int
    """Libraries known now."""
    disk_bytes: int
    """Bytes that the store takes on disk, warm files included."""
    sequence: int
    """The store's change sequence."""
    events: int
    """Events about libraries that the server told, or that ``notify`` was given."""
    hints: int
    """Writes that noted what events hint at: fewer than events, as these are gathered."""

    def __init__(self, raw: CStats) -> None:
        self.answers = dict(zip(c.RUNGS, raw.answers))
        self.glance_misses = raw.glance_misses
        self.stale_answers = raw.stale_answers
        self.requests = dict(zip(c.REQUESTS, raw.requests))
        self.bytes_received = raw.bytes_received
        self.store_requests = raw.store_requests
        self.store_answers = raw.store_answers
        self.listings = raw.listings
        self.network_seconds = raw.network_us / 1_000_000
        self.store_seconds = raw.store_us / 1_000_000
        self.warm_seconds = raw.warm_us / 1_000_000
        self.items = raw.items
        self.matches = raw.matches
        self.libraries = raw.libraries
        self.disk_bytes = raw.disk_bytes
        self.sequence = raw.sequence
        self.events = raw.events
        self.hints = raw.hints

    @property
    def request_count(self) -> int:
        """Requests of all kinds."""
        return sum(self.requests.values())

    @property
    def answer_count(self) -> int:
        """Answers of all rungs."""
        return sum(self.answers.values())

    def as_dict(self) -> dict[str, object]:
        """All fields by name; the dictionaries are copies."""
        values: dict[str, object] = {name: getattr(self, name) for name in self.__slots__}
        return {name: dict(value) if isinstance(value, dict) else value for name, value in values.items()}

    def __repr__(self) -> str:
        return (
            f"<plexindex.Stats: {self.answer_count} answers, {self.request_count} requests, "
            f"{self.items} items in {self.libraries} libraries, {self.matches} matches>"
        )
