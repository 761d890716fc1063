"""Items in answers."""

from __future__ import annotations

import plexindex

from ._core import TYPE_CHECKING, importing
from ._core import abi as c
from ._core.convert import PLACES, ReadOnly, text_of

if TYPE_CHECKING:
    from typing import Any, Literal

    from ._core.selection import Selection
    from .types import Kind

    ItemSource = Selection  # what knows more about an item than an answer contains


def _field(name: str, doc: str) -> ReadOnly[Any]:
    return ReadOnly(lambda item: item._facts.get(name), doc)


def _listed_field(name: str, doc: str) -> ReadOnly[Any]:
    return ReadOnly(lambda item: item._listed(name).get(name), doc)


# The keys of `to_dict`.
_NAMES = ("key", "rating_key", "title", "kind", "year", "show_title", "show_rating_key", "season", "episode", "guid",
          "show_guid", "library", "section", "path")  # fmt: skip

# The fields that only listed items have, by their names in a JSON answer.
_LISTED = ("added_at", "duration_ms", "edition", "guids", "listed", "media", "paths", "season_guid",
           "season_rating_key", "season_title", "trashed")  # fmt: skip


class Item:
    """One item of a library: a movie, episode, track, clip or photo; in a :class:`FolderMatch` also a show, season,
    artist or album. An unknown field is None.

    Items are equal if all their fields except :attr:`path` are equal. Items can be pickled, and can be keys of a dict.
    """

    __slots__ = ("_facts", "_source")

    def __init__(self, facts: dict[str, Any], source: ItemSource | None = None) -> None:
        self._facts, self._source = facts, source

    key: ReadOnly[str] = _field("key", "Plex's address of the item, ``/library/metadata/<rating key>``.")
    rating_key: ReadOnly[str] = _field("rating_key", "Plex's rating key: an opaque string.")

    @property
    def ratingKey(self) -> int | str:  # noqa: N802 - plexapi's name
        """The rating key as in plexapi: an int if the key is a number."""
        key = self.rating_key
        return int(key) if key.isascii() and key.isdigit() else key

    title: ReadOnly[str | None] = _field("title", "Title; for an episode, the episode title.")

    @property
    def kind(self) -> plexindex.types.Kind:
        """``"movie"``, ``"episode"``, ``"track"``, ``"clip"``, ``"photo"``, or ``"unknown"``; in a :class:`FolderMatch`
        also ``"show"``, ``"season"``, ``"artist"`` and ``"album"``.
        """
        kind: Kind | Literal["other"] = self._facts.get("kind") or "other"
        return "unknown" if kind == "other" else kind

    year: ReadOnly[int | None] = _field("year", "Year.")
    guid: ReadOnly[str | None] = _field("guid", "Scalar GUID, such as ``plex://movie/…``.")
    show_title: ReadOnly[str | None] = _field("show_title", "Title of the show or, for a track or album, the artist.")
    show_rating_key: ReadOnly[str | None] = _field("show_rating_key", "Rating key of the show or artist.")
    show_guid: ReadOnly[str | None] = _field("show_guid", "Scalar GUID of the show or artist.")

    @property
    def season(self) -> int | None:
        """Number of the season or, for a track, the disc. For a show in a :class:`FolderMatch`, the season of all
        episodes below the folder, if the server does not report the season's key.
        """
        return self._facts.get("season")

    episode: ReadOnly[int | None] = _field("episode", "Number of the episode or track.")
    library: ReadOnly[str | None] = _field("library", "Title of the item's library.")
    section: ReadOnly[str | None] = _field("section", "Section id of the item's library.")

    @property
    def trashed(self) -> bool:
        """Whether the item is in the server's trash: only for the items that ``trashed=True`` asks for."""
        return bool(self._facts.get("trashed"))

    @property
    def path(self) -> str | None:
        """The listed path that matched, in the server's spelling; for a confirmed match, the recorded path.

        ``surrogateescape`` decodes bytes that are not UTF-8, and ``os.fsencode`` reverses the decoding.
        """
        path = self._facts.get("path")
        if isinstance(path, dict):
            path = self._facts["path"] = text_of(path)
        elif path is None and self._facts.get("paths"):
            path = self.paths[0]
        return path

    @property
    def host_path(self) -> str | None:
        """The path of :attr:`path` on this machine, according to the mappings. Without a matching rule, the path
        itself. Sends no request. None without a path.
        """
        path = self.path
        return None if path is None else self._known_source("host_path").host_path_of(path)

    @property
    def paths(self) -> tuple[str, ...]:
        """The paths of all the item's files (every version and part), in the server's spelling.

        An answer does not contain this field and the fields below. Their first use reads the item from the index, which
        must be open, and sends no request. An item that you pickle before that does not have these fields.
        """
        facts = self._listed("paths")
        known = facts.get("paths")
        if known is None:
            return (self.path,) if self.path else ()  # not listed: only the recorded path is known
        if any(isinstance(path, dict) for path in known):
            known = facts["paths"] = [text_of(path) for path in known]
        return tuple(known)

    @property
    def media(self) -> tuple[plexindex.Media, ...]:
        """The item's versions, with their files. Empty if Plex was not asked about files."""
        with importing:
            from .media import media_of

        return media_of(self._listed("media"), self.paths)

    guids: ReadOnly[tuple[str, ...]] = ReadOnly(
        lambda item: tuple(item._listed("guids").get("guids") or ()), "External IDs, such as ``imdb://tt1254207``."
    )
    season_key: ReadOnly[str | None] = _listed_field("season_rating_key", "Rating key of the season or album.")
    season_title: ReadOnly[str | None] = _listed_field("season_title", "Title of the season or album.")
    season_guid: ReadOnly[str | None] = _listed_field("season_guid", "GUID of the season or album.")
    edition: ReadOnly[str | None] = _listed_field("edition", "Title of the edition.")
    added_at: ReadOnly[int | None] = _listed_field("added_at", "When Plex added the item, in Unix seconds.")

    @property
    def duration(self) -> float | None:
        """Duration in seconds."""
        with importing:
            from .media import seconds

        return seconds(self._listed("duration").get("duration_ms"))

    @property
    def light(self) -> plexindex.LightItem | None:
        """The item with plexapi's attributes. Sends no request. None for a pickled item, and if neither
        :func:`plexindex.from_server` nor :func:`plexindex.from_section` created the index.
        """
        return None if self._source is None else self._source.light_of(self)

    @property
    def key_only(self) -> bool:
        """Whether the index knows only the key, because the match is confirmed but no listing contains the item."""
        return bool((self._facts.get("flags") or 0) & c.ITEM_KEY_ONLY)

    def _listed(self, name: str) -> dict[str, Any]:
        """Returns the fields of the listed item, which are empty if no listing has it. ``name`` is for the error."""
        facts = self._facts
        if facts.get("paths") is not None:
            return facts
        known: dict[str, Any] | None = facts.get("listed")
        if known is None:
            known = facts["listed"] = self._known_source(name).facts_of(self) or {}
        return known

    def _known_source(self, name: str) -> ItemSource:
        if self._source is None:
            raise plexindex.Error(
                f"a pickled item has no index that knows the {name} of {self.key}: use Index.item_facts()"
            )
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
        """Returns all fields by name, as JSON values.

        >>> item.to_dict()["title"]
        'Sintel'
        """
        return {name: getattr(self, name) for name in _NAMES}

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Item):
            return NotImplemented
        return {**self.to_dict(), "path": None} == {**other.to_dict(), "path": None}

    def __hash__(self) -> int:
        return hash(self.key)

    def __copy__(self, _memo: object = None) -> Item:
        return Item(self._facts, self._source)

    __deepcopy__ = __copy__

    def __getstate__(self) -> tuple[None, dict[str, object]]:
        # The pickle does not contain the index.
        return None, {"_facts": {name: self._facts.get(name) for name in (*PLACES, *_LISTED)}, "_source": None}

    def __repr__(self) -> str:
        return f"<plexindex.Item {self.key} {self.describe()!r}>"
