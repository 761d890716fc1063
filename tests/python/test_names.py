"""What a user expects of Python objects: names, equality, pickles, `in`, and clear words for what is wrong."""

from __future__ import annotations

import json
import multiprocessing
import pickle
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import plexindex
import pytest
from conftest import TOKEN, OpenIndex, Server
from plexapi.exceptions import NotFound
from plexapi.server import PlexServer
from requests.adapters import HTTPAdapter


@pytest.fixture
def movies(index: plexindex.Index) -> plexindex.Library:
    return index.library("Movies")


@pytest.mark.both
def test_answers_are_equal_by_value(movies: plexindex.Library, server: Server) -> None:
    row, other = server.paths(1)[:2]
    first, second = movies.match(row["path"]), movies.match(row["path"])
    assert first == second
    assert first is not second
    assert hash(first) == hash(second)
    assert first.item == second.item
    assert len({first.item, second.item, movies.match(other["path"]).item}) == 2
    assert first != movies.match(other["path"])
    assert movies.match("/nowhere/a.mkv") != movies.match("/nowhere/b.mkv")
    assert first != row["path"]
    assert movies.match_paths([row["path"]]) == movies.match_paths([row["path"]])
    again = pickle.loads(pickle.dumps([first, first.item, movies.match_paths([row["path"]])]))  # noqa: S301
    assert again == [first, first.item, movies.match_paths([row["path"]])]
    assert json.loads(json.dumps(first.to_dict()))["item"] == first.to_dict()["item"]
    assert (first.message, movies.match("/nowhere/a.mkv").message[:10]) == ("", "no library")
    assert first.ratingKey == first.item.ratingKey == int(row["ratingKey"])  # type: ignore[union-attr]
    assert movies.match("/nowhere/a.mkv").ratingKey is None


def test_tracebacks_have_the_public_names(index: plexindex.Index) -> None:
    with pytest.raises(plexindex.Error) as caught:
        index.library("Nothing").match("/x.mkv")
    printed = traceback.format_exception_only(caught.type, caught.value)[0]
    assert printed.startswith("plexindex.errors.LibraryNotFoundError: ")
    for name in plexindex.__all__:
        assert "._" not in getattr(plexindex, name).__module__, name


def set_environment(monkeypatch: pytest.MonkeyPatch, variables: dict[str, str]) -> None:
    for name in ("URL", "TOKEN", "TOKEN_FILE", "DIR", "SIZE_LIMIT"):
        monkeypatch.delenv(f"PLEXINDEX_{name}", raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)


def ask(library: Any, path: str) -> tuple[str | None, str]:
    """In another process: the answer, and which store it is from."""
    return library.match(path).rating_key, library.index.cache_dir


