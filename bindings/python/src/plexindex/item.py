"""Items in answers."""

from ._core import constants as c

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Protocol

    from ._core.light import LightItem
    from ._core.types import Kind

    class Asked(Protocol):
        """An index, which knows more about an item than an answer contains."""

        def _light_of(self, item: "Item") -> "LightItem | None": ...
        def _paths_of(self, item: "Item") -> tuple[str, ...]: ...


# The fields of plexindex_item, in four-byte words: the offset and length of each string, and then the numbers.
TEXTS = ("key", "rating_key", "title", "guid", "show_title", "show_rating_key", "show_guid", "path", "section",
         "library")  # fmt: skip
NUMBERS = ("kind", "year", "season", "episode", "flags")


_PLACES = {**{name: 2 * number for number, name in enumerate(TEXTS)}, **dict(zip(NUMBERS, range(2 * len(TEXTS), 99)))}
_UNKNOWN = {"year": 0, "season": -1, "episode": -1}


class BlockFacts(dict):  # type: ignore[type-arg]
    """An item's fields in a block, by their JSON names. Decodes each field on first use."""

    __slots__ = ("_block", "_offset", "_words")

    def __init__(self, block: "bytes | bytearray", words: "memoryview[int]", offset: int) -> None:
        self._block, self._words, self._offset = block, words, offset

    def __missing__(self, name: str) -> "Any":
        place = _PLACES.get(name)
        if place is None:
            return None
        value: Any = self._words[self._offset + place]
        if name in TEXTS:
            length = self._words[self._offset + place + 1]
            value = self._block[value : value + length].decode("utf-8", "surrogateescape") if value else None
        elif name == "kind":
            value = c.KINDS.get(value)
        elif value == _UNKNOWN.get(name):
            value = None
        self[name] = value
        return value

    def get(self, name: str, _default: "Any" = None) -> "Any":
        """Returns a field, or None if the block does not contain the field."""
        return self[name]


# The keys of `to_dict`.
_ITEM = ("key", "rating_key", "title", "kind", "year", "show_title", "show_rating_key", "season", "episode", "guid",
         "show_guid", "library", "section", "path")  # fmt: skip


def _fact(name: str, description: str) -> "Any":
    return property(lambda item: item._facts.get(name), doc=description)


class Item:
    """One item of a library: a movie, episode, track, clip or photo; in a :class:`Folder` also a show, season, artist
    or album. An unknown field is None.

    Items are equal if all their fields except :attr:`path` are equal. Items can be pickled, and can be keys of a dict.
    """

    __slots__ = ("_asked", "_facts")

    def __init__(self, facts: "dict[str, Any]", asked: "Asked | None" = None) -> None:
        self._facts, self._asked = facts, asked

    key: str = _fact("key", "Plex's address of the item, ``/library/metadata/<rating key>``.")
    rating_key: str = _fact("rating_key", "Plex's rating key: an opaque string.")
    title: "str | None" = _fact("title", "Title; for an episode, the episode title.")
    year: "int | None" = _fact("year", "Year.")
    guid: "str | None" = _fact("guid", "Scalar GUID, such as ``plex://movie/…``.")
    show_title: "str | None" = _fact("show_title", "Title of the show or, for a track or album, the artist.")
    show_rating_key: "str | None" = _fact("show_rating_key", "Rating key of the show or artist.")
    show_guid: "str | None" = _fact("show_guid", "Scalar GUID of the show or artist.")
    episode: "int | None" = _fact("episode", "Number of the episode or track.")
    section: "str | None" = _fact("section", "Section id of the item's library.")
    library: "str | None" = _fact("library", "Title of the item's library.")
    season: "int | None" = _fact(
        "season",
        "Number of the season or, for a track, the disc. For a show in a :class:`Folder`, the season of all episodes "
        "below the folder, if the server does not report the season's key.",
    )

    @property
    def ratingKey(self) -> "int | str":  # noqa: N802
        """The rating key as in plexapi: an int if the key is a number."""
        key = self.rating_key
        return int(key) if key.isascii() and key.isdigit() else key

    @property
    def kind(self) -> "Kind":
        """``"movie"``, ``"episode"``, ``"track"``, ``"clip"``, ``"photo"``, or ``"unknown"``; in a :class:`Folder` also
        ``"show"``, ``"season"``, ``"artist"`` and ``"album"``.
        """
        kind = self._facts.get("kind")
        return "unknown" if kind in (None, "other") else kind

    @property
    def path(self) -> "str | None":
        """The listed path that matched, in the server's spelling; for a confirmed match, the recorded path.

        ``surrogateescape`` decodes bytes that are not UTF-8, and ``os.fsencode`` reverses the decoding.
        """
        path = self._facts.get("path")
        if isinstance(path, dict):
            from ._core.call import text_of

            path = self._facts["path"] = text_of(path)
        elif path is None and self._facts.get("paths"):
            path = self._facts["paths"][0]
        return path

    @property
    def paths(self) -> "tuple[str, ...]":
        """The paths of all the item's files (every version and part), in the server's spelling. Sends no request.

        The index must be open on the first use. If you pickle an item before the first use, the pickled item has no
        paths.
        """
        known: list[str] | None = self._facts.get("paths")
        if known is not None:
            return tuple(known)
        if self._asked is None:
            from . import Error

            raise Error(f"a pickled item does not contain the paths of {self.key}: call Index.item_facts()")
        return self._asked._paths_of(self)

    @property
    def light(self) -> "LightItem | None":
        """The item with plexapi's attributes. Sends no request. None for a pickled item, and if neither
        :func:`plexindex.from_server` nor :func:`plexindex.from_section` created the index.
        """
        return None if self._asked is None else self._asked._light_of(self)

    @property
    def key_only(self) -> bool:
        """Whether the index knows only the key, because the match is confirmed but no listing contains the item."""
        return bool((self._facts.get("flags") or 0) & c.ITEM_KEY_ONLY)

    def describe(self) -> str:
        """Returns a one-line description for people, or the key if the title is unknown.

        Examples: ``Show – S01E02 – Title``, ``Artist – 1-02 – Title`` (disc and track), ``Title (1999)``.
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

    def to_dict(self) -> "dict[str, object]":
        """Returns all fields by name, as JSON values."""
        return {name: getattr(self, name) for name in _ITEM}

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Item):
            return NotImplemented
        return {**self.to_dict(), "path": None} == {**other.to_dict(), "path": None}

    def __hash__(self) -> int:
        return hash(self.key)

    def __getstate__(self) -> "tuple[None, dict[str, object]]":
        # The pickle does not contain the index.
        return None, {"_facts": {name: self._facts.get(name) for name in (*_PLACES, "paths")}, "_asked": None}

    def __repr__(self) -> str:
        return f"<plexindex.Item {self.key} {self.describe()!r}>"
