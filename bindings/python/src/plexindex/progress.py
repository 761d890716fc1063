"""The progress of a fetch."""

from __future__ import annotations

from ._core import Record


class Progress(Record):
    """The progress of a fetch; the argument of a progress callback."""

    library: str
    """Title of the library."""
    items: int
    """Number of items fetched so far, including the items from an earlier, interrupted fetch."""
    total: int
    """Total number of items, or 0 if the server did not report it."""
    elapsed: float
    """Seconds since the call started the fetch."""
