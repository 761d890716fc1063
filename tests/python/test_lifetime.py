"""Closing, threads, forks, callbacks and the log: what is done after a close, and at the same time, is an error."""

from __future__ import annotations

import ast
import asyncio
import ctypes
import gc
import logging
import pickle
import signal
import sys
import threading
import types
import weakref
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import plexindex
import pytest
from conftest import OpenIndex, Server, exit_of_child, forks, interrupts, run, run_python, until
from plexindex import aio, queries
from plexindex._core import callbacks
from plexindex.testing import FakePlex


def test_use_after_close_is_an_error(cache: Path) -> None:
    index = plexindex.open(cache)
    movies = index.library("Movies")
    uses: list[Callable[[], object]] = [
        partial(movies.lookup_key, "/x"),
        lambda: movies.lookup_keys(["/x"]),
        lambda: movies.match("/x"),
        lambda: movies.match_paths(["/x"]),
        lambda: movies.record_matches([("/x", "7")]),
        lambda: movies.invalidate_path("/x"),
        lambda: movies.refresh(),
        lambda: index.library("Movies"),
        lambda: index.libraries(),
        lambda: index.stats(),
        lambda: index.__enter__(),
        lambda: index.call("store.get"),
        lambda: index.table("mine").get("a"),
        lambda: next(iter(index.watch())),
    ]
    index.close()
    for number, use in enumerate(uses):
        with pytest.raises(plexindex.ClosedError):
            print(number, use())
    assert "(closed)" in repr(movies)


def test_a_close_while_others_look_up(open_index: OpenIndex, row: dict[str, str]) -> None:
    def ask(use: Callable[[], object], looking: threading.Semaphore) -> None:
        while True:
            use()
            looking.release()

    for _ in range(10):
        index, looking = open_index(), threading.Semaphore(0)
        movies = index.library("Movies")
        movies.refresh()
        uses: list[Callable[[], object]] = [
            partial(movies.lookup_key, row["path"]),
            partial(movies.match, row["path"]),
            partial(movies.lookup_keys, [row["path"]]),
            partial(index.library, "New"),
        ]
        with ThreadPoolExecutor(4) as pool:
            asked = [pool.submit(ask, use, looking) for use in uses]
            for _ in range(8):
                looking.acquire()
            index.close()
            assert {type(one.exception(60)) for one in asked} == {plexindex.ClosedError}


def test_a_close_ends_a_fetch_of_another_thread(open_index: OpenIndex, slow_server: Server) -> None:
    index = open_index(page_size=1)
    movies, fetching = index.library("Movies"), threading.Event()
    path = slow_server.paths(1)[-1]["path"]
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(movies.match, path, progress=lambda _: fetching.set())
        assert fetching.wait(30)
        index.close()
        with pytest.raises(plexindex.ClosedError):
            asked.result(60)
    assert slow_server.get("stats")["requests"]["listing"] < 250


def test_without_a_global_lock_lookups_count_as_calls(
    open_index: OpenIndex, row: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queries, "HAS_GLOBAL_LOCK", False)
    index = open_index()
    movies = index.library("Movies")
    movies.refresh()
    assert movies.lookup_key(row["path"]) == f"/library/metadata/{row['ratingKey']}"
    assert movies.lookup_key(b"/nowhere") is None
    with pytest.raises(plexindex.InvalidArgumentError):
        movies.lookup_key("")
    index.close()
    for call in (lambda: movies.lookup_key(row["path"]), lambda: index.table("a")):
        with pytest.raises(plexindex.ClosedError):
            call()


