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
from conftest import TOKEN, OpenIndex, Server, run_python
from plexapi.exceptions import NotFound
from plexapi.server import PlexServer
from plexindex.testing import FakePlex


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


def test_all_paths_of_an_item(movies: plexindex.Library, server: Server) -> None:
    files = ["/data/movies/Two/a.mkv", ["/data/movies/Two/b1.mkv", "/data/movies/Two/b2.mkv"]]
    server.post("items/add", {"library": 1, "items": [{"title": "Two", "year": 2001, "files": files}]})
    item = movies["/data/movies/Two/b2.mkv"]
    assert item.path == "/data/movies/Two/b2.mkv"
    assert item.paths == ("/data/movies/Two/a.mkv", "/data/movies/Two/b1.mkv", "/data/movies/Two/b2.mkv")
    assert item in set(movies)
    with pytest.raises(plexindex.Error, match="pickled"):
        _ = pickle.loads(pickle.dumps(item)).paths  # noqa: S301


def test_a_library_is_a_collection(movies: plexindex.Library, server: Server) -> None:
    row = server.paths(1)[0]
    assert len(movies) == 300
    assert row["path"] in movies
    assert "/nowhere/a.mkv" not in movies
    assert movies[row["path"]].rating_key == row["ratingKey"]
    with pytest.raises(KeyError, match="no library has a folder above"):
        movies["/nowhere/a.mkv"]
    assert {item.rating_key for item in movies} >= {row["ratingKey"]}


def test_items_of_a_library_that_was_never_fetched_are_fetched(index: plexindex.Index, server: Server) -> None:
    assert len(list(index.items("Movies"))) == 300
    shows = index.library("TV Shows")
    # It is known by now, and was never fetched.
    assert sum(1 for _ in shows) == 120
    server.reset()
    assert len(list(index.items("Movies"))) == 300
    assert server.requests() == 0


def test_a_wrong_argument_is_named(movies: plexindex.Library) -> None:
    for wrong in (None, 5, ["/a.mkv"]):
        with pytest.raises(TypeError, match=rf"a path must be str, bytes or os\.PathLike, not {type(wrong).__name__}"):
            movies.match(wrong)  # type: ignore[arg-type]
        with pytest.raises(TypeError, match="a path must be"):
            movies.match_paths(["/a.mkv", wrong])  # type: ignore[list-item]
    for wrong_pairs in (None, [("/a.mkv",)], {"/a.mkv": 7}, 5):
        with pytest.raises(TypeError, match="pairs must be pairs of a path and a key"):
            movies.record_matches(wrong_pairs)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="paths must be a list of paths, not NoneType"):
        movies.match_paths(None)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"cache_dir must be str, bytes or os\.PathLike, not int"):
        plexindex.open(5)  # type: ignore[arg-type]


def test_items_offline_of_a_library_that_is_known(index: plexindex.Index, server: Server) -> None:
    index.server()
    with pytest.raises(plexindex.NotFetchedError, match="'Movies' was never fetched"):
        list(index.items("Movies", offline=True))
    # One without any item is fetched once.
    server.post("library/add", {"kind": "movie", "title": "Empty", "locations": ["/data/empty"]})
    index.server()
    assert len(index.library("Empty")) == 0
    server.reset()
    assert len(index.library("Empty")) == 0
    assert server.requests() == 0


def test_items_offline_of_what_was_never_fetched(open_index: OpenIndex) -> None:
    index = open_index(offline=True)
    with pytest.raises(plexindex.Error, match=r"never fetched|offline") as caught:
        list(index.items("Movies"))
    assert "the server has no library" not in str(caught.value)


