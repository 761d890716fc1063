"""An open index, and how it is opened."""

from __future__ import annotations

import os

import plexindex

from ._core import Any, Iterable, Mapping, NoReturn, Self, convert, record_of
from ._core import abi as c
from ._core.options import configured_token, open_session
from ._core.selection import Selection, query_flags, selection_of
from ._core.session import ForkLock, Handle, Recipe, Session
from .errors import Error, InvalidArgumentError
from .library import Library
from .mapping import Proposal
from .queries import Queries
from .shared import Shared
from .table import Table


class Index(Queries):
    """An open index, which finds the Plex items for files. Its queries are about all libraries; :meth:`library` returns
    one. Any number of threads can use an index at once. Close it with :meth:`close` or ``with``; after that, every
    method raises :class:`ClosedError`, or an iterator at its first step. For ``asyncio``, see :mod:`plexindex.aio`.

    You can pickle an index like a :class:`Library`. An unpickled index stays open until you close it, or until the
    process exits.
    """

    __slots__ = ("__weakref__",)

    def __init__(self, session: Session) -> None:
        if not isinstance(session, Session):
            raise TypeError("plexindex.open() opens an index; Index() takes no folder")
        super().__init__(Selection(session, session.library(c.SELECT_ALL, "") if session.is_open else Handle()))

    @property
    def cache_dir(self) -> str:
        """The store's folder."""
        return self._session.folder

    @property
    def is_open(self) -> bool:
        """Whether the index is open."""
        return self._session.is_open

    def close(self) -> None:
        """Closes the index. First waits for other threads' running calls, whose fetches end early with a ClosedError. A
        second close does nothing. In a callback or a signal handler within a call of this index, raises
        InvalidArgumentError, and the index stays open. Other indexes from equal pickles stay open.

        >>> index.close()
        >>> index.is_open
        False
        """
        self._session.close()

    def library(
        self, title: str | int | None = None, *, section: str | int | None = None, uuid: str | None = None
    ) -> Library:
        """Returns a library by its title, section ID or uuid.

        ``title`` can also be a uuid or a section ID, and is not case-sensitive; a number is a section ID. Fetches
        nothing: if the server has no such library, the first lookup raises LibraryNotFoundError, which lists the
        libraries. If two known libraries have the title, this call raises LibraryNotFoundError. An index accepts 1,024
        different unknown names; do not pass untrusted input.

        >>> index.library("Movies").section, index.library(2).title
        ('1', 'TV Shows')
        """
        if isinstance(title, int) and not isinstance(title, bool) and section is None:
            title, section = None, title
        section = None if section is None else str(section)
        named = (c.SELECT_ANY, title), (c.SELECT_SECTION, section), (c.SELECT_UUID, uuid)
        given: list[Any] = [one for one in named if one[1] is not None]
        if len(given) != 1 or given[0][1] == "":
            raise InvalidArgumentError("give one of title, section and uuid; the index itself asks all libraries")
        self._session.expect_open()
        return Library(self, self._selection.select(*given[0]))

    def libraries(
        self,
        *,
        timeout: float | None = None,
        offline: bool = False,
        progress: plexindex.types.ProgressArg = None,
    ) -> list[Library]:
        """Returns the server's libraries, with their facts. Sends a request only if the store has no libraries yet.

        >>> [(library.title, library.item_count) for library in index.libraries()]
        [('Movies', 2), ('TV Shows', 2)]
        """
        query_flags(offline)
        found = self._selection.request("libraries.list", timeout, progress, offline=offline)["libraries"]
        return [Library(self, self._selection.select(c.SELECT_UUID, facts["uuid"]), facts) for facts in found]

    def clear(self) -> None:
        """Removes the listings and matches for this server and user; without a server, those from which the index
        answers.

        >>> index.clear()
        >>> index.library("Movies").item_count
        0
        """
        self._session.ask(self._session.native.clear)

    def notify(self, body: bytes | bytearray | memoryview | str | Mapping[str, object]) -> None:
        """Passes an event that the host received to plexindex. The next lookup of a changed item asks the server; the
        call itself sends no request.

        ``body`` is a webhook (the JSON in its field ``payload``, or the whole multipart body), a server notification,
        or the body of a webhook of Sonarr or Radarr, whose paths the mappings translate; any other body raises
        InvalidArgumentError. Other servers' events are ignored. Until the server has accepted a new token, the call
        stores nothing and raises LibraryNotFoundError: look up a file, and call this method again.

        >>> index.notify({"event": "library.new", "Metadata": {"librarySectionID": 1}})
        """
        raw = convert.event_bytes(body)
        self._session.ask(self._session.native.notify, raw, len(raw))

    def set_token(self, token: str | None) -> None:
        """Replaces the token. Sends no request. Running calls keep their token.

        With the option ``user``, the index keeps its content and answers immediately. Without it, the next lookup asks
        the server, and the index keeps its content only for the same token, or a JSON Web Token with the same key pair
        and user. Raises InvalidArgumentError if the string cannot be a token. To renew tokens automatically, pass a
        callable to :func:`plexindex.open`.

        >>> index.set_token("another-token")
        """
        raw = b"" if token is None else convert.text_bytes("token", token, hidden=True)
        self._session.ask(self._session.native.set_token, raw or None, len(raw))
        self._session.plexapi.token, self._session.plexapi.made = token, None
        self._session.recipe.has_token = bool(token)  # for a pickle from now on

    def table(self, name: str | bytes, *, limit: int | None = None) -> Table:
        """Returns a table of your own in the index: a mapping of names to bytes, which every process sees.

        ``limit``: the table's maximum size in bytes; an entry has its name, its value and 64 bytes. Beyond it, each
        change through this object removes the table's oldest entries, but none that the change stored. None: no limit.
        An open index can use 10,000 names.

        >>> index.table("notes")["a"] = b"1"
        >>> index.table("notes")["a"]
        b'1'
        """
        self._session.expect_open()
        return Table(self._session, name, limit=limit)

    def call(
        self,
        method: str,
        request: Mapping[str, object] | None = None,
        *,
        timeout: float | None = None,
        progress: plexindex.types.ProgressArg = None,
    ) -> plexindex.types.Untyped:
        """Calls a method by name, such as ``"items.list"``. ``docs/methods.md`` lists all methods.

        The request and the answer are dicts of JSON values. In the request, paths can be bytes, and the library a
        :class:`Library`. The answer omits unknown fields.

        >>> index.call("items.get", {"key": "101", "library": "Movies"})["item"]["title"]
        'Sintel'
        """
        if request is not None and not hasattr(request, "keys"):
            raise TypeError(f"request must be a dict, not {type(request).__name__}")
        request = dict(request or {})
        library: Any = request.get("library")
        if library is not None and not isinstance(library, dict):
            if not isinstance(library, Library):
                library = self.library(library)
            elif library.index is not self:
                raise InvalidArgumentError(f"{library!r} belongs to a different index")
            request["library"] = selection_of(library).handle
        return self._session.request(method, timeout, progress, **request)

    def stats(self) -> plexindex.types.Stats:
        """Returns this index's counts and times.

        >>> index.stats()["items"]
        4
        """
        return self._session.stats()  # type: ignore[return-value]

    def proposals(self, paths: Iterable[plexindex.types.PathArg] = ()) -> list[Proposal]:
        """Returns at most five mappings that seem to be missing, best first. Sends no request.

        They are based on this index's first 500 answers that matched a path by its end or its file name, or only on
        ``paths``; ``gain`` is then the number of paths that a mapping matches and no earlier one does.

        >>> [proposal.mapping for proposal in index.proposals(["/mnt/films/Sintel (2010).mkv"])]
        []
        """
        given = convert.check_paths(convert.listed("paths", paths), self._session.hides_paths)
        found = self._session.request("mappings.propose", paths=given)["proposals"]
        text = convert.text_of
        return [record_of(Proposal, one, host=text(one["from"]), server=text(one["to"])) for one in found]

    def server(
        self, *, timeout: float | None = None, progress: plexindex.types.ProgressArg = None
    ) -> plexindex.types.ServerInfo:
        """Requests the server's name and libraries, even if they are known, to diagnose problems: two requests, or
        three at the first contact. The first needs no token, so an UnauthorizedError proves that the server is
        reachable. ``answered_us`` is the duration of a small request in microseconds.

        >>> index.server()["libraries"]
        2
        """
        return self._session.request("server.check", timeout, progress)  # type: ignore[no-any-return]

    def store(self) -> plexindex.types.StoreInfo:
        """Returns the store's folder, file system and size. Also tests whether file locks work in the folder.

        >>> index.store()["locks"]
        True
        """
        return self._session.request("store.get")  # type: ignore[no-any-return]

    @property
    def shared(self) -> Shared:
        """The PostgreSQL database that several hosts share, by the option ``shared``."""
        return Shared(self._session)

    def __enter__(self) -> Self:
        self._session.expect_open()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __reduce__(self) -> tuple[Any, ...]:
        return _open_again, (self._session.recipe,)

    def __copy__(self, _memo: object = None) -> NoReturn:
        raise TypeError("cannot copy an Index: use the same object everywhere, or open the folder again")

    __deepcopy__ = __copy__

    def __repr__(self) -> str:
        return f"<plexindex.Index {self.cache_dir!r} {'open' if self.is_open else 'closed'}>"