@forks
def test_an_index_works_on_both_sides_of_a_fork(
    index: plexindex.Index, movies: plexindex.Library, server: Server
) -> None:
    rows = server.paths(1)
    movies.refresh()

    def child() -> None:
        # The parent may record just now: a fast lookup does not know until a call has read that.
        until(lambda: movies.match(rows[1]["path"]) and movies.lookup_key(rows[0]["path"]))
        assert movies.lookup_key(rows[0]["path"]) == f"/library/metadata/{rows[0]['ratingKey']}"
        movies.record_match("/host/child.mkv", rows[2]["ratingKey"])
        assert movies.match("/host/child.mkv").match_kind == "confirmed"
        index.close()

    assert exit_of_child(child, lambda: movies.record_match("/host/parent.mkv", rows[3]["ratingKey"])) == 0
    assert movies.match("/host/parent.mkv").rating_key == rows[3]["ratingKey"]
    assert movies.match("/host/child.mkv").rating_key == rows[2]["ratingKey"]


@pytest.fixture
def slow(open_index: OpenIndex, slow_server: Server) -> plexindex.Index:
    """An index that fetches 300 movies in many small pages: half a second, and progress is told ten times in each."""
    return open_index(server_url=slow_server.url, token=slow_server.token, page_size=20)


@forks
def test_a_closing_child_waits_for_no_thread_of_its_parent(slow: plexindex.Index, row: dict[str, str]) -> None:
    fetching = threading.Event()
    thread = threading.Thread(target=slow.library("Movies").refresh, kwargs={"progress": lambda _: fetching.set()})
    thread.start()
    assert fetching.wait(30)
    # The thread and its call do not exist in the child.
    assert exit_of_child(slow.close) == 0
    thread.join(60)
    assert slow.library("Movies").match(row["path"], offline=True).match_kind == "exact"


def test_what_a_callback_raises_ends_the_call(slow: plexindex.Index, server: Server) -> None:
    class StopError(Exception):
        pass

    def listen(progress: plexindex.Progress) -> None:
        if progress.items >= 40:
            raise StopError(progress.items)

    with pytest.raises(StopError) as caught:
        slow.library("Movies").refresh(progress=listen)
    assert 40 <= caught.value.args[0] < 300
    assert server.get("stats")["requests"]["listing"] < 14
    # What was fetched is kept: the next call goes on where this one stopped.
    seen: list[tuple[plexindex.Progress, int]] = []
    slow.library("Movies").refresh(progress=lambda progress: seen.append((progress, threading.get_ident())))
    assert seen[0][0].items >= 20
    assert seen[-1][0].total == 300
    assert repr(seen[-1][0]).startswith("Progress(library='Movies', items=")
    with pytest.raises(AttributeError, match="itmes"):
        seen[-1][0].itmes = 1
    assert {thread for _, thread in seen} == {threading.get_ident()}
    with pytest.raises(StopError):
        slow.library("Movies").refresh(full=True, progress=listen)

    def leave(_: plexindex.Progress) -> None:
        raise GeneratorExit

    with pytest.raises(GeneratorExit):
        slow.refresh(full=True, progress=leave)


def test_a_callback_cannot_close_its_index(slow: plexindex.Index, row: dict[str, str]) -> None:
    def close(*_: object) -> None:
        slow.close()

    with pytest.raises(plexindex.InvalidArgumentError, match="callback"):
        slow.library("Movies").refresh(progress=close)
    before = signal.signal(signal.SIGALRM, close)
    try:
        with pytest.raises(plexindex.InvalidArgumentError, match="callback"):
            slow.library("Movies").refresh(
                full=True, progress=lambda _: bool(signal.setitimer(signal.ITIMER_REAL, 0.01))
            )
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert slow.is_open
    assert slow.library("Movies").match(row["path"]).match_kind == "exact"


# Each program below begins with this. One that hangs says where.
PROGRAM = """
import faulthandler, os, signal, sys, threading, time
import plexindex

faulthandler.dump_traceback_later(50, exit=True)

def in_threads(*functions):
    threads = [threading.Thread(target=one) for one in functions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
"""

