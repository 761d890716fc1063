"""An index's counts and times."""

from __future__ import annotations

from . import constants as c

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .native import CStats


class Stats:
    """An index's statistics at one moment. Counts start when the index is opened, unless a field says otherwise."""

    __slots__ = (
        *("answers", "bytes_received", "calls", "calls_seconds", "disk_bytes", "events", "evictions", "failures"),
        *("hints", "items", "last_failure", "libraries", "listings", "lookup_misses", "match_seconds", "matches"),
        *("network_seconds", "over_limit", "parse_seconds", "requests", "segment_seconds", "sequence", "size_limit"),
        *("slow_calls", "stale_answers", "store_answers", "store_requests", "store_seconds", "wait_seconds"),
    )

    answers: dict[str, int]
    """Answers by match kind, including fast lookups: ``"confirmed"``, ``"exact"``, …. ``"none"`` means no item."""
    lookup_misses: int
    """Fast lookups that found nothing."""
    stale_answers: int
    """Answers from expired listings."""
    requests: dict[str, int]
    """Requests by kind, including retries: ``"identity"``, ``"probe"``, ``"page"``, …"""
    bytes_received: int
    """Total size of the server's response bodies in bytes, as transferred."""
    store_requests: int
    """Requests by all processes since the store was created, according to the last write of the counters."""
    store_answers: int
    """Answers in all processes since the store was created, according to the last write of the counters."""
    listings: int
    """Number of completed full listings."""
    network_seconds: float
    """Time spent waiting for the server."""
    parse_seconds: float
    """Time spent decompressing and parsing the server's responses."""
    store_seconds: float
    """Time spent reading and writing the store."""
    segment_seconds: float
    """Time spent building and opening segments."""
    match_seconds: float
    """Time spent matching, excluding fast lookups."""
    wait_seconds: float
    """Time spent waiting for other fetches, and before retries."""
    calls: int
    """Number of lookups, refreshes and recorded matches, excluding fast lookups."""
    calls_seconds: float
    """Total time of the counted calls. The sum of the parts can be larger, because plexindex stores a page while it
    fetches the next page.
    """
    slow_calls: int
    """Number of calls that took longer than the option ``slow`` of :func:`plexindex.open`."""
    items: int
    """Number of listed items in all of this view's libraries."""
    matches: int
    """Number of confirmed matches."""
    libraries: int
    """Number of known libraries."""
    disk_bytes: int
    """Size of the store on disk in bytes, including segments."""
    size_limit: int
    """Maximum size of the folder in bytes. 0 means no limit."""
    over_limit: int
    """Bytes beyond the limit that plexindex cannot remove. If the value is not 0, the limit is too small."""
    evictions: int
    """Number of libraries removed by all processes because of the limit since the store was created."""
    sequence: int
    """The store's change sequence."""
    events: int
    """Number of events about libraries, from the server or ``notify``."""
    hints: int
    """Number of writes caused by events. Several events can share a write."""
    failures: int
    """Number of cached answers returned because the server did not respond, or its response could not be stored."""
    last_failure: str | None
    """The reason for the last failure. None once the server has responded again."""

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
        """Number of requests of all kinds."""
        return sum(self.requests.values())

    @property
    def answer_count(self) -> int:
        """Number of answers of all match kinds."""
        return sum(self.answers.values())

    def as_dict(self) -> dict[str, object]:
        """Returns all fields by name. The dictionaries are copies."""
        values: dict[str, object] = {name: getattr(self, name) for name in self.__slots__}
        return {name: dict(value) if isinstance(value, dict) else value for name, value in values.items()}

    def __repr__(self) -> str:
        return (
            f"<plexindex.Stats: {self.answer_count} answers, {self.request_count} requests, "
            f"{self.items} items in {self.libraries} libraries, {self.matches} matches>"
        )


class Profile:
    """The time spent in an index's calls in seconds, excluding fast lookups. :meth:`Index.profile` returns this object.

    The sum of the parts can be larger than the total, because plexindex stores a page while it fetches the next page.
    """

    __slots__ = (
        *("calls", "matching", "parsing", "requests", "seconds", "segments", "server", "slow_calls", "store"),
        "waiting",
    )

    calls: int
    """Number of lookups, refreshes and recorded matches."""
    slow_calls: int
    """Number of calls that took longer than the option ``slow`` of :func:`plexindex.open`."""
    seconds: float
    """Total time of the calls."""
    server: float
    """Waiting for the server."""
    requests: int
    """Requests to the server."""
    parsing: float
    """Decompressing and parsing answers."""
    store: float
    """Reading and writing the store."""
    segments: float
    """Building and opening segments."""
    matching: float
    """Matching."""
    waiting: float
    """Waiting for other fetches, and before retries."""

    def __init__(self, stats: Stats) -> None:
        self.calls, self.slow_calls, self.seconds = stats.calls, stats.slow_calls, stats.calls_seconds
        self.server, self.requests = stats.network_seconds, stats.request_count
        self.parsing, self.store, self.segments = stats.parse_seconds, stats.store_seconds, stats.segment_seconds
        self.matching, self.waiting = stats.match_seconds, stats.wait_seconds

    def as_dict(self) -> dict[str, float]:
        """Returns all fields by name."""
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
