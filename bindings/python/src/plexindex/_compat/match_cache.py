"""The drop-in's cache of confirmed matches, on the fast path. Compares paths after Python's ``str.lower()``."""

import os

from .._core import accelerator as _accelerator
from .._core import constants as c
from .._core import lazy_index as _lazy_index
from .host_log import host_log
from .tables import TableStore, name_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, Union

    PathLike = Union[str, "os.PathLike[str]"]
    Get = Callable[[str, str], "str | None"]

# The store contains keys as UTF-8. The first prefix marks a key with lone surrogates or a NUL, the second an int.
_NOT_UTF8, _INT = b"\0s", b"\0i"


def _table_of(library: object) -> bytes:
    # Because of the "=", the library converts A to Z in paths to lower case.
    return b"=" + name_of(library)


def _name_of(file_path: str) -> bytes:
    return name_of(file_path.lower())


def _encode_key(key: "str | int") -> bytes:
    """Encodes a key for the store."""
    if isinstance(key, int):
        return _INT + str(int(key)).encode()
    if not isinstance(key, str):
        raise TypeError(f"plex_key must be str, not {type(key).__name__}")
    try:
        if "\0" not in key:
            return key.encode()
    except UnicodeEncodeError:
        pass
    return _NOT_UTF8 + key.encode("utf-8", "surrogatepass")


def _decode_key(value: "bytes | bytearray") -> "Any":
    """Decodes a stored key."""
    if value[:2] == _INT:
        return int(value[2:])
    return value[2:].decode("utf-8", "surrogatepass") if value[:2] == _NOT_UTF8 else value.decode()


class _Table:
    """The fast path's state.

    The object refers neither to the cache nor to a bound function, because the garbage collector does not see the
    accelerator's references.
    """

    __slots__ = ("counts", "handles", "memory", "store")

    def __init__(self, store: "TableStore") -> None:
        self.store = store
        self.memory = bytearray(16)
        self.counts = memoryview(self.memory).cast("Q")
        """Numbers of hits and misses. The accelerator updates the same memory."""
        # For each library, the memory that contains the table's handle (with ctypes, a c_void_p). Closing clears this
        # memory.
        self.handles: dict[str, Any] = {}

    def bind(self, fallback: "Get") -> "Get":
        """Returns a fast lookup, which calls ``fallback`` if there is no handle, and for unusual paths and values."""
        fast = _accelerator.load()
        if fast is None:
            return _bind_ctypes(self, fallback) if _accelerator.holds_the_lock() else fallback
        found = _lazy_index.load_fast(_accelerator.library_path())
        function = _address_by_ctypes() if found is None else found[1]["table_lookup"]
        return fast.get_match(function, self.handles, self.memory, fallback)  # type: ignore[no-any-return]

    def get_match(self, library_name: str, file_path: str) -> "str | None":
        """Looks up a path. If the table's handle is missing or was cleared by a close, first gets the handle."""
        if type(library_name) is not str or any(bytes(self.handles.get(library_name, b""))):
            return self._read(library_name, file_path)
        handle: Any = self.store.cell(_table_of(library_name))
        if _accelerator.load() is None:
            from ctypes import c_void_p

            handle = c_void_p.from_buffer(handle)
        self.handles[library_name] = handle
        return self.bind(self._read)(library_name, file_path)

    def _read(self, library_name: str, file_path: str) -> "str | None":
        value = self.store.get(_table_of(library_name), _name_of(file_path))
        self.counts[value is None] += 1
        return None if value is None else _decode_key(value)


def _address_by_ctypes() -> "int | None":
    from ctypes import c_void_p, cast

    from .._core import native as _native

    return cast(_native.load().fast_table_lookup, c_void_p).value


def _bind_ctypes(table: "_Table", fallback: "Get") -> "Get":
    # A closure over local names is 10 % faster than a method (CPython 3.11).
    from ctypes import byref, c_char_p

    from .._core import native as _native

    lookup: Any = _native.load().fast_table_lookup
    handles, counts = table.handles, table.counts

    def get_match(library_name: str, file_path: str) -> "str | None":
        try:
            if "\0" not in file_path:
                handle = handles[library_name]
                path = file_path.encode() if file_path.isascii() else file_path.lower().encode()
                found = c_char_p()
                status = lookup(handle, path, byref(found))
                if found.value is not None:
                    counts[0] += 1
                    return found.value.decode()
                if status == c.NOT_FOUND and type(file_path) is str:
                    counts[1] += 1
                    return None
        except (AttributeError, KeyError, TypeError, UnicodeEncodeError):
            pass
        return fallback(library_name, file_path)

    return get_match


