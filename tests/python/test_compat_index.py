"""The drop-in's function where the host gives a real plexapi section: it answers from an index of the server."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from compat_world import add, caches, close_indexes, outcome, refresh
from conftest import Server, ServerFactory
from plexapi.exceptions import NotFound
from plexapi.server import PlexServer
from plexindex._compat import find as _find
from plexindex._compat import section_index as _section_index
from plexindex.compat import PlexCache, find_plex_items_with_confidence


@pytest.fixture(autouse=True)
def no_open_indexes() -> Iterator[None]:
    yield
    close_indexes()


@pytest.fixture
def world(start_server: ServerFactory) -> Server:
    return start_server("--movies", "300", "--episodes", "120", "--tracks", "100")


@pytest.fixture
def movies(world: Server) -> Any:
    return PlexServer(world.url, world.token).library.section("Movies")


def variants(path: str) -> list[str]:
    """A listed path, and others of hosts: other roots, other folders, names that tell of something else."""
    folders, name = path.rsplit("/", 1)
    parts = path.split("/")
    return [
        path,
        path.upper(),
        "/stash" + path,
        "/x/" + name,
        "/mnt/" + "/".join(parts[-2:]),
        "/mnt/" + "/".join(parts[-3:]),
        f"{folders}/Other Folder (1950)/{name}",
        f"/y/Another Thing (1950)/{name}",
        f"/y/Season 09/{name}",
        f"/z/{parts[-2]}/copy {name}",
        f"/q/Wrong Show/Season 01/{name}",
        f"/d/Somebody/Some Album/{name}",
    ]


@pytest.mark.parametrize(
    ("recorded", "count"),
    [
        pytest.param(True, 40, id="recorded"),
        pytest.param(False, 6, id="drawn"),
        pytest.param(False, 40, id="many drawn", marks=pytest.mark.deep),
    ],
)
def test_an_index_skips_no_sync_that_the_scan_did_not(
    start_server: ServerFactory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, recorded: bool, count: int
) -> None:
    world = start_server(*(["--fixtures"] if recorded else ["--movies", "150", "--episodes", "90", "--tracks", "90"]))
    plex: Any = PlexServer(world.url, world.token)
    compared = 0
    for section in plex.library.sections():
        scanned, indexed = (caches(tmp_path / f"{section.key}" / who) for who in ("scan", "index"))
        leaf = {"show": "episode", "artist": "track"}.get(section.type)
        if leaf:
            scanned["library_cache"]._put_leaves(section.title, section.search(libtype=leaf))
        else:
            scanned["library_cache"].set_library_items(section.title, section.all())
        index = _section_index.section_index(section, indexed["library_cache"])
        assert index is not None
        index.refresh()
        for row in world.paths(int(section.key))[:count]:
            for path in variants(row["path"]):
                with monkeypatch.context() as without:
                    without.setattr(_find, "section_index", lambda *_: None)
                    expected = outcome(section, path, scanned)
                told = outcome(section, path, indexed)
                if leaf:
                    # Stash2Plex found none of them: an index may know more by the name, and never another one.
                    assert told == expected or None in (told[1], expected[1]), path
                else:
                    assert told == expected, path
                compared += 1
    assert compared > (50 if recorded else 25 * count)


def test_a_recorded_item_that_is_gone_is_forgotten(world: Server, movies: Any, tmp_path: Path) -> None:
    given, row = caches(tmp_path), world.paths()[3]
    given["match_cache"].set_match("Movies", row["path"], f"/library/metadata/{row['ratingKey']}")
    index = _section_index.section_index(movies, given["match_cache"])
    assert index is not None
    index.refresh()
    light = find_plex_items_with_confidence(movies, row["path"], **given)[1]
    world.post("items/remove", {"ratingKeys": [row["ratingKey"]]})
    # The index learns it from whoever needs more of the item than it knows.
    with pytest.raises(NotFound):
        light.reload()
    with pytest.raises(NotFound):
        find_plex_items_with_confidence(movies, row["path"], **given)
    assert given["match_cache"].get_match("Movies", row["path"]) is None


@pytest.fixture
def listed(movies: Any, tmp_path: Path) -> Callable[[], None]:
    return lambda: refresh(movies, tmp_path)


def test_a_file_of_another_library_is_not_found_in_this_one(world: Server, movies: Any, tmp_path: Path) -> None:
    add(world, 1, {"title": "Intro Film", "files": ["/data/movies/Intro Film/intro.mp4"]})
    add(world, 2, {"title": "Intro", "show": "Show", "files": ["/data/tv/Show/Season 01/intro.mp4"]})
    shows = movies._server.library.section("TV Shows")
    given = caches(tmp_path)
    for section in (movies, shows):
        index = _section_index.section_index(section, given["library_cache"])
        assert index is not None
        index.refresh()
    assert outcome(movies, "/data/movies/Intro Film/intro.mp4", given)[0] == "high"
    assert outcome(shows, "/data/movies/Intro Film/intro.mp4", given) == ("none", None, ())
    # Nothing lists this one, and the film has its name.
    confidence, item, found = outcome(movies, "/data/tv/Show/Season 02/intro.mp4", given)
    assert (confidence, item, len(found)) == ("low", None, 1)
    # Nothing is asked of Plex for them, though they are not in this library.
    world.reset()
    assert outcome(movies, world.paths(2)[4]["path"], given) == ("none", None, ())
    assert world.requests() == 0


def test_a_photo_is_never_a_scene(start_server: ServerFactory, tmp_path: Path) -> None:
    """A host that names no library asks in all of them, and would write a film's fields to a photo."""
    world = start_server("--photos", "20")
    photos = PlexServer(world.url, world.token).library.section("Photos")
    path = world.paths(int(photos.key))[0]["path"]
    world.reset()
    assert outcome(photos, path, caches(tmp_path)) == ("none", None, ())
    assert world.requests() == 0


