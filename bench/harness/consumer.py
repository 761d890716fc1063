"""What Stash2Plex does today, written anew from a description: its cache of matches, its searches and scans."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

YEAR = re.compile(r"[ ._(\[]+(?:19|20)\d\d[)\]]?.*$")
QUALITY = re.compile(r"[ ._-]*\b(?:2160p|1080p|720p|480p|4k|web-?dl|bluray|x26[45]|hevc)\b.*$", re.IGNORECASE)


def match_cache(folder: str) -> Any:
    """The match cache of the checkout that STASH2PLEX names, or the one below."""
    checkout = os.environ.get("STASH2PLEX")
    if not checkout:
        return MatchCache(folder)
    sys.path.insert(0, checkout)
    from plex.cache import MatchCache as Original

    return Original(folder, 1 << 40)


class MatchCache:
    """Recorded matches: a diskcache whose key joins the library and the lower-cased path."""

    def __init__(self, folder: str, size_limit: int = 1 << 40) -> None:
        import diskcache

        self._cache: Any = diskcache.Cache(folder, size_limit=size_limit)
        self.hits = self.misses = 0
        self._debug: Callable[[str], None] = sys.modules["shared.log"].create_logger("Cache")[1]

    def get_match(self, library: str, path: str) -> str | None:
        """Returns the key of a path."""
        key: str | None = self._cache.get(f"match:{library}:{path.lower()}")
        if key is None:
            self.misses += 1
            self._debug(f"no match of {path}")
        else:
            self.hits += 1
            self._debug(f"the match of {path} is {key}")
        return key

    def set_match(self, library: str, path: str, key: str) -> None:
        """Stores one match."""
        self._cache.set(f"match:{library}:{path.lower()}", key)
        self._debug(f"stored the match of {path}: {key}")

    def invalidate_library(self, library: str) -> None:
        """Walks every key."""
        prefix = f"match:{library}:"
        for key in [key for key in self._cache if key.startswith(prefix)]:
            self._cache.delete(key)

    def close(self) -> None:
        """Closes the cache."""
        self._cache.close()


class LibraryCache:
    """Listings and search results: pickled lists of dictionaries in a diskcache."""

    def __init__(self, folder: Path) -> None:
        import diskcache

        self._cache: Any = diskcache.Cache(str(folder), size_limit=1 << 40)

    def get(self, key: str) -> list[dict[str, Any]] | None:
        """Reads the list from its pickle."""
        found: list[dict[str, Any]] | None = self._cache.get(key)
        return found

    def set(self, key: str, items: list[Any]) -> None:
        """Keeps what Stash2Plex needs of plexapi's objects."""
        self.put(key, [row for row in map(extract, items) if row])

    def put(self, key: str, rows: list[dict[str, Any]]) -> None:
        """Stores a list."""
        self._cache.set(key, rows, expire=3600)

    def close(self) -> None:
        """Closes the cache."""
        self._cache.close()


def extract(item: Any) -> dict[str, Any] | None:
    """Key, title and paths of a plexapi object."""
    try:
        paths = [part.file for media in item.media for part in media.parts if part.file]
        return {"key": item.key, "title": item.title, "file_paths": paths}
    except AttributeError:
        return None


def titles(path: str) -> list[str]:
    """Up to three titles that the names of the file and its folder suggest."""
    folder, name = os.path.split(path)
    found: list[str] = []
    for text in (os.path.splitext(name)[0], os.path.basename(folder)):
        bare = YEAR.sub("", QUALITY.sub("", text)).replace(".", " ").strip(" -_")
        for title in (bare, text):
            if title and title not in found:
                found.append(title)
    return found[:3]


def find(section: Any, path: str, cache: LibraryCache) -> list[str]:
    """Keys of the items with this file name: title searches, then a scan of the whole stored library."""
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
