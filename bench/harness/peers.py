"""The contenders: stores of path and key, each used as its documentation says. A new peer is one class here.

`children/first.py` imports this module before its clock starts, so it imports nothing itself.
"""

# The base class describes the methods.
# ruff: noqa: D102
from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

LIBRARY = "Movies"
SERVER_FOLDER, HOST_FOLDER = "/data", "/host"


class Contender:
    """A store of path and key in a folder."""

    name: str
    module = ""
    """What it imports."""
    is_persistent = True
    """Whether another process finds what this one stored."""
    most_entries = 10**9
    """It is left out at larger sizes, where filling it takes too long."""
    before_path = ""
    """What `get` takes before the path, if anything: a function around it would add to its time."""
    get: Callable[..., object]
    """Returns the key of a path, or None."""

    def __init__(self, folder: str) -> None:
        os.makedirs(folder, exist_ok=True)

    def fill(self, pairs: list[tuple[str, str]]) -> None:
        """Stores all pairs in the fastest way that the store has."""
        raise NotImplementedError

    def put(self, path: str, key: str) -> None:
        """Stores one pair. A process that starts afterwards finds it."""
        raise NotImplementedError

    def forget_library(self) -> None:
        """Removes all pairs of the library."""
        raise NotImplementedError

    def close(self) -> None:
        """Closes the store."""


class Dict(Contender):
    """Python's dict: in the memory of one process."""

    name = "dict"
    is_persistent = False

    def fill(self, pairs: list[tuple[str, str]]) -> None:
        self.get = dict(pairs).get


class SQLite(Contender):
    """Python's sqlite3: a table with a primary key of library and path, in WAL mode without syncs."""

    name = "sqlite3"
    module = "sqlite3"

    def __init__(self, folder: str) -> None:
        super().__init__(folder)
        import sqlite3

        self._connection = sqlite3.connect(f"{folder}/paths.db", isolation_level=None)
        self._connection.executescript(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA mmap_size = 1073741824;"
            "CREATE TABLE IF NOT EXISTS matches"
            " (library TEXT, path TEXT, key TEXT, PRIMARY KEY (library, path)) WITHOUT ROWID"
        )
        execute = self._connection.execute
        select = "SELECT key FROM matches WHERE library = ? AND path = ?"

        def get(path: str) -> object:
            row = execute(select, (LIBRARY, path)).fetchone()
            return row[0] if row else None

        self.get = get

    def fill(self, pairs: list[tuple[str, str]]) -> None:
        rows = ((LIBRARY, path, key) for path, key in pairs)
        self._connection.execute("BEGIN")
        self._connection.executemany("INSERT OR REPLACE INTO matches VALUES (?, ?, ?)", rows)
        self._connection.execute("COMMIT")

    def put(self, path: str, key: str) -> None:
        self._connection.execute("INSERT OR REPLACE INTO matches VALUES (?, ?, ?)", (LIBRARY, path, key))

    def forget_library(self) -> None:
        self._connection.execute("DELETE FROM matches WHERE library = ?", (LIBRARY,))

    def close(self) -> None:
        self._connection.close()


class Lmdb(Contender):
    """lmdb, a mapped B-tree. Each lookup begins a read transaction, as it must to see what others commit."""

    name = "lmdb"
    module = "lmdb"

    def __init__(self, folder: str) -> None:
        super().__init__(folder)
        import lmdb

        # Without a sync a commit outlives the process, as with the others, but not a power cut.
        self._environment = lmdb.open(folder, map_size=4 << 30, sync=False)
        begin = self._environment.begin

        def get(path: str) -> object:
            with begin() as transaction:
                key = transaction.get(path.encode())
            return None if key is None else key.decode()

        self.get = get

    def fill(self, pairs: list[tuple[str, str]]) -> None:
        with self._environment.begin(write=True) as transaction, transaction.cursor() as cursor:
            cursor.putmulti([(path.encode(), key.encode()) for path, key in pairs])

    def put(self, path: str, key: str) -> None:
        with self._environment.begin(write=True) as transaction:
            transaction.put(path.encode(), key.encode())

    def close(self) -> None:
        self._environment.close()


class DiskCache(Contender):
    """diskcache: pickles in SQLite, which Stash2Plex uses."""

    name = "diskcache"
    module = "diskcache"

    def __init__(self, folder: str) -> None:
        super().__init__(folder)
        self._cache = self.open(folder)
        self.get = self._cache.get

    def open(self, folder: str) -> Any:
        import diskcache

        return diskcache.Cache(folder, size_limit=1 << 40)

    def fill(self, pairs: list[tuple[str, str]]) -> None:
        with self._cache.transact():
            for path, key in pairs:
                self._cache.set(path, key)

    def put(self, path: str, key: str) -> None:
        self._cache.set(path, key)

    def close(self) -> None:
        self._cache.close()


