"""The drop-in's caches behave as those of Stash2Plex: what they keep, for how long, what they count and show."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import MagicMock, Mock

from compat_world import item
from conftest import until
from plexindex.compat import MatchCache, PlexCache, _extract_item_data


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
    # Expired ones are counted until they are culled, which is when something else is stored.
    assert never.get_stats()["count"] == 2
    assert repr(never).startswith(f"PlexCache(data_dir='{tmp_path}', ttl=None, items=2, hit_rate=")
    never.set_search_results("Never", "t", [])
    assert never.get_stats()["count"] == 2


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
    assert _extract_item_data(SimpleNamespace(key="", title="x")) is None
    assert _extract_item_data(SimpleNamespace(title="x")) is None
    assert _extract_item_data(Raises()) is None
    assert _extract_item_data(None) is None
    assert _extract_item_data(Mock(key="1")) is None  # its media are nothing to go through
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
