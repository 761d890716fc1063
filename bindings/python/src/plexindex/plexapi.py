"""An index for a plexapi object's server, and items with plexapi's attributes."""

from __future__ import annotations

import sys

from ._core import TYPE_CHECKING
from ._core import constants as c
from .errors import InvalidArgumentError, TimeoutError
from .index import Index, open
from .library import Library

if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import TracebackType
    from typing import Any, NoReturn, Union

    from typing_extensions import Self

    from ._core.opening import Recipe
    from ._core.session import Session
    from ._core.types import PathArg
    from .item import Item

    # What an item comes from: a section, or a server's library.
    Source = Union["SectionIndex", "Origin"]


def _options(server: Any, cache_dir: PathArg | None, options: dict[str, Any]) -> dict[str, Any]:
    options = {**_connection_options(server), **options}
    options.setdefault("user", _user_of(server))
    return {"cache_dir": cache_dir, "server_url": server._baseurl, "token": lambda: server._token or None, **options}


def _connection_options(server: Any) -> dict[str, Any]:
    """Returns the settings of plexapi's connection that plexindex supports, and logs a warning about the others."""
    session: Any = getattr(server, "_session", None)
    options = certificate_options(getattr(session, "verify", True))
    timeout = getattr(server, "_timeout", None)
    if timeout and timeout != getattr(sys.modules.get("plexapi"), "TIMEOUT", None):
        times = timeout if isinstance(timeout, tuple) else (timeout, timeout)
        names = ("connect_timeout", "read_timeout")
        options.update({name: time for name, time in zip(names, times) if time})
    ignored = [name for name in ("proxies", "cert", "auth") if getattr(session, name, None)]
    if hasattr(session, "get_adapter"):
        adapter = session.get_adapter(server._baseurl)
        if not type(adapter).__module__.startswith("requests."):
            ignored.append("adapters")
        elif adapter.max_retries.total:
            ignored.append("the adapter's max_retries")
    if ignored:
        import logging

        text = "from_server does not use these settings of plexapi's session: %s"
        logging.getLogger("plexindex").warning(text, ", ".join(ignored))
    return options


def certificate_options(verify: object) -> dict[str, Any]:
    """Returns the options for :func:`plexindex.open` that correspond to the ``verify`` option of ``requests``."""
    if verify is False:
        return {"accept_invalid_certs": True}
    return {"ca_file": verify} if isinstance(verify, str) else {}


def _user_of(server: Any) -> str | None:
    """Returns the account of the server's token, if plexapi has already fetched the account."""
    account = vars(server).get("_myPlexAccount")
    facts = {} if account is None else vars(account)
    # The account can belong to an earlier token.
    if not server._token or server._token not in (facts.get("_token"), facts.get("authToken")):
        return None
    name = facts.get("uuid") or facts.get("id")
    return f"plex.tv {name}" if isinstance(name, (str, int)) else None


def _check(call: str, wanted: str, given: Any, attributes: Iterable[str]) -> None:
    # Check the class first, because reading the object's `library` would make plexapi send a request.
    if isinstance(given, str) or not all(hasattr(type(given), name) or hasattr(given, name) for name in attributes):
        more = "; for a URL and a token there is plexindex.open()" if isinstance(given, str) else ""
        raise TypeError(f"{call} requires a {wanted}, not {type(given).__name__}{more}")


def from_server(plex: Any, cache_dir: PathArg | None = None, **options: Any) -> ServerIndex:
    """Returns an index for the server of a ``plexapi.server.PlexServer``, with the same address and token.

    plexindex makes its own connections, with the ``verify`` of plexapi's session, and plexapi's ``timeout`` unless it
    is plexapi's default. plexindex uses no proxy, client certificate, ``auth`` or adapter of the session, and no
    environment variable such as ``HTTPS_PROXY`` or ``REQUESTS_CA_BUNDLE``. A warning in the log names the settings of
    the session that plexindex ignores. Instead of an adapter's retries, set ``retry_for``.

    By default, ``cache_dir`` is the command's folder, with the mappings from plexapi's ``config.ini``. ``options`` are
    options for :func:`plexindex.open`. Sends no request. If the server rejects the token, or the token expires, the
    index uses the current token of plexapi's object. If plexapi has fetched the token's account
    (``plex.myPlexAccount()``), this account is the ``user``.
    """
    _check("from_server", "plexapi.server.PlexServer", plex, ("_baseurl", "_token", "library"))
    index = open(**_options(plex, cache_dir, options))
    return ServerIndex(index._session, index._recipe, plex)


