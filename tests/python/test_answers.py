"""Questions, answers, the file itself and edits: types and conversion. What an answer means, Rust's tests prove."""

from __future__ import annotations

import asyncio
import copy
import json
import os
import pickle
import re
import sys
import urllib.parse
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath
from typing import Any

import plexapi
import plexindex
import pytest
from conftest import OpenIndex, Server, until
from disk import make, set_size
from plexapi.library import LibrarySection
from plexapi.server import PlexServer
from plexindex import aio
from plexindex._core import abi as c
from plexindex._core import native
from plexindex._core.answers import one_number
from plexindex._core.selection import Selection
from plexindex.testing import FakePlex

MISSING = "/data/movies/Not There (1950)/Not There (1950).mkv"


def test_paths_as_str_bytes_and_path_objects(movies: plexindex.Library, row: dict[str, str]) -> None:
    key = f"/library/metadata/{row['ratingKey']}"
    for path in (row["path"], os.fsencode(row["path"]), PurePosixPath(row["path"]), Path(row["path"])):
        assert movies.match(path).key == key
        assert movies.lookup_key(path) == key
        assert movies.lookup_keys([path, MISSING]) == [key, None]
        assert [match.key for match in movies.match_paths([path, MISSING])] == [key, None]


def test_only_a_sure_match_is_true(movies: plexindex.Library, row: dict[str, str]) -> None:
    sure, missing = movies.match(row["path"]), movies.match(MISSING)
    assert sure
    assert (sure.require(), sure.likely) == (sure.sure, None)
    # The same name in another folder may be another file.
    low = movies.match(f"/elsewhere/{PurePosixPath(row['path']).name}")
    assert low.confidence == "low"
    assert low.likely is not None
    assert low.likely.key == sure.key
    for unsure in (low, missing):
        assert not unsure
        fields = (unsure.sure, unsure.key, unsure.rating_key, unsure.ratingKey, unsure.title, unsure.kind, unsure.path)
        assert set(fields) == {None}
        with pytest.raises(plexindex.NoMatchError) as raised:
            unsure.require()
        assert str(raised.value) == unsure.message
        with pytest.warns(DeprecationWarning, match="Match.sure"):
            assert unsure.item is None


def test_facts_are_those_of_the_library_that_answers(open_index: OpenIndex) -> None:
    titles = ["Movies", "movies", "1", "S\u00e9ries", "Se\u0301ries"]
    with FakePlex({title: [f"/data/{key}/Film (2001).mkv"] for key, title in enumerate(titles, 1)}) as plex:
        index = open_index(server_url=plex.url, token=plex.token)
        assert index.refresh()
        known = index.libraries()
        assert [library.title for library in known] == titles
        for key, (title, listed) in enumerate(zip(titles, known), 1):
            selected = (
                index.library(title),
                index.library(key),
                index.library(section=key),
                index.library(uuid=listed.uuid),
            )
            for library in (*selected, listed):
                item = next(iter(library))
                assert item.section == library.section == str(key)
                assert item.library_title == library.title == title
                assert library.locations == (f"/data/{key}",)
                assert library.item_count == 1
        # What no library is called has no facts, and no item.
        other = index.library("Series")
        assert other.title == ""
        for use in (lambda: other.match("/data/4/x.mkv"), lambda: next(iter(other))):
            with pytest.raises(plexindex.LibraryNotFoundError):
                use()


def test_answers_are_equal_by_value(movies: plexindex.Library, row: dict[str, str], server: Server) -> None:
    def answers() -> list[Any]:
        match = movies.match(row["path"])
        return [match, match.sure, movies.match_paths([row["path"]])]

    first, other = answers(), movies.match(server.paths(1)[1]["path"])
    assert first == answers()
    assert first == pickle.loads(pickle.dumps(first))  # noqa: S301
    match = first[0]
    assert len({match, answers()[0], other}) == 2
    assert len({match.sure, answers()[1], other.sure}) == 2
    assert movies.match("/nowhere/a.mkv") != movies.match("/nowhere/b.mkv")
    assert match != row["path"]
    assert json.loads(json.dumps(match.to_dict()))["item"] == match.to_dict()["item"]
    assert match.ratingKey == int(row["ratingKey"])
    assert movies.match("/nowhere/a.mkv").ratingKey is None


