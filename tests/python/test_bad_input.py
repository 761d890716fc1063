"""Bad input: a clear error that names the input and the remedy, and the store as it was."""

from __future__ import annotations

import asyncio
import copy
import math
import os
import pickle
from collections.abc import Callable
from functools import partial
from pathlib import Path, PurePosixPath
from types import SimpleNamespace
from typing import Any

import plexindex
import pytest
from conftest import TOKEN, OpenIndex, Server, names_bytes, on_unix
from plexapi.server import PlexServer
from plexindex._core import convert
from plexindex.testing import FakePlex

REFUSED = plexindex.InvalidArgumentError
SWITCHES = ("accept_invalid_certs", "offline", "mmap", "obfuscate_paths", "shared_durable")
open_: Any = plexindex.open
names_have_half_characters = on_unix("half a character is in names there")


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(0.25, 250), (0, -1), (0.0001, 1), (None, -2), (math.inf, -2), (1e300, convert.FOREVER_MS)],
)
def test_seconds_become_milliseconds(seconds: float | None, expected: int) -> None:
    assert convert.milliseconds("t", seconds, none=-2, zero=-1) == expected


@pytest.mark.parametrize("wrong", [-1, -0.001, math.nan, -math.inf, "1", True, [1], None, 0])
def test_what_is_no_number_of_seconds(wrong: Any) -> None:
    with pytest.raises((REFUSED, TypeError), match=r"\bt\b"):
        convert.milliseconds("t", wrong, none=None, zero=None)


@pytest.mark.parametrize(
    "path", ["", b"", "/data/movies/a\0b.mkv", b"a\0b", pytest.param("/m/\ud800", marks=names_have_half_characters)]
)
def test_paths_that_are_refused(movies: plexindex.Library, server: Server, path: Any) -> None:
    good = "/data/movies/x.mkv"
    for ask in (
        movies.match,
        movies.lookup_key,
        movies.invalidate_path,
        lambda path: movies.match_paths([good, path]),
        lambda path: movies.lookup_keys([good, path]),
        lambda path: movies.record_match(path, "7"),
        lambda path: movies.record_matches([(good, "7"), (path, "7")]),
    ):
        with pytest.raises(REFUSED, match="the path"):
            ask(path)
    assert server.requests() == 0


@names_have_half_characters
def test_a_text_with_a_lone_surrogate_is_refused(index: plexindex.Index, server: Server, cache: Path) -> None:
    movies, table, bad = index.library("Movies"), index.table("mine"), "secret\ud800"
    movies.refresh()
    server.reset()

    options: dict[str, Any] = {"cache_dir": cache, "server_url": server.url, "token": server.token}
    calls: list[tuple[str, Callable[[], object]]] = [
        ("key", lambda: movies.record_match("/x", bad)),
        ("key", lambda: movies.record_matches([("/y", "7"), ("/x", bad)])),
        ("key", lambda: movies.invalidate_item(bad)),
        ("key", lambda: movies.item_facts(bad)),
        ("key", lambda: movies.edit_items([1, bad], {"title": "x"})),
        ("value", lambda: movies.edit_items([1], {"title": bad})),
        ("request", lambda: index.call("items.get", {"key": bad})),
        ("guid", lambda: movies.match_guid(bad)),
        ("title", lambda: movies.search_title(bad)),
        ("cursor", lambda: movies.changes(bad)),
        ("method", lambda: index.call(bad)),
        ("library", lambda: index.library(bad).match("/x")),
        ("library", lambda: index.library(section=bad).match("/x")),
        ("name", lambda: index.table(bad)),
        *(("name", partial(use, bad)) for use in (table.get, table.delete, table.__contains__)),
        ("name", lambda: table.set(bad, b"")),
        ("token", lambda: index.set_token(bad)),
        ("token", lambda: open_(**{**options, "token": lambda: bad})),
        *(
            (option, partial(open_, **{**options, option: bad}))
            for option in ("token", "cache_dir", "server_url", "user", "ca_file", "database", "shared")
        ),
    ]
    with pytest.raises(TypeError, match="path and a key"):
        movies.record_matches(["ab"])  # type: ignore[list-item]
    for name, ask in calls:
        with pytest.raises(REFUSED, match=f"the {name} .*surrogate") as caught:
            ask()
        assert ("secret" in str(caught.value)) == (name not in ("token", "shared", "request")), name
    assert server.requests() == 0
    assert index.stats()["matches"] == 0


@names_bytes
def test_a_path_that_is_not_utf8_matches_itself(movies: plexindex.Library, row: dict[str, str]) -> None:
    movies.refresh()
    odd = os.fsdecode(b"/data/movies/\xff\xfe.mkv")
    movies.record_match(odd, row["ratingKey"])
    for path in (odd, os.fsencode(odd)):
        match = movies.match(path)
        assert match.match_kind == "confirmed"
        assert match.path == odd
        assert movies.lookup_key(path) == match.key
        assert movies.lookup_keys([path]) == [match.key]


