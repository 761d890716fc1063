"""Bad input: a clear error that names the input and the remedy, and the store as it was."""

from __future__ import annotations

import copy
import gc
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import plexindex
import pytest
from conftest import TOKEN, Server

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
    assert index.stats()["matches"] == before["matches"] == 0
    assert index.stats()["sequence"] == before["sequence"]


def test_a_text_with_a_lone_surrogate_is_refused(index: plexindex.Index, server: Server, cache: Path) -> None:
    movies, table, bad = index.library("Movies"), index.table("mine"), "secret\ud800"
    movies.refresh()
    server.reset()

    def opened(**options: Any) -> plexindex.Index:
        return plexindex.open(**{"cache_dir": cache, "server_url": server.url, "token": server.token, **options})

    calls: dict[str, list[Callable[[], object]]] = {
        "key": [
            lambda: movies.record_match("/x", bad),
            lambda: movies.record_match("/x", bad, through=True),
            lambda: movies.record_matches([("/y", "7"), ("/x", bad)]),
            lambda: movies.invalidate_item(bad),
        ],
        "GUID": [lambda: movies.match_guid(bad)],
        "title": [lambda: movies.search_title(bad)],
        "cursor": [lambda: movies.changes(bad)],
        "method": [lambda: index.call(bad)],
        "library": [lambda: index.library(bad).match("/x"), lambda: index.library(section=bad).match("/x")],
        "table": [lambda: index.table(bad)],
        "name": [lambda: table.get(bad), lambda: table.set(bad, b""), lambda: table.delete(bad), lambda: bad in table],
        "token": [lambda: index.set_token(bad), lambda: opened(token=bad), lambda: opened(token=lambda: bad)],
    }
    for option in ("cache_dir", "server_url", "user", "ca_file", "database", "shared"):
        calls[option] = [lambda option=option: opened(**{option: bad})]  # type: ignore[misc]
    for name, asks in calls.items():
        for ask in asks:
            with pytest.raises(REFUSED, match=f"the {name} .* contains a lone surrogate") as caught:
                ask()
            assert ("secret" in str(caught.value)) == (name not in ("token", "shared")), name
    with pytest.raises(REFUSED):
        index.call("items.get", {"key": bad})
    assert server.requests() == 0
    assert index.stats()["matches"] == 0


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


def test_a_call_that_is_wrong_names_what_was_called(index: plexindex.Index) -> None:
    movies: Any = index.library("Movies")
    wrong: Any = None
    calls: list[tuple[Callable[[], object], str]] = [
        (lambda: movies.match("/a", library="TV"), r"match\(\) got an unexpected keyword argument 'library'"),
        (lambda: movies.invalidate("/a.mkv"), r"invalidate\(\) takes 1 positional argument but 2 were given"),
        (lambda: movies.record_match("/a.mkv"), r"record_match\(\) missing 1 required positional argument: 'key'"),
        (lambda: index.compare(wrong), "folders must be a path or a list of paths, not NoneType"),
        (lambda: index.edit_items(wrong, library="Movies"), "keys must be a list of keys, not NoneType"),
        (lambda: index.library(1.5), "title must be str or int, not float"),  # type: ignore[arg-type]
        # What the method itself refuses keeps its own words.
        (lambda: movies.match(7), "a path must be str, bytes or os.PathLike, not int"),
    ]
    for call, said in calls:
        with pytest.raises(TypeError, match=said):
            call()


@pytest.mark.both
@pytest.mark.parametrize(
    "wrong",
    [{"timeout": "x"}, {"timeout": -1}, {"timeout": float("nan")}, {"timeout": True}, {"progress": 3}]
    + [{name: value} for name in ("check", "offline") for value in ("false", 1, None)],
    ids=str,
)
def test_a_wrong_argument_is_refused_for_a_listed_file(
    index: plexindex.Index, server: Server, wrong: dict[str, Any]
) -> None:
    index.refresh()
    path = server.paths()[0]["path"]
    with pytest.raises((TypeError, REFUSED), match=next(iter(wrong))):
        index.match(path, **wrong)


@pytest.mark.parametrize("option", ["accept_invalid_certs", "offline", "mmap", "obfuscate_paths", "shared_durable"])
def test_a_switch_is_a_bool(cache: Path, option: str) -> None:
    with pytest.raises(TypeError, match=option):
        plexindex.open(cache, **{option: "false"})  # type: ignore[arg-type]


def test_a_query_takes_only_bools(index: plexindex.Index) -> None:
    movies: Any = index.library("Movies")
    calls: list[tuple[str, Callable[..., object]]] = [
        ("check", lambda **given: movies.match_paths([], **given)),
        ("check", lambda **given: movies.folder("/a", **given)),
        ("check", lambda **given: movies.match_guid("tt1", **given)),
        ("check", lambda **given: movies.search_title("A", **given)),
        ("check", movies.refresh),
        ("full", movies.refresh),
        ("full", movies.changes),
        ("offline", movies.items),
        ("offline", movies.watch),
        ("offline", index.libraries),
        ("offline", lambda **given: index.compare("/a", **given)),
        ("through", lambda **given: movies.record_match("/a", 7, **given)),
    ]
    for name, call in calls:
        with pytest.raises(TypeError, match=f"{name} must be True or False, not str"):
            call(**{name: "false"})


def test_an_argument_of_the_wrong_type_is_named(index: plexindex.Index, cache: Path) -> None:
    some: Any = index
    table: Any = index.table("mine")
    matches: Any = index.match_paths([], offline=True) if index.refresh() else None
    calls: list[tuple[str, Callable[[], object]]] = [
        ("mappings", lambda: plexindex.open(cache, mappings=3)),  # type: ignore[arg-type]
        ("mappings", lambda: plexindex.open(cache, mappings=[("/a", 3)])),  # type: ignore[list-item]
        ("mappings", lambda: plexindex.open(cache, mappings=[("/a\0", "/b")])),
        ("fields", lambda: some.edit_items([101], ["title"], "Movies")),
        ("remove", lambda: some.edit_items([101], {}, "Movies", remove=["genre"])),
        ("request", lambda: some.call("items.list", [1])),
        ("value", lambda: table.set("a", "str")),
        ("value", lambda: table.set("a", 5)),
        ("position 1", lambda: index.match_paths(["/a", "/b\0"])),
        ("position 1", lambda: index.match_paths([b"/a", ""])),
        ("str", lambda: matches["x"]),
        ("since", lambda: some.watch(3)),
        ("timeout", lambda: some.watch(timeout="x")),
        ("name a library", lambda: list(index.library())),
        ("name a library", lambda: some.items(None)),
    ]
    for said, call in calls:
        with pytest.raises((TypeError, REFUSED), match=said):
            call()


def test_an_index_and_a_table_are_not_copied(index: plexindex.Index) -> None:
    for call in (copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="cannot copy an Index"):
            call(index)
    with pytest.raises(TypeError, match="pickle the Index"):
        pickle.dumps(index.table("mine"))


def test_an_index_that_is_not_closed_warns(cache: Path) -> None:
    def leave() -> None:
        plexindex.open(cache)
        gc.collect()

    with pytest.warns(ResourceWarning, match="never closed"):
        leave()


def test_the_token_is_written_nowhere(index: plexindex.Index, cache: Path) -> None:
    index.refresh()
    index.close()
    assert repr(index).find(TOKEN) < 0
    for file in cache.rglob("*"):
        if file.is_file():
            assert TOKEN.encode() not in file.read_bytes(), file
            assert os.name == "nt" or file.stat().st_mode & 0o077 == 0, file
    assert os.name == "nt" or cache.stat().st_mode & 0o077 == 0