def open(
    cache_dir: plexindex.types.PathArg | None = None,
    server_url: str | None = None,
    token: plexindex.types.TokenArg = None,
    *,
    user: str | None = None,
    library_ttl: float | None = 3600.0,
    max_age: float | None = 86400.0,
    timeout: float | None = None,
    connect_timeout: float = 5.0,
    read_timeout: float = 60.0,
    stale_answer_timeout: float | None = 2.0,
    retry_for: float | None = 30.0,
    ca_file: plexindex.types.PathArg | None = None,
    accept_invalid_certs: bool = False,
    offline: bool = False,
    mappings: Iterable[plexindex.types.MappingArg] = (),
    page_size: int = 1000,
    matches_limit: int | None = None,
    size_limit: int | None = None,
    database: plexindex.types.PathArg | None = None,
    mmap: bool = True,
    slow: float | None = 1.0,
    obfuscate_paths: bool = False,
    shared: str | None = None,
    shared_durable: bool | None = None,
    progress: plexindex.types.ProgressArg = None,
) -> Index:
    """Opens an index in a folder. Sends no request; the first lookup that needs the server sends one.

    Several processes can open the same folder, and one process can open it several times. All times are in seconds.

    Without ``cache_dir``, the folder, server, token, user, Plex's and the shared database, mappings and size limit come
    from the environment (``PLEXINDEX_SERVER_URL``, ``PLEXINDEX_TOKEN``, …) and from configuration files, as for the
    command ``plexindex``; ``plexindex help config`` lists the sources. Arguments take precedence. plexindex sends a
    configured token only to the server that is configured with the token.

    Args:
        cache_dir: The store's folder. If the folder is missing, plexindex creates it, accessible only to its owner.
            None: the configured folder.
        server_url: Base URL, such as ``http://127.0.0.1:32400``. Without a URL, plexindex answers from the store or
            ``database``.
        token: The Plex token, or a callable that returns it. plexindex sends the token only to this server, and never
            stores or logs it. ``open`` calls the callable, and raises its exception. When the server rejects the token
            (401, or 498 for an expired one), plexindex calls the callable again, on the thread of the rejected call and
            once for all threads, and retries. If the callable then raises, or returns None or the same token, plexindex
            answers from the store, and calls it again after 15 seconds at the earliest. Other threads wait for the new
            token until their timeout, but at most ``read_timeout``.
        user: A name for the user whose view of the server the index contains. None: each token has its own index. With
            a name, a new token for the same user uses the same index. JSON Web Tokens that contain their key pair and
            their user (``thumbprint``, ``username``) need no name.
        library_ttl: How long a listing is fresh. 0: never; None: until it is invalidated.
        max_age: Age at which plexindex fetches a full listing even if the server reports no change. None: never.
        timeout: Default timeout for calls. None: no limit; 0: hardly any time. Writes to tables and invalidations wait
            at most ten seconds for other processes.
        connect_timeout: Maximum time for connecting.
        read_timeout: Maximum time for which the server may send nothing during a response. For a lookup without a
            listing, at most 15 s.
        stale_answer_timeout: Maximum time that a query without ``check`` waits for the server if a stored listing can
            answer; the answer is then stale. None: no limit.
        retry_for: How long to retry a request after a temporary failure. 0: no retries; None: until the timeout.
        ca_file: PEM file with the authorities, or the server's own certificate, to trust instead of the system's.
        accept_invalid_certs: Accept any certificate, with a warning in the log.
        offline: Send no requests. The folder can then be one that this user cannot write to, such as in a container
            image, if the index was closed there: queries work, and writes raise StoreError.
        mappings: Rules between the host's paths and the server's: :class:`plexindex.Mapping`, or pairs of folders
            ``(host, server)``.
        page_size: Number of rows in a page of a listing, from 1 to 1000.
        matches_limit: Maximum size of confirmed matches on disk in bytes. plexindex removes the oldest matches first.
            None: 50 MiB, or 500 MiB with ``shared``.
        size_limit: Maximum size of the whole folder in bytes. plexindex removes the least recently refreshed libraries,
            and fetches them again when needed, but no confirmed matches, tables or newest listing. The smallest limit
            of all processes applies. None: no limit.
        database: Plex's own database, on the server's machine: the file ``com.plexapp.plugins.library.db``, its folder,
            or the folder 'Plex Media Server'. plexindex reads it while the server runs, and never writes to it. With
            only a database, plexindex needs neither a URL nor a token, sends no requests, notices each change on the
            next lookup, and shows all of the server's libraries. None: no database.
        mmap: Whether to map the index files into memory. False: read them into memory.
        slow: Log each call that takes longer than this, with a breakdown of its time: as a warning, or as info if the
            call fetched a library or waited for another fetch. None: log no calls.
        obfuscate_paths: In log lines, errors and reasons, replace a media path with a short hash and the extension,
            such as ``path-3f9a2c1b07.mkv``: always the same for the same path and ``cache_dir``.
        shared: A PostgreSQL database that several hosts with the same server share, such as
            ``postgresql://user@host/database?sslmode=verify-full``; the password comes from ``PGPASSWORD`` or a
            password file. Confirmed matches and invalidations reach all hosts. Needs ``server_url``, and cannot be
            combined with ``database``.
        shared_durable: Sync each confirmed match and invalidation for other hosts to disk before the call returns, so
            that a power cut loses none. None: False.
        progress: Default callback for progress (:class:`plexindex.Progress`).

    Raises:
        InvalidArgumentError: an argument is invalid; the message names the argument.
        StoreError: plexindex cannot open or create the folder.
        ImportError: Python cannot load the shared library, or the library has a different version.

    >>> with plexindex.open(cache_dir, server_url=plex.url, token=plex.token) as index:
    ...     index.match("/films/Sintel (2010).mkv").title
    'Sintel'
    """
    return Index(open_session(dict(locals())))


