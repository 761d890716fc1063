"""The calls for asyncio: on a thread of their own, stopped with their task."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import inspect
import threading
import time
import weakref
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import plexindex
import pytest
from conftest import OpenIndex, Server, run_python
from plexindex import _aio
from plexindex.testing import FakePlex


def test_calls_run_beside_the_loop(open_index: OpenIndex, server: Server) -> None:
    index = open_index()
    row = server.paths(1)[0]
    threads: set[int] = set()

    async def ask() -> plexindex.Match:
        beats = 0

        async def beat() -> None:
            nonlocal beats
            while True:
                beats += 1
                await asyncio.sleep(0)

        heart = asyncio.create_task(beat())
        match = await index.amatch(row["path"], "Movies", progress=lambda _: threads.add(threading.get_ident()))
        heart.cancel()
        assert beats > 1
        return match

    match = asyncio.run(ask())
    assert (match.rating_key, match.match_kind) == (row["ratingKey"], "exact")
    assert threads
    assert threading.get_ident() not in threads


@pytest.mark.both
def test_an_answer_that_waits_for_nothing_needs_no_thread(
    server: Server, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = server.paths(1)
    options = {"server_url": server.url, "token": server.token}

    async def ask() -> None:
        async with plexindex.open(cache, **options) as index:  # type: ignore[arg-type]
            movies = index.library("Movies")
            await index.arefresh()
            with monkeypatch.context() as without:
                without.setattr(_aio, "run_on_thread", None)
                for row in rows[:20]:
                    assert (await movies.amatch(row["path"])).rating_key == row["ratingKey"]
                    assert (await index.amatch(path=row["path"], library="Movies")).rating_key == row["ratingKey"]
                    assert (await index.amatch(row["path"])).rating_key == row["ratingKey"]
                with pytest.raises(plexindex.InvalidArgumentError):
                    await movies.amatch("")

    asyncio.run(ask())


def test_every_call_has_its_answer(server: Server, cache: Path) -> None:
    rows = server.paths(1)
    options = {"server_url": server.url, "token": server.token}

    async def ask() -> None:
        async with plexindex.open(cache, **options) as index:  # type: ignore[arg-type]
            assert [library.title for library in await index.alibraries()] == ["Movies", "TV Shows"]
            assert await index.arefresh("Movies") is True
            movies = index.library("Movies")
            assert await movies.arefresh() is True
            paths = [row["path"] for row in rows[:20]]
            keys = [row["ratingKey"] for row in rows[:20]]
            assert [match.rating_key for match in await index.amatch_paths(paths)] == keys
            assert [match.rating_key for match in await movies.amatch_paths(paths)] == keys
            assert (await movies.amatch(paths[0])).rating_key == keys[0]
            below = [item.rating_key async for item in movies.aitems_below("/data/movies")]
            assert below == [item.rating_key for item in movies.items_below("/data/movies")]
            assert len(below) >= 300
            cursor = (await movies.achanges()).cursor
            assert list(await index.achanges(cursor, "Movies", check=True)) == []
            guid = (await movies.amatch(paths[0])).guid
            assert guid is not None
            assert (await index.amatch_guid(guid, "Movies")).rating_key == keys[0]
            found = await index.asearch_title(rows[0]["title"], "Movies")
            assert keys[0] in [item.rating_key for item in found.candidates]
            await index.arecord_match("/host/one.mkv", keys[0], "Movies")
            await index.arecord_matches([("/host/two.mkv", keys[1])], "Movies")
            assert (await movies.amatch("/host/two.mkv")).match_kind == "confirmed"
            await index.ainvalidate_path("/host/two.mkv", "Movies")
            assert not await movies.amatch("/host/two.mkv")
            await index.ainvalidate_item(keys[0], "Movies")
            await index.ainvalidate_library("TV Shows")
            assert (await index.astats()).items == 300
            assert index.is_open
        assert not index.is_open
        with pytest.raises(plexindex.ClosedError):
            await index.astats()

    asyncio.run(ask())


def test_a_task_that_is_cancelled_stops_its_fetch(open_index: OpenIndex, server: Server) -> None:
    server.fault(kind="listing", action="delay", ms=30, count=0)
    index = open_index(page_size=20)
    begun = threading.Event()

    async def ask() -> None:
        task = asyncio.create_task(index.arefresh("Movies", progress=lambda _: begun.set()))
        await asyncio.to_thread(begun.wait, 30)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(ask())
    # The call ends on its thread, soon after its task.
    cancelled = time.monotonic()
    while index.profile().calls == 0 and time.monotonic() - cancelled < 30:
        time.sleep(0.01)
    assert index.profile().calls == 1
    assert server.get("stats")["requests"]["listing"] < 14
    server.post("reset")
    # What had come is kept, and the index goes on.
    first: list[int] = []
    assert index.refresh("Movies", progress=lambda progress: first.append(progress.items))
    assert first[0] >= 20


def test_a_call_that_waits_for_the_libraries_can_be_stopped_too(open_index: OpenIndex, server: Server) -> None:
    server.fault(kind="identity", action="delay", ms=20_000, count=1)
    index = open_index()
    seen: list[plexindex.Progress] = []

    async def ask() -> None:
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(index.arefresh("Movies", progress=seen.append), 0.3)
        assert seen == []

    # Closing waits for the call; of what is not fetched yet the host hears nothing.
    begun = time.monotonic()
    asyncio.run(ask())
    index.close()
    assert time.monotonic() - begun < 15


def test_errors_arrive_and_the_default_callback_is_told(open_index: OpenIndex) -> None:
    seen: list[plexindex.Progress] = []
    index = open_index(progress=seen.append)

    async def ask() -> None:
        with pytest.raises(plexindex.LibraryNotFoundError):
            await index.amatch("/x", "Nothing")
        assert await index.arefresh("Movies", True)

    asyncio.run(ask())
    assert seen


def test_asyncio_is_imported_with_the_first_call(cache: Path) -> None:
    code = (
        "import sys, plexindex\n"
        "index = plexindex.open(sys.argv[1])\n"
        "quiet = 'asyncio' not in sys.modules\n"
        "import asyncio\n"
        "print(quiet, asyncio.run(index.astats()).items)\n"
    )
    assert run_python(code, cache).split() == ["True", "0"]


def test_twins_take_what_their_question_takes(open_index: OpenIndex) -> None:
    # They are made from it: what an editor shows at run time must not be `*arguments`.
    index = open_index()
    movies = index.library("Movies")
    question = inspect.signature(index.match)
    assert list(question.parameters) == ["path", "library", "deadline", "offline", "progress"]
    assert inspect.signature(index.amatch) == question
    of_library = question.replace(parameters=[one for one in question.parameters.values() if one.name != "library"])
    assert inspect.signature(movies.match) == of_library
    assert inspect.signature(movies.amatch) == of_library
    assert inspect.iscoroutinefunction(index.amatch)
    assert inspect.iscoroutinefunction(movies.amatch)
    assert not inspect.iscoroutinefunction(movies.match)
    assert plexindex.Library.amatch.__qualname__ == "Library.amatch"
    with pytest.raises(TypeError, match="offlne"):
        movies.match("/a", offlne=True)  # type: ignore[call-arg]


def test_a_task_waits_for_changes_and_is_cancelled(open_index: OpenIndex, server: Server) -> None:
    index = open_index()
    movies = index.library("Movies")
    movies.refresh()
    heard: list[str | None] = []

    async def follow(changes: AsyncIterator[plexindex.Change]) -> None:
        async for change in changes:
            assert change.change == "added"
            heard.append(change.path)

    async def ask() -> None:
        cursor = (await index.achanges()).cursor
        tasks = [asyncio.create_task(follow(waits(cursor))) for waits in (index.awatch_changes, movies.awatch_changes)]
        server.post("items/add", {"library": 1, "items": [{"title": "New", "files": ["/data/movies/New.mkv"]}]})
        await index.arefresh(check=True)
        while len(heard) < 2:
            await asyncio.sleep(0.01)
        for task in tasks:
            task.cancel()
        assert await asyncio.gather(*tasks, return_exceptions=True)
        pages = [page async for page in index.awatch_pages(cursor, timeout=0.01, offline=True)]
        assert [change.path for change in pages[0]] == heard[:1]

    asyncio.run(asyncio.wait_for(ask(), 30))
    assert heard == ["/data/movies/New.mkv"] * 2


def test_waiting_calls_use_no_thread_of_asyncio(tmp_path: Path) -> None:
    async def ask(plex: FakePlex) -> None:
        busy = threading.Event()
        pool = ThreadPoolExecutor(1)
        asyncio.get_running_loop().set_default_executor(pool)
        pool.submit(busy.wait)
        async with plexindex.open(tmp_path, server_url=plex.url, token=plex.token) as index:

            async def match(deadline: float) -> float:
                begun = time.monotonic()
                answer = await index.amatch("/media/Alpha (2001).mkv", deadline=deadline)
                assert answer.status == "needs_warm"
                return time.monotonic() - begun

            try:
                # The deadline counts from the call, also while the executor has no free thread.
                longest = max(await asyncio.wait_for(asyncio.gather(*[match(2) for _ in range(50)]), 30))
                assert longest < 10
            finally:
                busy.set()
            plex.requests.clear()
            tasks = [asyncio.create_task(match(60)) for _ in range(50)]
            while not plex.requests:
                await asyncio.sleep(0.01)
            # And calls that wait take none away.
            assert await asyncio.wait_for(asyncio.to_thread(int, "7"), 30) == 7
            assert not any(task.done() for task in tasks)
            for task in tasks:
                task.cancel()
            ends = await asyncio.gather(*tasks, return_exceptions=True)
            assert {type(end) for end in ends} == {asyncio.CancelledError}

    with FakePlex({"Movies": ["/media/Alpha (2001).mkv"]}) as plex:
        plex.pause()
        asyncio.run(ask(plex))


def test_a_call_keeps_the_context_and_drops_its_error(open_index: OpenIndex) -> None:
    user = contextvars.ContextVar[str]("user")
    seen: set[str] = set()
    index = open_index()

    class OwnError(Exception):
        pass

    def fail(_: plexindex.Progress) -> None:
        seen.add(user.get())
        raise OwnError

    async def ask() -> weakref.ref[OwnError]:
        user.set("Ada")
        try:
            await index.arefresh("Movies", progress=fail)
        except OwnError as error:
            return weakref.ref(error)
        raise AssertionError

    gc.disable()
    try:
        # Nothing refers to the error in a circle, which would keep the index until the next collection.
        error = asyncio.run(ask())
        begun = time.monotonic()
        while error() is not None and time.monotonic() - begun < 30:
            time.sleep(0.01)  # the thread ends soon after its task
        assert error() is None
    finally:
        gc.enable()
    assert seen == {"Ada"}


def test_watches_leave_the_threads_of_asyncio_to_others(tmp_path: Path) -> None:
    async def follow(changes: AsyncIterator[object]) -> None:
        async for _ in changes:
            pass

    async def ask(plex: FakePlex) -> None:
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(1))
        async with plexindex.open(tmp_path, server_url=plex.url, token=plex.token) as index:
            await index.arefresh()
            waits = (index.awatch_pages, index.awatch_changes, index.library("Movies").awatch_changes)
            tasks = [asyncio.create_task(follow(watch())) for watch in waits]
            await asyncio.sleep(0.1)
            try:
                # It is not listed, so this needs a thread to ask the server.
                answer = await asyncio.wait_for(index.amatch("/other/Beta (2002).mkv", deadline=2), 10)
                assert answer.status == "not_found"
            finally:
                for task in tasks:
                    task.cancel()
                ends = await asyncio.gather(*tasks, return_exceptions=True)
            assert [type(end) for end in ends] == [asyncio.CancelledError] * 3

    with FakePlex({"Movies": ["/media/Alpha (2001).mkv"]}) as plex:
        asyncio.run(ask(plex))
