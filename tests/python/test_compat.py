"""The drop-in for Stash2Plex: what its function answers and costs, when the host's own one answers, and its caches."""

from __future__ import annotations

import itertools
import json
import pickle
import re
import sys
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import MagicMock, Mock

import pytest
import requests
from conftest import Server, ServerFactory, until
from plexapi.exceptions import NotFound
from plexapi.server import PlexServer
from plexindex import compat
from plexindex._compat import failures, find
from plexindex.compat import MatchCache, NotFoundError, PlexCache, find_plex_items_with_confidence

KEY = "/library/metadata/"


def caches(folder: Path) -> dict[str, Any]:
    """The drop-in's caches in a folder, as arguments of the function."""
    return {"library_cache": PlexCache(folder), "match_cache": MatchCache(folder)}


def outcome(section: Any, path: str, given: dict[str, Any]) -> tuple[Any, ...]:
    """The confidence and the candidates' rating keys, or "none"."""
    try:
        confidence, item, found = find_plex_items_with_confidence(section, path, **given)
    except NotFound:
        return ("none",)
    assert item is (found[0] if confidence.value == "high" else None)
    return (confidence.value, *sorted(int(one.ratingKey) for one in found))


def refuses(*_: Any) -> Any:
    """Stands for the host's function where the index must answer."""
    raise AssertionError("the host's own function was asked")


def answers(asked: list[Any]) -> Callable[..., Any]:
    """Stands for the host's function, which answers with an enum of its own."""

    class Confidence:
        value = "high"

    def function(*given: Any) -> tuple[Any, Any, list[Any]]:
        asked.append(given)
        return Confidence, "theirs", ["theirs"]

    return function


@pytest.fixture(autouse=True)
def _only_the_index(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The host's own function answers nothing, no request is repeated, and no index stays open."""
    monkeypatch.setattr(find, "_RETRY_FOR", 0)
    compat.configure(matcher=refuses)
    yield
    compat.configure()
    for index in find._indexes.values():
        index.close()
    find._indexes.clear()
    find._warned.clear()


def film(key: int, *files: str, title: str = "") -> dict[str, Any]:
    return {"ratingKey": key, "title": title or f"Film {key}", "files": list(files), "type": "movie"}


def episode(key: int, number: int, file: str) -> dict[str, Any]:
    return {"ratingKey": key, "title": f"Episode {number}", "show": "Show", "season": 1, "episode": number,
            "files": [file]}  # fmt: skip


SCENES = [
    film(1, "/media/scenes/Studio/Alien (1979)/alien.mp4", title="Alien"),
    film(2, "/media/scenes/1/twice.mp4"),
    film(3, "/media/scenes/b/twice.mp4"),
    film(4, "/media/scenes/c/once.mp4"),
    film(5, "/media/scenes/e/first.mp4", "/media/scenes/e/second.mp4"),
]
OTHER = [film(11, "/media/other/both.mp4"), film(12, "/media/other/x/once.mp4"), film(13, "/media/other/x/twice.mp4")]
SHOWS = [episode(21, 1, "/tv/Show/Season 01/S01E01.mkv"), episode(22, 2, "/tv/Show/Season 01/S01E02.mkv")]


@pytest.fixture
def world(start_server: ServerFactory, tmp_path: Path) -> Server:
    known = [("movie", "Scenes", "/media/scenes"), ("movie", "Other", "/media/other"), ("show", "Shows", "/tv")]
    libraries = [
        {"kind": kind, "title": title, "items": 0, "key": key, "locations": [folder]}
        for key, (kind, title, folder) in enumerate(known, 1)
    ]
    spec = tmp_path / "spec.json"
    spec.write_text(json.dumps({"libraries": libraries, "items": {"1": SCENES, "2": OTHER, "3": SHOWS}}))
    return start_server("--spec", str(spec))


@pytest.fixture
def plex(world: Server) -> Any:
    return PlexServer(world.url, world.token)


@pytest.fixture
def scenes(plex: Any) -> Any:
    return plex.library.section("Scenes")


@pytest.fixture
def given(tmp_path: Path) -> dict[str, Any]:
    return caches(tmp_path / "data")


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/media/scenes/c/once.mp4", ("high", 4)),
        ("/MEDIA/scenes//c/Once.mp4", ("high", 4)),
        # Only the root differs.
        ("/stash/Studio/Alien (1979)/alien.mp4", ("high", 1)),
        # As in the original: the items with this file name, whatever their folders.
        ("/stash/c/once.mp4", ("high", 4)),
        ("/stash/z/ONCE.mp4", ("high", 4)),
        ("/stash/1/twice.mp4", ("low", 2, 3)),
        ("/stash/z/twice.mp4", ("low", 2, 3)),
        ("/stash/z/nowhere.mp4", ("none",)),
        # A similar name is another one.
        ("/stash/z/-Once.mp4", ("none",)),
        ("/stash/z/twice!.mp4", ("none",)),
        # But not in a folder where Plex would list the file.
        ("/media/scenes/z/once.mp4", ("none",)),
        ("/media/scenes/z/twice.mp4", ("none",)),
        ("/media/other/z/once.mp4", ("none",)),
        ("/media/other/z/twice.mp4", ("none",)),
        ("/tv/Show/Season 01/once.mp4", ("none",)),
        ("/media/other/x/once.mp4", ("none",)),
    ],
)
def test_which_items_a_path_has(scenes: Any, given: dict[str, Any], path: str, expected: tuple[Any, ...]) -> None:
    for _ in range(2):
        assert outcome(scenes, path, given) == expected


