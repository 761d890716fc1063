"""Replaces Stash2Plex's caches and matcher with plexindex. `docs/hosts.md` of plexindex says what users notice.

Run this script in a checkout of Stash2Plex 1.6.14, and commit after each step:

    use_plexindex.py swap       use plexindex if it is installed, else the old code in plex/without_plexindex
    use_plexindex.py strict     optional: with strict_matching, retry instead of editing a single item whose path
                                contradicts Stash's path, until Plex and Stash have both scanned the file
    use_plexindex.py finish     remove the old code and diskcache, and require plexindex; this needs plexindex on PyPI

After `swap`, run `pytest` without plexindex, and `pytest --cov-config=tests/with_plexindex.coveragerc` with it. The
script finds the code to edit by names and syntax. If a name is missing, it stops before it writes anything.
"""

from __future__ import annotations

import ast
import shutil
import sys
from collections.abc import Iterator
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
    from plexindex.compat import {ALL}
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

from {source} import {imported}

__all__ = {names}
'''
FOR_TESTS = '''

def __getattr__(name):
    """Returns functions of the old matcher, which only tests use."""
    from plex.without_plexindex import matcher

    return getattr(matcher, name)
'''
# The tests of functions that no other code uses.
TESTS = {
    "tests/plex/test_matcher.py": ("TestItemHasFile", "TestFindPlexItemByPath"),
    "tests/test_matcher.py": ("TestCachedItemHasFile",),
    "tests/test_plex_integration.py": ("TestMatcher",),
}
ONLY_TESTED = ("_item_has_file", "find_plex_item_by_path")
WORKER = Path("worker", "plex_sync_orchestrator.py")
COLLECT = """\
if getattr(confidence, "value", None) == "low" and len(candidates) == 1:
    low_confidence_keys.add(candidates[0].key)
"""
STOP = """\
# Items of other libraries take precedence over an item whose path contradicts the file.
unique_candidates = [one for one in unique_candidates if one.key not in low_confidence_keys] or unique_candidates
if self.config.strict_matching and [one.key in low_confidence_keys for one in unique_candidates] == [True]:
    # The matcher has already warned about the cause. Retry the job: Plex may scan the file in the meantime.
    (other,) = unique_candidates
    path = obfuscate_path(next((part.file for media in other.media or () for part in media.parts), other.key))
    log_info(f"scene {scene_id} is not edited, because strict_matching is on: Plex has {path}")
    raise PlexNotFound(f"Plex has this file name in another folder only: {path}, not {obfuscate_path(file_path)}")

"""


def parse(file: Path) -> ast.Module:
    """Parses a file."""
    return ast.parse(file.read_text(encoding="utf-8"))


def named(nodes: list[ast.stmt], name: str, file: Path) -> ast.stmt:
    """Returns the class or function with this name."""
    for node in nodes:
        if isinstance(node, (ast.ClassDef, ast.FunctionDef)) and node.name == name:
            return node
    sys.exit(f"{file} has no {name}: this script knows Stash2Plex 1.6.14")


def write_modules(source: str, more: str = "") -> None:
    """Writes modules that import their names from another module."""
    for module, names in NAMES.items():
        what = {"cache": "caches of library data and of matches", "matcher": "matcher of files and Plex items"}[module]
        text = MODULE.format(what=what, source=source, imported=", ".join(names), names=list(names))
        (PLEX / f"{module}.py").write_text(text + (more if module == "matcher" else ""), encoding="utf-8")


def rename(file: str, before: str, after: str) -> None:
    """Replaces a name in a document."""
    page = Path(file)
    page.write_text(page.read_text(encoding="utf-8").replace(before, after), encoding="utf-8")


def swap() -> None:
    """Moves the old code, and writes modules that choose between old and new code."""
    for module, names in NAMES.items():
        for name in names:
            named(parse(PLEX / f"{module}.py").body, name, PLEX / f"{module}.py")
    OLD.mkdir()
    (OLD / "__init__.py").write_text('"""The plug-in uses this code if it cannot load plexindex."""\n')
    for module in NAMES:
        (PLEX / f"{module}.py").rename(OLD / f"{module}.py")
    IMPLEMENTATION.write_text(CHOICE, encoding="utf-8")
    write_modules("plex.implementation", FOR_TESTS)
    rename("docs/api/plex.md", "plex.matcher", "plex.without_plexindex.matcher")
    TEST.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(HERE / TEST.name, TEST)
    COVERAGE.write_text("[run]\nomit = plex/without_plexindex/*\n")


def statements(node: ast.AST) -> Iterator[ast.stmt]:
    """Returns all statements in a node, outer ones first."""
    return (inner for inner in ast.walk(node) if isinstance(inner, ast.stmt))


def calls(node: ast.AST, method: str) -> bool:
    """Returns whether a node calls a method with this name."""
    found = (inner.func for inner in ast.walk(node) if isinstance(inner, ast.Call))
    return any(isinstance(function, ast.Attribute) and function.attr == method for function in found)


def strict() -> None:
    """Changes the worker so that it does not edit a single item with low confidence."""
    lines = WORKER.read_text(encoding="utf-8").splitlines(keepends=True)
    worker = named(parse(WORKER).body, "PlexSyncOrchestrator", WORKER)
    assert isinstance(worker, ast.ClassDef)
    sync = named(worker.body, "sync_scene_to_plex", WORKER)
    assert isinstance(sync, ast.FunctionDef)
    loop = next(part for part in sync.body if isinstance(part, ast.For) and calls(part, "match"))
    match = next(part for part in statements(loop) if isinstance(part, ast.Assign) and calls(part, "match"))
    single = next(part for part in sync.body if isinstance(part, ast.If) and calls(part, "apply"))
    target = match.targets[0]
    assert isinstance(target, ast.Tuple)
    ignored = target.elts[0]

    def put(text: str, line: int, column: int) -> None:
        indent = " " * column
        lines[line:line] = [indent + part if part.strip() else part for part in text.splitlines(keepends=True)]

    # Edit from the end to the beginning, so that line numbers stay valid.
    put(STOP, single.lineno - 1, single.col_offset)
    put(COLLECT, match.end_lineno or 0, match.col_offset)
    text = lines[ignored.lineno - 1]
    lines[ignored.lineno - 1] = f"{text[: ignored.col_offset]}confidence{text[ignored.end_col_offset :]}"
    put("low_confidence_keys = set()\n", loop.lineno - 1, loop.col_offset)
    WORKER.write_text("".join(lines), encoding="utf-8")
    shutil.copyfile(HERE / "test_low_confidence.py", Path("tests", "worker", "test_low_confidence.py"))


def finish() -> None:
    """Removes the old code and its tests."""
    for name, classes in TESTS.items():
        file = Path(name)
        lines = file.read_text(encoding="utf-8").splitlines(keepends=True)
        body = parse(file).body
        for node in sorted((named(body, one, file) for one in classes), key=lambda node: -node.lineno):
            del lines[node.lineno - 1 : node.end_lineno]
        kept = (line for line in lines if line.strip(" ,\n") not in ONLY_TESTED)
        file.write_text("".join(kept), encoding="utf-8")
    shutil.rmtree(OLD)
    for gone in (IMPLEMENTATION, TEST, COVERAGE):
        gone.unlink()
    write_modules("plexindex.compat")
    rename("docs/api/plex.md", "plex.without_plexindex.matcher", "plexindex.compat")
    wanted = Path("requirements.txt")
    others = [line for line in wanted.read_text(encoding="utf-8").splitlines() if not line.startswith("diskcache")]
    wanted.write_text("\n".join([*others, "plexindex>=0.1,<0.2"]) + "\n", encoding="utf-8")


STEPS = {"swap": swap, "strict": strict, "finish": finish}

if __name__ == "__main__":
    if len(sys.argv) != 2 or sys.argv[1] not in STEPS:
        sys.exit(__doc__)
    STEPS[sys.argv[1]]()
