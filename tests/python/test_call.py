"""Methods by name: how requests and answers are converted, and what ends a call."""

from __future__ import annotations

import asyncio
import threading
import time
from pathlib import Path
from typing import Any

import plexindex
import pytest
from conftest import Server
from plexindex import _call, _native

pytestmark = pytest.mark.both


def test_a_request_and_its_answer_are_dicts(index: plexindex.Index, server: Server) -> None:
    index.refresh()
    (path,) = [row["path"] for row in server.get("paths?library=1") if row["path"]][:1]
    movies = index.library("Movies")
    page = index.call("items.list", {"library": movies, "limit": 1})
    again = index.call("items.list", {"library": {"title": "Movies"}, "limit": 1, "cursor": None})
    assert page == again
    assert page["cursor"]
    found = index.call("match.folder", {"path": path.encode(), "library": None})
    assert {**found, "age_ms": 0} == {**index.call("match.folder", {"path": path}), "age_ms": 0}
    assert index.call("versions")["library"] == plexindex.__version__


def test_a_path_that_is_not_utf_8_comes_and_goes_as_bytes(index: plexindex.Index) -> None:
    answer = index.call("mappings.to_host", {"path": b"/media/\xe9.mkv"})
    assert answer == {"path": {"bytes": "L21lZGlhL+kubWt2"}}
    assert _call.path_of(answer["path"]) == b"/media/\xe9.mkv"
    assert _call.text_of(answer["path"]) == "/media/\udce9.mkv"
    assert _call.path_of("/media/é.mkv") == "/media/é.mkv".encode()
    assert (_call.path_of(None), _call.text_of(None)) == (b"", None)


def test_what_is_wrong_is_named(index: plexindex.Index, cache: Path) -> None:
    for method, request, text in (
        ("items.lists", {}, "no method 'items.lists'"),
        ("items.get", {"key": "1", "deadline": 1}, "deadline"),
        ("items.get", {}, "key"),
        ("match.title", {"title": "\udcff"}, "match.title"),
    ):
        with pytest.raises(plexindex.InvalidArgumentError, match=text):
            index.call(method, request)
    with pytest.raises(TypeError, match="cannot hold a value of the type object"):
        index.call("items.get", {"key": object()})
    with pytest.raises(TypeError, match="library must be"):
        index.call("items.get", {"key": "1", "library": 1.5})
    with plexindex.open(cache / "other") as other, pytest.raises(plexindex.InvalidArgumentError, match="another index"):
        index.call("items.get", {"key": "1", "library": other.library("Movies")})
    with pytest.raises(plexindex.NotFetchedError):
        index.call("items.get", {"key": "1"})


def test_a_call_ends_by_its_deadline_its_progress_and_a_close(index: plexindex.Index) -> None:
    index.refresh()
    wait = {"cursor": index.call("changes.list")["cursor"], "offline": True}
    begun = time.monotonic()
    assert index.call("changes.wait", wait, deadline=0.1) == {"ready": False}
    with pytest.raises(TypeError, match="progress must be a function"):
        index.call("changes.wait", wait, progress=7)  # type: ignore[arg-type]
    threading.Timer(0.3, index.close).start()
    with pytest.raises(plexindex.ClosedError):
        index.call("changes.wait", wait)
    assert time.monotonic() - begun < 20
    with pytest.raises(plexindex.ClosedError):
        index.call("versions")


def test_a_task_that_is_cancelled_ends_its_call(index: plexindex.Index) -> None:
    index.refresh()
    wait = {"cursor": index.call("changes.list")["cursor"], "offline": True}

    async def cancelled() -> None:
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(index.acall("changes.wait", wait), 0.3)

    asyncio.run(cancelled())
    while any(thread.name == "plexindex" for thread in threading.enumerate()):
        time.sleep(0.02)


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