def test_an_argument_of_the_wrong_type_is_named(
    index: plexindex.Index, open_index: OpenIndex, server: Server, cache: Path
) -> None:
    index.refresh()
    listed, other = server.paths()[0]["path"], open_index(cache / "other")
    some: Any = index
    films = some.library("Movies")
    table, opened = some.table("mine"), partial(open_, cache)
    calls: list[tuple[str, Callable[[], object]]] = [
        *((option, partial(opened, **{option: "false"})) for option in SWITCHES),
        ("mappings", lambda: opened(mappings=3)),
        ("mappings", lambda: opened(mappings=[("/a", 3)])),
        ("a path", lambda: some.match(7)),
        ("timeout", lambda: some.match(listed, timeout="x")),
        ("progress", lambda: some.match(listed, progress=3)),
        ("progress must be a plain function", lambda: some.match(listed, progress=asyncio.sleep)),
        *((name, partial(some.match, listed, **{name: value})) for name in ("check", "offline") for value in (1, None)),
        *(("size", partial(some.match, listed, size=size)) for size in (True, 1.5, "", 1 << 64)),
        ("size", lambda: some.match_paths([listed], size=5)),
        ("library", lambda: some.library(1.5)),
        ("guid", lambda: some.match_guid(3)),
        ("kind", lambda: some.folder("/data", kind=5)),
        ("name", lambda: some.table(3)),
        ("folders", lambda: some.compare(None)),
        ("without", lambda: some.compare("/a", without=3)),
        ("without", lambda: some.compare("/a", without=[1, "x"])),
        ("paths must", lambda: some.proposals(3)),
        ("list of paths", lambda: some.proposals("/a")),
        ("position 1", lambda: some.proposals(["/a", 3])),
        ("database", lambda: opened(database=3)),
        ("kind", lambda: plexindex.Mapping(7, "/a", "/b")),
        ("keys", lambda: films.edit_items(None)),
        ("fields", lambda: films.edit_items([101], ["title"])),
        ("remove", lambda: films.edit_items([101], {}, remove=["genre"])),
        *(
            (name, partial(films.edit_items, [101], {name: value}))
            for name, value in (("label", "a"), ("Label", ["a"]), ("year", "abc"), ("year", "nan"), ("title", ["A"]))
        ),
        ("body", lambda: some.notify(7)),
        ("request", lambda: some.call("items.list", [1])),
        ("progress", lambda: some.call("changes.list", progress=7)),
        ("object", lambda: some.call("items.get", {"key": object()})),
        ("library must be", lambda: some.call("items.get", {"key": "1", "library": 1.5})),
        ("a different index", lambda: some.call("items.list", {"library": other.library("Movies")})),
        ("value", lambda: table.set("a", "str")),
        ("position 1", lambda: some.match_paths(["/a", "/b\0"])),
        ("position 1", lambda: some.match_paths([b"/a", ""])),
        ("position 1500", lambda: some.lookup_keys(["/a"] * 1500 + ["/b\0"])),
        ("str", lambda: some.match_paths([])["x"]),
        ("since", lambda: some.watch(3)),
        ("timeout", lambda: some.watch(timeout="x")),
        ("since", lambda: some.changes(b"\xff")),
        # The name of the argument is that of the call.
        ("'library'", lambda: some.library("Movies").match("/a", library="TV")),
        ("unexpected keyword argument 'tokn'", lambda: some.match("/a", tokn="x")),
        ("'key'", lambda: some.library("Movies").record_match("/a.mkv")),
        # The string "false" does not count as true.
        *(("check", partial(call, "/a", check="false")) for call in (films.match, films.folder, films.match_guid)),
        *((name, partial(films.refresh, **{name: "false"})) for name in ("check", "full")),
        ("check", partial(films.match_paths, [], check="false")),
        ("check", partial(films.search_title, "A", check="false")),
        ("full", partial(films.changes, full="false")),
        *(("offline", partial(call, offline="false")) for call in (films.items, films.watch, some.libraries)),
        ("offline", partial(some.compare, "/a", offline="false")),
        ("through", partial(films.record_match, "/a", 7, through="false")),
        ("shared", partial(films.record_match, "/a", 7, through=True)),
        (r"plexindex\.open", lambda: plexindex.Index("cache")),  # type: ignore[arg-type]
    ]
    for said, call in calls:
        with pytest.raises((TypeError, REFUSED), match=said):
            call()


