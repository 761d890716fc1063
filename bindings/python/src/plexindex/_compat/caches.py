"""The drop-in's caches: tables in a folder, fast lookups of confirmed matches, and expiring rows of listings; and its
host's log, with the lines and levels of the original classes.

Stash shows these lines, and Stash2Plex's troubleshooting page quotes them. Without Stash2Plex's modules, plexindex
writes no lines.
"""

from __future__ import annotations

import os
import sys
from ctypes import byref, c_char_p, sizeof

import plexindex

from .._core import TYPE_CHECKING, Any, Callable, Iterable, T, convert, importing, log
from .._core import abi as c
from .._core.session import HAS_GLOBAL_LOCK, ForkLock, Recipe, Session
from ..errors import ClosedError
from ..table import Table

if TYPE_CHECKING:
    PathLike = str | os.PathLike[str]


# The host's modules, which plexindex uses if they are loaded.
_LOGGERS, _OBFUSCATION = "shared.log", "validation.obfuscation"


class HostLog:
    """A component's log functions in the host, which write nothing without a host."""

    def __init__(self, component: str) -> None:
        create: Any = getattr(sys.modules.get(_LOGGERS), "create_logger", None)
        try:
            _, self.debug, self.info, self.warn, self.error = create(component)
            self.is_there = True
        except (TypeError, ValueError):  # there is no host, or a different package has a module of the same name
            self.debug = self.info = self.warn = self.error = lambda _: None
            self.is_there = False

    def path(self, path: str) -> str:
        """Formats a path like the host, which can hide parts of the path."""
        if not self.is_there:
            return path
        try:
            with importing():
                obfuscate = __import__(_OBFUSCATION, fromlist=["obfuscate_path"]).obfuscate_path
            return str(obfuscate(path))
        except (AttributeError, ImportError, UnicodeError):
            return path.rsplit("/", 1)[-1]


chosen: dict[str, Any] = {"matcher": None, "debug_logging": False}


def name_of(text: object) -> bytes:
    """Returns a unique name for a string, or for another value as a string."""
    return str(text).encode("utf-8", "surrogatepass")


def _flags_of(name: bytes) -> int:
    # In tables with this prefix, the library converts A to Z to lower case: see MatchCache.
    return c.TABLE_LIMIT_ALL | (c.TABLE_FOLD_ASCII if name[:1] == b"=" else 0)


class Cache:
    """A cache in tables of a folder below the host's ``data_dir``, with statistics of this object's life.

    Any number of objects, threads and processes can use the same folder. An object still works after :meth:`close`.
    """

    _name = ""
    """The cache's name in the host's log."""

    def __init__(self, data_dir: PathLike, folder: str, size_limit: int, ttl: str = "") -> None:
        self._data_dir, self._size_limit = data_dir, size_limit
        self._hits = self._misses = 0  # hosts' tests set these
        # An absolute path, because the current folder can change before the tables are opened again.
        self._folder = os.path.abspath(os.path.join(data_dir, folder))
        self._opening = ForkLock()
        self._open: Session | None = None
        os.makedirs(os.path.dirname(self._folder), exist_ok=True)
        self._session()  # raise errors immediately
        self._log = HostLog("Cache")
        kind = type(self).__name__
        self._log.debug(f"{kind} initialized at {self._folder} ({ttl}limit: {size_limit} bytes)")

    def _session(self) -> Session:
        found = self._open
        if found is None or not found.is_open:
            with self._opening():
                found = self._open
                if found is None or not found.is_open:
                    raw = convert.folder_bytes("cache_dir", self._folder)
                    options = c.COptions(size=sizeof(c.COptions), cache_dir=c.CBytes(raw, len(raw)))
                    options.log_level, options.slow_ms = log.follow_level(), c.NEVER_SLOW
                    found = Session(self._folder, Recipe(self._folder, None, False, {"obfuscate_paths": False}))
                    found.open(options, None)
                    self._open = found
        return found

    def _run(self, work: Callable[[Session], T]) -> T:
        """Calls a function with the session. Retries if another thread closes the index during the call."""
        try:
            return work(self._session())
        except ClosedError:
            return work(self._session())

    def _at(self, name: bytes, work: Callable[[Table], T]) -> T:
        """Calls a function with a table, like :meth:`_run`."""
        limit = max(1, int(self._size_limit))
        return self._run(lambda session: work(Table(session, name, limit=limit, flags=_flags_of(name))))

    def clear(self) -> None:
        """Removes everything and resets the counters."""
        self._run(lambda session: session.request("tables.clear", all=True))
        self._hits = self._misses = 0
        self._log.info(f"{self._name} cleared")

    def close(self) -> None:
        """Closes the files. Later calls open them again."""
        with self._opening():
            found, self._open = self._open, None
        if found is not None:
            found.close()
        self._log.debug(f"{self._name} closed")

    def get_stats(self) -> plexindex.types.Facts:
        """Returns ``hits``, ``misses`` and ``hit_rate`` (0.0 to 100.0) of this object, ``size`` in bytes, ``count``."""
        total = self._hits + self._misses
        return {
            "hits": self._hits,
            "misses": self._misses,
            "hit_rate": self._hits / total * 100.0 if total else 0.0,
            "size": self._run(lambda session: session.stats()["disk_bytes"]),
            "count": self._run(lambda session: session.request("tables.count"))["count"],
        }

    def _shown(self, facts: str) -> str:
        stats = self.get_stats()
        facts = facts.format(stats["count"])
        return f"{type(self).__name__}(data_dir='{self._data_dir}', {facts}, hit_rate={stats['hit_rate']:.1f}%)"


