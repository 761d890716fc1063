"""The drop-in's cache of confirmed matches: an exact table over Python's own ``str.lower()``, on the fast path."""

from __future__ import annotations

import os

from . import _native
from ._host_store import HostStore, library_name, library_of
from ._library import _holds_the_lock

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from ctypes import c_void_p
    from typing import Any, Union

    PathLike = Union[str, "os.PathLike[str]"]

PREFIX = "/library/metadata/"
# A key of another form than PREFIX and a rating key is stored as a rating key that begins with one of these: the text
# itself, an int, the hexadecimal digits of its UTF-8. All come before the digits: one comparison tells them apart.
_TEXT, _INT, _HEX = "!", "#", "%"
_MARK_AT = len(PREFIX)

# What the path ends with in the store. Neither byte is in any UTF-8, so the path equals itself only: no normal form.
# And a question that holds a NUL, at which C takes it to end, has lost this byte and finds nothing.
_PLAIN, _DIGEST = b"\xff", b"\xfe"
_LONGEST = 32_000


def stored_path(file_path: str) -> bytes:
    """A path as the store has it: lower case, exactly. What the library takes for no path is there by its digest."""
    lower = file_path.lower()
    if "\0" not in lower:
        try:
            raw = lower.encode()
            if len(raw) <= _LONGEST:
                return raw + _PLAIN
        except UnicodeEncodeError:
            pass
    from hashlib import blake2b

    return blake2b(lower.encode("utf-8", "surrogatepass")).hexdigest().encode() + _DIGEST


def stored_key(key: str | int) -> str:
    """A key as the rating key that is recorded."""
    if isinstance(key, int):
        return f"{_INT}{int(key)}"
    if not isinstance(key, str):
        raise TypeError(f"plex_key must be str, not {type(key).__name__}")
    rating_key = key[_MARK_AT:]
    if key.startswith(PREFIX) and rating_key.isascii() and rating_key.isalnum():
        return rating_key
    if key.isascii() and key.isalnum():
        return _TEXT + key
    return _HEX + key.encode("utf-8", "surrogatepass").hex()


def given_key(key: str) -> Any:
    """The key that was recorded, from PREFIX and what ``stored_key`` made of it."""
    mark, rest = key[_MARK_AT], key[_MARK_AT + 1 :]
    if mark == _TEXT:
        return rest
    if mark == _INT:
        return int(rest)
    if mark == _HEX:
        return bytes.fromhex(rest).decode("utf-8", "surrogatepass")
    return key


class _Table:
    """What the fast path needs: no reference leads back to the cache, so that the cache goes when nobody has it."""

    __slots__ = ("counts", "handles", "quick", "store")

    def __init__(self, store: HostStore) -> None:
        self.store = store
        self.counts = [0, 0]
        """Hits and misses."""
        # Of the libraries asked: what a close empties before it frees what they lead to.
        self.handles: dict[str, c_void_p] = {}
        self.quick = _holds_the_lock()

    def search(self, name: str, file_path: str) -> str | None:
        """The key with certainty: a fast lookup that finds nothing is no verdict."""
        path, library = stored_path(file_path), library_name(name)
        found = self.store.match(library, path)
        if self.quick and type(name) is str and not self.handles.get(name):
            # Not yet, or the index was closed.
            self.handles[name] = self.store.run(library_of, library)._selected.handle
        rating_key = None if found is None else found.rating_key
        if rating_key is None:
            self.counts[1] += 1
            return None
        self.counts[0] += 1
        return given_key(PREFIX + rating_key)  # type: ignore[no-any-return]


