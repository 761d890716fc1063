"""The feed of changes since a cursor, and functions that wait for more changes."""

from __future__ import annotations

import os
from time import monotonic, sleep

import plexindex

from . import errors
from ._core import TYPE_CHECKING, Any, Iterator, Record, convert, ref, start_new_thread
from ._core.callbacks import BETWEEN_DRAINS, FOREVER, is_ending
from ._core.convert import text_of
from ._core.selection import Selection, check_limits, oldest, query_flags
from ._core.session import ForkLock
from .errors import Error
from .item import Item

if TYPE_CHECKING:
    from ._core.selection import Limits
    from ._core.session import Session
    from .types import ProgressArg

__all__ = ["Change", "Changes", "FeedFacts", "Watch"]

# Maximum number of items in a page.
_PAGE = 1_000
# Seconds to wait before the next request if the server did not answer.
_PAUSE = 30.0
# Minimum number of seconds between two requests because of expired listings.
BETWEEN = 1.0
# The errors of a refresh after which an older listing can answer.
REFRESH_ERRORS = (
    *(errors.ServerUnavailableError, errors.UnauthorizedError, errors.OfflineError),
    *(errors.NotPlexError, errors.NotOnServerError, errors.StoreError),
)


class LateError(errors.TimeoutError):
    """The timeout passed before the server's whole answer arrived. Results contain this error; no call raises it."""


def _check_since(since: str | None) -> None:
    if since is not None and not convert.only_text("cursor (since)", since):
        raise convert.invalid("since", "since is empty: give a cursor, or None to start from now")


class Change(Record):
    """A change to an item's file, or to a library. :meth:`Queries.changes` yields these objects."""

    kind: plexindex.types.ChangeKind
    """``"added"``, ``"removed"``, ``"changed"``, ``"moved"`` or ``"list_again"``. ``"list_again"`` means that the
    library changed too much or was removed: list the library again with ``changes(full=True)``.
    """
    item: Item | None
    """The item as it is now, or a removed item as it was. None with ``"list_again"``."""
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

    def to_dict(self) -> dict[str, object]:
        """Returns all fields by their names in JSON: ``change`` is the :attr:`kind`, ``from`` the :attr:`from_path`.

        >>> [change.to_dict()["path"] for change in movies.changes(full=True)]
        ['/films/Sintel (2010).mkv', '/films/Big Buck Bunny (2008).mkv']
        """
        names = {"kind": "change", "from_path": "from"}
        fields = {names.get(name, name): value for name, value in vars(self).items()}
        return {**fields, "item": None if self.item is None else self.item.to_dict()}

    def __repr__(self) -> str:
        what = f"library {self.library!r}" if self.item is None else f"{self.item.key} {self.item.describe()!r}"
        return f"<plexindex.Change {self.kind} {what}>"


class Feed:
    """Reads the changes since a cursor, a page at a time."""

    def __init__(self, selection: Selection, since: str | None, *, full: bool = False) -> None:
        _check_since(since)
        self.selection: Selection = selection
        self.cursor: str | None = since
        """The end of the last page that was read completely."""
        self.page: dict[str, Any] = {"cursor": since, "more": True}
        """The page that is being read."""
        self._full, self._lock = full, ForkLock()
        # Read the first page now, because without a cursor the feed starts now, and an invalid cursor must raise an
        # error here.
        self.turn(self.page)

    def turn(self, read: dict[str, Any]) -> bool:
        """Moves the cursor to the end of the page that was ``read``, and reads the next page. Returns whether there is
        one. A step that was cancelled still turns the page, and another thread may have: then this does nothing.
        """
        with self._lock():
            if self.page is not read:
                return True
            self.cursor = read["cursor"]
            if not read["more"]:
                return False
            full = self._full and self.cursor is None
            page = self.selection.request("changes.list", cursor=self.cursor, full=full, limit=_PAGE)
            if not page["changes"]:
                self.cursor = page["cursor"]
            # In this order: who sees the new page sees its entries.
            self._entries: Iterator[dict[str, Any]] = iter(page["changes"])
            self.page = page
            return True

    def next(self) -> Change | None:
        """Returns the next change of the page; None at its end."""
        entry = next(self._entries, None)
        if entry is None:
            return None
        item = Item(entry["item"], self.selection) if "item" in entry else None
        path, old, key = text_of(entry.get("path")), text_of(entry.get("from")), entry.get("from_key")
        return Change(entry["change"], item, path, old, key, entry["library"], entry["section"])


class FeedFacts:
    """The facts of :class:`Changes`, and of :class:`plexindex.aio.AsyncChanges`."""

    _feed: Feed
    error: Error | None
    """Why changes may be missing: the server did not answer, or not within the timeout. None if none is missing."""
    stale: bool
    """Whether changes may be missing."""
    age: float | None
    """Seconds between the last check that the listing was current and this call. With several libraries, the maximum.
    None if nothing was fetched yet.
    """

    @property
    def cursor(self) -> str | None:
        """The position after the last page that you have read completely, from which to resume. In a full listing, None
        until you have read the first page completely; with None, a full listing starts again.
        """
        return self._feed.cursor


