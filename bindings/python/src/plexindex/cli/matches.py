"""`plexindex matches`: exports recorded matches, and imports them into this or another index."""

from __future__ import annotations

import itertools
import json
import os

from .._core import TYPE_CHECKING
from . import codes, commands, output
from .codes import UsageError
from .config import Settings

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from ..index import Index

_PER_CALL = 10_000


def matches(options: argparse.Namespace) -> int:
    """Exports or imports matches."""
    settings = Settings(options)
    if options.action == "import":
        lines = _read_lines()
        with settings.open() as index:
            return _import(index, lines, offline=settings.offline)
    settings.expect_folder()
    with settings.open() as index:
        for line in _export(index, options.broken):
            output.say_json(line)
    return codes.OK


def _export(index: Index, file: str | None) -> Iterator[object]:
    broken = None if file is None else os.fsencode(os.path.abspath(file))
    cursor = None
    while True:
        page = index.call("matches.export", {"broken": broken, "cursor": cursor, "limit": _PER_CALL})
        yield from page["matches"]
        cursor = page.get("cursor")
        if cursor is None:
            return


def _read_lines() -> list[object]:
    lines: list[object] = []
    for number, line in enumerate(commands.read_stdin().split(b"\n"), 1):
        if line.strip():
            try:
                lines.append(json.loads(line))
            except ValueError as error:
                raise UsageError(f"line {number} is not JSON: {error}; give the output of `matches export`") from error
    return lines


def _import(index: Index, lines: list[object], *, offline: bool) -> int:
    total = {"recorded": 0, "kept": 0, "skipped": 0}
    remaining = iter(lines)
    while some := list(itertools.islice(remaining, _PER_CALL)):
        for name, number in index.call("matches.import", {"matches": some, "offline": offline}).items():
            total[name] += number
    output.say_json(total)
    return codes.NOT_ALL if total["skipped"] else codes.OK
