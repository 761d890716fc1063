"""Creates an index for a plexapi object's server."""

from __future__ import annotations

import logging
import sys

from ._core.light import Facts, HoldsToken, LightItem
from ._core.open import open as open_index
from .errors import InvalidArgumentError, OfflineError, TimeoutError
from .index import Library
from .match import Match

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from types import TracebackType
    from typing import Any

    from ._core.types import PathArg
    from .index import Index

    # For type checkers and editors: exactly the methods that `__getattr__` forwards.
    from .index import Index as _IndexMethods
    from .index import Library as _LibraryMethods
    from .item import Item
else:
    _IndexMethods = _LibraryMethods = object


def _open(server: Any, cache_dir: PathArg | None, options: dict[str, Any]) -> Index:
    options = {**_connection_options(server), **options}
    options.setdefault("user", _user_of(server))
    index = open_index(cache_dir, server_url=server._baseurl, token=lambda: server._token or None, **options)
    index._plex = server
    return index


def _connection_options(server: Any) -> dict[str, Any]:
    """Returns the settings of plexapi's connection that plexindex supports, and logs a warning about the others."""
    session = getattr(server, "_session", None)
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

    By default, ``cache_dir`` is the command's folder, usually ``~/.cache/plexindex``, with the mappings from plexapi's
    ``config.ini``. ``options`` are options for :func:`plexindex.open`. Sends no request. If the server rejects the
    token, or the token expires, the index uses the current token of plexapi's object. If plexapi has fetched the
    token's account (``plex.myPlexAccount()``), this account is the ``user``.
    """
    _check("from_server", "plexapi.server.PlexServer", plex, ("_baseurl", "_token", "library"))
    return ServerIndex(plex, _open(plex, cache_dir, options))


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
    return SectionIndex(section, _open(section._server, cache_dir, options), owned=True)


class ServerIndex(HoldsToken, _IndexMethods):
    """An index for a server. :func:`plexindex.from_server` returns this object.

    This class has all methods of :class:`plexindex.Index`: ``match``, ``libraries``, ``watch`` and so on.
    """

    _instead = "pickle its `index`, which finds its token when it is loaded"

    def __init__(self, server: Any, index: Index) -> None:
        self._server = server
        self.index = index
        """The :class:`plexindex.Index`."""

    def _set_token(self, token: str | None) -> None:
        self.index.set_token(token)

    token = property(None, _set_token, doc="As in :class:`plexindex.Index`.")

    def section(self, section: Any) -> SectionIndex:
        """Returns a library, given its plexapi object or its title. plexapi looks up the title, and raises its own
        errors or errors from ``requests``. In contrast, ``library(title)`` sends no request and raises plexindex's
        errors.
        """
        if isinstance(section, str):
            section = self._server.library.section(section)
        _check("section", "title or a plexapi.library.LibrarySection", section, ("_server", "key", "locations"))
        return SectionIndex(section, self.index, owned=False)

    def close(self) -> None:
        """Closes the index."""
        self.index.close()

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            if name.startswith("_"):
                raise AttributeError(name)
            return getattr(self.index, name)

    def __dir__(self) -> list[str]:
        return sorted({*object.__dir__(self), *dir(self.index)})

    def __enter__(self) -> ServerIndex:
        self.index.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    async def __aenter__(self) -> ServerIndex:
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.index.aclose()

    def __repr__(self) -> str:
        return f"<plexindex.ServerIndex on {self.index.cache_dir!r}>"


# Minimum and maximum of `SectionIndex.patience`, in seconds.
_PATIENCE, _MOST_PATIENCE = 1.0, 16.0


def _nothing(_path: str) -> None:
    """Returns None, so that every lookup waits for its answer."""


class SectionIndex(HoldsToken, _LibraryMethods):
    """A plexapi library with an index. :func:`plexindex.from_section` returns this object.

    This class has all methods of :class:`plexindex.Library`: ``match``, ``lookup_key``, ``record_match``, ``items``,
    ``refresh`` and so on. All other attributes come from the plexapi object: ``title``, ``search``, ``fetchItem``. If
    both objects have an attribute of the same name, such as ``refresh``, the attribute of :class:`plexindex.Library`
    wins. ``plex`` is the plexapi object itself, which type checkers need: ``section.plex.search(…)``.
    """

    _instead = "pickle its `library`, which finds its token when it is loaded"

    def __init__(self, section: Any, index: Index, *, owned: bool) -> None:
        self._section, self._owned, self._index = section, owned, index
        uuid = getattr(section, "uuid", None)
        chosen = {"uuid": uuid} if isinstance(uuid, str) and uuid else {"section": section.key}
        self.library: Library = index.library(**chosen)
        """The :class:`plexindex.Library`."""
        self._everywhere: Library = index.library()
        # The accelerator answers without waiting. It must not wait, because the interpreter could exit during the wait.
        self._quick_match = self.library._selected.match_for(index, Match, _nothing) or _nothing

        self._is_listed = False
        # The plexapi object whose folders are known to match the index.
        self._known_section: Any = None
        self.asked_by_file = 0
        """Number of files for which the drop-in has searched the server by name while the library was not listed."""
        self.patience = _PATIENCE
        """Maximum time in seconds that one of the drop-in's lookups spends listing the library. The next lookup
        resumes.
        """

    @property
    def index(self) -> Index:
        """The :class:`plexindex.Index`."""
        return self._index

    @property
    def plex(self) -> Any:
        """The plexapi object."""
        return self._section

    def is_listed(self) -> bool:
        """Returns whether plexindex has ever listed the whole library. Sends no request."""
        if not self._is_listed:
            key, uuid = str(self._section.key), getattr(self._section, "uuid", None)
            try:
                known = self.index.libraries(offline=True)
            except OfflineError:
                return False
            listed = [one for one in known if one.age is not None]
            self._is_listed = any(one.uuid == uuid if uuid else one.section == key for one in listed)
        return self._is_listed

    def match_within_patience(self, path: str) -> Match:
        """Matches a path. If necessary, spends at most :attr:`patience` seconds on listing the library."""
        match: Match | None = self._quick_match(path)
        return self.library.match(path, deadline=self.patience) if match is None else match

    def surest_key(self, path: str) -> str | None:
        """Returns the key of the path's item in any library, if a fast lookup finds the item."""
        return self._everywhere.lookup_key(path)

    def knows_folders(self, section: Any, list_folders: Callable[[], list[str]]) -> bool:
        """Returns whether the index knows these folders of the server's libraries. Sends no request.

        This method compares a plexapi object's folders only once, because plexapi creates new objects when it reloads
        the libraries.
        """
        if self._known_section is not section:
            known = {folder for one in self.index.libraries(offline=True) for folder in one.locations}
            if not known.issuperset(list_folders()):
                return False
            self._known_section = section
        return True

    def note_patience(self, *, nothing_came: bool) -> None:
        """Doubles the next lookup's patience if the server has sent no page."""
        if nothing_came:
            self.patience = min(2 * self.patience, _MOST_PATIENCE)

    def light(self, key: object) -> LightItem | None:
        """Returns the listed item with the given key or rating key, or None if no such item is listed. Sends no
        request.
        """
        facts = self.facts(key)
        return None if facts is None else LightItem(self, facts)

    def facts(self, key: object) -> Facts | None:
        """Returns the fields of the listed item with the given key or rating key. Sends no request."""
        if not isinstance(key, (str, int)):
            return None
        try:
            facts = self.index._listed_facts(key, self.library)
        except InvalidArgumentError:
            return None
        return None if facts is None else Facts(facts)

    def candidates(self, path: PathArg) -> tuple[list[LightItem], bool]:
        """Returns the items that match a path equally well, and whether the confidence is high."""
        found = self.library.match(path)
        if found.status in ("not_yet", "needs_warm"):
            raise TimeoutError(found.reason or "the library is still being fetched")
        return [LightItem(self, item) for item in found.candidates], found.confidence == "high"

    def close(self) -> None:
        """Closes the index if it was opened only for this library."""
        if self._owned:
            self.index.close()

    def __contains__(self, path: PathArg) -> bool:
        return path in self.library

    def __getitem__(self, path: PathArg) -> Item:
        return self.library[path]

    def __iter__(self) -> Iterator[Item]:
        return iter(self.library)

    def __len__(self) -> int:
        return len(self.library)

    def __bool__(self) -> bool:
        return True

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            if name.startswith("_"):
                if name.startswith("__"):
                    raise AttributeError(name)
                return getattr(self._section, name)
            owner = self.library if name in _OURS else self._section
            return getattr(owner, name)

    def __dir__(self) -> list[str]:
        return sorted({*object.__dir__(self), *_OURS, *dir(self._section)})

    def __enter__(self) -> SectionIndex:
        self.index.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<plexindex.SectionIndex {self._section.title!r} on {self.index.cache_dir!r}>"


# Omit `title`, so that it comes from plexapi: a library that was selected by its uuid has no title.
_OURS = frozenset(name for name in dir(Library) if not name.startswith("_")) - {"title"}
