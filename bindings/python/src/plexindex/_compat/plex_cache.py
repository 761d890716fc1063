"""The drop-in's cache of listings and searches: expiring rows by library, and by library and title."""

from __future__ import annotations

import os

from .._core import TYPE_CHECKING
from .host import host_log
from .tables import Cache, name_of

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from ..mapping import MappingArg
    from .tables import PathLike

    Row = dict[str, Any]

_ROWS = b"rows"
_LISTED, _SEARCHED = b"l", b"s"


class PlexCache(Cache):
    """Library items and title search results, as stored by the host in ``data_dir/cache``.

    ``mappings`` are those of the index that answers :func:`plexindex.compat.find_plex_items_with_confidence`, as in
    ``plexindex.open``.
    """

    _name = "Cache"
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
        self._library_ttl = library_ttl
        self._mappings = tuple(mappings)
        super().__init__(data_dir, "cache", size_limit, f"TTL: {library_ttl}s, ")

    def set_library_items(self, library_name: str, items: Iterable[Any]) -> None:
        """Stores each item's key, title and paths. The list, even an empty list, expires after the current TTL."""
        count = self._put(_entry(_LISTED, library_name), items)
        self._log.debug(f"Cached {count} items for library '{library_name}' (TTL: {self._library_ttl}s)")

    def get_library_items(self, library_name: str) -> list[Row] | None:
        """Returns a library's rows in order, or None if there are no rows or the rows have expired."""
        return self._get(_entry(_LISTED, library_name), f"library '{library_name}'", "items")

    def set_search_results(self, library_name: str, title: str, results: Iterable[Any]) -> None:
        """Stores the results of a title search, like :meth:`set_library_items`."""
        count = self._put(_entry(_SEARCHED, library_name, title), results)
        self._log.debug(f"Cached {count} search results for '{library_name}:{title}'")

    def get_search_results(self, library_name: str, title: str) -> list[Row] | None:
        """Returns the results that were stored for exactly this title, or None, like :meth:`get_library_items`."""
        return self._get(_entry(_SEARCHED, library_name, title), f"search '{library_name}:{title}'", "results")

    def __repr__(self) -> str:
        return self._shown(f"ttl={self._library_ttl}, items={{}}")

    def _put(self, entry: bytes, items: Iterable[Any]) -> int:
        import json  # importing it takes longer than a lookup

        rows = [list(row.values()) for row in map(extract, items) if row is not None]
        ttl = None if self._library_ttl is None else max(0, self._library_ttl)
        self._store.at(_ROWS, lambda table: table.set(entry, json.dumps(rows).encode(), expire=ttl))
        return len(rows)

    def _get(self, entry: bytes, what: str, rows_are: str) -> list[Row] | None:
        import json

        text = self._store.at(_ROWS, lambda table: table.get(entry))
        if text is None:
            self._misses += 1
            self._log.debug(f"Cache miss for {what}")
            return None
        self._hits += 1
        rows = [{"key": key, "title": title, "file_paths": files} for key, title, files in json.loads(text)]
        self._log.debug(f"Cache hit for {what} ({len(rows)} {rows_are})")
        return rows


def _entry(kind: bytes, library_name: object, rest: object = "") -> bytes:
    library = name_of(library_name)
    return b"%s%d:%s%s" % (kind, len(library), library, name_of(rest))


def extract(item: Any) -> Row | None:
    """Returns an item's row: ``key``, ``title`` and ``file_paths``. None without a key, or if reading fails."""
    # Otherwise plexapi would send a request for each empty attribute.
    known = getattr(item, "__dict__", None)
    reloads = known is not None and known.get("_autoReload") is True
    try:
        if reloads:
            item._autoReload = False
        key = getattr(item, "key", None) or getattr(item, "ratingKey", None)
        if not key:
            host_log("Cache").debug("Item missing key, skipping")
            return None
        title = getattr(item, "title", None)
        media = getattr(item, "media", None) or ()
        files = [getattr(part, "file", None) for one in media for part in getattr(one, "parts", None) or ()]
        paths = [os.fsdecode(file) if isinstance(file, (bytes, os.PathLike)) else str(file) for file in files if file]
        return {"key": str(key), "title": None if title is None else str(title), "file_paths": paths}
    except Exception as error:
        host_log("Cache").warn(f"Failed to extract item data: {error}")
        return None
    finally:
        if reloads:
            item._autoReload = True