def test_a_folder(index: plexindex.Index, server: Server) -> None:
    season = os.path.dirname(server.paths(2)[0]["path"])
    inside = sorted(row["path"] for row in server.paths(2) if row["path"].startswith(f"{season}/"))
    with pytest.raises(plexindex.NotFetchedError):
        next(index.items_below(season, offline=True))
    shows = index.library("TV Shows")
    found = shows.folder(season, kind="season")
    assert isinstance(found, plexindex.FolderMatch)
    assert found.kind == found.to_dict()["kind"] == "season"
    assert found.items == found.files == len(inside)
    assert found.path == season
    assert found.require().show_title == shows.match(inside[0]).require().show_title
    assert found == index.folder(f"{season}/", "season") == pickle.loads(pickle.dumps(found))  # noqa: S301
    assert found == asyncio.run(aio.AsyncIndex(index).folder(season, "season"))
    assert hash(found) == hash(shows.folder(season, "season"))
    assert "items>" in repr(found)


def test_the_trash_is_listed_by_the_server(movies: plexindex.Library, server: Server) -> None:
    key = next(movies.items()).rating_key
    server.post("items/missing", {"ratingKeys": [key]})
    movies.invalidate()
    movies.refresh()
    (trashed,) = movies.items(trashed=True)
    assert trashed.rating_key == key
    assert trashed.trashed
    assert pickle.loads(pickle.dumps(trashed)).trashed  # noqa: S301
    assert copy.copy(trashed).trashed
    assert key not in [item.rating_key for item in movies.items()]
    with pytest.raises(plexindex.OfflineError):
        next(movies.items(trashed=True, offline=True))


def test_an_answer_keeps_only_its_own_part_of_a_batch(index: plexindex.Index, server: Server) -> None:
    paths = [row["path"] for row in server.paths(1)[:40]] + ["/nowhere/x.mkv"]
    alone = [index.match(path) for path in paths]
    matches = index.match_paths(paths * 30)
    assert list(matches[: len(paths)]) == alone
    for path, one, kept in ((paths[3], alone[3], matches[len(paths) + 3]), (paths[-1], alone[-1], matches[-1])):
        again = pickle.loads(pickle.dumps(kept))  # noqa: S301
        assert again == kept == one
        assert (kept.asked, kept.key, kept.message) == (path, one.key, one.message)
        assert len(pickle.dumps(kept)) < len(pickle.dumps(one)) + 100


def test_a_copy_of_an_item_or_a_match_knows_its_index(index: plexindex.Index, row: dict[str, str]) -> None:
    match, other = index.match(row["path"]), index.match(row["path"])
    for copied in (copy.copy(match), copy.deepcopy(match)):
        assert copied == match
        assert copied.file == match.file
    item = match.require()
    assert item.host_path == item.path, "no mapping"
    for again in (copy.copy(item), copy.deepcopy(item)):
        assert (again.paths, again.host_path, again.trashed) == (item.paths, item.host_path, False)
    index.close()
    # Only an open index knows the file.
    assert {**other.to_dict(), "age": 0} == {**match.to_dict(), "age": 0, "file": None}


def test_an_entry_is_taken_or_added_once(open_index: OpenIndex) -> None:
    limited, table = open_index().table("limited", limit=3_000), open_index().table("mine")
    for number in range(4):
        limited[str(number)] = bytes(936)
    assert list(limited) == ["2", "3"]
    assert (table.add("a", b"1"), table.add("a", b"2"), table["a"]) == (True, False, b"1")
    assert (table.setdefault("a", b"3"), table.setdefault(b"\xff", b"\xfe")) == (b"1", b"\xfe")
    assert (table.pop("a"), table.pop("a", None), table.pop("a", 7)) == (b"1", None, 7)
    for call in (lambda: table.pop("a"), lambda: table.__delitem__("a")):
        with pytest.raises(KeyError):
            call()
    assert table.add("e", b"x", expire=0)
    assert (dict(table), len(table), bool(table)) == ({"\udcff": b"\xfe"}, 1, True), "without the expired one"
    assert table.popitem() == ("\udcff", b"\xfe")
    with pytest.raises(KeyError):
        table.popitem()
    assert (table.pop("a", default=None), table.get(key="a")) == (None, None)
    assert not table.__contains__(5)
    table.set("job", b"x")
    names = [f"{number}" for number in range(100)]

    def take_and_add(own: plexindex.Table) -> list[str]:
        return [name for name in names if own.add(name, b"") and own.pop("job", None) is None]

    with ThreadPoolExecutor(3) as pool:
        won = [name for some in pool.map(take_and_add, [open_index().table("mine") for _ in "123"]) for name in some]
    assert len(set(won)) == len(won) == len(names) - 1


