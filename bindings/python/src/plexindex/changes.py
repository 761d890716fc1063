"""The feed of changes since a cursor, and functions that wait for more changes."""

from __future__ import annotations

from ._core import constants as c
from ._core import convert as _convert
from .errors import (
    ConnectError,
    ForbiddenError,
    InvalidArgumentError,
    NotFetchedError,
    OfflineError,
    ServerError,
    StoreError,
    TimeoutError,
    UnauthorizedError,
)
from .item import Item
from .library import Chosen

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from ._core.callbacks import ProgressArg
    from ._core.types import ChangeKind, PathArg
    from .library import LibraryInfo
    from .match import Match

    # The index imports this module, so this module cannot import the class.
    Index = Any
    LibraryArg = Any

# Maximum number of items in a page.
_PAGE = 1_000
# Seconds to wait before the next request if the server did not answer.
_PAUSE = 30.0
# Minimum number of seconds between two requests because of expired listings.
_BETWEEN = 1.0
# Maximum number of seconds between two lookups of a file that a caller waits for.
_LOOK = 0.25
_FOREVER = float("inf")


class Change:
    """A change to an item's file, or to a library. :meth:`Index.changes` yields these objects."""

    __slots__ = ("change", "from_key", "from_path", "item", "library", "path", "section")

    change: ChangeKind
    """``"added"``, ``"removed"``, ``"changed"``, ``"moved"`` or ``"list_again"``. ``"list_again"`` means that the
    library changed too much or was removed: list the library again with ``changes(library=…, full=True)``.
    """
    item: Item | None
    """The item after the change, or a removed item before the change. None with ``"list_again"``."""
    path: str | None
    """The file's path on the server. Each of an item's files is a separate change. None if there is no file."""
    from_path: str | None
    """The previous path of a moved file. With ``"changed"``, a different file that no longer belongs to the item."""
    from_key: str | None
    """The item's previous rating key, if the key has changed."""
    library: str
    """Title of the library."""
    section: str
    """Section id of the library."""

    def __init__(self, index: Index | None, entry: dict[str, Any]) -> None:
        self.change, self.library, self.section = entry["change"], entry["library"], entry["section"]
        self.path, self.from_path, self.from_key = entry.get("path"), entry.get("from"), entry.get("from_key")
        item = entry.get("item")
        self.item = None if item is None else Item(item, index)

    def to_dict(self) -> dict[str, object]:
        """Returns all fields by name, as JSON values."""
        return {
            "change": self.change,
            "item": None if self.item is None else self.item.to_dict(),
            "path": self.path,
            "from": self.from_path,
            "from_key": self.from_key,
            "library": self.library,
            "section": self.section,
        }

    def __eq__(self, other: object) -> bool:
        return self.to_dict() == other.to_dict() if isinstance(other, Change) else NotImplemented

    def __hash__(self) -> int:
        return hash((self.change, self.section, self.path, self.from_path))

    def __repr__(self) -> str:
        what = f"library {self.library!r}" if self.item is None else f"{self.item.key} {self.item.describe()!r}"
        return f"<plexindex.Change {self.change} {what}>"


