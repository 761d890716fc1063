"""The drop-in's caches behave as those of Stash2Plex: what they keep, for how long, what they count, show and log."""

from __future__ import annotations

import itertools
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import MagicMock, Mock

import pytest
from conftest import until
from plexindex._compat import host
from plexindex.compat import MatchCache, PlexCache, _extract_item_data, configure, find_plex_items_with_confidence
from test_compat_find import KEY, answers


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
    # Expired ones are counted until they are culled, which one of eight writes does.
    assert never.get_stats()["count"] == 2
    assert repr(never).startswith(f"PlexCache(data_dir='{tmp_path}', ttl=None, items=2, hit_rate=")
    for _ in range(8):
        never.set_search_results("Never", "t", [])
    assert never.get_stats()["count"] == 2


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
    assert _extract_item_data(item("/library/metadata/1", "T", "/a", "", None, "/b")) == {
        "key": "/library/metadata/1",
        "title": "T",
        "file_paths": ["/a", "/b"],
    }
    plain = SimpleNamespace(ratingKey=7, media=[SimpleNamespace(parts=[SimpleNamespace(file="/a")])])
    assert _extract_item_data(plain) == {"key": "7", "title": None, "file_paths": ["/a"]}
    assert _extract_item_data(SimpleNamespace(key=None, ratingKey=8, title="x", media=None)) == {
        "key": "8",
        "title": "x",
        "file_paths": [],
    }
    # The last one's media are nothing to go through.
    for odd in (SimpleNamespace(key="", title="x"), SimpleNamespace(title="x"), Raises(), None, Mock(key="1")):
        assert _extract_item_data(odd) is None
    bare = _extract_item_data(MagicMock())
    assert bare is not None
    assert re.match("<MagicMock", bare["key"])
    assert bare["file_paths"] == []


def test_odd_texts_come_back_as_they_were(tmp_path: Path) -> None:
    cache = PlexCache(tmp_path)
    texts = ["", " ", "\0", "\ud800", "/\udcff.mkv", "ü", "e\u0301", "=7", "\n", "/" + "x" * 200_001]
    items = [item(text or "k", text, *texts[: number % 5]) for number, text in enumerate(texts)]
    cache.set_library_items("L", items)
    assert cache.get_library_items("L") == [_extract_item_data(one) for one in items]
    for text in texts:
        cache.set_search_results("L", text, [item(text, text)])
    assert cache.get_search_results("L", "=7") == [_extract_item_data(item("=7", "=7"))]


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
    host_lines: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, debug: bool
) -> None:
    for name, value in host.chosen.items():
        monkeypatch.setitem(host.chosen, name, value)
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