# The store contains keys as UTF-8. This prefix marks a key with lone surrogates or a NUL.
_NOT_UTF8 = b"\0s"


def _table_of(library: object) -> bytes:
    # Because of the "=", the library converts A to Z in paths to lower case.
    return b"=" + name_of(library)


def _name_of_path(file_path: str) -> bytes:
    return name_of(file_path.lower())


def _encode_key(key: object) -> bytes:
    raw = name_of(key)
    try:
        raw.decode()
        return raw if b"\0" not in raw else _NOT_UTF8 + raw
    except UnicodeDecodeError:
        return _NOT_UTF8 + raw


def _decode_key(value: bytes) -> str:
    return value[2:].decode("utf-8", "surrogatepass") if value[:2] == _NOT_UTF8 else value.decode()


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
        # Unused results of lookups, because creating one takes as long as a lookup.
        self._results: list[Any] = []
        super().__init__(data_dir, "match_cache", size_limit)
        self._lookup = self._session().native.table_lookup

    def get_match(self, library_name: str, file_path: str) -> str | None:
        """Returns the key that was recorded for a path, or None."""
        key, status = None, c.NOT_YET
        handle, raw = self._handles.get(library_name), b""
        if handle is not None:
            try:
                # The library itself lower-cases ASCII.
                raw = (file_path if file_path.isascii() else file_path.lower()).encode()
            except UnicodeEncodeError:
                pass
        if raw and b"\0" not in raw:
            try:
                found, reference = unused = self._results.pop()
            except IndexError:
                found = c_char_p()
                unused = found, (reference := byref(found))
            status, value = self._lookup(handle, raw, reference), found.value
            self._results.append(unused)
            if value is not None:
                key = value.decode()
        if status == c.NOT_YET:
            key = self._get_match(library_name, file_path)
        if key is None:
            self._misses += 1
        else:
            self._hits += 1
        if chosen["debug_logging"]:  # a line takes ten times as long as the lookup
            answer = f"miss for '{file_path}'" if key is None else f"hit for '{file_path}' -> {key}"
            self._log.debug(f"Match cache {answer}")
        return key

    def _get_match(self, library_name: str, file_path: str) -> str | None:
        """Returns the key for any path, and keeps the table's handle, which closing the index clears."""
        table, name = _table_of(library_name), _name_of_path(file_path)
        if HAS_GLOBAL_LOCK and type(library_name) is str:
            self._handles[library_name] = self._run(lambda session: session.table(table, _flags_of(table)))
        value = self._at(table, lambda table: table.get(name))
        return None if value is None else _decode_key(value)

    def set_match(self, library_name: str, file_path: str, plex_key: str) -> None:
        """Records the key for a path. After the call, every process sees the key."""
        if plex_key is None:
            self.invalidate(library_name, file_path)
            return
        path, key = _name_of_path(file_path), _encode_key(plex_key)
        self._at(_table_of(library_name), lambda table: table.set(path, key))
        self._log.debug(f"Cached match '{file_path}' -> {plex_key}")

    def invalidate(self, library_name: str, file_path: str) -> None:
        """Removes the key for a path. An unknown path is not an error."""
        name, path = _table_of(library_name), _name_of_path(file_path)
        known = self._log.is_there and self._at(name, lambda table: table.get(path) is not None)
        self._at(name, lambda table: table.delete(path))
        if known:
            self._log.debug(f"Invalidated match for '{file_path}'")

    def invalidate_library(self, library_name: str) -> None:
        """Removes all keys for a library, in constant time."""
        name, count = _table_of(library_name), 0
        if self._log.is_there:
            count = self._run(lambda session: session.request("tables.count", table=name)["count"])
        self._at(name, Table.clear)
        self._log.info(f"Invalidated {count} matches for library '{library_name}'")

    def __repr__(self) -> str:
        return self._shown("matches={}")


