"""Watching for the length of a block."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType

    from ._index import Index


class Watching:
    """Watches from the beginning of a ``with`` block to its end. Made by :meth:`Index.watch`."""

    def __init__(self, index: Index) -> None:
        self._index = index

    def __enter__(self) -> Index:
        self._index.watch_start()
        return self._index

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._index.is_open:
            self._index.watch_stop()
