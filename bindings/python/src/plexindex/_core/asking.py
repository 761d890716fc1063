"""Lookups of files, folders, GUIDs and titles; recording of matches; invalidation."""

from __future__ import annotations

import os

from .. import aio as _aio
from ..errors import InvalidArgumentError, LibraryError, NotFetchedError, PanicError, TimeoutError
from ..item import Item
from ..library import Chosen
from ..match import Match
from . import constants as c
from . import convert as _convert
from . import log as _log
from .changing import EditMethods
from .many import Folder, Matches

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import Any, Union

    from ..compare.comparison import Comparison
    from .callbacks import ProgressArg
    from .light import LightItem
    from .types import KeyArg, PathArg

    LibraryArg = Union[str, int, Chosen, None]

# Estimated size of an answer and a key without the path, in bytes. A buffer that is too small costs a second call.
_BYTES_PER_ANSWER = 400
_BYTES_PER_KEY = 40
_KEYS_AT_ONCE = 1024


class QuestionMethods(EditMethods):
    """An index's methods that find items, and record and invalidate matches."""

    # The plexapi server from which the caller created the index, if any.
    _plex: Any = None

    def match(
        self,
        path: PathArg,
        library: LibraryArg = None,
        *,
        deadline: float | None = None,
        offline: bool = False,
        check: bool = False,
        progress: ProgressArg = None,
    ) -> Match:
        """Returns the item for a file. Asks the server only if necessary, and never if ``offline``.

        With ``check``, the call first asks the server for changes, with one request, or more if something changed.

        *Not found*, *ambiguous* and *not yet* are answers, not exceptions: see :class:`Match`. Raises ServerError if
        the library was never fetched and the fetch fails, LibraryNotFoundError if there is no such library, and
        InvalidArgumentError if the path is invalid.
        """
        raw = _convert.path_bytes(path, self._hides_paths)
        block = self._block(self._native.match_path, library, raw, deadline, offline, progress, check=check)
        return Match(block, asked=self, question=path)

    def _match_at_once(self, path: PathArg, library: LibraryArg = None) -> Match | None:
        """Returns the answer for a file, or None if the call would have to wait."""
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
        check: bool = False,
        progress: ProgressArg = None,
    ) -> Matches:
        """Matches many paths in one call, as :meth:`match` does. Returns the answers in the same order.

        An error that concerns only one path is in :attr:`Match.error`. The call raises errors that concern all paths,
        and raises InvalidArgumentError if a path is empty or contains a NUL.
        """
        paths = _convert.path_list(paths)
        count = len(paths)
        text = _convert.join_paths(paths, self._hides_paths)
        reserve = 4096 + len(text) + count * _BYTES_PER_ANSWER
        try:
            given = library, text, deadline, offline, progress, count, reserve
            block = self._block(self._native.match_paths, *given, check=check)
            return Matches(block, self, paths)
        except InvalidArgumentError:
            _convert.check_paths(paths, self._hides_paths)
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
        """Returns the show, season, artist, album or item for a folder: the deepest to which all listed files below the
        folder belong.

        Fetches the library as :meth:`match` does. With a ``deadline``, plexindex first searches a library that was
        never fetched for one of the files in the folder on this machine's disk. Raises the errors of :meth:`match`.
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
        """Yields the items with files below a folder, in path order. :attr:`Item.path` is the file. An item with
        several files appears once for each file. plexindex reads one page at a time, so that a large list does not fill
        the memory.

        Sends requests only to fetch a library that was never fetched, unless ``offline``. If a file changes during the
        iteration, the order of the other files stays the same. Raises TimeoutError if the deadline passes before the
        library is fetched, and NotFetchedError if the call is offline and the library was never fetched.
        """
        raw = _convert.path_bytes(path, self._hides_paths, "folder")
        return self._pages("items.below", deadline, offline, progress, library=library, path=raw)

    def _pages(
        self, method: str, deadline: float | None, offline: bool, progress: ProgressArg, **request: Any
    ) -> Iterator[Item]:
        """Yields the items from all pages of a list."""
        try:
            _, page = self._request(method, **request)
        except NotFetchedError:
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
        """Returns the item with a GUID: ``plex://…``, ``imdb://tt…``, ``tmdb://…``, ``tvdb://…``, or a legacy agent's
        GUID.

        For the GUID of a show, season, artist or album, the candidates are at most 16 of its items, and the ``message``
        contains its key and its total number of items.
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
        """Returns the items with a title, ignoring case, accents and punctuation. If no title matches, returns the
        items whose titles contain all words. For the title of a show, the items are its episodes.

        The items are the answer's ``candidates``. A single item is also the answer's item.
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
        """Yields a library's items from the store. ``library`` must be a single library.

        The call sends requests, reads pages and raises errors like :meth:`items_below`. The iterator can miss changes
        during the iteration.
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
        """Walks folders on this machine and compares them with Plex. Changes neither the disk nor the server.

        Iterate over the result, which yields each :class:`Difference` while plexindex walks the disk. Unless
        ``offline``, plexindex first asks the server for changes, with one request. If a library has new and missing
        files, plexindex then requests the items of the missing files, which may have been renamed: 64 per request, at
        most 256 in all. With a ``library``, plexindex skips other libraries' folders. ``without`` disables rules for
        files that Plex ignores: ``extension`` (plexindex never reports files that this rule ignores), ``hidden``,
        ``system``, ``unpacking``, ``empty``, ``samples``, ``extras``, ``discs``, ``plexignore``. ``progress`` receives
        the number of files found so far. The ``deadline`` limits the requests, but not the walk. ``async for`` over the
        result walks on a background thread.

        If a mapping has a pattern for the host's paths, plexindex does not search the disk for listed files, because
        plexindex cannot invert a pattern.
        """
        from ..compare.comparison import Comparison

        if isinstance(without, (str, bytes)):
            raise TypeError(f"without must be a list of rules, not {without!r}: write [{without!r}]")
        if not isinstance(folders, (str, bytes, os.PathLike)) and not hasattr(folders, "__iter__"):
            raise TypeError(f"folders must be a path or a list of paths, not {type(folders).__name__}")
        given = [folders] if isinstance(folders, (str, bytes, os.PathLike)) else list(folders)
        return Comparison(self, given, library, frozenset(without), deadline, offline, progress)

    def item_facts(self, key: KeyArg, library: LibraryArg = None) -> dict[str, object] | None:
        """Returns all stored fields of an item, including its files and external IDs, like the method ``items.get``.
        Returns None if the item is not listed. Sends no request: raises NotFetchedError if the library was never
        fetched.
        """
        _, answer = self._request("items.get", library=library, key=_convert.key_text(key))
        return answer.get("item")  # type: ignore[no-any-return]

    def _listed_facts(self, key: KeyArg, library: LibraryArg) -> dict[str, object] | None:
        """As :meth:`item_facts`, but returns None if the library has no listing, or vanished."""
        try:
            return self.item_facts(key, library)
        except LibraryError:
            return None

    def _library_of(self, item: Item) -> Chosen:
        kind = c.SELECT_SECTION if item.section else c.SELECT_ALL
        return Chosen(self, self._select(kind, item.section or ""))

    def _light_of(self, item: Item) -> LightItem | None:
        if self._plex is None:
            return None
        from .light import LightItem, Origin

        return LightItem(Origin(self._plex, self, self._library_of(item)), item)

    def _paths_of(self, item: Item) -> tuple[str, ...]:
        facts = self._listed_facts(item.rating_key, self._library_of(item))
        # If the item is not listed, plexindex knows only the recorded path.
        known = (item.path or "",) if facts is None else facts["paths"]
        return tuple(path for path in known if path)  # type: ignore[attr-defined]

    def _lookup_keys(self, library: Chosen, paths: Iterable[PathArg]) -> list[str | None]:
        paths = _convert.path_list(paths)
        found: list[str | None] = []
        # Look up batches that fit into the processor's caches, which is faster than all paths at once.
        for start in range(0, len(paths) or 1, _KEYS_AT_ONCE):
            piece = paths[start : start + _KEYS_AT_ONCE]
            text, count = _convert.join_paths(piece, self._hides_paths), len(piece)
            reserve = count * _BYTES_PER_KEY
            try:
                answer = self._do(self._native.lookup_keys, text, len(text), count, library=library, reserve=reserve)
            except InvalidArgumentError:
                _convert.check_paths(piece, self._hides_paths)
                raise
            keys = answer.decode().split("\0")
            keys.pop()
            if len(keys) != count:
                # Without this check, paths could get the keys of other paths.
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
        """Records that a path belongs to the item with ``key``, a key or rating key. From then on, lookups return the
        item.

        ``key`` can also be a plexindex or plexapi item. After the call, every process sees the match, which never
        expires. ``library`` must be a single library. The call asks the server only about an unknown library. If the
        ``deadline`` passes first, the call records nothing and raises TimeoutError. If the call must not ask the
        server, it raises OfflineError.

        With ``through``, the call returns once the match is in the shared log (the option ``shared`` of ``open``), like
        :meth:`shared_deliver`. If the call raises TimeoutError, the match may be stored on this host, and plexindex
        then delivers it later. If the call raises InvalidArgumentError, it has recorded nothing: the index has no
        shared log, or no other host could use the path, because the path is neither in one of the library's folders nor
        under a mapping.
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
        """Records pairs of a path and a key, like :meth:`record_match`, all in one transaction."""
        deadline_ms = _convert.deadline_ms(deadline)
        try:
            pairs = list(pairs)
            if any(isinstance(pair, (str, bytes)) for pair in pairs):
                raise ValueError("a string is not a pair")
            pairs = [(path, key) for path, key in pairs]
        except (TypeError, ValueError) as error:
            raise TypeError(f"each of the pairs must be a path and a key: {error}") from error
        given = [path for path, _ in pairs]
        paths = _convert.join_paths(given, self._hides_paths)
        if paths.count(b"\0") != len(given):
            _convert.check_paths(given, self._hides_paths)
        keys = _convert.join_keys([key for _, key in pairs])
        texts = paths, len(paths), keys, len(keys), len(pairs), c.RECORD_THROUGH if through else 0
        self._run_command(self._native.record_matches, *texts, deadline_ms, library=library)

    def invalidate_path(self, path: PathArg, library: LibraryArg = None) -> None:
        """Invalidates a path and removes its confirmed match. If the path is listed, its next lookup requests the item
        from the server once. An unknown path is not an error.
        """
        raw = _convert.path_bytes(path, self._hides_paths)
        self._run_command(self._native.invalidate_path, raw, len(raw), library=library)

    def invalidate_item(self, key: KeyArg, library: LibraryArg = None) -> None:
        """Invalidates an item and all its paths, like :meth:`invalidate_path`. Call this method after a 404 for the
        item.
        """
        raw = _convert.key_text(key).encode()
        self._run_command(self._native.invalidate_item, raw, len(raw), library=library)

    def invalidate_library(self, library: LibraryArg) -> None:
        """Invalidates a library and removes its confirmed matches, in constant time. plexindex then fetches a full
        listing. Until the new listing is complete, plexindex answers from the old listing, and marks the answers as
        stale.
        """
        self._run_command(self._native.invalidate_library, library=library)

    def invalidate_all(self) -> None:
        """Invalidates all of the server's libraries, like :meth:`invalidate_library`."""
        self.invalidate_library(None)

    def clear(self) -> None:
        """Removes the listings and matches for this server and user. For an index without a server, removes the data of
        the server from whose listings the index answers.
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
        """Refreshes one library or all libraries, like a match after a listing has expired.

        Sends no request while the listings are fresh, unless ``check`` is true, which always asks the server for
        changes. ``full`` fetches a full listing even if the server reports no change. Returns whether the libraries are
        up to date. If the deadline passes first, returns False, and the next call resumes the fetch. If the deadline
        passes before plexindex knows any library, raises TimeoutError.
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
