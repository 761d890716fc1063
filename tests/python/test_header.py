"""The package mirrors the C header: each constant, status, struct and function is compared with it."""

from __future__ import annotations

import ctypes
import inspect
import re
from typing import Any, get_args

import header
import plexindex
import pytest
from plexindex import _answers, _constants, _errors, _items, _lazy_index, _native, _types
from plexindex._cli import doctor_files

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
    numbers = {name: number for name, number in header.constants().items() if not name.startswith(named)}
    expected = {**numbers, **header.statuses()}
    assert len(expected) > 50
    assert {name: CONSTANTS.get(name) for name in expected} == expected
    assert set(CONSTANTS) - set(expected) == {"FIRST_ERROR"}


def test_every_status_has_a_name_and_every_error_an_exception() -> None:
    statuses = header.statuses()
    assert {name.lower(): number for name, number in statuses.items()} == {
        name: number for number, name in _constants.STATUS_NAMES.items()
    }
    errors = {number for number in statuses.values() if number >= _constants.FIRST_ERROR}
    assert set(_errors.BY_STATUS) == errors
    for number, kind in _errors.BY_STATUS.items():
        assert kind.status == number
        assert getattr(plexindex, kind.__name__) is kind
        camel = "".join(word.title() for word in _constants.STATUS_NAMES[number].split("_"))
        assert kind.__name__.replace("Error", "") == camel.replace("Error", "")
        assert isinstance(_errors.error_for(number, "x"), kind)


def test_an_unknown_status_falls_to_the_parent_of_its_block() -> None:
    for number, kind in ((299, plexindex.StoreError), (399, plexindex.ServerError), (499, plexindex.LibraryError)):
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
def test_names_stand_at_their_number(prefix: str, names: tuple[str, ...]) -> None:
    numbers = {name: number for name, number in header.constants().items() if name.startswith(prefix)}
    assert {prefix + name.upper(): number for number, name in enumerate(names)} == numbers


def test_each_match_kind_has_its_word_and_its_row_in_the_doctor_s_report() -> None:
    assert get_args(_types.MatchKind) == _constants.MATCH_KINDS
    assert ("none", *(name for name, _ in doctor_files._MATCH_KINDS)) == _constants.MATCH_KINDS
    assert get_args(_types.Confidence) == _constants.CONFIDENCES
    assert get_args(_types.ReasonCode) == _constants.REASONS
    assert get_args(_types.Status) == (*_constants.STATUS_NAMES.values(), "unknown")


def test_item_kinds_are_those_of_the_header() -> None:
    kinds = {name: number for name, number in header.constants().items() if name.startswith("KIND_")}
    assert {number: name.removeprefix("KIND_").lower() for name, number in kinds.items() if number} == _constants.KINDS


def test_defaults_of_open_are_those_of_the_header() -> None:
    parameters = inspect.signature(plexindex.open).parameters
    for option, field, unit in (
        ("connect_timeout", "connect_timeout_ms", 1000),
        ("read_timeout", "read_timeout_ms", 1000),
        ("retry_for", "retry_ms", 1000),
        ("matches_limit", "matches_limit", 1),
        ("page_size", "page_size", 1),
    ):
        default = re.search(r"\b0: ([\d,]+)", header.comment("options", field))
        assert default is not None, field
        assert parameters[option].default * unit == int(default[1].replace(",", "")), option
    assert "0: one hour" in header.comment("options", "library_ttl_ms")
    assert parameters["library_ttl"].default == 3600
    assert "0: 24 hours" in header.comment("options", "max_age_ms")
    assert parameters["max_age"].default == 24 * 3600


def test_functions_have_the_header_s_signatures() -> None:
    expected = header.functions()
    assert set(_native.SIGNATURES) == set(expected)
    for name, (result, arguments) in expected.items():
        bound_result, bound_arguments = _native.SIGNATURES[name]
        assert bound_result is TYPES[result], name
        assert [kind.__name__ for kind in bound_arguments] == [TYPES[kind].__name__ for kind in arguments], name


def test_structs_have_the_header_s_layout() -> None:
    layout = header.layout()
    for name, struct in STRUCTS.items():
        assert ctypes.sizeof(struct) == layout[name][""], name
        fields = {field[0]: getattr(struct, field[0]).offset for field in struct._fields_}
        for member, offset in layout[name].items():
            if member:
                assert fields[member if member in fields else SPLIT[member]] == offset, (name, member)
    numbers = tuple(range(1, 14))
    assert len(_lazy_index.packed_options(numbers, [(0, 0)] * 7, 0, 0)) == layout["options"][""]
    assert len(_lazy_index.packed_query(0, 0, 0, 0)) == layout["query"][""]
    options = _native.COptions.from_buffer_copy(_lazy_index.packed_options(numbers, [(0, 0)] * 7, 77, 2))
    named = [*("library_ttl_ms", "max_age_ms", "deadline_ms", "connect_timeout_ms", "read_timeout_ms", "retry_ms")]
    named += ("matches_limit", "flags", "page_size", "log_level", "slow_ms", "size_limit", "shared_retry_ms")
    assert [getattr(options, name) for name in ("size", *named)] == [layout["options"][""], *numbers]
    query = _native.CQuery.from_buffer_copy(_lazy_index.packed_query(7, 0, 5, 3))
    assert (query.size, query.library, query.text_length, query.flags) == (layout["query"][""], 7, 5, 3)


def test_answer_structs_are_read_in_the_header_s_order() -> None:
    layout = header.layout()
    answers, answer, item = layout["answers"], layout["answer"], layout["item"]
    assert [answers[name] // 4 for name in ("item_size", "first", "log_lines")] == [
        *(_answers.ITEM_STEP, _answers.FIRST, _answers.LOG_LINES)
    ]
    assert [answer[name] // 4 for name in ("status", "item", "candidates", "message")] == [
        *(0, _answers.ITEM, _answers.CANDIDATES, _answers.MESSAGE)
    ]
    assert [answer[name] for name in ("match_kind", "age_ms")] == [_answers.KINDS, _answers.AGE]
    assert answer["candidates_total"] - answer["candidates"] == 8
    assert answer["flags"] - answer["match_kind"] == 3
    fields = [name for name in item if name not in ("", "reserved")]
    assert fields == [*_items.TEXTS[:-1], "library_title", *_items.NUMBERS]
    assert [item[name] for name in fields] == [
        *range(0, 8 * len(_items.TEXTS), 8),
        *range(item["kind"], item["kind"] + 4 * len(_items.NUMBERS), 4),
    ]


def test_arrays_are_as_long_as_in_the_header() -> None:
    counts = {field["name"]: field["count"] for field in header.structs()["stats"] if "count" in field}
    assert counts == {"answers": len(_constants.MATCH_KINDS), "requests": len(_constants.REQUESTS), "last_failure": 512}
