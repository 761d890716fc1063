"""The types of arguments and results, for annotations.

Importing this module takes longer than opening an index, so the package does so only for type checkers, and for
``typing.get_type_hints``, which cannot read the methods' annotations before Python 3.10 (``X | None``).

Times are in seconds, except that ``ServerInfo``, ``SharedStatus`` and ``Facts`` are the library's JSON: names in
``_ms`` and ``_us`` are milliseconds and microseconds.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Coroutine, Iterable
from typing import Any, Literal, Optional, Protocol, TypedDict, TypeVar, Union

from ._core.methods import *
from .item import Season, Show
from .mapping import Mapping
from .progress import Progress

__all__ = [
    "ChangeKind", "Confidence", "CountProgressArg", "Default", "DifferenceKind", "Facts", "FieldArg", "FolderKind",
    "HasRatingKey", "KeyArg", "Kind", "MappingArg", "MatchKind", "NameArg", "NoSizeArg", "PathArg", "ProgressArg",
    "Reason", "ServerInfo", "SharedStatus", "SizeArg", "Stats", "Status", "StoreInfo", "Summary", "TokenArg", "Untyped",
]  # fmt: skip

PathArg = Union[str, bytes, os.PathLike[str], os.PathLike[bytes]]
"""A path: :mod:`plexindex` says how plexindex encodes it."""
ProgressArg = Optional[Callable[[Progress], object]]
"""A callback for the progress of a fetch. False ends the call."""
CountProgressArg = Optional[Callable[[int], object]]
"""A callback for the number of files so far."""
MappingArg = Union[Mapping, tuple[PathArg, PathArg]]
"""A rule, or a pair of folders (host, server)."""
Untyped = Any
"""A value whose type depends on another package, such as plexapi, or on a method's name."""
Facts = dict[str, Any]
"""An item's stored fields: the answer of the method ``items.get``. ``duration_ms`` is in milliseconds."""
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
"""A field's new value: :meth:`plexindex.Library.edit_items`."""

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
    age: Union[float, None]
    seconds: float