def test_what_others_remove_is_no_entry_of_a_table(open_index: OpenIndex) -> None:
    table, other = open_index().table("mine"), open_index().table("mine")
    table.update({"a": b"1", "b": b"2", "c": b"3"})
    names = iter(table.items())
    assert next(names) == ("a", b"1")
    del other["b"]
    table.set("d", b"4", expire=0)
    assert list(names) == [("c", b"3")]
    assert (list(table.values()), b"3" in table.values(), b"4" in table.values()) == ([b"1", b"3"], True, False)
    assert table == {"a": b"1", "c": b"3"}


def put(block: Any, offset: int, *numbers: int) -> None:
    """Writes numbers of four bytes into a block."""
    for place, number in enumerate(numbers):
        block[offset + 4 * place : offset + 4 * place + 4] = number.to_bytes(4, sys.byteorder)


def test_numbers_and_structs_of_a_later_version(index: plexindex.Index, server: Server, row: dict[str, str]) -> None:
    matches = index.match_paths([row["path"], MISSING])
    block: Any = matches._block
    put(block, matches._first, 42, int.from_bytes(bytes([9, 7, 200, 0]), sys.byteorder))
    (item,) = one_number(block, matches._first + c.ANSWER["candidates"])
    put(block, item + c.ITEM["kind"], 99)
    match = matches[0]
    assert match.status == "unknown"
    assert str(match.match_kind) == "unknown_9"
    assert str(match.confidence) == "unknown_7"
    assert str(match.reason) == "unknown_200"
    assert match.candidates[0].kind == "unknown"
    # An error of one path can be raised.
    put(block, matches._first + matches._step, c.STARTING)
    assert isinstance(matches[1].error, plexindex.ServerUnavailableError)
    assert str(matches[1].error) == matches[1].message
    # Structs of twice the size: of four answers, the second and the fourth are the rest of the one before.
    paths = [one["path"] for one in server.paths(1)[:4]]
    block = index.match_paths(paths)._block
    kept = [match.key for match in index.match_paths(paths[::2])]
    put(block, 4, 2 * matches._step)
    put(block, 12, 2)
    assert [match.key for match in plexindex.Matches(block, None, paths[::2])] == kept


def test_a_batch_is_a_sequence(movies: plexindex.Library, row: dict[str, str]) -> None:
    paths: list[Any] = [row["path"], os.fsencode(MISSING), Path(MISSING)]
    matches = movies.match_paths(paths)
    paths.reverse()  # the batch does not change with the list
    assert isinstance(matches, Sequence)
    assert [match.asked for match in matches] == [row["path"], MISSING, str(Path(MISSING))]
    assert len(matches) == 3
    assert matches[-3].title == row["title"]
    assert [match.status for match in matches[1:]] == ["not_found", "not_found"]
    assert matches.counts() == {"found": 1, "not_found": 2}
    assert repr(matches) == "<plexindex.Matches 3: 1 found, 2 not_found>"
    for wrong in (3, -4):
        with pytest.raises(IndexError, match="the batch has 3"):
            matches[wrong]


def test_answers_of_methods_are_freed(index: plexindex.Index, monkeypatch: pytest.MonkeyPatch) -> None:
    index.call("versions")
    library, real = native.load(), native.load().free
    freed: list[bytes | None] = []

    def free(answer: Any) -> None:
        freed.append(answer.value)
        real(answer)

    monkeypatch.setattr(library, "free", free)
    index.call("versions")
    with pytest.raises(plexindex.InvalidArgumentError, match=r"items\.lists"):
        index.call("items.lists")
    assert [answer is not None for answer in freed] == [True, False]


