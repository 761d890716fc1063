"""The queries of an index and of a library."""

from __future__ import annotations

import plexindex

from ._core import Any, Callable, Iterable, Iterator, Made, convert, importing, record_of
from ._core.selection import Selection, check_limits, key_bytes, key_list, query_flags
from ._core.session import HAS_GLOBAL_LOCK
from .changes import Changes, Feed, Watch, bring_up_to_date, expired
from .errors import Error, InvalidArgumentError, NotFetchedError, TimeoutError
from .item import Item, Season, Show
from .match import FolderMatch, Match, Matches

_FOLDER_KINDS = ("movie", "show", "season", "artist", "album")
# Estimated size of a key in bytes. A buffer that is too small costs a second call.
_BYTES_PER_KEY = 40
# Batches that fit into the processor's caches are faster than all paths at once.
_KEYS_AT_ONCE = 1024


class Queries:
    """The queries of an :class:`Index`, about all libraries, and of a :class:`Library`, about one.

    A ``timeout`` is in seconds: None means the default from ``open``, infinity no timeout, and 0 hardly any time. With
    ``offline``, a call sends no request; with ``check``, it first asks the server for changes, with one request, or
    more if something changed. Calls that fetch report to ``progress``, or to the ``progress`` callback of ``open``.
    Ctrl-C ends a call, and so does a callback that raises an exception or returns False; the next call resumes the
    fetch.
    """

    __slots__ = ("_handle", "_lookup", "_selection", "_session")

    def __init__(self, selection: Selection) -> None:
        self._selection, self._session, self._handle = selection, selection.session, selection.handle
        # Without argument types, which would cost more than the lookup. So pass only bytes and ctypes objects.
        self._lookup: Callable[[Any, bytes], bytes | None]
        self._lookup = self._session.native.lookup_key if HAS_GLOBAL_LOCK else self._lookup_counted

    def lookup_key(self, path: plexindex.types.PathArg) -> str | None:
        """Returns the key of the item with this path, if a fast lookup finds the item. Takes about a microsecond.

        A fast lookup never asks the server and never fetches a library, and also uses expired listings. After a change
        in the store, the lookup reads the change, and waits at most 200 ms for other processes. None does not mean that
        no item exists: call :meth:`match`, or :meth:`refresh` before the first lookup. The library may never have been
        fetched or have another name, the file may be new, several items may match, or the path may need a mapping, even
        if :meth:`match` is certain by the file's size. Raises InvalidArgumentError if the path is empty or contains a
        NUL.

        >>> movies.lookup_key("/films/Sintel (2010).mkv")
        '/library/metadata/101'
        """
        try:
            if type(path) is str and "\0" not in path:
                key = self._lookup(self._handle, path.encode())
                if key is not None:
                    return key.decode()
                if path and self._handle:
                    return None
        except UnicodeEncodeError:
            pass
        return self._lookup_key(path)

    def _lookup_key(self, path: plexindex.types.PathArg) -> str | None:
        raw = convert.path_bytes(path, self._session.hides_paths)
        if not self._handle:
            raise self._session.closed_error()
        key = self._lookup(self._handle, raw)
        return None if key is None else key.decode()

    def _lookup_counted(self, _pointer: object, raw: bytes) -> bytes | None:
        # Without a global lock, a lookup counts as a running call, and closing the index waits for the lookup.
        (key,) = self._keys_of(raw + b"\0", 1)
        return key.encode() or None

    def lookup_keys(self, paths: Iterable[plexindex.types.PathArg]) -> list[str | None]:
        """Looks up many paths at once, and returns their keys in order. Faster than calling :meth:`lookup_key` for
        each.

        >>> movies.lookup_keys(["/films/Sintel (2010).mkv", "/nowhere.mkv"])
        ['/library/metadata/101', None]
        """
        paths = convert.listed("paths", paths)
        hides_paths = self._session.hides_paths
        found: list[str | None] = []
        for start in range(0, len(paths) or 1, _KEYS_AT_ONCE):
            piece = paths[start : start + _KEYS_AT_ONCE]
            try:
                keys = self._keys_of(convert.join_paths(piece, hides_paths), len(piece))
            except (TypeError, InvalidArgumentError):
                convert.check_paths(paths, hides_paths)
                raise
            found += [key or None for key in keys]
        return found

    def _keys_of(self, paths: bytes, count: int) -> list[str]:
        given = paths, len(paths), count
        _, answer = self._session.fill(
            self._session.native.lookup_keys, *given, target=self._handle, reserve=count * _BYTES_PER_KEY
        )
        keys = answer.decode().split("\0")
        keys.pop()
        if len(keys) != count:
            # Without this check, paths could get the keys of other paths.
            raise Error(f"bug in plexindex: {len(keys)} keys for {count} paths")
        return keys

    def match(
        self,
        path: plexindex.types.PathArg,
        *,
        size: plexindex.types.SizeArg = None,
        timeout: float | None = None,
        offline: bool = False,
        check: bool = False,
        progress: plexindex.types.ProgressArg = None,
    ) -> Match:
        """Returns the item for a file. Asks the server only if necessary.

        ``size`` is the file's size in bytes, which a webhook may contain. By default, plexindex reads the size of a
        file on this machine, with one ``stat`` on a thread of its own, if the path is neither recorded nor listed nor
        mapped in this spelling; False forbids it.

        *Not found*, *ambiguous* and *not yet* are answers: see :class:`Match`. Raises ServerUnavailableError if the
        library was never fetched and the fetch fails, LibraryNotFoundError, and InvalidArgumentError for the path.

        >>> movies.match("/films/Sintel (2010).mkv").require().year
        2010
        """
        flags = 0 if offline is check is False else query_flags(offline, check)
        return self._selection.match(path, size, flags, timeout, progress)

    def match_paths(
        self,
        paths: Iterable[plexindex.types.PathArg],
        *,
        size: plexindex.types.NoSizeArg = None,
        timeout: float | None = None,
        offline: bool = False,
        check: bool = False,
        progress: plexindex.types.ProgressArg = None,
    ) -> Matches:
        """Matches many paths in one call, as :meth:`match` does. Returns the answers in the same order. ``size=False``
        forbids to read sizes.

        An error that concerns one path is in :attr:`Match.error`. The call raises errors that concern all paths, and
        raises InvalidArgumentError if a path is empty or contains a NUL.

        >>> [match.title for match in movies.match_paths(["/films/Sintel (2010).mkv", "/nowhere.mkv"])]
        ['Sintel', None]
        """
        return self._selection.match_paths(paths, size, query_flags(offline, check), timeout, progress)

    def folder(
        self,
        path: plexindex.types.PathArg,
        kind: plexindex.types.FolderKind | None = None,
        *,
        timeout: float | None = None,
        offline: bool = False,
        check: bool = False,
        progress: plexindex.types.ProgressArg = None,
    ) -> FolderMatch:
        """Returns the item for a folder: the movie, show, season, artist or album of the given ``kind`` that has the
        files below it, or without ``kind`` the outermost item whose files are all below it. The folder of a season is
        therefore the show if the show has no other files. Fetches and raises errors as :meth:`match` does.

        >>> shows.folder("/tv/Alpha/Season 1", kind="season").require().describe()
        'Alpha – Season 1'
        """
        raw = convert.path_bytes(path, self._session.hides_paths, "folder")
        if kind is not None and convert.only_text("kind", kind).decode() not in _FOLDER_KINDS:
            raise convert.invalid("kind", f"invalid kind ({kind!r}): must be one of {', '.join(_FOLDER_KINDS)}")
        answer = self._asked("match.folder", timeout, offline, check, progress, path=raw, kind=kind)
        return FolderMatch(self._selection, path, answer)

    def match_guid(
        self,
        guid: str,
        *,
        timeout: float | None = None,
        offline: bool = False,
        check: bool = False,
        progress: plexindex.types.ProgressArg = None,
    ) -> Match:
        """Returns the item with a GUID: ``plex://…``, ``imdb://tt…``, ``tmdb://…``, ``tvdb://…``, or a legacy agent's.
        TMDB and TVDB number films, shows and episodes separately, so name the type: ``tvdb://show/81189``.

        For a show, season, artist or album, the candidates are at most 16 of its items, and ``message`` contains its
        key and its number of items.

        >>> index.match_guid(item.guid).title
        'Sintel'
        """
        name = convert.only_text("guid", guid).decode()
        answer = self._asked("match.guid", timeout, offline, check, progress, guid=name)
        return Match(self._selection, guid, answer)

    def search_title(
        self,
        title: str,
        *,
        timeout: float | None = None,
        offline: bool = False,
        check: bool = False,
        progress: plexindex.types.ProgressArg = None,
    ) -> Match:
        """Returns the items with a title, ignoring case, accents and punctuation, as ``candidates``; otherwise the
        items whose titles contain all words, with low confidence. For a show's title, the items are its episodes.

        >>> [found.year for found in index.search_title("sintel").candidates]
        [2010]
        """
        name = convert.only_text("title", title).decode()
        answer = self._asked("match.title", timeout, offline, check, progress, title=name)
        return Match(self._selection, title, answer)

    def _asked(
        self, method: str, timeout: float | None, offline: bool, check: bool, progress: Any, **request: Any
    ) -> Any:
        query_flags(offline, check)
        return self._selection.request(method, timeout, progress, offline=offline, check=check, **request)

    def items(
        self,
        *,
        trashed: bool = False,
        timeout: float | None = None,
        offline: bool = False,
        progress: plexindex.types.ProgressArg = None,
    ) -> Iterator[Item]:
        """Yields the items from the store, in an order without meaning. Of all libraries, one library after another.

        plexindex reads one page at a time. If an item changes meanwhile, the order of the others stays the same; the
        iterator can miss changes. Sends requests only to fetch a library that was never fetched: raises TimeoutError if
        the timeout passes first, and NotFetchedError if ``offline``. ``trashed`` yields the items in the library's
        trash instead, which no other call returns: one request for each page.

        >>> [item.title for item in movies.items()]
        ['Sintel', 'Big Buck Bunny']
        """
        trash = {"trashed": True, "offline": offline} if convert.flag("trashed", trashed) else {}
        return self._pages("items.list", timeout, offline, progress, trash)

    def items_below(
        self,
        path: plexindex.types.PathArg,
        *,
        timeout: float | None = None,
        offline: bool = False,
        progress: plexindex.types.ProgressArg = None,
    ) -> Iterator[Item]:
        """Yields the items with files below a folder, once for each file, in path order: :attr:`Item.path`. The rest is
        as for :meth:`items`.

        >>> [item.episode for item in index.items_below("/tv/Alpha")]
        [1, 2]
        """
        raw = convert.path_bytes(path, self._session.hides_paths, "folder")
        return self._pages("items.below", timeout, offline, progress, {"path": raw})

    def _pages(
        self, method: str, timeout: float | None, offline: bool, progress: Any, request: dict[str, Any]
    ) -> Iterator[Item]:
        """Returns the items from all pages of a list. Fetches a library that was never fetched."""
        selection, limits = self._selection, (timeout, progress)
        query_flags(offline)
        check_limits(*limits)

        def first(one: Selection) -> Any:
            try:
                return one.request(method, *limits, **request)
            except NotFetchedError:
                if offline:
                    raise
            one.refresh(0, *limits)
            try:
                return one.request(method, *limits, **request)
            except NotFetchedError:
                raise TimeoutError("the timeout passed before the library was fetched: retry to resume") from None

        def pages() -> Iterator[Item]:
            one_by_one = selection.each(*limits, offline=offline) if method == "items.list" else [selection]
            for one in one_by_one:
                page = first(one)
                while True:
                    for facts in page["items"]:
                        # The garbage collector visits all lists again and again, but not tuples of strings.
                        for name in ("guids", "paths"):
                            if name in facts:
                                facts[name] = tuple(facts[name])
                        yield Item(facts, selection)
                    if "cursor" not in page:
                        break
                    page = one.request(method, *limits, **request, cursor=page["cursor"])

        return pages()

    def shows(self) -> list[Show]:
        """Returns the shows or artists, each once, sorted by title; of all libraries, one library after another. Reads
        all stored items, and sends no request: raises NotFetchedError if a library was never fetched. Plex lists
        neither the year nor the external IDs of a show with its episodes.

        >>> [show.title for show in index.shows()]
        ['Alpha']
        """
        return self._levels(Show, "shows")

    def seasons(self) -> list[Season]:
        """Returns the seasons or albums, sorted by show, number and title, like :meth:`shows`. Plex lists no seasons of
        a show that hides them.

        >>> [season.number for season in shows.seasons()]
        [1]
        """
        return self._levels(Season, "seasons")

    def _levels(self, kind: type[Made], level: str) -> list[Made]:
        return [record_of(kind, facts) for one in self._selection.each() for facts in one.request("shows.list")[level]]

    def item_facts(self, key: plexindex.types.KeyArg) -> plexindex.types.Facts | None:
        """Returns all stored fields of an item, with its files and external IDs, like the method ``items.get``; None if
        the item is not listed. Sends no request: raises NotFetchedError if the library was never fetched.

        >>> movies.item_facts(item)["paths"]
        ['/films/Sintel (2010).mkv']
        """
        return self._selection.item_facts(key)

    def compare(
        self,
        folders: plexindex.types.PathArg | Iterable[plexindex.types.PathArg],
        *,
        without: Iterable[str] = (),
        timeout: float | None = None,
        offline: bool = False,
        progress: plexindex.types.CountProgressArg = None,
    ) -> plexindex.Comparison:
        """Walks folders on this machine and compares them with Plex. Changes neither the disk nor the server.

        The result yields each :class:`Difference` during the walk. Unless ``offline``, plexindex first asks the server
        for changes, with one request, and requests items of missing files, which may have been renamed: 100 per
        request, at most 256. For one library, other libraries' folders are skipped. ``without`` disables rules for
        files that Plex ignores: ``extension`` (plexindex never reports files that this rule ignores), ``hidden``,
        ``system``, ``unpacking``, ``empty``, ``samples``, ``extras``, ``discs``, ``plexignore``. ``progress`` receives
        the number of files so far. ``timeout`` limits the requests, not the walk. With a mapping's pattern for the
        host's paths, which plexindex cannot invert, it does not search the disk for listed files.

        >>> [difference.reason for difference in index.compare(folder)]
        ['no_library']
        """
        with importing():  # with `re`, it takes longer to import than an index to open
            from .compare import Comparison

        return Comparison(self, folders, without, timeout, offline, progress)

    def invalidate_path(self, path: plexindex.types.PathArg) -> None:
        """Invalidates a path and removes its confirmed match. If the path is listed, its next lookup requests the item
        once. An unknown path is not an error.

        >>> movies.record_match("/downloads/sintel.mkv", item)
        >>> movies.invalidate_path("/downloads/sintel.mkv")
        >>> movies.match("/downloads/sintel.mkv").status
        'not_found'
        """
        raw = convert.path_bytes(path, self._session.hides_paths)
        self._session.ask(self._session.native.invalidate_path, raw, len(raw), target=self._handle)

    def invalidate_item(self, key: plexindex.types.KeyArg) -> None:
        """Invalidates an item, and removes its confirmed matches, for example after a 404. Its next lookup requests the
        item once; until the server has replied, answers with the item are stale.

        >>> movies.invalidate_item(item)
        >>> movies.match(item.path).stale  # the lookup has asked the server
        False
        """
        raw = key_bytes(key, self._session)
        self._session.ask(self._session.native.invalidate_item, raw, len(raw), target=self._handle)

    def invalidate(self) -> None:
        """Invalidates the library, or all libraries, and removes the confirmed matches, in constant time. plexindex
        then fetches a full listing, and answers from the old listing, as stale, until the new one is complete. Raises
        LibraryNotFoundError if the server is known to have no such library.

        >>> movies.invalidate()
        >>> movies.fresh
        False
        """
        self._selection.facts(must_exist=True)
        self._session.ask(self._session.native.invalidate_library, target=self._handle)

    def refresh(
        self,
        full: bool = False,
        *,
        check: bool = False,
        timeout: float | None = None,
        progress: plexindex.types.ProgressArg = None,
    ) -> bool:
        """Refreshes the library, or all libraries, like a match after a listing has expired.

        Sends no request while the listings are fresh, unless ``check``. ``full`` fetches a full listing even if the
        server reports no change. Returns whether the libraries are up to date; False if the timeout passed first, and
        the next call resumes the fetch. Raises TimeoutError if it passes before plexindex knows any library.

        >>> index.refresh(check=True)
        True
        """
        return self._selection.refresh(query_flags(check=check, full=full), timeout, progress)

    def changes(
        self,
        since: str | None = None,
        *,
        full: bool = False,
        timeout: float | None = None,
        offline: bool = False,
        check: bool = False,
        progress: plexindex.types.ProgressArg = None,
    ) -> Changes:
        """Returns the items that were added, removed, changed or moved since a cursor.

        Without ``since``, returns only the current cursor; with ``full``, all items as additions. Asks the server if a
        listing has expired; with ``check``, in any case. If the server does not answer, returns the known changes
        (:attr:`Changes.stale`). A cursor outlives the process. A cursor of all libraries can be used for one library;
        the new cursor is only for that library. Raises ListAgainError if the store, which keeps 131,072 changes, no
        longer has them: start again with ``full``. Raises TimeoutError if the timeout passes before any library (with
        ``full``, each library) is fetched.

        >>> cursor = index.changes().cursor
        >>> [change.kind for change in index.changes(cursor, check=True)]
        []
        """
        query_flags(offline, check, full)
        check_limits(timeout, progress)
        if full and since:
            raise InvalidArgumentError("a full listing starts without a cursor: omit since or full")
        selection, missed = self._selection, None
        if not offline:
            missed = bring_up_to_date(selection, (timeout, progress), always=check, whole=full)
        else:
            missed = expired(selection, whole=full)
        return Changes(Feed(selection, since, full=full), missed)

    def watch(
        self,
        since: str | None = None,
        *,
        timeout: float | None = None,
        offline: bool = False,
        progress: plexindex.types.ProgressArg = None,
    ) -> Watch:
        """Waits for changes from now on, or since a cursor. Yields :class:`Changes` with their cursors, the first at
        once, then only with changes or a new :attr:`Changes.error`, and the last. Ends after ``timeout`` seconds;
        without a ``timeout``, never.

        Read each object to its end, because changes that you do not read come again. Changes that any process detects
        arrive within a tenth of a second. plexindex asks the server when a listing has expired, and after the server's
        events, which helps other calls too. After a failure, it retries in half a minute. Leaving the loop, or the
        ``with`` block around it, ends the watch. :meth:`Index.close` ends the iteration with a ClosedError.

        >>> for changes in movies.watch(timeout=0):
        ...     print([change.path for change in changes])
        []
        """
        return Watch(self._selection, since, offline, (timeout, progress))

    def wait_for(
        self,
        path: plexindex.types.PathArg,
        *,
        timeout: float | None,
        every: float = 1.5,
        progress: plexindex.types.ProgressArg = None,
        size: plexindex.types.SizeArg = None,
    ) -> Match:
        """Waits until Plex lists a file, such as a new import. Returns the match as soon as its confidence is high, or
        the last answer after ``timeout`` seconds. None waits forever. ``size`` is as in :meth:`match`.

        plexindex asks the server for changes every ``every`` seconds, with one request, or more if something changed.
        After an event (:meth:`watch`) or another process's fetch, it looks at once, so ``every`` can be long. Raises
        the errors of :meth:`match`. While the server is unreachable, an index with listings keeps waiting.

        >>> movies.wait_for("/films/Sintel (2010).mkv", timeout=60).title
        'Sintel'
        """
        raw = convert.path_bytes(path, self._session.hides_paths)
        request: dict[str, Any] = {"path": raw, "every_ms": convert.milliseconds("every", every, none=None, zero=None)}
        if size is not None:
            request["size"] = convert.file_size(size)[1]
        limit = float("inf") if timeout is None else timeout
        return Match(self._selection, path, self._selection.request("match.wait", limit, progress, **request))

    def refresh_items(
        self,
        keys: Iterable[plexindex.types.KeyArg],
        *,
        analyze: bool = False,
        timeout: float | None = None,
        progress: plexindex.types.ProgressArg = None,
    ) -> None:
        """Tells Plex to refresh what it shows of items, such as after a new subtitle or poster, or with ``analyze`` to
        analyze their files instead. Sends one request for each item, show, season, artist or album; Plex refreshes them
        later. Raises NotOnServerError if one does not exist, and then sends no more.

        >>> movies.refresh_items([item])
        """
        names = key_list(keys, self._session)
        self._session.request("items.refresh", timeout, progress, keys=names, analyze=convert.flag("analyze", analyze))
