"""One library in an index, or all libraries. The methods of :class:`plexindex.Index` that take a library end here."""

from __future__ import annotations

import plexindex

from ._core import TYPE_CHECKING, convert, importing, log
from ._core import abi as c
from ._core.convert import FIRST, two_numbers
from ._core.lookups import Lookups

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from typing import Any, Literal, TypeVar

    from typing_extensions import Unpack

    from ._core.lookups import Handle
    from ._core.types import Asking, FieldArg, KeyArg, Listing, PathArg, SizeArg, Waiting
    from .changes import Changes, Watch
    from .edits import EditReport
    from .index import Index
    from .item import Item
    from .match import FolderMatch, Match, Matches
    from .progress import ProgressArg
    from .shows import Season, Show

    AnyMatch = TypeVar("AnyMatch", bound=Match)

# Estimated size of an answer without the path, in bytes. A buffer that is too small costs a second call.
_BYTES_PER_ANSWER = 400


class Library(Lookups):
    """One library in an index, or all libraries. :meth:`Index.library` and :meth:`Index.libraries` return this object,
    which any thread can use.

    The object keeps its index open. Iterate over it for its items. You can pickle a library. A process that unpickles
    the library opens the same folder with the same options. The pickle contains no token, so the process reads the
    token from its own configuration (:func:`plexindex.open`).

    The facts, from :attr:`title` to :attr:`generation`, come from the store and send no request. An object from
    :meth:`Index.libraries` has the facts of that call; any other object reads them at each use.
    """

    __slots__ = ("__weakref__", "_facts", "_index")

    def __init__(self, index: Index, handle: Handle, facts: dict[str, Any] | None = None) -> None:
        super().__init__(index._session, handle)
        self._index, self._facts = index, facts

    @property
    def index(self) -> Index:
        """The library's index."""
        return self._index

    @property
    def title(self) -> str:
        """Title. Two libraries can have the same title. This fact and the next three are empty for all libraries, and
        if the store does not contain the library.
        """
        return self._fact("title") or ""

    @property
    def section(self) -> str:
        """Section id, such as ``"1"``."""
        return self._fact("section") or ""

    @property
    def uuid(self) -> str:
        """The library's uuid."""
        return self._fact("uuid") or ""

    @property
    def kind(self) -> str:
        """Library type: ``"movie"``, ``"show"``, ``"artist"`` or ``"photo"``."""
        return self._fact("kind") or ""

    @property
    def locations(self) -> tuple[str, ...]:
        """The library's folders, as paths on the server."""
        return tuple(folder for facts in self._known() for folder in facts["locations"])

    @property
    def item_count(self) -> int:
        """Number of listed items. 0 if the library was never fetched."""
        return sum(facts.get("items", 0) for facts in self._known())

    @property
    def age(self) -> float | None:
        """Seconds since the listing was last known to be current. None if the library was never fetched completely. For
        all libraries, the maximum.
        """
        return oldest(self._known())

    @property
    def fresh(self) -> bool:
        """Whether the listing is current, so that answers from it are not stale."""
        known = self._known()
        return bool(known) and all(facts["fresh"] for facts in known)

    @property
    def generation(self) -> int:
        """The listing's number, which changes only when the content changes. 0 if the library was never fetched."""
        return self._fact("generation") or 0

    def _fact(self, name: str) -> Any:
        known = self._known() if self._handle.named is not None else []
        return known[0].get(name) if known else None

    def _known(self) -> list[dict[str, Any]]:
        """Returns the facts for the properties."""
        return self._current() if self._facts is None else [self._facts]

    def _current(self) -> list[dict[str, Any]]:
        """Returns the facts about the selected libraries that the store contains now."""
        try:
            return self._request("libraries.list", offline=True)["libraries"]  # type: ignore[no-any-return]
        except (plexindex.LibraryNotFoundError, plexindex.NotFetchedError, plexindex.OfflineError):
            return []

    def match(self, path: PathArg, *, size: SizeArg = None, **options: Unpack[Asking]) -> Match:
        """Returns the item for a file: :meth:`Index.match` in this library."""
        log.follow_level()
        if options:
            convert.check_call(options, "offline", "check")
        raw = convert.path_bytes(path, self._session.hides_paths)
        return self._match_in(self._block(self._session.native.match_path, raw, options, size), path)

    def _match_in(self, block: bytes | bytearray, path: PathArg) -> Match:
        first, log_lines = two_numbers(block, FIRST)
        if log_lines:
            self._session.drain_log()
        return plexindex.Match(block, first, self._index, path)

    def match_paths(
        self, paths: Iterable[PathArg], *, size: Literal[False] | None = None, **options: Unpack[Asking]
    ) -> Matches:
        """Returns the items for files: :meth:`Index.match_paths` in this library."""
        return self._match_paths(paths, 0, size, options)

    def _match_paths(
        self, paths: Iterable[PathArg], flags: int, size: Literal[False] | None, options: Asking
    ) -> Matches:
        """As :meth:`match_paths`, with more flags of the query."""
        convert.check_call(options, "offline", "check")
        if size is not None and size is not False:
            raise TypeError("size must be None or False: the files of a batch have no common size")
        paths = convert.path_list(paths)
        hides_paths = self._session.hides_paths
        text = convert.join_paths(paths, hides_paths)
        reserve = 4096 + len(text) + len(paths) * _BYTES_PER_ANSWER
        try:
            block = self._block(
                self._session.native.match_paths, text, options, size, flags, count=len(paths), reserve=reserve
            )
            return plexindex.Matches(block, self._index, paths)
        except plexindex.InvalidArgumentError:
            convert.check_paths(paths, hides_paths)
            raise

    def _block(
        self, function: Any, text: bytes, options: Asking, size: SizeArg, flags: int = 0, **memory: Any
    ) -> bytes | bytearray:
        size_flag, file_size = convert.file_size(size)
        flags |= size_flag | (c.QUERY_OFFLINE if options.get("offline") else 0)
        flags |= c.QUERY_PROBE if options.get("check") else 0
        limits: Waiting = {"timeout": options.get("timeout"), "progress": options.get("progress")}
        query = self._session.query
        return query(function, self._handle, text, flags=flags, file_size=file_size, **limits, **memory)[1]

    def folder(self, path: PathArg, **options: Unpack[Asking]) -> FolderMatch:
        """Returns the show, season, artist, album or item for a folder: :meth:`Index.folder` in this library."""
        raw = convert.path_bytes(path, self._session.hides_paths, "folder")
        return self._answer(plexindex.FolderMatch, path, "match.folder", options, path=raw)

    def match_guid(self, guid: str, **options: Unpack[Asking]) -> Match:
        """Returns the item with a GUID: :meth:`Index.match_guid` in this library."""
        name = convert.only_text("guid", guid).decode()
        return self._answer(plexindex.Match, guid, "match.guid", options, guid=name)

    def search_title(self, title: str, **options: Unpack[Asking]) -> Match:
        """Returns the items with a title: :meth:`Index.search_title` in this library."""
        name = convert.only_text("title", title).decode()
        return self._answer(plexindex.Match, title, "match.title", options, title=name)

    def _answer(
        self, kind: type[AnyMatch], question: PathArg, method: str, options: Asking, **request: str | bytes
    ) -> AnyMatch:
        """Returns the answer of a method."""
        convert.check_call(options, "offline", "check")
        return kind(b"", 0, self._index, question, self._request(method, **options, **request))

    def items(self, *, trashed: bool = False, **options: Unpack[Listing]) -> Iterator[Item]:
        """Yields this library's items from the store: :meth:`Index.items`."""
        if self._handle.named is None:
            raise plexindex.InvalidArgumentError("a call can list items in only one library: name a library")
        trash = {"trashed": True, "offline": options.get("offline")} if convert.flag("trashed", trashed) else {}
        return self._pages("items.list", options, trash)

    def items_below(self, path: PathArg, **options: Unpack[Listing]) -> Iterator[Item]:
        """Yields the items with files below a folder: :meth:`Index.items_below` in this library."""
        raw = convert.path_bytes(path, self._session.hides_paths, "folder")
        return self._pages("items.below", options, {"path": raw})

    def _pages(self, method: str, options: Listing, request: dict[str, Any]) -> Iterator[Item]:
        """Returns the items from all pages of a list. Fetches a library that was never fetched."""
        convert.check_call(options, "offline")
        waiting: Waiting = {"timeout": options.get("timeout"), "progress": options.get("progress")}

        def pages() -> Iterator[Item]:
            try:
                page = self._request(method, **waiting, **request)
            except plexindex.NotFetchedError:
                if options.get("offline"):
                    raise
                self.refresh(**waiting)
                try:
                    page = self._request(method, **waiting, **request)
                except plexindex.NotFetchedError:
                    raise plexindex.TimeoutError(
                        "the timeout passed before the library was fetched: retry to resume"
                    ) from None
            while True:
                for facts in page["items"]:
                    # The garbage collector visits all lists again and again, but not tuples of strings.
                    for name in ("guids", "paths"):
                        if name in facts:
                            facts[name] = tuple(facts[name])
                    yield plexindex.Item(facts, self._index)
                if "cursor" not in page:
                    return
                page = self._request(method, **waiting, **request, cursor=page["cursor"])

        return pages()

    def shows(self) -> list[Show]:
        """Returns this library's shows or artists: :meth:`Index.shows`."""
        names = ("rating_key", "title", "guid", "items")
        return [plexindex.Show(*map(one.get, names)) for one in self._request("shows.list")["shows"]]

    def seasons(self) -> list[Season]:
        """Returns this library's seasons or albums: :meth:`Index.seasons`."""
        names = ("rating_key", "show_rating_key", "number", "title", "guid", "items")
        return [plexindex.Season(*map(one.get, names)) for one in self._request("shows.list")["seasons"]]

    def item_facts(self, key: KeyArg) -> dict[str, Any] | None:
        """Returns all stored fields of an item: :meth:`Index.item_facts` in this library."""
        return self._request("items.get", key=convert.key_bytes(key)).get("item")  # type: ignore[no-any-return]

    def _listed_facts(self, key: KeyArg) -> dict[str, Any] | None:
        """As :meth:`item_facts`, but returns None if the library has no listing, or vanished."""
        try:
            return self.item_facts(key)
        except (plexindex.LibraryNotFoundError, plexindex.NotFetchedError):
            return None

    def record_match(self, path: PathArg, key: KeyArg, *, timeout: float | None = None, through: bool = False) -> None:
        """Records that a path belongs to an item: :meth:`Index.record_match` in this library."""
        if convert.flag("through", through):
            self.record_matches([(path, key)], timeout=timeout, through=through)
            return
        session, raw, text = self._session, convert.path_bytes(path, self._session.hides_paths), convert.key_bytes(key)
        given = raw, len(raw), text, len(text), convert.timeout_ms(timeout)
        session.ask(session.native.record_match, *given, target=self._handle)

    def record_matches(
        self, pairs: Iterable[tuple[PathArg, KeyArg]], *, timeout: float | None = None, through: bool = False
    ) -> None:
        """Records many pairs of a path and a key: :meth:`Index.record_matches` in this library."""
        timeout_ms = convert.timeout_ms(timeout)
        convert.flag("through", through)
        try:
            pairs = list(pairs)
            if any(issubclass(kind, (str, bytes)) for kind in set(map(type, pairs))):
                raise ValueError("a string is not a pair")
            pairs = [(path, key) for path, key in pairs]
        except (TypeError, ValueError) as error:
            raise TypeError(f"each of the pairs must be a path and a key: {error}") from error
        given = [path for path, _ in pairs]
        paths = convert.join_paths(given, self._session.hides_paths)
        if paths.count(b"\0") != len(given):
            convert.check_paths(given, self._session.hides_paths)
        keys = convert.join_keys([key for _, key in pairs])
        texts = paths, len(paths), keys, len(keys), len(pairs), c.RECORD_THROUGH if through else 0, timeout_ms
        self._session.ask(self._session.native.record_matches, *texts, target=self._handle)

    def invalidate_path(self, path: PathArg) -> None:
        """Invalidates a path: :meth:`Index.invalidate_path` in this library."""
        raw = convert.path_bytes(path, self._session.hides_paths)
        self._session.ask(self._session.native.invalidate_path, raw, len(raw), target=self._handle)

    def invalidate_item(self, key: KeyArg) -> None:
        """Invalidates an item: :meth:`Index.invalidate_item` in this library."""
        raw = convert.key_bytes(key)
        self._session.ask(self._session.native.invalidate_item, raw, len(raw), target=self._handle)

    def invalidate(self) -> None:
        """Invalidates this library: :meth:`Index.invalidate_library`."""
        self._session.ask(self._session.native.invalidate_library, target=self._handle)

    def refresh(self, full: bool = False, *, check: bool = False, **options: Unpack[Waiting]) -> bool:
        """Refreshes this library: :meth:`Index.refresh`."""
        convert.check_call(options)
        flags = c.QUERY_FULL if convert.flag("full", full) else 0
        flags |= c.QUERY_PROBE if convert.flag("check", check) else 0
        query, refresh = self._session.query, self._session.native.refresh
        status, _ = query(refresh, self._handle, flags=flags, fills=False, **options)
        return status == c.OK

    def changes(self, since: str | None = None, *, full: bool = False, **options: Unpack[Asking]) -> Changes:
        """Returns the changes since a cursor: :meth:`Index.changes` in this library."""
        with importing:
            from . import changes

        return changes.read(self, since, full, options)

    def watch(self, since: str | None = None, **options: Unpack[Listing]) -> Watch:
        """Waits for changes: :meth:`Index.watch` in this library."""
        with importing:
            from .changes import Watch

        return Watch(self, since, **options)

    def wait_for(
        self,
        path: PathArg,
        *,
        timeout: float | None,
        every: float = 1.5,
        progress: ProgressArg = None,
        size: SizeArg = None,
    ) -> Match:
        """Waits until Plex lists a file: :meth:`Index.wait_for` in this library."""
        with importing:
            from . import changes

        return changes.wait_for(self, path, timeout, every, progress, size)

    def edit_items(
        self,
        keys: Iterable[KeyArg],
        fields: Mapping[str, FieldArg] | None = None,
        *,
        remove: Mapping[str, str | Iterable[str]] | None = None,
        locked: bool | None = True,
        timeout: float | None = None,
    ) -> EditReport:
        """Sets the same values for items: :meth:`Index.edit_items` in this library."""
        with importing:
            from .edits import edit

        return edit(self, keys, fields, remove, locked, timeout)

    def _request(
        self, method: str, /, *, timeout: float | None = None, progress: ProgressArg = None, **request: Any
    ) -> Any:
        return self._session.request(method, timeout, progress, library=self._handle, **request)

    def __iter__(self) -> Iterator[Item]:
        return self.items()

    __contains__ = None  # otherwise `in` would compare all items with a path

    def __reduce__(self) -> tuple[Any, ...]:
        return _select_again, (self._index, self._handle.named)

    def __repr__(self) -> str:
        named = self._handle.named
        if self._facts is not None:
            shown = repr(self._facts["title"])
        elif isinstance(named, dict):
            shown = ", ".join(f"{name}={value!r}" for name, value in named.items())
        else:
            shown = "(all)" if named is None else repr(named)
        closed = "" if self._session.is_open else " (closed)"
        return f"<plexindex.Library {shown}{closed}>"


def _select_again(index: Index, named: Any) -> Library:
    return index.library(**named) if isinstance(named, dict) else index.library(named)


def oldest(known: list[dict[str, Any]]) -> float | None:
    """Returns the maximum age of libraries' listings in seconds, by their facts."""
    ages: list[int] = [facts["age_ms"] for facts in known if "age_ms" in facts]
    return max(ages) / 1000 if ages else None
