"""The drop-in's confidence in a single item of the file's name: what the folders of the path tell."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from compat_world import caches, close_indexes, outcome, refresh
from conftest import Server, ServerFactory
from plexapi.exceptions import NotFound
from plexapi.server import PlexServer
from plexindex import _path_evidence
from plexindex._paths import ends_alike
from plexindex._titles import contradicts, names_no_film
from plexindex.compat import find_plex_items_with_confidence

KEY = "/library/metadata/"


@pytest.fixture(autouse=True)
def no_state(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No warning was written yet, and no index stays open."""
    monkeypatch.setattr(_path_evidence, "_told", set())
    monkeypatch.setattr(_path_evidence, "_asked", set())
    yield
    close_indexes()


def film(key: int, *files: str) -> dict[str, Any]:
    return {"ratingKey": key, "title": f"Film {key}", "files": list(files), "type": "movie"}


WIDE = [
    film(3001, "/media/adult/a/wide.mp4"),
    film(3002, "/media/adult/b/wide2.mp4"),
    film(3003, "/media/adult/c/scene.mp4"),
    film(3004, "/media/adult/d/scene.mp4"),
    film(3005, "/media/flat/deep.mp4"),
    film(3006, "/media/adult/e/lonely.mp4"),
]
ADULT = [film(4001, "/data/adult/StudioE/agent.mkv"), film(4002, "/data/adult/both.mp4")]
MOVIES = [film(5001, "/data/movies/both.mp4"), film(5002, "/data/movies/Other/other.mp4")]


@pytest.fixture
def world(start_server: ServerFactory, tmp_path: Path) -> Server:
    libraries = [("Wide", 1, "/media"), ("Adult", 2, "/data/adult"), ("Movies", 3, "/data/movies")]
    spec = {
        "libraries": [
            {"kind": "movie", "title": title, "items": 0, "key": key, "locations": [folder]}
            for title, key, folder in libraries
        ],
        "items": {"1": WIDE, "2": ADULT, "3": MOVIES},
    }
    (tmp_path / "spec.json").write_text(json.dumps(spec))
    return start_server("--spec", str(tmp_path / "spec.json"))


@pytest.fixture
def plex(world: Server) -> Any:
    return PlexServer(world.url, world.token)


def warnings(lines: list[str]) -> list[str]:
    return [line for line in lines if line.startswith("w ")]


LISTED = pytest.mark.parametrize("listed", [False, True], ids=["unlisted", "listed"])


@LISTED
def test_another_mount_below_the_same_root_stops_no_sync(
    plex: Any, tmp_path: Path, host_lines: list[str], listed: bool
) -> None:
    """Plex has `/media`; the host has Plex's `/media/adult` at `/media`."""
    wide, given = plex.library.section("Wide"), caches(tmp_path)
    if listed:
        refresh(wide, tmp_path)
    assert outcome(wide, "/media/a/wide.mp4", given)[:2] == ("high", f"{KEY}3001")
    assert outcome(wide, "/media/b/wide2.mp4", given)[:2] == ("high", f"{KEY}3002")
    # One for the two files, which names the folders as a mapping would.
    (said,) = warnings(host_lines)
    assert said.startswith("w Stash's folder hidden:/media is taken for Plex's hidden:/media/adult of library 'Wide'")
    # The other way round: the host's path has more folders.
    assert outcome(wide, "/media/more/flat/deep.mp4", given)[:2] == ("high", f"{KEY}3005")
    assert "hidden:/media/more is taken for Plex's hidden:/media" in warnings(host_lines)[1]


@LISTED
def test_a_shift_is_no_evidence_among_several_files_of_the_name(plex: Any, tmp_path: Path, listed: bool) -> None:
    wide, given = plex.library.section("Wide"), caches(tmp_path)
    if listed:
        refresh(wide, tmp_path)
    assert outcome(wide, "/media/c/scene.mp4", given)[:2] == ("low", None)


@LISTED
def test_a_name_in_another_folder_is_told_with_both_causes(
    plex: Any, tmp_path: Path, host_lines: list[str], listed: bool
) -> None:
    wide, given = plex.library.section("Wide"), caches(tmp_path)
    if listed:
        refresh(wide, tmp_path)
    for _ in range(3):
        assert outcome(wide, "/media/new/lonely.mp4", given) == ("low", None, (f"{KEY}3006",))
    (said,) = warnings(host_lines)
    assert said == (
        "w LOW confidence match for 'hidden:lonely.mp4': library 'Wide' has a file of that name in "
        "hidden:/media/adult/e, and none in hidden:/media/new. Either Plex has not scanned the file yet: scan the "
        "library. Or Stash and Plex have the folder at different paths: mount it at the same path in both"
    )


@LISTED
def test_a_path_in_a_folder_of_another_library_is_judged_as_any_other(
    world: Server, plex: Any, tmp_path: Path, host_lines: list[str], listed: bool
) -> None:
    adult, given = plex.library.section("Adult"), caches(tmp_path)
    if listed:
        for title in ("Adult", "Movies", "Wide"):
            refresh(plex.library.section(title), tmp_path)
    assert outcome(adult, "/media/StudioE/agent.mkv", given)[:2] == ("high", f"{KEY}4001")
    (said,) = warnings(host_lines)
    assert "hidden:/media, a folder of library 'Wide', is taken for Plex's hidden:/data/adult" in said
    host_lines.clear()
    assert outcome(adult, "/data/movies/StudioE/agent.mkv", given) == ("low", None, (f"{KEY}4001",))
    (said,) = warnings(host_lines)
    assert "none in hidden:/data/movies/StudioE, a folder of library 'Movies'. Either" in said
    # The other library has the file itself, which may not be edited here.
    host_lines.clear()
    assert outcome(adult, "/data/movies/both.mp4", given) == ("low", None, (f"{KEY}4002",))
    (said,) = warnings(host_lines)
    assert "library 'Movies'" in said
    # A file that is nowhere costs what any other costs.
    world.reset()
    assert outcome(adult, "/data/movies/nothing.mp4", given)[0] == "none"
    assert not listed or 0 < world.requests() <= 3


