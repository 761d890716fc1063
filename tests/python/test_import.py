"""Importing, loading and packaging: light, lazy, and with clear words when the library is not there or another one."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import plexindex
import pytest
from conftest import REPOSITORY, run_python
from plexindex import _constants, _native

HEAVY = (
    "asyncio",
    "collections",
    "contextlib",
    "dataclasses",
    "enum",
    "functools",
    "inspect",
    "json",
    "logging",
    "pathlib",
    "re",
    "threading",
    "typing",
    "urllib",
)

# -S: what the environment's own site hooks import is not ours.
LOADED = f"""
import sys
sys.path[:0] = sys.argv[1].split(":")
import ctypes
before = set(sys.modules)
import plexindex
added = {{name.partition(".")[0] for name in set(sys.modules) - before}}
print(sorted(added & set({HEAVY!r})), sorted(added))
"""


def package_path() -> str:
    return str(Path(plexindex.__file__).parents[1])


def test_import_loads_ctypes_and_little_else() -> None:
    printed = subprocess.check_output([sys.executable, "-S", "-c", LOADED, package_path()], text=True)
    heavy, added = map(ast.literal_eval, printed.replace("] [", "]\n[").splitlines())
    assert heavy == []
    assert set(added) <= {"plexindex", "__future__", "_struct", "_collections_abc", "_functools", "_thread", "atexit"}


def test_the_drop_in_loads_little_more() -> None:
    code = LOADED.replace("import plexindex\n", "import plexindex.compat\n")
    printed = subprocess.check_output([sys.executable, "-S", "-c", code, package_path()], text=True)
    heavy, added = map(ast.literal_eval, printed.replace("] [", "]\n[").splitlines())
    assert heavy == []
    allowed = {"plexindex", "__future__", "_struct", "_collections_abc", "_functools", "_thread", "atexit", "gc"}
    assert set(added) <= allowed


def test_import_touches_no_shared_object() -> None:
    # With a library that cannot be loaded the import works, and the first use says what is wrong.
    printed = run_python(
        "import plexindex\n"
        "try: plexindex.open('cache')\n"
        "except plexindex.LoadError as error: print(isinstance(error, ImportError), error)",
        environment={"PLEXINDEX_LIBRARY": "/nowhere/libplexindex.so"},
    )
    assert printed.startswith(
        "True the library that PLEXINDEX_LIBRARY names cannot be loaded: /nowhere/libplexindex.so"
    )


def compile_library(folder: Path, code: str) -> str:
    # Each in a file of its own: what was loaded once is not loaded again.
    number = len(list(folder.iterdir()))
    source, library = folder / f"{number}.c", folder / f"lib{number}.so"
    source.write_text(code)
    subprocess.run([os.environ.get("CC", "cc"), "-shared", "-fPIC", str(source), "-o", str(library)], check=True)
    return str(library)


def test_another_abi_version_is_refused_naming_both(tmp_path: Path) -> None:
    library = compile_library(
        tmp_path,
        "unsigned plexindex_abi_version(void) { return 77; }\n"
        'const char *plexindex_version(void) { return "9.9.9"; }\n',
    )
    with pytest.raises(plexindex.LoadError) as caught:
        _native.Native(library)
    text = str(caught.value)
    assert "ABI version 77" in text
    assert f"ABI version {_constants.ABI_VERSION}" in text
    assert "plexindex 9.9.9" in text
    assert library in text


def test_another_library_is_refused(tmp_path: Path) -> None:
    with pytest.raises(plexindex.LoadError, match="is not the plexindex library"):
        _native.Native(compile_library(tmp_path, "int other(void) { return 1; }\n"))
    lacking = f"int plexindex_abi_version(void) {{ return {_constants.ABI_VERSION}; }}\n"
    lacking += 'const char *plexindex_version(void) { return "x"; }\n'
    with pytest.raises(plexindex.LoadError, match="plexindex_status_name"):
        _native.Native(compile_library(tmp_path, lacking))


def test_the_environment_names_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLEXINDEX_LIBRARY", "/elsewhere/lib.so")
    assert _native.library_path() == "/elsewhere/lib.so"
    monkeypatch.delenv("PLEXINDEX_LIBRARY")
    assert Path(_native.library_path()).parent == Path(plexindex.__file__).parent


def test_the_versions_agree() -> None:
    manifest = re.search(r'^version = "([^"]+)"', (REPOSITORY / "Cargo.toml").read_text(), re.MULTILINE)
    assert manifest is not None
    assert plexindex.__version__ == manifest[1]
    native = _native.load()
    assert native.version().decode() == manifest[1]
    assert native.abi_version() == _constants.ABI_VERSION


def test_status_names_are_the_library_s() -> None:
    native = _native.load()
    for number, name in _constants.STATUS_NAMES.items():
        assert native.status_name(number).decode() == name.upper()
    assert native.status_name(9999) == b"UNKNOWN"


def test_the_package_is_typed_and_its_public_names_are_documented() -> None:
    assert (Path(plexindex.__file__).parent / "py.typed").exists()
    assert sorted(plexindex.__all__) == sorted(set(plexindex.__all__))
    for name in plexindex.__all__:
        thing = getattr(plexindex, name)
        assert thing.__doc__, name
        if isinstance(thing, type):
            undocumented = [
                member
                for member, value in vars(thing).items()
                if not member.startswith("_") and (callable(value) or isinstance(value, property)) and not value.__doc__
            ]
            assert undocumented == [], name
