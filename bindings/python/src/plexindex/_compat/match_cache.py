"""The drop-in's cache of confirmed matches, on the fast path. Compares paths after Python's ``str.lower()``."""

from __future__ import annotations

from .._core import TYPE_CHECKING
from .cache import Cache
from .match_lookup import encode_key, lookup_class, name_of_path, table_of

if TYPE_CHECKING:
    from .cache import PathLike


class MatchCache(Cache):
    """The items for files, as recorded by the host in ``data_dir/match_cache``. Records never expire.

    The cache compares paths after ``str.lower()``, and library names exactly.
    """

    _name = "Match cache"

    DEFAULT_SIZE_LIMIT = 52_428_800
    """Maximum size of all matches in bytes. The cache removes the oldest matches first."""

    def __init__(self, data_dir: PathLike, size_limit: int = DEFAULT_SIZE_LIMIT) -> None:
        """Opens the cache in a folder below ``data_dir``, and creates missing folders."""
        super().__init__(data_dir, "match_cache", size_limit)
        self._lookup = lookup_class()(self._store)

    def get_match(self, library_name: str, file_path: str) -> str | None:
        """Returns the key that was recorded for a path, or None."""
        key: str | None = self._lookup.get_match(library_name, file_path)
        if self._log.is_there:
            found = f"miss for '{file_path}'" if key is None else f"hit for '{file_path}' -> {key}"
            self._log.debug(f"Match cache {found}")
        return key

    # Hosts' tests set these two attributes.

    @property
    def _hits(self) -> int:
        return int(self._lookup.counts[0])

    @_hits.setter
    def _hits(self, number: int) -> None:
        self._lookup.counts[0] = number

    @property
    def _misses(self) -> int:
        return int(self._lookup.counts[1])

    @_misses.setter
    def _misses(self, number: int) -> None:
        self._lookup.counts[1] = number

    def set_match(self, library_name: str, file_path: str, plex_key: str) -> None:
        """Records the key for a path. After the call, every process sees the key."""
        if plex_key is None:
            self.invalidate(library_name, file_path)
            return
        self._store.put(table_of(library_name), name_of_path(file_path), encode_key(plex_key))
        self._log.debug(f"Cached match '{file_path}' -> {plex_key}")

    def invalidate(self, library_name: str, file_path: str) -> None:
        """Removes the key for a path. An unknown path is not an error."""
        table, path = table_of(library_name), name_of_path(file_path)
        known = self._log.is_there and self._store.get(table, path) is not None
        self._store.remove(table, path)
        if known:
            self._log.debug(f"Invalidated match for '{file_path}'")

    def invalidate_library(self, library_name: str) -> None:
        """Removes all keys for a library, in constant time."""
        table = table_of(library_name)
        count = self._store.count(table) if self._log.is_there else 0
        self._store.clear(table)
        self._log.info(f"Invalidated {count} matches for library '{library_name}'")

    def __repr__(self) -> str:
        return self._shown("matches={}")
