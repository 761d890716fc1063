"""The progress of a fetch."""

from __future__ import annotations


class Progress:
    """The progress of a fetch; the argument of a progress callback."""

    __slots__ = ("elapsed", "items", "library", "total")

    library: str
    """Title of the library."""
    items: int
    """Number of items fetched so far, including the items from an earlier, interrupted fetch."""
    total: int
    """Total number of items, or 0 if the server did not report it."""
    elapsed: float
    """Seconds since the call started the fetch."""

    def __init__(self, library: str, items: int, total: int, elapsed: float) -> None:
        self.library, self.items, self.total, self.elapsed = library, items, total, elapsed

    def __repr__(self) -> str:
        return f"Progress(library={self.library!r}, items={self.items}, total={self.total}, elapsed={self.elapsed})"
