"""The drop-in's caches against a plain model: random operations, odd strings, objects closed and opened again."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from compat_items import item
from plexindex.compat import MatchCache, PlexCache, _extract_item_data

LIBRARIES = ["Movies", "Movies:C", "TV Shows", "", "\0", "\ud800", "Müsik"]
PIECES = [
    "/movies/", "/", "//", "\\", ":", "C:", "A", "a", "İ", "i", "ı", "ß", "ẞ", "SS", "Σ", "σ", "ς", "Σ.",
    "é", "e\u0301", "É", "\u0345", "ǅ", "Ⅷ", "\0", "\1", "\ud83d", "\ude00", "\udc80", "\udcc3\udca9", "🎬",
    "\u2028", "\ufeff", "=", "%41",
]  # fmt: skip


def text(source: random.Random) -> str:
    """A short string of pieces that are easily confused; now and then a huge one."""
    made = "".join(source.choices(PIECES, k=source.randrange(5)))
    return made * 20_000 if made and source.random() < 0.01 else made


class Model:
    """What the caches are to do, as a dictionary."""

    def __init__(self) -> None:
        self.matches: dict[tuple[str, str], str] = {}
        self.rows: dict[tuple[str, str | None], list[Any]] = {}


@pytest.mark.both
@pytest.mark.parametrize("seed", [0, 1, *(pytest.param(seed, marks=pytest.mark.deep) for seed in range(2, 6))])
def test_matches_are_those_of_a_dict(tmp_path: Path, seed: int) -> None:
    source = random.Random(seed)  # noqa: S311
    model, caches = Model().matches, [MatchCache(tmp_path) for _ in range(2)]
    paths = [text(source) for _ in range(60)]
    for _ in range(1_500):
        cache, library = source.choice(caches), source.choice(LIBRARIES)
        path = source.choice(paths)
        path = source.choice([path, path.upper(), path.lower(), path.title(), path.swapcase()])
        place, what = (library, path.lower()), source.random()
        if what < 0.45:
            assert cache.get_match(library, path) == model.get(place)
        elif what < 0.85:
            key = source.choice(["/library/metadata/", "", "/"]) + text(source)
            cache.set_match(library, path, key)
            model[place] = key
        elif what < 0.95:
            cache.invalidate(library, path)
            model.pop(place, None)
        elif what < 0.97:
            cache.invalidate_library(library)
            for known in [known for known in model if known[0] == library]:
                del model[known]
        elif what < 0.99:
            cache.close()
        elif what < 0.995:
            caches[caches.index(cache)] = MatchCache(tmp_path)
        else:
            cache.clear()
            model.clear()
        if source.random() < 0.02:
            assert cache.get_stats()["count"] == len(model)
    for (library, path), key in model.items():
        assert [cache.get_match(library, path) for cache in caches] == [key, key]


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.deep) for seed in range(1, 4))])
def test_rows_are_those_of_a_dict(tmp_path: Path, seed: int) -> None:
    source = random.Random(seed)  # noqa: S311
    model, caches = Model().rows, [PlexCache(tmp_path) for _ in range(2)]
    titles = [text(source)[:1000] for _ in range(10)]
    for _ in range(400):
        cache, library, title = source.choice(caches), source.choice(LIBRARIES), source.choice([None, *titles])
        what = source.random()
        if what < 0.5:
            found = cache.get_library_items(library) if title is None else cache.get_search_results(library, title)
            assert found == model.get((library, title))
        elif what < 0.95:
            items = [
                item(text(source) or None, source.choice([None, text(source)]), *(text(source) for _ in range(files)))
                for files in source.choices([0, 1, 1, 1, 3], k=source.randrange(6))
            ]
            for one in items:
                one.ratingKey = None
            if title is None:
                cache.set_library_items(library, items)
            else:
                cache.set_search_results(library, title, items)
            model[library, title] = [row for row in map(_extract_item_data, items) if row]
        elif what < 0.98:
            cache.close()
        elif what < 0.99:
            caches[caches.index(cache)] = PlexCache(tmp_path)
        else:
            cache.clear()
            model.clear()
        if source.random() < 0.05:
            assert cache.get_stats()["count"] == len(model)


WRITER = """
import sys
from plexindex.compat import MatchCache
cache, me = MatchCache(sys.argv[1]), sys.argv[2]
for number in range(150):
    cache.set_match("Movies", f"/{me}/{number}", f"{me}-{number}")
    cache.set_match("Movies", "/shared", f"{me}-{number}")
    if number % 3 == 0:
        cache.invalidate("Movies", f"/{me}/{number}")
    if number % 50 == 0:
        cache.close()
    assert cache.get_match("Movies", f"/{me}/{number}") == (None if number % 3 == 0 else f"{me}-{number}")
"""


def test_processes_lose_nothing_of_each_other(tmp_path: Path) -> None:
    names = ["a", "b", "c"]
    writers = [subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path), name]) for name in names]
    cache = MatchCache(tmp_path)
    while any(writer.poll() is None for writer in writers):
        found = cache.get_match("Movies", "/shared")
        assert found is None or found[0] in names
    assert [writer.returncode for writer in writers] == [0, 0, 0]
    for name in names:
        for number in range(150):
            expected = None if number % 3 == 0 else f"{name}-{number}"
            assert cache.get_match("Movies", f"/{name.upper()}/{number}") == expected
    assert cache.get_stats()["count"] == 3 * 100 + 1


FILLER = """
import itertools, sys
from types import SimpleNamespace as N
from plexindex.compat import MatchCache, PlexCache
plex, matches = PlexCache(sys.argv[1]), MatchCache(sys.argv[1])
for number in itertools.count(int(sys.argv[2])):
    items = [N(key=f"/library/metadata/{number}", title="T", media=[N(parts=[N(file=f"/{number}.mkv")])])] * 50
    plex.set_library_items("Movies", items)
    matches.set_match("Movies", "/last", str(number))
    print(number, flush=True)
"""


@pytest.mark.deep
def test_a_kill_leaves_a_whole_store(tmp_path: Path) -> None:
    source, said = random.Random(1), 0  # noqa: S311
    for _ in range(15):
        command = [sys.executable, "-c", FILLER, str(tmp_path), str(said + 1)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as filler:
            assert filler.stdout is not None
            for _ in range(source.randrange(1, 40)):
                said = int(filler.stdout.readline())
            filler.kill()
            said = max([said, *(int(line) for line in filler.stdout if line.endswith("\n"))])
        plex, matches = PlexCache(tmp_path), MatchCache(tmp_path)
        rows = plex.get_library_items("Movies")
        assert rows is not None
        number = int(rows[0]["key"].rsplit("/", 1)[1])
        assert number in (said, said + 1)
        assert [row["file_paths"] for row in rows] == [[f"/{number}.mkv"]] * 50
        assert matches.get_match("Movies", "/last") in (str(said), str(said + 1))
        # What is matched is what is given.
        for other, key in ((number, f"/library/metadata/{number}"), (number - 1, None)):
            assert plex._match("Movies", f"/{other}.mkv") == ([key] if key else [], [])
        said = number
