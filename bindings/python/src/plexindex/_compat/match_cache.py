"""The drop-in's cache of confirmed matches, with fast lookups through ctypes or the accelerator."""

from __future__ import annotations

from ctypes import byref, c_char_p

from .._core import TYPE_CHECKING, native
from .._core import abi as c
from .._core.accelerator import fast
from .._core.handles import holds_the_lock
from .tables import Cache, TableStore, name_of

if TYPE_CHECKING:
    from typing import Any

    from .tables import PathLike

# The store contains keys as UTF-8. The first prefix marks a key with lone surrogates or a NUL, the second an int.
_NOT_UTF8, _INT = b"\0s", b"\0i"


def table_of(library: object) -> bytes:
    """Returns the name of a library's table."""
    # Because of the "=", the library converts A to Z in paths to lower case.
    return b"=" + name_of(library)


def name_of_path(file_path: str) -> bytes:
    """Returns the name of a path's entry."""
    return name_of(file_path.lower())


def encode_key(key: str | int) -> bytes:
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


def _decode_key(value: bytes | bytearray) -> Any:
    if value[:2] == _INT:
        return int(value[2:])
    return value[2:].decode("utf-8", "surrogatepass") if value[:2] == _NOT_UTF8 else value.decode()


class MatchLookup:
    """Lookups in the tables of one store: the complete implementation."""

    def __init__(self, store: TableStore) -> None:
        self._prepare(store, {}, bytearray(16))
        # Without argument types, which would cost more than the lookup. So pass only bytes and ctypes objects.
        self._table_lookup: Any = native.load().fast_table_lookup if holds_the_lock() else None

    def _prepare(self, store: TableStore, handles: dict[str, Any], memory: bytearray) -> None:
        self._store = store
        self._handles = handles
        """For each library, its table's handle, which closing the index clears."""
        self.counts = memoryview(memory).cast("Q")
        """Numbers of hits and misses. The accelerator updates the same memory."""

    def get_match(self, library_name: str, file_path: str) -> str | None:
        """Returns the key that was recorded for a path, or None."""
        try:
            if "\0" not in file_path:
                path = file_path.encode() if file_path.isascii() else file_path.lower().encode()
                found = c_char_p()
                status = self._table_lookup(self._handles[library_name], path, byref(found))
                key = found.value
                if key is not None:
                    self.counts[0] += 1
                    return key.decode()
                if status == c.NOT_FOUND and type(file_path) is str:
                    self.counts[1] += 1
                    return None
        except (AttributeError, KeyError, TypeError, UnicodeEncodeError):
            pass
        return self._get_match(library_name, file_path)

    def _get_match(self, library_name: str, file_path: str) -> str | None:
        """Looks up an unusual path or value. Gets the table's handle if it is missing or was cleared by a close."""
        table = table_of(library_name)
        if type(library_name) is str:
            self._keep_handle(library_name, table)
        value = self._store.get(table, name_of_path(file_path))
        self.counts[value is None] += 1
        return None if value is None else _decode_key(value)

    def _keep_handle(self, library_name: str, table: bytes) -> None:
        self._handles[library_name] = self._store.handle(table).handle


_class: Any = None


def lookup_class() -> Any:
    """Returns the class for lookups, in the accelerator if there is one."""
    global _class
    if _class is None:
        accelerator = fast()
        _class = MatchLookup if accelerator is None else _fast_class(accelerator)
    return _class


def _fast_class(accelerator: Any) -> Any:
    class FastMatchLookup(accelerator.MatchLookup, MatchLookup):  # type: ignore[misc]
        """Lookups in the accelerator, which calls ``_get_match`` for everything unusual."""

        def __new__(cls, store: TableStore) -> FastMatchLookup:
            handles: dict[str, Any] = {}
            memory = bytearray(16)
            made: FastMatchLookup = super().__new__(cls, handles, memory)
            made._prepare(store, handles, memory)
            return made

        def __init__(self, store: TableStore) -> None:
            """Everything is prepared."""

        def _keep_handle(self, library_name: str, table: bytes) -> None:
            self._handles[library_name] = self._store.handle(table).cell

    return FastMatchLookup


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
