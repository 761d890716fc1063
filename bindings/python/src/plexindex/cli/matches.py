"""`plexindex matches`: exports recorded matches, and imports them into this or another index."""

from __future__ import annotations

import json
import os
from collections import Counter

import click

from . import codes, output
from .match import read_stdin
from .options import FILE, Command
from .settings import Settings

_PER_CALL = 10_000


@click.group("matches", no_args_is_help=False)
def matches_command() -> None:
    """Export recorded matches, or import them into another index."""


@matches_command.command("export", cls=Command)
@click.option("--broken", type=FILE, metavar="FILE", help="Export the matches of all servers and users from this "
              "damaged database, which plexindex renamed to .broken.")  # fmt: skip
def export_command(broken: str | None) -> int:
    """Print the matches that tools recorded for this server and user.

    JSON: path, key, library_uuid, library_title and server (the machine identifier).
    """
    settings, file = Settings(), None if broken is None else os.fsencode(os.path.abspath(broken))
    settings.expect_folder()
    with settings.open() as index:
        page = index.call("matches.export", {"broken": file, "limit": _PER_CALL})
        if not page["matches"]:
            output.remark("no matches were recorded", terminal_only=True)
        while True:
            for match in page["matches"]:
                output.say_json(match)
            if page.get("cursor") is None:
                return codes.OK
            page = index.call("matches.export", {"broken": file, "limit": _PER_CALL, "cursor": page["cursor"]})


@matches_command.command("import", cls=Command)
def import_command() -> int:
    """Record matches from such lines on standard input.

    A path that already has a match keeps it.

    JSON: one object with recorded, kept (paths that already had a match) and skipped (matches in libraries that the
    server does not have).
    """
    settings, total, lines = Settings(), Counter(recorded=0, kept=0, skipped=0), []
    for number, line in enumerate(read_stdin().split(b"\n"), 1):
        try:
            lines += [json.loads(line)] if line.strip() else []
        except ValueError as error:
            hint = "give the output of `matches export`"
            raise click.UsageError(f"line {number} is not JSON: {error}; {hint}") from error
    with settings.open() as index:
        for start in range(0, len(lines), _PER_CALL):
            some = lines[start : start + _PER_CALL]
            total.update(index.call("matches.import", {"matches": some, "offline": settings.offline}))
    output.say_json(total)
    return codes.NOT_ALL if total["skipped"] else codes.OK
