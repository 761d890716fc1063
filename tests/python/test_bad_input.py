"""Bad input: a clear error that names the input and the remedy, and the store as it was."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import plexindex
import pytest
from conftest import IS_ROOT, TOKEN, OpenIndex, Server

REFUSED = plexindex.InvalidArgumentError


@pytest.mark.both
@pytest.mark.parametrize("path", ["", b"", "/data/movies/a\0b.mkv", b"a\0b", "/m/\ud800"])
def test_paths_that_are_refused(index: plexindex.Index, server: Server, path: Any) -> None:
    movies = index.library("Movies")
    movies.refresh()
    before = index.stats()
    server.reset()
    good = "/data/movies/x.mkv"
    for ask in (
        movies.match,
        movies.lookup_key,
        movies.invalidate_path,
        lambda path: movies.match_paths([good, path]),
        lambda path: movies.lookup_keys([good, path]),
        lambda path: movies.record_match(path, "7"),
        lambda path: movies.record_matches([(good, "7"), (path, "7")]),
    ):
        with pytest.raises(REFUSED, match="the path"):
            ask(path)
    assert server.requests() == 0
    assert index.stats().matches == before.matches == 0
    assert index.stats().sequence == before.sequence


@pytest.mark.both
def test_a_nul_does_not_cut_a_path_short(index: plexindex.Index, server: Server) -> None:
    movies = index.library("Movies")
    movies.refresh()
    listed = server.paths(1)[0]["path"]
    for path in (listed + "\0", listed + "\0.mkv", os.fsencode(listed) + b"\0"):
        with pytest.raises(REFUSED, match="NUL"):
            movies.lookup_key(path)
        with pytest.raises(REFUSED, match="NUL"):
            movies.lookup_keys([path])


def test_keys_that_are_not_as_many_as_the_paths_are_no_answer(
    index: plexindex.Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    movies = index.library("Movies")
    monkeypatch.setattr(index, "_do", lambda *_arguments, **_options: b"/library/metadata/1\0x\0\0")
    with pytest.raises(plexindex.PanicError, match="3 keys for 2 paths"):
        index._lookup_keys(movies, ["/a", "/b"])


@pytest.mark.both
def test_a_path_that_is_not_utf8_matches_itself(index: plexindex.Index, server: Server) -> None:
    movies = index.library("Movies")
    movies.refresh()
    odd = os.fsdecode(b"/data/movies/\xff\xfe.mkv")
    assert movies.lookup_key(odd) is None
    assert movies.match(odd).status == "not_found"
    movies.record_match(odd, server.paths(1)[0]["ratingKey"])
    for path in (odd, os.fsencode(odd)):
        match = movies.match(path)
        assert match.match_kind == "confirmed"
        assert match.path == odd
        assert movies.lookup_key(path) == match.key
        assert movies.lookup_keys([path]) == [match.key]


def test_a_cache_that_is_a_file(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("mine")
    with pytest.raises(plexindex.StoreError) as caught:
        plexindex.open(file)
    assert str(file) in str(caught.value)
    assert file.read_text() == "mine"


@pytest.mark.skipif(IS_ROOT, reason="root writes everywhere")
def test_a_cache_that_is_read_only(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir(mode=0o500)
    for target in (folder / "cache", folder):
        with pytest.raises(plexindex.StoreError) as caught:
            plexindex.open(target)
        assert str(folder) in str(caught.value)


def test_a_cache_where_no_folder_can_be_made() -> None:
    # Also for root, who may write everywhere else.
    with pytest.raises(plexindex.StoreError, match="/proc/plexindex"):
        plexindex.open("/proc/plexindex/cache")


def test_a_library_that_does_not_exist(index: plexindex.Index) -> None:
    with pytest.raises(plexindex.LibraryNotFoundError) as caught:
        index.match("/data/movies/x.mkv", "Filme")
    for text in ("Filme", "Movies", "TV Shows"):
        assert text in str(caught.value)
    assert isinstance(caught.value, LookupError)
    with pytest.raises(plexindex.LibraryNotFoundError):
        index.library(section=99).match("/x")
    assert index.library("Filme").lookup_key("/x") is None


@pytest.mark.parametrize(
    "option", ["library_ttl", "max_age", "deadline", "connect_timeout", "read_timeout", "retry_for"]
)
def test_times_that_are_refused(cache: Path, option: str) -> None:
    for value in (-1, -0.5, float("nan"), float("-inf")):
        with pytest.raises(REFUSED, match=f"{option}={value}"):
            plexindex.open(cache, **{option: value})  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=option):
        plexindex.open(cache, **{option: "soon"})  # type: ignore[arg-type]
    assert not cache.exists()


@pytest.mark.parametrize(
    ("option", "values"),
    [
        ("page_size", (0, -1, 1001, 2**40)),
        ("matches_limit", (0, -1, 2**70)),
        ("size_limit", (0, -1, 2**70)),
    ],
)
def test_numbers_that_are_refused(cache: Path, option: str, values: tuple[int, ...]) -> None:
    for value in values:
        with pytest.raises(REFUSED, match=f"{option}={value} is refused"):
            plexindex.open(cache, **{option: value})  # type: ignore[arg-type]
    for kind in (1.5, "7", True):
        with pytest.raises(TypeError, match=option):
            plexindex.open(cache, **{option: kind})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "rule",
    [
        plexindex.Mapping.host_pattern("(unclosed", "x"),
        plexindex.Mapping.server_pattern(r"(?=look)ahead", "x"),
        plexindex.Mapping.host_pattern("(one)", r"\7"),
        ("", "/x"),
        ("media", "/x"),
        plexindex.Mapping.server_prefix("/x", "media"),
    ],
)
def test_mappings_that_are_refused(cache: Path, rule: Any) -> None:
    with pytest.raises(REFUSED, match="mapping"):
        plexindex.open(cache, mappings=[("/a", "/b"), rule])
    for kind in (5, "ab", ("/a",), ("/a", "/b", "/c")):
        with pytest.raises(TypeError):
            plexindex.open(cache, mappings=[kind])  # type: ignore[list-item]


def test_a_cache_without_a_name() -> None:
    for folder in ("", b"", "a\0b"):
        with pytest.raises(REFUSED, match="cache_dir"):
            plexindex.open(folder)
    with pytest.raises(TypeError):
        plexindex.open(7)  # type: ignore[arg-type]


def test_a_library_that_is_none(index: plexindex.Index, open_index: OpenIndex, tmp_path: Path) -> None:
    with pytest.raises(TypeError):
        index.library(7.0)  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        index.match("/x", 7.0)  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        index.match("/x", True)
    with pytest.raises(REFUSED):
        index.library("")
    other = open_index(tmp_path / "other")
    with pytest.raises(REFUSED, match="belongs to another index"):
        index.match("/x", other.library("Movies"))


@pytest.mark.parametrize("deadline", [-1, float("nan")])
def test_deadlines_that_are_refused(index: plexindex.Index, deadline: float) -> None:
    with pytest.raises(REFUSED, match="deadline"):
        index.match("/x", "Movies", deadline=deadline)
    with pytest.raises(REFUSED, match="deadline"):
        index.compare("/", deadline=deadline, offline=True)


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        ({"action": "status", "status": 401}, plexindex.UnauthorizedError),
        ({"action": "status", "status": 403}, plexindex.ForbiddenError),
        ({"action": "status", "status": 503}, plexindex.StartingError),
        ({"action": "status", "status": 500}, plexindex.ServerError),
        ({"action": "login_page"}, plexindex.NotPlexError),
        ({"action": "empty_object"}, plexindex.NotPlexError),
        ({"action": "garbage"}, plexindex.ServerError),
        ({"action": "truncate"}, plexindex.BadAnswerError),
        ({"action": "redirect", "status": 302, "location": "http://127.0.0.2:9/x"}, plexindex.RedirectedError),
    ],
)
def test_what_a_server_can_do_wrong(index: plexindex.Index, server: Server, fault: dict[str, Any], kind: Any) -> None:
    server.fault(count=0, **fault)
    with pytest.raises(kind) as caught:
        index.match("/data/movies/x.mkv", "Movies")
    assert isinstance(caught.value, plexindex.ServerError)
    assert server.url in str(caught.value)
    assert TOKEN not in str(caught.value)
    server.post("faults/clear")
    # It answers once the server does: nothing was remembered that is not so.
    assert index.match(server.paths(1)[0]["path"], "Movies").match_kind == "exact"


def test_a_wrong_token(open_index: OpenIndex) -> None:
    index = open_index(token="wrong-token")
    with pytest.raises(plexindex.UnauthorizedError, match="token") as caught:
        index.match("/x", "Movies")
    assert "wrong-token" not in str(caught.value)


def test_a_server_that_is_not_there(cache: Path, server: Server) -> None:
    server.stop()
    with plexindex.open(cache, server_url=server.url, token=TOKEN, retry_for=0) as index:
        with pytest.raises(plexindex.ConnectError) as caught:
            index.match("/x", "Movies")
        assert server.url in str(caught.value)
        assert isinstance(caught.value, ConnectionError)


def test_the_token_is_written_nowhere(index: plexindex.Index, cache: Path) -> None:
    index.refresh()
    index.close()
    assert repr(index).find(TOKEN) < 0
    for file in cache.rglob("*"):
        if file.is_file():
            assert TOKEN.encode() not in file.read_bytes(), file
            assert os.name == "nt" or file.stat().st_mode & 0o077 == 0, file
    assert os.name == "nt" or cache.stat().st_mode & 0o077 == 0


def test_a_call_that_is_wrong_names_what_was_called(index: plexindex.Index) -> None:
    movies: Any = index.library("Movies")
    wrong: Any = None
    calls: list[tuple[Callable[[], object], str]] = [
        (lambda: movies.match("/a", timeout=3), r"Library\.match\(\): got an unexpected keyword argument 'timeout'"),
        (lambda: movies.invalidate("/a.mkv"), r"invalidate\(\) takes 1 positional argument but 2 were given"),
        (lambda: movies.record_match("/a.mkv"), r"Library\.record_match\(\): missing a required argument: 'key'"),
        (lambda: index.compare(wrong), "folders must be a path or a list of paths, not NoneType"),
        (lambda: index.edit_items(wrong, library="Movies"), "keys must be a list of keys, not NoneType"),
        (lambda: index.library(1.5), "title must be str or int, not float"),  # type: ignore[arg-type]
        # What the method itself refuses keeps its own words.
        (lambda: movies.match(7), "a path must be str, bytes or os.PathLike, not int"),
    ]
    for call, said in calls:
        with pytest.raises(TypeError, match=said):
            call()


def test_a_progress_that_cannot_be_called_is_refused(index: plexindex.Index, cache: Path) -> None:
    wrong: Any = 5
    calls: list[Callable[[], object]] = [
        lambda: plexindex.open(cache, progress=wrong),
        lambda: index.match("/x", progress=wrong),
        lambda: index.refresh(progress=wrong),
        lambda: index.compare(["/"], progress=wrong),
    ]
    for call in calls:
        with pytest.raises(TypeError, match="progress must be a function, not int"):
            call()


@pytest.mark.parametrize("mappings", ["/mnt/media=/data", {"/mnt/media": "/data"}, b"/mnt"])
def test_mappings_that_are_no_list_are_refused(tmp_path: Path, mappings: Any) -> None:
    for folder in (None, tmp_path):
        with pytest.raises(TypeError, match=r"mappings must be a list of pairs, as .*, not (str|dict|bytes)"):
            plexindex.open(folder, server_url="http://127.0.0.1:1", token="t", mappings=mappings)