def from_section(section: Any, cache_dir: PathArg | None = None, **options: Any) -> SectionIndex:
    """Returns an index of one library, a ``plexapi.library.LibrarySection``. The result can replace the section in code
    that finds items by path. Closing the result closes its index.
    """
    _check(
        "from_section",
        "plexapi.library.LibrarySection, as plex.library.section('Movies')",
        section,
        ("_server", "key", "locations"),
    )
    return SectionIndex(section, from_server(section._server, cache_dir, **options), owned=True)


class ServerIndex(Index):
    """An index for a plexapi server. :func:`plexindex.from_server` returns this object.

    You can pickle the index as any other. The pickle contains no token and no plexapi object, so that the process that
    unpickles it gets an :class:`Index`.
    """

    __slots__ = ("_plex",)

    def __init__(self, session: Session, recipe: Recipe, server: Any) -> None:
        super().__init__(session, recipe)
        self._plex = server

    @property
    def plex(self) -> Any:
        """The plexapi server."""
        return self._plex

    def _light_of(self, item: Item) -> LightItem:
        return LightItem(Origin(self._plex, self, self._library_of(item)), item)

    def section(self, section: Any) -> SectionIndex:
        """Returns a library, given its plexapi object or its title. plexapi looks up the title, and raises its own
        errors or errors from ``requests``. In contrast, ``library(title)`` sends no request and raises plexindex's
        errors.
        """
        if isinstance(section, str):
            section = self._plex.library.section(section)
        _check("section", "title or a plexapi.library.LibrarySection", section, ("_server", "key", "locations"))
        return SectionIndex(section, self, owned=False)


class SectionIndex(Library):
    """A plexapi library with an index. :func:`plexindex.from_section` returns this object.

    All attributes that :class:`plexindex.Library` lacks come from the plexapi object: ``search``, ``fetchItem``. If
    both objects have an attribute of the same name, such as ``refresh``, the attribute of :class:`plexindex.Library`
    wins, except for ``title``. ``plex`` is the plexapi object itself, which type checkers need:
    ``section.plex.search(…)``.
    """

    __slots__ = ("_owned", "_section")

    def __init__(self, section: Any, index: Index, *, owned: bool) -> None:
        uuid = getattr(section, "uuid", None)
        kind, selector = (c.SELECT_UUID, uuid) if isinstance(uuid, str) and uuid else (c.SELECT_SECTION, section.key)
        super().__init__(index, index._session.library(kind, str(selector)))
        self._section, self._owned = section, owned

    @property
    def plex(self) -> Any:
        """The plexapi object."""
        return self._section

    @property
    def title(self) -> str:
        """The plexapi object's title."""
        return self._section.title  # type: ignore[no-any-return]

    @property
    def library(self) -> Library:
        """The library: this object."""
        return self

    def light(self, key: object) -> LightItem | None:
        """Returns the listed item with the given key or rating key, or None if no such item is listed. Sends no
        request.
        """
        if not isinstance(key, (str, int)):
            return None
        try:
            facts = self._listed_facts(key)
        except InvalidArgumentError:
            return None
        return None if facts is None else LightItem(self, Facts(facts))

    def candidates(self, path: PathArg) -> tuple[list[LightItem], bool]:
        """Returns the items that match a path equally well, and whether the confidence is high."""
        found = self.match(path)
        if found.status in ("not_yet", "needs_warm"):
            raise TimeoutError(found.message or "the library is still being fetched")
        return [LightItem(self, item) for item in found.candidates], found.confidence == "high"

    def close(self) -> None:
        """Closes the index if it was opened only for this library."""
        if self._owned:
            self.index.close()

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name == "_section":
            raise AttributeError(name)
        return getattr(self._section, name)

    def __dir__(self) -> list[str]:
        return sorted({*object.__dir__(self), *dir(self._section)})

    def __enter__(self) -> Self:
        self.index.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<plexindex.SectionIndex {self._section.title!r} on {self.index.cache_dir!r}>"


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
