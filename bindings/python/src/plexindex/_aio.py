"""The calls of an index for ``asyncio``: each on a thread of its own, so that the event loop goes on.

``asyncio`` is imported with the first of them. A task that is cancelled stops the call that it waits for: a fetch ends
within about a tenth of a second, what it has fetched is kept, and the next call goes on from there.
"""

from __future__ import annotations

from ._callbacks import Stoppable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from types import TracebackType
    from typing import Any, TypeVar

    from ._answers import Match, Matches
    from ._index import Index
    from ._library import LibraryInfo
    from ._stats import Stats
    from ._types import LibraryArg, PathArg, ProgressArg

    T = TypeVar("T")


class AsyncCalls:
    """The part of :class:`Index` that is for ``asyncio``.

    Progress callbacks run on the call's thread, not on the loop's.
    """

    def _me(self) -> Index:
        return self  # type: ignore[return-value]

    async def amatch_path(
        self,
        library: LibraryArg,
        path: PathArg,
        *,
        deadline: float | None = None,
        offline: bool = False,
        progress: ProgressArg = None,
    ) -> Match:
        """:meth:`Index.match_path` on a thread of its own."""
        me = self._me()
        return await _run(me, progress, me.match_path, library, path, deadline=deadline, offline=offline)

    async def amatch_paths(
        self,
        library: LibraryArg,
        paths: Iterable[PathArg],
        *,
        deadline: float | None = None,
        offline: bool = False,
        progress: ProgressArg = None,
    ) -> Matches:
        """:meth:`Index.match_paths` on a thread of its own."""
        me = self._me()
        return await _run(me, progress, me.match_paths, library, paths, deadline=deadline, offline=offline)

    async def amatch_guid(
        self,
        library: LibraryArg,
        guid: str,
        *,
        deadline: float | None = None,
        offline: bool = False,
        progress: ProgressArg = None,
    ) -> Match:
        """:meth:`Index.match_guid` on a thread of its own."""
        me = self._me()
        return await _run(me, progress, me.match_guid, library, guid, deadline=deadline, offline=offline)

    async def asearch_title(
        self,
        library: LibraryArg,
        title: str,
        *,
        deadline: float | None = None,
        offline: bool = False,
        progress: ProgressArg = None,
    ) -> Match:
        """:meth:`Index.search_title` on a thread of its own."""
        me = self._me()
        return await _run(me, progress, me.search_title, library, title, deadline=deadline, offline=offline)

    async def arefresh(
        self,
        library: LibraryArg = None,
        full: bool = False,
        *,
        deadline: float | None = None,
        progress: ProgressArg = None,
    ) -> bool:
        """:meth:`Index.refresh` on a thread of its own."""
        me = self._me()
        return await _run(me, progress, me.refresh, library, full, deadline=deadline)

    async def alibraries(
        self, *, deadline: float | None = None, offline: bool = False, progress: ProgressArg = None
    ) -> list[LibraryInfo]:
        """:meth:`Index.libraries` on a thread of its own."""
        me = self._me()
        return await _run(me, progress, me.libraries, deadline=deadline, offline=offline)

    async def arecord_match(self, library: LibraryArg, path: PathArg, key: str | int) -> None:
        """:meth:`Index.record_match` on a thread of its own. It is not stopped midway."""
        await _aside(self._me().record_match, library, path, key)

    async def arecord_matches(self, library: LibraryArg, pairs: Iterable[tuple[PathArg, str | int]]) -> None:
        """:meth:`Index.record_matches` on a thread of its own. It is not stopped midway."""
        await _aside(self._me().record_matches, library, pairs)

    async def ainvalidate_path(self, library: LibraryArg, path: PathArg) -> None:
        """:meth:`Index.invalidate_path` on a thread of its own."""
        await _aside(self._me().invalidate_path, library, path)

    async def ainvalidate_item(self, library: LibraryArg, key: str | int) -> None:
        """:meth:`Index.invalidate_item` on a thread of its own."""
        await _aside(self._me().invalidate_item, library, key)

    async def ainvalidate_library(self, library: LibraryArg) -> None:
        """:meth:`Index.invalidate_library` on a thread of its own."""
        await _aside(self._me().invalidate_library, library)

    async def astats(self) -> Stats:
        """:meth:`Index.stats` on a thread of its own."""
        return await _aside(self._me().stats)

    async def aclose(self) -> None:
        """:meth:`Index.close` on a thread of its own: it waits for calls that are in flight."""
        await _aside(self._me().close)

    async def __aenter__(self) -> Index:
        return self._me()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()


async def _run(index: Index, progress: ProgressArg, call: Callable[..., T], *arguments: Any, **options: Any) -> T:
    """A call that may fetch: it is told to stop when this task is cancelled."""
    watch = Stoppable(index._progress if progress is None else progress)
    done = False
    try:
        answer = await _aside(call, *arguments, progress=watch, **options)
        done = True
        return answer
    finally:
        watch.stopped = not done


async def _aside(call: Callable[..., T], *arguments: Any, **options: Any) -> T:
    import asyncio

    return await asyncio.to_thread(call, *arguments, **options)
