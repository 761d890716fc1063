"""The drop-in's caches against a plain model: random operations, odd strings, objects closed and opened again."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from plexindex.compat import MatchCache

LIBRARIES = ["Movies", "movies", "Movies:C", "TV Shows", "", "\0", "\ud800", "Müsik"]
PIECES = [
    "/movies/", "/", "//", "\\", ":", "C:", "A", "a", "İ", "i", "ı", "ß", "ẞ", "SS", "Σ", "σ", "ς", "Σ.",
    "é", "e\u0301", "É", "\u0345", "ǅ", "Ⅷ", "\0", "\1", "\ud83d", "\ude00", "\udc80", "\udcc3\udca9", "🎬",
    "\u2028", "\ufeff", "=", "%41",
]  # fmt: skip


def text(source: random.Random) -> str:
    """A short string of pieces that are easily confused; now and then a huge one."""
    made = "".join(source.choices(PIECES, k=source.randrange(5)))
    return made * 20_000 if made and source.random() < 0.01 else made


@pytest.mark.both
@pytest.mark.parametrize("seed", [0, 1, *(pytest.param(seed, marks=pytest.mark.deep) for seed in range(2, 6))])
def test_matches_are_those_of_a_dict(tmp_path: Path, seed: int) -> None:
    source = random.Random(seed)  # noqa: S311
    model: dict[tuple[str, str], str] = {}
    caches = [MatchCache(tmp_path) for _ in range(2)]
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