def test_a_failed_edit_says_what_was_done(index: plexindex.Index, server: Server) -> None:
    index.refresh()
    server.reset()
    keys = [row["ratingKey"] for row in server.paths()[:250]]
    server.fault(kind="edit", skip=1, action="status", status=403)
    with pytest.raises(plexindex.UnauthorizedError) as caught:
        index.library("Movies").edit_items(keys, {"title": "x", "label": ["watched"], "year": "1999"})
    report = caught.value.report
    assert report is not None
    assert report.done == keys[:100]
    assert report.failed == keys[100:200]
    assert report.left == keys[200:]
    assert report.requests == 2
    assert server.requests() == 3, "and one of plexapi"
    assert repr(report) == "<plexindex.EditReport: 100 done, 100 failed, 50 left, 2 requests>"


def test_what_an_edit_sends(server: Server, index: plexindex.Index) -> None:
    index.refresh()
    films, show = [film.key for film in index.library("Movies").items()], index.library("TV Shows").shows()[0]
    path = str(next(index.library("Movies").items()).path)
    index.library("Movies").record_match("/host/a.mkv", films[0])
    before = index.stats()["sequence"]
    server.counted()
    report = index.library("Movies").edit_items([*films[:150], films[0]], {"title": "Same", "genre": ["Noir", "A & B"]})
    assert (report.done, report.requests) == (films[:150], 2)
    assert index.stats()["sequence"] - before == 4, "a write before and after each request"
    assert server.counted() == {"root": 1, "edit": 2}
    index.library("Movies").edit_items(films[:1], {"label": ["seen"]}, remove={"genre": ["A & B"]}, locked=None)
    assert server.counted() == {"edit": 1}
    # Two keys of one item are one edit.
    keys = [films[0], f"/library/metadata/{films[0]}"]
    report = index.library("Movies").edit_items(keys, {"title": "Same"})
    assert (report.done, report.left, report.requests) == (keys, [], 1)
    assert server.counted() == {"edit": 1}
    # The first lookup of an edited item asks for it once.
    item = index.match(path).require()
    assert item.title == "Same"
    assert server.counted() == {"metadata": 1}
    assert index.match("/host/a.mkv", offline=True).match_kind == "confirmed"
    # Shows are not items of the index, so that the server says what they are.
    index.library("TV Shows").edit_items([show.rating_key], {"title": "Another"})
    assert server.counted() == {"metadata": 1, "edit": 1}
    assert PlexServer(server.url, server.token).fetchItem(int(show.rating_key)).title == "Another"


