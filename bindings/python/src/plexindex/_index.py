"""An open index and its libraries: the questions that they answer.

Each question has one implementation, a method of :class:`Index`. A :class:`Library` and ``asyncio`` have twins of it.
"""

from __future__ import annotations

import ctypes
import os

from . import _aio, _convert, _door, _log
from . import _constants as c
from ._answers import Match
from ._changing import Changing
from ._errors import InvalidArgumentError, LibraryNotFoundError, PanicError, TimeoutError
from ._items import Item
from ._library import Chosen
from ._many import Folder, Matches

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from types import TracebackType
    from typing import Any, TypeVar, Union

    from typing_extensions import Concatenate, ParamSpec

    from ._callbacks import ProgressArg
    from ._compare import Comparison
    from ._feed import Change, Changes
    from ._library import Selected
    from ._types import KeyArg, PathArg

    LibraryArg = Union[str, int, "Library", None]
    P = ParamSpec("P")
    T = TypeVar("T")

# What an answer and a key take besides the path, roughly: too little costs a second call.
_BYTES_PER_ANSWER = 400
_BYTES_PER_KEY = 40
_KEYS_AT_ONCE = 1024
_ITEMS_A_PAGE = 1000


class Index(Changing):
    """An open index: tells which Plex item a file is. Made by :func:`plexindex.open`, ended by :meth:`close` or `with`.

    Any number of threads may use it at once. A ``library`` is a title, the number of a section, a :class:`Library`, or
    None for every library; a ``deadline`` is in seconds, None for the one given to ``open``, infinity for none, 0 for
    next to no time. A call that fetches tells ``progress`` (default: the one given to ``open``) how far it is. Ctrl-C
    ends the call, and so does ``progress`` when it raises or returns False; the next call goes on where it stopped.

    Under ``asyncio`` the methods that begin with ``a``, such as :meth:`amatch_path`, do the same on a thread of their
    own, where progress callbacks run too, and ``async with`` closes the index.

    Every method raises :class:`ClosedError` once the index is closed.
    """

    @property
    def cache_dir(self) -> str:
        """The folder of the store."""
        return self._cache_dir

    def library(
        self, title: str | int | None = None, *, section: str | int | None = None, uuid: str | None = None
    ) -> Library:
        """A library by its title, its section id or its uuid; without any of them, every library at once.

        A title counts exactly, else without regard to case; a number in its place is a section id. Fetches nothing. If
        the server does not have it, the first question raises LibraryNotFoundError, which names those that exist.
        Raises LibraryAmbiguousError when two known libraries have the title.
        """
        if isinstance(title, int) and not isinstance(title, bool) and section is None:
            title, section = None, title
        for name, named in (("title", title), ("uuid", uuid)):
            if named is not None and not isinstance(named, str):
                raise TypeError(f"{name} must be str, not {type(named).__name__}")
        title = None if title is None else str(title)
        section = None if section is None else str(section)
        given = [
            (kind, value, f"{name}{value!r}")
            for kind, value, name in (
                (c.SELECT_TITLE, title, ""),
                (c.SELECT_SECTION, section, "section="),
                (c.SELECT_UUID, uuid, "uuid="),
            )
            if value is not None
        ]
        if len(given) > 1:
            raise InvalidArgumentError("give one of title, section and uuid")
        if not self._open:
            raise self._closed_error()
        kind, value, shown = given[0] if given else (c.SELECT_ALL, "", "(all)")
        chosen_by = {"title": title, "section": section, "uuid": uuid}
        return Library(self, self._select(kind, value), title, shown, chosen_by)

    def match_path(
        self,
        library: LibraryArg,
        path: PathArg,
        *,
        deadline: float | None = None,
        offline: bool = False,
        progress: ProgressArg = None,
    ) -> Match:
        """Which item this file is. Asks the server only where that is needed and not ``offline``.

        Not found, ambiguous and not yet are answers, not exceptions: see :class:`Match`. Raises a ServerError when the
        library was never fetched and cannot be, LibraryNotFoundError, InvalidArgumentError for a path that is refused.
        """
        raw = _convert.path_bytes(path, self._hides_paths)
        return Match(self._block(self._native.match_path, library, raw, deadline, offline, progress), asked=self)

    def match_paths(
        self,
        library: LibraryArg,
        paths: Iterable[PathArg],
        *,
        deadline: float | None = None,
        offline: bool = False,
        progress: ProgressArg = None,
    ) -> Matches:
        """:meth:`match_path` for many paths in one call: a sequence of answers in their order.

        What goes wrong with one path is in its answer (:attr:`Match.error`); what concerns all of them is raised. A
        path that is refused (empty, with a NUL) refuses the batch.
        """
        paths = _convert.path_list(paths)
        count = len(paths)
        text = _convert.join_paths(paths, self._hides_paths)
        reserve = 4096 + len(text) + count * _BYTES_PER_ANSWER
        try:
            return Matches(
                self._block(self._native.match_paths, library, text, deadline, offline, progress, count, reserve), self
            )
        except InvalidArgumentError:
            _convert.name_refused(paths, self._hides_paths)
            raise

    def folder(
        self,
        path: PathArg,
        library: LibraryArg = None,
        *,
        deadline: float | None = None,
        offline: bool = False,
        progress: ProgressArg = None,
    ) -> Folder:
        """Which show, season, artist, album or item this folder is: the deepest one that all listed files below share.

        The index answers; a library that was never fetched, or whose listing has expired, is fetched first, as
        :meth:`match_path` does. With a ``deadline`` a library that was never fetched is asked first for one file
        below the folder, which is looked for on the disk. Raises what :meth:`match_path` raises.
        """
        raw = _convert.path_bytes(path, self._hides_paths, "folder")
        return Folder(self._block(self._native.match_folder, library, raw, deadline, offline, progress), asked=self)

    def items_below(
        self,
        library: LibraryArg,
        path: PathArg,
        *,
        deadline: float | None = None,
        offline: bool = False,
        progress: ProgressArg = None,
    ) -> Iterator[Item]:
        """The items with files below a folder, in the order of the paths. :attr:`Item.path` is the file; an item of
        several files comes with each. They are read a page at a time while you iterate, so a million take no room.

        A library that was never fetched is fetched first, unless ``offline``; else no request is sent. The folder is
        found as by :meth:`folder`, where that is sure of it. A change meanwhile moves no other file. Raises
        TimeoutError when the deadline came before the library was fetched, and LibraryNotFoundError, offline, when it
        never was.
        """
        raw = _convert.path_bytes(path, self._hides_paths, "folder")
        try:
            page = self._below(library, raw, b"")
        except LibraryNotFoundError:
            if offline:
                raise
            if not self.refresh(library, deadline=deadline, progress=progress):
                raise TimeoutError("the deadline came before the library was fetched: ask again, it goes on") from None
            page = self._below(library, raw, b"")
        while page:
            yield from page
            page = self._below(library, raw, os.fsencode(page[-1].path or ""))

    def _below(self, library: LibraryArg, raw: bytes, after: bytes) -> list[Item]:
        arguments = raw, len(raw), after, len(after), _ITEMS_A_PAGE
        reserve = _ITEMS_A_PAGE * _BYTES_PER_ANSWER
        block = self._do(self._native.items_below, *arguments, library=library, reserve=reserve)
        return Match(block, asked=self).candidates

    def match_guid(
        self,
        library: LibraryArg,
        guid: str,
        *,
        deadline: float | None = None,
        offline: bool = False,
        progress: ProgressArg = None,
    ) -> Match:
        """The item with this GUID: ``plex://…``, ``imdb://tt…``, ``tmdb://…``, ``tvdb://…``, or a legacy agent's.

        The GUID of a show, season, artist or album gives the items below it, at most 16: ambiguous, unless there is but
        one. The ``message`` names it, with its key and the count of all.
        """
        if not isinstance(guid, str):
            raise TypeError(f"guid must be str, not {type(guid).__name__}")
        raw = _convert.text_bytes("GUID", guid)
        return Match(self._block(self._native.match_guid, library, raw, deadline, offline, progress), asked=self)

    def search_title(
        self,
        library: LibraryArg,
        title: str,
        *,
        deadline: float | None = None,
        offline: bool = False,
        progress: ProgressArg = None,
    ) -> Match:
        """The items with this title, compared without case, accents and punctuation; when there are none, those that
        have all its words. A show's title gives its episodes.

        The items are the ``candidates`` of the answer; when there is just one, the answer is that item.
        """
        if not isinstance(title, str):
            raise TypeError(f"title must be str, not {type(title).__name__}")
        raw = _convert.text_bytes("title", title)
        return Match(self._block(self._native.search_title, library, raw, deadline, offline, progress), asked=self)

    def items(
        self,
        library: str | int | Library,
        *,
        deadline: float | None = None,
        offline: bool = False,
        progress: ProgressArg = None,
    ) -> Iterator[Item]:
        """The items of a library as the store has them. ``library`` is one library, not all.

        A library that was never fetched is fetched first, unless ``offline``; else no request is sent. They are read a
        page at a time while you iterate. A change that happens meanwhile may be missed. Raises TimeoutError when the
        deadline came before the library was fetched, and LibraryNotFoundError, offline, when it never was.
        """
        cursor = ctypes.c_int64(0)
        try:
            page = self._items(library, cursor)
        except LibraryNotFoundError:
            if offline:
                raise
            if not self.refresh(library, deadline=deadline, progress=progress):
                raise TimeoutError("the deadline came before the library was fetched: ask again, it goes on") from None
            page = self._items(library, cursor)
        while page:
            yield from page
            page = self._items(library, cursor)

    def _items(self, library: str | int | Library, cursor: Any) -> list[Item]:
        arguments = self._library_pointer(library), ctypes.byref(cursor), _ITEMS_A_PAGE
        reserve = _ITEMS_A_PAGE * _BYTES_PER_ANSWER
        return Match(self._do(self._native.items, *arguments, library=self, reserve=reserve), asked=self).candidates

    def compare(
        self,
        folders: PathArg | Iterable[PathArg],
        library: LibraryArg = None,
        *,
        without: Iterable[str] = (),
        offline: bool = False,
        progress: Callable[[int], object] | None = None,
    ) -> Comparison:
        """Walks folders of this machine, and tells what is on the disk and not in Plex, and the other way round.

        Iterate over the answer: each :class:`Difference` comes while the disk is walked. Unless ``offline`` the server
        is asked first whether anything changed, with one request, and what did is fetched; then, where a library has
        new files and files that are gone, for the items of those: they may have been renamed (64 in a request, 256 in a
        run). With a ``library`` what others have is not told of. What Plex leaves out by itself is told as left out, by
        rules that ``without`` switches off: ``extension`` (files of which nothing is told), ``hidden``, ``system``,
        ``unpacking``, ``empty``, ``samples``, ``extras``, ``discs``, ``plexignore``. ``progress`` is called with the
        number of files that were found so far.

        Nothing is changed, on the disk or on the server. What is listed under mappings with a pattern over the host's
        paths is not looked for on the disk: such a pattern leads one way.
        """
        from ._compare import Comparison

        if isinstance(without, (str, bytes)):
            raise TypeError(f"without must be a list of rules, not {without!r}: give [{without!r}]")
        given = [folders] if isinstance(folders, (str, bytes, os.PathLike)) else list(folders)
        return Comparison(self, given, library, frozenset(without), offline, progress)

    def changes(
        self,
        since: str | None = None,
        library: LibraryArg = None,
        *,
        full: bool = False,
        check: bool = False,
        deadline: float | None = None,
        offline: bool = False,
        progress: ProgressArg = None,
    ) -> Changes:
        """What was added, removed, changed and moved since a cursor was given, in a library or all: iterate over it.

        The first call, without ``since``, gives the cursor of now; with ``full`` all items as additions, and then that
        cursor. The server is asked where a listing has expired, or, with ``check``, now, by one request; not if
        ``offline``. If it does not answer, what is known is told (:attr:`Changes.stale`); :attr:`Changes.age` says how
        old that is. Raises ListAgainError when what changed since is not known any more, after 30 days or 64 MiB of
        changes: begin anew with ``full``. Raises TimeoutError when the deadline came before anything was fetched, or,
        with ``full``, all. Cursors outlive processes. With a ``library`` a cursor of all becomes one of that library.
        """
        from . import _feed

        if since and full:
            raise InvalidArgumentError("a full listing begins without a cursor: leave since or full out")
        missed = None
        if not offline:
            missed = _feed.bring_up_to_date(self, library, deadline, progress, always=check, whole=full)
        if missed == "late" or (full and offline):
            _feed.expect_listed(self, library, late=missed == "late", whole=full)
        found = _feed.Changes(self, since, library, full)
        found._note(missed)
        return found

    def watch_changes(
        self,
        since: str | None = None,
        library: LibraryArg = None,
        *,
        timeout: float | None = None,
        offline: bool = False,
        progress: ProgressArg = None,
    ) -> Iterator[Change]:
        """What changes from now on, or since a cursor: waits for the next :class:`Change`, for ever or ``timeout``
        seconds.

        What any process learns is told within a tenth of a second. The server is asked when a listing has expired, and,
        with :meth:`watch`, when an event says that something changed. Ctrl-C ends it, and :meth:`close`, from
        another thread too, with a ClosedError. A server that does not answer is asked again after half a minute.
        """
        for found in self.watch_pages(since, library, timeout=timeout, offline=offline, progress=progress):
            yield from found

    def watch_pages(
        self,
        since: str | None = None,
        library: LibraryArg = None,
        *,
        timeout: float | None = None,
        offline: bool = False,
        progress: ProgressArg = None,
    ) -> Iterator[Changes]:
        """The same as :class:`Changes`, one each time that something may have changed: with their cursors, for a reader
        that goes on where it stopped. The first one comes at once. Iterate over each: what was not read comes again.
        """
        from . import _feed

        return _feed.watch(self, since, library, timeout, offline, progress)

    def item_facts(self, library: LibraryArg, key: KeyArg) -> dict[str, object] | None:
        """All that the store has of one item, its files and external ids included; None when it is not listed.

        The names are those of ``plexindex_item_json()``. Sends no request.
        """
        raw = _convert.key_text(key).encode()
        status, text = self._ask(self._native.item_json, raw, len(raw), library=library, reserve=4096)
        if status != c.OK:
            return None
        import json

        return json.loads(text)  # type: ignore[no-any-return]

    def _paths_of(self, item: Item) -> tuple[str, ...]:
        facts = self.item_facts(self.library(section=item.section), item.rating_key)
        # Of an item that no listing holds the path is known that was recorded.
        known = (item.path or "",) if facts is None else facts["paths"]
        return tuple(path for path in known if path)  # type: ignore[attr-defined]

    def record_match(self, library: LibraryArg, path: PathArg, key: KeyArg) -> None:
        """Confirms that the item with this key (or rating key) has this path. From now on it is the path's answer.

        ``key`` may be an item, too: one of plexindex's or of plexapi's.

        On return the match is stored, for every process. It has no expiry. ``library`` is one library, not all.
        """
        raw, key_raw = _convert.path_bytes(path, self._hides_paths), _convert.key_text(key).encode()
        self._tell(self._native.record_match, raw, len(raw), key_raw, len(key_raw), library=library)

    def record_matches(self, library: LibraryArg, pairs: Iterable[tuple[PathArg, KeyArg]]) -> None:
        """:meth:`record_match` for many pairs of path and key in one transaction: all or none."""
        try:
            pairs = [(path, key) for path, key in pairs]
        except (TypeError, ValueError) as error:
            raise TypeError(f"pairs must be pairs of a path and a key: {error}") from error
        given = [path for path, _ in pairs]
        paths = _convert.join_paths(given, self._hides_paths)
        if paths.count(b"\0") != len(given):
            _convert.name_refused(given, self._hides_paths)
        keys = _convert.join_keys([key for _, key in pairs])
        self._tell(self._native.record_matches, paths, len(paths), keys, len(keys), len(pairs), library=library)

    def invalidate_path(self, library: LibraryArg, path: PathArg) -> None:
        """Invalidates a path. Its confirmed match is removed. If it is listed, the next question for it asks the server
        for the item once. A path that is not known is no error.
        """
        raw = _convert.path_bytes(path, self._hides_paths)
        self._tell(self._native.invalidate_path, raw, len(raw), library=library)

    def invalidate_item(self, library: LibraryArg, key: KeyArg) -> None:
        """Invalidates an item and all its paths, as :meth:`invalidate_path`. Call it when the server answers 404."""
        raw = _convert.key_text(key).encode()
        self._tell(self._native.invalidate_item, raw, len(raw), library=library)

    def invalidate_library(self, library: LibraryArg) -> None:
        """Invalidates a library. Its confirmed matches are removed, and a full listing is due now. Until that is
        fetched the old listing answers, marked stale. Takes the same time whatever the size.
        """
        self._tell(self._native.invalidate_library, library=library)

    def invalidate_all(self) -> None:
        """:meth:`invalidate_library` for every library of the server."""
        self._tell(self._native.invalidate_all, library=self)

    def clear(self) -> None:
        """Empties the store of this server and user: listings and matches.

        Opened without a server, that is the one whose answers are given: the newest that the store holds.
        """
        self._tell(self._native.clear, library=self)

    def refresh(
        self,
        library: LibraryArg = None,
        full: bool = False,
        *,
        check: bool = False,
        deadline: float | None = None,
        progress: ProgressArg = None,
    ) -> bool:
        """Brings a library, or all, up to date now, as a match does by itself when a listing has expired.

        ``check`` asks the server once whether anything changed while the listings are fresh, too. ``full`` fetches a
        full listing even if the server's clocks show no change. Returns True when it is up to date, False when the
        deadline came first: the next call goes on from there.
        """
        flags = (c.QUERY_FULL if full else 0) | (c.QUERY_PROBE if check else 0)
        status, _ = self._query(self._native.refresh, library, b"", deadline, flags, progress, buffer=False)
        _log.drain(self._native)
        return status == c.OK

    amatch_path = _aio.stopped_with_its_task(match_path)
    amatch_paths = _aio.stopped_with_its_task(match_paths)
    afolder = _aio.stopped_with_its_task(folder)
    aitems_below = _aio.one_by_one(items_below)
    achanges = _aio.stopped_with_its_task(changes)
    awatch_changes = _aio.one_by_one(watch_changes, at_once=1)
    awatch_pages = _aio.one_by_one(watch_pages, at_once=1)
    amatch_guid = _aio.stopped_with_its_task(match_guid)
    asearch_title = _aio.stopped_with_its_task(search_title)
    arefresh = _aio.stopped_with_its_task(refresh)
    arecord_match = _aio.to_its_end(record_match)
    arecord_matches = _aio.to_its_end(record_matches)
    ainvalidate_path = _aio.to_its_end(invalidate_path)
    ainvalidate_item = _aio.to_its_end(invalidate_item)
    ainvalidate_library = _aio.to_its_end(invalidate_library)

    async def aclose(self) -> None:
        """:meth:`Index.close` on a thread of its own: it waits for calls that are in flight."""
        await _aio.on_a_thread(self.close)

    def __enter__(self) -> Index:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    async def __aenter__(self) -> Index:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    def __reduce__(self) -> tuple[Any, ...]:
        if self._recipe is None:
            raise TypeError("this index was not opened by plexindex.open(), so no other process can open it again")
        return self._recipe

    def __repr__(self) -> str:
        return f"<plexindex.Index {self._cache_dir!r} {'open' if self._open else 'closed'}>"

    def _lookup_keys(self, library: Chosen, paths: Iterable[PathArg]) -> list[str | None]:
        paths = _convert.path_list(paths)
        found: list[str | None] = []
        # In pieces that stay in the processor's caches: faster than all at once, for a few crossings more.
        for start in range(0, len(paths) or 1, _KEYS_AT_ONCE):
            piece = paths[start : start + _KEYS_AT_ONCE]
            text, count = _convert.join_paths(piece, self._hides_paths), len(piece)
            reserve = count * _BYTES_PER_KEY
            try:
                answer = self._do(self._native.lookup_keys, text, len(text), count, library=library, reserve=reserve)
            except InvalidArgumentError:
                _convert.name_refused(piece, self._hides_paths)
                raise
            keys = answer.decode().split("\0")
            keys.pop()
            if len(keys) != count:
                # Shifted answers would be other items' keys.
                raise PanicError(f"{len(keys)} keys for {count} paths: a defect in plexindex; ask path by path")
            found += keys if all(keys) else [key or None for key in keys]
        return found


