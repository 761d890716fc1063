"""The drop-in's items. A host edits these items, so they must agree with Plex's current state."""

from __future__ import annotations

from .._core.light import LightItem
from .._core.paths import same_file
from .host_errors import not_found
from .plexapi_errors import is_absence, reraise
from .rows import extract

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from .._core.light import Facts
    from ..item import Item
    from ..plexapi import SectionIndex

# Attributes that a search returns completely.
_OF_SEARCHES = frozenset(("key", "ratingKey", "title", "type", "media", "locations", "librarySectionTitle"))
# Attributes of films that hosts read, and that plexapi's episodes and tracks lack.
_OF_FILMS = {"studio": None, "tagline": None, "originalTitle": None, "actors": (), "genres": (), "collections": ()}


class SyncItem(LightItem):
    """An item from the index. The key, type and files come from the index, everything else from plexapi's object.

    A listing can be an hour old, so the fetched object must have the file that matched. If the file is missing, this
    class invalidates the item in the index, and raises the host's 'not found' error unless the item has the searched
    path.
    """

    def __init__(
        self,
        section: SectionIndex,
        item: Item | Facts,
        asked: Sequence[str] = (),
        fetched: Callable[[Any], None] | None = None,
        stale: Callable[[], None] | None = None,
    ) -> None:
        """``asked``: the searched path in each spelling. ``fetched``: called with the fetched item's title. ``stale``:
        called if the item is gone.
        """
        super().__init__(section, item)
        self._asked, self._on_fetched, self._on_stale = asked, fetched, stale

    def _known(self, name: str, value: Any) -> Any:
        del value
        return _value(self.full(), name)

    @property
    def type(self) -> str:
        """``"movie"``, ``"episode"``, ``"track"``, ``"clip"`` or ``"photo"``."""
        return str(self._light_item.kind)

    @property
    def guids(self) -> list[Any]:
        """External IDs, in the same form as in plexapi."""
        return self.full().guids  # type: ignore[no-any-return]

    def full(self) -> Any:
        """Returns the plexapi object. The first call sends one request."""
        if self._light_full is None:
            path = getattr(self._light_item, "path", None)
            facts = None if path else self._facts()
            expected = {path} if path else set(facts["paths"] if facts else ())
            try:
                fetched = super().full()
            except Exception as error:
                if is_absence(error) and self._on_stale is not None:
                    self._on_stale()
                reraise(error, self._light_section)
            locations = getattr(fetched, "locations", None) or expected
            if expected and expected.isdisjoint(locations):
                section = self._light_section
                section.index.invalidate_item(self._light_item.rating_key, section.library)
                if not any(same_file(path, list(locations)) for path in self._asked):
                    self._light_full = None
                    raise not_found("the item's files have changed in Plex: retry")
            if self._on_fetched is not None:
                self._on_fetched(fetched.title)
        return self._light_full

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return _value(self.full(), name)


class FoundItem:
    """An item from a plexapi search. A search returns only some of the actors and genres, and a host writes these lists
    back. So the first access to any attribute other than the name and the files fetches the whole item.

    For film attributes that hosts read, episodes and tracks have empty values.
    """

    def __init__(self, item: Any) -> None:
        self._item = item

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        if name not in _OF_SEARCHES and not self._item.isFullObject():
            try:
                self._item.reload()
            except Exception as error:
                reraise(error, self._item)
        return _value(self._item, name)

    def __eq__(self, other: object) -> bool:
        return bool(getattr(other, "key", None) == self._item.key)

    def __hash__(self) -> int:
        return hash(self._item.key)

    def __repr__(self) -> str:
        return repr(self._item)


def as_found(item: Any) -> Any:
    """Wraps a plexapi object in a :class:`FoundItem`. Returns other objects unchanged."""
    return FoundItem(item) if type(item).__module__ in ("plexapi.video", "plexapi.audio") else item


def first_path(item: Any) -> str | None:
    """Returns an item's first path, without a request."""
    if isinstance(item, SyncItem):
        return next(iter(item.locations), None)
    row = extract(item)
    return row["file_paths"][0] if row and row["file_paths"] else None


def title_of(item: Any) -> Any:
    """Returns an item's title, without a request."""
    return item._light_item.title if isinstance(item, SyncItem) else item.title


def _value(item: Any, name: str) -> Any:
    try:
        return getattr(item, name)
    except AttributeError:
        if name not in _OF_FILMS:
            raise
        empty = _OF_FILMS[name]
        return [] if empty == () else empty
