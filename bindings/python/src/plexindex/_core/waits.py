"""How the watches and waits of :mod:`plexindex.aio` wait: in the event loop, without a thread for each."""

from __future__ import annotations

import asyncio
import threading
from contextlib import contextmanager, suppress
from time import monotonic, sleep
from typing import Any
from weakref import WeakSet, WeakValueDictionary

from ..errors import ClosedError, Error, NotFetchedError, ServerUnavailableError, StoreError, TimeoutError
from . import TYPE_CHECKING, Callable, Iterator, convert
from . import abi as c
from .callbacks import FOREVER
from .selection import query_flags, selection_of

if TYPE_CHECKING:
    from ..match import Match
    from ..types import PathArg, ProgressArg, SizeArg
    from .session import Session
    from .threads import Caller

# Minimum number of seconds in which a free thread begins a call.
UNTIL_BEGUN = 0.2
# Seconds between two looks whether any watch still waits.
_BETWEEN_ENDS = 1.0
# Seconds between two looks of a wait for a file, if nothing is listed meanwhile, and between two tries of an index that
# cannot tell what changes.
_BETWEEN_LOOKS = 0.5


class Waits:
    """What the watches and waits of an index share. A thread, which sends no request, so that nothing delays it, tells
    them of changes. It ends when none waits.
    """

    def __init__(self, session: Session) -> None:
        # The garbage collector can end a wait of a lost event loop while this thread holds the lock.
        self._session, self._lock, self._heard = session, threading.RLock(), WeakSet[News]()
        self._is_running = False
        self._cursor: str | None = None
        self.asked: WeakValueDictionary[object, asyncio.Task[Match | None]] = WeakValueDictionary()
        """What asks the server now for a wait, by its event loop, library, file and size."""
        self.checking: WeakValueDictionary[int, Wait] = WeakValueDictionary()
        """What asks the server now for changes of a library, or did so last, by the id of its handle."""
        self.checked: dict[int, float] = {}
        """When it began to ask."""

    @contextmanager
    def hear(self, *, asks: bool = True) -> Iterator[News]:
        """Tells a watch or a wait of changes, and of a due refresh if any of them ``asks`` the server."""
        news = News(asks=asks)
        with self._lock:
            if not self._is_running:
                start(self._run, "plexindex-wait")
            self._is_running = True
            self._heard.add(news)
        try:
            yield news
        finally:
            with self._lock:
                self._heard.discard(news)

    def _run(self) -> None:
        while True:
            with self._lock:
                self._is_running = bool(self._heard)
                if not self._is_running:
                    return
                given = {"cursor": self._cursor, "offline": not any(news.asks for news in list(self._heard))}
            failure: BaseException | None = None
            try:
                if self._cursor and not self._session.request("changes.wait", _BETWEEN_ENDS, **given)["ready"]:
                    continue
                # The cursor is from before the turns that follow. What changed before the first one is unknown.
                self._cursor = self._session.request("changes.list", limit=1)["cursor"]
            except BaseException as error:
                self._cursor = None
                if isinstance(error, (ClosedError, StoreError)) or not isinstance(error, Error):
                    failure = error  # others pass, such as of a feed that begins anew
            self._tell(failure)
            if self._cursor is None:
                sleep(_BETWEEN_LOOKS)

    def _tell(self, failure: BaseException | None) -> None:
        with self._lock:
            for news in list(self._heard):
                with suppress(RuntimeError):  # its event loop was closed
                    news.loop.call_soon_threadsafe(news.ring, failure)


class News:
    """What a watch or a wait hears of changes."""

    def __init__(self, *, asks: bool) -> None:
        self.asks, self.loop = asks, asyncio.get_running_loop()
        self._rung = self.loop.create_future()
        self._failure: BaseException | None = None

    def ring(self, failure: BaseException | None) -> None:
        """Tells of a change, or why the index cannot tell."""
        self._failure = failure
        if not self._rung.done():
            self._rung.set_result(None)

    async def wait(self, left: float, other: asyncio.Task[Any] | None = None) -> bool:
        """Waits for a change since the last wait, for another task or until no time is ``left``. Returns whether
        something has changed. Raises why the index cannot tell.
        """
        left = max(left, 0.0)
        await asyncio.wait(
            [self._rung] if other is None else [self._rung, other],
            timeout=None if left > threading.TIMEOUT_MAX else left,
            return_when=asyncio.FIRST_COMPLETED,
        )
        if self._failure is not None:
            raise self._failure
        has_come = self._rung.done()
        if has_come:  # before the caller looks at the store, so that it misses no change
            self._rung = self.loop.create_future()
        return has_come


