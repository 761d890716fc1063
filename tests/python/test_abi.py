"""What is generated is up to date: docs/abi.txt, on which compiled programs rely, bindings and the man page."""

from __future__ import annotations

import json
import shutil
import struct
import subprocess
import sys
from typing import Any

import pytest
from conftest import REPOSITORY

sys.path.insert(0, str(REPOSITORY / "scripts"))
import abi
import make_bindings

DESCRIPTION = json.loads(make_bindings.DESCRIPTION.read_text(encoding="utf-8"))
RECORDED = abi.FILE.read_text(encoding="utf-8")

# No fields of which the offsets are made here: a C compiler says them.
OF_64_BITS = pytest.mark.skipif(struct.calcsize("P") != 8, reason="docs/abi.txt is for 64 bits")


@OF_64_BITS
def test_the_header_is_as_recorded() -> None:
    made = abi.described(abi.headers())
    assert made.splitlines() == RECORDED.splitlines(), "run `make abi`; docs/abi.md says what may change"


def layouts(description: dict[str, Any]) -> list[str]:
    """The lines of structs and numbers that the description stands for."""
    lines = []
    for name, one in description["structs"].items():
        lines.append(f"struct {name} {one['size']} {one['align']}")
        lines += [f"    {field['offset']} {field['size']} {name}.{field['name']}" for field in one["fields"]]
    numbers = {**description["constants"], **description["statuses"]}
    return lines + [f"{name} {value}" for name, value in numbers.items()]


@OF_64_BITS
def test_the_description_says_what_the_c_compiler_says() -> None:
    after = RECORDED.index("\nstruct ")
    assert layouts(DESCRIPTION) == RECORDED[after + 1 :].splitlines()


def test_the_description_has_the_header_s_functions() -> None:
    declared = abi.Declared(abi.headers())

    def typed(kind: str, name: str) -> str:
        return kind + name if kind.endswith("*") else f"{kind} {name}"

    described = {
        name: typed(one["result"], "")
        + f"({', '.join(typed(argument['type'], argument['name']) for argument in one['arguments']) or 'void'})"
        for name, one in DESCRIPTION["functions"].items()
    }
    assert described == declared.functions


def test_bindings_are_made_from_the_description() -> None:
    for name, text in make_bindings.made().items():
        assert (make_bindings.ROOT / name).read_text(encoding="utf-8") == text, f"bindings/{name}: run `make header`"


def test_the_man_page_is_what_the_command_says() -> None:
    made = subprocess.check_output([sys.executable, REPOSITORY / "scripts/make_man.py"], text=True)
    assert made == (REPOSITORY / "docs/plexindex.1").read_text("utf-8"), "run `make man`"


@pytest.mark.skipif(shutil.which("mandoc") is None, reason="mandoc is not installed")
def test_the_man_page_is_well_formed() -> None:
    command = ["mandoc", "-Tlint", "-Werror", str(REPOSITORY / "docs/plexindex.1")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
