"""Names, numbers and layouts are those of the header, and what is generated from it or the command is up to date."""

from __future__ import annotations

import ctypes
import json
import os
import re
import shutil
import struct
import sys
from pathlib import Path
from typing import get_args

import plexindex
import pytest
from conftest import REPOSITORY, output
from plexindex import types
from plexindex._cli import doctor
from plexindex._core import abi as c
from plexindex._core import methods
from plexindex.errors import error_for

sys.path.insert(0, str(REPOSITORY / "scripts"))
import make_bindings
import make_man

HEADER = REPOSITORY / "include/plexindex.h"
DESCRIPTION = json.loads(make_bindings.DESCRIPTION.read_text(encoding="utf-8"))


@pytest.mark.skipif(struct.calcsize("P") != 8, reason="include/plexindex.json is for 64 bits")
def test_the_description_says_what_the_c_compiler_says(tmp_path: Path) -> None:
    lines = ["#include <plexindex.h>"]

    def check(claim: str) -> None:
        lines.append(f'_Static_assert({claim}, "the compiler says something else");')

    for name, number in [*DESCRIPTION["constants"].items(), *DESCRIPTION["statuses"].items()]:
        check(f"{name} == {number}")
    for name, one in DESCRIPTION["structs"].items():
        check(f"sizeof({name}) == {one['size']} && _Alignof({name}) == {one['align']}")
        for field in one["fields"]:
            of = field["name"]
            check(f"offsetof({name}, {of}) == {field['offset']} && sizeof((({name} *)0)->{of}) == {field['size']}")
    for part in ("functions", "callbacks"):
        for name, one in DESCRIPTION[part].items():
            types = ", ".join(argument["type"] for argument in one["arguments"]) or "void"
            declared = f"{one['result']} (*of_{name})({types})"
            lines.append(f"{declared} = {name};" if part == "functions" else f"{declared} = ({name})0;")
    program = tmp_path / "abi.c"
    program.write_text("\n".join([*lines, ""]))
    output(os.environ.get("CC", "cc"), "-std=c11", "-Werror", "-fsyntax-only", f"-I{HEADER.parent}", program)


def test_the_description_has_all_of_the_header() -> None:
    header = HEADER.read_text(encoding="utf-8").partition("// Helpers.")[0]
    for part, pattern in (
        ("constants", r"^#define (PLEXINDEX_(?!VERSION_NUMBER)\w+) +\S"),
        ("statuses", r"^ *(PLEXINDEX_\w+) ="),
        ("structs", r"^typedef struct (\w+) {"),
        ("callbacks", r"^typedef [^;{}]*\(\*(\w+)\)\("),
        ("functions", r"^[a-z][^;={}/]*?\b(plexindex_\w+)\("),
    ):
        assert set(re.findall(pattern, header, re.MULTILINE)) == set(DESCRIPTION[part])


def test_bindings_are_made_from_the_description() -> None:
    for name, text in make_bindings.made().items():
        assert (make_bindings.ROOT / name).read_text(encoding="utf-8") == text, f"bindings/{name}: run `make header`"


def test_the_man_page_is_well_formed(tmp_path: Path) -> None:
    page = tmp_path / "plexindex.1"
    page.write_text(make_man.page(), encoding="utf-8")
    assert all(f"\n.SS plexindex {command} " in page.read_text("utf-8") for command in ("match", "matches export"))
    if shutil.which("mandoc"):
        output("mandoc", "-Tlint", "-Werror", page)


ERRORS = {number: name for number, name in c.STATUS_NAMES.items() if number >= c.FIRST_ERROR}


@pytest.mark.parametrize("status", ERRORS)
def test_every_error_has_an_exception(status: int) -> None:
    error = error_for(status, "x")
    assert error.status == status
    assert error.status_name == ERRORS[status]
    # The others are bugs in the package or the library.
    is_bug = status in (c.NULL_POINTER, c.BUFFER_TOO_SMALL, c.PANIC)
    assert (type(error) is plexindex.Error) == is_bug
    assert getattr(plexindex, type(error).__name__) is type(error)
    passes = ERRORS[status] in ("connect", "starting", "bad_answer", "server_error", "timeout")
    assert isinstance(error, ConnectionError) == passes


@pytest.mark.parametrize("status", [299, 399, 499, 999])
def test_an_unknown_status_is_an_error_of_its_block(status: int) -> None:
    error = error_for(status, "")
    blocks = {2: plexindex.StoreError, 3: plexindex.ServerUnavailableError, 4: plexindex.LibraryNotFoundError}
    assert type(error) is blocks.get(status // 100, plexindex.Error)
    assert error.status_name == "unknown"
    assert str(status) in str(error)


def test_the_words_of_the_types_are_those_of_the_header() -> None:
    assert ("none", *get_args(methods.MatchKind)) == c.MATCH_KINDS
    assert ("none", *get_args(methods.Confidence)) == c.CONFIDENCES
    assert ("none", *get_args(methods.Reason)) == tuple(filter(None, c.REASONS))
    statuses = {name for words in get_args(types.Status) for name in get_args(words)}
    assert statuses == {"found", *list(c.STATUS_NAMES.values())[1:], "defect", "unknown"}
    assert ("none", *list(doctor._WORDS)[: len(c.MATCH_KINDS) - 1]) == c.MATCH_KINDS


@pytest.mark.parametrize("name", ["mapping", "options", "buffer", "query", "progress", "stats", "call_options"])
def test_a_struct_has_the_header_s_layout(name: str) -> None:
    struct = getattr(c, "C" + name.title().replace("_", ""))
    described = DESCRIPTION["structs"][f"plexindex_{name}"]
    offsets = {field["name"]: field["offset"] for field in described["fields"]}
    assert ctypes.sizeof(struct) == described["size"]
    made = {field.removesuffix("_data"): getattr(struct, field).offset for field, *_ in struct._fields_}
    assert {field: made[field] for field in offsets} == offsets
