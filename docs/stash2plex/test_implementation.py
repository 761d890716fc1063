"""Tests which caches and matcher the plug-in uses: plexindex's if it works, else the old ones."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SHOW = "from plex.implementation import PlexCache, find_plex_items_with_confidence as find; print(PlexCache.__module__, find.__module__)"


try:
    import plexindex.compat
except ImportError:  # plexindex is not installed, or cannot be loaded
    plexindex = None


def used(before=""):
    code = f"import sys; sys.path.insert(0, {str(ROOT)!r})\n{before}\n{SHOW}"
    return subprocess.check_output([sys.executable, "-c", code], text=True, cwd=ROOT).split()


@pytest.mark.skipif(plexindex is None, reason="plexindex is not installed")
def test_plexindex_is_used_where_it_is_installed():
    assert used() == ["plexindex._compat.plex_cache", "plexindex.compat"]


@pytest.mark.parametrize(
    "before",
    [
        "sys.modules['plexindex'] = None",  # not installed
        "import types; sys.modules['plexindex'] = sys.modules['plexindex.compat'] = types.ModuleType('old')",  # lacks these names
        "class Broken:\n    def find_spec(self, name, *_):\n        if name == 'plexindex': raise RuntimeError(name)\n"
        "sys.meta_path.insert(0, Broken())",
    ],
)
def test_whatever_is_wrong_with_plexindex_the_plug_in_starts(before):
    pytest.importorskip("diskcache")
    assert used(before) == ["plex.without_plexindex.cache", "plex.without_plexindex.matcher"]
