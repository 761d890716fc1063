"""The drop-in's function where the host gives a real plexapi section: it answers from an index of the server."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import plexindex
import pytest
import requests
from compat_world import add, caches, close_indexes, outcome, refresh
from conftest import Server, ServerFactory
from plexapi.exceptions import NotFound
from plexapi.server import PlexServer
from plexindex import _find, _plexapi, _section_index
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


def test_more_candidates_than_an_index_names_are_counted(
    world: Server, movies: Any, tmp_path: Path, host_lines: list[str]
) -> None:
    same = [{"title": f"Film {n}", "files": [f"/data/movies/Film {n}/scene.mkv"]} for n in range(171)]
    world.post("items/add", {"library": 1, "items": same})
    given = caches(tmp_path)
    index = _section_index.section_index(movies, given["library_cache"])
    assert index is not None
    index.refresh()
    world.reset()
    confidence, item, found = find_plex_items_with_confidence(movies, "/stash/scene.mkv", **given)
    assert (confidence.value, item) == ("low", None)
    assert len(found) == 16
    # One for the path, which Plex may list by now.
    assert world.requests() == 1, "what is only named is not fetched"
    assert "w LOW confidence match for 'hidden:scene.mkv': 171 candidates found" in "\n".join(host_lines)


def test_a_library_that_takes_long_is_listed_by_and_by(
    start_server: ServerFactory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = start_server("--movies", "5000", "--plain")
    movies = PlexServer(world.url, world.token).library.section("Movies")
    monkeypatch.setattr(_plexapi, "_PATIENCE", 0.5)
    world.fault(kind="listing", action="delay", ms=200, count=0)
    given, texts = caches(tmp_path), []
    for _ in range(20):
        with pytest.raises(NotFound) as missed:
            find_plex_items_with_confidence(movies, "/nowhere/Nothing.mkv", **given)
        texts.append(str(missed.value))
        if "not fully listed" not in texts[-1]:
            break
    assert "the library is not fully listed yet, and the next call goes on with that" in texts[0]
    assert texts[-1] == "no item of library 'Movies' has the file 'Nothing.mkv'"
    # Each call may lose the pages that were under way; it begins with no other that is there.
    assert world.get("stats")["requests"]["listing"] <= 6 + 4 * len(texts)


def test_a_server_whose_pages_take_long_is_listed_all_the_same(
    start_server: ServerFactory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = start_server("--movies", "600", "--plain")
    movies = PlexServer(world.url, world.token).library.section("Movies")
    monkeypatch.setattr(_plexapi, "_PATIENCE", 0.1)
    world.fault(kind="listing", action="delay", ms=500, count=0)
    given = caches(tmp_path)
    index = _section_index.section_index(movies, given["library_cache"])
    assert index is not None
    for _ in range(10):
        with pytest.raises(NotFound):
            find_plex_items_with_confidence(movies, "/nowhere/Nothing.mkv", **given)
        if index.is_listed():
            break
    assert index.is_listed()


def test_titles_are_searched_while_a_library_is_not_listed(
    world: Server, movies: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Not every server knows the question for the name of a file.
    monkeypatch.setattr(_find.Finder, "_asked_by_file", lambda _: [])
    monkeypatch.setattr(_plexapi, "_PATIENCE", 0.05)
    world.fault(kind="listing", contains="includeGuids=1", action="delay", ms=2_000, count=0)
    row = next(row for row in world.paths() if row["title"].isascii() and row["title"] in row["path"])
    item = find_plex_items_with_confidence(movies, row["path"], **caches(tmp_path))[1]
    assert item.ratingKey == int(row["ratingKey"])


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


def test_what_a_host_compares_is_what_plex_has_now(
    world: Server, movies: Any, tmp_path: Path, listed: Callable[[], None]
) -> None:
    given, row = caches(tmp_path), world.paths()[3]
    listed()
    world.post("items/set", {"ratingKey": int(row["ratingKey"]), "title": "Changed in Plex"})
    item = find_plex_items_with_confidence(movies, row["path"], **given)[1]
    assert item.title == "Changed in Plex"


def test_an_item_that_lost_the_file_is_not_written_to(
    world: Server, movies: Any, tmp_path: Path, listed: Callable[[], None]
) -> None:
    given = caches(tmp_path)
    files = ["/data/movies/Both/alpha.mkv", "/data/movies/Both/beta.mkv"]
    (both,) = add(world, 1, {"title": "Both", "files": files})
    listed()
    item = find_plex_items_with_confidence(movies, files[1], **given)[1]
    assert item.ratingKey == int(both)
    world.post("items/files", {"ratingKey": int(both), "files": files[:1]})
    (other,) = add(world, 1, {"title": "Other", "files": files[1:]})
    with pytest.raises(NotFound):
        assert item.title
    found = find_plex_items_with_confidence(movies, files[1], **given)[1]
    assert (found.ratingKey, found.title) == (int(other), "Other")


def test_a_moved_file_is_found_where_it_is_now(
    world: Server, movies: Any, tmp_path: Path, listed: Callable[[], None]
) -> None:
    given, row = caches(tmp_path), world.paths()[3]
    listed()
    # The index has asked for one new path already, so it does not for the next.
    assert outcome(movies, "/data/movies/Missing (2020)/Missing (2020).mkv", given)[0] == "none"
    moved = row["path"].replace("/data/movies/", "/data/movies/Moved/")
    world.post("items/files", {"ratingKey": int(row["ratingKey"]), "files": [moved]})
    # Of low confidence, as each file that is not listed where it should be. The worker takes a single candidate.
    (item,) = find_plex_items_with_confidence(movies, moved, **given)[2]
    assert (item.title, item.ratingKey) == (row["title"], int(row["ratingKey"]))
    assert find_plex_items_with_confidence(movies, moved, **given)[1] == item


def test_the_index_is_the_host_s_device(world: Server, movies: Any, listed: Callable[[], None]) -> None:
    listed()
    headers = [request["headers"] for request in world.get("log?limit=20000")]
    known = {headers.get("X-Plex-Client-Identifier", headers.get("x-plex-client-identifier")) for headers in headers}
    assert known == {movies._server._headers()["X-Plex-Client-Identifier"]}
    # The device keeps the name that the host gave it.
    names = {value for one in headers for name, value in one.items() if name.lower() == "x-plex-product"}
    assert names == {movies._server._headers()["X-Plex-Product"]}


def test_without_evidence_all_of_a_name_are_candidates(
    world: Server, movies: Any, tmp_path: Path, listed: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    add(
        world,
        1,
        {"title": "S", "files": ["/data/movies/Studio A/2024/take.mp4"]},
        {"title": "T", "files": ["/data/movies/Studio C/take.mp4"]},
    )
    given = caches(tmp_path)
    path = "/stash/Studio B/2024/take.mp4"
    assert outcome(movies, path, given)[:2] == ("low", None), "not listed yet"
    listed()
    confidence, item, found = outcome(movies, path, given)
    assert (confidence, item, len(found)) == ("low", None, 2)
    monkeypatch.setattr(_find, "section_index", lambda *_: None)
    assert outcome(movies, path, {})[0] == "low"


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


def test_paths_that_differ_in_case_only_are_two_files(
    world: Server, movies: Any, tmp_path: Path, listed: Callable[[], None]
) -> None:
    paths = ["/data/movies/a/film.mkv", "/data/movies/a/FILM.mkv"]
    keys = add(world, 1, *({"title": f"Film {n}", "files": [path]} for n, path in enumerate(paths)))
    given = caches(tmp_path)
    listed()
    given["match_cache"].set_match("Movies", paths[0], f"/library/metadata/{keys[0]}")
    for path, key in zip(paths, keys):
        assert outcome(movies, path, given)[1] in (f"/library/metadata/{key}", None), path


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


@pytest.mark.parametrize("listed_files", [1, 3])
@pytest.mark.parametrize("root", ["/data/movies", "/stash"])
def test_a_new_file_is_found_beside_others_of_its_name(
    world: Server, movies: Any, tmp_path: Path, listed: Callable[[], None], listed_files: int, root: str
) -> None:
    """The index has other files of the name, and Plex has this one by now: none of theirs may be written to."""
    for number in range(listed_files):
        add(world, 1, {"title": f"Old Story {number}", "files": [f"/data/movies/Old Story {number}/take.mkv"]})
    given = caches(tmp_path)
    listed()
    (key,) = add(world, 1, {"title": "New Film", "files": ["/data/movies/New Film/take.mkv"]})
    world.reset()
    _, item, found = outcome(movies, f"{root}/New Film/take.mkv", given)
    assert (item, len(found)) == (f"/library/metadata/{key}", 1)
    assert world.requests() <= 3


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


def test_the_import_loads_no_more_than_it_must() -> None:
    import subprocess
    import sys

    code = (
        "import sys, plexindex.compat as compat; from plexindex import _accelerator\n"
        "compat.MatchCache, compat.PlexCache, compat._extract_item_data\n"
        "print(_accelerator.load() is None or not {'ctypes', 'logging', 'json', 'enum', 'plexapi'} & set(sys.modules))"
    )
    assert subprocess.check_output([sys.executable, "-c", code], text=True) == "True\n"


@pytest.mark.parametrize("asked", ["/data/movies/Both/beta.mkv", "/stash/Both/beta.mkv"])
def test_a_recorded_item_without_the_file_is_searched_anew(
    world: Server, movies: Any, tmp_path: Path, asked: str
) -> None:
    """Plex split the item apart. Its library was never listed, so only the fetched item shows that."""
    alpha, beta = "/data/movies/Both/alpha.mkv", "/data/movies/Both/beta.mkv"
    (both,) = add(world, 1, {"title": "Both", "files": [alpha]})
    (other,) = add(world, 1, {"title": "Other", "files": [beta]})
    given = caches(tmp_path)
    matches = given["match_cache"]
    matches.set_match("Movies", asked, f"/library/metadata/{both}")
    assert find_plex_items_with_confidence(movies, asked, **given)[1].ratingKey == int(other)
    assert matches.get_match("Movies", asked) is None
    # A match that holds costs one request, as before.
    matches.set_match("Movies", asked, f"/library/metadata/{other}")
    world.reset()
    assert find_plex_items_with_confidence(movies, asked, **given)[1].ratingKey == int(other)
    assert world.requests() == 1


def test_a_recorded_item_whose_file_is_in_another_folder_is_searched_anew(
    world: Server, movies: Any, tmp_path: Path
) -> None:
    add(world, 1, {"title": "Take", "files": ["/data/movies/A/take.mkv"]})
    (other,) = add(world, 1, {"title": "Take", "files": ["/data/movies/B/take.mkv"]})
    (old,) = add(world, 1, {"title": "Old", "files": ["/data/movies/C/take.mkv"]})
    given = caches(tmp_path)
    given["match_cache"].set_match("Movies", "/data/movies/B/take.mkv", f"/library/metadata/{old}")
    assert find_plex_items_with_confidence(movies, "/data/movies/B/take.mkv", **given)[1].ratingKey == int(other)


@pytest.mark.parametrize("is_listed", [False, True])
@pytest.mark.parametrize("path", ["/data/movies/R/take.mkv", "/stash/R/take.mkv"])
def test_a_recorded_item_whose_file_was_renamed_is_a_candidate(
    world: Server, movies: Any, tmp_path: Path, listed: Callable[[], None], path: str, is_listed: bool
) -> None:
    """Stash has not scanned the new name yet. Stash2Plex's own matcher edits the item that it recorded."""
    (key,) = add(world, 1, {"title": "Take", "files": ["/data/movies/R/take.mkv"]})
    given = caches(tmp_path)
    if is_listed:
        listed()
    given["match_cache"].set_match("Movies", path, f"/library/metadata/{key}")
    world.post("items/files", {"ratingKey": int(key), "files": ["/data/movies/R/another name.mp4"]})
    if is_listed:
        # The listing is older than the new name: the next try asks Plex.
        with pytest.raises(NotFound, match="other files"):
            find_plex_items_with_confidence(movies, path, **given)[1].reload()
    for _ in range(2):
        confidence, item, found = find_plex_items_with_confidence(movies, path, **given)
        assert (confidence.value, item, [one.ratingKey for one in found]) == ("low", None, [int(key)])
        given["match_cache"].set_match("Movies", path, f"/library/metadata/{key}")


