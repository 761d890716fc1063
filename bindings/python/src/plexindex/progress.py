"""The progress of a fetch."""

from __future__ import annotations

from dataclasses import dataclass

from ._core import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Optional


@dataclass(eq=False)
class Progress:
    """The progress of a fetch; the argument of a progress callback."""

    library: str
    """Title of the library."""
    items: int
    """Number of items fetched so far, including the items from an earlier, interrupted fetch."""
    total: int
    """Total number of items, or 0 if the server did not report it."""
    elapsed: float
    """Seconds since the call started the fetch."""


if TYPE_CHECKING:
    ProgressArg = Optional[Callable[[Progress], object]]
