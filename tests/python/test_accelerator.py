"""The accelerator: as the functions that it stands in for, and not needed. Other tests run over whichever is there."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import plexindex
import pytest
from conftest import Server
from plexindex._core import lookups as _lookups
from plexindex.compat import MatchCache

WANTED = sys.implementation.name == "cpython" and sys.version_info >= (3, 10)
accelerated = pytest.mark.skipif(_lookups.fast() is None, reason="ctypes is asked for, or this Python is too old")


@pytest.fixture(autouse=True, params=["plain", "collecting"])
def collector(request: pytest.FixtureRequest) -> Iterator[None]:
    """Each test twice, the second time with a collection at every allocation that may have one: it runs finalizers."""
    before = gc.get_threshold()
    # Collections look at the test's own objects only: those of all modules would take most of the time.
    gc.freeze()
    if request.param == "collecting":
        gc.set_threshold(1)
    yield
    gc.set_threshold(*before)
    gc.unfreeze()


class Finalized:
    """In a cycle of its own: the collector calls what it is given."""

    def __init__(self, call: Callable[[], object]) -> None:
        self.call, self.me = call, self

    def __del__(self) -> None:
        self.call()


def collected_in(work: Callable[[], Any], *calls: Callable[[], object]) -> Any:
    """What `work` gives while the next collection makes these calls. CPython 3.12 and newer make them behind it."""
    before = gc.get_threshold()
    gc.collect()
    gc.disable()
    try:
        for call in calls:
            Finalized(call)
        gc.set_threshold(1)
        gc.enable()
        return work()
    finally:
        gc.set_threshold(*before)
        gc.enable()
        gc.collect()


def paths_of(server: Server, count: int) -> list[str]:
    return [row["path"] for row in server.paths()[:count]]


class Text(str):
    """A `str` that is more than one."""


@pytest.mark.skipif(bool(os.environ.get("PLEXINDEX_NO_ACCELERATOR")), reason="ctypes is asked for")
def test_it_is_in_the_wheel() -> None:
    assert (_lookups.fast() is not None) == WANTED


@accelerated
def test_it_answers_as_ctypes_does(index: plexindex.Index, server: Server) -> None:
    movies = index.library("Movies")
    movies.refresh()
    plain = paths_of(server, 40)
    movies.record_match("/host/\u00e9.mkv", "1003")
    before = server.requests()
    asked: list[Any] = [*plain, Text(plain[0]), "/host/\u00e9.mkv", plain[0].upper(), "x"]
    for path in asked:
        answer, slow = movies.match(path), movies.match(path, check=False, offline=True)
        assert answer == slow
        assert repr(answer) == repr(slow)
        assert movies.lookup_key(path) == movies._lookup_keys([path])[0]
    keys = movies._lookup_keys(asked)
    assert movies.lookup_keys(asked) == keys
    assert movies.lookup_keys(iter(plain * 100)) == keys[:40] * 100
    assert movies.lookup_keys([]) == []
    assert movies.lookup_key("/" * 40_000) is None
    assert server.requests() == before
    # What has to be verified is verified.
    movies.invalidate_path(plain[0])
    assert movies.match(plain[0]).key
    assert server.requests() > before


@accelerated
def test_references_are_counted_right(index: plexindex.Index, server: Server, tmp_path: Path) -> None:
    movies = index.library("Movies")
    movies.refresh()
    paths = paths_of(server, 3)
    cache = MatchCache(tmp_path)
    cache.set_match("Movies", paths[0], "7")
    accented = "/a/\u00c4.mkv"
    cache.set_match("Movies", accented, "8")
    watched: list[Any] = [None, *paths, paths, "Movies", accented, accented.lower()]

    def counts() -> list[int]:
        return [sys.getrefcount(one) for one in watched]

    before = counts()
    for _ in range(1000):
        movies.lookup_key(paths[0])
        movies.lookup_key("/nowhere")
        movies.lookup_keys(paths)
        movies.lookup_keys([*paths, "/nowhere"])
        movies.match(paths[0])
        movies.match(paths[0], offline=True)
        movies.match(path=paths[1])
        cache.get_match("Movies", paths[0])
        cache.get_match("Movies", paths[1])
        cache.get_match("Movies", accented)
        cache.get_match(library_name="Movies", file_path=paths[0])
        with pytest.raises(TypeError):
            movies.lookup_keys([*paths, 7])  # type: ignore[list-item]
    # Python itself may keep one or the other.
    assert all(abs(now - then) < 100 for now, then in zip(counts(), before))


def calls_of(what: Callable[[], object]) -> int:
    """How many functions of Python's it calls."""
    calls: list[str] = []
    sys.setprofile(lambda _frame, event, _: calls.append(event))
    try:
        what()
    finally:
        sys.setprofile(None)
    return calls.count("call")