def test_an_edit_is_doubted_before_it_is_sent_and_after_it(
    server: Server, index: plexindex.Index, open_index: OpenIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = open_index()
    index.refresh()
    film = next(index.library("Movies").items())
    server.counted()
    multi_edit = LibrarySection.multiEdit

    def lookup_and_edit(section: LibrarySection, *arguments: object, **options: object) -> object:
        # Another process settles the doubt before the server has the edit.
        assert other.match(film.paths[0]).title == film.title
        return multi_edit(section, *arguments, **options)

    monkeypatch.setattr(LibrarySection, "multiEdit", lookup_and_edit)
    index.library("Movies").edit_items([film], {"title": "New"})
    assert other.match(film.paths[0]).title == "New"
    assert server.counted() == {"root": 1, "metadata": 2, "edit": 1}
    # A store that takes no write prevents the edit; one that takes none after it loses no doubt.
    note, calls = Selection.note_items, []

    def fail_at(number: int) -> None:
        def fail(*arguments: Any) -> None:
            calls.append(arguments)
            if len(calls) == number:
                raise plexindex.StoreError("the store is locked")
            note(*arguments)

        calls.clear()
        monkeypatch.setattr(Selection, "note_items", fail)

    fail_at(1)
    with pytest.raises(plexindex.StoreError) as caught:
        index.library("Movies").edit_items([film], {"title": "Never"})
    assert caught.value.report is not None
    assert (caught.value.report.left, caught.value.report.requests) == ([film.rating_key], 0)
    monkeypatch.setattr(LibrarySection, "multiEdit", multi_edit)
    fail_at(2)
    with pytest.raises(plexindex.StoreError) as caught:
        index.library("Movies").edit_items([film], {"title": "Newer"})
    assert caught.value.report is not None
    assert caught.value.report.done == [film.rating_key]
    assert other.match(film.paths[0]).title == "Newer"


def test_an_edit_of_what_is_not_there_edits_nothing(server: Server, index: plexindex.Index) -> None:
    film, episode = (next(index.library(name).items()).key for name in ("Movies", "TV Shows"))
    server.counted()
    with pytest.raises(plexindex.NotOnServerError, match="has no item") as caught:
        index.library("Movies").edit_items([film, episode, "999999"], {"title": "x"})
    assert "edit" not in server.counted()
    report = caught.value.report
    assert report is not None
    assert (report.missing, report.left, report.requests) == ([episode, "999999"], [film], 0)
    with pytest.raises(plexindex.InvalidArgumentError, match="at least one item"):
        index.library("Movies").edit_items([], {"title": "x"})
    server.stop()
    with pytest.raises(plexindex.ServerUnavailableError, match=f"{server.url} does not answer.*retry later"):
        index.library("Movies").edit_items([film], {"title": "x"})


@pytest.mark.parametrize("kind", [dict, str, bytes, bytearray, memoryview])
def test_a_webhook_of_each_type_is_passed_on(index: plexindex.Index, kind: Any) -> None:
    item = {"librarySectionID": 1, "ratingKey": "108", "type": "movie", "title": "Ü"}
    hook = {"event": "library.new", "Server": {"uuid": "5a4d1e8f0c6b4792a3d8e1f5b7c09d2468ace013"}, "Metadata": item}
    text = json.dumps(hook)
    index.refresh()
    index.notify(hook if kind is dict else text if kind is str else kind(text.encode()))
    assert index.stats()["events"] == 1


NAME = "Big Buck Bunny (2008).mkv"
LISTED = f"/media/movies/{NAME}"
OTHER = "/media/movies/Big Buck Bunny (2008) - 4K.mkv"
EPISODE = "/media/tv/Show/Season 02/Show - S02E01.mkv"
SIZE, OTHER_SIZE = 20_000_001, 41_234_567


@pytest.fixture
def plex() -> Iterator[FakePlex]:
    """A server that knows the sizes of its files."""
    with FakePlex({"Movies": [LISTED, OTHER], "TV": [EPISODE]}, sizes={LISTED: SIZE, OTHER: OTHER_SIZE}) as plex:
        yield plex


def how(match: plexindex.Match) -> tuple[str | None, str | None]:
    return match.confidence, match.reason


def test_a_webhook_knows_the_size(films: plexindex.Index) -> None:
    path = f"/elsewhere/{NAME}"
    assert how(films.match(path, size=SIZE)) == ("high", "same_file")
    assert how(films.wait_for(path, timeout=5, size=SIZE)) == ("high", "same_file")
    assert how(films.match(LISTED, size=SIZE + 1)) == ("high", "size_differs")
    assert films.match(path, size=False).confidence == "low"


def test_an_answer_says_which_file_it_is(films: plexindex.Index) -> None:
    match = films.match(OTHER)
    assert match.file is not None
    facts = vars(match.file)
    assert {name: facts[name] for name in ("path", "size", "part", "parts", "version", "versions", "container")} == {
        "path": OTHER, "size": OTHER_SIZE, "part": 1, "parts": 1, "version": 2, "versions": 2, "container": "mkv",
    }  # fmt: skip
    assert match.file.part_id
    assert match.file.media_id
    assert not match.file.optimized
    assert match.to_dict()["file"] == facts
    assert films.wait_for(OTHER, timeout=5).file == match.file
    item = match.require()
    assert [media.parts[0].path for media in item.media] == [LISTED, OTHER] == list(item.paths)
    assert [media.parts[0].size for media in item.media] == [SIZE, OTHER_SIZE]
    assert item.media[1].media_id == match.file.media_id
    assert films.match("/nowhere.mkv").file is None
    assert films.search_title("Big Buck Bunny").file is None
    # A pickled match has no index to read, unless it has read before.
    again = pickle.loads(pickle.dumps(films.match(OTHER)))  # noqa: S301
    assert "file" in again.to_dict()
    assert not hasattr(again.require(), "duration")
    with pytest.raises(plexindex.Error, match="pickled"):
        assert again.file
    (listed,) = films.library("Movies").items()
    assert pickle.loads(pickle.dumps(listed)).media == item.media  # noqa: S301


def test_an_item_has_what_the_listing_has(films: plexindex.Index, plex: FakePlex) -> None:
    plex.set(LISTED, guids=["imdb://tt1254207"], duration=596_000, editionTitle="Director's Cut", addedAt=1_700_000_000)
    films.refresh(full=True)
    item = films.match(LISTED).require()
    for one in (item, *films.library("Movies").items()):
        assert (one.guids, one.duration, one.edition) == (("imdb://tt1254207",), 596.0, "Director's Cut")
        assert one.added_at == 1_700_000_000
        assert one.season_key is None
    episode = films.match(EPISODE).require()
    assert (episode.season_title, episode.season) == (plex.item(int(episode.season_key or 0))["title"], 2)
    assert str(episode.season_guid).startswith("plex://season/")


def test_the_server_for_tests_lists_sizes(tmp_path: Path) -> None:
    file = set_size(make(tmp_path / "films" / "Film (2001).mkv"), SIZE)
    with FakePlex({"Films": tmp_path / "films", "Others": [LISTED, OTHER]}, sizes={OTHER: 7}) as plex:

        def size(path: object) -> int:
            sizes = {part["file"]: part["size"] for media in plex.item(str(path))["Media"] for part in media["Part"]}
            return int(sizes[str(path)])

        assert (size(file), size(OTHER)) == (SIZE, 7)
        own = size(LISTED)
        assert own > SIZE
        plex.move(LISTED, "/media/movies/Moved.mkv")
        assert size("/media/movies/Moved.mkv") == own
        # A scan notices a replaced file.
        set_size(file, 3)
        assert size(file) == SIZE
        with plexindex.open(tmp_path / "cache", server_url=plex.url, token=plex.token) as index:
            index.refresh()
            index.call("server.scan", {"paths": [str(file)]})
            assert size(file) == 3


def test_a_subclass_of_a_value_has_its_fields() -> None:
    class Plain(plexindex.Show):
        pass

    class Mine(plexindex.Show):
        colour: str
        """Its own."""

    given: dict[str, Any] = {"rating_key": "1", "title": "x", "guid": None, "items": 2}
    assert Plain(**given).items == 2
    assert Mine(**{**given, "colour": "red"}) == Mine(**given, colour="red") != Plain(**given)
    with pytest.raises(TypeError, match="Mine has the fields rating_key, title, guid, items, colour"):
        Mine(**given)


SOURCE = "\n".join(path.read_text(encoding="utf-8") for path in Path(plexapi.__file__).parent.glob("*.py"))
# A field that plexapi does not read.
BEYOND_PLEXAPI = {"attribution"}


def test_what_is_asked_is_spelled_as_plexapi_spells_it(server: Server, tmp_path: Path) -> None:
    """The stand-in is ours, so neither notices a misspelling that both share."""
    with plexindex.open(tmp_path, server.url, server.token) as index:
        assert index.library("Movies").match(server.paths(1)[0]["path"])
        with index.watch():
            until(lambda: server.get("stats")["listeners"])
    listed: dict[str, set[str]] = {"excludeElements": set(), "excludeFields": set(), "filters": set()}
    for entry in server.get("log"):
        arguments = urllib.parse.parse_qs(urllib.parse.urlsplit(entry["target"]).query)
        for name in listed.keys() & arguments.keys():
            listed[name].update(",".join(arguments[name]).split(","))
    assert all(listed.values()), listed
    words = {word for words in listed.values() for word in words}
    # As it is, or with `include` before it.
    assert {word for word in words if not re.search(rf"\b(include|_)?{word}\b", SOURCE)} <= BEYOND_PLEXAPI
