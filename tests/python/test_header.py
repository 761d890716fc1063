"""The package mirrors the C header: each constant, status, struct and function is compared with it."""

from __future__ import annotations

import ctypes
import json
import re
from typing import Any, get_args

import plexindex
import pytest
from conftest import REPOSITORY
from plexindex import errors as _errors
from plexindex import match as _answers
from plexindex._core import blocks as _blocks
from plexindex._core import constants as _constants
from plexindex._core import methods as _methods
from plexindex._core import native as _native
from plexindex._core import types as _types
from plexindex.cli import doctor_files

# build.rs writes it beside the header; test_abi.py compares it with what a C compiler says.
ABI: dict[str, Any] = json.loads((REPOSITORY / "include" / "plexindex.json").read_text(encoding="utf-8"))


def without_prefix(named: dict[str, Any]) -> dict[str, Any]:
    """The same, by names without `plexindex_`."""
    return {re.sub("^plexindex_", "", name, flags=re.IGNORECASE): value for name, value in named.items()}


def plain_type(kind: str) -> str:
    """`const plexindex_query *` as `plexindex_query*`."""
    return re.sub(r"\bconst\b|\s", "", kind)


HEADER_CONSTANTS: dict[str, int] = without_prefix(ABI["constants"])
STATUSES: dict[str, int] = without_prefix(ABI["statuses"])
FIELDS = {name: struct["fields"] for name, struct in without_prefix(ABI["structs"]).items()}
# The sizes of structs are under "", and the offsets under the names of members.
LAYOUT = {
    name: {"": struct["size"], **{field["name"]: field["offset"] for field in struct["fields"]}}
    for name, struct in without_prefix(ABI["structs"]).items()
}

CONSTANTS = {name: value for name, value in vars(_constants).items() if name.isupper() and isinstance(value, int)}

STRUCTS: dict[str, Any] = {
    "bytes": _native.CBytes,
    "mapping": _native.CMapping,
    "options": _native.COptions,
    "buffer": _native.CBuffer,
    "query": _native.CQuery,
    "progress": _native.CProgress,
    "stats": _native.CStats,
    "call_options": _native.CCallOptions,
    "table_op": _native.CTableOp,
}

# A plexindex_bytes that is two fields in Python.
SPLIT = {"text": "text_data", "library": "library_data"}

TYPES: dict[str, Any] = {
    "uint32_t": ctypes.c_uint32,
    "int32_t": ctypes.c_int32,
    "size_t": ctypes.c_size_t,
    "int64_t": ctypes.c_int64,
    "uint64_t": ctypes.c_uint64,
    "uint32_t*": ctypes.POINTER(ctypes.c_uint32),
    "uint64_t*": ctypes.POINTER(ctypes.c_uint64),
    "int64_t*": ctypes.POINTER(ctypes.c_int64),
    "char*": ctypes.c_char_p,
    "char**": ctypes.POINTER(ctypes.c_char_p),
    "void": None,
    "void*": ctypes.c_void_p,
    "plexindex_handle*": ctypes.c_void_p,
    "plexindex_handle**": ctypes.POINTER(ctypes.c_void_p),
    "plexindex_library_handle*": ctypes.c_void_p,
    "plexindex_library_handle**": ctypes.POINTER(ctypes.c_void_p),
    "plexindex_table_handle*": ctypes.c_void_p,
    "plexindex_table_handle**": ctypes.POINTER(ctypes.c_void_p),
    "plexindex_table_op*": ctypes.POINTER(_native.CTableOp),
    "plexindex_options*": ctypes.POINTER(_native.COptions),
    "plexindex_query*": ctypes.POINTER(_native.CQuery),
    "plexindex_buffer*": ctypes.POINTER(_native.CBuffer),
    "plexindex_stats*": ctypes.POINTER(_native.CStats),
    "plexindex_call_options*": ctypes.POINTER(_native.CCallOptions),
    "plexindex_log_fn": _native.LOG_FN,
    "plexindex_answer*": ctypes.c_void_p,
    "plexindex_item*": ctypes.c_void_p,
    "plexindex_text*": ctypes.c_void_p,
}


def test_constants_are_those_of_the_header() -> None:
    # The others have names in Python: test_names_stand_at_their_number().
    named = ("MATCH_", "CONFIDENCE_", "REASON_", "REQUEST_", "KIND_")
    numbers = {name: number for name, number in HEADER_CONSTANTS.items() if not name.startswith(named)}
    expected = {**numbers, **STATUSES}
    assert len(expected) > 50
    assert {name: CONSTANTS.get(name) for name in expected} == expected
    assert set(CONSTANTS) - set(expected) == {"FIRST_ERROR"}


def test_every_status_has_a_name_and_every_error_an_exception() -> None:
    assert {name.lower(): number for name, number in STATUSES.items()} == {
        name: number for number, name in _constants.STATUS_NAMES.items()
    }
    for number in STATUSES.values():
        if number < _constants.FIRST_ERROR:
            continue
        error = _errors.error_for(number, "x")
        assert (error.status, error.status_name) == (number, _constants.STATUS_NAMES[number])
        # The others are bugs in the package or the library.
        bug = number in (_constants.NULL_POINTER, _constants.BUFFER_TOO_SMALL, _constants.PANIC)
        assert (type(error) is plexindex.Error) == bug
        assert getattr(plexindex, type(error).__name__) is type(error)