@accelerated
def test_calls_of_hosts_call_few_functions_of_python(index: plexindex.Index, server: Server) -> None:
    movies = index.library("Movies")
    movies.refresh()
    path = paths_of(server, 1)[0]
    # This one, `match`, three for the log's level and the block, the answer's constructor, and `key`.
    assert calls_of(lambda: movies.match(path).key) <= 7
    movies.record_match("/host/a.mkv", "7")
    assert calls_of(lambda: movies.record_match("/host/b.mkv", "7")) <= 16


@accelerated
def test_the_cache_of_matches_calls_no_function_of_python(tmp_path: Path) -> None:
    cache = MatchCache(tmp_path)
    names = ["/a/B.mkv", "/a/\u00c4.mkv", "/a/odd.mkv"]
    for name in names:
        cache.set_match("Movies", name, f"key of {name}")
        assert cache.get_match(library_name=Text("Movies"), file_path=Text(name)) == f"key of {name}"
    for name in names:  # also where letters have to be lowered
        assert cache.get_match("Movies", name) == f"key of {name}"
        assert calls_of(partial(cache._lookup.get_match, "Movies", name)) == 0
    assert cache.get_match("Shows", names[0]) is None
    stats = cache.get_stats()
    assert stats["hits"] == 6
    assert stats["misses"] == 1
    wrong: list[tuple[Any, ...]] = [(), ("Movies",), ("Movies", "/a", "/b")]
    for arguments in wrong:
        with pytest.raises(TypeError, match="get_match"):
            cache.get_match(*arguments)


@accelerated
def test_wrong_memory_is_refused() -> None:
    fast = _lookups.fast()
    for cells in ((7, 8), (bytearray(8), bytearray(3)), (None, bytearray(8))):
        with pytest.raises((TypeError, ValueError)):
            fast.Lookups()._bind(*cells)
    with pytest.raises(TypeError):
        fast.MatchLookup([])
    with pytest.raises(ValueError, match="NULL"):
        fast.set_functions([1, 2, 3, 4, 0])


@accelerated
def test_a_list_may_shrink_while_its_keys_are_looked_up(index: plexindex.Index, server: Server) -> None:
    movies = index.library("Movies")
    movies.refresh()
    plain = paths_of(server, 40)
    keys = movies.lookup_keys(plain)
    for left in (0, 1, 300):
        paths = plain * 100
        found = collected_in(lambda: movies.lookup_keys(paths), lambda: paths.__delitem__(slice(left, None)))  # noqa: B023
        assert len(paths) == left
        assert found in (keys * 100, (keys * 100)[:left])


@accelerated
def test_a_table_may_be_closed_when_another_is_let_go_of(tmp_path: Path) -> None:
    cache = MatchCache(tmp_path)
    cache.set_match("Movies", "/a", "7")
    assert [cache.get_match("Movies", "/a") for _ in range(2)] == ["7", "7"]

    class Owner(bytearray):
        def __del__(self) -> None:
            cache.close()

    handles, lookup = cache._lookup._handles, cache._lookup
    handles["Shows"] = Owner(handles["Movies"])
    assert lookup.get_match("Shows", "/a") == "7"
    del handles["Shows"]
    # Now only the accelerator has the owner, until it is asked for another library.
    assert lookup.get_match("Movies", "/a") == "7"