def test_an_episode_needs_more_than_its_name(plex: Any, given: dict[str, Any]) -> None:
    shows = plex.library.section("Shows")
    assert outcome(shows, "/tv/Show/Season 01/S01E02.mkv", given) == ("high", 22)
    assert outcome(shows, "/stash/Show/Season 01/S01E02.mkv", given) == ("high", 22)
    assert outcome(shows, "/stash/Another/Season 01/S01E02.mkv", given) == ("none",)
    assert outcome(shows, "/stash/S01E02.mkv", given) == ("none",)
    size = plex.fetchItem(22).media[0].parts[0].size
    assert outcome(shows, "/stash/S01E02.mkv", {**given, "file_size": size}) == ("high", 22)
    assert outcome(shows, "/stash/Show/Season 01/S01E02.mkv", {**given, "file_size": size + 1}) == ("none",)
    # A host reads these of films.
    found = find_plex_items_with_confidence(shows, "/tv/Show/Season 01/S01E02.mkv", **given)[1]
    assert found.title == "Episode 2"
    assert found.studio is None
    with pytest.raises(AttributeError):
        assert found.nothing_of_plex


def test_a_photo_is_never_a_scene(start_server: ServerFactory, given: dict[str, Any]) -> None:
    """A host that names no library asks in all of them, and would write a film's fields to a photo."""
    world = start_server("--photos", "20")
    photos = PlexServer(world.url, world.token).library.section("Photos")
    assert outcome(photos, world.paths(int(photos.key))[0]["path"], given) == ("none",)


def test_what_an_answer_costs(world: Server, scenes: Any, given: dict[str, Any]) -> None:
    def cost(path: str) -> int:
        world.reset()
        outcome(scenes, path, given)
        return world.requests()

    assert 0 < cost("/media/scenes/c/once.mp4") <= 6  # lists the library
    for path in ("/media/scenes/1/twice.mp4", "/stash/z/once.mp4", "/stash/z/twice.mp4", "/stash/z/nowhere.mp4"):
        assert cost(path) == 0
    # Plex may have added a file since the last request.
    for path in ("/media/scenes/z/new.mp4", "/media/scenes/z/twice.mp4", "/media/other/z/twice.mp4"):
        assert 0 < cost(path) <= 5
        assert cost(path) == 1
    found = find_plex_items_with_confidence(scenes, "/media/scenes/c/once.mp4", **given)[1]
    world.reset()
    assert found.key == f"{KEY}4"
    assert found.media[0].parts[0].file == "/media/scenes/c/once.mp4"
    assert world.requests() == 0
    assert found.title == "Film 4"
    assert found.type == "movie"
    assert world.requests() == 1


