"""Watching and notifying: from what the server tells, or the host was told, to the next answer; requests counted."""

from __future__ import annotations

import json
import threading
import time
from typing import Any

import plexindex
import pytest
from conftest import OpenIndex, Server, until


def is_fresh(index: plexindex.Index) -> bool:
    """Whether the movies are answered without a look at the server."""
    return next(one for one in index.libraries(offline=True) if one.title == "Movies").fresh


def settle(index: plexindex.Index, server: Server) -> list[dict[str, str]]:
    """Fetches the movies and waits for the first hint of a watch; gives their paths, with nothing counted."""
    rows = server.paths()
    assert index.match(rows[0]["path"], "Movies")
    index.watch_start()
    until(lambda: server.get("stats")["listeners"] == 1)
    until(lambda: not is_fresh(index))
    assert index.match(rows[0]["path"], "Movies")
    server.reset()
    return rows


def test_it_stops_within_a_second_and_with_the_index(open_index: OpenIndex, server: Server) -> None:
    index = open_index()
    with index.watch() as same:
        assert same is index
        until(lambda: server.get("stats")["listeners"] == 1)
        begin = time.monotonic()
    assert time.monotonic() - begin < 1
    index.watch_stop()
    index.watch_start()
    index.watch_start()
    begin = time.monotonic()
    index.close()
    assert time.monotonic() - begin < 1
    with pytest.raises(plexindex.ClosedError):
        index.watch_start()


def test_other_threads_go_on_while_it_stops(index: plexindex.Index, server: Server) -> None:
    path = server.paths()[0]["path"]
    assert index.match(path, "Movies")
    errors: list[BaseException] = []
    stop = threading.Event()

    def ask() -> None:
        try:
            while not stop.is_set():
                assert index.match(path, "Movies")
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    for _ in range(10):
        index.watch_start()
        index.watch_stop()
    stop.set()
    for thread in threads:
        thread.join()
    assert errors == []


def test_closing_inside_of_the_block_is_fine(open_index: OpenIndex) -> None:
    index = open_index()
    with index.watch():
        index.close()


def test_without_a_server_a_watch_is_refused(open_index: OpenIndex) -> None:
    index = open_index(server_url=None, token=None)
    with pytest.raises(plexindex.OfflineError, match="server_url"):
        index.watch_start()


HOOK: dict[str, Any] = {
    "event": "library.new",
    "Server": {"title": "Home", "uuid": "5a4d1e8f0c6b4792a3d8e1f5b7c09d2468ace013"},
    "Metadata": {"librarySectionID": 1, "ratingKey": "108", "type": "movie", "title": "Ü"},
}

FORM = (
    b'--bound\r\nContent-Disposition: form-data; name="payload"\r\nContent-Type: application/json\r\n\r\n'
    + json.dumps(HOOK).encode()
    + b'\r\n--bound\r\nContent-Disposition: form-data; name="thumb"; filename="t.jpg"\r\n\r\n\xff\0\r\n--bound--\r\n'
)


@pytest.mark.parametrize(
    ("body", "requests"),
    [
        (HOOK, 3),
        (json.dumps(HOOK), 3),
        (json.dumps(HOOK).encode(), 3),
        (bytearray(FORM), 3),
        (memoryview(FORM), 3),
        ({"NotificationContainer": {"TimelineEntry": [{"sectionID": "1", "itemID": "5", "state": 5}]}}, 3),
        ({"event": "media.play", "Metadata": {"librarySectionID": 1}}, 0),
    ],
)
def test_what_the_host_was_told(index: plexindex.Index, server: Server, body: Any, requests: int) -> None:
    path = next(row["path"] for row in server.paths() if row["ratingKey"] == "1001")
    assert index.match(path, "Movies")
    server.reset()
    before = index.stats()
    index.notify(body)
    after = index.stats()
    assert (after.events - before.events, after.hints - before.hints) == (min(requests, 1), min(requests, 1))
    assert server.requests() == 0
    assert index.match(path, "Movies")
    assert server.requests() == requests


def test_what_is_no_event_is_refused(index: plexindex.Index) -> None:
    for body in ("", "payload={}", b"\0", {"a": 1}, "[]"):
        with pytest.raises(plexindex.InvalidArgumentError):
            index.notify(body)
    with pytest.raises(TypeError):
        index.notify(7)  # type: ignore[arg-type]
