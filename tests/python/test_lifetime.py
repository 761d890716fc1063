"""Opening, closing, threads: whatever is done after a close, and at the same time as one, is an error and no crash."""

from __future__ import annotations

import gc
import threading
import weakref
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import plexindex
import pytest
from conftest import OpenIndex, Server
from plexindex._core import lookups as _lookups

pytestmark = pytest.mark.both


def after_close(index: plexindex.Index, movies: plexindex.Library) -> list[Callable[[], object]]:
    """Every way to use an index."""
    lookup = movies.lookup_key
    return [
        lambda: lookup("/x"),
        lambda: plexindex.Library.lookup_key(movies, "/x"),
        lambda: movies.lookup_keys(["/x"]),
        lambda: movies.match("/x"),
        lambda: movies.match_paths(["/x"]),
        lambda: movies.record_matches([("/x", "7")]),
        lambda: movies.invalidate_path("/x"),
        lambda: movies.refresh(),
        lambda: index.library("Movies"),
        lambda: index.match_paths([], "Movies"),
        lambda: index.refresh(),
        lambda: index.libraries(),
        lambda: index.stats(),
        lambda: index.__enter__(),
        lambda: index.call("store.get"),
        lambda: index.table("mine").get("a"),
        lambda: next(iter(index.watch())),
    ]


def test_use_after_close_is_an_error(cache: Path) -> None:
    index = plexindex.open(cache)
    movies = index.library("Movies")
    uses = after_close(index, movies)
    index.close()
    for number, use in enumerate(uses):
        with pytest.raises(plexindex.ClosedError, match="is closed: open it again"):
            print(number, use())
    assert "(closed)" in repr(movies)


def test_an_index_without_a_reference_closes_itself(cache: Path) -> None:
    index = plexindex.open(cache)
    movies = index.library("Movies")
    movies.lookup_key("/x")
    movies.match_paths([])
    gone = weakref.ref(index)
    gc.disable()
    try:
        del index, movies
        assert gone() is None, "there is a reference cycle"
    finally:
        gc.enable()


def run_threads(count: int, work: Callable[[int], None]) -> None:
    """Runs them all at once; raises what the first one raised."""
    start = threading.Barrier(count)

    def run(number: int) -> None:
        start.wait()
        work(number)

    with ThreadPoolExecutor(count) as pool:
        list(pool.map(run, range(count), timeout=60))


def test_threads_share_an_index(index: plexindex.Index, server: Server) -> None:
    rows = server.paths(1)
    keys = [f"/library/metadata/{row['ratingKey']}" for row in rows]
    movies = index.library("Movies")

    def work(number: int) -> None:
        for row, key in list(zip(rows, keys))[number::2]:
            assert movies.match(row["path"]).key == key
            # While others record, a fast lookup may say that there is something to read first; never anything else.
            assert movies.lookup_key(row["path"]) in (key, None)
            assert index.match(row["path"], "Movies").title == row["title"]
        movies.record_match(f"/host/{number}.mkv", rows[number]["ratingKey"])
        assert [match.key for match in movies.match_paths(row["path"] for row in rows)] == keys
        fast = movies.lookup_keys([row["path"] for row in rows])
        assert all(found in (key, None) for found, key in zip(fast, keys))
        assert movies.match(f"/host/{number}.mkv").key == keys[number]

    run_threads(8, work)
    assert server.get("stats")["requests"]["listing"] <= 3
    assert movies.lookup_keys([row["path"] for row in rows]) == keys
    assert movies.lookup_keys([f"/host/{number}.mkv" for number in range(8)]) == keys[:8]


def test_a_close_while_others_look_up(open_index: OpenIndex, server: Server) -> None:
    path = server.paths(1)[0]["path"]
    for _ in range(10):
        index = open_index()
        movies = index.library("Movies")
        movies.refresh()
        close_under_lookups(index, movies, path)


def close_under_lookups(index: plexindex.Index, movies: plexindex.Library, path: str) -> None:
    """Four threads ask without end, each in its own way, until a fifth one closes."""
    looking = threading.Semaphore(0)

    def ask(use: Callable[[str], object]) -> None:
        while True:
            use(path)
            looking.release()

    def work(number: int) -> None:
        if number == 4:
            for _ in range(8):
                looking.acquire()
            index.close()
            return
        uses: list[Callable[[str], object]] = [
            movies.lookup_key,
            movies.match,
            lambda path: movies.lookup_keys([path]),
            lambda _: index.library("New"),
        ]
        with pytest.raises(plexindex.ClosedError):
            ask(uses[number])

    run_threads(5, work)


def test_a_close_ends_a_fetch_of_another_thread(open_index: OpenIndex, server: Server) -> None:
    server.fault(kind="listing", action="delay", ms=30, count=0)
    index = open_index(page_size=1)
    fetching = threading.Event()
    path = server.paths(1)[-1]["path"]

    def work(number: int) -> None:
        if number == 0:
            assert fetching.wait(30)
            index.close()
        else:
            with pytest.raises(plexindex.ClosedError, match="closed during this call"):
                index.match(path, "Movies", progress=lambda _: fetching.set())

    run_threads(2, work)
    assert server.get("stats")["requests"]["listing"] < 250


def test_without_a_global_lock_lookups_count_as_calls(
    open_index: OpenIndex, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_lookups, "holds_the_lock", lambda: False)
    index = open_index()
    movies = index.library("Movies")
    movies.refresh()
    row = server.paths(1)[0]
    assert movies.lookup_key(row["path"]) == f"/library/metadata/{row['ratingKey']}"
    assert movies.lookup_key(b"/nowhere") is None
    with pytest.raises(plexindex.InvalidArgumentError):
        movies.lookup_key("")
    index.close()
    with pytest.raises(plexindex.ClosedError):
        movies.lookup_key(row["path"])
