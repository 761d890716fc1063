"""Types for annotations. Imported by type checkers only: it needs ``typing``, which is slow to import."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from typing import Literal, Union

from ._answers import Match, Matches
from ._callbacks import Progress
from ._library import Library
from ._mapping import Mapping

PathArg = Union[str, bytes, "os.PathLike[str]", "os.PathLike[bytes]"]
LibraryArg = Union[str, Library, None]
FieldArg = Union[str, int, float, Iterable[str], None]
MappingArg = Union[Mapping, tuple[Union[str, bytes], Union[str, bytes]]]
ProgressArg = Union[Callable[[Progress], object], None]

Kind = Literal["movie", "episode", "track", "clip", "photo", "unknown"]
Rung = Literal["none", "confirmed", "exact", "mapped", "suffix", "file_name"]
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
    "path_tells",
    "no_evidence",
    "contradicted",
]

__all__ = [
    "Confidence",
    "FieldArg",
    "Kind",
    "LibraryArg",
    "MappingArg",
    "Match",
    "Matches",
    "PathArg",
    "ProgressArg",
    "ReasonCode",
    "Rung",
]
