"""The drop-in's cache of what Plex listed and found: rows by library, and by library and title, with an expiry."""

from __future__ import annotations

import os

from ._host_store import HostStore, leaves_name, library_name
from ._match_cache import counted
from ._rows import extract, pack, unpack

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from ._answers import Match
    from ._mapping import MappingArg
    from ._match_cache import PathLike
    from ._rows import Row

_LISTING = b""


class PlexCache:
    """Items of libraries and results of title searches, as the host stored them. In ``data_dir/cache``.

    Any number of objects, threads and processes may use the same folder; an object goes on working after
    :meth:`close`. What :meth:`set_library_items` stores is found by path inside of the library, without a scan, by
    :func:`plexindex.compat.find_plex_items_with_confidence`; ``mappings`` (as for ``plexindex.open``) are consulted.
    """

    DEFAULT_LIBRARY_TTL = 3600
    """Seconds for which what is stored is given."""
    DEFAULT_SIZE_LIMIT = 104_857_600
    """Bytes that all of it may take; what was stored longest ago goes first. Storing also removes what has expired."""

    def __init__(
        self,
        data_dir: PathLike,
        library_ttl: float | None = DEFAULT_LIBRARY_TTL,
        size_limit: int = DEFAULT_SIZE_LIMIT,
        *,
        mappings: Iterable[MappingArg] = (),
    ) -> None:
        """Opens the cache below this folder, and makes what is missing."""
        self._data_dir = data_dir
        self._library_ttl = library_ttl
        self._size_limit = size_limit
        self._hits = 0
        self._misses = 0
        self._store = HostStore(os.path.join(data_dir, "cache"), size_limit, mappings)

    def set_library_items(self, library_name: str, items: Iterable[Any]) -> None:
        """Keeps key, title and paths of each item, for the TTL of now. An empty list is kept too."""
        self._put(_name(library_name), _LISTING, items)

    def get_library_items(self, library_name: str) -> list[Row] | None:
        """The rows of a library, in order; None when none were stored, or they have expired."""
        return self._get(_name(library_name), _LISTING)

    def set_search_results(self, library_name: str, title: str, results: Iterable[Any]) -> None:
        """Keeps what a search for a title found, as :meth:`set_library_items`."""
        self._put(_name(library_name), _search_name(title), results)

    def get_search_results(self, library_name: str, title: str) -> list[Row] | None:
        """What was kept for this title, by its very spelling; None as :meth:`get_library_items`."""
        return self._get(_name(library_name), _search_name(title))

    def clear(self) -> None:
        """Removes everything, and zeroes the counters."""
        self._store.run(lambda index: index.clear())
        self._hits = self._misses = 0

    def close(self) -> None:
        """Lets go of the files. Later calls open them again."""
        self._store.close()

    def get_stats(self) -> dict[str, Any]:
        """``hits``, ``misses`` and ``hit_rate`` (0.0 to 100.0) of this object; ``size`` in bytes and ``count``."""
        size = self._store.run(lambda index: index.stats()).disk_bytes
        return counted(self._hits, self._misses, size, self._store.count())

    def __repr__(self) -> str:
        stats = self.get_stats()
        return (
            f"PlexCache(data_dir='{self._data_dir}', ttl={self._library_ttl}, items={stats['count']}, "
            f"hit_rate={stats['hit_rate']:.1f}%)"
        )

    def _put(self, library: str, name: bytes, items: Iterable[Any]) -> None:
        rows = [row for row in map(extract, items) if row is not None]
        self._store.put(library, name, pack(rows), self._library_ttl)

    def _get(self, library: str, name: bytes) -> list[Row] | None:
        text = self._store.get(library, name)
        if text is None:
            self._misses += 1
            return None
        self._hits += 1
        return unpack(text)

    # For the function that finds items: matching inside of the library.

    def _put_leaves(self, library_name: str, items: Iterable[Any]) -> None:
        """Keeps the episodes or tracks of a library beside what the host stored of it."""
        self._put(leaves_name(library_name), _LISTING, items)

    def _was_missed(self, library_name: str, path: str) -> bool:
        """Whether a path was looked for in vain a moment ago, by this process or another."""
        return self._store.has(_name(library_name), _missed_name(path))

    def _note_miss(self, library_name: str, path: str, seconds: float) -> None:
        """Notes that a path was looked for in vain."""
        self._store.put(_name(library_name), _missed_name(path), b"", seconds)

    def _match(self, library: str, paths: list[bytes]) -> list[Match] | None:
        """The answers for these paths from a listing that has not expired; None when there is none."""
        if not self._store.has(library, _LISTING):
            return None
        answers = [self._store.match(library, path) for path in paths]
        return [answer for answer in answers if answer is not None]


_name = library_name


def _search_name(title: object) -> bytes:
    return b"s" + (title if isinstance(title, str) else str(title)).encode("utf-8", "surrogatepass")


def _missed_name(path: str) -> bytes:
    return b"m" + path.encode("utf-8", "surrogatepass")
