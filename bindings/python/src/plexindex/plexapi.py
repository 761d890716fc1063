"""An index for a plexapi object's server."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from inspect import signature

import plexindex

from ._core import TYPE_CHECKING, Any, Callable, Self, T
from ._core import abi as c
from ._core.log import logger
from ._core.options import open_session
from ._core.selection import Selection
from ._core.session import Session
from .errors import InvalidArgumentError
from .index import Index
from .index import open as _open
from .item import Item
from .library import Library
from .light import LightItem

if TYPE_CHECKING:
    from typing import Concatenate, ParamSpec

    P = ParamSpec("P")


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
        text = "from_server does not use these settings of plexapi's session: %s"
        logger().warning(text, ", ".join(ignored))
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


def _with_options(function: Callable[P, Any]) -> Callable[[Callable[..., T]], Callable[Concatenate[Any, P], T]]:
    """Gives a function the arguments of another after its first one."""

    def give(made: Any) -> Any:
        own, theirs = signature(made), signature(function).parameters.values()
        made.__signature__ = own.replace(parameters=[*list(own.parameters.values())[:1], *theirs])
        made.__annotations__ = {**function.__annotations__, **made.__annotations__}
        return made

    return give


@_with_options(_open)
def from_server(
    plex: plexindex.types.Untyped, *arguments: plexindex.types.Untyped, **options: plexindex.types.Untyped
) -> ServerIndex:
    """Returns an index for the server of a ``plexapi.server.PlexServer``, with the same address and token.

    The options are those of :func:`plexindex.open`. The defaults of ``server_url``, ``token``, ``connect_timeout``,
    ``read_timeout``, ``ca_file``, ``accept_invalid_certs`` and ``user`` are plexapi's. Sends no request. By default,
    ``cache_dir`` is the command's folder, with its mappings.

    plexindex makes its own connections, with the ``verify`` of plexapi's session, and plexapi's ``timeout`` unless it
    is plexapi's default. plexindex uses no proxy, client certificate, ``auth`` or adapter of the session, and no
    environment variable such as ``HTTPS_PROXY`` or ``REQUESTS_CA_BUNDLE``. A warning in the log names the settings of
    the session that plexindex ignores. Instead of an adapter's retries, set ``retry_for``.

    If the server rejects the token, or the token expires, the index uses the current token of plexapi's object. If
    plexapi has fetched the token's account (``plex.myPlexAccount()``), this account is the ``user``.

    >>> with plexindex.from_server(server, cache_dir) as index:
    ...     index.match("/films/Sintel (2010).mkv").require().light.title
    'Sintel'
    """
    given = signature(_open).bind(*arguments, **options)
    _check("from_server", "plexapi.server.PlexServer", plex, ("_baseurl", "_token", "library"))
    theirs = {"server_url": plex._baseurl, "token": lambda: plex._token or None, "user": _user_of(plex)}
    theirs.update(_connection_options(plex))
    given.arguments = {**theirs, **given.arguments}
    given.apply_defaults()
    return ServerIndex(open_session(given.arguments), plex)


@_with_options(_open)
def from_section(
    section: plexindex.types.Untyped, *arguments: plexindex.types.Untyped, **options: plexindex.types.Untyped
) -> SectionIndex:
    """Returns an index of one library, a ``plexapi.library.LibrarySection``, with the options of :func:`from_server`.
    The result can replace the section in code that finds items by path. Closing the result closes its index.

    >>> with plexindex.from_section(server.library.section("Movies"), cache_dir) as section:
    ...     section.match("/films/Sintel (2010).mkv").title, section.search(title="Sintel")[0].year
    ('Sintel', 2010)
    """
    _check(
        "from_section",
        "plexapi.library.LibrarySection, as plex.library.section('Movies')",
        section,
        ("_server", "key", "locations"),
    )
    return from_server(section._server, *arguments, **options)._opened_for(section)


class ServerIndex(Index):
    """An index for a plexapi server. :func:`plexindex.from_server` returns this object.

    You can pickle the index as any other. The pickle contains no token and no plexapi object, so that the process that
    unpickles it gets an :class:`Index`.
    """

    __slots__ = ()

    def __init__(self, session: Session, server: Any) -> None:
        super().__init__(session)
        session.plexapi.given = server

    @property
    def plex(self) -> plexindex.types.Untyped:
        """The plexapi server."""
        return self._session.plexapi.given

    def section(self, section: plexindex.types.Untyped) -> SectionIndex:
        """Returns a library, given its plexapi object or its title. plexapi looks up the title, and raises its own
        errors or errors from ``requests``. In contrast, ``library(title)`` sends no request and raises plexindex's
        errors.

        >>> with plexindex.from_server(server, cache_dir) as index:
        ...     index.section("Movies").plex.key
        1
        """
        if isinstance(section, str):
            section = self.plex.library.section(section)
        _check("section", "title or a plexapi.library.LibrarySection", section, ("_server", "key", "locations"))
        return self._opened_for(section, owned=False)

    def _opened_for(self, section: Any, *, owned: bool = True) -> SectionIndex:
        uuid = getattr(section, "uuid", None)
        by_uuid = isinstance(uuid, str) and uuid
        kind, selector = (c.SELECT_UUID, uuid) if by_uuid else (c.SELECT_SECTION, section.key)
        return SectionIndex(section, self, self._selection.select(kind, str(selector)), owned=owned)


class SectionIndex(Library):
    """A plexapi library with an index. :func:`plexindex.from_section` returns this object.

    All attributes that :class:`plexindex.Library` lacks come from the plexapi object: ``search``, ``fetchItem``. If
    both objects have an attribute of the same name, such as ``refresh``, the attribute of :class:`plexindex.Library`
    wins, except for ``title``. ``plex`` is the plexapi object itself, which type checkers need:
    ``section.plex.search(…)``.
    """

    __slots__ = ("_owned", "_section")

    def __init__(self, section: Any, index: Index, selection: Selection, *, owned: bool) -> None:
        super().__init__(index, selection)
        self._section, self._owned = section, owned

    @property
    def plex(self) -> plexindex.types.Untyped:
        """The plexapi object."""
        return self._section

    @property
    def title(self) -> str:
        """The plexapi object's title."""
        return self._section.title  # type: ignore[no-any-return]

    def light(self, key: object) -> plexindex.LightItem | None:
        """Returns the listed item with the given key or rating key, or None if no such item is listed. Sends no
        request.

        >>> with plexindex.from_section(server.library.section("Movies"), cache_dir) as section:
        ...     section.refresh(), section.light(101).locations
        (True, ['/films/Sintel (2010).mkv'])
        """
        if not isinstance(key, (str, int)):
            return None
        try:
            facts = self._selection.listed_facts(key)
        except InvalidArgumentError:
            return None
        if facts is None:
            return None
        return LightItem(self._section, self._selection, Item(facts, self._selection), facts)

    def close(self) -> None:
        """Closes the index if it was opened only for this library.

        >>> section = plexindex.from_section(server.library.section("Movies"), cache_dir)
        >>> section.close()
        """
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

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<plexindex.SectionIndex {self._section.title!r} on {self.index.cache_dir!r}>"
