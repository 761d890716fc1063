"""An open index."""

from __future__ import annotations

import plexindex

from ._core import TYPE_CHECKING, convert, importing
from ._core import abi as c
from ._core.convert import text_of
from .library import Library

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from typing import Any, Literal, NoReturn, Union

    from typing_extensions import Self, Unpack

    from ._core import methods
    from ._core.session import Session
    from ._core.types import Asking, FieldArg, KeyArg, Listing, PathArg, Recipe, SizeArg, Stats, Waiting
    from .changes import Changes, Watch
    from .compare import Comparison
    from .edits import EditReport
    from .item import Item
    from .light import LightItem
    from .mapping import Proposal
    from .match import FolderMatch, Match, Matches
    from .progress import ProgressArg
    from .shows import Season, Show
    from .table import Table

    LibraryArg = Union[str, int, Library, None]


def _typed(call: Callable[..., Any]) -> methods.Call:
    return call


class Index:
    """An open index, which finds the Plex items for files. Any number of threads can use it at once. Close it with
    :meth:`close` or ``with``; after that, every method raises :class:`ClosedError`.

    A ``library`` is a title, a section id, a uuid, a :class:`Library`, or None for all libraries. A ``timeout`` is in
    seconds: None means the default from ``open``, infinity no timeout, and 0 hardly any time. Calls that fetch report
    to ``progress``, or to the ``progress`` callback of ``open``. Ctrl-C ends a call, and so does a callback that raises
    an exception or returns False; the next call resumes the fetch. For ``asyncio``, see :mod:`plexindex.aio`.
    """

    __slots__ = ("__weakref__", "_recipe", "_session")

    def __init__(self, session: Session, recipe: Recipe) -> None:
        self._session, self._recipe = session, recipe

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
        second close does nothing. A progress callback of this index must not close the index. Other indexes from equal
        pickles stay open.
        """
        session = self._session
        if session.owners > 1:
            session.owners -= 1
            self._session = session.left()
        else:
            session.close()

    def library(
        self, title: str | int | None = None, *, section: str | int | None = None, uuid: str | None = None
    ) -> Library:
        """Returns a library by its title, section ID or uuid. Without arguments, the result means all libraries.

        ``title`` can also be a uuid or a section ID, and is not case-sensitive; a number is a section ID. Fetches
        nothing: if the server has no such library, the first lookup raises LibraryNotFoundError, which lists the
        libraries. If two known libraries have the title, this call raises LibraryNotFoundError.
        """
        if isinstance(title, int) and not isinstance(title, bool) and section is None:
            title, section = None, title
        if (title, section, uuid).count(None) < 2:
            raise plexindex.InvalidArgumentError("give only one of title, section and uuid")
        if not self.is_open:
            raise self._session.closed_error()
        kind: int
        selector: Any
        if title is not None:
            kind, selector = c.SELECT_ANY, title
        elif section is not None:
            kind, selector = c.SELECT_SECTION, str(section)
        else:
            kind, selector = (c.SELECT_ALL, "") if uuid is None else (c.SELECT_UUID, uuid)
        return Library(self, self._session.library(kind, selector))

    def libraries(self, **options: Unpack[Listing]) -> list[Library]:
        """Returns the server's libraries, with their facts. Sends a request only if the store has no libraries yet."""
        convert.check_call(options, "offline")
        found = self.library()._request("libraries.list", **options)["libraries"]
        return [Library(self, self._session.library(c.SELECT_UUID, facts["uuid"]), facts) for facts in found]

    def _in(self, library: LibraryArg) -> Library:
        """Returns the library for an argument ``library``."""
        if isinstance(library, Library):
            if library._session is not self._session:
                raise plexindex.InvalidArgumentError(f"{library!r} belongs to a different index")
            return library
        return self.library(library)

    def match(
        self, path: PathArg, library: LibraryArg = None, *, size: SizeArg = None, **options: Unpack[Asking]
    ) -> Match:
        """Returns the item for a file. Asks the server only if necessary, and never if ``offline``. With ``check``,
        first asks for changes, with one request, or more if something changed.

        ``size`` is the file's size in bytes, which a webhook may contain. By default, plexindex reads the size of a
        file on this machine, with one ``stat`` on a thread of its own, if the path is neither recorded nor listed nor
        mapped; False forbids it.

        *Not found*, *ambiguous* and *not yet* are answers: see :class:`Match`. Raises ServerUnavailableError if the
        library was never fetched and the fetch fails, LibraryNotFoundError, and InvalidArgumentError for the path.
        """
        return self._in(library).match(path, size=size, **options)

    def match_paths(
        self,
        paths: Iterable[PathArg],
        library: LibraryArg = None,
        *,
        size: Literal[False] | None = None,
        **options: Unpack[Asking],
    ) -> Matches:
        """Matches many paths in one call, as :meth:`match` does. Returns the answers in the same order. ``size=False``
        forbids to read sizes.

        An error that concerns one path is in :attr:`Match.error`. The call raises errors that concern all paths, and
        raises InvalidArgumentError if a path is empty or contains a NUL.
        """
        return self._in(library).match_paths(paths, size=size, **options)

    def folder(self, path: PathArg, library: LibraryArg = None, **options: Unpack[Asking]) -> FolderMatch:
        """Returns the show, season, artist, album or item for a folder: the deepest to which all listed files below it
        belong. With a ``timeout``, plexindex first searches a library that was never fetched for one of the folder's
        files on this machine. Fetches and raises errors as :meth:`match` does.
        """
        return self._in(library).folder(path, **options)

    def match_guid(self, guid: str, library: LibraryArg = None, **options: Unpack[Asking]) -> Match:
        """Returns the item with a GUID: ``plex://…``, ``imdb://tt…``, ``tmdb://…``, ``tvdb://…``, or a legacy agent's.
        TMDB and TVDB number films, shows and episodes separately, so name the type: ``tvdb://show/81189``.

        For a show, season, artist or album, the candidates are at most 16 of its items, and ``message`` contains its
        key and its number of items.
        """
        return self._in(library).match_guid(guid, **options)

    def search_title(self, title: str, library: LibraryArg = None, **options: Unpack[Asking]) -> Match:
        """Returns the items with a title, ignoring case, accents and punctuation, as ``candidates``; otherwise the
        items whose titles contain all words, with low confidence. For a show's title, the items are its episodes.
        """
        return self._in(library).search_title(title, **options)

    def items_below(self, path: PathArg, library: LibraryArg = None, **options: Unpack[Listing]) -> Iterator[Item]:
        """Yields the items with files below a folder, in path order, once for each file: :attr:`Item.path`. plexindex
        reads one page at a time. If a file changes meanwhile, the order of the others stays the same. Sends requests
        only to fetch a library that was never fetched: raises TimeoutError if the timeout passes first, and
        NotFetchedError if ``offline``.
        """
        return self._in(library).items_below(path, **options)

    def items(
        self, library: str | int | Library, *, trashed: bool = False, **options: Unpack[Listing]
    ) -> Iterator[Item]:
        """Yields a library's items from the store, like :meth:`items_below`. ``library`` must be a single library.
        ``trashed`` yields the items in the library's trash instead, which no other call returns: one request for each
        page. The iterator can miss changes during the iteration.
        """
        return self._in(library).items(trashed=trashed, **options)

    def shows(self, library: str | int | Library) -> list[Show]:
        """Returns a library's shows or artists, each once, sorted by title. Reads all stored items, and sends no
        request: raises NotFetchedError if the library was never fetched. Plex lists neither the year nor the external
        IDs of a show with its episodes.
        """
        return self._in(library).shows()

    def seasons(self, library: str | int | Library) -> list[Season]:
        """Returns a library's seasons or albums, sorted by show, number and title, like :meth:`shows`. Plex lists no
        seasons of a show that hides them.
        """
        return self._in(library).seasons()

    def item_facts(self, key: KeyArg, library: LibraryArg = None) -> dict[str, Any] | None:
        """Returns all stored fields of an item, with its files and external IDs, like the method ``items.get``; None if
        the item is not listed. Sends no request: raises NotFetchedError if the library was never fetched.
        """
        return self._in(library).item_facts(key)

    def compare(
        self,
        folders: PathArg | Iterable[PathArg],
        library: LibraryArg = None,
        *,
        without: Iterable[str] = (),
        timeout: float | None = None,
        offline: bool = False,
        progress: Callable[[int], object] | None = None,
    ) -> Comparison:
        """Walks folders on this machine and compares them with Plex. Changes neither the disk nor the server.

        The result yields each :class:`Difference` during the walk; ``async for`` walks on a background thread. Unless
        ``offline``, plexindex first asks the server for changes, with one request, and requests items of missing
        files, which may have been renamed: 64 per request, at most 256. With a ``library``, other libraries' folders
        are skipped. ``without`` disables rules for files that Plex ignores: ``extension`` (plexindex never reports
        files that this rule ignores), ``hidden``, ``system``, ``unpacking``, ``empty``, ``samples``, ``extras``,
        ``discs``, ``plexignore``. ``progress`` receives the number of files so far. ``timeout`` limits the requests,
        not the walk. With a mapping's pattern for the host's paths, which plexindex cannot invert, it does not search
        the disk for listed files.
        """
        with importing:
            from .compare import Comparison

        return Comparison(self._in(library), folders, without, timeout, offline, progress)

    def record_match(
        self,
        path: PathArg,
        key: KeyArg,
        library: LibraryArg = None,
        *,
        timeout: float | None = None,
        through: bool = False,
    ) -> None:
        """Records that a path belongs to the item with ``key``: a key, a rating key, or a plexindex or plexapi item.
        From then on, lookups in every process return the item. The match never expires. ``library`` must be a single
        library.

        Raises TimeoutError if the ``timeout`` passes first, and records nothing. Asks the server only about an unknown
        library, or raises OfflineError if the call must not ask. With ``through``, returns once the match is in the
        shared database, like :meth:`shared_deliver`. After a TimeoutError, the match may be stored here, and is
        delivered later. After an InvalidArgumentError, nothing is recorded: the index does not share, or the path is
        neither in one of the library's folders nor under a mapping.
        """
        self._in(library).record_match(path, key, timeout=timeout, through=through)

    def record_matches(
        self,
        pairs: Iterable[tuple[PathArg, KeyArg]],
        library: LibraryArg = None,
        *,
        timeout: float | None = None,
        through: bool = False,
    ) -> None:
        """Records pairs of a path and a key, like :meth:`record_match`, all in one transaction."""
        self._in(library).record_matches(pairs, timeout=timeout, through=through)

    def invalidate_path(self, path: PathArg, library: LibraryArg = None) -> None:
        """Invalidates a path and removes its confirmed match. If the path is listed, its next lookup requests the item
        once. An unknown path is not an error.
        """
        self._in(library).invalidate_path(path)

    def invalidate_item(self, key: KeyArg, library: LibraryArg = None) -> None:
        """Invalidates an item, and removes its confirmed matches, for example after a 404. Its next lookup requests the
        item once; until the server has replied, answers with the item are stale.
        """
        self._in(library).invalidate_item(key)

    def invalidate_library(self, library: LibraryArg) -> None:
        """Invalidates a library and removes its confirmed matches, in constant time. plexindex then fetches a full
        listing, and answers from the old listing, as stale, until the new one is complete.
        """
        self._in(library).invalidate()

    def invalidate_all(self) -> None:
        """Invalidates all of the server's libraries, like :meth:`invalidate_library`."""
        self._in(None).invalidate()

    def clear(self) -> None:
        """Removes the listings and matches for this server and user; without a server, those from which the index
        answers.
        """
        self._session.ask(self._session.native.clear)

    def refresh(
        self, library: LibraryArg = None, full: bool = False, *, check: bool = False, **options: Unpack[Waiting]
    ) -> bool:
        """Refreshes one library or all libraries, like a match after a listing has expired.

        Sends no request while the listings are fresh, unless ``check``. ``full`` fetches a full listing even if the
        server reports no change. Returns whether the libraries are up to date; False if the timeout passed first, and
        the next call resumes the fetch. Raises TimeoutError if it passes before plexindex knows any library.
        """
        return self._in(library).refresh(full, check=check, **options)

    def changes(
        self, since: str | None = None, library: LibraryArg = None, *, full: bool = False, **options: Unpack[Asking]
    ) -> Changes:
        """Returns the items that were added, removed, changed or moved since a cursor, in one library or all libraries.

        Without ``since``, returns only the current cursor; with ``full``, all items as additions. Asks the server if a
        listing has expired; with ``check``, in any case. If the server does not answer, returns the known changes
        (:attr:`Changes.stale`). A cursor outlives the process. A cursor for all libraries can be used with a
        ``library``; the new cursor is only for that library. Raises ListAgainError if the store, which keeps 131,072
        changes, no longer has them: start again with ``full``. Raises TimeoutError if the timeout passes before any
        library (with ``full``, each library) is fetched.
        """
        return self._in(library).changes(since, full=full, **options)

    def watch(self, since: str | None = None, library: LibraryArg = None, **options: Unpack[Listing]) -> Watch:
        """Waits for changes from now on, or since a cursor. Yields :class:`Changes` with their cursors, the first at
        once. Ends after ``timeout`` seconds; without a ``timeout``, never.

        Read each object to its end, because changes that you do not read come again. Changes that any process detects
        arrive within a tenth of a second. plexindex asks the server when a listing has expired, and after the server's
        events, which helps other calls too. After a failure, it retries in half a minute. Leaving the loop, or the
        ``with`` block around it, ends the watch.
        :meth:`close` ends the iteration with a ClosedError.
        """
        return self._in(library).watch(since, **options)

    def wait_for(
        self,
        path: PathArg,
        library: LibraryArg = None,
        *,
        timeout: float | None,
        every: float = 1.5,
        progress: ProgressArg = None,
        size: SizeArg = None,
    ) -> Match:
        """Waits until Plex lists a file, such as a new import. Returns the match as soon as its confidence is high, or
        the last answer after ``timeout`` seconds. None waits forever. ``size`` is as in :meth:`match`.

        plexindex asks the server for changes every ``every`` seconds, with one request, or more if something changed.
        After an event (:meth:`watch`) or another process's fetch, it looks at once, so ``every`` can be long. Raises
        the errors of :meth:`match`. While the server is unreachable, an index with listings keeps waiting.
        """
        return self._in(library).wait_for(path, timeout=timeout, every=every, progress=progress, size=size)

    def notify(self, body: bytes | bytearray | memoryview | str | Mapping[str, Any]) -> None:
        """Passes an event that the host received to plexindex. The next lookup of a changed item asks the server; the
        call itself sends no request.

        ``body`` is a webhook (the JSON in its field ``payload``, or the whole multipart body) or a server notification;
        any other body raises InvalidArgumentError. Other servers' events are ignored. Until the server has accepted a
        new token, the call stores nothing and raises LibraryNotFoundError: look up a file, and call this method again.
        """
        raw = convert.event_bytes(body)
        self._session.ask(self._session.native.notify, raw, len(raw))

    def set_token(self, token: str | None) -> None:
        """Replaces the token, like ``index.token = …``. Sends no request. Running calls keep their token.

        With the option ``user``, the index keeps its content and answers immediately. Without it, the next lookup asks
        the server, and the index keeps its content only for the same token, or a JSON Web Token with the same key pair
        and user. Raises InvalidArgumentError if the string cannot be a token. To renew tokens automatically, pass a
        callable to :func:`plexindex.open`.
        """
        raw = b"" if token is None else convert.text_bytes("token", token, hidden=True)
        self._session.ask(self._session.native.set_token, raw or None, len(raw))
        self._session.token, self._session.plex = token, None

    token = property(None, set_token, doc="The token, write-only: see :meth:`set_token`.")

    def edit_items(
        self,
        keys: Iterable[KeyArg],
        fields: Mapping[str, FieldArg] | None = None,
        library: LibraryArg = None,
        *,
        remove: Mapping[str, str | Iterable[str]] | None = None,
        locked: bool | None = True,
        timeout: float | None = None,
    ) -> EditReport:
        """Sets the same values for items in one library, with one request for each hundred items of a type.

        ``fields`` maps Plex's field names to values: a string or a number replaces the value, a list adds tags
        (``{"title": "A", "genre": ["Drama"]}``), and None changes only the lock. ``remove`` contains tags to remove.
        ``locked`` protects the fields from Plex's agents; False unlocks them, None keeps the locks. If an item does not
        exist, sends no edit and raises NotOnServerError. After a failed request, sends no more, and the error's
        ``report`` lists the edited items. The first lookup of an edited item requests the item once. Shows, seasons,
        artists and albums can be edited, too, and the index shows their new titles after the next refresh.

        plexapi sends the requests, by its batch edits; without plexapi, raises ImportError. Each waits as long as
        plexapi's timeout, and ``timeout`` is checked between them. An index that does not come from
        :func:`plexindex.from_server` first sends one request more.
        """
        return self._in(library).edit_items(keys, fields, remove=remove, locked=locked, timeout=timeout)

    def table(self, name: str | bytes, *, limit: int | None = None) -> Table:
        """Returns a table of your own in the index: a mapping of names to bytes, which every process sees.

        ``limit``: the table's maximum size in bytes; an entry has its name, its value and 64 bytes. Beyond it, each
        change through this object removes the table's oldest entries. None: no limit.
        """
        with importing:
            from .table import Table

        return Table(self._session, name, limit=limit)

    @_typed
    def call(
        self,
        method: str,
        request: Mapping[str, Any] | None = None,
        *,
        timeout: float | None = None,
        progress: ProgressArg = None,
    ) -> Any:
        """Calls a method by name, such as ``"items.list"``. ``docs/methods.md`` lists all methods.

        The request and the answer are dicts of JSON values. In the request, paths can be bytes, and the library a
        :class:`Library`. The answer omits unknown fields.
        """
        if request is not None and not hasattr(request, "keys"):
            raise TypeError(f"request must be a dict, not {type(request).__name__}")
        request = dict(request or {})
        if "library" in request and not isinstance(request["library"], dict):
            request["library"] = self._in(request["library"])._handle
        return self._session.request(method, timeout, progress, **request)

    def stats(self) -> Stats:
        """Returns this index's counts and times."""
        return self._session.stats()  # type: ignore[return-value]

    def proposals(self, paths: Iterable[PathArg] = ()) -> list[Proposal]:
        """Returns at most five mappings that seem to be missing, best first. Sends no request.

        They are based on this index's first 500 answers that matched a path by its end or its file name, or only on
        ``paths``; ``gain`` is then the number of paths that a mapping matches and no earlier one does.
        """
        given = convert.check_paths(convert.path_list(paths), self._session.hides_paths)
        found = self._session.request("mappings.propose", paths=given)["proposals"]
        return [
            plexindex.Proposal(
                text_of(one["from"]) or "",
                text_of(one["to"]) or "",
                one["matched"],
                one["of"],
                one.get("gain"),
                contradicted=one["contradicted"],
                certain=one["certain"],
            )
            for one in found
        ]

    def server(self, *, timeout: float | None = None, progress: ProgressArg = None) -> methods.ServerInfo:
        """Requests the server's name and libraries, even if they are known, to diagnose problems: two requests, or
        three at the first contact. The first needs no token, so an UnauthorizedError proves that the server is
        reachable.
        """
        return self._session.request("server.check", timeout, progress)  # type: ignore[no-any-return]

    def store(self) -> methods.StoreInfo:
        """Returns the store's folder, file system and size. Also tests whether file locks work in the folder."""
        return self._session.request("store.get")  # type: ignore[no-any-return]

    def shared_status(self) -> methods.SharedStatus | None:
        """Returns what the shared database has, and how many rows this folder has not read; None without ``shared``.

        Waits at most the ``timeout`` from ``open``, or some seconds. If the database does not respond, the field
        ``error`` contains the reason.
        """
        return self._share("status").get("database")

    def shared_init(self) -> str:
        """Creates the tables, for hosts whose roles may not. Returns ``"made"`` or ``"present"``. Otherwise, the first
        host creates them.

        Raises InvalidArgumentError without ``shared``, and OfflineError if the index is offline. Errors of PostgreSQL
        are ServerUnavailableError, TimeoutError or UnauthorizedError.
        """
        return self._share("init")["tables"]  # type: ignore[no-any-return]

    def shared_deliver(self) -> None:
        """Waits until the shared database has all that this host recorded or took back, which the index otherwise
        delivers a moment later. Waits as long as :meth:`shared_status`. Raises TimeoutError if something remains, which
        the index delivers later, and InvalidArgumentError without ``shared``.
        """
        self._share("deliver")

    def shared_clear(self) -> None:
        """Takes back all confirmed matches of this server and user, on all hosts. Raises the errors of
        :meth:`shared_init`; InvalidArgumentError also if this index has not reached its server yet.
        """
        self._share("clear")

    def shared_drop_old(self) -> None:
        """Removes the tables of versions that shared a log. Raises the errors of :meth:`shared_init`."""
        self._share("drop_old")

    def _share(self, action: str) -> dict[str, Any]:
        return self._session.request("sharing", action=action)  # type: ignore[no-any-return]

    def _library_of(self, item: Item) -> Library:
        return self.library(section=item.section) if item.section else self.library()

    def _light_of(self, _item: Item) -> LightItem | None:
        return None  # only an index for a plexapi server has these items

    def _facts_of(self, item: Item) -> dict[str, Any] | None:
        return self._library_of(item)._listed_facts(item.rating_key)

    def _host_path_of(self, path: str) -> str | None:
        if not self._recipe[3]["mappings"]:
            return path
        raw = path.encode("utf-8", "surrogateescape")
        return text_of(self._session.request("mappings.to_host", path=raw)["path"])

    def _server_paths_of(self, path: str) -> list[str]:
        raw = path.encode("utf-8", "surrogateescape")
        (found,) = self._session.request("mappings.to_server", paths=[raw])["paths"]
        return [text_of(one) or "" for one in found]

    def __enter__(self) -> Self:
        if not self.is_open:
            raise self._session.closed_error()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __reduce__(self) -> tuple[Any, ...]:
        with importing:
            from .opening import open_again

        return open_again, self._recipe

    def __copy__(self, _memo: object = None) -> NoReturn:
        raise TypeError("cannot copy an Index: use the same object everywhere, or open the folder again")

    __deepcopy__ = __copy__

    def __repr__(self) -> str:
        return f"<plexindex.Index {self.cache_dir!r} {'open' if self.is_open else 'closed'}>"
