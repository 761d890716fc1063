"""Public names, pickles for other processes, the door for users of plexapi, and the renewal of tokens."""

from __future__ import annotations

import inspect
import pickle
import sys
import threading
import traceback
import typing
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import plexindex
import pytest
from conftest import TOKEN, OpenIndex, Server, exit_of_child, forks, run_python
from plexapi.exceptions import NotFound
from plexapi.server import PlexServer
from plexindex import aio, compat, testing
from plexindex import index as index_module
from requests.adapters import HTTPAdapter


def test_tracebacks_have_the_public_names(index: plexindex.Index) -> None:
    with pytest.raises(plexindex.Error) as caught:
        index.library("Nothing").match("/x.mkv")
    printed = traceback.format_exception_only(caught.type, caught.value)[0]
    assert printed.startswith("plexindex.errors.LibraryNotFoundError: ")
    assert sorted(plexindex.__all__) == sorted(set(plexindex.__all__))
    for name in plexindex.__all__:
        assert "._" not in getattr(plexindex, name).__module__, name


def public_callables() -> Iterator[tuple[str, Any]]:
    """Classes, functions, methods and properties with a public name."""
    for module in (plexindex, aio, testing, compat, plexindex.types):
        for name in getattr(module, "__all__", [name for name in vars(module) if name[:1].isupper()]):
            thing = getattr(module, name)
            if isinstance(thing, type) and thing.__module__.startswith("plexindex"):
                yield name, thing
            for member in dir(thing) if isinstance(thing, type) else [""]:
                value = inspect.getattr_static(thing, member) if member else thing
                found = getattr(value, "fget", getattr(value, "__func__", value))
                is_ours = inspect.isfunction(found) and found.__module__.startswith("plexindex")
                # The class annotates the properties that a function makes.
                if is_ours and member[:1] != "_" and "<" not in found.__qualname__:
                    yield f"{name}.{member}", found


@pytest.mark.skipif(sys.version_info < (3, 11), reason="before 3.10, Python cannot read the `|` of an annotation")
@pytest.mark.parametrize("one", [pytest.param(one, id=name) for name, one in public_callables()])
def test_each_public_callable_is_documented_has_types_and_names_its_options(one: Any) -> None:
    assert one.__doc__ or one.__module__.endswith(".methods"), "docs/methods.md describes what answers have"
    hints = typing.get_type_hints(one)
    if isinstance(one, type):
        return
    assert "return" in hints
    kinds = {parameter.kind for parameter in inspect.signature(one).parameters.values()}
    # The fields of FakePlex's items have any name.
    assert inspect.Parameter.VAR_KEYWORD not in kinds or "FakePlex" in one.__qualname__


def test_each_python_reads_the_types_of_a_comparison_and_of_statistics() -> None:
    for one in (plexindex.types.Summary, plexindex.types.Stats):
        assert set(typing.get_type_hints(one)) == set(one.__annotations__)


def test_the_same_library_is_equal_and_all_libraries_are_each_in_turn(index: plexindex.Index, server: Server) -> None:
    for use in (index.shows, index.seasons, lambda: list(index.items(offline=True))):
        with pytest.raises(plexindex.NotFetchedError):
            use()
    library: Any = index.library("Movies")
    # Neither the library's paths nor its items: which one is meant would be a guess.
    for ask in (lambda: "/x" in library, lambda: len(library), lambda: library[0]):
        with pytest.raises(TypeError):
            ask()
    assert index.library("Movies") == library != index.library("TV Shows")
    assert len({index.library("Movies"), index.library("Movies"), index.library("TV Shows")}) == 2
    movies, shows = list(index.library("Movies")), list(index.library("TV Shows"))
    assert list(index.items()) == movies + shows
    assert len(movies) == len(server.paths(1))
    assert index.shows() == index.library("TV Shows").shows() != []
    assert index.seasons() == index.library("TV Shows").seasons()
    assert index.lookup_key(shows[0].path or "") == shows[0].key


