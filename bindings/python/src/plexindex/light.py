"""Items from the index with plexapi's attributes."""

from __future__ import annotations

from types import SimpleNamespace

import plexindex

from ._core import TYPE_CHECKING, Any, Callable, Iterable, NoReturn
from .errors import NotOnServerError
from .media import Media, MediaPart, media_of

if TYPE_CHECKING:
    from ._core.selection import Selection
    from .item import Item

# Attributes of plexapi's items, each with its name in ``Item``.
_OF_ALL = {"title": "title", "type": "kind", "year": "year", "guid": "guid"}
_NUMBERED = {"grandparentTitle": "show_title", "parentIndex": "season", "index": "episode"}
_IF_KNOWN = {"librarySectionTitle": "library_title", **_NUMBERED}


class _Known:
    """What the index knows of a version or a part. Other attributes are those of plexapi's object."""

    def __init__(self, full: Callable[[], Any], **known: object) -> None:
        vars(self).update({name: value for name, value in known.items() if value is not None}, _full=full)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self._full(), name)


class LightItem:
    """An item from the index with plexapi's attributes. The first use of any other attribute fetches the plexapi
    object: see :meth:`full`.
    """

    title: str | None
    """Title; for an episode, the episode title."""
    type: str
    """``"movie"``, ``"episode"``, ``"track"``, ``"clip"`` or ``"photo"``."""
    year: int | None
    """Year."""
    guid: str | None
    """Scalar GUID."""

    def __init__(self, plex: Any, selection: Selection, item: Item, facts: dict[str, Any] | None = None) -> None:
        """``plex`` is plexapi's server or section; ``selection`` has the item; ``facts`` are the stored fields."""
        self._light_plex, self._light_selection, self._light_item = plex, selection, item
        self._light_facts = facts
        self._light_full: Any = None
        self.key: str = item.key
        """Plex's address of the item."""
        self.ratingKey: int | str = item.ratingKey
        """Plex's rating key: an int if it is a number."""

    def _facts(self) -> dict[str, Any] | None:
        if self._light_facts is None and self._light_full is None:
            self._light_facts = self._light_selection.listed_facts(self._light_item.rating_key)
        return self._light_facts

    @property
    def guids(self) -> list[plexindex.types.Untyped]:
        """External IDs: objects with an ``id``, such as ``imdb://tt1254207``."""
        facts = self._facts()
        return self.full().guids if facts is None else [SimpleNamespace(id=guid) for guid in facts["guids"]]

    @property
    def locations(self) -> list[str]:
        """The paths of the item's files, in the server's spelling."""
        facts = self._facts()
        return self.full().locations if facts is None else list(facts["paths"])

    @property
    def media(self) -> list[plexindex.types.Untyped]:
        """The item's versions, such as ``media[0].parts[0].file``, with plexapi's attributes: the index has a version's
        ``id``, ``videoResolution``, ``container`` and ``duration``, and a part's ``id``, ``file`` and ``size``.
        """
        facts = self._facts()
        if facts is None or not facts.get("media"):
            return self.full().media  # type: ignore[no-any-return]
        return [self._medium(one) for one in media_of(facts, self.locations)]

    def _medium(self, one: Media) -> _Known:
        """Returns a version of the item. ``plexapi`` knows versions and parts by their ids."""

        def full() -> Any:
            return self._with_id(self.full().media, one.media_id)

        def known(part: MediaPart) -> _Known:
            return _Known(
                lambda: self._with_id(full().parts, part.part_id), id=part.part_id, file=part.path, size=part.size
            )

        duration = None if one.duration is None else round(one.duration * 1000)
        given = {"id": one.media_id, "videoResolution": one.resolution, "container": one.container}
        return _Known(full, parts=[known(part) for part in one.parts], duration=duration, **given)

    def _with_id(self, theirs: Iterable[Any], own: int | None) -> Any:
        for one in theirs:
            if one.id == own:
                return one
        self._doubt()
        raise NotOnServerError(f"the server no longer has version or part {own} of {self.key}: look up the file again")

    def full(self) -> plexindex.types.Untyped:
        """Returns the plexapi object. The first call sends one request. After a 404, the next lookup of the item asks
        the server, which may have answered through a proxy.

        >>> with plexindex.from_server(server, cache_dir) as index:
        ...     index.match("/films/Sintel (2010).mkv").light.full().year
        2010
        """
        if self._light_full is None:
            try:
                self._light_full = self._light_plex.fetchItem(self.key)
            except Exception as error:
                if type(error).__name__ == "NotFound":
                    self._doubt()
                raise
        return self._light_full

    def _doubt(self) -> None:
        """Makes the next lookup of the item ask the server."""
        item = self._light_item
        self._light_selection.note_items(item.section, [item.rating_key])

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        item = self._light_item
        if self._light_full is None and not item.key_only:
            if name in _OF_ALL:
                return getattr(item, _OF_ALL[name])
            if name in _IF_KNOWN and (name not in _NUMBERED or item.kind in ("episode", "track")):
                value = getattr(item, _IF_KNOWN[name])
                if value is not None:
                    return value
        return getattr(self.full(), name)

    def __eq__(self, other: object) -> bool:
        # plexapi's own objects hash their text, so they cannot be equal to this object.
        return self.key == other.key if isinstance(other, LightItem) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.key)

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            "cannot pickle or copy a LightItem, because it contains the token: pickle its `key`, and call "
            "SectionIndex.light() with the key"
        )

    def __repr__(self) -> str:
        return f"<plexindex.LightItem {self._light_item.describe()!r} {self.key}>"