def test_a_library_is_named_as_in_plexapi(index: plexindex.Index, server: Server) -> None:
    path = server.paths(1)[0]["path"]
    uuid = index.libraries()[0].uuid
    for name in ("Movies", "movies", "MOVIES", 1, "1", uuid):
        assert index.library(name).match(path), name
        assert index.match(path, name), name
    assert index.library(2).match(server.paths(2)[0]["path"])
    with pytest.raises(plexindex.LibraryNotFoundError, match="did you mean 'Movies'"):
        index.library("Movie").match(path)
    with pytest.raises(plexindex.LibraryNotFoundError) as caught:
        index.library("Photographs").match(path)
    assert "did you mean" not in str(caught.value)
    for wrong_section in (9, "9"):
        with pytest.raises(plexindex.LibraryNotFoundError, match="has no library '9'"):
            index.library(wrong_section).match(path)
    for wrong in (1.5, True, b"Movies"):
        with pytest.raises(TypeError):
            index.library(wrong)  # type: ignore[arg-type]


def test_of_two_spellings_none_is_guessed(index: plexindex.Index, server: Server) -> None:
    server.post("library/set", {"library": 1, "title": "films"})
    server.post("library/set", {"library": 2, "title": "Films"})
    index.server()
    assert index.library("films").match(server.paths(1)[0]["path"])
    assert index.library("Films").match(server.paths(2)[0]["path"])
    with pytest.raises(plexindex.LibraryAmbiguousError, match="name one by its section id"):
        index.library("FILMS")


def test_a_title_goes_before_a_section(open_index: OpenIndex, server: Server) -> None:
    index = open_index()
    server.post("library/set", {"library": 2, "title": "1"})
    index.refresh()
    path = server.paths(2)[0]["path"]
    assert index.library("1").match(path) and index.match(path, "1")
    assert not index.library(1).match(path)
    # Before ctypes is loaded, too.
    code = """
import plexindex, sys
folder, library, path = sys.argv[1:]
print(plexindex.open(folder).library(library).lookup_key(path))
"""
    assert run_python(code, index.cache_dir, "1", path) != "None\n"
    assert run_python(code, index.cache_dir, "1", server.paths(1)[0]["path"]) == "None\n"
    server.post("library/set", {"library": 2, "title": "TV Shows"})
    index.server()
    index.refresh()
    assert run_python(code, index.cache_dir, "1", server.paths(1)[0]["path"]) != "None\n"


def test_tracebacks_have_the_public_names(index: plexindex.Index) -> None:
    with pytest.raises(plexindex.Error) as caught:
        index.library("Nothing").match("/x.mkv")
    printed = traceback.format_exception_only(caught.type, caught.value)[0]
    assert printed.startswith("plexindex.LibraryNotFoundError: ")
    for name in plexindex.__all__:
        assert getattr(plexindex, name).__module__ == "plexindex", name


def test_a_key_may_be_an_item(movies: plexindex.Library, server: Server) -> None:
    first, second, third = server.paths(1)[:3]
    theirs = PlexServer(server.url, server.token).fetchItem(int(first["ratingKey"]))
    movies.record_match("/else/1.mkv", theirs)
    movies.record_match("/else/2.mkv", movies[second["path"]])
    movies.record_match("/else/3.mkv", movies.match(third["path"]))
    for number, row in enumerate((first, second, third), 1):
        assert movies.match(f"/else/{number}.mkv").rating_key == row["ratingKey"]
    assert movies.index.item_facts(theirs, movies)["title"] == first["title"]  # type: ignore[index]
    with pytest.raises(TypeError, match="a key must be str, int or an item, not list"):
        movies.record_match("/else/4.mkv", [])  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="not NoneType"):
        movies.record_match("/else/4.mkv", movies.match("/nowhere.mkv"))


def test_a_recorded_item_that_is_not_listed_is_said(movies: plexindex.Library, server: Server) -> None:
    movies.refresh()
    for key in ("999999999", server.paths(2)[0]["ratingKey"]):
        movies.record_match("/else/x.mkv", key)
        match = movies.match("/else/x.mkv")
        assert not match
        assert f"(and item '{key}', which was recorded for it, is not listed in library 'Movies'" in match.message
    # Also where another item has the end of the path.
    path = server.paths(1)[0]["path"].replace("/data/", "/mnt/")
    movies.record_match(path, "999999999")
    assert (
        "item '999999999', which was recorded for it, is not listed in library 'Movies'" in movies.match(path).message
    )
    movies.record_match("/else/x.mkv", server.paths(1)[0]["ratingKey"])
    assert movies.match("/else/x.mkv").match_kind == "confirmed"
    assert "recorded" not in movies.match("/else/y.mkv").message


