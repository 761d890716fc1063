"""Generates the ABI declarations of bindings from include/plexindex.json, which build.rs writes: part of `make header`.

Node.js and Ruby read a copy of the description when they are loaded. LuaJIT, C# and Java get declarations, Go copies of
the headers, and packages copies of the licences. tests/python/test_header.py compares Python's mirror with the
description. bindings/README.md says which functions each binding uses.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import make_methods

ROOT = Path(__file__).resolve().parent.parent
DESCRIPTION = ROOT / "include" / "plexindex.json"
BINDINGS = ROOT / "bindings"

# Each binding: its name, and the files that call functions. The generated files only declare them.
LANGUAGES = {
    "C++": ["cpp/plexindex.hpp"],
    "Python": ["python/src/plexindex/**/*.py"],
    "Node.js": ["node/index.js", "node/calls.js", "node/native.js"],
    "Go": ["go/*.go", "go/lookup.h"],
    "LuaJIT": ["lua/plexindex.lua"],
    "Ruby": ["ruby/lib/plexindex.rb", "ruby/lib/plexindex/*.rb"],
}
# How each calls `plexindex_open`; in Python as a method of the loaded library, in C++ by its name.
PATTERNS = {
    "C++": r"\bplexindex_(\w+)\b",
    "Python": r"\b(?:_?native|load\(\))\.(\w+)\b|\"plexindex_(\w+)\"",
    "Node.js": r"(?:call\w*|fill|_paths|_record)\('(\w+)'|'plexindex_(\w+)'|(?:load\(\)|native)\.(\w+)\b",
    "Go": r"\bplexindex_(\w+)\b",
    "LuaJIT": r"\b(?:C|library)\.plexindex_(\w+)\b|\"(\w+)\"",
    "Ruby": r":(\w+)\b",
}
BEGIN, END = "<!-- functions -->\n", "<!-- end -->\n"

SCALARS = {
    "char": ("byte", "byte"),
    "uint8_t": ("byte", "byte"),
    "int32_t": ("int", "int"),
    "uint32_t": ("uint", "int"),
    "int64_t": ("long", "long"),
    "uint64_t": ("ulong", "long"),
    "size_t": ("UIntPtr", "long"),
    "void": ("void", "void"),
}
MADE = "Made from include/plexindex.json by `make header`"


def camel(name: str) -> str:
    """`plexindex_edit_report` as `EditReport`."""
    return "".join(part.title() for part in name.removeprefix("plexindex_").split("_"))


def lua(abi: dict[str, Any]) -> str:
    """Declarations for LuaJIT's ffi, and the numbers."""
    lines = [f"-- {MADE}.", 'local ffi = require("ffi")', "ffi.cdef[["]

    def arguments(one: dict[str, Any]) -> str:
        return ", ".join(f"{a['type']} {a['name']}" for a in one["arguments"]) or "void"

    lines += [f"typedef struct {name} {name};" for name in (*abi["opaque"], *abi["structs"])]
    lines += [f"typedef {one['result']} (*{name})({arguments(one)});" for name, one in abi["callbacks"].items()]
    for name, struct in abi["structs"].items():
        fields = "".join(
            f"  {field['type']} {field['name']}" + (f"[{field['count']}];\n" if "count" in field else ";\n")
            for field in struct["fields"]
        )
        lines.append(f"struct {name} {{\n{fields}}};")
    lines += [f"{one['result']} {name}({arguments(one)});" for name, one in abi["functions"].items()]
    lines += ["]]", "", "local abi = { constants = {}, statuses = {}, structs = {} }"]
    for part in ("constants", "statuses"):
        lines += [f"abi.{part}.{name.removeprefix('PLEXINDEX_')} = {value}" for name, value in abi[part].items()]
    lines.append("-- The fields of each struct, in order.")
    for name, struct in abi["structs"].items():
        fields = ", ".join(f'"{field["name"]}"' for field in struct["fields"])
        lines.append(f"abi.structs.{name} = {{ {fields} }}")
    return "\n".join([*lines, "return abi", ""])


