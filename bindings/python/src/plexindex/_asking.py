"""Questions about files, folders, GUIDs and titles; and recording and invalidating the answers."""

from __future__ import annotations

import os

from . import _aio, _convert, _log
from . import _constants as c
from ._answers import Match
from ._changing import EditMethods
from ._errors import InvalidArgumentError, LibraryNotFoundError, PanicError, TimeoutError
from ._items import Item
from ._library import Chosen
from ._many import Folder, Matches

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import Any, Union

    from ._callbacks import ProgressArg
    from ._compare import Comparison
    from ._light import LightItem
    from ._types import KeyArg, PathArg

    LibraryArg = Union[str, int, Chosen, None]

# Estimated bytes of an answer and a key besides the path: too few cost a second call.
_BYTES_PER_ANSWER = 400
_BYTES_PER_KEY = 40
_KEYS_AT_ONCE = 1024


class QuestionMethods(EditMethods):
    """The methods of an index that ask for items, confirm answers and invalidate them."""

    # plexapi's server, of an index that was made from it.
    _plex: Any = None

    def match(
        self,
        path: PathArg,
        library: LibraryArg = None,
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
        block = self._block(self._native.match_path, library, raw, deadline, offline, progress)
        return Match(block, asked=self, question=path)

    def _match_at_once(self, path: PathArg, library: LibraryArg = None) -> Match | None:
        """The answer for a file; None where it has to be waited for."""
        raw = _convert.path_bytes(path, self._hides_paths)
        block = self._block(self._native.match_path, library, raw, None, False, None, at_once=True)
        match = Match(block, asked=self, question=path)
        return None if match.status == "not_yet" else match

    def match_paths(
        self,
        paths: Iterable[PathArg],
        library: LibraryArg = None,
        *,
        deadline: float | None = None,
        offline: bool = False,
        progress: ProgressArg = None,
    ) -> Matches:
        """:meth:`match` for many paths in one call: a sequence of answers in their order.

        What goes wrong with one path is in its answer (:attr:`Match.error`); what concerns all of them is raised. A
        path that is refused (empty, with a NUL) refuses the batch.
        """
        paths = _convert.path_list(paths)
        count = len(paths)
        text = _convert.join_paths(paths, self._hides_paths)
        reserve = 4096 + len(text) + count * _BYTES_PER_ANSWER
        try:
            block = self._block(self._native.match_paths, library, text, deadline, offline, progress, count, reserve)
            return Matches(block, self, paths)
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
        :meth:`match` does. With a ``deadline`` a library that was never fetched is asked first for one file
        below the folder, which is looked for on the disk. Raises what :meth:`match` raises.
        """
        raw = _convert.path_bytes(path, self._hides_paths, "folder")
        asked = {"library": library, "path": raw, "offline": offline}
        return Folder._of(self._request("match.folder", deadline, progress, **asked)[1], self, path)

    def items_below(
        self,
        path: PathArg,
        library: LibraryArg = None,
        *,
        deadline: float | None = None,
        offline: bool = False,
        progress: ProgressArg = None,
    ) -> Iterator[Item]:
        """The items with files below a folder, in the order of the paths. :attr:`Item.path` is the file; an item of
        several files comes with each. They are read a page at a time while you iterate, so a million take no room.

        A library that was never fetched is fetched first, unless ``offline``; else no request is sent. The folder is
        found as by :meth:`folder`, where that is sure of it. A change meanwhile moves no other file. Raises
        TimeoutError when the deadline passed before the library was fetched, and NotFetchedError, offline, when it
        never was.
        """
        raw = _convert.path_bytes(path, self._hides_paths, "folder")
        return self._pages("items.below", deadline, offline, progress, library=library, path=raw)

    def _pages(
        self, method: str, deadline: float | None, offline: bool, progress: ProgressArg, **request: Any
    ) -> Iterator[Item]:
        """Yields the items of a list that comes in pages."""
        try:
            _, page = self._request(method, **request)
        except LibraryNotFoundError:
            if offline:
                raise
            if not self.refresh(request["library"], deadline=deadline, progress=progress):
                raise TimeoutError("the deadline passed before the library was fetched: retry to resume") from None
            _, page = self._request(method, **request)
        while True:
            for facts in page["items"]:
                yield Item(facts, self)
            if "cursor" not in page:
                return
            _, page = self._request(method, **request, cursor=page["cursor"])

    def match_guid(
        self,
        guid: str,
        library: LibraryArg = None,
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
        asked = {"library": library, "guid": _convert.text_bytes("GUID", guid), "offline": offline}
        return Match._of(self._request("match.guid", deadline, progress, **asked)[1], self, guid)

    def search_title(
        self,
        title: str,
        library: LibraryArg = None,
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
        asked = {"library": library, "title": _convert.text_bytes("title", title), "offline": offline}
        return Match._of(self._request("match.title", deadline, progress, **asked)[1], self, title)

    def items(
        self,
        library: str | int | Chosen,
        *,
        deadline: float | None = None,
        offline: bool = False,
        progress: ProgressArg = None,
    ) -> Iterator[Item]:
        """The items of a library as the store has them. ``library`` is one library, not all.

        A library that was never fetched is fetched first, unless ``offline``; else no request is sent. They are read a
        page at a time while you iterate. A change that happens meanwhile may be missed. Raises TimeoutError when the
        deadline came before the library was fetched, and NotFetchedError, offline, when it never was.
        """
        return self._pages("items.list", deadline, offline, progress, library=library)

    def compare(
        self,
        folders: PathArg | Iterable[PathArg],
        library: LibraryArg = None,
        *,
        without: Iterable[str] = (),
        deadline: float | None = None,
        offline: bool = False,
        progress: Callable[[int], object] | None = None,
    ) -> Comparison:
        """Walks folders of this machine, and tells what is on the disk and not in Plex, and the other way round.

        Iterate over the answer: each :class:`Difference` comes while the disk is walked. Unless ``offline`` the server
        is asked first whether anything changed, with one request, and what did is fetched; then, where a library has
        new files and files that are gone, for the items of those: they may have been renamed (64 in a request, 256 in a
        run). With a ``library`` the folders of others are skipped. What Plex leaves out is reported as left out, by
        rules that ``without`` switches off: ``extension`` (such files are never reported), ``hidden``, ``system``,
        ``unpacking``, ``empty``, ``samples``, ``extras``, ``discs``, ``plexignore``. ``progress`` is called with the
        number of files that were found so far. A ``deadline`` is for the server's answers; the walk has none.

        Under ``asyncio``, ``async for`` over the answer walks on a thread of its own.

        Nothing is changed, on the disk or on the server. What is listed under mappings with a pattern over the host's
        paths is not looked for on the disk: such a pattern leads one way.
        """
        from ._compare import Comparison

        if isinstance(without, (str, bytes)):
            raise TypeError(f"without must be a list of rules, not {without!r}: give [{without!r}]")
        if not isinstance(folders, (str, bytes, os.PathLike)) and not hasattr(folders, "__iter__"):
            raise TypeError(f"folders must be a path or a list of paths, not {type(folders).__name__}")
        given = [folders] if isinstance(folders, (str, bytes, os.PathLike)) else list(folders)
        return Comparison(self, given, library, frozenset(without), deadline, offline, progress)

    def item_facts(self, key: KeyArg, library: LibraryArg = None) -> dict[str, object] | None:
        """All that the store has of one item, its files and external ids included; None when it is not listed, or its
        library was never fetched.

        The names are those of the method ``items.get``; what is not known is absent. Sends no request.
        """
        try:
            _, answer = self._request("items.get", library=library, key=_convert.key_text(key))
        except LibraryNotFoundError:
            return None
        return answer.get("item")  # type: ignore[no-any-return]

    def _library_of(self, item: Item) -> Chosen:
        kind = c.SELECT_SECTION if item.section else c.SELECT_ALL
        return Chosen(self, self._select(kind, item.section or ""))

    def _light_of(self, item: Item) -> LightItem | None:
        if self._plex is None:
            return None
        from ._light import LightItem, Origin

        return LightItem(Origin(self._plex, self, self._library_of(item)), item)

    def _paths_of(self, item: Item) -> tuple[str, ...]:
        facts = self.item_facts(item.rating_key, self._library_of(item))
        # Of an item that is not listed, only the recorded path is known.
        known = (item.path or "",) if facts is None else facts["paths"]
        return tuple(path for path in known if path)  # type: ignore[attr-defined]

    def _lookup_keys(self, library: Chosen, paths: Iterable[PathArg]) -> list[str | None]:
        paths = _convert.path_list(paths)
        found: list[str | None] = []
        # In pieces that fit the processor's caches, which is faster than all at once.
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
                # Answers would be shifted to other paths.
                raise PanicError(f"bug in plexindex: {len(keys)} keys for {count} paths; look up the paths one by one")
            found += keys if all(keys) else [key or None for key in keys]
        return found

    def record_match(
        self,
        path: PathArg,
        key: KeyArg,
        library: LibraryArg = None,
        *,
        deadline: float | None = None,
        through: bool = False,
    ) -> None:
        """Confirms that the item with this key (or rating key) has this path. From now on it is the path's answer.

        ``key`` may be an item, too: one of plexindex's or of plexapi's.

        On return the match is stored, for every process. It has no expiry. ``library`` is one library, not all. The
        server is asked only for a library that is not known yet: TimeoutError says that the ``deadline`` passed first,
        and nothing is recorded; OfflineError that no server may be asked. In a test ``plexindex.testing`` has one.

        ``through``: return only once the shared log has it, and so the other hosts can (``shared`` of ``open``), as
        :meth:`shared_deliver` does. TimeoutError may then say that it is stored in this folder, and is delivered later.
        InvalidArgumentError says that nothing is recorded, because this index shares nothing, or because no other host
        could use the path: it is in no folder of the library and under no mapping.
        """
        if through:
            self.record_matches([(path, key)], library, deadline=deadline, through=True)
            return
        raw, key_raw = _convert.path_bytes(path, self._hides_paths), _convert.key_text(key).encode()
        given = raw, len(raw), key_raw, len(key_raw), _convert.deadline_ms(deadline)
        self._run_command(self._native.record_match, *given, library=library)

    def record_matches(
        self,
        pairs: Iterable[tuple[PathArg, KeyArg]],
        library: LibraryArg = None,
        *,
        deadline: float | None = None,
        through: bool = False,
    ) -> None:
        """:meth:`record_match` for many pairs of path and key in one transaction: all or none."""
        deadline_ms = _convert.deadline_ms(deadline)
        try:
            pairs = list(pairs)
            if any(isinstance(pair, (str, bytes)) for pair in pairs):
                raise ValueError("a text is no pair")
            pairs = [(path, key) for path, key in pairs]
        except (TypeError, ValueError) as error:
            raise TypeError(f"pairs must be pairs of a path and a key: {error}") from error
        given = [path for path, _ in pairs]
        paths = _convert.join_paths(given, self._hides_paths)
        if paths.count(b"\0") != len(given):
            _convert.name_refused(given, self._hides_paths)
        keys = _convert.join_keys([key for _, key in pairs])
        texts = paths, len(paths), keys, len(keys), len(pairs), c.RECORD_THROUGH if through else 0
        self._run_command(self._native.record_matches, *texts, deadline_ms, library=library)

    def invalidate_path(self, path: PathArg, library: LibraryArg = None) -> None:
        """Invalidates a path. Its confirmed match is removed. If it is listed, the next question for it asks the server
        for the item once. A path that is not known is no error.
        """
        raw = _convert.path_bytes(path, self._hides_paths)
        self._run_command(self._native.invalidate_path, raw, len(raw), library=library)

    def invalidate_item(self, key: KeyArg, library: LibraryArg = None) -> None:
        """Invalidates an item and all its paths, as :meth:`invalidate_path`. Call it when the server answers 404."""
        raw = _convert.key_text(key).encode()
        self._run_command(self._native.invalidate_item, raw, len(raw), library=library)

    def invalidate_library(self, library: LibraryArg) -> None:
        """Invalidates a library. Its confirmed matches are removed, and a full listing is due now. Until that is
        fetched the old listing answers, marked stale. Takes the same time whatever the size.
        """
        self._run_command(self._native.invalidate_library, library=library)

    def invalidate_all(self) -> None:
        """:meth:`invalidate_library` for every library of the server."""
        self.invalidate_library(None)

    def clear(self) -> None:
        """Empties the store of this server and user: listings and matches.

        Opened without a server, that is the one whose answers are given: the newest that the store holds.
        """
        self._run_command(self._native.clear, library=self)

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

        While the listings are fresh, no request is sent for them; ``check`` asks the server once nevertheless. ``full``
        fetches a full listing even if the server's clocks show no change. Returns True when it is up to date, False
        when the deadline came first: the next call goes on from there. If no library was known either, that raises
        TimeoutError.
        """
        flags = (c.QUERY_FULL if full else 0) | (c.QUERY_PROBE if check else 0)
        status, _ = self._query(self._native.refresh, library, b"", deadline, flags, progress, buffer=False)
        _log.drain(self._native)
        return status == c.OK

    amatch = _aio.at_once_or_cancellable(match)
    amatch_paths = _aio.cancellable(match_paths)
    afolder = _aio.cancellable(folder)
    aitems_below = _aio.async_iterator(items_below)
    amatch_guid = _aio.cancellable(match_guid)
    asearch_title = _aio.cancellable(search_title)
    arefresh = _aio.cancellable(refresh)
    arecord_match = _aio.uncancellable(record_match)
    arecord_matches = _aio.uncancellable(record_matches)
    ainvalidate_path = _aio.uncancellable(invalidate_path)
    ainvalidate_item = _aio.uncancellable(invalidate_item)
    ainvalidate_library = _aio.uncancellable(invalidate_library)