def test_what_passes_is_apart_from_what_does_not() -> None:
    passing = {name for name in STATUSES if issubclass(type(_errors.error_for(STATUSES[name], "")), ConnectionError)}
    assert passing == {"CONNECT", "STARTING", "BAD_ANSWER", "SERVER_ERROR", "TIMEOUT"}
    exceptions = [name for name in plexindex.__all__ if name.endswith("Error")]
    assert len(exceptions) == 14


def test_an_unknown_status_falls_to_the_parent_of_its_block() -> None:
    for number, kind in (
        (299, plexindex.StoreError),
        (399, plexindex.ServerUnavailableError),
        (499, plexindex.LibraryNotFoundError),
    ):
        error = _errors.error_for(number, "")
        assert type(error) is kind
        assert error.status == number
        assert error.status_name == "unknown"
        assert str(number) in str(error)
    assert type(_errors.error_for(999, "")) is plexindex.Error


@pytest.mark.parametrize(
    ("prefix", "names"),
    [
        ("MATCH_", _constants.MATCH_KINDS),
        ("CONFIDENCE_", _constants.CONFIDENCES),
        ("REASON_", _constants.REASONS),
        ("REQUEST_", _constants.REQUESTS),
    ],
)
def test_names_stand_at_their_number(prefix: str, names: tuple[str | None, ...]) -> None:
    numbers = {name: number for name, number in HEADER_CONSTANTS.items() if name.startswith(prefix)}
    assert {prefix + name.upper(): number for number, name in enumerate(names) if name} == numbers


def test_each_match_kind_has_its_word_and_its_row_in_the_doctor_s_report() -> None:
    assert get_args(_methods.MatchKind) == _constants.MATCH_KINDS
    assert ("none", *(name for name, _ in doctor_files._MATCH_KINDS)) == _constants.MATCH_KINDS
    assert get_args(_methods.Confidence) == _constants.CONFIDENCES
    assert get_args(_methods.Reason) == tuple(filter(None, _constants.REASONS))
    statuses = {name for words in get_args(_types.Status) for name in get_args(words)}
    assert statuses == {"found", *list(_constants.STATUS_NAMES.values())[1:], "defect", "unknown"}


def test_item_kinds_are_those_of_the_header() -> None:
    kinds = {name: number for name, number in HEADER_CONSTANTS.items() if name.startswith("KIND_")}
    assert {number: name.removeprefix("KIND_").lower() for name, number in kinds.items() if number} == _constants.KINDS


def test_functions_have_the_header_s_signatures() -> None:
    functions = without_prefix(ABI["functions"])
    assert set(_native.SIGNATURES) == set(functions)
    for name, function in functions.items():
        result, arguments = _native.SIGNATURES[name]
        assert result is TYPES[plain_type(function["result"])], name
        expected = [TYPES[plain_type(argument["type"])].__name__ for argument in function["arguments"]]
        assert [kind.__name__ for kind in arguments] == expected, name


def test_structs_have_the_header_s_layout() -> None:
    for name, struct in STRUCTS.items():
        assert ctypes.sizeof(struct) == LAYOUT[name][""], name
        fields = {field[0]: getattr(struct, field[0]).offset for field in struct._fields_}
        for member, offset in LAYOUT[name].items():
            if member:
                assert fields[member if member in fields else SPLIT[member]] == offset, (name, member)


def test_answer_structs_are_read_in_the_header_s_order() -> None:
    answers, answer, item = LAYOUT["answers"], LAYOUT["answer"], LAYOUT["item"]
    assert [answers[name] // 4 for name in ("item_size", "first", "log_lines")] == [
        *(_answers._ITEM_STEP, _blocks.FIRST, _blocks.LOG_LINES)
    ]
    assert [answer[name] // 4 for name in ("status", "item", "candidates", "message")] == [
        *(0, _answers._ITEM, _answers._CANDIDATES, _answers._MESSAGE)
    ]
    assert [answer[name] for name in ("match_kind", "age_ms")] == [_answers._KINDS, _answers._AGE]
    assert answer["candidates_total"] - answer["candidates"] == 8
    assert answer["flags"] - answer["match_kind"] == 3
    fields = [name for name in item if name not in ("", "reserved")]
    assert fields == [*_blocks.TEXTS[:-1], "library_title", *_blocks.NUMBERS]
    assert [item[name] for name in fields] == [
        *range(0, 8 * len(_blocks.TEXTS), 8),
        *range(item["kind"], item["kind"] + 4 * len(_blocks.NUMBERS), 4),
    ]


def test_arrays_are_as_long_as_in_the_header() -> None:
    counts = {field["name"]: field["count"] for field in FIELDS["stats"] if "count" in field}
    assert counts == {"answers": len(_constants.MATCH_KINDS), "requests": len(_constants.REQUESTS), "last_failure": 512}
