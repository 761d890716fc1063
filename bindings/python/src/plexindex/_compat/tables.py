"""What the drop-in's two caches have in common: tables in a folder that plexindex opens when needed, and counts."""

from __future__ import annotations

import os

from .._core import TYPE_CHECKING
from .._core import abi as c
from .._core.lookups import closing_lock
from ..errors import ClosedError
from ..opening import open as open_index
from ..table import Table
from .host import host_log

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, TypeVar, Union

    from ..index import Index

    PathLike = Union[str, "os.PathLike[str]"]
    T = TypeVar("T")

# Maximum number of retries if other threads close the index during a call.
_MAX_RETRIES = 20
_MAX_LIMIT = 2**63 - 1
_LONGEST_NAME = 400_000


def name_of(text: object) -> bytes:
    """Returns a unique name for a string, or for another value as a string: its bytes or, if long, a digest."""
    raw = (text if isinstance(text, str) else str(text)).encode("utf-8", "surrogatepass")
    if len(raw) <= _LONGEST_NAME:
        return raw
    from hashlib import blake2b

    return b"\xff" + blake2b(raw).digest()  # a UTF-8 string never starts with this byte


def _whole(limit: object) -> int:
    """Converts a limit in bytes to the library's type."""
    try:
        return min(max(1, int(limit)), _MAX_LIMIT)  # type: ignore[call-overload, no-any-return]
    except (TypeError, ValueError, OverflowError):
        return _MAX_LIMIT


class TableStore:
    """The tables in a folder. A call after a close reopens the tables."""

    def __init__(self, folder: str, limit: object) -> None:
        """Opens the tables, and creates missing folders."""
        # Use an absolute path, because the current folder can change before the tables are reopened.
        self.folder = folder = os.path.abspath(folder)
        self._limit = _whole(limit)
        self._opening = closing_lock()
        self._open: Index | None = None
        self._tables: dict[bytes, Table] = {}
        os.makedirs(os.path.dirname(folder), exist_ok=True)
        self._index()  # raise errors immediately

    def _index(self) -> Index:
        found = self._open
        if found is not None and found.is_open:
            return found
        with self._opening:
            found = self._open
            if found is None or not found.is_open:
                found = self._open = open_index(self.folder, slow=None)
            return found

    def close(self) -> None:
        """Closes the index. The next call reopens it."""
        with self._opening:
            found, self._open, self._tables = self._open, None, {}
        if found is not None:
            found.close()

    def run(self, work: Callable[[Index], T]) -> T:
        """Calls a function with the index. Retries if another thread closes the index during the call."""
        for _ in range(_MAX_RETRIES):
            try:
                return work(self._index())
            except ClosedError:
                continue
        return work(self._index())

    def at(self, name: bytes, work: Callable[[Table], T]) -> T:
        """Calls a function with a table, like :meth:`run`."""
        return self.run(lambda index: work(self._table(index, name)))

    def _table(self, index: Index, name: bytes) -> Table:
        tables = self._tables
        found = tables.get(name)
        if found is None or found._session is not index._session:
            # In tables with this prefix, the library converts A to Z to lower case: see MatchCache.
            flags = c.TABLE_FOLD_ASCII if name[:1] == b"=" else 0
            found = tables[name] = Table(index._session, name, limit=self._limit, flags=flags)
        return found


class Cache:
    """A cache in a folder below the host's ``data_dir``, with statistics of this object's life.

    Any number of objects, threads and processes can use the same folder. An object still works after :meth:`close`.
    """

    _name = ""
    """The cache's name in the host's log."""

    def __init__(self, data_dir: PathLike, folder: str, size_limit: int, ttl: str = "") -> None:
        self._data_dir, self._size_limit = data_dir, size_limit
        self._hits = self._misses = 0  # hosts' tests set these
        self._store = TableStore(os.path.join(data_dir, folder), size_limit)
        self._log = host_log("Cache")
        kind = type(self).__name__
        self._log.debug(f"{kind} initialized at {self._store.folder} ({ttl}limit: {size_limit} bytes)")

    def clear(self) -> None:
        """Removes everything and resets the counters."""
        self._store.run(lambda index: index.call("tables.clear", {"all": True}))
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
            "size": self._store.run(lambda index: index.stats()["disk_bytes"]),
            "count": self._store.run(lambda index: index.call("tables.count"))["count"],
        }

    def _shown(self, facts: str) -> str:
        stats = self.get_stats()
        facts = facts.format(stats["count"])
        return f"{type(self).__name__}(data_dir='{self._data_dir}', {facts}, hit_rate={stats['hit_rate']:.1f}%)"