class Changes:
    """The changes since a cursor: an iterator of :class:`Change`, oldest first. :meth:`Index.changes` returns this
    object.

    plexindex reads a page at a time while you iterate. Store :attr:`cursor` after you have handled the changes: a
    reader that resumes at the cursor misses no change, and sees at most the last page again.
    """

    def __init__(
        self,
        index: Index,
        since: str | None,
        library: LibraryArg,
        full: bool,
    ) -> None:
        if since == "":
            raise InvalidArgumentError("since is empty: give a cursor, or None to start from now")
        self._index, self._library, self._full = index, library, full
        self.cursor: str | None = since
        """The position after the last page that you have read completely, from which to resume. In a full listing, None
        until you have read the first page completely; with None, a full listing starts again.
        """
        self.stale = False
        """Whether changes may be missing, because the server did not answer, or not within the deadline."""
        self.late = False
        """Whether the deadline passed before plexindex had received the server's whole answer."""
        self.refused = False
        """Whether the server rejected the token, or the token's user has no permission."""
        self.age: float | None = None
        """Seconds between the last check that the listing was current and this call. With several libraries, the
        maximum. None if nothing was fetched yet."""
        self._next: str | None = None
        self._more = True
        self._page: Iterator[dict[str, Any]] = iter(())
        # Read the first page now, because without a cursor the feed starts now, and an invalid cursor must raise an
        # error here.
        self._read()
        self.age = oldest(asked_of(index, library))

    def _set_outcome(self, missed: str | None) -> None:
        """Stores the result of :func:`bring_up_to_date`."""
        self.stale, self.late, self.refused = missed is not None, missed == "late", missed == "refused"

    def _read(self) -> None:
        cursor = None if self.cursor is None else _convert.text_bytes("cursor", self.cursor)
        asked = {"library": self._library, "cursor": cursor, "full": self._full and cursor is None, "limit": _PAGE}
        _, page = self._index._request("changes.list", **asked)
        self._next, self._page, self._more = page["cursor"], iter(page["changes"]), page["more"]
        if not page["changes"]:
            self._end_page()

    def _end_page(self) -> None:
        """Moves the cursor to the end of the current page."""
        if self._next is not None:
            self.cursor, self._next = self._next, None

    def __iter__(self) -> Changes:
        return self

    def __next__(self) -> Change:
        while True:
            entry = next(self._page, None)
            if entry is not None:
                return Change(self._index, entry)
            self._end_page()
            if not self._more:
                raise StopIteration
            self._read()

    def __repr__(self) -> str:
        return f"<plexindex.Changes up to {self.cursor!r}>"


def asked_of(index: Index, library: LibraryArg) -> list[LibraryInfo]:
    """Returns the selected libraries that the store contains."""
    known: list[LibraryInfo] = index.libraries(offline=True)
    asked = library if isinstance(library, Chosen) else index.library(library)
    return [one for one in known if is_chosen(one, asked)]


def is_chosen(library: LibraryInfo, asked: Any) -> bool:
    """Returns whether a library is one of the selected libraries."""
    names = {str(name) for name in asked._chosen_by.values() if name is not None}
    if not names:
        return True
    own = {library.uuid, library.section, library.title}
    return bool(own & names) or library.title.casefold() in {name.casefold() for name in names}


def oldest(libraries: list[LibraryInfo]) -> float | None:
    """Returns the maximum age of the libraries' listings."""
    return max((one.age for one in libraries if one.age is not None), default=None)


def bring_up_to_date(
    index: Index,
    library: LibraryArg,
    deadline: float | None,
    progress: ProgressArg,
    *,
    always: bool = False,
    whole: bool = False,
    waits: bool = False,
) -> str | None:
    """Asks the server for changes if a listing has expired or ``always`` is true.

    Returns None if the listings are current, ``"late"`` if the deadline passed, ``"refused"`` if the server rejected
    the token, and ``"away"`` if the server did not answer or plexindex could not store the answer. If no old listing
    can answer, the call raises the error instead of returning ``"refused"`` or ``"away"``. At least one of the selected
    libraries must have an old listing; with ``whole``, every selected library; with ``waits``, any of the server's
    libraries, because another process can fetch the selected libraries later.
    """
    known = asked_of(index, library)
    fresh = bool(known) and all(one.fresh for one in known)
    if fresh and not always:
        return None
    flags = c.QUERY_PROBE if always else 0
    try:
        refresh = index._native.refresh
        status, _ = index._query(refresh, library, b"", deadline, flags, progress, buffer=False)
    except (ServerError, StoreError) as error:
        if not is_listed(index.libraries(offline=True) if waits else known, whole=whole):
            raise
        return why_older(error, fresh=fresh)
    return None if status == c.OK else "late"


def is_listed(libraries: list[LibraryInfo], *, whole: bool) -> bool:
    """Returns whether at least one of ``libraries`` was ever fetched or, with ``whole``, whether all of them were."""
    has_listing = [one.age is not None for one in libraries]
    return any(has_listing) and (all(has_listing) or not whole)


