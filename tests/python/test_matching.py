"""Questions and their answers, on the real library over the stand-in server."""

from __future__ import annotations

import math
import os
from pathlib import Path, PurePosixPath

import plexindex
import pytest
from conftest import OpenIndex, Server, ServerFactory

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


def test_a_file_name_is_enough_under_no_location(index: plexindex.Index, server: Server) -> None:
    row = server.paths(1)[7]
    match = index.match("/elsewhere/" + os.path.basename(row["path"]), "Movies")
    assert (match.match_kind, match.confidence, match.rating_key) == ("file_name", "high", row["ratingKey"])
    assert match.reason_code == "path_tells"
    assert "tells the same item" in (match.reason or "")
    assert index.library("Movies").lookup_key("/elsewhere/" + os.path.basename(row["path"])) == match.key


def test_the_end_of_a_path_is_high_on_evidence_only(index: plexindex.Index, server: Server) -> None:
    files = [f"/data/movies/{name}" for name in ("Quiet River (1999)/movie.mkv", "film7.mkv")]
    items = [{"title": title, "year": 1999, "files": [file]} for title, file in zip(("Quiet River", "Film"), files)]
    server.post("items/add", {"library": 1, "items": items})
    movies = index.library("Movies")
    for path, confidence, code in [
        ("/nas/Quiet River (1999)/movie.mkv", "high", "only_root_differs"),
        ("/nas/Loud Sea (1999)/movie.mkv", "low", "no_evidence"),
        ("/nas/Quiet River (1950)/movie.mkv", "low", "contradicted"),
        ("/nas/film7.mkv", "low", "no_evidence"),
        ("/data/movies/new/film7.mkv", "low", "not_listed"),
    ]:
        match = movies.match(path)
        assert (match.status, match.confidence, match.reason_code) == ("ok", confidence, code), path
        assert match.reason
        assert movies.lookup_key(path) == (match.key if confidence == "high" else None), path


def test_two_files_of_one_name_are_ambiguous(index: plexindex.Index, server: Server) -> None:
    server.post(
        "items/add",
        {
            "library": 1,
            "items": [{"title": title, "year": 2000, "files": [f"/data/movies/{title}/movie.mkv"]} for title in "ABC"],
        },
    )
    match = index.match("/elsewhere/movie.mkv", "Movies")
    assert not match
    assert (match.status, match.confidence, match.reason_code) == ("ambiguous", "low", "several_items")
    assert sorted(item.title or "" for item in match.candidates) == ["A", "B", "C"]
    assert match.candidates_total == 3
    assert match.reason
    assert all(item.library == "Movies" and item.year == 2000 for item in match.candidates)


def test_not_found_says_why(index: plexindex.Index) -> None:
    movies = index.library("Movies")
    inside = movies.match(MISSING)
    assert (inside.status, inside.reason_code, inside.match_kind) == ("not_found", "not_listed", "none")
    outside = movies.match("/nowhere/Not There (1950).mkv")
    assert (outside.status, outside.reason_code) == ("not_found", "no_location")
    for match in (inside, outside):
        assert not match
        assert match.reason
        assert (match.item, match.candidates, match.confidence) == (None, [], "none")


def test_episodes_know_their_show(index: plexindex.Index, server: Server) -> None:
    row = server.paths(2)[15]
    match = index.library("TV Shows").match(row["path"])
    assert (match.kind, match.rating_key, match.title) == ("episode", row["ratingKey"], row["title"])
    assert match.show_title
    assert match.show_rating_key
    assert match.season is not None
    assert match.episode is not None


def test_no_library_means_all(index: plexindex.Index, server: Server) -> None:
    movie, episode = server.paths(1)[3], server.paths(2)[3]
    everything = index.library()
    for ask in (everything.match, lambda path: index.match(path)):
        assert [ask(movie["path"]).library, ask(episode["path"]).library] == ["Movies", "TV Shows"]
    assert everything.lookup_key(episode["path"]) == f"/library/metadata/{episode['ratingKey']}"


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


def test_a_large_batch_in_one_call(index: plexindex.Index, server: Server) -> None:
    paths = [row["path"] for row in server.paths(1)] * 20
    matches = index.match_paths(paths, "Movies")
    assert len(matches) == len(paths)
    assert all(match.path == path for match, path in zip(matches, paths))


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


def test_mappings(open_index: OpenIndex, server: Server) -> None:
    row = server.paths(1)[0]
    path = row["path"].replace("/data/movies/", "/mnt/films/")
    for rule in (
        ("/mnt/films", "/data/movies"),
        plexindex.Mapping.host_prefix("/mnt/films", "/data/movies"),
        plexindex.Mapping.host_pattern(r"^/mnt/(films)/(.*)$", r"/data/movies/\2"),
        plexindex.Mapping.server_prefix("/data/movies", "/mnt/films"),
        plexindex.Mapping.server_pattern(r"^/data/movies/(.*)$", r"/mnt/films/\1"),
    ):
        index = open_index(mappings=[("/elsewhere", "/nowhere"), rule])
        match = index.match(path, "Movies")
        assert (match.match_kind, match.confidence, match.rating_key) == ("mapped", "high", row["ratingKey"]), rule
        assert index.library("Movies").lookup_key(path) == match.key
        index.close()


def test_windows_paths_and_names_that_are_not_ascii(start_server: ServerFactory, open_index: OpenIndex) -> None:
    server = start_server("--movies", "0")
    server.post("library/add", {"kind": "movie", "title": "Windows", "locations": ["M:\\Films"]})
    paths = ["M:\\Films\\Amélie (2001)\\Amélie (2001).mkv", "M:\\Films\\千と千尋\\千と千尋.mkv"]
    items = [{"title": f"T{number}", "files": [path]} for number, path in enumerate(paths)]
    server.post("items/add", {"library": 1, "items": items})
    index = open_index(server_url=server.url)
    for number, path in enumerate(paths):
        assert index.match(path, "Windows").title == f"T{number}"
        assert index.match(path.replace("\\", "/"), "Windows").title == f"T{number}"


def test_offline_questions_send_nothing(index: plexindex.Index, server: Server) -> None:
    path = server.paths(1)[0]["path"]
    with pytest.raises(plexindex.OfflineError):
        index.match(path, "Movies", offline=True)
    assert server.requests() == 0
    index.refresh("Movies")
    server.reset()
    assert index.match(path, "Movies", offline=True).match_kind == "exact"
    assert index.match(MISSING, "Movies", offline=True).status == "not_found"
    assert server.requests() == 0


def test_a_deadline_is_kept_and_the_next_call_goes_on(index: plexindex.Index, server: Server) -> None:
    server.fault(kind="listing", action="delay", ms=3000, count=1)
    server.fault(kind="search", action="delay", ms=3000, count=1)
    match = index.match(server.paths(1)[0]["path"], "Movies", deadline=0.3)
    assert match.status in ("not_yet", "needs_warm")
    assert match.reason
    server.post("faults/clear")
    assert index.match(server.paths(1)[0]["path"], "Movies", deadline=math.inf).match_kind == "exact"