def test_a_file_that_was_added_in_the_meantime_is_found(world: Server, scenes: Any, given: dict[str, Any]) -> None:
    assert outcome(scenes, "/media/scenes/z/nothing.mp4", given) == ("none",)
    made = world.post("items/add", {"library": 1, "items": [{"title": "New", "files": ["/media/scenes/z/new.mp4"]}]})
    assert outcome(scenes, "/media/scenes/z/new.mp4", given) == ("high", *map(int, made["ratingKeys"]))


def test_a_recorded_match_counts_while_the_index_has_its_item(
    world: Server, scenes: Any, given: dict[str, Any]
) -> None:
    matches = given["match_cache"]
    for path, expected in [
        ("/stash/z/renamed.mp4", ("high", 5)),
        ("/stash/z/twice.mp4", ("high", 5)),
        ("/media/scenes/z/once.mp4", ("high", 5)),
        # Plex lists this very path for another item.
        ("/media/scenes/c/once.mp4", ("high", 4)),
    ]:
        matches.set_match("Scenes", path, f"{KEY}5")
        assert outcome(scenes, path.upper(), given) == expected
    matches.set_match("Scenes", "/stash/z/twice.mp4", f"{KEY}999")
    assert outcome(scenes, "/stash/z/twice.mp4", given) == ("low", 2, 3)
    assert matches.get_match("Scenes", "/stash/z/twice.mp4") is None
    # A 404 of a proxy takes no record.
    matches.set_match("Scenes", "/stash/z/renamed.mp4", f"{KEY}5")
    found = find_plex_items_with_confidence(scenes, "/stash/z/renamed.mp4", **given)[1]
    world.fault(kind="metadata", action="status", status=404)
    with pytest.raises(NotFound, match="no longer has the item"):
        assert found.title
    assert outcome(scenes, "/stash/z/renamed.mp4", given) == ("high", 5)
    world.post("items/remove", {"ratingKeys": [5]})
    # The index learns it from the first item that the host reads.
    with pytest.raises(NotFound, match="no longer has the item"):
        assert find_plex_items_with_confidence(scenes, "/stash/z/renamed.mp4", **given)[1].title
    assert outcome(scenes, "/stash/z/renamed.mp4", given) == ("none",)
    # It forgets the record when a listing confirms that the item is gone.
    (index,) = find._indexes.values()
    index.refresh(full=True)
    assert outcome(scenes, "/stash/z/renamed.mp4", given) == ("none",)
    assert matches.get_match("Scenes", "/stash/z/renamed.mp4") is None


def test_no_item_is_edited_that_has_lost_the_file(world: Server, scenes: Any, given: dict[str, Any]) -> None:
    path = "/media/scenes/e/second.mp4"
    found = find_plex_items_with_confidence(scenes, path, **given)[1]
    world.post("items/files", {"ratingKey": 5, "files": ["/media/scenes/e/first.mp4"]})
    with pytest.raises(NotFound, match="files have changed"):
        found.editTitle("Wrong")
    assert outcome(scenes, path, given) == ("none",)


def test_folders_of_the_call_apply(scenes: Any, tmp_path: Path) -> None:
    folders = {"plex_path_prefix": "/media/scenes/", "stash_path_prefix": "/host"}
    given = {**caches(tmp_path / "plain"), **folders}
    assert outcome(scenes, "/host/1/twice.mp4", given) == ("high", 2)
    # What they put into another library's folder is that library's, listed or not.
    given["plex_path_prefix"] = "/media/other/"
    for path in ("/host/x/once.mp4", "/host/z/once.mp4", "/host/x/twice.mp4", "/host/z/twice.mp4"):
        assert outcome(scenes, path, given) == ("none",)


