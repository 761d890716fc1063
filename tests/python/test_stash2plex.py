"""The guide for Stash2Plex, followed to the letter: its script on a host of the same shape, and on a checkout.

STASH2PLEX names a checkout of Stash2Plex, with what its tests need in this environment. It is copied, never changed.
"""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import types
from collections.abc import Sequence
from pathlib import Path

import plexindex
import pytest
from compat_items import section
from conftest import REPOSITORY
from plexapi.exceptions import NotFound
from plexindex.compat import MatchCache, NotFoundError, find_plex_items_with_confidence

SCRIPT = REPOSITORY / "docs" / "stash2plex" / "use_plexindex.py"
# A host of the same shape: names that others import when they need them, and a log.
HOST = {
    "shared/__init__.py": "",
    "shared/log.py": """
import sys
def create_logger(component):
    return tuple(lambda text, level=level: print(f"{level} {component}: {text}", file=sys.stderr) for level in "tdiwe")
""",
    "requirements.txt": "tenacity>=9.0.0\npydantic>=2.0.0\ndiskcache>=5.6.0\n",
    "docs/api/plex.md": "# A page\n" * 14 + "\n::: plex.matcher\n    options:\n",
    # Tests of what goes, and of what stays.
    "tests/plex/test_matcher.py": (
        "from plex.matcher import (\n    _item_has_file,\n    find_plex_item_by_path,\n    MatchConfidence,\n)\n"
        "class TestItemHasFile:\n    pass\nclass TestFindPlexItemByPath:\n    pass\nclass TestStays:\n    pass\n"
    ),
    "tests/test_matcher.py": "class TestCachedItemHasFile:\n    pass\n",
    "tests/test_plex_integration.py": "class TestMatcher:\n    pass\n",
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
from compat_items import item, section
from plex.exceptions import PlexNotFound
film = item("/library/metadata/7", "Alien", "/plex/Alien (1979)/Alien (1979).mkv")
caches = PlexCache(sys.argv[1]), MatchCache(sys.argv[1])
libraries = [section([], title="Empty"), section([film], found=lambda title: [film])]
assert match(libraries, "/stash/Alien (1979)/Alien (1979).mkv", caches) is film
try:
    match(libraries, "/stash/Nowhere (2001).mkv", caches)
except PlexNotFound as error:
    print(type(error).__name__)
"""


def edited(root: Path, *steps: str) -> None:
    """Edits a checkout as the guide says."""
    for step in steps:
        subprocess.run([sys.executable, str(SCRIPT), step], cwd=root, check=True)


def run_host(
    folder: Path, steps: Sequence[str], before: str = "", after: str = "", **variables: str
) -> tuple[list[str], str]:
    """What a process of the host prints, and its log."""
    for file, text in HOST.items():
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / file).write_text(text)
    edited(folder, *steps)
    places = [str(folder), str(Path(__file__).parent), str(Path(plexindex.__file__).parents[1])]
    done = subprocess.run(
        [sys.executable, "-c", f"import sys\nsys.path[:0] = {places!r}\n{before}\n{WORKER}\n{after}", str(folder)],
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines(), done.stderr


# No folder in which Python finds the package.
WITHOUT = """
import os
sys.path = [folder for folder in sys.path if not os.path.isdir(os.path.join(folder, "plexindex"))]
"""
OURS = ["plexindex._compat.plex_cache", "plexindex._compat.match_cache", "plexindex.compat"]
OLD = "plex.without_plexindex"
THEIRS = [f"{OLD}.cache", f"{OLD}.cache", f"{OLD}.matcher"]


@pytest.mark.parametrize("steps", [["swap"], ["swap", "finish"]])
def test_each_step_swaps_what_it_names(tmp_path: Path, steps: list[str]) -> None:
    printed, log = run_host(tmp_path, steps, after="print('diskcache' in sys.modules)")
    assert (printed, log) == ([str(OURS), "False"], "")
    if "finish" in steps:
        assert (tmp_path / "tests/plex/test_matcher.py").read_text().split() == [
            "from", "plex.matcher", "import", "(", "MatchConfidence,", ")", "class", "TestStays:", "pass",
        ]  # fmt: skip
        assert (tmp_path / "requirements.txt").read_text().split()[-2:] == ["pydantic>=2.0.0", "plexindex>=0.1,<0.2"]


@pytest.mark.parametrize("steps", [["swap"], ["swap", "finish"]])
def test_a_sync_over_two_libraries_needs_no_configuration(tmp_path: Path, steps: list[str]) -> None:
    printed, log = run_host(tmp_path, steps, after=USE)
    assert printed == [str(OURS), "PlexNotFound"]
    assert "d Matcher: HIGH confidence match for Alien (1979).mkv" in log


def test_without_the_package_all_is_as_before(tmp_path: Path) -> None:
    printed, log = run_host(tmp_path, ["swap"], before=WITHOUT)
    assert printed == [str(THEIRS)]
    assert log.startswith("d Cache: plexindex is not used: ")
    assert len(log.splitlines()) == 1


@pytest.mark.parametrize("content", [b"", b"\x7fELF and no more", None])
def test_with_a_broken_library_all_is_as_before(tmp_path: Path, content: bytes | None) -> None:
    library = tmp_path / "broken.so"
    if content is not None:
        library.write_bytes(content)
    printed, log = run_host(tmp_path, ["swap"], PLEXINDEX_LIBRARY=str(library))
    assert printed == [str(THEIRS)]
    assert "i Cache: plexindex is not used: " in log
    assert "PLEXINDEX_LIBRARY" in log


class HostNotFound(Exception):  # noqa: N818
    """A host's own, with what it says of itself."""

    retry = True


def missing() -> BaseException:
    """What the function raises when there is no item."""
    with pytest.raises(Exception, match="Nowhere") as caught:
        find_plex_items_with_confidence(section(), "/x/Nowhere.mkv")
    return caught.value


def host_module(monkeypatch: pytest.MonkeyPatch, value: object) -> None:
    module = types.ModuleType("plex.exceptions")
    module.PlexNotFound = value  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "plex.exceptions", module)


def test_what_is_raised_is_the_host_s_and_plexapi_s(monkeypatch: pytest.MonkeyPatch) -> None:
    before = missing()
    assert type(before).__mro__[1:3] == (NotFound, NotFound.__mro__[1])
    assert isinstance(before, NotFoundError)
    # Imported later, it counts from then on.
    host_module(monkeypatch, HostNotFound)
    error = missing()
    assert all(isinstance(error, kind) for kind in (HostNotFound, NotFound, NotFoundError, LookupError))
    assert type(error) is type(missing())
    assert type(error).__name__ == "HostNotFound"
    assert error.retry  # type: ignore[attr-defined]
    error.scene = 7  # type: ignore[attr-defined]
    copied = pickle.loads(pickle.dumps(error))  # noqa: S301
    assert (type(copied), str(copied), copied.scene) == (type(error), str(error), 7)
    monkeypatch.setitem(sys.modules, "plexapi.exceptions", None)
    assert not isinstance(missing(), NotFound)
    assert isinstance(missing(), HostNotFound)


def test_counters_can_be_set(tmp_path: Path) -> None:
    cache = MatchCache(tmp_path)
    cache._hits, cache._misses = 8, 2
    assert cache.get_match("Movies", "/x") is None
    assert (cache._hits, cache._misses, cache.get_stats()["hits"]) == (8, 3, 8)
    cache.close()
