"""Generates parts of the bindings from include/plexindex.json, which build.rs writes. `make header` runs this script.

The script generates types for Node.js, constants for Go, enums for C++, and declarations for Python's ctypes.
make_methods.py generates the types of methods.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import make_methods

ROOT = Path(__file__).resolve().parent.parent
DESCRIPTION = ROOT / "include" / "plexindex.json"

MADE = "Generated from include/plexindex.json by `make header`"


def node_names(abi: dict[str, Any]) -> str:
    """Returns TypeScript types for the constants and structs of the ABI."""

    def union(name: str, words: list[str]) -> str:
        one = f"export type {name} = {' | '.join(map(repr, words))};"
        return one if len(one) <= 120 else "\n  | ".join([f"export type {name} =", *map(repr, words)]) + ";"

    def words(prefix: str) -> list[str]:
        return [name.removeprefix(prefix).lower() for name in abi["constants"] if name.startswith(prefix)]

    def mixed(name: str) -> str:
        return re.sub(r"_(.)", lambda found: found[1].upper(), name)

    statuses = {name.removeprefix("PLEXINDEX_"): number for name, number in abi["statuses"].items()}
    lines = [f"// {MADE}.", "", "import type { MatchKind } from './methods.js';", ""]
    lines += ["/** The status of an answer. */"]
    lines += [union("AnswerStatus", [name for name, number in statuses.items() if number < 100])]
    lines += [union("ErrorStatus", [name for name, number in statuses.items() if number >= 100])]
    lines.append(union("RequestKind", words("PLEXINDEX_REQUEST_")))
    lines.append(union("LogLevel", [word for word in words("PLEXINDEX_LOG_") if word != "off"]))
    kinds = {"plexindex_bytes": "string | Uint8Array", "int64_t": "number", "uint64_t": "number", "uint32_t": "number"}
    lines += ["", "/** The fields of plexindex_options, which plexindex.h describes. */"]
    lines.append("export interface OptionFields {")
    for field in abi["structs"]["plexindex_options"]["fields"]:
        if field["type"] in kinds and field["name"] not in ("flags", "reserved"):
            needed = "" if field["name"] == "cache_dir" else " | undefined"
            lines.append(f"  {mixed(field['name'])}{'?' if needed else ''}: {kinds[field['type']]}{needed};")
    lines += [f"  {mixed(flag)}?: boolean | undefined;" for flag in words("PLEXINDEX_OPEN_")] + ["}"]
    lines += ["", "/** The fields of plexindex_stats, which plexindex.h describes. Times are in microseconds. */"]
    lines += ["export interface Stats {", "  answers: Record<MatchKind, number>;"]
    lines += ["  requests: Record<RequestKind, number>;", "  lastFailure: string | null;"]
    counts = [field["name"] for field in abi["structs"]["plexindex_stats"]["fields"] if "count" not in field]
    lines += [f"  {mixed(name)}: number;" for name in counts if name != "size"]
    return "\n".join([*lines, "}", ""])


def go_names(abi: dict[str, Any]) -> str:
    """Returns the statuses and statistics for Go."""
    lines = [
        f"// {MADE}.",
        "",
        "package plexindex",
        "",
        "// #include <plexindex.h>",
        'import "C"',
        "",
        'import "time"',
        "",
    ]
    go_name = make_methods.go_name
    statuses = [go_name(name.removeprefix("PLEXINDEX_").lower()) for name in abi["statuses"]]
    wide = max(map(len, statuses))
    lines += ["// Statuses, which plexindex.h describes.", "const ("]
    lines += [f"\t{name:{wide}} Status = C.{of}" for name, of in zip(statuses, abi["statuses"])]
    lines += [
        ")",
        "",
        "// Stats are the fields of plexindex_stats, which plexindex.h describes.",
        "type Stats struct {",
    ]
    rows: list[tuple[str, str, str]] = []
    for field in abi["structs"]["plexindex_stats"]["fields"][1:]:
        name, of = field["name"], f"of.{field['name']}"
        if name in ("answers", "requests"):
            kind, prefix = ("MatchKind", "MATCH") if name == "answers" else ("string", "REQUEST")
            every = [one for one in abi["constants"] if one.startswith(f"PLEXINDEX_{prefix}_")]
            pairs = (f'"{one.removeprefix(f"PLEXINDEX_{prefix}_").lower()}": uint64({of}[C.{one}])' for one in every)
            rows.append((go_name(name), f"map[{kind}]uint64", f"map[{kind}]uint64{{{', '.join(pairs)}}}"))
        elif field["type"] == "char":
            rows.append((go_name(name), "string", f"C.GoString(&{of}[0])"))
        elif name.endswith("_us"):
            plain = go_name(name.removesuffix("_us"))
            row = f"In{plain}" if plain == "Calls" else plain
            rows.append((row, "time.Duration", f"time.Duration({of}) * time.Microsecond"))
        else:
            rows.append((go_name(name), "uint64", f"uint64({of})"))
    wide = max(len(name) for name, *_ in rows)
    lines += [f"\t{name:{wide}} {kind}" for name, kind, _ in rows]
    lines += ["}", "", "func readStats(of *C.plexindex_stats) Stats {", "\treturn Stats{"]
    lines += [f"\t\t{name + ':':{wide + 1}} {value}," for name, _, value in rows]
    return "\n".join([*lines, "\t}", "}", ""])


# Structs of answers: Python reads their numbers at these offsets.
READ = ("answers", "answer", "item", "file")
# The package passes a plexindex_bytes in these structs as two fields: that is faster, and a text need not end with NUL.
SPLIT = {"query": "c_char_p", "progress": "c_void_p"}
# Of these functions, each call keeps the interpreter's lock, because they never wait.
QUICK = ("lookup_key", "table_lookup", "drain_log")
# The package does not call these functions, because it reads blocks of answers itself, and needs no such numbers.
UNUSED = ("count_answers", "get_answer", "get_sure_item", "get_candidate", "get_file", "get_text", "table_write",
          "TABLE_PUT", "TABLE_REMOVE", "TABLE_CLEAR", "ITEM_PATH_NOT_UTF8", "LOG_OFF")  # fmt: skip
C_TYPES = {"void": "None", "size_t": "c_size_t", "char *": "c_char_p", "char **": "POINTER(c_char_p)"}
C_TYPES["void *"] = "c_void_p"


def python_abi(abi: dict[str, Any]) -> str:
    """Returns the constants, structs and functions of the ABI for ctypes."""
    structs = {name.removeprefix("plexindex_"): struct["fields"] for name, struct in abi["structs"].items()}
    passed = [name for name in structs if name not in (*READ, "text", "table_op")]

    def class_of(name: str) -> str:
        return "C" + name.title().replace("_", "")

    def of(kind: str) -> str:
        kind = kind.replace("const ", "")
        name = kind.removeprefix("plexindex_").rstrip(" *")
        if kind in C_TYPES:
            return C_TYPES[kind]
        if kind.endswith("_fn"):
            return name.upper()
        if not kind.startswith("plexindex_"):
            if kind.endswith("*"):
                return "c_void_p"
            return "c_" + kind.removesuffix("_t")
        if name in passed:
            return f"POINTER({class_of(name)})" if kind.endswith("*") else class_of(name)
        return "POINTER(c_void_p)" if kind.endswith("**") else "c_void_p"

    def ctypes_fields(struct: str) -> Iterator[str]:
        for field in structs[struct]:
            name, kind = field["name"], of(field["type"])
            if name.endswith("_user"):
                yield f'("{name}", py_object)'
            elif kind == "CBytes" and struct in SPLIT:
                yield f'("{name}_data", {SPLIT[struct]}), ("{name}_length", c_size_t)'
            else:
                count = f" * {field['count']}" if "count" in field else ""
                yield f'("{name}", {kind}{count})'

    def listed(kinds: list[str]) -> str:
        return f"({', '.join(kinds)}{',' * (len(kinds) == 1)})"

    numbers = {name.removeprefix("PLEXINDEX_"): number for name, number in abi["constants"].items()}
    statuses = {name.removeprefix("PLEXINDEX_"): number for name, number in abi["statuses"].items()}
    groups = {"MATCH": "MATCH_KINDS", "CONFIDENCE": "CONFIDENCES", "REASON": "REASONS", "REQUEST": "REQUESTS"}
    lines = [f'"""The constants, structs and functions of plexindex.h, for ctypes. {MADE}."""', ""]
    lines += ["from ctypes import CFUNCTYPE, POINTER, Structure, c_char, c_char_p, c_void_p, py_object"]
    lines += ["from ctypes import c_int32, c_int64, c_size_t, c_uint32, c_uint64", ""]
    lines += ["from . import TYPE_CHECKING", "", "if TYPE_CHECKING:", "    from typing import Any", ""]
    lines += [
        f"{name} = {value}"
        for name, value in numbers.items()
        if name.partition("_")[0] not in (*groups, "KIND") and name not in UNUSED
    ]
    lines += ["# Statuses. From FIRST_ERROR on, they are errors.", "FIRST_ERROR = 100"]
    lines += [f"{name} = {number}" for name, number in statuses.items()]
    lines.append(f"STATUS_NAMES = {{{', '.join(f'{number}: {name.lower()!r}' for name, number in statuses.items())}}}")
    lines.append("# Names by number. None is a reserved number.")
    for group, name in groups.items():
        named = {value: one[len(group) + 1 :].lower() for one, value in numbers.items() if one.startswith(group + "_")}
        lines.append(f"{name} = {tuple(named.get(number) for number in range(max(named) + 1))}")
    kinds = {value: name[5:].lower() for name, value in numbers.items() if name.startswith("KIND_") and value}
    lines += [f"KINDS = {kinds}", "# Offsets in bytes."]
    lines += [f"{name.upper()} = { {field['name']: field['offset'] for field in structs[name]} }" for name in READ]
    texts = [field["name"] for field in structs["item"] if field["type"] == "plexindex_text"]
    lines += [
        f"ITEM_TEXTS = {tuple(texts)}",
        "# `user` is a Python object. Callbacks get other addresses as numbers: ctypes creates no object for them.",
    ]
    for name, call in abi["callbacks"].items():
        kinds_of = ["c_size_t" if "*" in one["type"] else of(one["type"]) for one in call["arguments"][1:]]
        lines.append(f"{of(name)} = CFUNCTYPE({', '.join([of(call['result']), 'py_object', *kinds_of])})")
    for name in passed:
        lines.append(f"class {class_of(name)}(Structure): _fields_ = [{', '.join(ctypes_fields(name))}]")
    lines += [
        'def _declared(function: "Any", result: "Any", *arguments: "Any") -> "Any":',
        "    function.restype = result",
        "    if arguments:",
        "        function.argtypes = arguments",
        "    return function",
        "class Functions:",
        '    """The functions of plexindex.h. Those of `quick` keep the interpreter\'s lock during a call. A function',
        "    without declared arguments has only pointers: pass ctypes objects, bytes and None, but no numbers.",
        '    """',
        '    def __init__(self, library: "Any", quick: "Any") -> None:',
    ]
    for name, call in abi["functions"].items():
        short = name.removeprefix("plexindex_")
        if short in UNUSED:
            continue
        # A new process would create a class for each type of pointer, and each call check it.
        kinds_of = [of(one["type"]) for one in call["arguments"]]
        given = ["c_void_p" if kind.startswith("POINTER") else kind for kind in kinds_of]
        if all(kind in ("c_void_p", "c_char_p", "LOG_FN") for kind in given):
            given = []  # declared types would cost each call more than the conversion of its arguments
        declared = ", ".join([of(call["result"]), *given])
        object_of = f"{'quick' if short in QUICK else 'library'}.{name}"
        lines.append(f"        self.{short}: Any = _declared({object_of}, {declared})")
    return "\n".join([*lines, ""])