TWO_CLOSE = """
from plexindex.testing import FakePlex

how, refused, inside = sys.argv[2], [], threading.Barrier(2)

def close(*_):
    inside.wait(20)
    while how == "a thread" and index.is_open:
        time.sleep(0.01)
    index.close()

def fetch(library="A"):
    try:
        index.library(library).refresh(progress=close)
    except plexindex.InvalidArgumentError as error:
        refused.append(str(error))

def close_too():
    inside.wait(20)
    index.close()

films = {name: [f"/{name}/{number}.mkv" for number in range(50)] for name in ("A", "B")}
with FakePlex(films) as plex:
    index = plexindex.open(sys.argv[1], plex.url, plex.token, page_size=5)
    in_threads(fetch, close_too if how == "a thread" else lambda: fetch("B"))
    assert len(refused) == 2 - (how == "a thread") and index.is_open == (how != "a thread"), refused
    index.close()
"""


@pytest.mark.parametrize("how", ["a thread", "a callback"])
def test_a_callback_that_closes_while_another_thread_does_is_refused(tmp_path: Path, how: str) -> None:
    run_python(PROGRAM + TWO_CLOSE, tmp_path, how)


def test_a_token_callable_cannot_close_its_index(open_index: OpenIndex) -> None:
    def token() -> str:
        for index in opened:
            index.close()
        return "wrong"

    opened: list[plexindex.Index] = []
    opened.append(open_index(token=token))
    with pytest.raises(plexindex.UnauthorizedError) as caught:
        opened[0].refresh()
    assert isinstance(caught.value.__cause__, plexindex.InvalidArgumentError)
    assert opened[0].is_open


INTERRUPTED = """
import random
from plexindex._core import importing

class Stop(Exception):
    pass
def stop(*_):
    raise Stop
signal.signal(signal.SIGALRM, stop)
for number in range(20):
    index = plexindex.open(f"{sys.argv[1]}/{number}")
    table = index.table("a")
    table["a"] = b"1"
    for _ in range(20):
        try:
            signal.setitimer(signal.ITIMER_REAL, random.uniform(0.0001, 0.002))
            while True:
                with importing():
                    table["a"]
        except (Stop, KeyError):
            signal.setitimer(signal.ITIMER_REAL, 0)
    in_threads(index.close)
began = time.monotonic()
in_threads(lambda: os.fork() or os._exit(0))
assert time.monotonic() - began < 4, "the fork waited for an import that has ended"
"""


@forks
def test_interrupted_calls_prevent_no_close_and_no_fork(tmp_path: Path) -> None:
    run_python(PROGRAM + INTERRUPTED, tmp_path)


def interrupted_at(line: int, use: Callable[[], object]) -> bool:
    """Interrupts a call as Ctrl-C would, at this line of the package's core. Returns whether it has so many lines."""
    left = line

    def trace(frame: types.FrameType, event: str, _: object) -> Any:
        nonlocal left
        code = frame.f_code
        if code is callbacks.receive.__code__ or Path(code.co_filename).parent != Path(callbacks.__file__).parent:
            return None
        left -= event == "line"
        if left == 0:
            left = -1
            raise KeyboardInterrupt
        return trace

    sys.settrace(trace)
    try:
        use()
    except (KeyboardInterrupt, plexindex.NotFetchedError):
        pass
    finally:
        sys.settrace(None)
    return left < 0


def test_an_interruption_at_any_line_leaves_no_half_call(index: plexindex.Index) -> None:
    table = index.table("a")
    table["a"] = b"1" * 100_000  # more than a first buffer
    for use in (lambda: index.match_paths(["/a.mkv"], offline=True), lambda: table["a"]):
        line = 1
        while interrupted_at(line, use):
            for call in callbacks._kept.calls:
                assert call.buffer.data == (ctypes.addressof(call.view) if call.data else None)
                assert call.buffer.capacity == len(call.data)
                assert not call.lock.locked()
            callbacks._kept.calls.clear()
            assert table["a"] == b"1" * 100_000
            callbacks._kept.calls.clear()
            line += 1
        assert line > 10


