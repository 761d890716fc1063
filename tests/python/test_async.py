"""The index for asyncio: the same names, on threads, and a call ends with its task."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import copy
import functools
import gc
import inspect
import pickle
import threading
import time
import weakref
from collections.abc import AsyncIterator, Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import plexindex
import pytest
from conftest import NEW, OLD, SIZE, OpenIndex, Server, cancelled, exit_of_child, forks, soon, until
from plexindex import aio
from plexindex._core import waits as waiting
from plexindex._core.callbacks import Stoppable, running
from plexindex._core.selection import selection_of
from plexindex._core.threads import Threads
from plexindex.testing import FakePlex

NEVER = "/m/Never.mkv"


@pytest.fixture
def own(films: plexindex.Index) -> aio.AsyncIndex:
    """An index that has listed the film."""
    return aio.AsyncIndex(films)


async def test_a_task_that_is_cancelled_stops_its_fetch(open_index: OpenIndex, slow_server: Server) -> None:
    index, begun = open_index(page_size=20), threading.Event()
    task = asyncio.create_task(aio.AsyncIndex(index).library("Movies").refresh(progress=lambda _: begun.set()))
    await asyncio.to_thread(begun.wait, 30)
    await cancelled(task)
    # The call ends on its thread, soon after its task.
    await soon(lambda: index.stats()["calls"])
    assert slow_server.get("stats")["requests"]["listing"] < 14
    slow_server.post("reset")
    # What had come is kept, and the index goes on.
    first: list[int] = []
    assert index.library("Movies").refresh(progress=lambda progress: first.append(progress.items))
    assert first[0] >= 20


def test_the_same_names_take_the_same_arguments() -> None:
    for theirs in (plexindex.Index, plexindex.Library, plexindex.Table, plexindex.Shared):
        ours = getattr(aio, f"Async{theirs.__name__}")
        for name, method in vars(theirs).items():
            is_view = theirs is plexindex.Table and name in ("items", "values")
            if name.startswith("_") or not inspect.isfunction(method) or is_view:
                continue
            twin = inspect.unwrap(getattr(ours, name))
            assert list(inspect.signature(twin).parameters) == list(inspect.signature(method).parameters), name
        facts = {name for name, fact in vars(theirs).items() if isinstance(fact, property)}
        assert facts - {"index", "_handle"} <= vars(ours).keys()
    # A library has no argument for a library, also for type checkers.
    assert "library" not in inspect.signature(plexindex.Library.match).parameters
    opens = inspect.signature(plexindex.open).replace(return_annotation=aio.Opening)
    assert inspect.signature(aio.open) == opens
    assert inspect.signature(aio.AsyncIndex.items).return_annotation == AsyncIterator[plexindex.Item]
    assert inspect.signature(aio.AsyncIndex.library).return_annotation == aio.AsyncLibrary
    for door in (plexindex.from_server, plexindex.from_section):
        assert list(inspect.signature(door).parameters)[1:] == list(inspect.signature(plexindex.open).parameters)


async def test_an_unknown_argument_is_refused_also_if_the_answer_is_at_hand(own: aio.AsyncIndex) -> None:
    twin: Any = own
    with pytest.raises(TypeError, match="tiemout"):
        twin.match(OLD, tiemout=3)
    for method in (twin.stats, twin.server, twin.refresh, twin.table("notes").clear):
        with pytest.raises(TypeError, match="ends"):
            await method(ends=1)
    assert (twin.library(1).title, twin.library(1).item_count, twin.is_open) == ("Films", 1, True)


@forks
def test_a_forked_child_has_threads_of_its_own(own: aio.AsyncIndex) -> None:
    async def ask() -> None:
        assert await own.lookup_keys([NEVER]) == [None]
        assert await own.match(OLD, check=True, timeout=20)
        assert [page async for page in own.watch(timeout=0)]

    asyncio.run(asyncio.wait_for(own.table("a").get("b"), 20))
    assert exit_of_child(lambda: asyncio.run(ask())) == 0


async def test_a_callback_that_raises_stopiteration_ends_its_call(own: aio.AsyncIndex) -> None:
    with pytest.raises(RuntimeError, match="StopIteration"):
        await asyncio.wait_for(own.refresh(full=True, progress=lambda _: next(iter(()))), 20)


async def test_answers_without_waiting_let_other_tasks_run(own: aio.AsyncIndex) -> None:
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    task = asyncio.create_task(count())
    for _ in range(100):
        assert await own.match(OLD)
    assert turns >= 100
    # So does a wait for a listed file.
    turns = 0
    await own.wait_for(OLD, timeout=5)
    assert turns
    task.cancel()


async def test_waits_and_watches_occupy_no_thread_of_other_calls(
    plex: FakePlex, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("plexindex._core.threads.THREADS", 2)
    before = set(threading.enumerate())
    async with aio.open(cache, plex.url, plex.token) as index:
        await index.refresh()
        cursor = (await index.changes()).cursor
        found: list[str | None] = []

        async def follow() -> None:
            async for page in index.watch(cursor, offline=True):
                found.extend([change.path async for change in page])

        tasks = [asyncio.create_task(follow()) for _ in range(32)]
        waits = [asyncio.create_task(index.wait_for(NEW, timeout=60)) for _ in range(32)]
        plex.requests.clear()
        for _ in range(3):
            await asyncio.sleep(0.6)
            await asyncio.wait_for(index.stats(), 5)
        assert 0 < len(plex.requests) < 10, "all waits share a check"
        names = {thread.name for thread in set(threading.enumerate()) - before}
        assert [name for name in names if name.startswith("plexindex-wait")] == ["plexindex-wait"]
        plex.add("Films", NEW)
        assert [(await wait).title for wait in waits] == ["New"] * 32
        await soon(lambda: len(found) >= 32)
        assert found == [NEW] * 32
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        # A new wait looks at once, and a wait ends in time while the server is silent.
        assert (await index.wait_for(OLD, timeout=60)).title == "Old"
        plex.pause()
        began = time.monotonic()
        assert not await index.wait_for(NEVER, timeout=0.5, every=0.1)
        assert time.monotonic() - began < 1.5
        plex.resume()
        last = asyncio.create_task(index.wait_for(NEVER, timeout=60))
        await asyncio.sleep(0.5)
    # Closing ends a wait, and the threads.
    for ended in (last, index.match(OLD), index.stats()):
        with pytest.raises(plexindex.ClosedError):
            await ended
    await soon(lambda: not {one for one in threading.enumerate() if one.name.startswith("plexindex")} - before)


async def test_a_wait_asks_once_until_something_changes(
    plex: FakePlex, own: aio.AsyncIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls, submit = [], Threads.submit

    def counted(threads: Threads, run: Any, *, stored: bool) -> Any:
        calls.append(stored)
        return submit(threads, run, stored=stored)

    monkeypatch.setattr(Threads, "submit", counted)
    waits = [asyncio.create_task(own.wait_for(f"/m/New {at}.mkv", timeout=30, every=20)) for at in range(9)]
    await asyncio.sleep(1.5)
    assert len(calls) <= 18, "once, and once more because of the first cursor"
    plex.add("Films", "/m/New 3.mkv")
    await own.refresh(check=True)
    assert (await waits[3]).title == "New 3"
    assert len(calls) < 40
    for wait in waits:
        wait.cancel()


async def test_waits_for_different_files_share_their_checks(plex: FakePlex, own: aio.AsyncIndex) -> None:
    waits = [asyncio.create_task(own.wait_for(f"/m/New {at}.mkv", timeout=30, every=0.4)) for at in range(20)]
    await asyncio.sleep(0.6)
    plex.requests.clear()
    await asyncio.sleep(1.2)
    paths = [request.path for request in plex.requests]
    assert 0 < len(paths) <= 3 * paths.count("/library/sections") + 2, "a probe, and one search with its page"
    for wait in waits:
        wait.cancel()


def test_a_check_that_ends_with_its_loop_lets_others_check(plex: FakePlex, own: aio.AsyncIndex) -> None:
    def run(timeout: float, end: float) -> None:
        loop = asyncio.new_event_loop()
        task = loop.create_task(own.wait_for(NEW, timeout=timeout, every=0.1))
        loop.call_later(end, task.cancel)
        with contextlib.suppress(asyncio.CancelledError):
            loop.run_until_complete(task)
        loop.close()

    run(0.5, 60)  # Plex does not list the file
    plex.pause()
    run(60, 0.8)
    plex.resume()
    plex.requests.clear()
    run(1.5, 60)
    assert plex.requests


def test_an_event_loop_that_dies_takes_its_waits_with_it(own: aio.AsyncIndex) -> None:
    loop = asyncio.new_event_loop()
    known = weakref.ref(loop.create_task(own.wait_for(NEVER, timeout=60)))
    loop.run_until_complete(asyncio.sleep(0.3))
    loop.close()
    del loop
    until(lambda: gc.collect() and known() is None)
    until(lambda: all(thread.name != "plexindex-wait" for thread in threading.enumerate()))


@pytest.mark.usefixtures("without_collector")
async def test_the_garbage_collector_can_end_a_wait_at_any_moment(
    own: aio.AsyncIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lose(wait: Callable[[], Coroutine[Any, Any, object]]) -> None:
        loop = asyncio.new_event_loop()
        task = loop.create_task(wait())
        loop.run_until_complete(asyncio.sleep(0.1))
        loop.close()
        task._log_destroy_pending = False  # type: ignore[attr-defined]
        loop.cycle = loop, task  # type: ignore[attr-defined]

    class Collecting(weakref.WeakSet[Any]):
        def add(self, item: Any) -> None:
            gc.collect()
            super().add(item)

    async def watch() -> None:
        async for _ in own.watch():
            pass

    waits = own._threads.waits
    monkeypatch.setattr(waits, "_heard", Collecting())
    for wait in (lambda: own.wait_for(NEVER, timeout=None), watch):
        await asyncio.to_thread(lose, wait)
        found = asyncio.ensure_future(asyncio.to_thread(asyncio.run, own.wait_for(NEVER, timeout=0.3)))
        assert (await asyncio.wait_for(found, 20)).status == "not_found"
        assert not waits._heard


async def test_equal_waits_have_each_their_own_end(
    plex: FakePlex, own: aio.AsyncIndex, open_index: OpenIndex, tmp_path: Path
) -> None:
    # The last check has hardly any time, which says nothing of the server.
    for timeout in (0.32, 0.405, 0.51):
        found = await own.wait_for(NEW, timeout=timeout, every=0.1)
        assert (found.status, found.stale) == ("not_found", False)
    # Whereas a server that fails is told of.
    plex.add("Films", NEW)
    plex.fail(503, 1000)
    found = await own.wait_for(NEW, timeout=1, every=0.2)
    assert (found.sure, found.stale, found.reason) == (None, True, "unavailable")
    plex.stop()
    unlisted = aio.AsyncIndex(open_index(tmp_path / "unlisted", server_url=plex.url, token=plex.token))
    begun = time.monotonic()
    waits = [unlisted.wait_for(NEW, timeout=timeout, every=0.5) for timeout in (0.7, 1.6)]
    for task, least in zip([asyncio.create_task(wait) for wait in waits], (0, 1)):
        with pytest.raises(plexindex.ServerUnavailableError):
            await task
        assert time.monotonic() - begun > least


async def test_cancelled_tasks_wait_for_no_token(plex: FakePlex, cache: Path) -> None:
    asked, first = asyncio.Event(), plex.token

    async def token() -> str:
        if plex.token == first:
            return first
        asked.set()
        await asyncio.sleep(60)
        return "never"

    async with aio.open(cache, plex.url, token, user="ann") as index:
        await index.refresh()
        plex.token = "second"
        tasks = [asyncio.create_task(index.refresh(check=True)) for _ in range(8)]
        await asyncio.wait_for(asked.wait(), 20)
        await asyncio.sleep(0.3)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        began = time.monotonic()
        while running():
            assert time.monotonic() - began < 5
            await asyncio.sleep(0.05)


async def test_a_path_that_waits_is_hidden(open_index: OpenIndex) -> None:
    with pytest.raises(plexindex.InvalidArgumentError, match="hidden"):
        await aio.AsyncIndex(open_index(obfuscate_paths=True)).wait_for("/m/SECRET\0", timeout=1)


async def test_watches_of_many_indexes_hear_a_change(
    plex: FakePlex, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started, start = [], waiting.start
    cursors: list[str] = []

    def counted(run: Any, name: str) -> None:
        started.append(name)
        start(run, name)

    async def follow(folder: Path) -> None:
        async with aio.open(folder, plex.url, plex.token) as index:
            await index.refresh()
            async for page in index.watch():
                cursors.append(str(page.cursor))
                if [change.path async for change in page]:
                    return

    monkeypatch.setattr(waiting, "start", counted)
    tasks = [asyncio.create_task(follow(tmp_path / str(at))) for at in range(8)]
    await soon(lambda: len(cursors) >= 8)
    await asyncio.sleep(1)
    assert len(started) < 50
    plex.add("Films", NEW)
    await asyncio.wait_for(asyncio.gather(*tasks), 20)


@pytest.mark.parametrize("ttl", [3600, 0], ids=["fresh", "expired"])
async def test_a_hung_request_holds_nothing_else(
    plex: FakePlex, open_index: OpenIndex, ttl: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("plexindex._core.threads.THREADS", 2)
    own = aio.AsyncIndex(open_index(server_url=plex.url, token=plex.token, library_ttl=ttl))
    await own.refresh()
    plex.pause()
    hung: list[asyncio.Task[Any]] = [asyncio.create_task(own.wait_for(NEVER, timeout=60, every=0.1))]
    await asyncio.sleep(0.3)
    began = time.monotonic()
    # A wait answers from the store: at once, or if it must ask first, when its timeout passes.
    found = await own.wait_for(OLD, timeout=0.5)
    assert (found.title, found.stale) == ("Old", not ttl)
    for offline in (True, False):
        pages = [page async for page in own.watch(timeout=0.3, offline=offline)]
        assert all(page.stale for page in pages) is not ttl
    # Nor do calls that send no request wait for threads.
    hung += [asyncio.create_task(own.refresh(check=True)) for _ in range(3)]
    await asyncio.sleep(0.1)
    await own.table("notes").set("a", b"1")
    await own.set_token(plex.token)
    assert (await own.lookup_keys(["/x"]), (await own.stats())["items"]) == ([None], 1)
    assert time.monotonic() - began < 3
    for task in hung:
        task.cancel()
    plex.resume()
    await asyncio.gather(*hung, return_exceptions=True)


async def test_an_error_of_the_store_reaches_each_watch(
    films: plexindex.Index, own: aio.AsyncIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = selection_of(films).session
    request = session.request

    def fail(method: str, *arguments: Any, **options: Any) -> Any:
        if method == "changes.wait":
            raise plexindex.StoreError("the disk is full")
        return request(method, *arguments, **options)

    async def follow() -> None:
        async for _ in own.watch(timeout=60):
            pass

    monkeypatch.setattr(session, "request", fail)
    for error in await asyncio.gather(follow(), follow(), return_exceptions=True):
        assert isinstance(error, plexindex.StoreError)


async def test_a_call_says_that_no_thread_can_start(own: aio.AsyncIndex, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: object) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", fail)
        calls = (
            own.table("notes").set("a", b"1"),
            own.wait_for("/x.mkv", timeout=1),
            own.watch().__aiter__().__anext__(),
        )
        for call in calls:
            with pytest.raises(plexindex.StoreError, match="start new thread"):
                await call
    assert await own.table("notes").get("a") is None, "the call that failed runs no more"


async def test_a_watch_reads_what_came_while_its_caller_did_not_wait(plex: FakePlex, own: aio.AsyncIndex) -> None:
    found: list[str | None] = []
    other = asyncio.create_task(own.wait_for(NEVER, timeout=60))  # the thread goes on
    async for page in own.watch(timeout=5):
        found += [change.path async for change in page]
        if found:
            break
        plex.add("Films", NEW)
        await own.refresh(check=True)
        await asyncio.sleep(0.5)
    other.cancel()
    assert found == [NEW]


def report_of(error: BaseException) -> plexindex.EditReport:
    """The report of an edit whose task was cancelled."""
    report = getattr(error, "report", None) or getattr(error.__context__, "report", None)
    assert isinstance(report, plexindex.EditReport)
    return report


async def test_a_task_that_is_cancelled_sends_no_further_edit(tmp_path: Path) -> None:
    with FakePlex({"Films": [f"/m/{number}.mkv" for number in range(3000)]}) as plex:
        async with aio.open(tmp_path, plex.url, plex.token) as index:
            await index.refresh()
            films = index.library("Films")
            keys = [film.rating_key async for film in films]
            plex.requests.clear()
            plex.pause()
            task = asyncio.create_task(films.edit_items(keys, {"label": ["x"]}))
            await soon(lambda: plex.requests)
            plex.resume()  # plexapi's own request
            while not any(request.method == "PUT" for request in plex.requests):
                await asyncio.sleep(0)
            report = report_of(await cancelled(task))
            sent = [request for request in plex.requests if request.method == "PUT"]
            assert len(report.done) == 100 * len(sent) < len(keys)
            assert report.done + report.left == keys


async def test_a_task_that_is_cancelled_twice_has_its_report(plex: FakePlex, own: aio.AsyncIndex) -> None:
    plex.pause()
    task = asyncio.create_task(own.library("Films").edit_items(["101"], {"label": ["x"]}))
    for _ in range(2):
        await asyncio.sleep(0.2)
        task.cancel()
    await asyncio.sleep(0.1)
    assert not task.done(), "a request runs"
    plex.resume()
    with pytest.raises(asyncio.CancelledError) as caught:
        await task
    assert report_of(caught.value)


async def test_a_cancelled_task_records_nothing_in_an_unknown_library(plex: FakePlex, tmp_path: Path) -> None:
    async with aio.open(tmp_path, plex.url, plex.token) as index:
        plex.pause()
        task = asyncio.create_task(index.library("Films").record_match("/host/a.mkv", "101"))
        await soon(lambda: plex.requests)
        began = time.monotonic()
        await cancelled(task)
        # Closing waits for the call, which ends at once.
    assert time.monotonic() - began < 5
    plex.resume()
    with plexindex.open(tmp_path, plex.url, plex.token) as again:
        assert not again.library("Films").match("/host/a.mkv")


CALLS: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = [
    *[("match", (path,), how) for path in (OLD, NEW) for how in ({}, {"check": True}, {"offline": True})],
    *[("match", ("/elsewhere/Old.mkv",), {how: True, "size": SIZE}) for how in ("check", "offline")],
    ("wait_for", ("/elsewhere/Old.mkv",), {"timeout": 0.4, "size": SIZE}),
    ("match_paths", ([OLD, NEW],), {"check": True}), ("folder", ("/m",), {"check": True}), ("lookup_key", (OLD,), {}),
    ("wait_for", (NEW,), {"timeout": 0.4, "every": 1}), ("changes", (), {"check": True}), ("refresh", (), {}),
    ("server", (), {}),
]  # fmt: skip


def told(found: Any) -> object:
    """What a call says of the server and of its answer."""
    if isinstance(found, plexindex.Matches):
        return list(map(told, found))
    if isinstance(found, plexindex.Match):
        return found.status, found.reason, found.stale, found.title
    if isinstance(found, (plexindex.Changes, aio.AsyncChanges)):
        return found.stale, type(found.error)
    return found if isinstance(found, (str, bool)) else type(found)


@pytest.mark.parametrize("is_listed", [False, True], ids=["empty", "listed"])
@pytest.mark.parametrize("state", ["well", "refused", "rejected", "failing"])
def test_what_a_call_says_is_the_same_without_asyncio(
    plex: FakePlex, open_index: OpenIndex, tmp_path: Path, state: str, is_listed: bool
) -> None:
    index, other = (open_index(tmp_path / name, server_url=plex.url, token=plex.token) for name in "ab")
    if is_listed:
        index.refresh()
        other.refresh()
    if state == "refused":
        plex.stop()
    elif state == "rejected":
        plex.token = "another"
    elif state == "failing":
        plex.fail(500, times=10_000)
    with ThreadPoolExecutor(1) as pool:
        theirs = pool.submit(asyncio.run, outcomes(other))
        assert asyncio.run(outcomes(aio.AsyncIndex(index))) == theirs.result()


async def outcomes(index: plexindex.Index | aio.AsyncIndex) -> list[tuple[object, ...]]:
    """What each call says."""
    found: list[tuple[object, ...]] = []
    for name, given, options in CALLS:
        try:
            answer = getattr(index, name)(*given, **options)
            answer = told(await answer if inspect.isawaitable(answer) else answer)
        except plexindex.Error as error:
            answer = type(error)
        found.append((name, given, options, answer))
    return found


async def test_changes_hop_to_a_thread_once_a_page(index: plexindex.Index, monkeypatch: pytest.MonkeyPatch) -> None:
    hops, submit = 0, Threads.submit
    index.refresh()

    def counted(*arguments: Any, **options: Any) -> Any:
        nonlocal hops
        hops += 1
        return submit(*arguments, **options)

    monkeypatch.setattr(Threads, "submit", counted)
    changes = await aio.AsyncIndex(index).changes(full=True)
    assert len([change async for change in changes]) == 420
    assert hops == 2  # the call, and the end of its only page


@contextlib.asynccontextmanager
async def busy(index: plexindex.Index, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[aio.AsyncIndex]:
    """An index whose only thread is busy until the block ends."""
    monkeypatch.setattr("plexindex._core.threads.THREADS", 1)
    own, end = aio.AsyncIndex(index), threading.Event()
    task = asyncio.ensure_future(own._threads.ask(Stoppable(None), end.wait))
    await asyncio.sleep(0)
    try:
        yield own
    finally:
        end.set()
        await task


async def test_the_wait_for_a_thread_counts_towards_the_timeout(
    open_index: OpenIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with busy(open_index(timeout=0.05), monkeypatch) as own:
        here = threading.get_ident()
        ran_here: list[str] = []
        for name in ("match", "match_paths", "refresh"):
            monkeypatch.setattr(
                plexindex.Library,
                name,
                lambda *_, **__: ran_here.append("x") if threading.get_ident() == here else None,
            )
        calls = (own.match("/new.mkv"), own.match_paths(["/new.mkv"], timeout=0.05), own.refresh(timeout=0.05))
        for call in calls:
            with pytest.raises(plexindex.TimeoutError, match="threads"):
                await call
        assert not ran_here
        with pytest.raises(plexindex.TimeoutError):
            await own.library("Movies").items(timeout=0.05).__anext__()
        with pytest.raises(plexindex.InvalidArgumentError, match="timeout"):
            await own.refresh(timeout=-1)


async def test_a_stored_listing_answers_while_all_threads_are_busy(
    open_index: OpenIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = open_index(stale_answer_timeout=0.05, library_ttl=0)
    index.refresh()
    folder = index.library("Movies").locations[0]
    async with busy(index, monkeypatch) as own:
        found = await own.match(f"{folder}/new.mkv")
        assert (found.status, found.stale) == ("not_found", True)
        with pytest.raises(plexindex.TimeoutError, match="threads"):
            await own.match(f"{folder}/new.mkv", check=True, timeout=0.05)


async def test_a_table_and_many_keys_do_not_hold_the_loop(
    index: plexindex.Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with busy(index, monkeypatch) as own:
        table, here = own.table("notes"), threading.get_ident()
        await table.set("a", b"1", expire=60)  # on a thread, though the others are busy
        assert await own._threads.read(threading.get_ident) != here
        assert await own.lookup_keys(["/x"]) == [None]
    assert (await table.get("a"), await table.get("b", 7)) == (b"1", 7)
    assert not await table.add("a", b"2")
    assert [name async for name in table] == ["a"]
    assert (await table.pop("a"), await table.pop("a", None)) == (b"1", None)
    assert (await table.setdefault("c", b"3"), await table.popitem()) == (b"3", ("c", b"3"))
    await table.delete("c")
    await table.clear()


async def test_a_token_is_awaited_in_the_loop(server: Server, tmp_path: Path) -> None:
    tokens, loops = ["second", "first"], set[object]()

    async def token() -> str:
        await asyncio.sleep(0.05)
        loops.add(asyncio.get_running_loop())
        return tokens.pop()

    def blocking() -> str:
        assert threading.current_thread() is not threading.main_thread()
        return "second"

    opening = aio.open(tmp_path, server.url, token, user="ann")
    with pytest.raises(AttributeError, match="await"):
        opening.match  # type: ignore[attr-defined]  # noqa: B018
    async with opening as index:
        with pytest.raises(RuntimeError, match="awaited"):
            await opening
        for name in ("first", "second"):
            server.post("tokens", {"tokens": [{"token": name}]})
            assert await index.refresh(full=True)
    assert (tokens, loops) == ([], {asyncio.get_running_loop()})
    with pytest.warns(RuntimeWarning, match="never awaited"):
        aio.open(tmp_path, server.url)
    async with aio.open(tmp_path, server.url, blocking, user="ann") as index:
        assert await index.refresh(full=True)
    with pytest.raises(TypeError, match=r"aio\.open"):
        plexindex.open(tmp_path, server.url, token)


def test_a_token_is_awaited_in_the_loop_of_the_call(server: Server, tmp_path: Path) -> None:
    tokens = ["third", "second", "first"]

    async def token() -> str:
        await asyncio.sleep(0)
        return tokens.pop()

    async def opened() -> aio.AsyncIndex:
        return await aio.open(tmp_path, server.url, token, user="ann")

    async def refresh() -> bool:
        return await index.refresh(full=True, timeout=10)

    first = asyncio.new_event_loop()
    server.post("tokens", {"tokens": [{"token": "first"}]})
    index = first.run_until_complete(opened())
    server.post("tokens", {"tokens": [{"token": "second"}]})
    assert asyncio.run(refresh()), "the first loop stands still"
    first.close()
    server.post("tokens", {"tokens": [{"token": "third"}]})
    with pytest.raises(plexindex.UnauthorizedError) as caught:
        index.index.refresh(full=True, timeout=10)
    assert "event loop" in str(caught.value.__cause__)
    asyncio.run(index.close())


async def test_what_is_cancelled_is_closed(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[plexindex.Index] = []
    real, goes_on = plexindex.open, threading.Event()

    @functools.wraps(real)
    def slow_open(*arguments: Any, **options: Any) -> plexindex.Index:
        assert goes_on.wait(30)
        opened.append(real(*arguments, **options))
        return opened[-1]

    async def never() -> str:
        await asyncio.Event().wait()
        return ""

    monkeypatch.setattr("plexindex.aio.sync.open", slow_open)
    task = asyncio.ensure_future(aio.open(tmp_path, server.url, "first"))
    await asyncio.sleep(0.01)
    await cancelled(task)
    goes_on.set()
    await soon(lambda: opened and not opened[0].is_open)
    # Nor does a token that never comes keep its thread, or a call after its timeout.
    once = ["first"]

    async def token() -> str:
        return once.pop() if once else await never()

    async with aio.open(tmp_path, server.url, token, user="ann") as index:
        server.post("tokens", {"tokens": [{"token": "second"}]})
        with pytest.raises(plexindex.UnauthorizedError) as caught:
            await index.refresh(full=True, timeout=0.3)
        assert isinstance(caught.value.__cause__, plexindex.TimeoutError)
    with pytest.raises(plexindex.TimeoutError, match="token"):
        await aio.open(tmp_path, server.url, never, user="ann", timeout=0.1)
    task = asyncio.ensure_future(aio.open(tmp_path, server.url, never, user="ann"))
    await asyncio.sleep(0.2)
    await cancelled(task)
    await soon(lambda: all(one.name != "plexindex-end" for one in threading.enumerate()))


@pytest.mark.usefixtures("without_collector")
def test_a_call_keeps_the_context_and_drops_its_error(own: aio.AsyncIndex) -> None:
    user = contextvars.ContextVar[str]("user")
    seen: set[str] = set()

    class OwnError(Exception):
        pass

    def fail(_: plexindex.Progress) -> None:
        seen.add(user.get())
        raise OwnError

    async def ask() -> weakref.ref[OwnError]:
        user.set("Ada")
        try:
            await own.refresh(full=True, progress=fail)
        except OwnError as error:
            return weakref.ref(error)
        raise AssertionError

    # Nothing refers to the error in a circle, which would keep the index until the next collection.
    error = asyncio.run(ask())
    until(lambda: error() is None)  # the thread ends soon after its task
    assert seen == {"Ada"}


@pytest.mark.parametrize("call", [pickle.dumps, copy.copy, copy.deepcopy])
def test_an_index_for_asyncio_names_its_class_and_cannot_be_copied(
    index: plexindex.Index, call: Callable[[object], object]
) -> None:
    own = aio.AsyncIndex(index)
    for one in (own, own.library("Movies"), own.watch()):
        assert repr(one).startswith(f"<plexindex.aio.{type(one).__name__} ")
        with pytest.raises(TypeError, match=type(one).__name__):
            call(one)


def test_an_error_names_the_attribute_that_cannot_be_set(index: plexindex.Index) -> None:
    own, name = aio.AsyncIndex(index), "tokn"
    unknown = [(target, name) for target in (index, index.library(1), own, own.library(1))]
    for target, name in (*unknown, (index, "cache_dir"), (plexindex.Item({}), "rating_key")):
        with pytest.raises(AttributeError, match=name):
            setattr(target, name, "x")