def _chosen_again(index: Index, chosen_by: dict[str, Any]) -> Library:
    return index.library(**chosen_by)


def _refuse(call: Any, library: Any, arguments: tuple[Any, ...], options: dict[str, Any]) -> None:
    """Says what is wrong with the arguments of a call, by the name that was called."""
    import inspect

    try:
        inspect.signature(call).bind(library, *arguments, **options)
    except TypeError as error:
        raise TypeError(f"{call.__qualname__}(): {error}") from None


def _in_library(
    method: Callable[Concatenate[Index, Library, P], T], name: str, what: str
) -> Callable[Concatenate[Library, P], T]:
    """A method of :class:`Library`: that of its index, asked of this library."""

    def call(library: Any, /, *arguments: Any, **options: Any) -> Any:
        try:
            return method(library._index, library, *arguments, **options)
        except TypeError as error:
            if error.__traceback__ is not None and error.__traceback__.tb_next is None:
                _refuse(call, library, arguments, options)
            raise

    call.__name__, call.__qualname__, call.__module__ = name, f"Library.{name}", method.__module__
    call.__doc__ = f"{what}: :meth:`Index.{method.__name__}` in this library."
    # What inspect, and so an editor at run time, takes the signature from: the same without the index.
    call.__wrapped__ = method.__get__(call)  # type: ignore[attr-defined]
    return call


