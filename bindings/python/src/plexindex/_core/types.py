"""Types for annotations. Only type checkers import this module, because ``typing`` is slow to import.

Types that name a class of the package are defined next to that class: ``LibraryArg``, ``ProgressArg``, ``MappingArg``.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from typing import Literal, Optional, Protocol, TypedDict, Union

PathArg = Union[str, bytes, "os.PathLike[str]", "os.PathLike[bytes]"]


class HasRatingKey(Protocol):
    """A plexindex or plexapi item."""

    @property
    def ratingKey(self) -> Union[int, str, None]:  # noqa: N802
        """The item's rating key."""


Renew = Callable[[], Optional[str]]
TokenArg = Union[str, Renew, None]

KeyArg = Union[str, int, HasRatingKey]
FieldArg = Union[str, int, float, Iterable[str], None]

Kind = Literal["movie", "show", "season", "episode", "artist", "album", "track", "clip", "photo", "unknown"]
MatchKind = Literal["none", "confirmed", "exact", "mapped", "suffix", "file_name"]
Status = Literal[
    "ok",
    "not_found",
    "ambiguous",
    "not_yet",
    "needs_warm",
    # In a batch, the name of an error for one path:
    "invalid_argument",
    "null_pointer",
    "unsupported",
    "buffer_too_small",
    "aborted",
    "panic",
    "store",
    "store_full",
    "connect",
    "tls",
    "unauthorized",
    "forbidden",
    "not_on_server",
    "not_plex",
    "starting",
    "bad_answer",
    "server_error",
    "timeout",
    "redirected",
    "offline",
    "library_not_found",
    "library_ambiguous",
    "list_again",
    "not_fetched",
    "unknown",
]
ChangeKind = Literal["added", "removed", "changed", "moved", "list_again"]
DifferenceKind = Literal["not_in_plex", "not_on_disk", "ambiguous", "left_out", "several_paths"]
Confidence = Literal["none", "low", "high"]
ReasonCode = Literal[
    "none",
    "no_location",
    "not_listed",
    "not_fetched",
    "several_items",
    "several_libraries",
    "unconfirmed",
    "only_root_differs",
    "several_episodes",
    "empty",
    "above_locations",
    "unavailable",
    "not_asked",
    "same_name",
]


class Summary(TypedDict):
    """A comparison's counts, as in ``Comparison.summary``. docs/hosts.md describes each count."""

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
