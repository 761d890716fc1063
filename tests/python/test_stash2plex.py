"""The guide for Stash2Plex, followed on a host of the same shape. `make test-stash2plex` tests Stash2Plex itself."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import plexindex
import pytest
from conftest import REPOSITORY, output, run
from disk import make

SCRIPT = REPOSITORY / "docs" / "stash2plex" / "use_plexindex.py"
# A host of the same shape: names that others import when they need them, and a log.
HOST = {
    "shared/__init__.py": "",
    "shared/log.py": """
import sys
def create_logger(component):
    return tuple(lambda text, level=level: print(f"{level} {component}: {text}", file=sys.stderr) for level in "tdiwe")
""",
    "docs/api/plex.md": "# A page\n" * 14 + "\n::: plex.matcher\n    options:\n",
    "plex/__init__.py": "import shared.log\nfrom plex.exceptions import PlexNotFound\n",
    "plex/exceptions.py": "class PlexNotFound(Exception):\n    pass\n",
    "plex/cache.py": """
class PlexCache:
    pass
class MatchCache:
    pass
def _extract_item_data(item):
    pass
""",
    "plex/matcher.py": """
class MatchConfidence:
    pass
def _cached_item_has_file(*arguments):
    pass
def _item_has_file(*arguments):
    pass
def find_plex_item_by_path(*arguments):
    pass
def find_plex_items_with_confidence(*arguments):
    raise NotImplementedError
""",
}
# What its worker does with two libraries: the second one is asked when the first has no such item.
WORKER = """
import sys
def match(sections, path, caches):
    from plex.matcher import MatchConfidence, find_plex_items_with_confidence
    from plex.exceptions import PlexNotFound
    for section in sections:
        try:
            confidence, item, _ = find_plex_items_with_confidence(section, path, None, None, *caches)
            assert confidence == MatchConfidence.HIGH
            return item
        except PlexNotFound as error:
            missed = error
    raise missed
from plex.cache import MatchCache, PlexCache
from plex.matcher import find_plex_items_with_confidence
print([thing.__module__ for thing in (PlexCache, MatchCache, find_plex_items_with_confidence)])
"""
USE = """
from plex.exceptions import PlexNotFound
from plexapi.server import PlexServer
from plexindex.testing import FakePlex
caches = PlexCache(sys.argv[1]), MatchCache(sys.argv[1])
with FakePlex({"Empty": [], "Movies": ["/plex/Alien (1979)/Alien (1979).mkv"]}) as fake:
    libraries = PlexServer(fake.url, fake.token).library.sections()
    assert match(libraries, "/stash/Alien (1979)/Alien (1979).mkv", caches).title == "Alien"
    try:
        match(libraries, "/stash/Nowhere (2001).mkv", caches)
    except PlexNotFound as error:
        print(type(error).__name__)
stand_in = type("Section", (), {"title": "Stand-in"})
try:
    match([stand_in], "/x.mkv", caches)
except NotImplementedError:
    print("the old function")
print("diskcache" in sys.modules)
"""


def run_host(folder: Path, before: str = "", after: str = "", **variables: str) -> tuple[list[str], str]:
    """What a process of the host prints, and its log."""
    for file, text in HOST.items():
        make(folder / file, text.encode())
    output(sys.executable, SCRIPT, cwd=folder)
    places = [str(folder), str(Path(__file__).parent), str(Path(plexindex.__file__).parents[1])]
    code = f"import sys\nsys.path[:0] = {places!r}\n{before}\n{WORKER}\n{after}"
    done = run(sys.executable, "-c", code, folder, env={**os.environ, **variables})
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines(), done.stderr


# No folder in which Python finds the package.
WITHOUT = """
import os
sys.path = [folder for folder in sys.path if not os.path.isdir(os.path.join(folder, "plexindex"))]
"""
OURS = ["plexindex._compat.caches", "plexindex._compat.caches", "plexindex.compat"]
OLD = "plex.without_plexindex"
THEIRS = [f"{OLD}.cache", f"{OLD}.cache", f"{OLD}.matcher"]


def test_a_sync_over_two_libraries_needs_no_configuration(tmp_path: Path) -> None:
    printed, log = run_host(tmp_path, after=USE)
    assert printed == [str(OURS), "PlexNotFound", "the old function", "False"]
    assert "d Matcher: HIGH confidence match for Alien (1979).mkv" in log


@pytest.mark.parametrize(
    ("before", "variables", "level"),
    [(WITHOUT, {}, "d"), ("", {"PLEXINDEX_LIBRARY": __file__}, "i"), ("", {"PLEXINDEX_LIBRARY": "/nowhere.so"}, "i")],
    ids=["no package", "a broken library", "no library"],
)
def test_without_plexindex_all_is_as_before(tmp_path: Path, before: str, variables: dict[str, str], level: str) -> None:
    printed, log = run_host(tmp_path, before=before, **variables)
    assert printed == [str(THEIRS)]
    assert log.startswith(f"{level} Cache: plexindex is not used: ")
    assert len(log.splitlines()) == 1
