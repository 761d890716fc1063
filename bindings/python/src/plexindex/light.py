"""Items from the index with plexapi's attributes."""

from __future__ import annotations

from ._core import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any, NoReturn, Union

    from .item import Item
    from .plexapi import SectionIndex

    # What an item comes from: a section, or a server's library.
    Source = Union[SectionIndex, "Origin"]


class HoldsToken:
    """Base class for objects with plexapi's connection. Pickling fails, because the pickle would contain the token."""

    _instead: str

    def __reduce__(self) -> NoReturn:
        name = type(self).__name__
        raise TypeError(f"cannot pickle or copy a {name}, because it contains the token: {self._instead}")


class Origin:
    """The source of a :class:`LightItem` without a section."""

    __slots__ = ("index", "library", "plex")

    def __init__(self, plex: Any, index: Any, library: Any) -> None:
        """``plex`` is plexapi's server or section; ``library`` is a library that lists the item."""
        self.plex, self.index, self.library = plex, index, library


class _Part:
    __slots__ = ("file",)

    def __init__(self, file: str) -> None:
        self.file = file


class _Media:
    __slots__ = ("parts",)

    def __init__(self, paths: list[str]) -> None:
        self.parts = [_Part(path) for path in paths]


class _Guid:
    __slots__ = ("id",)

    def __init__(self, guid: str) -> None:
        self.id = guid

    def __repr__(self) -> str:
        return f"<Guid:{self.id}>"


class Facts:
    """An item's fields from the store, under the names in an :class:`Item`."""

    __slots__ = ("all", "guid", "key", "kind", "rating_key", "title", "year")
    key_only = False

    def __init__(self, facts: dict[str, Any]) -> None:
        self.all = facts
        self.key, self.rating_key, self.kind = facts["key"], facts["rating_key"], facts["kind"]
        self.title, self.year, self.guid = facts.get("title", ""), facts.get("year"), facts.get("guid")

    def describe(self) -> str:
        """Returns a one-line description for people."""
        return str(self.title or self.key)


# Attributes of plexapi's items, each with its name in ``Item``.
_KNOWN = {
    "librarySectionTitle": "library",
    "grandparentTitle": "show_title",
    "parentIndex": "season",
    "index": "episode",
}
_OF_ALL = ("librarySectionTitle",)
_NUMBERED = ("episode", "track")


class LightItem(HoldsToken):
    """An item from the index with plexapi's attributes. The first use of any other attribute fetches the plexapi
    object: see :meth:`full`.
    """

    _instead = "pickle its `key`, and call SectionIndex.light() with the key"

    def __init__(self, section: Source, item: Item | Facts) -> None:
        self._light_section, self._light_item = section, item
        self._light_facts: dict[str, Any] | None = item.all if isinstance(item, Facts) else None
        self._light_full: Any = None
        self.key = item.key
        """Plex's address of the item."""
        rating_key = item.rating_key
        self.ratingKey = int(rating_key) if rating_key.isascii() and rating_key.isdigit() else rating_key
        """Plex's rating key: an int if it is a number."""

    def _facts(self) -> dict[str, Any] | None:
        if self._light_facts is None and self._light_full is None:
            section = self._light_section
            self._light_facts = section.library._listed_facts(self._light_item.rating_key)
        return self._light_facts

    def _known(self, name: str, value: Any) -> Any:
        """Returns a value from the index, or from the plexapi object if the index knows only the key."""
        return getattr(self.full(), name) if self._light_item.key_only or self._light_full is not None else value

    @property
    def title(self) -> str | None:
        """Title; for an episode, the episode title."""
        return self._known("title", self._light_item.title)  # type: ignore[no-any-return]

    @property
    def type(self) -> str:
        """``"movie"``, ``"episode"``, ``"track"``, ``"clip"`` or ``"photo"``."""
        return self._known("type", self._light_item.kind)  # type: ignore[no-any-return]

    @property
    def year(self) -> int | None:
        """Year."""
        return self._known("year", self._light_item.year)  # type: ignore[no-any-return]

    @property
    def guid(self) -> str | None:
        """Scalar GUID."""
        return self._known("guid", self._light_item.guid)  # type: ignore[no-any-return]

    @property
    def guids(self) -> list[Any]:
        """External IDs: objects with an ``id``, such as ``imdb://tt1254207``."""
        facts = self._facts()
        return self.full().guids if facts is None else [_Guid(guid) for guid in facts["guids"]]

    @property
    def locations(self) -> list[str]:
        """The paths of the item's files, in the server's spelling."""
        facts = self._facts()
        return self.full().locations if facts is None else list(facts["paths"])

    @property
    def media(self) -> list[Any]:
        """One medium with all files, such as ``media[0].parts[0].file``. Only the plexapi object groups files by
        medium.
        """
        facts = self._facts()
        if facts is None:
            return self.full().media  # type: ignore[no-any-return]
        return [_Media(facts["paths"])] if facts["paths"] else []

    def full(self) -> Any:
        """Returns the plexapi object. The first call sends one request. A 404 invalidates the item in the index."""
        if self._light_full is None:
            section = self._light_section
            try:
                self._light_full = section.plex.fetchItem(self.key)
            except Exception as error:
                if type(error).__name__ == "NotFound":
                    section.index.invalidate_item(self._light_item.rating_key, section.library)
                raise
        return self._light_full

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        known = _KNOWN.get(name)
        if known is not None and self._light_full is None and (name in _OF_ALL or self.type in _NUMBERED):
            value = getattr(self._light_item, known, None)
            if value is not None:
                return value
        return getattr(self.full(), name)

    def __eq__(self, other: object) -> bool:
        # plexapi's own objects hash their text, so they cannot be equal to this object.
        return self.key == other.key if isinstance(other, LightItem) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.key)

    def __repr__(self) -> str:
        return f"<plexindex.LightItem {self._light_item.describe()!r} {self.key}>"
