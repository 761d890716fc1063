"""Items: what an answer tells of them."""

from . import _constants as c

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Protocol

    from ._light import LightItem
    from ._types import Kind

    class Asked(Protocol):
        """An index that knows more about an item than the answer holds."""

        def _light_of(self, item: "Item") -> "LightItem | None": ...
        def _paths_of(self, item: "Item") -> tuple[str, ...]: ...


# plexindex_item, in words of four bytes: place and length of each text, then numbers.
TEXTS = ("key", "rating_key", "title", "guid", "show_title", "show_rating_key", "show_guid", "path", "section",
         "library")  # fmt: skip
NUMBERS = ("kind", "year", "season", "episode", "flags")


_PLACES = {**{name: 2 * at for at, name in enumerate(TEXTS)}, **dict(zip(NUMBERS, range(2 * len(TEXTS), 99)))}
_UNKNOWN = {"year": 0, "season": -1, "episode": -1}


class BlockFacts(dict):  # type: ignore[type-arg]
    """The facts of an item in a block, by the names that they have in JSON. Each is read at its first use."""

    __slots__ = ("_at", "_block", "_words")

    def __init__(self, block: "bytes | bytearray", words: "memoryview[int]", at: int) -> None:
        self._block, self._words, self._at = block, words, at

    def __missing__(self, name: str) -> "Any":
        place = _PLACES.get(name)
        if place is None:
            return None
        value: Any = self._words[self._at + place]
        if name in TEXTS:
            length = self._words[self._at + place + 1]
            value = self._block[value : value + length].decode("utf-8", "surrogateescape") if value else None
        elif name == "kind":
            value = c.KINDS.get(value)
        elif value == _UNKNOWN.get(name):
            value = None
        self[name] = value
        return value

    def get(self, name: str, _default: "Any" = None) -> "Any":
        """As of any dict; what the block does not have is None."""
        return self[name]


# The keys of `to_dict`.
_ITEM = ("key", "rating_key", "title", "kind", "year", "show_title", "show_rating_key", "season", "episode", "guid",
         "show_guid", "library", "section", "path")  # fmt: skip


class Item:
    """One item of a library: a movie, episode, track, clip or photo; in a :class:`Folder` also a show, season, artist
    or album. What the index does not know is None.

    Items are equal when all that they tell is, whichever of their files was asked for. They can be pickled and be
    keys of a dict.
    """

    __slots__ = ("_asked", "_facts")

    def __init__(self, facts: "dict[str, Any]", asked: "Asked | None" = None) -> None:
        self._facts, self._asked = facts, asked

    @property
    def key(self) -> str:
        """Plex's address of the item, ``/library/metadata/<rating key>``."""
        return self._facts["key"]  # type: ignore[no-any-return]

    @property
    def rating_key(self) -> str:
        """Plex's rating key: an opaque string."""
        return self._facts["rating_key"]  # type: ignore[no-any-return]

    @property
    def ratingKey(self) -> "int | str":  # noqa: N802
        """The rating key as plexapi has it: a number where it is one."""
        key = self.rating_key
        return int(key) if key.isascii() and key.isdigit() else key

    @property
    def title(self) -> "str | None":
        """Title; for an episode the episode's."""
        return self._facts.get("title")

    @property
    def guid(self) -> "str | None":
        """Scalar GUID, such as ``plex://movie/…``."""
        return self._facts.get("guid")

    @property
    def show_title(self) -> "str | None":
        """Title of the show; for a track or album of the artist."""
        return self._facts.get("show_title")

    @property
    def show_rating_key(self) -> "str | None":
        """Rating key of the show or artist."""
        return self._facts.get("show_rating_key")

    @property
    def show_guid(self) -> "str | None":
        """Scalar GUID of the show or artist."""
        return self._facts.get("show_guid")

    @property
    def path(self) -> "str | None":
        """The listed path that fitted, as the server spells it; for a confirmed match the recorded path.

        Bytes that are not UTF-8 are decoded by ``surrogateescape``: ``os.fsencode`` gives them back.
        """
        path = self._facts.get("path")
        if isinstance(path, dict):
            from ._call import text_of

            path = self._facts["path"] = text_of(path)
        elif path is None and self._facts.get("paths"):
            path = self._facts["paths"][0]
        return path

    @property
    def paths(self) -> "tuple[str, ...]":
        """The paths of all its files, every version and part, as the server spells them. Sends no request.

        Those of an answer are read when they are asked for: the index has to be open then, and an item that was pickled
        has none.
        """
        known: list[str] | None = self._facts.get("paths")
        if known is not None:
            return tuple(known)
        if self._asked is None:
            from . import Error

            raise Error(f"the paths of {self.key} are not at hand: it was pickled; ask Index.item_facts()")
        return self._asked._paths_of(self)

    @property
    def light(self) -> "LightItem | None":
        """The item with the names that plexapi has for it, without a request. None where its index was not made by
        :func:`plexindex.from_server` or :func:`plexindex.from_section`, and for an item that was pickled.
        """
        return None if self._asked is None else self._asked._light_of(self)

    @property
    def section(self) -> "str | None":
        """Section id of its library."""
        return self._facts.get("section")

    @property
    def library(self) -> "str | None":
        """Title of its library."""
        return self._facts.get("library")

    @property
    def kind(self) -> "Kind":
        """``"movie"``, ``"episode"``, ``"track"``, ``"clip"``, ``"photo"``, or ``"unknown"``; in a :class:`Folder` also
        ``"show"``, ``"season"``, ``"artist"`` and ``"album"``.
        """
        kind = self._facts.get("kind")
        return "unknown" if kind in (None, "other") else kind

    @property
    def year(self) -> "int | None":
        """Year."""
        return self._facts.get("year")

    @property
    def season(self) -> "int | None":
        """Number of the season; for a track of the disc; for a show in a :class:`Folder` of the season that all
        episodes below it are of, where the server tells no key of it.
        """
        return self._facts.get("season")

    @property
    def episode(self) -> "int | None":
        """Number of the episode or track."""
        return self._facts.get("episode")

    @property
    def key_only(self) -> bool:
        """Only the key is known: a confirmed match of an item that no listing holds."""
        return bool((self._facts.get("flags") or 0) & c.ITEM_KEY_ONLY)

    def describe(self) -> str:
        """One line for people, or the key when no title is known.

        ``Show – S01E02 – Title``, ``Artist – 1-02 – Title`` with disc and track, ``Title (1999)``.
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
        """All fields by name, as JSON values."""
        return {name: getattr(self, name) for name in _ITEM}

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Item):
            return NotImplemented
        return {**self.to_dict(), "path": None} == {**other.to_dict(), "path": None}

    def __hash__(self) -> int:
        return hash(self.key)

    def __getstate__(self) -> "tuple[None, dict[str, object]]":
        # The index is not pickled.
        return None, {"_facts": {name: self._facts.get(name) for name in (*_PLACES, "paths")}, "_asked": None}

    def __repr__(self) -> str:
        return f"<plexindex.Item {self.key} {self.describe()!r}>"
