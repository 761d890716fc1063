"""Watching and notifying: from what the server tells, or the host was told, to the next answer; requests counted."""

from __future__ import annotations

import json
from typing import Any

import plexindex
import pytest
from conftest import Server

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
    assert (after["events"] - before["events"], after["hints"] - before["hints"]) == (
        min(requests, 1),
        min(requests, 1),
    )
    assert server.requests() == 0
    assert index.match(path, "Movies")
    assert server.requests() == requests
