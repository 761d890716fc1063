"""Makes the reference of the methods of plexindex_call(), and their types for other languages, from
include/plexindex.schema.json: part of `make header`.

quicktype would do it too, in 1,300 lines of Go, 1,600 of TypeScript and 92 classes of Java, without TypedDict.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Collection, Iterator
from keyword import iskeyword
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
SCHEMA = ROOT / "include" / "plexindex.schema.json"
MADE = "Made from include/plexindex.schema.json by `make header`"
Shape = dict[str, Any]


def english(text: str) -> str:
    """A description without what only rustdoc knows."""

    def word(found: re.Match[str]) -> str:
        """A variant by its name in JSON; a method without its type."""
        of, _, name = found[1].rpartition("::")
        return f"`{re.sub('(?<=[a-z])(?=[A-Z])', '_', name).lower() if of else name}`"

    text = re.sub(r"\n*```.*?```\n*", "\n\n", text, flags=re.DOTALL)
    text = re.sub(r"^\[`.*?`\]: \S+$", "", text, flags=re.MULTILINE)
    text = re.sub(r"\n*Its JSON has [^.]*\.", "", text)
    text = re.sub(r"\[`([^`]*)`\](\([^)]*\)|\[[^]]*\])?", word, text)
    text = re.sub(r"(^|[.] )`None`", r"\1Absent", text).replace("`None`", "absent")
    return re.sub(r"(?<!\n)\n(?!\n|- |\d+\. ) *", " ", text).strip()


def fields(shape: Shape) -> Iterator[tuple[str, Shape, bool]]:
    """The fields of an object, and whether each is always there."""
    for name, field in shape.get("properties", {}).items():
        yield name, field, name in shape.get("required", ()) and "default" not in field


class Language:
    """How a language writes a type."""

    def __init__(self, words: dict[str, str], array: str, mapping: str, union: str) -> None:
        self.words, self.array, self.mapping, self.union = words, array, mapping, union

    def of(self, shape: Shape | bool) -> str:
        """The type of a value that is there."""
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
        """The choice of several types."""
        return self.union.join(dict.fromkeys(some))

    def names(self, names: list[str]) -> str:
        """The choice of several words."""
        return self.union.join(f'"{name}"' for name in names)


class Go(Language):
    """A choice of types is any, and a choice of words a string."""

    def one_of(self, some: list[str]) -> str:
        """The choice of several types."""
        return some[0] if len(set(some)) == 1 else "any"

    def names(self, _: list[str]) -> str:
        """The choice of several words."""
        return "string"


class Python(Language):
    """A choice of words is a Literal."""

    def names(self, names: list[str]) -> str:
        """The choice of several words."""
        return f"Literal[{', '.join(json.dumps(name) for name in names)}]"


SCALARS = {"string": "string", "integer": "number", "number": "number", "boolean": "boolean", "any": "unknown"}
TYPESCRIPT = Language({**SCALARS, "object": "{}"}, "readonly ({})[]", "Readonly<Record<string, {}>>", " | ")
PYTHON_WORDS = {"string": "str", "integer": "int", "boolean": "bool", "any": "object", "object": "dict[str, str]"}
PYTHON = Python(PYTHON_WORDS, "list[{}]", "dict[str, {}]", " | ")
GO_WORDS = {"string": "string", "integer": "int64", "boolean": "bool", "any": "any", "object": "any"}
GO = Go(GO_WORDS, "[]{}", "map[string]{}", " | ")
ENGLISH = Language({**SCALARS, "object": "object"}, "{}[]", "map to {}", " or ")


def is_object(shape: Shape) -> bool:
    """Whether a definition is an object of fields, and not a choice or a word."""
    return shape.get("type") == "object"


def typescript(schema: Shape) -> str:
    """The types of requests and answers, and a map of the methods."""
    lines = [f"// {MADE}.", ""]
    for name, shape in schema["definitions"].items():
        if not is_object(shape):
            # The package has bytes for what is not UTF-8.
            known = "string | Uint8Array" if name == "ByteString" else TYPESCRIPT.of(shape)
            lines.append(f"export type {name} = {known};")
            continue
        lines.append(f"export interface {name} {{")
        for field, of, always in fields(shape):
            lines.append(f"  {field}{'' if always else '?'}: {TYPESCRIPT.of(of)};")
        lines.append("}")
    lines += ["", "/** Each method, with its request and its answer: docs/methods.md. */", "export interface Methods {"]
    for name, method in schema["properties"].items():
        request, answer = (TYPESCRIPT.of(method["properties"][one]) for one in ("request", "answer"))
        lines.append(f"  '{name}': {{ request: {request}; answer: {answer} }};")
    return "\n".join([*lines, "}", ""]).replace('"', "'")


def python(schema: Shape) -> str:
    """The types of requests and answers, for type checkers only."""
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


# What Go writes in capitals.
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
    """`show_guid` as `ShowGUID`."""
    return "".join(INITIALISMS.get(part, part[:1].upper() + part[1:]) for part in name.split("_"))


def go(schema: Shape) -> str:
    """The types of requests and answers, as encoding/json reads and writes them.

    A zero value is what is not known or not given, but a pointer where 0 is a value: a number of an answer.
    """
    definitions = schema["definitions"]
    references = [one["properties"]["request"]["$ref"] for one in schema["properties"].values()]
    requests = {reference.rpartition("/")[2] for reference in references}
    lines = [f"// {MADE}.", "", "//go:build cgo", "", "package plexindex", ""]

    def own(name: str) -> str:
        return name.replace("ByUuid", "ByUUID") + ("Request" if name in requests else "")

    for name, shape in definitions.items():
        if name == "ByteString":
            continue  # json.go has it
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
            # The value that a field is set to may be empty.
            is_known = (kind == "int64" and name not in requests) or name == "EditChange"
            is_known = is_known or is_object(definitions.get(kind, {}))
            pointer = "*" if is_known and not always else ""
            fields_of.append((go_name(field), pointer + kind, f'`json:"{field}{"" if always else ",omitempty"}"`'))
        # As gofmt aligns them.
        wide0, wide1 = (max((len(row[column]) for row in fields_of), default=0) for column in (0, 1))
        body = [f"\t{field:{wide0}} {kind:{wide1}} {tag}" for field, kind, tag in fields_of]
        lines += [f"type {own(name)} struct {{", *body, "}", ""] if body else [f"type {own(name)} struct{{}}", ""]
    return "\n".join(lines)


HEAD = f"""# Methods