class ServerDown(Exception):  # noqa: N818
    """As Stash2Plex's."""


def host_module(monkeypatch: pytest.MonkeyPatch, **names: object) -> None:
    """The host's module of exceptions is loaded."""
    module = types.ModuleType("plex.exceptions")
    vars(module).update(names)
    monkeypatch.setitem(sys.modules, "plex.exceptions", module)


@pytest.mark.parametrize("status", [401, 429, 502, 503, 504, None])
def test_a_host_waits_for_a_server_that_is_away_and_loses_nothing(
    world: Server, scenes: Any, given: dict[str, Any], host_lines: list[str], status: int | None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    host_module(monkeypatch, PlexServerDown=ServerDown)
    given["match_cache"].set_match("Scenes", "/media/scenes/z/gone.mp4", f"{KEY}999")
    found = find_plex_items_with_confidence(scenes, "/media/scenes/c/once.mp4", **given)[1]
    other = scenes._server.library.section("Other")
    shows = PlexServer(world.url, world.token).library.section("Shows")
    away = caches(Path(given["library_cache"]._data_dir) / "never listed")
    if status is None:
        world.stop()
    else:
        world.fault(action="status", status=status, count=0)
    for section, path, arguments in (
        (scenes, "/media/scenes/z/gone.mp4", given),
        (other, "/x/y.mp4", given),
        (shows, "/x/y.mp4", away),
    ):
        with pytest.raises(ServerDown) as caught:
            find_plex_items_with_confidence(section, path, **arguments)
        assert isinstance(caught.value, ConnectionError)
    with pytest.raises(ServerDown if status else requests.exceptions.ConnectionError):
        assert found.title
    assert any("rejects the token" in line for line in host_lines) is (status == 401)
    # What is listed is answered, and nothing is forgotten.
    assert outcome(scenes, "/media/scenes/1/twice.mp4", given) == ("high", 2)
    assert given["match_cache"].get_match("Scenes", "/media/scenes/z/gone.mp4") == f"{KEY}999"


def test_one_library_that_fails_stops_no_job(world: Server, scenes: Any, given: dict[str, Any]) -> None:
    asked: list[Any] = []
    compat.configure(matcher=answers(asked))
    world.fault(contains="/sections/1/all", action="status", status=500, count=0)
    path = "/stash/z/once.mp4"
    confidence, found, _ = find_plex_items_with_confidence(scenes, path, debug_logging=True, **given)
    assert confidence == compat.MatchConfidence.HIGH
    assert found == "theirs"
    assert asked == [(scenes, path, None, None, given["library_cache"], given["match_cache"], True)]


@pytest.mark.parametrize("way", ["proxy", "adapter", "login", "stand-in", "mock", "no cache", "folder"])
def test_without_an_index_the_host_s_function_answers(
    scenes: Any, given: dict[str, Any], way: str, monkeypatch: pytest.MonkeyPatch, host_lines: list[str]
) -> None:
    asked: list[Any] = []
    compat.configure(matcher=answers(asked))
    session, library = scenes._server._session, scenes
    folder = Path(given["library_cache"]._data_dir) / "index"
    if way == "proxy":
        monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
        monkeypatch.setenv("NO_PROXY", "")
    elif way == "adapter":
        session.mount("http://", type("Own", (requests.adapters.HTTPAdapter,), {})())
    elif way == "login":
        session.auth = ("name", "password")
    elif way == "stand-in":
        library = type("Section", (), {"title": "Scenes", "_server": scenes._server, "key": scenes.key})()
    elif way == "mock":
        library = MagicMock(title="Scenes")
    elif way == "no cache":
        given = {}
    else:
        folder.write_text("a file")
    for _ in range(2):
        found = find_plex_items_with_confidence(library, "/media/scenes/c/once.mp4", **given)
        assert found == (compat.MatchConfidence.HIGH, "theirs", ["theirs"])
    assert len(asked) == 2
    assert not folder.is_dir()
    assert len([line for line in host_lines if line.startswith("w Cannot use the index")]) == (way == "folder")


def test_without_the_host_s_function_a_stand_in_is_refused(given: dict[str, Any]) -> None:
    compat.configure()
    with pytest.raises(TypeError, match="must be a plexapi section"):
        find_plex_items_with_confidence(MagicMock(), "/x", **given)


def test_the_log_has_the_original_s_lines(scenes: Any, tmp_path: Path, host_lines: list[str]) -> None:
    given = {"match_cache": MatchCache(tmp_path)}
    host_lines.clear()

    def wanted() -> list[str]:
        return [line for line in host_lines if "atch cache" not in line]

    outcome(scenes, "/stash/z/once.mp4", given)
    assert wanted() == ["d Searching 'Scenes' for: hidden:once.mp4", "d HIGH confidence match for hidden:once.mp4"]
    host_lines.clear()
    outcome(scenes, "/stash/z/twice.mp4", given)
    files = "['hidden:/media/scenes/1/twice.mp4', 'hidden:/media/scenes/b/twice.mp4']"
    assert wanted()[1:] == [f"w LOW confidence match for 'hidden:twice.mp4': 2 candidates found - {files}"]


class HostNotFound(Exception):  # noqa: N818
    """A host's own, with what it says of itself."""

    retry = True


def missing() -> Any:
    """What the function raises when there is no item."""
    return failures.made(failures.NotFoundError, "no item")


def test_what_is_raised_is_the_host_s_and_plexapi_s(monkeypatch: pytest.MonkeyPatch) -> None:
    before = missing()
    assert type(before).__mro__[1:3] == (NotFound, NotFound.__mro__[1])
    assert isinstance(before, NotFoundError)
    # Imported later, it counts from then on.
    host_module(monkeypatch, PlexNotFound=HostNotFound)
    error: Any = missing()
    assert all(isinstance(error, kind) for kind in (HostNotFound, NotFound, NotFoundError, LookupError))
    assert type(error) is type(missing())
    assert type(error).__name__ == "HostNotFound"
    assert error.retry
    error.scene = 7
    copied = pickle.loads(pickle.dumps(error))  # noqa: S301
    assert type(copied) is type(error)
    assert str(copied) == str(error)
    assert copied.scene == 7
    monkeypatch.setitem(sys.modules, "plexapi.exceptions", None)
    assert not isinstance(missing(), NotFound)
    assert isinstance(missing(), HostNotFound)


def item(key: object, title: object, *paths: object) -> Any:
    """A mock of an item, one medium a path."""
    media = [MagicMock(parts=[MagicMock(file=path)]) for path in paths]
    return MagicMock(key=key, title=title, media=media)


def test_folders_are_made_and_files_of_others_are_not_touched(tmp_path: Path) -> None:
    data = tmp_path / "deep" / "data"
    (data / "cache").mkdir(parents=True)
    (data / "cache" / "cache.db").write_bytes(b"another program's")
    before = (data / "cache").stat().st_mode
    plex, matches = PlexCache(data), MatchCache(data)
    nested = MatchCache(data / "cache")
    nested.set_match("Movies", "/a", "1")
    plex.set_library_items("Movies", [item("1", "A", "/a")])
    plex.clear()
    matches.clear()
    assert (data / "cache" / "cache.db").read_bytes() == b"another program's"
    assert (data / "cache").stat().st_mode == before
    assert nested.get_match("Movies", "/a") == "1"
    assert matches.get_match("Movies", "/a") is None
    assert not (data / "match_cache" / "cache.db").exists()
    assert {path.name.split("-")[0] for path in (data / "match_cache").iterdir()} == {"plexindex"}


def test_expiry_is_fixed_by_the_writer(tmp_path: Path) -> None:
    never, at_once, shortly = (PlexCache(tmp_path, library_ttl=ttl) for ttl in (None, 0, 0.05))
    at_once.set_library_items("At once", [item("1", None)])
    never.set_library_items("Never", [item("2", None)])
    PlexCache(tmp_path, library_ttl=-5).set_library_items("Before", [])
    assert never.get_library_items("At once") is None
    assert never.get_library_items("Before") is None
    assert at_once.get_library_items("Never") is not None
    shortly.set_search_results("Shortly", "t", [item("3", None)])
    until(lambda: never.get_search_results("Shortly", "t") is None)
    # Expired ones are counted until they are culled.
    assert never.get_stats()["count"] == 2
    assert repr(never).startswith(f"PlexCache(data_dir='{tmp_path}', ttl=None, items=2, hit_rate=")


def test_the_limit_of_a_cache_is_that_of_its_folder(tmp_path: Path) -> None:
    matches = MatchCache(tmp_path, size_limit=10 * (64 + 5 + 2))
    for number in range(10, 30):
        matches.set_match("Movies" if number % 2 else "Shows", f"/h/{number}", "12")
    assert matches.get_stats()["count"] == 10
    assert [matches.get_match("Movies", "/h/19"), matches.get_match("Shows", "/h/20")] == [None, "12"]


class Raises:
    """An item of which an attribute raises."""

    key = "1"
    title = "T"

    @property
    def media(self) -> Any:
        raise RuntimeError("no")


def test_what_is_taken_from_an_item() -> None:
    assert compat._extract_item_data(item("/library/metadata/1", "T", "/a", "", None, "/b")) == {
        "key": "/library/metadata/1",
        "title": "T",
        "file_paths": ["/a", "/b"],
    }
    plain = SimpleNamespace(ratingKey=7, media=[SimpleNamespace(parts=[SimpleNamespace(file="/a")])])
    assert compat._extract_item_data(plain) == {"key": "7", "title": None, "file_paths": ["/a"]}
    assert compat._extract_item_data(SimpleNamespace(key=None, ratingKey=8, title="x", media=None)) == {
        "key": "8",
        "title": "x",
        "file_paths": [],
    }
    # The last one's media are nothing to go through.
    for odd in (SimpleNamespace(key="", title="x"), SimpleNamespace(title="x"), Raises(), None, Mock(key="1")):
        assert compat._extract_item_data(odd) is None
    bare = compat._extract_item_data(MagicMock())
    assert bare is not None
    assert re.match("<MagicMock", bare["key"])
    assert bare["file_paths"] == []


def test_odd_texts_come_back_as_they_were(tmp_path: Path) -> None:
    cache = PlexCache(tmp_path)
    texts = ["", " ", "\0", "\ud800", "/\udcff.mkv", "ü", "e\u0301", "=7", "\n", "/" + "x" * 200_001]
    items = [item(text or "k", text, *texts[: number % 5]) for number, text in enumerate(texts)]
    cache.set_library_items("L", items)
    assert cache.get_library_items("L") == [compat._extract_item_data(one) for one in items]
    for text in texts:
        cache.set_search_results("L", text, [item(text, text)])
    assert cache.get_search_results("L", "=7") == [compat._extract_item_data(item("=7", "=7"))]


FILMS = [item(KEY + "7", "Alien", "/plex/Alien.mkv"), item(KEY + "8", "Heat", "/plex/Heat.mkv")]


def test_the_caches_say_what_they_did(host_lines: list[str], tmp_path: Path) -> None:
    library, matches = PlexCache(tmp_path, library_ttl=60), MatchCache(tmp_path)
    library.get_library_items("Movies")
    library.set_library_items("Movies", FILMS)
    library.get_library_items("Movies")
    library.set_search_results("Movies", "Heat", FILMS[1:2])
    library.get_search_results("Movies", "Heat")
    library.get_search_results("Movies", "Alien")
    library.clear()
    library.close()
    matches.get_match("Movies", "/x")
    matches.set_match("Movies", "/x", "1")
    matches.set_match("Movies", "/y", "2")
    matches.invalidate("Movies", "/x")
    matches.invalidate("Movies", "/x")
    matches.invalidate_library("Movies")
    matches.clear()
    matches.close()
    assert host_lines == [
        f"d PlexCache initialized at {tmp_path / 'cache'} (TTL: 60s, limit: 104857600 bytes)",
        f"d MatchCache initialized at {tmp_path / 'match_cache'} (limit: 52428800 bytes)",
        "d Cache miss for library 'Movies'",
        "d Cached 2 items for library 'Movies' (TTL: 60s)",
        "d Cache hit for library 'Movies' (2 items)",
        "d Cached 1 search results for 'Movies:Heat'",
        "d Cache hit for search 'Movies:Heat' (1 results)",
        "d Cache miss for search 'Movies:Alien'",
        "i Cache cleared",
        "d Cache closed",
        "d Cached match '/x' -> 1",
        "d Cached match '/y' -> 2",
        "d Invalidated match for '/x'",
        "i Invalidated 1 matches for library 'Movies'",
        "i Match cache cleared",
        "d Match cache closed",
    ]


@pytest.mark.parametrize("debug", [False, True])
def test_a_lookup_writes_a_line_only_at_the_host_s_debug_level(
    host_lines: list[str], tmp_path: Path, *, debug: bool
) -> None:
    compat.configure(matcher=answers([]))
    matches = MatchCache(tmp_path)
    find_plex_items_with_confidence(None, "/x", match_cache=matches, debug_logging=debug)
    matches.set_match("Movies", "/x", "1")
    host_lines.clear()
    matches.get_match("Movies", "/x")
    matches.get_match("Movies", "/y")
    wanted = ["d Match cache hit for '/x' -> 1", "d Match cache miss for '/y'"]
    assert host_lines == (wanted if debug else [])
    matches.close()


LIBRARIES = ["Movies", "movies", "Movies:C", "TV Shows", "", "\0", "\ud800", "Müsik"]
PIECES = [
    "/movies/", "/", "//", "\\", ":", "C:", "A", "a", "İ", "i", "ı", "ß", "ẞ", "SS", "Σ", "σ", "ς", "Σ.",
    "é", "e\u0301", "É", "\u0345", "ǅ", "Ⅷ", "\0", "\1", "\ud83d", "\ude00", "\udc80", "\udcc3\udca9", "🎬",
    "\u2028", "\ufeff", "=", "%41",
]  # fmt: skip


def test_matches_are_those_of_a_dict(tmp_path: Path) -> None:
    caches = [MatchCache(tmp_path) for _ in range(2)]
    names = [(LIBRARIES[number % 8], "".join(pair)) for number, pair in enumerate(itertools.product(PIECES, repeat=2))]
    names += [(LIBRARIES[0], "a" * 200_000), ("\ud800", "\ud83d" * 20_000)]
    model: dict[tuple[str, str], str] = {}
    for number, (library, path) in enumerate(names):
        model[library, path.lower()] = f"{path[:9]}{number}"
        caches[number % 2].set_match(library, path, f"{path[:9]}{number}")
    caches[0].close()
    for library, path in names:
        for spelling in (path, path.upper(), path.lower(), path.swapcase()):
            expected = model.get((library, spelling.lower()))
            assert [cache.get_match(library, spelling) for cache in caches] == [expected, expected]
    assert caches[0].get_stats()["count"] == len(model)
    caches[0].invalidate_library("Movies")
    assert caches[1].get_stats()["count"] == len([name for name in model if name[0] != "Movies"])
