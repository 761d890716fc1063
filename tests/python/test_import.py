"""Importing, loading and packaging: light, lazy, and with clear words when the library is not there or another one."""

from __future__ import annotations

import ast
import graphlib
import os
import runpy
import sys
import zipfile
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace

import plexindex
import pytest
from conftest import on_unix, output, run_python
from plexindex._core import abi as _constants
from plexindex._core import native as _native

# -S: what the environment's own site hooks import is not ours.
LOADED = """
import sys
sys.path[:0] = sys.argv[1].split(":")
import ctypes
before = set(sys.modules)
exec(sys.argv[2])
print(*set(sys.modules) - before)
"""
LOOKUP = "import plexindex\nwith plexindex.open(sys.argv[3]) as index: index.library('M').lookup_key('/x')"
PROGRESS = "import plexindex.progress"
CACHE = "from plexindex import compat\nc = compat.MatchCache(sys.argv[3])\nc.get_match('M', '/x')\nc.close()"
FEW = {"__future__", "struct", "_struct", "_collections_abc", "_thread", "atexit", "plexindex", "warnings"}


# A lookup needs the modules of all queries, so that no call imports what another thread imports at the same time.
@pytest.mark.parametrize(("program", "most"), [(LOOKUP, 27), (PROGRESS, 3), (CACHE, 15)])
def test_a_new_process_imports_few_modules(tmp_path: Path, program: str, most: int) -> None:
    sources = Path(plexindex.__file__).parents[1]
    added = output(sys.executable, "-S", "-c", LOADED, sources, program, tmp_path).split()
    assert {name.partition(".")[0] for name in added} <= FEW
    assert sum(name.startswith("plexindex") for name in added) <= most, added


def test_modules_import_only_modules_below_them() -> None:
    package = Path(plexindex.__file__).parent
    files = {file.relative_to(package.parent).with_suffix("").parts: file for file in package.rglob("*.py")}
    graph: dict[tuple[str, ...], set[tuple[str, ...]]] = {}
    for name, file in files.items():
        tree = ast.parse(file.read_text(encoding="utf-8"))
        imports = [node for node in tree.body if isinstance(node, ast.ImportFrom) and node.level]
        used: set[tuple[str, ...]] = set()
        for one in imports:
            base = tuple(filter(None, [*name[: len(name) - one.level], *(one.module or "").split(".")]))
            used |= {(*base, what.name) if (*base, what.name) in files else base for what in one.names}
        graph[name] = (used | {(*one, "__init__") for one in used}) & files.keys() - {("plexindex", "__init__")}
        # Annotations name what is above a module, and types, which take long to import: `plexindex` imports on use.
        annotations = [getattr(node, field, None) for node in ast.walk(tree) for field in ("annotation", "returns")]
        allowed = {id(one) for annotation in annotations if annotation for one in ast.walk(annotation)}
        for node in ast.walk(tree):
            if isinstance(node, ast.Name) and node.id == "plexindex" and name[1] != "testing":
                assert id(node) in allowed, f"{file}:{node.lineno}"
    order = list(graphlib.TopologicalSorter(graph).static_order())  # raises CycleError
    assert order.index(("plexindex", "errors")) < order.index(("plexindex", "index"))


VERSIONS = """
unsigned plexindex_get_abi_version(void) {{ return {}; }}
const char *plexindex_get_version(void) {{ return "9.9.9"; }}
"""


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("int other(void) { return 1; }\n", ["is not the plexindex library"]),
        (VERSIONS.format(_constants.ABI_VERSION), ["plexindex_get_status_name"]),
        (VERSIONS.format(77), ["ABI version 77", f"ABI version {_constants.ABI_VERSION}", "plexindex 9.9.9"]),
    ],
    ids=["other", "incomplete", "version"],
)
@on_unix("it compiles a library of Unix")
def test_another_library_is_refused(tmp_path: Path, code: str, words: list[str]) -> None:
    source, library = tmp_path / "other.c", str(tmp_path / "libother.so")
    source.write_text(code)
    output(os.environ.get("CC", "cc"), "-shared", "-fPIC", source, "-o", library)
    with pytest.raises(ImportError) as caught:
        _native.Native(library)
    for text in (library, *words):
        assert text in str(caught.value)


@pytest.mark.parametrize("module", ["plexindex.compat", "plexindex"])
def test_a_file_that_is_no_library_is_refused(tmp_path: Path, module: str) -> None:
    library = tmp_path / "libplexindex.so"
    for length in (0, 63):
        library.write_bytes(Path(_native.library_path()).read_bytes()[:length])
        printed = run_python(
            f"try:\n import {module} as module\n module.open('cache')\n"
            "except ImportError as error: print(type(error).__name__, error)",
            environment={"PLEXINDEX_LIBRARY": str(library)},
        )
        assert printed.startswith("ImportError cannot load the library in PLEXINDEX_LIBRARY: ")


def test_from_a_zip_it_says_what_to_do_and_loads_another_library(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = Path(plexindex.__file__).parent
    with zipfile.ZipFile(tmp_path / "sources.zip", "w") as archive:
        for file in package.rglob("*.py"):
            archive.write(file, file.relative_to(package.parent))
    code = f"import sys\nsys.path.insert(0, {str(tmp_path / 'sources.zip')!r})\nimport plexindex\n"
    code += f"try: plexindex.open({str(tmp_path / 'store')!r}).close()\nexcept ImportError as error: print(error)"
    monkeypatch.delenv("PLEXINDEX_LIBRARY", raising=False)
    assert "unpack" in run_python(code)
    assert run_python(code, environment={"PLEXINDEX_LIBRARY": _native.load().path}) == ""


def test_pyinstaller_finds_the_modules_and_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    (entry,) = [one for one in metadata.distribution("plexindex").entry_points if one.group == "pyinstaller40"]
    (hook,) = [Path(folder) / "hook-plexindex.py" for folder in entry.load()()]
    package = Path(plexindex.__file__).parent
    hooks = SimpleNamespace(
        collect_submodules=lambda name, on_error: [name],  # noqa: ARG005
        collect_dynamic_libs=lambda _, search_patterns: [
            str(file) for pattern in search_patterns for file in package.rglob(pattern)
        ],
    )
    for name in ("PyInstaller", "PyInstaller.utils", "PyInstaller.utils.hooks"):
        monkeypatch.setitem(sys.modules, name, hooks)
    found = runpy.run_path(str(hook))
    assert found["hiddenimports"] == ["plexindex"]
    assert found["binaries"] == [_native.library_path()]