def node_names(abi: dict[str, Any]) -> str:
    """The names and numbers of the ABI as types of TypeScript."""

    def union(name: str, words: list[str]) -> str:
        one = f"export type {name} = {' | '.join(map(repr, words))};"
        return one if len(one) <= 120 else "\n  | ".join([f"export type {name} =", *map(repr, words)]) + ";"

    def words(prefix: str) -> list[str]:
        return [name.removeprefix(prefix).lower() for name in abi["constants"] if name.startswith(prefix)]

    def mixed(name: str) -> str:
        return re.sub(r"_(.)", lambda found: found[1].upper(), name)

    statuses = {name.removeprefix("PLEXINDEX_"): number for name, number in abi["statuses"].items()}
    lines = [f"// {MADE}.", "", "import type { MatchKind } from './methods.js';", ""]
    lines += ["/** The outcome of a question. From 100 on they are errors: ErrorStatus. */"]
    lines += [union("AnswerStatus", [name for name, number in statuses.items() if number < 100])]
    lines += [union("ErrorStatus", [name for name, number in statuses.items() if number >= 100])]
    lines.append(union("RequestKind", words("PLEXINDEX_REQUEST_")))
    lines.append(union("LogLevel", [word for word in words("PLEXINDEX_LOG_") if word != "off"]))
    kinds = {"plexindex_bytes": "string | Uint8Array", "int64_t": "number", "uint64_t": "number", "uint32_t": "number"}
    lines += ["", "/** The fields of plexindex_options in plexindex.h, which says what each means. */"]
    lines.append("export interface OptionFields {")
    for field in abi["structs"]["plexindex_options"]["fields"]:
        if field["type"] in kinds and field["name"] not in ("flags", "reserved"):
            needed = "" if field["name"] == "cache_dir" else " | undefined"
            lines.append(f"  {mixed(field['name'])}{'?' if needed else ''}: {kinds[field['type']]}{needed};")
    lines += [f"  {mixed(flag)}?: boolean | undefined;" for flag in words("PLEXINDEX_OPEN_")] + ["}"]
    lines += ["", "/** Counts, as plexindex.h describes them at plexindex_stats. Times are in microseconds. */"]
    lines += ["export interface Stats {", "  answers: Record<MatchKind, number>;"]
    lines += ["  requests: Record<RequestKind, number>;", "  lastFailure: string | null;"]
    counts = [field["name"] for field in abi["structs"]["plexindex_stats"]["fields"] if "count" not in field]
    lines += [f"  {mixed(name)}: number;" for name in counts if name != "size"]
    return "\n".join([*lines, "}", ""])