STATS = """An index's statistics at one moment, as in ``plexindex_stats`` of plexindex.h, but with times in seconds.

    Counts start when the index is opened; those that begin with ``store`` and ``evictions`` are of all processes since
    the store was created. ``answers`` are by match kind, where ``"none"`` means no item, and include fast lookups;
    ``lookup_misses`` are fast lookups that found nothing. ``requests`` are by kind, with retries. ``calls`` are
    lookups, refreshes and recorded matches, but no fast lookups; ``slow_calls`` took longer than the option ``slow``.
    ``items``, ``matches`` and ``libraries`` are those of this view, and ``sequence`` is the store's change sequence.

    ``network_seconds`` is the time spent waiting for the server, ``parse_seconds`` decompressing and parsing its
    responses, ``store_seconds`` reading and writing the store, ``segment_seconds`` building and opening segments,
    ``match_seconds`` matching, and ``wait_seconds`` waiting for other fetches and before retries. Their sum can be
    larger than ``calls_seconds``, because plexindex stores a page while it fetches the next one.

    ``over_limit`` are bytes beyond ``size_limit`` that plexindex cannot remove: if it is not 0, the limit is too small.
    ``events`` came from the server or ``notify``, and ``hints`` are the writes that they caused. ``failures`` are
    cached answers because the server did not respond, or its response could not be stored; ``last_failure`` is the
    reason, and None once the server has responded again.
    """


