"""The drop-in's lines in the host's log: those of the classes that it replaces, in their words and levels."""

from __future__ import annotations

import logging
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import plexindex
import pytest
from compat_items import KEY, item, section
from conftest import REPOSITORY
from plexindex import _constants, _host_log, _log
from plexindex.compat import MatchCache, PlexCache, _extract_item_data, find_plex_items_with_confidence

FILMS = [
    item(KEY + "7", "Alien", "/plex/Alien (1979)/Alien.mkv"),
    item(KEY + "8", "Heat", "/plex/Heat/Heat.mkv"),
    item(KEY + "9", "A", "/p/a/movie.mkv"),
    item(KEY + "10", "B", "/p/b/movie.mkv"),
]


def movies() -> Any:
    return section(FILMS, found=lambda title: [film for film in FILMS if film.title == title])


def find(path: str, *, debug: bool = False, **caches: Any) -> None:
    try:
        find_plex_items_with_confidence(movies(), path, debug_logging=debug, **caches)
    except LookupError:
        pass


def test_the_matcher_says_what_it_did(host_lines: list[str]) -> None:
    caches: dict[str, Any] = {"library_cache": None, "match_cache": None}
    find("/stash/Alien.mkv", **caches)
    assert host_lines == [
        "d Searching 'Movies' for: hidden:Alien.mkv",
        "i Found: Alien",
        "d HIGH confidence match for hidden:Alien.mkv",
    ]
    host_lines.clear()
    find("/stash/movie.mkv", **caches)
    assert host_lines == [
        "d Searching 'Movies' for: hidden:movie.mkv",
        "d Fallback: scanning all items...",
        "d Scanning 4 items...",
        "i Found: A",
        "i Found: B",
        (
            "w LOW confidence match for 'hidden:movie.mkv': 2 candidates found - "
            "['hidden:/p/a/movie.mkv', 'hidden:/p/b/movie.mkv']"
        ),
    ]
    host_lines.clear()
    find("/stash/Alien.mkv", debug=True, **caches)
    assert "i [DEBUG] Title search query: 'Alien'" in host_lines
    assert "i [DEBUG] HIGH confidence match: Alien" in host_lines


def test_a_recorded_match_is_told(host_lines: list[str], tmp_path: Path) -> None:
    matches = MatchCache(tmp_path)
    matches.set_match("Movies", "/stash/Alien.mkv", KEY + "7")
    host_lines.clear()
    find("/stash/Alien.mkv", match_cache=matches)
    assert host_lines == [
        f"d Match cache hit for '/stash/Alien.mkv' -> {KEY}7",
        f"d Match cache hit: hidden:/stash/Alien.mkv -> {KEY}7",
        "i Cache hit: Alien",
    ]
    matches.set_match("Movies", "/stash/Alien.mkv", KEY + "77")
    host_lines.clear()
    find("/stash/Alien.mkv", match_cache=matches)
    assert host_lines[2:4] == [
        f"d Cached key stale, invalidating: {KEY}77",
        "d Invalidated match for '/stash/Alien.mkv'",
    ]


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
        "d Cached 4 items for library 'Movies' (TTL: 60s)",
        "d Cache hit for library 'Movies' (4 items)",
        "d Cached 1 search results for 'Movies:Heat'",
        "d Cache hit for search 'Movies:Heat' (1 results)",
        "d Cache miss for search 'Movies:Alien'",
        "i Cache cleared",
        "d Cache closed",
        "d Match cache miss for '/x'",
        "d Cached match '/x' -> 1",
        "d Cached match '/y' -> 2",
        "d Invalidated match for '/x'",
        "i Invalidated 1 matches for library 'Movies'",
        "i Match cache cleared",
        "d Match cache closed",
    ]


def test_items_that_cannot_be_read_are_told(host_lines: list[str]) -> None:
    class Broken:
        key = "1"

        @property
        def title(self) -> str:
            raise RuntimeError("no title")

    keyless = item(None, "x")
    keyless.ratingKey = None
    assert _extract_item_data(keyless) is None
    assert _extract_item_data(Broken()) is None
    assert host_lines == ["d Item missing key, skipping", "w Failed to extract item data: no title"]