def test_episodes_have_what_hosts_read_of_films(world: Server, movies: Any, tmp_path: Path) -> None:
    shows, given = movies._server.library.section("TV Shows"), caches(tmp_path)
    row = world.paths(2)[4]
    for _ in range(2):
        item = find_plex_items_with_confidence(shows, row["path"], **given)[1]
        assert (item.studio, item.tagline, item.ratingKey) == (None, None, int(row["ratingKey"]))
        with pytest.raises(AttributeError):
            assert item.nothing_of_plex
        index = _section_index.section_index(shows, given["library_cache"])
        assert index is not None
        index.refresh()


def test_a_new_file_is_found_though_another_was_missed(
    world: Server, movies: Any, tmp_path: Path, listed: Callable[[], None]
) -> None:
    given = caches(tmp_path)
    listed()
    assert outcome(movies, "/data/movies/Missing (2020)/Missing (2020).mkv", given)[0] == "none"
    (key,) = add(world, 1, {"title": "Added", "year": 2021, "files": ["/data/movies/Added (2021)/Added (2021).mkv"]})
    assert outcome(movies, "/data/movies/Added (2021)/Added (2021).mkv", given)[1] == f"/library/metadata/{key}"


def test_mappings_of_the_cache_and_folders_of_the_call_apply(world: Server, movies: Any, tmp_path: Path) -> None:
    row = world.paths()[5]
    ruled = {"library_cache": PlexCache(tmp_path / "ruled", mappings=[("/host", "/data")]), "match_cache": None}
    host = row["path"].replace("/data", "/host", 1)
    index = _section_index.section_index(movies, ruled["library_cache"])
    assert index is not None
    index.refresh()
    assert index.match(host).match_kind == "mapped"
    assert outcome(movies, host, ruled)[:2] == ("high", f"/library/metadata/{row['ratingKey']}")
    found = find_plex_items_with_confidence(movies, host, "/data", "/host", **caches(tmp_path / "plain"))
    assert found[1].ratingKey == int(row["ratingKey"])


@pytest.mark.parametrize("way", ["proxy", "adapter", "login", "stand-in", "no cache"])
def test_without_a_plain_connection_plexapi_is_asked(
    world: Server, movies: Any, tmp_path: Path, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = caches(tmp_path)
    session = movies._server._session
    section = movies
    if way == "proxy":
        monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
        monkeypatch.setenv("NO_PROXY", "")
    elif way == "adapter":
        session.mount("http://", type("Own", (requests.adapters.HTTPAdapter,), {})())
    elif way == "login":
        session.auth = ("name", "password")
    elif way == "stand-in":
        section = type("Section", (), {"title": "Movies", "_server": movies._server, "key": movies.key})()
    else:
        given = {"library_cache": None, "match_cache": None}
    assert _section_index.section_index(section, *given.values()) is None
    if way == "no cache":
        row = world.paths()[5]
        assert find_plex_items_with_confidence(movies, row["path"], **given)[1].ratingKey == int(row["ratingKey"])
    assert not (tmp_path / "index").exists()