class Library(Chosen):
    """A library of an index, or all of them. Made by :meth:`Index.library`; usable from any thread.

    It fetches nothing by itself and keeps its index open. Once the index is closed, every method raises
    :class:`ClosedError`.

    ``path in library`` and ``library[path]`` ask as :meth:`match` does, iterating and ``len`` as :meth:`items` does. A
    library can be pickled: another process opens the same folder with the same options. The token is not pickled; that
    process takes it from its configuration (:func:`plexindex.open`).
    """

    _index: Index

    def __init__(
        self, index: Index, selected: Selected, title: str | None, selector: str, chosen_by: dict[str, Any]
    ) -> None:
        super().__init__(index, selected)
        self._title = title
        self._selector = selector
        self._chosen_by = chosen_by
        # The fast path: as an attribute of the instance it costs no method call, and hides the method below.
        self.__dict__["lookup_key"] = selected.lookup_for(index)
        # Not this object: what an accelerator keeps is not seen by the garbage collector.
        chosen = Chosen(index, selected)
        self.__dict__["lookup_keys"] = selected.lookup_keys_for(lambda paths: index._lookup_keys(chosen, paths))
        if type(self).match is _MATCH:
            match = selected.match_for(index, Match, _MATCH.__get__(chosen))
            if match is not None:
                self.__dict__["match"] = match
        if type(self).folder is _FOLDER:
            folder = selected.folder_for(index, Folder, _FOLDER.__get__(chosen))
            if folder is not None:
                self.__dict__["folder"] = folder
        if (type(self).record_match, type(self).record_matches) == _RECORD:
            recorders = selected.record_for(index, *(method.__get__(chosen) for method in _RECORD))
            if recorders is not None:
                self.__dict__["record_match"], self.__dict__["record_matches"] = recorders

    @property
    def index(self) -> Index:
        """The index that it belongs to."""
        return self._index

    @property
    def _progress(self) -> ProgressArg:
        return self._index._progress

    @property
    def title(self) -> str | None:
        """The title by which it was selected; None when it was selected otherwise."""
        return self._title

    def lookup_key(self, path: PathArg) -> str | None:
        """The key of the item with this path, if a fast lookup knows it: the fast path, well under a microsecond.

        It never asks the server and never renews an expired listing. After a change it waits at most 200 ms for a
        thread that reads it. None does not mean that there is no item: nothing may be known yet, several items may
        fit, or the confidence may be low. :meth:`match` tells more.
        Raises InvalidArgumentError for an empty path and for one with a NUL.
        """
        return self._selected.lookup_for(self._index)(path)

    def lookup_keys(self, paths: Iterable[PathArg]) -> list[str | None]:
        """:meth:`lookup_key` for many paths at once, in their order; faster for each than one by one."""
        return self._index._lookup_keys(self, paths)

    def __contains__(self, path: PathArg) -> bool:
        return bool(self._index.match_path(self, path))

    def __getitem__(self, path: PathArg) -> Item:
        """The item of a path, as :meth:`match` finds it; a KeyError with the reason when there is no single one."""
        match = self._index.match_path(self, path)
        if match.item is None:
            raise KeyError(match.reason)
        return match.item

    def __iter__(self) -> Iterator[Item]:
        return self._index.items(self)

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __bool__(self) -> bool:
        # A library, and not how many items it has.
        return True

    def __reduce__(self) -> tuple[Any, ...]:
        return _chosen_again, (self._index, self._chosen_by)

    def folder(
        self,
        path: PathArg,
        *,
        deadline: float | None = None,
        offline: bool = False,
        progress: ProgressArg = None,
    ) -> Folder:
        """Which show, season, artist, album or item this folder is: :meth:`Index.folder` in this library."""
        return self._index.folder(path, self, deadline=deadline, offline=offline, progress=progress)

    def changes(
        self,
        since: str | None = None,
        *,
        full: bool = False,
        check: bool = False,
        deadline: float | None = None,
        offline: bool = False,
        progress: ProgressArg = None,
    ) -> Changes:
        """What changed in this library since a cursor was given: :meth:`Index.changes`."""
        return self._index.changes(
            since, self, full=full, check=check, deadline=deadline, offline=offline, progress=progress
        )

    def watch_changes(
        self,
        since: str | None = None,
        *,
        timeout: float | None = None,
        offline: bool = False,
        progress: ProgressArg = None,
    ) -> Iterator[Change]:
        """What changes in this library from now on: :meth:`Index.watch_changes`."""
        return self._index.watch_changes(since, self, timeout=timeout, offline=offline, progress=progress)

    match = _in_library(Index.match_path, "match", "Which item this file is")
    match_paths = _in_library(Index.match_paths, "match_paths", "Which items these files are")
    match_guid = _in_library(Index.match_guid, "match_guid", "The item with this GUID")
    search_title = _in_library(Index.search_title, "search_title", "The items with this title")
    items_below = _in_library(Index.items_below, "items_below", "The items with files below a folder")
    items = _in_library(Index.items, "items", "Its items as the store has them")
    record_match = _in_library(Index.record_match, "record_match", "Confirms that the item with this key has this path")
    record_matches = _in_library(Index.record_matches, "record_matches", "Confirms many pairs of path and key at once")
    invalidate_path = _in_library(Index.invalidate_path, "invalidate_path", "Invalidates a path")
    invalidate_item = _in_library(Index.invalidate_item, "invalidate_item", "Invalidates an item and all its paths")
    invalidate = _in_library(Index.invalidate_library, "invalidate", "Invalidates the library")
    refresh = _in_library(Index.refresh, "refresh", "Brings the library up to date now")
    edit_items = _in_library(Index.edit_items, "edit_items", "Gives items of the library the same values")

    amatch = _aio.stopped_with_its_task(match)
    amatch_paths = _aio.stopped_with_its_task(match_paths)
    afolder = _aio.stopped_with_its_task(folder)
    aitems_below = _aio.one_by_one(items_below)
    achanges = _aio.stopped_with_its_task(changes)
    awatch_changes = _aio.one_by_one(watch_changes, at_once=1)
    arefresh = _aio.stopped_with_its_task(refresh)

    def __repr__(self) -> str:
        closed = "" if self._index.is_open else " (closed)"
        return f"<plexindex.Library {self._selector}{closed}>"


# A class that derives from it may have another.
_MATCH: Any = Library.match
_FOLDER: Any = Library.folder
_RECORD: Any = (Library.record_match, Library.record_matches)

_door.grow_all(Index, Library)