# The sessions of pickles, each with the configured token that it has.
_reopened: dict[str, tuple[Session, plexindex.types.TokenArg]] = {}
_reopening = ForkLock()


def _open_again(recipe: Recipe) -> Index:
    """Opens a pickled index. Equal pickles share a handle, which stays open until each of their indexes was closed, or
    until the process exits, and which gets the configured token, if that has changed. Each call of an index that cannot
    be opened raises the reason.
    """
    name, url = repr((os.getpid(), vars(recipe))), recipe.server_url
    with _reopening():
        session, had = _reopened.get(name, (None, None))
        shared = session and session.share()
        try:
            token = configured_token(url, recipe) if recipe.has_token and url is not None else None
            if shared is None:
                place: dict[str, Any] = {"cache_dir": recipe.folder, "server_url": url, "progress": None}
                session, had = open_session({**recipe.options, **place, "token": token}), token
                shared = session.share()
            elif isinstance(token, str) and token != had:
                Index(shared).set_token(token)
        except Error as error:
            token = had
            if shared is None:
                # An error during unpickling would end a worker of a multiprocessing.Pool, and the pool would wait
                # forever.
                return Index(Session(recipe.folder, recipe, reason=error))
        assert session is not None, "it was found or opened"
        assert shared is not None, "nobody else has the session"
        _reopened[name] = session, token
    return Index(shared)