def test_without_a_host_nothing_is_written(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "plexindex")
    find("/stash/Alien.mkv", library_cache=PlexCache(tmp_path), match_cache=MatchCache(tmp_path))
    assert capfd.readouterr() == ("", "")


def test_what_the_index_warns_of_is_in_the_host_s_log(
    host_lines: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    matches = MatchCache(tmp_path)
    matches.set_match("Movies", "/stash/Alien.mkv", KEY + "7")
    matches.close()
    (database,) = tmp_path.rglob("*.db")
    database.write_bytes(b"damaged" * 1000)
    host_lines.clear()
    # Stash2Plex sets up no logging.
    monkeypatch.setattr(logging.getLogger("plexindex"), "hasHandlers", lambda: False)
    MatchCache(tmp_path).get_match("Movies", "/stash/Alien.mkv")
    warnings = [line for line in host_lines if line.startswith("w ")]
    assert any("damaged" in line for line in warnings), host_lines


def test_a_slow_call_is_told_with_the_title_and_is_no_warning(
    host_lines: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging.getLogger("plexindex"), "hasHandlers", lambda: False)
    monkeypatch.setitem(_host_log.titles, "78dde6e5-fd29", "Adult")
    slow = "match_path in '78dde6e5-fd29' took 1.02 s: the server (1 request) 1.01 s"
    _log.hand_on([(_constants.LOG_WARN, slow), (_constants.LOG_WARN, "the database took damage")])
    assert host_lines == [
        "d match_path in 'Adult' took 1.02 s: the server (1 request) 1.01 s",
        "w the database took damage",
    ]


SCENARIO = """
import sys
sys.path.insert(0, sys.argv[1])
from plex.exceptions import PlexNotFound
if sys.argv[2] == "new":
    from plexindex.compat import MatchCache, PlexCache, find_plex_items_with_confidence as find
else:
    from plex.cache import MatchCache, PlexCache
    from plex.matcher import find_plex_items_with_confidence as find
from test_host_log import FILMS, KEY, movies
library, matches = PlexCache(sys.argv[3]), MatchCache(sys.argv[3])
def ask(path):
    try:
        find(movies(), path, library_cache=library, match_cache=matches)
    except PlexNotFound:
        pass
ask("/stash/Alien.mkv")
ask("/stash/Alien.mkv")
matches.set_match("Movies", "/stash/Alien.mkv", KEY + "7")
ask("/stash/Alien.mkv")
matches.set_match("Movies", "/stash/Alien.mkv", KEY + "77")
ask("/stash/Alien.mkv")
ask("/stash/movie.mkv")
ask("/stash/nowhere.mkv")
matches.invalidate("Movies", "/x")
matches.set_match("Movies", "/x", "1")
matches.invalidate_library("Movies")
matches.clear()
library.clear()
library.get_library_items("Movies")
matches.close()
library.close()
"""


@pytest.mark.skipif("STASH2PLEX" not in os.environ, reason="STASH2PLEX names no checkout")
def test_the_lines_are_those_of_the_host_s_own_classes(tmp_path: Path) -> None:
    lines = {}
    for who in ("old", "new"):
        data = tmp_path / "data"
        shutil.rmtree(data, ignore_errors=True)
        done = subprocess.run(
            [sys.executable, "-c", SCENARIO, os.environ["STASH2PLEX"], who, str(data)],
            env={
                **os.environ,
                "PYTHONPATH": f"{Path(plexindex.__file__).parents[1]}{os.pathsep}{REPOSITORY / 'tests' / 'python'}",
            },
            capture_output=True,
            text=True,
            check=True,
        )
        lines[who] = done.stderr.splitlines()
    told = {who: [line for line in each if line[1] in "iw"] for who, each in lines.items()}
    assert len(told["old"]) > 8
    assert told["new"] == told["old"]
    # It searches less: empty searches are not kept, and a listing is matched inside of the library.
    assert set(lines["new"]) <= set(lines["old"]) | {line for line in lines["new"] if "Cache miss for search" in line}
