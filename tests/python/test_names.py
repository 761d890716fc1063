"""Public names, pickles for other processes, and the door for users of plexapi."""

from __future__ import annotations

import pickle
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import plexindex
import pytest
from conftest import TOKEN, OpenIndex, Server, run_python
from plexapi.exceptions import NotFound
from plexapi.server import PlexServer
from requests.adapters import HTTPAdapter


def test_tracebacks_have_the_public_names(index: plexindex.Index) -> None:
    with pytest.raises(plexindex.Error) as caught:
        index.library("Nothing").match("/x.mkv")
    printed = traceback.format_exception_only(caught.type, caught.value)[0]
    assert printed.startswith("plexindex.errors.LibraryNotFoundError: ")
    for name in plexindex.__all__:
        assert "._" not in getattr(plexindex, name).__module__, name


def test_a_library_is_a_recipe_for_another_process(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, open_index: OpenIndex
) -> None:
    row = server.paths(1)[0]
    index = open_index(mappings=[("/mnt/media", "/data")])
    movies = index.library("movies")
    pickled = pickle.dumps(movies)
    assert TOKEN.encode() not in pickled
    assert TOKEN.encode() not in pickle.dumps(index)
    for name in ("SERVER_URL", "TOKEN", "TOKEN_FILE", "CACHE_DIR", "SIZE_LIMIT"):
        monkeypatch.delenv(f"PLEXINDEX_{name}", raising=False)
    monkeypatch.setenv("PLEXAPI_CONFIG_PATH", str(tmp_path / "missing"))
    monkeypatch.setenv("HOME", str(tmp_path))
    # The workers of a pool are told when they use it: an error before that would let the pool wait for ever.
    without = pickle.loads(pickled)  # noqa: S301
    uses: list[Callable[[], object]] = [lambda: without.match("/x"), lambda: list(without), lambda: without.index]
    for use in uses:
        with pytest.raises(plexindex.InvalidArgumentError, match="PLEXINDEX_TOKEN") as caught:
            use()
        assert "PLEXINDEX_TOKEN" in str(pickle.loads(pickle.dumps(caught.value)))  # noqa: S301
    monkeypatch.setenv("PLEXINDEX_SERVER_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("PLEXINDEX_TOKEN", "another-token")
    with pytest.raises(plexindex.InvalidArgumentError, match=r"127\.0\.0\.1:1"):
        pickle.loads(pickled).match("/x")  # noqa: S301
    monkeypatch.setenv("PLEXINDEX_SERVER_URL", server.url)
    monkeypatch.setenv("PLEXINDEX_TOKEN", TOKEN)
    code = "import pickle, sys\nmovies = pickle.loads(bytes.fromhex(sys.argv[1]))\n"
    code += "print(movies.match(sys.argv[2]).rating_key, movies.index.cache_dir)"
    printed = run_python(code, pickled.hex(), row["path"].replace("/data/", "/mnt/media/"))
    assert printed == f"{row['ratingKey']} {index.cache_dir}\n"
    first, second = pickle.loads(pickled), pickle.loads(pickled)  # noqa: S301
    assert first.index is second.index is not index
    assert repr(first) == repr(movies)
    first.index.close()
    assert pickle.loads(pickled).match(row["path"])  # noqa: S301


def test_from_server_copies_what_it_can_and_names_the_rest(
    server: Server, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    plex: Any = PlexServer(server.url, server.token, timeout=0.4)
    with plexindex.from_server(plex, tmp_path / "a", retry_for=0) as index:
        assert not caplog.records
        server.fault(kind="sections", action="delay", ms=3_000, count=0)
        with pytest.raises(plexindex.TimeoutError, match=r"0\.4 s"):
            index.refresh()
    plex._session.proxies = {"http": "http://proxy.invalid"}
    plex._session.cert = "client.pem"
    plex._session.mount("http://", HTTPAdapter(max_retries=3))
    plexindex.from_server(plex, tmp_path / "b").close()
    (record,) = caplog.records
    assert record.getMessage().endswith("plexapi's session: proxies, cert, the adapter's max_retries")


@pytest.fixture
def plex(server: Server) -> Any:
    return PlexServer(server.url, server.token)


@pytest.fixture
def door(plex: Any, tmp_path: Path) -> Iterator[plexindex.ServerIndex]:
    with plexindex.from_server(plex, tmp_path / "a", retry_for=0) as index:
        index.refresh()
        yield index


def test_a_section_of_plexapi_is_a_library(door: plexindex.ServerIndex, server: Server) -> None:
    path = server.paths(1)[0]["path"]
    section = door.section("Movies")
    assert isinstance(section, plexindex.Library)
    assert section.match(path) == door.match(path)
    assert section.title == section.plex.title == "Movies"
    assert section.refresh() is True
    assert {"match", "lookup_keys", "fetchItem"} <= set(dir(section))
    with pytest.raises(NotFound):
        door.section("nope")


def test_a_light_item_has_what_the_index_knows_without_a_request(door: plexindex.ServerIndex, server: Server) -> None:
    movie, episode = (door.match(server.paths(section)[0]["path"]) for section in (1, 2))
    assert movie.light and episode.light
    server.reset()
    assert movie.light.locations == [movie.path]
    assert movie.light.ratingKey == movie.ratingKey
    assert movie.light.librarySectionTitle == "Movies"
    assert episode.light.grandparentTitle == episode.show_title
    assert episode.light.parentIndex == episode.season
    assert episode.light.index == episode.episode
    assert server.requests() == 0
    assert episode.light.full().index == episode.episode
    assert movie.light.summary
    with pytest.raises(AttributeError):
        movie.light.parentIndex  # noqa: B018


def test_every_answer_of_the_door_has_a_light_item(door: plexindex.ServerIndex, server: Server) -> None:
    match = door.match(server.paths(1)[0]["path"])
    item = next(iter(door.library(1)))
    assert match.light == door.match_paths([match.path or ""])[0].light
    assert item.light
    assert item.light.key == item.key
    assert match.light
    assert match.light != match.light.full()  # plexapi's hash depends on its class
    assert door.match("/nowhere.mkv").light is None


def test_no_pickle_of_the_door_has_the_token(door: plexindex.ServerIndex, server: Server) -> None:
    match = door.match(server.paths(1)[0]["path"])
    pickled = pickle.dumps([match, door, door.section("Movies")])
    assert TOKEN.encode() not in pickled
    again = pickle.loads(pickled)[0]  # noqa: S301
    assert again == match
    assert again.light is None
    with pytest.raises(TypeError, match="contains the token"):
        pickle.dumps(match.light)


def test_what_is_no_object_of_plexapi_is_refused(plex: Any, server: Server, tmp_path: Path) -> None:
    for given in (server.url, 7, plex.library.section("Movies")):
        with pytest.raises(TypeError, match="from_server"):
            plexindex.from_server(given)
    with pytest.raises(TypeError, match=r"from_section.*not PlexServer"):
        plexindex.from_section(plex)
    with pytest.raises(TypeError, match="tokn"):
        plexindex.from_server(plex, tmp_path / "b", tokn="x")
