"""Counts and times of an index."""

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
        *("answers", "bytes_received", "calls", "calls_seconds", "disk_bytes", "events", "evictions", "failures"),
        *("hints", "items", "last_failure", "libraries", "listings", "lookup_misses", "match_seconds", "matches"),
        *("network_seconds", "over_limit", "parse_seconds", "requests", "segment_seconds", "sequence", "size_limit"),
        *("slow_calls", "stale_answers", "store_answers", "store_requests", "store_seconds", "wait_seconds"),
    )

    answers: dict[str, int]
    """Answers by match kind, including fast lookups: ``"confirmed"``, ``"exact"``, …; ``"none"``: without an item."""
    lookup_misses: int
    """Fast lookups that found nothing."""
    stale_answers: int
    """Answers given although their listing had expired."""
    requests: dict[str, int]
    """Requests sent, retries included, by kind: ``"identity"``, ``"probe"``, ``"page"``, …"""
    bytes_received: int
    """Bytes of answers' bodies on the wire."""
    store_requests: int
    """Requests over the life of the store, all processes, as last written."""
    store_answers: int
    """Answers over the life of the store, all processes, as last written."""
    listings: int
    """Full listings completed."""
    network_seconds: float
    """Time spent waiting for the server."""
    parse_seconds: float
    """Time spent reading the server's answers: decompressing and parsing."""
    store_seconds: float
    """Time spent reading and writing the store."""
    segment_seconds: float
    """Time spent building and opening segments."""
    match_seconds: float
    """Time spent matching, fast lookups not included."""
    wait_seconds: float
    """Time spent waiting for other fetches to end, and before requests were tried again."""
    calls: int
    """Questions, refreshes and recordings; fast lookups not included."""
    calls_seconds: float
    """Time that these took in all. The parts may add up to more: a page is stored while the next one is fetched."""
    slow_calls: int
    """How many of them took longer than ``slow`` of :func:`plexindex.open`."""
    items: int
    """Items listed now, in all libraries of this view."""
    matches: int
    """Confirmed matches recorded now."""
    libraries: int
    """Libraries known now."""
    disk_bytes: int
    """Bytes that the store takes on disk, segments included."""
    size_limit: int
    """Bytes that the folder may take; 0: no limit."""
    over_limit: int
    """Bytes by which the part that must stay exceeds the limit. Not 0: the limit is too small."""
    evictions: int
    """Libraries that were removed for a limit over the life of the store, by all processes."""
    sequence: int
    """The store's change sequence."""
    events: int
    """Events about libraries that the server sent, or that were given to ``notify``."""
    hints: int
    """Writes because of events. Several events share a write."""
    failures: int
    """Old answers given because the server did not answer, or its answer could not be stored."""
    last_failure: str | None
    """The reason of the last one; None once the server answers again."""

    def __init__(self, raw: CStats) -> None:
        for name in self.__slots__:
            is_time = name.endswith("_seconds")
            value = getattr(raw, name.replace("_seconds", "_us"))
            setattr(self, name, value / 1_000_000 if is_time else value)
        self.answers = dict(zip(c.MATCH_KINDS, raw.answers))
        self.requests = dict(zip(c.REQUESTS, raw.requests))
        self.last_failure = raw.last_failure.decode("utf-8", "replace") or None

    @property
    def request_count(self) -> int:
        """Requests of all kinds."""
        return sum(self.requests.values())

    @property
    def answer_count(self) -> int:
        """Answers of all match kinds."""
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


class Profile:
    """How an index spent its time, without fast lookups. Made by :meth:`Index.profile`.

    Times are in seconds. The parts may add up to more than the whole: a page is stored while the next one is fetched.
    """

    __slots__ = (
        *("calls", "matching", "parsing", "requests", "seconds", "segments", "server", "slow_calls", "store"),
        "waiting",
    )

    calls: int
    """Questions, refreshes and recordings."""
    slow_calls: int
    """How many of them took longer than ``slow`` of :func:`plexindex.open`."""
    seconds: float
    """Time that they took in all."""
    server: float
    """Waiting for the server."""
    requests: int
    """Requests to the server."""
    parsing: float
    """Reading its answers: decompressing and parsing."""
    store: float
    """Reading and writing the store."""
    segments: float
    """Building and opening segments."""
    matching: float
    """Matching."""
    waiting: float
    """Waiting for other fetches to end, and before requests were tried again."""

    def __init__(self, stats: Stats) -> None:
        self.calls, self.slow_calls, self.seconds = stats.calls, stats.slow_calls, stats.calls_seconds
        self.server, self.requests = stats.network_seconds, stats.request_count
        self.parsing, self.store, self.segments = stats.parse_seconds, stats.store_seconds, stats.segment_seconds
        self.matching, self.waiting = stats.match_seconds, stats.wait_seconds

    def as_dict(self) -> dict[str, float]:
        """All fields by name."""
        return {name: getattr(self, name) for name in self.__slots__}

    def __repr__(self) -> str:
        parts = (
            (f"server ({_counted(self.requests, 'request')})", self.server),
            ("parsing", self.parsing),
            ("store", self.store),
            ("segments", self.segments),
            ("matching", self.matching),
            ("waiting", self.waiting),
        )
        spent = ", ".join(f"{part} {seconds:.3f} s" for part, seconds in parts if seconds >= 0.0005)
        slow = f"; {self.slow_calls} slow" if self.slow_calls else ""
        spent = f": {spent}" if spent else ""
        return f"<plexindex.Profile: {_counted(self.calls, 'call')} in {self.seconds:.3f} s{spent}{slow}>"


def _counted(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
