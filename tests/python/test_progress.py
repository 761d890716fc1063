"""Progress callbacks, and all that can end a fetch: an exception, False, Ctrl-C."""

from __future__ import annotations

import _thread
import os
import signal
import threading

import plexindex
import pytest
from conftest import OpenIndex, Server


class StopError(Exception):
    """Raised by a callback."""


@pytest.fixture
def slow(open_index: OpenIndex, server: Server) -> plexindex.Index:
    """An index that fetches 300 movies in many small pages: half a second, and progress is told ten times in each."""
    server.fault(kind="listing", action="delay", ms=30, count=0)
    return open_index(page_size=20)


def last_path(server: Server) -> str:
    return server.paths(1)[-1]["path"]


def test_progress_is_told(slow: plexindex.Index, server: Server) -> None:
    seen: list[plexindex.Progress] = []
    threads = set()

    def listen(progress: plexindex.Progress) -> None:
        seen.append(progress)
        threads.add(threading.get_ident())

    assert slow.match(last_path(server), "Movies", progress=listen)
    assert threads == {threading.get_ident()}
    movies = [progress for progress in seen if progress.library == "Movies"]
    items = [progress.items for progress in movies]
    assert items == sorted(items)
    assert items[-1] <= 300
    assert max(progress.total for progress in movies) == 300
    elapsed = [progress.elapsed for progress in movies]
    assert elapsed == sorted(elapsed)
    assert repr(seen[-1]).startswith("Progress(library='Movies', items=")
    assert len(seen) >= 3
    seen.clear()
    slow.match(last_path(server), "Movies", progress=listen)
    assert seen == []


def test_what_a_callback_raises_ends_the_call(slow: plexindex.Index, server: Server) -> None:
    def listen(progress: plexindex.Progress) -> None:
        if progress.items >= 40:
            raise StopError(progress.items)

    with pytest.raises(StopError) as caught:
        slow.match(last_path(server), "Movies", progress=listen)
    assert 40 <= caught.value.args[0] < 300
    assert server.get("stats")["requests"]["listing"] < 14
    # What was fetched is kept: the next call goes on where this one stopped.
    first: list[int] = []
    assert slow.match(last_path(server), "Movies", progress=lambda p: first.append(p.items)).match_kind == "exact"
    assert first[0] >= 20
    for ask in (slow.refresh, slow.library("Movies").refresh):
        with pytest.raises(StopError):
            ask(full=True, progress=listen)

    def leave(_: plexindex.Progress) -> None:
        raise GeneratorExit

    with pytest.raises(GeneratorExit):
        slow.refresh(full=True, progress=leave)


def test_a_callback_cannot_close_its_index(slow: plexindex.Index, server: Server) -> None:
    with pytest.raises(plexindex.Error, match="progress callback"):
        slow.match(last_path(server), "Movies", progress=lambda _: slow.close())
    assert slow.is_open
    assert slow.match(last_path(server), "Movies").match_kind == "exact"


@pytest.mark.parametrize("listening", [False, True])
def test_ctrl_c_ends_a_fetch(slow: plexindex.Index, server: Server, listening: bool) -> None:
    for wanted in (2, 4, 6):
        server.reset()
        interrupter = threading.Thread(target=interrupt_after, args=(server, wanted))
        interrupter.start()
        try:
            with pytest.raises(KeyboardInterrupt):
                slow.refresh("Movies", full=True, progress=(lambda _: None) if listening else None)
        finally:
            interrupter.join()
        assert server.get("stats")["requests"]["listing"] < 14
    assert slow.is_open
    assert slow.match(last_path(server), "Movies").match_kind == "exact"


def interrupt_after(server: Server, listings: int) -> None:
    """Ctrl-C, once so many pages were asked for."""
    while server.get("stats")["requests"]["listing"] < listings:
        pass
    if os.name == "nt":
        _thread.interrupt_main()  # what Windows' handler of Ctrl-C does
    else:
        os.kill(os.getpid(), signal.SIGINT)
