"""Waiting until Plex lists a file."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import plexindex
import pytest
from plexindex.testing import FakePlex

OLD, NEW = "/media/films/Old (2001).mkv", "/media/films/New (2024).mkv"
# Longer than any test takes: only an event or another process ends such a pause.
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


def test_a_listed_file_needs_no_wait(index: plexindex.Index, plex: FakePlex) -> None:
    assert index.wait_for(OLD, timeout=0).title == index.library("Films").wait_for(OLD, timeout=None).title == "Old"
    assert plex.requests == []


def test_a_file_that_comes_is_found(index: plexindex.Index, plex: FakePlex) -> None:
    # The first question has found nothing, so the next one alone would not ask for half a minute.
    thread = soon(lambda: checks(plex) > 1, lambda: plex.add("Films", NEW))
    match = index.library("Films").wait_for(NEW, timeout=60, every=0.2)
    thread.join()
    assert (match.title, match.match_kind, match.confidence) == ("New", "exact", "high")


def test_requests_of_a_wait_are_few(index: plexindex.Index, plex: FakePlex) -> None:
    begun = time.monotonic()
    match = index.wait_for(NEW, "Films", timeout=2, every=0.5)
    took = time.monotonic() - begun
    assert (match.status, match.reason_code) == ("not_found", "not_listed")
    assert took >= 2
    assert 1 <= checks(plex) <= 1 + took / 0.5
    # The question itself searches for the path once. A listing of the last seconds may lack what came in the same
    # second: then each check looks at what is newest, in two requests.
    assert len(plex.requests) - checks(plex) <= 2 + 2 * checks(plex)
    plex.requests.clear()
    assert not index.wait_for("/media/films/None (2025).mkv", timeout=0.5, every=NEVER)
    assert len(plex.requests) <= 3


def test_a_pause_ends_with_an_event(index: plexindex.Index, plex: FakePlex) -> None:
    with index.watch():
        thread = soon(lambda: plex._listeners and checks(plex), lambda: plex.add("Films", NEW))
        assert index.wait_for(NEW, timeout=60, every=NEVER).title == "New"
    thread.join()


def test_a_pause_ends_with_another_index(index: plexindex.Index, plex: FakePlex, tmp_path: Path) -> None:
    def fetch() -> None:
        plex.add("Films", NEW)
        with plexindex.open(tmp_path, plex.url, plex.token) as other:
            other.refresh(check=True)

    thread = soon(lambda: checks(plex), fetch)
    assert index.wait_for(NEW, timeout=60, every=NEVER).title == "New"
    thread.join()


def test_a_wait_outlasts_a_server_that_restarts(index: plexindex.Index, plex: FakePlex) -> None:
    plex.stop()

    def back() -> None:
        plex.add("Films", NEW)
        plex.start()

    begun = time.monotonic()
    thread = soon(lambda: time.monotonic() - begun > 1, back)
    assert index.wait_for(NEW, timeout=60, every=0.2).title == "New"
    thread.join()


def test_a_library_that_was_never_fetched(plex: FakePlex, tmp_path: Path) -> None:
    with plexindex.open(tmp_path, plex.url, plex.token, retry_for=0) as index:
        assert index.wait_for(OLD, timeout=10).title == "Old"
        plex.pause()
        begun = time.monotonic()
        match = index.wait_for(NEW, timeout=1, every=0.2)
        assert not match
        assert time.monotonic() - begun < 10
        plex.resume()
    plex.stop()
    nowhere = plexindex.open(tmp_path / "other", plex.url, plex.token, retry_for=0)
    with nowhere as index, pytest.raises(plexindex.ConnectError):
        index.wait_for(NEW, timeout=10)


def test_a_task_that_waits_is_cancelled(index: plexindex.Index, plex: FakePlex) -> None:
    async def ask() -> plexindex.Match:
        task = asyncio.create_task(index.await_for(NEW, timeout=None, every=NEVER))
        while not checks(plex):
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        plex.add("Films", NEW)
        return await index.library("Films").await_for(NEW, timeout=60, every=0.2)

    assert asyncio.run(ask()).title == "New"


def test_closing_ends_a_wait(index: plexindex.Index, plex: FakePlex) -> None:
    thread = soon(lambda: checks(plex), index.close)
    with pytest.raises(plexindex.ClosedError):
        index.wait_for(NEW, timeout=60, every=NEVER)
    thread.join()


def test_wrong_times_are_refused(index: plexindex.Index) -> None:
    with pytest.raises(plexindex.InvalidArgumentError, match="every=0 is refused"):
        index.wait_for(NEW, timeout=1, every=0)
    with pytest.raises(plexindex.InvalidArgumentError, match="timeout=-1 is refused"):
        index.wait_for(NEW, timeout=-1)
    with pytest.raises(TypeError, match="timeout"):
        index.wait_for(NEW)  # type: ignore[call-arg]


def test_a_wait_with_nothing_stored_outlasts_a_server_that_is_away(plex: FakePlex, tmp_path: Path) -> None:
    plex.stop()
    begun = time.monotonic()
    thread = soon(lambda: time.monotonic() - begun > 1, plex.start)
    with plexindex.open(tmp_path / "new", plex.url, plex.token, retry_for=0) as index:
        assert index.wait_for(OLD, timeout=60, every=0.2).title == "Old"
        thread.join()
