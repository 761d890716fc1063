"""Generates the reference and the types of methods from include/plexindex.schema.json: a part of `make header`.

quicktype would generate 1,300 lines of Go and 1,600 of TypeScript, and no TypedDict.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from keyword import iskeyword
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
SCHEMA = ROOT / "include" / "plexindex.schema.json"
MADE = "Generated from include/plexindex.schema.json by `make header`"
Shape = dict[str, Any]


def english(text: str) -> str:
    """Returns a description without the syntax of rustdoc."""

    def word(found: re.Match[str]) -> str:
        """Returns a variant's name in JSON, or a method's name without its type."""
        of, _, name = found[1].rpartition("::")
        return f"`{re.sub('(?<=[a-z])(?=[A-Z])', '_', name).lower() if of else name}`"

    text = re.sub(r"\n*```.*?```\n*", "\n\n", text, flags=re.DOTALL)
    text = re.sub(r"^\[`.*?`\]: \S+$", "", text, flags=re.MULTILINE)
    text = re.sub(r"\n*The JSON has [^.]*\.(\s+It omits\s[^.]*\.)?", "", text)
    text = re.sub(r"\[`([^`]*)`\](\([^)]*\)|\[[^]]*\])?", word, text)
    text = re.sub(r"(^|[.] )`None`", r"\1Absent", text).replace("`None`", "absent")
    return re.sub(r"(?<!\n)\n(?![\n-])", " ", text).strip()


def fields(shape: Shape) -> Iterator[tuple[str, Shape, bool]]:
    """Yields the fields of an object, and whether each is required."""
    for name, field in shape.get("properties", {}).items():
        yield name, field, name in shape.get("required", ()) and "default" not in field


class Language:
    """The syntax of a language's types."""

    def __init__(self, words: dict[str, str], array: str, mapping: str, union: str) -> None:
        self.words, self.array, self.mapping, self.union = words, array, mapping, union

    def of(self, shape: Shape | bool) -> str:
        """Returns the type of a value."""
        if isinstance(shape, bool):
            return self.words["any"]
        if "$ref" in shape:
            return str(shape["$ref"]).rpartition("/")[2]
        for choice in ("anyOf", "allOf", "oneOf"):
            if choice in shape:
                some = [self.of(one) for one in shape[choice] if one != {"type": "null"} and "const" not in one]
                return self.one_of(some) if some else self.words["string"]
        kind = shape.get("type")
        kind = next(one for one in kind if one != "null") if isinstance(kind, list) else kind
        if "enum" in shape:
            return self.names(shape["enum"])
        if kind == "array":
            return self.array.format(self.of(shape["items"]))
        if kind == "object" and isinstance(shape.get("additionalProperties"), dict):
            return self.mapping.format(self.of(shape["additionalProperties"]))
        return self.words[str(kind)]

    def one_of(self, some: list[str]) -> str:
        """Returns the union of types."""
        return self.union.join(dict.fromkeys(some))

    def names(self, names: list[str]) -> str:
        """Returns the type of these words."""
        return self.union.join(f'"{name}"' for name in names)


class Go(Language):
    """Go writes a union as any, and words as a string."""

    def one_of(self, some: list[str]) -> str:
        """Returns the union of types."""
        return some[0] if len(set(some)) == 1 else "any"

    def names(self, _: list[str]) -> str:
        """Returns the type of these words."""
        return "string"


class Python(Language):
    """Python writes words as a Literal."""

    def names(self, names: list[str]) -> str:
        """Returns the type of these words."""
        return f"Literal[{', '.join(json.dumps(name) for name in names)}]"


