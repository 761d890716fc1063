"""Several processes on one cache: each answers at once, and all agree."""

from __future__ import annotations

import multiprocessing
import os
import sys
import threading
from pathlib import Path

import plexindex
import pytest
from conftest import OpenIndex, Server, run_python

SECOND = """
import sys, plexindex
cache, url, token, first, second = sys.argv[1:]
with plexindex.open(cache, server_url=url, token=token) as index:
    movies = index.library("Movies")
    print(movies.lookup_key(first), movies.match(second).match_kind, index.match(first).title)
    movies.record_match("/host/second.mkv", movies.match(second).rating_key)
    print(index.stats().request_count)
"""


@pytest.mark.both
def test_a_second_process_answers_fast_lookups_at_once(index: plexindex.Index, cache: Path, server: Server) -> None:
    movies = index.library("Movies")
    movies.refresh()
    index.refresh("TV Shows")
    first, second = server.paths(1)[:2]
    movies.record_match("/host/first.mkv", first["ratingKey"])
    server.reset()
    printed = run_python(SECOND, cache, server.url, server.token, first["path"], second["path"]).splitlines()
    assert printed == [f"/library/metadata/{first['ratingKey']} exact {first['title']}", "0"]
    assert server.requests() == 0
    # What it recorded is known here by the time it has ended.
    assert movies.match("/host/second.mkv").rating_key == second["ratingKey"]


def child(cache: str, path: str, key: str) -> None:
    """In a process of its own: the fast lookup's answer, or an exit code."""
    with plexindex.open(cache, offline=True) as index:
        sys.exit(0 if index.library("Movies").lookup_key(path) == key else 3)


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_processes_of_multiprocessing(
    index: plexindex.Index, cache: Path, server: Server, method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    movies = index.library("Movies")
    movies.refresh()
    row = server.paths(1)[0]
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    arguments = (str(cache), row["path"], f"/library/metadata/{row['ratingKey']}")
    context = multiprocessing.get_context(method)
    processes = [context.Process(target=child, args=arguments) for _ in range(2)]  # type: ignore[attr-defined]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0, 0]


@pytest.mark.both
def test_an_index_works_on_both_sides_of_a_fork(index: plexindex.Index, server: Server) -> None:
    movies = index.library("Movies")
    rows = server.paths(1)
    movies.refresh()
    pid = os.fork()
    if pid == 0:
        # No exception may come back into the test's code: this process ends here.
        code = 9
        try:
            # First a call that opens the database: a fast lookup does not wait for that, and the parent may just have
            # recorded something.
            good = movies.match(rows[1]["path"]).rating_key == rows[1]["ratingKey"]
            # The parent may record just now: a fast lookup does not know until a call has read that.
            while (key := movies.lookup_key(rows[0]["path"])) is None:
                movies.match(rows[1]["path"])
            good &= key == f"/library/metadata/{rows[0]['ratingKey']}"
            movies.record_match("/host/child.mkv", rows[2]["ratingKey"])
            good &= movies.match("/host/child.mkv").match_kind == "confirmed"
            index.close()
            code = 0 if good else 3
        finally:
            os._exit(code)
    movies.record_match("/host/parent.mkv", rows[3]["ratingKey"])
    _, status = os.waitpid(pid, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    assert movies.match("/host/parent.mkv").rating_key == rows[3]["ratingKey"]
    assert movies.match("/host/child.mkv").rating_key == rows[2]["ratingKey"]


@pytest.mark.both
def test_a_closing_child_waits_for_no_thread_of_its_parent(open_index: OpenIndex, server: Server) -> None:
    server.fault(kind="listing", action="delay", ms=20, count=0)
    index = open_index(page_size=20)
    fetching = threading.Event()
    thread = threading.Thread(target=index.refresh, args=("Movies",), kwargs={"progress": lambda _: fetching.set()})
    thread.start()
    assert fetching.wait(30)
    pid = os.fork()
    if pid == 0:
        # The thread and its call do not exist here.
        code = 9
        try:
            index.close()
            code = 0
        finally:
            os._exit(code)
    _, status = os.waitpid(pid, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    thread.join(60)
    assert index.match(server.paths(1)[0]["path"], "Movies", offline=True).match_kind == "exact"
