"""Tests which caches and matcher the plug-in uses: plexindex's if it works, else the old ones.

Tests with mocks of libraries do not test plexindex, because the old matcher answers for mocks.
"""

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from plex.exceptions import PlexNotFound
from worker.plex_sync_orchestrator import DefaultCacheAdapter, DefaultMatcherAdapter, PlexSyncOrchestrator

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
    assert used() == ["plexindex._compat.caches", "plexindex.compat"]


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


@pytest.mark.skipif(plexindex is None, reason="plexindex is not installed")
def test_the_index_answers_for_the_worker(tmp_path):
    from plexapi.server import PlexServer
    from plexindex.testing import FakePlex

    from plex.cache import MatchCache, PlexCache
    from plex.without_plexindex import matcher

    films = [f"/plex/Studio {number % 7}/Scene {number} - 2026-01-30/{number}.mp4" for number in range(50)]
    caches = {"library_cache": PlexCache(tmp_path), "match_cache": MatchCache(tmp_path)}
    asked_old = []
    plexindex.compat.configure(
        matcher=lambda *given: asked_old.append(given) or matcher.find_plex_items_with_confidence(*given)
    )
    try:
        with FakePlex({"Other": ["/other/1.avi"], "Scenes": films}) as server:
            sections = PlexServer(server.url, server.token).library.sections()
            edited = []
            orchestrator = PlexSyncOrchestrator(
                matcher_adapter=DefaultMatcherAdapter(),
                metadata_adapter=SimpleNamespace(apply=lambda plex_item, scene_data: edited.append(plex_item)),
                cache_adapter=DefaultCacheAdapter(caches["match_cache"]),
                config=SimpleNamespace(strict_matching=True),
            )
            # In Plex's folder, in another mount of it, in a folder that Plex does not know, and again.
            paths = [path.replace("/plex", root, 1) for path in films for root in ("/plex", "/stash")]
            paths += [f"/downloads/{number}.mp4" for number in range(50)]
            for path in paths + paths[:50]:
                orchestrator.sync_scene_to_plex(scene_id=1, scene_data={}, file_path=path, sections=sections, **caches)
                assert edited[-1].media[0].parts[0].file.endswith("/" + Path(path).name)
            with pytest.raises(PlexNotFound):
                orchestrator.sync_scene_to_plex(
                    scene_id=1, scene_data={}, file_path="/plex/new/7.mp4", sections=sections, **caches
                )
            answers = len(sections) * (len(edited) + 1) - len(asked_old)
            print(f"{answers} answers came from the index, {len(asked_old)} from the old matcher")
            assert (len(edited), len(asked_old)) == (200, 0)
            assert answers > 0
    finally:
        plexindex.compat.configure(matcher=matcher.find_plex_items_with_confidence)
        for cache in caches.values():
            cache.close()
