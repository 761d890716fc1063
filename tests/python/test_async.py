"""The calls for asyncio: on a thread of their own, stopped with their task."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import inspect
import threading
import time
import weakref

import plexindex
import pytest
from conftest import OpenIndex, Server


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
