"""Replaces Stash2Plex's caches and matcher with plexindex. `docs/hosts.md` of plexindex says what users notice.

Run this script in a checkout of Stash2Plex 1.6.14. Afterwards, the plug-in uses plexindex if it is installed, else the
old code in plex/without_plexindex. The old matcher also answers if plexindex cannot.

Then run `pytest` without plexindex, and `pytest --cov-config=tests/with_plexindex.coveragerc` with it. The script finds
the code to move by names. If a name is missing, it stops before it writes anything.
"""

from __future__ import annotations

import ast
import shutil
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
PLEX, OLD = Path("plex"), Path("plex", "without_plexindex")
IMPLEMENTATION = PLEX / "implementation.py"
COVERAGE, TEST = Path("tests", "with_plexindex.coveragerc"), Path("tests", "plex", "test_implementation.py")
# The names that other code imports from each module.
NAMES = {
    "cache": ("MatchCache", "PlexCache", "_extract_item_data"),
    "matcher": ("MatchConfidence", "find_plex_items_with_confidence"),
}
ALL = ", ".join(sorted(sum(NAMES.values(), ())))
CHOICE = f'''\
"""Chooses the caches and the matcher: plexindex's if it is installed, else the old ones."""

from shared.log import create_logger

try:
    # Import everything at once, so that old and new parts are never mixed.
    from plexindex.compat import {ALL}, configure
    from plex.without_plexindex.matcher import find_plex_items_with_confidence as old_function

    configure(matcher=old_function)  # answers if plexindex cannot
except Exception as error:  # the plug-in must start whatever is wrong with plexindex
    # A missing package is normal, but users must know of one that cannot be loaded.
    _, log_debug, log_info, _, _ = create_logger("Cache")
    is_missing = isinstance(error, ModuleNotFoundError) and error.name == "plexindex"
    (log_debug if is_missing else log_info)(f"plexindex is not used: {{error}}")
    from plex.without_plexindex.cache import {", ".join(NAMES["cache"])}
    from plex.without_plexindex.matcher import {", ".join(NAMES["matcher"])}

__all__ = {sorted(sum(NAMES.values(), ()))}
'''
MODULE = '''\
"""The {what}."""

from plex.implementation import {imported}

__all__ = {names}
'''
FOR_TESTS = '''

def __getattr__(name):
    """Returns functions of the old matcher, which only tests use."""
    from plex.without_plexindex import matcher

    return getattr(matcher, name)
'''


def write_modules() -> None:
    """Writes modules that import their names from the chosen implementation."""
    for module, names in NAMES.items():
        what = {"cache": "caches of library data and of matches", "matcher": "matcher of files and Plex items"}[module]
        text = MODULE.format(what=what, imported=", ".join(names), names=list(names))
        (PLEX / f"{module}.py").write_text(text + (FOR_TESTS if module == "matcher" else ""), encoding="utf-8")


def swap() -> None:
    """Moves the old code, and writes modules that choose between old and new code."""
    for module, names in NAMES.items():
        file = PLEX / f"{module}.py"
        known = {getattr(node, "name", None) for node in ast.parse(file.read_text(encoding="utf-8")).body}
        for name in sorted({*names} - known):
            sys.exit(f"{file} has no {name}: this script knows Stash2Plex 1.6.14")
    OLD.mkdir()
    (OLD / "__init__.py").write_text('"""The plug-in uses this code if it cannot load plexindex."""\n')
    for module in NAMES:
        (PLEX / f"{module}.py").rename(OLD / f"{module}.py")
    IMPLEMENTATION.write_text(CHOICE, encoding="utf-8")
    write_modules()
    page = Path("docs/api/plex.md")
    text = page.read_text(encoding="utf-8").replace("plex.matcher", "plex.without_plexindex.matcher")
    page.write_text(text, encoding="utf-8")
    TEST.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(HERE / TEST.name, TEST)
    COVERAGE.write_text("[run]\nomit = plex/without_plexindex/*\n")


if __name__ == "__main__":
    swap()