SCALARS = {"string": "string", "integer": "number", "number": "number", "boolean": "boolean", "any": "unknown"}
TYPESCRIPT = Language({**SCALARS, "object": "{}"}, "readonly ({})[]", "Readonly<Record<string, {}>>", " | ")
PYTHON_WORDS = {"string": "str", "integer": "int", "boolean": "bool", "any": "object", "object": "dict[str, str]"}
PYTHON = Python(PYTHON_WORDS, "list[{}]", "dict[str, {}]", " | ")
GO_WORDS = {"string": "string", "integer": "int64", "boolean": "bool", "any": "any", "object": "any"}
GO = Go(GO_WORDS, "[]{}", "map[string]{}", " | ")
ENGLISH = Language({**SCALARS, "boolean": "true or false", "object": "object"}, "list of {}", "map to {}", " or ")


def is_object(shape: Shape) -> bool:
    """Returns whether a definition is an object with fields."""
    return shape.get("type") == "object"


def typescript(schema: Shape) -> str:
    """Returns the types of requests and answers, and a map of the methods."""
    lines = [f"// {MADE}.", ""]
    for name, shape in schema["definitions"].items():
        if not is_object(shape):
            # The package uses bytes for texts that are not UTF-8.
            known = "string | Uint8Array" if name == "ByteString" else TYPESCRIPT.of(shape)
            lines.append(f"export type {name} = {known};")
            continue
        lines.append(f"export interface {name} {{")
        for field, of, always in fields(shape):
            lines.append(f"  {field}{'' if always else '?'}: {TYPESCRIPT.of(of)};")
        lines.append("}")
    lines += ["", "/** The request and answer of each method: docs/methods.md. */", "export interface Methods {"]
    for name, method in schema["properties"].items():
        request, answer = (TYPESCRIPT.of(method["properties"][one]) for one in ("request", "answer"))
        lines.append(f"  '{name}': {{ request: {request}; answer: {answer} }};")
    return "\n".join([*lines, "}", ""]).replace('"', "'")


def python(schema: Shape) -> str:
    """Returns the types of requests and answers, for type checkers."""
    lines = [f'"""The types of requests and answers. {MADE}."""', ""]
    lines += ["from typing import Literal, TypedDict", ""]
    for name, shape in schema["definitions"].items():
        if not is_object(shape):
            lines.append(f"{name} = {PYTHON.of(shape)}")
            continue
        every = [(field, PYTHON.of(of), always) for field, of, always in fields(shape)]
        total = "" if all(always for *_, always in every) else ", total=False"
        if any(iskeyword(field) for field, *_ in every):
            body = ", ".join(f'"{field}": {kind}' for field, kind, _ in every)
            lines.append(f'{name} = TypedDict("{name}", {{{body}}}{total})')
        else:
            lines.append(f"class {name}(TypedDict{total}):" + ("" if every else " ..."))
            lines += [f"    {field}: {kind}" for field, kind, _ in every]
    return "\n".join([*lines, ""])


# Go writes initialisms in capitals.
INITIALISMS = {
    "guid": "GUID",
    "guids": "GUIDs",
    "uuid": "UUID",
    "abi": "ABI",
    "sqlite": "SQLite",
    "tls": "TLS",
    "ok": "OK",
}


def go_name(name: str) -> str:
    """Returns `ShowGUID` for `show_guid`."""
    return "".join(INITIALISMS.get(part, part[:1].upper() + part[1:]) for part in name.split("_"))


