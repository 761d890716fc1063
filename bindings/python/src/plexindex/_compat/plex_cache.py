"""The drop-in's cache of listings and searches: expiring rows by library, and by library and title."""

from __future__ import annotations

import os

from .._core.paths import best, same_file
from .host_log import host_log
from .match_cache import counted
from .rows import extract, file_name, find_in, pack, pack_files, unpack
from .tables import CLEAR, PUT, TableStore, name_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from ..mapping import MappingArg
    from .match_cache import PathLike
    from .rows import Row
    from .tables import Op

# This table contains the entries that a cache counts: rows by library, rows by library and title, and missed paths.
# Every other table indexes a listing by file name: the listing of a library, or of its episodes or tracks. Each value
# contains the keys and paths for a share of the file names. The value with the empty name is the number of these
# values.
_ROWS = b"rows"
_LISTED, _LEAVES = b"l", b"e"
_SHAPE = b""


class PlexCache:
    """Library items and title search results, as stored by the host in ``data_dir/cache``.

    Any number of objects, threads and processes can use the same folder. An object still works after
    :meth:`close`. :func:`plexindex.compat.find_plex_items_with_confidence` finds stored items by path without a scan.
    ``mappings`` are the same as in ``plexindex.open``, but a mapping that renames files needs an index.
    """

    DEFAULT_LIBRARY_TTL = 3600
    """Seconds until a stored value expires."""
    DEFAULT_SIZE_LIMIT = 104_857_600
    """Maximum size in bytes. The cache removes the oldest values first. Storing a value also removes expired values."""

    def __init__(
        self,
        data_dir: PathLike,
        library_ttl: float | None = DEFAULT_LIBRARY_TTL,
        size_limit: int = DEFAULT_SIZE_LIMIT,
        *,
        mappings: Iterable[MappingArg] = (),
    ) -> None:
        """Opens the cache in a folder below ``data_dir``, and creates missing folders."""
        self._data_dir = data_dir
        self._library_ttl = library_ttl
        self._size_limit = size_limit
        self._hits = 0
        self._misses = 0
        self._store = TableStore(os.path.join(data_dir, "cache"), size_limit, mappings)
        self._log = host_log("Cache")
        self._log.debug(
            f"PlexCache initialized at {self._store.folder} (TTL: {library_ttl}s, limit: {size_limit} bytes)"
        )

    def set_library_items(self, library_name: str, items: Iterable[Any]) -> None:
        """Stores each item's key, title and paths. The list, even an empty list, expires after the current TTL."""
        count = self._put_listing(_LISTED, library_name, items)
        self._log.debug(f"Cached {count} items for library '{library_name}' (TTL: {self._library_ttl}s)")

    def get_library_items(self, library_name: str) -> list[Row] | None:
        """Returns a library's rows in order, or None if there are no rows or the rows have expired."""
        rows = self._get(_entry(_LISTED, library_name))
        if rows is None:
            self._log.debug(f"Cache miss for library '{library_name}'")
        else:
            self._log.debug(f"Cache hit for library '{library_name}' ({len(rows)} items)")
        return rows

    def set_search_results(self, library_name: str, title: str, results: Iterable[Any]) -> None:
        """Stores the results of a title search, like :meth:`set_library_items`."""
        rows = [row for row in map(extract, results) if row is not None]
        self._store.put(_ROWS, _entry(b"s", library_name, title), pack(rows), self._library_ttl)
        self._log.debug(f"Cached {len(rows)} search results for '{library_name}:{title}'")

    def get_search_results(self, library_name: str, title: str) -> list[Row] | None:
        """Returns the results that were stored for exactly this title, or None, like :meth:`get_library_items`."""
        rows = self._get(_entry(b"s", library_name, title))
        if rows is None:
            self._log.debug(f"Cache miss for search '{library_name}:{title}'")
        else:
            self._log.debug(f"Cache hit for search '{library_name}:{title}' ({len(rows)} results)")
        return rows

    def clear(self) -> None:
        """Removes everything and resets the counters."""
        self._store.clear()
        self._hits = self._misses = 0
        self._log.info("Cache cleared")

    def close(self) -> None:
        """Closes the files. Later calls open them again."""
        self._store.close()
        self._log.debug("Cache closed")

    def get_stats(self) -> dict[str, Any]:
        """Returns ``hits``, ``misses`` and ``hit_rate`` (0.0 to 100.0) of this object, ``size`` in bytes, and
        ``count``.
        """
        return counted(self._hits, self._misses, self._store.disk_bytes(), self._store.count(_ROWS))

    def __repr__(self) -> str:
        stats = self.get_stats()
        return (
            f"PlexCache(data_dir='{self._data_dir}', ttl={self._library_ttl}, items={stats['count']}, "
            f"hit_rate={stats['hit_rate']:.1f}%)"
        )

    def _get(self, entry: bytes) -> list[Row] | None:
        text = self._store.get(_ROWS, entry)
        if text is None:
            self._misses += 1
            return None
        self._hits += 1
        return unpack(text)

    def _put_listing(self, kind: bytes, library_name: str, items: Iterable[Any]) -> int:
        rows = [row for row in map(extract, items) if row is not None]
        table, files = kind + name_of(library_name), pack_files(rows)
        ops: list[Op] = [(PUT, _ROWS, _entry(kind, library_name), pack(rows)), (CLEAR, table, b"", b"")]
        ops.append((PUT, table, _SHAPE, str(len(files)).encode()))
        ops += [(PUT, table, _bucket(number), text) for number, text in enumerate(files) if text]
        # Write in one transaction, because the index and the rows must agree.
        self._store.write(ops, self._library_ttl)
        return len(rows)

    # The following methods are for the function that finds items. The library does the matching.

    def _put_leaves(self, library_name: str, items: Iterable[Any]) -> None:
        """Stores a library's episodes or tracks in addition to the host's rows."""
        self._put_listing(_LEAVES, library_name, items)

    def _has_leaves(self, library_name: str) -> bool:
        return self._store.has(_LEAVES + name_of(library_name), _SHAPE)

    def _was_missed(self, library_name: str, path: str) -> bool:
        """Returns whether a search for a path failed recently, in any process."""
        return self._store.has(_ROWS, _entry(b"m", library_name, path))

    def _note_miss(self, library_name: str, path: str, seconds: float) -> None:
        """Records that a search for a path found nothing."""
        self._store.put(_ROWS, _entry(b"m", library_name, path), b"", seconds)

    def _match(
        self, library_name: str, path: str, other: str | None = None, *, leaves: bool = False
    ) -> tuple[list[str], list[str]] | None:
        """Returns the keys of the items that match a path best, or None without a current listing.

        ``other`` is the path with the call's prefix replaced. Unless the path itself is listed or mapped, also returns
        the keys of all other items that have a file with the same name.
        """
        kind = _LEAVES if leaves else _LISTED
        table = kind + name_of(library_name)
        shape = self._store.get(table, _SHAPE)
        if shape is None:
            return None
        spellings = [path, *self._server_paths(path), *([other] if other else [])]
        found: dict[str, list[str]] = {}
        names = set(map(file_name, spellings))
        for number in {find_in(int(shape), name) for name in names}:
            fields = bytes(self._store.get(table, _bucket(number)) or b"").decode().split("\0")
            for key, file in zip(fields[::2], fields[1::2]):
                if file_name(file) in names:
                    found.setdefault(key, []).append(file)
        rows = list(found.items())
        for spelling in spellings:
            listed = [(key, files) for key, files in rows if same_file(spelling, files)]
            if listed:
                return best(listed, path, other), []
        if self._store.mappings:
            keys = [key for key, files in rows if same_file(path, self._store.host_paths(files))]
            if keys:
                return keys, []
        keys = best(rows, path, other)
        return keys, [key for key in found if key not in keys]

    def _server_paths(self, path: str) -> list[str]:
        """Returns the result of each host-to-server mapping that applies to a path."""
        if not self._store.mappings:
            return []
        from .._core.rules import Rules
        from ..mapping import as_mapping

        return Rules(map(as_mapping, self._store.mappings)).to_server(path)


def _entry(kind: bytes, library_name: object, rest: object = "") -> bytes:
    library = name_of(library_name)
    return b"%s%d:%s%s" % (kind, len(library), library, name_of(rest))


def _bucket(number: int) -> bytes:
    return b"%d" % number