def test_a_library_is_a_recipe_for_another_process(
    server: Server, row: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, open_index: OpenIndex
) -> None:
    index = open_index(mappings=[("/mnt/media", "/data")])
    movies = index.library("movies")
    pickled = pickle.dumps(movies)
    assert TOKEN.encode() not in pickled
    assert TOKEN.encode() not in pickle.dumps(index)
    for name in ("SERVER_URL", "TOKEN", "TOKEN_FILE", "CACHE_DIR", "SIZE_LIMIT"):
        monkeypatch.delenv(f"PLEXINDEX_{name}", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    # The workers of a pool are told when they use it: an error before that would let the pool wait for ever.
    without = pickle.loads(pickled)  # noqa: S301
    assert isinstance(without, plexindex.Library)
    assert not without.index.is_open
    uses: list[Callable[[], object]] = [
        lambda: without.match("/x"),
        lambda: list(without),
        lambda: without.index.stats(),
        lambda: without.index.watch().start(),
        lambda: without.edit_items([7], {"title": "x"}),
    ]
    for use in uses:
        with pytest.raises(plexindex.InvalidArgumentError, match="PLEXINDEX_TOKEN") as caught:
            use()
        assert "PLEXINDEX_TOKEN" in str(pickle.loads(pickle.dumps(caught.value)))  # noqa: S301
    errors = []
    for _ in range(3):
        with pytest.raises(plexindex.InvalidArgumentError) as caught:
            without.match("/x")
        errors.append(caught.value)
    assert len({len(traceback.extract_tb(error.__traceback__)) for error in errors}) == 1
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
    assert repr(first) == repr(movies)
    path = row["path"].replace("/data/", "/mnt/media/")
    assert first.lookup_key(path) == second.lookup_key(path) != None  # noqa: E711
    assert len({first, second, movies}) == 2, "equal copies, and another index"
    for _ in range(2):  # the second close of an index does nothing
        first.index.close()
        assert (first.index.is_open, second.index.is_open) == (False, True)
    table = first.index.table
    for use in (first.index.stats, lambda: first.match(path), lambda: first.lookup_key(path), lambda: table("a")["a"]):
        with pytest.raises(plexindex.ClosedError):
            use()
    assert second.match(path)
    third = pickle.loads(pickled)  # noqa: S301
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda one: one.index.close(), [second, third] * 4))
    assert not any(session.is_open for session, _ in index_module._reopened.values())
    assert pickle.loads(pickled).match(path)  # noqa: S301


def test_from_server_copies_what_it_can_and_names_the_rest(
    server: Server, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    plex: Any = PlexServer(server.url, server.token, timeout=0.4)
    with plexindex.from_server(plex, tmp_path / "a", retry_for=0) as index:
        assert not caplog.records
        server.fault(kind="sections", action="delay", ms=3_000, count=0)
        with pytest.raises(plexindex.TimeoutError, match=r"0\.4 s"):
            index.refresh()
    with plexindex.from_server(plex, tmp_path / "a", read_timeout=9, slow=None) as index:
        options = index.__reduce__()[1][0].options
        assert (options["connect_timeout"], options["read_timeout"], options["slow"]) == (0.4, 9, None)
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


def test_a_section_of_plexapi_is_a_library(door: plexindex.ServerIndex, row: dict[str, str]) -> None:
    section = door.section("Movies")
    assert isinstance(section, plexindex.Library)
    assert section.match(row["path"]) == door.match(row["path"])
    assert section.title == section.plex.title == "Movies"
    assert section.refresh() is True
    assert {"match", "lookup_keys", "fetchItem"} <= set(dir(section))
    with pytest.raises(NotFound):
        door.section("nope")


def test_a_light_item_has_what_the_index_knows_without_a_request(door: plexindex.ServerIndex, server: Server) -> None:
    movie, episode = (door.match(server.paths(section)[0]["path"]).require() for section in (1, 2))
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
    server.reset()
    match = door.match(server.paths(1)[1]["path"])
    for light in (movie.light, movie.light, match.light, match.light):
        assert light and light.summary
    assert server.requests() == 2, "one request for all attributes of an item"
    with pytest.raises(AttributeError):
        movie.light.parentIndex  # noqa: B018
    # Every answer has one.
    assert match.light == door.match_paths([match.path or ""])[0].light
    (listed,) = (item.light for item in door.library(1) if item.key == movie.key)
    assert listed and listed.key == movie.key
    light = match.light
    assert light and light != light.full()  # plexapi's hash depends on its class
    assert door.match("/nowhere.mkv").light is None


def test_a_light_item_has_the_versions_of_plexapi(tmp_path: Path) -> None:
    paths = ["/films/Sintel (2010).mkv", "/films/Sintel (2010) - 4K.mkv"]
    with testing.FakePlex({"Movies": paths}, sizes={paths[0]: 1_000_001, paths[1]: 2_000_003}) as fake:
        index = plexindex.from_server(PlexServer(fake.url, fake.token), tmp_path)
        item = index.match(paths[0]).require().light
        assert item
        assert [[(part.file, part.size) for part in medium.parts] for medium in item.media] == [
            [(paths[0], 1_000_001)], [(paths[1], 2_000_003)],
        ]  # fmt: skip
        for ours, theirs in zip(item.media, item.full().media):
            assert (ours.id, ours.container, ours.bitrate) == (theirs.id, theirs.container, theirs.bitrate)
            assert [(part.id, part.key) for part in ours.parts] == [(part.id, part.key) for part in theirs.parts]
        with pytest.raises(AttributeError):
            item.media[0].nothing  # noqa: B018
        index.close()


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
        plexindex.from_server(plex, tmp_path / "b", tokn="x")  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="maping"):
        plexindex.from_section(plex.library.section("Movies"), tmp_path / "b", maping=[])  # type: ignore[call-arg]


