"""Questions and their answers, on the real library over the stand-in server."""

from __future__ import annotations

import os
from pathlib import Path, PurePosixPath

import plexindex
import pytest
from conftest import Server

pytestmark = pytest.mark.both

MISSING = "/data/movies/Not There (1950)/Not There (1950).mkv"


def test_opening_asks_nothing(index: plexindex.Index, server: Server, cache: Path) -> None:
    assert server.requests() == 0
    assert index.is_open
    assert index.cache_dir == str(cache)
    assert cache.is_dir()
    assert index.library("Movies").title == "Movies"
    assert server.requests() == 0


def test_a_listed_path_is_exact(index: plexindex.Index, server: Server) -> None:
    movies = index.library("Movies")
    rows = server.paths(1)
    for row in rows[:20]:
        match = movies.match(row["path"])
        assert match
        assert (match.status, match.match_kind, match.confidence) == ("ok", "exact", "high")
        assert match.key == f"/library/metadata/{row['ratingKey']}"
        assert (match.rating_key, match.title, match.path) == (row["ratingKey"], row["title"], row["path"])
        assert (match.kind, match.library, match.stale) == ("movie", "Movies", False)
        assert match.age is not None
        assert 0 <= match.age < 60
        assert match.candidates_total == 1
    assert "exact, high" in repr(match)


def test_a_library_by_section_and_by_uuid(index: plexindex.Index, server: Server) -> None:
    path = server.paths(1)[0]["path"]
    uuid = server.get("state")["libraries"][0]["uuid"]
    for library in (index.library(section="1"), index.library(section=1), index.library(uuid=uuid)):
        assert library.title is None
        assert library.match(path).library == "Movies"
        assert library.lookup_key(path)
    assert repr(index.library(section=1)) == "<plexindex.Library section='1'>"
    with pytest.raises(plexindex.InvalidArgumentError, match="one of title, section and uuid"):
        index.library("Movies", section=1)


def test_paths_as_str_bytes_and_path_objects(index: plexindex.Index, server: Server) -> None:
    movies = index.library("Movies")
    row = server.paths(1)[11]
    key = f"/library/metadata/{row['ratingKey']}"
    for path in (row["path"], os.fsencode(row["path"]), PurePosixPath(row["path"]), Path(row["path"])):
        assert movies.match(path).key == key
        assert movies.lookup_key(path) == key
        assert movies.lookup_keys([path, MISSING]) == [key, None]
        assert [match.key for match in movies.match_paths([path, MISSING])] == [key, None]


def test_lookup_key_is_a_fast_lookup(index: plexindex.Index, server: Server) -> None:
    movies = index.library("Movies")
    rows = server.paths(1)
    assert movies.lookup_key(rows[0]["path"]) is None
    assert server.requests() == 0
    movies.refresh()
    keys = [f"/library/metadata/{row['ratingKey']}" for row in rows]
    server.reset()
    assert [movies.lookup_key(row["path"]) for row in rows] == keys
    assert movies.lookup_keys(row["path"] for row in rows) == keys
    assert movies.lookup_key(MISSING) is None
    assert movies.lookup_keys([]) == []
    assert server.requests() == 0


def test_lookup_keys_of_many_paths_outgrow_the_buffer(index: plexindex.Index, server: Server) -> None:
    movies = index.library("Movies")
    movies.refresh()
    paths = [row["path"] for row in server.paths(1)]
    assert len([key for key in movies.lookup_keys(paths * 50) if key]) == len(paths) * 50


def test_batches(index: plexindex.Index, server: Server) -> None:
    rows = server.paths(1)
    paths = [row["path"] for row in rows]
    matches = index.match_paths([*paths, MISSING, "/elsewhere/" + os.path.basename(paths[0])], "Movies")
    assert len(matches) == len(rows) + 2
    assert [match.rating_key for match in matches[: len(rows)]] == [row["ratingKey"] for row in rows]
    assert (matches[-2].status, matches[-1].match_kind) == ("not_found", "file_name")
    assert matches.counts() == {"ok": len(rows) + 1, "not_found": 1}
    assert len(index.match_paths([], "Movies")) == 0


def test_a_guid(index: plexindex.Index, server: Server) -> None:
    match = index.match(server.paths(1)[0]["path"], "Movies")
    assert match.guid
    by_guid = index.match_guid(match.guid, "Movies")
    assert (by_guid.status, by_guid.key) == ("ok", match.key)
    episode = index.match(server.paths(2)[0]["path"], "TV Shows").item
    assert episode is not None
    assert episode.show_guid
    of_show = index.library("TV Shows").match_guid(episode.show_guid)
    assert of_show.status == "ambiguous"
    assert of_show.candidates_total > 1
    assert index.match_guid("imdb://tt9999999999", "Movies").status == "not_found"
    with pytest.raises(TypeError):
        index.match_guid(5, "Movies")  # type: ignore[arg-type]


def test_a_title(index: plexindex.Index, server: Server) -> None:
    row = server.paths(1)[0]
    found = index.search_title(row["title"].upper(), "Movies")
    assert row["ratingKey"] in [item.rating_key for item in found.candidates]
    assert index.library("Movies").search_title("No Such Film At All").status == "not_found"
    with pytest.raises(TypeError):
        index.search_title(None, "Movies")  # type: ignore[arg-type]


def test_all_items_of_a_library(index: plexindex.Index, server: Server) -> None:
    movies = index.library("Movies")
    movies.refresh()
    server.reset()
    found = {item.rating_key: item.path for item in movies.items()}
    assert found == {row["ratingKey"]: row["path"] for row in server.paths(1)}
    assert len(list(index.items("Movies"))) == 300
    assert server.requests() == 0
    with pytest.raises(plexindex.InvalidArgumentError):
        next(index.library().items())
