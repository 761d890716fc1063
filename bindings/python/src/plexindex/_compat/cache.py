"""What the drop-in's two caches have in common."""

from __future__ import annotations

import os

from .._core import TYPE_CHECKING
from .host_log import host_log
from .tables import TableStore

if TYPE_CHECKING:
    from typing import Any, Union

    PathLike = Union[str, "os.PathLike[str]"]


class Cache:
    """A cache in a folder below the host's ``data_dir``, with statistics of this object's life.

    Any number of objects, threads and processes can use the same folder. An object still works after :meth:`close`.
    """

    _name = ""
    """The cache's name in the host's log."""
    _hits: int
    _misses: int

    def __init__(self, data_dir: PathLike, folder: str, size_limit: int, ttl: str = "") -> None:
        self._data_dir = data_dir
        self._size_limit = size_limit
        self._store = TableStore(os.path.join(data_dir, folder), size_limit)
        self._log = host_log("Cache")
        kind = type(self).__name__
        self._log.debug(f"{kind} initialized at {self._store.folder} ({ttl}limit: {size_limit} bytes)")

    def clear(self) -> None:
        """Removes everything and resets the counters."""
        self._store.clear()
        self._hits = self._misses = 0
        self._log.info(f"{self._name} cleared")

    def close(self) -> None:
        """Closes the files. Later calls open them again."""
        self._store.close()
        self._log.debug(f"{self._name} closed")

    def get_stats(self) -> dict[str, Any]:
        """Returns ``hits``, ``misses`` and ``hit_rate`` (0.0 to 100.0) of this object, ``size`` in bytes, ``count``."""
        total = self._hits + self._misses
        return {
            "hits": self._hits,
            "misses": self._misses,
            "hit_rate": self._hits / total * 100.0 if total else 0.0,
            "size": self._store.disk_bytes(),
            "count": self._store.count(),
        }

    def _shown(self, facts: str) -> str:
        stats = self.get_stats()
        facts = facts.format(stats["count"])
        return f"{type(self).__name__}(data_dir='{self._data_dir}', {facts}, hit_rate={stats['hit_rate']:.1f}%)"