def admit(server: Server, *tokens: str) -> None:
    """From now on the server accepts only these tokens."""
    server.post("tokens", {"tokens": [{"token": token} for token in tokens]})


@pytest.fixture
def used(server: Server, tmp_path: Path) -> Path:
    """A store in which the user has listed the films, and recorded a match."""
    admit(server, "token-1")
    with plexindex.open(tmp_path / "store", server.url, "token-1", user="ann") as index:
        index.library("Movies").refresh()
        index.library("Movies").record_match("/host/a.mkv", server.paths()[0]["ratingKey"])
    server.reset()
    return tmp_path / "store"


@pytest.mark.parametrize(
    ("problem", "kind"),
    [
        (RuntimeError("plex.tv is away"), plexindex.UnauthorizedError),
        (KeyboardInterrupt(), KeyboardInterrupt),
        (GeneratorExit(), plexindex.UnauthorizedError),
    ],
)
def test_what_the_callable_raises(
    server: Server, tmp_path: Path, problem: BaseException, kind: type[BaseException]
) -> None:
    tokens = ["token-1"]

    def renew() -> str:
        if tokens:
            return tokens.pop()
        raise problem

    admit(server, "token-1")
    with plexindex.open(tmp_path / "store", server.url, renew, user="ann") as index:
        index.refresh()
        admit(server, "token-2")
        with pytest.raises(kind) as caught:
            index.refresh(full=True)
        assert problem in (caught.value, caught.value.__cause__)
    with pytest.raises(type(problem)):
        plexindex.open(tmp_path / "other", server.url, renew)
    assert not (tmp_path / "other").exists()
    tokens.append("token-2")
    with plexindex.open(tmp_path / "store", server.url, renew, user="ann") as index:
        assert index.refresh(full=True)


@forks
def test_a_fork_while_the_callable_runs(server: Server, used: Path) -> None:
    number = 1
    entered, forked = threading.Event(), threading.Event()

    def renew() -> str:
        if number == 2 and not entered.is_set():
            entered.set()
            forked.wait(30)
        return f"token-{number}"

    with plexindex.open(used, server.url, renew) as index:
        number = 2
        admit(server, "token-2")
        asking = threading.Thread(target=index.library("Movies").refresh, kwargs={"full": True})
        asking.start()
        assert entered.wait(30)

        def child() -> None:
            nonlocal number
            number = 3
            admit(server, "token-3")
            index.library("Movies").refresh(full=True)

        assert exit_of_child(child) == 0
        admit(server, "token-2")
        forked.set()
        asking.join()
        index.library("Movies").refresh(full=True)


def test_a_pickled_index_finds_its_token_again(server: Server, used: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLEXINDEX_TOKEN", "token-1")
    with plexindex.open(used, server.url, lambda: "token-1", user="ann") as index:
        pickled = pickle.dumps(index)
    assert b"token-1" not in pickled
    with pickle.loads(pickled) as index:  # noqa: S301
        assert index.refresh(full=True)
    # The content of a named user needs no token, but a request does.
    monkeypatch.delenv("PLEXINDEX_TOKEN")
    monkeypatch.setenv("HOME", str(used))
    with pickle.loads(pickled) as index:  # noqa: S301
        assert index.library("Movies").match("/host/a.mkv").match_kind == "confirmed"
        with pytest.raises(plexindex.UnauthorizedError, match="token"):
            index.refresh(full=True)


def plex_server(server: Server, token: str, **more: object) -> Any:
    """The attributes of a PlexServer that plexindex reads."""
    return SimpleNamespace(_baseurl=server.url, _token=token, _session=None, library=None, **more)


def test_from_server_reads_the_token_of_plexapi(server: Server, used: Path) -> None:
    plex = plex_server(server, "token-1")
    with plexindex.from_server(plex, used, user="ann") as index:
        plex._token = "token-2"
        admit(server, "token-2")
        assert index.refresh(full=True)


@pytest.mark.parametrize("is_own", [True, False])
def test_the_account_is_the_user_of_its_own_token(server: Server, tmp_path: Path, is_own: bool) -> None:
    listings = []
    for token in ("token-1", "token-2"):
        admit(server, token)
        account = SimpleNamespace(_token=token if is_own else "another", uuid="0123abcd")
        plex = plex_server(server, token, _myPlexAccount=account)
        with plexindex.from_server(plex, tmp_path / "store") as index:
            index.library("Movies").refresh()
        listings.append(server.get("stats")["requests"]["listing"])
    assert (listings[0] == listings[1]) is is_own
