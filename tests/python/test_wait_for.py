"""Waiting until Plex lists a file."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import plexindex
import pytest
from plexindex import aio
from plexindex.testing import FakePlex

OLD, NEW = "/media/films/Old (2001).mkv", "/media/films/New (2024).mkv"
NEVER = 3600.0


@pytest.fixture
def plex() -> Iterator[FakePlex]:
    with FakePlex({"Films": [OLD], "Shows": ["/media/tv/Show/Season 01/Show - S01E01.mkv"]}) as plex:
        yield plex


@pytest.fixture
def index(plex: FakePlex, tmp_path: Path) -> Iterator[plexindex.Index]:
    with plexindex.open(tmp_path, plex.url, plex.token, retry_for=0) as index:
        index.refresh()
        plex.requests.clear()
        yield index


def soon(ready: Callable[[], object], then: Callable[[], object]) -> threading.Thread:
    """Does something on a thread once a condition holds."""

    def run() -> None:
        begun = time.monotonic()
        while not ready() and time.monotonic() - begun < 30:
            time.sleep(0.01)
        then()

    thread = threading.Thread(target=run)
    thread.start()
    return thread


def checks(plex: FakePlex) -> int:
    return sum(request.path == "/library/sections" for request in plex.requests)


def test_a_file_that_comes_is_found(index: plexindex.Index, plex: FakePlex) -> None:
    # The first question has found nothing, so the next one alone would not ask for half a minute.
    thread = soon(lambda: checks(plex) > 1, lambda: plex.add("Films", NEW))
    match = index.library("Films").wait_for(NEW, timeout=60, every=0.2)
    thread.join()
    assert match


def test_a_wait_outlasts_a_server_that_restarts(index: plexindex.Index, plex: FakePlex) -> None:
    plex.stop()

    def back() -> None:
        plex.add("Films", NEW)
        plex.start()

    begun = time.monotonic()
    thread = soon(lambda: time.monotonic() - begun > 1, back)
    assert index.wait_for(NEW, timeout=60, every=0.2).title == "New"
    thread.join()


def test_a_task_that_waits_is_cancelled(index: plexindex.Index, plex: FakePlex) -> None:
    async def ask() -> plexindex.Match:
        own = aio.AsyncIndex(index)
        task = asyncio.create_task(own.wait_for(NEW, timeout=None, every=NEVER))
        while not checks(plex):
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        plex.add("Films", NEW)
        return await own.library("Films").wait_for(NEW, timeout=60, every=0.2)

    assert asyncio.run(ask()).title == "New"


def test_closing_ends_a_wait(index: plexindex.Index, plex: FakePlex) -> None:
    thread = soon(lambda: checks(plex), index.close)
    with pytest.raises(plexindex.ClosedError):
        index.wait_for(NEW, timeout=60, every=NEVER)
    thread.join()


def test_an_event_ends_a_wait(index: plexindex.Index, plex: FakePlex) -> None:
    with index.watch():
        begun = time.monotonic()
        while not plex._listeners and time.monotonic() - begun < 30:
            time.sleep(0.01)
        thread = soon(lambda: checks(plex) > 0, lambda: plex.add("Films", NEW))
        # Only the event can end the wait before the timeout.
        assert index.library("Films").wait_for(NEW, timeout=60, every=NEVER)
        thread.join()
