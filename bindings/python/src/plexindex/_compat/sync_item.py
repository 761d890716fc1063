"""The drop-in's items. A host edits these items, so they must agree with Plex's current state."""

from __future__ import annotations

from .._core import TYPE_CHECKING
from .host_errors import not_found, reraise

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from ..plexapi import LightItem, SectionIndex

# Attributes of films that hosts read, and that plexapi's episodes and tracks lack.
_OF_FILMS: dict[str, Any] = {"studio": None, "tagline": None, "actors": (), "genres": (), "collections": ()}


class SyncItem:
    """An item from the index. The key and the files come from the index, everything else from plexapi's object.

    A listing can be an hour old, so the fetched object must still have the file that matched.
    """

    def __init__(
        self, section: SectionIndex, light: LightItem, path: str | None, on_gone: Callable[[], None] | None = None
    ) -> None:
        """``path``: the listed path that matched; None if any of the item's files may be the one. ``on_gone``: called
        if the item is gone.
        """
        self._section, self._light, self._path, self._on_gone = section, light, path, on_gone
        self._full: Any = None
        self.key, self.ratingKey = light.key, light.ratingKey

    @property
    def locations(self) -> list[str]:
        """The paths of the item's files."""
        return self._light.locations

    @property
    def media(self) -> list[Any]:
        """One medium with all files."""
        return self._light.media

    def full(self) -> Any:
        """Returns the plexapi object. The first call sends one request."""
        if self._full is None:
            expected = {self._path} if self._path else set(self.locations)
            try:
                full = self._light.full()
            except Exception as error:
                reraise(error, self._on_gone)
            if expected and expected.isdisjoint(full.locations):
                self._section.index.invalidate_item(self.ratingKey, self._section.library)
                raise not_found("the item's files have changed in Plex: retry")
            self._full = full
        return self._full

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        try:
            return getattr(self.full(), name)
        except AttributeError:
            if name not in _OF_FILMS:
                raise
            return [] if _OF_FILMS[name] == () else None

    def __eq__(self, other: object) -> bool:
        return bool(getattr(other, "key", None) == self.key)

    def __hash__(self) -> int:
        return hash(self.key)

    def __repr__(self) -> str:
        return f"<plexindex.compat.SyncItem {self.key}>"
