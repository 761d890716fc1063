"""What tests of the drop-in over an index share: its caches, what it answers, and items that are added in Plex."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from conftest import Server
from plexapi.exceptions import NotFound
from plexindex._compat import section_index as _section_index
from plexindex.compat import MatchCache, PlexCache, find_plex_items_with_confidence

Outcome = tuple[str, "str | None", tuple[str, ...]]


def close_indexes() -> None:
    """Closes what the function opened for a test."""
    for index in _section_index._indexes.values():
        index.close()
    _section_index._indexes.clear()
    _section_index._recent.clear()


def caches(folder: Path) -> dict[str, Any]:
    """The drop-in's caches in a folder, as arguments of the function."""
    return {"library_cache": PlexCache(folder), "match_cache": MatchCache(folder)}


def outcome(section: Any, path: str, given: dict[str, Any]) -> Outcome:
    """The confidence, the item and the candidates."""
    try:
        confidence, item, found = find_plex_items_with_confidence(section, path, **given)
    except NotFound:
        return "none", None, ()
    return confidence.value, None if item is None else item.key, tuple(sorted(one.key for one in found))


def add(world: Server, library: int, *items: dict[str, Any]) -> list[str]:
    """Adds items to a library of the server. Returns their rating keys."""
    return [str(key) for key in world.post("items/add", {"library": library, "items": list(items)})["ratingKeys"]]


def refresh(section: Any, folder: Path) -> None:
    """Lists the library in the index of `caches(folder)`."""
    index = _section_index.section_index(section, PlexCache(folder))
    assert index is not None
    index.refresh()
