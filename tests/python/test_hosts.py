"""The worked example of docs/hosts.md: its module alone, and in Plex-Auto-Languages.

PLEX_AUTO_LANGUAGES names a checkout of that program, with what it requires in this environment. It is copied, never
changed.
"""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import REPOSITORY, Server, ServerFactory
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


def test_so_much_changed_that_the_library_is_read_anew(plex: FakePlex, open_files: Callable[[], Any]) -> None:
    files = open_files()
    files.refresh(shows(plex))
    plex.remove(episode(7))
    new = [plex.add("TV Shows", episode(number, "Another")) for number in range(1, 31)]
    assert keys(files.refresh(shows(plex))) == (new, [])
    assert files.count() == 69


def test_libraries_that_come_and_go(plex: FakePlex, open_files: Callable[[], Any]) -> None:
    files = open_files()
    files.refresh(shows(plex))
    plex.add_library("Anime", kind="show")
    first, second = shows(plex)
    assert keys(files.refresh([first, second])) == NOTHING
    plex.add("Anime", "/media/anime/Girl/Season 01/Girl - S01E01.mkv")
    (added,), updated = keys(files.refresh([first, second]))
    assert (plex.item(added)["grandparentTitle"], updated) == ("Girl", [])
    assert keys(files.refresh([first])) == NOTHING
    assert files.count() == 40, "an ignored library is forgotten"
    assert keys(files.refresh([first, second])) == ([added], [])


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


def test_the_index_s_folder_may_be_deleted(plex: FakePlex, open_files: Callable[[], Any], tmp_path: Path) -> None:
    files = open_files()
    files.refresh(shows(plex))
    files.close()
    shutil.rmtree(tmp_path / "cache.plexindex")
    new = plex.add("TV Shows", episode(41))
    plex.remove(episode(1))
    files = open_files()
    assert keys(files.refresh(shows(plex))) == ([new], [])
    assert files.count() == 40


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


def test_the_host_s_tables_stay(plex: FakePlex, open_files: Callable[[], Any], tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "cache.sqlite3") as database:
        database.execute("CREATE TABLE episodes (episode_key TEXT)")
        database.execute("INSERT INTO episodes VALUES ('/library/metadata/1')")
    open_files().refresh(shows(plex))
    with sqlite3.connect(tmp_path / "cache.sqlite3") as database:
        assert database.execute("SELECT * FROM episodes").fetchall() == [("/library/metadata/1",)]


def test_the_page_s_test_passes(tmp_path: Path) -> None:
    page = (REPOSITORY / "docs" / "hosts.md").read_text("utf-8")
    (code,) = re.findall(r"^```python\n([^`]*test_what_is_new.*?)^```", page, re.DOTALL | re.MULTILINE)
    names: dict[str, Any] = {}
    exec(compile(code, "docs/hosts.md", "exec"), names)  # noqa: S102
    names["test_what_is_new"](tmp_path)


COMMIT = "0cf7103"
CHILD = REPOSITORY / "bench" / "children" / "auto_languages.py"
needs_checkout = pytest.mark.skipif(
    "PLEX_AUTO_LANGUAGES" not in os.environ, reason="PLEX_AUTO_LANGUAGES names no checkout"
)