def go_names(abi: dict[str, Any]) -> str:
    """The statuses, and the statistics with the function that reads them."""
    lines = [
        f"// {MADE}.",
        "",
        "package plexindex",
        "",
        '// #include "plexindex.h"',
        'import "C"',
        "",
        'import "time"',
        "",
    ]
    go_name = make_methods.go_name
    statuses = [go_name(name.removeprefix("PLEXINDEX_").lower()) for name in abi["statuses"]]
    wide = max(map(len, statuses))
    lines += ["// The statuses; plexindex.h says what each is.", "const ("]
    lines += [f"\t{name:{wide}} Status = C.{of}" for name, of in zip(statuses, abi["statuses"])]
    lines += [
        ")",
        "",
        "// Stats is what happened, as plexindex.h describes it at plexindex_stats.",
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


# Enumerations of C# and Java, with the prefix of their constants.
ENUMS = {
    "Status": "",
    "MatchKind": "PLEXINDEX_MATCH_",
    "Confidence": "PLEXINDEX_CONFIDENCE_",
    "Reason": "PLEXINDEX_REASON_",
    "Kind": "PLEXINDEX_KIND_",
    "MappingKind": "PLEXINDEX_MAPPING_",
    "LogLevel": "PLEXINDEX_LOG_",
}
# Failures of the Java package itself, as members of Status; C# has exceptions of the system for them.
OWN_STATUSES = {"CLOSED": -1, "NOT_INSTALLED": -2}


def members(abi: dict[str, Any], name: str) -> dict[str, int]:
    """The members of an enumeration, with their numbers."""
    prefix = ENUMS[name] or "PLEXINDEX_"
    numbers = abi["constants"] if ENUMS[name] else abi["statuses"]
    return {one.removeprefix(prefix): value for one, value in numbers.items() if one.startswith(prefix)}


def csharp_enums(abi: dict[str, Any]) -> list[str]:
    """Enumerations of C#: a number that is none of them stays a number."""
    lines = []
    for name in ENUMS:
        every = ", ".join(f"{camel('_' + one)} = {value}" for one, value in members(abi, name).items())
        lines += [f"/// <summary>plexindex.h says what each is.</summary>\npublic enum {name} {{ {every} }}", ""]
    return lines


def java_enum(abi: dict[str, Any], name: str) -> str:
    """An enumeration of Java."""
    numbers = members(abi, name) | (OWN_STATUSES if name == "Status" else {})
    every = ",\n    ".join(f"{one}({value})" for one, value in numbers.items())
    own = " CLOSED and NOT_INSTALLED are of this package." if name == "Status" else ""
    return f"""// {MADE}.
package plexindex;

/** plexindex.h says what each is. UNKNOWN is of a library that is newer than this class.{own} */
public enum {name} {{
    {every},
    UNKNOWN(Integer.MIN_VALUE);

    /** The number in the C ABI. */
    public final int number;

    {name}(int number) {{ this.number = number; }}

    static {name} of(int number) {{
        for ({name} one : values()) if (one.number == number) return one;
        return UNKNOWN;
    }}
}}
"""


def pointed(kind: str, abi: dict[str, Any]) -> str | None:
    """The struct that a pointer leads to."""
    name = kind.removeprefix("const ").removesuffix(" *")
    return name if kind.endswith(" *") and name in abi["structs"] else None


def initial_values(struct: dict[str, Any], size: str, progress: str) -> str:
    """Sets the size of a new struct, and what ends a query."""
    names = [field["name"] for field in struct["fields"]]
    values = {"size": size, "progress": progress}
    return "".join(f"{name} = {value}; " for name, value in values.items() if name in names)


def csharp(abi: dict[str, Any]) -> str:
    """Declarations for P/Invoke."""

    def of(kind: str) -> str:
        if kind in abi["structs"]:
            return camel(kind)
        return "IntPtr" if "*" in kind or kind in abi["callbacks"] else SCALARS[kind][0]

    def argument(one: dict[str, str]) -> str:
        kind = of(one["type"])
        struct = pointed(one["type"], abi)
        if struct and struct not in ("plexindex_answer", "plexindex_item", "plexindex_text", "plexindex_table_op"):
            kind = f"ref {camel(struct)}"
        elif one["type"].endswith("**"):
            kind = "out IntPtr"
        elif one["type"] in ("int64_t *", "uint64_t *"):
            kind = f"ref {SCALARS[one['type'][:-2]][0]}"
        elif one["type"] in abi["callbacks"]:
            kind = camel(one["type"])
        return f"{kind} {one['name']}"

    lines = [
        f"// {MADE}, for 64 bits.",
        "using System;",
        "using System.Runtime.InteropServices;",
        "",
        "namespace Plexindex",
        "{",
    ]
    lines += csharp_enums(abi)
    lines += ["/// <summary>The C ABI of plexindex, as it is. Native.Load() comes first.</summary>"]
    lines += ["public static class Abi", "{"]
    for part in ("constants", "statuses"):
        lines += [
            f"    public const int {name.removeprefix('PLEXINDEX_')} = {value};" for name, value in abi[part].items()
        ]
    for name, struct in abi["structs"].items():
        lines += ["", "    [StructLayout(LayoutKind.Sequential)]", f"    public struct {camel(name)}", "    {"]
        for field in struct["fields"]:
            if "count" in field:
                lines.append(f"        [MarshalAs(UnmanagedType.ByValArray, SizeConst = {field['count']})]")
            array = "[]" if "count" in field else ""
            # `lock` is a word of the language.
            lines.append(f"        public {of(field['type'])}{array} @{field['name']};")
        # `size` in 32 bits is of what the library makes.
        if struct["fields"][0] | {"type": "size_t", "name": "size"} == struct["fields"][0]:
            one = camel(name)
            values = initial_values(struct, f"(UIntPtr)Marshal.SizeOf<{one}>()", "CurrentCall.Progress").replace(
                "; ", ", "
            )
            lines.append(f"        public static {one} Create() => new {one} {{ {values.rstrip(', ')} }};")
        lines.append("    }")
    for name, one in abi["callbacks"].items():
        arguments = ", ".join(f"{of(a['type'])} {a['name']}" for a in one["arguments"])
        lines += ["", "    [UnmanagedFunctionPointer(CallingConvention.Cdecl)]"]
        lines.append(f"    public delegate {of(one['result'])} {camel(name)}({arguments});")
    for name, one in abi["functions"].items():
        arguments = ", ".join(argument(a) for a in one["arguments"])
        lines += ["", '    [DllImport("plexindex", CallingConvention = CallingConvention.Cdecl)]']
        lines.append(f"    public static extern {of(one['result'])} {name}({arguments});")
    return "\n".join([*lines, "}", "}", ""])


def java(abi: dict[str, Any]) -> str:
    """Declarations for JNA."""

    def of(kind: str) -> str:
        if kind in abi["structs"]:
            return camel(kind)
        return "Pointer" if "*" in kind else camel(kind) if kind in abi["callbacks"] else SCALARS[kind][1]

    def argument(one: dict[str, str]) -> str:
        kind = of(one["type"])
        struct = pointed(one["type"], abi)
        if struct and struct not in ("plexindex_answer", "plexindex_item", "plexindex_text", "plexindex_table_op"):
            kind = camel(struct)
        elif one["type"].endswith("**"):
            kind = "PointerByReference"
        elif one["type"] in ("int64_t *", "uint64_t *"):
            kind = "LongByReference"
        elif one["type"] == "const char *":
            kind = "byte[]"
        return f"{kind} {one['name']}"

    lines = [f"// {MADE}, for 64 bits.", "package plexindex;", ""]
    lines += ["import com.sun.jna.*;", "import com.sun.jna.Structure.FieldOrder;"]
    lines += ["import com.sun.jna.ptr.*;", "", "/** The C ABI of plexindex, as it is. */"]
    lines += ["public interface Abi extends com.sun.jna.Library {"]
    for part in ("constants", "statuses"):
        lines += [f"    int {name.removeprefix('PLEXINDEX_')} = {value};" for name, value in abi[part].items()]
    for name, struct in abi["structs"].items():
        order = ", ".join(f'"{field["name"]}"' for field in struct["fields"])
        lines += ["", f"    @FieldOrder({{{order}}})", f"    final class {camel(name)} extends Structure {{"]
        for field in struct["fields"]:
            kind = of(field["type"])
            array = f"[] {field['name']} = new {kind}[{field['count']}]" if "count" in field else f" {field['name']}"
            lines.append(f"        public {kind}{array};")
        lines += [f"        public {camel(name)}() {{ {initial_values(struct, 'size()', 'CurrentCall.PROGRESS')}}}"]
        lines += [f"        public {camel(name)}(Pointer at) {{ super(at); read(); }}", "    }"]
    for name, one in abi["callbacks"].items():
        arguments = ", ".join(f"{of(a['type'])} {a['name']}" for a in one["arguments"])
        lines += ["", f"    interface {camel(name)} extends Callback {{"]
        lines += [f"        {of(one['result'])} call({arguments});", "    }"]
    lines.append("")
    for name, one in abi["functions"].items():
        arguments = ", ".join(argument(a) for a in one["arguments"])
        result = "String" if one["result"] == "const char *" else of(one["result"])
        lines.append(f"    {result} {name}({arguments});")
    return "\n".join([*lines, "}", ""])


def java_offsets(abi: dict[str, Any]) -> str:
    """Where the fields of a block lie, for Java."""
    lines = [f"// {MADE}, for 64 bits.", "package plexindex;", ""]
    lines += ["/** Where the fields of a block lie: JNA takes ten times as long to read them as structs. */"]
    lines += ["final class Offsets {", "    private Offsets() { }", ""]
    for struct in ("answers", "answer", "item"):
        fields = abi["structs"][f"plexindex_{struct}"]["fields"]
        lines += [f"    static final int {struct.upper()}_{one['name'].upper()} = {one['offset']};" for one in fields]
    return "\n".join([*lines, "}", ""])


def used(language: str, names: set[str]) -> set[str]:
    """The functions that a binding calls."""
    found: set[str] = set()
    for pattern in LANGUAGES[language]:
        for file in BINDINGS.glob(pattern):
            text = re.sub(r"^\s*(//|#|--).*$", "", file.read_text(encoding="utf-8"), flags=re.MULTILINE)
            for groups in re.findall(PATTERNS[language], text):
                found |= {groups} if isinstance(groups, str) else set(groups)
    return {f"plexindex_{name}" for name in found} & names


def readme(abi: dict[str, Any], text: str) -> str:
    """bindings/README.md with the functions that a binding lacks."""
    names = set(abi["functions"])
    lines = []
    for language in LANGUAGES:
        uses = used(language, names)
        lacks = [f"`{name.removeprefix('plexindex_')}`" for name in abi["functions"] if name not in uses]
        lines.append(f"- {language}: {', '.join(lacks) or 'none'}")
    before, rest = text.split(BEGIN)
    return before + BEGIN + "\n".join(lines) + "\n" + END + rest.split(END, 1)[1]


def made() -> dict[str, str]:
    """Each file that is made, by its name in the project, with its text."""
    abi = json.loads(DESCRIPTION.read_text(encoding="utf-8"))
    files = {
        "node/names.d.ts": node_names(abi),
        "go/names.go": go_names(abi),
        "lua/plexindex/abi.lua": lua(abi),
        "csharp/Abi.cs": csharp(abi),
        "java/plexindex/Abi.java": java(abi),
        "java/plexindex/Offsets.java": java_offsets(abi),
        **{f"java/plexindex/{name}.java": java_enum(abi, name) for name in ENUMS},
    }
    # cgo finds no file outside of the module's folder.
    files["go/plexindex.h"] = (ROOT / "include" / "plexindex.h").read_text(encoding="utf-8")
    page = BINDINGS / "README.md"
    files["README.md"] = readme(abi, page.read_text(encoding="utf-8"))
    return {f"bindings/{name}": text for name, text in files.items()} | make_methods.made()


def renew() -> None:
    """Writes what differs."""
    for name, text in made().items():
        file = ROOT / name
        if not file.is_file() or file.read_text(encoding="utf-8") != text:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
            print(f"{name} is renewed")


if __name__ == "__main__":
    renew()
    sys.exit(0)