@on_unix("Windows keeps the working directory")
def test_a_relative_database_needs_a_working_directory(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    with pytest.raises(REFUSED, match="database"):
        plexindex.open(cache, database="plex.db")


def test_equal_rules_are_equal_mappings() -> None:
    folders: list[Any] = [("/a", "/b"), (b"/a", b"/b"), (PurePosixPath("/a"), PurePosixPath("/b"))]
    rules = [plexindex.Mapping.host_prefix(host, server) for host, server in folders]
    assert len({*rules, plexindex.Mapping.server_prefix("/a", "/b")}) == 2


def test_an_index_and_what_reads_it_are_not_copied(index: plexindex.Index) -> None:
    for call in (copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="cannot copy an Index"):
            call(index)
    index.refresh()
    for one in (index.table("mine"), index.shared, index.watch(), index.changes(), index.compare("/nowhere")):
        with pytest.raises(TypeError, match="pickle the Index"):
            pickle.dumps(one)


def test_no_repr_has_the_token(index: plexindex.Index) -> None:
    for shown in (index, index.library("Movies"), index.match("/x"), index.watch()):
        assert TOKEN not in repr(shown)


def test_an_error_names_the_argument(tmp_path: Path, index: plexindex.Index) -> None:
    opened = partial(plexindex.open, tmp_path)
    calls: list[tuple[str, Callable[[], object]]] = [
        ("cache_dir", lambda: plexindex.open("")),
        ("page_size", lambda: opened(page_size=0)),
        ("kind", lambda: index.folder("/data", kind="Show")),  # type: ignore[arg-type]
        ("shared", lambda: opened(shared="")),
        ("shared", lambda: opened(server_url="http://a", shared="mysql://ann@db/x")),
        ("shared", lambda: opened(server_url="http://a", shared="postgresql://db/x", database="/d")),
        ("database", lambda: opened(database="")),
        ("timeout", lambda: opened(timeout=-1)),
        ("read_timeout", lambda: opened(read_timeout=0)),
        ("size_limit", lambda: opened(size_limit=-1)),
        ("server_url", lambda: opened(server_url="nonsense")),
        ("mappings", lambda: opened(mappings=[("/a\0", "/b")])),
        ("mappings", lambda: opened(mappings=[plexindex.Mapping.host_pattern("(", "")])),
        ("timeout", lambda: index.match("/x", timeout=-1)),
        ("size", lambda: index.match("/x", size=-1)),
        ("path", lambda: index.match("/\ud800")),
        ("every", lambda: index.wait_for("/x", timeout=1, every=0)),
        ("since", lambda: index.changes("")),
        ("limit", lambda: index.table("t", limit=0)),
        ("expire", lambda: index.table("t").set("a", b"", expire=-1)),
    ]
    for argument, call in calls:
        with pytest.raises(plexindex.InvalidArgumentError) as caught:
            call()
        assert caught.value.argument == argument


def test_only_real_strings_reach_the_library(movies: plexindex.Library) -> None:
    class Odd(str):
        def encode(self, *_: object) -> Any:
            return 5

    path = next(iter(movies)).path
    assert path is not None
    assert movies.lookup_key(Odd(path)) == movies.lookup_key(path) is not None
    with pytest.raises(TypeError):
        movies.lookup_key(SimpleNamespace(encode=lambda: 5))


def test_an_item_of_another_server_and_an_unsure_match_are_no_keys(tmp_path: Path, open_index: OpenIndex) -> None:
    alien = "/m/Alien (1979).mkv"
    with FakePlex({"Films": [alien]}) as one, FakePlex({"Films": ["/m/Bambi (1942).mkv"]}) as other:
        index, same, foreign = (
            open_index(tmp_path / name, server_url=plex.url, token=plex.token)
            for name, plex in (("1", one), ("2", one), ("3", other))
        )
        item, bambi = index.match(alien).require(), foreign.library("Films")
        for refused in (
            lambda: bambi.edit_items([item], {"title": "Alien"}),
            lambda: bambi.record_match("/d/a.mkv", item),
            lambda: bambi.record_matches([("/d/a.mkv", item)]),
            lambda: bambi.invalidate_item(item),
            lambda: bambi.refresh_items([item]),
        ):
            with pytest.raises(plexindex.InvalidArgumentError, match="another server"):
                refused()
        # So is plexapi's, whose key is another film's here. A server may have several URLs.
        section = PlexServer(one.url, one.token).library.section("Films")
        with pytest.raises(plexindex.InvalidArgumentError, match="another server"):
            bambi.edit_items(section.all(), {"title": "Alien"})
        assert other.item(item.rating_key)["title"] == "Bambi"
        section._server._baseurl = one.url.replace("127.0.0.1", "localhost")
        assert index.library("Films").edit_items(section.all(), {"title": "Alien"}).done == [item.rating_key]
        # The same server's item of another index, and a match that is sure, are keys.
        same.refresh()
        same.library("Films").record_match("/d/a.mkv", item)
        assert same.match("/d/a.mkv").key == item.key
        index.library("Films").invalidate_item(index.match(alien))
        unsure = index.match("/elsewhere/Alien (1979).mkv", size=False)
        assert unsure.likely is not None
        with pytest.raises(plexindex.NoMatchError):
            index.library("Films").invalidate_item(unsure)


def test_a_library_that_the_server_lacks_cannot_be_invalidated(index: plexindex.Index) -> None:
    unknown = index.library("Films")
    unknown.invalidate()  # nothing is known yet
    index.refresh()
    with pytest.raises(plexindex.LibraryNotFoundError, match="'Films'"):
        unknown.invalidate()


def test_a_show_and_a_season_are_keys(index: plexindex.Index) -> None:
    index.refresh()
    shows = index.library("TV Shows")
    show, season = shows.shows()[0], shows.seasons()[0]
    shows.invalidate_item(show)
    index.refresh_items([show, season])
    assert shows.edit_items([show, season], {"label": ["seen"]}).done == [show.rating_key, season.rating_key]
