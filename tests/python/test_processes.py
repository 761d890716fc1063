"""Several processes on one cache: each answers at once, and all agree."""

from __future__ import annotations

import os
import sys
import threading

import plexindex
import pytest
from conftest import OpenIndex, Server


def child(cache: str, path: str, key: str) -> None:
    """In a process of its own: the fast lookup's answer, or an exit code."""
    with plexindex.open(cache, offline=True) as index:
        sys.exit(0 if index.library("Movies").lookup_key(path) == key else 3)


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
