"""An open index: the questions that it answers."""

from __future__ import annotations

import ctypes

from . import _constants as c
from . import _convert, _log
from ._aio import AsyncCalls
from ._answers import Item, Match, Matches
from ._errors import Error, InvalidArgumentError, PanicError
from ._library import Library, LibraryInfo
from ._native import CStats
from ._session import Session

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from types import TracebackType
    from typing import Any

    from ._edits import EditReport
    from ._facts import Proposal, ServerInfo, StoreInfo
    from ._stats import Profile, Stats
    from ._types import FieldArg, LibraryArg, PathArg, ProgressArg
    from ._watch import Watching

# What an answer and a key take besides the path, roughly: too little costs a second call.
_BYTES_PER_ANSWER = 400
_BYTES_PER_KEY = 40
_KEYS_AT_ONCE = 1024
_ITEMS_A_PAGE = 1000


class Index(AsyncCalls, Session):
    """An open index: tells which Plex item a file is. Made by :func:`plexindex.open`, ended by :meth:`close` or `with`.

    Any number of threads may use it at once. A ``library`` is a title, a :class:`Library`, or None for every library;
    a ``deadline`` is in seconds, None for the one given to ``open``, infinity for none. A call that fetches tells
    ``progress`` (default: the one given to ``open``) how far it is; Ctrl-C, an exception raised by ``progress``, or its
    returning False ends the call, and the next one goes on where it stopped.

    Under ``asyncio`` the methods that begin with ``a``, such as :meth:`amatch_path`, do the same on a thread of their
    own, and ``async with`` closes the index.

    Every method raises :class:`ClosedError` once the index is closed.
    """

    @property
    def is_open(self) -> bool:
        """Whether it can be used: :meth:`close` was not called."""
        return self._open

    @property
    def cache_dir(self) -> str:
        """The folder of the store."""
        return self._cache_dir

    def library(
        self, title: str | None = None, *, section: str | int | None = None, uuid: str | None = None
    ) -> Library:
        """A library by its title, its section id or its uuid; without any of them, every library at once.

        Fetches nothing: whether the server has it shows when it is first asked (LibraryNotFoundError names those that
        exist). Raises LibraryAmbiguousError when two known libraries share the title.
        """
        for name, value in (("title", title), ("uuid", uuid)):
            if value is not None and not isinstance(value, str):
                raise TypeError(f"{name} must be str, not {type(value).__name__}")
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
        return Library(self, self._select(kind, value), title, shown)

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
        return Match(self._block(self._native.match_path, library, raw, deadline, offline, progress))

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
                self._block(self._native.match_paths, library, text, deadline, offline, progress, count, reserve)
            )
        except InvalidArgumentError:
            _convert.name_refused(paths, self._hides_paths)
            raise

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

        A show's GUID gives its episodes: ambiguous, unless there is but one.
        """
        if not isinstance(guid, str):
            raise TypeError(f"guid must be str, not {type(guid).__name__}")
        raw = _convert.text_bytes("GUID", guid)
        return Match(self._block(self._native.match_guid, library, raw, deadline, offline, progress))

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
        return Match(self._block(self._native.search_title, library, raw, deadline, offline, progress))

    def items(self, library: str | Library) -> Iterator[Item]:
        """The items of a library as the store has them; asks nobody. ``library`` is one library, not all.

        They are read as one goes along, a page at a time; what changes meanwhile may be missed.
        """
        cursor = ctypes.c_int64(0)
        while True:
            page = Match(
                self._do(
                    self._native.items,
                    self._library_pointer(library),
                    ctypes.byref(cursor),
                    _ITEMS_A_PAGE,
                    library=self,
                    reserve=_ITEMS_A_PAGE * _BYTES_PER_ANSWER,
                )
            ).candidates
            if not page:
                return
            yield from page

    def item_facts(self, library: LibraryArg, key: str | int) -> dict[str, object] | None:
        """All that the store has of one item, its files and external ids included; None when it is not listed.

        The names are those of ``plexindex_item_json()``. Asks nobody.
        """
        raw = _convert.key_text(key).encode()
        status, text = self._ask(self._native.item_json, raw, len(raw), library=library, reserve=4096)
        if status != c.OK:
            return None
        import json

        return json.loads(text)  # type: ignore[no-any-return]

    def record_match(self, library: LibraryArg, path: PathArg, key: str | int) -> None:
        """Confirms that the item with this key (or rating key) has this path: from now on that is the first answer.

        On return the match is stored, for every process; it has no expiry. ``library`` is one library, not all.
        """
        raw, key_raw = _convert.path_bytes(path, self._hides_paths), _convert.key_text(key).encode()
        self._do(self._native.record_match, raw, len(raw), key_raw, len(key_raw), library=library)
        _log.drain(self._native)

    def record_matches(self, library: LibraryArg, pairs: Iterable[tuple[PathArg, str | int]]) -> None:
        """:meth:`record_match` for many pairs of path and key in one transaction: all or none."""
        pairs = list(pairs)
        paths = b"".join([_convert.path_bytes(path, self._hides_paths) + b"\0" for path, _ in pairs])
        keys = "".join([f"{_convert.key_text(key)}\0" for _, key in pairs]).encode()
        self._do(self._native.record_matches, paths, len(paths), keys, len(keys), len(pairs), library=library)
        _log.drain(self._native)

    def invalidate_path(self, library: LibraryArg, path: PathArg) -> None:
        """Invalidates a path: its confirmed match goes, and its listed row is not answered again before one request has
        confirmed the item. A path that is not known is fine.
        """
        raw = _convert.path_bytes(path, self._hides_paths)
        self._do(self._native.invalidate_path, raw, len(raw), library=library)
        _log.drain(self._native)

    def invalidate_item(self, library: LibraryArg, key: str | int) -> None:
        """Invalidates an item and all its paths, as :meth:`invalidate_path`: what to call when the server says 404."""
        raw = _convert.key_text(key).encode()
        self._do(self._native.invalidate_item, raw, len(raw), library=library)
        _log.drain(self._native)

    def invalidate_library(self, library: LibraryArg) -> None:
        """Invalidates a library: its confirmed matches go, and a full listing is due now; until it came the old one
        answers, marked stale. Takes the same time whatever the size.
        """
        self._do(self._native.invalidate_library, library=library)
        _log.drain(self._native)

    def invalidate_all(self) -> None:
        """:meth:`invalidate_library` for every library of the server."""
        self._do(self._native.invalidate_all, library=self)
        _log.drain(self._native)

    def clear(self) -> None:
        """Empties the store of this server and user: listings and matches."""
        self._do(self._native.clear, library=self)
        _log.drain(self._native)

    def refresh(
        self,
        library: LibraryArg = None,
        full: bool = False,
        *,
        deadline: float | None = None,
        progress: ProgressArg = None,
    ) -> bool:
        """Brings a library, or all, up to date now, as a match does by itself when a listing has expired.

        ``full`` fetches a full listing whatever the clocks say. Returns True when it is up to date, False when the
        deadline came first: call again, it goes on.
        """
        flags = c.QUERY_FULL if full else 0
        status, _ = self._query(self._native.refresh, library, b"", deadline, flags, progress, buffer=False)
        _log.drain(self._native)
        return status == c.OK

    def edit_items(
        self,
        library: str | Library,
        keys: Iterable[str | int],
        fields: Mapping[str, FieldArg] | None = None,
        *,
        remove: Mapping[str, str | Iterable[str]] | None = None,
        locked: bool | None = True,
        deadline: float | None = None,
    ) -> EditReport:
        """Gives items of one library the same values, in one request for each hundred items of a type.

        ``fields`` are Plex's names of fields with their values: a text or a number replaces, a list adds tags
        (``{"title": "A", "genre": ["Drama"]}``), None changes nothing but the lock. ``remove`` names tags to take away.
        The fields named are ``locked``, so that Plex's agents leave them alone; False unlocks, None leaves the locks.

        Nothing is sent without keys (Plex would edit the whole library) nor when an item does not exist (NotOnServerError).
        After a request that failed no other is sent; the error's ``report`` says what was done until then. Edited items
        are asked for once before they are answered again.
        """
        if library is None:
            raise TypeError("items are edited in one library at a time: name it")
        from ._edits import Edit

        edit = Edit(self._library_pointer(library), keys, fields, remove, locked, deadline)
        try:
            self._do(self._native.edit_items, *edit.arguments, library=self)
        except Error as error:
            error.report = edit.report()
            raise
        _log.drain(self._native)
        return edit.report()

    def watch_start(self) -> None:
        """Listens to the server's events from now on, on a thread of the library's own, until :meth:`watch_stop` or
        :meth:`close`: what they say changed is looked at again by the next question about it. Asks nothing by itself.

        Whether the server can be reached shows in the log; it is tried again for as long as it takes. Again changes
        nothing. A forked child does not watch; it may begin to. Raises OfflineError without a server.
        """
        self._do(self._native.watch_start, library=self)
        _log.drain(self._native)

    def watch_stop(self) -> None:
        """Ends what :meth:`watch_start` began, within a second. Not watching is fine."""
        self._do(self._native.watch_stop, library=self)
        _log.drain(self._native)

    def watch(self) -> Watching:
        """Watches for the length of a block: ``with index.watch(): …``."""
        from ._watch import Watching

        return Watching(self)

    def notify(self, body: bytes | bytearray | memoryview | str | Mapping[str, Any]) -> None:
        """Tells the index of an event that the host received itself: what it says changed is looked at again by the
        next question about it. Asks nobody.

        ``body`` is a webhook (the JSON of its field ``payload``, as text or parsed, or the whole multipart body) or a
        notification of the server. Events that tell of nothing are fine; what is neither is an InvalidArgumentError.
        """
        if isinstance(body, str):
            raw = _convert.text_bytes("body", body)
        elif isinstance(body, (bytes, bytearray, memoryview)):
            raw = bytes(body)
        elif hasattr(body, "keys"):
            import json

            raw = json.dumps(dict(body)).encode()
        else:
            raise TypeError(f"body must be bytes, str or a dict, not {type(body).__name__}")
        self._do(self._native.notify, raw, len(raw), library=self)
        _log.drain(self._native)

    def libraries(
        self, *, deadline: float | None = None, offline: bool = False, progress: ProgressArg = None
    ) -> list[LibraryInfo]:
        """The server's libraries. Known ones are not asked for again; when none is known the server is asked."""
        flags = c.QUERY_OFFLINE if offline else 0
        _, text = self._query(self._native.libraries_json, None, b"", deadline, flags, progress)
        _log.drain(self._native)
        import json

        return [LibraryInfo.from_json(entry) for entry in json.loads(text)]

    def stats(self) -> Stats:
        """What this index did so far: counts and times."""
        from ._stats import Stats

        raw = CStats(size=ctypes.sizeof(CStats))
        self._do(self._native.stats, ctypes.byref(raw), library=self)
        last_failure = None
        if raw.failures:
            import json

            last_failure = json.loads(self._do(self._native.stats_json, library=self, reserve=2048))["last_failure"]
        return Stats(raw, last_failure)

    def profile(self) -> Profile:
        """What this index spent its time on so far."""
        from ._stats import Profile

        return Profile(self.stats())

    def proposals(self) -> list[Proposal]:
        """Mappings that seem to be missing, the best first: judged by the answers of this index, so far, that found a
        path by its end or its file name (the first 500 of them). ``plexindex doctor`` does that for a folder of files.
        """
        import json

        from ._facts import Proposal

        found = self._do(self._native.proposals_json, library=self, reserve=4096)
        return [Proposal.from_json(entry) for entry in json.loads(found)]

    def server(self, *, deadline: float | None = None, progress: ProgressArg = None) -> ServerInfo:
        """Asks the server who it is and which libraries it shows, whatever is known: for finding out what is wrong.

        Two requests, three at the first contact; what they tell is stored. The first needs no token, so an
        UnauthorizedError says that the server was reached.
        """
        _, text = self._query(self._native.server_json, None, b"", deadline, 0, progress)
        _log.drain(self._native)
        import json

        from ._facts import ServerInfo

        return ServerInfo.from_json(json.loads(text))

    def store(self) -> StoreInfo:
        """What kind of place the store is in: its file system, its size, and whether locks work there (tried now)."""
        import json

        from ._facts import StoreInfo

        return StoreInfo.from_json(json.loads(self._do(self._native.store_json, library=self, reserve=4096)))

    def __enter__(self) -> Index:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<plexindex.Index {self._cache_dir!r} {'open' if self._open else 'closed'}>"

    def _lookup_keys(self, library: Library, paths: Iterable[PathArg]) -> list[str | None]:
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