def python_stats(abi: dict[str, Any]) -> str:
    """Returns the type of what the Python package makes of plexindex_stats."""
    kinds = {"answers": "dict[str, int]", "requests": "dict[str, int]", "last_failure": "Union[str, None]"}
    names = [field["name"] for field in abi["structs"]["plexindex_stats"]["fields"][1:]]
    rows = [
        f"{name.removesuffix('_us')}_seconds: float" if name.endswith("_us") else f"{name}: {kinds.get(name, 'int')}"
        for name in names
    ]
    return f'class Stats(TypedDict):\n    """{STATS}"""\n    {"; ".join(rows)}\n'


# Enums of plexindex.hpp whose values are all constants with this prefix, or all statuses.
CPP_ENUMS = {"Status": "", "MatchKind": "MATCH_", "Confidence": "CONFIDENCE_", "Reason": "REASON_", "ItemKind": "KIND_"}


def cpp_header(abi: dict[str, Any]) -> str:
    """Returns plexindex.hpp with the values of its enums."""
    text = (ROOT / "bindings" / "cpp" / "plexindex.hpp").read_text(encoding="utf-8")
    for enum, prefix in CPP_ENUMS.items():
        prefix = f"PLEXINDEX_{prefix}"
        names = [name for name in abi["constants" if enum != "Status" else "statuses"] if name.startswith(prefix)]
        values = "".join(f"    {name.removeprefix(prefix).lower()} = {name},\n" for name in names)
        text = re.sub(rf"(enum class {enum} [^{{]*{{\n)[^}}]*", rf"\g<1>{values}", text)
    return text


def made() -> dict[str, str]:
    """Returns the text of each generated file, by its path in the project."""
    abi = json.loads(DESCRIPTION.read_text(encoding="utf-8"))
    files = {
        "cpp/plexindex.hpp": cpp_header(abi),
        "node/names.d.ts": node_names(abi),
        "go/names.go": go_names(abi),
        "python/src/plexindex/_core/abi.py": python_abi(abi),
    }
    found = {f"bindings/{name}": text for name, text in files.items()} | make_methods.made()
    found["bindings/python/src/plexindex/_core/methods.py"] += python_stats(abi)
    return found


def renew() -> None:
    """Writes the files whose content has changed."""
    for name, text in made().items():
        file = ROOT / name
        if not file.is_file() or file.read_text(encoding="utf-8") != text:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
            print(f"{name} is renewed")


if __name__ == "__main__":
    renew()
    sys.exit(0)