@pytest.mark.parametrize("is_listed", [False, True])
@pytest.mark.parametrize("is_composed", [False, True])
def test_a_name_in_the_other_unicode_form_is_found(
    world: Server, movies: Any, tmp_path: Path, listed: Callable[[], None], is_composed: bool, is_listed: bool
) -> None:
    """As hosts on macOS spell names. Stash2Plex's own matcher finds none of these."""
    path = "/data/movies/Été Noël/Été Noël.mkv"
    composed, decomposed = unicodedata.normalize("NFC", path), unicodedata.normalize("NFD", path)
    plex, host = (composed, decomposed) if is_composed else (decomposed, composed)
    assert plex != host
    (key,) = add(world, 1, {"title": "Summer", "files": [plex]})
    if is_listed:
        listed()
    found = outcome(movies, host, caches(tmp_path))
    assert found[:2] == ("high", f"/library/metadata/{key}")


def test_an_item_that_a_search_found_is_fetched_whole_before_its_lists_are_read(
    world: Server, movies: Any, tmp_path: Path
) -> None:
    """A search gives three actors of each film, and a host writes the list back whole."""
    rows = [row for row in world.paths() if len(movies.fetchItem(int(row["ratingKey"])).actors) > 3]
    given, row = caches(tmp_path), rows[0]
    world.reset()
    item = find_plex_items_with_confidence(movies, row["path"], **given)[1]
    assert (world.requests(), item.ratingKey, item.title) == (1, int(row["ratingKey"]), row["title"])
    whole = movies.fetchItem(int(row["ratingKey"]))
    world.reset()
    assert [actor.tag for actor in item.actors] == [actor.tag for actor in whole.actors]
    assert [genre.tag for genre in item.genres] == [genre.tag for genre in whole.genres]
    assert world.requests() == 1


