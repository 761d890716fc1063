"""Questions and their answers, on the real library over the stand-in server."""

from __future__ import annotations

import os
from pathlib import Path, PurePosixPath
from typing import Any

import plexindex
import pytest
from conftest import OpenIndex, Server
from plexindex.testing import FakePlex

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
    assert (low.status, low.confidence, bool(low)) == ("found", "low", False)


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
    movies, shows = index.libraries()
    assert (movies.title, shows.title) == ("Movies", "TV Shows")
    assert movies.match(server.paths(1)[0]["path"])
    assert not movies.match(server.paths(2)[0]["path"])


def test_an_items_path_on_this_machine(open_index: OpenIndex, server: Server) -> None:
    index = open_index(mappings=[("/mnt/media", "/data")])
    path = server.paths(1)[11]["path"]
    item = index.match(f"/mnt/media{path.removeprefix('/data')}").item
    assert item is not None
    assert (item.path, item.host_path) == (path, f"/mnt/media{path.removeprefix('/data')}")
    index.close()
    unmapped = open_index().match(path).item
    assert unmapped is not None
    assert unmapped.host_path == path


def test_a_table_is_a_mapping_that_is_kept(open_index: OpenIndex) -> None:
    index = open_index()
    table = index.table("mine")
    table["a"], table[b"\xff"] = b"1", b""
    table.set("gone", b"x", expire=0)
    assert (table["a"], table.get("gone"), table.get("b", b"-")) == (b"1", None, b"-")
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


def test_a_silent_server_is_not_answered_with_a_longer_timeout(tmp_path: Path) -> None:
    with FakePlex({"Movies": ["/m/A (2001).mkv"]}) as plex:
        plex.pause()
        with plexindex.open(tmp_path, plex.url, plex.token) as index:
            assert "longer" not in index.match("/m/A (2001).mkv", timeout=0.05).message


def test_an_index_without_a_url_has_no_offline_flag_to_remove(tmp_path: Path) -> None:
    with plexindex.open(tmp_path) as index, pytest.raises(plexindex.Error, match="server_url") as caught:
        index.match("/m/A (2001).mkv")
    assert "flag" not in str(caught.value)


def test_an_edited_item_of_an_unreachable_server_has_changed(tmp_path: Path) -> None:
    path = "/m/A (2001).mkv"
    with FakePlex({"Movies": [path]}) as plex, plexindex.open(tmp_path, plex.url, plex.token, retry_for=0) as index:
        index.edit_items([index.match(path).key or ""], {"title": "B"}, "Movies")
        plex.stop()
        assert "changed" in index.match(path).message