def _bind(table: _Table) -> Callable[[str, str], str | None]:
    # A closure over local names: a tenth faster than a method, with CPython 3.11. What is ASCII is lower-cased by the
    # library (see plexindex_lookup_key), which is another tenth.
    fast_lookup: Any = _native.load().fast_lookup
    handles, counts, search = table.handles, table.counts, table.search

    def get_match(library_name: str, file_path: str) -> str | None:
        """The key recorded for a path, or None."""
        try:
            found = fast_lookup(
                handles[library_name],
                file_path.encode() + b"\xfb" if file_path.isascii() else file_path.lower().encode() + b"\xff",
            )
            if found is not None:
                counts[0] += 1
                key: str = found.decode()
                return key if found[18] > 47 else given_key(key)
        except (AttributeError, KeyError, TypeError, UnicodeEncodeError):
            pass
        return search(library_name, file_path)

    return get_match


class MatchCache:
    """Which item a file was found to be, as recorded by the host; without expiry. In ``data_dir/match_cache``.

    Paths are compared after ``str.lower()``, library names exactly. Any number of objects, threads and processes may
    use the same folder; an object goes on working after :meth:`close`.
    """

    DEFAULT_SIZE_LIMIT = 52_428_800
    """Bytes that the matches may take; those recorded longest ago go first."""

    def __init__(self, data_dir: PathLike, size_limit: int = DEFAULT_SIZE_LIMIT) -> None:
        """Opens the cache below this folder, and makes what is missing."""
        self._data_dir = data_dir
        self._size_limit = size_limit
        self._store = HostStore(os.path.join(data_dir, "match_cache"), size_limit)
        self._table = _Table(self._store)
        self._get = _bind(self._table)
        if type(self).get_match is _METHOD:
            # As an attribute of the instance it costs no method call, and hides the method below.
            self.__dict__["get_match"] = self._get

    def get_match(self, library_name: str, file_path: str) -> str | None:
        """The key recorded for a path, or None."""
        return self._get(library_name, file_path)

    # Hosts' tests set these two.

    @property
    def _hits(self) -> int:
        return self._table.counts[0]

    @_hits.setter
    def _hits(self, number: int) -> None:
        self._table.counts[0] = number

    @property
    def _misses(self) -> int:
        return self._table.counts[1]

    @_misses.setter
    def _misses(self, number: int) -> None:
        self._table.counts[1] = number

    def set_match(self, library_name: str, file_path: str, plex_key: str) -> None:
        """Records the key of a path: stored, for every process, when this returns."""
        if plex_key is None:
            self.invalidate(library_name, file_path)
            return
        self._store.record(_name(library_name), stored_path(file_path), stored_key(plex_key))

    def invalidate(self, library_name: str, file_path: str) -> None:
        """Forgets a path. One that is not there is fine."""
        library, path = _name(library_name), stored_path(file_path)
        self._store.run(lambda index: index.invalidate_path(library_of(index, library), path))

    def invalidate_library(self, library_name: str) -> None:
        """Forgets all of a library, in the same time whatever their number."""
        library = _name(library_name)
        self._store.run(lambda index: index.invalidate_library(library_of(index, library)))

    def clear(self) -> None:
        """Forgets everything, and zeroes the counters."""
        self._store.run(lambda index: index.clear())
        self._table.counts[:] = 0, 0

    def close(self) -> None:
        """Lets go of the files. Later calls open them again."""
        self._store.close()

    def get_stats(self) -> dict[str, Any]:
        """``hits``, ``misses`` and ``hit_rate`` (0.0 to 100.0) of this object; ``size`` in bytes and ``count``."""
        stats = self._store.run(lambda index: index.stats())
        hits, misses = self._table.counts
        return counted(hits, misses, stats.disk_bytes, stats.matches)

    def __repr__(self) -> str:
        stats = self.get_stats()
        return f"MatchCache(data_dir='{self._data_dir}', matches={stats['count']}, hit_rate={stats['hit_rate']:.1f}%)"


_METHOD = MatchCache.get_match  # a test may put another in its place
_name = library_name


def counted(hits: int, misses: int, size: int, count: int) -> dict[str, Any]:
    """Statistics as the drop-in's classes give them."""
    total = hits + misses
    return {
        "hits": hits,
        "misses": misses,
        "hit_rate": hits / total * 100.0 if total else 0.0,
        "size": size,
        "count": count,
    }