def test_a_hit_below_another_root_reads_no_facts_of_the_item(
    world: Server, movies: Any, tmp_path: Path, listed: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    listed()
    given, row = caches(tmp_path), world.paths()[3]
    monkeypatch.setattr(plexindex.Index, "item_facts", lambda *_: pytest.fail("not needed"))
    world.reset()
    assert outcome(movies, "/stash" + row["path"], given)[:2] == ("high", f"/library/metadata/{row['ratingKey']}")
    assert world.requests() == 0


@pytest.mark.parametrize("whose", ["this", "other"])
def test_a_folder_that_only_plexapi_knows_speaks_against_an_item(
    world: Server, movies: Any, tmp_path: Path, listed: Callable[[], None], monkeypatch: pytest.MonkeyPatch, whose: str
) -> None:
    """A folder was added in Plex since the index asked for the libraries: the file may not be scanned yet."""
    listed()
    row = next(row for row in world.paths() if row["title"].isascii() and row["title"] in row["path"])
    path = "/new/a/b/" + "/".join(row["path"].split("/")[-2:])
    assert outcome(movies, path, caches(tmp_path))[:2] == ("high", f"/library/metadata/{row['ratingKey']}")
    # As plexapi has it when it loads the libraries again.
    library = PlexServer(world.url, world.token).library
    movies, shows = library.section("Movies"), library.section("TV Shows")
    added = movies if whose == "this" else shows
    old = {id(section): section.locations for section in (movies, shows)}
    monkeypatch.setattr(
        type(added), "locations", property(lambda one: [*old.get(id(one), ()), *(["/new"] if one is added else ())])
    )
    assert outcome(movies, path, caches(tmp_path))[0] == "low"
