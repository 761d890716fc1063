"""The worked example of docs/hosts.md: its module, and the page's test."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import REPOSITORY
from plexindex.testing import FakePlex

requests = pytest.importorskip("requests")
PlexServer = pytest.importorskip("plexapi.server").PlexServer

EXAMPLE = REPOSITORY / "docs" / "hosts"
FOLDER = "/media/tv"


def episode(number: int, show: str = "Show", name: str = "") -> str:
    return f"{FOLDER}/{show}/Season 01/{show} - S01E{number:02}{name}.mkv"


@pytest.fixture
def plex() -> Iterator[FakePlex]:
    with FakePlex({"Movies": ["/media/movies/Film (2001).mkv"]}) as server:
        server.add_library("TV Shows", [episode(number) for number in range(1, 41)])
        yield server


@pytest.fixture
def open_files(plex: FakePlex, tmp_path: Path) -> Iterator[Callable[[], Any]]:
    """Opens the example as a new process of its host does."""
    spec = importlib.util.spec_from_file_location("episode_files", EXAMPLE / "plex_auto_languages.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    opened: list[Any] = []

    def open_one() -> Any:
        connection = PlexServer(plex.url, plex.token)
        opened.append(module.EpisodeFiles(connection, str(tmp_path / "cache.sqlite3"), retry_for=0))
        return opened[-1]

    yield open_one
    for one in opened:
        one.close()


def shows(plex: FakePlex) -> list[Any]:
    return [section for section in PlexServer(plex.url, plex.token).library.sections() if section.type == "show"]


def keys(found: tuple[list[Any], list[Any]]) -> tuple[list[int], list[int]]:
    added, updated = found
    return sorted(item.ratingKey for item in added), sorted(item.ratingKey for item in updated)


NOTHING: tuple[list[int], list[int]] = ([], [])


@pytest.mark.parametrize("full", [True, False])
def test_added_and_updated_episodes(plex: FakePlex, open_files: Callable[[], Any], full: bool) -> None:
    files = open_files()
    assert keys(files.refresh(shows(plex), full=full)) == NOTHING
    assert files.count() == 40
    assert keys(files.refresh(shows(plex), full=full)) == NOTHING
    new = plex.add("TV Shows", episode(41))
    upgraded = int(plex.item(episode(3))["ratingKey"])
    plex.move(episode(3), episode(3, name=" - 2160p"))
    plex.set(upgraded, summary="Told anew")
    plex.set(episode(5), title="Only another title")
    plex.remove(episode(6))
    found = files.refresh(shows(plex), full=full)
    assert keys(found) == ([new], [upgraded])
    assert (found[0][0].type, found[0][0].librarySectionTitle) == ("episode", "TV Shows")
    assert files.count() == 40
    assert keys(files.refresh(shows(plex), full=full)) == NOTHING
    assert not any("/sections/1/" in request.path for request in plex.requests), "the library of movies was listed"


def test_what_happened_between_two_processes(plex: FakePlex, open_files: Callable[[], Any]) -> None:
    files = open_files()
    files.refresh(shows(plex))
    files.close()
    new = plex.add("TV Shows", episode(41))
    assert keys(open_files().refresh(shows(plex))) == ([new], [])


def test_nothing_is_lost_while_the_server_is_away(plex: FakePlex, open_files: Callable[[], Any]) -> None:
    files, sections = open_files(), shows(plex)
    files.refresh(sections)
    new = plex.add("TV Shows", episode(41))
    plex.stop()
    with pytest.raises(requests.ConnectionError):
        files.refresh(sections)
    assert keys(files.refresh(sections, full=False)) == NOTHING
    plex.start()
    assert keys(files.refresh(sections)) == ([new], [])


def test_an_event_says_that_files_changed_before_a_refresh_does(plex: FakePlex, open_files: Callable[[], Any]) -> None:
    files = open_files()
    files.refresh(shows(plex))
    server = PlexServer(plex.url, plex.token)
    key = int(plex.item(episode(3))["ratingKey"])
    assert not files.did_change(server.fetchItem(key))
    plex.move(episode(3), episode(3, name=" - 2160p"))
    assert files.did_change(server.fetchItem(key))
    assert not files.did_change(server.fetchItem(key))
    new = plex.add("TV Shows", episode(41))
    assert not files.did_change(server.fetchItem(new)), "a new episode did not change"
    assert keys(files.refresh(shows(plex))) == NOTHING, "the events were handled"


def test_the_program_of_replace_your_cache_passes_its_test(tmp_path: Path) -> None:
    page = (REPOSITORY / "docs" / "replace-your-cache.md").read_text("utf-8")
    program, test = re.findall(r"^```python\n(.*?)^```", page.split("## A whole program")[1], re.DOTALL | re.MULTILINE)
    names: dict[str, Any] = {"__name__": "label"}
    exec(compile(program + test, "docs/replace-your-cache.md", "exec"), names)  # noqa: S102
    names["test_files_get_a_label"](tmp_path)
