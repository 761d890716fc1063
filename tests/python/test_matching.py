"""Questions and their answers, on the real library over the stand-in server."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import plexindex
import pytest
from conftest import OpenIndex, Server
from plexindex._core import abi as c
from plexindex._core.blocks import PLACES, words_of

pytestmark = pytest.mark.both

MISSING = "/data/movies/Not There (1950)/Not There (1950).mkv"


def test_paths_as_str_bytes_and_path_objects(index: plexindex.Index, server: Server) -> None:
    movies = index.library("Movies")
    row = server.paths(1)[11]
    key = f"/library/metadata/{row['ratingKey']}"
    for path in (row["path"], os.fsencode(row["path"]), PurePosixPath(row["path"]), Path(row["path"])):
        assert movies.match(path).key == key
        assert movies.lookup_key(path) == key
        assert movies.lookup_keys([path, MISSING]) == [key, None]
        assert [match.key for match in movies.match_paths([path, MISSING])] == [key, None]


def test_only_a_sure_match_is_true(index: plexindex.Index, server: Server) -> None:
    movies = index.library("Movies")
    path = server.paths(1)[11]["path"]
    assert movies.match(path)
    assert not movies.match(MISSING)
    # The same name in another folder may be another file.
    low = movies.match(f"/elsewhere/{PurePosixPath(path).name}")
    assert low.confidence == "low"
    assert not low


def test_a_library_is_iterated_and_counted_without_requests(index: plexindex.Index, server: Server) -> None:
    movies: Any = index.library("Movies")
    movies.refresh()
    server.reset()
    items = list(movies)
    assert len(items) == movies.item_count == 300
    assert server.requests() == 0
    # Neither the library's paths nor its items: which one is meant would be a guess.
    for use in (lambda: items[0] in movies, lambda: items[0].path in movies, lambda: len(movies), lambda: movies[0]):
        with pytest.raises(TypeError):
            use()


def test_the_libraries_can_be_asked(index: plexindex.Index, server: Server) -> None:
    movies = index.libraries()[0]
    assert movies.match(server.paths(1)[0]["path"])
    assert not movies.match(server.paths(2)[0]["path"])


def test_an_items_path_on_this_machine(open_index: OpenIndex, server: Server) -> None:
    index = open_index(mappings=[("/mnt/media", "/data")])
    path = server.paths(1)[11]["path"]
    item = index.match(f"/mnt/media{path.removeprefix('/data')}").item
    assert item is not None
    assert item.path == path
    assert item.host_path == f"/mnt/media{path.removeprefix('/data')}"
    index.close()
    unmapped = open_index().match(path).item
    assert unmapped is not None
    assert unmapped.host_path == path


def test_a_table_is_a_mapping_that_is_kept(open_index: OpenIndex) -> None:
    index = open_index()
    table = index.table("mine")
    table["a"], table[b"\xff"] = b"1", b""
    table.set("gone", b"x", expire=0)
    assert table["a"] == b"1"
    assert table.get("gone") is None
    assert table.get("b", b"-") == b"-"
    assert list(table) == [b"a", b"\xff"]
    assert "a" in table
    assert len(index.table("other")) == 0
    del table["a"]
    for call in (lambda: table["a"], lambda: table.__delitem__("a")):
        with pytest.raises(KeyError):
            call()
    index.close()
    again = open_index().table("mine")
    assert dict(again) == {b"\xff": b""}
    again.clear()
    assert not list(again)


def put(block: Any, offset: int, *numbers: int) -> None:
    """Writes numbers of four bytes into a block."""
    for place, number in enumerate(numbers):
        block[offset + 4 * place : offset + 4 * place + 4] = number.to_bytes(4, sys.byteorder)


def test_numbers_of_a_later_version_are_named(index: plexindex.Index, server: Server) -> None:
    matches = index.match_paths([server.paths(1)[0]["path"]])
    block: Any = matches._block
    put(block, matches._first, 42, int.from_bytes(bytes([9, 7, 200, 0]), sys.byteorder))
    item = words_of(block)[(matches._first >> 2) + 3]
    put(block, item + 4 * PLACES["kind"], 99)
    match = matches[0]
    assert match.status == "unknown"
    assert str(match.match_kind) == "unknown_9"
    assert str(match.confidence) == "unknown_7"
    assert str(match.reason) == "unknown_200"
    assert match.candidates[0].kind == "unknown"


def test_the_block_says_how_large_its_structs_are(index: plexindex.Index, server: Server) -> None:
    paths = [row["path"] for row in server.paths(1)[:2]]
    block: Any = index.match_paths(paths)._block
    put(block, 4, 0)
    first, second = plexindex.Matches(block, None, paths)
    assert first.key == second.key


def test_a_batch_is_a_sequence(index: plexindex.Index, server: Server) -> None:
    row = server.paths(1)[0]
    matches = index.match_paths([row["path"], os.fsencode(MISSING), Path(MISSING)], "Movies")
    assert isinstance(matches, Sequence)
    assert [match.asked for match in matches] == [row["path"], MISSING, str(Path(MISSING))]
    assert len(matches) == 3
    assert matches[-3].title == row["title"]
    assert [match.status for match in matches[1:]] == ["not_found", "not_found"]
    assert matches.counts() == {"found": 1, "not_found": 2}
    assert repr(matches) == "<plexindex.Matches 3: 1 found, 2 not_found>"
    for wrong in (3, -4):
        with pytest.raises(IndexError):
            matches[wrong]


def test_an_error_of_one_path_of_a_batch_can_be_raised(index: plexindex.Index) -> None:
    matches = index.match_paths([MISSING])
    put(matches._block, matches._first, c.STARTING)
    error = matches[0].error
    assert isinstance(error, plexindex.ServerUnavailableError)
    assert str(error) == matches[0].message