class MatchCache:
    """The items for files, as recorded by the host in ``data_dir/match_cache``. Records never expire.

    The cache compares paths after ``str.lower()``, and library names exactly. Any number of objects, threads and
    processes can use the same folder. An object still works after :meth:`close`.
    """

    DEFAULT_SIZE_LIMIT = 52_428_800
    """Maximum size of all matches in bytes. The cache removes the oldest matches first."""

    def __init__(self, data_dir: "PathLike", size_limit: int = DEFAULT_SIZE_LIMIT) -> None:
        """Opens the cache in a folder below ``data_dir``, and creates missing folders."""
        self._data_dir = data_dir
        self._size_limit = size_limit
        self._store = TableStore(os.path.join(data_dir, "match_cache"), size_limit)
        self._table = _Table(self._store)
        self._get = self._table.bind(self._table.get_match)
        self._log = host_log("Cache")
        self._log.debug(f"MatchCache initialized at {self._store.folder} (limit: {size_limit} bytes)")
        if type(self).get_match is _GET_MATCH and not self._log.is_there:
            # This instance attribute hides the method of the same name, and saves a method call.
            self.__dict__["get_match"] = self._get

    def get_match(self, library_name: str, file_path: str) -> "str | None":
        """Returns the key that was recorded for a path, or None."""
        key = self._get(library_name, file_path)
        if key is None:
            self._log.debug(f"Match cache miss for '{file_path}'")
        else:
            self._log.debug(f"Match cache hit for '{file_path}' -> {key}")
        return key

    # Hosts' tests set these two attributes.

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
        """Records the key for a path. After the call, every process sees the key."""
        if plex_key is None:
            self.invalidate(library_name, file_path)
            return
        self._store.put(_table_of(library_name), _name_of(file_path), _encode_key(plex_key))
        self._log.debug(f"Cached match '{file_path}' -> {plex_key}")

    def invalidate(self, library_name: str, file_path: str) -> None:
        """Removes the key for a path. An unknown path is not an error."""
        table, path = _table_of(library_name), _name_of(file_path)
        known = self._log.is_there and self._store.get(table, path) is not None
        self._store.remove(table, path)
        if known:
            self._log.debug(f"Invalidated match for '{file_path}'")

    def invalidate_library(self, library_name: str) -> None:
        """Removes all keys for a library, in constant time."""
        table = _table_of(library_name)
        count = self._store.count(table) if self._log.is_there else 0
        self._store.clear(table)
        self._log.info(f"Invalidated {count} matches for library '{library_name}'")

    def clear(self) -> None:
        """Removes everything and resets the counters."""
        self._store.clear()
        self._hits = self._misses = 0
        self._log.info("Match cache cleared")

    def close(self) -> None:
        """Closes the files. Later calls open them again."""
        self._store.close()
        self._log.debug("Match cache closed")

    def get_stats(self) -> "dict[str, Any]":
        """Returns ``hits``, ``misses`` and ``hit_rate`` (0.0 to 100.0) of this object, ``size`` in bytes, ``count``."""
        hits, misses = self._table.counts
        return counted(hits, misses, self._store.disk_bytes(), self._store.count())

    def __repr__(self) -> str:
        stats = self.get_stats()
        return f"MatchCache(data_dir='{self._data_dir}', matches={stats['count']}, hit_rate={stats['hit_rate']:.1f}%)"


_GET_MATCH = MatchCache.get_match  # a host's test can replace this method


def counted(hits: int, misses: int, size: int, count: int) -> "dict[str, Any]":
    """Returns a cache's statistics as a dict."""
    total = hits + misses
    return {
        "hits": hits,
        "misses": misses,
        "hit_rate": hits / total * 100.0 if total else 0.0,
        "size": size,
        "count": count,
    }
