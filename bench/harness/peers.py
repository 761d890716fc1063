"""The peers: stores of path and key, each used as its documentation says, for reads as fast as it can."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from .consumer import MatchCache

Pairs = list[tuple[str, str]]
LIBRARY = "Movies"


class Peer:
    """A store of path and key."""

    name: str
    module = ""
    """What it needs to be importable."""
    persistent = True
    """Whether another process finds there what this one stored."""
    limit: int | None = None
    """So many questions a round; None for all. For those that would take minutes."""
    get: Callable[[str], object]
    """The key of a path, or None."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def fill(self, pairs: Pairs) -> None:
        """Stores all of it, in the fastest way that it has."""
        raise NotImplementedError

    def put(self, path: str, key: str) -> None:
        """Stores one, so that a process that starts afterwards finds it."""
        raise NotImplementedError

    def close(self) -> None:
        """Lets go of it."""

    def bytes_on_disk(self) -> int:
        """What it takes there."""
        return sum(file.stat().st_blocks * 512 for file in self.folder.rglob("*") if file.is_file())


class Dict(Peer):
    """Python's own."""

    name = "dict"
    persistent = False

    def fill(self, pairs: Pairs) -> None:
        """All at once."""
        self.get = dict(pairs).get


class CacheTools(Peer):
    """cachetools: a cache in memory that forgets what was not used for long."""

    name = "cachetools"
    module = "cachetools"
    persistent = False

    def fill(self, pairs: Pairs) -> None:
        """Large enough to forget nothing."""
        import cachetools

        cache: Any = cachetools.LRUCache(maxsize=len(pairs) + 1)
        cache.update(pairs)
        self.get = cache.get


class SQLite(Peer):
    """Python's sqlite3 with a table of paths, set up as diskcache and plexindex set theirs."""

    name = "sqlite3"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        folder.mkdir(parents=True, exist_ok=True)
        self._connection = sqlite3.connect(folder / "paths.db", isolation_level=None)
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

    def fill(self, pairs: Pairs) -> None:
        """In one transaction."""
        rows = ((LIBRARY, path, key) for path, key in pairs)
        self._connection.execute("BEGIN")
        self._connection.executemany("INSERT OR REPLACE INTO matches VALUES (?, ?, ?)", rows)
        self._connection.execute("COMMIT")

    def put(self, path: str, key: str) -> None:
        """In a transaction of its own."""
        self._connection.execute("INSERT OR REPLACE INTO matches VALUES (?, ?, ?)", (LIBRARY, path, key))

    def forget_library(self) -> None:
        """All of a library."""
        self._connection.execute("DELETE FROM matches WHERE library = ?", (LIBRARY,))

    def close(self) -> None:
        """The connection."""
        self._connection.close()


class Lmdb(Peer):
    """lmdb, a mapped B-tree. A read transaction for each question, as one that is to see what others commit needs."""

    name = "lmdb"
    module = "lmdb"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        import lmdb

        folder.mkdir(parents=True, exist_ok=True)
        # Without a sync a commit survives the end of the process, as with the others, and not that of the machine.
        self._environment = lmdb.open(str(folder), map_size=4 << 30, sync=False, lock=True)
        begin = self._environment.begin

        def get(path: str) -> object:
            with begin() as transaction:
                key = transaction.get(path.encode())
            return None if key is None else key.decode()

        self.get = get

    def fill(self, pairs: Pairs) -> None:
        """In one transaction."""
        with self._environment.begin(write=True) as transaction, transaction.cursor() as cursor:
            cursor.putmulti([(path.encode(), key.encode()) for path, key in pairs])

    def put(self, path: str, key: str) -> None:
        """In a transaction of its own."""
        with self._environment.begin(write=True) as transaction:
            transaction.put(path.encode(), key.encode())

    def close(self) -> None:
        """The environment."""
        self._environment.close()


class LmdbHeld(Lmdb):
    """lmdb with one read transaction that is never renewed: the fastest it can do, blind to later commits."""

    name = "lmdb, one transaction"

    def fill(self, pairs: Pairs) -> None:
        """As above; then begins the transaction."""
        super().fill(pairs)
        read = self._environment.begin().get

        def get(path: str) -> object:
            key = read(path.encode())
            return None if key is None else key.decode()

        self.get = get


class DiskCache(Peer):
    """diskcache: pickles in SQLite, what the consumer uses."""

    name = "diskcache"
    module = "diskcache"
    limit = 20_000

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        import diskcache

        self._cache = diskcache.Cache(str(folder), size_limit=1 << 40)
        self.get = self._cache.get

    def fill(self, pairs: Pairs) -> None:
        """In one transaction."""
        with self._cache.transact():
            for path, key in pairs:
                self._cache.set(path, key)

    def put(self, path: str, key: str) -> None:
        """One."""
        self._cache.set(path, key)

    def close(self) -> None:
        """The cache."""
        self._cache.close()


class DiskCacheRs(Peer):
    """diskcache_rs: diskcache's interface over Rust; told to keep more than the 100,000 entries of its default."""

    name = "diskcache_rs"
    module = "diskcache_rs"
    limit = 2_000

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        import diskcache_rs

        self._cache = diskcache_rs.Cache(str(folder), max_size=1 << 40, max_entries=10_000_000)
        self.get = self._cache.get

    def fill(self, pairs: Pairs) -> None:
        """By its call for many."""
        stored = self._cache.set_many(pairs)
        if stored != len(pairs):
            raise RuntimeError(f"diskcache_rs stored {stored} of {len(pairs)} entries and does not say why")

    def put(self, path: str, key: str) -> None:
        """One."""
        self._cache.set(path, key)

    def close(self) -> None:
        """The cache."""
        self._cache.close()


class ConsumerMatches(Peer):
    """The consumer's cache of matches, written anew."""

    name = "consumer's match cache"
    module = "diskcache"
    limit = 20_000

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.cache = MatchCache(folder, size_limit=1 << 40)

        def get(path: str) -> object:
            return self.cache.get_match(LIBRARY, path)

        self.get = get

    def fill(self, pairs: Pairs) -> None:
        """In one transaction, which the consumer does not do."""
        with self.cache.transaction():
            for path, key in pairs:
                self.cache.set_match(LIBRARY, path, key)

    def put(self, path: str, key: str) -> None:
        """One."""
        self.cache.set_match(LIBRARY, path, key)

    def forget_library(self) -> None:
        """By walking every key, as the consumer does."""
        self.cache.invalidate_library(LIBRARY)

    def close(self) -> None:
        """The cache."""
        self.cache.close()


ALL: tuple[type[Peer], ...] = (Dict, CacheTools, SQLite, Lmdb, LmdbHeld, DiskCache, DiskCacheRs, ConsumerMatches)


def present(peers: Iterable[type[Peer]], absent: dict[str, str]) -> list[type[Peer]]:
    """Those that can be imported; notes the reason for the others, unless it is known."""
    found = []
    for peer in peers:
        try:
            if peer.module:
                __import__(peer.module)
        except Exception as error:
            absent.setdefault(peer.module, f"cannot be imported: {type(error).__name__}: {error}")
        else:
            found.append(peer)
    return found