def go(schema: Shape) -> str:
    """Returns the types of requests and answers for encoding/json.

    A zero value means absent. A number of an answer is a pointer, because 0 is a number.
    """
    definitions = schema["definitions"]
    references = [one["properties"]["request"]["$ref"] for one in schema["properties"].values()]
    requests = {reference.rpartition("/")[2] for reference in references}
    lines = [f"// {MADE}.", "", "//go:build cgo", "", "package plexindex", ""]

    def own(name: str) -> str:
        return name.replace("ByUuid", "ByUUID") + ("Request" if name in requests else "")

    for name, shape in definitions.items():
        if name == "ByteString":
            continue  # call.go has it
        if not is_object(shape):
            kind = GO.of(shape)
            if kind != "string":
                lines += [f"type {own(name)} = {own(kind)}", ""]
                continue
            lines += [f"type {name} string", ""]
            words = shape.get("enum") or [one["const"] for one in shape.get("oneOf", ()) if "const" in one]
            rows = [(name.removesuffix("Kind").removesuffix("Type") + go_name(word), word) for word in words]
            wide = max((len(row) for row, _ in rows), default=0)
            lines += ["const (", *(f'\t{row:{wide}} {name} = "{word}"' for row, word in rows), ")", ""] if rows else []
            continue
        fields_of = []
        for field, of, always in fields(shape):
            kind = re.sub(r"\b([A-Z]\w*)", lambda found: own(found[1]), GO.of(of))
            # An edit may set an empty value.
            is_known = (kind == "int64" and name not in requests) or name == "EditChange"
            is_known = is_known or is_object(definitions.get(kind, {}))
            pointer = "*" if is_known and not always else ""
            fields_of.append((go_name(field), pointer + kind, f'`json:"{field}{"" if always else ",omitempty"}"`'))
        # gofmt aligns the columns.
        wide0, wide1 = (max((len(row[column]) for row in fields_of), default=0) for column in (0, 1))
        body = [f"\t{field:{wide0}} {kind:{wide1}} {tag}" for field, kind, tag in fields_of]
        lines += [f"type {own(name)} struct {{", *body, "}", ""] if body else [f"type {own(name)} struct{{}}", ""]
    return "\n".join(lines)


def page(schema: Shape) -> str:
    """Returns docs/methods.md: the methods with their fields, and the objects that several methods use."""
    definitions = schema["definitions"]
    lines = [
        "# Methods",
        "",
        f"`plexindex_call()` calls these methods by name. {MADE} and",
        "`bindings/c/src/door`. A field of a request is optional unless it is **required**. A field of an answer is",
        "absent if it is not known.",
    ]
    shapes = [one["properties"] for one in schema["properties"].values()]
    own = {one["$ref"].rpartition("/")[2] for shape in shapes for one in shape.values()}

    def kind(shape: Shape) -> str:
        return re.sub(r"\b([A-Z]\w+)", lambda found: f"[{found[1]}](#{found[1].lower()})", ENGLISH.of(shape))

    def table(shape: Shape, is_request: bool) -> list[str]:
        rows = []
        for field, of, always in fields(shape):
            said = english(of.get("description", ""))
            default = (
                f" Default: {json.dumps(of['default'])}." if of.get("default") not in (None, False, "", []) else ""
            )
            required = ", **required**" if always and is_request else ""
            rows.append(
                f"- `{field}` ({kind(of)}{required}): {said}{default}".rstrip(": ")
                if said
                else f"- `{field}` ({kind(of)}{required})"
            )
        return rows or ["- nothing"]

    for name, method in schema["properties"].items():
        request, answer = (
            definitions[method["properties"][one]["$ref"].rpartition("/")[2]] for one in ("request", "answer")
        )
        said = request.get("description", "")
        if "allOf" in request:
            request = definitions[request["allOf"][0]["$ref"].rpartition("/")[2]]
        lines += ["", f"## {name}", english(said), "", "Request:", "", *table(request, True)]
        lines += ["", f"Answer: {english(answer.get('description', ''))}".rstrip(), "", *table(answer, False)]
    lines += ["", "## Objects"]
    for name, shape in definitions.items():
        if name in own:
            continue
        lines += ["", f"### {name}", english(shape.get("description", ""))]
        if is_object(shape):
            lines += ["", *table(shape, False)]
        elif "enum" in shape:
            lines.append(f"One of {', '.join(f'`{one}`' for one in shape['enum'])}.")
    return re.sub(r"\n{3,}", "\n\n", "\n".join([*lines, ""]))


def made() -> dict[str, str]:
    """Returns the text of each generated file, by its path in the project."""
    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
    return {
        "bindings/node/methods.d.ts": typescript(schema),
        "bindings/python/src/plexindex/_methods.pyi": python(schema),
        "bindings/go/methods.go": go(schema),
        "docs/methods.md": page(schema),
    }
