"""What changed since a cursor, waiting for it, and `plexindex changes`. What a change is, Rust's tests prove."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import threading
import time
import weakref
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import plexindex
import plexindex.aio
import pytest
from cli import Cli
from conftest import NEW, OpenIndex, Server, sends_signal, soon, types_at_terminal, until
from disk import Tree
from plexindex._core.selection import selection_of
from plexindex._core.threads import Threads
from plexindex.testing import FakePlex

ADDED = {"library": 1, "items": [{"title": "New", "files": ["/data/movies/New.mkv"]}]}


@pytest.mark.parametrize(
    ("end", "kind"), [("close", plexindex.ClosedError), ("clear", plexindex.ListAgainError)], ids=["close", "clear"]
)
def test_a_waiting_reader_ends(index: plexindex.Index, end: str, kind: type[plexindex.Error]) -> None:
    index.refresh()
    waits = threading.Event()

    def wait() -> None:
        for _ in index.watch(index.changes().cursor, offline=True):
            waits.set()

    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(wait)
        assert waits.wait(10)
        getattr(index, end)()
        assert type(waiting.exception(10)) is kind


def test_a_full_listing_that_was_not_read_to_its_first_token_begins_anew(index: plexindex.Index) -> None:
    found = index.changes(full=True)
    next(found)
    assert found.cursor is None
    assert len(list(index.changes(found.cursor, full=found.cursor is None))) == 420


async def test_a_cancelled_step_loses_no_change(index: plexindex.Index, monkeypatch: pytest.MonkeyPatch) -> None:
    """The thread of the step turns the page all the same."""
    found, selection = index.changes(full=True), selection_of(index)
    steps = plexindex.aio.AsyncChanges(found, Threads(selection.session))
    feed, pages = found._feed, []

    def slow(*arguments: Any, **options: Any) -> Any:
        pages.append(options)
        time.sleep(0.05)
        return selection.request(*arguments, **{**options, "limit": 100})

    monkeypatch.setattr(feed, "selection", SimpleNamespace(request=slow, handle=selection.handle))
    feed.page, feed._entries = {"cursor": None, "more": True}, iter([])
    seen = []
    while True:
        try:
            seen.append((await asyncio.wait_for(steps.__anext__(), 0.01)).path)
        except asyncio.TimeoutError:
            continue
        except StopAsyncIteration:
            break
    assert len(pages) == 5
    assert len(seen) == len(set(seen)) == 420


def test_without_requests_old_changes_are_stale(open_index: OpenIndex, tmp_path: Path) -> None:
    for ttl in (3600, 0.01):
        index = open_index(tmp_path / str(ttl), library_ttl=ttl)
        index.refresh()
        time.sleep(0.05)
        found, compared = index.changes(offline=True), index.compare("/data/movies", offline=True)
        assert found.stale is (found.error is not None) is (ttl < 1)
        assert isinstance(found.error, plexindex.OfflineError) is (ttl < 1)
        list(compared)
        assert compared.summary["stale"] is (ttl < 1)


def test_a_token_after_a_deadline_says_what_was_late(server: Server, index: plexindex.Index) -> None:
    server.fault(kind="listing", action="delay", ms=1000, count=0)
    with pytest.raises(plexindex.TimeoutError):
        index.changes(timeout=0.3)
    server.post("faults/clear")
    index.refresh()
    server.post("items/add", ADDED)
    server.fault(kind="sections", action="delay", ms=1000, count=0)
    found = index.changes(check=True, timeout=0.1)
    assert found.stale
    assert isinstance(found.error, plexindex.TimeoutError)


@types_at_terminal
def test_the_command_keeps_its_own_cursor(cli: Cli, server: Server, tmp_path: Path) -> None:
    state = tmp_path / "state"
    words = ("changes", "--check", "--state", state)
    cli.good("refresh")
    # Under cron, each line would be a mail.
    for _ in range(2):
        assert cli.good(*words) == ""
    assert cli.lines(*words) == []
    server.post("items/add", ADDED)
    assert cli.good(*words).startswith("added: New")
    assert cli.good(*words) == ""
    assert "no changes since the cursor" in cli.at_terminal(*words)[1]
    change, last = cli.lines(*words, "--full")[-2:]
    assert change["change"] == "added"
    assert state.read_text() == last["cursor"] + "\n"
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith("state")] == ["state"]
    for content in (b"", b"\xff", b"no cursor"):
        state.write_bytes(content)
        cli.fails(2, f"--state {state}", *words)
        assert state.read_bytes() == content
    cli.fails(2, "--since", *words, "--since", "c1.x")
    for path in (tmp_path / "none" / "state", tmp_path):
        cli.fails(2, str(path), "changes", "--state", path)


@sends_signal
def test_the_command_watches(tmp_path: Path, tree: Tree) -> None:
    cli = Cli(tmp_path, tree.server)
    cli.good("refresh")
    new = tree.films / "Alpha, again (2001)" / "Alpha (2001).mkv"
    command, environment = cli.start("changes", "--watch", "--json")
    pipe = subprocess.PIPE
    with subprocess.Popen(command, env=environment, stdout=pipe, stderr=pipe, text=True) as process:
        # A command that stays behind fails the test instead of blocking it.
        timer = threading.Timer(60, process.kill)
        timer.start()
        lines = map(json.loads, process.stdout or ())
        assert next(lines)["change"] == "cursor"
        tree.rename(tree.listed[0], new)
        cli.good("diff", "--quiet", tree.films)  # the server does not report it, but a comparison asks
        line = next(line for line in lines if line["change"] != "cursor")
        assert (line["change"], line["from"], line["path"]) == ("moved", str(tree.listed[0]), str(new))
        process.send_signal(signal.SIGINT)
        assert process.communicate(timeout=30)[1] == "\nplexindex: interrupted\n", "no fetch has to be resumed"
        timer.cancel()
    assert process.returncode == 130


def test_a_watch_of_an_expired_listing_is_not_deaf(plex: FakePlex, open_index: OpenIndex) -> None:
    index = open_index(server_url=plex.url, token=plex.token, library_ttl=0.5)
    for _ in range(4):
        time.sleep(0.6)
        # It connects meanwhile, after which something can have changed.
        first = next(iter(index.watch()))
        assert first.error is None
    time.sleep(0.6)
    begun = 0.0
    for page in index.watch(timeout=20):
        if [change.path for change in page]:
            assert time.monotonic() - begun < 10
            return
        begun = begun or time.monotonic()
        plex.add("Films", NEW)
    pytest.fail("the watch heard nothing")


async def test_a_watch_yields_what_is_new(plex: FakePlex, films: plexindex.Index) -> None:
    read: list[list[list[str | None]]] = [[], []]

    def follow() -> None:
        for page in films.watch(timeout=6):
            read[0].append([change.path for change in page])

    async def follow_too() -> None:
        async for page in plexindex.aio.AsyncIndex(films).watch(timeout=6):
            read[1].append([change.path async for change in page])

    both = asyncio.gather(asyncio.to_thread(follow), follow_too())
    await soon(lambda: read[0] and read[1] and plex._listeners)
    plex.add("Films", NEW)
    await both
    # The first, the change and the last: seconds pass between them.
    assert read == [[[], [NEW], []]] * 2


def test_a_watch_listens_until_its_loop_is_left_or_it_is_dropped(plex: FakePlex, films: plexindex.Index) -> None:
    session = selection_of(films).session
    with films.watch() as outer:
        until(lambda: len(plex._listeners) == 1)
        outer.stop()
        assert weakref.ref(outer) not in session.listening.watches
    watch = films.watch()
    watch.start()
    assert len(session.listening.watches) == 1
    del watch
    assert not session.listening.watches
    watch = films.watch(films.changes().cursor)
    for number, page in enumerate(watch):
        if number == 0:
            assert session.listening.watches
            until(lambda: plex._listeners)
            plex.add("Films", NEW)
        if [change.path for change in page] == [NEW]:
            break
    assert not session.listening.watches
    # A loop does not end what another loop or another watch began.
    loops = [iter(watch), iter(watch)]
    for loop in loops:
        next(loop)
    loops.pop(0).close()  # type: ignore[attr-defined]
    assert session.listening.watches
    loops.pop().close()  # type: ignore[attr-defined]
    assert not session.listening.watches
    with films.watch() as other:
        for page in films.watch(timeout=0):
            list(page)
        assert weakref.ref(other) in session.listening.watches
