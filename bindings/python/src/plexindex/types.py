"""The types of arguments and results, for annotations.

Importing this module takes longer than opening an index, so the package does so only for type checkers, and for
``typing.get_type_hints``.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Coroutine, Iterable
from typing import Any as Any
from typing import Literal, Optional, Protocol, TypedDict, TypeVar, Union

from ._core.methods import ChangeKind as ChangeKind
from ._core.methods import Confidence as Confidence
from ._core.methods import ErrorKind, MatchStatus
from ._core.methods import FolderKind as FolderKind
from ._core.methods import MatchKind as MatchKind
from ._core.methods import Reason as Reason
from ._core.methods import ServerInfo as ServerInfo
from ._core.methods import SharedStatus as SharedStatus
from ._core.methods import StoreInfo as StoreInfo
from .mapping import Mapping
from .progress import Progress
from .shows import Season, Show

PathArg = Union[str, bytes, os.PathLike[str], os.PathLike[bytes]]
"""A path: :mod:`plexindex` says how plexindex encodes it."""
ProgressArg = Optional[Callable[[Progress], object]]
"""A callback for the progress of a fetch. False ends the call."""
CountProgressArg = Optional[Callable[[int], object]]
"""A callback for the number of files so far."""
MappingArg = Union[Mapping, tuple[PathArg, PathArg]]
"""A rule, or a pair of folders (host, server)."""
Facts = dict[str, Any]
"""An item's stored fields: the answer of the method ``items.get``."""
NameArg = Union[str, bytes]
"""A name in a :class:`plexindex.Table`."""
Default = TypeVar("Default")
"""The default of :meth:`plexindex.Table.get`."""


class HasRatingKey(Protocol):
    """A plexindex or plexapi item."""

    @property
    def ratingKey(self) -> Union[int, str, None]:  # noqa: N802
        """The item's rating key."""


TokenArg = Union[str, Callable[[], Optional[str]], Callable[[], Coroutine[Any, Any, Optional[str]]], None]
"""A token, or a callable that returns it; for :func:`plexindex.aio.open` also a coroutine function."""
SizeArg = Union[int, Literal[False], None]
"""A file's size in bytes; None reads the size from the disk if necessary, and False forbids it."""
NoSizeArg = Optional[Literal[False]]
"""None reads the sizes of files from the disk if necessary, and False forbids it."""
KeyArg = Union[str, int, HasRatingKey, Show, Season]
"""An item's key or rating key, or a plexindex or plexapi item, a show or a season."""
FieldArg = Union[str, int, float, Iterable[str], None]
"""A field's new value: :meth:`plexindex.Queries.edit_items`."""

Kind = Literal["movie", "show", "season", "episode", "artist", "album", "track", "clip", "photo", "unknown"]
Status = Union[MatchStatus, ErrorKind, Literal["null_pointer", "buffer_too_small", "panic", "unknown"]]
"""In a batch, an answer's status can be the name of an error for its path."""
DifferenceKind = Literal["not_in_plex", "not_on_disk", "ambiguous", "left_out", "several_paths"]


class Summary(TypedDict):
    """A comparison's counts, as in ``Comparison.summary``."""

    what: Literal["summary"]
    folders: list[str]
    files: int
    files_in_plex: int
    files_not_in_plex: int
    files_ambiguous: int
    files_left_out: int
    listed: int
    listed_on_disk: int
    listed_not_on_disk: int
    listed_location_empty: int
    listed_unknown: int
    not_in_plex: int
    not_on_disk: int
    ambiguous: int
    left_out: int
    several_paths: int
    unasked: int
    unreadable: int
    stale: bool
    age: float | None
    seconds: float


class Stats(TypedDict):
    """An index's statistics at one moment. Counts start when the index is opened, unless a field says otherwise."""

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
