"""Methods by name: how requests and answers are converted, and what ends a call."""

from __future__ import annotations

import threading
from typing import Any

import plexindex
import pytest
from conftest import Server
from plexindex._core import native as _native

pytestmark = pytest.mark.both


def test_the_trash_is_listed_by_the_server(index: plexindex.Index, server: Server) -> None:
    films = index.library("Movies")
    key = next(films.items()).rating_key
    server.post("items/missing", {"ratingKeys": [key]})
    films.invalidate()
    films.refresh()
    (trashed,) = films.items(trashed=True)
    assert trashed.rating_key == key
    assert trashed.trashed
    assert key not in [item.rating_key for item in films.items()]
    with pytest.raises(plexindex.OfflineError):
        next(films.items(trashed=True, offline=True))


def test_what_the_library_refuses_is_an_error(index: plexindex.Index) -> None:
    with pytest.raises(plexindex.InvalidArgumentError, match=r"items\.lists"):
        index.call("items.lists")
    with pytest.raises(plexindex.NotFetchedError):
        index.call("items.get", {"key": "1"})


def test_a_call_ends_by_its_timeout_and_a_close(index: plexindex.Index) -> None:
    index.refresh()
    wait = {"cursor": index.call("changes.list")["cursor"], "offline": True}
    assert index.call("changes.wait", wait, timeout=0.1) == {"ready": False}
    threading.Timer(0.3, index.close).start()
    with pytest.raises(plexindex.ClosedError):
        index.call("changes.wait", wait)
    with pytest.raises(plexindex.ClosedError):
        index.call("versions")


def test_answers_are_freed(index: plexindex.Index, monkeypatch: pytest.MonkeyPatch) -> None:
    index.call("versions")
    native, real = _native.load(), _native.load().free
    freed: list[bytes | None] = []

    def free(answer: Any) -> None:
        freed.append(answer.value)
        real(answer)

    monkeypatch.setattr(native, "free", free)
    index.call("versions")
    with pytest.raises(plexindex.InvalidArgumentError):
        index.call("items.lists")
    assert [answer is not None for answer in freed] == [True, False]
