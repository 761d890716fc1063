"""`plexindex matches`: exports recorded matches, and imports them into this or another index."""

from __future__ import annotations

import itertools
import json
import os

import click

from .._core import TYPE_CHECKING
from . import codes, output
from .codes import UsageError
from .config import Settings
from .match import read_stdin
from .options import FILE, Command

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..index import Index

_PER_CALL = 10_000


@click.group(no_args_is_help=False)
def matches() -> None:
    """Export recorded matches, or import them into another index."""


@matches.command("export", cls=Command)
@click.option("--broken", type=FILE, metavar="FILE", help="Export the matches of all servers and users from this "
              "damaged database, which plexindex renamed to .broken.")  # fmt: skip
def export_command(broken: str | None) -> int:
    """Print the matches that tools recorded for this server and user.

    JSON: path, key, library_uuid, library_title and server (the machine identifier).
    """
    settings = Settings()
    settings.expect_folder()
    with settings.open() as index:
        for line in _export(index, broken):
            output.say_json(line)
    return codes.OK


@matches.command("import", cls=Command)
def import_command() -> int:
    """Record matches from such lines on standard input.

    A path that already has a match keeps it.

    JSON: one object with recorded, kept (paths that already had a match) and skipped (matches in libraries that the
    server does not have).
    """
    settings = Settings()
    lines = _read_lines()
    with settings.open() as index:
        return _import(index, lines, offline=settings.offline)


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
    for number, line in enumerate(read_stdin().split(b"\n"), 1):
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