@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_an_interruption_at_any_line_closes_no_index_of_an_equal_pickle(cache: Path) -> None:
    with plexindex.open(cache) as index:
        index.table("a")["a"] = b"1"
        pickled = pickle.dumps(index)
    other = pickle.loads(pickled)  # noqa: S301

    def open_and_close() -> None:
        opened.append(pickle.loads(pickled))  # noqa: S301
        opened[-1].close()

    line = 1
    opened: list[plexindex.Index] = []
    while interrupted_at(line, open_and_close):
        for one in opened:
            one.close()
            one.close()
        opened.clear()
        assert other.table("a")["a"] == b"1"
        line += 1
    assert line > 20
    handle = other._session.origin.handle
    pickle.loads(pickled)  # noqa: S301
    other.close()
    assert not handle


def test_a_thread_that_ends_leaves_nothing(index: plexindex.Index) -> None:
    def calls() -> int:
        gc.collect()
        return len(callbacks._known)

    before = calls()
    for _ in range(5):
        thread = threading.Thread(target=index.table("a").get, args=("b",))
        thread.start()
        thread.join()
    assert calls() <= before + 1


def test_watches_that_follow_each_other_have_one_thread(index: plexindex.Index) -> None:
    before = len(sys._current_frames())
    for _ in range(10):
        with index.watch():
            pass
    assert len(sys._current_frames()) <= before + 1


@pytest.mark.parametrize("listening", [False, True])
def test_ctrl_c_ends_a_fetch(open_index: OpenIndex, slow_server: Server, listening: bool) -> None:
    server, movies = slow_server, open_index(page_size=5).library("Movies")  # sixty pages
    for wanted in (2, 4, 6):
        server.reset()
        is_due = partial(lambda least: server.get("stats")["requests"]["listing"] >= least, wanted)
        with pytest.raises(KeyboardInterrupt), interrupts(is_due):
            movies.refresh(full=True, progress=(lambda _: None) if listening else None)
        assert server.get("stats")["requests"]["listing"] < 55
    assert movies.match(server.paths(1)[0]["path"]).match_kind == "exact"


BASIC = "import logging\nlogging.basicConfig()"