class Changes(FeedFacts):
    """The changes since a cursor: an iterator of :class:`Change`, oldest first. :meth:`Queries.changes` returns this
    object.

    plexindex reads a page at a time while you iterate. Store :attr:`cursor` after you have handled the changes: a
    reader that resumes there misses no change, and sees at most the last page again.
    """

    def __init__(self, feed: Feed, missed: Error | None = None) -> None:
        """``missed`` is the result of :func:`bring_up_to_date`."""
        self._feed = feed
        self.error: Error | None = missed
        self.stale: bool = missed is not None
        self.age: float | None = oldest(feed.selection.facts())

    def __iter__(self) -> Changes:
        return self

    def __next__(self) -> Change:
        while True:
            page = self._feed.page
            if (change := self._feed.next()) is not None:
                return change
            if not self._feed.turn(page):
                raise StopIteration

    def __repr__(self) -> str:
        return f"<plexindex.Changes up to {self.cursor!r}>"


class Watch:
    """Waits for changes: an iterator of :class:`Changes`, each with its cursor. :meth:`Queries.watch` returns this
    object. While you iterate, plexindex also listens to the server's events, unless ``offline``. Within a ``with``
    block, plexindex listens until the block ends, and after :meth:`start` as long as you keep the object.
    """

    def __init__(self, selection: Selection, since: str | None, offline: bool, limits: Limits) -> None:
        _check_since(since)
        check_limits(*limits)
        self._selection, self._since = selection, since
        self._offline, self._limits = convert.flag("offline", offline), limits

    def start(self) -> None:
        """Listens to the server's events on a background thread, until :meth:`stop` or :meth:`Index.close`.

        After an event, the next lookup of a changed item asks the server. Listening itself sends no requests. After a
        failure, the thread keeps trying to reconnect, and logs whether the server is reachable. A second call changes
        nothing. A forked child must call this method again. Raises OfflineError if the index has no server.

        >>> watch = index.watch()
        >>> watch.start()
        >>> watch.stop()
        """
        _listen(self._selection.session, self)

    def stop(self) -> None:
        """Stops listening within a second. If this watch does not listen, does nothing.

        >>> with index.watch() as watch:  # leaving the block stops it, too
        ...     watch.stop()
        """
        _end_listening(self._selection.session, self)

    def __enter__(self) -> Watch:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def __repr__(self) -> str:
        return f"<plexindex.Watch of {self._selection.handle.named or 'all libraries'} since {self._since!r}>"

    def __iter__(self) -> Iterator[Changes]:
        pages, is_due = Pages(self), True
        try:
            while not pages.is_over:
                if is_due and pages.may_ask:
                    pages.ask(pages.left)
                page = pages.turn()
                if page is not None:
                    yield page
                    sleep(pages.pause)
                is_due = pages.wait()
        except errors.ClosedError:
            if not is_ending():  # otherwise a daemon thread would print a traceback at exit
                raise
        finally:
            pages.end()


class Pages:
    """The pages of a watch while its caller iterates over it. The caller waits between two :meth:`turn`."""

    def __init__(self, watch: Watch) -> None:
        self._selection, self._since = watch._selection, watch._since
        self.offline: bool = watch._offline
        """Whether the watch sends no request."""
        self._timeout: float | None = watch._limits[0]
        self.progress: ProgressArg = watch._limits[1]
        self._until = FOREVER if self._timeout is None else monotonic() + self._timeout
        # Send no request before this time. The watch still notices changes that other processes detect.
        self._silent_until = FOREVER if self.offline else 0.0
        self._feed: Feed | None = None
        self._missed: Error | None = None
        self._told: Error | None = None
        self.is_over: bool = False
        """Whether there is no further page."""

    @property
    def pause(self) -> float:
        """Seconds to wait before the next turn if the caller did not read all of the last page, which comes again."""
        feed = self._feed
        is_unread = feed is not None and feed.cursor != feed.page["cursor"]
        return min(BETWEEN, max(self._until - monotonic(), 0.0)) if is_unread else 0.0

    @property
    def at(self) -> float:
        """The time of the next turn, even without a change."""
        return min(self._until, self._silent_until) if monotonic() < self._silent_until else self._until

    def wait(self) -> bool:
        """Waits until the next turn. Returns whether a listing has expired, or an event or a change has arrived."""
        at, now = self.at, monotonic()
        if self._feed is None or now >= at:
            return False
        given = {"cursor": self._feed.cursor or "", "offline": now < self._silent_until}
        return self._selection.request("changes.wait", at - now, self.progress, **given)["ready"]  # type: ignore[no-any-return]

    @property
    def may_ask(self) -> bool:
        """Whether the watch may ask the server now."""
        return monotonic() >= self._silent_until

    @property
    def left(self) -> float | None:
        """Seconds until the watch ends. None without a timeout."""
        return None if self._timeout is None else max(0.0, self._until - monotonic())

    def ask(self, timeout: float | None) -> None:
        """Asks the server, if a listing has expired or, after the first page, an event has invalidated an item."""
        try:
            if self._feed is None and not self.offline:
                _listen(self._selection.session, self)
        except Error as error:
            # Without a server, only other processes and Plex's database bring changes.
            if error.status_name not in ("offline", "unsupported"):
                raise
        limits, doubts = (timeout, self.progress), self._feed is not None
        self._missed = bring_up_to_date(self._selection, limits, doubts=doubts, waits=True)
        has_failed = self._missed is not None and not isinstance(self._missed, LateError)
        self._silent_until = monotonic() + (_PAUSE if has_failed else BETWEEN if doubts else 0)

    def turn(self) -> Changes | None:
        """Reads the next page. Returns it if it is the first or last, has changes, or says for the first time why
        changes may be missing. Before, the caller asks if it :attr:`may_ask`, and first or after :meth:`wait`.
        """
        last, before = self._feed, self._told
        self._feed = Feed(self._selection, self._since if last is None else last.cursor)
        page, self._told = Changes(self._feed, self._missed), self._missed
        has_news = last is None or bool(self._feed.page["changes"]) or self._missed is not before
        self.is_over = monotonic() >= self._until
        return page if has_news or self.is_over else None

    def end(self) -> None:
        """Ends what the watch has begun."""
        _end_listening(self._selection.session, self)