The methods of `plexindex_call()`. {MADE}. The header
describes the rules for all methods, and the values of fields such as `reason`.

- A method sends requests to the server only if its description says so.
- A field of a request is optional unless it is **needed**. A field of an answer is absent if its value is unknown.
- A field without a type is a string. `X[]` is a list. Names in `_ms` and `_us` are milliseconds and microseconds.
- Words in capitals are statuses: NOT_FETCHED is PLEXINDEX_NOT_FETCHED."""
# How many methods must have a field in the same form, for it to be described once.
COMMON = 2


def references(shape: Any) -> Iterator[str]:
    """The names of the types that a part of the schema refers to."""
    if isinstance(shape, dict):
        if "$ref" in shape:
            yield shape["$ref"].rpartition("/")[2]
        shape = list(shape.values())
    for part in shape if isinstance(shape, list) else ():
        yield from references(part)


def choices(shape: Shape) -> list[str]:
    """The values of a type that is a choice of words."""
    return [*shape.get("enum", ()), *(one["const"] for one in shape.get("oneOf", ()) if "const" in one)]


class Page:
    """docs/methods.md: each method, the fields that many have, and the types. Nothing is described twice."""

    def __init__(self, schema: Shape) -> None:
        self.definitions, self.methods = schema["definitions"], schema["properties"]
        self.names = {
            method: [shape["properties"][part]["$ref"].rpartition("/")[2] for part in ("request", "answer")]
            for method, shape in self.methods.items()
        }
        answers = [answer for _, answer in self.names.values()]
        # An answer of several methods, or one that another answer extends, is described among the types.
        self.shared = {one for one in answers if sum(self.extends(other, one) for other in answers) > 1}
        # A type of a single field is described there. An answer repeats the fields of the one that it extends.
        every = {json.dumps(field): field for shape in self.definitions.values() for _, field, _ in fields(shape)}
        uses = Counter(name for field in every.values() for name in references(field))
        self.nested = {name for name in self.definitions if uses[name] <= 1} - self.shared - {"Item"}
        lines = Counter(
            line
            for pair in self.names.values()
            for part, name in enumerate(pair)
            if name not in self.shared and "allOf" not in self.definitions[name]
            for line in self.bullets(self.definitions[name], part == 0)
            if line.startswith("-")
        )
        self.common = sorted(line for line, count in lines.items() if count >= COMMON)

    def extends(self, answer: str, other: str) -> bool:
        """Whether an answer is another one, or has all its fields and more."""
        outer, inner = (self.definitions[name].get("properties", {}).items() for name in (answer, other))
        return len(inner) > 0 and inner <= outer and (answer == other or len(inner) < len(outer))

    def bullets(self, shape: Shape, is_request: bool, inherited: Collection[str] = ()) -> list[str]:
        """The fields of an object, each with what only it has. Common ones come last, by their names only."""
        lines, common = [], []
        for name, field, always in fields(shape):
            if name in inherited:
                continue
            kind, text = ENGLISH.of(field), english(field.get("description", ""))
            if field.get("default") not in (None, False, "", []):
                default = field["default"]
                text += f" Default: {default:,}." if isinstance(default, int) else f" Default: `{default}`."
            below: list[str] = []
            if (nested := kind.rstrip("[]")) in self.nested:
                inner = self.definitions[nested]
                text = text or self.summary(inner)
                below = [f"  {line}" for line in self.bullets(inner, is_request)] if is_object(inner) else []
                if words := choices(inner):
                    text = f"{text} {self.summary(inner)}".strip() if self.summary(inner) not in text else text
                    all_named = all(f"`{word}`" in text for word in words)
                    text = text if all_named else f"{', '.join(f'`{word}`' for word in words)}. {text}".strip()
                    kind = kind.replace(nested, "string")
                elif is_object(inner):
                    kind = kind.replace(nested, "object")
            kind = re.sub(r"\b([A-Z]\w+)", lambda found: f"[{found[1]}](#{found[1].lower()})", kind)
            marks = [*([kind] if kind != "string" else []), *(["**needed**"] if is_request and always else [])]
            mark = f" ({', '.join(marks)})" if marks else ""
            line = f"- `{name}`{mark}: {text}".rstrip(": ")
            if line in getattr(self, "common", ()):
                common.append(f"[`{name}`](#common-fields)")
            else:
                lines += [line, *below]
        return [*lines, *([f"- {', '.join(common)}"] if common else [])]

    def summary(self, shape: Shape) -> str:
        """The description of a type. What follows the first paragraph is for Rust."""
        return english(shape.get("description", "")).partition("\n\n")[0]

    def method(self, name: str) -> list[str]:
        """One method."""
        request_name, answer_name = self.names[name]
        request, answer = self.definitions[request_name], self.definitions[answer_name]
        lines = ["", f"## {name}", english(request.get("description", ""))]
        if "allOf" in request:
            extended = request["allOf"][0]["$ref"].rpartition("/")[2]
            lines += ["", f"Request: as `{next(key for key, pair in self.names.items() if pair[0] == extended)}`."]
        elif request.get("properties"):
            lines += ["", "Request:", "", *self.bullets(request, True)]
        part = next((one for one in sorted(self.shared) if self.extends(answer_name, one)), "")
        if part == answer_name:
            lines += ["", f"Answer: [{part}](#{part.lower()})."]
        elif answer.get("properties"):
            text = f"[{part}](#{part.lower()}), and:" if part else self.summary(answer)
            inherited = self.definitions.get(part, {}).get("properties", {})
            lines += ["", f"Answer: {text}".rstrip(), "", *self.bullets(answer, False, inherited)]
        return lines

    def text(self) -> str:
        """The whole page."""
        lines = [HEAD, "", "## Common fields", "", *self.common]
        for name in self.methods:
            lines += self.method(name)
        described = {name for pair in self.names.values() for name in pair} - self.shared
        lines += ["", "## Types"]
        for name, shape in self.definitions.items():
            if name in described or name in self.nested:
                continue
            words = ", ".join(f"`{word}`" for word in choices(shape))
            lines += ["", f"### {name}", f"{words}. {self.summary(shape)}".strip(". ") + "."]
            if is_object(shape):
                lines += ["", *self.bullets(shape, False)]
        return re.sub(r"\n{3,}", "\n\n", "\n".join([*lines, ""]))


def made() -> dict[str, str]:
    """Each file that is made, by its name in the project, with its text."""
    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
    return {
        "bindings/node/methods.d.ts": typescript(schema),
        "bindings/python/src/plexindex/_methods.pyi": python(schema),
        "bindings/go/methods.go": go(schema),
        "docs/methods.md": Page(schema).text(),
    }
