"""Each status is an exception or a word; and ctypes lays the structs of `_core/abi.py` out as the header does."""

from __future__ import annotations

import ctypes
import json
from typing import get_args

import plexindex
import pytest
from conftest import REPOSITORY
from plexindex._core import abi as c
from plexindex._core import methods, types
from plexindex.cli import doctor_files
from plexindex.errors import error_for

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


def test_what_passes_is_apart_from_what_does_not() -> None:
    passing = {name for number, name in ERRORS.items() if isinstance(error_for(number, ""), ConnectionError)}
    assert passing == {"connect", "starting", "bad_answer", "server_error", "timeout"}


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (299, plexindex.StoreError),
        (399, plexindex.ServerUnavailableError),
        (499, plexindex.LibraryNotFoundError),
        (999, plexindex.Error),
    ],
)
def test_an_unknown_status_is_an_error_of_its_block(status: int, kind: type[plexindex.Error]) -> None:
    error = error_for(status, "")
    assert type(error) is kind
    assert error.status_name == "unknown"
    assert str(status) in str(error)


def test_the_words_of_the_types_are_those_of_the_header() -> None:
    assert get_args(methods.MatchKind) == c.MATCH_KINDS
    assert get_args(methods.Confidence) == c.CONFIDENCES
    assert get_args(methods.Reason) == tuple(filter(None, c.REASONS))
    statuses = {name for words in get_args(types.Status) for name in get_args(words)}
    assert statuses == {"found", *list(c.STATUS_NAMES.values())[1:], "defect", "unknown"}
    assert ("none", *(name for name, _ in doctor_files._MATCH_KINDS)) == c.MATCH_KINDS


@pytest.mark.parametrize("name", ["mapping", "options", "buffer", "query", "progress", "stats", "call_options"])
def test_a_struct_has_the_header_s_layout(name: str) -> None:
    struct = getattr(c, "C" + name.title().replace("_", ""))
    described = json.loads((REPOSITORY / "include" / "plexindex.json").read_text("utf-8"))["structs"][
        f"plexindex_{name}"
    ]
    offsets = {field["name"]: field["offset"] for field in described["fields"]}
    assert ctypes.sizeof(struct) == described["size"]
    made = {field.removesuffix("_data"): getattr(struct, field).offset for field, *_ in struct._fields_}
    assert {field: made[field] for field in offsets} == offsets