class DiskCacheRs(DiskCache):
    """diskcache_rs: the interface of diskcache, written in Rust."""

    name = "diskcache_rs"
    module = "diskcache_rs"
    most_entries = 20_000

    def open(self, folder: str) -> Any:
        import diskcache_rs

        return diskcache_rs.Cache(folder, max_size=1 << 40, max_entries=10_000_000)

    def fill(self, pairs: list[tuple[str, str]]) -> None:
        stored = self._cache.set_many(pairs)
        if stored != len(pairs):
            raise RuntimeError(f"diskcache_rs stored {stored} of {len(pairs)} entries and does not say why")


def start_log() -> None:
    """Gives the process Stash2Plex's log, unless it has one: lines on standard error, of which Stash drops some."""

    def create_logger(component: str) -> tuple[Callable[[str], None], ...]:
        def logger(level: str) -> Callable[[str], None]:
            return lambda text: print(f"\x01{level}\x02[Stash2Plex {component}] {text}", file=sys.stderr)

        return tuple(map(logger, "tdiwe"))

    if "shared.log" not in sys.modules:
        module: Any = type(sys)("shared.log")
        module.create_logger = create_logger
        sys.modules["shared.log"] = module


class MatchCache(Contender):
    """A cache with Stash2Plex's methods in `_cache`."""

    before_path = LIBRARY
    _cache: Any

    def fill(self, pairs: list[tuple[str, str]]) -> None:
        for path, key in pairs:
            self.put(path, key)

    def put(self, path: str, key: str) -> None:
        self._cache.set_match(LIBRARY, path, key)

    def forget_library(self) -> None:
        self._cache.invalidate_library(LIBRARY)

    def close(self) -> None:
        self._cache.close()


class Stash2Plex(MatchCache):
    """Stash2Plex's own class where STASH2PLEX names a checkout, else the same over diskcache, written anew."""

    name = "Stash2Plex"
    module = "diskcache"
    most_entries = 20_000

    def __init__(self, folder: str) -> None:
        super().__init__(folder)
        from .consumer import match_cache

        start_log()
        self._cache = match_cache(folder)
        self.get = self._cache.get_match

    def fill(self, pairs: list[tuple[str, str]]) -> None:
        with self._cache._cache.transact():
            super().fill(pairs)


class DropIn(MatchCache):
    """Our drop-in for Stash2Plex's class, with the log of that host."""

    name = "plexindex"
    module = "plexindex"

    def __init__(self, folder: str) -> None:
        start_log()
        from plexindex import compat

        self._cache = compat.MatchCache(folder, size_limit=1 << 40)
        self.get = self._cache.get_match


class Plexindex(Contender):
    """plexindex with the library that PLEX_URL serves. Its get is the fast lookup."""

    name = "plexindex"
    module = "plexindex"

    def __init__(self, folder: str) -> None:
        self.index = open_index(folder)
        self.library = self.index.library(LIBRARY)
        self.get = self.library.lookup_key

    def fill(self, pairs: list[tuple[str, str]]) -> None:
        self.library.record_matches(pairs)

    def put(self, path: str, key: str) -> None:
        self.library.record_match(path, key)

    def forget_library(self) -> None:
        self.library.invalidate()

    def close(self) -> None:
        self.index.close()


class PlexindexMatch(Plexindex):
    """The same, with the full answer."""

    def __init__(self, folder: str) -> None:
        super().__init__(folder)
        match = self.library.match
        self.get = lambda path: match(path).key


def open_index(folder: str) -> Any:
    """Opens plexindex as a host does that never asks whether the library changed."""
    import plexindex

    return plexindex.open(
        folder,
        os.environ["PLEX_URL"],
        os.environ["PLEX_TOKEN"],
        library_ttl=None,
        mappings=[(HOST_FOLDER, SERVER_FOLDER)],
        # A million recorded matches exceed the default limit, and peers keep all of theirs.
        matches_limit=1 << 40,
    )


PEERS: tuple[type[Contender], ...] = (SQLite, Lmdb, DiskCache, DiskCacheRs, Stash2Plex)
"""What keeps path and key on disk."""


def usable(peers: tuple[type[Contender], ...], entries: int, absent: dict[str, str]) -> list[type[Contender]]:
    """The peers that can be imported and filled at this size. Notes in `absent` why one cannot be imported."""
    found = []
    for peer in peers:
        try:
            if peer.module:
                __import__(peer.module)
        except Exception as error:
            absent.setdefault(peer.module, f"cannot be imported: {type(error).__name__}: {error}")
        else:
            if entries <= peer.most_entries:
                found.append(peer)
    return found
