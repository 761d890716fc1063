"""The drop-in's lines in the host's log: those of the classes that it replaces, in their words and levels."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
from compat_world import KEY, answers, item
from plexindex._compat import host as _host_log
from plexindex._core import abi as _constants
from plexindex._core import log as _log
from plexindex.compat import MatchCache, PlexCache, configure, find_plex_items_with_confidence

FILMS = [
    item(KEY + "7", "Alien", "/plex/Alien (1979)/Alien.mkv"),
    item(KEY + "8", "Heat", "/plex/Heat/Heat.mkv"),
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
    host_lines: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, debug: bool
) -> None:
    for name, value in _host_log.chosen.items():
        monkeypatch.setitem(_host_log.chosen, name, value)
    configure(matcher=answers([]))
    matches = MatchCache(tmp_path)
    find_plex_items_with_confidence(None, "/x", match_cache=matches, debug_logging=debug)
    matches.set_match("Movies", "/x", "1")
    host_lines.clear()
    matches.get_match("Movies", "/x")
    matches.get_match("Movies", "/y")
    wanted = ["d Match cache hit for '/x' -> 1", "d Match cache miss for '/y'"]
    assert host_lines == (wanted if debug else [])
    matches.close()


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