class Wait:
    """A wait for a file. It looks at the store in the event loop, and asks the server on a thread: when a check is due,
    or when something has changed and the store alone cannot answer. All waits for a library share its checks. Equal
    waits share what one of them asks; if that one ends first, the others ask again.
    """

    def __init__(
        self, caller: Caller, file: tuple[PathArg, SizeArg], timeout: float | None, every: float, progress: ProgressArg
    ) -> None:
        self._selection, self._threads = selection_of(caller._target), caller._threads
        self._file, self._every, self._ends = file, every, caller._ends(progress)
        convert.milliseconds("every", every, none=None, zero=None)
        raw, limit = convert.path_bytes(file[0], self._selection.session.hides_paths), convert.timeout_ms(timeout)
        self._begun = monotonic()
        self._until = FOREVER if timeout is None or limit < 0 else self._begun + limit / 1000
        self._library = id(self._selection.handle)
        self._name = id(asyncio.get_running_loop()), self._library, raw, file[1]
        # The server's last answer, which is no match.
        self._answered: Match | None = None
        self._has_news = True
        # What asks the server now, whether this wait began it, and whether it checks.
        self._asking: asyncio.Task[Match | None] | None = None
        self._is_own = self._checks = False

    async def run(self) -> Match:
        """Returns the item as soon as its confidence is high, or the last answer."""
        try:
            with self._threads.waits.hear() as news:
                while True:
                    is_last = monotonic() >= self._until
                    match = self._selection.match(*self._file, c.QUERY_AT_ONCE)
                    if match:
                        await asyncio.sleep(0)  # so that many answers do not hold the event loop
                        return match
                    if self._asking is None:
                        self._ask_if_due(match)
                    left = min(self._until - monotonic(), _BETWEEN_LOOKS)
                    if is_last and self._asking is not None:
                        left = UNTIL_BEGUN  # its request has a moment to end
                    if await news.wait(left, self._asking):
                        self._has_news = True
                    if answer := self._answer():
                        return answer
                    if is_last:
                        break
        finally:
            self._checks = False  # here, because the event loop can end before the task does
            if self._asking is not None and self._is_own:
                self._ends.stop()
                with suppress(RuntimeError):  # the event loop was closed
                    self._asking.cancel()
        last = match if self._answered is None else self._answered
        if last.status == "not_yet":
            with suppress(NotFetchedError):  # without an answer, the store can have an old one
                last = await self._threads.read(self._selection.match, *self._file, c.QUERY_OFFLINE) or last
        return last

    def _ask_if_due(self, match: Match) -> None:
        """Asks the server, or waits for what an equal wait asks, if it is time after a look at the store."""
        now, waits = monotonic(), self._threads.waits
        is_due = self._is_check_due(now)
        # An answer that has only the last milliseconds says nothing of the server.
        has_time = self._until - now >= UNTIL_BEGUN or self._answered is None
        if not has_time or not (is_due or (self._has_news and match.status == "not_yet")):
            return
        self._asking, self._has_news = waits.asked.get(self._name), False
        self._is_own = self._asking is None or self._asking.done()
        if self._is_own:
            self._asking = waits.asked[self._name] = asyncio.ensure_future(self._ask(check=is_due))
            if is_due:  # before it begins, so that no other wait checks too
                self._checks, waits.checking[self._library], waits.checked[self._library] = True, self, now

    def _is_check_due(self, now: float) -> bool:
        """Returns whether it is time to ask for changes, and no wait for the library asks for them now."""
        waits = self._threads.waits
        other = waits.checking.get(self._library)
        is_checking = other is not None and other._checks
        return not is_checking and now >= max(self._begun, waits.checked.get(self._library, 0)) + self._every

    async def _ask(self, *, check: bool) -> Match | None:
        """Asks the server. Returns None if it did not answer, but may answer later."""
        left = max(0.0, self._until - monotonic())
        try:
            given = *self._file, query_flags(check=check)
            return await self._threads.ask(  # type: ignore[no-any-return]
                self._ends, self._selection.match, *given, timeout=left, progress=self._ends
            )
        except TimeoutError:  # also if no thread was free
            return None
        except ServerUnavailableError as error:
            # The store is empty, and the server is unreachable, but the server may return in time.
            if error.status != c.CONNECT or left <= self._every:
                raise
            return None

    def _answer(self) -> Match | None:
        """Returns the server's answer once it is there."""
        asking = self._asking
        if asking is None or not asking.done():
            return None
        self._asking, self._checks = None, False
        has_failed = not self._is_own and (asking.cancelled() or asking.exception() is not None)
        answer = None if has_failed else asking.result()
        if answer is not None:
            self._answered = answer
        elif not self._is_own:  # it can have had less time
            self._has_news = True
        return answer


def start(run: Callable[[], None], name: str) -> None:
    """Starts a thread that does not keep the process."""
    try:
        threading.Thread(target=run, name=name, daemon=True).start()
    except RuntimeError as error:
        raise StoreError(f"cannot start a thread: {error}") from error
