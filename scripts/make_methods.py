"""Generates the reference of plexindex_call()'s methods, and their types for other languages, from
include/plexindex.schema.json. `make header` runs this script.

quicktype could generate the types, too, but in 1,300 lines of Go and 1,600 lines of TypeScript, and without TypedDict.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
SCHEMA = ROOT / "include" / "plexindex.schema.json"
MADE = "Made from include/plexindex.schema.json by `make header`"
Shape = dict[str, Any]


def english(text: str) -> str:
    """Returns a description without the syntax that only rustdoc understands."""

    def word(found: re.Match[str]) -> str:
        """Returns a variant by its name in JSON, or a method without its type."""
        of, _, name = found[1].rpartition("::")
        return f"`{re.sub('(?<=[a-z])(?=[A-Z])', '_', name).lower() if of else name}`"

    text = re.sub(r"\n*```.*?```\n*", "\n\n", text, flags=re.DOTALL)
    text = re.sub(r"^\[`.*?`\]: \S+$", "", text, flags=re.MULTILINE)
    text = re.sub(r"\n*Its JSON has [^.]*\.", "", text)
    text = re.sub(r"\[`([^`]*)`\](\([^)]*\)|\[[^]]*\])?", word, text)
    text = re.sub(r"(^|[.] )`None`", r"\1Absent", text).replace("`None`", "absent")
    return re.sub(r"(?<!\n)\n(?!\n|- |\d+\. ) *", " ", text).strip()


def fields(shape: Shape) -> Iterator[tuple[str, Shape, bool]]:
    """Yields the fields of an object, and whether each field is always present."""
    for name, field in shape.get("properties", {}).items():
        yield name, field, name in shape.get("required", ()) and "default" not in field


class Language:
    """The syntax of a language for types."""

    def __init__(self, words: dict[str, str], array: str, mapping: str, union: str) -> None:
        self.words, self.array, self.mapping, self.union = words, array, mapping, union

    def of(self, shape: Shape | bool) -> str:
        """Returns the type of a value that is present."""
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
    """The syntax of Go. A choice of types is `any`, and a choice of words is a string."""

    def one_of(self, some: list[str]) -> str:
        """The choice of several types."""
        return some[0] if len(set(some)) == 1 else "any"

    def names(self, _: list[str]) -> str:
        """The choice of several words."""
        return "string"


class Python(Language):
    """The syntax of Python. A choice of words is a Literal."""

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


def references(shape: Any) -> Iterator[str]:
    """Yields the names of the types to which a part of the schema refers."""
    if isinstance(shape, dict):
        if "$ref" in shape:
            yield shape["$ref"].rpartition("/")[2]
        shape = list(shape.values())
    for part in shape if isinstance(shape, list) else ():
        yield from references(part)


def is_object(shape: Shape) -> bool:
    """Returns whether a definition is an object with fields, and not a choice or a word."""
    return shape.get("type") == "object"


def typescript(schema: Shape) -> str:
    """Returns the types of requests and answers, and a map of the methods."""
    lines = [f"// {MADE}.", ""]
    for name, shape in schema["definitions"].items():
        if not is_object(shape):
            # The package uses bytes for strings that are not UTF-8.
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


# What methods of the Python package return. `Index.call` returns any method's answer without a type.
PYTHON_TYPES = (
    "ChangeKind",
    "Confidence",
    "FolderKind",
    "MatchKind",
    "MatchStatus",
    "Reason",
    "ServerInfo",
    "SharedStatus",
    "StoreInfo",
)


def python(schema: Shape) -> str:
    """Returns the types of the answers that the Python package reads. Only type checkers use them."""
    definitions, used = schema["definitions"], list(PYTHON_TYPES)
    for name in used:
        used += [one for one in references(definitions[name]) if one not in used]
    lines = [f'"""The types of answers. {MADE}."""', "", "from __future__ import annotations", ""]
    lines += ["import sys", "from typing import Literal, TypedDict, Union", "", "from . import TYPE_CHECKING", ""]
    # Type checkers know typing_extensions, also where it is not installed.
    lines += ["if TYPE_CHECKING:", "    from typing_extensions import NotRequired"]
    lines += ["elif sys.version_info >= (3, 11):", "    from typing import NotRequired", ""]
    for name in sorted(set(used)):
        shape = definitions[name]
        if not is_object(shape):
            # An answer omits "none", and the package returns None.
            kind = PYTHON.of(shape).replace('"none", ', "").replace(" | ", '", "')
            lines.append(f'{name} = Union["{kind}"]' if '", "' in kind and "[" not in kind[:8] else f"{name} = {kind}")
            continue
        known = ((field, PYTHON.of(of), always) for field, of, always in fields(shape))
        pairs = [(field, kind if always else f"NotRequired[{kind}]") for field, kind, always in known]
        row = "; ".join(f"{field}: {kind}" for field, kind in pairs)
        lines.append(f"class {name}(TypedDict): {row}")
    return "\n".join([*lines, ""])


# The words that Go writes in capitals.
INITIALISMS = {
    "guid": "GUID",
    "id": "ID",
    "guids": "GUIDs",
    "uuid": "UUID",
    "abi": "ABI",
    "sqlite": "SQLite",
    "tls": "TLS",
    "ok": "OK",
}


def go_name(name: str) -> str:
    """Returns the Go name for a field, such as `ShowGUID` for `show_guid`."""
    return "".join(INITIALISMS.get(part, part[:1].upper() + part[1:]) for part in name.split("_"))


def go(schema: Shape) -> str:
    """Returns the types of requests and answers, as encoding/json reads and writes them.

    A zero value means that a value is unknown or not given. A number in an answer is a pointer, because 0 is a value.
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
            # The value to set a field to can be empty.
            is_known = (kind == "int64" and name not in requests) or name == "EditChange"
            is_known = is_known or is_object(definitions.get(kind, {}))
            pointer = "*" if is_known and not always else ""
            fields_of.append((go_name(field), pointer + kind, f'`json:"{field}{"" if always else ",omitempty"}"`'))
        # Align the columns as gofmt does.
        wide0, wide1 = (max((len(row[column]) for row in fields_of), default=0) for column in (0, 1))
        body = [f"\t{field:{wide0}} {kind:{wide1}} {tag}" for field, kind, tag in fields_of]
        lines += [f"type {own(name)} struct {{", *body, "}", ""] if body else [f"type {own(name)} struct{{}}", ""]
    return "\n".join(lines)