def test_a_library_is_a_recipe_for_another_process(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, open_index: OpenIndex
) -> None:
    row = server.paths(1)[0]
    index = open_index(mappings=[("/mnt/media", "/data")])
    movies = index.library("movies")
    pickled = pickle.dumps(movies)
    assert TOKEN.encode() not in pickled
    assert TOKEN.encode() not in pickle.dumps(index)
    set_environment(monkeypatch, {"PLEXAPI_CONFIG_PATH": str(tmp_path / "missing"), "HOME": str(tmp_path)})
    without = pickle.loads(pickled)  # noqa: S301
    uses: list[Callable[[], object]] = [
        lambda: without.match(row["path"]),
        lambda: list(without),
        lambda: without.item_count,
        lambda: without.index,
        lambda: pickle.loads(pickle.dumps(index)).library("Movies").match(row["path"]),  # noqa: S301
    ]
    for use in uses:
        with pytest.raises(plexindex.InvalidArgumentError, match="without its token: set PLEXINDEX_TOKEN"):
            use()
    assert "without its token" in repr(without)
    # The workers of a pool are told when they use it: an error before that would let the pool wait for ever.
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        waiting = pool.apply_async(ask, (movies, row["path"]))
        with pytest.raises(plexindex.InvalidArgumentError, match="without its token"):
            waiting.get(timeout=60)
    monkeypatch.setenv("PLEXINDEX_SERVER_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("PLEXINDEX_TOKEN", "another-token")
    with pytest.raises(plexindex.InvalidArgumentError, match="sends the token from"):
        pickle.loads(pickled).match(row["path"])  # noqa: S301
    set_environment(monkeypatch, {"PLEXINDEX_SERVER_URL": server.url, "PLEXINDEX_TOKEN": TOKEN})
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        path = row["path"].replace("/data/", "/mnt/media/")
        assert pool.starmap(ask, [(movies, path)] * 3) == [(row["ratingKey"], index.cache_dir)] * 3
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


def test_the_door_for_users_of_plexapi(server: Server, tmp_path: Path) -> None:
    plex: Any = PlexServer(server.url, server.token)
    row = server.paths(1)[0]
    with plexindex.from_server(plex, tmp_path / "a", retry_for=0) as index:
        assert index.match(row["path"], "Movies").rating_key == row["ratingKey"]
        assert [library.title for library in index.libraries()] == ["Movies", "TV Shows"]
        assert index.library(1).lookup_key(row["path"])
        with pytest.raises(NotFound):
            index.section("nope")
        section = index.section("Movies")
        match = section.match(row["path"])
        assert isinstance(match, plexindex.Match)
        assert (match.rating_key, match.match_kind) == (row["ratingKey"], "exact")
        assert match.light is not None
        assert match.light != match.light.full()  # plexapi's hash depends on its class
        assert match.light.full() != match.light
        assert (match.light.ratingKey, match.light.locations) == (int(row["ratingKey"]), [row["path"]])
        assert section.lookup_key(row["path"]) == match.key
        assert section.match_paths([row["path"]])[0] == match
        assert index.match(row["path"]).light == index.match_paths([row["path"]], "Movies")[0].light == match.light
        item = next(iter(index.library(1)))
        assert item.light is not None
        assert (item.light.key, item.light.year) == (item.key, item.year)
        assert index.match("/nowhere.mkv").light is None
        episode = index.match(server.paths(2)[0]["path"])
        assert episode.light is not None
        server.reset()
        light = episode.light
        assert (light.librarySectionTitle, light.grandparentTitle) == ("TV Shows", episode.show_title)
        assert (light.parentIndex, light.index) == (episode.season, episode.episode)
        assert match.light.librarySectionTitle == "Movies"
        assert server.requests() == 0
        assert (light.full().index, light.index) == (episode.episode, episode.episode)
        with pytest.raises(AttributeError):
            match.light.parentIndex  # noqa: B018
        assert pickle.loads(pickle.dumps(match)).light is None  # noqa: S301
        assert section.refresh() is True
        assert (section.title, section.plex.title, section.item_count) == ("Movies", "Movies", 300)
        assert {"match", "lookup_keys", "fetchItem"} <= set(dir(section))
        assert isinstance(index, plexindex.Index)
        assert isinstance(section, plexindex.Library)
        assert match.light.summary
        with pytest.raises(TypeError, match="contains the token: pickle its `key`"):
            pickle.dumps(match.light)
        pickled = pickle.dumps([match, index, section])
        assert TOKEN.encode() not in pickled
        assert pickle.loads(pickled)[0] == match  # noqa: S301
    for given, said in ((server.url, r"not str; for a URL and a token there is plexindex.open\(\)"), (7, "not int")):
        with pytest.raises(TypeError, match=said):
            plexindex.from_server(given)
    with pytest.raises(TypeError, match=r"from_section requires a plexapi\.library\.LibrarySection.*not PlexServer"):
        plexindex.from_section(plex)
    with pytest.raises(TypeError, match=r"from_server requires a plexapi\.server\.PlexServer, not MovieSection"):
        plexindex.from_server(plex.library.section("Movies"))
    with pytest.raises(TypeError, match="tokn"):
        plexindex.from_server(plex, tmp_path / "b", tokn="x")
