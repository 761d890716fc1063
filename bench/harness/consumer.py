"""What the consumer does today, written anew from a description of its behaviour: titles, searches, scans, pickles."""

from __future__ import annotations

import os
import re
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

YEAR = re.compile(r"[ ._(\[]+(?:19|20)\d\d[)\]]?.*$")
QUALITY = re.compile(r"[ ._-]*\b(?:2160p|1080p|720p|480p|4k|web-?dl|bluray|x26[45]|hevc)\b.*$", re.IGNORECASE)


class MatchCache:
    """Recorded matches: a diskcache with library and lower-cased path joined as the key."""

    def __init__(self, folder: Path, size_limit: int = 52_428_800) -> None:
        import diskcache

        self._cache: Any = diskcache.Cache(str(folder), size_limit=size_limit)
        self.hits = self.misses = 0

    def get_match(self, library: str, path: str) -> str | None:
        """The key of a path."""
        key: str | None = self._cache.get(f"match:{library}:{path.lower()}")
        if key is None:
            self.misses += 1
        else:
            self.hits += 1
        return key

    def set_match(self, library: str, path: str, key: str) -> None:
        """Records one."""
        self._cache.set(f"match:{library}:{path.lower()}", key)

    def invalidate_library(self, library: str) -> int:
        """Walks every key."""
        prefix = f"match:{library}:"
        gone = [key for key in self._cache if key.startswith(prefix)]
        for key in gone:
            self._cache.delete(key)
        return len(gone)

    def count(self) -> int:
        """How many there are."""
        return len(self._cache)

    def transaction(self) -> AbstractContextManager[Any]:
        """Many at once."""
        transaction: AbstractContextManager[Any] = self._cache.transact()
        return transaction

    def close(self) -> None:
        """Lets go of it."""
        self._cache.close()


class LibraryCache:
    """Listings and searches: pickled lists of dictionaries in a diskcache."""

    def __init__(self, folder: Path, ttl: float = 3600, size_limit: int = 1 << 40) -> None:
        import diskcache

        self._cache: Any = diskcache.Cache(str(folder), size_limit=size_limit)
        self._ttl = ttl

    def get(self, key: str) -> list[dict[str, Any]] | None:
        """The list, read from its pickle."""
        found: list[dict[str, Any]] | None = self._cache.get(key)
        return found

    def set(self, key: str, items: list[Any]) -> None:
        """Keeps what it needs of plexapi's objects."""
        self._cache.set(key, [row for row in map(extract, items) if row], expire=self._ttl)

    def put(self, key: str, rows: list[dict[str, Any]]) -> None:
        """Stores a list that was made elsewhere."""
        self._cache.set(key, rows, expire=self._ttl)

    def get_library_items(self, library: str) -> list[dict[str, Any]] | None:
        """A listing."""
        return self.get(f"library:{library}")

    def set_library_items(self, library: str, items: list[Any]) -> None:
        """Keeps a listing."""
        self.set(f"library:{library}", items)

    def clear(self) -> None:
        """Forgets all."""
        self._cache.clear()

    def close(self) -> None:
        """Lets go of it."""
        self._cache.close()


def extract(item: Any) -> dict[str, Any] | None:
    """Key, title and paths of a plexapi object."""
    try:
        paths = [part.file for media in item.media for part in media.parts if part.file]
        return {"key": item.key, "title": item.title, "file_paths": paths}
    except AttributeError:
        return None


def titles(path: str) -> list[str]:
    """Up to three titles that the file's name and its folder suggest."""
    folder, name = os.path.split(path)
    found: list[str] = []
    for text in (os.path.splitext(name)[0], os.path.basename(folder)):
        bare = YEAR.sub("", QUALITY.sub("", text)).replace(".", " ").strip(" -_")
        for title in (bare, text):
            if title and title not in found:
                found.append(title)
    return found[:3]


def find(section: Any, path: str, cache: LibraryCache) -> list[str]:
    """Keys of the items that have this file name: title searches, then a scan of the whole stored library."""
    name = os.path.basename(path).lower()
    for title in titles(path):
        results = cache.get(f"search:{section.title}:{title}")
        if results is None:
            items = section.search(title=title)
            cache.set(f"search:{section.title}:{title}", items)
            results = [row for row in map(extract, items) if row]
        if found := _same_name(results, name):
            return found
    rows = cache.get(f"library:{section.title}")
    if rows is None:
        items = section.all()
        cache.set(f"library:{section.title}", items)
        rows = [row for row in map(extract, items) if row]
    return _same_name(rows, name)


def _same_name(rows: list[dict[str, Any]], name: str) -> list[str]:
    return [row["key"] for row in rows if any(os.path.basename(path).lower() == name for path in row["file_paths"])]