HEAD = f"""# Methods

The methods of `plexindex_call()`. {MADE}. The header
describes the rules for all methods, and [troubleshooting](troubleshooting.md#reasons) the values of `reason` and of
`error_kind`.

- A method sends requests to the server only if its description says so.
- A field of a request is optional unless it is **needed**. A field of an answer is absent if its value is unknown.
- A field without a type is a string. `X[]` is a list. Names in `_ms` and `_us` are milliseconds and microseconds.
- Words in capitals are statuses: NOT_FETCHED is PLEXINDEX_NOT_FETCHED."""
# Minimum number of methods with the same field, so that the page describes the field only once for all of them.
COMMON = 2
# Minimum number of fields that an object shares with an earlier one, so that the page refers to the earlier one.
REPEATED = 3
# Maximum number of words to choose from that the page lists. docs/troubleshooting.md has the longer lists.
MAX_CHOICES = 10


def choices(shape: Shape) -> list[str]:
    """Returns the values of a type that is a choice of words."""
    return [*shape.get("enum", ()), *(one["const"] for one in shape.get("oneOf", ()) if "const" in one)]


class Page:
    """docs/methods.md: the methods, their common fields, and the types. The page describes nothing twice."""

    def __init__(self, schema: Shape) -> None:
        self.definitions, self.methods = schema["definitions"], schema["properties"]
        # The fields of nested objects that a method, or the types, have described so far, and where.
        self.described: dict[str, str] = {}
        self.of = ""
        self.names = {
            method: [shape["properties"][part]["$ref"].rpartition("/")[2] for part in ("request", "answer")]
            for method, shape in self.methods.items()
        }
        answers = [answer for _, answer in self.names.values()]
        # Describe an answer of several methods, or an answer that another one extends, among the types.
        self.shared = {one for one in answers if sum(self.extends(other, one) for other in answers) > 1}
        # Describe a type that only one field has at that field. An answer repeats the fields of the answer it extends.
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
        """Returns whether an answer is the same as another answer, or has all its fields and more."""
        outer, inner = (self.definitions[name].get("properties", {}).items() for name in (answer, other))
        return len(inner) > 0 and inner <= outer and (answer == other or len(inner) < len(outer))

    def bullets(self, shape: Shape, is_request: bool, inherited: Collection[str] = ()) -> list[str]:
        """Returns the fields of an object with their descriptions. Common fields come last, only with their names."""
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
                below = self.nested_bullets(name, inner, is_request) if is_object(inner) else []
                words = choices(inner)
                if len(words) > MAX_CHOICES:
                    kind = kind.replace(nested, "string")
                elif words:
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

    def nested_bullets(self, name: str, shape: Shape, is_request: bool) -> list[str]:
        """Returns the fields of an object in the field `name`, without those that an earlier object has described."""
        lines = self.bullets(shape, is_request)
        where = Counter(self.described[line] for line in lines if line in self.described)
        place, count = where.most_common(1)[0] if where else ("", 0)
        again = [line for line in lines if self.described.get(line) == place]
        has_objects = any(line.startswith(" ") for line in lines)
        if count >= REPEATED and not has_objects:
            names = ", ".join(f"`{line.split('`')[1]}`" for line in again)
            lines = [*(line for line in lines if line not in again), f"- {names}: as in {place}."]
        for line in lines:
            self.described.setdefault(line, f"`{name}`{self.of}")
        return [f"  {line}" for line in lines]

    def summary(self, shape: Shape) -> str:
        """Returns the description of a type. Only its first paragraph: the others are for Rust."""
        return english(shape.get("description", "")).partition("\n\n")[0]

    def method(self, name: str) -> list[str]:
        """One method."""
        request_name, answer_name = self.names[name]
        request, answer = self.definitions[request_name], self.definitions[answer_name]
        self.described.clear()
        self.of = ""
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
        """Returns the whole page."""
        lines = [HEAD, "", "## Common fields", "", *self.common]
        for name in self.methods:
            lines += self.method(name)
        described = {name for pair in self.names.values() for name in pair} - self.shared
        lines += ["", "## Types"]
        self.described.clear()
        for name, shape in self.definitions.items():
            if name in described or name in self.nested:
                continue
            self.of = f" of [{name}](#{name.lower()})"
            words = ", ".join(f"`{word}`" for word in choices(shape))
            lines += ["", f"### {name}", f"{words}. {self.summary(shape)}".strip(". ") + "."]
            if is_object(shape):
                lines += ["", *self.bullets(shape, False)]
        return re.sub(r"\n{3,}", "\n\n", "\n".join([*lines, ""]))


def made() -> dict[str, str]:
    """Returns the text of each generated file, by its path in the project."""
    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
    return {
        "bindings/node/methods.d.ts": typescript(schema),
        "bindings/python/src/plexindex/_core/methods.py": python(schema),
        "bindings/go/methods.go": go(schema),
        "docs/methods.md": Page(schema).text(),
    }
