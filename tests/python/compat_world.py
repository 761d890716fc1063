"""What tests of the drop-in share: its caches, what it answers, and what the host's function is asked."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

from plexapi.exceptions import NotFound
from plexindex._compat import section_index
from plexindex.compat import MatchCache, PlexCache, find_plex_items_with_confidence

KEY = "/library/metadata/"


def item(key: object, title: object, *paths: object) -> Any:
    """A mock of an item, one medium a path."""
    media = [MagicMock(parts=[MagicMock(file=path)]) for path in paths]
    return MagicMock(key=key, title=title, media=media)


def close_indexes() -> None:
    """Closes what the function opened for a test."""
    for index in section_index._indexes.values():
        index.close()
    for found in (section_index._indexes, section_index._sections, section_index._warned):
        found.clear()


def caches(folder: Path) -> dict[str, Any]:
    """The drop-in's caches in a folder, as arguments of the function."""
    return {"library_cache": PlexCache(folder), "match_cache": MatchCache(folder)}


def outcome(section: Any, path: str, given: dict[str, Any]) -> tuple[Any, ...]:
    """The confidence and the candidates' rating keys, or "none"."""
    try:
        confidence, item, found = find_plex_items_with_confidence(section, path, **given)
    except NotFound:
        return ("none",)
    assert item is (found[0] if confidence.value == "high" else None)
    return (confidence.value, *sorted(int(one.ratingKey) for one in found))


def refuses(*_: Any) -> Any:
    """Stands for the host's function where the index must answer."""
    raise AssertionError("the host's own function was asked")


def answers(asked: list[Any]) -> Callable[..., Any]:
    """Stands for the host's function, which answers with an enum of its own."""

    class Confidence:
        value = "high"

    def function(*given: Any) -> tuple[Any, Any, list[Any]]:
        asked.append(given)
        return Confidence, "theirs", ["theirs"]

    return function
