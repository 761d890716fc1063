"""Tables for plexindex.compat, with bytes by name, in a folder that plexindex opens when needed."""

from __future__ import annotations

import os

from .._core import TYPE_CHECKING, convert
from .._core import constants as c
from .._core.locks import closing_lock
from ..errors import ClosedError
from ..index import open as open_index

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, TypeVar

    from .._core.handles import Handle
    from ..index import Index

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


def whole(limit: object) -> int:
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
        self._limit = whole(limit)
        self._opening = closing_lock()
        self._open: Index | None = None
        os.makedirs(os.path.dirname(folder), exist_ok=True)
        self.index()  # raise errors immediately

    def index(self) -> Index:
        """Returns the open index. Reopens a closed index."""
        found = self._open
        if found is not None and found.is_open:
            return found
        with self._opening:
            found = self._open
            if found is None or not found.is_open:
                found = self._open = open_index(self.folder)
            return found

    def close(self) -> None:
        """Closes the index. The next call reopens it."""
        with self._opening:
            found, self._open = self._open, None
        if found is not None:
            found.close()

    def run(self, work: Callable[..., T], *arguments: Any) -> T:
        """Calls a function with the index. Retries if another thread closes the index during the call."""
        for _ in range(_MAX_RETRIES):
            try:
                return work(self.index(), *arguments)
            except ClosedError:
                continue
        return work(self.index(), *arguments)

    def handle(self, table: bytes) -> Handle:
        """Returns a table's handle, which closing the index clears."""
        return self.run(_handle, table)

    def get(self, table: bytes, name: bytes) -> bytes | bytearray | None:
        """Returns an entry's value, or None if there is no entry or it has expired."""

        def get(index: Index) -> bytes | bytearray | None:
            session = index._session
            status, value = session.fill(session.native.table_get, name, len(name), target=_handle(index, table))
            return value if status == c.OK else None

        return self.run(get)

    def put(self, table: bytes, name: bytes, value: bytes, ttl: float | None = None) -> None:
        """Stores a value that expires after ``ttl`` seconds: immediately if 0 or less, never if None."""
        seconds = None if ttl is None else max(0, ttl)
        ttl_ms = convert.milliseconds("ttl", seconds, none=c.TTL_NEVER, zero=c.TTL_AT_ONCE)
        self._write("table_put", table, name, len(name), value, len(value), ttl_ms, self._limit)

    def remove(self, table: bytes, name: bytes) -> None:
        """Removes a value. A missing value is not an error."""
        self._write("table_remove", table, name, len(name))

    def _write(self, function: str, table: bytes, *arguments: Any) -> None:
        def write(index: Index) -> None:
            session = index._session
            session.ask(getattr(session.native, function), *arguments, target=_handle(index, table))

        self.run(write)

    def count(self, table: bytes | None = None) -> int:
        """Returns the number of values in a table or, without a table, in all tables."""
        found: int = self.run(lambda index: index.call("tables.count", {"table": table}))["count"]
        return found

    def clear(self, table: bytes | None = None) -> None:
        """Removes all values from one table (in constant time) or from all tables."""
        self.run(lambda index: index.call("tables.clear", {"table": table, "all": table is None}))

    def disk_bytes(self) -> int:
        """Returns the folder's size on disk in bytes."""
        found: int = self.run(lambda index: index.stats()["disk_bytes"])
        return found


# In tables with this prefix, the library converts A to Z to lower case: see MatchCache.
_FOLDING = b"="


def _handle(index: Index, table: bytes) -> Handle:
    return index._session.table(table, c.TABLE_FOLD_ASCII if table.startswith(_FOLDING) else 0)