def test_a_shift_gives_way_to_a_library_that_has_the_file(world: Server, plex: Any, tmp_path: Path) -> None:
    """The other library was never listed, so it is asked."""
    world.post("items/add", {"library": 1, "items": [film(3100, "/media/StudioE/agent.mkv")]})
    adult = plex.library.section("Adult")
    assert outcome(adult, "/media/StudioE/agent.mkv", caches(tmp_path))[0] == "low"


def test_a_host_that_asks_both_libraries_gets_no_warning(plex: Any, tmp_path: Path, host_lines: list[str]) -> None:
    given = caches(tmp_path)
    for title in ("Movies", "Adult"):
        refresh(plex.library.section(title), tmp_path)
    assert outcome(plex.library.section("Movies"), "/data/movies/both.mp4", given)[0] == "high"
    assert outcome(plex.library.section("Adult"), "/data/movies/both.mp4", given)[0] == "low"
    assert not warnings(host_lines)


def add_two(world: Server) -> tuple[str, str]:
    one, two = "/data/adult/sw/one.mp4", "/data/adult/sw/two.mp4"
    world.post("items/add", {"library": 2, "items": [film(4101, one), film(4102, two)]})
    return one, two


@pytest.mark.parametrize("recorded", [True, False])
def test_two_items_that_swapped_their_files_are_right_at_the_second_try(
    world: Server, plex: Any, tmp_path: Path, host_lines: list[str], recorded: bool
) -> None:
    adult, given = plex.library.section("Adult"), caches(tmp_path)
    one, two = add_two(world)
    refresh(adult, tmp_path)
    if recorded:
        for key, path in ((4101, one), (4102, two)):
            given["match_cache"].set_match("Adult", path, f"{KEY}{key}")
    world.post("items/files", {"ratingKey": 4101, "files": [two]})
    world.post("items/files", {"ratingKey": 4102, "files": [one]})
    for path, key in ((one, 4102), (two, 4101)):
        found = []
        for _ in range(2):
            try:
                item = find_plex_items_with_confidence(adult, path, **given)[1]
                found.append((item.ratingKey, item.title))
            except NotFound:
                found.append((0, ""))
        assert found[1] == (key, f"Film {key}"), found
        assert found[0] in ((0, ""), found[1]), "no item that has another file is edited"
    assert "candidates found" not in "\n".join(host_lines)
    # What was recorded of an item with other files is forgotten.
    assert not recorded or given["match_cache"].get_match("Adult", one) is None


def test_two_items_with_one_path_are_told_with_their_keys(
    world: Server, plex: Any, tmp_path: Path, host_lines: list[str]
) -> None:
    adult, given = plex.library.section("Adult"), caches(tmp_path)
    world.post("items/add", {"library": 2, "items": [film(key, "/data/adult/x/same.mp4") for key in (4201, 4202)]})
    refresh(adult, tmp_path)
    assert outcome(adult, "/data/adult/x/same.mp4", given)[0] == "low"
    (said,) = warnings(host_lines)
    assert "hidden:/data/adult/x/same.mp4 (/library/metadata/4201)" in said


def test_a_line_of_an_item_is_written_once_plex_has_sent_it(
    world: Server, plex: Any, tmp_path: Path, host_lines: list[str]
) -> None:
    adult, given = plex.library.section("Adult"), caches(tmp_path)
    refresh(adult, tmp_path)
    path = ADULT[0]["files"][0]
    for line in ("i Found (cached): Film 4001", "i Cache hit: Film 4001"):
        item = find_plex_items_with_confidence(adult, path, **given)[1]
        world.fault(kind="metadata", action="status", status=500, count=0)
        host_lines.clear()
        with pytest.raises(ConnectionError):
            assert item.title
        assert not host_lines
        world.post("faults/clear")
        assert item.title == "Film 4001"
        assert host_lines == [line]
        given["match_cache"].set_match("Adult", path, f"{KEY}4001")


def test_a_path_that_names_no_film_contradicts_none_of_its_files() -> None:
    """Checks with one file of a film are enough, whatever files it has besides."""
    folders = ["", "/a", "/2001", "/Film (2001)", "/Film (1950)", "/a/Film (1950)", "/Film (1950)/b", "/b 1950/x/y/z"]
    roots = ["/r", "/s/1950", "/Films (1950)"]
    paths = [f"{root}{folder}/{name}" for root in roots for folder in folders for name in ("film.mkv", "FILM.mkv")]
    silent = 0
    for path, file, other in itertools.product(paths, paths, paths[::3]):
        if not (names_no_film(path, file) or ends_alike(path, file)):
            continue
        silent += 1
        for facts in (
            {"type": "movie", "title": "Film", "year": 2001},
            {"type": "movie", "title": "Other", "year": 1999},
        ):
            assert not contradicts(path, [file], facts), (path, file)
            assert not contradicts(path, [file, other], facts), (path, file, other)
    assert silent > 1000