def test_a_handler_may_use_the_index(
    open_index: OpenIndex, row: dict[str, str], caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    found: list[plexindex.Match] = []

    class Handler(logging.Handler):
        def emit(self, _: logging.LogRecord) -> None:
            found.append(index.library("Movies").match(row["path"], offline=True))

    monkeypatch.setattr(logging.getLogger("plexindex"), "handlers", [Handler()])
    caplog.set_level(logging.INFO, "plexindex")
    index = open_index()
    index.library("Movies").refresh()
    assert found
    assert all(found)


@pytest.mark.parametrize(("before", "printed"), [("", ""), ("import logging", ""), (BASIC, "WARNING:plexindex:")])
def test_only_a_handler_of_the_host_prints_log_lines(tmp_path: Path, before: str, printed: str) -> None:
    use = "with plexindex.open(sys.argv[1], 'https://x', accept_invalid_certs=True): pass"
    code = f"{before}\nimport plexindex, sys\n{use}"
    assert run(sys.executable, "-c", code, tmp_path).stderr[: len(printed) or None] == printed


def test_the_level_is_the_logger_s_at_the_time_of_the_message(
    index: plexindex.Index, row: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    def levels(call: Callable[[], object]) -> set[int]:
        caplog.clear()
        call()
        return {record.levelno for record in caplog.records if record.name == "plexindex"}

    caplog.set_level(logging.WARNING, "plexindex")
    assert levels(lambda: index.library("Movies").refresh()) == set()
    caplog.set_level(logging.INFO, "plexindex")
    assert levels(lambda: index.library("TV Shows").refresh()) == {logging.INFO}
    assert levels(lambda: index.library("Movies").match(row["path"])) == set()
    own = aio.AsyncIndex(index)
    lookups = (
        index.match,
        index.folder,
        lambda path: index.match_paths([path]),
        lambda path: asyncio.run(own.match(path)),
    )
    for lookup in lookups:
        caplog.set_level(logging.DEBUG, "plexindex")
        assert levels(lambda: lookup(row["path"])) == {logging.DEBUG}  # noqa: B023
        caplog.set_level(logging.INFO, "plexindex")
        assert levels(lambda: lookup(row["path"])) == set()  # noqa: B023


@pytest.mark.filterwarnings("error")
@pytest.mark.usefixtures("without_collector")
def test_a_dropped_index_is_closed_and_reported_even_if_warnings_are_errors(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gc.collect()  # what other tests have dropped
    reported: list[object] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda unraisable: reported.append(unraisable.exc_type))
    plexindex.open(tmp_path / "first").close()
    descriptors = Path("/proc/self/fd")  # as Linux shows them
    before = len(list(descriptors.glob("*")))
    for number in range(5):
        index = plexindex.open(tmp_path / str(number))
        index.library("Movies").match_paths([])
        with suppress(plexindex.NotFetchedError):
            index.match("/x")
        gone = weakref.ref(index)
        del index
        assert gone() is None, "there is a reference cycle"
    assert reported == [ResourceWarning] * 5
    assert len(list(descriptors.glob("*"))) <= before


DURING_AN_IMPORT = """
class Slow:
    def find_spec(self, name, path=None, target=None):
        if name == "json":
            begun.set()
            time.sleep(0.5)

index, begun = plexindex.open(sys.argv[1]), threading.Event()
sys.meta_path.insert(0, Slow())
thread = threading.Thread(target=index.store)
thread.start()
begun.wait()
child = os.fork()
if child == 0:
    signal.alarm(20)
    index.store()
    os._exit(0)
thread.join()
assert os.waitpid(child, 0)[1] == 0, "the child hangs"
index.close()
"""


@forks
def test_a_fork_waits_for_an_import_of_another_thread(tmp_path: Path) -> None:
    run_python(PROGRAM + DURING_AN_IMPORT, tmp_path)


IN_TWO_WAYS = """
sys.setswitchinterval(1e-6)

def as_module():
    exec(f"from plexindex.{sys.argv[1]} import {sys.argv[2]}")

def by_name():
    time.sleep(0.001)
    getattr(plexindex, sys.argv[3])

in_threads(as_module, by_name)
"""


@pytest.mark.parametrize("names", [("changes", "Changes", "Changes"), ("aio", "AsyncIndex", "aio")])
def test_two_threads_import_a_module_in_two_ways(names: tuple[str, str, str]) -> None:
    for _ in range(3):
        run_python(PROGRAM + IN_TWO_WAYS, *names)


def test_calls_import_only_under_the_lock() -> None:
    package = Path(plexindex.__file__).parent
    skipped = {"aio.py", "__main__.py", "testing", "_cli", "compare"}
    for file in package.rglob("*.py"):
        if file.relative_to(package).parts[0] in skipped:
            continue
        tree = ast.parse(file.read_text(encoding="utf-8"))
        functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
        locked = [
            line
            for node in ast.walk(tree)
            if isinstance(node, ast.With) and ast.unparse(node.items[0]) == "importing()"
            for line in range(node.lineno, (node.end_lineno or 0) + 1)
        ]
        for node in (node for function in functions for node in ast.walk(function)):
            if isinstance(node, (ast.Import, ast.ImportFrom, ast.Call)):
                called = ast.unparse(node.func) if isinstance(node, ast.Call) else "import"
                assert called not in ("import", "import_module", "__import__") or node.lineno in locked, file


def test_a_watch_passes_its_log_while_the_host_makes_no_calls(
    plex: FakePlex, films: plexindex.Index, caplog: pytest.LogCaptureFixture
) -> None:
    with films.watch():
        until(lambda: plex._listeners)
        caplog.clear()
        plex.stop()
        until(lambda: [line for line in caplog.records if line.levelno >= logging.WARNING])