def why_older(error: Exception, *, fresh: bool) -> str | None:
    """Returns why plexindex answers from older listings after a refresh failed with this error: ``"refused"`` or
    ``"away"``.

    Returns None if the listings are ``fresh`` and the index must not ask a server.
    """
    if fresh and isinstance(error, OfflineError):
        return None
    return "refused" if isinstance(error, (UnauthorizedError, ForbiddenError)) else "away"


def expect_listed(index: Index, library: LibraryArg, *, late: bool, whole: bool) -> None:
    """Raises an error if none of the selected libraries was ever fetched or, with ``whole``, if any library was not.

    Without this error, an incomplete list would look complete. ``late``: whether the deadline passed.
    """
    known = asked_of(index, library)
    if is_listed(known, whole=whole):
        return
    missing = [one.title for one in known if one.age is None]
    names = "', '".join(missing)
    were = "were" if len(missing) > 1 else "was"
    if late and not known:
        raise TimeoutError("the deadline passed before the server listed its libraries: use a longer deadline")
    if late:
        raise TimeoutError(f"the deadline passed before '{names}' {were} fetched: retry to resume")
    if known:
        raise NotFetchedError(f"'{names}' {were} never fetched: fetch each library once (refresh)")


def wait_for(
    index: Index, path: PathArg, library: LibraryArg, timeout: float | None, every: float, progress: ProgressArg
) -> Match:
    """See :meth:`plexindex.Index.wait_for`."""
    from time import monotonic, sleep

    ms = _convert.milliseconds
    until = monotonic() + ms("timeout", timeout, none=_convert.FOREVER_MS) / 1000
    pause = ms("every", every, none=None, zero=None) / 1000
    check = monotonic() + pause
    while True:
        checks = monotonic() >= check
        if checks:
            check = monotonic() + pause
        left = max(until - monotonic(), 0)
        try:
            match: Match = index.match(path, library, deadline=left, check=checks, progress=progress)
        except ConnectError:
            # The store is empty, and the server is unreachable, but the server may return in time.
            if monotonic() + pause >= until:
                raise
            sleep(pause)
            continue
        if match.confidence == "high" or monotonic() >= until:
            return match
        # An event ends the path's pause, so that the next match asks the server. Other matches send no request.
        cursor = Changes(index, None, library, False).cursor
        left = max(min(check, until, monotonic() + _LOOK) - monotonic(), 0.001)
        index._request("changes.wait", left, progress, library=library, cursor=cursor)
        if monotonic() >= until:
            return match


def watch(
    index: Index, since: str | None, library: LibraryArg, timeout: float | None, offline: bool, progress: ProgressArg
) -> Iterator[Changes]:
    """See :meth:`plexindex.Index.watch_pages`."""
    import time

    until = None if timeout is None else time.monotonic() + timeout
    # Send no request before this time. The loop still notices changes that other processes detect.
    silent_until = 0.0
    missed = None if offline else bring_up_to_date(index, library, None, progress, waits=True)
    if missed:
        silent_until = time.monotonic() + _PAUSE
    found = Changes(index, since, library, False)
    while True:
        found._set_outcome(missed)
        yield found
        cursor = found.cursor
        if found._next is not None:
            time.sleep(_BETWEEN)  # the caller did not read all changes, so the loop yields the changes again
        now = time.monotonic()
        if until is not None and now >= until:
            return
        silent = offline or now < silent_until
        ends = [_FOREVER if until is None else until, silent_until if silent and not offline else _FOREVER]
        asked = {"library": library, "cursor": cursor or "", "offline": silent}
        status, _ = index._request("changes.wait", max(min(ends) - now, 0.001), progress, **asked)
        if status == c.OK and not silent:
            # This call sends a request only if a listing has expired or an event has invalidated an item.
            missed = bring_up_to_date(index, library, None, progress, always=True, waits=True)
            silent_until = time.monotonic() + (_PAUSE if missed else _BETWEEN)
        found = Changes(index, cursor, library, False)
