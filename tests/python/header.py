"""Reads include/plexindex.h, for tests that compare the Python package with it."""

from __future__ import annotations

import re
from pathlib import Path

HEADER = Path(__file__).resolve().parents[2] / "include" / "plexindex.h"


def text() -> str:
    """The header without comments."""
    return re.sub(r"//[^\n]*|/\*.*?\*/", "", HEADER.read_text(), flags=re.DOTALL)


def constants() -> dict[str, int]:
    """Every #define with a number, without its prefix."""
    found = re.findall(r"^#define PLEXINDEX_(\w+) \(?(-?\d+)\)?\s*$", text(), re.MULTILINE)
    return {name: int(value) for name, value in found}


def statuses() -> dict[str, int]:
    """The status enumeration, without its prefix."""
    body = re.search(r"enum plexindex_status\b.*?\{(.*?)\}", text(), re.DOTALL)
    assert body is not None
    return {name: int(value) for name, value in re.findall(r"PLEXINDEX_(\w+) = (\d+)", body[1])}


def structs() -> dict[str, list[str]]:
    """Every struct with a body: the names of its members, in order."""
    found = {}
    for name, body in re.findall(r"typedef struct plexindex_(\w+) \{(.*?)\}", text(), re.DOTALL):
        found[name] = re.findall(r"(\w+)(?:\[\d+\])?;", body)
    return found


def functions() -> dict[str, tuple[str, list[str]]]:
    """Every function: its result and the types of its arguments, without const and struct."""
    found = {}
    for result, name, arguments in re.findall(r"^(\S.*?)\bplexindex_(\w+)\(([^;{]*)\);", text(), re.MULTILINE):
        types = [plain_type(argument) for argument in arguments.split(",")]
        found[name] = (plain_type(result + "x"), [] if types == ["void"] else types)
    return found


def plain_type(declaration: str) -> str:
    """The type in a declaration with a name: `const struct plexindex_query *query` is `plexindex_query*`."""
    words = re.sub(r"\b(const|struct)\b", " ", declaration).strip()
    if words == "void":
        return words
    kind = re.sub(r"\w+$", "", words).strip()
    return re.sub(r"\s*\*\s*", "*", kind)


def comment(struct: str, member: str) -> str:
    """The comment above a member of a struct."""
    lines = HEADER.read_text().splitlines()
    begin = lines.index(f"typedef struct plexindex_{struct} {{")
    at = next(begin + number for number, line in enumerate(lines[begin:]) if re.search(rf"\b{member}(\[\d+\])?;", line))
    above = []
    for line in reversed(lines[:at]):
        if not line.strip().startswith("//"):
            break
        above.append(line.strip().lstrip("/ "))
    return " ".join(reversed(above))
