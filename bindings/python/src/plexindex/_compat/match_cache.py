"""The drop-in's cache of confirmed matches, with fast lookups through ctypes or the accelerator."""

from __future__ import annotations

from ctypes import byref, c_char_p

from .._core import TYPE_CHECKING, native
from .._core import abi as c
from .._core.lookups import fast, holds_the_lock
from ..table import Table
from .host import chosen
from .tables import Cache, TableStore, name_of

if TYPE_CHECKING:
    from typing import Any

    from .tables import PathLike

# The store contains keys as UTF-8. The first prefix marks a key with lone surrogates or a NUL, the second an int.
_NOT_UTF8, _INT = b"\0s", b"\0i"


def _table_of(library: object) -> bytes:
    # Because of the "=", the library converts A to Z in paths to lower case.
    return b"=" + name_of(library)


def _name_of_path(file_path: str) -> bytes:
    return name_of(file_path.lower())


def _encode_key(key: str | int) -> bytes:
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


class Lookup:
    """What the accelerator calls for everything unusual."""

    store: TableStore

    def __init__(self, handles: dict[str, Any]) -> None:
        """``handles``: for each library, its table's handle, which closing the index clears."""
        self._handles = handles

    def _get_match(self, library_name: str, file_path: str) -> str | None:
        """Looks up an unusual path or value. Gets the table's handle if it is missing or was cleared by a close."""
        table = _table_of(library_name)
        if type(library_name) is str:
            found = self.store.at(table, lambda table: table._handle)
            self._handles[library_name] = found.handle if _fast is None else found.cell
        value = self.store.at(table, lambda table: table.get(_name_of_path(file_path)))
        return None if value is None else _decode_key(value)


_fast = fast()
_lookup_class: Any = Lookup if _fast is None else type("FastLookup", (_fast.MatchLookup, Lookup), {})


class MatchCache(Cache):
    """The items for files, as recorded by the host in ``data_dir/match_cache``. Records never expire.

    The cache compares paths after ``str.lower()``, and library names exactly.
    """

    _name = "Match cache"

    DEFAULT_SIZE_LIMIT = 52_428_800
    """Maximum size of all matches in bytes. The cache removes the oldest matches first."""

    def __init__(self, data_dir: PathLike, size_limit: int = DEFAULT_SIZE_LIMIT) -> None:
        """Opens the cache in a folder below ``data_dir``, and creates missing folders."""
        self._handles: dict[str, Any] = {}
        self._lookup = _lookup_class(self._handles)
        # Without argument types, which would cost more than the lookup. So pass only bytes and ctypes objects.
        self._table_lookup: Any = native.load().fast_table_lookup if holds_the_lock() else None
        super().__init__(data_dir, "match_cache", size_limit)
        self._lookup.store = self._store

    def get_match(self, library_name: str, file_path: str) -> str | None:
        """Returns the key that was recorded for a path, or None."""
        if _fast is not None:
            key: str | None = self._lookup.get_match(library_name, file_path)
        else:
            found, status = c_char_p(), None
            try:
                if "\0" not in file_path:
                    path = file_path.encode() if file_path.isascii() else file_path.lower().encode()
                    status = self._table_lookup(self._handles[library_name], path, byref(found))
            except (AttributeError, KeyError, TypeError, UnicodeEncodeError):
                pass  # the lookup without waiting takes only ordinary arguments
            raw = found.value
            if raw is not None:
                key = raw.decode()
            elif status == c.NOT_FOUND and type(file_path) is str:
                key = None
            else:
                key = self._lookup._get_match(library_name, file_path)
        if key is None:
            self._misses += 1
        else:
            self._hits += 1
        if chosen["debug_logging"]:  # a line takes ten times as long as the lookup
            answer = f"miss for '{file_path}'" if key is None else f"hit for '{file_path}' -> {key}"
            self._log.debug(f"Match cache {answer}")
        return key

    def set_match(self, library_name: str, file_path: str, plex_key: str) -> None:
        """Records the key for a path. After the call, every process sees the key."""
        if plex_key is None:
            self.invalidate(library_name, file_path)
            return
        path, key = _name_of_path(file_path), _encode_key(plex_key)
        self._store.at(_table_of(library_name), lambda table: table.set(path, key))
        self._log.debug(f"Cached match '{file_path}' -> {plex_key}")

    def invalidate(self, library_name: str, file_path: str) -> None:
        """Removes the key for a path. An unknown path is not an error."""
        name, path = _table_of(library_name), _name_of_path(file_path)
        known = self._log.is_there and self._store.at(name, lambda table: path in table)
        self._store.at(name, lambda table: table.delete(path))
        if known:
            self._log.debug(f"Invalidated match for '{file_path}'")

    def invalidate_library(self, library_name: str) -> None:
        """Removes all keys for a library, in constant time."""
        name = _table_of(library_name)
        count = self._store.at(name, len) if self._log.is_there else 0
        self._store.at(name, Table.clear)
        self._log.info(f"Invalidated {count} matches for library '{library_name}'")

    def __repr__(self) -> str:
        return self._shown("matches={}")
