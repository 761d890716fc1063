"""docs/abi.txt is what programs rely on that were compiled before: header and library agree with it."""

from __future__ import annotations

import re
import struct
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import REPOSITORY
from plexindex import _native

sys.path.insert(0, str(REPOSITORY / "scripts"))
import abi

RECORDED = abi.FILE.read_text(encoding="utf-8")

# No fields of which the offsets are made here: a C compiler says them.
OF_64_BITS = pytest.mark.skipif(struct.calcsize("P") != 8, reason="docs/abi.txt is for 64 bits")


@OF_64_BITS
def test_the_header_is_as_recorded() -> None:
    made = abi.described(abi.HEADER.read_text(encoding="utf-8"), *abi.recorded(RECORDED))
    assert made.splitlines() == RECORDED.splitlines(), "run `make abi`; docs/abi.md says what may change"


@OF_64_BITS
def test_what_moves_is_noticed() -> None:
    header = abi.HEADER.read_text(encoding="utf-8")
    field = "    const char *data;\n"
    assert header.count(field) == 1
    for changed in (
        header.replace(field, f"    size_t more;\n{field}"),
        header.replace("#define PLEXINDEX_TTL_NEVER (-2)", "#define PLEXINDEX_TTL_NEVER (-3)"),
        header.replace("PLEXINDEX_TIMEOUT = 309", "PLEXINDEX_TIMEOUT = 319"),
        header.replace("int32_t plexindex_watch_stop(const struct", "int64_t plexindex_watch_stop(const struct"),
    ):
        assert changed != header
        assert abi.described(changed, *abi.recorded(RECORDED)) != RECORDED


def test_the_library_exports_what_is_recorded() -> None:
    command = ["nm", "-D", "--defined-only", str(Path(_native.load().path))]
    if sys.platform == "darwin":
        command = ["nm", "-gU", str(Path(_native.load().path))]
    exported = re.findall(r" T _?(plexindex_\w+)", subprocess.check_output(command, text=True))
    _, functions = abi.recorded(RECORDED)
    assert sorted(exported) == sorted(functions)


def test_a_version_script_has_each_function_once() -> None:
    text = "node P_0\nnode P_0.2 P_0\nfunction P_0 plexindex_a: void (void)\nfunction P_0.2 plexindex_b: void (void)\n"
    old, new = abi.version_script(text).split("\n\n")
    assert " ".join(old.split()) == "P_0 { global: plexindex_a; local: *; };"
    assert " ".join(new.split()) == "P_0.2 { global: plexindex_b; } P_0;"
    _, functions = abi.recorded(RECORDED)
    script = abi.version_script(RECORDED)
    assert all(script.count(f" {name};") == 1 for name in functions)
