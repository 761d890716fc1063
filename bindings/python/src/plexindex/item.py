"""Items in answers, and the shows and seasons of a library, or its artists and albums."""

from __future__ import annotations

import plexindex

from ._core import TYPE_CHECKING, Any, Record
from ._core import abi as c
from ._core.convert import text_of
from .errors import Error
from .media import Media, media_of

if TYPE_CHECKING:
    from ._core.selection import Selection


class NoIndexError(Error, AttributeError):
    """A pickled item does not have this field, so ``hasattr`` answers False."""


# The keys of `to_dict`, which are those of an item in JSON.
_NAMES = ("key", "rating_key", "title", "kind", "year", "show_title", "show_rating_key", "season", "episode", "guid",
          "show_guid", "library", "section", "path")  # fmt: skip


class Item:
    """One item of a library: a movie, episode, track, clip or photo; in a :class:`FolderMatch` also a show, season,
    artist or album. An unknown field is None.

    Items are equal if all fields of :meth:`to_dict` but :attr:`path` are equal. Items can be pickled, and can be keys
    of a dict.
    """

    __slots__ = ("_facts", "_light", "_source")

    def __init__(self, facts: dict[str, Any], source: Selection | None = None) -> None:
        self._facts = facts
        self._source = source
        self._light: plexindex.LightItem | None = None

    @property
    def key(self) -> str:
        """Plex's address of the item, ``/library/metadata/<rating key>``."""
        return self._facts["key"]  # type: ignore[no-any-return]

    @property
    def rating_key(self) -> str:
        """Plex's rating key: an opaque string."""
        return self._facts["rating_key"]  # type: ignore[no-any-return]

    @property
    def ratingKey(self) -> int | str:  # noqa: N802 - plexapi's name
        """The rating key as in plexapi: an int if the key is a number."""
        key = self.rating_key
        return int(key) if key.isascii() and key.isdigit() else key

    @property
    def title(self) -> str | None:
        """Title; for an episode, the episode title."""
        return self._facts.get("title")

    @property
    def kind(self) -> plexindex.types.Kind:
        """``"movie"``, ``"episode"``, ``"track"``, ``"clip"``, ``"photo"``, or ``"unknown"``; in a :class:`FolderMatch`
        also ``"show"``, ``"season"``, ``"artist"`` and ``"album"``.
        """
        kind = self._facts.get("kind")
        return "unknown" if kind in (None, "other") else kind

    @property
    def year(self) -> int | None:
        """Year."""
        return self._facts.get("year")

    @property
    def guid(self) -> str | None:
        """Scalar GUID, such as ``plex://movie/…``."""
        return self._facts.get("guid")

    @property
    def show_title(self) -> str | None:
        """Title of the show or, for a track or album, the artist."""
        return self._facts.get("show_title")

    @property
    def show_rating_key(self) -> str | None:
        """Rating key of the show or artist."""
        return self._facts.get("show_rating_key")

    @property
    def show_guid(self) -> str | None:
        """Scalar GUID of the show or artist."""
        return self._facts.get("show_guid")

    @property
    def season(self) -> int | None:
        """Number of the season or, for a track, the disc. For a show in a :class:`FolderMatch`, the season of all
        episodes below the folder, if the server does not report the season's key.
        """
        return self._facts.get("season")

    @property
    def episode(self) -> int | None:
        """Number of the episode or track."""
        return self._facts.get("episode")

    @property
    def library_title(self) -> str | None:
        """Title of the item's library."""
        return self._facts.get("library")

    @property
    def section(self) -> str | None:
        """Section id of the item's library."""
        return self._facts.get("section")

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

    @property
    def season_key(self) -> str | None:
        """Rating key of the season or album."""
        return self._listed().get("season_rating_key")

    @property
    def season_title(self) -> str | None:
        """Title of the season or album."""
        return self._listed().get("season_title")

    @property
    def season_guid(self) -> str | None:
        """GUID of the season or album."""
        return self._listed().get("season_guid")

    @property
    def edition(self) -> str | None:
        """Title of the edition."""
        return self._listed().get("edition")

    @property
    def added_at(self) -> int | None:
        """When Plex added the item, in Unix seconds."""
        return self._listed().get("added_at")

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
        """Returns the fields that each answer contains, by their names in JSON: ``library`` is :attr:`library_title`.

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


class Show(Record):
    """A show or artist. An unknown field is None. Plex lists no year and no external IDs of shows with the episodes."""

    rating_key: str
    """Rating key of the show or artist."""
    title: str | None
    """Title."""
    guid: str | None
    """GUID, such as ``plex://show/…``."""
    items: int
    """Number of listed episodes or tracks."""


class Season(Record):
    """A season or album. An unknown field is None."""

    rating_key: str
    """Rating key of the season or album."""
    show_rating_key: str | None
    """Rating key of the show or artist."""
    number: int | None
    """Number of the season; 0 is 'Specials'. None for an album."""
    title: str | None
    """Title."""
    guid: str | None
    """GUID, such as ``plex://season/…``."""
    items: int
    """Number of listed episodes or tracks."""