class Program:
    """A process of the program: `refresh` gives the keys of added and updated episodes."""

    def __init__(self, server: Server, checkout: Path, folder: Path, *mode: str) -> None:
        folder.mkdir(exist_ok=True)
        self._process = subprocess.Popen(
            [sys.executable, str(CHILD), str(checkout), str(folder), *mode],
            env={**os.environ, "PLEX_URL": server.url, "PLEX_TOKEN": server.token},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.with_plexindex: bool = self._read()["with_plexindex"]

    def _read(self) -> Any:
        assert self._process.stdout is not None
        return json.loads(self._process.stdout.readline())

    def refresh(self) -> tuple[list[str], list[str]]:
        assert self._process.stdin is not None
        print("refresh", file=self._process.stdin, flush=True)
        printed = self._read()
        return printed["added"], printed["updated"]

    def stop(self) -> None:
        self._process.communicate()


@pytest.fixture
def checkouts(tmp_path: Path) -> tuple[Path, Path]:
    """The program before and after the swap."""
    made = tmp_path / "before", tmp_path / "after"
    for root in made:
        source = os.environ["PLEX_AUTO_LANGUAGES"]
        subprocess.run(["git", "clone", "--quiet", "--no-checkout", source, str(root)], check=True)
        subprocess.run(["git", "checkout", "--quiet", COMMIT], cwd=root, check=True)
    subprocess.run([sys.executable, str(EXAMPLE / "use_episode_files.py"), str(made[1])], check=True)
    return made


def change(server: Server, what: str) -> None:
    """Something happens in the library of shows."""
    rows = server.paths(2)

    def files(at: int, *names: str) -> None:
        server.post("items/files", {"ratingKey": int(rows[at]["ratingKey"]), "files": list(names)})

    if what == "added":
        made = [{"title": f"New {n}", "show": "A New Show", "files": [f"/data/tv/new/{n}.mkv"]} for n in range(5)]
        server.post("items/add", {"library": 2, "items": made})
    elif what == "many":
        made = [{"title": f"Of many {n}", "show": "Many", "files": [f"/data/tv/many/{n}.mkv"]} for n in range(120)]
        server.post("items/add", {"library": 2, "items": made})
    elif what == "other files":
        for at in range(10, 30):
            files(at, rows[at]["path"] + ".2160p.mkv")
    elif what == "a version more":
        files(40, rows[40]["path"], rows[40]["path"] + ".1080p.mkv")
    elif what == "removed":
        server.post("items/remove", {"ratingKeys": [int(row["ratingKey"]) for row in rows[50:53]]})
    elif what == "another title":
        server.post("items/set", {"ratingKey": int(rows[60]["ratingKey"]), "title": "Another title"})
    elif what == "touched":
        server.post("items/touch", {"ratingKeys": [int(row["ratingKey"]) for row in rows[70:75]]})
    elif what == "other keys":
        server.post("library/rekey", {"library": 2})


@needs_checkout
def test_a_refresh_gives_what_it_gave_before(
    start_server: ServerFactory, checkouts: tuple[Path, Path], tmp_path: Path
) -> None:
    server = start_server("--movies", "50", "--episodes", "400")
    programs = [Program(server, root, tmp_path / f"{root.name}-data") for root in checkouts]
    assert [program.with_plexindex for program in programs] == [False, True]
    happened = ("nothing", "added", "other files", "a version more", "removed", "another title", "touched")
    found = {}
    for what in (*happened, "many", "other keys"):
        change(server, what)
        before, after = (program.refresh() for program in programs)
        assert after == before, what
        found[what] = len(before[0]), len(before[1])
    for program in programs:
        program.stop()
    assert {what: counts for what, counts in found.items() if counts != (0, 0)} == {
        "added": (5, 0),
        "other files": (0, 20),
        "a version more": (0, 1),
        "many": (120, 0),
        "other keys": (522, 0),
    }
    change(server, "added")
    programs = [Program(server, root, tmp_path / f"{root.name}-data") for root in checkouts]
    before, after = (program.refresh() for program in programs)
    assert after == before
    assert (len(before[0]), len(before[1])) == (5, 0)
    for program in programs:
        program.stop()


@needs_checkout
def test_a_file_replaced_under_its_name_is_not_seen(
    start_server: ServerFactory, checkouts: tuple[Path, Path], tmp_path: Path
) -> None:
    """The page says so: the program compared the parts' keys, which have the file's time; the index has its path."""
    server = start_server("--movies", "50", "--episodes", "400")
    programs = [Program(server, root, tmp_path / f"{root.name}-data") for root in checkouts]
    row = server.paths(2)[10]
    server.post("items/files", {"ratingKey": int(row["ratingKey"]), "files": [row["path"]]})
    before, after = (program.refresh() for program in programs)
    assert before == ([], [f"/library/metadata/{row['ratingKey']}"])
    assert after == ([], [])
    for program in programs:
        program.stop()


@needs_checkout
def test_without_the_package_it_scans_as_before(
    start_server: ServerFactory, checkouts: tuple[Path, Path], tmp_path: Path
) -> None:
    server = start_server("--movies", "50", "--episodes", "400")
    # The last one begins where the first one ended, so the episodes of the second one come again.
    for missing, right in ((False, 5), (True, 5), (False, 10)):
        if missing:
            # What the program finds in the place of the package.
            (checkouts[1] / "plexindex.py").write_text("raise ImportError('not here')\n")
        else:
            (checkouts[1] / "plexindex.py").unlink(missing_ok=True)
        program = Program(server, checkouts[1], tmp_path / "data")
        assert program.with_plexindex is not missing
        change(server, "added")
        added, updated = program.refresh()
        assert (len(added), updated) == (right, [])
        program.stop()
