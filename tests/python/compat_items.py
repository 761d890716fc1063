"""Items and libraries for the tests of plexindex.compat: stand-ins for plexapi's objects."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from unittest.mock import MagicMock

KEY = "/library/metadata/"


class NotFound(Exception):  # noqa: N818
    """What a client raises for a 404; told by its name."""


def item(key: object, title: object, *paths: object) -> Any:
    """A mock of an item, one medium a path."""
    mock = MagicMock()
    mock.key, mock.title = key, title
    mock.media = [MagicMock(parts=[MagicMock(file=path)]) for path in paths]
    return mock


def section(items: Iterable[Any] = (), title: str = "Movies", found: Any = None) -> Any:
    """A mock of a library with these items; ``found(title)`` is what a search gives."""
    library = MagicMock()
    library.title = title
    items = list(items)
    library.all.return_value = items
    library.search.side_effect = lambda title=None, **_: found(title) if found else []

    def fetch(key: object) -> Any:
        for one in items:
            if key in (one.key, f"{KEY}{one.key}") or str(key) == one.key.removeprefix(KEY):
                return one
        raise NotFound(key)

    library.fetchItem.side_effect = fetch
    return library


def asked(library: Any) -> list[str]:
    """What was asked of a mock library, by name."""
    names = {"search", "all", "fetchItem", "fetchItems"}
    return [call[0] for call in library.mock_calls if call[0] in names]
