"""Reads include/plexindex.json, which build.rs writes beside the header: the Python package is compared with it.

What it says of layouts is what a C compiler says: tests/python/test_abi.py.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

HEADER = Path(__file__).resolve().parents[2] / "include" / "plexindex.h"
ABI: dict[str, Any] = json.loads(HEADER.with_suffix(".json").read_text(encoding="utf-8"))


def without_prefix(named: dict[str, Any]) -> dict[str, Any]:
    """The same, by names without `plexindex_`."""
    return {re.sub("^plexindex_", "", name, flags=re.IGNORECASE): value for name, value in named.items()}


def constants() -> dict[str, int]:
    """Every #define with a number, without its prefix."""
    return without_prefix(ABI["constants"])


def statuses() -> dict[str, int]:
    """The status enumeration, without its prefix."""
    return without_prefix(ABI["statuses"])


def structs() -> dict[str, list[dict[str, Any]]]:
    """Every struct with a body: its members, in order."""
    return {name: struct["fields"] for name, struct in without_prefix(ABI["structs"]).items()}


def layout() -> dict[str, dict[str, int]]:
    """Sizes (under "") and offsets of every struct."""
    return {
        name: {"": struct["size"], **{field["name"]: field["offset"] for field in struct["fields"]}}
        for name, struct in without_prefix(ABI["structs"]).items()
    }


def functions() -> dict[str, tuple[str, list[str]]]:
    """Every function: its result and the types of its arguments, without const."""
    return {
        name: (plain_type(one["result"]), [plain_type(argument["type"]) for argument in one["arguments"]])
        for name, one in without_prefix(ABI["functions"]).items()
    }


def plain_type(kind: str) -> str:
    """`const plexindex_query *` as `plexindex_query*`."""
    return re.sub(r"\bconst\b|\s", "", kind)


def comment(struct: str, member: str) -> str:
    """The comment of a member of a struct: behind it, or above."""
    lines = HEADER.read_text().splitlines()
    begin = lines.index(f"typedef struct plexindex_{struct} {{")
    at = next(begin + number for number, line in enumerate(lines[begin:]) if re.search(rf"\b{member}(\[\d+\])?;", line))
    if "//" in lines[at]:
        return lines[at].partition("// ")[2]
    above = []
    for line in reversed(lines[:at]):
        if not line.strip().startswith("//"):
            break
        above.append(line.strip().lstrip("/ "))
    return " ".join(reversed(above))
