"""Methods by name: how requests and answers are converted, and what ends a call."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

import plexindex
import pytest
from conftest import Server
from plexindex._core import native as _native

pytestmark = pytest.mark.both


def test_the_trash_is_listed_by_the_server_and_never_stored(index: plexindex.Index, server: Server) -> None:
    films = index.library("Movies")
    key, path = next((item.rating_key, item.path) for item in films.items())
    server.post("items/missing", {"ratingKeys": [key]})
    films.invalidate()
    films.refresh()
    server.reset()
    (trashed,) = films.items(trashed=True)
    assert (trashed.rating_key, trashed.path, trashed.trashed) == (key, path, True)
    assert server.requests() == 1
    with pytest.raises(plexindex.OfflineError):
        next(films.items(trashed=True, offline=True))
    assert path and films.match(path, offline=True).item is None
    assert key not in [item.rating_key for item in films.items()]
    assert list(index.items("TV Shows", trashed=True)) == []


def test_what_is_wrong_is_named(index: plexindex.Index, cache: Path) -> None:
    for method, request, text in (
        ("items.lists", {}, "no method 'items.lists'"),
        ("items.get", {"key": "1", "deadline": 1}, "deadline"),
        ("items.get", {}, "key"),
        ("match.title", {"title": "\udcff"}, "match.title"),
    ):
        with pytest.raises(plexindex.InvalidArgumentError, match=text):
            index.call(method, request)
    with pytest.raises(TypeError, match="cannot contain a value of type object"):
        index.call("items.get", {"key": object()})
    with pytest.raises(TypeError, match="library must be"):
        index.call("items.get", {"key": "1", "library": 1.5})
    with (
        plexindex.open(cache / "other") as other,
        pytest.raises(plexindex.InvalidArgumentError, match="a different index"),
    ):
        index.call("items.get", {"key": "1", "library": other.library("Movies")})
    with pytest.raises(plexindex.NotFetchedError):
        index.call("items.get", {"key": "1"})


def test_a_call_ends_by_its_deadline_its_progress_and_a_close(index: plexindex.Index) -> None:
    index.refresh()
    wait = {"cursor": index.call("changes.list")["cursor"], "offline": True}
    begun = time.monotonic()
    assert index.call("changes.wait", wait, timeout=0.1) == {"ready": False}
    with pytest.raises(TypeError, match="progress must be a function"):
        index.call("changes.wait", wait, progress=7)  # type: ignore[call-overload]
    threading.Timer(0.3, index.close).start()
    with pytest.raises(plexindex.ClosedError):
        index.call("changes.wait", wait)
    assert time.monotonic() - begun < 20
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
