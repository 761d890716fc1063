"""The drop-in with the real plexapi client against the stand-in server: exact counts of requests."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import plexindex
import pytest
import requests
from conftest import TOKEN, Server, ServerFactory
from plexapi.exceptions import NotFound
from plexapi.server import PlexServer
from plexindex.compat import MatchCache, PlexCache, _extract_item_data, find_plex_items_with_confidence


@pytest.fixture
def world(start_server: ServerFactory) -> Server:
    return start_server("--movies", "300", "--episodes", "120", "--tracks", "100", "--plain")


@pytest.fixture
def plex_server(world: Server) -> Any:
    return PlexServer(world.url, world.token)


@pytest.fixture
def movies(plex_server: Any) -> Any:
    return plex_server.library.section("Movies")


@pytest.fixture
def caches(tmp_path: Path) -> Iterator[dict[str, Any]]:
    made: dict[str, Any] = {"library_cache": PlexCache(tmp_path), "match_cache": MatchCache(tmp_path)}
    yield made
    for cache in made.values():
        cache.close()


def counted(server: Server) -> dict[str, int]:
    """Requests by kind since the last call."""
    made = {kind: count for kind, count in server.get("stats")["requests"].items() if count}
    server.reset()
    return made


def add(server: Server, library: int, *items: dict[str, object]) -> list[str]:
    keys: list[str] = server.post("items/add", {"library": library, "items": list(items)})["ratingKeys"]
    return [str(key) for key in keys]


def test_rows_of_plexapi_s_objects(world: Server, movies: Any, caches: dict[str, Any]) -> None:
    bare, several = add(
        world, 1, {"title": "No Files", "files": []}, {"title": "Two", "files": ["/data/a.mkv", ["/data/1", "/data/2"]]}
    )
    items = movies.all()
    counted(world)
    caches["library_cache"].set_library_items("Movies", items)
    assert counted(world) == {}, "an item without media is not asked for again"
    rows = caches["library_cache"].get_library_items("Movies")
    paths = {row["ratingKey"]: row["path"] for row in world.paths()}
    by_key = {row["key"].rsplit("/", 1)[1]: row for row in rows}
    assert len(rows) == 302
    assert by_key[bare]["file_paths"] == []
    assert by_key[several]["file_paths"] == ["/data/a.mkv", "/data/1", "/data/2"]
    assert all(by_key[key]["file_paths"][0] == path for key, path in paths.items())
    item = next(item for item in items if item.title == "No Files")
    assert item._autoReload is True, "plexapi's objects are as they were"
    assert _extract_item_data(item) == {"key": f"/library/metadata/{bare}", "title": "No Files", "file_paths": []}


def test_each_case_costs_what_it_must(world: Server, movies: Any, caches: dict[str, Any]) -> None:
    rows = world.paths()
    path, key = rows[7]["path"], int(rows[7]["ratingKey"])
    counted(world)

    def find(asked: str) -> Any:
        return find_plex_items_with_confidence(movies, asked, **caches)[1]

    # Never listed: a file costs one request, wherever the host has it.
    assert find(path).ratingKey == key
    assert counted(world) == {"search": 1}
    assert find("/stash" + path).ratingKey == key
    assert counted(world) == {"search": 1}
    caches["match_cache"].set_match("Movies", path, f"/library/metadata/{key}")
    assert find(path.upper()).ratingKey == key
    assert counted(world) == {"metadata": 1}
    # Nowhere: its name is asked for, then all is listed, once.
    with pytest.raises(NotFound, match="Nothing"):
        find("/nowhere/Nothing Of This Name.mkv")
    made = counted(world)
    assert (made["listing"], made["search"]) == (1, 3)  # the index asks for the name and for the title
    with pytest.raises(NotFound, match="Nothing"):
        find("/nowhere/Nothing Of This Name.mkv")
    assert counted(world) == {}
    # Listed by now: no file costs a request, recorded or not.
    for row in rows[5:20]:
        assert find(row["path"]).ratingKey == int(row["ratingKey"])
        assert find("/stash" + row["path"]).ratingKey == int(row["ratingKey"])
    assert counted(world) == {}
    with pytest.raises(NotFound, match="New"):
        find("/data/movies/New (2024)/New (2024).mkv")
    assert sum(counted(world).values()) <= 3
    with pytest.raises(NotFound, match="New"):
        find("/data/movies/New (2024)/New (2024).mkv")
    assert counted(world) == {}


def test_a_path_that_is_not_utf8_is_not_found_as_any_other(movies: Any, caches: dict[str, Any]) -> None:
    for path in ("/x/\udce9.mkv", "/x/Movie \udce9 (2001)/\ud800.mkv"):
        for given in (caches, {}):
            with pytest.raises(NotFound):
                find_plex_items_with_confidence(movies, path, **given)


def test_a_file_whose_title_its_name_does_not_tell_is_asked_for_by_name(
    world: Server, movies: Any, caches: dict[str, Any]
) -> None:
    (key,) = add(world, 1, {"title": "Untold", "files": ["/data/movies/xq/xq-7.mkv"]})
    counted(world)
    found = find_plex_items_with_confidence(movies, "/stash/xq/xq-7.mkv", **caches)
    assert found[1].ratingKey == int(key)
    assert counted(world) == {"search": 1}  # by its name; nothing is listed for it


def test_two_files_of_the_same_name(world: Server, movies: Any, caches: dict[str, Any]) -> None:
    one, two = add(
        world,
        1,
        {"title": "First", "files": ["/data/movies/First/movie.mkv"]},
        {"title": "Second", "files": ["/data/movies/Second/movie.mkv"]},
    )
    counted(world)
    for folder, key in (("First", one), ("Second", two)):
        found = find_plex_items_with_confidence(movies, f"/stash/{folder}/movie.mkv", **caches)
        assert (found[0].value, found[1].ratingKey) == ("high", int(key))
        assert counted(world) == {"search": 1}
    found = find_plex_items_with_confidence(movies, "/stash/movie.mkv", **caches)
    assert (found[0].value, found[1]) == ("low", None)
    assert {item.ratingKey for item in found[2]} == {int(one), int(two)}
    assert counted(world) == {"search": 1}


@pytest.mark.parametrize(("title", "library"), [("TV Shows", 2), ("Music", 3)])
def test_leaves_are_found(world: Server, plex_server: Any, caches: dict[str, Any], title: str, library: int) -> None:
    section = plex_server.library.section(title)
    rows = world.paths(library)
    for row in rows[:3]:
        counted(world)
        found = find_plex_items_with_confidence(section, row["path"], **caches)
        assert found[1].ratingKey == int(row["ratingKey"])
        assert counted(world) == {"search": 1}
    with pytest.raises(NotFound):
        find_plex_items_with_confidence(section, "/nowhere/None - S09E09 - Of These.mkv", **caches)
    counted(world)
    for row in rows[10:15]:
        found = find_plex_items_with_confidence(section, "/stash" + row["path"], **caches)
        assert found[1].ratingKey == int(row["ratingKey"])
        assert counted(world) == {}
    assert caches["library_cache"].get_library_items(title) is None


def test_a_deleted_item_is_forgotten_and_a_failing_server_is_not(
    world: Server, movies: Any, caches: dict[str, Any]
) -> None:
    rows = world.paths()
    path, key = rows[3]["path"], rows[3]["ratingKey"]
    matches = caches["match_cache"]
    matches.set_match("Movies", path, f"/library/metadata/{key}")
    world.fault(kind="metadata", action="status", status=500)
    with pytest.raises(ConnectionError, match="answered 500"):
        find_plex_items_with_confidence(movies, path, match_cache=matches)
    assert matches.get_match("Movies", path) == f"/library/metadata/{key}"
    matches.set_match("Movies", path, "/library/metadata/999999")
    assert find_plex_items_with_confidence(movies, path, match_cache=matches)[1].ratingKey == int(key)
    assert matches.get_match("Movies", path) is None
    matches.set_match("Movies", path, f"/library/metadata/{key}")
    world.stop()
    with pytest.raises(requests.exceptions.ConnectionError):
        find_plex_items_with_confidence(movies, path, **caches)
    assert matches.get_match("Movies", path) == f"/library/metadata/{key}"
    with pytest.raises(requests.exceptions.ConnectionError):
        find_plex_items_with_confidence(movies, "/x/y.mkv", **caches)


def test_an_index_of_a_section_answers_without_a_request(
    world: Server, movies: Any, tmp_path: Path, caches: dict[str, Any]
) -> None:
    rows = world.paths()
    with plexindex.from_section(movies, tmp_path / "index", retry_for=0) as section:
        counted(world)
        first = find_plex_items_with_confidence(section, rows[0]["path"], **caches)
        assert sum(counted(world).values()) == 4  # identity, sections, one page, sections
        for row in rows[:50]:
            confidence, item, candidates = find_plex_items_with_confidence(section, row["path"], **caches)
            assert confidence.value == "high"
            assert candidates == [item]
            assert (item.key, item.ratingKey) == (f"/library/metadata/{row['ratingKey']}", int(row["ratingKey"]))
            assert (item.title, item.type) == (row["title"], "movie")
            assert item.media[0].parts[0].file == row["path"]
            assert item.locations == [row["path"]]
            assert item.guid.startswith("plex://movie/")
            assert any(guid.id.startswith("imdb://") for guid in item.guids)
        caches["match_cache"].set_match("Movies", "/else/where.mkv", "/library/metadata/" + rows[9]["ratingKey"])
        recorded = find_plex_items_with_confidence(section, "/else/where.mkv", **caches)[1]
        assert (recorded.title, recorded.ratingKey) == (rows[9]["title"], int(rows[9]["ratingKey"]))
        with pytest.raises(NotFound):
            find_plex_items_with_confidence(section, "/nowhere/nothing.mkv", **caches)
        missing = section.match("/nowhere/nothing.mkv")
        assert (bool(missing), missing.light, missing.status) == (False, None, "not_found")
        assert counted(world) == {}
        # What it does not know it fetches, once.
        item = first[1]
        assert item.full().title == item.title
        assert item.summary == item.full().summary
        assert counted(world)["metadata"] == 1
        assert section.title == "Movies"
        assert section.fetchItem(int(rows[0]["ratingKey"])) == item.full()  # type: ignore[attr-defined]
        assert not hasattr(item, "_nothing")
    with pytest.raises(plexindex.ClosedError):
        section.match(rows[0]["path"])


def test_an_index_of_a_server_serves_all_its_sections(world: Server, plex_server: Any, tmp_path: Path) -> None:
    with plexindex.from_server(plex_server, tmp_path, retry_for=0) as server:
        episodes = server.section("TV Shows")
        row = world.paths(2)[0]
        item = episodes.match(row["path"]).light
        assert item is not None
        assert (item.type, item.ratingKey) == ("episode", int(row["ratingKey"]))
        assert item.grandparentTitle  # plexapi's own word: from the full object
        films = server.section(plex_server.library.section("Movies"))
        films.close()
        assert films.match(world.paths()[0]["path"]), "the index is the server's"


def test_a_type_checker_refuses_what_no_index_has(plex_server: Any, tmp_path: Path) -> None:
    # The comments are the test: mypy reports one that has nothing to ignore.
    with plexindex.from_server(plex_server, tmp_path) as index:
        section = index.section("Movies")
        key: str | None = section.lookup_key("/data/movies/none.mkv")
        assert key is None
        with pytest.raises(AttributeError):
            index.match_pathz(None, "/a")  # type: ignore[attr-defined]
        with pytest.raises(AttributeError):
            section.lookup_keyz("/a")  # type: ignore[attr-defined]


def test_a_path_that_should_be_listed_as_it_is_is_low(world: Server, movies: Any, tmp_path: Path) -> None:
    add(world, 1, {"title": "Disc", "files": ["/data/movies/Old/CD1/01.mkv"]})
    with plexindex.from_section(movies, tmp_path, retry_for=0) as section:
        found = find_plex_items_with_confidence(section, "/data/movies/New/CD1/01.mkv")
        assert (found[0].value, found[1], len(found[2])) == ("low", None, 1)


def test_the_token_is_shown_nowhere(
    movies: Any, plex_server: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "plexindex")
    with (
        plexindex.from_section(movies, tmp_path / "a") as section,
        plexindex.from_server(plex_server, tmp_path) as server,
    ):
        item = section.match("/data/nothing.mkv")
        texts = [repr(section), repr(server), repr(section.index), repr(section.library), repr(item)]
    assert all(TOKEN not in text for text in [*texts, caplog.text])
    assert all(TOKEN.encode() not in file.read_bytes() for file in tmp_path.rglob("*") if file.is_file())


def test_the_default_folder(movies: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCALAPPDATA" if os.name == "nt" else "XDG_CACHE_HOME", str(tmp_path / "xdg"))
    with plexindex.from_section(movies) as section:
        assert section.index.cache_dir == str(tmp_path / "xdg" / "plexindex")