def _listen(session: Session, watch: object) -> None:
    """Listens to the server's events, until the last watch of this index has ended."""
    listening = session.listening
    with listening():
        session.request("watch.start")
        listening.watches[ref(watch, listening.watches.pop)] = None
        if listening.process != os.getpid():
            try:
                start_new_thread(_pass_log, (session.origin,))
            except RuntimeError as error:
                _end_listening(session, watch)
                session.request("watch.stop")
                raise errors.StoreError(f"cannot start a thread: {error}") from error
            listening.process = os.getpid()


def _pass_log(session: Session) -> None:
    """Passes what the watches log to ``logging`` while the host makes no calls. Without one, stops listening."""
    listening = session.listening
    while session.is_open and not is_ending():
        try:
            session.drain_log()
        except Exception:  # of a filter or a handler: the host's next call meets it, too
            pass
        sleep(BETWEEN_DRAINS)
        with listening():
            if not listening.watches:
                listening.process = 0
                try:
                    session.request("watch.stop")
                except Error:
                    pass  # another thread closes the index
                return


def _end_listening(session: Session, watch: object) -> None:
    """Ends a watch. Does nothing if it does not listen."""
    session.listening.watches.pop(ref(watch), None)


def bring_up_to_date(
    selection: Selection,
    limits: Limits,
    *,
    always: bool = False,
    doubts: bool = False,
    whole: bool = False,
    waits: bool = False,
) -> Error | None:
    """Asks the server for changes if a listing has expired or ``always`` is true; with ``doubts``, also for what an
    event has invalidated.

    Returns None if the listings are then current, and otherwise the error because of which plexindex answers from older
    listings. If no older listing can answer, the call raises the error. At least one of the selected libraries must
    have an older listing; with ``whole``, every selected library; with ``waits``, any of the server's libraries,
    because another process can fetch the selected libraries later.
    """
    known = selection.facts()
    fresh = bool(known) and all(facts["fresh"] for facts in known)
    if fresh and not (always or doubts):
        return None
    timeout, progress = limits
    try:
        if selection.refresh(query_flags(check=always), timeout, progress):
            return None
    except REFRESH_ERRORS as error:
        if _missing(selection.select().facts() if waits else known, whole=whole) is not None:
            raise
        return None if fresh and isinstance(error, errors.OfflineError) else error
    missing = None if waits else _missing(selection.facts(), whole=whole)
    if missing is not None:
        raise errors.TimeoutError(
            f"the timeout passed before plexindex had fetched {missing or 'any library'}: retry to resume"
        )
    return LateError("the timeout passed before the server's whole answer arrived, or a later answer must confirm it")


def expired(selection: Selection, *, whole: bool = False) -> Error | None:
    """Returns the error of a call without requests, if a listing may be old. With ``whole``, raises an error if any of
    the selected libraries was never fetched, so that no incomplete list looks complete.
    """
    known = selection.facts()
    if whole and (missing := _missing(known, whole=True)):
        raise errors.NotFetchedError(f"never fetched: {missing}; fetch each library once (refresh)")
    is_fresh = all(facts["fresh"] for facts in known if "age_ms" in facts)
    return None if is_fresh else errors.OfflineError("a listing may be old, and the call sends no request")


def _missing(known: list[dict[str, Any]], *, whole: bool) -> str | None:
    """Returns the titles of libraries that were never fetched; None if at least one of these libraries was fetched or,
    with ``whole``, all of them were.
    """
    missing = [repr(facts["title"]) for facts in known if "age_ms" not in facts]
    is_enough = len(missing) < len(known) and (not missing or not whole)
    return None if is_enough else ", ".join(missing)
