"""Opens an index; an open index."""

from __future__ import annotations

import os

from ._core import TYPE_CHECKING, convert
from ._core import constants as c
from ._core.opening import open_again, open_session
from .errors import InvalidArgumentError
from .library import Library
from .mapping import Proposal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from types import TracebackType
    from typing import Any, NoReturn, Union

    from typing_extensions import Self

    from ._core import methods
    from ._core.opening import Recipe
    from ._core.session import Session
    from ._core.shared import Following
    from ._core.types import FieldArg, KeyArg, PathArg, Stats, TokenArg
    from .changes import Changes, Watch
    from .compare import Comparison
    from .edits import EditReport
    from .item import Item
    from .light import LightItem
    from .mapping import MappingArg
    from .match import FolderMatch, Match, Matches
    from .progress import ProgressArg
    from .table import Table

    LibraryArg = Union[str, int, Library, None]


def open(
    cache_dir: PathArg | None = None,
    server_url: str | None = None,
    token: TokenArg = None,
    *,
    user: str | None = None,
    library_ttl: float | None = 3600.0,
    max_age: float | None = 86400.0,
    timeout: float | None = None,
    connect_timeout: float = 5.0,
    read_timeout: float = 60.0,
    stale_answer_timeout: float | None = 2.0,
    retry_for: float | None = 30.0,
    ca_file: PathArg | None = None,
    accept_invalid_certs: bool = False,
    offline: bool = False,
    mappings: Iterable[MappingArg] = (),
    page_size: int = 1000,
    matches_limit: int = 52_428_800,
    size_limit: int | None = None,
    database: PathArg | None = None,
    mmap: bool = True,
    slow: float | None = 1.0,
    obfuscate_paths: bool = False,
    shared: str | None = None,
    shared_retry: float | None = 60.0,
    shared_durable: bool | None = None,
    progress: ProgressArg = None,
) -> Index:
    """Opens an index in a folder. Sends no request; the first lookup that needs the server sends one.

    Several processes can open the same folder, and one process can open it several times. All times are in seconds.

    Without ``cache_dir``, the folder, server, token, user, Plex's database, shared log, mappings and size limit come
    from the environment (``PLEXINDEX_SERVER_URL``, ``PLEXINDEX_TOKEN``, …) and from configuration files, as for the
    command ``plexindex``; ``plexindex help config`` lists the sources. Arguments take precedence. plexindex sends a
    configured token only to the server that is configured with the token.

    Args:
        cache_dir: The store's folder. If the folder is missing, plexindex creates it, accessible only to its owner.
            None: the configured folder.
        server_url: Base URL, such as ``http://127.0.0.1:32400``. Without a URL, plexindex answers from the store or
            ``database``.
        token: The Plex token, or a callable that returns the token. plexindex sends the token only to this server, and
            never stores or logs it. ``open`` calls the callable first, and raises its exception. When the server
            rejects the token (401) or reports that it has expired (498), plexindex calls the callable again, on the
            thread of the rejected call and once for all threads, and retries. If the callable then raises, or returns
            None or the same token, plexindex answers from the store, and does not use the callable again for 15
            seconds. Other threads wait for the new token until their timeout, but at most ``read_timeout``.
        user: A name for the user whose view of the server the index contains. None: each token has its own index. Set a
            name if the token changes: a new token for the same user then uses the same index. JSON Web Tokens that
            contain their key pair and their user (``thumbprint``, ``username``) need no name.
        library_ttl: How long a listing is fresh. 0: never; None: until it is invalidated.
        max_age: Age at which plexindex fetches a full listing even if the server reports no change. None: never.
        timeout: Default timeout for calls. None: no limit; 0: hardly any time.
        connect_timeout: Maximum time for connecting.
        read_timeout: Maximum time for which the server may send nothing during a response. For a lookup without a
            listing, at most 15 s.
        stale_answer_timeout: Maximum time that a query without ``check`` waits for the server if a stored listing can
            answer; the answer is then stale. None: no limit.
        retry_for: How long to retry a request after a temporary failure. 0: no retries; None: until the timeout.
        ca_file: PEM file with certificate authorities to trust instead of the system's authorities.
        accept_invalid_certs: Accept any certificate, with a warning in the log.
        offline: Send no requests.
        mappings: Rules between the host's paths and the server's: :class:`plexindex.Mapping`, or pairs of folders
            ``(host, server)``.
        page_size: Number of rows in a page of a listing, from 1 to 1000.
        matches_limit: Maximum size of confirmed matches on disk in bytes. plexindex removes the oldest matches first.
        size_limit: Maximum size of the whole folder in bytes. plexindex removes the least recently refreshed libraries,
            and fetches them again when needed. Confirmed matches, tables and the newest listing remain. If processes
            have different limits, the smallest limit applies. None: no limit.
        database: Plex's own database, on the server's machine: the file ``com.plexapp.plugins.library.db``, its folder,
            or the folder 'Plex Media Server'. plexindex reads the database while the server runs, and never writes to
            it. With only a database, plexindex needs neither a URL nor a token, sends no requests, notices each change
            on the next lookup, and shows all of the server's libraries. None: no database; plexindex never searches for
            one.
        mmap: Whether to map the index files into memory. False: read them into memory.
        slow: Log each call that takes longer than this, with a breakdown of its time: as a warning, or as info if the
            call fetched a library or waited for another fetch. None: log no calls.
        obfuscate_paths: In log lines, errors and reasons, replace a media path with a short hash and the extension,
            such as ``path-3f9a2c1b07.mkv``. The same path in the same folder always has the same hash.
        shared: A PostgreSQL database that several hosts with the same server share, such as
            ``postgresql://user@host/database?sslmode=verify-full``; the password comes from ``PGPASSWORD`` or a
            password file. One host fetches for all, and confirmed matches and invalidations reach all hosts. Each host
            answers from its own folder. You cannot combine ``shared`` with ``database``. Without ``server_url``, the
            hosts exchange nothing.
        shared_retry: How long to wait for an unreachable shared log before asking Plex for listings. None: forever.
        shared_durable: Sync each confirmed match and invalidation for other hosts to disk before the call returns, so
            that a power cut loses none of them. These calls take longer. None: False.
        progress: Default callback for progress (:class:`plexindex.Progress`).

    Raises:
        InvalidArgumentError: an argument is invalid; the message names the argument.
        StoreError: plexindex cannot open or create the folder.
        ImportError: Python cannot load the shared library, or the library has a different version.

    """
    return Index(*open_session(dict(locals())))


