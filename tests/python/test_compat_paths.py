"""The drop-in's confidence in a single item of the file's name: what the folders of the path tell."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from compat_world import caches, close_indexes, outcome, refresh
from conftest import Server, ServerFactory
from plexapi.server import PlexServer
from plexindex._compat import path_evidence as _path_evidence

KEY = "/library/metadata/"


@pytest.fixture(autouse=True)
def no_state(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No warning was written yet, and no index stays open."""
    monkeypatch.setattr(_path_evidence, "_warned", set())
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
    assert said.startswith("w Stash's folder hidden:/media is treated as Plex's hidden:/media/adult of library 'Wide'")
    # The other way round: the host's path has more folders.
    assert outcome(wide, "/media/more/flat/deep.mp4", given)[:2] == ("high", f"{KEY}3005")
    assert "hidden:/media/more is treated as Plex's hidden:/media" in warnings(host_lines)[1]


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
        "hidden:/media/adult/e, and none in hidden:/media/new. If Plex has not scanned the file yet, scan the library. "
        "If Stash and Plex see the folder at different paths, mount it at the same path in both"
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
    assert "hidden:/media, a folder of library 'Wide', is treated as Plex's hidden:/data/adult" in said
    host_lines.clear()
    assert outcome(adult, "/data/movies/StudioE/agent.mkv", given) == ("low", None, (f"{KEY}4001",))
    (said,) = warnings(host_lines)
    assert "none in hidden:/data/movies/StudioE, a folder of library 'Movies'. If Plex" in said
    # The other library has the file itself, which may not be edited here.
    host_lines.clear()
    assert outcome(adult, "/data/movies/both.mp4", given) == ("low", None, (f"{KEY}4002",))
    (said,) = warnings(host_lines)
    assert "library 'Movies'" in said
    # A file that is nowhere costs what any other costs.
    world.reset()
    assert outcome(adult, "/data/movies/nothing.mp4", given)[0] == "none"
    assert not listed or 0 < world.requests() <= 3
