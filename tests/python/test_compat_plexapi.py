"""The drop-in with the real plexapi client against the stand-in server: exact counts of requests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import plexindex
import pytest
import requests
from conftest import Server, ServerFactory
from plexapi.exceptions import NotFound
from plexapi.server import PlexServer
from plexindex.compat import MatchCache, PlexCache, find_plex_items_with_confidence


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