def _typed(call: Callable[..., Any]) -> methods.Call:
    return call


class Index:
    """An open index, which finds the Plex items for files. :func:`plexindex.open` creates an index. Close an index with
    :meth:`close` or ``with``.

    Any number of threads can use an index at once. A ``library`` is a title, a section id, a uuid, a :class:`Library`,
    or None for all libraries. A ``timeout`` is in seconds. None means the default from ``open``, infinity means no
    timeout, and 0 leaves hardly any time. Calls that fetch report their progress to ``progress``, or to the
    ``progress`` callback of ``open``. Ctrl-C ends a call, and so does a ``progress`` callback that raises an exception
    or returns False. The next call resumes the fetch. For ``asyncio``, see :mod:`plexindex.aio`.

    After :meth:`close`, every method raises :class:`ClosedError`.
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
        """Closes the index. First waits for other threads' running calls, whose fetches end early with a ClosedError.

        A second close does nothing. A progress callback of this index must not close the index.
        """
        self._session.close()

    def library(
        self, title: str | int | None = None, *, section: str | int | None = None, uuid: str | None = None
    ) -> Library:
        """Returns a library by its title, section ID or uuid. Without arguments, the result means all libraries.

        The string ``title`` can also be a uuid or a section ID, and is not case-sensitive. A number is a section ID.
        Fetches nothing. If the server has no such library, the first lookup raises LibraryNotFoundError, which lists
        the existing libraries. If two known
        libraries have the title, this call raises LibraryNotFoundError.
        """
        if isinstance(title, int) and not isinstance(title, bool) and section is None:
            title, section = None, title
        for name, value, wanted in (("title", title, "str or int"), ("uuid", uuid, "str")):
            if value is not None and not isinstance(value, str):
                raise TypeError(f"{name} must be {wanted}, not {type(value).__name__}")
        kinds = {c.SELECT_ANY: title, c.SELECT_SECTION: section, c.SELECT_UUID: uuid}
        given = [(kind, str(value)) for kind, value in kinds.items() if value is not None]
        if len(given) > 1:
            raise InvalidArgumentError("give only one of title, section and uuid")
        if not self.is_open:
            raise self._session.closed_error()
        kind, selector = given[0] if given else (c.SELECT_ALL, "")
        return Library(self, self._session.library(kind, selector))

    def libraries(
        self, *, timeout: float | None = None, offline: bool = False, progress: ProgressArg = None
    ) -> list[Library]:
        """Returns the server's libraries, with their facts. Sends a request only if the store contains no libraries
        yet.
        """
        convert.check_call(timeout, progress, offline=offline)
        found = self._session.request("libraries.list", timeout, progress, offline=offline)["libraries"]
        return [Library(self, self._session.library(c.SELECT_UUID, facts["uuid"]), facts) for facts in found]

    def _in(self, library: LibraryArg) -> Library:
        """Returns the library for an argument ``library``."""
        if isinstance(library, Library):
            if library._session is not self._session:
                raise InvalidArgumentError(f"{library!r} belongs to a different index")
            return library
        if library is not None and (isinstance(library, bool) or not isinstance(library, (str, int))):
            raise TypeError(
                f"library must be a title, a section id, a uuid, a Library or None, not {type(library).__name__}"
            )
        return self.library(library)

    def match(
        self,
        path: PathArg,
        library: LibraryArg = None,
        *,
        timeout: float | None = None,
        offline: bool = False,
        check: bool = False,
        progress: ProgressArg = None,
    ) -> Match:
        """Returns the item for a file. Asks the server only if necessary, and never if ``offline``.

        With ``check``, the call first asks the server for changes, with one request, or more if something changed.

        *Not found*, *ambiguous* and *not yet* are answers, not exceptions: see :class:`Match`. Raises
        ServerUnavailableError if the library was never fetched and the fetch fails, LibraryNotFoundError if there is no
        such library, and InvalidArgumentError if the path is invalid.
        """
        return self._in(library).match(path, timeout=timeout, offline=offline, check=check, progress=progress)

    def match_paths(
        self,
        paths: Iterable[PathArg],
        library: LibraryArg = None,
        *,
        timeout: float | None = None,
        offline: bool = False,
        check: bool = False,
        progress: ProgressArg = None,
    ) -> Matches:
        """Matches many paths in one call, as :meth:`match` does. Returns the answers in the same order.

        An error that concerns only one path is in :attr:`Match.error`. The call raises errors that concern all paths,
        and raises InvalidArgumentError if a path is empty or contains a NUL.
        """
        return self._in(library).match_paths(paths, timeout=timeout, offline=offline, check=check, progress=progress)

    def folder(
        self,
        path: PathArg,
        library: LibraryArg = None,
        *,
        timeout: float | None = None,
        offline: bool = False,
        check: bool = False,
        progress: ProgressArg = None,
    ) -> FolderMatch:
        """Returns the show, season, artist, album or item for a folder: the deepest to which all listed files below the
        folder belong.

        Fetches the library as :meth:`match` does. With a ``timeout``, plexindex first searches a library that was
        never fetched for one of the files in the folder on this machine's disk. Raises the errors of :meth:`match`.
        """
        return self._in(library).folder(path, timeout=timeout, offline=offline, check=check, progress=progress)

    def match_guid(
        self,
        guid: str,
        library: LibraryArg = None,
        *,
        timeout: float | None = None,
        offline: bool = False,
        check: bool = False,
        progress: ProgressArg = None,
    ) -> Match:
        """Returns the item with a GUID: ``plex://…``, ``imdb://tt…``, ``tmdb://…``, ``tvdb://…``, or a legacy agent's
        GUID. TMDB and TVDB number films, shows and episodes separately, so name the type: ``tvdb://show/81189``.

        For the GUID of a show, season, artist or album, the candidates are at most 16 of its items, and the ``message``
        contains its key and its total number of items.
        """
        return self._in(library).match_guid(guid, timeout=timeout, offline=offline, check=check, progress=progress)

    def search_title(
        self,
        title: str,
        library: LibraryArg = None,
        *,
        timeout: float | None = None,
        offline: bool = False,
        check: bool = False,
        progress: ProgressArg = None,
    ) -> Match:
        """Returns the items with a title, ignoring case, accents and punctuation. If no title matches, returns the
        items whose titles contain all words. For the title of a show, the items are its episodes.

        The items are the answer's ``candidates``. A single item is also the answer's item.
        """
        return self._in(library).search_title(title, timeout=timeout, offline=offline, check=check, progress=progress)

    def items_below(
        self,
        path: PathArg,
        library: LibraryArg = None,
        *,
        timeout: float | None = None,
        offline: bool = False,
        progress: ProgressArg = None,
    ) -> Iterator[Item]:
        """Yields the items with files below a folder, in path order. :attr:`Item.path` is the file. An item with
        several files appears once for each file. plexindex reads one page at a time, so that a large list does not fill
        the memory.

        Sends requests only to fetch a library that was never fetched, unless ``offline``. If a file changes during the
        iteration, the order of the other files stays the same. Raises TimeoutError if the timeout passes before the
        library is fetched, and NotFetchedError if the call is offline and the library was never fetched.
        """
        return self._in(library).items_below(path, timeout=timeout, offline=offline, progress=progress)

    def items(
        self,
        library: str | int | Library,
        *,
        trashed: bool = False,
        timeout: float | None = None,
        offline: bool = False,
        progress: ProgressArg = None,
    ) -> Iterator[Item]:
        """Yields a library's items from the store. ``library`` must be a single library.

        ``trashed`` yields the items in the library's trash instead, which no other call returns: each page is one
        request to the server.

        The call sends requests, reads pages and raises errors like :meth:`items_below`. The iterator can miss changes
        during the iteration.
        """
        return self._in(library).items(trashed=trashed, timeout=timeout, offline=offline, progress=progress)

    def item_facts(
        self,
        key: KeyArg,
        library: LibraryArg = None,
    ) -> dict[str, Any] | None:
        """Returns all stored fields of an item, including its files and external IDs, like the method ``items.get``.
        Returns None if the item is not listed. Sends no request: raises NotFetchedError if the library was never
        fetched.
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

        Iterate over the result, which yields each :class:`Difference` while plexindex walks the disk. Unless
        ``offline``, plexindex first asks the server for changes, with one request. If a library has new and missing
        files, plexindex then requests the items of the missing files, which may have been renamed: 64 per request, at
        most 256 in all. With a ``library``, plexindex skips other libraries' folders. ``without`` disables rules for
        files that Plex ignores: ``extension`` (plexindex never reports files that this rule ignores), ``hidden``,
        ``system``, ``unpacking``, ``empty``, ``samples``, ``extras``, ``discs``, ``plexignore``. ``progress`` receives
        the number of files found so far. The ``timeout`` limits the requests, but not the walk. ``async for`` over the
        result walks on a background thread.

        If a mapping has a pattern for the host's paths, plexindex does not search the disk for listed files, because
        plexindex cannot invert a pattern.
        """
        from .compare import Comparison

        if isinstance(without, (str, bytes)):
            raise TypeError(f"without must be a list of rules, not {without!r}: write [{without!r}]")
        if not isinstance(folders, (str, bytes, os.PathLike)) and not hasattr(folders, "__iter__"):
            raise TypeError(f"folders must be a path or a list of paths, not {type(folders).__name__}")
        given = [folders] if isinstance(folders, (str, bytes, os.PathLike)) else list(folders)
        return Comparison(self._in(library), given, frozenset(without), timeout, offline, progress)

    def record_match(
        self,
        path: PathArg,
        key: KeyArg,
        library: LibraryArg = None,
        *,
        timeout: float | None = None,
        through: bool = False,
    ) -> None:
        """Records that a path belongs to the item with ``key``, a key or rating key. From then on, lookups return the
        item.

        ``key`` can also be a plexindex or plexapi item. After the call, every process sees the match, which never
        expires. ``library`` must be a single library. The call asks the server only about an unknown library. If the
        ``timeout`` passes first, the call records nothing and raises TimeoutError. If the call must not ask the
        server, it raises OfflineError.

        With ``through``, the call returns once the match is in the shared log (the option ``shared`` of ``open``), like
        :meth:`shared_deliver`. If the call raises TimeoutError, the match may be stored on this host, and plexindex
        then delivers it later. If the call raises InvalidArgumentError, it has recorded nothing: the index has no
        shared log, or no other host could use the path, because the path is neither in one of the library's folders nor
        under a mapping.
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
        from the server once. An unknown path is not an error.
        """
        self._in(library).invalidate_path(path)

    def invalidate_item(self, key: KeyArg, library: LibraryArg = None) -> None:
        """Invalidates an item and all its paths, like :meth:`invalidate_path`. Call this method after a 404 for the
        item.
        """
        self._in(library).invalidate_item(key)

    def invalidate_library(self, library: LibraryArg) -> None:
        """Invalidates a library and removes its confirmed matches, in constant time. plexindex then fetches a full
        listing. Until the new listing is complete, plexindex answers from the old listing, and marks the answers as
        stale.
        """
        self._in(library).invalidate()

    def invalidate_all(self) -> None:
        """Invalidates all of the server's libraries, like :meth:`invalidate_library`."""
        self._in(None).invalidate()

    def clear(self) -> None:
        """Removes the listings and matches for this server and user. For an index without a server, removes the data of
        the server from whose listings the index answers.
        """
        self._session.command(self._session.native.clear)

    def refresh(
        self,
        library: LibraryArg = None,
        full: bool = False,
        *,
        check: bool = False,
        timeout: float | None = None,
        progress: ProgressArg = None,
    ) -> bool:
        """Refreshes one library or all libraries, like a match after a listing has expired.

        Sends no request while the listings are fresh, unless ``check`` is true, which always asks the server for
        changes. ``full`` fetches a full listing even if the server reports no change. Returns whether the libraries are
        up to date. If the timeout passes first, returns False, and the next call resumes the fetch. If the timeout
        passes before plexindex knows any library, raises TimeoutError.
        """
        return self._in(library).refresh(full, check=check, timeout=timeout, progress=progress)

    def changes(
        self,
        since: str | None = None,
        library: LibraryArg = None,
        *,
        full: bool = False,
        check: bool = False,
        timeout: float | None = None,
        offline: bool = False,
        progress: ProgressArg = None,
    ) -> Changes:
        """Returns the items that were added, removed, changed or moved since a cursor, in one library or all libraries.

        Without ``since``, the call returns only the current cursor. With ``full``, the call returns all items as
        additions, and then the cursor. The call asks the server if a listing has expired; with ``check``, it always
        sends one request, and with ``offline``, none. If the server does not answer, the call returns the known changes
        (see :attr:`Changes.stale` and :attr:`Changes.age`). A cursor remains valid after the process exits. If you
        combine a cursor for all libraries with a ``library``, the new cursor is only for that library.

        Raises ListAgainError if the store, which keeps 64 MiB of changes, no longer has the changes since the cursor:
        start again with ``full``. Raises TimeoutError if the timeout passes before any library (with ``full``, each
        library) is fetched.
        """
        return self._in(library).changes(
            since, full=full, check=check, timeout=timeout, offline=offline, progress=progress
        )

    def watch(
        self,
        since: str | None = None,
        library: LibraryArg = None,
        *,
        timeout: float | None = None,
        offline: bool = False,
        progress: ProgressArg = None,
    ) -> Watch:
        """Waits for changes from now on, or since a cursor. Iterate over the result, which yields :class:`Changes` with
        their cursors. Ends after ``timeout`` seconds; without a ``timeout``, waits forever.

        The first object arrives immediately. Read each object to its end, because changes that you do not read come
        again. Changes that any process detects arrive within a tenth of a second. plexindex asks the server when a
        listing has expired. Within a ``with`` block, plexindex also listens to the server's events, and asks the server
        after an event; this also helps other calls, so a program can use the block without the changes. After a
        failure, plexindex retries in half a minute. Ctrl-C ends the iteration, and :meth:`close` ends it with a
        ClosedError.
        """
        return self._in(library).watch(since, timeout=timeout, offline=offline, progress=progress)

    def wait_for(
        self,
        path: PathArg,
        library: LibraryArg = None,
        *,
        timeout: float | None,
        every: float = 1.5,
        progress: ProgressArg = None,
    ) -> Match:
        """Waits until Plex lists a file, such as a new import. Calls :meth:`match` repeatedly.

        Returns the match as soon as its confidence is high, or the last answer after ``timeout`` seconds. With a
        ``timeout`` of None, the call waits forever. plexindex asks the server for changes every ``every`` seconds, with
        one request, or more if something changed. After an event (:meth:`watch`) or a fetch by another process,
        plexindex looks at once, so ``every`` can be long.

        Raises the same errors as :meth:`match`. While the server is unreachable, an index with listings keeps waiting.
        """
        return self._in(library).wait_for(path, timeout=timeout, every=every, progress=progress)

    def notify(self, body: bytes | bytearray | memoryview | str | Mapping[str, Any]) -> None:
        """Passes an event that the host received to plexindex. The next lookup of a changed item asks the server. The
        call itself sends no request.

        ``body`` is a webhook (the JSON in its field ``payload``, as a string or parsed, or the whole multipart body) or
        a server notification. The call ignores events without a change and events from other servers. Any other body
        raises InvalidArgumentError. Until the server has accepted a new token, the call stores nothing and raises
        LibraryNotFoundError: look up a file, and then call this method again.
        """
        if isinstance(body, str):
            raw = convert.text_bytes("body", body)
        elif isinstance(body, (bytes, bytearray, memoryview)):
            raw = bytes(body)
        elif hasattr(body, "keys"):
            import json

            raw = json.dumps(dict(body)).encode()
        else:
            raise TypeError(f"body must be bytes, str or a dict, not {type(body).__name__}")
        self._session.command(self._session.native.notify, raw, len(raw))

    def set_token(self, token: str | None) -> None:
        """Replaces the token, like ``index.token = …``. Sends no request. Running calls keep their token.

        With the option ``user``, the index keeps its content and answers immediately. Without ``user``, the next lookup
        asks the server, and the index answers only if the server accepts the new token. The index keeps its content if
        the token is the same, or is a JSON Web Token with the same key pair and user. With any other token, the index
        starts empty.

        Raises InvalidArgumentError if the string cannot be a token. To renew tokens automatically, pass a callable to
        :func:`plexindex.open`.
        """
        raw = b"" if token is None else convert.text_bytes("token", token, hidden=True)
        self._session.command(self._session.native.set_token, raw or None, len(raw))

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
        (``{"title": "A", "genre": ["Drama"]}``), and None changes only the lock. ``remove`` contains the tags to
        remove. ``locked`` protects the fields from Plex's agents; False unlocks the fields, None keeps the locks.

        Without keys, the call sends nothing, because otherwise Plex would edit the whole library. If an item does not
        exist, the call sends no edit and raises NotOnServerError. After a failed request, the call sends no further
        requests, and the error's ``report`` lists the edited items. The first lookup of an edited item requests the
        item from the server once.
        """
        if library is None:
            raise TypeError("a call can edit items in only one library: specify the library")
        return self._in(library).edit_items(keys, fields, remove=remove, locked=locked, timeout=timeout)

    def table(self, name: str | bytes) -> Table:
        """Returns a table of your own in the index: a mapping of names to bytes, which every process sees."""
        from .table import Table

        return Table(self._session, name)

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

        The request and the answer are dicts of JSON values. In the request, paths can also be bytes, and the library
        can be a :class:`Library`. The answer omits unknown fields. Raises the same errors as other calls.
        """
        if request is not None and not hasattr(request, "keys"):
            raise TypeError(f"request must be a dict, not {type(request).__name__}")
        request = dict(request or {})
        if "library" in request and not isinstance(request["library"], dict):
            request["library"] = self._in(request["library"])._handle
        return self._session.request(method, timeout, progress, **request)

    def stats(self) -> Stats:
        """Returns this index's counts and times."""
        from ._core.stats import read_stats

        return read_stats(self._session)

    def proposals(self, paths: Iterable[PathArg] = ()) -> list[Proposal]:
        """Returns at most five mappings that seem to be missing, best first. Sends no request.

        The proposals are based on this index's first 500 answers that matched a path by its end or its file name. With
        ``paths``, the proposals are based only on these paths, and ``gain`` is the number of paths that a mapping
        matches and no earlier mapping does.
        """
        from ._core.json_call import text_of

        given = [convert.path_bytes(path, self._session.hides_paths) for path in paths]
        found = self._session.request("mappings.propose", paths=given)["proposals"]
        return [
            Proposal(text_of(one["from"]) or "", text_of(one["to"]) or "", one["matched"], one["of"], one.get("gain"))
            for one in found
        ]

    def server(self, *, timeout: float | None = None, progress: ProgressArg = None) -> methods.ServerInfo:
        """Requests the server's name and libraries, even if they are known. Use this method to diagnose problems.

        Sends two requests (three at the first contact), and stores the answers. The first request needs no token, so an
        UnauthorizedError proves that the server is reachable.
        """
        return self._session.request("server.check", timeout, progress)  # type: ignore[no-any-return]

    def store(self) -> methods.StoreInfo:
        """Returns the store's folder, file system and size. Also tests whether file locks work in the folder."""
        return self._session.request("store.get")  # type: ignore[no-any-return]

    def shared_status(self) -> methods.SharedStatus | None:
        """Returns the contents of the shared log, and how many entries this folder has not read. None without
        ``shared``.

        Waits for a connection for 0.3 s, or for the ``connect_timeout`` of the address. Then waits at most for the
        ``timeout`` from ``open``, or for some seconds without a timeout. If the log does not respond, the call raises
        no error: the field ``error`` contains the reason.
        """
        return self._share("status").get("log")

    def shared_init(self) -> str:
        """Creates or upgrades the tables of the shared log. Returns ``"made"``, or ``"present"`` if the tables existed.

        The first host that uses the log also creates the tables. If the hosts' roles are not allowed to create tables,
        call this method with a role that is.

        Raises InvalidArgumentError without ``shared``, and OfflineError if the index is offline. Errors of PostgreSQL
        are ServerUnavailableError, TimeoutError or UnauthorizedError.
        """
        return self._share("init")["tables"]  # type: ignore[no-any-return]

    def shared_deliver(self) -> None:
        """Waits until the shared log contains all of this host's recorded matches and invalidations.

        Without this call, the index delivers the entries a moment later. The call waits as long as
        :meth:`shared_status` does.

        Raises TimeoutError if the log does not receive all entries in time. The index keeps the remaining entries in
        its folder, and delivers them later. Raises InvalidArgumentError without ``shared``.
        """
        self._share("deliver")

    def follow_shared(self) -> Following:
        """Reads other hosts' entries as they arrive, until the block ends: ``with index.follow_shared(): …``.

        Following also delivers this folder's entries, even from processes that have ended. Follow the log on a host
        whose tools run only briefly (``plexindex shared follow``). :meth:`watch` also follows the log. Following sends
        no request to Plex, so a new folder reads nothing until the server has accepted the token for the first lookup.
        A forked child must call this method again. Raises InvalidArgumentError without ``shared``.
        """
        from ._core.shared import Following

        return Following(self._session)

    def shared_clear(self) -> None:
        """Removes all servers' and users' entries from the shared log, and keeps the tables.

        Each host keeps its folder, and answers from the folder. Other hosts lose the entries that they have not read
        yet.

        Raises the same errors as :meth:`shared_init`.
        """
        self._share("clear")

    def _share(self, action: str) -> dict[str, Any]:
        return self._session.request("sharing", action=action)  # type: ignore[no-any-return]

    def _library_of(self, item: Item) -> Library:
        return self.library(section=item.section) if item.section else self.library()

    def _light_of(self, _item: Item) -> LightItem | None:
        return None  # only an index for a plexapi server has these items

    def _paths_of(self, item: Item) -> tuple[str, ...]:
        from ._core.json_call import text_of

        facts = self._library_of(item)._listed_facts(item.rating_key)
        # If the item is not listed, plexindex knows only the recorded path.
        known = (item.path,) if facts is None else map(text_of, facts["paths"])
        return tuple(path for path in known if path)

    def _host_path_of(self, path: str) -> str | None:
        from ._core.json_call import text_of

        raw = path.encode("utf-8", "surrogateescape")
        return text_of(self._session.request("mappings.to_host", path=raw)["path"])

    def __enter__(self) -> Self:
        if not self.is_open:
            raise self._session.closed_error()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __reduce__(self) -> tuple[Any, ...]:
        return open_again, (open, *self._recipe)

    def __copy__(self, _memo: object = None) -> NoReturn:
        raise TypeError("cannot copy an Index: use the same object everywhere, or open the folder again")

    __deepcopy__ = __copy__

    def __repr__(self) -> str:
        return f"<plexindex.Index {self.cache_dir!r} {'open' if self.is_open else 'closed'}>"