def configured(server: Server, folder: Path) -> dict[str, str]:
    config = folder / "config.ini"
    config.write_text(
        f"[auth]\nserver_baseurl = {server.url}\nserver_token = {TOKEN}\n"
        f"[plexindex]\ndir = {folder}/configured\nmappings =\n    /mnt/media -> /data\n"
    )
    return {"PLEXAPI_CONFIG_PATH": str(config), "HOME": str(folder)}


def set_environment(monkeypatch: pytest.MonkeyPatch, variables: dict[str, str]) -> None:
    for name in ("URL", "TOKEN", "TOKEN_FILE", "DIR", "SIZE_LIMIT"):
        monkeypatch.delenv(f"PLEXINDEX_{name}", raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)


def test_open_without_arguments_is_the_command_s(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_environment(monkeypatch, configured(server, tmp_path))
    path = server.paths(1)[0]["path"]
    with plexindex.open() as index:
        assert index.cache_dir == f"{tmp_path}/configured"
        match = index.match(path.replace("/data/", "/mnt/media/"), "movies")
        assert (match.match_kind, match.confidence) == ("mapped", "high")
    # What is given goes first, and the token goes nowhere else.
    with pytest.raises(plexindex.InvalidArgumentError, match="no token was given for") as caught:
        plexindex.open(server_url="http://127.0.0.1:1")
    assert TOKEN not in str(caught.value)
    with plexindex.open(tmp_path / "given", offline=True) as index, pytest.raises(plexindex.Error):
        index.match(path, "Movies")
    monkeypatch.setenv("PLEXAPI_CONFIG_PATH", str(tmp_path / "missing"))
    monkeypatch.setenv("PLEXINDEX_DIR", str(tmp_path / "deep" / "folder"))
    with plexindex.open() as index:
        assert index.cache_dir == str(tmp_path / "deep" / "folder")
        with pytest.raises(plexindex.OfflineError, match="server"):
            index.library("Movies").match(path)


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
        lambda: len(without),
        lambda: row["path"] in without,
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
    monkeypatch.setenv("PLEXINDEX_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("PLEXINDEX_TOKEN", "another-token")
    with pytest.raises(plexindex.InvalidArgumentError, match="no token was given for"):
        pickle.loads(pickled).match(row["path"])  # noqa: S301
    set_environment(monkeypatch, {"PLEXINDEX_URL": server.url, "PLEXINDEX_TOKEN": TOKEN})
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        path = row["path"].replace("/data/", "/mnt/media/")
        assert pool.starmap(ask, [(movies, path)] * 3) == [(row["ratingKey"], index.cache_dir)] * 3
    first, second = pickle.loads(pickled), pickle.loads(pickled)  # noqa: S301
    assert first.index is second.index is not index
    assert repr(first) == repr(movies)
    first.index.close()
    assert pickle.loads(pickled).match(row["path"])  # noqa: S301


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
        assert (section.title, section.plex.title, row["path"] in section) == ("Movies", "Movies", True)
        assert {"match", "lookup_keys", "fetchItem"} <= set(dir(section))
        assert {"match", "section", "stats"} <= set(dir(index))
        # plexapi's connection has the token: what holds it is not pickled, an answer is without it.
        assert match.light.summary
        for holder, instead in ((index, "its `index`"), (section, "its `library`"), (match.light, "its `key`")):
            with pytest.raises(TypeError, match=f"holds the token: pickle {instead}"):
                pickle.dumps(holder)
        pickled = pickle.dumps([match, index.index, section.library])
        assert TOKEN.encode() not in pickled
        assert pickle.loads(pickled)[0] == match  # noqa: S301
        assert type(pickle.loads(pickled)[0]) is plexindex.Match  # noqa: S301
        with pytest.raises(TypeError, match=r"Library\.invalidate\(\) takes 1 positional argument"):
            section.invalidate(row["path"])  # type: ignore[call-arg]
    for given, said in ((server.url, r"not str; for a URL and a token there is plexindex.open\(\)"), (7, "not int")):
        with pytest.raises(TypeError, match=said):
            plexindex.from_server(given)
    with pytest.raises(TypeError, match=r"from_section takes a plexapi\.library\.LibrarySection.*not PlexServer"):
        plexindex.from_section(plex)
    with pytest.raises(TypeError, match=r"from_server takes a plexapi\.server\.PlexServer, not MovieSection"):
        plexindex.from_server(plex.library.section("Movies"))
    with pytest.raises(TypeError, match="tokn"):
        plexindex.from_server(plex, tmp_path / "b", tokn="x")


def test_an_index_of_a_server_that_went_away_answers(server: Server, tmp_path: Path) -> None:
    """plexapi asks the server for `library` when that is first read."""
    row = server.paths(1)[0]
    with plexindex.from_server(PlexServer(server.url, server.token), tmp_path) as index:
        assert index.match(row["path"])
        plex: Any = PlexServer(server.url, server.token)
    server.reset()
    with plexindex.from_server(plex, tmp_path) as index:
        assert index.match(row["path"]).rating_key == row["ratingKey"]
    assert server.requests() == 0
    plex = PlexServer(server.url, server.token)
    server.stop()
    with plexindex.from_server(plex, tmp_path) as index:
        assert index.match(row["path"]).rating_key == row["ratingKey"]


def test_importing_is_not_slower_for_it() -> None:
    printed = run_python(
        "import sys, plexindex\nprint([name for name in sys.modules if name.startswith('plexindex.')])"
    )
    for name in ("_config", "_plexapi", "_mapping", "_facts", "_cli"):
        assert f"plexindex.{name}'" not in printed, name


def test_a_match_knows_what_was_asked(server: Server, index: plexindex.Index) -> None:
    row = server.paths(1)[0]
    path = row["path"]
    upper = path.replace("/data/movies/", "/data/movies/../movies/")
    movies = index.library("Movies")
    assert index.match(upper).asked == movies.match(upper).asked == upper
    assert (movies.match(upper).path, movies.match(path).path) == (path, path)
    assert (movies.match(Path(path)).asked, movies.match(path.encode()).asked) == (str(Path(path)), path)
    assert index.match("/nowhere.mkv", "Movies").asked == "/nowhere.mkv"
    assert [match.asked for match in movies.match_paths([path, "/nowhere.mkv"])] == [path, "/nowhere.mkv"]
    assert index.folder("/data/movies").asked == "/data/movies"
    assert movies.search_title(row["title"]).asked == row["title"]
    assert movies.match(path).to_dict()["asked"] == path
    assert pickle.loads(pickle.dumps(movies.match(upper))).asked == upper  # noqa: S301
    assert movies.match(path.encode()) == movies.match(path)


def test_a_collection_has_what_is_found_with_high_confidence(tmp_path: Path) -> None:
    with FakePlex({"Films": ["/media/a/A/movie.mkv"]}) as plex, plexindex.open(tmp_path, plex.url, plex.token) as index:
        films = index.library("Films")
        assert "/media/a/A/movie.mkv" in films
        assert films["/media/a/A/movie.mkv"].title
        other = "/elsewhere/B/movie.mkv"
        assert films.match(other).confidence == "low"
        assert other not in films
        with pytest.raises(KeyError):
            films[other]
        with pytest.raises(TypeError, match="pairs of a path and a key"):
            films.record_matches(["ab"])  # type: ignore[list-item]
