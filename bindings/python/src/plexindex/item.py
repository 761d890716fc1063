"""Items in answers."""

from __future__ import annotations

import plexindex

from ._core import TYPE_CHECKING
from ._core import abi as c
from ._core.convert import text_of
from ._core.record import Field
from .errors import Error
from .media import Media, media_of

if TYPE_CHECKING:
    from typing import Any

    from ._core.selection import Selection


def _known(name: str, text: str) -> Any:
    """Returns the property for a field that each answer contains, with its docstring; None if it is unknown."""
    return property(lambda item: item._facts.get(name), doc=text)


def _listed(name: str, text: str) -> Any:
    """Returns the property for a field of the listed item, with its docstring."""
    return property(lambda item: item._listed().get(name), doc=text)


class NoIndexError(Error, AttributeError):
    """A pickled item does not have this field, so ``hasattr`` answers False."""


# The keys of `to_dict`, which are those of an item in JSON.
_NAMES = ("key", "rating_key", "title", "kind", "year", "show_title", "show_rating_key", "season", "episode", "guid",
          "show_guid", "library", "section", "path")  # fmt: skip


class Item:
    """One item of a library: a movie, episode, track, clip or photo; in a :class:`FolderMatch` also a show, season,
    artist or album. An unknown field is None.

    Items are equal if all their fields except :attr:`path` are equal. Items can be pickled, and can be keys of a dict.
    """

    __slots__ = ("_facts", "_light", "_source")

    def __init__(self, facts: dict[str, Any], source: Selection | None = None) -> None:
        self._facts = facts
        self._source = source
        self._light: plexindex.LightItem | None = None

    key: Field[str] = _known("key", "Plex's address of the item, ``/library/metadata/<rating key>``.")
    rating_key: Field[str] = _known("rating_key", "Plex's rating key: an opaque string.")

    @property
    def ratingKey(self) -> int | str:  # noqa: N802 - plexapi's name
        """The rating key as in plexapi: an int if the key is a number."""
        key = self.rating_key
        return int(key) if key.isascii() and key.isdigit() else key

    title: Field[str | None] = _known("title", "Title; for an episode, the episode title.")

    @property
    def kind(self) -> plexindex.types.Kind:
        """``"movie"``, ``"episode"``, ``"track"``, ``"clip"``, ``"photo"``, or ``"unknown"``; in a :class:`FolderMatch`
        also ``"show"``, ``"season"``, ``"artist"`` and ``"album"``.
        """
        kind = self._facts.get("kind")
        return "unknown" if kind in (None, "other") else kind

    year: Field[int | None] = _known("year", "Year.")
    guid: Field[str | None] = _known("guid", "Scalar GUID, such as ``plex://movie/…``.")
    show_title: Field[str | None] = _known("show_title", "Title of the show or, for a track or album, the artist.")
    show_rating_key: Field[str | None] = _known("show_rating_key", "Rating key of the show or artist.")
    show_guid: Field[str | None] = _known("show_guid", "Scalar GUID of the show or artist.")
    season: Field[int | None] = _known(
        "season",
        """Number of the season or, for a track, the disc. For a show in a :class:`FolderMatch`, the season of all
    episodes below the folder, if the server does not report the season's key.
    """,
    )
    episode: Field[int | None] = _known("episode", "Number of the episode or track.")
    library_title: Field[str | None] = _known("library", "Title of the item's library.")
    section: Field[str | None] = _known("section", "Section id of the item's library.")

    @property
    def trashed(self) -> bool:
        """Whether the item is in the server's trash: only for the items that ``trashed=True`` asks for."""
        return bool(self._facts.get("trashed"))

    @property
    def path(self) -> str | None:
        """The listed path that matched, in the server's spelling; for a confirmed match, the recorded path.

        ``surrogateescape`` decodes bytes that are not UTF-8, and ``os.fsencode`` reverses the decoding.
        """
        path = self._facts.get("path") or (self._facts.get("paths") or (None,))[0]
        return text_of(path)

    @property
    def host_path(self) -> str | None:
        """The path of :attr:`path` on this machine, according to the mappings. Without a matching rule, the path
        itself. Sends no request. None without a path.
        """
        path = self.path
        return None if path is None else self._known_source().host_path_of(path)

    @property
    def paths(self) -> tuple[str, ...]:
        """The paths of all the item's files (every version and part), in the server's spelling.

        An answer does not contain this field and the fields below. Their first use reads the item from the index, which
        must be open, and sends no request. An item that you pickle before that does not have these fields.
        """
        known = self._listed().get("paths")
        if known is None:
            return (self.path,) if self.path else ()  # not listed: only the recorded path is known
        return tuple(text_of(path) or "" for path in known)

    @property
    def media(self) -> tuple[Media, ...]:
        """The item's versions, with their files. Empty if Plex was not asked about files."""
        return media_of(self._listed(), self.paths)

    @property
    def guids(self) -> tuple[str, ...]:
        """External IDs, such as ``imdb://tt1254207``."""
        return tuple(self._listed().get("guids") or ())

    season_key: Field[str | None] = _listed("season_rating_key", "Rating key of the season or album.")
    season_title: Field[str | None] = _listed("season_title", "Title of the season or album.")
    season_guid: Field[str | None] = _listed("season_guid", "GUID of the season or album.")
    edition: Field[str | None] = _listed("edition", "Title of the edition.")
    added_at: Field[int | None] = _listed("added_at", "When Plex added the item, in Unix seconds.")

    @property
    def duration(self) -> float | None:
        """Duration in seconds."""
        milliseconds = self._listed().get("duration_ms")
        return None if milliseconds is None else milliseconds / 1000

    @property
    def light(self) -> plexindex.LightItem | None:
        """The item with plexapi's attributes: always the same object, so that at most one request fetches plexapi's.
        Sends no request itself. None for a pickled item, and if neither :func:`plexindex.from_server` nor
        :func:`plexindex.from_section` created the index.
        """
        if self._light is None and self._source is not None:
            self._light = self._source.light_of(self)
        return self._light

    @property
    def key_only(self) -> bool:
        """Whether the index knows only the key, because the match is confirmed but no listing contains the item."""
        return bool(self._facts.get("flags", 0) & c.ITEM_KEY_ONLY)

    def _listed(self) -> dict[str, Any]:
        """Returns the fields of the listed item, which are empty if no listing has it."""
        facts = self._facts
        if "paths" in facts:
            return facts
        if "listed" not in facts:
            facts["listed"] = self._known_source().facts_of(self) or {}
        return facts["listed"]  # type: ignore[no-any-return]

    def _known_source(self) -> Selection:
        if self._source is None:
            raise NoIndexError(f"a pickled item has no index that knows more of {self.key}: use Index.item_facts()")
        return self._source

    def describe(self) -> str:
        """Returns a one-line description for people, or the key if the title is unknown.

        Examples: ``Show – S01E02 – Title``, ``Artist – 1-02 – Title`` (disc and track), ``Title (1999)``.

        >>> item.describe()
        'Sintel (2010)'
        """
        title = self.title
        if title is None:
            return self.key
        if self.kind == "show" and self.season is not None:
            return f"{title} – Season {self.season}"
        if self.show_title is not None:
            season, episode = self.season, self.episode
            number = None
            if season is not None and episode is not None:
                number = f"{season}-{episode:02d}" if self.kind == "track" else f"S{season:02d}E{episode:02d}"
            return " – ".join(part for part in (self.show_title, number, title) if part)
        return f"{title} ({self.year})" if self.year else title

    def to_dict(self) -> dict[str, object]:
        """Returns all fields by their names in JSON: ``library`` is the :attr:`library_title`.

        >>> item.to_dict()["title"]
        'Sintel'
        """
        own: dict[str, object] = {"kind": self.kind, "path": self.path}
        return {name: own.get(name, self._facts.get(name)) for name in _NAMES}

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Item):
            return NotImplemented
        return {**self.to_dict(), "path": None} == {**other.to_dict(), "path": None}

    def __hash__(self) -> int:
        return hash(self.key)

    def __copy__(self, _memo: object = None) -> Item:
        return Item(self._facts, self._source)

    __deepcopy__ = __copy__

    def __reduce__(self) -> tuple[object, ...]:
        return Item, (self._facts,)  # without the index

    def __repr__(self) -> str:
        return f"<plexindex.Item {self.key} {self.describe()!r}>"