_ROWS = b"rows"
_LISTED, _SEARCHED = b"l", b"s"


class PlexCache(Cache):
    """Library items and title search results, as stored by the host in ``data_dir/cache``."""

    _name = "Cache"
    DEFAULT_LIBRARY_TTL = 3600
    """Seconds until a stored value expires."""
    DEFAULT_SIZE_LIMIT = 104_857_600
    """Maximum size in bytes. The cache removes expired values, and then the oldest values."""

    def __init__(
        self, data_dir: PathLike, library_ttl: float | None = DEFAULT_LIBRARY_TTL, size_limit: int = DEFAULT_SIZE_LIMIT
    ) -> None:
        """Opens the cache in a folder below ``data_dir``, and creates missing folders."""
        self._library_ttl = library_ttl
        super().__init__(data_dir, "cache", size_limit, f"TTL: {library_ttl}s, ")

    def set_library_items(self, library_name: str, items: Iterable[plexindex.types.Untyped]) -> None:
        """Stores each item's key, title and paths. The list, even an empty list, expires after the current TTL."""
        count = self._put(_entry(_LISTED, library_name), items)
        self._log.debug(f"Cached {count} items for library '{library_name}' (TTL: {self._library_ttl}s)")

    def get_library_items(self, library_name: str) -> list[plexindex.types.Facts] | None:
        """Returns a library's rows in order, or None if there are no rows or the rows have expired."""
        return self._get(_entry(_LISTED, library_name), f"library '{library_name}'", "items")

    def set_search_results(self, library_name: str, title: str, results: Iterable[plexindex.types.Untyped]) -> None:
        """Stores the results of a title search, like :meth:`set_library_items`."""
        count = self._put(_entry(_SEARCHED, library_name, title), results)
        self._log.debug(f"Cached {count} search results for '{library_name}:{title}'")

    def get_search_results(self, library_name: str, title: str) -> list[plexindex.types.Facts] | None:
        """Returns the results that were stored for exactly this title, or None, like :meth:`get_library_items`."""
        return self._get(_entry(_SEARCHED, library_name, title), f"search '{library_name}:{title}'", "results")

    def __repr__(self) -> str:
        return self._shown(f"ttl={self._library_ttl}, items={{}}")

    def _put(self, entry: bytes, items: Iterable[plexindex.types.Untyped]) -> int:
        with importing():
            import json  # importing it takes longer than a lookup

        rows = [list(row.values()) for row in map(extract, items) if row is not None]
        ttl = None if self._library_ttl is None else max(0, self._library_ttl)
        self._at(_ROWS, lambda table: table.set(entry, json.dumps(rows).encode(), expire=ttl))
        return len(rows)

    def _get(self, entry: bytes, what: str, rows_are: str) -> list[plexindex.types.Facts] | None:
        with importing():
            import json

        text = self._at(_ROWS, lambda table: table.get(entry))
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


def extract(item: plexindex.types.Untyped) -> plexindex.types.Facts | None:
    """Returns an item's row: ``key``, ``title`` and ``file_paths``. None without a key, or if reading fails."""
    # Otherwise plexapi would send a request for each empty attribute.
    known = getattr(item, "__dict__", None)
    reloads = known is not None and known.get("_autoReload") is True
    try:
        if reloads:
            item._autoReload = False
        key = getattr(item, "key", None) or getattr(item, "ratingKey", None)
        if not key:
            HostLog("Cache").debug("Item missing key, skipping")
            return None
        title = getattr(item, "title", None)
        media = getattr(item, "media", None) or ()
        files = [getattr(part, "file", None) for one in media for part in getattr(one, "parts", None) or ()]
        paths = [os.fsdecode(file) if isinstance(file, (bytes, os.PathLike)) else str(file) for file in files if file]
        return {"key": str(key), "title": None if title is None else str(title), "file_paths": paths}
    except Exception as error:
        HostLog("Cache").warn(f"Failed to extract item data: {error}")
        return None
    finally:
        if reloads:
            item._autoReload = True
